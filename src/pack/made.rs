//! Objects of a pack that are made once more after it was resolved.

use std::sync::Arc;

use super::Error;
use super::inflate::Inflater;
use super::kept::{Kept, SMALL_MAX};
use super::table::{Entry, NONE, Pack, Table};

/// Memory for objects that others are made of, in bytes.
const KEPT_BYTES: usize = 16 * 1024 * 1024;

/// The same for large ones, in bytes.
const LARGE_BYTES: usize = 32 * 1024 * 1024;

/// Makes the objects of a pack.
pub(super) struct Made<'a> {
    pack: Pack<'a>,
    inflater: Inflater,
    delta: Vec<u8>,
    kept: Kept<u32, Arc<Vec<u8>>>,
}

impl<'a> Made<'a> {
    pub fn new(pack: Pack<'a>) -> Self {
        Self { pack, inflater: Inflater::new(), delta: Vec::new(), kept: Kept::new(KEPT_BYTES, LARGE_BYTES) }
    }

    /// What the entry `index` makes. Who asks for many does so [in families](in_families).
    pub fn object(&mut self, index: u32) -> Result<Arc<Vec<u8>>, Error> {
        let (mut chain, mut at) = (Vec::new(), index);
        let mut made = loop {
            if let Some(kept) = self.kept.get(at) {
                break kept;
            }
            let base = self.pack.table.entry(at).map_or(NONE, Entry::base);
            if base == NONE {
                let mut whole = Vec::new();
                self.pack.inflate(at, &mut self.inflater, &mut whole)?;
                // a large one is kept for its deltas alone
                let is_for_once = chain.is_empty() && whole.len() > SMALL_MAX;
                break if is_for_once { Arc::new(whole) } else { self.keep(at, whole) };
            }
            chain.push(at);
            at = base;
        };
        while let Some(at) = chain.pop() {
            let mut out = Vec::new();
            self.pack.apply(at, (&made, &mut out), (&mut self.inflater, &mut self.delta), |_| {})?;
            made = self.keep(at, out);
        }
        Ok(made)
    }

    fn keep(&mut self, index: u32, content: Vec<u8>) -> Arc<Vec<u8>> {
        let content = Arc::new(content);
        self.kept.put(index, Arc::clone(&content), content.capacity());
        content
    }
}

/// The entries `wanted`, each next to those that it shares bases with: however chains of deltas run through each other in a
/// pack, what an object is made of was made lately.
pub(super) fn in_families(table: &Table, mut wanted: Vec<u32>) -> Vec<u32> {
    wanted.sort_unstable();
    let (mut ahead, children) = ancestry(table, &wanted);
    ahead.reverse();
    let mut order = Vec::with_capacity(wanted.len());
    while let Some(at) = ahead.pop() {
        order.extend(wanted.binary_search(&at).ok().map(|_| at));
        let first = children.partition_point(|(base, _)| *base < at);
        let of_it = children.get(first..).unwrap_or_default().iter().take_while(|(base, _)| *base == at);
        ahead.extend(of_it.map(|(_, child)| child));
    }
    order
}

/// The entries without bases that `wanted` are made of, and the pairs of base and delta between, in order.
fn ancestry(table: &Table, wanted: &[u32]) -> (Vec<u32>, Vec<(u32, u32)>) {
    let mut is_met = vec![false; table.entries.len()];
    let (mut roots, mut children) = (Vec::new(), Vec::new());
    for entry in wanted {
        let mut at = *entry;
        while let Some(is_met) = is_met.get_mut(at as usize).filter(|is_met| !**is_met) {
            *is_met = true;
            let base = table.entry(at).map_or(NONE, Entry::base);
            if base == NONE {
                roots.push(at);
            } else {
                children.push((base, at));
            }
            at = base;
        }
    }
    children.sort_unstable();
    (roots, children)
}

#[cfg(test)]
mod tests {
    use gix_hash::ObjectId;
    use gix_object::Kind;

    use std::io::Write as _;

    use super::*;
    use crate::pack::table::{NewEntry, Object};

    /// Two megabytes.
    const LARGE_LEN: usize = 0x20_0000;

    fn deflated(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_link_of_a_chain_of_large_objects_is_kept() {
        // both sizes, one byte that is new, and all others of the base
        let size = [0x80, 0x80, 0x80, 1];
        let delta = |byte: u8| [&size[..], &size, &[1, byte], &[0xf1, 1, 0xff, 0xff, 0x1f]].concat();
        let (mut table, mut bytes) = (Table::new(gix_hash::Kind::Sha1, 0), Vec::new());
        let id = ObjectId::null(gix_hash::Kind::Sha1);
        for (number, base) in (0_u8..).zip([NONE, 0, 1, 2]) {
            let content = if base == NONE { vec![0; LARGE_LEN] } else { delta(number) };
            let new = NewEntry { base, ..NewEntry::new(bytes.len() as u64, content.len() as u64, 1) };
            table.push(&new, Some(Object { id, kind: Kind::Blob, base })).unwrap();
            bytes.push(0);
            bytes.extend(deflated(&content));
        }
        table.end = bytes.len() as u64;
        let mut made = Made::new(Pack { table: &table, bytes: &bytes, hash: gix_hash::Kind::Sha1 });
        let last = made.object(3).unwrap();
        assert_eq!((last.len(), last[0], last[1]), (LARGE_LEN, 3, 0));
        assert!((0..4).all(|entry| made.kept.peek(&entry).is_some()));
    }

    #[test]
    fn chains_that_run_through_each_other_come_one_after_the_other() {
        let mut table = Table::new(gix_hash::Kind::Sha1, 0);
        let id = ObjectId::null(gix_hash::Kind::Sha1);
        // 0, 2, 4 are one chain, 1, 3, 6 another; 5 is a delta to what comes behind it
        for (at, base) in (0..).zip([NONE, NONE, 0, 1, 2, 7, 3, NONE]) {
            table.push(&NewEntry::new(at, 1, 1), Some(Object { id, kind: Kind::Blob, base })).unwrap();
        }
        assert_eq!(in_families(&table, (0..8).collect()), [0, 2, 4, 1, 3, 6, 7, 5]);
        assert_eq!(in_families(&table, vec![6, 5, 4, 1]), [1, 6, 4, 5]);
        assert_eq!(in_families(&table, vec![9, NONE]), [0; 0]);
    }
}
