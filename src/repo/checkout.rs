//! Filling the work tree of a fresh clone, and writing its index.

use gix_hash::ObjectId;

use super::{Error, Repository};
use crate::progress::Progress;

/// What a checkout found.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Paths that collide on a file system that folds case, where git warns.
    pub collisions: Vec<bstr::BString>,
    /// Paths that could not be written, with the reason.
    pub errors: Vec<(bstr::BString, String)>,
}

impl Repository {
    /// Writes the files of `tree` into the empty work tree, then the index, so that `git status` is clean and has
    /// nothing to refresh.
    pub fn checkout(&self, _tree: &ObjectId, _progress: &mut dyn Progress) -> Result<Outcome, Error> {
        todo!("checkout helper")
    }
}
