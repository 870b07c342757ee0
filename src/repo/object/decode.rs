//! Whole objects out of packs, for walks that read one version of a tree after the other.
//!
//! gix-pack inflates the whole object at the end of a chain of deltas anew for each object that is built on it, and
//! keeps only what it was asked for. Here every link of the chain is kept for a while. What this cannot read, for
//! whatever reason, is left to gix-odb, which knows all there is to be said about it.

use std::collections::HashMap;

use flate2::{Decompress, FlushDecompress, Status};
use gix_object::Kind;

use super::pack::Pack;
use crate::pack::delta;
use crate::pack::entry::Content;

/// Larger objects are left to gix-odb, in bytes.
const SIZE_MAX: u64 = 16 * 1024 * 1024;

/// Larger objects are not kept, in bytes.
const KEPT_SIZE_MAX: usize = 1024 * 1024;

/// Memory for what is kept, in bytes; half of it for what was used since the other half was full.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

/// More links than git makes (`pack.depth` is at most 4095).
const CHAIN_MAX: usize = 4_096;

/// Reads objects of one repository's packs; for one thread at a time.
pub(super) struct Decoder {
    inflate: Decompress,
    cache: Cache,
    chain: Vec<Link>,
    delta: Vec<u8>,
    next: Vec<u8>,
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
            inflate: Decompress::new(true),
            cache: Cache::default(),
            chain: Vec::new(),
            delta: Vec::new(),
            next: Vec::new(),
        }
    }

    /// Puts the object whose entry is at `offset` of `pack`, which has the number `number`, into `out`.
    pub(super) fn read(&mut self, pack: &Pack, number: u32, offset: u64, out: &mut Vec<u8>) -> Option<Kind> {
        let kind = self.read_base(pack, number, offset, out)?;
        while let Some(link) = self.chain.pop() {
            inflate(&mut self.inflate, pack.bytes_from(link.stream_offset)?, link.size, &mut self.delta)?;
            if delta::result_size(&self.delta).ok()? > SIZE_MAX {
                return None;
            }
            delta::apply(out, &self.delta, &mut self.next).ok()?;
            std::mem::swap(out, &mut self.next);
            self.cache.put((number, link.offset), kind, out);
        }
        Some(kind)
    }

    /// Reads the nearest object that is kept or whole, and leaves the deltas that follow in the chain.
    fn read_base(&mut self, pack: &Pack, number: u32, mut offset: u64, out: &mut Vec<u8>) -> Option<Kind> {
        self.chain.clear();
        while self.chain.len() < CHAIN_MAX {
            if let Some(kind) = self.cache.get((number, offset), out) {
                return Some(kind);
            }
            let (header, stream_offset) = pack.entry_header(offset)?;
            let link = Link { offset, stream_offset, size: header.size };
            match header.content {
                _ if header.size > SIZE_MAX => return None,
                Content::Object(kind) => {
                    inflate(&mut self.inflate, pack.bytes_from(stream_offset)?, header.size, out)?;
                    // commits are read once
                    if !self.chain.is_empty() || kind != Kind::Commit {
                        self.cache.put((number, offset), kind, out);
                    }
                    return Some(kind);
                }
                Content::OfsDelta { distance } => offset = offset.checked_sub(distance)?,
                Content::RefDelta { base } => offset = pack.offset_of(&base)?,
            }
            self.chain.push(link);
        }
        None
    }
}

/// Inflates the stream at the beginning of `input` into `out`; `None` if it does not make `size` bytes.
fn inflate(state: &mut Decompress, input: &[u8], size: u64, out: &mut Vec<u8>) -> Option<()> {
    state.reset(true);
    out.clear();
    // one more than there should be, so that a stream that goes on is not mistaken for one that ends
    let size = usize::try_from(size).ok()?;
    out.reserve(size + 1);
    let status = state.decompress_vec(input, out, FlushDecompress::Finish).ok()?;
    (status == Status::StreamEnd && out.len() == size).then_some(())
}

type Key = (u32, u64);

/// What was read lately, in two generations: what is not used while one fills up is forgotten.
#[derive(Default)]
struct Cache {
    young: HashMap<Key, (Kind, Box<[u8]>)>,
    old: HashMap<Key, (Kind, Box<[u8]>)>,
    young_bytes: usize,
}

impl Cache {
    fn get(&mut self, key: Key, out: &mut Vec<u8>) -> Option<Kind> {
        if let Some((kind, content)) = self.young.get(&key) {
            out.clear();
            out.extend_from_slice(content);
            return Some(*kind);
        }
        let (kind, content) = self.old.remove(&key)?;
        out.clear();
        out.extend_from_slice(&content);
        self.insert(key, kind, content);
        Some(kind)
    }

    fn put(&mut self, key: Key, kind: Kind, content: &[u8]) {
        if content.len() <= KEPT_SIZE_MAX {
            self.insert(key, kind, content.into());
        }
    }

    fn insert(&mut self, key: Key, kind: Kind, content: Box<[u8]>) {
        if self.young_bytes + content.len() > CACHE_BYTES / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        self.young_bytes += content.len();
        self.young.insert(key, (kind, content));
    }
}
