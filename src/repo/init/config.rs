//! The configuration of a new repository.

use std::fs;
use std::path::Path;

use super::{Init, absolute, is_elsewhere};
use crate::repo::config::{Change, edit};
use crate::repo::{Environment, Error, RefFormat};
use crate::storage::{Shared, Storage};

/// Writes `config` in git's order, beside what a template has put there.
pub(super) fn write_config(init: &Init, storage: Storage, env: &Environment) -> Result<(), Error> {
    let path = init.git_dir.join("config");
    let set = |key: &str, value: &str| Change::Set(key.into(), value.into());
    let truth = |value: bool| if value { "true" } else { "false" };
    let is_sha1 = init.object_hash == gix_hash::Kind::Sha1;
    let has_tables = init.ref_format == RefFormat::Tables;
    let version = if is_sha1 && !has_tables { "0" } else { "1" };
    let mut changes = vec![set("core.repositoryformatversion", version)];
    // the file must be there to be looked at
    edit(&path, &changes)?;
    changes.push(set("core.filemode", truth(keeps_modes(&path))));
    changes.push(set("core.bare", truth(init.work_tree.is_none())));
    if let Some(work_tree) = &init.work_tree {
        changes.push(set("core.logallrefupdates", "true"));
        if is_elsewhere(init) && env.path("GIT_WORK_TREE").is_some() {
            let work_tree = absolute(work_tree)?;
            let work_tree = work_tree.as_os_str().as_encoded_bytes();
            changes.push(Change::Set("core.worktree".into(), work_tree.into()));
        }
    }
    if !makes_symlinks(&init.git_dir) {
        changes.push(set("core.symlinks", "false"));
    }
    if init.git_dir.join("CoNfIg").exists() {
        changes.push(set("core.ignorecase", "true"));
    }
    if let Some(shared) = storage.shared.value() {
        changes.push(set("core.sharedrepository", &shared));
    }
    if has_tables {
        changes.push(set("extensions.refstorage", "reftable"));
    }
    if !is_sha1 {
        changes.push(set("extensions.objectformat", &init.object_hash.to_string()));
    }
    if storage.shared != Shared::Umask {
        changes.push(set("receive.denyNonFastforwards", "true"));
    }
    edit(&path, &changes)
}

/// Whether the file system keeps the executable bit.
#[cfg(unix)]
fn keeps_modes(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let mode = || path.metadata().map(|metadata| metadata.permissions().mode());
    let change = |mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    let Ok(before) = mode() else { return false };
    let flipped = change(before ^ 0o100).and_then(|()| mode()).is_ok_and(|after| after == before ^ 0o100);
    change(before).is_ok() && flipped
}

#[cfg(not(unix))]
fn keeps_modes(_path: &Path) -> bool {
    false
}

/// Whether the file system has symbolic links.
#[cfg(unix)]
fn makes_symlinks(dir: &Path) -> bool {
    let link = dir.join(format!("t{}", std::process::id()));
    let made = std::os::unix::fs::symlink("testing", &link).is_ok() && link.is_symlink();
    fs::remove_file(&link).is_ok() && made
}

#[cfg(not(unix))]
fn makes_symlinks(_dir: &Path) -> bool {
    false
}
