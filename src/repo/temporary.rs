//! A file that is needed for a while, such as a download: removed when dropped, also by the signals that end the process.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};

use gix_tempfile::handle::Writable;
use gix_tempfile::{AutoRemove, ContainingDirectory, Handle};

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
