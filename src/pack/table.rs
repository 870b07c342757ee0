//! What is known of each entry of a pack, and which entries are deltas to which.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

use gix_hash::ObjectId;
use gix_object::Kind;

use super::Error;
use super::delta::{self, Copied};
use super::inflate::Inflater;
use super::links::Malformed;

/// No entry: the base of an entry that is not a delta, or one that is not resolved.
pub(super) const NONE: u32 = u32::MAX;

/// The inflated deltas that are kept from the first pass for the second, in bytes.
const KEPT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Larger deltas are not kept: three of four deltas in a pack are smaller, and together a few megabytes, while a byte of
/// theirs costs most to inflate again.
const KEPT_LEN_MAX: usize = 256;

/// One entry of the pack, but for its id.
pub(super) struct Entry {
    /// Where the entry begins, in bytes.
    pub offset: u64,
    /// What its zlib stream inflates to, in bytes.
    pub size: u64,
    pub crc32: u32,
    /// Where its delta begins in the kept ones; [`NONE`] if it was not kept.
    pub kept: u32,
    base: AtomicU32,
    /// 0 while it is not known what it makes. The threads that resolve deltas put it here: a list of their own would be as
    /// large as this one.
    kind: AtomicU8,
    pub header_len: u8,
}

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
    /// An entry at `offset` that inflates to `size` bytes, of which nothing else is known.
    pub fn new(offset: u64, size: u64, header_len: usize) -> Self {
        let header_len = u8::try_from(header_len).unwrap_or(u8::MAX);
        let (base, kind) = (AtomicU32::new(NONE), AtomicU8::new(0));
        Self { offset, size, crc32: 0, kept: NONE, base, kind, header_len }
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
}

/// The entries of a pack in the order of their offsets, and its deltas.
pub(super) struct Table {
    pub entries: Vec<Entry>,
    /// The ids of all entries, a few words each.
    ids: Vec<AtomicU32>,
    hash: gix_hash::Kind,
    /// Pairs of base and delta.
    pub ofs_deltas: Vec<(u32, u32)>,
    pub ref_deltas: Vec<(ObjectId, u32)>,
    /// How many deltas there are, those included whose base is where no entry begins.
    pub deltas: u64,
    /// Where the last entry ends, in bytes.
    pub end: u64,
    /// The largest object that a delta may make, in bytes; 0 means any.
    made_len_max: u64,
    kept: Vec<u8>,
}

impl Table {
    /// One without entries, for objects whose ids are of the kind `hash`, and no longer than `made_len_max` where a delta
    /// makes them.
    pub fn new(hash: gix_hash::Kind, made_len_max: u64) -> Self {
        Self {
            entries: Vec::new(),
            ids: Vec::new(),
            hash,
            ofs_deltas: Vec::new(),
            ref_deltas: Vec::new(),
            deltas: 0,
            end: 0,
            made_len_max,
            kept: Vec::new(),
        }
    }

    /// Adds an entry, and what it makes, if that is known.
    pub fn push(&mut self, entry: Entry, object: Option<Object>) {
        let index = u32::try_from(self.entries.len()).unwrap_or(NONE);
        self.entries.push(entry);
        let words = self.entries.len() * self.words();
        self.ids.resize_with(words, AtomicU32::default);
        if let Some(object) = object {
            self.resolve(index, object);
        }
    }

    /// Forgets all entries but the first `count`.
    pub fn truncate(&mut self, count: usize) {
        self.entries.truncate(count);
        self.ids.truncate(count * self.words());
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
        let at = self.entries.binary_search_by_key(&offset, |entry| entry.offset).ok()?;
        u32::try_from(at).ok()
    }

    pub fn entry(&self, index: u32) -> Option<&Entry> {
        self.entries.get(index as usize)
    }

    /// Keeps `delta` for the second pass if it is small and there is room for it; gives where.
    pub fn keep(&mut self, delta: &[u8]) -> Option<u32> {
        if delta.len() > KEPT_LEN_MAX.min(KEPT_BYTES_MAX - self.kept.len()) {
            return None;
        }
        let at = u32::try_from(self.kept.len()).ok()?;
        self.kept.extend_from_slice(delta);
        Some(at)
    }

    /// Of the pairs of base and delta, in the order of deltas, keeps those that are needed to resolve the others.
    fn retain_needed(&self, pairs: &mut Vec<(u32, u32)>, by_id: &[(ObjectId, u32)]) {
        let mut needed = vec![false; self.entries.len()];
        if !by_id.is_empty() {
            for (index, id) in self.ids() {
                if let Some(needed) = needed.get_mut(index as usize) {
                    *needed = by_id.binary_search_by(|(base, _)| base.cmp(&id)).is_ok();
                }
            }
        }
        pairs.reverse();
        pairs.retain(|(base, child)| {
            let is_resolved = self.entry(*child).is_some_and(|entry| entry.kind().is_some());
            let keep = !is_resolved || needed.get(*child as usize) == Some(&true);
            if let (true, Some(base)) = (keep, needed.get_mut(*base as usize)) {
                *base = true;
            }
            keep
        });
    }

    /// How many deltas are resolved.
    pub fn resolved(&self) -> u64 {
        self.entries.iter().filter(|entry| entry.base() != NONE).count() as u64
    }

    /// Forgets the kept deltas, which nobody needs any more.
    pub fn forget_kept(&mut self) {
        self.kept = Vec::new();
        for entry in &mut self.entries {
            entry.kept = NONE;
        }
    }
}

/// Which entries are deltas to a given one.
pub(super) struct Family {
    /// Where in `children` those of an entry begin; one more than there are entries.
    starts: Vec<u32>,
    children: Vec<u32>,
    /// Sorted by base.
    by_id: Vec<(ObjectId, u32)>,
    /// For the first delta to each base in `by_id`: whether the base was found.
    found: Vec<AtomicBool>,
    /// Whether the pack is being completed with bases from outside.
    pub completing: bool,
}

impl Family {
    /// Those of `table` that are not resolved, and what leads to them.
    pub fn new(table: &mut Table) -> Self {
        let mut by_id = std::mem::take(&mut table.ref_deltas);
        by_id.sort_unstable();
        let mut pairs = std::mem::take(&mut table.ofs_deltas);
        table.retain_needed(&mut pairs, &by_id);
        pairs.sort_unstable();
        let mut starts = Vec::with_capacity(table.entries.len() + 1);
        let mut at = 0_u32;
        let mut rest = pairs.iter().peekable();
        for entry in 0..=table.entries.len() {
            starts.push(at);
            while rest.next_if(|(base, _)| *base as usize == entry).is_some() {
                at += 1;
            }
        }
        let found = by_id.iter().map(|_| AtomicBool::new(false)).collect();
        Self {
            starts,
            children: pairs.into_iter().map(|(_, child)| child).collect(),
            by_id,
            found,
            completing: false,
        }
    }

    /// The deltas to `entry`, whose id is `id`. Asked for once for each entry.
    ///
    /// A delta is resolved once: if two entries of the pack have its base's id, that is an error, as it is to C git.
    /// An object that comes out while the pack is completed may be one of the bases added, and finds its deltas gone.
    pub fn children(&self, entry: u32, id: &ObjectId, table: &Table) -> Result<Vec<u32>, Error> {
        let at = entry as usize;
        let range = match (self.starts.get(at), self.starts.get(at + 1)) {
            (Some(start), Some(end)) => *start as usize..*end as usize,
            _ => 0..0,
        };
        let mut children = self.children.get(range).unwrap_or_default().to_vec();
        if self.by_id.is_empty() {
            return Ok(children);
        }
        let start = self.by_id.partition_point(|(base, _)| base < id);
        let named = self.by_id.get(start..).unwrap_or_default();
        let named = named.iter().take_while(|(base, _)| base == id).map(|(_, child)| *child);
        let mut named = named.peekable();
        if let (Some(first), Some(found)) = (named.peek(), self.found.get(start)) {
            if found.swap(true, Ordering::Relaxed) {
                if self.completing {
                    return Ok(children);
                }
                let offset = table.entry(*first).map_or(0, |entry| entry.offset);
                let what = format!("REF_DELTA at offset {offset} already resolved (duplicate base {id}?)");
                return Err(Error::BadPack(what));
            }
            children.extend(named);
        }
        Ok(children)
    }

    /// Whether there are deltas that name their base by id.
    pub fn has_ids(&self) -> bool {
        !self.by_id.is_empty()
    }

    /// The bases named by id that no entry turned out to have, each once, in order.
    pub fn missing(&self) -> Vec<ObjectId> {
        let mut last = None;
        let firsts =
            self.by_id.iter().zip(&self.found).filter(|((base, _), _)| last.replace(*base) != Some(*base));
        firsts.filter(|(_, found)| !found.load(Ordering::Relaxed)).map(|((base, _), _)| *base).collect()
    }

    /// Forgets which bases were found.
    pub fn reset(&mut self) {
        self.completing = false;
        for found in &mut self.found {
            *found.get_mut() = false;
        }
    }

    pub fn has_children(&self, entry: u32, id: &ObjectId) -> bool {
        let at = entry as usize;
        self.starts.get(at) != self.starts.get(at + 1)
            || self.by_id.binary_search_by(|(base, _)| base.cmp(id)).is_ok()
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
        inflater.inflate(deflated, entry.size, out).map_err(|error| bad_object(entry, error))
    }

    /// The entry and its zlib stream.
    pub fn deflated(self, index: u32) -> Result<(&'a Entry, &'a [u8]), Error> {
        let entry =
            self.table.entry(index).ok_or_else(|| Error::BadPack("pack entry out of range".into()))?;
        let end = index.checked_add(1).and_then(|next| self.table.entry(next));
        let end = end.map_or(self.table.end, |next| next.offset);
        let start = usize::try_from(entry.offset + u64::from(entry.header_len)).ok();
        let range = start.zip(usize::try_from(end).ok()).map(|(start, end)| start..end);
        let deflated = range.and_then(|range| self.bytes.get(range));
        Ok((entry, deflated.ok_or_else(|| bad_object(entry, "entry is beyond the end of the pack"))?))
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
        let delta = if let Some(kept) = self.kept(index) {
            kept
        } else {
            self.inflate(index, inflater, buffer)?;
            buffer
        };
        self.check_made(index, delta)?;
        delta::apply_noting(base, delta, out, note).map_err(|_| match self.table.entry(index) {
            Some(entry) => bad_object(entry, "failed to apply delta"),
            None => Error::BadPack("failed to apply delta".into()),
        })
    }

    /// Refuses a delta that says that it makes more than is taken.
    fn check_made(self, index: u32, delta: &[u8]) -> Result<(), Error> {
        let (len, len_max) = (delta::result_size(delta).unwrap_or(0), self.table.made_len_max);
        match self.table.entry(index) {
            Some(entry) if len_max > 0 && len > len_max => {
                Err(Error::DeltaTooLarge { offset: entry.offset, len, len_max })
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

    fn kept(self, index: u32) -> Option<&'a [u8]> {
        let entry = self.table.entry(index).filter(|entry| entry.kept != NONE)?;
        let start = entry.kept as usize;
        self.table.kept.get(start..start.checked_add(usize::try_from(entry.size).ok()?)?)
    }
}

/// The error for an object of the entry at `offset` that is not fit.
pub(super) fn unfit(offset: u64, error: Malformed) -> Error {
    match error {
        Malformed::Unreadable(_) => Error::BadObject { offset, message: error.to_string() },
        Malformed::Unfit => Error::BadPack(error.to_string()),
    }
}

/// The error for an entry that is not what it should be.
pub(super) fn bad_object(entry: &Entry, message: impl std::fmt::Display) -> Error {
    Error::BadObject { offset: entry.offset, message: message.to_string() }
}
