//! A remote goes, with its tracking branches and what branches say of it.

use bstr::{BStr, BString, ByteSlice};

use super::{Stranded, change, follow_push_default, local_config};
use crate::remote::config::{branches, names};
use crate::remote::{Error, Refspec, Remote};
use crate::repo::config::{Change, edit};
use crate::repo::{Edit, Expected, Repository, Target};

/// What a removal leaves behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// Keys that were to go and stay, since they have several values.
    pub several: Vec<BString>,
    /// Branches that the remote filled and that are our own, so that they stay.
    pub kept: Vec<BString>,
    /// `remote.pushDefault` still names the remote.
    pub stranded: Option<Stranded>,
    /// Why the tracking branches could not be removed; the remote is still there then.
    pub refused: Option<String>,
    /// Why the configuration still has the remote, if it ever had it, though its tracking branches are gone.
    pub not_unset: Option<String>,
}

/// Removes the remote `name`: what branches say of it, its tracking branches unless another remote fills them too, its
/// configuration.
///
/// # Errors
///
/// [`repo::Error::ConfigEntry`](crate::repo::Error::ConfigEntry) if what branches say cannot be changed.
pub fn remove(repo: &Repository, name: &BStr) -> Result<Removed, Error> {
    let remote = Remote::in_repository(repo, name)?;
    let mut removed = Removed { several: unset_branches(repo, name)?, ..Removed::default() };
    let (doomed, kept) = tracking_branches(repo, &remote)?;
    if let Err(error) = repo.update_refs(&doomed) {
        removed.refused = Some(error.to_string());
    }
    removed.kept = kept;
    if removed.refused.is_none() {
        let section = BString::from([b"remote.", name.as_bytes()].concat());
        if edit(&repo.common_path("config"), &[Change::RemoveSection(section.clone())]).is_err() {
            removed.not_unset = Some(format!("Could not remove config section '{section}'"));
        } else {
            removed.stranded = follow_push_default(repo, name, None)?;
        }
    }
    Ok(removed)
}

/// Takes out what branches say of the remote; gives the keys that have several values.
fn unset_branches(repo: &Repository, name: &BStr) -> Result<Vec<BString>, Error> {
    let local = local_config(repo)?;
    let mut several = Vec::new();
    for branch in branches(&repo.config)? {
        let mut doomed = Vec::new();
        if branch.remote.as_ref().is_some_and(|remote| remote == name) {
            doomed.extend(["remote", "merge"]);
        }
        if branch.push_remote.as_ref().is_some_and(|remote| remote == name) {
            doomed.push("pushRemote");
        }
        for last in doomed {
            let key = BString::from(format!("branch.{}.{last}", branch.name));
            match local.strings(&key.to_str_lossy()).len() {
                0 => {}
                1 => change(repo, &[Change::Unset(key.clone())], format!("could not unset '{key}'"))?,
                _ => several.push(key),
            }
        }
    }
    Ok(several)
}

/// The removal of each tracking branch that `remote` alone fills, and the names of our own branches that it fills.
fn tracking_branches(repo: &Repository, remote: &Remote) -> Result<(Vec<Edit>, Vec<BString>), Error> {
    let mut others: Vec<Vec<Refspec>> = Vec::new();
    for name in names(&repo.config).iter().filter(|name| remote.name.as_ref() != Some(name)) {
        others.push(Remote::from_config(&repo.config, name.as_bstr())?.fetch);
    }
    let is_filled = |refspecs: &[Refspec], name: &BStr| refspecs.iter().any(|r| r.source_of(name).is_some());
    let (mut doomed, mut kept) = (Vec::new(), Vec::new());
    for reference in repo.refs("refs/".into())? {
        let name = reference.name.as_bstr();
        if !is_filled(&remote.fetch, name) || others.iter().any(|other| is_filled(other, name)) {
            continue;
        }
        let leads_nowhere =
            matches!(reference.target, Target::Symbolic(_)) && repo.resolve_ref(name)?.is_none();
        if leads_nowhere {
            continue;
        }
        if let Some(branch) = name.strip_prefix(b"refs/heads/") {
            kept.push(branch.into());
        } else if name.starts_with(b"refs/remotes/") {
            let name = reference.name;
            doomed.push(Edit {
                name,
                new: None,
                expected: Expected::Any,
                message: None,
                through: Vec::new(),
            });
        }
    }
    Ok((doomed, kept))
}
