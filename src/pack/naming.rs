//! Objects that wait for their ids, which are computed for many at once.

use std::sync::Arc;

use gix_hash::ObjectId;
use gix_object::Kind;

use super::Error;
use super::hash::object_ids;
use super::links::{Collector, Found};
use super::table::{Object, Table, unfit};

/// The objects that wait at most: enough to fill the lanes of the processor and to balance them.
const WAITING_MAX: usize = 128;

/// The bytes that wait at most, but for one last object.
const WAITING_BYTES_MAX: usize = 6 * 1024 * 1024;

/// The memory that one thread keeps for other objects, in bytes.
const SPARE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The objects of one thread that wait for their ids.
pub(super) struct Naming<'a> {
    hash: gix_hash::Kind,
    links: Collector<'a>,
    waiting: Vec<Waiting>,
    bytes: usize,
}

/// An object that waits.
struct Waiting {
    entry: u32,
    base: u32,
    kind: Kind,
    data: Arc<Vec<u8>>,
}

impl<'a> Naming<'a> {
    /// For objects whose ids are of the kind `hash`; their links go to `found`.
    pub fn new(found: &'a Found<'a>, hash: gix_hash::Kind) -> Self {
        Self { hash, links: Collector::new(found, hash), waiting: Vec::new(), bytes: 0 }
    }

    /// Adds the object `data` of `entry`, which is a delta to `base`.
    pub fn push(&mut self, (entry, base): (u32, u32), kind: Kind, data: Arc<Vec<u8>>) {
        self.bytes += data.len();
        self.waiting.push(Waiting { entry, base, kind, data });
    }

    /// Whether it is time to [`name`](Self::name) those that wait.
    pub fn is_full(&self) -> bool {
        self.waiting.len() >= WAITING_MAX || self.bytes >= WAITING_BYTES_MAX
    }

    /// Computes the ids of all that wait, collects their links, and tells the entries in `table`. Their memory goes to
    /// `spares`. Gives the id of the last one.
    pub fn name(&mut self, table: &Table, spares: &mut Spares) -> Result<Option<ObjectId>, Error> {
        let objects: Vec<_> =
            self.waiting.iter().map(|object| (object.kind, object.data.as_slice())).collect();
        let ids = object_ids(self.hash, &objects);
        drop(objects);
        self.bytes = 0;
        let mut last = None;
        for (object, id) in self.waiting.drain(..).zip(ids) {
            let Waiting { entry, base, kind, data } = object;
            let id = id.map_err(|attack| Error::BadPack(attack.to_string()))?;
            let entry = table.entry(entry);
            self.links.collect(&id, kind, &data).map_err(|error| unfit(entry, error))?;
            if let Some(entry) = entry {
                entry.resolve(Object { id, kind, base });
            }
            spares.keep(data);
            last = Some(id);
        }
        Ok(last)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }
}

/// Memory of objects that are not needed any more, for other objects.
#[derive(Default)]
pub(super) struct Spares {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
}

impl Spares {
    /// A buffer, with any content.
    pub fn take(&mut self) -> Vec<u8> {
        let buffer = self.buffers.pop().unwrap_or_default();
        self.bytes -= buffer.capacity();
        buffer
    }

    /// Keeps the memory of `data`, unless somebody still needs it, or there is enough.
    pub fn keep(&mut self, data: Arc<Vec<u8>>) {
        if let Ok(buffer) = Arc::try_unwrap(data)
            && buffer.capacity() <= SPARE_BYTES_MAX - self.bytes
        {
            self.bytes += buffer.capacity();
            self.buffers.push(buffer);
        }
    }
}
