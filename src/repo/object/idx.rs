//! The index of a pack: gitformat-pack(5), "pack-*.idx files", both versions. Opening it reads nothing but its fan-out table,
//! however many objects it has.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use gix_hash::oid;
use memmap2::Mmap;

use crate::pack::map;

/// What an index of version 2 begins with: the signature, and the version.
const MAGIC: [u8; 8] = *b"\xfftOc\0\0\0\x02";
/// Rows of the fan-out table.
const FAN_ROWS: usize = 256;
/// Marks a short offset that is a row of the table of long ones.
const LONG: u32 = 1 << 31;

/// An index, mapped into memory. A position is that of an object in the order of ids, from 0.
pub(super) struct Idx {
    bytes: Mmap,
    path: PathBuf,
    object_hash: gix_hash::Kind,
    /// How many ids begin with at most each byte.
    fan: Box<[u32]>,
    layout: Layout,
}

/// Where the tables begin.
#[derive(Clone, Copy)]
enum Layout {
    /// Each offset stands in front of its id.
    V1 {
        rows: usize,
    },
    V2 {
        ids: usize,
        checksums: usize,
        offsets: usize,
        long_offsets: usize,
        trailer: usize,
    },
}

impl Idx {
    /// Opens the index at `path`; `None` if it cannot be read or is none: no table is cut short, and the fan-out table grows.
    /// Offsets and ids are looked at when they are asked for.
    pub(super) fn at(path: &Path, object_hash: gix_hash::Kind) -> Option<Self> {
        let bytes = map::map_stored(path).ok()?;
        let all: &[u8] = &bytes;
        let is_second = all.starts_with(&MAGIC);
        let fan_begin = if is_second { MAGIC.len() } else { 0 };
        let tables = fan_begin + FAN_ROWS * 4;
        let fan: Box<[u32]> = numbers(all.get(fan_begin..tables)?).collect();
        let count = usize::try_from(*fan.last()?).ok()?;
        let hash_len = object_hash.len_in_bytes();
        let trailer = all.len().checked_sub(2 * hash_len)?;
        let layout = if is_second {
            let checksums = tables.checked_add(count.checked_mul(hash_len)?)?;
            let offsets = checksums.checked_add(count.checked_mul(4)?)?;
            let long_offsets = offsets.checked_add(count.checked_mul(4)?)?;
            let rest = trailer.checked_sub(long_offsets)?;
            (rest % 8 == 0 && rest / 8 <= count).then_some(())?;
            Layout::V2 { ids: tables, checksums, offsets, long_offsets, trailer }
        } else {
            (tables.checked_add(count.checked_mul(hash_len + 4)?)? == trailer).then_some(())?;
            Layout::V1 { rows: tables }
        };
        fan.is_sorted().then(|| Self { bytes, path: path.to_owned(), object_hash, fan, layout })
    }

    /// Where the file is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The hash function of the ids.
    pub(super) fn object_hash(&self) -> gix_hash::Kind {
        self.object_hash
    }

    /// How many objects there are.
    pub(super) fn len(&self) -> u32 {
        self.fan.last().copied().unwrap_or(0)
    }

    /// The checksum of the pack.
    pub(super) fn pack_checksum(&self) -> &oid {
        let trailer = self.bytes().len().saturating_sub(2 * self.hash_len());
        self.id(trailer).unwrap_or_else(|| self.object_hash.null_ref())
    }

    /// The object at `position`; the null id where there is none.
    pub(super) fn id_at(&self, position: u32) -> &oid {
        let place = position as usize;
        let id = if position < self.len() {
            match self.layout {
                Layout::V1 { rows } => self.id(rows + place * (4 + self.hash_len()) + 4),
                Layout::V2 { ids, .. } => self.id(ids + place * self.hash_len()),
            }
        } else {
            None
        };
        id.unwrap_or_else(|| self.object_hash.null_ref())
    }

    /// Where the entry begins of the object at `position`; the largest number, where no entry is, if the index does not say.
    pub(super) fn offset_at(&self, position: u32) -> u64 {
        self.offset(position).unwrap_or(u64::MAX)
    }

    fn offset(&self, position: u32) -> Option<u64> {
        let place = position as usize;
        if position >= self.len() {
            return None;
        }
        match self.layout {
            Layout::V1 { rows } => Some(self.number(rows + place * (4 + self.hash_len()))?.into()),
            Layout::V2 { offsets, long_offsets, trailer, .. } => {
                let short = self.number(offsets + place * 4)?;
                if short & LONG == 0 {
                    return Some(short.into());
                }
                let table = self.bytes().get(long_offsets..trailer)?;
                let row = table.as_chunks::<8>().0.get((short ^ LONG) as usize)?;
                Some(u64::from_be_bytes(*row))
            }
        }
    }

    /// The CRC-32 of the entry of the object at `position`; an index of version 1 has none.
    pub(super) fn crc32_at(&self, position: u32) -> Option<u32> {
        match self.layout {
            Layout::V2 { checksums, .. } if position < self.len() => {
                self.number(checksums + position as usize * 4)
            }
            _ => None,
        }
    }

    /// The position of `id`, found by halving.
    pub(super) fn lookup(&self, id: &oid) -> Option<u32> {
        let row = usize::from(id.first_byte());
        let mut low = row.checked_sub(1).and_then(|row| self.fan.get(row)).copied().unwrap_or(0);
        let mut high = *self.fan.get(row)?;
        while low < high {
            let middle = low + (high - low) / 2;
            match self.id_at(middle).cmp(id) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return Some(middle),
                Ordering::Greater => high = middle,
            }
        }
        None
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn hash_len(&self) -> usize {
        self.object_hash.len_in_bytes()
    }

    fn id(&self, begin: usize) -> Option<&oid> {
        oid::try_from_bytes(self.bytes().get(begin..begin.checked_add(self.hash_len())?)?).ok()
    }

    fn number(&self, begin: usize) -> Option<u32> {
        self.bytes().get(begin..)?.first_chunk().map(|number| u32::from_be_bytes(*number))
    }
}

fn numbers(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.as_chunks().0.iter().map(|number| u32::from_be_bytes(*number))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use gix_hash::ObjectId;

    use super::*;

    const HASH: gix_hash::Kind = gix_hash::Kind::Sha1;

    /// An index of version 2 with the ids 11…, 22…, 22…f and long offsets for the last of them.
    fn second() -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for byte in 0..=255_u32 {
            let count = u32::from(byte >= 0x11) + 2 * u32::from(byte >= 0x22);
            bytes.extend(count.to_be_bytes());
        }
        for id in ids() {
            bytes.extend(id.as_slice());
        }
        for number in [7_u32, 8, 9, 12, LONG - 1, LONG] {
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend((1_u64 << 40).to_be_bytes());
        bytes.extend([[0x33; 20], [0x44; 20]].concat());
        bytes
    }

    fn ids() -> [ObjectId; 3] {
        let mut last = [0x22; 20];
        last[19] = 0xff;
        [ObjectId::from([0x11; 20]), ObjectId::from([0x22; 20]), ObjectId::from(last)]
    }

    fn open(bytes: &[u8]) -> Option<Idx> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pack.idx");
        fs::write(&path, bytes).unwrap();
        Idx::at(&path, HASH)
    }

    #[test]
    fn what_it_says_is_read() {
        let idx = open(&second()).unwrap();
        let [first, second, third] = ids();
        assert_eq!((idx.len(), idx.pack_checksum()), (3, ObjectId::from([0x33; 20]).as_ref()));
        assert_eq!([&first, &second, &third].map(|id| idx.lookup(id)), [Some(0), Some(1), Some(2)]);
        assert_eq!([0, 1, 2].map(|position| idx.offset_at(position)), [12, u64::from(LONG - 1), 1 << 40]);
        assert_eq!([0, 1, 2, 3].map(|position| idx.crc32_at(position)), [Some(7), Some(8), Some(9), None]);
        assert_eq!((idx.id_at(1), idx.id_at(3)), (second.as_ref(), HASH.null_ref()));
        assert_eq!(idx.lookup(&ObjectId::from([0x21; 20])), None);
        assert_eq!(idx.lookup(&ObjectId::from([0xff; 20])), None);
        assert_eq!(idx.offset_at(3), u64::MAX);
    }

    #[test]
    fn the_first_version_is_read() {
        let mut bytes: Vec<u8> = second()[MAGIC.len()..MAGIC.len() + FAN_ROWS * 4].to_vec();
        for (id, offset) in ids().iter().zip([12_u32, 99, u32::MAX]) {
            bytes.extend(offset.to_be_bytes());
            bytes.extend(id.as_slice());
        }
        bytes.extend([[0x33; 20], [0x44; 20]].concat());
        let idx = open(&bytes).unwrap();
        assert_eq!(ids().map(|id| idx.offset_at(idx.lookup(&id).unwrap())), [12, 99, u64::from(u32::MAX)]);
        assert_eq!((idx.crc32_at(0), idx.id_at(2)), (None, ids()[2].as_ref()));
        bytes.push(0);
        assert!(open(&bytes).is_none());
    }

    #[test]
    fn what_is_cut_short_or_in_disorder_is_none() {
        let whole = second();
        // without one row of long offsets it is as long as one that has none: its checksums are others then
        for length in (0..whole.len()).filter(|length| *length != whole.len() - 8) {
            assert!(open(&whole[..length]).is_none(), "{length}");
        }
        let mut falls = whole.clone();
        falls[MAGIC.len() + 3] = 9;
        assert!(open(&falls).is_none());
        // more objects than there is room for
        let mut many = whole.clone();
        many[MAGIC.len() + 255 * 4] = 0xff;
        assert!(open(&many).is_none());
        // a long offset that is not there
        let mut lost = whole;
        let place = MAGIC.len() + FAN_ROWS * 4 + 3 * 20 + 3 * 4 + 2 * 4;
        lost[place..place + 4].copy_from_slice(&(LONG + 1).to_be_bytes());
        assert_eq!(open(&lost).unwrap().offset_at(2), u64::MAX);
    }
}
