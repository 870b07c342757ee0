//! Objects that a filter left out, once they are needed after all. `git-config(1)`, `remote.<name>.promisor`;
//! `partial-clone` in git's technical documentation.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bstr::{BString, ByteSlice};
use gix_hash::{ObjectId, oid};

use super::fetch_pack::{self, fetch_pack};
use super::{Error, Far, Remote, RepoSettings, far};
use crate::pack::Bases;
use crate::pack::enumerate::{Enumerated, Wanted, enumerate};
use crate::pack::source::Stored;
use crate::progress::{Discard, Event, Progress};
use crate::protocol::fetch::Deepen;
use crate::protocol::trace;
use crate::repo::object::Promisor;
use crate::repo::{Objects, Repository};
use crate::transport;

/// The remotes that have promised what is not here, in the order they are asked: first those that a server named, then that
/// of the configuration, the one of `extensions.partialClone` last.
pub(super) fn promisors(repo: &Repository) -> Result<Vec<Remote>, Error> {
    let last = repo.config.string("extensions.partialClone");
    let mut names = repo.promisor_names()?;
    names.retain(|name| last.as_ref() != Some(name));
    names.sort_by_key(|name| repo.config.string(&format!("remote.{name}.advertisedAs")).is_none());
    names.extend(last);
    names.iter().map(|name| Remote::from_config(&repo.config, name.as_bstr())).collect()
}

/// What is said where `GIT_NO_LAZY_FETCH` forbids what is about to be done.
const DISABLED: &str = "lazy fetching disabled; some objects may not be available";

/// Has what a filter left out fetched as soon as it is read, wherever objects of `repo` are read from now on; `progress`
/// hears of it, and `is_seen` says whether somebody looks at it. Nothing changes where no remote has promised anything, or
/// `GIT_NO_LAZY_FETCH` forbids it.
///
/// # Errors
///
/// If the configuration of remotes makes no sense.
pub fn fetch_lazily(repo: &mut Repository, progress: Box<dyn Progress>, is_seen: bool) -> Result<(), Error> {
    if repo.is_partial()? && !repo.env.is_true("GIT_NO_LAZY_FETCH") {
        let lazy = Lazy { repo: repo.clone(), progress: Mutex::new(progress), is_seen };
        repo.promisor = Some(Arc::new(lazy));
    }
    Ok(())
}

/// Asks the promisors of a repository. Its own reads fetch nothing, so that no request leads to another.
struct Lazy {
    repo: Repository,
    progress: Mutex<Box<dyn Progress>>,
    is_seen: bool,
}

impl fmt::Debug for Lazy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lazy").field("git_dir", &self.repo.git_dir).finish_non_exhaustive()
    }
}

impl Promisor for Lazy {
    fn bring(&self, ids: &[ObjectId]) -> io::Result<()> {
        let repo = &self.repo;
        let transport = transport::Options::default();
        let lazy = LazyFetch { repo, transport: &transport, server_options: &[], no_progress: !self.is_seen };
        // whoever panicked while something was shown has left nothing half done here
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let mut objects = repo.objects().map_err(io::Error::other)?;
        let remotes = promisors(repo).map_err(io::Error::other)?;
        lazy.ask_any(&remotes, &mut objects, ids.to_vec(), progress.as_mut()).map_err(io::Error::other)
    }
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
        Ok(Self { repo, objects: repo.objects()?.here(), promisors })
    }
}

impl Bases for PromisedBases<'_> {
    fn find(&self, id: &oid, out: &mut Vec<u8>) -> io::Result<Option<gix_object::Kind>> {
        self.objects.find(id, out)
    }

    fn contains(&self, id: &oid) -> bool {
        self.objects.contains(id)
    }

    fn freshen(&self, id: &oid) -> bool {
        self.objects.freshen(id)
    }

    fn kind(&self, id: &oid) -> io::Result<Option<gix_object::Kind>> {
        self.objects.kind(id)
    }

    fn stored_as(&self, id: &oid, entry: (Stored, u64), deflated: &[u8]) -> Option<u32> {
        self.objects.stored_as(id, entry, deflated)
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

/// What is asked for comes without the files below it, as in C git.
const NOTHING_BELOW: &str = "blob:none";

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
        if self.repo.env.is_true("GIT_NO_LAZY_FETCH") {
            tell(progress, Event::Warning(DISABLED))?;
            return wants.first().map_or(Ok(()), |id| Err(Error::NotPromised(*id)));
        }
        for remote in remotes {
            let transport = transport::Options {
                remote: remote.name.clone(),
                upload_pack: remote.upload_pack.clone(),
                ..self.transport.clone()
            };
            let lazy = LazyFetch { transport: &transport, ..*self };
            match trace::told_as("fetch", || lazy.ask_one(remote, wants.clone(), progress)) {
                Ok(()) => {}
                Err(error) if error.is_interrupted() => return Err(error),
                Err(error) => tell(progress, Event::Fatal(&error.to_string()))?,
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
        let settings = RepoSettings { config: &repo.config, env: &repo.env };
        let url = remote.location()?;
        let filter = Some(BString::from(NOTHING_BELOW));
        let mut options = (*transport).clone();
        far::wishes(&mut options, &Deepen::default(), filter.as_ref(), &repo.git_dir);
        options.helper_options.push(("from-promisor", "1".into()));
        let mut session = match Far::connect(&url, &settings, options, server_options, progress)? {
            Far::Session(session) => session,
            Far::Foreign(foreign) => return foreign.bring(repo, &wants, progress),
        };
        let request = fetch_pack::Request {
            wants,
            filter,
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

impl LazyFetch<'_> {
    /// Fetches what the files of `tree` need and is not here: directories first, then all files at once. What is in `old` as
    /// well is not asked for.
    pub(super) fn bring_files(
        &self,
        tree: &ObjectId,
        old: Option<&ObjectId>,
        progress: &mut dyn Progress,
    ) -> Result<(), Error> {
        let remotes = promisors(self.repo)?;
        loop {
            // each round brings what it asks for or fails
            let missing = self.repo.missing_for_checkout(tree, old)?;
            if missing.is_empty() {
                return Ok(());
            }
            self.ask_any(&remotes, &mut self.repo.objects()?.here(), missing, progress)?;
        }
    }
}

fn tell(progress: &mut dyn Progress, event: Event<'_>) -> Result<(), Error> {
    if progress.report(event).is_break() { Err(Error::Interrupted) } else { Ok(()) }
}
