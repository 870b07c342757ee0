//! What is known of each entry of a pack.

mod blocks;

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use gix_hash::ObjectId;
use gix_object::Kind;

use blocks::Blocks;

use super::Error;
use super::delta::{self, Copied};
use super::inflate::Inflater;
use super::links::Malformed;

/// No entry: the base of an entry that is not a delta, or one that is not resolved.
pub(super) const NONE: u32 = u32::MAX;

/// The inflated deltas that are kept from the first pass for the second, in bytes.
const KEPT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Larger deltas are not kept: most deltas in a pack are smaller, and together a few megabytes, while a byte of theirs costs
/// most to inflate again.
const KEPT_LEN_MAX: usize = 128;

/// An entry that was read.
pub(super) struct NewEntry {
    /// Where it begins, in bytes.
    pub offset: u64,
    /// What its zlib stream inflates to, in bytes.
    pub size: u64,
    pub header_len: usize,
    pub crc32: u32,
    /// The entry before it that it is a delta to; [`NONE`] if it is none, or names its base by id.
    pub base: u32,
}

impl NewEntry {
    /// An entry at `offset` that inflates to `size` bytes, of which nothing else is known.
    pub fn new(offset: u64, size: u64, header_len: usize) -> Self {
        Self { offset, size, header_len, crc32: 0, base: NONE }
    }
}

/// One entry of the pack, but for its id. Packs have millions of entries, so that it has no room to spare.
pub(super) struct Entry {
    /// The last bytes of where it begins.
    offset: [u8; 6],
    pub header_len: u8,
    /// 0 while it is not known what it makes. The threads that resolve deltas put it here: a list of their own would be as
    /// large as this one.
    kind: AtomicU8,
    /// [`LARGE`] if it does not fit.
    size: u32,
    pub crc32: u32,
    base: AtomicU32,
}

/// The size of an entry whose size stands elsewhere.
const LARGE: u32 = u32::MAX;

/// What an entry makes.
#[derive(Clone, Copy)]
pub(super) struct Object {
    pub id: ObjectId,
    pub kind: Kind,
    /// The entry that this one is a delta to; [`NONE`] if it is no delta.
    pub base: u32,
}

/// The kinds by their numbers in [`Entry`].
const KINDS: [Kind; 4] = [Kind::Commit, Kind::Tree, Kind::Blob, Kind::Tag];

impl Entry {
    /// Where the entry begins, in bytes.
    pub fn offset(&self) -> u64 {
        self.offset.iter().fold(0, |offset, byte| offset << 8 | u64::from(*byte))
    }

    /// Forgets what it makes, if it is a delta.
    pub fn forget(&mut self) {
        if self.base() != NONE {
            *self.kind.get_mut() = 0;
        }
    }

    /// The kind of the object, if it is known what the entry makes.
    pub fn kind(&self) -> Option<Kind> {
        let number = self.kind.load(Ordering::Acquire);
        KINDS.get(usize::from(number).checked_sub(1)?).copied()
    }

    /// The entry that this one is a delta to; [`NONE`] if it is none, or not resolved.
    pub fn base(&self) -> u32 {
        self.kind().map_or(NONE, |_| self.base.load(Ordering::Relaxed))
    }

    /// As [`base`](Self::base), before it is resolved too, if the pack tells where the base is.
    pub fn told_base(&self) -> u32 {
        self.base.load(Ordering::Relaxed)
    }
}

/// The entries of a pack in the order of their offsets, and its deltas.
pub(super) struct Table {
    pub entries: Vec<Entry>,
    /// The ids of all entries, a few words each.
    ids: Vec<AtomicU32>,
    hash: gix_hash::Kind,
    blocks: Blocks,
    /// The sizes of the entries for which 32 bits are not enough.
    large: Vec<(u32, u64)>,
    pub ref_deltas: Vec<(ObjectId, u32)>,
    /// How many deltas there are, those included whose base is where no entry begins.
    pub deltas: u64,
    /// Where the last entry ends, in bytes.
    pub end: u64,
    /// The largest object that a delta may make, in bytes, and the largest base and delta; 0 means any.
    made_len_max: u64,
    /// The kept deltas, one behind the other.
    kept: Vec<u8>,
    /// Which of each 64 entries they are of, and where the first of these begins.
    kept_of: Vec<(u64, u32)>,
}

impl Table {
    /// One without entries, for objects whose ids are of the kind `hash`, and no longer than `made_len_max` where a delta
    /// makes them.
    pub fn new(hash: gix_hash::Kind, made_len_max: u64) -> Self {
        Self {
            entries: Vec::new(),
            ids: Vec::new(),
            hash,
            blocks: Blocks::new(),
            large: Vec::new(),
            ref_deltas: Vec::new(),
            deltas: 0,
            end: 0,
            made_len_max,
            kept: Vec::new(),
            kept_of: Vec::new(),
        }
    }

    /// Adds an entry, and what it makes, if that is known.
    pub fn push(&mut self, new: &NewEntry, object: Option<Object>) -> Result<(), Error> {
        let index = u32::try_from(self.entries.len()).unwrap_or(NONE);
        let [0, 0, offset @ ..] = new.offset.to_be_bytes() else {
            return Err(bad_object(new.offset, "pack is too large"));
        };
        let size = u32::try_from(new.size).unwrap_or(LARGE);
        if size == LARGE {
            self.large.push((index, new.size));
        }
        self.blocks.note(index, new.offset);
        self.entries.push(Entry {
            offset,
            header_len: u8::try_from(new.header_len).unwrap_or(u8::MAX),
            kind: AtomicU8::new(0),
            size,
            crc32: new.crc32,
            base: AtomicU32::new(new.base),
        });
        let words = self.entries.len() * self.words();
        self.ids.resize_with(words, AtomicU32::default);
        if let Some(object) = object {
            self.resolve(index, object);
        }
        Ok(())
    }

    /// Forgets all entries but the first `count`.
    pub fn truncate(&mut self, count: usize) {
        self.entries.truncate(count);
        self.ids.truncate(count * self.words());
        self.large.retain(|(index, _)| (*index as usize) < count);
        self.blocks.truncate(count);
    }

    /// What the zlib stream of the entry `index` inflates to, in bytes.
    pub fn size(&self, index: u32) -> u64 {
        match self.entry(index).map_or(0, |entry| entry.size) {
            LARGE => {
                let at = self.large.binary_search_by_key(&index, |(index, _)| *index).ok();
                at.and_then(|at| self.large.get(at)).map_or(u64::MAX, |(_, size)| *size)
            }
            size => u64::from(size),
        }
    }

    /// Takes note of what the entry `index` makes, which is told once.
    pub fn resolve(&self, index: u32, Object { id, kind, base }: Object) {
        let Some(entry) = self.entry(index) else { return };
        let words = self.id_words(index).unwrap_or_default();
        for (word, bytes) in words.iter().zip(id.as_slice().as_chunks().0) {
            word.store(u32::from_ne_bytes(*bytes), Ordering::Relaxed);
        }
        entry.base.store(base, Ordering::Relaxed);
        let number = (1..).zip(KINDS).find(|(_, known)| *known == kind).map_or(0, |(number, _)| number);
        // All before this is seen by who sees the kind.
        entry.kind.store(number, Ordering::Release);
    }

    /// The id of what the entry `index` makes, if that is known.
    pub fn id(&self, index: u32) -> Option<ObjectId> {
        let _kind = self.entry(index)?.kind()?;
        let mut bytes = [0; 32];
        let words = self.id_words(index)?;
        for (word, bytes) in words.iter().zip(bytes.as_chunks_mut().0) {
            *bytes = word.load(Ordering::Relaxed).to_ne_bytes();
        }
        ObjectId::try_from(bytes.get(..words.len() * 4)?).ok()
    }

    /// What the entry `index` makes, if that is known.
    pub fn object(&self, index: u32) -> Option<Object> {
        let entry = self.entry(index)?;
        Some(Object { id: self.id(index)?, kind: entry.kind()?, base: entry.base() })
    }

    /// The ids that are known, and their entries.
    pub fn ids(&self) -> impl Iterator<Item = (u32, ObjectId)> {
        (0..).zip(&self.entries).filter_map(|(index, _)| Some((index, self.id(index)?)))
    }

    /// The objects that are known.
    pub fn objects(&self) -> impl Iterator<Item = (ObjectId, Kind)> {
        (0..).zip(&self.entries).filter_map(|(index, entry)| Some((self.id(index)?, entry.kind()?)))
    }

    fn id_words(&self, index: u32) -> Option<&[AtomicU32]> {
        let start = (index as usize).checked_mul(self.words())?;
        self.ids.get(start..start.checked_add(self.words())?)
    }

    /// The words of an id.
    fn words(&self) -> usize {
        self.hash.len_in_bytes() / 4
    }

    /// The entry that begins at `offset`.
    pub fn find(&self, offset: u64) -> Option<u32> {
        let (start, end) = self.blocks.around(offset)?;
        let end = end.unwrap_or(self.entries.len());
        let at = self.entries.get(start..end)?.binary_search_by_key(&offset, Entry::offset).ok()?;
        u32::try_from(start + at).ok()
    }

    pub fn entry(&self, index: u32) -> Option<&Entry> {
        self.entries.get(index as usize)
    }

    /// Keeps `delta`, of the next entry, for the second pass if it is small and there is room for it.
    pub fn keep(&mut self, delta: &[u8]) {
        if delta.len() > KEPT_LEN_MAX.min(KEPT_BYTES_MAX - self.kept.len()) {
            return;
        }
        let (index, at) = (self.entries.len(), u32::try_from(self.kept.len()).unwrap_or(u32::MAX));
        if self.kept_of.len() <= index / 64 {
            self.kept_of.resize(index / 64 + 1, (0, at));
        }
        if let Some((which, _)) = self.kept_of.last_mut() {
            *which |= 1 << (index % 64);
            self.kept.extend_from_slice(delta);
        }
    }

    /// The delta of the entry `index`, if it was kept.
    fn kept(&self, index: u32) -> Option<&[u8]> {
        let (which, at) = *self.kept_of.get(index as usize / 64)?;
        if which >> (index % 64) & 1 == 0 {
            return None;
        }
        let mut before = which & ((1 << (index % 64)) - 1);
        let mut start = at as usize;
        while before != 0 {
            let other = index - index % 64 + before.trailing_zeros();
            start += self.entry(other).map_or(0, |entry| entry.size as usize);
            before &= before - 1;
        }
        let len = self.entry(index)?.size as usize;
        self.kept.get(start..start + len)
    }

    /// How many deltas are resolved.
    pub fn resolved(&self) -> u64 {
        self.entries.iter().filter(|entry| entry.base() != NONE).count() as u64
    }

    /// Forgets the kept deltas, which nobody needs any more.
    pub fn forget_kept(&mut self) {
        self.kept = Vec::new();
        self.kept_of = Vec::new();
    }
}

/// The entries together with the bytes of the pack.
#[derive(Clone, Copy)]
pub(super) struct Pack<'a> {
    pub table: &'a Table,
    pub bytes: &'a [u8],
    pub hash: gix_hash::Kind,
}

impl<'a> Pack<'a> {
    /// Puts what the entry inflates to into `out`: an object or a delta.
    pub fn inflate(self, index: u32, inflater: &mut Inflater, out: &mut Vec<u8>) -> Result<(), Error> {
        let (entry, deflated) = self.deflated(index)?;
        let size = self.table.size(index);
        inflater.inflate(deflated, size, out).map_err(|error| bad_object(entry.offset(), error))
    }

    /// The entry and its zlib stream.
    pub fn deflated(self, index: u32) -> Result<(&'a Entry, &'a [u8]), Error> {
        let entry =
            self.table.entry(index).ok_or_else(|| Error::BadPack("pack entry out of range".into()))?;
        let end = index.checked_add(1).and_then(|next| self.table.entry(next));
        let end = end.map_or(self.table.end, Entry::offset);
        let start = usize::try_from(entry.offset() + u64::from(entry.header_len)).ok();
        let range = start.zip(usize::try_from(end).ok()).map(|(start, end)| start..end);
        let deflated = range.and_then(|range| self.bytes.get(range));
        Ok((
            entry,
            deflated.ok_or_else(|| bad_object(entry.offset(), "entry is beyond the end of the pack"))?,
        ))
    }

    /// Puts the object that the delta `index` makes from `base` into `out`, and tells `note` what it copies; `buffer` is
    /// for the delta.
    pub fn apply(
        self,
        index: u32,
        (base, out): (&[u8], &mut Vec<u8>),
        (inflater, buffer): (&mut Inflater, &mut Vec<u8>),
        note: impl FnMut(Copied),
    ) -> Result<(), Error> {
        let delta = if let Some(kept) = self.table.kept(index) {
            kept
        } else {
            self.check_size(index)?;
            self.inflate(index, inflater, buffer)?;
            buffer
        };
        self.check_len(index, delta::result_size(delta).unwrap_or(0))?;
        delta::apply_noting(base, delta, out, note).map_err(|_| match self.table.entry(index) {
            Some(entry) => bad_object(entry.offset(), "failed to apply delta"),
            None => Error::BadPack("failed to apply delta".into()),
        })
    }

    /// Refuses the entry `index`, a delta or the base of one, if it inflates to more than is taken.
    pub fn check_size(self, index: u32) -> Result<(), Error> {
        self.check_len(index, self.table.size(index))
    }

    /// Refuses the entry `index` if it needs `len` bytes, and that is more than is taken.
    fn check_len(self, index: u32, len: u64) -> Result<(), Error> {
        let len_max = self.table.made_len_max;
        match self.table.entry(index) {
            Some(entry) if len_max > 0 && len > len_max => {
                Err(Error::DeltaTooLarge { offset: entry.offset(), len, len_max })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Puts the whole object of a resolved entry into `out`, through all its deltas.
    pub fn object(self, index: u32, inflater: &mut Inflater, out: &mut Vec<u8>) -> Result<(), Error> {
        let (mut chain, mut at) = (Vec::new(), index);
        while let Some(base) = self.table.entry(at).map(Entry::base).filter(|base| *base != NONE) {
            chain.push(at);
            at = base;
        }
        self.inflate(at, inflater, out)?;
        let (mut base, mut buffer) = (Vec::new(), Vec::new());
        for delta in chain.into_iter().rev() {
            std::mem::swap(&mut base, out);
            self.apply(delta, (&base, out), (inflater, &mut buffer), |_| {})?;
        }
        Ok(())
    }
}

/// The error for an object that is not fit.
pub(super) fn unfit(error: Malformed) -> Error {
    match error {
        Malformed::Unreadable(..) => Error::Malformed(error),
        Malformed::Unfit => Error::BadPack(error.to_string()),
    }
}

/// The error for the entry at `offset` that is not what it should be.
pub(super) fn bad_object(offset: u64, message: impl std::fmt::Display) -> Error {
    Error::BadObject { offset, message: message.to_string() }
}

#[cfg(test)]
mod tests;
