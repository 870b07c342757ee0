//! The objects of a pack in the order of its index, without a copy of what is known of them.

use gix_hash::ObjectId;
use gix_object::Kind;

use super::Error;
use super::index::Items;
use super::table::{Entry, NONE, Table};

/// Entries of a table, sorted by id.
pub(super) struct Sorted<'a> {
    table: &'a Table,
    order: Vec<u32>,
    /// An object that is there twice.
    twice: Option<ObjectId>,
}

impl<'a> Sorted<'a> {
    /// Those of `table` that are resolved.
    pub fn new(table: &'a Table) -> Self {
        let first = |(index, id): (u32, ObjectId)| {
            let bytes = id.as_slice().first_chunk().copied().unwrap_or_default();
            u64::from(u32::from_be_bytes(bytes)) << 32 | u64::from(index)
        };
        let mut order: Vec<u64> = table.ids().map(first).collect();
        order.sort_unstable();
        let mut twice = None;
        // Few ids have their first bytes in common.
        for alike in order.chunk_by_mut(|one, next| one >> 32 == next >> 32).filter(|alike| alike.len() > 1) {
            // Entries are in the order of their offsets.
            alike.sort_by_cached_key(|place| (table.id(index_of(*place)), index_of(*place)));
            let ids = alike.iter().map(|place| table.id(index_of(*place)));
            twice = twice.or_else(|| ids.clone().zip(ids.skip(1)).find(|(one, next)| one == next)?.0);
        }
        Self { table, order: order.into_iter().map(index_of).collect(), twice }
    }

    /// Refuses a pack that has an object twice.
    pub fn check_unique(&self) -> Result<(), Error> {
        match self.twice {
            Some(id) => Err(Error::BadPack(format!("The same object {id} appears twice in the pack"))),
            None => Ok(()),
        }
    }

    /// The kind of the one at `at`.
    pub fn kind(&self, at: usize) -> Option<Kind> {
        self.table.entry(*self.order.get(at)?)?.kind()
    }
}

/// The entry in the lower half of `place`.
fn index_of(place: u64) -> u32 {
    u32::try_from(place & u64::from(u32::MAX)).unwrap_or(NONE)
}

impl Items for Sorted<'_> {
    fn len(&self) -> usize {
        self.order.len()
    }

    fn id(&self, at: usize) -> Option<ObjectId> {
        self.table.id(*self.order.get(at)?)
    }

    fn offset(&self, at: usize) -> Option<u64> {
        self.table.entry(*self.order.get(at)?).map(Entry::offset)
    }

    fn crc32(&self, at: usize) -> Option<u32> {
        self.table.entry(*self.order.get(at)?).map(|entry| entry.crc32)
    }

    fn offset_max(&self) -> u64 {
        self.table.entries.last().map_or(0, Entry::offset)
    }

    fn by_offset(&self) -> Vec<u32> {
        let mut places = vec![NONE; self.table.entries.len()];
        for (at, index) in (0..).zip(&self.order) {
            if let Some(place) = places.get_mut(*index as usize) {
                *place = at;
            }
        }
        places.retain(|place| *place != NONE);
        places
    }
}
