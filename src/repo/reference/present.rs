//! Which files are there at all, for whoever would look for many in few directories.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

/// So many files looked for in one directory are worth its being listed.
const LISTED_FROM: usize = 16;

/// Directories in which many files are looked for. Each is listed when the first is asked for, so nobody else may make
/// one of the files from then on: the refs that they belong to must be locked.
pub(super) struct Present {
    directories: HashMap<PathBuf, Directory>,
    /// What a lock counts for.
    locks: Locks,
}

/// What the lock of a file counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Locks {
    /// For nothing: it is ours.
    Ours,
    /// For the file: somebody is about to make it.
    Others,
}

/// What is known of one.
enum Directory {
    /// So many files will be looked for.
    Unlisted(usize),
    /// The files in it, letters made small.
    Listed(HashSet<Vec<u8>>),
    /// It is not there, or cannot be read: then whoever opens the file finds out.
    Absent,
    Unreadable,
}

impl Present {
    /// For whoever will look for `paths`.
    pub(super) fn new(paths: impl Iterator<Item = PathBuf>, locks: Locks) -> Self {
        let mut directories: HashMap<PathBuf, Directory> = HashMap::new();
        for path in paths {
            let Some(parent) = path.parent() else { continue };
            match directories.get_mut(parent) {
                Some(Directory::Unlisted(count)) => *count += 1,
                Some(_) => {}
                None => drop(directories.insert(parent.to_owned(), Directory::Unlisted(1))),
            }
        }
        Self { directories, locks }
    }

    /// Whether there may be a file at `path`, or anything else; false is certain.
    pub(super) fn may_be(&mut self, path: &Path) -> bool {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return true };
        let Some(directory) = self.directories.get_mut(parent) else { return true };
        if let Directory::Unlisted(count) = directory {
            if *count < LISTED_FROM {
                return true;
            }
            *directory = Directory::list(parent, self.locks);
        }
        match (directory, folded(name.as_encoded_bytes())) {
            (Directory::Absent, _) => false,
            (Directory::Listed(names), Some(name)) => names.contains(&name),
            // what a file system takes for the same letters is its own affair
            (Directory::Listed(_), None) | (Directory::Unlisted(_) | Directory::Unreadable, _) => true,
        }
    }
}

impl Directory {
    fn list(path: &Path, locks: Locks) -> Self {
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Self::Absent,
            Err(_) => return Self::Unreadable,
        };
        let mut names = HashSet::new();
        for entry in entries {
            let Ok(entry) = entry else { return Self::Unreadable };
            let name = entry.file_name();
            let locked = name.as_encoded_bytes().strip_suffix(b".lock");
            match (locked, locks) {
                (None, _) => names.extend(folded(name.as_encoded_bytes())),
                (Some(_), Locks::Ours) => {}
                (Some(locked), Locks::Others) => names.extend(folded(locked)),
            }
        }
        Self::Listed(names)
    }
}

/// The name in small letters, since there are file systems to which those are the same; `None` if it is not ASCII.
fn folded(bytes: &[u8]) -> Option<Vec<u8>> {
    bytes.is_ascii().then(|| bytes.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_certainly_absent_is_said_to_be() {
        let directory = tempfile::tempdir().unwrap();
        let many = directory.path().join("many");
        fs::create_dir(&many).unwrap();
        for name in ["here", "Large", "\u{e4}", "b.lock"] {
            fs::write(many.join(name), "").unwrap();
        }
        fs::create_dir(many.join("inner")).unwrap();
        let few = directory.path().join("few");
        let absent = directory.path().join("absent");
        let asked = (0..LISTED_FROM)
            .flat_map(|number| [many.join(number.to_string()), absent.join(number.to_string())]);
        let asked: Vec<PathBuf> = asked.chain([few.join("a")]).collect();
        let mut careful = Present::new(asked.iter().cloned(), Locks::Others);
        assert!(careful.may_be(&many.join("b")) && !careful.may_be(&many.join("7")));
        let mut present = Present::new(asked.into_iter(), Locks::Ours);
        for name in ["here", "HERE", "large", "Large", "\u{e4}", "\u{c4}", "inner"] {
            assert!(present.may_be(&many.join(name)), "{name}");
        }
        assert!(!present.may_be(&many.join("b")) && !present.may_be(&many.join("7")));
        assert!(!present.may_be(&absent.join("7")));
        assert!(present.may_be(&few.join("a")), "few are looked for one by one");
    }
}
