//! The place where files are made. Nothing is written through a symbolic link; what is in the way is removed, as git does.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use bstr::{BStr, BString, ByteSlice};

use super::index::{Mode, Stat};

/// What is gathered of a stream before it is written, in bytes.
const WRITTEN_AT_ONCE: usize = 128 * 1024;

/// Which file something is.
pub(super) type DeviceInode = (u32, u32);

/// The place where files are made.
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
    /// Makes a file; [`io::ErrorKind::AlreadyExists`] where something is.
    pub fn file(&mut self, path: &BStr, mode: Mode, content: Content<'_>) -> io::Result<Stat> {
        let full = self.prepare(path)?;
        let file = create_new(&full, mode)?;
        fill(file, &full, content)
    }

    /// Makes a file in place of whatever is there; tells what that was, if it was something.
    pub fn file_over(
        &mut self,
        path: &BStr,
        mode: Mode,
        content: Content<'_>,
    ) -> io::Result<(Stat, Option<DeviceInode>)> {
        let full = self.prepare(path)?;
        let (file, taken) = match create_new(&full, mode) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let taken = self.make_way(path)?;
                (create_new(&full, mode)?, taken)
            }
            created => (created?, None),
        };
        Ok((fill(file, &full, content)?, taken))
    }

    /// Makes a symbolic link in place of whatever is there. A directory stays, and nothing is known of the link then, as in
    /// git 2.47.3.
    pub fn symlink(&mut self, path: &BStr, target: &[u8]) -> io::Result<(Stat, Option<DeviceInode>)> {
        if !self.symlinks {
            return self.file_over(path, Mode::File, Content::Bytes(target));
        }
        let full = self.prepare(path)?;
        let target = target.to_path().map_err(io::Error::other)?;
        let mut taken = None;
        if let Err(error) = link(target, &full) {
            if error.kind() != io::ErrorKind::AlreadyExists {
                return Err(error);
            }
            let metadata = fs::symlink_metadata(&full)?;
            taken = Some(Stat::new(&metadata).device_inode);
            if metadata.is_dir() {
                return Ok((Stat::default(), taken));
            }
            fs::remove_file(&full)?;
            link(target, &full)?;
        }
        Ok((Stat::new(&fs::symlink_metadata(&full)?), taken))
    }

    /// Makes the empty directory of a submodule. One that is there is taken as it is, and nothing is known of it then.
    pub fn submodule(&mut self, path: &BStr) -> io::Result<(Stat, Option<DeviceInode>)> {
        let full = self.prepare(path)?;
        let mut taken = None;
        if let Err(error) = fs::create_dir(&full) {
            if error.kind() != io::ErrorKind::AlreadyExists {
                return Err(error);
            }
            if fs::symlink_metadata(&full)?.is_dir() {
                return Ok((Stat::default(), None));
            }
            taken = self.make_way(path)?;
            fs::create_dir(&full)?;
        }
        Ok((Stat::new(&fs::symlink_metadata(&full)?), taken))
    }

    /// Removes what is where the file `path` is to be; tells what it was, if it was something.
    pub fn make_way(&mut self, path: &BStr) -> io::Result<Option<DeviceInode>> {
        let full = self.prepare(path)?;
        let metadata = match fs::symlink_metadata(&full) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if metadata.is_dir() {
            // what is known to be a directory may have been in there
            self.current.clear();
            fs::remove_dir_all(&full)?;
        } else {
            fs::remove_file(&full)?;
        }
        Ok(Some(Stat::new(&metadata).device_inode))
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
                // An own one, in other case; never through a link.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    if !fs::symlink_metadata(&full)?.is_dir() {
                        fs::remove_file(&full)?;
                        fs::create_dir(&full)?;
                    }
                }
                made => made?,
            }
        }
        self.current = directory.to_owned();
        Ok(())
    }
}

/// Writes `content` into the new `file` at `path`, or removes it.
fn fill(mut file: File, path: &Path, content: Content<'_>) -> io::Result<Stat> {
    if let Err(error) = content.write_to(&mut file) {
        drop(file);
        // The first error says more than that of the removal would.
        drop(fs::remove_file(path));
        return Err(error);
    }
    Ok(Stat::new(&file.metadata()?))
}

#[cfg(unix)]
fn link(target: &Path, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(windows)]
fn link(target: &Path, path: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, path)
}

/// Makes a file that was not there; the umask takes what it takes from 0666 or 0777.
fn create_new(path: &Path, mode: Mode) -> io::Result<File> {
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
