//! What makes two requests the same: what they ask, the configuration, and the state of the repository. That is told by the times
//! of the directories and files that change with it ([`stamp`]); where those are too young to be told apart from a change that
//! follows at once, nothing is kept.

use std::fs::{self, Metadata};
use std::io::{self, BufRead as _, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use flate2::read::GzDecoder;

use crate::protocol::pktline::{Packet, Reader};
use crate::repo::Repository;
use crate::server::http::Request;

/// Directories below `refs/` that are looked at; a repository with more has its answers made anew each time.
const DIRECTORIES_MAX: usize = 2_000;
/// What has changed within this time may change again without a trace.
const RACY: Duration = Duration::from_millis(50);
/// Bytes of a request that are compared.
const REQUEST_LEN_MAX: u64 = 4 << 20;
/// What makes two requests the same: a hash.
pub(in crate::listen) type Key = [u8; 32];

/// What makes a request for a pack or a list the same as another: what it asks of which repository in which state, with which
/// configuration, wherever that stands. `None` if that cannot be told.
pub(in crate::listen) fn key(repo: &Repository, request: &Request, body: &[u8]) -> Option<Key> {
    let git_dir = repo.git_dir.canonicalize().ok()?;
    let stamp = stamp(&git_dir, SystemTime::now().checked_sub(RACY)?)?;
    let mut hasher = gix_hash::hasher(gix_hash::Kind::Sha256);
    let mut add = |bytes: &[u8]| {
        hasher.update(&bytes.len().to_le_bytes());
        hasher.update(bytes);
    };
    add(git_dir.as_os_str().as_encoded_bytes());
    add(repo.env.get("GIT_PROTOCOL").unwrap_or_default().as_encoded_bytes());
    add(&request.content_type);
    add(&request.content_encoding);
    add(&stamp);
    add(&repo.config.fingerprint());
    add(&plain(body)?);
    hasher.try_finalize().ok()?.as_slice().try_into().ok()
}

/// What a packet is, in front of what it says.
const FLUSH: u8 = 0;
const DELIMITER: u8 = 1;
const DATA: u8 = 2;

/// A request without what does not matter for its answer: who asks. That is told in the lines in front of the arguments, and
/// nowhere else; that it is told may matter.
fn plain(request: &[u8]) -> Option<Vec<u8>> {
    let mut inflated = Vec::new();
    let bytes = if request.starts_with(&[0x1f, 0x8b]) {
        GzDecoder::new(request).take(REQUEST_LEN_MAX).read_to_end(&mut inflated).ok()?;
        inflated.as_slice()
    } else {
        request
    };
    let mut rest = bytes;
    let mut kept = Vec::new();
    let mut is_preamble = true;
    while !rest.fill_buf().ok()?.is_empty() {
        let mut reader = Reader::new(&mut rest);
        let (kind, data) = match reader.read().ok()? {
            Packet::Data(data) => (DATA, data),
            Packet::Flush => (FLUSH, &[][..]),
            Packet::Delimiter => (DELIMITER, &[][..]),
            Packet::ResponseEnd => return None,
        };
        is_preamble &= kind == DATA;
        let names: [&[u8]; 2] = [b"agent=", b"session-id="];
        let name = names.into_iter().find(|name| is_preamble && data.starts_with(name));
        let data = name.unwrap_or(data);
        kept.push(kind);
        kept.extend_from_slice(&data.len().to_le_bytes());
        kept.extend_from_slice(data);
    }
    Some(kept)
}

/// The files and directories that change with what a repository answers, besides those below `refs`.
const WATCHED: [&str; 8] = [
    "HEAD",
    "config",
    "packed-refs",
    "reftable/tables.list",
    "shallow",
    "objects",
    "objects/pack",
    "objects/info/alternates",
];

/// What a repository is at this moment: where its refs, packs and configuration stand. `None` if it has just changed or has
/// too many directories. Nothing may have changed since `newest_allowed`.
fn stamp(git_dir: &Path, newest_allowed: SystemTime) -> Option<Vec<u8>> {
    let mut stamp = Vec::new();
    let mut add = |data: &Metadata| {
        for number in [data.mtime(), data.mtime_nsec(), data.ctime(), data.ctime_nsec()] {
            stamp.extend_from_slice(&number.to_le_bytes());
        }
        stamp.extend_from_slice(&data.ino().to_le_bytes());
        stamp.extend_from_slice(&data.len().to_le_bytes());
        data.modified().is_ok_and(|time| time < newest_allowed)
    };
    if git_dir.join("commondir").exists() {
        return None;
    }
    for name in WATCHED {
        match fs::metadata(git_dir.join(name)) {
            Ok(data) if !add(&data) => return None,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => return None,
        }
    }
    let mut ahead = vec![git_dir.join("refs")];
    let mut count = 0;
    while let Some(directory) = ahead.pop() {
        count += 1;
        if count > DIRECTORIES_MAX || !add(&fs::metadata(&directory).ok()?) {
            return None;
        }
        for entry in fs::read_dir(&directory).ok()? {
            let entry = entry.ok()?;
            let kind = entry.file_type().ok()?;
            if kind.is_symlink() {
                // what changes behind it is not seen
                return None;
            }
            if kind.is_dir() {
                ahead.push(entry.path());
            }
        }
    }
    Some(stamp)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    fn repository() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("refs/heads/a")).unwrap();
        fs::create_dir_all(directory.path().join("objects/pack")).unwrap();
        for name in ["HEAD", "config", "refs/heads/a/b"] {
            fs::write(directory.path().join(name), "x").unwrap();
        }
        for name in ["refs/heads/a", "refs/heads", "refs", "objects/pack", "objects", "HEAD", "config"] {
            age(&directory.path().join(name));
        }
        directory
    }

    /// When everything happened that is not to count as new.
    const LONG_AGO: SystemTime = SystemTime::UNIX_EPOCH;

    /// Later than that, and long before the test runs.
    fn later() -> SystemTime {
        LONG_AGO + Duration::from_hours(1)
    }

    fn age(path: &Path) {
        File::open(path).unwrap().set_modified(LONG_AGO).unwrap();
    }

    #[test]
    fn a_change_of_the_repository_is_seen() {
        let directory = repository();
        let git_dir = directory.path();
        let before = stamp(git_dir, later()).unwrap();
        assert_eq!(stamp(git_dir, later()).unwrap(), before);
        fs::write(git_dir.join("refs/heads/a/new"), "x").unwrap();
        assert_eq!(stamp(git_dir, later()), None, "too young to be told from what follows");
        age(&git_dir.join("refs/heads/a"));
        assert_ne!(stamp(git_dir, later()).unwrap(), before);
        std::os::unix::fs::symlink("a", git_dir.join("refs/heads/link")).unwrap();
        age(&git_dir.join("refs/heads"));
        assert_eq!(stamp(git_dir, later()), None, "what is behind a link is not looked at");
    }

    #[test]
    fn who_asks_does_not_matter() {
        let one = b"0012command=fetch\n0012agent=git/1.2\n0001000awant \n0000";
        let other = b"0012command=fetch\n0012agent=git/9.9\n0001000awant \n0000";
        assert_eq!(plain(one), plain(other));
        assert_ne!(plain(one), plain(&one[..12]));
        assert_ne!(plain(b"0008want0000"), plain(b"0008want0001"));
        assert_eq!(plain(b"zzzz"), None);
        let silent = b"0012command=fetch\n0001000awant \n0000";
        assert_ne!(plain(one), plain(silent), "a server may want to be told, or not");
    }

    #[test]
    fn what_looks_alike_is_told_apart() {
        let asked = b"0012command=fetch\n0001000awant \n0000";
        for other in [
            &b"0012command=fetch\n0001000awant \n000bagent=x0000"[..],
            b"0012command=fetch\n0001000awant \n0010session-id=x0000",
            b"0012command=fetch\n00080001000awant \n0000",
            b"0012command=fetch\n0001000awant \n00080000",
        ] {
            assert!(plain(other).is_some() && plain(other) != plain(asked), "{other:?}");
        }
    }
}
