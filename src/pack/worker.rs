//! One thread of delta resolution: walks the tree of deltas above a base, depth first.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use gix_hash::ObjectId;
use gix_object::Kind;

use super::Error;
use super::delta::Copied;
use super::inflate::Inflater;
use super::links::Starts;
use super::naming::{Content, Naming, Spares, Waiting};
use super::path::{Frame, Path};
use super::resolve::{Shared, Tick};
use super::table::Object;

/// The objects one thread holds while it resolves the deltas to them, in bytes. C git's `core.deltaBaseCacheLimit`.
pub(super) const LIVE_BYTES_MAX: usize = 96 * 1024 * 1024;

/// A base and deltas to it.
pub(super) struct Job {
    pub entry: u32,
    pub kind: Kind,
    pub data: Arc<Content>,
    pub children: Vec<u32>,
}

/// The state of one thread.
pub(super) struct Worker<'a> {
    shared: &'a Shared<'a>,
    inflater: Inflater,
    delta: Vec<u8>,
    copied: Vec<Copied>,
    /// Buffers for further objects.
    spares: Spares,
    naming: Naming<'a>,
    /// The path from a base to the delta at work.
    path: Path,
}

impl<'a> Worker<'a> {
    pub fn new(shared: &'a Shared<'a>) -> Self {
        Self {
            shared,
            inflater: Inflater::new(),
            delta: Vec::new(),
            copied: Vec::new(),
            spares: Spares::default(),
            naming: Naming::new(shared.found, shared.pack.hash),
            path: Path::new(shared.live_bytes_max),
        }
    }

    /// Works until nothing is left to do for any thread.
    pub fn run(mut self, tick: &mut Tick<'_>) -> Result<(), Error> {
        loop {
            if let Some(root) = self.shared.next_root() {
                if let Some(job) = self.root_job(root)? {
                    self.work(job, tick)?;
                }
            } else if let Some(job) = self.shared.next_job(tick)? {
                self.work(job, tick)?;
            } else {
                return self.note(true);
            }
        }
    }

    fn root_job(&mut self, entry: u32) -> Result<Option<Job>, Error> {
        let pack = self.shared.pack;
        let Some(Object { id, kind, .. }) = pack.table.object(entry) else { return Ok(None) };
        let children = self.shared.family.children(entry, &id, pack.table)?;
        if children.is_empty() {
            return Ok(None);
        }
        let mut data = self.spares.take();
        self.copied.clear();
        pack.check_size(entry)?;
        pack.inflate(entry, &mut self.inflater, &mut data.bytes)?;
        if self.naming.links.follows_copies(kind) {
            self.read_tree(&mut data, &Starts::default());
        }
        Ok(Some(Job { entry, kind, data: Arc::new(data), children }))
    }

    fn work(&mut self, job: Job, tick: &mut Tick<'_>) -> Result<(), Error> {
        self.path.clear();
        self.path.push(job.entry, job.data, job.children);
        while let Some(children) = self.path.children() {
            if self.shared.stop.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            tick.tick(self.shared)?;
            if let Some(child) = children.pop() {
                self.resolve(child, job.kind)?;
            } else {
                let data = self.path.pop();
                self.recycle(data);
            }
            if self.shared.wants_job() {
                self.share(job.kind);
            }
        }
        Ok(())
    }

    /// Resolves `child`, a delta to the last object of the path.
    fn resolve(&mut self, child: u32, kind: Kind) -> Result<(), Error> {
        let pack = self.shared.pack;
        let (base, data) = self.base(kind)?;
        let mut object = self.spares.take();
        self.apply((child, kind), &data, &mut object)?;
        object.trim();
        drop(data);
        let spent = self.path.release_spent();
        self.recycle(spent);
        let object = Arc::new(object);
        // The first pass may have resolved it, but not all deltas to it.
        let mut id = pack.table.id(child);
        if id.is_none() {
            self.naming.add(Waiting { entry: child, base, kind, content: Arc::clone(&object) });
            // Deltas that name their base by id are found once the id is known, the others at once.
            self.note(self.shared.family.has_ids())?;
            id = pack.table.id(child);
        }
        let id = id.unwrap_or(ObjectId::null(pack.hash));
        let children = self.shared.family.children(child, &id, pack.table)?;
        if children.is_empty() {
            self.spares.keep(object);
        } else {
            self.path.push(child, object, children);
        }
        Ok(())
    }

    /// Tells the table of the objects that have their ids by now, or of all.
    fn note(&mut self, all: bool) -> Result<(), Error> {
        let table = self.shared.pack.table;
        let tell = |entry, object| table.resolve(entry, object);
        let count = if all {
            self.naming.finish(&mut self.spares, tell)?
        } else {
            self.naming.note(&mut self.spares, tell)?
        };
        if count > 0 {
            let _before = self.shared.done.fetch_add(count, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Puts the object that the delta `child` makes from `base` into `object`.
    fn apply(
        &mut self,
        (child, kind): (u32, Kind),
        base: &Content,
        object: &mut Content,
    ) -> Result<(), Error> {
        let pack = self.shared.pack;
        let buffers = (&mut self.inflater, &mut self.delta);
        if !self.naming.links.follows_copies(kind) {
            return pack.apply(child, (&base.bytes, &mut object.bytes), buffers, |_| {});
        }
        self.copied.clear();
        let copied = &mut self.copied;
        pack.apply(child, (&base.bytes, &mut object.bytes), buffers, |copy| copied.push(copy))?;
        self.read_tree(object, &base.starts);
        Ok(())
    }

    /// Finds the entries of the tree `object`, whose base has them at `base`.
    fn read_tree(&mut self, object: &mut Content, base: &Starts) {
        let copied = (self.copied.as_slice(), base);
        self.naming.links.collect_changed(&object.bytes, copied, &mut object.starts);
    }

    /// The last object of the path, made again if it was dropped, and its entry.
    fn base(&mut self, kind: Kind) -> Result<(u32, Arc<Content>), Error> {
        let mut path = std::mem::replace(&mut self.path, Path::new(0));
        let base = path.base(|entry, base| {
            let mut object = self.spares.take();
            self.apply((entry, kind), base, &mut object)?;
            object.trim();
            Ok(Arc::new(object))
        });
        self.path = path;
        base
    }

    /// Keeps the memory of `data`, if there is any, for the next object.
    fn recycle(&mut self, data: Option<Arc<Content>>) {
        if let Some(data) = data {
            self.spares.keep(data);
        }
    }

    /// Gives some of the deltas to threads that have nothing to do.
    fn share(&mut self, kind: Kind) {
        if let Some(Frame { entry, data: Some(data), children }) = self.path.share() {
            self.shared.give(Job { entry, kind, data, children });
        }
    }
}
