//! Packs out: reuse of what is on disk, search for deltas, and the stream.
//!
//! ```text
//!                      stock   entries that are copied as they lie in one pack, if the receiver has nothing
//! Counting objects     list    where each object lies, and how large it is
//!                      reuse   which deltas on disk hold in the new pack
//! Compressing objects  turned  deltas on disk the other way round, where the receiver has what is made by them
//!                      search  deltas for the rest, in threads
//! Writing objects      copy    the stock
//!                      write   the other entries in git's order, each as it is made
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

use std::io::{self, Write};
use std::path::Path;

use gix_hash::{ObjectId, oid};

use super::Error;
use super::enumerate::{Enumerated, Had};
use super::index::Item;
use super::placement::{Placement, directory_of};
use super::source::Source;
use super::store::store_produced;
use super::temporary::Temporary;
use crate::progress::{Event, Progress};
use crate::storage::Storage;

mod copy;
mod deflate;
mod known;
mod list;
mod reuse;
mod search;
mod stock;
mod stream;
mod turned;
mod window;
mod write;

pub use known::{KnownDeltas, KnownHere};

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
    /// What is taken from packs as it is.
    pub reuse: Reuse,
    /// Deltas that were made before and are kept, and where those go that are made now.
    pub known: Option<KnownHere>,
}

/// What is taken from packs as it is: `git pack-objects --no-reuse-delta` and `--no-reuse-object`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Reuse {
    /// Nothing.
    Nothing,
    /// Whole objects.
    Objects,
    /// Whole objects, and deltas that hold in the new pack.
    #[default]
    All,
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
    /// What of this was copied because a bitmap told of it, which git counts apart.
    pub pack_reused: PackReused,
    /// Bytes of the stream.
    pub bytes: u64,
}

/// What was copied without a look at each object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PackReused {
    /// Entries.
    pub objects: u32,
    /// Deltas among those.
    pub deltas: u32,
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
    make(source, objects, settings, false, (out, progress)).map(|(produced, _)| produced)
}

/// As [`produce()`], into files: `base` with a hyphen, the id of the pack and what each file ends with. The index is laid
/// out as `placement` says, which also says whether there is to be a `.rev` file. Nothing is left behind on an error.
pub fn produce_files(
    source: &dyn Source,
    objects: Enumerated,
    settings: &Settings,
    (base, placement, storage): (&Path, Placement, Storage),
    progress: &mut dyn Progress,
) -> Result<Produced, Error> {
    let temporary = Temporary::create(&directory_of(base), "tmp_pack_", storage)?;
    let mut out = io::BufWriter::new(&temporary.file);
    let made = make(source, objects, settings, true, (&mut out, progress));
    drop(out);
    let (produced, mut items) = made.map_err(|error| match error {
        Error::Send(source) => temporary.error(source),
        error => error,
    })?;
    let mut name = base.as_os_str().to_owned();
    name.push(format!("-{}.pack", produced.pack_id));
    let placement = Placement { pack: Some(name.into()), ..placement };
    store_produced(temporary, (&mut items, &produced.pack_id), settings.object_hash, (&placement, storage))?;
    Ok(produced)
}

fn make(
    source: &dyn Source,
    mut objects: Enumerated,
    settings: &Settings,
    records: bool,
    (out, progress): (&mut dyn Write, &mut dyn Progress),
) -> Result<(Produced, Vec<Item>), Error> {
    let stock = stock::Stock::take(source, &mut objects, settings, progress)?;
    let had = objects.had.take();
    let is_had = |id: &oid| stock.has(id) || had.as_ref().is_some_and(|Had(has)| has(id));
    let mut list = list::List::count(source, objects, (settings.reuse, stock.counted), progress)?;
    reuse::choose(source, &mut list, settings.depth, &is_had)?;
    let effort = if had.is_some() { search::Effort::Enough } else { search::Effort::Best };
    let found = search::search(source, &mut list, (settings, effort), progress)?;
    let written = write::write(source, (&stock, &list, &found), settings, records, (out, &mut *progress))?;
    let (produced, _) = &written;
    let Produced { objects, deltas, reused, reused_deltas, pack_reused, .. } = *produced;
    let (deltas, reused) = (deltas - pack_reused.deltas, reused - pack_reused.objects);
    let (reused_deltas, pack_reused) = (reused_deltas - pack_reused.deltas, pack_reused.objects);
    let total = format!(
        "Total {objects} (delta {deltas}), reused {reused} (delta {reused_deltas}), \
         pack-reused {pack_reused} (from {})",
        u8::from(pack_reused > 0)
    );
    if progress.report(Event::Note(&total)).is_break() {
        return Err(Error::Interrupted);
    }
    Ok(written)
}
