//! Whole objects out of packs, for walks that read one version of a tree after the other.
//!
//! gix-pack inflates the whole object at the end of a chain of deltas anew for each object that is built on it, and
//! keeps only what it was asked for. Here every link of the chain is kept for a while. What this cannot read, for
//! whatever reason, is left to gix-odb, which knows all there is to be said about it.

use std::collections::HashMap;
use std::sync::Arc;

use gix_object::Kind;

use super::pack::Pack;
use crate::pack::delta;
use crate::pack::entry::Content;
use crate::pack::inflate::Inflater;

/// Larger objects are left to gix-odb, in bytes.
const SIZE_MAX: u64 = 16 * 1024 * 1024;

/// Larger objects are not kept, in bytes.
const KEPT_SIZE_MAX: usize = 1024 * 1024;

/// Memory for what is kept, in bytes; half of it for what was used since the other half was full. Neighbours in a walk, and in
/// a search for deltas, share their bases: eight times as much saves no time on git.git.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

/// More links than git makes (`pack.depth` is at most 4095).
const CHAIN_MAX: usize = 4_096;

/// Reads objects of one repository's packs; for one thread at a time.
pub(super) struct Decoder {
    inflate: Inflater,
    cache: Cache,
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
        Self { inflate: Inflater::new(), cache: Cache::default(), chain: Vec::new(), delta: Vec::new() }
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
            self.cache.put((number, link.offset), kind, &base);
        }
        out.clear();
        out.extend_from_slice(&base);
        Some(kind)
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
                    // commits are read once
                    if self.chain.is_empty() && kind == Kind::Commit {
                        out.clear();
                        self.inflate.inflate(stream, header.size, out).ok()?;
                        return Some((kind, None));
                    }
                    let mut content = Vec::new();
                    self.inflate.inflate(stream, header.size, &mut content).ok()?;
                    let content = Arc::new(content);
                    self.cache.put((number, offset), kind, &content);
                    return Some((kind, Some(content)));
                }
                Content::OfsDelta { distance } => offset = offset.checked_sub(distance)?,
                Content::RefDelta { base } => offset = pack.offset_of(&base)?,
            }
            self.chain.push(link);
        }
        None
    }
}

type Key = (u32, u64);

/// What was read lately, in two generations: what is not used while one fills up is forgotten.
#[derive(Default)]
struct Cache {
    young: HashMap<Key, (Kind, Arc<Vec<u8>>)>,
    old: HashMap<Key, (Kind, Arc<Vec<u8>>)>,
    young_bytes: usize,
}

impl Cache {
    fn get(&mut self, key: Key) -> Option<(Kind, Arc<Vec<u8>>)> {
        if let Some((kind, content)) = self.young.get(&key) {
            return Some((*kind, Arc::clone(content)));
        }
        let (kind, content) = self.old.remove(&key)?;
        self.insert(key, kind, Arc::clone(&content));
        Some((kind, content))
    }

    fn put(&mut self, key: Key, kind: Kind, content: &Arc<Vec<u8>>) {
        if content.len() <= KEPT_SIZE_MAX {
            self.insert(key, kind, Arc::clone(content));
        }
    }

    fn insert(&mut self, key: Key, kind: Kind, content: Arc<Vec<u8>>) {
        if self.young_bytes + content.capacity() > CACHE_BYTES / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        self.young_bytes += content.capacity();
        self.young.insert(key, (kind, content));
    }
}
