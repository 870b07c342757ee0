//! The work tree of a fresh clone.

use super::{Cloned, Options};
use crate::progress::Progress;
use crate::remote::Error;
use crate::remote::promisor::LazyFetch;
use crate::repo::checkout;

impl Cloned {
    /// Fills the work tree; `None` in a bare repository or one without commits. A partial clone asks for the files it
    /// lacks in one batch first. What goes wrong here, or is stopped here, leaves a whole repository without some files.
    pub fn checkout(&self, progress: &mut dyn Progress) -> Result<Option<checkout::Outcome>, Error> {
        let Some(head) = self.head.filter(|_| !self.repo.is_bare()) else { return Ok(None) };
        let commit = self
            .repo
            .objects()?
            .commit(&head)
            .map_err(|error| crate::repo::Error::Object(error.to_string()))?
            .ok_or_else(|| crate::repo::Error::Object(format!("{head} is not a commit")))?;
        if self.repo.is_partial()? {
            let Options { transport, server_options, no_progress, .. } = &self.options;
            let lazy = LazyFetch { repo: &self.repo, transport, server_options, no_progress: *no_progress };
            lazy.bring_files(&commit.tree, None, progress)?;
        }
        Ok(Some(self.repo.checkout(&commit.tree, None, progress)?))
    }
}
