//! A stream in, an indexed pack out.
//!
//! The first pass goes along with the stream: it finds where entries begin and end, computes the ids of objects that
//! are no deltas, and writes the pack to a temporary file. The second pass, in threads, resolves the deltas. Then the
//! pack is completed if it is thin, and becomes visible.

use std::collections::HashSet;
use std::io::BufRead;

use gix_hash::ObjectId;
use gix_object::Kind;

use super::entry::{Content, Header, decode_pack_header};
use super::hash::ObjectHasher;
use super::index::Item;
use super::inflate::{InflateError, reserve};
use super::links::{Collector, Found};
use super::meter::Meter;
use super::stream::{Stream, is_at_end};
use super::table::{Entry, Family, NONE, Pack, Table, bad_object};
use super::temporary::Temporary;
use super::worker::Resolved;
use super::{Bases, Error, Links, Options, Received, Stored, map, resolve, store, thin};
use crate::progress::{Discard, Progress};

/// C git's `core.bigFileThreshold`, in bytes: larger blobs are never whole in memory unless they are a delta's base,
/// and larger trees, commits and tags, which must be, are refused.
pub const BIG_FILE_THRESHOLD: u64 = 512 * 1024 * 1024;

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
    let file = Temporary::create(&options.objects.join("pack"), "tmp_pack_")?;
    let mut stream = Stream::new(&mut *input, file, options.object_hash, options.size_max_bytes);
    let count =
        decode_pack_header(stream.pack_header()?).map_err(|error| Error::BadPack(error.to_string()))?;
    let unpack = count < options.unpack_limit && options.promisor.is_none();
    let title = if unpack { "Unpacking objects" } else { "Receiving objects" };
    let mut meter = Meter::new(progress, title, u64::from(count));

    let found = Found::new(options.shallow);
    let mut table = read_entries(&mut stream, count, options.object_hash, &found, &mut meter)?;
    let (mut file, mut pack_id, bytes) = stream.trailer()?;
    if options.to_end && !is_at_end(input)? {
        return Err(Error::BadPack("pack has junk at the end".into()));
    }
    let ending = Ending { unpack, count, bytes };
    if count == 0 {
        return Ok(ending.received(pack_id, Stored::Nothing, Links::default()));
    }
    if !unpack {
        meter.end(u64::from(count), bytes)?;
    }
    let mut silent = Discard;
    let resolving: &mut dyn Progress = if unpack { &mut silent } else { progress };
    resolve_all(&mut file, &mut table, &found, options, resolving)?;
    if table.entries.len() > count as usize && !unpack {
        pack_id = thin::seal(&mut file, &table, options.object_hash)?;
    }
    let stored = store_all(file, &table, &pack_id, options, &ending)?;
    if unpack {
        Meter::new(progress, title, u64::from(count)).end(u64::from(count), bytes)?;
    }
    Ok(ending.received(pack_id, stored, links_outside(found, &table)))
}

/// What the first pass has settled.
struct Ending {
    /// Whether the objects become loose ones.
    unpack: bool,
    count: u32,
    bytes: u64,
}

impl Ending {
    fn received(&self, pack_id: ObjectId, stored: Stored, links: Links) -> Received {
        Received { pack_id, objects: self.count, bytes: self.bytes, stored, links }
    }
}

/// The first pass.
fn read_entries(
    stream: &mut Stream<'_>,
    count: u32,
    hash: gix_hash::Kind,
    found: &Found,
    meter: &mut Meter<'_>,
) -> Result<Table, Error> {
    let mut reader = EntryReader {
        table: Table::default(),
        hash,
        links: Collector::new(found, hash),
        whole: Vec::new(),
        done: 0,
    };
    for _ in 0..count {
        reader.read(stream, meter)?;
        reader.done += 1;
        meter.update(reader.done, stream.offset())?;
    }
    reader.table.end = stream.offset();
    Ok(reader.table)
}

/// Reads one entry after another.
struct EntryReader<'a> {
    table: Table,
    hash: gix_hash::Kind,
    links: Collector<'a>,
    /// The present object, if it may name others.
    whole: Vec<u8>,
    done: u64,
}

impl EntryReader<'_> {
    fn read(&mut self, stream: &mut Stream<'_>, meter: &mut Meter<'_>) -> Result<(), Error> {
        let offset = stream.offset();
        let (header, len) = stream.header(self.hash)?;
        let mut entry = Entry {
            id: ObjectId::null(self.hash),
            offset,
            size: header.size,
            crc32: 0,
            base: NONE,
            kept: NONE,
            header_len: u8::try_from(len).unwrap_or(u8::MAX),
            kind: None,
        };
        match header.content {
            Content::Object(kind) => self.read_object(kind, &mut entry, stream, meter)?,
            Content::OfsDelta { .. } | Content::RefDelta { .. } => {
                self.note_delta(&header, &entry)?;
                self.read_delta(&mut entry, stream, meter)?;
            }
        }
        // Grows with what has come, not with what is declared.
        self.table.entries.push(entry);
        Ok(())
    }

    fn read_object(
        &mut self,
        kind: Kind,
        entry: &mut Entry,
        stream: &mut Stream<'_>,
        meter: &mut Meter<'_>,
    ) -> Result<(), Error> {
        let (size, is_whole) = (entry.size, kind != Kind::Blob);
        if is_whole && size > BIG_FILE_THRESHOLD {
            return Err(bad_object(entry, format_args!("{kind} of {size} bytes is too large")));
        }
        let mut hasher = ObjectHasher::new(self.hash, kind, size);
        self.whole.clear();
        let whole = &mut self.whole;
        let done = self.done;
        entry.crc32 = stream.inflate(entry.offset, size, &mut |made, bytes| {
            hasher.update(made);
            if is_whole {
                reserve(whole, made.len(), size)?;
                whole.extend_from_slice(made);
            }
            meter.update(done, bytes)
        })?;
        entry.id = hasher.finish().map_err(|attack| Error::BadPack(attack.to_string()))?;
        entry.kind = Some(kind);
        self.links.collect(&entry.id, kind, &self.whole).map_err(|error| bad_object(entry, error))
    }

    fn read_delta(
        &mut self,
        entry: &mut Entry,
        stream: &mut Stream<'_>,
        meter: &mut Meter<'_>,
    ) -> Result<(), Error> {
        let kept = self.table.begin_kept(entry.size);
        let (table, done) = (&mut self.table, self.done);
        entry.crc32 = stream.inflate(entry.offset, entry.size, &mut |made, bytes| {
            if kept.is_some() {
                table.keep(made);
            }
            meter.update(done, bytes)
        })?;
        entry.kept = kept.unwrap_or(NONE);
        Ok(())
    }

    /// Takes note of what `entry`, the next one, is a delta to.
    fn note_delta(&mut self, header: &Header, entry: &Entry) -> Result<(), Error> {
        // The count of entries was 32 bits wide, so each index fits.
        let child = u32::try_from(self.table.entries.len()).unwrap_or(NONE);
        self.table.deltas += 1;
        match header.content {
            Content::RefDelta { base } => self.table.ref_deltas.push((base, child)),
            Content::OfsDelta { distance } => {
                let base = entry.offset.checked_sub(distance).filter(|base| *base > 0);
                let base = base.ok_or_else(|| bad_object(entry, "delta base offset is out of bound"))?;
                // Where no entry begins there is no base: the delta stays unresolved.
                if let Some(base) = self.table.find(base) {
                    self.table.ofs_deltas.push((base, child));
                }
            }
            Content::Object(_) => {}
        }
        Ok(())
    }
}

/// The second pass: resolves the deltas, with bases from outside of the pack where it is thin.
fn resolve_all(
    file: &mut Temporary,
    table: &mut Table,
    found: &Found,
    options: &Options<'_>,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    if table.deltas == 0 {
        return Ok(());
    }
    let mut meter = Meter::new(progress, "Resolving deltas", table.deltas);
    meter.begin()?;
    let mut second = SecondPass {
        family: Family::new(table),
        meter,
        received: table.entries.len(),
        end: table.end,
        made: HashSet::new(),
    };
    second.resolve(file, table, found, options)?;
    second.made = second.added_in_vain(table);
    if !second.made.is_empty() {
        // A pack with an object twice is one that C git refuses to verify. Without the bases that the pack makes
        // itself nothing is missing, unless the bases were made from each other.
        second.reset(table);
        second.resolve(file, table, found, options)?;
    }
    table.forget_kept();
    second.meter.end(table.deltas, 0)
}

/// The state of the second pass.
struct SecondPass<'a> {
    family: Family,
    meter: Meter<'a>,
    /// How many entries the stream had, and where they end.
    received: usize,
    end: u64,
    /// Bases of which it is known that the pack makes them.
    made: HashSet<ObjectId>,
}

impl SecondPass<'_> {
    fn resolve(
        &mut self,
        file: &mut Temporary,
        table: &mut Table,
        found: &Found,
        options: &Options<'_>,
    ) -> Result<(), Error> {
        let mut roots = roots_of(table, &self.family);
        let mut done = 0;
        loop {
            let resolved = {
                let bytes = map::map(&file.file).map_err(|source| file.error(source))?;
                let pack = Pack { table, bytes: &bytes, hash: options.object_hash };
                let meter = &mut self.meter;
                let mut tick = |more| {
                    meter.update(done + more, 0)?;
                    meter.look(done + more, 0)
                };
                resolve::resolve(pack, (&self.family, &roots), found, thread_count(options), &mut tick)?
            };
            done += resolved.len() as u64;
            note_resolved(table, resolved);
            if done == table.deltas {
                return Ok(());
            }
            let count = table.deltas - done;
            let bases: &dyn Bases = options.bases.ok_or(Error::Unresolved { count })?;
            let mut missing = self.family.missing();
            missing.retain(|id| !self.made.contains(id));
            self.family.completing = true;
            roots = thin::append_bases(file, table, &missing, bases)?;
            if roots.is_empty() {
                return Err(Error::Unresolved { count });
            }
        }
    }

    /// The bases that were added although the pack makes them itself.
    fn added_in_vain(&self, table: &Table) -> HashSet<ObjectId> {
        let (received, added) = table.entries.split_at(self.received.min(table.entries.len()));
        if added.is_empty() {
            return HashSet::new();
        }
        let added = added.iter().map(|entry| entry.id).collect::<HashSet<_>>();
        received.iter().map(|entry| entry.id).filter(|id| added.contains(id)).collect()
    }

    /// Goes back to where the first pass ended.
    fn reset(&mut self, table: &mut Table) {
        table.entries.truncate(self.received);
        table.end = self.end;
        for entry in table.entries.iter_mut().filter(|entry| entry.base != NONE) {
            (entry.base, entry.kind) = (NONE, None);
        }
        self.family.reset();
    }
}

fn note_resolved(table: &mut Table, resolved: Vec<Resolved>) {
    for delta in resolved {
        if let Some(entry) = table.entries.get_mut(delta.entry as usize) {
            (entry.id, entry.kind, entry.base) = (delta.id, Some(delta.kind), delta.base);
        }
    }
}

/// The objects that are no deltas and have deltas to them.
fn roots_of(table: &Table, family: &Family) -> Vec<u32> {
    let whole = (0..).zip(&table.entries).filter(|(_, entry)| entry.kind.is_some());
    whole.filter(|(index, entry)| family.has_children(*index, &entry.id)).map(|(index, _)| index).collect()
}

fn thread_count(options: &Options<'_>) -> usize {
    match options.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    }
}

/// Puts the objects where they belong, after a last look at those that are there already.
fn store_all(
    file: Temporary,
    table: &Table,
    pack_id: &ObjectId,
    options: &Options<'_>,
    ending: &Ending,
) -> Result<Stored, Error> {
    let bytes = map::map(&file.file).map_err(|source| file.error(source))?;
    let pack = Pack { table, bytes: &bytes, hash: options.object_hash };
    if let Some(bases) = options.bases {
        store::check_collisions(pack, ending.count, bases)?;
    }
    if ending.unpack {
        store::store_loose(pack, ending.count, options)?;
        return Ok(Stored::Loose);
    }
    drop(bytes);
    let item = |entry: &Entry| Item { id: entry.id, offset: entry.offset, crc32: entry.crc32 };
    let mut items = table.entries.iter().map(item).collect::<Vec<_>>();
    store::store_pack(file, &mut items, pack_id, options)
}

fn links_outside(found: Found, table: &Table) -> Links {
    let mut ids = table.entries.iter().map(|entry| entry.id).collect::<Vec<_>>();
    ids.sort_unstable();
    found.outside(&|id| ids.binary_search(id).is_ok())
}

impl From<InflateError> for Error {
    /// For streams that were inflated before without fault.
    fn from(error: InflateError) -> Self {
        Self::BadPack(error.to_string())
    }
}
