//! Objects that were made lately, for those that are made of them.
//!
//! They are bounded by their bytes alone, as git's are (git-config(1), `core.deltaBaseCacheLimit`), and the last one is kept
//! however large it is: a chain of deltas none of whose links were kept would be made anew for each of them.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};

/// Larger objects are kept apart, in bytes: one of them would push out hundreds of others.
pub(crate) const SMALL_MAX: usize = 1024 * 1024;

/// Objects, or what else was made, by their entries.
pub(crate) struct Kept<K, V, S = RandomState> {
    small: Generations<K, V, S>,
    large: Generations<K, V, S>,
}

impl<K: Eq + Hash, V: Clone, S: BuildHasher + Default> Kept<K, V, S> {
    /// With memory of `small_bytes` for objects that are no larger than [`SMALL_MAX`], and of `large_bytes` for others. Few
    /// repositories have some of these, so that this is hardly ever used.
    pub(crate) fn new(small_bytes: usize, large_bytes: usize) -> Self {
        Self { small: Generations::new(small_bytes), large: Generations::new(large_bytes) }
    }

    /// The object of `key`, if it is still here.
    pub(crate) fn get(&mut self, key: K) -> Option<V> {
        if self.large.is_empty() || self.small.peek(&key).is_some() {
            return self.small.get(key);
        }
        self.large.get(key)
    }

    /// As [`get`](Self::get), without being a use of it.
    pub(crate) fn peek(&self, key: &K) -> Option<&V> {
        self.small.peek(key).or_else(|| self.large.peek(key))
    }

    /// Lets go of those that are larger than [`SMALL_MAX`].
    pub(crate) fn forget_large(&mut self) {
        self.large.clear();
    }

    /// Keeps an object that takes `bytes`, instead of what else was kept for `key`; others go.
    pub(crate) fn put(&mut self, key: K, value: V, bytes: usize) {
        if bytes > SMALL_MAX {
            self.small.remove(&key);
            self.large.put(key, value, bytes);
        } else {
            self.large.remove(&key);
            self.small.put(key, value, bytes);
        }
    }
}

/// Two generations: what is not used while one fills up is forgotten.
struct Generations<K, V, S> {
    young: HashMap<K, (V, usize), S>,
    old: HashMap<K, (V, usize), S>,
    young_bytes: usize,
    /// How large one becomes, unless there is but one object in it.
    young_bytes_max: usize,
}

impl<K: Eq + Hash, V: Clone, S: BuildHasher + Default> Generations<K, V, S> {
    fn new(bytes: usize) -> Self {
        Self {
            young: HashMap::default(),
            old: HashMap::default(),
            young_bytes: 0,
            young_bytes_max: bytes / 2,
        }
    }

    fn clear(&mut self) {
        self.young = HashMap::default();
        self.old = HashMap::default();
        self.young_bytes = 0;
    }

    fn is_empty(&self) -> bool {
        self.young.is_empty() && self.old.is_empty()
    }

    fn get(&mut self, key: K) -> Option<V> {
        if let Some((value, _)) = self.young.get(&key) {
            return Some(value.clone());
        }
        let (value, bytes) = self.old.remove(&key)?;
        self.put(key, value.clone(), bytes);
        Some(value)
    }

    fn peek(&self, key: &K) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key)).map(|(value, _)| value)
    }

    fn remove(&mut self, key: &K) {
        if let Some((_, bytes)) = self.young.remove(key) {
            self.young_bytes -= bytes;
        }
        self.old.remove(key);
    }

    fn put(&mut self, key: K, value: V, bytes: usize) {
        if self.young_bytes + bytes > self.young_bytes_max {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        if bytes > self.young_bytes_max {
            self.old.clear();
        }
        self.young_bytes += bytes;
        if let Some((_, before)) = self.young.insert(key, (value, bytes)) {
            self.young_bytes -= before;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGE_BYTES: usize = 32 * SMALL_MAX;

    #[test]
    fn large_objects_are_bounded_by_their_bytes_and_push_out_no_small_ones() {
        let mut kept: Kept<u32, u32> = Kept::new(4 * SMALL_MAX, LARGE_BYTES);
        kept.put(0, 0, 1);
        for key in 1..100 {
            kept.put(key, key, SMALL_MAX + 1);
            assert_eq!((kept.get(key), kept.peek(&0)), (Some(key), Some(&0)));
        }
        let count = (1..100).filter(|key| kept.peek(key).is_some()).count();
        assert!((LARGE_BYTES / 2 / (SMALL_MAX + 1)..=LARGE_BYTES / SMALL_MAX).contains(&count), "{count}");
    }

    #[test]
    fn the_last_object_is_kept_however_large_it_is() {
        let mut kept: Kept<u32, u32> = Kept::new(SMALL_MAX, LARGE_BYTES);
        for key in 0..9 {
            kept.put(key, key, 10 * LARGE_BYTES);
            assert_eq!(kept.get(key), Some(key));
        }
        assert_eq!((0..9).filter(|key| kept.peek(key).is_some()).count(), 1);
    }

    #[test]
    fn what_was_kept_last_is_found() {
        let mut kept: Kept<u32, u32> = Kept::new(4 * SMALL_MAX, LARGE_BYTES);
        for (value, bytes) in [(1, 1), (2, 2 * SMALL_MAX), (3, 2), (4, 3 * SMALL_MAX)] {
            kept.put(0, value, bytes);
            assert_eq!((kept.get(0), kept.peek(&0)), (Some(value), Some(&value)));
        }
    }

    #[test]
    fn what_is_used_stays() {
        let mut kept: Kept<u32, u32> = Kept::new(4 * SMALL_MAX, LARGE_BYTES);
        for key in 0..9 {
            kept.put(key, key, SMALL_MAX);
            assert_eq!(kept.get(0), Some(0));
        }
        assert_eq!((1..9).filter(|key| kept.peek(key).is_some()).count(), 2);
    }
}
