//! The stream of a pack, and its checksum.

use std::io::Write;

use gix_hash::ObjectId;

use super::super::Error;
use super::super::entry::{Header, encode_pack_header};
use super::super::hash::Checksum;
use super::super::index::Item;
use super::super::source::Entries;

/// How much is gathered before it is hashed and written, in bytes.
pub(super) const BUFFER_LEN: usize = 64 * 1024;

/// How much of a pack is hashed in one step, in bytes.
const PIECE_LEN: u64 = 256 * 1024;

/// The stream of the pack.
pub(super) struct Stream<'a> {
    out: &'a mut dyn Write,
    checksum: Checksum,
    /// The pack that begins with all that was written so far, of which nothing is in the checksum then.
    copied_of: Option<&'a dyn Entries>,
    buffer: Vec<u8>,
    /// What was written, the buffer included.
    pub bytes: u64,
    /// The entries, if somebody asks for them.
    pub record: Option<Record>,
}

/// What an index says of the entries.
#[derive(Default)]
pub(super) struct Record {
    pub items: Vec<Item>,
    /// The checksum of what was written of an entry.
    crc32: crc32fast::Hasher,
}

impl<'a> Stream<'a> {
    /// A stream to `out`, which remembers its entries if `records` says so.
    pub fn new(out: &'a mut dyn Write, hash: gix_hash::Kind, records: bool) -> Self {
        Self {
            out,
            checksum: Checksum::new(hash),
            copied_of: None,
            buffer: Vec::new(),
            bytes: 0,
            record: records.then(Record::default),
        }
    }

    /// Begins a pack of `total` objects; `entries` are those that all of it is copied from. If they are all of their pack, it
    /// need not be hashed: their checksums are looked at one by one, and the pack's is known.
    pub fn begin_pack(&mut self, total: u32, entries: Option<&'a dyn Entries>) -> Result<(), Error> {
        let header = encode_pack_header(total);
        self.write(&header)?;
        let end = header.len() as u64;
        let is_whole = |all: &&dyn Entries| all.offset(0) == Some(end) && all.bytes(0..end) == Some(&header);
        self.copied_of = entries.filter(is_whole);
        Ok(())
    }

    /// An entry begins that is not copied as it lies, and with it its checksum.
    pub fn begin(&mut self) -> Result<(), Error> {
        self.differ()?;
        if let Some(record) = &mut self.record {
            record.crc32 = crc32fast::Hasher::new();
        }
        Ok(())
    }

    /// The entry of `id` that began at `offset` is written.
    pub fn end(&mut self, id: ObjectId, offset: u64) {
        if let Some(record) = &mut self.record {
            let crc32 = std::mem::take(&mut record.crc32).finalize();
            record.items.push(Item { id, offset, crc32 });
        }
    }

    pub fn write_header(&mut self, header: Header) {
        let before = self.buffer.len();
        header.encode(&mut self.buffer);
        let head = self.buffer.get(before..).unwrap_or_default();
        self.bytes += head.len() as u64;
        if let Some(record) = &mut self.record {
            record.crc32.update(head);
        }
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if let Some(record) = &mut self.record {
            record.crc32.update(bytes);
        }
        self.put(bytes)
    }

    /// From here on this is no copy of another pack: what was written of it is hashed now.
    fn differ(&mut self) -> Result<(), Error> {
        if self.copied_of.is_none() {
            return Ok(());
        }
        self.flush()?;
        let Some(entries) = self.copied_of.take() else { return Ok(()) };
        let mut at = 0;
        while at < self.bytes {
            let end = self.bytes.min(at + PIECE_LEN);
            let piece = entries.bytes(at..end).ok_or_else(|| Error::BadPack("a pack is gone".into()))?;
            self.checksum.update(piece);
            entries.were_read(piece.len());
            at = end;
        }
        Ok(())
    }

    /// Writes bytes of which no checksum is asked for.
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.bytes += bytes.len() as u64;
        if self.buffer.len() + bytes.len() > BUFFER_LEN {
            self.flush()?;
        }
        if bytes.len() < BUFFER_LEN {
            self.buffer.extend_from_slice(bytes);
            return Ok(());
        }
        if self.copied_of.is_none() {
            self.checksum.update(bytes);
        }
        self.out.write_all(bytes).map_err(Error::Send)
    }

    pub fn flush(&mut self) -> Result<(), Error> {
        if self.copied_of.is_none() {
            self.checksum.update(&self.buffer);
        }
        self.out.write_all(&self.buffer).map_err(Error::Send)?;
        self.buffer.clear();
        Ok(())
    }

    /// Ends the stream with its checksum; gives that and the length. A copy of a whole pack has the checksum of that.
    pub fn finish(mut self) -> Result<(ObjectId, u64), Error> {
        let whole = self.copied_of.filter(|entries| entries.offset(entries.count()) == Some(self.bytes));
        let known = whole.and_then(Entries::trailer);
        if known.is_none() {
            self.differ()?;
        }
        self.flush()?;
        let checksum = known.unwrap_or_else(|| self.checksum.finish());
        self.out.write_all(checksum.as_slice()).and_then(|()| self.out.flush()).map_err(Error::Send)?;
        Ok((checksum, self.bytes + checksum.as_slice().len() as u64))
    }
}
