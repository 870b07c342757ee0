//! Packs out: reuse of what is on disk, search for deltas, and the stream.
//!
//! ```text
//! Counting objects     list    where each object lies, and how large it is
//!                      reuse   which deltas on disk hold in the new pack
//! Compressing objects  search  deltas for the rest, in threads
//! Writing objects      write   entries in git's order, each as it is made
//! ```
//!
//! # Memory
//!
//! Nothing of the pack is held, but for the deltas that were found, up to [`Settings::delta_cache_bytes`]. The peak is made of
//!
//! - the list, the only thing that grows with the number of objects: 80 bytes for each, 8 for where it was written, some 12
//!   for the orders in which the list is gone through, and 40 for each new delta;
//! - while deltas are searched, one window for each thread: up to [`Settings::window`] objects and the one they are
//!   compared with, each with an index of up to two and a quarter times its size and of 72 MiB at most. What is larger than
//!   [`Settings::big_file_threshold_bytes`] never comes into it, and [`Settings::window_memory_bytes`] bounds it;
//! - while the pack is written, one object, with its base if its delta was not kept. What is larger than the threshold goes
//!   through in pieces.

use std::io::Write;

use gix_hash::ObjectId;

use super::Error;
use super::enumerate::Enumerated;
use super::source::Source;
use crate::progress::{Event, Progress};

mod deflate;
mod list;
mod reuse;
mod search;
mod window;
mod write;

/// How a pack is to be made. The defaults are git's.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The hash function of the repository.
    pub object_hash: gix_hash::Kind,
    /// How many earlier objects are tried as bases (`pack.window`, 10); 0 searches for no deltas.
    pub window: usize,
    /// The longest chain of deltas (`pack.depth`, 50).
    pub depth: usize,
    /// The memory of one window in bytes (`pack.windowMemory`); 0 is unlimited.
    pub window_memory_bytes: u64,
    /// zlib's level, -1 to 9 (`pack.compression`, else `core.compression`).
    pub compression: i32,
    /// Whether the receiver takes deltas that name their base by offset.
    pub ofs_delta: bool,
    /// Objects above this are never deltas and are streamed (`core.bigFileThreshold`, 512 MiB).
    pub big_file_threshold_bytes: u64,
    /// Threads of the search; 0 means one for each processor (`pack.threads`).
    pub threads: usize,
    /// Memory for found deltas in bytes (`pack.deltaCacheSize`, 256 MiB).
    pub delta_cache_bytes: u64,
}

/// What was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Produced {
    /// The id in the trailer.
    pub pack_id: ObjectId,
    /// Entries.
    pub objects: u32,
    /// Entries that are deltas.
    pub deltas: u32,
    /// Entries taken from our packs as they were.
    pub reused: u32,
    /// Deltas among those.
    pub reused_deltas: u32,
    /// Bytes of the stream.
    pub bytes: u64,
}

/// Writes a pack of `objects` to `out`. Reports the phases `Counting objects`, `Compressing objects` and
/// `Writing objects`, and git's lines between them.
///
/// # Errors
///
/// [`Error::Send`] if `out` fails: nobody is there to read any more.
pub fn produce(
    source: &dyn Source,
    objects: Enumerated,
    settings: &Settings,
    out: &mut dyn Write,
    progress: &mut dyn Progress,
) -> Result<Produced, Error> {
    let mut list = list::List::count(source, objects, progress)?;
    reuse::choose(source, &mut list, settings.depth)?;
    let found = search::search(source, &list, settings, progress)?;
    let produced = write::write(source, (&list, &found), settings, (out, &mut *progress))?;
    let Produced { objects, deltas, reused, reused_deltas, .. } = produced;
    let total = format!(
        "Total {objects} (delta {deltas}), reused {reused} (delta {reused_deltas}), pack-reused 0 (from 0)"
    );
    if progress.report(Event::Note(&total)).is_break() {
        return Err(Error::Interrupted);
    }
    Ok(produced)
}
