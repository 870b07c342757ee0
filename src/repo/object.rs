//! Reading objects.

use std::io;

use bstr::BString;
use gix_hash::{ObjectId, oid};

use super::{Error, Repository};

/// The objects of a repository and of its alternates. Cheap to clone for another thread; each clone has its own caches.
#[derive(Clone)]
pub struct Objects {
    _private: (),
}

/// A commit as far as the walks need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The tree.
    pub tree: ObjectId,
    /// The parents in order; those beyond a shallow boundary are left out.
    pub parents: Vec<ObjectId>,
    /// The committer's date in seconds since 1970.
    pub date: i64,
}

impl Repository {
    /// Opens the object database. Replace refs are not applied; commits of the shallow file have no parents.
    pub fn objects(&self) -> Result<Objects, Error> {
        todo!("repo helper")
    }
}

impl Objects {
    /// Whether `id` exists; what is on disk now is looked at once, not again for each miss.
    pub fn contains(&self, _id: &oid) -> bool {
        todo!()
    }
    /// Kind and content of `id`; `None` if there is no such object.
    pub fn find(&self, _id: &oid, _out: &mut Vec<u8>) -> io::Result<Option<gix_object::Kind>> {
        todo!()
    }
    /// The kind alone.
    pub fn kind(&self, _id: &oid) -> io::Result<Option<gix_object::Kind>> {
        todo!()
    }
    /// The commit `id`, from the commit-graph where it is there; `None` if there is no such object or it is no commit.
    pub fn commit(&mut self, _id: &oid) -> io::Result<Option<Commit>> {
        todo!()
    }
    /// Follows annotated tags to the object they name, at most 1,000 of them; the kind comes with it. `None` if an
    /// object on the way is missing.
    pub fn peel(&self, _id: &oid) -> io::Result<Option<(ObjectId, gix_object::Kind)>> {
        todo!()
    }
    /// Looks at the disk again, for packs that came since.
    pub fn refresh(&mut self) -> Result<(), Error> {
        todo!()
    }
    /// The shortest unique prefix of `id`, of at least `length_min` digits (`core.abbrev`).
    pub fn abbreviate(&self, _id: &oid, _length_min: usize) -> BString {
        todo!()
    }
    /// The number of digits git shortens ids to where `core.abbrev` is not set: by the number of objects, at least 7.
    pub fn abbreviation_len(&self) -> usize {
        todo!()
    }
    /// The `objects` directories of alternates, recursively.
    pub fn alternates(&self) -> Vec<std::path::PathBuf> {
        todo!()
    }
}

impl crate::pack::Bases for Objects {
    fn find(&self, id: &oid, out: &mut Vec<u8>) -> io::Result<Option<gix_object::Kind>> {
        Self::find(self, id, out)
    }
    fn contains(&self, id: &oid) -> bool {
        Self::contains(self, id)
    }
}
