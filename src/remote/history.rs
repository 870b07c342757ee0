//! Our commits, as negotiation walks them.

use std::io;

use gix_hash::ObjectId;

use super::negotiate::History;
use crate::repo::Objects;

/// Reads commits from a repository's objects.
pub(super) struct RepoHistory<'a>(pub(super) &'a mut Objects);

impl History for RepoHistory<'_> {
    fn commit(&mut self, id: &ObjectId) -> io::Result<Option<(i64, Vec<ObjectId>)>> {
        Ok(self.0.commit(id)?.map(|commit| (commit.date, commit.parents)))
    }
}
