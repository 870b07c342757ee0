//! Ids: those that our refs name, and those that are wanted.

use std::collections::HashSet;

use gix_hash::ObjectId;

use crate::protocol::Ref;
use crate::remote::Error;
use crate::remote::ref_map::{Mapping, tags_to_follow};
use crate::repo::{Objects, Repository, Snapshot};

/// The tips of our refs in the order of their names, `HEAD` last: what is whole, and what negotiation starts from.
pub(in crate::remote) fn known_tips(repo: &Repository, ours: &Snapshot) -> Result<Vec<ObjectId>, Error> {
    let mut tips: Vec<ObjectId> = ours.iter().filter_map(|seen| seen.id).collect();
    tips.extend(repo.resolve_ref("HEAD".into())?);
    Ok(without_repeated(tips.into_iter()))
}

/// Each of `ids` once, in the order they have.
fn without_repeated(ids: impl Iterator<Item = ObjectId>) -> Vec<ObjectId> {
    let (mut seen, mut last) = (HashSet::new(), None);
    // neighbours are often the same, and comparing is cheaper than asking
    ids.filter(|id| last.replace(*id) != Some(*id) && seen.insert(*id)).collect()
}

/// The tips of the refs of `repo`.
pub(in crate::remote) fn tips_of(repo: &Repository) -> Result<Vec<ObjectId>, Error> {
    known_tips(repo, &repo.ref_snapshot()?)
}

/// The tips of the repositories that `objects` borrows from: all that they reach is here.
pub(in crate::remote) fn lent_tips(repo: &Repository, objects: &Objects) -> Vec<ObjectId> {
    let mut tips = Vec::new();
    for directory in objects.alternates() {
        let git_dir = directory.parent().unwrap_or(&directory);
        // One that is no repository of its own, or that we may not read, has no refs to tell of. Nor has one with ids of
        // another kind, which lends nothing.
        if let Ok(lender) = Repository::open(git_dir, None, &[], &repo.env)
            && lender.object_hash == repo.object_hash
        {
            tips.extend(tips_of(&lender).unwrap_or_default());
        }
    }
    tips.retain(|id| objects.contains(id));
    tips
}

/// The tags that tag following adds to `map`, without those that `ours` has.
pub(super) fn tags_missing(
    ours: &Snapshot,
    refs: &[Ref],
    map: &[Mapping],
    objects: &Objects,
) -> Vec<Mapping> {
    let mut near = 0;
    tags_to_follow(refs, map, &|id| objects.contains(id), &mut |name| ours.has_near(name, &mut near))
}

/// What is asked for: each id once.
pub(super) fn wanted(map: &[Mapping]) -> Vec<ObjectId> {
    without_repeated(map.iter().map(|mapping| mapping.id))
}
