//! Copies the entries of a stock.
//!
//! Runs of entries are written at once. Where something between two entries is left out, the distance of a delta to its
//! base is set right. Every entry's CRC-32 is looked at first, and one that is broken is made again from the object.

use std::ops::Range;

use super::super::Error;
use super::super::entry::{Content, HEADER_LEN_MAX, Header};
use super::super::enumerate::Object;
use super::super::index::Item;
use super::super::meter::Meter;
use super::super::source::{Entries, Source};
use super::Settings;
use super::deflate::Deflater;
use super::list::check;
use super::stock::{Stock, before};
use super::stream::Stream;

/// Bytes of entries that are written at once, or a little more.
const RUN_LEN_MAX: u64 = 256 * 1024;

/// What is read and written in one step, in bytes.
const PIECE_LEN: usize = 256 * 1024;

/// What was copied.
#[derive(Clone, Copy, Default)]
pub(super) struct Copied {
    /// Entries.
    pub objects: u32,
    /// Those of them that are deltas.
    pub deltas: u32,
}

/// Writes the entries of `stock`.
pub(super) fn copy(
    source: &dyn Source,
    stock: &Stock,
    settings: &Settings,
    (stream, meter): (&mut Stream<'_>, &mut Meter<'_>),
) -> Result<Copied, Error> {
    let Some(entries) = stock.entries.as_deref() else { return Ok(Copied::default()) };
    let mut copy = Copy {
        source,
        entries,
        settings,
        stream,
        meter,
        shifts: Vec::new(),
        run: 0..0,
        copied: Copied::default(),
    };
    for place in stock.places.iter() {
        copy.entry(place)?;
        copy.copied.objects += 1;
        copy.meter.update(u64::from(copy.copied.objects), copy.at())?;
    }
    copy.end_run()?;
    Ok(copy.copied)
}

struct Copy<'a, 'o, 'm> {
    source: &'a dyn Source,
    entries: &'a dyn Entries,
    settings: &'a Settings,
    stream: &'a mut Stream<'o>,
    meter: &'a mut Meter<'m>,
    /// From where in the old pack on entries are where in the new one, as far as they follow each other in both.
    shifts: Vec<(u64, u64)>,
    /// Bytes of the old pack that wait to be written.
    run: Range<u64>,
    copied: Copied,
}

impl Copy<'_, '_, '_> {
    fn entry(&mut self, place: u32) -> Result<(), Error> {
        let entries = self.entries;
        let range = entries.offset(place).zip(entries.offset(place + 1));
        let range = range.filter(|(begin, end)| begin < end);
        let bytes = range.and_then(|(begin, end)| entries.bytes(begin..end));
        let (Some((begin, end)), Some(bytes)) = (range, bytes) else { return self.make(place, None) };
        if Some(self.checksum(bytes)) != entries.crc32(place) {
            return self.make(place, Some(begin));
        }
        self.note(begin);
        let is_delta = bytes.first().is_some_and(|first| matches!(first >> 4 & 7, 6 | 7));
        self.copied.deltas += u32::from(is_delta);
        // while nothing was left out all distances hold
        if is_delta && (self.shifts.len() > 1 || !self.settings.ofs_delta) {
            let head = bytes.get(..HEADER_LEN_MAX).unwrap_or(bytes);
            if let Ok(Some((header, len))) = Header::decode(head, self.settings.object_hash)
                && let Some(content) = self.moved(header.content, place, begin)
            {
                self.end_run()?;
                let offset = self.at();
                self.stream.begin()?;
                self.stream.write_header(Header { content, size: header.size });
                for piece in bytes.get(len..).unwrap_or_default().chunks(PIECE_LEN) {
                    self.stream.write(piece)?;
                    entries.were_read(piece.len());
                }
                self.note_entry(place, offset);
                return Ok(());
            }
        }
        if let Some(record) = &mut self.stream.record
            && let Some((id, crc32)) = entries.id(place).zip(entries.crc32(place))
        {
            let offset = self.stream.bytes + (self.run.end - self.run.start);
            record.items.push(Item { id, offset, crc32 });
        }
        if self.run.end == begin && self.run.end - self.run.start < RUN_LEN_MAX {
            self.run.end = end;
        } else {
            self.end_run()?;
            self.run = begin..end;
        }
        Ok(())
    }

    /// What the header of the delta at `place` that began at `begin` has to say now; `None` if that is what it says.
    fn moved(&self, content: Content, place: u32, begin: u64) -> Option<Content> {
        let Content::OfsDelta { distance } = content else { return None };
        let base = begin.checked_sub(distance)?;
        if !self.settings.ofs_delta {
            return Some(Content::RefDelta { base: self.entries.id(before(self.entries, place, base)?)? });
        }
        let moved = self.at().checked_sub(self.new_offset(base)?)?;
        (moved != distance).then_some(Content::OfsDelta { distance: moved })
    }

    /// Where the next byte comes to stand.
    fn at(&self) -> u64 {
        self.stream.bytes + (self.run.end - self.run.start)
    }

    /// Notes that what began at `begin` begins here now.
    fn note(&mut self, begin: u64) {
        let at = self.at();
        let holds = self.new_offset(begin) == Some(at);
        if !holds {
            self.shifts.push((begin, at));
        }
    }

    /// Where the entry is now that began at `offset`.
    fn new_offset(&self, offset: u64) -> Option<u64> {
        let next = self.shifts.partition_point(|(begin, _)| *begin <= offset);
        let (begin, at) = self.shifts.get(next.checked_sub(1)?)?;
        Some(at + (offset - begin))
    }

    fn end_run(&mut self) -> Result<(), Error> {
        let run = std::mem::take(&mut self.run);
        if run.is_empty() {
            return Ok(());
        }
        let done = u64::from(self.copied.objects);
        for piece in self.entries.bytes(run).unwrap_or_default().chunks(PIECE_LEN) {
            self.stream.put(piece)?;
            // of a large entry what was looked at first has been let go
            self.entries.were_read(piece.len());
            self.meter.update(done, self.stream.bytes)?;
        }
        Ok(())
    }

    fn checksum(&self, bytes: &[u8]) -> u32 {
        let mut crc32 = crc32fast::Hasher::new();
        for piece in bytes.chunks(PIECE_LEN) {
            crc32.update(piece);
            self.entries.were_read(piece.len());
        }
        crc32.finalize()
    }

    /// Makes the entry at `place` anew, since the one that began at `begin` is broken. It may be whole in another pack: the
    /// source finds it.
    fn make(&mut self, place: u32, begin: Option<u64>) -> Result<(), Error> {
        let Some(id) = self.entries.id(place) else {
            return Err(Error::BadPack(format!("no object at place {place} of a pack")));
        };
        let mut content = Vec::new();
        let kind = self.source.find(&id, &mut content).map_err(|source| Error::Unreadable { id, source })?;
        let kind = kind.ok_or(Error::Missing { kind: "object", id })?;
        check(&Object { id, kind, name_hash: 0 }, &content)?;
        self.end_run()?;
        if let Some(begin) = begin {
            self.note(begin);
        }
        let offset = self.at();
        self.stream.begin()?;
        let mut deflated = Vec::new();
        Deflater::new(self.settings.compression).deflate(&content, &mut deflated);
        self.stream.write_header(Header { content: Content::Object(kind), size: content.len() as u64 });
        self.stream.write(&deflated)?;
        self.note_entry(place, offset);
        Ok(())
    }

    fn note_entry(&mut self, place: u32, offset: u64) {
        if self.stream.record.is_some()
            && let Some(id) = self.entries.id(place)
        {
            self.stream.end(id, offset);
        }
    }
}
