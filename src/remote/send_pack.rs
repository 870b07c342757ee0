//! Asking for changes of refs and sending the objects they need. `gitprotocol-pack(5)`, "Pushing Data To a Server".
//!
//! ```text
//!  one thread                        another                          this one
//!  enumerate ── produce ── pipe ──── request, then pack ── wire ───── report, band 2
//! ```
//!
//! All three run at once: the pack goes out while it is made, in bounded memory, and what the far side says meanwhile is
//! heard meanwhile. Over HTTP, which answers when all is said, nothing differs but that.

use bstr::BString;
use gix_hash::ObjectId;

use super::push::{RefUpdate, Status};
use super::{Error, Session};
use crate::progress::{Event, Progress};
use crate::protocol::Error as ProtocolError;
use crate::protocol::Ref;
use crate::repo::Repository;
use crate::transport;

mod ask;
mod converse;
mod judge;
mod pipe;
mod signed;

/// The reason of a session that broke when the report was whole, in git's words.
pub(crate) const CUT_BEHIND_REPORT: &str = "error in sideband demultiplexer";

/// How the changes are asked for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Deltas may be based on what the far side has (`--thin`).
    pub thin: bool,
    /// All refs change or none.
    pub atomic: bool,
    /// The far side is asked for silence. git does so as well where its own progress is not shown.
    pub quiet: bool,
    /// Everything is done but asking.
    pub dry_run: bool,
    /// `--push-option`; an error if the far side takes none.
    pub push_options: Vec<BString>,
    /// Whether the push is signed.
    pub signed: Signed,
    /// The URL, for the certificate.
    pub url: BString,
    /// Objects that the far side is known to have with all they reach, beside those it advertised (`push.negotiate`).
    pub more_haves: Vec<ObjectId>,
    /// How promisor remotes are reached for objects that have to be sent and are missing here (a partial clone).
    pub promisor_transport: transport::Options,
}

/// `--signed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Signed {
    /// It is not.
    #[default]
    No,
    /// It is, if the far side takes signed pushes.
    IfAsked,
    /// It is, or it fails.
    Yes,
}

/// Asks the far side of `session` for those of `rows` that are [`Status::Pending`], sends the objects, and puts what became
/// of each into its status. `advertised` says what the far side has. The session is to be closed next: nothing more can
/// be asked.
///
/// If `options.atomic` says so and a row was rejected already, nothing is asked for and what was pending becomes
/// [`Status::AtomicFailed`]. In a dry run it becomes [`Status::Done`].
///
/// # Errors
///
/// Before anything was asked the rows stay as they are, but for [`Status::NoDelete`] and [`Status::AtomicFailed`]. Later
/// the statuses are as true as can be: what the far side reported before the session broke, [`Status::Unreported`] for
/// the rest. git then shows the table if it has heard a report, and nothing but the error if it has not.
/// [`ProtocolError::Report`] is the error for a report that makes no sense; git prints it behind `error: `.
pub fn send_pack(
    session: &mut Session,
    repo: &Repository,
    advertised: &[Ref],
    rows: &mut [RefUpdate],
    options: &Options,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    ask::check(session, repo, options)?;
    if !session.capabilities().contains("delete-refs") {
        for row in rows.iter_mut().filter(|row| row.status == Status::Pending && row.new.is_null()) {
            row.status = Status::NoDelete;
        }
    }
    if options.atomic && !all_may_change(rows, session.is_stateful(), progress)? {
        return Ok(());
    }
    let request = ask::request(session, repo, rows, options, progress)?;
    let asked: Vec<usize> =
        (0..).zip(&*rows).filter(|(_, row)| row.status == Status::Pending).map(|(i, _)| i).collect();
    if asked.is_empty() {
        return Ok(());
    }
    if options.dry_run {
        rows.iter_mut().filter(|row| row.status == Status::Pending).for_each(|row| row.status = Status::Done);
        return Ok(());
    }
    let pack = ask::pack(session, repo, advertised, rows, options, progress)?;
    for row in rows.iter_mut().filter(|row| row.status == Status::Pending) {
        row.status = Status::Unreported;
    }
    let heard = converse::converse(session, (repo, options), &request, pack.as_ref(), progress);
    judge::judge(rows, &asked, &heard, progress)?;
    heard.result
}

/// Whether no row was rejected; if one was, those that are pending fail with it, and `progress` is told as git tells it:
/// not over HTTP.
fn all_may_change(
    rows: &mut [RefUpdate],
    is_stateful: bool,
    progress: &mut dyn Progress,
) -> Result<bool, Error> {
    let Some((name, number)) = rows.iter().find_map(|row| Some((&row.name, rejection_number(&row.status)?)))
    else {
        return Ok(true);
    };
    let text = format!("atomic push failed for ref {name}. status: {number}");
    for row in rows.iter_mut().filter(|row| row.status == Status::Pending) {
        row.status = Status::AtomicFailed;
    }
    if is_stateful {
        tell(progress, Event::Error(&text))?;
    }
    Ok(false)
}

/// The number that git has for the status of a row that was rejected before anything was asked (seen in git 2.47.3).
fn rejection_number(status: &Status) -> Option<u8> {
    match status {
        Status::NonFastForward => Some(2),
        Status::AlreadyExists => Some(3),
        Status::NoDelete => Some(4),
        Status::FetchFirst => Some(5),
        Status::NeedsForce => Some(6),
        Status::Stale => Some(7),
        Status::ShallowUpdate => Some(8),
        Status::RemoteUpdated => Some(9),
        Status::Pending
        | Status::UpToDate
        | Status::Done
        | Status::Unreported
        | Status::AtomicFailed
        | Status::RemoteRejected(_) => None,
    }
}

fn tell(progress: &mut dyn Progress, event: Event<'_>) -> Result<(), Error> {
    if progress.report(event).is_break() { Err(Error::Interrupted) } else { Ok(()) }
}

/// The error for a far side that lacks `what`.
fn unsupported(what: &str) -> Error {
    ProtocolError::Unsupported(format!("the receiving end does not support {what}")).into()
}
