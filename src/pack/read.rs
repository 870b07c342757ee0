//! The first pass over a pack: where entries begin and end, and the ids of objects that are no deltas, or deltas to one
//! that came a short time ago.

use std::sync::Arc;

use gix_object::Kind;

use super::delta::{self, Copied};
use super::entry::{Content, Header};
use super::hash::ObjectHasher;
use super::inflate::reserve;
use super::links::{Collector, Found, Starts};
use super::meter::Meter;
use super::namer::Namer;
use super::naming::{self, Waiting};
use super::receive::BIG_FILE_THRESHOLD;
use super::recent::{self, Recent};
use super::stream::Stream;
use super::table::{NONE, NewEntry, Object, Table, bad_object, unfit};
use super::{Error, Options};

/// Objects of at most so many bytes wait in memory for their ids.
const WAITING_LEN_MAX: u64 = 512 * 1024;

/// So many entries are worth a thread of their own for their ids.
const THREAD_FROM: u32 = 1024;

/// The first pass.
pub(super) fn read_entries(
    stream: &mut Stream<'_>,
    count: u32,
    options: &Options<'_>,
    (found, threads): (&Found<'_>, usize),
    meter: &mut Meter<'_>,
) -> Result<Table, Error> {
    let hash = options.object_hash;
    std::thread::scope(|scope| {
        let namer = if threads > 1 && count >= THREAD_FROM {
            Namer::there(found, hash, scope)
        } else {
            Namer::here(found, hash)
        };
        let mut reader = EntryReader {
            table: Table::new(hash, options.made_len_max),
            hash,
            links: Collector::new(found, hash),
            namer,
            recent: Recent::default(),
            copied: Vec::new(),
            whole: Vec::new(),
            done: 0,
        };
        for _ in 0..count {
            if !reader.read(stream, meter)? {
                break;
            }
            reader.done += 1;
            meter.update(reader.done, stream.offset())?;
        }
        reader.namer.finish(&reader.table)?;
        reader.table.end = stream.offset();
        Ok(reader.table)
    })
}

/// When it is known what an entry makes.
enum Known {
    Now(Object),
    /// When its id is computed.
    Soon(Waiting),
    /// In the second pass.
    Later,
}

/// Reads one entry after another.
struct EntryReader<'scope, 'a> {
    table: Table,
    hash: gix_hash::Kind,
    links: Collector<'a>,
    /// For small objects.
    namer: Namer<'scope, 'a>,
    /// The objects that came last.
    recent: Recent,
    copied: Vec<Copied>,
    /// The present delta if it is small; the present object, if it may name others and is not.
    whole: Vec<u8>,
    done: u64,
}

impl EntryReader<'_, '_> {
    /// Reads one entry; false if something else is the matter, which finishing the names tells.
    fn read(&mut self, stream: &mut Stream<'_>, meter: &mut Meter<'_>) -> Result<bool, Error> {
        let offset = stream.offset();
        let (header, len) = stream.header(self.hash)?;
        let mut entry = NewEntry::new(offset, header.size, len);
        let known = match header.content {
            Content::Object(kind) => self.read_object(kind, &mut entry, stream, meter)?,
            Content::OfsDelta { .. } | Content::RefDelta { .. } => {
                self.note_delta(&header, &mut entry)?;
                self.read_delta(&mut entry, stream, meter)?
            }
        };
        // Grows with what has come, not with what is declared.
        match known {
            Known::Soon(object) => {
                self.table.push(&entry, None)?;
                if matches!(object.kind, Kind::Blob | Kind::Tree) {
                    self.recent.add(object.entry, object.kind, &object.content);
                }
                return self.namer.push(object, &self.table);
            }
            Known::Now(object) => self.table.push(&entry, Some(object))?,
            Known::Later => self.table.push(&entry, None)?,
        }
        Ok(true)
    }

    /// The index of the entry at work.
    fn index(&self) -> u32 {
        // The count of entries was 32 bits wide, so each index fits.
        u32::try_from(self.table.entries.len()).unwrap_or(NONE)
    }

    /// Reads an object that waits in memory for its id.
    fn read_small(
        &mut self,
        kind: Kind,
        entry: &mut NewEntry,
        stream: &mut Stream<'_>,
    ) -> Result<Waiting, Error> {
        let mut content = naming::Content::default();
        entry.crc32 = stream.inflate_into(entry.offset, entry.size, &mut content.bytes)?;
        if self.links.follows_copies(kind) {
            self.links.collect_changed(&content.bytes, (&[], &Starts::default()), &mut content.starts);
        }
        Ok(Waiting { entry: self.index(), base: NONE, kind, content: Arc::new(content) })
    }

    /// Reads an object.
    fn read_object(
        &mut self,
        kind: Kind,
        entry: &mut NewEntry,
        stream: &mut Stream<'_>,
        meter: &mut Meter<'_>,
    ) -> Result<Known, Error> {
        if entry.size <= WAITING_LEN_MAX {
            return self.read_small(kind, entry, stream).map(Known::Soon);
        }
        let (size, is_whole) = (entry.size, kind != Kind::Blob);
        if is_whole && size > BIG_FILE_THRESHOLD {
            return Err(bad_object(entry.offset, format_args!("{kind} of {size} bytes is too large")));
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
        let id = hasher.finish().map_err(|attack| Error::BadPack(attack.to_string()))?;
        let collected = self.links.collect(&id, kind, &self.whole);
        collected.map_err(unfit)?;
        Ok(Known::Now(Object { id, kind, base: NONE }))
    }

    /// Reads a delta; gives the object that it makes if its base is at hand.
    fn read_delta(
        &mut self,
        entry: &mut NewEntry,
        stream: &mut Stream<'_>,
        meter: &mut Meter<'_>,
    ) -> Result<Known, Error> {
        if entry.size <= WAITING_LEN_MAX {
            entry.crc32 = stream.inflate_into(entry.offset, entry.size, &mut self.whole)?;
            let made = self.make(entry.base);
            if made.is_none() {
                self.table.keep(&self.whole);
            }
            return Ok(made.map_or(Known::Later, Known::Soon));
        }
        let done = self.done;
        entry.crc32 =
            stream.inflate(entry.offset, entry.size, &mut |_made, bytes| meter.update(done, bytes))?;
        Ok(Known::Later)
    }

    /// What the present delta makes of the entry `base`. `None` if that is not at hand, or what comes of it is large; also
    /// if the delta is not fit: that is told when the whole pack is there.
    fn make(&mut self, base: u32) -> Option<Waiting> {
        let (kind, base_content) = self.recent.get(base)?;
        let size = delta::result_size(&self.whole).ok()?;
        if size > recent::LEN_MAX as u64 {
            return None;
        }
        let mut content = naming::Content::default();
        let (base_bytes, bytes) = (&base_content.bytes, &mut content.bytes);
        if self.links.follows_copies(kind) {
            self.copied.clear();
            let copied = &mut self.copied;
            delta::apply_noting(base_bytes, &self.whole, bytes, |copy| copied.push(copy)).ok()?;
            let from = (self.copied.as_slice(), &base_content.starts);
            self.links.collect_changed(&content.bytes, from, &mut content.starts);
        } else {
            delta::apply(base_bytes, &self.whole, bytes).ok()?;
        }
        Some(Waiting { entry: self.index(), base, kind, content: Arc::new(content) })
    }

    /// Takes note of what `entry`, the next one, is a delta to.
    fn note_delta(&mut self, header: &Header, entry: &mut NewEntry) -> Result<(), Error> {
        let child = self.index();
        self.table.deltas += 1;
        match header.content {
            Content::RefDelta { base } => self.table.ref_deltas.push((base, child)),
            Content::OfsDelta { distance } => {
                let base = entry.offset.checked_sub(distance).filter(|base| *base > 0);
                let base =
                    base.ok_or_else(|| bad_object(entry.offset, "delta base offset is out of bound"))?;
                // Where no entry begins there is no base: the delta stays unresolved.
                entry.base = self.table.find(base).unwrap_or(NONE);
            }
            Content::Object(_) => {}
        }
        Ok(())
    }
}
