//! The end of a transaction: files of refs are put in place or removed, and the locks go.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;

use bstr::{BStr, BString, ByteSlice};

use super::{Checked, Locked};
use crate::repo::Error;
use crate::repo::reference::conflict::parents;
use crate::repo::reference::directory::{remove_empty_directories, remove_empty_parents};
use crate::repo::reference::files::Files;
use crate::repo::reference::lock::reason;
use crate::repo::reference::present::{Locks, Present};

/// Makes the lock of a ref its file.
pub(super) fn rename_into_place(files: &Files, locked: Locked<'_>) -> Result<(), Error> {
    let name = locked.edit.name.as_bstr();
    let path = files.path(name);
    let Some(lock) = locked.lock else { return Ok(()) };
    let committed = lock.commit().or_else(|failed| {
        // an empty directory came to be there in between
        remove_empty_directories(&path);
        failed.instance.commit()
    });
    match committed {
        Ok(_) => Ok(()),
        Err(failed) => Err(Error::Reference(format!(
            "cannot update ref '{name}': couldn't set '{name}': {}",
            reason(&failed.error)
        ))),
    }
}

/// Removes the files and reflogs of refs that are no longer in `packed-refs`, then their locks.
pub(super) fn remove(files: &Files, deletions: Vec<Checked<'_>>) -> Result<(), Error> {
    let log_paths = deletions.iter().map(|change| files.log_path(change.locked.edit.name.as_bstr()));
    let mut logs = Present::new(log_paths, Locks::Ours);
    let mut emptied: HashSet<&BStr> = HashSet::new();
    let mut outcome = Ok(());
    for Checked { locked, is_present, .. } in deletions {
        let name = locked.edit.name.as_bstr();
        let log_path = files.log_path(name);
        if outcome.is_ok() && logs.may_be(&log_path) {
            outcome = remove_file(&log_path);
        }
        if outcome.is_ok() && is_present {
            outcome = remove_file(&files.path(name));
        }
        drop(locked);
        emptied.extend(parents(name).last());
    }
    for directory in emptied {
        // a name in it stands for all
        let name = BString::from([directory.as_bytes(), b"/"].concat());
        for base in [files.base(name.as_bstr()).join("logs"), files.base(name.as_bstr()).to_owned()] {
            remove_empty_parents(&base, name.as_bstr());
        }
    }
    outcome
}

fn remove_file(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(())
        }
        // a directory of other refs; the ref itself was packed
        Err(_) if path.is_dir() => Ok(()),
        Err(source) => Err(Error::Io { action: "unable to unlink", path: path.to_owned(), source }),
    }
}
