//! SHA-1 of many messages at once, with the detection of collision attacks.
//!
//! One stream of SHA-1 waits on itself; objects are independent, so that sixteen of them fill the sixteen lanes of
//! AVX-512 registers. Each block is checked for what the sha1dc crate checks it for, see [`super::attack`]: first the
//! conditions, for all lanes at once; blocks that break none of some vector's are gathered until they fill the lanes too.
#![expect(unsafe_code, reason = "the processor's vectors: see SAFETY")]
#![expect(
    clippy::indexing_slicing,
    reason = "lanes, words and steps are counted here, by no byte from outside"
)]

use super::attack::{self, EARLY, LATE};
use super::vector::{self, BLOCK_LEN, States, Trace};

/// How many messages are hashed at once.
pub const LANES: usize = vector::LANES;

/// The state SHA-1 begins with.
const START: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];

/// What is hashed: two pieces, one behind the other. The first is short.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    pub head: &'a [u8],
    pub body: &'a [u8],
}

/// Whether this processor can.
pub fn is_available() -> bool {
    vector::is_available()
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

/// The blocks of one message: those that are made of both its pieces and of the padding, and those between.
struct Lane<'a> {
    /// Its place; `None` where there is no message left for this lane.
    message: Option<usize>,
    first: [[u8; BLOCK_LEN]; 1],
    middle: &'a [[u8; BLOCK_LEN]],
    last: [[u8; BLOCK_LEN]; 2],
    /// How many blocks of each are left.
    left: [usize; 3],
}

impl<'a> Lane<'a> {
    fn idle() -> Self {
        Self { message: None, first: [[0; BLOCK_LEN]], middle: &[], last: [[0; BLOCK_LEN]; 2], left: [0; 3] }
    }

    /// Begins the message at `place`; `state` is where this lane, `at`, keeps its state.
    fn begin(&mut self, (place, message): (usize, &Message<'a>), (state, at): (&mut States, usize)) {
        for (word, start) in state.iter_mut().zip(START) {
            word[at] = start;
        }
        self.message = Some(place);
        let Message { head, body } = *message;
        let (mut front, mut rest) = (head, body);
        self.left[0] = 0;
        if head.len() + body.len() >= BLOCK_LEN {
            let (taken, behind) = body.split_at(BLOCK_LEN - head.len());
            let [first] = &mut self.first;
            first[..head.len()].copy_from_slice(head);
            first[head.len()..].copy_from_slice(taken);
            self.left[0] = 1;
            (front, rest) = (&[], behind);
        }
        let end;
        (self.middle, end) = rest.as_chunks::<BLOCK_LEN>();
        self.left[1] = self.middle.len();
        let bits = (head.len() as u64 + body.len() as u64) * 8;
        let used = front.len() + end.len();
        self.left[2] = if used + 9 > BLOCK_LEN { 2 } else { 1 };
        let last = self.last[2 - self.left[2]..].as_flattened_mut();
        last.fill(0);
        last[..front.len()].copy_from_slice(front);
        last[front.len()..used].copy_from_slice(end);
        last[used] = 0x80;
        let (_, length) = last.split_at_mut(last.len() - 8);
        length.copy_from_slice(&bits.to_be_bytes());
    }

    /// Blocks that come next and lie one behind the other.
    fn blocks(&self) -> &[[u8; BLOCK_LEN]] {
        match self.left {
            [0, 0, left] => &self.last[2 - left..],
            [0, left, _] => &self.middle[self.middle.len() - left..],
            _ => &self.first,
        }
    }

    /// Takes note that `count` of [`blocks`](Self::blocks) are hashed. Whether they were the last of the message.
    fn advance(&mut self, count: usize) -> bool {
        if let Some(left) = self.left.iter_mut().find(|left| **left > 0) {
            *left -= count;
        }
        self.left == [0; 3]
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
fn run(messages: &[Message<'_>]) -> Vec<Hash> {
    let mut hashes = vec![Hash::default(); messages.len()];
    let (mut early, mut late) = (Suspects::new(EARLY), Suspects::new(LATE));
    let mut lanes: [Lane<'_>; LANES] = std::array::from_fn(|_| Lane::idle());
    let mut state = [[0_u32; LANES]; 5];
    let mut queue = messages.iter().enumerate();
    for ((at, lane), next) in lanes.iter_mut().enumerate().zip(&mut queue) {
        lane.begin(next, (&mut state, at));
    }
    let mut trace = Trace::new();
    loop {
        let mut parts: [&[[u8; BLOCK_LEN]]; LANES] = [&[]; LANES];
        for (part, lane) in parts.iter_mut().zip(&lanes) {
            *part = lane.blocks();
        }
        let Some(count) = parts.iter().map(|part| part.len()).filter(|len| *len > 0).min() else { break };
        for place in 0..count {
            let mut blocks = [&[0; BLOCK_LEN]; LANES];
            for (block, next) in blocks.iter_mut().zip(parts.iter().map(|part| part.get(place))) {
                *block = next.unwrap_or(block);
            }
            let Some(masks) = vector::hash_blocks(&mut state, &blocks, &mut trace) else { continue };
            for (at, lane) in lanes.iter().enumerate() {
                let (Some(message), mut possible) = (lane.message, masks[at]) else { continue };
                while possible != 0 {
                    let vector = attack::vector(possible.trailing_zeros());
                    possible &= possible - 1;
                    let other = vector.other_of(blocks[at]);
                    if vector.step == EARLY {
                        early.add(message, other, at, (&trace.early, &state), &mut hashes);
                    } else {
                        late.add(message, other, at, (&trace.late, &state), &mut hashes);
                    }
                }
            }
        }
        for (at, lane) in lanes.iter_mut().enumerate() {
            let Some(message) = lane.message else { continue };
            if !lane.advance(count) {
                continue;
            }
            for (bytes, word) in hashes[message].bytes.chunks_exact_mut(4).zip(&state) {
                bytes.copy_from_slice(&word[at].to_be_bytes());
            }
            lane.message = None;
            if let Some(next) = queue.next() {
                lane.begin(next, (&mut state, at));
            }
        }
    }
    early.check(&mut hashes);
    late.check(&mut hashes);
    hashes
}

/// Blocks that break no condition of a disturbance vector, one in each lane.
struct Suspects {
    /// The step before which a pair has its state in common.
    step: usize,
    len: usize,
    messages: [usize; LANES],
    /// The other blocks of the pairs, the states in common, and those at the end.
    others: [[u8; BLOCK_LEN]; LANES],
    common: States,
    ends: States,
}

impl Suspects {
    fn new(step: usize) -> Self {
        Self {
            step,
            len: 0,
            messages: [0; LANES],
            others: [[0; BLOCK_LEN]; LANES],
            common: [[0; LANES]; 5],
            ends: [[0; LANES]; 5],
        }
    }

    /// Adds the pair of the block of lane `lane`, which belongs to `message`.
    #[target_feature(enable = "avx512f,avx512bw")]
    fn add(
        &mut self,
        message: usize,
        other: [u8; BLOCK_LEN],
        lane: usize,
        (common, ends): (&States, &States),
        hashes: &mut [Hash],
    ) {
        let at = self.len % LANES;
        self.messages[at] = message;
        self.others[at] = other;
        for word in 0..5 {
            self.common[word][at] = common[word][lane];
            self.ends[word][at] = ends[word][lane];
        }
        self.len += 1;
        if self.len == LANES {
            self.check(hashes);
        }
    }

    /// Looks which blocks are those of an attack.
    #[target_feature(enable = "avx512f,avx512bw")]
    fn check(&mut self, hashes: &mut [Hash]) {
        let same = vector::are_pairs(&self.others, (&self.common, self.step), &self.ends);
        for at in 0..self.len {
            hashes[self.messages[at]].is_attack |= same >> at & 1 == 1;
        }
        self.len = 0;
    }
}
