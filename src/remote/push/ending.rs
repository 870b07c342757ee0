//! How a push ends: with the far side's report, or without a word.

use super::{RefUpdate, Status, Told};
use crate::progress::{Event, Progress};
use crate::protocol::{Error as ProtocolError, Ref};
use crate::remote::send_pack::{self, send_pack};
use crate::remote::{Error, Far, Session};
use crate::repo::{self, Repository};

/// Sends `rows` in git's protocol; gives why the session broke behind the report, if it did.
pub(super) fn converse(
    mut session: Box<Session>,
    (repo, advertised): (&Repository, &[Ref]),
    rows: &mut [RefUpdate],
    sending: &send_pack::Options,
    progress: &mut dyn Progress,
) -> Result<Option<Error>, Error> {
    match send_pack(&mut session, repo, advertised, rows, sending, progress) {
        Ok(()) => Ok(end(*session, rows, sending.dry_run).err()),
        Err(error) => {
            let is_judged = matches!(error, Error::Protocol(ProtocolError::Report(_))) || has_report(rows);
            if error.is_interrupted() || !is_judged {
                return Err(end_unsent(Far::Session(session), error, progress));
            }
            hang_up(Far::Session(session));
            Ok(Some(error))
        }
    }
}

/// Ends a session in which `rows` were asked for.
fn end(session: Session, rows: &[RefUpdate], dry_run: bool) -> Result<(), Error> {
    let is_refused_by_us = rows.iter().any(|row| row.status == Status::AtomicFailed);
    let was_asked = !dry_run && has_report(rows) || rows.iter().any(|row| row.status == Status::Unreported);
    if was_asked {
        return session.close_after_pack();
    }
    if is_refused_by_us {
        hang_up(Far::Session(Box::new(session)));
        return Ok(());
    }
    session.close()
}

/// Ends a session in which nothing was asked for, as git does: where it gives up at once the far side is left alone.
pub(super) fn end_unsent(far: Far, error: Error, progress: &mut dyn Progress) -> Error {
    match error {
        Error::NotPushed { told } => {
            if let [Told::Plain(text)] = told.as_slice() {
                let _listened = progress.report(Event::Detail { level: 0, text });
                hang_up(far);
                return Error::Told(Box::new(Error::NotPushed { told }));
            }
            let _nothing_was_asked = far.close();
            Error::NotPushed { told }
        }
        Error::HookDeclined => {
            let _nothing_was_asked = far.close();
            Error::HookDeclined
        }
        error @ (Error::Usage(_)
        | Error::Protocol(ProtocolError::Unsupported(_))
        | Error::Repo(repo::Error::Config(_))) => {
            let _listened = progress.report(Event::Fatal(&error.to_string()));
            hang_up(far);
            Error::Told(Box::new(error))
        }
        error => {
            hang_up(far);
            error
        }
    }
}

/// Leaves the far side without a word; it says so on its standard error.
pub(super) fn hang_up(far: Far) {
    let _how_it_ends_is_no_news = match far {
        Far::Session(session) => session.close_after_pack(),
        Far::Foreign(foreign) => Far::Foreign(foreign).close(),
    };
}

/// Whether the far side has said what became of one of `rows`.
fn has_report(rows: &[RefUpdate]) -> bool {
    rows.iter().any(|row| matches!(row.status, Status::Done | Status::RemoteRejected(_)))
}
