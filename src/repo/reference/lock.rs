//! Lock files, and git's words for those that cannot be had.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use gix_lock::acquire::Fail;

use super::directory::{DIRECTORY_RACES_MAX, make_directories};
pub(super) use crate::repo::system_text as reason;
use crate::storage::{Component, Storage};

/// Locks the file at `path` with `content` in the lock; an error is git's text.
pub(super) fn lock_ref(
    path: &Path,
    (timeout, storage): (Duration, Storage),
    content: &[u8],
) -> Result<gix_lock::Marker, String> {
    let lock_path = lock_path(path);
    let parent = path.parent().unwrap_or(path);
    for _ in 0..DIRECTORY_RACES_MAX {
        let acquired = gix_lock::File::acquire(path, Fail::from(timeout), None, storage.bits(), None);
        let mut lock = match acquired {
            Ok(lock) => lock,
            Err(error) => {
                let error = lock_error(error.downcast_any_ref(), error.is_retryable());
                if error.kind() != io::ErrorKind::NotFound {
                    return Err(unable_to_lock(&lock_path, &error));
                }
                // not there yet, or another process has just removed it because it was empty
                make_directories(parent, storage).map_err(|error| unable_to_lock(&lock_path, &error))?;
                continue;
            }
        };
        let written =
            lock.write_all(content).and_then(|()| sync(&mut lock, storage)).and_then(|()| lock.close());
        return written.map_err(|error| format!("unable to write '{}': {error}", lock_path.display()));
    }
    Err(unable_to_lock(&lock_path, &io::ErrorKind::NotFound.into()))
}

/// Sees to it that what is in the lock of a ref outlasts a crash of the system, if that is asked for.
pub(in crate::repo) fn sync(lock: &mut gix_lock::File, storage: Storage) -> io::Result<()> {
    lock.with_mut(|file| storage.sync(Component::Reference, file))
}

/// The lock of the file at `path`.
pub(super) fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

/// git's words for a lock that cannot be taken.
pub(in crate::repo) fn unable_to_lock(lock: &Path, error: &io::Error) -> String {
    let lock = lock.display();
    if error.kind() == io::ErrorKind::AlreadyExists {
        return format!(
            "Unable to create '{lock}': File exists.\n\n\
             Another git process seems to be running in this repository, e.g.\n\
             an editor opened by 'git commit'. Please make sure all processes\n\
             are terminated then try again. If it still fails, a git process\n\
             may have crashed in this repository earlier:\n\
             remove the file manually to continue."
        );
    }
    format!("Unable to create '{lock}': {}", reason(error))
}

/// The system's error in one of gix-lock, which tells a held lock by `is_held`.
pub(in crate::repo) fn lock_error(found: Option<&io::Error>, is_held: bool) -> io::Error {
    match found {
        _ if is_held => io::ErrorKind::AlreadyExists.into(),
        Some(error) => error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error),
        None => io::ErrorKind::Other.into(),
    }
}
