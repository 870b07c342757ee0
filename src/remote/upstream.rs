//! Which branch of a remote a local one follows: `branch.<name>.remote`, `.merge` and `.rebase`. `git-config(1)`.

use bstr::{BStr, BString};

use super::Error;
use crate::repo::Repository;
use crate::repo::config::Change;

/// Whether `git pull` rebases a branch that begins to follow one of a remote: `branch.autoSetupRebase`.
///
/// # Errors
///
/// In git's words if the value is none that git knows.
pub fn rebases(repo: &Repository) -> Result<bool, Error> {
    match repo.config.string("branch.autoSetupRebase").as_deref().map(Vec::as_slice) {
        Some(b"always" | b"remote") => Ok(true),
        None | Some(b"never" | b"local") => Ok(false),
        Some(_) => {
            let reason = "malformed value for branch.autosetuprebase".into();
            let message = "unable to parse 'branch.autosetuprebase'".into();
            Err(crate::repo::Error::ConfigEntry { reason, message }.into())
        }
    }
}

/// Makes `branch` (short, such as `main`) follow `merge` (in full, such as `refs/heads/main`) of `remote`, whatever it
/// followed before. What [`rebases`] says is written too. The layout is that of git 2.47.3.
pub fn set(repo: &Repository, branch: &BStr, remote: &BStr, merge: &BStr) -> Result<(), Error> {
    let key = |last: &str| BString::from([&b"branch."[..], branch, b".", last.as_bytes()].concat());
    let mut changes = vec![
        Change::Set(key("remote"), remote.into()),
        Change::Unset(key("merge")),
        Change::Add(key("merge"), merge.into()),
    ];
    if rebases(repo)? {
        changes.push(Change::Set(key("rebase"), "true".into()));
    }
    Ok(crate::repo::config::edit(&repo.common_path("config"), &changes)?)
}
