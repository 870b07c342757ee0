//! The steps of SHA-1 on sixteen blocks at once, in the vectors of AVX-512, and what they tell of attacks.
//!
//! All eighty steps stand one behind the other, so that the words of the blocks stay in registers.
#![expect(
    clippy::many_single_char_names,
    reason = "the names that FIPS 180-4 has for the words of the state"
)]
#![expect(unsafe_code, reason = "the processor's vectors: see SAFETY")]
#![expect(
    clippy::indexing_slicing,
    reason = "lanes, words and steps are counted here, by no byte from outside"
)]

use std::arch::x86_64::{
    __m512i, _MM_HINT_T0, _mm_prefetch, _mm512_add_epi32, _mm512_cmpeq_epi32_mask, _mm512_rol_epi32,
    _mm512_ror_epi32, _mm512_set1_epi32, _mm512_shuffle_epi8, _mm512_shuffle_i32x4, _mm512_sub_epi32,
    _mm512_ternarylogic_epi32, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32,
    _mm512_unpacklo_epi64, _mm512_xor_si512,
};

use super::attack::{EARLY, K, LATE, LEN};
use super::conditions::Planes;

/// How many blocks are hashed at once.
pub(super) const LANES: usize = 16;

/// The bytes of a block.
pub(super) const BLOCK_LEN: usize = 64;

/// So far before their turn blocks are fetched, in bytes: sixteen messages are more than the processor foresees itself, and more
/// than its nearest caches hold.
const AHEAD: usize = 4 * BLOCK_LEN;

/// One word of each lane.
pub(super) type Words = [u32; LANES];

/// The words of the state of each lane.
pub(super) type States = [Words; 5];

/// Whether this processor can.
pub(super) fn is_available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
}

/// What is left of a block that was hashed, until the next one is.
pub(super) struct Trace {
    /// The states before the steps [`EARLY`] and [`LATE`].
    pub early: States,
    pub late: States,
    /// Those at the end.
    pub ends: States,
    pub planes: Planes,
}

impl Trace {
    pub fn new() -> Self {
        Self { early: [[0; LANES]; 5], late: [[0; LANES]; 5], ends: [[0; LANES]; 5], planes: Planes::new() }
    }
}

/// The first words of the expanded messages: word `t` of each lane.
#[repr(align(64))]
struct Expanded<const COUNT: usize>([Words; COUNT]);

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn load(words: Words) -> __m512i {
    // SAFETY: both are 64 bytes of plain integers.
    unsafe { std::mem::transmute(words) }
}

/// The words of a state. (No `map`: what that calls would not be made for these vectors.)
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn load_states(&[a, b, c, d, e]: &States) -> [__m512i; 5] {
    [load(a), load(b), load(c), load(d), load(e)]
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn store_states([a, b, c, d, e]: [__m512i; 5]) -> States {
    [store(a), store(b), store(c), store(d), store(e)]
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn store(vector: __m512i) -> Words {
    // SAFETY: both are 64 bytes of plain integers.
    unsafe { std::mem::transmute(vector) }
}

/// What step `t` mixes of three words.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn mixed(t: usize, b: __m512i, c: __m512i, d: __m512i) -> __m512i {
    match t / 20 {
        0 => _mm512_ternarylogic_epi32::<0xca>(b, c, d),
        2 => _mm512_ternarylogic_epi32::<0xe8>(b, c, d),
        _ => _mm512_ternarylogic_epi32::<0x96>(b, c, d),
    }
}

/// The constant of step `t`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn constant(t: usize) -> __m512i {
    _mm512_set1_epi32(K[t / 20].cast_signed())
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn step([a, b, c, d, e]: [__m512i; 5], t: usize, w: __m512i) -> [__m512i; 5] {
    // What is known longest comes first: `a` is of the step before.
    let sum = _mm512_add_epi32(_mm512_add_epi32(e, _mm512_add_epi32(w, constant(t))), mixed(t, b, c, d));
    [_mm512_add_epi32(sum, _mm512_rol_epi32::<5>(a)), a, _mm512_rol_epi32::<30>(b), c, d]
}

/// The state before the step that led to this one.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn step_back([next, a, b, c, d]: [__m512i; 5], t: usize, w: __m512i) -> [__m512i; 5] {
    let b = _mm512_ror_epi32::<30>(b);
    let mixed = _mm512_add_epi32(mixed(t, b, c, d), constant(t));
    let sum = _mm512_add_epi32(_mm512_add_epi32(_mm512_rol_epi32::<5>(a), w), mixed);
    [a, b, c, d, _mm512_sub_epi32(next, sum)]
}

/// The word of the expanded message that follows sixteen others, in whose place it comes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn expand(w: &mut [__m512i; 16], t: usize) {
    let x = _mm512_ternarylogic_epi32::<0x96>(w[(t + 13) % 16], w[(t + 8) % 16], w[(t + 2) % 16]);
    w[t % 16] = _mm512_rol_epi32::<1>(_mm512_xor_si512(x, w[t % 16]));
}

/// Calls `$each` for every step of SHA-1.
macro_rules! for_each_step {
    ($each:ident) => {
        for_each_step!(@ $each 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
            32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64 65 66
            67 68 69 70 71 72 73 74 75 76 77 78 79)
    };
    (@ $each:ident $($t:literal)*) => { $($each!($t);)* };
}

pub(super) use for_each_step;

/// Hashes one block of each lane into `state`. For each lane the vectors of which it breaks no condition, if there are
/// any in one.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn hash_blocks(state: &mut States, blocks: &[&[u8; BLOCK_LEN]; LANES], trace: &mut Trace) {
    for block in blocks {
        let ahead = block.as_ptr().wrapping_add(AHEAD);
        // A hint, for which any address will do.
        _mm_prefetch::<_MM_HINT_T0>(ahead.cast());
    }
    let mut w = transpose(blocks);
    let start = load_states(state);
    let mut s = start;
    macro_rules! each {
        ($t:literal) => {
            if $t >= 16 {
                expand(&mut w, $t);
            }
            trace.planes.note::<$t>(w[$t % 16]);
            if $t == EARLY {
                trace.early = store_states(s);
            }
            if $t == LATE {
                trace.late = store_states(s);
            }
            s = step(s, $t, w[$t % 16]);
        };
    }
    for_each_step!(each);
    for ((word, start), end) in state.iter_mut().zip(start).zip(s) {
        *word = store(_mm512_add_epi32(start, end));
    }
    trace.ends = *state;
}

/// Which lanes have a block of an attack: `others` are the other blocks of the pairs, `common` the states that both have
/// before step `AT`, and `ends` those after the block. Both of a pair end in the same one.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn are_pairs<const AT: usize>(
    others: &[[u8; BLOCK_LEN]; LANES],
    common: &States,
    ends: &States,
) -> u16 {
    let mut words = Expanded([[0; LANES]; AT]);
    let mut w = transpose(&others.each_ref());
    let common = load_states(common);
    let (mut start, mut end) = (common, common);
    macro_rules! each {
        ($t:literal) => {
            if $t >= 16 {
                expand(&mut w, $t);
            }
            if $t < AT {
                words.0[$t] = store(w[$t % 16]);
            } else {
                end = step(end, $t, w[$t % 16]);
            }
        };
    }
    for_each_step!(each);
    macro_rules! back {
        ($t:literal) => {
            if LEN - 1 - $t < AT {
                start = step_back(start, LEN - 1 - $t, load(words.0[LEN - 1 - $t]));
            }
        };
    }
    for_each_step!(back);
    let mut same = u16::MAX;
    for word in 0..5 {
        same &= _mm512_cmpeq_epi32_mask(_mm512_add_epi32(start[word], end[word]), load(ends[word]));
    }
    same
}

/// The words of every block: word `t` of each in the vector `t`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn transpose(blocks: &[&[u8; BLOCK_LEN]; LANES]) -> [__m512i; 16] {
    const WORDS: [u8; 16] = [3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12];
    const SWAP: [[u8; 16]; 4] = [WORDS; 4];
    // SAFETY: both are 64 bytes of plain integers.
    let swap: __m512i = unsafe { std::mem::transmute(SWAP) };
    let mut r = [swap; 16];
    for (row, block) in r.iter_mut().zip(blocks) {
        // SAFETY: both are 64 bytes of plain integers.
        *row = _mm512_shuffle_epi8(unsafe { std::mem::transmute::<[u8; BLOCK_LEN], __m512i>(**block) }, swap);
    }
    // pairs of words, then of pairs
    let mut s = r;
    for at in (0..16).step_by(2) {
        s[at] = _mm512_unpacklo_epi32(r[at], r[at + 1]);
        s[at + 1] = _mm512_unpackhi_epi32(r[at], r[at + 1]);
    }
    let mut u = s;
    for at in (0..16).step_by(4) {
        u[at] = _mm512_unpacklo_epi64(s[at], s[at + 2]);
        u[at + 1] = _mm512_unpackhi_epi64(s[at], s[at + 2]);
        u[at + 2] = _mm512_unpacklo_epi64(s[at + 1], s[at + 3]);
        u[at + 3] = _mm512_unpackhi_epi64(s[at + 1], s[at + 3]);
    }
    // u[4g + j] has in its quarter q the words 4q + j of the blocks 4g..4g+4
    let mut w = r;
    for j in 0..4 {
        let (p0, p1, p2, p3) = (u[j], u[4 + j], u[8 + j], u[12 + j]);
        let low01 = _mm512_shuffle_i32x4::<0x44>(p0, p1);
        let high01 = _mm512_shuffle_i32x4::<0xee>(p0, p1);
        let low23 = _mm512_shuffle_i32x4::<0x44>(p2, p3);
        let high23 = _mm512_shuffle_i32x4::<0xee>(p2, p3);
        w[j] = _mm512_shuffle_i32x4::<0x88>(low01, low23);
        w[4 + j] = _mm512_shuffle_i32x4::<0xdd>(low01, low23);
        w[8 + j] = _mm512_shuffle_i32x4::<0x88>(high01, high23);
        w[12 + j] = _mm512_shuffle_i32x4::<0xdd>(high01, high23);
    }
    w
}
