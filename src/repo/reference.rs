//! Reading and moving refs.

use bstr::{BStr, BString};
use gix_hash::ObjectId;

use super::{Error, Repository};

/// A ref of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The full name.
    pub name: BString,
    /// What it holds.
    pub target: Target,
    /// The peeled object of an annotated tag, where packed-refs says it.
    pub peeled: Option<ObjectId>,
}

/// What a ref holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// An object id.
    Id(ObjectId),
    /// Another ref's name.
    Symbolic(BString),
}

/// One change of a ref.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The full name; a symbolic ref is itself changed, not what it names.
    pub name: BString,
    /// The new content; `None` deletes the ref.
    pub new: Option<Target>,
    /// What must be there before.
    pub expected: Expected,
    /// The reflog message; `None` writes no reflog (a deletion removes it).
    pub message: Option<BString>,
}

/// What must be there before a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Anything or nothing.
    Any,
    /// No such ref.
    Missing,
    /// This id.
    Id(ObjectId),
}

impl Repository {
    /// The ref `name`, of this work tree or shared; `None` if there is none.
    pub fn find_ref(&self, _name: &BStr) -> Result<Option<Reference>, Error> {
        todo!("repo helper")
    }
    /// The id that `name` leads to through symbolic refs; `None` if there is none.
    pub fn resolve_ref(&self, _name: &BStr) -> Result<Option<ObjectId>, Error> {
        todo!()
    }
    /// All refs whose name begins with `prefix` (all for an empty one; `HEAD` is not among them), sorted by name, each
    /// file read once and packed-refs once. Broken refs are left out.
    pub fn refs(&self, _prefix: &BStr) -> Result<Vec<Reference>, Error> {
        todo!()
    }
    /// The branch `HEAD` names (full name), also if unborn; `None` if detached.
    pub fn head_branch(&self) -> Result<Option<BString>, Error> {
        todo!()
    }
    /// The branches checked out in this and all linked work trees: full ref name and directory.
    pub fn checked_out_branches(&self) -> Result<Vec<(BString, std::path::PathBuf)>, Error> {
        todo!()
    }
    /// Makes all of `edits` or none, with their reflogs, under git's lock files. Directory/file conflicts with loose and
    /// packed refs and among the edits are errors in git's words. Runs the `reference-transaction` hook.
    pub fn update_refs(&self, _edits: &[Edit]) -> Result<(), Error> {
        todo!()
    }
    /// Writes many new refs at once into `packed-refs`, peeled and sorted, one rename: for a clone, whose repository has
    /// no other refs. `refs` are (name, id, peeled). No reflogs.
    pub fn write_packed_refs(&self, _refs: &[(BString, ObjectId, Option<ObjectId>)]) -> Result<(), Error> {
        todo!()
    }
    /// `Name <email> seconds zone` for reflogs, by git's rules (`GIT_COMMITTER_*`, `user.*`, the system's names).
    pub fn committer(&self) -> BString {
        todo!()
    }
}
