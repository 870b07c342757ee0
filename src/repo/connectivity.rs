//! Whether history is whole: no ref moves to a commit whose ancestors, trees or files are missing.
//!
//! What a pack refers to beyond itself was collected while its objects were in hand ([`pack::Links`]), so that only
//! these few have to be looked up here, and not the whole of what was received. What was here before is not taken on
//! trust, since a pack that was refused may still lie about: a commit must lead to one of our refs, and below a tree
//! everything is looked at. What is there has to be what it is named as, but for the blobs of trees, of which git asks no
//! more than that they are there. In a partial clone what a promisor sent is whole: it has what is missing.
//!
//! [`pack::Links`]: crate::pack::Links

use std::collections::{BinaryHeap, HashMap, HashSet};
use std::io;

use gix_hash::ObjectId;
use gix_object::Kind;

use crate::pack::Links;
use crate::repo::Objects;

/// The first object found missing from the history of `tips`, which are ids that refs are to get; `None` if all of it is
/// there. `known` are tips whose history is whole: those of our refs.
pub fn first_missing(
    objects: &mut Objects,
    tips: &[ObjectId],
    known: &[ObjectId],
    arrived: Option<Arrived<'_>>,
) -> io::Result<Option<ObjectId>> {
    let known: HashSet<ObjectId> = known.iter().copied().collect();
    let Some(Arrived { links, old_tips }) = arrived else {
        return Walk::new(objects, &known).first_missing(tips);
    };
    if let Some(missing) = tips.iter().find(|id| !objects.contains(id)) {
        return Ok(Some(*missing));
    }
    if let Some(missing) = links.blobs.iter().find(|id| is_missing(objects, id)) {
        return Ok(Some(*missing));
    }
    for commit in &links.commits {
        if objects.commit(commit)?.is_none() && is_wrong(objects, commit) {
            return Ok(Some(*commit));
        }
    }
    for (id, kind) in &links.others {
        if objects.kind(id)? != Some(*kind) && is_wrong(objects, id) {
            return Ok(Some(*id));
        }
    }
    let mut trees = Walk::new(objects, &known);
    for tree in &links.trees {
        if let Some(missing) = trees.tree_missing(tree, None)? {
            return Ok(Some(missing));
        }
    }
    let others = links.others.iter().map(|(id, _)| id);
    let starts: Vec<ObjectId> = links.commits.iter().chain(others).chain(old_tips).copied().collect();
    Walk::new(objects, &known).first_missing(&starts)
}

/// What there is of the history of a tip.
#[derive(Debug)]
pub(crate) enum History {
    /// All of it.
    Whole {
        /// The commits that have no parents, or whose parents are not to be seen, among those that no known tip led to.
        roots: Vec<ObjectId>,
    },
    /// This object is missing.
    Missing(ObjectId),
}

/// What there is of the history of `tip`; `known` are tips whose history is whole.
pub(crate) fn history(objects: &mut Objects, tip: &ObjectId, known: &[ObjectId]) -> io::Result<History> {
    let known: HashSet<ObjectId> = known.iter().copied().collect();
    let mut walk = Walk::new(objects, &known);
    Ok(match walk.first_missing(&[*tip])? {
        Some(missing) => History::Missing(missing),
        None => History::Whole { roots: walk.roots },
    })
}

/// Whether `id` is neither here nor promised by a remote.
fn is_missing(objects: &Objects, id: &ObjectId) -> bool {
    !objects.contains(id) && !objects.is_promised(id)
}

/// Whether `id`, which is not here as the kind that it is named as, should be: it is something else, or nobody has promised it.
fn is_wrong(objects: &Objects, id: &ObjectId) -> bool {
    objects.contains(id) || !objects.is_promised(id)
}

/// What is known of a pack that has just come in.
#[derive(Debug, Clone, Copy)]
pub struct Arrived<'a> {
    /// What its objects refer to beyond it.
    pub links: &'a Links,
    /// The tips that were here before it came, which it says nothing about.
    pub old_tips: &'a Vec<ObjectId>,
}

/// Whether `tip` leads to one of `targets` before it leads to a commit in `known`.
pub(crate) fn reaches(
    objects: &mut Objects,
    tip: &ObjectId,
    known: &HashSet<ObjectId>,
    targets: &HashSet<ObjectId>,
) -> io::Result<bool> {
    let mut reached = HashSet::new();
    collect_reached(objects, tip, known, (targets, &mut reached))?;
    Ok(!reached.is_empty())
}

/// Adds to the second of `targets` those of the first that `tip` leads to before it leads to a commit in `known`; what lies
/// behind them is not looked at.
pub(crate) fn collect_reached(
    objects: &mut Objects,
    tip: &ObjectId,
    known: &HashSet<ObjectId>,
    (targets, reached): (&HashSet<ObjectId>, &mut HashSet<ObjectId>),
) -> io::Result<()> {
    let Some((tip, Kind::Commit)) = objects.peel(tip)? else { return Ok(()) };
    let mut seen = HashSet::new();
    let mut stack = vec![tip];
    while let Some(id) = stack.pop() {
        if targets.contains(&id) {
            reached.insert(id);
            continue;
        }
        if known.contains(&id) || !seen.insert(id) {
            continue;
        }
        stack.extend(objects.commit(&id)?.map(|commit| commit.parents).unwrap_or_default());
    }
    Ok(())
}

/// A walk from new commits down to known ones, newest first, in two colours.
struct Walk<'a> {
    objects: &'a mut Objects,
    known: &'a HashSet<ObjectId>,
    queue: BinaryHeap<(i64, ObjectId)>,
    /// Whether a commit in the queue or behind it is known to be whole.
    whole: HashMap<ObjectId, bool>,
    /// Commits in the queue that are not known to be whole.
    open_count: usize,
    checked: HashSet<ObjectId>,
    /// Trees of which it is known whether all is there that they name. A commit is none of them, whoever names it as a tree.
    trees: HashSet<ObjectId>,
    /// Commits without parents that were not known to be whole.
    roots: Vec<ObjectId>,
}

impl<'a> Walk<'a> {
    fn new(objects: &'a mut Objects, known: &'a HashSet<ObjectId>) -> Self {
        Self {
            objects,
            known,
            queue: BinaryHeap::new(),
            whole: HashMap::new(),
            open_count: 0,
            checked: HashSet::new(),
            trees: HashSet::new(),
            roots: Vec::new(),
        }
    }

    fn first_missing(&mut self, tips: &[ObjectId]) -> io::Result<Option<ObjectId>> {
        let fresh: Vec<_> = tips.iter().filter(|tip| !self.known.contains(*tip)).copied().collect();
        if fresh.is_empty() {
            return Ok(None);
        }
        for tip in self.known {
            if let Some((id, Kind::Commit)) = self.objects.peel(tip)? {
                self.push(id, true)?;
            }
        }
        for tip in fresh {
            if let Some(missing) = self.start(tip)? {
                return Ok(Some(missing));
            }
        }
        self.run()
    }

    /// Begins at `tip`, which may be a tag, a tree or a blob as well.
    fn start(&mut self, tip: ObjectId) -> io::Result<Option<ObjectId>> {
        if self.objects.is_from_promisor(&tip) {
            return Ok(None);
        }
        let end = self.objects.end_of_tags(&tip)?;
        match end.kind.filter(|_| end.is_told) {
            None => Ok(is_wrong(self.objects, &end.id).then_some(end.id)),
            Some(Kind::Commit) => {
                self.push(end.id, false)?;
                Ok(None)
            }
            Some(Kind::Tree) => self.tree_missing(&end.id, None),
            Some(Kind::Blob | Kind::Tag) => Ok(None),
        }
    }

    fn push(&mut self, id: ObjectId, is_whole: bool) -> io::Result<bool> {
        match self.whole.get_mut(&id) {
            Some(present) if *present || !is_whole => return Ok(true),
            Some(present) => {
                // Queued again below, so that its parents hear of it.
                *present = true;
                if !self.checked.contains(&id) {
                    self.open_count = self.open_count.saturating_sub(1);
                }
            }
            None => {
                self.whole.insert(id, is_whole);
                if !is_whole {
                    self.open_count += 1;
                }
            }
        }
        let Some(commit) = self.objects.commit(&id)? else { return Ok(is_whole) };
        self.queue.push((commit.date, id));
        Ok(true)
    }

    fn run(&mut self) -> io::Result<Option<ObjectId>> {
        let mut unchecked = Vec::new();
        while self.open_count > 0 {
            let Some((_, id)) = self.queue.pop() else { break };
            let is_whole = self.whole.get(&id).copied().unwrap_or(false);
            let Some(commit) = self.objects.commit(&id)? else { return Ok(Some(id)) };
            if !is_whole {
                if !self.checked.insert(id) {
                    continue;
                }
                self.open_count -= 1;
                if commit.parents.is_empty() {
                    self.roots.push(id);
                }
                unchecked.push((commit.tree, commit.parents.first().copied()));
            }
            for parent in commit.parents {
                let is_settled = !is_whole && self.objects.is_from_promisor(&parent);
                if !is_settled && !self.push(parent, is_whole)? && is_wrong(self.objects, &parent) {
                    return Ok(Some(parent));
                }
            }
        }
        for (tree, parent) in unchecked {
            let before = match parent {
                Some(parent) => self.objects.commit(&parent)?.map(|commit| commit.tree),
                None => None,
            };
            if let Some(missing) = self.tree_missing(&tree, before.as_ref())? {
                return Ok(Some(missing));
            }
        }
        Ok(None)
    }

    /// The first object missing below `tree`; what `before` has as well is not looked at again, as it is checked with
    /// the commit it belongs to.
    fn tree_missing(&mut self, tree: &ObjectId, before: Option<&ObjectId>) -> io::Result<Option<ObjectId>> {
        let mut stack = vec![(*tree, before.copied())];
        while let Some((tree, before)) = stack.pop() {
            if Some(tree) == before || !self.trees.insert(tree) || self.objects.is_from_promisor(&tree) {
                continue;
            }
            let Some(entries) = entries(self.objects, &tree)? else {
                if is_wrong(self.objects, &tree) {
                    return Ok(Some(tree));
                }
                continue;
            };
            let old = match before {
                Some(before) => entries_by_name(self.objects, &before)?,
                None => HashMap::new(),
            };
            for entry in entries {
                let was = old.get(&entry.name).filter(|(_, kind)| *kind == entry.kind);
                let old_id = was.map(|(id, _)| *id);
                match entry.kind {
                    EntryKind::Tree => stack.push((entry.id, old_id)),
                    EntryKind::File if old_id == Some(entry.id) => {}
                    EntryKind::File if is_missing(self.objects, &entry.id) => return Ok(Some(entry.id)),
                    EntryKind::File | EntryKind::Submodule => {}
                }
            }
        }
        Ok(None)
    }
}

struct Entry {
    name: Vec<u8>,
    id: ObjectId,
    kind: EntryKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum EntryKind {
    Tree,
    File,
    Submodule,
}

fn entries(objects: &Objects, tree: &ObjectId) -> io::Result<Option<Vec<Entry>>> {
    let mut data = Vec::new();
    match objects.find(tree, &mut data)? {
        Some(Kind::Tree) => {}
        Some(Kind::Commit | Kind::Blob | Kind::Tag) | None => return Ok(None),
    }
    let mut entries = Vec::new();
    for entry in gix_object::TreeRefIter::from_bytes(&data, tree.kind()) {
        let entry = entry.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
        let kind = match entry.mode.kind() {
            gix_object::tree::EntryKind::Tree => EntryKind::Tree,
            gix_object::tree::EntryKind::Commit => EntryKind::Submodule,
            gix_object::tree::EntryKind::Blob
            | gix_object::tree::EntryKind::BlobExecutable
            | gix_object::tree::EntryKind::Link => EntryKind::File,
        };
        entries.push(Entry { name: entry.filename.to_vec(), id: entry.oid.to_owned(), kind });
    }
    Ok(Some(entries))
}

/// What a tree has by each name.
type ByName = HashMap<Vec<u8>, (ObjectId, EntryKind)>;

fn entries_by_name(objects: &Objects, tree: &ObjectId) -> io::Result<ByName> {
    let entries = entries(objects, tree)?.unwrap_or_default();
    Ok(entries.into_iter().map(|entry| (entry.name, (entry.id, entry.kind))).collect())
}
