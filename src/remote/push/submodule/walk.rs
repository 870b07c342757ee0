//! Walks over commits: which are new, and whether some are known.

use std::collections::{BinaryHeap, HashMap, HashSet};

use gix_hash::ObjectId;
use gix_object::Kind;

use crate::remote::Error;
use crate::repo::Objects;

/// The commits that `tips` reach and `known` do not. Where commits are dated before their parents some that `known` reach
/// may be among them: the walk ends when only known ones are ahead.
pub(super) fn new_commits(
    objects: &mut Objects,
    tips: &[ObjectId],
    known: &[ObjectId],
) -> Result<Vec<ObjectId>, Error> {
    let mut walk = Walk::default();
    for (ids, is_known) in [(tips, false), (known, true)] {
        for id in ids {
            if let Some((id, Kind::Commit)) = objects.peel(id).map_err(unreadable)? {
                walk.paint(objects, id, is_known)?;
            }
        }
    }
    let mut order = Vec::new();
    while walk.new_ahead > 0 {
        let Some((_, id)) = walk.ahead.pop() else { break };
        let is_known = walk.take(id);
        if !is_known {
            order.push(id);
        }
        for parent in parents(objects, &id)? {
            walk.paint(objects, parent, is_known)?;
        }
    }
    order.retain(|id| walk.painted.get(id).is_none_or(|state| !state.is_known));
    Ok(order)
}

/// Whether all of `commits` are reachable from `tips`.
pub(in crate::remote) fn are_reachable(
    objects: &mut Objects,
    commits: &[ObjectId],
    tips: &[ObjectId],
) -> Result<bool, Error> {
    let mut missing: HashSet<ObjectId> = commits.iter().copied().collect();
    let mut seen = HashSet::new();
    let mut ahead = BinaryHeap::new();
    for tip in tips {
        if let Some((id, Kind::Commit)) = objects.peel(tip).map_err(unreadable)?
            && seen.insert(id)
        {
            ahead.push((date(objects, &id)?, id));
        }
    }
    while let Some((_, id)) = ahead.pop() {
        missing.remove(&id);
        if missing.is_empty() {
            break;
        }
        for parent in parents(objects, &id)? {
            if seen.insert(parent) {
                ahead.push((date(objects, &parent)?, parent));
            }
        }
    }
    Ok(missing.is_empty())
}

pub(super) fn unreadable(error: std::io::Error) -> Error {
    crate::repo::Error::Object(error.to_string()).into()
}

/// A walk of two colours, youngest commits first.
#[derive(Default)]
struct Walk {
    ahead: BinaryHeap<(i64, ObjectId)>,
    painted: HashMap<ObjectId, State>,
    /// How many commits ahead are not known.
    new_ahead: usize,
}

#[derive(Clone, Copy)]
struct State {
    is_known: bool,
    is_ahead: bool,
}

impl Walk {
    fn paint(&mut self, objects: &mut Objects, id: ObjectId, is_known: bool) -> Result<(), Error> {
        let old = self.painted.get(&id).copied();
        match old {
            Some(old) if old.is_known || !is_known => return Ok(()),
            Some(State { is_ahead: true, .. }) => self.new_ahead -= 1,
            Some(State { is_ahead: false, .. }) | None => {
                self.ahead.push((date(objects, &id)?, id));
                self.new_ahead += usize::from(!is_known);
            }
        }
        self.painted.insert(id, State { is_known, is_ahead: true });
        Ok(())
    }

    /// Takes note that `id` is ahead no more; whether it is known.
    fn take(&mut self, id: ObjectId) -> bool {
        let Some(state) = self.painted.get_mut(&id) else { return true };
        state.is_ahead = false;
        self.new_ahead -= usize::from(!state.is_known);
        state.is_known
    }
}

fn parents(objects: &mut Objects, id: &ObjectId) -> Result<Vec<ObjectId>, Error> {
    Ok(objects.commit(id).map_err(unreadable)?.map(|commit| commit.parents).unwrap_or_default())
}

fn date(objects: &mut Objects, id: &ObjectId) -> Result<i64, Error> {
    Ok(objects.commit(id).map_err(unreadable)?.map_or(0, |commit| commit.date))
}
