//! The place where files are made. Nothing is written through a symbolic link, and nothing over what is there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::path::PathBuf;

use bstr::{BStr, BString, ByteSlice};

use super::index::{Mode, Stat};

/// What is gathered of a stream before it is written, in bytes.
const WRITTEN_AT_ONCE: usize = 128 * 1024;

/// The place where files are made. Each function fails with [`io::ErrorKind::AlreadyExists`] where something is.
#[derive(Clone)]
pub(super) struct WorkTree {
    pub path: PathBuf,
    /// The directory, from the top, that is known to be one, with all above it.
    pub current: BString,
    /// Whether the file system has symbolic links.
    pub symlinks: bool,
}

/// The content of a file.
pub(super) enum Content<'a> {
    Bytes(&'a [u8]),
    /// What is too large to be in memory.
    Stream(Box<dyn Read + 'a>),
}

impl Content<'_> {
    fn write_to(self, file: &mut File) -> io::Result<()> {
        match self {
            Self::Bytes(bytes) => file.write_all(bytes),
            Self::Stream(mut stream) => {
                let mut out = BufWriter::with_capacity(WRITTEN_AT_ONCE, file);
                io::copy(&mut stream, &mut out).and_then(|_| out.flush())
            }
        }
    }
}

impl WorkTree {
    pub fn file(&mut self, path: &BStr, mode: Mode, content: Content<'_>) -> io::Result<Stat> {
        let full = self.prepare(path)?;
        let mut file = create_new(&full, mode)?;
        if let Err(error) = content.write_to(&mut file) {
            drop(file);
            // The first error says more than that of the removal would.
            drop(fs::remove_file(&full));
            return Err(error);
        }
        Ok(Stat::new(&file.metadata()?))
    }

    pub fn symlink(&mut self, path: &BStr, target: &[u8]) -> io::Result<Stat> {
        if !self.symlinks {
            return self.file(path, Mode::File, Content::Bytes(target));
        }
        let full = self.prepare(path)?;
        let target = target.to_path().map_err(io::Error::other)?;
        #[cfg(unix)]
        std::os::unix::fs::symlink(target, &full)?;
        #[cfg(windows)]
        std::os::windows::fs::symlink_file(target, &full)?;
        Ok(Stat::new(&fs::symlink_metadata(&full)?))
    }

    /// Makes the empty directory of a submodule.
    pub fn submodule(&mut self, path: &BStr) -> io::Result<Stat> {
        let full = self.prepare(path)?;
        fs::create_dir(&full)?;
        Ok(Stat::new(&fs::symlink_metadata(&full)?))
    }

    /// Makes the directories above `path` and gives its full name.
    fn prepare(&mut self, path: &BStr) -> io::Result<PathBuf> {
        let directory = path.rfind_byte(b'/').and_then(|end| path.get(..end)).unwrap_or_default();
        if self.current != directory {
            self.enter(directory.as_bstr())?;
        }
        Ok(self.path.join(path.to_path().map_err(io::Error::other)?))
    }

    /// Makes those of the directories down to `directory` that are not known.
    fn enter(&mut self, directory: &BStr) -> io::Result<()> {
        let ends = directory.find_iter(b"/").chain(Some(directory.len()));
        for above in ends.filter_map(|end| directory.get(..end)).filter(|above| !above.is_empty()) {
            let rest = self.current.strip_prefix(above);
            if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/")) {
                continue;
            }
            let full = self.path.join(above.to_path().map_err(io::Error::other)?);
            match fs::create_dir(&full) {
                // An own one, in other case or from before the symbolic links; never through a link.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    if !fs::symlink_metadata(&full)?.is_dir() {
                        return Err(error);
                    }
                }
                made => made?,
            }
        }
        self.current = directory.to_owned();
        Ok(())
    }
}

/// Makes a file that was not there; the umask takes what it takes from 0666 or 0777.
fn create_new(path: &std::path::Path, mode: Mode) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if mode == Mode::Executable {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o777);
    }
    #[cfg(not(unix))]
    let _ = mode;
    options.open(path)
}
