//! Objects that wait for their ids, which are computed for many at once.

use std::sync::Arc;

use gix_hash::ObjectId;
use gix_object::Kind;

use super::Error;
use super::hash::{CollisionAttack, Hashable, ManyHasher};
use super::links::{Collector, Found, Starts};
use super::table::{Object, unfit};

/// The memory that one thread keeps for other objects, in bytes.
const SPARE_BYTES_MAX: usize = 1024 * 1024;

/// Memory that an object may hold without need, in bytes.
const SLACK_MAX: usize = 64 * 1024;

/// Larger pieces of memory are not kept: they would end up under small objects.
const SPARE_LEN_MAX: usize = 256 * 1024;

/// The content of an object.
#[derive(Default)]
pub(super) struct Content {
    pub bytes: Vec<u8>,
    /// Of a tree, if they were looked for.
    pub starts: Starts,
}

impl Content {
    /// The memory it takes.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Gives back memory that it does not need, if that is much.
    pub fn trim(&mut self) {
        if self.bytes.capacity() - self.bytes.len() > SLACK_MAX {
            self.bytes.shrink_to_fit();
        }
    }
}

/// The objects of one thread that wait for their ids.
pub(super) struct Naming<'a> {
    pub links: Collector<'a>,
    hasher: ManyHasher<Waiting>,
}

/// An object that waits.
pub(super) struct Waiting {
    pub entry: u32,
    /// What it is a delta to.
    pub base: u32,
    pub kind: Kind,
    pub content: Arc<Content>,
}

impl Waiting {
    /// The bytes of the object.
    pub fn len(&self) -> usize {
        self.content.bytes.len()
    }
}

impl Hashable for Waiting {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn content(&self) -> &[u8] {
        &self.content.bytes
    }

    fn number(&self) -> u32 {
        self.entry
    }
}

impl<'a> Naming<'a> {
    /// For objects whose ids are of the kind `hash`; their links go to `found`.
    pub fn new(found: &'a Found<'a>, hash: gix_hash::Kind) -> Self {
        Self { links: Collector::new(found, hash), hasher: ManyHasher::new(hash) }
    }

    /// Adds an object.
    pub fn add(&mut self, object: Waiting) {
        self.hasher.push(object);
    }

    /// Takes note of the ids that are known by now: collects the links of these objects and tells `tell` of them. Their
    /// memory goes to `spares`. Gives how many they are.
    pub fn note(&mut self, spares: &mut Spares, mut tell: impl FnMut(u32, Object)) -> Result<u64, Error> {
        if self.hasher.has_attack() {
            return Err(self.attack());
        }
        let mut count = 0;
        for (Waiting { entry, base, kind, content }, id) in self.hasher.done() {
            let looked_at = if content.starts.is_unknown() {
                self.links.collect(&id, kind, &content.bytes)
            } else {
                self.links.check(&id, kind, &content.bytes)
            };
            looked_at.map_err(unfit)?;
            tell(entry, Object { id, kind, base });
            spares.keep(content);
            count += 1;
        }
        Ok(count)
    }

    /// As [`note`](Self::note), for all objects that were added.
    pub fn finish(&mut self, spares: &mut Spares, tell: impl FnMut(u32, Object)) -> Result<u64, Error> {
        let _attacks = self.hasher.finish();
        self.note(spares, tell)
    }

    /// What to say of the first object that shows an attack.
    fn attack(&mut self) -> Error {
        let first = self.hasher.finish().first().map(|(_, id)| *id);
        let id = first.unwrap_or(ObjectId::null(gix_hash::Kind::Sha1));
        Error::BadPack(CollisionAttack(id).to_string())
    }
}

/// Memory of objects that are not needed any more, for other objects.
#[derive(Default)]
pub(super) struct Spares {
    contents: Vec<Content>,
    bytes: usize,
}

impl Spares {
    /// Memory for an object, with any bytes in it.
    pub fn take(&mut self) -> Content {
        let mut content = self.contents.pop().unwrap_or_default();
        self.bytes -= content.capacity();
        content.starts.clear();
        content
    }

    /// Keeps the memory of `content`, unless somebody still needs it, or there is enough.
    pub fn keep(&mut self, content: Arc<Content>) {
        if let Ok(content) = Arc::try_unwrap(content)
            && content.capacity() <= SPARE_LEN_MAX.min(SPARE_BYTES_MAX - self.bytes)
        {
            self.bytes += content.capacity();
            self.contents.push(content);
        }
    }
}
