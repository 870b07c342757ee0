//! Blocks: sorted records whose keys share what they begin with, and the places of those that have their key whole.
//!
//! ```text
//!   kind  length(3)  record …  offset(3) of each restart …  how many restarts(2)
//! ```
//!
//! Offsets count from where the block begins; the first block of a table begins with the table's header.

use std::borrow::Cow;

use super::record::{IndexRecord, Input, Record, push_varint};

/// The kind and the length of a block.
pub(super) const BLOCK_HEADER_LEN: usize = 4;

/// The most restarts that a block can have.
const RESTARTS_MAX: usize = u16::MAX as usize;

/// A block that is read.
pub(super) struct Block<'a> {
    /// From where offsets count.
    bytes: Cow<'a, [u8]>,
    /// Where the records begin and end.
    start: usize,
    end: usize,
    restarts: usize,
    object_hash: gix_hash::Kind,
    /// The least update index of the table.
    base: u64,
}

/// A place among the records of a block.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    at: usize,
    /// The key of the record before it.
    key: Vec<u8>,
}

impl<'a> Block<'a> {
    /// The block of `bytes`, whose records begin at `start`; `None` if it is none.
    pub(super) fn new(
        bytes: Cow<'a, [u8]>,
        start: usize,
        object_hash: gix_hash::Kind,
        base: u64,
    ) -> Option<Self> {
        let (before, count) = bytes.split_last_chunk::<2>()?;
        let restarts = usize::from(u16::from_be_bytes(*count));
        let end = before.len().checked_sub(restarts.checked_mul(3)?)?;
        (restarts > 0 && start <= end).then_some(())?;
        Some(Self { bytes, start, end, restarts, object_hash, base })
    }

    /// Before the first record.
    pub(super) fn first(&self) -> Place {
        Place { at: self.start, key: Vec::new() }
    }

    /// Before the first record whose key is not below `key`, or at the end; `None` if the block is broken.
    pub(super) fn seek<R: Record>(&self, key: &[u8]) -> Option<Place> {
        let (mut low, mut high) = (0, self.restarts);
        // the last restart whose key is below the wanted one
        while low < high {
            let middle = low + (high - low) / 2;
            if self.restart_key(middle)? < key { low = middle + 1 } else { high = middle }
        }
        let at = if low == 0 { self.start } else { self.restart(low - 1)? };
        let mut place = Place { at, key: Vec::new() };
        loop {
            let before = place.clone();
            match self.next::<R>(&mut place)? {
                Some(_) if place.key.as_slice() < key => {}
                Some(_) | None => return Some(before),
            }
        }
    }

    /// The record at `place`, which moves behind it: `Some(None)` at the end, `None` if it is broken.
    #[expect(clippy::option_option, reason = "the end is not the same as a fault")]
    pub(super) fn next<R: Record>(&self, place: &mut Place) -> Option<Option<R>> {
        if place.at >= self.end {
            return Some(None);
        }
        let mut input = Input { rest: self.bytes.get(place.at..self.end)?, object_hash: self.object_hash };
        let kind = read_key(&mut input, &mut place.key)?;
        let record = R::decode(&place.key, kind, self.base, &mut input)?;
        place.at = self.end - input.rest.len();
        Some(Some(record))
    }

    /// Where the block is to be read on that has the first key not below `key`, in a block of an index.
    #[expect(clippy::option_option, reason = "the end is not the same as a fault")]
    pub(super) fn find_position(&self, key: &[u8]) -> Option<Option<u64>> {
        let mut place = self.seek::<IndexRecord>(key)?;
        Some(self.next::<IndexRecord>(&mut place)?.map(|record| record.position))
    }

    fn restart(&self, index: usize) -> Option<usize> {
        let at = self.end + index * 3;
        let [high, middle, low] = *self.bytes.get(at..)?.first_chunk::<3>()?;
        let offset = u32::from_be_bytes([0, high, middle, low]) as usize;
        (offset >= self.start && offset < self.end).then_some(offset)
    }

    fn restart_key(&self, index: usize) -> Option<&[u8]> {
        let rest = self.bytes.get(self.restart(index)?..self.end)?;
        let mut input = Input { rest, object_hash: self.object_hash };
        let shared = input.varint()?;
        let len = usize::try_from(input.varint()? >> 3).ok()?;
        if shared == 0 { input.take(len) } else { None }
    }
}

/// Reads a key, of which `key` is the one before, and the three bits beside its length.
fn read_key(input: &mut Input<'_>, key: &mut Vec<u8>) -> Option<u8> {
    let shared = usize::try_from(input.varint()?).ok().filter(|shared| *shared <= key.len())?;
    let length_and_kind = input.varint()?;
    let suffix = input.take(usize::try_from(length_and_kind >> 3).ok()?)?;
    key.truncate(shared);
    key.extend_from_slice(suffix);
    u8::try_from(length_and_kind & 7).ok()
}

/// A block that is written.
pub(super) struct NewBlock {
    bytes: Vec<u8>,
    /// Where the block's own header is: behind that of the table in the first one.
    header: usize,
    restarts: Vec<usize>,
    last: Vec<u8>,
    entries: usize,
    len_max: usize,
    restart_interval: usize,
}

impl NewBlock {
    /// An empty one of `kind` behind `before`, which holds `len_max` bytes with it.
    pub(super) fn new(kind: u8, before: &[u8], len_max: usize, restart_interval: usize) -> Self {
        let mut bytes = before.to_vec();
        bytes.extend_from_slice(&[kind, 0, 0, 0]);
        let header = before.len();
        Self { bytes, header, restarts: Vec::new(), last: Vec::new(), entries: 0, len_max, restart_interval }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Appends `record`, whose key comes after all others; whether there was room.
    pub(super) fn add<R: Record>(&mut self, record: &R, base: u64) -> bool {
        let key = record.key();
        let is_restart =
            self.entries.is_multiple_of(self.restart_interval) && self.restarts.len() < RESTARTS_MAX;
        let shared = if is_restart { 0 } else { shared_len(&self.last, &key) };
        let suffix = key.get(shared..).unwrap_or_default();
        let mut encoded = Vec::with_capacity(suffix.len() + 32);
        push_varint(&mut encoded, shared as u64);
        push_varint(&mut encoded, (suffix.len() as u64) << 3 | u64::from(record.kind()));
        encoded.extend_from_slice(suffix);
        record.encode(base, &mut encoded);
        let restarts = self.restarts.len() + usize::from(is_restart);
        if self.bytes.len() + encoded.len() + restarts * 3 + 2 > self.len_max {
            return false;
        }
        if is_restart {
            self.restarts.push(self.bytes.len());
        }
        self.bytes.extend_from_slice(&encoded);
        self.last = key.into();
        self.entries += 1;
        true
    }

    /// The bytes of the whole block, where its own header begins, and its last key.
    pub(super) fn finish(mut self) -> (Vec<u8>, usize, Vec<u8>) {
        for restart in &self.restarts {
            self.bytes.extend_from_slice(&u24(*restart));
        }
        let count = u16::try_from(self.restarts.len()).unwrap_or(u16::MAX);
        self.bytes.extend_from_slice(&count.to_be_bytes());
        let len = u24(self.bytes.len());
        if let Some(field) = self.bytes.get_mut(self.header + 1..self.header + BLOCK_HEADER_LEN) {
            field.copy_from_slice(&len);
        }
        (self.bytes, self.header, self.last)
    }
}

/// The low 24 bits; blocks are not longer.
fn u24(value: usize) -> [u8; 3] {
    let [.., high, middle, low] = (value as u64).to_be_bytes();
    [high, middle, low]
}

fn shared_len(left: &[u8], right: &[u8]) -> usize {
    left.iter().zip(right).take_while(|(left, right)| left == right).count()
}
