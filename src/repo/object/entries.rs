//! A pack as those see it who copy it entry by entry.

use std::ops::Range;

use gix_hash::{ObjectId, oid};

use super::pack::Pack;
use crate::pack::source::Entries;

impl Entries for Pack {
    fn count(&self) -> u32 {
        self.len()
    }

    fn offset(&self, place: u32) -> Option<u64> {
        if place == self.len() { Some(self.end()) } else { self.offset_at(self.position_of(place)?) }
    }

    fn place_of(&self, id: &oid) -> Option<u32> {
        self.rank_at(self.position(id)?)
    }

    fn id(&self, place: u32) -> Option<ObjectId> {
        self.id_of(self.position_of(place)?)
    }

    fn crc32(&self, place: u32) -> Option<u32> {
        self.crc32_at(self.position_of(place)?)
    }

    fn bytes(&self, range: Range<u64>) -> Option<&[u8]> {
        self.slice(range)
    }

    fn trailer(&self) -> Option<ObjectId> {
        Some(self.checksum())
    }

    fn were_read(&self, bytes: usize) {
        self.was_read(bytes);
    }
}
