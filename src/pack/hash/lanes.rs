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

use super::suspects::Watch;
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
    /// Of the blocks at work, and of those before.
    traces: [Box<Trace>; 2],
    watch: Watch,
}

impl<T: Message> Lanes<T> {
    /// Empty ones; `None` if this processor has none.
    pub fn new() -> Option<Box<Self>> {
        is_available().then(|| {
            Box::new(Self {
                all: std::array::from_fn(|_| Lane::idle()),
                state: [[0; LANES]; 5],
                traces: [(); 2].map(|()| Box::new(Trace::new())),
                watch: Watch::new(),
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

    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
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
        self.watch.finish();
        queue.append(&mut alone);
    }

    /// The numbers of messages that show an attack, and their hashes; zeros for those that are not done.
    pub fn attacks(&mut self) -> &mut Vec<(u32, Hash)> {
        &mut self.watch.attacks
    }

    /// Whether there is one.
    pub fn has_attack(&self) -> bool {
        !self.watch.attacks.is_empty()
    }

    fn held_bytes(&self) -> usize {
        self.all.iter().filter_map(|lane| lane.message.as_ref()).map(|message| message.body().len()).sum()
    }

    /// Takes those messages out of their lanes that are sooner hashed alone from the start.
    fn take_alone(&mut self, busy: usize, alone: &mut Vec<T>) {
        for lane in &mut self.all {
            let Some(message) = &lane.message else { continue };
            let all = message.body().len() / BLOCK_LEN;
            if all * busy < (lane.count - lane.done) * ALONE_FROM {
                alone.extend(lane.message.take());
            }
        }
    }

    /// Hashes until the first message is done; false if there is none.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn hash_some(&mut self, done: &mut Vec<(T, Hash)>) -> bool {
        let Self { all, state, traces, watch } = self;
        let mut queues = [const { Queue::EMPTY }; LANES];
        let mut numbers = [None; LANES];
        for ((queue, number), lane) in queues.iter_mut().zip(&mut numbers).zip(&*all) {
            *number = lane.message.as_ref().map(Message::number);
            *queue = lane.queue();
        }
        let busy = queues.iter().filter(|queue| queue.left > 0);
        let Some(shortest) = busy.min_by_key(|queue| queue.left).copied() else { return false };
        for queue in queues.iter_mut().filter(|queue| queue.left == 0) {
            // Lanes that are idle do what another one does.
            *queue = shortest;
        }
        let mut blocks = [&[0; BLOCK_LEN]; LANES];
        let mut before = None;
        let mut left = shortest.left;
        while left > 0 {
            let count = queues.iter().map(|queue| queue.parts[0].len()).fold(left, usize::min);
            for place in 0..count {
                for (block, queue) in blocks.iter_mut().zip(&queues) {
                    *block = &queue.parts[0][place];
                }
                let [trace, trace_before] = &mut *traces;
                vector::hash_blocks(state, &blocks, trace);
                if let Some(before) = before.replace(blocks) {
                    // Nobody foresees the branches in there. So late they keep no other blocks waiting.
                    watch.look(trace_before, &before, &numbers);
                }
                traces.swap(0, 1);
            }
            for queue in &mut queues {
                queue.advance(count);
            }
            left -= count;
        }
        if let Some(before) = before {
            watch.look(&traces[1], &before, &numbers);
        }
        let count = shortest.left;
        for (at, lane) in all.iter_mut().enumerate() {
            lane.done += count;
            let Some(message) = lane.message.take_if(|_| lane.done == lane.count) else { continue };
            let mut bytes = Hash::default();
            for (bytes, word) in bytes.chunks_exact_mut(4).zip(&*state) {
                bytes.copy_from_slice(&word[at].to_be_bytes());
            }
            watch.note(message.number(), bytes);
            done.push((message, bytes));
        }
        true
    }
}

/// Blocks that are not hashed yet: pieces that lie one behind the other, none of them empty but at the end.
#[derive(Clone, Copy)]
struct Queue<'a> {
    parts: [&'a [[u8; BLOCK_LEN]]; 3],
    /// How many there are.
    left: usize,
}

impl Queue<'_> {
    const EMPTY: Self = Self { parts: [&[]; 3], left: 0 };

    /// Takes the first `count` blocks off, which are in the first part.
    #[inline]
    fn advance(&mut self, count: usize) {
        let [first, second, third] = self.parts;
        self.parts = match &first[count..] {
            [] if second.is_empty() => [third, &[], &[]],
            [] => [second, third, &[]],
            rest => [rest, second, third],
        };
        self.left -= count;
    }
}

/// The blocks of one message: those that are made of both its pieces and of the padding, and those between.
struct Lane<T> {
    /// `None` where there is no message left for this lane.
    message: Option<T>,
    first: [[u8; BLOCK_LEN]; 1],
    last: [[u8; BLOCK_LEN]; 2],
    /// How many of these two are used: the first, and the last.
    used: [usize; 2],
    /// Where in the body the blocks between begin.
    middle_at: usize,
    /// How many blocks there are, and how many of them are hashed.
    count: usize,
    done: usize,
}

impl<T: Message> Lane<T> {
    fn idle() -> Self {
        let (first, last) = ([[0; BLOCK_LEN]; 1], [[0; BLOCK_LEN]; 2]);
        Self { message: None, first, last, used: [0; 2], middle_at: 0, count: 0, done: 0 }
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
        (self.used, self.middle_at) = ([0; 2], 0);
        if head_len + body.len() >= BLOCK_LEN {
            let (taken, behind) = body.split_at(BLOCK_LEN - head_len);
            first[head_len..].copy_from_slice(taken);
            self.used[0] = 1;
            self.middle_at = taken.len();
            (front, rest) = (&[], behind);
        }
        let (middle, end) = rest.as_chunks::<BLOCK_LEN>();
        let used = front.len() + end.len();
        self.used[1] = if used + 9 > BLOCK_LEN { 2 } else { 1 };
        let last = self.last[2 - self.used[1]..].as_flattened_mut();
        last.fill(0);
        last[..front.len()].copy_from_slice(front);
        last[front.len()..used].copy_from_slice(end);
        last[used] = 0x80;
        let (_, length) = last.split_at_mut(last.len() - 8);
        length.copy_from_slice(&bits.to_be_bytes());
        self.count = self.used[0] + middle.len() + self.used[1];
        self.done = 0;
        self.message = Some(message);
    }

    /// The blocks that come next.
    fn queue(&self) -> Queue<'_> {
        let Some(message) = &self.message else { return Queue::EMPTY };
        let (middle, _) = message.body()[self.middle_at..].as_chunks::<BLOCK_LEN>();
        let mut done = self.done;
        let mut parts = [&self.first[..self.used[0]], middle, &self.last[2 - self.used[1]..]];
        let mut queue = Queue { parts: [&[]; 3], left: self.count - self.done };
        let mut at = 0;
        for part in &mut parts {
            let skipped = done.min(part.len());
            done -= skipped;
            if skipped < part.len() {
                queue.parts[at] = &part[skipped..];
                at += 1;
            }
        }
        queue
    }
}
