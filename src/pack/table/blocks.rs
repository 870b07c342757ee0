//! Where in the table to look for an entry by its offset.

/// The first entry that begins in each block of the pack, or behind it. Blocks have few entries to look through, and there are no
/// more of them than there are entries, or few.
pub(super) struct Blocks {
    first: Vec<u32>,
    /// The bytes of a block are two to the power of this.
    bits: u32,
}

/// So many blocks are few.
const BLOCKS_MIN: usize = 1024;

impl Blocks {
    pub fn new() -> Self {
        Self { first: Vec::new(), bits: 12 }
    }

    fn block_of(&self, offset: u64) -> usize {
        usize::try_from(offset >> self.bits).unwrap_or(usize::MAX)
    }

    /// Takes note of the next entry, which is the one at `index`.
    pub fn note(&mut self, index: u32, offset: u64) {
        while self.block_of(offset) > BLOCKS_MIN.max(index as usize) {
            self.bits += 1;
            self.first = self.first.iter().copied().step_by(2).collect();
        }
        let block = self.block_of(offset);
        if self.first.len() <= block {
            self.first.resize(block + 1, index);
        }
    }

    /// The first entry of the block of `offset`, and that of the next one if there is any.
    pub fn around(&self, offset: u64) -> Option<(usize, Option<usize>)> {
        let block = self.block_of(offset);
        let next = self.first.get(block.checked_add(1)?);
        Some((*self.first.get(block)? as usize, next.map(|next| *next as usize)))
    }

    /// Forgets all entries but the first `count`.
    pub fn truncate(&mut self, count: usize) {
        self.first.truncate(self.first.partition_point(|first| (*first as usize) < count));
    }
}
