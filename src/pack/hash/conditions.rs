//! Which disturbance vectors sixteen blocks may follow: all conditions on their expanded messages at once.
//!
//! A condition compares two bits of two words. The bits of one place in all words, as they are found in sixteen blocks,
//! make a plane: 16 bits for each word of the message, one for each block. Two planes, one of them moved by some words,
//! are compared at once. The conditions of one vector are mostly those of another, some words later, and the vectors stand
//! in such an order that what was compared, moved again, falls on many of them at once.
#![expect(unsafe_code, reason = "the processor's vectors: see SAFETY")]
#![expect(
    clippy::indexing_slicing,
    reason = "places are counted here, when the program is compiled, by no byte from outside"
)]

use std::arch::x86_64::{
    __m256i, __m512i, _mm256_cmpneq_epi16_mask, _mm256_set1_epi32, _mm256_setzero_si256,
    _mm256_ternarylogic_epi32, _mm512_set1_epi32, _mm512_test_epi32_mask, _mm512_xor_si512,
};

use super::attack::{CONDITIONS, Condition, LEN};
use super::vector::for_each_step;

/// The first word of the expanded message that a condition names; 29 follow.
const BEGIN: usize = 35;

/// The places of the bits that conditions name.
const BITS: [u32; 11] = [0, 1, 2, 3, 4, 5, 6, 7, 28, 29, 30];

/// 16 bits, one for each lane, for each of some words or disturbance vectors.
type Row<const LEN: usize> = [u16; LEN];

/// The vectors that are looked at together. More would be read from rows that lie across two lines of the cache.
const HALF: usize = 16;

/// Where words begin in the rows of what was compared: fewest of the places to read from are then near the end of a line.
const ROOM: usize = 42;

/// Which lanes break no condition of a disturbance vector, for each vector, and the vectors for which there are any.
pub(super) struct Possible {
    pub vectors: u32,
    pub lanes: [Row<HALF>; 2],
}

/// What is compared at once: the bits at two of [`BITS`], the second so many words later.
type Pair = ([usize; 2], usize);

/// One comparison and the vectors of which it tells whether a condition is broken.
#[derive(Clone, Copy)]
struct Rule {
    pair: usize,
    /// Where the result is to be read for its words to fall on the vectors.
    start: usize,
    differ: bool,
    /// Bits for half of the vectors.
    vectors: u16,
}

/// The comparisons, and how many there are.
const PAIRS: ([Pair; LEN], usize) = {
    let (mut pairs, mut len, mut at) = ([([0, 0], 0); LEN], 0, 0);
    while at < CONDITIONS.len() {
        let pair = pair_of(&CONDITIONS[at]);
        if position(&pairs, len, pair) == len {
            pairs[len] = pair;
            len += 1;
        }
        at += 1;
    }
    (pairs, len)
};

const fn position(pairs: &[Pair; LEN], len: usize, ([left, right], apart): Pair) -> usize {
    let mut at = 0;
    while at < len {
        let ([other_left, other_right], other_apart) = pairs[at];
        if left == other_left && right == other_right && apart == other_apart {
            return at;
        }
        at += 1;
    }
    len
}

const fn pair_of(condition: &Condition) -> Pair {
    let [left, right] = condition.bits;
    ([place(left), place(right)], condition.words[1] - condition.words[0])
}

const fn place(bit: u32) -> usize {
    let mut at = 0;
    while BITS[at] != bit {
        at += 1;
    }
    at
}

/// Room for rules.
type Rules = [Rule; LEN];

/// The rules for each half of the vectors, and how many there are.
const RULES: [(Rules, usize); 2] = [rules_of(0), rules_of(1)];

const fn rules_of(half: usize) -> (Rules, usize) {
    let none = Rule { pair: 0, start: 0, differ: false, vectors: 0 };
    let (mut rules, mut len, mut at) = ([none; LEN], 0, 0);
    while at < CONDITIONS.len() {
        let condition = &CONDITIONS[at];
        let pair = position(&PAIRS.0, PAIRS.1, pair_of(condition));
        let mut vector = 0;
        while vector < HALF {
            if condition.vectors >> (half * HALF + vector) & 1 == 1 {
                let start = ROOM + condition.words[0] - BEGIN - vector;
                let mut rule = 0;
                while rule < len && !(rules[rule].pair == pair && rules[rule].start == start) {
                    rule += 1;
                }
                if rule == len {
                    rules[rule] = Rule { pair, start, differ: condition.differ, vectors: 0 };
                    len += 1;
                }
                assert!(rules[rule].differ == condition.differ, "a pair of places has one relation");
                rules[rule].vectors |= 1 << vector;
            }
            vector += 1;
        }
        at += 1;
    }
    (rules, len)
}

/// Which of [`BITS`] are named in each word.
const NAMED: [u32; LEN] = {
    let (mut named, mut at) = ([0; LEN], 0);
    while at < CONDITIONS.len() {
        let Condition { words, bits, .. } = &CONDITIONS[at];
        named[words[0]] |= 1 << place(bits[0]);
        named[words[1]] |= 1 << place(bits[1]);
        at += 1;
    }
    named
};

/// The bits that conditions name, in sixteen blocks.
#[repr(align(64))]
pub(super) struct Planes([Row<64>; BITS.len()]);

impl Planes {
    pub fn new() -> Self {
        Self([[0; 64]; BITS.len()])
    }

    /// Takes note of the word `T` of each block.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub fn note<const T: usize>(&mut self, word: __m512i) {
        for (at, bit) in BITS.iter().enumerate() {
            if NAMED[T] >> at & 1 == 1 {
                let bit = _mm512_set1_epi32((1_u32 << bit).cast_signed());
                self.0[at][T - BEGIN] = _mm512_test_epi32_mask(word, bit);
            }
        }
    }
}

/// Looks at the conditions.
#[repr(align(64))]
pub(super) struct Checker([Row<96>; PAIRS.1]);

impl Checker {
    pub fn new() -> Self {
        Self([[0; 96]; PAIRS.1])
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub fn check(&mut self, Planes(planes): &Planes) -> Possible {
        macro_rules! compare {
            ($pair:literal) => {
                if let Some(row) = self.0.get_mut($pair) {
                    let ([left, right], apart) = const { PAIRS.0[$pair] };
                    let compared = _mm512_xor_si512(load(&planes[left], 0), load(&planes[right], apart));
                    row[ROOM..ROOM + 32].copy_from_slice(&store(compared));
                }
            };
        }
        for_each_step!(compare);
        let (first, second) = (self.half::<0>(), self.half::<1>());
        let [low, high] = [any(first), any(second)];
        Possible {
            vectors: u32::from(high) << HALF | u32::from(low),
            lanes: [store_half(first), store_half(second)],
        }
    }

    /// The lanes that break no condition of each vector of one half.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn half<const HALF: usize>(&self) -> __m256i {
        let mut possible = _mm256_set1_epi32(-1);
        macro_rules! apply {
            ($rule:literal) => {
                if const { $rule < RULES[HALF].1 } {
                    let rule = const { RULES[HALF].0[$rule] };
                    let compared = load_half(&self.0[rule.pair], rule.start);
                    let vectors = load_half(const { &spread(RULES[HALF].0[$rule].vectors) }, 0);
                    possible = if rule.differ {
                        // possible & (compared | !vectors)
                        _mm256_ternarylogic_epi32::<0xb0>(possible, vectors, compared)
                    } else {
                        // possible & !(compared & vectors)
                        _mm256_ternarylogic_epi32::<0x70>(possible, vectors, compared)
                    };
                }
            };
        }
        for_each_step!(apply);
        possible
    }
}

/// Which words are not zero.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn any(words: __m256i) -> u16 {
    _mm256_cmpneq_epi16_mask(words, _mm256_setzero_si256())
}

/// All ones where a bit of `bits` is set.
const fn spread(bits: u16) -> Row<HALF> {
    let (mut row, mut at) = ([0; HALF], 0);
    while at < HALF {
        if bits >> at & 1 == 1 {
            row[at] = u16::MAX;
        }
        at += 1;
    }
    row
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn load(words: &[u16], start: usize) -> __m512i {
    let mut row = [0; 32];
    row.copy_from_slice(&words[start..start + 32]);
    // SAFETY: both are 64 bytes of plain integers.
    unsafe { std::mem::transmute::<Row<32>, __m512i>(row) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn load_half(words: &[u16], start: usize) -> __m256i {
    let mut row = [0; HALF];
    row.copy_from_slice(&words[start..start + HALF]);
    // SAFETY: both are 32 bytes of plain integers.
    unsafe { std::mem::transmute::<Row<HALF>, __m256i>(row) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn store(vector: __m512i) -> Row<32> {
    // SAFETY: both are 64 bytes of plain integers.
    unsafe { std::mem::transmute(vector) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn store_half(vector: __m256i) -> Row<HALF> {
    // SAFETY: both are 32 bytes of plain integers.
    unsafe { std::mem::transmute(vector) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::hash::vector;

    /// The vectors that each lane of `words` breaks no condition of: one condition after the other.
    fn possible(words: &[vector::Words; LEN]) -> [u32; 16] {
        let mut lanes = [u32::MAX; 16];
        for Condition { words: [left, right], bits, differ, vectors } in &CONDITIONS {
            for (lane, possible) in lanes.iter_mut().enumerate() {
                let differs = (words[*left][lane] >> bits[0] ^ words[*right][lane] >> bits[1]) & 1 == 1;
                if differs != *differ {
                    *possible &= !vectors;
                }
            }
        }
        lanes
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn checked(words: &[vector::Words; LEN]) -> Possible {
        let mut planes = Planes::new();
        macro_rules! note {
            ($t:literal) => {
                planes.note::<$t>(vector::load(words[$t]));
            };
        }
        for_each_step!(note);
        Checker::new().check(&planes)
    }

    /// Numbers that look random.
    struct Noise(u64);

    impl Noise {
        fn next(&mut self) -> u32 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            u32::try_from(self.0 >> 32).unwrap()
        }

        /// Changes bits of one lane until it breaks no condition of `vector`.
        fn follow(&mut self, vector: usize, lane: usize, words: &mut [vector::Words; LEN]) {
            while possible(words)[lane] >> vector & 1 == 0 {
                for Condition { words: at, bits, differ, vectors } in &CONDITIONS {
                    let [left, right] = [0, 1].map(|side| words[at[side]][lane] >> bits[side] & 1);
                    if vectors >> vector & 1 == 1 && (left != right) != *differ {
                        let side = self.next() as usize >> 16 & 1;
                        words[at[side]][lane] ^= 1 << bits[side];
                    }
                }
            }
        }
    }

    #[test]
    fn the_vectors_found_are_those_of_which_no_condition_is_broken() {
        if super::super::tests::lanes_are_missing() {
            return;
        }
        let mut noise = Noise(1);
        for round in 0..640 {
            let mut words = [(); LEN].map(|()| [(); 16].map(|()| noise.next()));
            // One that is found, and one that breaks a condition or more.
            noise.follow(round % 32, round % 16, &mut words);
            noise.follow(round % 32, (round + 1) % 16, &mut words);
            let broken = &CONDITIONS[round % CONDITIONS.len()];
            words[broken.words[0]][(round + 1) % 16] ^= 1 << broken.bits[0];
            // SAFETY: the processor has the features.
            let found = unsafe { checked(&words) };
            let expected = possible(&words);
            assert_eq!(expected[round % 16] >> (round % 32) & 1, 1);
            for (vector, lanes) in found.lanes.as_flattened().iter().enumerate() {
                let all = (0..16).filter(|lane| expected[*lane] >> vector & 1 == 1);
                assert_eq!(*lanes, all.fold(0, |lanes, lane| lanes | 1 << lane));
                assert_eq!(found.vectors >> vector & 1 == 1, *lanes != 0);
            }
        }
    }
}
