//! Which entries of a pack are deltas to which.

use std::cmp::Reverse;
use std::sync::atomic::{AtomicBool, Ordering};

use gix_hash::ObjectId;

use super::Error;
use super::table::{Entry, NONE, Table};

/// Which entries are deltas to a given one.
pub(super) struct Family {
    /// Where in `children` those of an entry begin; one more than there are entries.
    starts: Vec<u32>,
    /// Those to one base stand together, those first that most others depend on.
    children: Vec<u32>,
    /// Sorted by base.
    by_id: Vec<(ObjectId, u32)>,
    /// For the first delta to each base in `by_id`: whether the base was found.
    found: Vec<AtomicBool>,
    /// Whether the pack is being completed with bases from outside.
    pub completing: bool,
}

impl Family {
    /// Those of `table` that are not resolved, and what leads to them.
    pub fn new(table: &mut Table) -> Self {
        let mut by_id = std::mem::take(&mut table.ref_deltas);
        by_id.sort_unstable();
        let mut pairs = needed(table, &by_id);
        let weights = weights(&pairs, table.entries.len());
        pairs.sort_unstable_by_key(|(base, child)| {
            (*base, Reverse(weights.get(*child as usize).copied()), *child)
        });
        drop(weights);
        let mut starts = Vec::with_capacity(table.entries.len() + 1);
        let mut at = 0_u32;
        let mut rest = pairs.iter().peekable();
        for entry in 0..=table.entries.len() {
            starts.push(at);
            while rest.next_if(|(base, _)| *base as usize == entry).is_some() {
                at += 1;
            }
        }
        let found = by_id.iter().map(|_| AtomicBool::new(false)).collect();
        Self {
            starts,
            children: pairs.into_iter().map(|(_, child)| child).collect(),
            by_id,
            found,
            completing: false,
        }
    }

    /// The deltas to `entry`, whose id is `id`; the one that most others depend on comes first. Asked for once for each entry.
    ///
    /// A delta is resolved once: if two entries of the pack have its base's id, that is an error, as it is to C git.
    /// An object that comes out while the pack is completed may be one of the bases added, and finds its deltas gone.
    pub fn children(&self, entry: u32, id: &ObjectId, table: &Table) -> Result<Vec<u32>, Error> {
        let at = entry as usize;
        let range = match (self.starts.get(at), self.starts.get(at + 1)) {
            (Some(start), Some(end)) => *start as usize..*end as usize,
            _ => 0..0,
        };
        let mut children = self.children.get(range).unwrap_or_default().to_vec();
        if self.by_id.is_empty() {
            return Ok(children);
        }
        let start = self.by_id.partition_point(|(base, _)| base < id);
        let named = self.by_id.get(start..).unwrap_or_default();
        let named = named.iter().take_while(|(base, _)| base == id).map(|(_, child)| *child);
        let mut named = named.peekable();
        if let (Some(first), Some(found)) = (named.peek(), self.found.get(start)) {
            if found.swap(true, Ordering::Relaxed) {
                if self.completing {
                    return Ok(children);
                }
                let offset = table.entry(*first).map_or(0, Entry::offset);
                let what = format!("REF_DELTA at offset {offset} already resolved (duplicate base {id}?)");
                return Err(Error::BadPack(what));
            }
            children.extend(named);
        }
        Ok(children)
    }

    /// Whether there are deltas that name their base by id.
    pub fn has_ids(&self) -> bool {
        !self.by_id.is_empty()
    }

    /// The bases named by id that no entry turned out to have, each once, in order.
    pub fn missing(&self) -> Vec<ObjectId> {
        let mut last = None;
        let firsts =
            self.by_id.iter().zip(&self.found).filter(|((base, _), _)| last.replace(*base) != Some(*base));
        firsts.filter(|(_, found)| !found.load(Ordering::Relaxed)).map(|((base, _), _)| *base).collect()
    }

    /// Forgets which bases were found.
    pub fn reset(&mut self) {
        self.completing = false;
        for found in &mut self.found {
            *found.get_mut() = false;
        }
    }

    pub fn has_children(&self, entry: u32, id: &ObjectId) -> bool {
        let at = entry as usize;
        self.starts.get(at) != self.starts.get(at + 1)
            || self.by_id.binary_search_by(|(base, _)| base.cmp(id)).is_ok()
    }
}

/// The pairs of base and delta, the last delta first, that are not resolved or lead to others that are not: to those as well
/// whose bases are named by id, as `by_id` has them.
fn needed(table: &Table, by_id: &[(ObjectId, u32)]) -> Vec<(u32, u32)> {
    let mut needed = vec![false; table.entries.len()];
    if !by_id.is_empty() {
        for (index, id) in table.ids() {
            if let Some(needed) = needed.get_mut(index as usize) {
                *needed = by_id.binary_search_by(|(base, _)| base.cmp(&id)).is_ok();
            }
        }
    }
    let mut pairs = Vec::new();
    let count = u32::try_from(table.entries.len()).unwrap_or(NONE);
    for child in (0..count).rev() {
        let Some(entry) = table.entry(child) else { continue };
        let base = entry.told_base();
        let is_needed = entry.kind().is_none() || needed.get(child as usize) == Some(&true);
        if base == NONE || !is_needed {
            continue;
        }
        if let Some(base) = needed.get_mut(base as usize) {
            *base = true;
        }
        pairs.push((base, child));
    }
    pairs
}

/// How many deltas of `pairs`, in which the last delta comes first, depend on each of `count` entries.
fn weights(pairs: &[(u32, u32)], count: usize) -> Vec<u32> {
    let mut weights = vec![0_u32; count];
    for (base, child) in pairs {
        let weight = weights.get(*child as usize).copied().unwrap_or(0);
        if let Some(base) = weights.get_mut(*base as usize) {
            *base = base.saturating_add(weight).saturating_add(1);
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::table::NewEntry;

    #[test]
    fn the_delta_that_most_others_depend_on_comes_first() {
        let mut table = Table::new(gix_hash::Kind::Sha1, 0);
        // 0 has the deltas 1, 2 and 3; 2 has 4, 4 has 5, and 3 has 6.
        for (at, base) in (0..).zip([NONE, 0, 0, 0, 2, 4, 3]) {
            table.push(&NewEntry { base, ..NewEntry::new(at, 1, 1) }, None).unwrap();
        }
        let family = Family::new(&mut table);
        let children = |entry| family.children(entry, &ObjectId::null(gix_hash::Kind::Sha1), &table).unwrap();
        assert_eq!(children(0), [2, 3, 1]);
        assert_eq!((children(2), children(5)), (vec![4], vec![]));
    }
}
