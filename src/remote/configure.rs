//! Changing what the configuration says of remotes, with the refs that belong to them: the verbs of `git-remote(1)`.

use bstr::{BStr, BString, ByteSlice};

use super::Error;
use crate::repo::config::{Change, Scope, edit};
use crate::repo::{Config, Repository};

mod add;
mod head;
mod migrate;
mod remove;
mod rename;
mod url;

pub use add::{Kept, Mirror, New, add, set_branches};
pub use head::{delete_head, set_head};
pub use migrate::migrate;
pub use remove::{Removed, remove};
pub use rename::rename;
pub use url::{UrlKind, add_url, delete_urls, set_url};

/// Whether `name` may be the name of a remote: it becomes a part of the names of refs.
pub fn is_valid_name(name: &BStr) -> bool {
    let refname = [b"refs/remotes/", name.as_bytes(), b"/test"].concat();
    !name.is_empty() && super::refspec::is_valid_name(refname.as_bstr())
}

/// Where `refs/remotes/<remote>/` begins.
fn tracking_top(remote: &BStr) -> BString {
    [b"refs/remotes/", remote.as_bytes(), b"/"].concat().into()
}

/// `<section>.<name>.<last>`.
fn key(section: &str, name: &BStr, last: &str) -> BString {
    [section.as_bytes(), b".", name.as_bytes(), b".", last.as_bytes()].concat().into()
}

/// The repository's own configuration file, without what it includes.
fn local_config(repo: &Repository) -> Result<Config, Error> {
    let path = repo.common_path("config");
    Ok(Config::from_file(&path, &path, &repo.env)?)
}

/// Makes `changes`; the error says that `key` could not be set to `value`, in git's words.
fn set(repo: &Repository, changes: &[Change], key: &BStr, value: &BStr) -> Result<(), Error> {
    change(repo, changes, format!("could not set '{key}' to '{value}'"))
}

/// Makes `changes`; the error says `consequence` behind what went wrong.
fn change(repo: &Repository, changes: &[Change], consequence: String) -> Result<(), Error> {
    edit(&repo.common_path("config"), changes).map_err(|error| {
        crate::repo::Error::ConfigEntry { reason: error.to_string(), message: consequence }.into()
    })
}

/// What a remote that goes or gets another name leaves behind in `remote.pushDefault`, where that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stranded {
    /// The scope of the configuration that is not ours to change: `system` or `global`.
    pub scope: &'static str,
    /// The line.
    pub line: String,
}

/// Makes `remote.pushDefault` follow a remote from `old` to `new`, `None` where it goes, if the repository's own
/// configuration names it; tells where another does.
fn follow_push_default(repo: &Repository, old: &BStr, new: Option<&BStr>) -> Result<Option<Stranded>, Error> {
    const KEY: &str = "remote.pushDefault";
    if repo.config.string(KEY).is_none_or(|value| value != old) {
        return Ok(None);
    }
    let scope = match repo.config.scope(KEY) {
        None | Some(Scope::Command) => return Ok(None),
        Some(Scope::System) => "system",
        Some(Scope::Global) => "global",
        Some(Scope::Local | Scope::Worktree) => {
            let (change_it, consequence) = match new {
                Some(new) => (Change::Set(KEY.into(), new.to_owned()), "set"),
                None => (Change::Unset(KEY.into()), "unset"),
            };
            return change(repo, &[change_it], format!("could not {consequence} '{KEY}'")).map(|()| None);
        }
    };
    let line = repo.config.origin(KEY).map(|(_, line)| line).unwrap_or_default();
    Ok(Some(Stranded { scope, line }))
}
