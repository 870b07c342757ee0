//! Files that are not there yet: written under a temporary name, removed unless everything went well.

use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use gix_tempfile::handle::Writable;
use gix_tempfile::{AutoRemove, ContainingDirectory, Handle};

use super::Error;
use crate::storage::{Component, Storage};

/// How often another name is tried when one is taken, as mkstemp(3) does.
const NAMES_TRIED_MAX: usize = 64;

/// A temporary file; dropped, or when a signal ends the process, it is removed.
pub(super) struct Temporary {
    handle: Handle<Writable>,
    /// Open for reading and writing.
    pub file: File,
    /// Its present name.
    pub path: PathBuf,
    storage: Storage,
}

impl Temporary {
    /// Creates a file in `directory`, which is created if missing, with a name of `prefix` and six random characters.
    /// Others may only read it, as C git has it: the mode is 0444 less the umask, unless `storage` says more.
    pub fn create(directory: &Path, prefix: &str, storage: Storage) -> Result<Self, Error> {
        let failed = |source| Error::Write { path: directory.to_owned(), source };
        storage.make_directories(directory).map_err(failed)?;
        for _ in 0..NAMES_TRIED_MAX {
            let path = directory.join(format!("{prefix}{}", random_name()));
            match create_registered(&path) {
                Ok((handle, file)) => {
                    let shared = storage.share(&path);
                    let made = Self { handle, file, path, storage };
                    return shared.map_err(|source| made.error(source)).map(|()| made);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(Error::Write { path, source }),
            }
        }
        Err(failed(io::ErrorKind::AlreadyExists.into()))
    }

    /// Sees to it that the content survives a crash of the system, if that is asked for `component`.
    pub fn sync(&self, component: Component) -> Result<(), Error> {
        self.storage.sync(component, &self.file).map_err(|source| self.error(source))
    }

    /// Gives the file its lasting name, replacing what has it.
    pub fn persist(self, path: &Path) -> Result<(), Error> {
        let persisted = self.handle.persist(path);
        drop(persisted.map_err(|error| Error::Write { path: path.to_owned(), source: error.error })?);
        Ok(())
    }

    /// What to say when writing to the file failed.
    pub fn error(&self, source: io::Error) -> Error {
        Error::Write { path: self.path.clone(), source }
    }
}

fn create_registered(path: &Path) -> io::Result<(Handle<Writable>, File)> {
    #[cfg(unix)]
    let mut handle = {
        use std::os::unix::fs::PermissionsExt;
        let readable = std::fs::Permissions::from_mode(0o444);
        let existing = ContainingDirectory::Exists;
        gix_tempfile::writable_at_with_permissions(path, existing, AutoRemove::Tempfile, readable)?
    };
    #[cfg(not(unix))]
    let mut handle = gix_tempfile::writable_at(path, ContainingDirectory::Exists, AutoRemove::Tempfile)?;
    let file = handle.with_mut(|file| file.as_file().try_clone())??;
    Ok((handle, file))
}

/// Six characters out of 36.
fn random_name() -> String {
    const CHARACTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    // The state of each map's hasher is random; nothing more is needed to avoid names in use.
    let mut random = RandomState::new().build_hasher().finish();
    let mut name = String::new();
    for _ in 0..6 {
        let at = usize::try_from(random % 36).unwrap_or(0);
        name.push(CHARACTERS.get(at).copied().map_or('x', char::from));
        random /= 36;
    }
    name
}
