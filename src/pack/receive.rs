//! A stream in, an indexed pack out.
//!
//! The first pass goes along with the stream: it finds where entries begin and end, computes the ids of objects that
//! are no deltas, and writes the pack to a temporary file. The second pass, in threads, resolves the deltas. Then the
//! pack is completed if it is thin, and becomes visible.

use std::cell::OnceCell;
use std::io::BufRead;

use gix_hash::ObjectId;

use super::complete::{resolve_all, thread_count};
use super::entry::decode_pack_header;
use super::held::Held;
use super::index::Fanout;
use super::inflate::InflateError;
use super::links::Found;
use super::meter::Meter;
use super::placement::{Connectivity, Placement};
use super::read::read_entries;
use super::sorted::Sorted;
use super::stream::{Stream, is_at_end};
use super::table::{Pack, Table};
use super::temporary::Temporary;
use super::{Error, Links, Options, Received, Stored, collision, map, special, store, thin};
use crate::progress::{Discard, Progress};

/// C git's `core.bigFileThreshold`, in bytes: larger blobs are never whole in memory unless they are a delta's base,
/// and larger trees, commits and tags, which must be, are refused.
pub const BIG_FILE_THRESHOLD: u64 = 512 * 1024 * 1024;

/// The phase in which few objects become loose ones.
const UNPACKING: &str = "Unpacking objects";

/// Receives one pack from `input`.
///
/// Everything in the stream is checked before anything is visible to others: the checksum, every zlib stream, every
/// delta, every id. What commits, trees and tags refer to is collected in [`Received::links`]. Of the stream only one
/// object at a time is in memory, and of large blobs not even that.
///
/// After an error, and when `progress` asks to stop, no file is left behind, but for loose objects that were complete
/// when the disk failed. A signal removes the temporary files too, if the program has called
/// `gix_tempfile::signal::setup`. Errors of `input` come back as
/// [`Error::Read`] unchanged, but for an early end, which is [`Error::EarlyEof`].
pub fn receive(
    input: &mut dyn BufRead,
    options: &Options<'_>,
    progress: &mut dyn Progress,
) -> Result<Received, Error> {
    receive_at(input, options, &Placement::default(), progress)
}

/// As [`receive`], with a say in where the pack goes and what stands beside it: `git index-pack --stdin`.
pub fn receive_at(
    input: &mut dyn BufRead,
    options: &Options<'_>,
    placement: &Placement,
    progress: &mut dyn Progress,
) -> Result<Received, Error> {
    let directory = placement.directory().unwrap_or_else(|| options.objects.join("pack"));
    let file = Temporary::create(&directory, "tmp_pack_", options.storage)?;
    let known = look_through(input, Held::Copied(file), (options, placement), progress)?;
    if known.count == 0 && !placement.keeps_empty {
        return Ok(known.received(Stored::Nothing, Links::default()));
    }
    let (count, bytes) = (u64::from(known.count), known.bytes);
    let unpack = unpacks(known.count, options);
    let received = known.store(options, placement, unpack)?;
    if unpack {
        Meter::new(progress, UNPACKING, count).end(count, bytes)?;
    }
    Ok(received)
}

/// Whether a pack of `count` objects becomes loose ones.
pub(super) fn unpacks(count: u32, options: &Options<'_>) -> bool {
    count < options.unpack_limit && options.promisor.is_none()
}

/// A pack of which everything is known.
pub(super) struct Known<'a> {
    pub held: Held,
    pub table: Table,
    pub pack_id: ObjectId,
    found: Found<'a>,
    /// The objects in the stream.
    pub count: u32,
    /// The bytes of the stream.
    bytes: u64,
}

/// Makes both passes over the pack in `input`, and tells `progress` what objects break which rules.
pub(super) fn look_through<'a>(
    input: &mut dyn BufRead,
    held: Held,
    (options, placement): (&Options<'a>, &Placement),
    progress: &mut dyn Progress,
) -> Result<Known<'a>, Error> {
    let mut found = Found::new(options.shallow, options.fsck);
    if placement.connectivity == Connectivity::Ignored && options.fsck.is_none() {
        found.ignore_links();
    }
    let passed = both_passes(input, held, (options, placement), (&found, &mut *progress));
    let passed = passed.and_then(|passed| {
        special::check(&passed, &found.checker, (options, placement))?;
        Ok(passed)
    });
    found.checker.tell(progress);
    let Passed { held, table, pack_id, count, bytes } = passed?;
    Ok(Known { held, table, pack_id, found, count, bytes })
}

/// What both passes come to.
pub(super) struct Passed {
    pub held: Held,
    pub table: Table,
    pack_id: ObjectId,
    pub count: u32,
    bytes: u64,
}

fn both_passes(
    input: &mut dyn BufRead,
    held: Held,
    (options, placement): (&Options<'_>, &Placement),
    (found, progress): (&Found<'_>, &mut dyn Progress),
) -> Result<Passed, Error> {
    let mut stream = Stream::new(&mut *input, held, options.object_hash, options.size_max_bytes);
    let count =
        decode_pack_header(stream.pack_header()?).map_err(|error| Error::BadPack(error.to_string()))?;
    let unpack = unpacks(count, options);
    let title = if unpack { UNPACKING } else { placement.title };
    let mut meter = Meter::new(progress, title, u64::from(count));
    let table = read_entries(&mut stream, count, options, (found, thread_count(options)), &mut meter)?;
    let (held, pack_id, bytes) = stream.trailer()?;
    if options.to_end && !is_at_end(input)? {
        return Err(Error::BadPack("pack has junk at the end".into()));
    }
    let mut passed = Passed { held, table, pack_id, count, bytes };
    if count == 0 {
        return Ok(passed);
    }
    if !unpack {
        meter.end(u64::from(count), bytes)?;
    }
    let mut silent = Discard;
    let resolving: &mut dyn Progress = if unpack { &mut silent } else { progress };
    resolve_all(&mut passed.held, &mut passed.table, found, options, resolving)?;
    if passed.table.entries.len() > count as usize
        && !unpack
        && let Some(file) = passed.held.copied()
    {
        passed.pack_id = thin::seal(file, &passed.table, options.object_hash)?;
    }
    Ok(passed)
}

impl Known<'_> {
    /// Puts the objects where they belong, after a last look at those that are there already.
    fn store(self, options: &Options<'_>, placement: &Placement, unpack: bool) -> Result<Received, Error> {
        self.check_collisions(options)?;
        let items = Sorted::new(&self.table);
        let links = self.links(&items, (options, placement))?;
        if unpack {
            drop(items);
            let bytes = map::map(self.held.file()).map_err(|source| self.held.error(source))?;
            let pack = Pack { table: &self.table, bytes: &bytes, hash: options.object_hash };
            store::store_loose(pack, self.count, options)?;
            drop(bytes);
            return Ok(self.received(Stored::Loose, links));
        }
        if placement.is_strict {
            items.check_unique()?;
        }
        let received = |stored| Received {
            pack_id: self.pack_id,
            objects: self.count,
            bytes: self.bytes,
            stored,
            links,
        };
        match self.held {
            Held::Copied(file) => {
                store::store_pack(file, (&items, &self.pack_id, self.count), options, placement).map(received)
            }
            Held::There(..) => Ok(received(Stored::Nothing)),
        }
    }

    /// Looks for objects whose id is that of another one we have.
    pub fn check_collisions(&self, options: &Options<'_>) -> Result<(), Error> {
        let Some(bases) = options.bases else { return Ok(()) };
        let bytes = map::map(self.held.file()).map_err(|source| self.held.error(source))?;
        let pack = Pack { table: &self.table, bytes: &bytes, hash: options.object_hash };
        collision::check(pack, self.count, bases)
    }

    /// Whether it was looked for what the objects refer to.
    pub fn has_links(&self) -> bool {
        self.found.is_asked_for
    }

    /// What the pack's objects, which are `items`, refer to outside of it, if that is as it has to be.
    pub fn links(
        &self,
        items: &Sorted<'_>,
        (options, placement): (&Options<'_>, &Placement),
    ) -> Result<Links, Error> {
        if !self.has_links() {
            return Ok(Links::default());
        }
        let outside = self.found.beside(self.table.objects());
        let fanout = OnceCell::new();
        let kind_of = |id: &ObjectId| {
            let fanout = fanout.get_or_init(|| Fanout::new(items));
            fanout.find(items, id).and_then(|at| items.kind(at))
        };
        outside.check(placement.strictness(options.fsck.is_some()), &kind_of)?;
        let links = outside.into_links();
        if placement.connectivity == Connectivity::Required {
            check_links(&links, options)?;
        }
        Ok(links)
    }

    /// The objects in the order of the index.
    pub fn sorted_items(&self) -> Sorted<'_> {
        Sorted::new(&self.table)
    }

    fn received(self, stored: Stored, links: Links) -> Received {
        Received { pack_id: self.pack_id, objects: self.count, bytes: self.bytes, stored, links }
    }
}

/// Looks for what the pack refers to and neither it nor the repository has.
fn check_links(links: &Links, options: &Options<'_>) -> Result<(), Error> {
    for (id, expected) in links.named() {
        // as in git, an object that cannot be read is one that is not here
        let found = options.bases.and_then(|bases| bases.kind(&id).ok().flatten());
        match found {
            Some(found) if found == expected => {}
            Some(found) => {
                let text = format!("object {id}: expected type {expected}, found {found}");
                return Err(Error::BadPack(text));
            }
            None => return Err(Error::BadPack(format!("did not receive expected object {id}"))),
        }
    }
    Ok(())
}

impl From<InflateError> for Error {
    /// For streams that were inflated before without fault.
    fn from(error: InflateError) -> Self {
        Self::BadPack(error.to_string())
    }
}
