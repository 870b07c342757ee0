//! The work tree of a fresh clone.

use bstr::{BString, ByteSlice};
use gix_hash::ObjectId;

use super::{Cloned, Options};
use crate::progress::Progress;
use crate::remote::promisor::LazyFetch;
use crate::remote::{Error, Remote, config};
use crate::repo::checkout;

impl Cloned {
    /// Fills the work tree; `None` in a bare repository or one without commits. A partial clone asks for the files it
    /// lacks in one batch first. What goes wrong here, or is stopped here, leaves a whole repository without some files.
    pub fn checkout(&self, progress: &mut dyn Progress) -> Result<Option<checkout::Outcome>, Error> {
        let Some(head) = self.head.filter(|_| !self.repo.is_bare()) else { return Ok(None) };
        let mut objects = self.repo.objects()?;
        let commit = objects
            .commit(&head)
            .map_err(|error| crate::repo::Error::Object(error.to_string()))?
            .ok_or_else(|| crate::repo::Error::Object(format!("{head} is not a commit")))?;
        let remote = Remote::from_config(&self.repo.config, self.origin().as_bstr())?;
        if remote.promisor {
            if !objects.contains(&commit.tree) {
                // `--filter=tree:0` leaves out trees as well: all of this one come at once.
                self.fetch_missing(&remote, vec![commit.tree], progress)?;
            }
            let missing = self.repo.missing_blobs(&commit.tree)?;
            if !missing.is_empty() {
                self.fetch_missing(&remote, missing, progress)?;
            }
        }
        Ok(Some(self.repo.checkout(&commit.tree, progress)?))
    }

    fn origin(&self) -> BString {
        config::names(&self.repo.config).into_iter().next().unwrap_or_else(|| "origin".into())
    }

    /// Fetches objects that a partial clone left out, in one request.
    fn fetch_missing(
        &self,
        remote: &Remote,
        wants: Vec<ObjectId>,
        progress: &mut dyn Progress,
    ) -> Result<(), Error> {
        let Self { repo, options, .. } = self;
        let Options { transport, server_options, no_progress, .. } = options;
        let lazy = LazyFetch { repo, transport, server_options, no_progress: *no_progress };
        lazy.ask_one(remote, wants, progress)
    }
}
