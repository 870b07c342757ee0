//! What the receiver has at its boundary, path by path.
//!
//! Trees there are read only where a tree to be sent stands at the same path and differs, so a small change costs what
//! it touches and not what the repository holds. What moved to another path is looked for afterwards: first in the
//! directories that are gone, which is where it comes from, then in a limited number of the others. C git with its
//! `pack.useSparse` (git-config(1)) does without the second step, and sends again what was renamed.

use std::collections::{BTreeMap, VecDeque};

use gix_hash::{ObjectId, oid};

use super::count::Count;
use super::ids::IdSet;
use super::tree::{self, EntryKind};
use crate::pack::Error;
use crate::pack::source::Source;

/// How many trees that stayed where they are are read to find out what was copied from them.
const UNCHANGED_TREES_MAX: usize = 1_000;

/// How many objects of one path are bases: no more than fit into a window of git's usual size.
const BASES_PER_PATH_MAX: usize = 10;

/// A directory at the boundary, by number.
pub(super) type Place = usize;

/// What the receiver has.
pub(super) struct Boundary<'a> {
    source: &'a dyn Source,
    /// Objects that it is known to have.
    theirs: IdSet,
    directories: Vec<Directory>,
    /// Trees of theirs that trees to be sent hold too.
    kept: IdSet,
    /// Trees below which everything is in `theirs`, or will be.
    closed: IdSet,
    buffer: Vec<u8>,
}

/// One path at which there are trees at the boundary.
struct Directory {
    trees: Vec<ObjectId>,
    is_read: bool,
    names: BTreeMap<Box<[u8]>, Name>,
}

/// What stands under one name in the trees of a directory.
#[derive(Default)]
struct Name {
    found: Vec<(ObjectId, EntryKind)>,
    /// The directory of that name, once somebody went into it.
    place: Option<Place>,
    is_base: bool,
}

impl<'a> Boundary<'a> {
    /// The receiver has nothing yet.
    pub fn new(source: &'a dyn Source) -> Self {
        Self {
            source,
            theirs: IdSet::default(),
            directories: Vec::new(),
            kept: IdSet::default(),
            closed: IdSet::default(),
            buffer: Vec::new(),
        }
    }

    /// The receiver has the object `id`.
    pub fn add(&mut self, id: ObjectId) {
        self.theirs.insert(id);
    }

    /// The receiver has the root trees `trees` of the commits at its boundary.
    pub fn add_roots(&mut self, mut trees: Vec<ObjectId>) {
        let mut seen = IdSet::default();
        trees.retain(|id| seen.insert(*id));
        self.theirs.extend(trees.iter().copied());
        if !trees.is_empty() {
            self.directories.push(Directory::new(trees));
        }
    }

    /// Whether the receiver is known to have `id`.
    pub fn has(&self, id: &oid) -> bool {
        self.theirs.contains(id)
    }

    /// Tells all that the receiver is known to have.
    pub fn each(&self, tell: &mut dyn FnMut(&ObjectId)) {
        self.theirs.iter().for_each(|id| tell(&id));
    }

    /// The root directory.
    pub fn root(&self) -> Option<Place> {
        (!self.directories.is_empty()).then_some(0)
    }

    /// The directory `name` of another; `None` if the receiver has no such directory.
    pub fn enter(&mut self, place: Place, name: &[u8]) -> Option<Place> {
        let next = self.directories.len();
        let name = self.directories.get_mut(place)?.names.get_mut(name)?;
        if name.place.is_none() {
            let trees = name.found.iter().filter(|(_, kind)| *kind == EntryKind::Tree);
            let trees: Vec<ObjectId> = trees.map(|(id, _)| *id).collect();
            if trees.is_empty() {
                return None;
            }
            name.place = Some(next);
            self.directories.push(Directory::new(trees));
            return Some(next);
        }
        name.place
    }

    /// Reads the trees of a directory, since one to be sent differs from them.
    pub fn open(&mut self, place: Place) {
        let Some(directory) = self.directories.get_mut(place) else { return };
        if std::mem::replace(&mut directory.is_read, true) {
            return;
        }
        for id in &directory.trees {
            read_entries(self.source, id, &mut self.buffer, |name, id, kind| {
                self.theirs.insert(id);
                if let Some(known) = directory.names.get_mut(name) {
                    if !known.found.contains(&(id, kind)) {
                        known.found.push((id, kind));
                    }
                } else {
                    let fresh = Name { found: vec![(id, kind)], ..Name::default() };
                    directory.names.insert(name.into(), fresh);
                }
            });
        }
    }

    /// Notes that a tree of theirs stands in a tree to be sent as well.
    pub fn keep(&mut self, tree: &oid) {
        if !self.kept.contains(tree) {
            self.kept.insert(tree.to_owned());
        }
    }

    /// What the receiver has under `name` of a directory; once only.
    pub fn take_bases(&mut self, place: Place, name: &[u8]) -> &[(ObjectId, EntryKind)] {
        let name = self.directories.get_mut(place).and_then(|directory| directory.names.get_mut(name));
        match name.filter(|name| !name.is_base) {
            Some(name) => {
                name.is_base = true;
                name.found.get(..BASES_PER_PATH_MAX).unwrap_or(&name.found)
            }
            None => &[],
        }
    }

    /// The root trees as bases.
    pub fn root_bases(&self) -> &[ObjectId] {
        let trees = self.directories.first().map_or(&[][..], |directory| &directory.trees);
        trees.get(..BASES_PER_PATH_MAX).unwrap_or(trees)
    }

    /// The receiver has the tree `id` and all below it.
    pub fn close(&mut self, id: ObjectId, count: &mut Count<'_>) -> Result<(), Error> {
        self.theirs.insert(id);
        self.close_all(VecDeque::from([id]), usize::MAX, count)
    }

    /// Looks for what moved or was copied, after all that is to be sent was visited.
    pub fn look_around(&mut self, count: &mut Count<'_>) -> Result<(), Error> {
        let mut gone = VecDeque::new();
        let mut unchanged = VecDeque::new();
        if let Some(root) = self.directories.first().filter(|root| !root.is_read) {
            unchanged.extend(&root.trees);
        }
        for directory in &self.directories {
            for name in directory.names.values() {
                let place = name.place.and_then(|place| self.directories.get(place));
                if place.is_some_and(|directory| directory.is_read) {
                    continue;
                }
                for (id, _) in name.found.iter().filter(|(_, kind)| *kind == EntryKind::Tree) {
                    if self.kept.contains(id) { &mut unchanged } else { &mut gone }.push_back(*id);
                }
            }
        }
        self.close_all(gone, usize::MAX, count)?;
        self.close_all(unchanged, UNCHANGED_TREES_MAX, count)
    }

    /// Reads at most `trees_max` trees, those of `queue` and those below them.
    fn close_all(
        &mut self,
        mut queue: VecDeque<ObjectId>,
        trees_max: usize,
        count: &mut Count<'_>,
    ) -> Result<(), Error> {
        let mut left = trees_max;
        while left > 0
            && let Some(id) = queue.pop_front()
        {
            if !self.closed.insert(id) {
                continue;
            }
            left -= 1;
            count.step()?;
            read_entries(self.source, &id, &mut self.buffer, |_, id, kind| {
                self.theirs.insert(id);
                if kind == EntryKind::Tree {
                    queue.push_back(id);
                }
            });
        }
        Ok(())
    }
}

impl Directory {
    fn new(trees: Vec<ObjectId>) -> Self {
        Self { trees, is_read: false, names: BTreeMap::new() }
    }
}

/// Tells the files and directories in the tree `id`. What cannot be read is passed over: the receiver has more than we
/// know then, and is sent more than it needs.
fn read_entries(
    source: &dyn Source,
    id: &ObjectId,
    buffer: &mut Vec<u8>,
    mut tell: impl FnMut(&[u8], ObjectId, EntryKind),
) {
    if !matches!(tree::read(source, id, buffer), Ok(true)) {
        return;
    }
    let mut rest = buffer.as_slice();
    while let Some(entry) = tree::next_entry(&mut rest, id.as_slice().len()) {
        if entry.kind != EntryKind::Submodule {
            tell(entry.name, ObjectId::from_bytes_or_panic(entry.id), entry.kind);
        }
    }
}
