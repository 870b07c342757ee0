//! What there is to tell of a push: a row for each ref, or why there are none.

use bstr::BString;
use gix_hash::ObjectId;

use crate::protocol::push::Rewritten;

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

/// What git prints about a push that does not come about, see [`Error::NotPushed`](crate::remote::Error::NotPushed).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// Behind `error: `; lines after the first stand alone.
    Error(String),
    /// Each line behind `hint: `.
    Hint(String),
    /// As it is.
    Plain(String),
}

/// What git prints, in one text.
pub(in crate::remote) fn joined(told: &[Told]) -> String {
    let texts: Vec<&str> = told
        .iter()
        .map(|told| match told {
            Told::Error(text) | Told::Hint(text) | Told::Plain(text) => text.as_str(),
        })
        .collect();
    if texts.is_empty() { "nothing can be pushed".to_owned() } else { texts.join("\n") }
}
