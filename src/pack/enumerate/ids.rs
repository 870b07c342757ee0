//! Sets and maps of ids, which an enumeration asks tens of millions of times.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hash, Hasher, RandomState};

use gix_hash::{ObjectId, oid};

/// The bytes of an id of SHA-1.
const SHA1_LEN: usize = 20;

/// A set of ids. Those of SHA-1 are apart, so that their length is known where two are compared.
#[derive(Default)]
pub(super) struct IdSet {
    short: HashSet<Short, Seed>,
    long: HashSet<ObjectId, Seed>,
}

impl IdSet {
    pub fn contains(&self, id: &oid) -> bool {
        match id.as_bytes().try_into() {
            Ok(short) => self.short.contains(&Short(short)),
            Err(_) => self.long.contains(id),
        }
    }

    /// Adds `id`; gives whether it is new.
    pub fn insert(&mut self, id: ObjectId) -> bool {
        match id.as_slice().try_into() {
            Ok(short) => self.short.insert(Short(short)),
            Err(_) => self.long.insert(id),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.short.is_empty() && self.long.is_empty()
    }

    /// The ids, in no order.
    pub fn iter(&self) -> impl Iterator<Item = ObjectId> {
        let short = self.short.iter().map(|Short(id)| ObjectId::Sha1(*id));
        short.chain(self.long.iter().copied())
    }
}

impl Extend<ObjectId> for IdSet {
    fn extend<I: IntoIterator<Item = ObjectId>>(&mut self, ids: I) {
        for id in ids {
            self.insert(id);
        }
    }
}

impl FromIterator<ObjectId> for IdSet {
    fn from_iter<I: IntoIterator<Item = ObjectId>>(ids: I) -> Self {
        let mut set = Self::default();
        set.extend(ids);
        set
    }
}

/// An id of SHA-1.
#[derive(PartialEq, Eq)]
struct Short([u8; SHA1_LEN]);

impl Hash for Short {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

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
