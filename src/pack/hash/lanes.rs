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

/// So many bytes of messages stay in the lanes at most while there are not enough for all lanes: a few large messages are
/// hashed in fewer lanes rather than held.
const HELD_BYTES_MAX: usize = 3 * 1024 * 1024;

/// How many times faster one message is hashed alone than in one of the lanes.
const ALONE_FROM: usize = 6;

/// The state SHA-1 begins with.
const START: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];

/// What is hashed: two pieces, one behind the other.
pub trait Message {
    /// Puts the first piece to the start of `block` and gives its length: fewer than 64 bytes.
    fn head(&self, block: &mut [u8; BLOCK_LEN]) -> usize;
    /// The second piece.
    fn body(&self) -> &[u8];
    /// What the caller knows it by.
    fn number(&self) -> u32;
}

/// Whether this processor can.
pub fn is_available() -> bool {
    vector::is_available()
}

/// The bytes of a hash.
pub type Hash = [u8; 20];

/// The lanes, and what is in them.
pub struct Lanes<T> {
    all: [Lane<T>; LANES],
    state: States,
    trace: Trace,
    early: Suspects,
    late: Suspects,
    /// The numbers of messages that show an attack, and their hashes; zeros for those that are not done.
    pub attacks: Vec<(u32, Hash)>,
}

impl<T: Message> Lanes<T> {
    /// Empty ones; `None` if this processor has none.
    pub fn new() -> Option<Box<Self>> {
        is_available().then(|| {
            Box::new(Self {
                all: std::array::from_fn(|_| Lane::idle()),
                state: [[0; LANES]; 5],
                trace: Trace::new(),
                early: Suspects::new(EARLY),
                late: Suspects::new(LATE),
                attacks: Vec::new(),
            })
        })
    }

    /// Takes messages from `queue`, the last one first, until it is empty, a lane has nothing to do and the others hold no
    /// more than [`HELD_BYTES_MAX`]. Those that are hashed come to `done`; attacks may be found later.
    pub fn run(&mut self, queue: &mut Vec<T>, done: &mut Vec<(T, Hash)>) {
        // SAFETY: the processor has the features, or `new` would have made nothing.
        unsafe { self.hash(queue, done, false) }
    }

    /// As [`run`](Self::run), but for few messages that would keep lanes waiting: those, which are faster alone, stay in
    /// `queue`. All others are done, and all their attacks found.
    pub fn finish(&mut self, queue: &mut Vec<T>, done: &mut Vec<(T, Hash)>) {
        // SAFETY: as in `run`.
        unsafe { self.hash(queue, done, true) }
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    fn hash(&mut self, queue: &mut Vec<T>, done: &mut Vec<(T, Hash)>, to_end: bool) {
        let mut alone = Vec::new();
        loop {
            for (at, lane) in self.all.iter_mut().enumerate().filter(|(_, lane)| lane.message.is_none()) {
                let Some(message) = queue.pop() else { break };
                lane.begin(message, (&mut self.state, at));
            }
            let busy = self.all.iter().filter(|lane| lane.message.is_some()).count();
            if busy < LANES {
                if to_end {
                    self.take_alone(busy, &mut alone);
                } else if self.held_bytes() <= HELD_BYTES_MAX {
                    return;
                }
            }
            if !self.hash_some(done) {
                break;
            }
        }
        self.early.check(&mut self.attacks);
        self.late.check(&mut self.attacks);
        queue.append(&mut alone);
    }

    fn held_bytes(&self) -> usize {
        self.all.iter().filter_map(|lane| lane.message.as_ref()).map(|message| message.body().len()).sum()
    }

    /// Takes those messages out of their lanes that are sooner hashed alone from the start.
    fn take_alone(&mut self, busy: usize, alone: &mut Vec<T>) {
        for lane in &mut self.all {
            let Some(message) = &lane.message else { continue };
            let all = message.body().len() / BLOCK_LEN;
            if all * busy < lane.left[1] * ALONE_FROM {
                alone.extend(lane.message.take());
                lane.left = [0; 3];
            }
        }
    }

    /// Hashes until the first message is done; false if there is none.
    #[target_feature(enable = "avx512f,avx512bw")]
    fn hash_some(&mut self, done: &mut Vec<(T, Hash)>) -> bool {
        let Self { all, state, trace, early, late, attacks } = self;
        let mut parts: [&[[u8; BLOCK_LEN]]; LANES] = [&[]; LANES];
        for (part, lane) in parts.iter_mut().zip(&*all) {
            *part = lane.blocks();
        }
        let Some(count) = parts.iter().map(|part| part.len()).filter(|len| *len > 0).min() else {
            return false;
        };
        for place in 0..count {
            let mut blocks = [&[0; BLOCK_LEN]; LANES];
            for (block, next) in blocks.iter_mut().zip(parts.iter().map(|part| part.get(place))) {
                *block = next.unwrap_or(block);
            }
            let Some(masks) = vector::hash_blocks(state, &blocks, trace) else { continue };
            for (at, lane) in all.iter().enumerate() {
                let (Some(message), mut possible) = (&lane.message, masks[at]) else { continue };
                while possible != 0 {
                    let vector = attack::vector(possible.trailing_zeros());
                    possible &= possible - 1;
                    let pair = (message.number(), vector.other_of(blocks[at]));
                    if vector.step == EARLY {
                        early.add(pair, at, (&trace.early, state), attacks);
                    } else {
                        late.add(pair, at, (&trace.late, state), attacks);
                    }
                }
            }
        }
        for (at, lane) in all.iter_mut().enumerate() {
            if lane.message.is_none() || !lane.advance(count) {
                continue;
            }
            let Some(message) = lane.message.take() else { continue };
            let mut bytes = Hash::default();
            for (bytes, word) in bytes.chunks_exact_mut(4).zip(&*state) {
                bytes.copy_from_slice(&word[at].to_be_bytes());
            }
            let attacks = attacks.iter_mut().map(|(number, hash)| (&*number, hash));
            for (number, hash) in attacks.chain(early.pairs()).chain(late.pairs()) {
                if *number == message.number() {
                    *hash = bytes;
                }
            }
            done.push((message, bytes));
        }
        true
    }
}

/// The blocks of one message: those that are made of both its pieces and of the padding, and those between.
struct Lane<T> {
    /// `None` where there is no message left for this lane.
    message: Option<T>,
    first: [[u8; BLOCK_LEN]; 1],
    last: [[u8; BLOCK_LEN]; 2],
    /// Where in the body the blocks between begin.
    middle_at: usize,
    /// How many blocks of each are left.
    left: [usize; 3],
}

impl<T: Message> Lane<T> {
    fn idle() -> Self {
        Self { message: None, first: [[0; BLOCK_LEN]], last: [[0; BLOCK_LEN]; 2], middle_at: 0, left: [0; 3] }
    }

    /// Begins `message`; `state` is where this lane, `at`, keeps its state.
    fn begin(&mut self, message: T, (state, at): (&mut States, usize)) {
        for (word, start) in state.iter_mut().zip(START) {
            word[at] = start;
        }
        let [first] = &mut self.first;
        let head_len = message.head(first);
        let body = message.body();
        let bits = (head_len as u64 + body.len() as u64) * 8;
        let head = *first;
        let (mut front, mut rest) = (&head[..head_len], body);
        self.left[0] = 0;
        self.middle_at = 0;
        if head_len + body.len() >= BLOCK_LEN {
            let (taken, behind) = body.split_at(BLOCK_LEN - head_len);
            first[head_len..].copy_from_slice(taken);
            self.left[0] = 1;
            self.middle_at = taken.len();
            (front, rest) = (&[], behind);
        }
        let (middle, end) = rest.as_chunks::<BLOCK_LEN>();
        self.left[1] = middle.len();
        let used = front.len() + end.len();
        self.left[2] = if used + 9 > BLOCK_LEN { 2 } else { 1 };
        let last = self.last[2 - self.left[2]..].as_flattened_mut();
        last.fill(0);
        last[..front.len()].copy_from_slice(front);
        last[front.len()..used].copy_from_slice(end);
        last[used] = 0x80;
        let (_, length) = last.split_at_mut(last.len() - 8);
        length.copy_from_slice(&bits.to_be_bytes());
        self.message = Some(message);
    }

    /// Blocks that come next and lie one behind the other.
    fn blocks(&self) -> &[[u8; BLOCK_LEN]] {
        match (self.left, &self.message) {
            ([0, 0, left], _) => &self.last[2 - left..],
            ([0, left, _], Some(message)) => {
                let (middle, _) = message.body()[self.middle_at..].as_chunks::<BLOCK_LEN>();
                &middle[middle.len() - left..]
            }
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

/// Blocks that break no condition of a disturbance vector, one in each lane.
struct Suspects {
    /// The step before which a pair has its state in common.
    step: usize,
    len: usize,
    messages: [u32; LANES],
    /// The hashes of the messages that are done.
    hashes: [Hash; LANES],
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
            hashes: [Hash::default(); LANES],
            others: [[0; BLOCK_LEN]; LANES],
            common: [[0; LANES]; 5],
            ends: [[0; LANES]; 5],
        }
    }

    /// Adds the pair of the block of lane `lane`: the number of its message and the other block.
    #[target_feature(enable = "avx512f,avx512bw")]
    fn add(
        &mut self,
        (message, other): (u32, [u8; BLOCK_LEN]),
        lane: usize,
        (common, ends): (&States, &States),
        attacks: &mut Vec<(u32, Hash)>,
    ) {
        let at = self.len % LANES;
        self.messages[at] = message;
        self.hashes[at] = Hash::default();
        self.others[at] = other;
        for word in 0..5 {
            self.common[word][at] = common[word][lane];
            self.ends[word][at] = ends[word][lane];
        }
        self.len += 1;
        if self.len == LANES {
            self.check(attacks);
        }
    }

    /// The messages of the blocks, and their hashes.
    fn pairs(&mut self) -> impl Iterator<Item = (&u32, &mut Hash)> {
        self.messages.iter().zip(&mut self.hashes).take(self.len)
    }

    /// Looks which blocks are those of an attack; adds their messages to `attacks`.
    #[target_feature(enable = "avx512f,avx512bw")]
    fn check(&mut self, attacks: &mut Vec<(u32, Hash)>) {
        let same = vector::are_pairs(&self.others, (&self.common, self.step), &self.ends);
        let attack = |at: &usize| same >> at & 1 == 1;
        attacks.extend((0..self.len).filter(attack).map(|at| (self.messages[at], self.hashes[at])));
        self.len = 0;
    }
}
