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

pub use self::source::find_local;
use self::source::{Source, locate};
use super::{Error, fetch, session};
use crate::progress::{Event, Progress};
use crate::repo::config::{Dirs, Override};
use crate::repo::{Config, Environment, Repository, init};
use crate::transport::{Scheme, Url};

mod borrow;
mod bundles;
mod checkout;
mod destination;
mod objects;
mod options;
mod plan;
mod source;
mod sparse;
mod write;

pub use borrow::Reference;
pub(super) use borrow::{add_alternates, lender};
pub use destination::{Destination, Made, guess_directory};
pub use options::{Local, Options};

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
        all.extend_from_slice(&options.config);
        let config = configuration(env, &all, options).map_err(|error| match error {
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
        self.check_template(progress)?;
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
        add_alternates((&repo.objects_dir, repo.storage), &lenders)?;
        self.take_bundles(&repo, &mut source, progress)?;
        let came = self.take_objects(&repo, &mut source, &mut plan, progress)?;
        let is_local = source.is_local();
        match source {
            Source::Session { session, .. } if came => session.close_after_pack()?,
            Source::Session { session, .. } => session.close()?,
            Source::Foreign { foreign, .. } => foreign.close(),
            Source::Bundle(_) => {}
        }
        plan.peel_head(&repo.objects()?)?;
        let mut cloned = self.write_refs(repo, &plan, is_local)?;
        if self.options.sparse {
            sparse::write(&cloned.repo)?;
            cloned.repo = self.reopen(&cloned.repo)?;
        }
        if self.options.dissociate {
            borrow::dissociate(&cloned.repo, &fetch::tips_of(&cloned.repo)?, progress)?;
        }
        cloned.repo.config.check_index()?;
        guard.keep();
        Ok(cloned)
    }

    /// Warns of a template that is not there.
    fn check_template(&self, progress: &mut dyn Progress) -> Result<(), Error> {
        let template = init::template_dir(self.options.template.as_deref(), &self.config, self.env)?;
        let is_named = |template: &PathBuf| !template.as_os_str().is_empty();
        let Some(missing) = template.filter(is_named).filter(|template| !template.is_dir()) else {
            return Ok(());
        };
        let text = format!("templates not found in {}", missing.display());
        if progress.report(Event::Warning(&text)).is_break() { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// Makes the remote of a partial clone a promisor: what is missing from now on is no damage.
    fn with_promise(&self, repo: Repository) -> Result<Repository, Error> {
        let Some(filter) = &self.options.filter else { return Ok(repo) };
        fetch::write_promisor(&repo, self.options.origin.as_bstr(), Some(filter))?;
        self.reopen(&repo)
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

/// What will hold in the new repository, before it is there: the template may have configuration too.
fn configuration(
    env: &Environment,
    overrides: &[Override],
    options: &Options,
) -> Result<Config, crate::repo::Error> {
    let outside = Config::load(env, overrides, None)?;
    let template = init::template_dir(options.template.as_deref(), &outside, env)?;
    let template = template.filter(|template| !template.as_os_str().is_empty());
    let config = match template.filter(|template| template.join("config").is_file()) {
        Some(template) => Config::load(env, overrides, Some(Dirs { git: &template, common: &template }))?,
        None => outside,
    };
    config.check_core()?;
    Ok(config)
}

impl Cloned {
    /// Whether no more than one branch was asked for.
    pub fn is_single_branch(&self) -> bool {
        self.options.is_single_branch()
    }
}
