//! `git fetch` as a library: the steps of one fetch from one remote, in the only order they may go.
//!
//! ```text
//! Fetch::new ── list ── Listed ── (prune) ── transfer ── Transferred ── update ── Updated ── follow_tags ── Outcome
//! ```

use std::borrow::Cow;
use std::collections::HashSet;

use bstr::{BString, ByteSlice};
use gix_hash::ObjectId;

use super::config::Tags;
use super::far;
use super::negotiate::Algorithm;
use super::ref_map::{Asked, CurrentBranch, Mapping};
use super::update::RefUpdate;
use super::{Error, Far, Refspec, Remote, RepoSettings, fetch_head, push, session, tip};
use crate::pack::Stored;
use crate::progress::Progress;
use crate::protocol::fetch::Deepen;
use crate::protocol::{Ref, Version};
use crate::repo::{Objects, Repository, Snapshot};
use crate::telemetry;
use crate::transport::{self, helper::KeepFile};

/// What trace2 calls the parts of a fetch.
const CATEGORY: &str = "fetch";

mod apply;
mod backfill;
mod follow;
mod foreign;
mod listed;
mod outcome;
mod prefetch;
mod promisor;
mod source;
mod tips;
mod transfer;

pub use follow::{FollowHead, OtherHead, OurHead};
pub use listed::Pruned;
pub use outcome::Outcome;
pub(super) use promisor::{promisor_text, write_promisor};
use source::{Again, Source};
pub(super) use tips::{known_tips, lent_tips, tips_of};

/// What the user asked for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Refspecs of the command line; the remote's own if empty.
    pub refspecs: Vec<Refspec>,
    /// Which tags come along; the remote's setting if `None`.
    pub tags: Option<Tags>,
    /// Whether refs that are gone on the far side are removed here; the configuration decides if `None`.
    pub prune: Option<bool>,
    /// Whether tags that are gone on the far side are removed too, where anything is; the configuration decides if
    /// `None`.
    pub prune_tags: Option<bool>,
    /// All refs move or none.
    pub atomic: bool,
    /// What fills tracking branches by the way when `refspecs` are given, in place of the remote's own refspecs.
    pub refmap: Option<Vec<Refspec>>,
    /// Where the negotiation starts, instead of all our refs: ref names, patterns of them, and ids (`--negotiation-tip`).
    pub negotiation_tips: Vec<BString>,
    /// What the negotiation names in any case, as well as that (`--negotiation-include`).
    pub negotiation_include: Vec<BString>,
    /// The pack stays a pack, however small.
    pub keep: bool,
    /// Everything is fetched again, as if nothing were here (`--refetch`).
    pub refetch: bool,
    /// All that is stored goes below `refs/prefetch/`, but for tags that come along.
    pub prefetch: bool,
    /// What needs a commit as a boundary of our history that was none is accepted too.
    pub update_shallow: bool,
    /// Nobody wants to know which updates are no fast-forwards, and all are taken for such.
    pub skips_forced_check: bool,
    /// Refs that stay as they are have no row.
    pub skips_unchanged: bool,
    /// Objects are fetched and nothing else changes.
    pub dry_run: bool,
    /// Updates need not be fast-forwards.
    pub force: bool,
    /// `FETCH_HEAD` is added to.
    pub append: bool,
    /// `FETCH_HEAD` is left alone.
    pub no_fetch_head: bool,
    /// The checked-out branch may be updated.
    pub update_head_ok: bool,
    /// How to move the shallow boundary.
    pub deepen: Deepen,
    /// `--filter`, which overrides the remote's.
    pub filter: Option<BString>,
    /// The remote's filter does not count either (`--no-filter`).
    pub no_filter: bool,
    /// Nobody looks at the server's progress.
    pub no_progress: bool,
    /// What reflogs say before the colon, such as `fetch origin`; `fetch` if empty.
    pub reflog_action: BString,
    /// How the remote is reached.
    pub transport: transport::Options,
    /// `--server-option`.
    pub server_options: Vec<BString>,
}

/// A fetch from one remote into one repository.
pub struct Fetch<'a> {
    repo: &'a Repository,
    remote: Cow<'a, Remote>,
    options: &'a Options,
    /// Those of the command line, and the tags' if they are pruned without a configured remote.
    refspecs: Vec<Refspec>,
    url: BString,
}

/// The remote has answered with its refs; nothing has changed here.
pub struct Listed<'a> {
    fetch: Fetch<'a>,
    source: Source,
    refs: Vec<Ref>,
    map: Vec<Mapping>,
    tags: Tags,
    /// Our refs as they are.
    ours: Snapshot,
    objects: Option<Objects>,
    /// Stale refs that wait for the others, since all move together.
    stale: Vec<RefUpdate>,
    negotiation: Negotiation,
}

/// Where the negotiation starts, if not from all our refs, and what it names in any case.
type Negotiation = (Option<Vec<ObjectId>>, Vec<ObjectId>);

/// What keeps new packs until the refs have moved: our own guard, or those of a helper program.
#[derive(Default)]
struct Kept {
    packs: Vec<Stored>,
    files: Vec<KeepFile>,
    /// Commits without parents that no ref of ours may lead to: see [`Listed::transfer`].
    foreign: HashSet<ObjectId>,
}

/// The objects are here and connected; the refs are as they were.
pub struct Transferred<'a> {
    fetch: Fetch<'a>,
    /// Where those of `tags` come from that are not here.
    again: Again,
    refs: Vec<Ref>,
    map: Vec<Mapping>,
    /// Tags that come along since what they point to is here now.
    tags: Vec<Mapping>,
    stale: Vec<RefUpdate>,
    objects: Objects,
    /// Our refs as they are.
    ours: Snapshot,
    known: Vec<ObjectId>,
    /// Guards the new pack until the refs have moved.
    kept: Option<Kept>,
}

/// The refs that were asked for are where they were to go, as far as they may; tags that come along are not yet there.
pub struct Updated<'a> {
    transferred: Transferred<'a>,
    /// What was asked for.
    asked: Vec<Mapping>,
    outcome: Outcome,
}

impl<'a> Fetch<'a> {
    /// Prepares a fetch; nothing is contacted yet.
    pub fn new(repo: &'a Repository, remote: &'a Remote, options: &'a Options) -> Result<Self, Error> {
        let url = fetch_head::display_url(remote.location()?.redacted().as_bstr());
        let (mut remote, mut refspecs) = (Cow::Borrowed(remote), options.refspecs.clone());
        if options.prune_tags.unwrap_or(remote.prune_tags) && refspecs.is_empty() {
            // A remote of the configuration has branches to fetch beside the tags, a URL alone has not.
            if remote.name.is_some() {
                remote.to_mut().fetch.push(Refspec::all_tags());
            } else {
                refspecs.push(Refspec::all_tags());
            }
        }
        if options.prefetch {
            prefetch::redirect(&mut remote.to_mut().fetch);
            prefetch::redirect(&mut refspecs);
        }
        Ok(Self { repo, remote, options, refspecs, url })
    }

    /// Asks which commits of the histories of [`Options::negotiation_tips`] the remote has: the newest ones. `None` if it
    /// cannot be asked; `progress` was told why.
    pub fn negotiate(self, progress: &mut dyn Progress) -> Result<Option<Vec<ObjectId>>, Error> {
        let algorithm = algorithm(self.repo)?;
        let Source::Session(mut session) = self.connect(progress)? else {
            return Err(Error::Usage("--negotiate-only requires protocol v2".into()));
        };
        let tips = tip::named(self.repo, self.negotiation_tips(), progress)?.unwrap_or_default();
        let common = push::negotiate::negotiate_only(&mut session, self.repo, &tips, algorithm, progress)?;
        // what was asked is answered; how the far side ends after that changes nothing
        let _ended = session.close();
        Ok(common)
    }

    /// Contacts the remote, asks for its refs and applies the refspecs.
    pub fn list(self, progress: &mut dyn Progress) -> Result<Listed<'a>, Error> {
        telemetry::region(CATEGORY, "remote_refs", || self.list_refs(progress))
    }

    fn list_refs(self, progress: &mut dyn Progress) -> Result<Listed<'a>, Error> {
        let negotiation = self.negotiation(progress)?;
        self.register_promisor()?;
        self.begin()?;
        let tags = self.options.tags.unwrap_or(self.remote.tags);
        let branch = current_branch(self.repo)?;
        let mut source = self.connect(progress)?;
        let asked = self.asked(&branch, tags);
        let mut refs = match &source {
            // What is asked for by id needs no name, so nothing is listed.
            Source::Session(session)
                if session.version() == Version::V2 && asked.are_all_ids() && tags == Tags::None =>
            {
                Vec::new()
            }
            Source::Session(_) | Source::Foreign(_) | Source::Bundle(_) => {
                let mut prefixes = asked.prefixes(tags == Tags::Follow);
                if self.follows_head() && !prefixes.is_empty() {
                    prefixes.push("HEAD".into());
                }
                source.refs(&prefixes, progress)?
            }
        };
        let mut ours = self.repo.ref_snapshot()?;
        let symbolic = ours.symbolic_names();
        let asked = Asked { symbolic: &symbolic, ..asked };
        let mut map = asked.matched(&refs)?;
        if let Source::Foreign(foreign) = &mut source
            && foreign.imports()
        {
            self.import(foreign, &refs, &asked.map(&refs)?, tags)?;
            refs = session::without_bad_names(foreign.refs().to_vec());
            map = asked.matched(&refs)?;
            ours = self.repo.ref_snapshot()?;
        }
        let mut objects = None;
        if self.follows_tags(tags) {
            let here = self.repo.objects()?.here();
            map.extend(tips::tags_missing(&ours, &refs, &map, &here));
            objects = Some(here);
        }
        let map = asked.without_excluded(map)?;
        Ok(Listed { fetch: self, source, refs, map, tags, ours, objects, stale: Vec::new(), negotiation })
    }

    /// What is done before the remote is known to answer: `FETCH_HEAD` becomes empty, and a remote that is given a
    /// filter becomes a promisor.
    fn begin(&self) -> Result<(), Error> {
        let Self { repo, options, .. } = self;
        algorithm(repo)?;
        if !options.no_fetch_head && !options.append && !options.dry_run {
            fetch_head::truncate(&repo.git_path("FETCH_HEAD"))?;
        }
        Ok(())
    }

    fn asked<'b>(&'b self, branch: &'b CurrentBranch, tags: Tags) -> Asked<'b> {
        Asked {
            refspecs: &self.refspecs,
            refmap: self.options.refmap.as_deref(),
            remote: &self.remote,
            branch,
            all_tags: tags == Tags::All,
            symbolic: &[],
        }
    }

    fn connect(&self, progress: &mut dyn Progress) -> Result<Source, Error> {
        let url = self.remote.location()?;
        if let Some(path) = url.local_path().filter(|path| path.is_file())
            && let Some(bundle) = transport::bundle::open(&path)?
        {
            return Ok(Source::Bundle(Box::new(bundle)));
        }
        let settings = RepoSettings { config: &self.repo.config, env: &self.repo.env };
        let mut transport_options = self.options.transport.clone();
        transport_options.remote.clone_from(&self.remote.name);
        if transport_options.upload_pack.is_none() {
            transport_options.upload_pack.clone_from(&self.remote.upload_pack);
        }
        far::wishes(&mut transport_options, &self.options.deepen, self.filter().as_ref(), &self.repo.git_dir);
        let server_options = match self.options.server_options.as_slice() {
            [] => &self.remote.server_options,
            given => given,
        };
        let far = Far::connect(&url, &settings, transport_options, server_options, progress)?;
        if far.object_hash() != self.repo.object_hash {
            return Err(Error::Usage(format!(
                "mismatched algorithms: client {}; server {}",
                self.repo.object_hash,
                far.object_hash()
            )));
        }
        Ok(far.into())
    }

    /// What the negotiation starts from, if not from all our refs.
    fn negotiation_tips(&self) -> &[BString] {
        match self.options.negotiation_tips.as_slice() {
            [] => &self.remote.negotiation_tips,
            given => given,
        }
    }

    /// What is to be left out.
    fn filter(&self) -> Option<BString> {
        let is_inherited = self.remote.promisor && !self.options.no_filter;
        let of_remote = || self.remote.filter.clone().filter(|_| is_inherited);
        self.options.filter.clone().or_else(of_remote)
    }

    /// Whether tags come along by themselves: where a refspec stores anything. Tracking branches that are filled by
    /// the way do not count.
    fn follows_tags(&self, tags: Tags) -> bool {
        let refspecs = if self.refspecs.is_empty() { &self.remote.fetch } else { &self.refspecs };
        tags == Tags::Follow && refspecs.iter().any(|refspec| refspec.destination.is_some())
    }

    /// Refuses to move the branch that a work tree has checked out.
    fn check_checked_out(&self, map: &[Mapping], ours: &Snapshot) -> Result<(), Error> {
        if self.options.update_head_ok {
            return Ok(());
        }
        let checked_out = self.repo.branches_in_use()?;
        if checked_out.is_empty() {
            return Ok(());
        }
        let has_symbolic = ours.has_symbolic();
        for local in map.iter().filter_map(|mapping| mapping.local.as_ref()) {
            let is_symbolic = has_symbolic && ours.is_symbolic(local.as_bstr());
            let moved = if is_symbolic { &ours.follow(local).0 } else { local };
            if let Some((_, directory)) = checked_out.iter().find(|(branch, _)| branch == moved) {
                return Err(Error::Usage(format!(
                    "refusing to fetch into branch '{local}' checked out at '{}'",
                    directory.display()
                )));
            }
        }
        Ok(())
    }

    fn deepens(&self) -> bool {
        self.options.deepen != Deepen::default()
    }
}

/// What a `.keep` file says while refs have not moved yet.
pub(super) fn keep_text() -> BString {
    format!("fetch-pack {} on {}\n", std::process::id(), rustix::system::uname().nodename().to_string_lossy())
        .into()
}

/// `fetch.negotiationAlgorithm`.
pub(super) fn algorithm(repo: &Repository) -> Result<Algorithm, Error> {
    match repo.config.string("fetch.negotiationAlgorithm") {
        Some(name) => Algorithm::from_name(&name)
            .ok_or_else(|| Error::Usage(format!("unknown fetch negotiation algorithm '{name}'"))),
        None if repo.config.boolean("feature.experimental")?.unwrap_or(false) => Ok(Algorithm::Skipping),
        None => Ok(Algorithm::default()),
    }
}

/// `fetch.unpackLimit`, else `transfer.unpackLimit`, else git's own.
pub(super) fn unpack_limit(repo: &Repository) -> Result<u32, Error> {
    /// git-config(1), `fetch.unpackLimit`.
    const DEFAULT: u32 = 100;
    let limit = match repo.config.integer("fetch.unpackLimit")? {
        Some(limit) => Some(limit),
        None => repo.config.integer("transfer.unpackLimit")?,
    };
    Ok(limit.map_or(DEFAULT, |limit| u32::try_from(limit).unwrap_or(0)))
}

/// The branch we are on and its upstream.
pub fn current_branch(repo: &Repository) -> Result<CurrentBranch, Error> {
    let Some(full) = repo.head_branch()? else { return Ok(CurrentBranch::default()) };
    let Some(short) = full.strip_prefix(b"refs/heads/") else { return Ok(CurrentBranch::default()) };
    let key = |last: &str| format!("branch.{}.{last}", short.as_bstr());
    Ok(CurrentBranch {
        remote: repo.config.string(&key("remote")),
        merge: repo.config.strings(&key("merge")),
    })
}
