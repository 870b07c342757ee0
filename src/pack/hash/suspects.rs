//! Blocks that may be those of an attack, until enough of them are found to look closer.
#![expect(
    clippy::indexing_slicing,
    reason = "lanes, words and steps are counted here, by no byte from outside"
)]

use super::attack::{self, EARLY, LATE};
use super::conditions::{Checker, Possible};
use super::lanes::Hash;
use super::vector::{self, BLOCK_LEN, LANES, States, Trace};

/// Looks for attacks.
pub(super) struct Watch {
    checker: Checker,
    early: Suspects<EARLY>,
    late: Suspects<LATE>,
    /// The numbers of messages that show an attack, and their hashes; zeros for those that are not done.
    pub attacks: Vec<(u32, Hash)>,
}

impl Watch {
    pub fn new() -> Self {
        Self { checker: Checker::new(), early: Suspects::new(), late: Suspects::new(), attacks: Vec::new() }
    }

    /// Looks at `blocks`, of which hashing left `trace`. They are of the messages `numbers`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub fn look(
        &mut self,
        trace: &Trace,
        blocks: &[&[u8; BLOCK_LEN]; LANES],
        numbers: &[Option<u32>; LANES],
    ) {
        let Possible { mut vectors, lanes } = self.checker.check(&trace.planes);
        while vectors != 0 {
            let at = vectors.trailing_zeros();
            vectors &= vectors - 1;
            let mut lanes = lanes.as_flattened()[at as usize];
            let vector = attack::vector(at);
            while lanes != 0 {
                let lane = lanes.trailing_zeros() as usize;
                lanes &= lanes - 1;
                let Some(number) = numbers[lane] else { continue };
                if vector.step == EARLY {
                    let other =
                        self.early.add((number, lane), (&trace.early, &trace.ends), &mut self.attacks);
                    vector.other_of(blocks[lane], other);
                } else {
                    let other = self.late.add((number, lane), (&trace.late, &trace.ends), &mut self.attacks);
                    vector.other_of(blocks[lane], other);
                }
            }
        }
    }

    /// Takes note of the hash of the message `number`, which is done.
    pub fn note(&mut self, number: u32, bytes: Hash) {
        let attacks = self.attacks.iter_mut().map(|(number, hash)| (&*number, hash));
        for (suspect, hash) in attacks.chain(self.early.pairs()).chain(self.late.pairs()) {
            if *suspect == number {
                *hash = bytes;
            }
        }
    }

    /// Looks closer at all that was found.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub fn finish(&mut self) {
        self.early.check(&mut self.attacks);
        self.late.check(&mut self.attacks);
    }
}

/// Blocks that break no condition of a disturbance vector, one in each lane. The blocks of a pair have their states before
/// step `STEP` in common.
struct Suspects<const STEP: usize> {
    len: usize,
    messages: [u32; LANES],
    /// The hashes of the messages that are done.
    hashes: [Hash; LANES],
    /// The other blocks of the pairs, the states in common, and those at the end.
    others: [[u8; BLOCK_LEN]; LANES],
    common: States,
    ends: States,
}

impl<const STEP: usize> Suspects<STEP> {
    fn new() -> Self {
        Self {
            len: 0,
            messages: [0; LANES],
            hashes: [Hash::default(); LANES],
            others: [[0; BLOCK_LEN]; LANES],
            common: [[0; LANES]; 5],
            ends: [[0; LANES]; 5],
        }
    }

    /// Adds the block of `lane`, of the message `number`; gives the place for the other of the pair. Before that, looks
    /// closer if there are enough.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn add(
        &mut self,
        (number, lane): (u32, usize),
        (common, ends): (&States, &States),
        attacks: &mut Vec<(u32, Hash)>,
    ) -> &mut [u8; BLOCK_LEN] {
        if self.len == LANES {
            self.check(attacks);
        }
        let at = self.len % LANES;
        self.messages[at] = number;
        self.hashes[at] = Hash::default();
        for word in 0..5 {
            self.common[word][at] = common[word][lane];
            self.ends[word][at] = ends[word][lane];
        }
        self.len += 1;
        &mut self.others[at]
    }

    /// The messages of the blocks, and their hashes.
    fn pairs(&mut self) -> impl Iterator<Item = (&u32, &mut Hash)> {
        self.messages.iter().zip(&mut self.hashes).take(self.len)
    }

    /// Looks which blocks are those of an attack; adds their messages to `attacks`.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn check(&mut self, attacks: &mut Vec<(u32, Hash)>) {
        let same = vector::are_pairs::<STEP>(&self.others, &self.common, &self.ends);
        let attack = |at: &usize| same >> at & 1 == 1;
        attacks.extend((0..self.len).filter(attack).map(|at| (self.messages[at], self.hashes[at])));
        self.len = 0;
    }
}
