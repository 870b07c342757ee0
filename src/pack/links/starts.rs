//! Where the entries of a tree begin.
//!
//! Most of a tree that is a delta is copied from another, whose entries are known: only those are read that are new.

use super::{Named, split_off_entry};
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

    /// Finds those of the tree `content`, of which `copied` is copied from another tree that has its entries where
    /// `base` says; tells `add` what is named by entries that are not copied whole. `None` if one of those cannot be read.
    pub(super) fn read<'a, const LEN: usize>(
        &mut self,
        content: &'a [u8],
        (copied, base): (&[Copied], &Self),
        mut add: impl FnMut(Named, &'a [u8; LEN]),
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

    fn has(&self, at: usize) -> bool {
        self.words.get(at / BITS).is_some_and(|word| word >> (at % BITS) & 1 == 1)
    }

    fn set(&mut self, at: usize) {
        if let Some(word) = self.words.get_mut(at / BITS) {
            *word |= 1 << (at % BITS);
        }
    }

    /// The last one from `first` to `last`.
    fn last(&self, first: usize, last: usize) -> Option<usize> {
        let mut at = last / BITS;
        let mut word = self.words.get(at).copied().unwrap_or(0) & (u64::MAX >> (BITS - 1 - last % BITS));
        while word == 0 {
            at = at.checked_sub(1).filter(|at| *at >= first / BITS)?;
            word = self.words.get(at).copied().unwrap_or(0);
        }
        let found = at * BITS + BITS - 1 - word.leading_zeros() as usize;
        (found >= first).then_some(found)
    }

    /// Takes those of `base` from `from` up to before `to`; the first is here at `at`.
    fn copy(&mut self, base: &Self, (from, to): (usize, usize), at: usize) {
        let (shift, mut place) = (at % BITS, at / BITS);
        let mut next = from;
        while next < to {
            let word = base.bits(next, to);
            if let Some(low) = self.words.get_mut(place) {
                *low |= word << shift;
            }
            if shift > 0
                && let Some(high) = self.words.get_mut(place + 1)
            {
                *high |= word >> (BITS - shift);
            }
            (next, place) = (next + BITS, place + 1);
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
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pack::delta::{Index, apply_noting, create};

    const LEN: usize = 20;

    /// A tree with an entry for each of `names`: the length of a name, and the byte its id consists of.
    fn tree(names: &[(usize, u8)]) -> Vec<u8> {
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
        let read = of_base.read::<LEN>(base, nothing, |named, id| ids.push((named, *id)));
        read.unwrap();
        let mut starts = Starts::default();
        let read = starts.read::<LEN>(&made, (&copied, &of_base), |named, id| {
            ids.push((named, *id));
        });
        let (mut whole, mut all) = (Starts::default(), Vec::new());
        let expected = whole.read::<LEN>(&made, nothing, |named, id| all.push((named, *id)));
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
