//! Compressed bitmaps: gitformat-bitmap(5), "Serialization format for an EWAH bitmap".
//!
//! ```text
//! bits:u32  words:u32  { running word, literal words }*  place of the last running word:u32
//! ```

use super::bits::Bits;

/// The bytes beside the words.
const FRAME_LEN: usize = 4 + 4 + 4;

/// A compressed bitmap where it stands in a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ewah<'a> {
    words: &'a [[u8; 8]],
}

impl<'a> Ewah<'a> {
    /// Takes one off the front of `rest`; `None` if it goes on behind the end.
    pub fn split_off(rest: &mut &'a [u8]) -> Option<Self> {
        let (head, behind) = rest.split_at_checked(8)?;
        let count = u32::from_be_bytes(*head.last_chunk()?);
        let len = usize::try_from(count).ok()?.checked_mul(8)?;
        let (words, behind) = behind.split_at_checked(len)?;
        *rest = behind.get(FRAME_LEN - 8..)?;
        Some(Self { words: words.as_chunks().0 })
    }

    /// Turns over those of `bits` that are set here; `None` if there are more than fit, and then `bits` are spoilt.
    pub fn flip(self, bits: &mut Bits) -> Option<()> {
        let mut room = bits.words_mut();
        let mut words = self.words;
        while let Some((running, rest)) = words.split_first() {
            let running = u64::from_be_bytes(*running);
            let repeated = usize::try_from(running >> 1 & 0xffff_ffff).ok()?;
            let (same, behind) = room.split_at_mut_checked(repeated)?;
            if running & 1 == 1 {
                for word in same {
                    *word = !*word;
                }
            }
            let (literal, rest) = rest.split_at_checked(usize::try_from(running >> 33).ok()?)?;
            let (changed, behind) = behind.split_at_mut_checked(literal.len())?;
            for (word, literal) in changed.iter_mut().zip(literal) {
                *word ^= u64::from_be_bytes(*literal);
            }
            (room, words) = (behind, rest);
        }
        bits.trim();
        Some(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is in `bits`, with runs of full and of empty words shortened.
    pub(in super::super) fn encode(bits: &Bits) -> Vec<u8> {
        let mut copy = bits.clone();
        let mut words: Vec<u64> = Vec::new();
        let mut rest: &[u64] = copy.words_mut();
        while let Some(first) = rest.first() {
            let same = if [0, u64::MAX].contains(first) { *first } else { 0 };
            let run = rest.iter().take_while(|word| **word == same).count();
            rest = &rest[run..];
            let literal = rest.iter().take_while(|word| ![0, u64::MAX].contains(*word)).count();
            words.push(same & 1 | (run as u64) << 1 | (literal as u64) << 33);
            words.extend(&rest[..literal]);
            rest = &rest[literal..];
        }
        let mut out = bits.len().to_be_bytes().to_vec();
        out.extend(u32::try_from(words.len()).unwrap().to_be_bytes());
        for word in words {
            out.extend(word.to_be_bytes());
        }
        out.extend([0; 4]);
        out
    }

    proptest! {
        #[test]
        fn what_was_shortened_comes_back(runs in prop::collection::vec((any::<bool>(), 1_u32..300), 0..20)) {
            let mut bits = Bits::new(runs.iter().map(|(_, len)| len).sum());
            let mut at = 0;
            for (is_set, len) in runs {
                for number in (at..at + len).filter(|_| is_set) {
                    assert!(bits.insert(number));
                }
                at += len;
            }
            let bytes = encode(&bits);
            let mut rest = bytes.as_slice();
            let mut back = Bits::new(bits.len());
            Ewah::split_off(&mut rest).unwrap().flip(&mut back).unwrap();
            prop_assert!(rest.is_empty());
            prop_assert_eq!(&back, &bits);
            for len in 0..bytes.len() {
                prop_assert!(Ewah::split_off(&mut &bytes[..len]).is_none());
            }
        }

        #[test]
        fn no_words_do_any_harm(words in prop::collection::vec(any::<u64>(), 0..20), len in 0_u32..2_000) {
            let words: Vec<[u8; 8]> = words.into_iter().map(u64::to_be_bytes).collect();
            let mut bits = Bits::new(len);
            if (Ewah { words: &words }).flip(&mut bits).is_some() {
                prop_assert!(bits.iter().all(|number| number < len));
            }
        }
    }
}
