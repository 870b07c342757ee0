//! The work tree of a fresh clone.

use bstr::{BString, ByteSlice};
use gix_hash::ObjectId;

use super::{Cloned, Options};
use crate::progress::Progress;
use crate::remote::fetch_pack::{self, fetch_pack};
use crate::remote::{Error, Remote, RepoSettings, Session, config};
use crate::repo::checkout;
use crate::transport::Url;

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

    /// Fetches objects that a partial clone left out, in one request. C git's lazy fetch names no haves either.
    fn fetch_missing(
        &self,
        remote: &Remote,
        wants: Vec<ObjectId>,
        progress: &mut dyn Progress,
    ) -> Result<(), Error> {
        let Self { repo, options, .. } = self;
        let text = remote.urls.first().ok_or_else(|| Error::Usage("no URL".into()))?;
        let settings = RepoSettings { config: &repo.config, env: &repo.env };
        let Options { transport, server_options, .. } = options;
        let url = Url::parse(text.as_bstr())?;
        let mut session = Session::connect(&url, &settings, transport.clone(), server_options, progress)?;
        let request = fetch_pack::Request {
            wants,
            filter: Some("blob:none".into()),
            promisor: Some(BString::default()),
            no_progress: options.no_progress,
            ..fetch_pack::Request::default()
        };
        fetch_pack(&mut session, repo, &[], &request, progress)?;
        session.close_after_pack()
    }
}
