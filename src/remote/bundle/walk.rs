//! The walk that says which commits a bundle is about, and which it builds on: git-rev-list(1) with `--boundary`.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use gix_hash::ObjectId;
use gix_object::Kind;

use super::limits::Limits;
use super::narrow::{Commits, forgotten, of_side, on_path};
use super::revisions::Revisions;
use super::unreadable;
use crate::remote::Error;
use crate::repo::Objects;
use crate::repo::object::Commit;

/// How many commits that are left out are visited in a row, older than all others, before the walk ends: git's number.
/// Clocks lie, so the first is no proof.
const SLOP: u32 = 5;

/// What a walk has found.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// The commits that the arguments name.
    pub(super) shown: HashSet<ObjectId>,
    /// Parents of these that are not among them: children first, then the one met last.
    pub(super) boundary: Vec<ObjectId>,
    /// What is known to be left out: commits and tags that were excluded or that those excluded lead to.
    pub(super) excluded: HashSet<ObjectId>,
}

/// Walks from the tips of `revisions`.
pub(super) fn walk(objects: &mut Objects, revisions: &Revisions) -> Result<Walked, Error> {
    let limits = &revisions.limits;
    let is_limited = limits.needs_all() || revisions.tips.iter().any(|tip| tip.is_excluded);
    let mut walk = Walk::new(objects, limits);
    walk.is_unsorted = limits.no_walk && limits.is_unsorted && !is_limited;
    let bottoms = walk.start(revisions)?;
    let chosen = if is_limited { walk.limited()? } else { Vec::new() };
    let (chosen, passed) = walk.narrowed(chosen, &bottoms)?;
    let mut chosen = chosen.into_iter();
    let mut next = |walk: &mut Walk<'_>| if is_limited { Ok(chosen.next()) } else { walk.next() };
    let mut shown = Shown::default();
    let mut skipped = 0;
    while limits.max_count.is_none_or(|max| shown.ids.len() < max) {
        let Some((id, commit)) = next(&mut walk)? else { break };
        if walk.excluded.contains(&id) || !limits.takes(walk.objects, &id, &commit)? {
            continue;
        }
        if skipped < limits.skip {
            skipped += 1;
            continue;
        }
        shown.add(id, &commit);
    }
    let mut boundary = shown.boundary();
    if is_limited || !limits.no_walk {
        boundary = children_first(walk.objects, boundary)?;
    }
    shown.ids.extend(passed.iter().map(|(id, _)| *id));
    let more = forgotten(walk.objects, &passed, &shown.ids, &boundary)?;
    boundary.extend(more);
    Ok(Walked { boundary, shown: shown.ids, excluded: walk.excluded })
}

/// `ids` in their order, but for parents, which follow the last of their children at once.
fn children_first(objects: &mut Objects, ids: Vec<ObjectId>) -> Result<Vec<ObjectId>, Error> {
    let mut children: HashMap<ObjectId, usize> = ids.iter().map(|id| (*id, 0)).collect();
    let mut parents = HashMap::new();
    for id in &ids {
        let commit = objects.commit(id).map_err(unreadable)?;
        let mut known = commit.map(|commit| commit.parents).unwrap_or_default();
        known.retain(|parent| children.get_mut(parent).map(|count| *count += 1).is_some());
        parents.insert(*id, known);
    }
    let mut ahead: Vec<ObjectId> =
        ids.iter().rev().filter(|id| children.get(*id) == Some(&0)).copied().collect();
    let mut ordered = Vec::with_capacity(ids.len());
    while let Some(id) = ahead.pop() {
        ordered.push(id);
        for parent in parents.remove(&id).unwrap_or_default() {
            if let Some(count) = children.get_mut(&parent) {
                *count -= 1;
                ahead.extend((*count == 0).then_some(parent));
            }
        }
    }
    Ok(ordered)
}

/// The commits that were shown, and their parents.
#[derive(Default)]
struct Shown {
    ids: HashSet<ObjectId>,
    met: HashSet<ObjectId>,
    parents: Vec<ObjectId>,
}

impl Shown {
    fn add(&mut self, id: ObjectId, commit: &Commit) {
        self.ids.insert(id);
        for parent in &commit.parents {
            if !self.ids.contains(parent) && self.met.insert(*parent) {
                self.parents.push(*parent);
            }
        }
    }

    fn boundary(&self) -> Vec<ObjectId> {
        self.parents.iter().rev().filter(|id| !self.ids.contains(*id)).copied().collect()
    }
}

/// Commits newest first, of one date in the order they were met.
struct Walk<'a> {
    objects: &'a mut Objects,
    limits: &'a Limits,
    queue: BinaryHeap<(i64, Reverse<usize>, ObjectId)>,
    /// What was met, and what it says.
    met: HashMap<ObjectId, Commit>,
    in_queue: HashSet<ObjectId>,
    /// How many in the queue are not excluded.
    open_count: usize,
    excluded: HashSet<ObjectId>,
    /// What `a` of `a...b` was found to lead to.
    left: HashSet<ObjectId>,
    /// Commits come in the order they were met, whatever their dates.
    is_unsorted: bool,
}

impl<'a> Walk<'a> {
    fn new(objects: &'a mut Objects, limits: &'a Limits) -> Self {
        Self {
            objects,
            limits,
            queue: BinaryHeap::new(),
            met: HashMap::new(),
            in_queue: HashSet::new(),
            open_count: 0,
            excluded: HashSet::new(),
            left: HashSet::new(),
            is_unsorted: false,
        }
    }

    /// Begins with the tips of `revisions`; the commits among those that are left out are returned.
    fn start(&mut self, revisions: &Revisions) -> Result<Vec<ObjectId>, Error> {
        let mut bottoms = Vec::new();
        for tip in &revisions.tips {
            if tip.is_excluded {
                self.excluded.insert(tip.id);
            }
            if let Some((id, Kind::Commit)) = self.objects.peel(&tip.id).map_err(unreadable)? {
                if tip.is_excluded {
                    self.exclude(id);
                    bottoms.push(id);
                }
                if tip.is_left {
                    self.left.insert(id);
                }
                self.push(id, None)?;
            }
        }
        Ok(bottoms)
    }

    /// Takes out of `chosen` what is not on the path that was asked for, and then what is not of the side that was: the
    /// second of the two.
    fn narrowed(&mut self, mut chosen: Commits, bottoms: &[ObjectId]) -> Result<(Commits, Commits), Error> {
        if let Some(wanted) = &self.limits.ancestry_path {
            let bottoms = if wanted.is_empty() { bottoms } else { wanted };
            if bottoms.is_empty() {
                let text = "--ancestry-path given but there are no bottom commits";
                return Err(Error::Usage(text.into()));
            }
            let (on, off) = on_path(chosen, bottoms);
            chosen = on;
            self.excluded.extend(off.into_iter().map(|(id, _)| id));
        }
        Ok(match self.limits.side {
            Some(side) => of_side(chosen, side, &self.left),
            None => (chosen, Commits::new()),
        })
    }

    /// Puts a commit into the queue when it is met for the first time.
    fn push(&mut self, id: ObjectId, child: Option<ObjectId>) -> Result<(), Error> {
        if self.met.contains_key(&id) {
            return Ok(());
        }
        let Some(commit) = self.objects.commit(&id).map_err(unreadable)? else {
            if self.excluded.contains(&id) {
                // what is left out need not be here
                return Ok(());
            }
            let text = format!("Failed to traverse parents of commit {}", child.unwrap_or(id));
            return Err(crate::repo::Error::Object(text).into());
        };
        let date = if self.is_unsorted { 0 } else { commit.date };
        self.queue.push((date, Reverse(self.met.len()), id));
        self.met.insert(id, commit);
        self.in_queue.insert(id);
        self.open_count += usize::from(!self.excluded.contains(&id));
        Ok(())
    }

    fn pop(&mut self) -> Option<(ObjectId, Commit)> {
        let (_, _, id) = self.queue.pop()?;
        self.in_queue.remove(&id);
        self.open_count -= usize::from(!self.excluded.contains(&id));
        Some((id, self.met.get(&id)?.clone()))
    }

    /// Leaves out a commit and all of its ancestors that were met.
    fn exclude(&mut self, id: ObjectId) {
        let mut ahead = vec![id];
        while let Some(id) = ahead.pop() {
            let is_new = self.excluded.insert(id);
            if is_new && self.in_queue.contains(&id) {
                self.open_count -= 1;
            }
            if let Some(commit) = self.met.get(&id) {
                let parents = self.limits.excluded_parents(commit);
                ahead.extend(parents.iter().filter(|parent| !self.excluded.contains(*parent)));
            }
        }
    }

    fn push_parents(&mut self, id: ObjectId, commit: &Commit) -> Result<(), Error> {
        let follows_first = self.limits.first_parent && !self.excluded.contains(&id);
        let count = if follows_first { 1 } else { commit.parents.len() };
        let is_left = self.left.contains(&id);
        self.left.extend(commit.parents.iter().filter(|_| is_left));
        for parent in commit.parents.iter().take(count) {
            self.push(*parent, Some(id))?;
        }
        Ok(())
    }

    /// The next commit where nothing is left out but what is too old.
    fn next(&mut self) -> Result<Option<(ObjectId, Commit)>, Error> {
        while let Some((id, commit)) = self.pop() {
            if !self.limits.is_too_old(&commit) {
                if !self.limits.no_walk {
                    self.push_parents(id, &commit)?;
                }
                return Ok(Some((id, commit)));
            }
        }
        Ok(None)
    }

    /// All commits that are not left out, as far as the walk has to go to know.
    fn limited(&mut self) -> Result<Vec<(ObjectId, Commit)>, Error> {
        let mut chosen = Vec::new();
        let mut slop = SLOP;
        let mut oldest = i64::MAX;
        while let Some((id, commit)) = self.pop() {
            if self.limits.is_too_old(&commit) {
                self.exclude(id);
            }
            if self.excluded.contains(&id) {
                for parent in self.limits.excluded_parents(&commit) {
                    self.exclude(*parent);
                }
                self.push_parents(id, &commit)?;
                let newest = self.queue.peek().map(|(date, ..)| *date);
                let is_undecided = self.open_count > 0 || newest.is_some_and(|date| date >= oldest);
                slop = if is_undecided { SLOP } else { slop - 1 };
                if slop == 0 {
                    break;
                }
                continue;
            }
            self.push_parents(id, &commit)?;
            oldest = commit.date;
            chosen.push((id, commit));
        }
        chosen.retain(|(id, _)| !self.excluded.contains(id));
        Ok(chosen)
    }
}
