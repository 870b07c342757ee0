//! The walk over the trees of commits to be sent, for what the receiver lacks of them.

use std::collections::HashSet;

use gix_hash::{ObjectId, oid};
use gix_object::Kind;

use super::boundary::{Boundary, Place};
use super::count::Count;
use super::ids::{IdSet, Seed};
use super::tree::{self, Entry, EntryKind};
use super::{Enumerated, Object, fold_name};
use crate::pack::Error;
use crate::pack::source::Source;

/// git-config(1), "core.maxTreeDepth": 2048 by default.
const DEPTH_MAX: usize = 2_048;

/// How objects are read that may be missing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    IsError,
    /// A promisor remote has them.
    IsPassedOver,
}

/// The walk, and what it has found.
pub(super) struct Walk<'a, 'p> {
    source: &'a dyn Source,
    missing: Missing,
    is_thin: bool,
    boundary: Boundary<'a>,
    count: Count<'p>,
    found: Enumerated,
    /// Trees and blobs that were met, but for those of the receiver.
    seen: IdSet,
    /// Trees that were compared with what the receiver has in a directory.
    compared: HashSet<(ObjectId, Place), Seed>,
    base_ids: IdSet,
    /// Buffers for trees to come.
    spare: Vec<Vec<u8>>,
}

/// A tree of which a part was visited.
struct Level {
    id: ObjectId,
    content: Vec<u8>,
    used: usize,
    /// The name hash of the path and the slash behind it.
    name_hash: u32,
    place: Option<Place>,
}

/// What is known of a tree that is met.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Met {
    /// It is to be sent, and visited.
    First,
    /// It is visited once more, to compare what is below it with another place.
    Elsewhere,
    /// There is nothing to do.
    Again,
}

/// Where an object stands, as far as its bases depend on it.
#[derive(Clone, Copy)]
enum Standing<'n> {
    Root(Option<Place>),
    Below(Option<Place>, &'n [u8]),
}

impl<'a, 'p> Walk<'a, 'p> {
    /// A walk that adds to `found`, whatever is not in `boundary`.
    pub fn new(source: &'a dyn Source, boundary: Boundary<'a>, count: Count<'p>, found: Enumerated) -> Self {
        Self {
            source,
            missing: Missing::IsError,
            is_thin: false,
            boundary,
            count,
            found,
            seen: IdSet::default(),
            compared: HashSet::default(),
            base_ids: IdSet::default(),
            spare: Vec::new(),
        }
    }

    /// What becomes of missing objects; they are an error if nothing is said.
    pub fn missing(self, missing: Missing) -> Self {
        Self { missing, ..self }
    }

    /// Whether bases are looked for; not if nothing is said.
    pub fn thin(self, is_thin: bool) -> Self {
        Self { is_thin, ..self }
    }

    /// Visits the tree of a commit.
    pub fn commit_tree(&mut self, id: ObjectId) -> Result<(), Error> {
        let place = self.boundary.root();
        self.visit(id, place)
    }

    /// Visits a tree that belongs to no commit.
    pub fn lone_tree(&mut self, id: ObjectId) -> Result<(), Error> {
        self.visit(id, None)
    }

    /// Visits a blob that stands in no tree.
    pub fn lone_blob(&mut self, id: ObjectId) -> Result<(), Error> {
        if self.boundary.has(&id) || !self.seen.insert(id) {
            return Ok(());
        }
        self.send(id, Kind::Blob, 0, Standing::Root(None))
    }

    /// Takes out what the receiver has under another path, and ends the phase.
    pub fn finish(mut self) -> Result<Enumerated, Error> {
        if self.boundary.root().is_some() && !self.seen.is_empty() {
            self.boundary.look_around(&mut self.count)?;
            for object in &self.found.objects {
                if object.kind == Kind::Tree && self.boundary.has(&object.id) {
                    self.boundary.close(object.id, &mut self.count)?;
                }
            }
            self.found.objects.retain(|object| !self.boundary.has(&object.id));
            self.found.missing.retain(|id| !self.boundary.has(id));
        }
        self.count.end(self.found.objects.len() + self.found.bases.len())?;
        Ok(self.found)
    }

    fn visit(&mut self, root: ObjectId, place: Option<Place>) -> Result<(), Error> {
        if self.boundary.has(&root) {
            return Ok(());
        }
        let Some(level) = self.open(root, place, 0, Standing::Root(place))? else { return Ok(()) };
        let mut levels = vec![level];
        while let Some(mut level) = levels.pop() {
            match self.next_tree(&mut level)? {
                Some(_) if levels.len() >= DEPTH_MAX => {
                    return Err(Error::BadPack("exceeded maximum allowed tree depth".to_owned()));
                }
                Some(below) => levels.extend([level, below]),
                None => self.spare.push(level.content),
            }
        }
        Ok(())
    }

    /// Visits entries of a tree up to the next tree that is to be visited itself.
    fn next_tree(&mut self, level: &mut Level) -> Result<Option<Level>, Error> {
        let content = std::mem::take(&mut level.content);
        let mut rest = content.get(level.used..).unwrap_or_default();
        let mut below = None;
        while below.is_none() && !rest.is_empty() {
            let Some(entry) = tree::next_entry(&mut rest, level.id.as_slice().len()) else {
                return Err(Error::BadPack(format!("bad tree object {}", level.id)));
            };
            match entry.kind {
                EntryKind::Submodule => {}
                EntryKind::Blob => self.blob(level, &entry)?,
                EntryKind::Tree => below = self.tree(level, &entry)?,
            }
        }
        level.used = content.len() - rest.len();
        level.content = content;
        Ok(below)
    }

    fn blob(&mut self, level: &Level, entry: &Entry<'_>) -> Result<(), Error> {
        let id = oid::from_bytes_unchecked(entry.id);
        if self.seen.contains(id) || self.boundary.has(id) {
            return Ok(());
        }
        let id = id.to_owned();
        self.seen.insert(id);
        let name_hash = fold_name(level.name_hash, entry.name);
        self.send(id, Kind::Blob, name_hash, Standing::Below(level.place, entry.name))
    }

    fn tree(&mut self, level: &Level, entry: &Entry<'_>) -> Result<Option<Level>, Error> {
        let id = oid::from_bytes_unchecked(entry.id);
        if self.boundary.has(id) {
            if level.place.is_some() {
                self.boundary.keep(id);
            }
            return Ok(None);
        }
        let place = level.place.and_then(|place| self.boundary.enter(place, entry.name));
        let name_hash = fold_name(level.name_hash, entry.name);
        self.open(id.to_owned(), place, name_hash, Standing::Below(level.place, entry.name))
    }

    /// Reads a tree that is not the receiver's, if there is something to do with it.
    fn open(
        &mut self,
        id: ObjectId,
        place: Option<Place>,
        name_hash: u32,
        standing: Standing<'_>,
    ) -> Result<Option<Level>, Error> {
        let met = self.meet(id, place);
        if met == Met::Again {
            return Ok(None);
        }
        let mut content = self.spare.pop().unwrap_or_default();
        if !tree::read(self.source, &id, &mut content)? {
            self.spare.push(content);
            return match self.missing {
                Missing::IsPassedOver => {
                    self.found.missing.extend((met == Met::First).then_some(id));
                    Ok(None)
                }
                Missing::IsError => Err(Error::Missing { kind: "tree", id }),
            };
        }
        if met == Met::First {
            self.push(id, Kind::Tree, name_hash, standing)?;
        }
        if let Some(place) = place {
            self.boundary.open(place);
        }
        let name_hash = match standing {
            Standing::Root(_) => 0,
            Standing::Below(..) => fold_name(name_hash, b"/"),
        };
        Ok(Some(Level { id, content, used: 0, name_hash, place }))
    }

    fn meet(&mut self, id: ObjectId, place: Option<Place>) -> Met {
        if self.seen.insert(id) {
            self.compared.extend(place.map(|place| (id, place)));
            return Met::First;
        }
        match place {
            Some(place) if self.compared.insert((id, place)) => Met::Elsewhere,
            Some(_) | None => Met::Again,
        }
    }

    /// Adds a blob, unless it is missing and may be: that is noted. Where it may not, who reads it finds out.
    fn send(
        &mut self,
        id: ObjectId,
        kind: Kind,
        name_hash: u32,
        standing: Standing<'_>,
    ) -> Result<(), Error> {
        if self.missing == Missing::IsPassedOver && !self.source.contains(&id) {
            self.found.missing.push(id);
            return Ok(());
        }
        self.push(id, kind, name_hash, standing)
    }

    fn push(
        &mut self,
        id: ObjectId,
        kind: Kind,
        name_hash: u32,
        standing: Standing<'_>,
    ) -> Result<(), Error> {
        self.found.objects.push(Object { id, kind, name_hash });
        if self.is_thin {
            self.add_bases(name_hash, standing);
        }
        self.count.add(1)
    }

    fn add_bases(&mut self, name_hash: u32, standing: Standing<'_>) {
        let (bases, base_ids) = (&mut self.found.bases, &mut self.base_ids);
        let mut add = |id: ObjectId, kind| {
            if base_ids.insert(id) {
                bases.push(Object { id, kind, name_hash });
            }
        };
        match standing {
            Standing::Root(Some(_)) => self.boundary.root_bases().iter().for_each(|id| add(*id, Kind::Tree)),
            Standing::Below(Some(place), name) => {
                for (id, kind) in self.boundary.take_bases(place, name) {
                    add(*id, if *kind == EntryKind::Tree { Kind::Tree } else { Kind::Blob });
                }
            }
            Standing::Root(None) | Standing::Below(None, _) => {}
        }
    }
}
