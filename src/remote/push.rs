//! `git push` as a library: the steps of one push to one URL, in the only order they may go.
//!
//! ```text
//! Push::new ── connect ── Connected ── decide ── Decided ── send ── Outcome
//! ```

use std::collections::HashSet;
use std::path::Path;

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;

use super::send_pack::{self, Signed};
use super::{Error, Far, Remote, RepoSettings, Session};
use crate::progress::Progress;
use crate::protocol::{Error as ProtocolError, Ref};
use crate::repo::Repository;
use crate::transport::{self, Url};
use choose::choose;
use ending::{converse, end_unsent, hang_up};
use source::{LocalRefs, Sourced, find_sources};
use targets::{Matcher, Targets};
use verdict::Judge;

mod choose;
mod ending;
mod follow;
mod foreign;
mod hook;
pub mod negotiate;
mod preview;
mod refspec;
mod row;
mod source;
pub mod submodule;
mod targets;
#[cfg(test)]
mod tests;
mod tracking;
mod verdict;

pub use choose::sets_upstream;
pub use preview::{Planned, Preview, preview};
pub use refspec::{Content, PushRefspec};
pub(super) use row::joined;
pub use row::{RefUpdate, Status, Told};
pub use tracking::Tracked;

/// What the user asked for; what the configuration says is read by the caller or by [`Push::new`], as said.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Refspecs as typed, `tag <name>` and `--delete` already put into that form. Empty: `remote.<name>.push`, else
    /// `push.default` decides.
    pub refspecs: Vec<BString>,
    /// `--all`, `--branches`.
    pub all: bool,
    /// `--mirror`, or `remote.<name>.mirror`; it forces nothing by itself, which `git push` adds and `git send-pack` does not.
    pub mirror: bool,
    /// `--tags`.
    pub tags: bool,
    /// `--follow-tags`, `push.followTags`.
    pub follow_tags: bool,
    /// `--prune`.
    pub prune: bool,
    /// `--force`.
    pub force: bool,
    /// `--force-with-lease`.
    pub lease: Leases,
    /// `--force-if-includes`, `push.useForceIfIncludes`.
    pub force_if_includes: bool,
    /// `--atomic`.
    pub atomic: bool,
    /// `--dry-run`.
    pub dry_run: bool,
    /// `--thin`.
    pub thin: bool,
    /// `--quiet`: the far side is asked for silence.
    pub quiet: bool,
    /// `--push-option`, `push.pushOption`.
    pub push_options: Vec<BString>,
    /// `--signed`, `push.gpgSign`.
    pub signed: Signed,
    /// `--no-verify`: no pre-push hook.
    pub no_verify: bool,
    /// How the remote is reached.
    pub transport: transport::Options,
}

/// `--force-with-lease`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leases {
    /// `--force-with-lease` without a value: every ref that is pushed must be what its tracking branch says.
    pub all: bool,
    /// `<ref>` and what it must be; the null id is "must not exist", `None` is "what its tracking branch says".
    pub refs: Vec<(BString, Option<ObjectId>)>,
}

/// A push from one repository to one URL.
pub struct Push<'a> {
    repo: &'a Repository,
    remote: &'a Remote,
    url: BString,
    options: &'a Options,
}

/// The remote has answered with its refs.
pub struct Connected<'a> {
    push: Push<'a>,
    far: Far,
    advertised: Vec<Ref>,
    locals: LocalRefs,
    refspecs: Vec<Sourced>,
}

/// It is decided what is asked for; nothing has been.
pub struct Decided<'a> {
    push: Push<'a>,
    far: Far,
    advertised: Vec<Ref>,
    rows: Vec<RefUpdate>,
    /// The refs that need not be fast-forwards.
    forced: HashSet<BString>,
    is_asked: bool,
}

/// What became of a push.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What was to change: refs of the far side in its order, then new ones.
    pub rows: Vec<RefUpdate>,
    /// What the far side advertised.
    pub remote_refs: Vec<BString>,
    /// Tracking branches that were looked at, `updating local tracking ref '<name>'` of `--verbose`.
    pub tracking: Vec<Tracked>,
    /// The session broke after the far side had reported; git tells of it and still shows the table.
    pub broken: Option<Error>,
    /// The `reference-transaction` hook refused to move a tracking branch; git ends with that once the table is shown.
    pub refused: Option<Error>,
}

impl<'a> Push<'a> {
    /// Prepares a push of `repo` to `url`, one of [`Remote::push_urls`].
    pub fn new(repo: &'a Repository, remote: &'a Remote, url: &BStr, options: &'a Options) -> Self {
        Self { repo, remote, url: url.into(), options }
    }

    /// Whether somebody says what is to be pushed. [`Push::connect`] finds out as well: this is for a caller who has
    /// something to tell between the two.
    ///
    /// # Errors
    ///
    /// [`Error::Refspec`] and [`Error::Usage`], as [`Push::connect`].
    pub fn check(&self) -> Result<(), Error> {
        choose(self.repo, self.remote, self.options, &LocalRefs::read(self.repo)?).map(drop)
    }

    /// Finds out what is to be pushed, then contacts the remote.
    ///
    /// # Errors
    ///
    /// [`Error::Refspec`] and [`Error::Usage`] for refspecs that make no sense or that nobody gives; [`Error::NotPushed`]
    /// if what is to be pushed is not here. Nothing was contacted then.
    pub fn connect(self, progress: &mut dyn Progress) -> Result<Connected<'a>, Error> {
        let sources = self.sources()?;
        let far = self.open(progress)?;
        self.begin(sources, far, progress)
    }

    /// As [`Push::connect`], in a `session` with a receive-pack that is there already.
    ///
    /// # Errors
    ///
    /// As [`Push::connect`].
    pub fn over(self, session: Session, progress: &mut dyn Progress) -> Result<Connected<'a>, Error> {
        let sources = self.sources()?;
        self.begin(sources, Far::Session(Box::new(session)), progress)
    }

    /// What is to be pushed, as far as it is known without the far side.
    fn sources(&self) -> Result<(LocalRefs, Vec<Sourced>), Error> {
        let Self { repo, remote, options, .. } = self;
        let locals = LocalRefs::read(repo)?;
        let refspecs = choose(repo, remote, options, &locals)?;
        let refspecs = find_sources(repo, &locals, refspecs)?;
        Ok((locals, refspecs))
    }

    fn begin(
        self,
        (locals, refspecs): (LocalRefs, Vec<Sourced>),
        mut far: Far,
        progress: &mut dyn Progress,
    ) -> Result<Connected<'a>, Error> {
        let advertised = far.refs(&[], progress)?;
        if far.object_hash() != self.repo.object_hash {
            hang_up(far);
            let text = "the receiving end does not support this repository's hash algorithm";
            return Err(ProtocolError::Unsupported(text.into()).into());
        }
        Ok(Connected { push: self, far, advertised, locals, refspecs })
    }

    fn open(&self, progress: &mut dyn Progress) -> Result<Far, Error> {
        let url = self.remote.locate(Some(&self.url))?;
        let start = self.options.transport.directory.as_deref().unwrap_or(Path::new(""));
        if let Some(path) = url.local_path().map(|path| start.join(path)).filter(|path| path.is_file())
            && transport::bundle::open(&path)?.is_some()
        {
            // as git: a bundle takes nothing, and that is all it says
            return Err(Error::NotPushed { told: Vec::new() });
        }
        let settings = RepoSettings { config: &self.repo.config, env: &self.repo.env };
        let mut options = self.options.transport.clone();
        if options.receive_pack.is_none() {
            options.receive_pack.clone_from(&self.remote.receive_pack);
        }
        if options.remote.is_none() {
            options.remote.clone_from(&self.remote.name);
        }
        options.git_dir = std::path::absolute(&self.repo.git_dir).ok();
        let far = Far::connect_to_push(&url, &settings, options, progress)?;
        match far {
            Far::Foreign(foreign) if !foreign.takes_pushes() => {
                hang_up(Far::Foreign(foreign));
                Err(Error::NotPushed { told: Vec::new() })
            }
            far => Ok(far),
        }
    }
}

impl<'a> Connected<'a> {
    /// Matches refspecs with the refs of both sides and decides about each.
    ///
    /// # Errors
    ///
    /// [`Error::NotPushed`] if destinations are missing, ambiguous or taken twice; [`Error::Usage`] where git gives up at
    /// once.
    pub fn decide(self, progress: &mut dyn Progress) -> Result<Decided<'a>, Error> {
        match self.rows() {
            Ok((rows, forced)) => {
                let Self { push, far, advertised, .. } = self;
                Ok(Decided { push, far, advertised, rows, forced, is_asked: false })
            }
            Err(error) => Err(end_unsent(self.far, error, progress)),
        }
    }

    /// What becomes of each ref, and those that need not be fast-forwards.
    fn rows(&self) -> Result<(Vec<RefUpdate>, HashSet<BString>), Error> {
        let Push { repo, remote, options, .. } = self.push;
        let Self { locals, refspecs, .. } = self;
        let mut targets = Targets::new(&self.advertised, repo.object_hash);
        let matcher = Matcher { repo, locals, refspecs, mirror: options.mirror, prune: options.prune };
        matcher.apply(&mut targets)?;
        let mut objects = repo.objects()?.here();
        if options.follow_tags {
            follow::add_tags(&mut targets, locals, &mut objects)?;
        }
        if targets.list.is_empty() {
            // git then hangs up, and the far side says so
            let text =
                "No refs in common and none specified; doing nothing.\nPerhaps you should specify a branch.";
            return Err(Error::NotPushed { told: vec![Told::Plain(text.into())] });
        }
        let mut judge = Judge { repo, remote, options, objects };
        let wished: Vec<_> =
            targets.list.iter().filter_map(|target| Some((target, target.wish.as_ref()?))).collect();
        let forced = wished.iter().filter(|(_, wish)| options.force || wish.force);
        let forced = forced.map(|(target, _)| target.name.clone()).collect();
        let rows: Result<_, Error> =
            wished.into_iter().map(|(target, wish)| judge.row(target, wish)).collect();
        Ok((rows?, forced))
    }
}

impl Decided<'_> {
    /// What is going to be asked for.
    pub fn rows(&self) -> &[RefUpdate] {
        &self.rows
    }

    /// Asks the `pre-push` hook, unless [`Options::no_verify`] says not to. [`Self::send`] does that too, if it was not
    /// done: this is for a caller who has more to do between the two, such as [`submodule::Superproject::before_push`].
    ///
    /// # Errors
    ///
    /// [`Error::HookDeclined`]; the push is to be ended by [`Self::close`] then.
    pub fn ask_hook(&mut self) -> Result<(), Error> {
        let Push { repo, remote, url, options } = &self.push;
        if self.is_asked || options.no_verify {
            return Ok(());
        }
        self.is_asked = true;
        // The hook is not told of what goes in a mirror because it is not here (seen in git 2.47.3).
        let is_told = |row: &&RefUpdate| !options.mirror || options.prune || row.source.is_some();
        let rows: Vec<RefUpdate> = self.rows.iter().filter(is_told).cloned().collect();
        hook::ask(repo, remote, url.as_bstr(), &rows)
    }

    /// Asks the hook, then the far side, sends the objects, and moves our tracking branches.
    ///
    /// # Errors
    ///
    /// [`Error::HookDeclined`]; what [`send_pack::send_pack`] says if the far side has reported nothing.
    pub fn send(mut self, progress: &mut dyn Progress) -> Result<Outcome, Error> {
        if let Err(error) = self.ask_hook() {
            return Err(end_unsent(self.far, error, progress));
        }
        let more_haves = match &self.far {
            Far::Session(_) => self.negotiate(progress)?,
            Far::Foreign(_) => Vec::new(),
        };
        let Self { push, far, advertised, mut rows, forced, .. } = self;
        let Push { repo, remote, url, options } = push;
        let broken = match far {
            Far::Session(session) => {
                let sending = send_pack::Options { url, more_haves, ..sending(options) };
                converse(session, (repo, &advertised), &mut rows, &sending, progress)?
            }
            Far::Foreign(foreign) => {
                let order = foreign::Order { repo, options, advertised: &advertised, forced: &forced };
                order.carry_out(foreign, &mut rows, progress)?
            }
        };
        let (tracking, refused) =
            if options.dry_run { Default::default() } else { tracking::update(repo, remote, &rows) };
        let remote_refs = advertised.into_iter().map(|reference| reference.name).collect();
        Ok(Outcome { rows, remote_refs, tracking, broken, refused })
    }

    /// What the far side has beside what it advertises, if `push.negotiate` says to ask.
    fn negotiate(&self, progress: &mut dyn Progress) -> Result<Vec<ObjectId>, Error> {
        let Push { repo, url, options, .. } = &self.push;
        let tips: Vec<ObjectId> =
            self.rows.iter().filter(|row| row.status == Status::Pending).map(|row| row.new).collect();
        if options.dry_run || repo.config.boolean("push.negotiate")? != Some(true) {
            return Ok(Vec::new());
        }
        let url = Url::parse(url.as_bstr())?;
        negotiate::commits_in_common(repo, &url, options.transport.clone(), &tips, progress)
    }

    /// Gives the push up because of `error`, which is told before the far side tells that it was left.
    pub fn give_up(self, error: Error, progress: &mut dyn Progress) -> Error {
        end_unsent(self.far, error, progress)
    }

    /// Ends the push without asking for anything.
    pub fn close(self) {
        let _nothing_was_asked = self.far.close();
    }
}

/// What `options` say of how the changes are asked for.
fn sending(options: &Options) -> send_pack::Options {
    send_pack::Options {
        promisor_transport: options.transport.clone(),
        thin: options.thin,
        atomic: options.atomic,
        quiet: options.quiet,
        dry_run: options.dry_run,
        push_options: options.push_options.clone(),
        signed: options.signed,
        ..send_pack::Options::default()
    }
}
