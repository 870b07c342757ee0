//! The `pre-push` hook: githooks(5).

use bstr::{BStr, ByteSlice};

use super::{RefUpdate, Status};
use crate::remote::{Error, Remote};
use crate::repo::Repository;

/// Asks the hook, if there is one, whether `rows` may be pushed to `url`.
///
/// # Errors
///
/// [`Error::HookDeclined`].
pub(super) fn ask(repo: &Repository, remote: &Remote, url: &BStr, rows: &[RefUpdate]) -> Result<(), Error> {
    let Some(hook) = repo.hook("pre-push")? else { return Ok(()) };
    let name = remote.name.as_ref().map_or(url, |name| name.as_bstr());
    let hook = hook.with_our_output();
    let code = hook.run(&[&*name.to_os_str_lossy(), &*url.to_os_str_lossy()], &input(rows));
    if code == 0 { Ok(()) } else { Err(Error::HookDeclined) }
}

/// `<local ref> <local id> <remote ref> <remote id>` for each. It is not told of refs that stay as they are or are
/// rejected, but of those that git rejects since they need force (seen in git 2.47.3).
fn input(rows: &[RefUpdate]) -> Vec<u8> {
    let mut input = Vec::new();
    for row in rows.iter().filter(|row| is_told(&row.status)) {
        let source = row.source.as_ref().map_or(b"(delete)".as_bstr(), |source| source.as_bstr());
        input.extend_from_slice(source);
        input.extend_from_slice(format!(" {} ", row.new).as_bytes());
        input.extend_from_slice(&row.name);
        input.extend_from_slice(format!(" {}\n", row.old).as_bytes());
    }
    input
}

fn is_told(status: &Status) -> bool {
    match status {
        Status::UpToDate | Status::NonFastForward | Status::Stale | Status::RemoteUpdated => false,
        Status::Pending
        | Status::Done
        | Status::Unreported
        | Status::FetchFirst
        | Status::NeedsForce
        | Status::AlreadyExists
        | Status::NoDelete
        | Status::ShallowUpdate
        | Status::AtomicFailed
        | Status::RemoteRejected(_) => true,
    }
}
