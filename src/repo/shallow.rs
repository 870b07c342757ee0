//! The `shallow` file: commits whose parents are not here.

use gix_hash::ObjectId;

use super::{Error, Repository};

impl Repository {
    /// The shallow boundary, sorted; empty in a complete repository.
    pub fn shallow(&self) -> Result<Vec<ObjectId>, Error> {
        todo!("repo helper")
    }
    /// Replaces the shallow boundary, under `shallow.lock`; an empty one removes the file.
    pub fn write_shallow(&self, _boundary: &[ObjectId]) -> Result<(), Error> {
        todo!("repo helper")
    }
}
