//! A new remote, and which branches one fetches.

use bstr::{BStr, BString, ByteSlice};

use super::{key, local_config, set};
use crate::remote::Error;
use crate::repo::Repository;
use crate::repo::config::{Change, edit};

/// A remote that is added.
#[derive(Debug, Clone, Default)]
pub struct New {
    /// Its name.
    pub name: BString,
    /// Its URL as it was given.
    pub url: BString,
    /// The branches that are fetched; all if empty.
    pub branches: Vec<BString>,
    /// Whether it is a mirror, and of which kind.
    pub mirror: Option<Mirror>,
    /// `tagOpt`: all tags come along, or none; `None` leaves it to the fetch.
    pub tags: Option<bool>,
}

/// What is mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mirror {
    /// A fetch makes our refs equal to the remote's.
    Fetch,
    /// A push makes the remote's refs equal to ours.
    Push,
    /// Both.
    Both,
}

/// What becomes of the branches that a remote fetches already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// They stay.
    All,
    /// They go.
    None,
}

/// Writes the configuration of a new remote.
///
/// # Errors
///
/// [`repo::Error::ConfigEntry`](crate::repo::Error::ConfigEntry) if the file cannot be written.
pub fn add(repo: &Repository, new: &New) -> Result<(), Error> {
    let key = |last: &str| key("remote", new.name.as_bstr(), last);
    let mut changes = vec![Change::Set(key("url"), new.url.clone())];
    if new.mirror != Some(Mirror::Push) {
        let every = ["*".into()];
        let branches = if new.branches.is_empty() { &every[..] } else { &new.branches };
        let refspecs =
            branches.iter().map(|branch| refspec(new.name.as_bstr(), branch, new.mirror.is_some()));
        changes.extend(refspecs.map(|refspec| Change::Add(key("fetch"), refspec)));
    }
    if matches!(new.mirror, Some(Mirror::Push | Mirror::Both)) {
        changes.push(Change::Set(key("mirror"), "true".into()));
    }
    if let Some(all) = new.tags {
        changes.push(Change::Set(key("tagOpt"), if all { "--tags" } else { "--no-tags" }.into()));
    }
    set(repo, &changes, key("url").as_bstr(), new.url.as_bstr())
}

/// Makes `branches` what the remote `name` fetches, besides or in place of what it fetches already. `false` if there is
/// nothing that could be replaced, where git changes nothing.
///
/// # Errors
///
/// If the file cannot be written.
pub fn set_branches(repo: &Repository, name: &BStr, branches: &[BString], kept: Kept) -> Result<bool, Error> {
    let key = key("remote", name, "fetch");
    let mut changes = Vec::new();
    if kept == Kept::None {
        if local_config(repo)?.strings(&key.to_str_lossy()).is_empty() {
            return Ok(false);
        }
        changes.push(Change::Unset(key.clone()));
    }
    let mirrors = repo.config.boolean(&format!("remote.{name}.mirror"))?.unwrap_or(false);
    let refspecs = branches.iter().map(|branch| refspec(name, branch, mirrors));
    changes.extend(refspecs.map(|refspec| Change::Add(key.clone(), refspec)));
    edit(&repo.common_path("config"), &changes)?;
    Ok(true)
}

/// What fetches `branch` of `remote`: into tracking branches, or of a mirror (with a name below `refs/`) into our own refs.
fn refspec(remote: &BStr, branch: &BString, is_mirror: bool) -> BString {
    if is_mirror {
        format!("+refs/{branch}:refs/{branch}").into()
    } else {
        format!("+refs/heads/{branch}:refs/remotes/{remote}/{branch}").into()
    }
}
