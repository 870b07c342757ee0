//! One pack with its `.idx` and `.rev` files (gitformat-pack(5)), read entry by entry.

use std::cmp;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{self, AtomicUsize};

use gix_hash::{ObjectId, oid};
use gix_object::Kind;

use super::idx::Idx;
use super::order::Order;
use crate::pack::entry::{Content, HEADER_LEN_MAX, Header};
use crate::pack::map;
use crate::pack::source::{Location, Stored};

/// Guesses of where an id stands before its place is found by halving. Of half a million objects four do as a rule.
const GUESSES_MAX: u32 = 8;
/// Ids of the index for one row of the [`Fan`], on the average.
const ROW_LEN: u32 = 4;
/// Rows of more ids, which were chosen so, are not gone through.
const ROW_LEN_MAX: usize = 64;
/// A [`Fan`] is made when one in so many of the ids of the index was asked for.
const ASKED_PART: usize = 64;
/// What is shown of an entry at once.
const PIECE_LEN: usize = 1024 * 1024;
/// The least that a read brings into memory.
const PAGE_LEN: usize = 4096;
/// Bytes of a pack that may be in memory because they were read: however large a pack is, to copy all of it needs no more.
const READ_BYTES_MAX: usize = 32 * 1024 * 1024;

/// An opened pack.
pub(super) struct Pack {
    index: Idx,
    data: gix_pack::data::File,
    fan: OnceLock<Fan>,
    /// How many ids were asked for before there was a fan.
    asked: AtomicUsize,
    order: Order,
    /// Bytes that were read since the map was let go.
    read_bytes: AtomicUsize,
}

/// Where the ids of an index begin that begin with some bits: gitformat-pack(5), "fan-out table", of more rows.
struct Fan {
    /// How far the first 32 bits of an id are shifted to tell the row.
    shift: u32,
    /// Where the first id of each row stands, and of the one behind the last.
    rows: Vec<u32>,
}

/// An entry between its neighbours.
struct Entry {
    /// Where its object stands in the index.
    position: u32,
    /// Where the next entry begins, or the trailer.
    end: u64,
}

impl Pack {
    /// Opens the pack whose index is `index`; `None` if one of the two files is missing, broken or of another pack than
    /// the other.
    pub(super) fn open(index: &Path, object_hash: gix_hash::Kind) -> Option<Self> {
        let data = gix_pack::data::File::at(index.with_extension("pack"), object_hash).ok()?;
        let index = Idx::at(index, object_hash)?;
        let are_mates = index.len() == data.num_objects() && index.pack_checksum() == data.checksum();
        are_mates.then(|| Self {
            index,
            data,
            fan: OnceLock::new(),
            asked: AtomicUsize::new(0),
            order: Order::default(),
            read_bytes: AtomicUsize::new(0),
        })
    }

    /// Where `id` lies in this pack, which has the number `number`; `None` if it is not there or its entry cannot be
    /// read.
    pub(super) fn locate(&self, id: &oid, number: u32) -> Option<Location> {
        let position = self.position(id)?;
        let offset = self.index.offset_at(position);
        let end = self.end_of(self.rank_at(position)?)?;
        let (header, header_len) = self.header(offset, end)?;
        let content = match header.content {
            Content::Object(kind) => Stored::Whole(kind),
            Content::OfsDelta { distance } => Stored::OffsetDelta(offset.checked_sub(distance)?),
            Content::RefDelta { base } => Stored::IdDelta(base),
        };
        let stream_len = end.checked_sub(offset)?.checked_sub(header_len)?;
        Some(Location { pack: number, offset, stream_len, content, size: header.size })
    }

    /// The object whose entry begins at `offset`.
    pub(super) fn id_at(&self, offset: u64) -> Option<ObjectId> {
        Some(self.index.id_at(self.entry_at(offset)?.position).to_owned())
    }

    /// The zlib stream of the entry at `location`, whose checksum is not looked at.
    pub(super) fn stream(&self, location: &Location) -> io::Result<&[u8]> {
        let end = self.entry_at(location.offset).ok_or_else(|| self.broken("no entry", location))?.end;
        let begin = end.checked_sub(location.stream_len);
        let stream = begin.and_then(|begin| self.data.entry_slice(begin..end));
        stream.ok_or_else(|| self.broken("no entry", location))
    }

    /// Shows `read` the zlib stream of the entry at `location` in pieces, after the entry's CRC-32 was found right. An index
    /// of version 1 has none, which is an error.
    pub(super) fn show(&self, location: &Location, read: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let entry = self.entry_at(location.offset).ok_or_else(|| self.broken("no entry", location))?;
        let bytes = self.data.entry_slice(location.offset..entry.end);
        let bytes = bytes.ok_or_else(|| self.broken("truncated entry", location))?;
        let mut crc = crc32fast::Hasher::new();
        for piece in bytes.chunks(PIECE_LEN) {
            crc.update(piece);
            self.was_read(piece.len());
        }
        if self.index.crc32_at(entry.position) != Some(crc.finalize()) {
            return Err(self.broken("bad CRC of the entry", location));
        }
        for piece in self.stream(location)?.chunks(PIECE_LEN) {
            read(piece);
            self.was_read(piece.len());
        }
        Ok(())
    }

    /// Takes note that so many bytes were read where they are mapped, and lets them go where they have become many.
    pub(super) fn was_read(&self, bytes: usize) {
        let before = self.read_bytes.fetch_add(bytes.max(PAGE_LEN), atomic::Ordering::Relaxed);
        if before >= READ_BYTES_MAX {
            self.read_bytes.store(0, atomic::Ordering::Relaxed);
            map::let_go(&self.data);
        }
    }

    /// The header of the entry at `offset`, and where its zlib stream begins.
    pub(super) fn entry_header(&self, offset: u64) -> Option<(Header, u64)> {
        let (header, header_len) = self.header(offset, self.data.pack_end() as u64)?;
        Some((header, offset.checked_add(header_len)?))
    }

    /// The bytes of the pack from `offset` to the trailer.
    pub(super) fn bytes_from(&self, offset: u64) -> Option<&[u8]> {
        self.data.entry_slice(offset..self.data.pack_end() as u64)
    }

    /// Where the entry of `id` begins.
    pub(super) fn offset_of(&self, id: &oid) -> Option<u64> {
        Some(self.index.offset_at(self.position(id)?))
    }

    /// All objects and where their entries begin, in the order of the index.
    pub(super) fn objects(&self) -> impl Iterator<Item = (ObjectId, u64)> {
        (0..self.len())
            .map(|position| (self.index.id_at(position).to_owned(), self.index.offset_at(position)))
    }

    /// What kind of object the entry at `offset` holds, found without inflating anything; `None` if its base is elsewhere.
    pub(super) fn kind_at(&self, mut offset: u64) -> Option<Kind> {
        loop {
            // a base stands in front of what builds on it, or is found by its id: in a pack that was indexed they end
            offset = match self.entry_header(offset)?.0.content {
                Content::Object(kind) => return Some(kind),
                Content::OfsDelta { distance } => {
                    offset.checked_sub(distance).filter(|base| *base < offset)?
                }
                Content::RefDelta { base } => self.offset_of(&base).filter(|base| *base < offset)?,
            };
        }
    }

    /// How many objects there are.
    pub(super) fn len(&self) -> u32 {
        self.index.len()
    }

    /// The checksum in the trailer.
    pub(super) fn checksum(&self) -> ObjectId {
        self.index.pack_checksum().to_owned()
    }

    /// Where `id` stands in the index.
    ///
    /// Whoever asks for a few ids has them found by guesses: ids are spread evenly, so that one tells about where it has to stand: that is found in a few steps where halving takes
    /// a dozen. Where the guesses fail, as they do for ids that were chosen, it is found by halving.
    pub(super) fn position(&self, id: &oid) -> Option<u32> {
        let fan = self.fan.get().or_else(|| {
            let asked = self.asked.fetch_add(1, atomic::Ordering::Relaxed);
            (asked > self.len() as usize / ASKED_PART)
                .then(|| self.fan.get_or_init(|| Fan::read(&self.index)))
        });
        let row = fan.map(|fan| fan.row(id)).filter(|row| row.len() <= ROW_LEN_MAX);
        row.map_or_else(
            || self.guess(id),
            |mut row| {
                let sought = head_of(id);
                row.find(|position| {
                    let found = self.index.id_at(*position);
                    head_of(found) == sought && found == id
                })
            },
        )
    }

    fn guess(&self, id: &oid) -> Option<u32> {
        let (mut low, mut high) = (0, self.len());
        let (mut first, mut last) = (0, u64::MAX);
        let sought = head_of(id);
        if low == high {
            return None;
        }
        for _ in 0..GUESSES_MAX {
            let share = u128::from(sought.saturating_sub(first)) * u128::from(high - low);
            let Some(share) = share.checked_div(u128::from(last - first)) else { break };
            let guess = u32::try_from(share).unwrap_or(u32::MAX).min(high - low - 1) + low;
            let found = self.index.id_at(guess);
            match found.cmp(id) {
                cmp::Ordering::Equal => return Some(guess),
                cmp::Ordering::Less => (low, first) = (guess + 1, head_of(found)),
                cmp::Ordering::Greater => (high, last) = (guess, head_of(found)),
            }
            if low >= high || last < first {
                return None;
            }
        }
        self.index.lookup(id)
    }

    /// The object at `position` of the index.
    pub(super) fn id_of(&self, position: u32) -> Option<ObjectId> {
        (position < self.len()).then(|| self.index.id_at(position).to_owned())
    }

    /// Whether the object at `position` of the index is `id`.
    pub(super) fn has_id(&self, position: u32, id: &oid) -> bool {
        position < self.len() && self.index.id_at(position) == id
    }

    /// The place in the order of entries of the object at `position` of the index.
    pub(super) fn rank_at(&self, position: u32) -> Option<u32> {
        self.order.rank_at(&self.index, position)
    }

    /// Where the object stands in the index whose entry has the place `rank`.
    pub(super) fn position_of(&self, rank: u32) -> Option<u32> {
        self.order.position_of(&self.index, rank)
    }

    /// The place of the entry that begins at `offset`; `None` if none does.
    pub(super) fn rank_of(&self, offset: u64) -> Option<u32> {
        self.order.rank_of(&self.index, offset)
    }

    /// Where the last entry ends.
    pub(super) fn end(&self) -> u64 {
        self.data.pack_end() as u64
    }

    /// Where the entry begins of the object at `position` of the index.
    pub(super) fn offset_at(&self, position: u32) -> Option<u64> {
        (position < self.len()).then(|| self.index.offset_at(position))
    }

    /// What the index says is the CRC-32 of the entry of the object at `position`.
    pub(super) fn crc32_at(&self, position: u32) -> Option<u32> {
        if position < self.len() { self.index.crc32_at(position) } else { None }
    }

    /// The bytes in `range`.
    pub(super) fn slice(&self, range: Range<u64>) -> Option<&[u8]> {
        self.data.entry_slice(range)
    }

    /// Where the entry of the place `rank` ends.
    fn end_of(&self, rank: u32) -> Option<u64> {
        let next = rank.checked_add(1)?;
        if next == self.len() {
            return Some(self.data.pack_end() as u64);
        }
        Some(self.index.offset_at(self.position_of(next)?))
    }

    /// The header of the entry from `offset` to `end`, and its length in bytes.
    fn header(&self, offset: u64, end: u64) -> Option<(Header, u64)> {
        let end = end.min(offset.checked_add(HEADER_LEN_MAX as u64)?);
        let bytes = self.data.entry_slice(offset..end)?;
        let (header, header_len) = Header::decode(bytes, self.index.object_hash()).ok()??;
        Some((header, header_len as u64))
    }

    /// The entry that begins at `offset`; `None` if none does.
    fn entry_at(&self, offset: u64) -> Option<Entry> {
        let rank = self.rank_of(offset)?;
        Some(Entry { position: self.position_of(rank)?, end: self.end_of(rank)? })
    }

    fn broken(&self, what: &str, location: &Location) -> io::Error {
        let path = self.data.path().display();
        let message = format!("{what} at offset {} of '{path}'", location.offset);
        io::Error::new(io::ErrorKind::InvalidData, message)
    }
}

/// The first bytes of an id as a number.
fn head_of(id: &oid) -> u64 {
    id.as_bytes().first_chunk().map_or(0, |head| u64::from_be_bytes(*head))
}

impl Fan {
    fn read(index: &Idx) -> Self {
        let bits = (index.len() / ROW_LEN).max(1).ilog2();
        let shift = u32::BITS - bits;
        let mut rows = Vec::with_capacity((1 << bits) + 1);
        for position in 0..index.len() {
            let row = row_of(index.id_at(position), shift);
            while rows.len() <= row {
                rows.push(position);
            }
        }
        rows.resize((1 << bits) + 1, index.len());
        Self { shift, rows }
    }

    /// Where ids may stand that begin as `id` does.
    fn row(&self, id: &oid) -> Range<u32> {
        let row = row_of(id, self.shift);
        let begin = |row: usize| self.rows.get(row).copied().unwrap_or(0);
        begin(row)..begin(row + 1)
    }
}

/// The row of an id, whose first 32 bits are shifted by `shift`.
fn row_of(id: &oid, shift: u32) -> usize {
    let head = id.as_bytes().first_chunk().map_or(0, |head| u32::from_be_bytes(*head));
    head.checked_shr(shift).unwrap_or(0) as usize
}
