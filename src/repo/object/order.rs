//! The order of a pack's entries: gitformat-pack(5), "pack-*.rev files".

use std::cmp;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use memmap2::Mmap;

use super::idx::Idx;
use super::{bitmap, checksum};
use crate::pack::map;

/// The bytes before the table of a `.rev` file: signature, version, hash function.
const HEADER_LEN: usize = 12;

/// The whole table is read and checked once somebody has asked for one in so many of its rows, and for some more: about as long
/// as the single ones took.
const ASKED_PART: usize = 32;
const ASKED_MIN: usize = 100;

/// The objects of a pack, each by its position in the index, in the order of their entries.
///
/// It is what the file says, if its checksum holds, else what follows from the offsets. Whoever asks for few rows of the file
/// gets them as they are needed, each compared with the index; whoever asks for many gets all of them, compared once. Where the
/// two disagree, one of them is broken: what it says of such an entry is not told.
#[derive(Default)]
pub(super) struct Order {
    table: OnceLock<Option<Table>>,
    /// How often somebody asked before all of it was read.
    asked: AtomicUsize,
    /// Nothing where the file and the index disagree.
    positions: OnceLock<Option<Vec<u32>>>,
    /// The place of each object of the index in that order.
    ranks: OnceLock<Vec<u32>>,
}

impl Order {
    /// Where the object stands in `index` whose entry has the place `rank`.
    pub(super) fn position_of(&self, index: &Idx, rank: u32) -> Option<u32> {
        match self.whole(index) {
            Some(positions) => positions.get(rank as usize).copied(),
            None => self.table(index)?.position_of(index, rank),
        }
    }

    /// The place of the entry that begins at `offset`; `None` if none does.
    pub(super) fn rank_of(&self, index: &Idx, offset: u64) -> Option<u32> {
        let offset_of = |position: &u32| index.offset_at(*position);
        match self.whole(index) {
            Some(positions) => u32::try_from(positions.binary_search_by_key(&offset, offset_of).ok()?).ok(),
            None => self.table(index)?.rank_of(index, offset),
        }
    }

    /// The place in the order of entries of the object at `position` of `index`.
    pub(super) fn rank_at(&self, index: &Idx, position: u32) -> Option<u32> {
        if position >= index.len() {
            return None;
        }
        match self.whole(index) {
            Some(positions) => {
                let ranks = self.ranks.get_or_init(|| bitmap::inverse(positions));
                ranks.get(position as usize).copied().filter(|rank| *rank < index.len())
            }
            None => self.table(index)?.rank_of(index, index.offset_at(position)),
        }
    }

    /// All of it, unless it is to be had by rows.
    fn whole(&self, index: &Idx) -> Option<&[u32]> {
        let positions = self.positions.get().or_else(|| {
            let table = self.table(index);
            let is_spared = table.is_some()
                && self.asked.fetch_add(1, Ordering::Relaxed) < ASKED_MIN + index.len() as usize / ASKED_PART;
            (!is_spared).then(|| self.positions.get_or_init(|| positions(index, table)))
        });
        positions.and_then(Option::as_deref)
    }

    fn table(&self, index: &Idx) -> Option<&Table> {
        self.table.get_or_init(|| Table::open(index)).as_ref()
    }
}

/// All of the order: as `table` says, or from the offsets if there is none.
fn positions(index: &Idx, table: Option<&Table>) -> Option<Vec<u32>> {
    if let Some(table) = table {
        return table.positions(index);
    }
    let mut positions: Vec<u32> = (0..index.len()).collect();
    positions.sort_by_cached_key(|position| index.offset_at(*position));
    Some(positions)
}

/// A `.rev` file.
struct Table(Mmap);

impl Table {
    /// The file beside `index`, if it is of the same pack and as it was written.
    fn open(index: &Idx) -> Option<Self> {
        let path = index.path().with_extension("rev");
        let bytes = map::map_stored(&path).ok()?;
        let all: &[u8] = &bytes;
        let hash = index.object_hash();
        let (rest, _own_checksum) = all.split_at_checked(all.len().checked_sub(hash.len_in_bytes())?)?;
        let (rest, pack) = rest.split_at_checked(rest.len().checked_sub(hash.len_in_bytes())?)?;
        let (header, table) = rest.split_at_checked(HEADER_LEN)?;
        let function: [u8; 4] = match hash {
            gix_hash::Kind::Sha1 => [0, 0, 0, 1],
            _ => [0, 0, 0, 2],
        };
        let fits = header.strip_prefix(b"RIDX\0\0\0\x01") == Some(&function)
            && pack == index.pack_checksum().as_bytes()
            && table.len() == usize::try_from(index.len()).ok()?.checked_mul(4)?;
        (fits && checksum::hold(&path, hash).is_ok()).then_some(Self(bytes))
    }

    fn rows(&self, index: &Idx) -> &[[u8; 4]] {
        let table = self.0.get(HEADER_LEN..).unwrap_or_default();
        table.as_chunks().0.get(..index.len() as usize).unwrap_or_default()
    }

    /// All rows; `None` if the entries of some are not in order.
    fn positions(&self, index: &Idx) -> Option<Vec<u32>> {
        let positions: Vec<u32> = self.rows(index).iter().map(|row| u32::from_be_bytes(*row)).collect();
        let fits = positions.iter().all(|position| *position < index.len())
            && positions.is_sorted_by(|a, b| index.offset_at(*a) < index.offset_at(*b));
        fits.then_some(positions)
    }

    /// The row `rank`, if its entry begins behind that of the row before and in front of that of the next.
    fn position_of(&self, index: &Idx, rank: u32) -> Option<u32> {
        let (position, offset) = self.row(index, rank)?;
        let follows = rank == 0 || self.row(index, rank - 1).is_some_and(|(_, before)| before < offset);
        let is_followed =
            rank + 1 == index.len() || self.row(index, rank + 1).is_some_and(|(_, behind)| behind > offset);
        (follows && is_followed).then_some(position)
    }

    /// The row whose entry begins at `offset`.
    fn rank_of(&self, index: &Idx, offset: u64) -> Option<u32> {
        let (mut low, mut high) = (0, index.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.row(index, middle)?.1.cmp(&offset) {
                cmp::Ordering::Less => low = middle + 1,
                cmp::Ordering::Equal => return self.position_of(index, middle).map(|_| middle),
                cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// What the row `rank` says, and where that object's entry begins.
    fn row(&self, index: &Idx, rank: u32) -> Option<(u32, u64)> {
        let position = self.rows(index).get(rank as usize).map(|row| u32::from_be_bytes(*row))?;
        (position < index.len()).then(|| (position, index.offset_at(position)))
    }
}
