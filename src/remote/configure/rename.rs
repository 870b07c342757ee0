//! A remote gets another name: its configuration, its tracking branches, and what branches say of it.

use std::fs;

use bstr::{BStr, BString, ByteSlice};

use super::{Stranded, change, follow_push_default, local_config, set, tracking_top};
use crate::progress::{Event, Progress};
use crate::remote::Error;
use crate::remote::config::branches;
use crate::repo::config::{Change, edit, undo};
use crate::repo::{Reference, Rename, Repository, Target};

/// Gives the remote `old` the name `new`. Refspecs that are not git's usual ones stay and are warned of; where none is
/// usual, refs stay too. Tracking refs that the new name has from before are replaced. `remote.pushDefault` of another
/// scope is given back.
///
/// # Errors
///
/// In git's words. Where refs cannot be renamed the configuration stays as it was.
pub fn rename(
    repo: &Repository,
    old: &BStr,
    new: &BStr,
    progress: &mut dyn Progress,
) -> Result<Option<Stranded>, Error> {
    let (from, to) = (section(old), section(new));
    let config = repo.common_path("config");
    let config_before = fs::read(&config).unwrap_or_default();
    // A remote of that name may have settings though it is none.
    let change_name = Change::RenameSection(from.clone(), to.clone());
    edit(&config, &[change_name]).map_err(|error| {
        let reason = error.to_string();
        // git does not say here why the lock cannot be had
        let reason = match reason.rsplit_once(": ") {
            Some((before, _)) if reason.starts_with("could not lock") => before.to_owned(),
            _ => reason,
        };
        let message = format!("Could not rename config section '{from}' to '{to}'");
        crate::repo::Error::ConfigEntry { reason, message }
    })?;
    let is_usual = rename_refspecs(repo, old, new, progress)?;
    rename_in_branches(repo, old, new, progress)?;
    if is_usual {
        let config_after = fs::read(&config).unwrap_or_default();
        let renames = renames(repo, old, new)?;
        repo.rename_refs(&renames, progress).or_else(|error| {
            undo(&config, &config_before, &config_after)?;
            Err(error)
        })?;
    }
    follow_push_default(repo, old, Some(new))
}

/// Makes the branches that name the remote name it anew.
fn rename_in_branches(
    repo: &Repository,
    old: &BStr,
    new: &BStr,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    let (branches, local) = (branches(&repo.config)?, local_config(repo)?);
    for key in branches.iter().flat_map(|branch| &branch.repeated) {
        warn(progress, &format!("more than one {key}"))?;
    }
    for branch in &branches {
        let named = [("remote", &branch.remote), ("pushRemote", &branch.push_remote)];
        for (last, _) in named.iter().filter(|(_, remote)| remote.as_ref().is_some_and(|name| name == old)) {
            let key = BString::from(format!("branch.{}.{last}", branch.name));
            if local.strings(&key.to_str_lossy()).len() > 1 {
                warn(progress, &format!("{key} has multiple values"))?;
                return Err(Error::Usage(format!("could not set '{key}' to '{new}'")));
            }
            set(repo, &[Change::Set(key.clone(), new.to_owned())], key.as_bstr(), new)?;
        }
    }
    Ok(())
}

fn warn(progress: &mut dyn Progress, text: &str) -> Result<(), Error> {
    if progress.report(Event::Warning(text)).is_break() { Err(Error::Interrupted) } else { Ok(()) }
}

/// Rewrites the refspecs that fill `refs/remotes/<old>/`, warns of the others; whether there was one to rewrite.
fn rename_refspecs(
    repo: &Repository,
    old: &BStr,
    new: &BStr,
    progress: &mut dyn Progress,
) -> Result<bool, Error> {
    let key = super::key("remote", new, "fetch");
    let texts = local_config(repo)?.strings(&key.to_str_lossy());
    let (before, after) =
        ([b":", tracking_top(old).as_bytes()].concat(), [b":", tracking_top(new).as_bytes()].concat());
    let mut changes = vec![Change::Unset(key.clone())];
    let mut is_usual = false;
    for text in &texts {
        if text.contains_str(&before) {
            is_usual = true;
        } else {
            let warning = format!(
                "Not updating non-default fetch refspec\n\t{text}\n\tPlease update the configuration manually if \
                 necessary."
            );
            warn(progress, &warning)?;
        }
        changes.push(Change::Add(key.clone(), text.replacen(&before, &after, 1).into()));
    }
    if is_usual {
        change(repo, &changes, format!("could not set '{key}'"))?;
    }
    Ok(is_usual)
}

/// The refs below `refs/remotes/<old>/`, with what they are to be.
fn renames(repo: &Repository, old: &BStr, new: &BStr) -> Result<Vec<Rename>, Error> {
    let (before, after) = (tracking_top(old), tracking_top(new));
    let moved = |name: &BString| match name.strip_prefix(before.as_slice()) {
        Some(rest) => BString::from([after.as_bytes(), rest].concat()),
        None => name.clone(),
    };
    let rename = |reference: Reference| {
        let new = moved(&reference.name);
        let message = format!("remote: renamed {} to {new}", reference.name).into();
        let target = match reference.target {
            Target::Symbolic(target) => Target::Symbolic(moved(&target)),
            Target::Id(id) => Target::Id(id),
        };
        Rename { old: reference.name, new, target, message }
    };
    Ok(repo.refs(before.as_bstr())?.into_iter().map(rename).collect())
}

fn section(remote: &BStr) -> BString {
    [b"remote.", remote.as_bytes()].concat().into()
}
