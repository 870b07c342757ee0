//! The files beside a pack: `.idx` finds an object by id, `.rev` by offset (gitformat-pack(5)).

use std::cmp::Ordering;
use std::io::{self, Write};

use gix_hash::{ObjectId, oid};

use super::hash::ChecksumWriter;

mod read;

pub use read::{Ids, read_ids};

/// One object of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// The object's id.
    pub id: ObjectId,
    /// Where its entry begins in the pack, in bytes.
    pub offset: u64,
    /// The CRC-32 of its entry as it is in the pack, header included.
    pub crc32: u32,
}

/// The objects of a pack in the order of its index.
pub(super) trait Items {
    /// How many there are.
    fn len(&self) -> usize;

    /// The id of the one at `at`.
    fn id(&self, at: usize) -> Option<ObjectId>;

    /// Where the entry of the one at `at` begins in the pack, in bytes.
    fn offset(&self, at: usize) -> Option<u64>;

    /// The CRC-32 of the entry of the one at `at`.
    fn crc32(&self, at: usize) -> Option<u32>;

    /// Where the last entry begins, in bytes.
    fn offset_max(&self) -> u64;

    /// The places of all, in the order of their offsets.
    fn by_offset(&self) -> Vec<u32>;
}

impl dyn Items + '_ {
    /// The ids one after the other.
    pub fn ids(&self) -> impl Iterator<Item = ObjectId> {
        (0..self.len()).filter_map(|at| self.id(at))
    }

    /// The offsets one after the other.
    pub fn offsets(&self) -> impl Iterator<Item = u64> {
        (0..self.len()).filter_map(|at| self.offset(at))
    }
}

impl Items for &[Item] {
    fn len(&self) -> usize {
        <[Item]>::len(self)
    }

    fn id(&self, at: usize) -> Option<ObjectId> {
        self.get(at).map(|item| item.id)
    }

    fn offset(&self, at: usize) -> Option<u64> {
        self.get(at).map(|item| item.offset)
    }

    fn crc32(&self, at: usize) -> Option<u32> {
        self.get(at).map(|item| item.crc32)
    }

    fn offset_max(&self) -> u64 {
        self.iter().map(|item| item.offset).max().unwrap_or(0)
    }

    fn by_offset(&self) -> Vec<u32> {
        let mut places = (0..).zip(*self).map(|(at, item)| (item.offset, at)).collect::<Vec<(u64, u32)>>();
        places.sort_unstable();
        places.into_iter().map(|(_, at)| at).collect()
    }
}

/// The first offset that does not fit into the table of 32-bit offsets, whose highest bit has another meaning.
const LARGE_OFFSET: u64 = 1 << 31;

/// Brings the objects of a pack into the order of its index: by id; those of the same id by offset, as C git does.
pub fn sort(items: &mut [Item]) {
    // Nearly all ids differ in their first bytes, which are compared as one number.
    items.sort_unstable_by(|a, b| {
        let first = first_bytes(&a.id).cmp(&first_bytes(&b.id));
        first.then_with(|| a.id.cmp(&b.id)).then(a.offset.cmp(&b.offset))
    });
}

/// The first bytes of `id` as a number that has the order of ids.
fn first_bytes(id: &oid) -> u64 {
    id.as_bytes().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// Where the items begin whose ids begin with a given pair of bytes, or a greater one.
pub(super) struct Fanout(Vec<u32>);

impl Fanout {
    /// For `items` as [`sort`] leaves them.
    pub fn new(items: &dyn Items) -> Self {
        let mut starts = vec![0; PAIRS + 1];
        let mut next = 0;
        for (at, id) in (0..).zip(items.ids()) {
            let pair = pair(&id);
            while next <= pair {
                if let Some(start) = starts.get_mut(next) {
                    *start = at;
                }
                next += 1;
            }
        }
        let end = u32::try_from(items.len()).unwrap_or(u32::MAX);
        starts.get_mut(next..).unwrap_or_default().fill(end);
        Self(starts)
    }

    /// Where the one of the `items` is, for which it was made, that has this id.
    pub fn find(&self, items: &dyn Items, id: &oid) -> Option<usize> {
        let pair = pair(id);
        let (mut start, mut end) = (*self.0.get(pair)? as usize, *self.0.get(pair + 1)? as usize);
        while start < end {
            let middle = usize::midpoint(start, end);
            let found = items.id(middle)?;
            match first_bytes(&found).cmp(&first_bytes(id)).then_with(|| found.as_ref().cmp(id)) {
                Ordering::Equal => return Some(middle),
                Ordering::Less => start = middle + 1,
                Ordering::Greater => end = middle,
            }
        }
        None
    }
}

/// How many pairs of bytes there are.
const PAIRS: usize = 1 << 16;

/// The first two bytes of `id` as a number.
fn pair(id: &oid) -> usize {
    usize::try_from(first_bytes(id) >> 48).unwrap_or(0)
}

/// How an `.idx` file is laid out: `git index-pack --index-version`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// 1 or 2.
    pub version: u8,
    /// Offsets above this one go to the table of 64 bits, whether they need it or not.
    pub large_above: u64,
}

impl Default for Layout {
    fn default() -> Self {
        Self { version: 2, large_above: LARGE_OFFSET - 1 }
    }
}

impl Layout {
    fn is_large(self, offset: u64) -> bool {
        offset > self.large_above || offset >= LARGE_OFFSET
    }
}

/// Writes the `.idx` file of `layout`; otherwise as [`write_index`]. Version 1 has no place for offsets of 64 bits: a pack
/// that is to have them gets version 2.
pub(super) fn write_index_as(
    out: &mut dyn Write,
    layout: Layout,
    items: &dyn Items,
    pack: &oid,
) -> io::Result<ObjectId> {
    if layout.version == 1 && !layout.is_large(items.offset_max()) {
        return write_index_v1(out, items, pack);
    }
    write_index_v2(out, layout, items, pack)
}

/// Writes the `.idx` file, version 2, of the pack whose checksum is `pack`; `items` as [`sort`] leaves them.
///
/// Gives the checksum of the index.
pub fn write_index(out: &mut dyn Write, items: &[Item], pack: &oid) -> io::Result<ObjectId> {
    write_index_v2(out, Layout::default(), &items, pack)
}

/// Version 1: the fanout, then offset and id of each object.
fn write_index_v1(out: &mut dyn Write, items: &dyn Items, pack: &oid) -> io::Result<ObjectId> {
    let mut out = ChecksumWriter::new(out, pack.kind());
    write_fanout(&mut out, items)?;
    for (offset, id) in items.offsets().zip(items.ids()) {
        let offset = u32::try_from(offset).map_err(io::Error::other)?;
        out.write_all(&offset.to_be_bytes())?;
        out.write_all(id.as_slice())?;
    }
    out.write_all(pack.as_bytes())?;
    out.finish()
}

fn write_index_v2(
    out: &mut dyn Write,
    layout: Layout,
    items: &dyn Items,
    pack: &oid,
) -> io::Result<ObjectId> {
    let mut out = ChecksumWriter::new(out, pack.kind());
    out.write_all(b"\xfftOc\0\0\0\x02")?;
    write_fanout(&mut out, items)?;
    for id in items.ids() {
        out.write_all(id.as_slice())?;
    }
    for crc32 in (0..items.len()).filter_map(|at| items.crc32(at)) {
        out.write_all(&crc32.to_be_bytes())?;
    }
    let mut large = 0_u32;
    for offset in items.offsets() {
        let offset = match u32::try_from(offset) {
            Ok(offset) if !layout.is_large(offset.into()) => offset,
            _ => {
                large += 1;
                (large - 1) | (1 << 31)
            }
        };
        out.write_all(&offset.to_be_bytes())?;
    }
    if large > 0 {
        for offset in items.offsets().filter(|offset| layout.is_large(*offset)) {
            out.write_all(&offset.to_be_bytes())?;
        }
    }
    out.write_all(pack.as_bytes())?;
    out.finish()
}

/// Writes the `.rev` file, version 1, of the pack whose checksum is `pack`; `items` as [`sort`] leaves them.
///
/// Gives the checksum of the file.
pub(super) fn write_reverse_index(
    out: &mut dyn Write,
    items: &dyn Items,
    pack: &oid,
) -> io::Result<ObjectId> {
    let hash_id: u32 = match pack.kind() {
        gix_hash::Kind::Sha256 => 2,
        _ => 1,
    };
    let mut out = ChecksumWriter::new(out, pack.kind());
    out.write_all(b"RIDX\0\0\0\x01")?;
    out.write_all(&hash_id.to_be_bytes())?;
    for at in items.by_offset() {
        out.write_all(&at.to_be_bytes())?;
    }
    out.write_all(pack.as_bytes())?;
    out.finish()
}

/// How many objects have an id whose first byte is at most N, for each N.
fn write_fanout(out: &mut dyn Write, items: &dyn Items) -> io::Result<()> {
    let mut start = 0;
    for first in 0..=u8::MAX {
        let mut end = items.len();
        while start < end {
            let middle = usize::midpoint(start, end);
            if items.id(middle).is_some_and(|id| id.first_byte() <= first) {
                start = middle + 1;
            } else {
                end = middle;
            }
        }
        out.write_all(&u32::try_from(start).unwrap_or(u32::MAX).to_be_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(first: u8, offset: u64) -> Item {
        let mut id = [0; 20];
        id[0] = first;
        Item { id: id.into(), offset, crc32: u32::from(first) }
    }

    /// Three objects, two of them beyond 2 GiB, one of these beyond 4 GiB.
    fn items() -> Vec<Item> {
        let mut items = vec![item(9, 12), item(0xff, 0x8000_0000), item(3, 0x1_2345_6789)];
        sort(&mut items);
        items
    }

    #[test]
    fn offsets_beyond_31_bits_go_to_the_table_of_64_bits() {
        let (mut bytes, pack) = (Vec::new(), ObjectId::from([7; 20]));
        let checksum = write_index(&mut bytes, &items(), &pack).unwrap();
        let tables = &bytes[8 + 1024 + 3 * 20 + 3 * 4..];
        assert_eq!(tables[..12], [0x80, 0, 0, 0, 0, 0, 0, 12, 0x80, 0, 0, 1]);
        assert_eq!(tables[12..28], [0, 0, 0, 1, 0x23, 0x45, 0x67, 0x89, 0, 0, 0, 0, 0x80, 0, 0, 0]);
        assert_eq!(&tables[28..48], pack.as_slice());
        assert_eq!(&tables[48..], checksum.as_slice());
    }

    #[test]
    fn what_is_there_is_found() {
        let items = items();
        let fanout = Fanout::new(&&items[..]);
        assert!((0..).zip(&items).all(|(at, item)| fanout.find(&&items[..], &item.id) == Some(at)));
        for byte in 0..=u8::MAX {
            let mut bytes = [byte; 20];
            bytes[19] ^= 1;
            assert_eq!(fanout.find(&&items[..], &ObjectId::from(bytes)), None);
        }
        assert_eq!(Fanout::new(&&[][..]).find(&&[][..], &items[0].id), None);
    }

    #[test]
    fn the_fanout_counts_first_bytes() {
        let mut bytes = Vec::new();
        write_index(&mut bytes, &items(), &ObjectId::from([7; 20])).unwrap();
        let count = |at: usize| bytes[8 + at * 4 + 3];
        assert_eq!([2, 3, 8, 9, 254, 255].map(count), [0, 1, 1, 2, 2, 3]);
    }

    #[test]
    fn the_reverse_index_is_in_the_order_of_offsets() {
        let mut bytes = Vec::new();
        write_reverse_index(&mut bytes, &&items()[..], &ObjectId::from([7; 20])).unwrap();
        assert_eq!(bytes[..12], *b"RIDX\0\0\0\x01\0\0\0\x01");
        assert_eq!(bytes[12..24], [0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0]);
    }
}
