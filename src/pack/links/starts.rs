//! Where the entries of a tree begin.
//!
//! Most of a tree that is a delta is copied from another, whose entries are known: only those are read that are new.

use super::{ID_LEN_MAX, Named, SHA1_LEN, split_off_entry};
use crate::pack::delta::Copied;

/// Where the entries of a tree begin, and where the last one ends: a bit for each byte.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(in crate::pack) struct Starts {
    words: Vec<u64>,
}

const BITS: usize = u64::BITS as usize;

impl Starts {
    /// Forgets all.
    pub fn clear(&mut self) {
        self.words.clear();
    }

    /// Whether they were not looked for.
    pub fn is_unknown(&self) -> bool {
        self.words.is_empty()
    }

    /// Finds those of the tree `content`, whose ids have `id_len` bytes, as [`read`](Self::read) does; tells `share` what
    /// consists of whole entries that are copied.
    pub fn find(
        &mut self,
        content: &[u8],
        id_len: usize,
        (copied, base): (&[Copied], &Self),
        share: impl FnMut(Copied),
    ) -> Option<()> {
        match id_len {
            SHA1_LEN => self.read::<SHA1_LEN>(content, (copied, base), |_, _| {}, share),
            _ => self.read::<ID_LEN_MAX>(content, (copied, base), |_, _| {}, share),
        }
    }

    /// None yet, of a tree of `len` bytes.
    pub fn none(len: usize) -> Self {
        Self { words: vec![0; len / BITS + 1] }
    }

    /// Tells `add` those that are not in `other`, in order.
    pub fn without(&self, other: &Self, mut add: impl FnMut(usize)) {
        let others = other.words.iter().copied().chain(std::iter::repeat(0));
        for (place, (word, other)) in self.words.iter().zip(others).enumerate() {
            let mut left = word & !other;
            while left != 0 {
                add(place * BITS + left.trailing_zeros() as usize);
                left &= left - 1;
            }
        }
    }

    /// Finds those of the tree `content`, of which `copied` is copied from another tree that has its entries where
    /// `base` says; tells `add` what is named by entries that are not copied whole, and `share`
    /// which entries are. `None` if one cannot be read.
    pub(super) fn read<'a, const LEN: usize>(
        &mut self,
        content: &'a [u8],
        (copied, base): (&[Copied], &Self),
        mut add: impl FnMut(Named, &'a [u8; LEN]),
        mut share: impl FnMut(Copied),
    ) -> Option<()> {
        self.words.clear();
        self.words.resize(content.len() / BITS + 1, 0);
        let mut copied = copied.iter().peekable();
        let mut at = 0;
        while at < content.len() {
            while copied.next_if(|copy| copy.at + copy.len <= at).is_some() {}
            if let Some(copy) = copied.peek().filter(|copy| copy.at <= at) {
                let from = copy.from + (at - copy.at);
                if base.has(from)
                    && let Some(last) = base.last(from + 1, copy.from + copy.len)
                {
                    self.copy(base, (from, last), at);
                    share(Copied { at, from, len: last - from });
                    at += last - from;
                    continue;
                }
            }
            let (named, id, behind) = split_off_entry::<LEN>(content.get(at..)?)?;
            if let Some(named) = named {
                add(named, id);
            }
            self.set(at);
            at = content.len() - behind.len();
        }
        self.set(at);
        Some(())
    }

    /// The memory it takes, in bytes.
    pub fn bytes(&self) -> usize {
        self.words.capacity() * size_of::<u64>()
    }

    /// Whether one is at `at`.
    pub fn has(&self, at: usize) -> bool {
        self.words.get(at / BITS).is_some_and(|word| word >> (at % BITS) & 1 == 1)
    }

    /// Adds one at `at`.
    pub fn set(&mut self, at: usize) {
        if let Some(word) = self.words.get_mut(at / BITS) {
            *word |= 1 << (at % BITS);
        }
    }

    /// The last one from `first` to `last`.
    pub fn last(&self, first: usize, last: usize) -> Option<usize> {
        let mut at = last / BITS;
        let mut word = self.words.get(at).copied().unwrap_or(0) & (u64::MAX >> (BITS - 1 - last % BITS));
        while word == 0 {
            at = at.checked_sub(1).filter(|at| *at >= first / BITS)?;
            word = self.words.get(at).copied().unwrap_or(0);
        }
        let found = at * BITS + BITS - 1 - word.leading_zeros() as usize;
        (found >= first).then_some(found)
    }

    /// Adds those of `base` from `from` up to before `to`; the first is here at `at`.
    pub fn copy(&mut self, base: &Self, (from, to): (usize, usize), at: usize) {
        let first_len = (BITS - at % BITS).min(to - from);
        self.add(at, base.bits(from, from + first_len));
        let (from, at) = (from + first_len, at + first_len);
        let count = (to - from) / BITS;
        let source = base.words.get(from / BITS..).unwrap_or_default();
        let target = self.words.get_mut(at / BITS..).unwrap_or_default();
        // whole words now, which are put together of two each
        let shift = from % BITS;
        if shift == 0 {
            target.iter_mut().zip(source).take(count).for_each(|(word, bits)| *word |= bits);
        } else {
            for (word, bits) in target.iter_mut().zip(source.windows(2)).take(count) {
                if let [low, high] = bits {
                    *word |= low >> shift | high << (BITS - shift);
                }
            }
        }
        let done = count * BITS;
        if from + done < to {
            self.add(at + done, base.bits(from + done, to));
        }
    }

    /// Adds `bits` at `at`; they do not go beyond the word.
    fn add(&mut self, at: usize, bits: u64) {
        if let Some(word) = self.words.get_mut(at / BITS) {
            *word |= bits << (at % BITS);
        }
    }

    /// The bits from `from` on, at most 64, and up to before `to`.
    fn bits(&self, from: usize, to: usize) -> u64 {
        let (at, shift) = (from / BITS, from % BITS);
        let word = |at: usize| self.words.get(at).copied().unwrap_or(0);
        let high = if shift > 0 { word(at + 1) << (BITS - shift) } else { 0 };
        let bits = word(at) >> shift | high;
        if to - from < BITS { bits & ((1 << (to - from)) - 1) } else { bits }
    }
}

#[cfg(test)]
pub(in crate::pack) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pack::delta::{Index, apply_noting, create};

    const LEN: usize = 20;

    /// A tree with an entry for each of `names`: the length of a name, and the byte its id consists of.
    pub fn tree(names: &[(usize, u8)]) -> Vec<u8> {
        let mut content = Vec::new();
        for (len, byte) in names {
            content.extend(if byte % 5 == 0 { &b"40000 "[..] } else { b"100644 " });
            content.extend(vec![b'a' + byte % 26; *len]);
            content.push(0);
            content.extend([*byte; LEN]);
        }
        content
    }

    /// Reads what `delta` makes of `base` with what is known of `base`, and without.
    #[track_caller]
    fn check(base: &[u8], delta: &[u8]) {
        let (mut made, mut copied) = (Vec::new(), Vec::new());
        apply_noting(base, delta, &mut made, |copy| copied.push(copy)).unwrap();
        let nothing = (&[][..], &Starts::default());
        let (mut of_base, mut ids) = (Starts::default(), Vec::new());
        let read = of_base.read::<LEN>(base, nothing, |named, id| ids.push((named, *id)), |_| {});
        read.unwrap();
        let mut starts = Starts::default();
        let read = starts.read::<LEN>(&made, (&copied, &of_base), |named, id| ids.push((named, *id)), |_| {});
        let (mut whole, mut all) = (Starts::default(), Vec::new());
        let expected = whole.read::<LEN>(&made, nothing, |named, id| all.push((named, *id)), |_| {});
        assert_eq!(read, expected);
        if expected.is_some() {
            assert_eq!(starts, whole);
            assert!(all.iter().all(|link| ids.contains(link)));
        }
    }

    /// A delta of the size of `base`, the size of the result and `copies` of ranges.
    fn delta_of(base: &[u8], copies: &[(u8, u8)]) -> Vec<u8> {
        let size: usize = copies.iter().map(|(_, len)| usize::from(*len)).sum();
        let mut delta = Vec::new();
        for size in [base.len(), size] {
            let bits = |shift: u32| u8::try_from(size >> shift & 0x7f).unwrap();
            delta.extend([0x80 | bits(0), 0x80 | bits(7), bits(14)]);
        }
        for (from, len) in copies {
            delta.extend([0x91, *from, *len]);
        }
        delta
    }

    #[test]
    fn entries_put_together_of_two_are_read() {
        let base = tree(&[(1, 1), (1, 2), (1, 3), (1, 4)]);
        // Each is 29 bytes long: the mode and the name of the first, the id of the second, the third, the fourth.
        check(&base, &delta_of(&base, &[(0, 9), (29 + 9, 20), (2 * 29, 29), (3 * 29, 29)]));
        check(&base, &delta_of(&base, &[(0, 9), (29 + 9, 20 + 29), (0, 2 * 29)]));
        // Broken off.
        check(&base, &delta_of(&base, &[(0, 29), (29, 28)]));
    }

    proptest! {
        #[test]
        fn entries_of_a_delta_are_those_of_the_tree_it_makes(
            names in proptest::collection::vec((1..80_usize, 0..200_u8), 0..60),
            other in proptest::collection::vec((1..80_usize, 0..200_u8), 0..10),
            at in 0..60_usize,
        ) {
            let base = tree(&names);
            let mut changed = names.clone();
            let at = at.min(changed.len());
            let _gone = changed.splice(at..(at + 3).min(names.len()), other).count();
            let made = tree(&changed);
            let (index, mut delta) = (Index::new(&base), Vec::new());
            if create(&base, || &index, &made, usize::MAX, &mut delta) {
                check(&base, &delta);
            }
        }

        #[test]
        fn any_copies_of_a_tree_are_read_as_the_whole_is(
            names in proptest::collection::vec((1..9_usize, 0..200_u8), 1..8),
            copies in proptest::collection::vec((0..200_u8, 1..200_u8), 0..8),
        ) {
            let base = tree(&names);
            let is_within = |(from, len): &(u8, u8)| usize::from(*from) + usize::from(*len) <= base.len();
            let copies: Vec<_> = copies.into_iter().filter(is_within).collect();
            check(&base, &delta_of(&base, &copies));
        }
    }
}
