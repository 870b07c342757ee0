//! The entries of a tree that a delta does not copy whole from another.

use bstr::ByteSlice as _;

use crate::pack::delta::{self, Instruction};
use crate::pack::links::Starts;

/// The entries of the tree that `delta` makes of `base`, a tree that has its entries where the [`Starts`] say, but for
/// those that it copies whole; and where they begin. Ids have `id_len` bytes.
///
/// What they name is for whoever reads them to find out. `None` if the delta is broken or makes no whole entries.
pub(super) fn extract(base: (&[u8], &Starts), delta: &[u8], id_len: usize) -> Option<(Vec<u8>, Starts)> {
    let (content, starts) = base;
    let mut extract = Extract { starts, id_len, made: Vec::new(), begins: Vec::new(), stage: Stage::Between };
    delta::replay(content.len(), delta, |instruction| match instruction {
        Instruction::Copy(copied) => extract.copy(content, copied.from, copied.from + copied.len),
        Instruction::Insert(bytes) => extract.insert(bytes),
    })
    .ok()?;
    extract.finish()
}

struct Extract<'b> {
    starts: &'b Starts,
    id_len: usize,
    made: Vec<u8>,
    begins: Vec<usize>,
    stage: Stage,
}

/// Where the bytes that come next stand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// At the beginning of an entry.
    Between,
    /// In the mode or the name.
    Head,
    /// In the id, with so many bytes to come.
    Id(usize),
}

impl Extract<'_> {
    fn copy(&mut self, base: &[u8], from: usize, to: usize) {
        let mut at = from;
        while at < to {
            if self.stage == Stage::Between
                && self.starts.has(at)
                && let Some(last) = self.starts.last(at + 1, to)
            {
                at = last;
                continue;
            }
            let Some(bytes) = base.get(at..to) else { return };
            at += self.take(bytes);
        }
    }

    fn insert(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let taken = self.take(rest);
            rest = rest.get(taken..).unwrap_or_default();
        }
    }

    /// Takes bytes off the front of `bytes`, which is not empty, up to the next stage; gives how many.
    fn take(&mut self, bytes: &[u8]) -> usize {
        let (taken, next) = match self.stage {
            Stage::Between => {
                self.begins.push(self.made.len());
                (0, Stage::Head)
            }
            Stage::Head => match bytes.find_byte(0) {
                Some(end) => (end + 1, Stage::Id(self.id_len)),
                None => (bytes.len(), Stage::Head),
            },
            Stage::Id(left) if left > bytes.len() => (bytes.len(), Stage::Id(left - bytes.len())),
            Stage::Id(left) => (left, Stage::Between),
        };
        self.made.extend_from_slice(bytes.get(..taken).unwrap_or_default());
        self.stage = next;
        taken
    }

    fn finish(self) -> Option<(Vec<u8>, Starts)> {
        let mut starts = Starts::none(self.made.len());
        self.begins.iter().chain([&self.made.len()]).for_each(|at| starts.set(*at));
        (self.stage == Stage::Between).then_some((self.made, starts))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pack::delta::{Copied, Index, apply, create};
    use crate::pack::enumerate::tree::next_entry;
    use crate::pack::links::sample_tree as tree;

    const LEN: usize = 20;

    fn starts_of(content: &[u8]) -> Option<Starts> {
        let mut starts = Starts::default();
        starts.find(content, LEN, (&[], &Starts::default()), |_: Copied| {})?;
        Some(starts)
    }

    /// The entries in `content`, with where they begin.
    fn entries(content: &[u8]) -> Vec<(usize, &[u8])> {
        let (mut found, mut rest) = (Vec::new(), content);
        while !rest.is_empty() {
            let before = rest;
            next_entry(&mut rest, LEN).unwrap();
            found.push((content.len() - before.len(), &before[..before.len() - rest.len()]));
        }
        found
    }

    /// Compares what is new in what `delta` makes of `base` with the whole of it; gives how many entries those are.
    #[track_caller]
    fn check(base: &[u8], delta: &[u8]) -> Option<usize> {
        let found = extract((base, &starts_of(base).unwrap()), delta, LEN);
        let mut whole = Vec::new();
        if apply(base, delta, &mut whole).is_err() {
            assert_eq!(found, None);
            return None;
        }
        let of_whole = starts_of(&whole);
        if of_whole.is_none() {
            // whoever reads the entries finds out what is wrong with a mode
            assert!(found.is_none_or(|(content, _)| starts_of(&content).is_none()));
            return None;
        }
        let (content, starts) = found.unwrap();
        assert_eq!(starts, starts_of(&content).unwrap());
        let mut new = entries(&content).into_iter().map(|(_, bytes)| bytes).peekable();
        let known = entries(base);
        for (_, bytes) in entries(&whole) {
            if new.next_if_eq(&bytes).is_none() {
                assert!(known.iter().any(|(_, known)| *known == bytes));
            }
        }
        assert_eq!(new.next(), None);
        Some(entries(&content).len())
    }

    /// A delta of the size of `base`, the size of the result, copies of ranges, and one byte if there is one.
    fn delta_of(base: &[u8], copies: &[(u8, u8)], last: Option<u8>) -> Vec<u8> {
        let size: usize = copies.iter().map(|(_, len)| usize::from(*len)).sum();
        let mut delta = Vec::new();
        for size in [base.len(), size + usize::from(last.is_some())] {
            let bits = |shift: u32| u8::try_from(size >> shift & 0x7f).unwrap();
            delta.extend([0x80 | bits(0), 0x80 | bits(7), bits(14)]);
        }
        for (from, len) in copies {
            delta.extend([0x91, *from, *len]);
        }
        delta.extend(last.into_iter().flat_map(|byte| [1, byte]));
        delta
    }

    #[test]
    fn what_is_copied_whole_is_not_in_it() {
        // each is 29 bytes long
        let base = tree(&[(1, 1), (1, 2), (1, 3), (1, 4)]);
        assert_eq!(check(&base, &delta_of(&base, &[(29, 3 * 29)], None)), Some(0));
        assert_eq!(check(&base, &delta_of(&base, &[(0, 28), (2 * 29, 58)], Some(7))), None);
        assert_eq!(check(&base, &delta_of(&base, &[(29, 58), (0, 28)], Some(7))), Some(1));
        // the head of the first, the id of the second, the third, the fourth
        assert_eq!(
            check(&base, &delta_of(&base, &[(0, 9), (29 + 9, 20), (2 * 29, 29), (3 * 29, 29)], None)),
            Some(1)
        );
        // two pieces of an entry are read, though they are one in the end
        assert_eq!(check(&base, &delta_of(&base, &[(0, 29 + 4), (29 + 4, 25 + 29)], None)), Some(1));
        assert_eq!(check(&base, &delta_of(&base, &[], None)), Some(0));
    }

    #[test]
    fn a_delta_that_lies_gives_nothing() {
        let base = tree(&[(1, 1), (1, 2)]);
        let mut delta = delta_of(&base, &[(0, 29)], None);
        delta[3] += 1;
        assert_eq!(check(&base, &delta), None);
        assert_eq!(check(&base, &delta_of(&base, &[(30, 29)], None)), None);
        assert_eq!(check(&base[..29], &delta_of(&base, &[(0, 29)], None)), None);
        assert_eq!(check(&base, &delta_of(&base, &[(0, 28)], None)), None);
    }

    proptest! {
        #[test]
        fn nothing_new_is_passed_over(
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
                prop_assert!(check(&base, &delta).is_some());
            }
        }

        #[test]
        fn nothing_new_is_passed_over_in_what_any_copies_make(
            names in proptest::collection::vec((1..9_usize, 0..200_u8), 1..8),
            copies in proptest::collection::vec((0..200_u8, 1..200_u8), 0..8),
            last in proptest::option::of(0..200_u8),
        ) {
            let base = tree(&names);
            let is_within = |(from, len): &(u8, u8)| usize::from(*from) + usize::from(*len) <= base.len();
            let copies: Vec<_> = copies.into_iter().filter(is_within).collect();
            check(&base, &delta_of(&base, &copies, last));
        }
    }
}
