//! Where a clone goes, and how it goes away again if it fails.

use std::fs;
use std::path::{Path, PathBuf};

use bstr::{BStr, BString, ByteSlice};

use crate::remote::Error;

/// The directories of a clone to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The git directory.
    pub git_dir: PathBuf,
    /// The work tree; `None` for a bare clone.
    pub work_tree: Option<PathBuf>,
    /// What the user named: one of the two, or the directory of `.git`.
    directory: PathBuf,
}

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
        Ok(if is_bare {
            Self { git_dir: directory.clone(), work_tree: None, directory }
        } else {
            Self { git_dir: directory.join(".git"), work_tree: Some(directory.clone()), directory }
        })
    }

    /// The git directory elsewhere (`--separate-git-dir`); an error if it is there and holds anything.
    pub fn with_git_dir(self, git_dir: &Path) -> Result<Self, Error> {
        if !is_missing_or_empty(git_dir) {
            return Err(Error::Usage(format!(
                "repository path '{}' already exists and is not an empty directory.",
                git_dir.display()
            )));
        }
        Ok(Self { git_dir: git_dir.to_owned(), ..self })
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

    /// All directories that a clone makes, each with whether it is there already.
    pub fn directories(&self) -> Vec<(PathBuf, bool)> {
        let mut all = vec![self.directory.as_path()];
        for path in std::iter::once(&self.git_dir).chain(&self.work_tree) {
            if !path.starts_with(&self.directory) {
                all.push(path);
            }
        }
        all.into_iter().map(|path| (path.to_owned(), path.exists())).collect()
    }

    /// Makes the directories; what is made goes away with the guard unless it is told to keep it.
    pub(super) fn make(&self) -> Result<Guard, Error> {
        let directories = self.directories();
        for (directory, _) in &directories {
            fs::create_dir_all(directory).map_err(|source| Error::Io {
                action: "could not create work tree dir",
                path: directory.clone(),
                source,
            })?;
        }
        Ok(Guard { directories, is_kept: false })
    }

    /// Removes what a clone left that was stopped by force: everything, or everything in a directory that was there.
    pub fn remove(directory: &Path, existed: bool) {
        if !existed {
            let _removed_or_gone = fs::remove_dir_all(directory);
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
    directories: Vec<(PathBuf, bool)>,
    is_kept: bool,
}

impl Guard {
    /// The clone is whole.
    pub(super) fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.is_kept {
            for (directory, existed) in &self.directories {
                Destination::remove(directory, *existed);
            }
        }
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
