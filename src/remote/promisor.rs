//! Objects that a filter left out, once they are needed after all. `git-config(1)`, `remote.<name>.promisor`;
//! `partial-clone` in git's technical documentation.

use std::io;

use bstr::{BString, ByteSlice};
use gix_hash::{ObjectId, oid};

use super::fetch_pack::{self, fetch_pack};
use super::{Error, Remote, RepoSettings, Session, config};
use crate::pack::Bases;
use crate::pack::enumerate::{Enumerated, Wanted, enumerate};
use crate::progress::{Discard, Event, Progress};
use crate::repo::{Objects, Repository};
use crate::transport::{self, Url};

/// The remotes that have promised what is not here, in the order they are asked: that of the configuration, the one of
/// `extensions.partialClone` last.
pub(super) fn promisors(repo: &Repository) -> Result<Vec<Remote>, Error> {
    let last = repo.config.string("extensions.partialClone");
    let mut names = Vec::new();
    for name in config::names(&repo.config) {
        let key = BString::from([b"remote.", name.as_bytes(), b".promisor"].concat());
        if last.as_ref() != Some(&name) && repo.config.boolean(&key.to_str_lossy())? == Some(true) {
            names.push(name);
        }
    }
    names.extend(last);
    names.iter().map(|name| Remote::from_config(&repo.config, name.as_bstr())).collect()
}

/// The objects of a repository for a pack that builds on them: what a filter left out is fetched, all in one request.
pub(super) struct PromisedBases<'a> {
    repo: &'a Repository,
    objects: Objects,
    promisors: Vec<Remote>,
}

impl<'a> PromisedBases<'a> {
    /// The objects of `repo`, which is asked for its promisors now.
    pub(super) fn new(repo: &'a Repository) -> Result<Self, Error> {
        let is_allowed = !repo.env.is_true("GIT_NO_LAZY_FETCH");
        let promisors = if is_allowed { promisors(repo)? } else { Vec::new() };
        Ok(Self { repo, objects: repo.objects()?, promisors })
    }
}

impl Bases for PromisedBases<'_> {
    fn find(&self, id: &oid, out: &mut Vec<u8>) -> io::Result<Option<gix_object::Kind>> {
        self.objects.find(id, out)
    }

    fn contains(&self, id: &oid) -> bool {
        self.objects.contains(id)
    }

    fn bring(&self, ids: &[ObjectId]) -> io::Result<()> {
        let wants: Vec<ObjectId> = ids.iter().filter(|id| !self.objects.contains(id)).copied().collect();
        if self.promisors.is_empty() || wants.is_empty() {
            return Ok(());
        }
        let transport = transport::Options::default();
        let lazy =
            LazyFetch { repo: self.repo, transport: &transport, server_options: &[], no_progress: true };
        let mut objects = self.objects.clone();
        // What does not come is missed by whoever needs it, which says more than we could here.
        let _brought_or_missed = lazy.ask_any(&self.promisors, &mut objects, wants, &mut Discard);
        Ok(())
    }
}

/// Finds what a pack is to hold. What is missing is fetched from `remotes` all at once; trees may then name more that is.
/// Each round brings what it asked for or fails, so they end.
pub(super) fn enumerate_whole(
    lazy: &LazyFetch<'_>,
    remotes: &[Remote],
    source: &mut Objects,
    wanted: &Wanted,
    progress: &mut dyn Progress,
) -> Result<Enumerated, Error> {
    loop {
        let found = enumerate(source, wanted, progress)?;
        if found.missing.is_empty() || remotes.is_empty() {
            return Ok(found);
        }
        lazy.ask_any(remotes, source, found.missing, progress)?;
    }
}

/// How promisors are asked.
pub(super) struct LazyFetch<'a> {
    pub(super) repo: &'a Repository,
    pub(super) transport: &'a transport::Options,
    pub(super) server_options: &'a [BString],
    pub(super) no_progress: bool,
}

impl LazyFetch<'_> {
    /// Fetches `wants` from the first of `remotes` that has them, in one request to each that is asked, and makes
    /// `objects` see them. Why a remote does not answer is told as it happens.
    ///
    /// # Errors
    ///
    /// [`Error::NotPromised`] names an object that no remote sent.
    pub(super) fn ask_any(
        &self,
        remotes: &[Remote],
        objects: &mut Objects,
        mut wants: Vec<ObjectId>,
        progress: &mut dyn Progress,
    ) -> Result<(), Error> {
        for remote in remotes {
            let transport = transport::Options {
                remote: remote.name.clone(),
                upload_pack: remote.upload_pack.clone(),
                ..self.transport.clone()
            };
            match (LazyFetch { transport: &transport, ..*self }).ask_one(remote, wants.clone(), progress) {
                Ok(()) => {}
                Err(error) if error.is_interrupted() => return Err(error),
                Err(error) if progress.report(Event::Fatal(&error.to_string())).is_break() => {
                    return Err(Error::Interrupted);
                }
                Err(_told) => {}
            }
            objects.refresh()?;
            wants.retain(|id| !objects.contains(id));
            if wants.is_empty() {
                break;
            }
        }
        wants.first().map_or(Ok(()), |id| Err(Error::NotPromised(*id)))
    }

    /// Fetches `wants` from `remote` in one request. C git's lazy fetch names no haves either.
    pub(super) fn ask_one(
        &self,
        remote: &Remote,
        wants: Vec<ObjectId>,
        progress: &mut dyn Progress,
    ) -> Result<(), Error> {
        let Self { repo, transport, server_options, no_progress } = self;
        let text = remote.urls.first().ok_or_else(|| Error::Usage("no URL".into()))?;
        let settings = RepoSettings { config: &repo.config, env: &repo.env };
        let url = Url::parse(text.as_bstr())?;
        let mut session = Session::connect(&url, &settings, (*transport).clone(), server_options, progress)?;
        let request = fetch_pack::Request {
            wants,
            filter: Some("blob:none".into()),
            promisor: Some(BString::default()),
            no_progress: *no_progress,
            remote: Some(url),
            transport: (*transport).clone(),
            ..fetch_pack::Request::default()
        };
        fetch_pack(&mut session, repo, &[], &request, progress)?;
        session.close_after_pack()
    }
}
