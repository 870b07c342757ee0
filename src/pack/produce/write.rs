//! Writes the pack: entries in git's order, each as soon as it is made.
//!
//! Tags come first, then commits as the walk met them, trees, and blobs, which is the order in which whoever reads the pack
//! will ask for them. A base stands before the deltas to it, so that they can name it by offset.

use std::io::{self, Write};

use gix_object::Kind;

use super::super::Error;
use super::super::delta::{Index, create};
use super::super::entry::{Content, Header};
use super::super::enumerate::Object;
use super::super::index::Item;
use super::super::meter::Meter;
use super::super::source::Source;
use super::copy::{Copied, copy};
use super::deflate::Deflater;
use super::list::{Form, List, NONE, check, content, header, stream, unreadable};
use super::search::Found;
use super::stock::Stock;
use super::stream::{BUFFER_LEN, Stream};
use super::{PackReused, Produced, Reuse, Settings};
use crate::progress::Progress;

/// The order of entries by kind.
const KINDS: [Kind; 4] = [Kind::Tag, Kind::Commit, Kind::Tree, Kind::Blob];

/// Longer objects are deflated piece by piece, in bytes: whoever takes a pack slowly keeps no more of it in memory.
const HELD_LEN_MAX: u64 = 256 * 1024;

/// Writes the pack of `stock` and `list` to `out`; gives its entries too if `records` says so. Reports the phase `Writing objects` unless the pack is empty.
pub(super) fn write(
    source: &dyn Source,
    (stock, list, found): (&Stock, &List, &[Found]),
    settings: &Settings,
    records: bool,
    (out, progress): (&mut dyn Write, &mut dyn Progress),
) -> Result<(Produced, Vec<Item>), Error> {
    let mut writer = Writer {
        source,
        list,
        found,
        settings,
        stream: Stream::new(out, settings.object_hash, records),
        deflater: Deflater::new(settings.compression),
        written: vec![0; list.sent as usize],
        counts: Counts::default(),
        content: Vec::new(),
        base_content: Vec::new(),
        deflated: Vec::new(),
    };
    let total = stock.places.count().checked_add(list.sent);
    let total = total.ok_or_else(|| Error::BadPack("too many objects for one pack".into()))?;
    writer.stream.begin_pack(total, stock.entries.as_deref().filter(|_| list.sent == 0))?;
    let mut copied = Copied::default();
    if total > 0 {
        let mut meter = Meter::new(progress, "Writing objects", u64::from(total));
        copied = copy(source, stock, settings, (&mut writer.stream, &mut meter))?;
        writer.counts.add(copied);
        for kind in KINDS {
            for (index, _) in (0..list.sent).zip(&list.objects).filter(|(_, object)| object.kind == kind) {
                writer.write_chain(index, &mut meter)?;
            }
        }
        writer.stream.flush()?;
        let trailer_len = settings.object_hash.len_in_bytes() as u64;
        meter.end(u64::from(writer.counts.objects), writer.stream.bytes + trailer_len)?;
    }
    let Counts { objects, deltas, reused, reused_deltas } = writer.counts;
    let items = writer.stream.record.take().map(|record| record.items).unwrap_or_default();
    let (pack_id, bytes) = writer.stream.finish()?;
    let pack_reused = if stock.is_unlisted { copied } else { Copied::default() };
    let pack_reused = PackReused { objects: pack_reused.objects, deltas: pack_reused.deltas };
    let produced = Produced { pack_id, objects, deltas, reused, reused_deltas, pack_reused, bytes };
    Ok((produced, items))
}

/// What goes through the writing of all entries.
struct Writer<'a> {
    source: &'a dyn Source,
    list: &'a List,
    /// In the order of their targets.
    found: &'a [Found],
    settings: &'a Settings,
    stream: Stream<'a>,
    deflater: Deflater,
    /// Where the entry of each object begins; 0 if it is not written.
    written: Vec<u64>,
    counts: Counts,
    /// For the content of an object and of its base, and for a zlib stream.
    content: Vec<u8>,
    base_content: Vec<u8>,
    deflated: Vec<u8>,
}

/// The figures of [`Produced`].
#[derive(Default)]
struct Counts {
    objects: u32,
    deltas: u32,
    reused: u32,
    reused_deltas: u32,
}

impl Counts {
    fn add(&mut self, Copied { objects, deltas }: Copied) {
        self.objects += objects;
        self.deltas += deltas;
        self.reused += objects;
        self.reused_deltas += deltas;
    }
}

impl<'a> Writer<'a> {
    /// Writes the object `index` after those it is based on, as far as they are not written.
    fn write_chain(&mut self, index: u32, meter: &mut Meter<'_>) -> Result<(), Error> {
        let mut chain = Vec::new();
        let mut at = index;
        while self.written.get(at as usize) == Some(&0) {
            chain.push(at);
            at = self.base(at);
        }
        for index in chain.into_iter().rev() {
            let offset = self.stream.bytes;
            self.stream.begin()?;
            self.write_entry(index, meter)?;
            if let Some(object) = self.list.objects.get(index as usize) {
                self.stream.end(object.id, offset);
            }
            if let Some(written) = self.written.get_mut(index as usize) {
                *written = offset;
            }
            self.counts.objects += 1;
            meter.update(u64::from(self.counts.objects), self.stream.bytes)?;
        }
        Ok(())
    }

    /// What the entry of `index` is a delta to.
    fn base(&self, index: u32) -> u32 {
        match self.found(index) {
            Some(found) => found.base,
            None => self.list.entries.get(index as usize).map_or(NONE, |entry| entry.base),
        }
    }

    fn found(&self, index: u32) -> Option<&'a Found> {
        let at = self.found.binary_search_by_key(&index, |found| found.target).ok()?;
        self.found.get(at)
    }

    fn write_entry(&mut self, index: u32, meter: &mut Meter<'_>) -> Result<(), Error> {
        let is_written = match self.found(index) {
            Some(found) => self.write_found(found)?,
            None => self.copy(index, meter)?,
        };
        if is_written { Ok(()) } else { self.make(index, meter) }
    }

    /// Writes a delta that was found; gives whether it could be made again if it was not kept.
    fn write_found(&mut self, found: &Found) -> Result<bool, Error> {
        let header =
            Header { content: self.header_content(found.target, found.base), size: found.len as u64 };
        if let Some(deflated) = &found.deflated {
            self.stream.write_header(header);
            self.stream.write(deflated)?;
        } else {
            let objects = &self.list.objects;
            let ends = objects.get(found.base as usize).zip(objects.get(found.target as usize));
            let Some((base, target)) = ends else { return Ok(false) };
            content(self.source, base, &mut self.base_content)?;
            content(self.source, target, &mut self.content)?;
            let blocks = Index::new(&self.base_content);
            let index = || &blocks;
            let mut delta = Vec::new();
            if !create(&self.base_content, index, &self.content, found.len, &mut delta)
                || delta.len() != found.len
            {
                return Ok(false);
            }
            self.deflater.deflate(&delta, &mut self.deflated);
            self.stream.write_header(header);
            self.stream.write(&self.deflated)?;
        }
        self.counts.deltas += 1;
        Ok(true)
    }

    /// Copies the entry as it is on disk; gives whether that was possible.
    fn copy(&mut self, index: u32, meter: &mut Meter<'_>) -> Result<bool, Error> {
        let (Some(location), Some(entry)) =
            (self.list.location(index), self.list.entries.get(index as usize))
        else {
            return Ok(false);
        };
        let header = Header { content: self.header_content(index, entry.base), size: entry.size };
        let (stream, done) = (&mut self.stream, u64::from(self.counts.objects));
        let mut header = Some(header);
        let mut written = Ok(());
        let read = self.source.with_entry(&location, &mut |deflated| {
            if let Some(header) = header.take() {
                stream.write_header(header);
            }
            if written.is_err() {
                return;
            }
            written = deflated.chunks(BUFFER_LEN).try_for_each(|piece| {
                stream.write(piece)?;
                meter.update(done, stream.bytes)
            });
        });
        written?;
        // an entry that is broken on disk may be whole in another pack: the source finds it
        if read.is_err() || header.is_some() {
            return Ok(false);
        }
        self.counts.reused += 1;
        if entry.form == Form::Delta {
            self.counts.reused_deltas += 1;
            self.counts.deltas += 1;
        }
        Ok(true)
    }

    /// Makes an entry of the object's content.
    fn make(&mut self, index: u32, meter: &mut Meter<'_>) -> Result<(), Error> {
        let (Some(object), Some(entry)) =
            (self.list.objects.get(index as usize), self.list.entries.get(index as usize))
        else {
            return Ok(());
        };
        // of a delta that turned out to be broken we know another size
        let size = if entry.form == Form::Delta { header(self.source, object)? } else { entry.size };
        // what the pack that it came from did not say may be of another name, and is looked at before it is sent
        let is_checked = entry.form != Form::Content || self.settings.reuse == Reuse::Nothing;
        if size > self.settings.big_file_threshold_bytes || size > HELD_LEN_MAX && !is_checked {
            return self.make_big(object, size, meter);
        }
        content(self.source, object, &mut self.content)?;
        if is_checked {
            check(object, &self.content)?;
        }
        let size = self.content.len() as u64;
        self.stream.write_header(Header { content: Content::Object(object.kind), size });
        self.deflater.deflate(&self.content, &mut self.deflated);
        self.stream.write(&self.deflated)
    }

    /// Makes an entry without having the object in memory.
    fn make_big(&mut self, object: &Object, size: u64, meter: &mut Meter<'_>) -> Result<(), Error> {
        let mut content = stream(self.source, object)?;
        self.stream.write_header(Header { content: Content::Object(object.kind), size });
        let (stream, done) = (&mut self.stream, u64::from(self.counts.objects));
        let made = self.deflater.stream(&mut content, &mut |deflated| {
            stream.write(deflated)?;
            meter.update(done, stream.bytes)
        })?;
        let what = match made {
            Ok(made) if made == size => return Ok(()),
            Ok(made) => io::Error::other(format!("{made} bytes where {size} are declared")),
            Err(error) => error,
        };
        Err(unreadable(object, what))
    }

    /// What the header of the object `index` says if it is a delta to `base`.
    fn header_content(&self, index: u32, base: u32) -> Content {
        match (self.list.objects.get(base as usize), self.written.get(base as usize)) {
            (Some(_), Some(offset)) if *offset > 0 && self.settings.ofs_delta => {
                Content::OfsDelta { distance: self.stream.bytes - offset }
            }
            (Some(base), _) => Content::RefDelta { base: base.id },
            (None, _) => Content::Object(
                self.list.objects.get(index as usize).map_or(Kind::Blob, |object| object.kind),
            ),
        }
    }
}
