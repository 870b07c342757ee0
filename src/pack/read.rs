//! The first pass over a pack: where entries begin and end, and the ids of objects that are no deltas.

use std::sync::Arc;

use gix_object::Kind;

use super::Error;
use super::entry::{Content, Header};
use super::hash::ObjectHasher;
use super::inflate::reserve;
use super::links::{Collector, Found};
use super::meter::Meter;
use super::naming::{Naming, Spares};
use super::receive::BIG_FILE_THRESHOLD;
use super::stream::Stream;
use super::table::{Entry, NONE, Object, Table, bad_object, unfit};

/// Objects of at most so many bytes wait in memory for their ids.
const WAITING_LEN_MAX: u64 = 512 * 1024;

/// The first pass.
pub(super) fn read_entries(
    stream: &mut Stream<'_>,
    count: u32,
    hash: gix_hash::Kind,
    found: &Found<'_>,
    meter: &mut Meter<'_>,
) -> Result<Table, Error> {
    let mut reader = EntryReader {
        table: Table::default(),
        hash,
        links: Collector::new(found, hash),
        naming: Naming::new(found, hash),
        spares: Spares::default(),
        whole: Vec::new(),
        done: 0,
    };
    for _ in 0..count {
        reader.read(stream, meter)?;
        reader.done += 1;
        meter.update(reader.done, stream.offset())?;
    }
    reader.name()?;
    reader.table.end = stream.offset();
    Ok(reader.table)
}

/// Reads one entry after another.
struct EntryReader<'a> {
    table: Table,
    hash: gix_hash::Kind,
    links: Collector<'a>,
    /// Small objects, whose ids are computed for many at once, and buffers for others.
    naming: Naming<'a>,
    spares: Spares,
    /// The present delta if it is small; the present object, if it may name others and is not.
    whole: Vec<u8>,
    done: u64,
}

impl EntryReader<'_> {
    fn read(&mut self, stream: &mut Stream<'_>, meter: &mut Meter<'_>) -> Result<(), Error> {
        let offset = stream.offset();
        let (header, len) = stream.header(self.hash)?;
        let mut entry = Entry::new(offset, header.size, len);
        match header.content {
            Content::Object(kind) => self.read_object(kind, &mut entry, stream, meter)?,
            Content::OfsDelta { .. } | Content::RefDelta { .. } => {
                self.note_delta(&header, &entry)?;
                self.read_delta(&mut entry, stream, meter)?;
            }
        }
        // Grows with what has come, not with what is declared.
        self.table.entries.push(entry);
        if self.naming.is_full() { self.name() } else { Ok(()) }
    }

    /// Computes the ids of the small objects that wait for theirs.
    fn name(&mut self) -> Result<(), Error> {
        self.naming.name(&self.table, &mut self.spares).map(drop)
    }

    /// Reads an object that waits in memory for its id.
    fn read_small(&mut self, kind: Kind, entry: &mut Entry, stream: &mut Stream<'_>) -> Result<(), Error> {
        let mut content = self.spares.take();
        entry.crc32 = stream.inflate_into(entry.offset, entry.size, &mut content)?;
        let index = u32::try_from(self.table.entries.len()).unwrap_or(NONE);
        self.naming.push((index, NONE), kind, Arc::new(content));
        Ok(())
    }

    fn read_object(
        &mut self,
        kind: Kind,
        entry: &mut Entry,
        stream: &mut Stream<'_>,
        meter: &mut Meter<'_>,
    ) -> Result<(), Error> {
        if entry.size <= WAITING_LEN_MAX {
            return self.read_small(kind, entry, stream);
        }
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
        let id = hasher.finish().map_err(|attack| Error::BadPack(attack.to_string()))?;
        entry.resolve(Object { id, kind, base: NONE });
        self.links.collect(&id, kind, &self.whole).map_err(|error| unfit(Some(entry), error))
    }

    fn read_delta(
        &mut self,
        entry: &mut Entry,
        stream: &mut Stream<'_>,
        meter: &mut Meter<'_>,
    ) -> Result<(), Error> {
        if entry.size <= WAITING_LEN_MAX {
            entry.crc32 = stream.inflate_into(entry.offset, entry.size, &mut self.whole)?;
            entry.kept = self.table.keep(&self.whole).unwrap_or(NONE);
            return Ok(());
        }
        let done = self.done;
        entry.crc32 =
            stream.inflate(entry.offset, entry.size, &mut |_made, bytes| meter.update(done, bytes))?;
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
