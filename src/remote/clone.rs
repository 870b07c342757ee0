//! `git clone` as a library: a new repository with all that a remote has.
//!
//! ```text
//! Clone::new ── run ── Cloned ── checkout
//! ```
//!
//! The remote is asked before the repository is made in its directory, since it decides about the hash function and
//! `HEAD`. A clone that fails removes what it made.

use std::path::PathBuf;

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;

use self::plan::Plan;
pub use self::source::find_local;
use self::source::{Source, locate};
use super::bundle::unbundle_file;
use super::far::Foreign;
use super::fetch_pack::{self, Named, fetch_pack};
use super::{Error, connectivity, fetch, local_clone, session};
use crate::progress::{Event, Progress};
use crate::protocol::fetch::Deepen;
use crate::repo::config::Override;
use crate::repo::{Config, Environment, Repository};
use crate::transport::{self, Scheme, Url};

mod borrow;
mod bundles;
mod checkout;
mod destination;
mod plan;
mod source;
mod sparse;
mod write;

pub use borrow::Reference;
pub(super) use borrow::{add_alternates, lender};
pub use destination::{Destination, Made, guess_directory};

/// What the user asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// No work tree.
    pub bare: bool,
    /// All refs as they are; implies `bare`.
    pub mirror: bool,
    /// The branch or tag to check out instead of the remote's `HEAD`.
    pub branch: Option<BString>,
    /// The one ref or id to fetch and to check out, without any branch (`--revision`, git 2.49).
    pub revision: Option<BString>,
    /// Only one branch; `None` is as `deepen` says.
    pub single_branch: Option<bool>,
    /// No tags, now and later.
    pub no_tags: bool,
    /// How much history.
    pub deepen: Deepen,
    /// What a partial clone leaves out.
    pub filter: Option<BString>,
    /// A source that is shallow itself is refused.
    pub reject_shallow: bool,
    /// Where bundles are that bring some of the objects (`--bundle-uri`).
    pub bundle_uri: Option<BString>,
    /// The name of the remote.
    pub origin: BString,
    /// Configuration to write, in order (`--config`).
    pub config: Vec<(BString, BString)>,
    /// Whether a path may be linked or copied.
    pub local: Local,
    /// Only the files at the top are checked out.
    pub sparse: bool,
    /// Whether to warn where `local` cannot be done (`--local` was given).
    pub insists_on_local: bool,
    /// Repositories on this machine whose objects are borrowed.
    pub references: Vec<Reference>,
    /// Nothing is borrowed once the clone is there.
    pub dissociate: bool,
    /// See [`crate::repo::init::Init::template`].
    pub template: Option<PathBuf>,
    /// Nobody looks at the server's progress.
    pub no_progress: bool,
    /// How the remote is reached.
    pub transport: transport::Options,
    /// `--server-option`.
    pub server_options: Vec<BString>,
}

impl Default for Options {
    /// A clone as `git clone <url>` makes it.
    fn default() -> Self {
        Self {
            bare: false,
            mirror: false,
            branch: None,
            revision: None,
            single_branch: None,
            no_tags: false,
            deepen: Deepen::default(),
            filter: None,
            reject_shallow: false,
            bundle_uri: None,
            origin: "origin".into(),
            config: Vec::new(),
            local: Local::default(),
            sparse: false,
            insists_on_local: false,
            references: Vec::new(),
            dissociate: false,
            template: None,
            no_progress: false,
            transport: transport::Options::default(),
            server_options: Vec::new(),
        }
    }
}

/// The refs that are asked for: what is fetched, and `HEAD`.
fn wanted_names(source: &Source, plan: &Plan) -> Vec<(ObjectId, BString)> {
    let head = source.refs().iter().filter(|reference| reference.name == "HEAD" && !plan.is_revision);
    let head = head.filter_map(|head| Some((head.id?, head.name.clone())));
    head.chain(plan.map.iter().map(|mapping| (mapping.id, mapping.remote.clone()))).collect()
}

/// What a `.promisor` file says of a clone: `HEAD` comes first.
fn promisor_text(source: &Source, plan: &Plan) -> BString {
    let head = source.refs().iter().filter(|reference| reference.name == "HEAD" && !plan.is_revision);
    let mut text = BString::default();
    for id in head.filter_map(|head| head.id) {
        text.extend_from_slice(format!("{id} HEAD\n").as_bytes());
    }
    text.extend_from_slice(&fetch::promisor_text(&plan.map));
    text
}

/// How the objects of a path on this machine come over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Local {
    /// By hard links where the file system has them.
    #[default]
    Link,
    /// By copies (`--no-hardlinks`).
    Copy,
    /// Not at all: they are borrowed (`--shared`).
    Share,
    /// By the protocol (`--no-local`, and always with `file://`).
    Transfer,
}

/// A clone to be made.
pub struct Clone<'a> {
    options: &'a Options,
    destination: &'a Destination,
    env: &'a Environment,
    overrides: &'a [Override],
    config: Config,
    /// What the configuration will name as the remote's URL.
    url: BString,
    parsed: Url,
}

/// A finished clone whose work tree is still empty.
pub struct Cloned {
    /// The new repository.
    pub repo: Repository,
    /// The commit that `HEAD` leads to; `None` if it is unborn.
    pub head: Option<ObjectId>,
    /// Whether `HEAD` names a commit and no branch.
    pub is_detached: bool,
    /// Whether the objects were linked or copied rather than transferred.
    pub is_local: bool,
    /// Whether the remote has nothing at all.
    pub is_empty: bool,
    /// What a partial clone needs to ask for the files it lacks.
    options: Options,
}

impl<'a> Clone<'a> {
    /// Prepares to clone `source`, a URL or a path as the user gave it, into `destination`.
    pub fn new(
        source: &BStr,
        destination: &'a Destination,
        options: &'a Options,
        env: &'a Environment,
        overrides: &'a [Override],
    ) -> Result<Self, Error> {
        let mut all = overrides.to_vec();
        all.extend(options.config.iter().map(|(key, value)| (key.clone(), Some(value.clone()))));
        let config = Config::load(env, &all, None).map_err(|error| match error {
            // what is to be written is read first: then it is not the command line that cannot be understood
            crate::repo::Error::ConfigEntry { reason, .. } if Config::load(env, overrides, None).is_ok() => {
                let message = "unable to write parameters to config file".to_owned();
                crate::repo::Error::ConfigEntry { reason, message }
            }
            error => error,
        })?;
        let (url, parsed) = locate(source, options.origin.as_bstr(), &config, env)?;
        Ok(Self { options, destination, env, overrides, config, url, parsed })
    }

    /// Makes the clone but for its work tree's files. An error, [`Error::is_interrupted`] among them, leaves no trace.
    pub fn run(&self, progress: &mut dyn Progress) -> Result<Cloned, Error> {
        // Made before anybody is asked for anything: where it cannot be, nothing else is worth a question.
        let guard = self.destination.make()?;
        // A helper program works in the repository; otherwise the remote decides about its hash function first.
        let is_foreign = matches!(self.parsed.scheme, Scheme::Helper(_));
        let early = is_foreign.then(|| self.init(gix_hash::Kind::Sha1)).transpose()?;
        let lenders = self.lenders(progress)?;
        let mut source = self.connect(&self.destination.git_dir, progress)?;
        let mut plan = self.plan(source.refs())?;
        if let (Source::Foreign { foreign, refs }, Some(repo)) = (&mut source, &early)
            && foreign.imports()
        {
            foreign.import(repo, &plan.names())?;
            *refs = session::without_bad_names(foreign.refs().to_vec());
            plan = self.plan(refs)?;
        }
        plan.check()?;
        if plan.is_empty
            && progress.report(Event::Warning("You appear to have cloned an empty repository.")).is_break()
        {
            return Err(Error::Interrupted);
        }
        let repo = match early {
            Some(repo) => self.with_hash(repo, source.object_hash())?,
            None => self.init(source.object_hash())?,
        };
        self.write_remote_config(&repo, &plan)?;
        let repo = self.with_promise(repo)?;
        add_alternates(&repo.objects_dir, &lenders)?;
        self.take_bundles(&repo, &mut source, progress)?;
        let came = self.take_objects(&repo, &mut source, &mut plan, progress)?;
        let is_local = source.is_local();
        match source {
            Source::Session { session, .. } if came => session.close_after_pack()?,
            Source::Session { session, .. } => session.close()?,
            Source::Foreign { foreign, .. } => foreign.close(),
            Source::Bundle(_) => {}
        }
        plan.peel_revision(&repo.objects()?)?;
        let mut cloned = self.write_refs(repo, &plan, is_local)?;
        if self.options.sparse {
            sparse::write(&cloned.repo)?;
            cloned.repo = self.reopen(&cloned.repo)?;
        }
        if self.options.dissociate {
            borrow::dissociate(&cloned.repo, &fetch::tips_of(&cloned.repo)?, progress)?;
        }
        guard.keep();
        Ok(cloned)
    }

    /// Makes the remote of a partial clone a promisor: what is missing from now on is no damage.
    fn with_promise(&self, repo: Repository) -> Result<Repository, Error> {
        let Some(filter) = &self.options.filter else { return Ok(repo) };
        fetch::write_promisor(&repo, self.options.origin.as_bstr(), Some(filter))?;
        self.reopen(&repo)
    }

    /// Brings the objects; whether they came as a pack in git's protocol.
    fn take_objects(
        &self,
        repo: &Repository,
        source: &mut Source,
        plan: &mut Plan,
        progress: &mut dyn Progress,
    ) -> Result<bool, Error> {
        if let Source::Session { local: Some(objects), .. } = source {
            let links = match self.options.local {
                Local::Share => {
                    add_alternates(&repo.objects_dir, std::slice::from_ref(objects))?;
                    return Ok(false);
                }
                Local::Copy => local_clone::Links::None,
                Local::Link | Local::Transfer => local_clone::Links::Hard,
            };
            local_clone::copy_objects(objects, &repo.objects_dir, links)?;
            return Ok(false);
        }
        let deepens = self.options.deepen != Deepen::default();
        let (wants, tips) = bundles::still_wanted(repo, plan)?;
        if wants.is_empty() || (!deepens && borrow::is_lent(repo, &plan.wants)?) {
            return Ok(false);
        }
        let mut objects = repo.objects()?;
        let is_partial = self.is_partial(source);
        let known = [fetch::lent_tips(repo, &objects), tips.clone()].concat();
        let request = fetch_pack::Request { wants, ..self.request(source, plan, is_partial, known) };
        let mut has_moved = false;
        let received = match source {
            Source::Foreign { foreign, .. } => {
                self.take_foreign(repo, foreign, plan, progress)?;
                return Ok(false);
            }
            Source::Session { session, refs, .. } => {
                let fetched = fetch_pack(session, repo, refs, &request, progress)?;
                self.check_shallow(!fetched.shallow.is_empty())?;
                if !fetched.shallow.is_empty() {
                    repo.write_shallow(&fetch_pack::new_boundary(&[], &fetched.shallow))?;
                }
                has_moved =
                    refs.iter_mut().fold(false, |moved, listed| listed.follow(&fetched.wanted_refs) | moved);
                if has_moved {
                    *plan = self.plan(refs)?;
                }
                fetched.pack
            }
            Source::Bundle(bundle) => unbundle_file(repo, &mut objects, bundle, &request, progress)?,
        };
        if is_partial {
            // What the filter left out may be missing, what refs name may not.
            let objects = repo.objects()?;
            let missing = plan.wants.iter().find(|want| !objects.contains(want)).copied();
            let url = || self.parsed.redacted();
            return missing.map_or(Ok(true), |id| Err(Error::NotConnected { url: url(), missing: Some(id) }));
        }
        let old_tips = plan.wants.iter().filter(|want| objects.contains(want)).copied().collect();
        let arrived = connectivity::Arrived { links: &received.links, old_tips: &old_tips };
        self.check_connected(repo, (plan, &tips), Some(arrived).filter(|_| !has_moved))?;
        Ok(true)
    }

    /// What to ask for. `tips` are commits that we have already, since others lend them.
    fn request(
        &self,
        source: &Source,
        plan: &Plan,
        is_partial: bool,
        tips: Vec<ObjectId>,
    ) -> fetch_pack::Request {
        let is_promisor = is_partial || self.options.filter.is_some();
        fetch_pack::Request {
            wants: plan.wants.clone(),
            names: wanted_names(source, plan),
            tips,
            deepen: self.options.deepen.clone(),
            filter: self.options.filter.clone(),
            // C git asks for tags on the way only where it does not ask for all of them, wished for or not.
            include_tag: self.is_single_branch() && self.options.revision.is_none(),
            moves_boundary: true,
            is_kept: true,
            no_progress: self.options.no_progress,
            remote: Some(self.parsed.clone()),
            transport: self.options.transport.clone(),
            promisor: is_promisor.then(|| promisor_text(source, plan)),
            ..fetch_pack::Request::default()
        }
    }

    /// Brings the objects from where git's protocol is not spoken.
    fn take_foreign(
        &self,
        repo: &Repository,
        foreign: &mut Foreign,
        plan: &Plan,
        progress: &mut dyn Progress,
    ) -> Result<(), Error> {
        let mut is_connected = false;
        if !foreign.imports() {
            foreign.ask_connectivity(progress)?;
            foreign.set("cloning", "true", progress)?;
            let wished = (plan.map.as_slice(), &self.options.deepen);
            is_connected = foreign.fetch(repo, wished, progress)?.is_connected;
        }
        let is_cut = !repo.shallow()?.is_empty();
        self.check_shallow(is_cut && self.options.deepen == Deepen::default())?;
        if is_connected || self.options.filter.is_some() {
            Ok(())
        } else {
            self.check_connected(repo, (plan, &[]), None)
        }
    }

    /// Checks that all history is here.
    fn check_connected(
        &self,
        repo: &Repository,
        (plan, tips): (&Plan, &[ObjectId]),
        arrived: Option<connectivity::Arrived<'_>>,
    ) -> Result<(), Error> {
        let mut objects = repo.objects()?;
        let missing = connectivity::first_missing(&mut objects, &plan.wants, tips, arrived)
            .map_err(|error| crate::repo::Error::Object(error.to_string()))?;
        match missing {
            Some(_) => Err(Error::NotConnected { url: self.parsed.redacted(), missing }),
            None => Ok(()),
        }
    }

    /// Whether the far side will leave out what the filter says.
    fn is_partial(&self, source: &Source) -> bool {
        match source {
            Source::Session { local: Some(_), .. } | Source::Foreign { .. } | Source::Bundle(_) => false,
            Source::Session { session, .. } => {
                self.options.filter.is_some() && fetch_pack::supports_filter(session)
            }
        }
    }

    fn is_bare(&self) -> bool {
        self.options.bare || self.options.mirror
    }

    fn is_single_branch(&self) -> bool {
        self.options.is_single_branch()
    }

    /// Whether tags come along by themselves.
    fn follows_tags(&self) -> bool {
        self.is_single_branch() && !self.options.no_tags && self.options.revision.is_none()
    }
}

impl Options {
    fn is_single_branch(&self) -> bool {
        self.single_branch.unwrap_or(self.deepen != Deepen::default())
    }
}

impl Cloned {
    /// Whether no more than one branch was asked for.
    pub fn is_single_branch(&self) -> bool {
        self.options.is_single_branch()
    }
}
