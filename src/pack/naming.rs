//! Objects that wait for their ids, which are computed for many at once.

use std::sync::Arc;

use gix_object::Kind;

use super::Error;
use super::hash::object_ids;
use super::links::{Collector, Found};
use super::table::{Table, unfit};
use super::worker::Resolved;

/// The objects that wait at most: enough to fill the lanes of the processor and to balance them.
const WAITING_MAX: usize = 128;

/// The bytes that wait at most, but for one last object.
const WAITING_BYTES_MAX: usize = 2 * 1024 * 1024;

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

/// An object with its id, and its content, which is not needed here any more.
pub(super) struct Named {
    pub resolved: Resolved,
    pub data: Arc<Vec<u8>>,
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

    /// Computes the ids of all that wait, collects their links, and hands them to `done` in the order they came in.
    pub fn name(&mut self, table: &Table, done: &mut dyn FnMut(Named)) -> Result<(), Error> {
        let objects: Vec<_> =
            self.waiting.iter().map(|object| (object.kind, object.data.as_slice())).collect();
        let ids = object_ids(self.hash, &objects);
        drop(objects);
        self.bytes = 0;
        for (object, id) in self.waiting.drain(..).zip(ids) {
            let Waiting { entry, base, kind, data } = object;
            let id = id.map_err(|attack| Error::BadPack(attack.to_string()))?;
            let collected = self.links.collect(&id, kind, &data);
            collected.map_err(|error| unfit(table.entry(entry), error))?;
            done(Named { resolved: Resolved { entry, base, id, kind }, data });
        }
        Ok(())
    }
}
