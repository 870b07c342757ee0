//! Deltas that were made for one receiver, for the next who lacks the same.
//!
//! Who fetches what is new from a server has the same files to bring up to date as others, whatever else was fetched before, and
//! who clones a commit alone gets nearly the same files as who cloned the one before. A process that stays keeps what it has found
//! out: what one turned delta comes to, and what was the best delta for an object among just these neighbours. So a pack is the
//! same, byte for byte, as if nothing had been kept.

use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gix_hash::ObjectId;

use super::super::kept::{Kept, SMALL_MAX};

/// The memory that a delta takes beside its bytes.
const ROW_BYTES: usize = 256;

/// The deltas of a process.
pub struct KnownDeltas {
    kept: Mutex<Kept<Question, Known>>,
    /// How often what was asked for was there.
    found: AtomicU64,
    /// Larger ones are not kept.
    largest: usize,
    hashers: [RandomState; 2],
}

/// What was to be found out: two numbers made of all that the answer depends on, by secret functions, so that nobody can bring
/// about that two questions are taken for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Question([u64; 2]);

/// What was found out.
#[derive(Clone)]
pub(super) enum Known {
    /// The base of the delta, how many bytes it has, and its zlib stream.
    Delta(ObjectId, usize, Arc<[u8]>),
    /// No delta is worth it.
    Worthless,
}

/// The deltas of one repository.
#[derive(Clone)]
pub struct KnownHere {
    all: Arc<KnownDeltas>,
    repository: u64,
}

impl KnownDeltas {
    /// Memory for them where nobody says how much.
    pub const BYTES: usize = 32 << 20;

    /// Keeps as many as take `bytes` of memory, more or less: those that were used last.
    pub fn new(bytes: usize) -> Self {
        let kept = Mutex::new(Kept::new(bytes, 0));
        let (found, largest) = (AtomicU64::new(0), SMALL_MAX.min(bytes / 2));
        Self { kept, found, largest, hashers: [RandomState::new(), RandomState::new()] }
    }

    /// How many deltas did not have to be made again.
    pub fn found(&self) -> u64 {
        self.found.load(Ordering::Relaxed)
    }

    /// Those of the repository whose objects are in `objects`. What another one says of its objects is not taken for true.
    pub fn of(self: &Arc<Self>, objects: &Path) -> KnownHere {
        let [hasher, _] = &self.hashers;
        KnownHere { all: Arc::clone(self), repository: hasher.hash_one(objects) }
    }
}

impl KnownHere {
    /// The question whose answer depends on `all` alone.
    pub(super) fn question(&self, all: impl Hash) -> Question {
        Question(self.all.hashers.each_ref().map(|hasher| hasher.hash_one((self.repository, &all))))
    }

    /// What is known.
    pub(super) fn get(&self, question: Question) -> Option<Known> {
        let found = self.kept().get(question)?;
        self.all.found.fetch_add(1, Ordering::Relaxed);
        Some(found)
    }

    /// Keeps what was found out.
    pub(super) fn put(&self, question: Question, known: Known) {
        let bytes = match &known {
            Known::Delta(_, _, deflated) => ROW_BYTES + deflated.len(),
            Known::Worthless => ROW_BYTES,
        };
        if bytes <= self.all.largest {
            self.kept().put(question, known, bytes);
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept<Question, Known>> {
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

    fn delta(len: usize) -> Known {
        Known::Delta(ObjectId::null(gix_hash::Kind::Sha1), len, vec![0; len].into())
    }

    fn len(known: Option<Known>) -> Option<usize> {
        known.map(|known| match known {
            Known::Delta(_, len, _) => len,
            Known::Worthless => 0,
        })
    }

    #[test]
    fn what_one_repository_says_is_not_told_of_another() {
        let all = Arc::new(KnownDeltas::new(1 << 20));
        let (one, other) = (all.of(Path::new("one/objects")), all.of(Path::new("other/objects")));
        one.put(one.question((1, 2)), delta(9));
        one.put(one.question((1, 3)), Known::Worthless);
        let ask = |here: &KnownHere, what: (i32, i32)| len(here.get(here.question(what)));
        assert_eq!((ask(&one, (1, 2)), ask(&one, (1, 3))), (Some(9), Some(0)));
        assert_eq!(ask(&all.of(Path::new("one/objects")), (1, 2)), Some(9));
        assert_eq!((ask(&one, (2, 1)), ask(&other, (1, 2))), (None, None));
        assert_eq!(all.found(), 3);
    }

    #[test]
    fn the_memory_is_bounded() {
        const BYTES: usize = 1 << 20;
        let all = Arc::new(KnownDeltas::new(BYTES)).of(Path::new("objects"));
        all.put(all.question(0), delta(SMALL_MAX));
        assert_eq!(len(all.get(all.question(0))), None, "it would push out all others");
        for number in 1..10_000 {
            all.put(all.question(number), delta(1000));
        }
        let kept = (1..10_000).filter(|number| all.get(all.question(*number)).is_some()).count();
        assert!((BYTES / 2 / (1000 + ROW_BYTES) - 1..=BYTES / 1000).contains(&kept), "{kept}");
        assert_eq!(len(all.get(all.question(9_999))), Some(1000));
        let none = Arc::new(KnownDeltas::new(0)).of(Path::new("objects"));
        none.put(none.question(0), Known::Worthless);
        assert_eq!(len(none.get(none.question(0))), None);
    }
}
