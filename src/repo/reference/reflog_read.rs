//! Reading reflogs: what a ref was before. git-reflog(1).

use std::io;

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;

use super::files::{Files, is_valid_name};
use crate::repo::{Error, Repository};

/// One change of a ref, as its reflog tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// What the ref was before; the null id if it was created.
    pub old: ObjectId,
    /// What it became.
    pub new: ObjectId,
    /// `Name <email>` of who moved it.
    pub committer: BString,
    /// When, in seconds since 1970.
    pub seconds: i64,
    /// The zone as it is written: `+0130` is 130.
    pub zone: i32,
    /// Why, without the line feed, such as `commit: subject`.
    pub message: BString,
}

impl Repository {
    /// The reflog of the ref `name` (full name), newest entry first; empty if there is none. Lines that are no
    /// entries are passed over, as C git does.
    pub fn reflog(&self, name: &BStr) -> Result<Vec<LogEntry>, Error> {
        self.ref_store().log(name)
    }

    /// Whether the ref `name` (full name) has a reflog, even an empty one.
    pub fn has_reflog(&self, name: &BStr) -> bool {
        self.ref_store().has_log(name)
    }
}

impl Files {
    pub(super) fn read_log(&self, name: &BStr) -> Result<Vec<LogEntry>, Error> {
        if !is_valid_name(name) {
            return Ok(Vec::new());
        }
        let path = self.log_path(name);
        match std::fs::read(&path) {
            Ok(content) => {
                Ok(content.lines().rev().filter_map(|line| parse(line, self.object_hash)).collect())
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory
                ) =>
            {
                Ok(Vec::new())
            }
            Err(source) => Err(Error::Io { action: "unable to read", path, source }),
        }
    }
}

/// One line; `None` if it is no entry.
fn parse(line: &[u8], object_hash: gix_hash::Kind) -> Option<LogEntry> {
    let (old, rest) = id(line, object_hash)?;
    let (new, rest) = id(rest, object_hash)?;
    let (committer, rest) = rest.split_at_checked(rest.find_byte(b'>')? + 1)?;
    let (time, message) = rest.split_once_str("\t").unwrap_or((rest, b""));
    let mut time = time.to_str().ok()?.split_ascii_whitespace();
    Some(LogEntry {
        old,
        new,
        committer: committer.into(),
        seconds: time.next()?.parse().ok()?,
        zone: time.next()?.parse().ok()?,
        message: message.into(),
    })
}

/// An id at the beginning, and what stands behind the space after it.
fn id(line: &[u8], object_hash: gix_hash::Kind) -> Option<(ObjectId, &[u8])> {
    let (hex, rest) = line.split_at_checked(object_hash.len_in_hex())?;
    Some((ObjectId::from_hex(hex).ok()?, rest.strip_prefix(b" ")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_newest_first_and_bad_lines_are_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let files = Files {
            git_dir: directory.path().to_owned(),
            common_dir: directory.path().to_owned(),
            object_hash: gix_hash::Kind::Sha1,
            storage: crate::storage::Storage::default(),
        };
        let (zero, one, two) = ("0".repeat(40), "1".repeat(40), "2".repeat(40));
        let text = format!(
            "{zero} {one} A B <a@b> 1700000000 +0100\tcommit: a\tb\n{one} {two} A <> x +0000\tbad date\n\
             {one}{two} A <> 5 +0000\n{one} {two} A <> 5 -0130\n"
        );
        std::fs::create_dir_all(directory.path().join("logs/refs/heads")).unwrap();
        std::fs::write(directory.path().join("logs/refs/heads/main"), text).unwrap();
        let log = files.read_log("refs/heads/main".into()).unwrap();
        let [newest, oldest] = &log[..] else { panic!("{log:?}") };
        assert_eq!((newest.seconds, newest.zone, newest.message.as_bstr()), (5, -130, "".into()));
        assert_eq!(oldest.committer, "A B <a@b>");
        assert_eq!(oldest.message, "commit: a\tb");
        assert_eq!((oldest.old, oldest.new), (gix_hash::Kind::Sha1.null(), newest.old));
        for absent in ["refs/heads", "refs/heads/main/sub", "refs/heads/../heads/main"] {
            assert_eq!(files.read_log(absent.into()).unwrap(), [], "{absent}");
        }
    }
}
