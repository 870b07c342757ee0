//! Files and directories that are needed for a while, such as a download: removed when dropped, also by the signals that end the process.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use gix_tempfile::handle::Writable;
use gix_tempfile::{AutoRemove, ContainingDirectory, Handle};

/// The directories that are there for a while: the process's, as the list of temporary files is.
static DIRECTORIES: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// How often a directory is removed that somebody is still writing to.
const REMOVALS_MAX: usize = 10;

/// A directory that is needed for a while: removed with all that is in it when dropped, also by the signals that end the
/// process.
#[derive(Debug)]
pub struct TemporaryDirectory(PathBuf);

impl TemporaryDirectory {
    /// Makes an empty one in `directory`, whose name begins with `prefix`.
    pub fn create(directory: &Path, prefix: &str) -> io::Result<Self> {
        // held, so that a signal finds it in the list once it is on disk
        let mut directories = DIRECTORIES.lock().unwrap_or_else(PoisonError::into_inner);
        let path = tempfile::Builder::new().prefix(prefix).tempdir_in(directory)?.keep();
        directories.push(path.clone());
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        remove(&self.0);
        let mut directories = DIRECTORIES.lock().unwrap_or_else(PoisonError::into_inner);
        directories.retain(|known| *known != self.0);
    }
}

/// Removes all directories that are there for a while.
pub(super) fn remove_directories() {
    let directories = DIRECTORIES.lock().unwrap_or_else(PoisonError::into_inner);
    directories.iter().for_each(|directory| remove(directory));
}

fn remove(directory: &Path) {
    for _ in 0..REMOVALS_MAX {
        match std::fs::remove_dir_all(directory) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            // what cannot be removed now could not be a moment later
            Ok(()) | Err(_) => return,
        }
    }
}

/// The file.
#[derive(Debug)]
pub struct TemporaryFile {
    handle: Handle<Writable>,
    path: PathBuf,
}

impl TemporaryFile {
    /// Makes an empty one in `directory`, under a name that nothing has.
    pub fn create(directory: &Path) -> io::Result<Self> {
        let mut handle = gix_tempfile::new(directory, ContainingDirectory::Exists, AutoRemove::Tempfile)?;
        let path = handle.with_mut(|file| file.path().to_owned())?;
        Ok(Self { handle, path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens it from its beginning.
    pub fn open(&self) -> io::Result<BufReader<File>> {
        Ok(BufReader::new(File::open(&self.path)?))
    }
}

impl Write for TemporaryFile {
    fn write(&mut self, content: &[u8]) -> io::Result<usize> {
        self.handle.with_mut(|file| file.write(content))?
    }

    fn flush(&mut self) -> io::Result<()> {
        self.handle.with_mut(Write::flush)?
    }
}
