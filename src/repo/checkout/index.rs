//! The index of a fresh checkout, gitformat-index(5) version 2, or 3 if the checkout is sparse, or 4 where that is wished.
//!
//! Written here, not by gix-index, since that cannot write a cache tree: without one the first `git status` and
//! `git commit` have to build all trees anew.

use std::io::{self, Write};
use std::path::Path;

use bstr::BString;
use gix_hash::ObjectId;

use super::tree::Directory;
use crate::repo::Error;
use crate::repo::reference::lock::{lock_error, unable_to_lock};
use crate::storage::{Component, Storage};

pub mod read;

/// One path of the index.
#[derive(Debug)]
pub struct Entry {
    /// From the top of the work tree.
    pub path: BString,
    /// What it is.
    pub mode: Mode,
    /// The blob, or the commit of a submodule.
    pub id: ObjectId,
    /// The file as it was written; zeros if it was not, and git looks at it again.
    pub stat: Stat,
    /// Whether the file is left out of the work tree (git-sparse-checkout(1)).
    pub is_skipped: bool,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A file.
    File,
    /// A file with the executable bit.
    Executable,
    /// A symbolic link.
    Symlink,
    /// A commit of a submodule.
    Gitlink,
}

impl Mode {
    /// The number in trees and in the index.
    pub fn bits(self) -> u32 {
        match self {
            Self::File => 0o100_644,
            Self::Executable => 0o100_755,
            Self::Symlink => 0o120_000,
            Self::Gitlink => 0o160_000,
        }
    }
}

/// How an index is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Layout {
    /// Paths say what they do not share with the one before: version 4.
    pub shortens_paths: bool,
    /// Zeros stand for the checksum at the end (`index.skipHash`).
    pub skips_hash: bool,
}

/// What the index remembers of a file, to see whether it changed; each number is cut to 32 bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stat {
    /// Change time: seconds and nanoseconds.
    pub ctime: (u32, u32),
    /// Modification time: seconds and nanoseconds.
    pub mtime: (u32, u32),
    /// Device and inode.
    pub device_inode: (u32, u32),
    /// User and group.
    pub owner: (u32, u32),
    /// Bytes; see [`size_of`].
    pub size: u32,
}

impl Stat {
    /// Takes what the index remembers from what the system says.
    #[cfg(unix)]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the index has the low 32 bits"
    )]
    pub fn new(metadata: &std::fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self {
            ctime: (metadata.ctime() as u32, metadata.ctime_nsec() as u32),
            mtime: (metadata.mtime() as u32, metadata.mtime_nsec() as u32),
            device_inode: (metadata.dev() as u32, metadata.ino() as u32),
            owner: (metadata.uid(), metadata.gid()),
            size: size_of(metadata.len()),
        }
    }

    /// Takes what the index remembers from what the system says.
    #[cfg(not(unix))]
    pub fn new(metadata: &std::fs::Metadata) -> Self {
        let time = |time: std::io::Result<std::time::SystemTime>| {
            let since = time
                .ok()
                .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
                .unwrap_or_default();
            (u32::try_from(since.as_secs()).unwrap_or(0), since.subsec_nanos())
        };
        Self {
            ctime: time(metadata.created()),
            mtime: time(metadata.modified()),
            device_inode: (0, 0),
            owner: (0, 0),
            size: size_of(metadata.len()),
        }
    }
}

/// The size as the index has it: a multiple of 4 GiB must not read as 0, which means "look again" to git.
#[expect(clippy::cast_possible_truncation, reason = "the index has the low 32 bits")]
fn size_of(bytes: u64) -> u32 {
    match bytes as u32 {
        0 if bytes > 0 => 0x8000_0000,
        low => low,
    }
}

/// Locks the index at `path` for the time of the checkout; a signal removes the lock. An error is [`Error::Reference`], in git's
/// words.
pub fn lock(path: &Path, storage: Storage) -> Result<gix_lock::File, Error> {
    let lock_path = path.with_extension("lock");
    let at_once = gix_lock::acquire::Fail::Immediately;
    gix_lock::File::acquire_to_update_resource(path, at_once, None, storage.bits()).map_err(|error| {
        let error = lock_error(error.downcast_any_ref(), error.is_retryable());
        let shown = std::path::absolute(&lock_path).unwrap_or(lock_path);
        Error::Reference(unable_to_lock(&shown, &error))
    })
}

/// Writes `content` through `lock` and makes it the index at `path`.
pub fn write(
    (mut lock, storage): (gix_lock::File, Storage),
    content: &[u8],
    path: &Path,
) -> Result<(), Error> {
    let failure =
        |source| Error::Io { action: "unable to write new index file", path: path.to_owned(), source };
    let written = lock.with_mut(|file| {
        file.write_all(content)?;
        storage.sync(Component::Index, file)
    });
    written.map_err(failure)?;
    lock.commit().map_err(|error| failure(io::Error::other(error.to_string())))?;
    Ok(())
}

/// The bytes of an index of sorted `entries`, with a cache tree of `directories` if there are any.
pub fn encode(
    entries: &[Entry],
    directories: &[Directory],
    kind: gix_hash::Kind,
    layout: Layout,
) -> Result<Vec<u8>, Error> {
    let count =
        u32::try_from(entries.len()).map_err(|_| Error::Refused("too many index entries".to_owned()))?;
    let version = if layout.shortens_paths {
        4_u32
    } else if entries.iter().any(|entry| entry.is_skipped) {
        // Version 2 has no room for the flag of a file that is left out.
        3
    } else {
        2
    };
    let mut out = b"DIRC".to_vec();
    out.extend_from_slice(&version.to_be_bytes());
    out.extend_from_slice(&count.to_be_bytes());
    let mut previous: &[u8] = b"";
    for entry in entries {
        let start = out.len();
        encode_head(entry, &mut out);
        if layout.shortens_paths {
            encode_rest(previous, &entry.path, &mut out);
            previous = &entry.path;
        } else {
            // one to eight zero bytes make it a multiple of eight bytes long
            out.extend_from_slice(&entry.path);
            let len = out.len() - start;
            out.resize(start + (len + 8) / 8 * 8, 0);
        }
    }
    let cache_tree = encode_cache_tree(directories);
    if let Ok(size) = u32::try_from(cache_tree.len())
        && size > 0
    {
        out.extend_from_slice(b"TREE");
        out.extend_from_slice(&size.to_be_bytes());
        out.extend_from_slice(&cache_tree);
    }
    let trailer = if layout.skips_hash {
        ObjectId::null(kind)
    } else {
        let mut hasher = gix_hash::hasher(kind);
        hasher.update(&out);
        hasher.try_finalize().map_err(|error| Error::Object(error.to_string()))?
    };
    out.extend_from_slice(trailer.as_slice());
    Ok(out)
}

/// What stands in front of the path of an entry.
fn encode_head(entry: &Entry, out: &mut Vec<u8>) {
    /// A path of this length or longer ends at its zero byte.
    const NAME_LENGTH_MAX: u16 = 0xFFF;
    /// There are two more bytes of flags.
    const EXTENDED: u16 = 0x4000;
    /// Among these.
    const SKIP_WORKTREE: u16 = 0x4000;
    let Stat { ctime, mtime, device_inode, owner, size } = entry.stat;
    let mode = entry.mode.bits();
    let numbers =
        [ctime.0, ctime.1, mtime.0, mtime.1, device_inode.0, device_inode.1, mode, owner.0, owner.1, size];
    for number in numbers {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.extend_from_slice(entry.id.as_slice());
    let flags = u16::try_from(entry.path.len()).map_or(NAME_LENGTH_MAX, |len| len.min(NAME_LENGTH_MAX));
    if entry.is_skipped {
        out.extend_from_slice(&(flags | EXTENDED).to_be_bytes());
        out.extend_from_slice(&SKIP_WORKTREE.to_be_bytes());
    } else {
        out.extend_from_slice(&flags.to_be_bytes());
    }
}

/// How many bytes of `previous` are not those of `path`, as offsets in packs are written, and what follows instead, with a zero
/// byte.
fn encode_rest(previous: &[u8], path: &[u8], out: &mut Vec<u8>) {
    let shared = previous.iter().zip(path).take_while(|(one, other)| one == other).count();
    let mut removed = previous.len() - shared;
    let mut bytes = vec![low_bits(removed)];
    while removed > 0x7F {
        removed = (removed >> 7) - 1;
        bytes.push(low_bits(removed) | 0x80);
    }
    out.extend(bytes.into_iter().rev());
    out.extend_from_slice(path.get(shared..).unwrap_or_default());
    out.push(0);
}

#[expect(clippy::cast_possible_truncation, reason = "seven bits are left")]
fn low_bits(number: usize) -> u8 {
    (number & 0x7F) as u8
}

/// The content of the TREE extension: directories before what they hold, those in one directory by length of name, then
/// name, as git orders them. A tree that git would not get from the index is marked invalid; empty ones are left out.
fn encode_cache_tree(directories: &[Directory]) -> Vec<u8> {
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); directories.len()];
    for (at, directory) in directories.iter().enumerate().skip(1) {
        if let Some(siblings) = children.get_mut(directory.parent)
            && directory.entry_count > 0
        {
            siblings.push(at);
        }
    }
    let name = |at: &usize| directories.get(*at).map(|directory| (directory.name.len(), &directory.name));
    let mut out = Vec::new();
    let mut rest = vec![0];
    while let Some(at) = rest.pop() {
        let (Some(directory), Some(below)) = (directories.get(at), children.get_mut(at)) else { continue };
        out.extend_from_slice(&directory.name);
        if directory.is_exact {
            out.extend_from_slice(format!("\0{} {}\n", directory.entry_count, below.len()).as_bytes());
            out.extend_from_slice(directory.id.as_slice());
        } else {
            out.extend_from_slice(format!("\0-1 {}\n", below.len()).as_bytes());
        }
        below.sort_by(|a, b| name(b).cmp(&name(a)));
        rest.append(below);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_padded_to_eight_bytes_with_at_least_one() {
        for len in 1..40 {
            let id = ObjectId::null(gix_hash::Kind::Sha1);
            let entry = Entry {
                path: vec![b'a'; len].into(),
                mode: Mode::File,
                id,
                stat: Stat::default(),
                is_skipped: false,
            };
            let out = encode(&[entry], &[], gix_hash::Kind::Sha1, Layout::default()).unwrap();
            let padded = out.len() - 12 - 20;
            assert_eq!(padded % 8, 0);
            assert_eq!(out.get(12 + padded - 1), Some(&0));
            assert!(padded - 62 - len <= 8);
        }
    }

    #[test]
    fn a_size_of_whole_4_gib_is_not_zero() {
        assert_eq!(
            (size_of(0), size_of(7), size_of(4 << 30), size_of((4 << 30) + 1)),
            (0, 7, 0x8000_0000, 1)
        );
    }
}
