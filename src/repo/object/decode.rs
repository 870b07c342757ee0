//! Whole objects out of packs, for walks that read one version of a tree after the other.
//!
//! gix-pack inflates the whole object at the end of a chain of deltas anew for each object that is built on it, and
//! keeps only what it was asked for. Here every link of the chain is kept for a while. What this cannot read, for
//! whatever reason, is left to gix-odb, which knows all there is to be said about it.

use std::sync::Arc;

use gix_object::Kind;

use super::pack::Pack;
use crate::pack::delta;
use crate::pack::entry::Content;
use crate::pack::inflate::Inflater;
use crate::pack::kept::{Kept, SMALL_MAX};

/// Larger objects are left to gix-odb, in bytes.
const SIZE_MAX: u64 = 64 * 1024 * 1024;

/// Memory for what is kept, in bytes. Neighbours in a walk, and in a search for deltas, share their bases: eight times as much
/// saves no time on git.git.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

/// Memory for large objects that are kept, in bytes.
const LARGE_BYTES: usize = 32 * 1024 * 1024;

/// The bytes of the two sizes that a delta begins with: gitformat-pack(5), seven bits of 64 in each.
const DELTA_SIZES_MAX: usize = 20;

/// More links than git makes (`pack.depth` is at most 4095).
const CHAIN_MAX: usize = 4_096;

/// Reads objects of one repository's packs; for one thread at a time.
pub(super) struct Decoder {
    inflate: Inflater,
    cache: Kept<Key, (Kind, Arc<Vec<u8>>)>,
    chain: Vec<Link>,
    delta: Vec<u8>,
}

/// A delta on the way to a whole object.
struct Link {
    offset: u64,
    stream_offset: u64,
    size: u64,
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self {
            inflate: Inflater::new(),
            cache: Kept::new(CACHE_BYTES, LARGE_BYTES),
            chain: Vec::new(),
            delta: Vec::new(),
        }
    }

    /// Lets the large objects go that are kept.
    pub(super) fn forget_large(&mut self) {
        self.cache.forget_large();
    }

    /// Puts the object whose entry is at `offset` of `pack`, which has the number `number`, into `out`.
    pub(super) fn read(&mut self, pack: &Pack, number: u32, offset: u64, out: &mut Vec<u8>) -> Option<Kind> {
        let (kind, mut base) = match self.read_base(pack, number, offset, out)? {
            (kind, None) => return Some(kind),
            (kind, Some(base)) => (kind, base),
        };
        while let Some(link) = self.chain.pop() {
            let stream = pack.bytes_from(link.stream_offset)?;
            self.inflate.inflate(stream, link.size, &mut self.delta).ok()?;
            if delta::result_size(&self.delta).ok()? > SIZE_MAX {
                return None;
            }
            let mut made = Vec::new();
            delta::apply(&base, &self.delta, &mut made).ok()?;
            base = Arc::new(made);
            self.keep((number, link.offset), kind, &base);
        }
        out.clear();
        out.extend_from_slice(&base);
        Some(kind)
    }

    /// What the object is whose entry is at `offset` of `pack`, and its size in bytes.
    pub(super) fn header(&mut self, pack: &Pack, offset: u64) -> Option<(Kind, u64)> {
        let (header, stream_offset) = pack.entry_header(offset)?;
        if let Content::Object(kind) = header.content {
            return Some((kind, header.size));
        }
        let mut sizes = [0; DELTA_SIZES_MAX];
        let len = self.inflate.prefix(pack.bytes_from(stream_offset)?, &mut sizes).ok()?;
        Some((pack.kind_at(offset)?, delta::result_size(sizes.get(..len)?).ok()?))
    }

    /// Reads the nearest object that is kept or whole, and leaves the deltas that follow in the chain. What no delta is based
    /// on and is not to be kept goes to `out` alone.
    fn read_base(
        &mut self,
        pack: &Pack,
        number: u32,
        mut offset: u64,
        out: &mut Vec<u8>,
    ) -> Option<(Kind, Option<Arc<Vec<u8>>>)> {
        self.chain.clear();
        while self.chain.len() < CHAIN_MAX {
            if let Some((kind, content)) = self.cache.get((number, offset)) {
                return Some((kind, Some(content)));
            }
            let (header, stream_offset) = pack.entry_header(offset)?;
            let link = Link { offset, stream_offset, size: header.size };
            match header.content {
                _ if header.size > SIZE_MAX => return None,
                Content::Object(kind) => {
                    let stream = pack.bytes_from(stream_offset)?;
                    // commits are read once, and large objects are kept for their deltas alone
                    let is_for_once = kind == Kind::Commit || header.size > SMALL_MAX as u64;
                    if self.chain.is_empty() && is_for_once {
                        out.clear();
                        self.inflate.inflate(stream, header.size, out).ok()?;
                        return Some((kind, None));
                    }
                    let mut content = Vec::new();
                    self.inflate.inflate(stream, header.size, &mut content).ok()?;
                    let content = Arc::new(content);
                    self.keep((number, offset), kind, &content);
                    return Some((kind, Some(content)));
                }
                Content::OfsDelta { distance } => offset = offset.checked_sub(distance)?,
                Content::RefDelta { base } => offset = pack.offset_of(&base)?,
            }
            self.chain.push(link);
        }
        None
    }

    fn keep(&mut self, key: Key, kind: Kind, content: &Arc<Vec<u8>>) {
        self.cache.put(key, (kind, Arc::clone(content)), content.capacity());
    }
}

type Key = (u32, u64);
