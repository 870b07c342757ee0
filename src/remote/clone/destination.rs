//! Where a clone goes, and how it goes away again if it fails.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bstr::{BStr, BString, ByteSlice};

use crate::remote::Error;

/// The directories of a clone to be made.
#[derive(Debug, Clone)]
pub struct Destination {
    /// The git directory.
    pub git_dir: PathBuf,
    /// The work tree; `None` for a bare clone.
    pub work_tree: Option<PathBuf>,
    /// What the user named: one of the two, or the directory of `.git`.
    directory: PathBuf,
    /// Whether the user said where the git directory goes.
    is_separate: bool,
    made: Made,
}

/// What a clone has made so far, each directory with whether it was there before; empty once the clone is whole. Shared
/// with whoever has to clean up when a signal ends the process.
pub type Made = Arc<Mutex<Vec<(PathBuf, bool)>>>;

impl Destination {
    /// The usual places below `directory`. An error if `directory` is there and holds anything.
    pub fn new(directory: &Path, is_bare: bool) -> Result<Self, Error> {
        if directory.as_os_str().is_empty() {
            let source = rustix::io::Errno::NOENT.into();
            return Err(Error::Io {
                action: "could not create work tree dir",
                path: directory.into(),
                source,
            });
        }
        if !is_missing_or_empty(directory) {
            return Err(Error::Usage(format!(
                "destination path '{}' already exists and is not an empty directory.",
                directory.display()
            )));
        }
        let directory = directory.to_owned();
        let (git_dir, work_tree) = if is_bare {
            (directory.clone(), None)
        } else {
            (directory.join(".git"), Some(directory.clone()))
        };
        Ok(Self { git_dir, work_tree, directory, is_separate: false, made: Made::default() })
    }

    /// The git directory elsewhere (`--separate-git-dir`); an error if it is there and holds anything.
    pub fn with_git_dir(self, git_dir: &Path) -> Result<Self, Error> {
        if !is_missing_or_empty(git_dir) {
            return Err(Error::Usage(format!(
                "repository path '{}' already exists and is not an empty directory.",
                git_dir.display()
            )));
        }
        Ok(Self { git_dir: git_dir.to_owned(), is_separate: true, ..self })
    }

    /// The work tree elsewhere (`GIT_WORK_TREE`), which makes the usual directory the git directory; an error if it is
    /// there.
    pub fn with_work_tree(self, work_tree: &Path) -> Result<Self, Error> {
        if fs::symlink_metadata(work_tree).is_ok() {
            return Err(Error::Usage(format!("working tree '{}' already exists.", work_tree.display())));
        }
        Ok(Self { git_dir: self.directory.clone(), work_tree: Some(work_tree.to_owned()), ..self })
    }

    /// The directory the user named.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What has been made so far.
    pub fn made(&self) -> Made {
        Arc::clone(&self.made)
    }

    /// Makes the directories; what is made goes away with the guard unless it is told to keep it. A git directory that the
    /// user named is not to be there, nor the work tree itself or above it.
    pub(super) fn make(&self) -> Result<Guard, Error> {
        let guard = Guard { made: self.made() };
        self.make_one(&self.directory)?;
        let is_elsewhere = |path: &&PathBuf| !path.starts_with(&self.directory);
        self.work_tree.iter().filter(is_elsewhere).try_for_each(|path| self.make_one(path))?;
        if self.is_separate && self.git_dir.exists() {
            return Err(Error::Usage(format!("{} already exists", self.git_dir.display())));
        }
        Some(&self.git_dir).into_iter().filter(is_elsewhere).try_for_each(|path| self.make_one(path))?;
        Ok(guard)
    }

    fn make_one(&self, directory: &Path) -> Result<(), Error> {
        let existed = make_or_find_empty(directory).map_err(|source| Error::Io {
            action: "could not create work tree dir",
            path: directory.to_owned(),
            source,
        })?;
        lock(&self.made).push((directory.to_owned(), existed));
        Ok(())
    }

    /// Removes what a clone left that was stopped by force: everything, or everything in a directory that was there.
    pub fn remove(directory: &Path, existed: bool) {
        /// Another thread may still be writing what is being removed.
        const TRIES: usize = 5;
        if !existed {
            for _ in 0..TRIES {
                match fs::remove_dir_all(directory) {
                    Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => {}
                    Ok(()) | Err(_) => break,
                }
            }
            return;
        }
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let _removed = if is_dir { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        }
    }
}

/// Removes a half-made clone when dropped.
pub(super) struct Guard {
    made: Made,
}

impl Guard {
    /// The clone is whole.
    pub(super) fn keep(self) {
        lock(&self.made).clear();
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut made = lock(&self.made);
        for (directory, existed) in made.drain(..) {
            Destination::remove(&directory, existed);
        }
    }
}

fn lock(made: &Made) -> std::sync::MutexGuard<'_, Vec<(PathBuf, bool)>> {
    made.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Makes `directory`, or finds it there and empty: what came since it was looked at first is nobody's to overwrite.
/// Tells whether it was there.
fn make_or_find_empty(directory: &Path) -> std::io::Result<bool> {
    if let Some(parent) = directory.parent() {
        fs::create_dir_all(parent)?;
    }
    match fs::create_dir(directory) {
        Ok(()) => Ok(false),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            match fs::read_dir(directory).map(|mut entries| entries.next().is_none()) {
                Ok(true) => Ok(true),
                // Something has come since it was looked at, or it is no directory.
                Ok(false) | Err(_) => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

fn is_missing_or_empty(directory: &Path) -> bool {
    match fs::read_dir(directory) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

/// The directory name that git makes of a URL or path: its last part, without `.git` or `.bundle`; a host alone gives
/// the host's name.
pub fn guess_directory(source: &BStr, is_bare: bool) -> Result<BString, Error> {
    let start = source.find("://").map_or(0, |at| at + 3);
    let mut text: &[u8] = source.get(start..).unwrap_or_default();
    // A user and password in front of the host say nothing about the repository.
    let authority_end = text.find_byte(b'/').unwrap_or(text.len());
    if let Some(at) = text.get(..authority_end).and_then(|authority| authority.rfind_byte(b'@')) {
        text = text.get(at + 1..).unwrap_or_default();
    }
    text = trim_end(text);
    if let Some(shorter) = text.strip_suffix(b"/.git") {
        text = trim_end(shorter);
    }
    // Of `host:/` nothing is left but the host.
    if start == 0 && !text.contains(&b'/') {
        text = text.strip_suffix(b":").unwrap_or(text);
    }
    // What is left has no path: a port is no name.
    if start > 0
        && !text.contains(&b'/')
        && let Some((host, port)) = text.rsplit_once_str(":")
        && port.iter().all(u8::is_ascii_digit)
    {
        text = host;
    }
    let is_part_end = |byte: u8| byte == b'/' || (byte == b':' && start == 0) || (byte == b':' && start > 0);
    let from = text.iter().rposition(|byte| is_part_end(*byte)).map_or(0, |at| at + 1);
    let mut name = text.get(from..).unwrap_or_default();
    for suffix in [&b".bundle"[..], b".git"] {
        if let Some(shorter) = name.strip_suffix(suffix) {
            name = shorter;
            break;
        }
    }
    let mut name = fold_blanks(name);
    if name.is_empty() || name == "/" {
        return Err(Error::Usage(
            "No directory name could be guessed.\nPlease specify a directory on the command line".into(),
        ));
    }
    if is_bare {
        name.extend_from_slice(b".git");
    }
    Ok(name)
}

fn trim_end(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| *byte != b'/' && !byte.is_ascii_whitespace());
    text.get(..end.map_or(0, |at| at + 1)).unwrap_or_default()
}

/// Control characters and blanks become one blank each run; none at either end.
fn fold_blanks(name: &[u8]) -> BString {
    let words = name.split(|byte| *byte <= b' ' || *byte == 0x7f).filter(|word| !word.is_empty());
    let mut folded = BString::default();
    for word in words {
        if !folded.is_empty() {
            folded.push(b' ');
        }
        folded.extend_from_slice(word);
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_guessed_as_git_does() {
        for (source, expected) in [
            ("https://host/foo/bar.git", "bar"),
            ("https://host/foo/bar.git/", "bar"),
            ("https://host/foo/bar/.git", "bar"),
            ("host:foo/bar.git", "bar"),
            ("host:bar", "bar"),
            ("host:/", "host"),
            ("user:passw@rd@host:/", "host"),
            ("ssh://host/", "host"),
            ("ssh://host:1234/", "host"),
            ("ssh://user:passw@rd@host:1234/", "host"),
            ("ssh://host/foo", "foo"),
            ("../up.git", "up"),
            ("/a/b/x.bundle", "x"),
            ("https://host/a  b.git", "a b"),
        ] {
            assert_eq!(guess_directory(source.into(), false).unwrap(), expected, "{source}");
        }
        assert_eq!(guess_directory("a/x".into(), true).unwrap(), "x.git");
        assert!(guess_directory("/".into(), false).is_err());
    }
}
