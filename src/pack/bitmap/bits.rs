//! Sets of numbers below a limit, one bit for each.

/// A set of the numbers below [`len`](Self::len).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bits {
    words: Vec<u64>,
    len: u32,
}

impl Bits {
    /// An empty set of numbers below `len`. It takes a byte for each eight of them.
    pub fn new(len: u32) -> Self {
        Self { words: vec![0; (len as usize).div_ceil(64)], len }
    }

    /// The first number that cannot be in the set.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether nothing is in the set.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Whether `number` is in the set.
    pub fn get(&self, number: u32) -> bool {
        let word = self.words.get(number as usize / 64).copied().unwrap_or(0);
        word >> (number % 64) & 1 == 1
    }

    /// Adds `number`; gives whether it is new. What is beyond the limit is not added.
    pub fn insert(&mut self, number: u32) -> bool {
        let Some(word) = self.words.get_mut(number as usize / 64).filter(|_| number < self.len) else {
            return false;
        };
        let before = *word;
        *word |= 1 << (number % 64);
        *word != before
    }

    /// Takes `number` out.
    pub fn remove(&mut self, number: u32) {
        if let Some(word) = self.words.get_mut(number as usize / 64) {
            *word &= !(1 << (number % 64));
        }
    }

    /// Takes everything out.
    pub fn clear(&mut self) {
        self.words.fill(0);
    }

    /// Adds what is in `other`.
    pub fn add_all(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word |= other);
    }

    /// Takes out what is in `other`.
    pub fn remove_all(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= !other);
    }

    /// Takes out what is not in `other`.
    pub fn retain_all(&mut self, other: &Self) {
        let others = other.words.iter().copied().chain(std::iter::repeat(0));
        self.words.iter_mut().zip(others).for_each(|(word, other)| *word &= other);
    }

    /// How many numbers are in the set.
    pub fn count(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }

    /// The numbers in the set, the smallest first.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0_u32..).zip(&self.words).flat_map(|(at, word)| Ones(*word).map(move |bit| at * 64 + bit))
    }

    pub(super) fn words_mut(&mut self) -> &mut [u64] {
        &mut self.words
    }

    /// Takes out what is beyond the limit.
    pub(super) fn trim(&mut self) {
        let used = self.len % 64;
        if used > 0
            && let Some(last) = self.words.last_mut()
        {
            *last &= (1 << used) - 1;
        }
    }
}

/// The bits that are set in a word.
struct Ones(u64);

impl Iterator for Ones {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        if self.0 == 0 {
            return None;
        }
        let bit = self.0.trailing_zeros();
        self.0 &= self.0 - 1;
        Some(bit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(len: u32, numbers: &[u32]) -> Bits {
        let mut bits = Bits::new(len);
        for number in numbers {
            assert!(bits.insert(*number));
        }
        bits
    }

    #[test]
    fn numbers_come_out_as_they_went_in() {
        let numbers = [0, 1, 63, 64, 129];
        let mut set = bits(130, &numbers);
        assert_eq!(set.iter().collect::<Vec<_>>(), numbers);
        assert_eq!(set.count(), 5);
        assert!(!set.insert(64) && !set.insert(130) && !set.get(130) && set.get(129));
        set.remove(129);
        set.remove(4_000);
        assert!(!set.get(129) && !set.is_empty() && Bits::new(0).is_empty());
    }

    #[test]
    fn sets_are_added_and_taken_away() {
        let (mut set, other) = (bits(100, &[1, 70, 99]), bits(100, &[2, 70]));
        set.add_all(&other);
        assert_eq!(set, bits(100, &[1, 2, 70, 99]));
        let mut both = set.clone();
        both.retain_all(&other);
        assert_eq!(both, other);
        set.remove_all(&other);
        assert_eq!(set, bits(100, &[1, 99]));
        set.retain_all(&Bits::new(3));
        assert!(set.is_empty());
    }
}
