//! Making deltas.
//!
//! What base and target begin and end with is found by comparing. For what is between, the base is cut into blocks whose
//! hashes are put into an [`Index`]; the target is then gone through byte by byte, each time looking whether a block of the
//! base begins here. Where one does, the match is extended in both directions as far as it goes.

use std::cmp::Reverse;

use index::{BLOCK_LEN, hash};

use super::Copied;

mod index;
#[cfg(test)]
mod tests;

pub use index::Index;

/// The longest insertion that one instruction takes, in bytes.
const INSERT_LEN_MAX: usize = 0x7f;

/// The longest copy that one instruction takes in packs of version 2, in bytes; it is written as size zero.
const COPY_LEN_MAX: usize = 0x1_0000;

/// The shortest common beginning or end that is copied, in bytes.
const END_LEN_MIN: usize = 8;

/// The shortest rest between common ends in which blocks are looked for.
const MIDDLE_LEN_MIN: usize = BLOCK_LEN;

/// How much is compared at once, in bytes.
const CHUNK_LEN: usize = 16;

/// Puts a delta that makes `target` of `base` into `out`, whose former content is lost.
///
/// `index` gives the index of `base`; it is asked for only where it is needed. False if the delta would be longer than
/// `len_max` bytes, or if instructions cannot address all of `base`; then the content of `out` means nothing.
pub fn create<'a>(
    base: &[u8],
    index: impl FnOnce() -> &'a Index,
    target: &[u8],
    len_max: usize,
    out: &mut Vec<u8>,
) -> bool {
    out.clear();
    if u32::try_from(base.len()).is_err() {
        return false;
    }
    encode_size(base.len(), out);
    encode_size(target.len(), out);
    let prefix = end_len(common_prefix(base, target));
    let suffix = end_len(common_suffix(base, target.get(prefix..).unwrap_or_default()));
    let end = target.len() - suffix;
    let mut delta = Delta { out, len_max, base, target: target.get(..end).unwrap_or_default(), told: 0 };
    delta.copy(0, prefix);
    if end - prefix >= MIDDLE_LEN_MIN && !delta.search(index()) {
        return false;
    }
    delta.insert(end);
    delta.copy(base.len() - suffix, suffix);
    out.len() <= len_max
}

/// Puts a delta that makes `target` of a base of `base_len` bytes into `out`, whose former content is lost: of `shared` it is
/// known that both have it. What is shared may overlap, and comes in no order.
pub(in crate::pack) fn of_shared(base_len: usize, shared: &mut [Copied], target: &[u8], out: &mut Vec<u8>) {
    out.clear();
    encode_size(base_len, out);
    encode_size(target.len(), out);
    shared.sort_unstable_by_key(|part| (part.at, Reverse(part.len)));
    let mut delta = Delta { out, len_max: usize::MAX, base: &[], target, told: 0 };
    for Copied { at, from, len } in shared {
        let begin = delta.told.max(*at);
        let len = (*at + *len).min(target.len()).saturating_sub(begin);
        if len >= END_LEN_MIN {
            delta.insert(begin);
            delta.copy(*from + (begin - *at), len);
        }
    }
    delta.insert(target.len());
}

/// A delta in the making.
struct Delta<'a> {
    out: &'a mut Vec<u8>,
    len_max: usize,
    base: &'a [u8],
    /// The target as far as it is to be searched.
    target: &'a [u8],
    /// How much of the target the instructions so far tell.
    told: usize,
}

/// A range of the base that the target has too.
#[derive(Clone, Copy)]
struct Match {
    /// Where it begins in the base.
    offset: usize,
    /// Where it begins in the target.
    at: usize,
    len: usize,
}

impl Delta<'_> {
    /// Tells the target from where it is told by what of the base is in it, but for what follows the last match. False if
    /// that gets too long.
    fn search(&mut self, index: &Index) -> bool {
        let mut at = self.told;
        let mut give_up_at = self.give_up_at();
        while let Some(block) = self.target.get(at..).and_then(|rest| rest.first_chunk()) {
            let hash = hash(block);
            if index.may_have(hash)
                && let Some(found) = self.longest_match(index, hash, at)
            {
                self.insert(found.at);
                self.copy(found.offset, found.len);
                at = self.told;
                give_up_at = self.give_up_at();
            } else {
                at += 1;
            }
            if at > give_up_at {
                return false;
            }
        }
        true
    }

    /// Where the delta is too long if everything up to there is inserted; a match may still save the last block.
    fn give_up_at(&self) -> usize {
        match self.len_max.checked_sub(self.out.len()) {
            Some(left) => self.told.saturating_add(left).saturating_add(BLOCK_LEN),
            None => 0,
        }
    }

    fn longest_match(&self, index: &Index, hash: u64, at: usize) -> Option<Match> {
        let (before, from) = self.target.split_at_checked(at)?;
        let before = before.get(self.told..)?;
        let matches = index.candidates(hash).filter_map(|offset| {
            let (base_before, base_from) = self.base.split_at_checked(offset)?;
            let len = common_prefix(base_from, from);
            if len < BLOCK_LEN {
                return None;
            }
            let back = common_suffix(base_before, before);
            Some(Match { offset: offset - back, at: at - back, len: len + back })
        });
        // of matches of the same length the first
        matches.reduce(|best, other| if other.len > best.len { other } else { best })
    }

    /// Inserts what is not told up to `end`.
    fn insert(&mut self, end: usize) {
        let bytes = self.target.get(self.told..end).unwrap_or_default();
        for piece in bytes.chunks(INSERT_LEN_MAX) {
            self.out.push(u8::try_from(piece.len()).unwrap_or(0));
            self.out.extend_from_slice(piece);
        }
        self.told = end;
    }

    /// Copies `len` bytes of the base from `offset`.
    fn copy(&mut self, offset: usize, len: usize) {
        self.told += len;
        let (mut offset, mut left) = (offset, len);
        while left > 0 {
            let len = left.min(COPY_LEN_MAX);
            let at = self.out.len();
            self.out.push(0x80);
            let mut instruction = 0x80;
            for (bit, byte) in
                (0..4).zip(offset.to_le_bytes()).chain((4..6).zip((len % COPY_LEN_MAX).to_le_bytes()))
            {
                if byte != 0 {
                    instruction |= 1 << bit;
                    self.out.push(byte);
                }
            }
            if let Some(first) = self.out.get_mut(at) {
                *first = instruction;
            }
            offset += len;
            left -= len;
        }
    }
}

/// Seven bits in each byte, least significant first.
fn encode_size(size: usize, out: &mut Vec<u8>) {
    let mut rest = size;
    loop {
        let [low, ..] = rest.to_le_bytes();
        rest >>= 7;
        if rest == 0 {
            return out.push(low & 0x7f);
        }
        out.push(low | 0x80);
    }
}

fn end_len(len: usize) -> usize {
    if len < END_LEN_MIN { 0 } else { len }
}

/// How many bytes both begin with.
pub(in crate::pack) fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let chunks = a.as_chunks::<CHUNK_LEN>().0.iter().zip(b.as_chunks::<CHUNK_LEN>().0);
    let len = CHUNK_LEN * chunks.take_while(|(a, b)| a == b).count();
    let rest = a.get(len..).unwrap_or_default().iter().zip(b.get(len..).unwrap_or_default());
    len + rest.take_while(|(a, b)| a == b).count()
}

/// How many bytes both end with.
fn common_suffix(a: &[u8], b: &[u8]) -> usize {
    let chunks = a.as_rchunks::<CHUNK_LEN>().1.iter().rev().zip(b.as_rchunks::<CHUNK_LEN>().1.iter().rev());
    let len = CHUNK_LEN * chunks.take_while(|(a, b)| a == b).count();
    let shorter = |all: &[u8]| all.len() - len;
    let rest = a.get(..shorter(a)).unwrap_or_default().iter().rev();
    len + rest.zip(b.get(..shorter(b)).unwrap_or_default().iter().rev()).take_while(|(a, b)| a == b).count()
}
