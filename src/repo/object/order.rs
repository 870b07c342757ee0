//! The order of a pack's entries: gitformat-pack(5), "pack-*.rev files".

use std::cmp;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use gix_pack::index::File;

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
/// Whoever asks for few rows gets them from the file as they are needed, if its checksum holds. Whoever asks for many gets all of
/// it, compared with the index.
#[derive(Default)]
pub(super) struct Order {
    table: OnceLock<Option<Table>>,
    /// How often somebody asked before all of it was read.
    asked: AtomicUsize,
    positions: OnceLock<Vec<u32>>,
    /// The place of each object of the index in that order.
    ranks: OnceLock<Vec<u32>>,
}

impl Order {
    /// Where the object stands in `index` whose entry has the place `rank`.
    pub(super) fn position_of(&self, index: &File, rank: u32) -> Option<u32> {
        if rank >= index.num_objects() {
            return None;
        }
        let row = self.table(index).and_then(|table| table.position_of(index, rank));
        row.or_else(|| self.positions(index).get(rank as usize).copied())
    }

    /// The place of the entry that begins at `offset`; `None` if none does.
    pub(super) fn rank_of(&self, index: &File, offset: u64) -> Option<u32> {
        let found = self.table(index).and_then(|table| table.rank_of(index, offset));
        found.or_else(|| {
            let offset_of = |position: &u32| index.pack_offset_at_index(*position);
            u32::try_from(self.positions(index).binary_search_by_key(&offset, offset_of).ok()?).ok()
        })
    }

    /// The place in the order of entries of the object at `position` of `index`.
    pub(super) fn rank_at(&self, index: &File, position: u32) -> Option<u32> {
        if position >= index.num_objects() {
            return None;
        }
        let found =
            self.table(index).and_then(|table| table.rank_of(index, index.pack_offset_at_index(position)));
        found.or_else(|| {
            let ranks = self.ranks.get_or_init(|| bitmap::inverse(self.positions(index)));
            ranks.get(position as usize).copied().filter(|rank| *rank < index.num_objects())
        })
    }

    /// The table of the file, as long as few rows were asked for.
    fn table(&self, index: &File) -> Option<&Table> {
        if self.positions.get().is_some()
            || self.asked.fetch_add(1, Ordering::Relaxed)
                >= ASKED_MIN + index.num_objects() as usize / ASKED_PART
        {
            return None;
        }
        self.table.get_or_init(|| Table::open(index, &path(index))).as_ref()
    }

    /// All of it: from the file, or from the offsets if there is none that holds.
    fn positions(&self, index: &File) -> &[u32] {
        self.positions.get_or_init(|| {
            // read, not mapped: it would count as memory twice
            let bytes = fs::read(path(index)).ok();
            let table = bytes.and_then(|bytes| Table::new(index, Box::new(bytes)));
            table.and_then(|table| table.positions(index)).unwrap_or_else(|| {
                let mut positions: Vec<u32> = (0..index.num_objects()).collect();
                positions.sort_by_cached_key(|position| index.pack_offset_at_index(*position));
                positions
            })
        })
    }
}

/// Where the order of the entries that `index` tells of is written down.
fn path(index: &File) -> PathBuf {
    index.path().with_extension("rev")
}

/// A `.rev` file.
struct Table(Box<dyn AsRef<[u8]> + Send + Sync>);

impl Table {
    fn open(index: &File, path: &Path) -> Option<Self> {
        let table = Self::new(index, map::map_stored(path).ok()?)?;
        checksum::hold(path, index.object_hash()).ok().map(|()| table)
    }

    /// `bytes`, if they are of the pack of `index`; what the rows say is not looked at.
    fn new(index: &File, bytes: Box<dyn AsRef<[u8]> + Send + Sync>) -> Option<Self> {
        let all = (*bytes).as_ref();
        let hash = index.object_hash();
        let (rest, _own_checksum) = all.split_at_checked(all.len().checked_sub(hash.len_in_bytes())?)?;
        let (rest, pack) = rest.split_at_checked(rest.len().checked_sub(hash.len_in_bytes())?)?;
        let (header, table) = rest.split_at_checked(HEADER_LEN)?;
        let function: [u8; 4] = match hash {
            gix_hash::Kind::Sha1 => [0, 0, 0, 1],
            _ => [0, 0, 0, 2],
        };
        let fits = header.strip_prefix(b"RIDX\0\0\0\x01") == Some(&function)
            && pack == index.pack_checksum().as_slice()
            && table.len() == usize::try_from(index.num_objects()).ok()?.checked_mul(4)?;
        fits.then_some(Self(bytes))
    }

    fn rows(&self, index: &File) -> &[[u8; 4]] {
        let table = (*self.0).as_ref().get(HEADER_LEN..).unwrap_or_default();
        table.as_chunks().0.get(..index.num_objects() as usize).unwrap_or_default()
    }

    /// All rows; `None` if they are not in order: beyond the table the index may not be asked, and another lie would make a
    /// bitmap tell of other objects.
    fn positions(&self, index: &File) -> Option<Vec<u32>> {
        let positions: Vec<u32> = self.rows(index).iter().map(|row| u32::from_be_bytes(*row)).collect();
        let fits = positions.iter().all(|position| *position < index.num_objects())
            && positions.is_sorted_by(|a, b| index.pack_offset_at_index(*a) < index.pack_offset_at_index(*b));
        fits.then_some(positions)
    }

    /// The row `rank`.
    fn position_of(&self, index: &File, rank: u32) -> Option<u32> {
        self.row(index, rank).map(|(position, _)| position)
    }

    /// The row whose entry begins at `offset`.
    fn rank_of(&self, index: &File, offset: u64) -> Option<u32> {
        let (mut low, mut high) = (0, index.num_objects());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.row(index, middle)?.1.cmp(&offset) {
                cmp::Ordering::Less => low = middle + 1,
                cmp::Ordering::Equal => return Some(middle),
                cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// What the row `rank` says, and where that object's entry begins.
    fn row(&self, index: &File, rank: u32) -> Option<(u32, u64)> {
        let position = self.rows(index).get(rank as usize).map(|row| u32::from_be_bytes(*row))?;
        (position < index.num_objects()).then(|| (position, index.pack_offset_at_index(position)))
    }
}
