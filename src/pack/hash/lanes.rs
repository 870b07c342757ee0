//! SHA-1 of many messages at once, with the detection of collision attacks.
//!
//! One stream of SHA-1 waits on itself; objects are independent, so that sixteen of them fill the sixteen lanes of
//! AVX-512 registers. Each block is checked for what the sha1dc crate checks it for, see [`super::attack`]: first the
//! conditions, for all lanes at once; blocks that break none of some vector's are gathered until they fill the lanes too.
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
    __m512i, _mm512_add_epi32, _mm512_cmpeq_epi32_mask, _mm512_mask_and_epi32, _mm512_rol_epi32,
    _mm512_ror_epi32, _mm512_set1_epi32, _mm512_shuffle_epi8, _mm512_shuffle_i32x4, _mm512_sub_epi32,
    _mm512_ternarylogic_epi32, _mm512_test_epi32_mask, _mm512_testn_epi32_mask, _mm512_unpackhi_epi32,
    _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64, _mm512_xor_si512,
};

use super::attack::{self, EARLY, K, LATE, LEN, for_each_condition};
/// How many messages are hashed at once.
pub const LANES: usize = 16;

/// The bytes of a block.
const BLOCK_LEN: usize = 64;

/// The state SHA-1 begins with.
const START: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];

/// The words of the state of each lane.
type States = [[u32; LANES]; 5];

/// What is hashed: two pieces, one behind the other. The first is short.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    pub head: &'a [u8],
    pub body: &'a [u8],
}

/// Whether this processor can.
pub fn is_available() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")
}

/// A hash, and whether what was hashed shows an attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hash {
    pub bytes: [u8; 20],
    pub is_attack: bool,
}

/// Hashes `messages`; the hashes are in the same order.
pub fn hash_all(messages: &[Message<'_>]) -> Vec<Hash> {
    assert!(is_available());
    // SAFETY: the processor has the features, as was just seen.
    unsafe { run(messages) }
}

/// The blocks of one message.
struct Lane<'a> {
    /// Its place; `None` where there is no message left for this lane.
    message: Option<usize>,
    first: [u8; BLOCK_LEN],
    has_first: bool,
    middle: std::slice::Iter<'a, [u8; BLOCK_LEN]>,
    last: [[u8; BLOCK_LEN]; 2],
    next_last: usize,
}

impl<'a> Lane<'a> {
    fn idle() -> Self {
        Self {
            message: None,
            first: [0; BLOCK_LEN],
            has_first: false,
            middle: [].iter(),
            last: [[0; BLOCK_LEN]; 2],
            next_last: 2,
        }
    }

    /// Begins the message at `place`; `state` is where this lane, `at`, keeps its state.
    fn begin(
        &mut self,
        (place, message): (usize, &Message<'a>),
        (state, at): (&mut [[u32; LANES]; 5], usize),
    ) {
        for (word, start) in state.iter_mut().zip(START) {
            word[at] = start;
        }
        self.message = Some(place);
        let Message { head, body } = *message;
        let (mut front, mut rest) = (head, body);
        self.has_first = false;
        if head.len() + body.len() >= BLOCK_LEN {
            let (taken, behind) = body.split_at(BLOCK_LEN - head.len());
            self.first[..head.len()].copy_from_slice(head);
            self.first[head.len()..].copy_from_slice(taken);
            self.has_first = true;
            (front, rest) = (&[], behind);
        }
        let (middle, end) = rest.as_chunks::<BLOCK_LEN>();
        let bits = (head.len() as u64 + body.len() as u64) * 8;
        let used = front.len() + end.len();
        let mut last = [0; 2 * BLOCK_LEN];
        last[..front.len()].copy_from_slice(front);
        last[front.len()..used].copy_from_slice(end);
        last[used] = 0x80;
        let is_long = used + 9 > BLOCK_LEN;
        let len = if is_long { 2 * BLOCK_LEN } else { BLOCK_LEN };
        last[len - 8..len].copy_from_slice(&bits.to_be_bytes());
        self.middle = middle.iter();
        let (one, two) = last.split_at(BLOCK_LEN);
        if is_long {
            self.last[0].copy_from_slice(one);
            self.last[1].copy_from_slice(two);
            self.next_last = 0;
        } else {
            self.last[1].copy_from_slice(one);
            self.next_last = 1;
        }
    }

    /// Whether all blocks are hashed.
    fn is_at_end(&self) -> bool {
        self.next_last == self.last.len()
    }

    /// The block that comes next; one of zeros if there is no message.
    #[inline]
    fn next(&mut self) -> &[u8; BLOCK_LEN] {
        if self.has_first {
            self.has_first = false;
            return &self.first;
        }
        if let Some(block) = self.middle.next() {
            return block;
        }
        let at = self.next_last & 1;
        self.next_last += usize::from(self.message.is_some());
        &self.last[at]
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
fn run(messages: &[Message<'_>]) -> Vec<Hash> {
    let mut hashes = vec![Hash::default(); messages.len()];
    let (mut early, mut late) = (Suspects::<EARLY>::new(), Suspects::<LATE>::new());
    let mut lanes: [Lane<'_>; LANES] = std::array::from_fn(|_| Lane::idle());
    let mut state = [[0_u32; LANES]; 5];
    let mut queue = messages.iter().enumerate();
    let mut active = 0;
    for (at, lane) in lanes.iter_mut().enumerate() {
        if let Some(next) = queue.next() {
            active += 1;
            lane.begin(next, (&mut state, at));
        }
    }
    let mut w = Expanded([[0; LANES]; LEN]);
    while active > 0 {
        let mut ready = lanes.iter_mut();
        let blocks = std::array::from_fn(|_| ready.next().map_or(&[0; BLOCK_LEN], Lane::next));
        let before = state;
        let masks = block16(&mut state, &blocks, &mut w);
        if let Some(masks) = masks {
            for (at, lane) in lanes.iter().enumerate() {
                let (Some(message), mut possible) = (lane.message, masks[at]) else { continue };
                while possible != 0 {
                    let vector = attack::vector(possible.trailing_zeros());
                    possible &= possible - 1;
                    let block = (at, &before, &state, &w);
                    if vector.step == EARLY {
                        early.add(message, &vector.difference, block, &mut hashes);
                    } else {
                        late.add(message, &vector.difference, block, &mut hashes);
                    }
                }
            }
        }
        for (at, lane) in lanes.iter_mut().enumerate() {
            let Some(message) = lane.message.filter(|_| lane.is_at_end()) else { continue };
            for (bytes, word) in hashes[message].bytes.chunks_exact_mut(4).zip(&state) {
                bytes.copy_from_slice(&word[at].to_be_bytes());
            }
            active -= 1;
            lane.message = None;
            if let Some(next) = queue.next() {
                active += 1;
                lane.begin(next, (&mut state, at));
            }
        }
    }
    early.check(&mut hashes);
    late.check(&mut hashes);
    hashes
}

/// Blocks that break no condition of a disturbance vector, one in each lane.
struct Suspects<const STEP: usize> {
    len: usize,
    messages: [usize; LANES],
    before: [[u32; LANES]; 5],
    after: [[u32; LANES]; 5],
    /// The expanded message, and that of the other block of the pair.
    this: Expanded,
    other: Expanded,
}

impl<const STEP: usize> Suspects<STEP> {
    fn new() -> Self {
        Self {
            len: 0,
            messages: [0; LANES],
            before: [[0; LANES]; 5],
            after: [[0; LANES]; 5],
            this: Expanded([[0; LANES]; LEN]),
            other: Expanded([[0; LANES]; LEN]),
        }
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    /// Adds the block of lane `lane`, which belongs to `message`.
    fn add(
        &mut self,
        message: usize,
        difference: &[u32; LEN],
        (lane, before, after, w): (usize, &States, &States, &Expanded),
        hashes: &mut [Hash],
    ) {
        let at = self.len % LANES;
        self.messages[at] = message;
        for word in 0..5 {
            self.before[word][at] = before[word][lane];
            self.after[word][at] = after[word][lane];
        }
        for (t, difference) in difference.iter().enumerate() {
            self.this.0[t][at] = w.0[t][lane];
            self.other.0[t][at] = w.0[t][lane] ^ difference;
        }
        self.len += 1;
        if self.len == LANES {
            self.check(hashes);
        }
    }

    /// Looks which blocks are those of an attack: the pair has the state before `STEP` in common, and ends in the same one.
    #[target_feature(enable = "avx512f,avx512bw")]
    fn check(&mut self, hashes: &mut [Hash]) {
        let mut common = self.before.map(|word| load(word));
        for t in 0..STEP {
            common = step(common, t, self.this.get(t));
        }
        let (mut start, mut end) = (common, common);
        for t in (0..STEP).rev() {
            start = step_back(start, t, self.other.get(t));
        }
        for t in STEP..LEN {
            end = step(end, t, self.other.get(t));
        }
        let mut same = u16::MAX;
        for word in 0..5 {
            same &= _mm512_cmpeq_epi32_mask(_mm512_add_epi32(start[word], end[word]), load(self.after[word]));
        }
        for at in 0..self.len {
            hashes[self.messages[at]].is_attack |= same >> at & 1 == 1;
        }
        self.len = 0;
    }
}

/// What step `t` mixes of three words, with its constant.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn mixed(t: usize, b: __m512i, c: __m512i, d: __m512i) -> __m512i {
    let (mixed, k) = match t / 20 {
        0 => (_mm512_ternarylogic_epi32::<0xca>(b, c, d), K[0]),
        1 => (_mm512_ternarylogic_epi32::<0x96>(b, c, d), K[1]),
        2 => (_mm512_ternarylogic_epi32::<0xe8>(b, c, d), K[2]),
        _ => (_mm512_ternarylogic_epi32::<0x96>(b, c, d), K[3]),
    };
    _mm512_add_epi32(mixed, _mm512_set1_epi32(k.cast_signed()))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn step([a, b, c, d, e]: [__m512i; 5], t: usize, w: __m512i) -> [__m512i; 5] {
    let sum = _mm512_add_epi32(_mm512_add_epi32(e, w), mixed(t, b, c, d));
    [_mm512_add_epi32(sum, _mm512_rol_epi32::<5>(a)), a, _mm512_rol_epi32::<30>(b), c, d]
}

/// The state before the step that led to this one.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn step_back([next, a, b, c, d]: [__m512i; 5], t: usize, w: __m512i) -> [__m512i; 5] {
    let b = _mm512_ror_epi32::<30>(b);
    let sum = _mm512_add_epi32(_mm512_add_epi32(_mm512_rol_epi32::<5>(a), w), mixed(t, b, c, d));
    [a, b, c, d, _mm512_sub_epi32(next, sum)]
}

/// The expanded messages: word `t` of each lane.
#[repr(align(64))]
struct Expanded([[u32; LANES]; LEN]);

impl Expanded {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn get(&self, t: usize) -> __m512i {
        load(self.0[t])
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn set(&mut self, t: usize, vector: __m512i) {
        // SAFETY: both are 64 bytes of plain integers.
        self.0[t] = unsafe { std::mem::transmute::<__m512i, [u32; LANES]>(vector) };
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn load(words: [u32; LANES]) -> __m512i {
    // SAFETY: both are 64 bytes of plain integers.
    unsafe { std::mem::transmute(words) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn block16(
    state: &mut [[u32; LANES]; 5],
    blocks: &[&[u8; BLOCK_LEN]; LANES],
    w: &mut Expanded,
) -> Option<[u32; LANES]> {
    transpose(blocks, w);
    for t in 16..LEN {
        let x = _mm512_ternarylogic_epi32::<0x96>(w.get(t - 3), w.get(t - 8), w.get(t - 14));
        w.set(t, _mm512_rol_epi32::<1>(_mm512_xor_si512(x, w.get(t - 16))));
    }
    let start = state.map(|word| load(word));
    let mut end = start;
    for t in 0..LEN {
        end = step(end, t, w.get(t));
    }
    for ((word, start), end) in state.iter_mut().zip(start).zip(end) {
        // SAFETY: both are 64 bytes of plain integers.
        *word = unsafe { std::mem::transmute::<__m512i, [u32; LANES]>(_mm512_add_epi32(start, end)) };
    }
    let mut possible = _mm512_set1_epi32(-1);
    macro_rules! check {
        ($left:literal, $right:literal, $rotate:literal, $bit:literal, $relation:ident, $vectors:literal) => {{
            let turned = _mm512_rol_epi32::<$rotate>(w.get($right));
            let difference = _mm512_xor_si512(w.get($left), turned);
            let failed = check!(@$relation, difference, _mm512_set1_epi32((1_u32 << $bit).cast_signed()));
            let left = _mm512_set1_epi32((!$vectors as u32).cast_signed());
            possible = _mm512_mask_and_epi32(possible, failed, possible, left);
        }};
        (@differ, $difference:expr, $bit:expr) => { _mm512_testn_epi32_mask($difference, $bit) };
        (@agree, $difference:expr, $bit:expr) => { _mm512_test_epi32_mask($difference, $bit) };
    }
    for_each_condition!(check);
    if _mm512_test_epi32_mask(possible, possible) == 0 {
        return None;
    }
    // SAFETY: both are 64 bytes of plain integers.
    Some(unsafe { std::mem::transmute::<__m512i, [u32; LANES]>(possible) })
}

/// Word `t` of every block into `w[t]`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn transpose(blocks: &[&[u8; BLOCK_LEN]; LANES], w: &mut Expanded) {
    const WORDS: [u8; 16] = [3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12];
    const SWAP: [[u8; 16]; 4] = [WORDS; 4];
    // SAFETY: both are 64 bytes of plain integers.
    let swap: __m512i = unsafe { std::mem::transmute(SWAP) };
    let r: [__m512i; 16] = std::array::from_fn(|at| {
        // SAFETY: both are 64 bytes of plain integers.
        let row: __m512i = unsafe { std::mem::transmute(*blocks[at]) };
        _mm512_shuffle_epi8(row, swap)
    });
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
    for j in 0..4 {
        let (p0, p1, p2, p3) = (u[j], u[4 + j], u[8 + j], u[12 + j]);
        let low01 = _mm512_shuffle_i32x4::<0x44>(p0, p1);
        let high01 = _mm512_shuffle_i32x4::<0xee>(p0, p1);
        let low23 = _mm512_shuffle_i32x4::<0x44>(p2, p3);
        let high23 = _mm512_shuffle_i32x4::<0xee>(p2, p3);
        w.set(j, _mm512_shuffle_i32x4::<0x88>(low01, low23));
        w.set(4 + j, _mm512_shuffle_i32x4::<0xdd>(low01, low23));
        w.set(8 + j, _mm512_shuffle_i32x4::<0x88>(high01, high23));
        w.set(12 + j, _mm512_shuffle_i32x4::<0xdd>(high01, high23));
    }
}
