//! `--follow-tags`: annotated tags that name what is pushed go along. git-push(1).

use std::collections::{BinaryHeap, HashMap, HashSet};

use bstr::ByteSlice;
use gix_hash::ObjectId;
use gix_object::Kind;

use super::source::{LocalRef, LocalRefs};
use super::targets::{Targets, Wish, unreadable};
use crate::remote::Error;
use crate::repo::Objects;

/// Adds to `targets` the annotated tags that the far side lacks and whose commit it has or is about to get.
pub(super) fn add_tags(
    targets: &mut Targets,
    locals: &LocalRefs,
    objects: &mut Objects,
) -> Result<(), Error> {
    let mut missing: HashMap<ObjectId, Vec<&LocalRef>> = HashMap::new();
    for tag in &locals.refs {
        let is_wanted = tag.name.starts_with(b"refs/tags/") && !targets.contains(&tag.name);
        if is_wanted
            && objects.kind(&tag.id).map_err(unreadable)? == Some(Kind::Tag)
            && let Some((commit, Kind::Commit)) = objects.peel(&tag.id).map_err(unreadable)?
        {
            missing.entry(commit).or_default().push(tag);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let tips = targets.list.iter().map(|target| match &target.wish {
        Some(wish) if !wish.new.is_null() => wish.new,
        Some(_) | None => target.old,
    });
    let reached = reached(objects, tips.collect(), missing.keys().copied().collect()).map_err(unreadable)?;
    let mut tags: Vec<&LocalRef> = missing
        .iter()
        .filter(|(commit, _)| reached.contains(*commit))
        .flat_map(|(_, tags)| tags.clone())
        .collect();
    tags.sort_unstable_by_key(|tag| tag.name.as_bstr());
    for tag in tags {
        if let Some(target) = targets.entry(&tag.name) {
            target.wish = Some(Wish { source: Some(tag.name.clone()), new: tag.id, force: false });
        }
    }
    Ok(())
}

/// How much older than its parent a commit may seem, in seconds, because somebody's clock was wrong.
const CLOCK_SKEW_SECONDS_MAX: i64 = 24 * 60 * 60;

/// Those of `wanted` that `tips` reach, newest commits first and no further back than the oldest that is wanted.
fn reached(
    objects: &mut Objects,
    tips: Vec<ObjectId>,
    mut wanted: HashSet<ObjectId>,
) -> std::io::Result<HashSet<ObjectId>> {
    let mut oldest = i64::MAX;
    for id in &wanted {
        oldest = oldest.min(objects.commit(id)?.map_or(i64::MAX, |commit| commit.date));
    }
    let mut queue = BinaryHeap::new();
    let mut seen = HashSet::new();
    let mut reached = HashSet::new();
    for tip in tips {
        if tip.is_null() || !objects.contains(&tip) {
            continue;
        }
        if let Some((id, Kind::Commit)) = objects.peel(&tip)?
            && seen.insert(id)
            && let Some(commit) = objects.commit(&id)?
        {
            queue.push((commit.date, id));
        }
    }
    while let Some((date, id)) = queue.pop() {
        if wanted.remove(&id) {
            reached.insert(id);
        }
        if wanted.is_empty() || date < oldest.saturating_sub(CLOCK_SKEW_SECONDS_MAX) {
            break;
        }
        for parent in objects.commit(&id)?.map(|commit| commit.parents).unwrap_or_default() {
            if seen.insert(parent)
                && let Some(commit) = objects.commit(&parent)?
            {
                queue.push((commit.date, parent));
            }
        }
    }
    Ok(reached)
}
