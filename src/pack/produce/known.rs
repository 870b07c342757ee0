//! Deltas that were made for one receiver, for the next who lacks the same.
//!
//! Who fetches what is new from a server has the same files to bring up to date as others, whatever else was fetched before. A
//! process that stays keeps the deltas between two versions that are not on disk.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gix_hash::ObjectId;

use super::super::kept::{Kept, SMALL_MAX};

/// The memory that a delta takes beside its bytes.
const ROW_BYTES: usize = 160;

/// The deltas of a process.
pub struct KnownDeltas {
    kept: Mutex<Kept<Key, Known>>,
    /// How often what was asked for was there.
    found: AtomicU64,
    hasher: RandomState,
}

/// The repository, the object that the delta makes, the object that it is based on.
type Key = (u64, ObjectId, ObjectId);

/// What is known of a delta.
#[derive(Clone)]
pub(super) enum Known {
    /// How many bytes it has, and its zlib stream.
    Delta(usize, Arc<[u8]>),
    /// It is too long to be worth it.
    Worthless,
}

/// The deltas of one repository.
#[derive(Clone)]
pub struct KnownHere {
    all: Arc<KnownDeltas>,
    repository: u64,
}

impl KnownDeltas {
    /// Keeps as many as take `bytes` of memory, more or less: those that were used last.
    pub fn new(bytes: usize) -> Self {
        let kept = Mutex::new(Kept::new(bytes, 0));
        Self { kept, found: AtomicU64::new(0), hasher: RandomState::new() }
    }

    /// How many deltas did not have to be made again.
    pub fn found(&self) -> u64 {
        self.found.load(Ordering::Relaxed)
    }

    /// Those of the repository whose objects are in `objects`. What another one says of its objects is not taken for true.
    pub fn of(self: &Arc<Self>, objects: &Path) -> KnownHere {
        KnownHere { all: Arc::clone(self), repository: self.hasher.hash_one(objects) }
    }
}

impl KnownHere {
    /// What is known of the delta that makes `target` of `base`.
    pub(super) fn get(&self, target: ObjectId, base: ObjectId) -> Option<Known> {
        let found = self.kept().get((self.repository, target, base))?;
        self.all.found.fetch_add(1, Ordering::Relaxed);
        Some(found)
    }

    /// Keeps what was found out.
    pub(super) fn put(&self, target: ObjectId, base: ObjectId, known: Known) {
        let bytes = match &known {
            Known::Delta(_, deflated) => ROW_BYTES + deflated.len(),
            Known::Worthless => ROW_BYTES,
        };
        if bytes <= SMALL_MAX {
            self.kept().put((self.repository, target, base), known, bytes);
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept<Key, Known>> {
        self.all.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for KnownDeltas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownDeltas").finish_non_exhaustive()
    }
}

impl fmt::Debug for KnownHere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownHere").field("repository", &self.repository).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> ObjectId {
        let mut bytes = [0; 20];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        bytes.into()
    }

    fn delta(len: usize) -> Known {
        Known::Delta(len, vec![0; len].into())
    }

    fn len(known: Option<Known>) -> Option<usize> {
        known.map(|known| match known {
            Known::Delta(len, _) => len,
            Known::Worthless => 0,
        })
    }

    #[test]
    fn what_one_repository_says_is_not_told_of_another() {
        let all = Arc::new(KnownDeltas::new(1 << 20));
        let (one, other) = (all.of(Path::new("one/objects")), all.of(Path::new("other/objects")));
        one.put(id(1), id(2), delta(9));
        one.put(id(1), id(3), Known::Worthless);
        assert_eq!((len(one.get(id(1), id(2))), len(one.get(id(1), id(3)))), (Some(9), Some(0)));
        assert_eq!(len(all.of(Path::new("one/objects")).get(id(1), id(2))), Some(9));
        assert_eq!((len(one.get(id(2), id(1))), len(other.get(id(1), id(2)))), (None, None));
        assert_eq!(all.found(), 3);
    }

    #[test]
    fn the_memory_is_bounded() {
        const BYTES: usize = 1 << 20;
        let all = Arc::new(KnownDeltas::new(BYTES)).of(Path::new("objects"));
        all.put(id(0), id(0), delta(SMALL_MAX));
        assert_eq!(len(all.get(id(0), id(0))), None, "it would push out all others");
        for number in 1..10_000 {
            all.put(id(number), id(0), delta(1000));
        }
        let kept = (1..10_000).filter(|number| all.get(id(*number), id(0)).is_some()).count();
        assert!((BYTES / 2 / (1000 + ROW_BYTES) - 1..=BYTES / 1000).contains(&kept), "{kept}");
        assert_eq!(len(all.get(id(9_999), id(0))), Some(1000));
    }
}
