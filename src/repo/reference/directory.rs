//! Directories that come and go with the refs in them, while other processes do the same.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bstr::{BStr, ByteSlice};

use super::conflict::parents;
use crate::storage::Storage;

/// How often a directory is made again that another process removes because it is empty.
pub(super) const DIRECTORY_RACES_MAX: usize = 32;

/// Makes `directory` and its parents, also while other processes remove empty ones.
pub(super) fn make_directories(directory: &Path, storage: Storage) -> io::Result<()> {
    let mut outcome = storage.make_directories(directory);
    for _ in 1..DIRECTORY_RACES_MAX {
        let kind = outcome.as_ref().err().map(io::Error::kind);
        // a parent was removed again, or a directory that was there a moment ago
        if !matches!(kind, Some(io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists)) {
            break;
        }
        outcome = storage.make_directories(directory);
    }
    outcome
}

/// Removes the directory at `path` with all directories in it, as far as no file is in the way.
pub(super) fn remove_empty_directories(path: &Path) {
    let mut found: Vec<PathBuf> = vec![path.to_owned()];
    let mut next = 0;
    while let Some(directory) = found.get(next).cloned() {
        next += 1;
        let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
        found.extend(
            entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|e| e.path()),
        );
    }
    for directory in found.iter().rev() {
        let _empty_or_not = fs::remove_dir(directory);
    }
}

/// Removes the directories of `name` below `base` that are empty, but for the first two levels (`refs/heads`).
pub(super) fn remove_empty_parents(base: &Path, name: &BStr) {
    let directories: Vec<&BStr> = parents(name).skip(2).collect();
    for directory in directories.iter().rev() {
        if fs::remove_dir(base.join(directory.to_path_lossy())).is_err() {
            return;
        }
    }
}
