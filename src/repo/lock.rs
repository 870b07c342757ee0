//! `<file>.lock`: the new content of a file, which takes the file's place when it is complete.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use gix_tempfile::{AutoRemove, ContainingDirectory, Handle, handle::Writable};

use super::Error;
use super::reference::lock::unable_to_lock;
use crate::storage::Storage;

/// A lock that is held. Unless it is committed it is removed, also by the signals that end the process.
#[derive(Debug)]
pub struct LockFile {
    lock: Handle<Writable>,
    path: PathBuf,
}

impl LockFile {
    /// Makes `<path>.lock`, which must not exist; permissions are those of the file at `path`, if there is one, and those that
    /// `storage` says.
    pub fn acquire(path: &Path, storage: Storage) -> io::Result<Self> {
        let mut lock = Self::make(path)?;
        if let Ok(metadata) = std::fs::metadata(path) {
            lock.lock.with_mut(|file| file.as_file().set_permissions(metadata.permissions()))??;
        }
        storage.share(&path.with_added_extension("lock"))?;
        Ok(lock)
    }

    /// As [`Self::acquire`], with the permissions of a new file; an error is in git's words, with the whole path of the lock.
    pub fn hold(path: &Path, storage: Storage) -> Result<Self, Error> {
        Self::hold_target(path, path, storage)
    }

    /// As [`Self::hold`], but of a symbolic link at `path` the file that it leads to gets the new content.
    pub fn hold_through_links(path: &Path, storage: Storage) -> Result<Self, Error> {
        Self::hold_target(&gix_lock::acquire::resolve_symlink(path), path, storage)
    }

    fn hold_target(target: &Path, named: &Path, storage: Storage) -> Result<Self, Error> {
        let made = Self::make(target).and_then(|lock| {
            storage.share(&target.with_added_extension("lock"))?;
            Ok(lock)
        });
        made.map_err(|error| {
            let lock_path = named.with_added_extension("lock");
            let shown = std::path::absolute(&lock_path).unwrap_or(lock_path);
            Error::Reference(unable_to_lock(&shown, &error))
        })
    }

    fn make(path: &Path) -> io::Result<Self> {
        Ok(Self { lock: open(&path.with_added_extension("lock"))?, path: path.to_owned() })
    }

    /// Puts the lock in the file's place.
    pub fn commit(self) -> io::Result<()> {
        self.lock.persist(&self.path).map(drop).map_err(|error| error.error)
    }

    /// Removes the file, then the lock.
    pub(super) fn remove_file(self) -> io::Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl Write for LockFile {
    fn write(&mut self, content: &[u8]) -> io::Result<usize> {
        self.lock.with_mut(|file| file.write(content))?
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(unix)]
fn open(path: &Path) -> io::Result<Handle<Writable>> {
    use std::os::unix::fs::PermissionsExt;
    // less the umask, as git's files
    let mode = std::fs::Permissions::from_mode(0o666);
    gix_tempfile::writable_at_with_permissions(path, ContainingDirectory::Exists, AutoRemove::Tempfile, mode)
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<Handle<Writable>> {
    gix_tempfile::writable_at(path, ContainingDirectory::Exists, AutoRemove::Tempfile)
}
