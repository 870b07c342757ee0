//! What `--ancestry-path`, `--left-only` and `--right-only` leave of the commits that a walk has found.
//!
//! The last two take commits out of a list, and no ref out of a bundle: the refs of the other side stay, with all that they
//! need. git 2.47.3 can forget what such a bundle builds on; here it is among the prerequisites.

use std::collections::{HashMap, HashSet};

use gix_hash::ObjectId;

use super::limits::Side;
use super::unreadable;
use crate::remote::Error;
use crate::repo::Objects;
use crate::repo::object::Commit;

/// Commits with their ids, in the order of a walk.
pub(super) type Commits = Vec<(ObjectId, Commit)>;

/// Parts `commits` into those on the path of `bottoms`, which lead to one of these or that one of these leads to, and the
/// others.
pub(super) fn on_path(commits: Commits, bottoms: &[ObjectId]) -> (Commits, Commits) {
    let parents: HashMap<ObjectId, Vec<ObjectId>> =
        commits.iter().map(|(id, commit)| (*id, commit.parents.clone())).collect();
    let mut children: HashMap<ObjectId, Vec<ObjectId>> = HashMap::new();
    for (id, commit) in &commits {
        for parent in &commit.parents {
            children.entry(*parent).or_default().push(*id);
        }
    }
    let (above, below) = (reached(bottoms, &children), reached(bottoms, &parents));
    commits.into_iter().partition(|(id, _)| above.contains(id) || below.contains(id))
}

/// What `from` leads to by `next`, itself included.
fn reached(from: &[ObjectId], next: &HashMap<ObjectId, Vec<ObjectId>>) -> HashSet<ObjectId> {
    let mut reached = HashSet::new();
    let mut ahead = from.to_vec();
    while let Some(id) = ahead.pop() {
        if reached.insert(id) {
            ahead.extend(next.get(&id).into_iter().flatten());
        }
    }
    reached
}

/// Parts `commits` into those of `side` and the others; `left` are those of the left one.
pub(super) fn of_side(commits: Commits, side: Side, left: &HashSet<ObjectId>) -> (Commits, Commits) {
    commits.into_iter().partition(|(id, _)| left.contains(id) == (side == Side::Left))
}

/// The parents of `passed`, which are in the bundle without having been chosen, that are neither among `held` nor reached
/// from `boundary`: prerequisites as well.
pub(super) fn forgotten(
    objects: &mut Objects,
    passed: &Commits,
    held: &HashSet<ObjectId>,
    boundary: &[ObjectId],
) -> Result<Vec<ObjectId>, Error> {
    let mut forgotten = Vec::new();
    if passed.is_empty() {
        return Ok(forgotten);
    }
    let mut known = HashSet::new();
    add_history(objects, boundary.to_vec(), &mut known)?;
    for parent in passed.iter().flat_map(|(_, commit)| &commit.parents) {
        if !held.contains(parent) && !known.contains(parent) {
            forgotten.push(*parent);
            add_history(objects, vec![*parent], &mut known)?;
        }
    }
    Ok(forgotten)
}

/// Adds `ahead` and all that they lead to.
fn add_history(
    objects: &mut Objects,
    mut ahead: Vec<ObjectId>,
    known: &mut HashSet<ObjectId>,
) -> Result<(), Error> {
    while let Some(id) = ahead.pop() {
        if known.insert(id) {
            ahead.extend(
                objects.commit(&id).map_err(unreadable)?.into_iter().flat_map(|commit| commit.parents),
            );
        }
    }
    Ok(())
}
