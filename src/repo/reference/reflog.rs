//! Reflogs: one line `<old> <new> <committer>\t<message>` for each change of a ref (gitrepository-layout(5)).

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use bstr::{BStr, BString};
use gix_hash::ObjectId;

use super::directory::{DIRECTORY_RACES_MAX, make_directories, remove_empty_directories};
use super::files::Files;
use crate::repo::Error;
use crate::storage::Storage;

/// Which refs get a reflog that have none yet (`core.logAllRefUpdates`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LogAll {
    /// None.
    Never,
    /// Branches, remote-tracking branches, notes and `HEAD`.
    Branches,
    /// All below `refs/`, and `HEAD`.
    Always,
}

/// One line of a reflog.
pub(super) struct Line<'a> {
    pub old: ObjectId,
    pub new: ObjectId,
    /// `Name <email> seconds zone`.
    pub committer: &'a BStr,
    pub message: &'a BStr,
}

impl LogAll {
    /// Whether `name` gets a reflog.
    pub(super) fn wants(self, name: &BStr) -> bool {
        const KINDS: [&[u8]; 3] = [b"refs/heads/", b"refs/remotes/", b"refs/notes/"];
        match self {
            Self::Never => false,
            Self::Branches => name == "HEAD" || KINDS.iter().any(|kind| name.starts_with(kind)),
            Self::Always => name == "HEAD" || name.starts_with(b"refs/"),
        }
    }
}

/// Adds `line` to the reflog of `name`, if it has or gets one.
pub(super) fn append(files: &Files, log_all: LogAll, name: &BStr, line: &Line<'_>) -> Result<(), Error> {
    let path = files.log_path(name);
    let opened = if log_all.wants(name) { create(&path, files.storage) } else { open_existing(&path) };
    let file = opened.map_err(|error| {
        if path.is_dir() {
            Error::Reference(format!(
                "cannot update the ref '{name}': there are still logs under '{}'",
                path.display()
            ))
        } else {
            unable_to_append(name, &path, &error)
        }
    })?;
    let Some(mut file) = file else { return Ok(()) };
    file.write_all(&encode(line)).map_err(|error| unable_to_append(name, &path, &error))
}

/// The line with its terminator.
fn encode(line: &Line<'_>) -> Vec<u8> {
    let mut bytes = format!("{} {} ", line.old, line.new).into_bytes();
    bytes.extend_from_slice(line.committer);
    let message = clean(line.message);
    if !message.is_empty() {
        bytes.push(b'\t');
        bytes.extend_from_slice(&message);
    }
    bytes.push(b'\n');
    bytes
}

/// Each run of white space becomes one space; none is left at the ends.
pub(super) fn clean(message: &BStr) -> BString {
    let words: Vec<&[u8]> = message.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect();
    words.join(&b' ').into()
}

fn create(path: &Path, storage: Storage) -> io::Result<Option<File>> {
    for _ in 0..DIRECTORY_RACES_MAX {
        match OpenOptions::new().append(true).create(true).open(path) {
            Ok(file) => {
                // one that another user has made is for him to share
                let _ours_or_not = storage.share(path);
                return Ok(Some(file));
            }
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound => make_directories(path.parent().unwrap_or(path), storage)?,
                io::ErrorKind::IsADirectory => {
                    remove_empty_directories(path);
                    if path.is_dir() {
                        return Err(error);
                    }
                }
                _ => return Err(error),
            },
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

fn open_existing(path: &Path) -> io::Result<Option<File>> {
    match OpenOptions::new().append(true).open(path) {
        Ok(file) => Ok(Some(file)),
        // a directory in its place belongs to other refs' logs
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn unable_to_append(name: &BStr, path: &Path, error: &io::Error) -> Error {
    let reason = super::lock::reason(error);
    Error::Reference(format!(
        "cannot update the ref '{name}': unable to append to '{}': {reason}",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_folded_to_one_line() {
        assert_eq!(clean(" a  b\n\tc \n".into()), "a b c");
        assert_eq!(clean("\n".into()), "");
    }

    #[test]
    fn only_some_refs_are_logged_by_default() {
        for (name, branches, always) in [
            ("HEAD", true, true),
            ("refs/heads/a", true, true),
            ("refs/remotes/o/a", true, true),
            ("refs/notes/commits", true, true),
            ("refs/tags/v1", false, true),
            ("FETCH_HEAD", false, false),
        ] {
            assert_eq!(LogAll::Branches.wants(name.into()), branches, "{name}");
            assert_eq!(LogAll::Always.wants(name.into()), always, "{name}");
            assert!(!LogAll::Never.wants(name.into()), "{name}");
        }
    }
}
