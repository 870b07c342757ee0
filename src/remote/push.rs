//! `git push` as a library: the steps of one push to one URL, in the only order they may go.
//!
//! ```text
//! Push::new ── connect ── Connected ── decide ── Decided ── send ── Outcome
//! ```

use bstr::{BStr, BString};
use gix_hash::ObjectId;

use super::send_pack::Signed;
use super::{Error, Remote};
use crate::progress::Progress;
use crate::protocol::push::Rewritten;
use crate::repo::Repository;
use crate::transport;

pub mod submodule;

/// What the user asked for; what the configuration says is read by the caller or by [`Push::new`], as said.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Refspecs as typed, `tag <name>` and `--delete` already put into that form. Empty: `remote.<name>.push`, else
    /// `push.default` decides.
    pub refspecs: Vec<BString>,
    /// `--all`, `--branches`.
    pub all: bool,
    /// `--mirror`, or `remote.<name>.mirror`.
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

/// One line of the table that a push ends with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefUpdate {
    /// What is pushed: the full name of a local ref if it is one, else as typed; `None` where the ref is deleted.
    pub source: Option<BString>,
    /// The full name of the far side's ref.
    pub name: BString,
    /// What it is there; the null id if there is none.
    pub old: ObjectId,
    /// What it is to be; the null id deletes it.
    pub new: ObjectId,
    /// What the far side's ref must be, by a lease.
    pub expected: Option<ObjectId>,
    /// Whether it is moved although it is no fast-forward, as was allowed.
    pub forced: bool,
    /// What becomes of it.
    pub status: Status,
    /// What the far side did instead (`report-status-v2`).
    pub rewritten: Vec<Rewritten>,
}

/// What becomes of a ref.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It is to be asked for.
    Pending,
    /// It is what it should be.
    UpToDate,
    /// The far side did it.
    Done,
    /// It was asked for and nothing was said about it: `remote failed to report status`.
    Unreported,
    /// It would not be a fast-forward.
    NonFastForward,
    /// What is there is not here.
    FetchFirst,
    /// Something that is no commit is there, or would be.
    NeedsForce,
    /// A tag would move.
    AlreadyExists,
    /// It is not what the lease says.
    Stale,
    /// The tracking branch has moved since our branch last included it (`--force-if-includes`).
    RemoteUpdated,
    /// The far side cannot delete refs.
    NoDelete,
    /// The far side may not get new shallow roots.
    ShallowUpdate,
    /// Another ref was rejected and all were to change or none.
    AtomicFailed,
    /// The far side refused, in its own words.
    RemoteRejected(BString),
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
}

/// It is decided what is asked for; nothing has been.
pub struct Decided<'a> {
    connected: Connected<'a>,
    rows: Vec<RefUpdate>,
}

/// What became of a push.
#[derive(Debug)]
pub struct Outcome {
    /// A line for each ref, in the order git shows them.
    pub rows: Vec<RefUpdate>,
    /// Tracking branches that were looked at, `updating local tracking ref '<name>'` of `--verbose`.
    pub tracking: Vec<BString>,
    /// The session broke after commands were sent; git tells of it and still shows the table.
    pub broken: Option<Error>,
}

impl<'a> Push<'a> {
    /// Prepares a push of `repo` to `url`, one of those of `remote`.
    pub fn new(repo: &'a Repository, remote: &'a Remote, url: &BStr, options: &'a Options) -> Self {
        Self { repo, remote, url: url.into(), options }
    }

    /// Contacts the remote.
    pub fn connect(self, _progress: &mut dyn Progress) -> Result<Connected<'a>, Error> {
        unimplemented!()
    }
}

impl<'a> Connected<'a> {
    /// Matches refspecs with the refs of both sides and decides about each.
    pub fn decide(self, _progress: &mut dyn Progress) -> Result<Decided<'a>, Error> {
        unimplemented!()
    }
}

impl Decided<'_> {
    /// What is going to be asked for.
    pub fn rows(&self) -> &[RefUpdate] {
        &self.rows
    }

    /// Runs the pre-push hook, asks, sends the objects, and moves our tracking branches.
    pub fn send(self, _progress: &mut dyn Progress) -> Result<Outcome, Error> {
        unimplemented!()
    }
}
