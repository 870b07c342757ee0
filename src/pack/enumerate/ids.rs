//! Sets and maps of ids, which an enumeration asks tens of millions of times.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hasher, RandomState};

use gix_hash::ObjectId;

pub(super) type IdSet = HashSet<ObjectId, Seed>;
pub(super) type IdMap<T> = HashMap<ObjectId, T, Seed>;

/// Ids are evenly spread already: eight bytes of them, multiplied by a number that nobody outside knows, do for a hash.
/// Without the secret number, ids could be made that fall into the same place of a table.
#[derive(Clone)]
pub(super) struct Seed {
    mask: u64,
    factor: u64,
}

impl Default for Seed {
    fn default() -> Self {
        let random = RandomState::new();
        Self { mask: random.hash_one(0), factor: random.hash_one(1) | 1 }
    }
}

impl BuildHasher for Seed {
    type Hasher = IdHasher;

    fn build_hasher(&self) -> IdHasher {
        IdHasher { seed: self.clone(), state: 0 }
    }
}

/// See [`Seed`].
pub(super) struct IdHasher {
    seed: Seed,
    state: u64,
}

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        let head = bytes.first_chunk().map_or(0, |head| u64::from_le_bytes(*head));
        self.state = self.state.rotate_left(32) ^ head;
    }

    fn write_u32(&mut self, number: u32) {
        self.state = self.state.rotate_left(32) ^ u64::from(number);
    }

    fn finish(&self) -> u64 {
        let product = u128::from(self.state ^ self.seed.mask) * u128::from(self.seed.factor);
        #[expect(clippy::cast_possible_truncation, reason = "the halves are folded into one")]
        let (low, high) = (product as u64, (product >> u64::BITS) as u64);
        low ^ high
    }
}
