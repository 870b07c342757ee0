//! Whether the checksum at the end of a file holds: bitmaps and the order of entries have nothing else by which a turned bit
//! could be seen, and it would leave objects out of packs.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::SystemTime;

use crate::pack::bitmap::Broken;
use crate::pack::hash::Checksum;

/// Files of which is remembered what they were found to be.
const REMEMBERED_MAX: usize = 4096;

/// How much is read at a time, in bytes. A map of the file would make all of it count as memory of the process.
const READ_LEN: usize = 64 * 1024;

/// What was found. It is the process's, since a server opens the same file for each request: 10 MB take 6 ms to read.
static FOUND: LazyLock<Mutex<HashMap<PathBuf, (Stamp, bool)>>> = LazyLock::new(Mutex::default);

/// Whether a file is still the same.
#[derive(PartialEq, Eq)]
struct Stamp {
    len: u64,
    modified: Option<SystemTime>,
    /// Device and inode, where there are such.
    file: (u64, u64),
}

/// Checks that the file at `path` ends with the checksum of all that stands before it.
pub(super) fn hold(path: &Path, object_hash: gix_hash::Kind) -> Result<(), Broken> {
    let holds = is_known_to_hold(path, object_hash).unwrap_or(false);
    if holds { Ok(()) } else { Err(Broken::Trailer) }
}

fn is_known_to_hold(path: &Path, object_hash: gix_hash::Kind) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let stamp = Stamp::of(&file.metadata()?);
    if let Some((known, holds)) = FOUND.lock().unwrap_or_else(PoisonError::into_inner).get(path)
        && *known == stamp
    {
        return Ok(*holds);
    }
    let holds = ends_with_checksum(&mut file, stamp.len, object_hash)?;
    let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    if found.len() >= REMEMBERED_MAX {
        found.clear();
    }
    found.insert(path.to_owned(), (stamp, holds));
    Ok(holds)
}

fn ends_with_checksum(file: &mut File, len: u64, object_hash: gix_hash::Kind) -> io::Result<bool> {
    let hash_len = object_hash.len_in_bytes();
    let Some(body_len) = len.checked_sub(hash_len as u64) else { return Ok(false) };
    let mut checksum = Checksum::new(object_hash);
    let mut buffer = vec![0; READ_LEN];
    let mut body = file.by_ref().take(body_len);
    loop {
        match body.read(&mut buffer)? {
            0 => break,
            count => checksum.update(buffer.get(..count).unwrap_or_default()),
        }
    }
    let mut trailer = Vec::with_capacity(hash_len);
    file.take(hash_len as u64).read_to_end(&mut trailer)?;
    Ok(trailer == checksum.finish().as_slice())
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let file = {
            use std::os::unix::fs::MetadataExt as _;
            (metadata.dev(), metadata.ino())
        };
        #[cfg(not(unix))]
        let file = (0, 0);
        Self { len: metadata.len(), modified: metadata.modified().ok(), file }
    }
}
