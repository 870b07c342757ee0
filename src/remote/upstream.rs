//! Which branch of a remote a local one follows: `branch.<name>.remote`, `.merge` and `.rebase`. `git-config(1)`.

use bstr::{BStr, BString, ByteSlice as _};

use super::Error;
use crate::repo::config::Change;
use crate::repo::{Config, Repository};

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
///
/// A key that has several values keeps them, and a further `merge` is added to them, as in git; the warnings that git
/// prints then are the result.
pub fn set(repo: &Repository, branch: &BStr, remote: &BStr, merge: &BStr) -> Result<Vec<BString>, Error> {
    let file = repo.common_path("config");
    let own = Config::from_file(&file, &file, &repo.env)?;
    let key = |last: &str| BString::from([&b"branch."[..], branch, b".", last.as_bytes()].concat());
    let mut warnings = Vec::new();
    let mut is_single = |key: &BString| {
        let is_single = own.strings(&key.to_str_lossy()).len() <= 1;
        if !is_single {
            warnings.push([key.as_slice(), b" has multiple values"].concat().into());
        }
        is_single
    };
    let mut changes = Vec::new();
    if is_single(&key("remote")) {
        changes.push(Change::Set(key("remote"), remote.into()));
    }
    if is_single(&key("merge")) {
        changes.push(Change::Unset(key("merge")));
    }
    changes.push(Change::Add(key("merge"), merge.into()));
    if rebases(repo)? && is_single(&key("rebase")) {
        changes.push(Change::Set(key("rebase"), "true".into()));
    }
    crate::repo::config::edit(&file, &changes)?;
    Ok(warnings)
}
