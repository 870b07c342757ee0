//! Names objects beside the thread that reads them.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};

use super::Error;
use super::links::Found;
use super::naming::{Naming, Spares, Waiting};
use super::table::{Object, Table};

/// The objects and bytes that are handed over at once: so many that it matters little what it takes to wake a thread.
const BATCH_MAX: usize = 512;
const BATCH_BYTES_MAX: usize = 512 * 1024;

/// How many batches wait.
const BATCHES_MAX: usize = 2;

/// What is found out of some entries.
type Named = Vec<(u32, Object)>;

/// Computes ids: here, or in another thread.
pub(super) enum Namer<'scope, 'a> {
    Here(Box<Naming<'a>>),
    There(There<'scope>),
}

/// The way to another thread and back.
pub(super) struct There<'scope> {
    batch: Vec<Waiting>,
    bytes: usize,
    batches: SyncSender<Vec<Waiting>>,
    named: Receiver<Named>,
    thread: ScopedJoinHandle<'scope, Result<(), Error>>,
}

impl<'scope, 'a: 'scope> Namer<'scope, 'a> {
    /// In this thread.
    pub fn here(found: &'a Found<'a>, hash: gix_hash::Kind) -> Self {
        Self::Here(Box::new(Naming::new(found, hash)))
    }

    /// In a thread of its own in `scope`.
    pub fn there(found: &'a Found<'a>, hash: gix_hash::Kind, scope: &'scope Scope<'scope, '_>) -> Self {
        let (batches, waiting) = sync_channel(BATCHES_MAX);
        let (tell, named) = channel();
        let thread = scope.spawn(move || work(Naming::new(found, hash), &waiting, &tell));
        Self::There(There { batch: Vec::new(), bytes: 0, batches, named, thread })
    }
}

impl Namer<'_, '_> {
    /// Adds an object; `table` is told what is known by now. False if no more are taken: [`finish`](Self::finish) says why.
    pub fn push(&mut self, object: Waiting, table: &Table) -> Result<bool, Error> {
        match self {
            Self::Here(naming) => {
                naming.add(object);
                let _count =
                    naming.note(&mut Spares::default(), |entry, object| table.resolve(entry, object))?;
            }
            Self::There(there) => {
                there.bytes += object.len();
                there.batch.push(object);
                if there.batch.len() >= BATCH_MAX || there.bytes >= BATCH_BYTES_MAX {
                    there.bytes = 0;
                    let sent = there.batches.send(std::mem::take(&mut there.batch));
                    there.take(table);
                    return Ok(sent.is_ok());
                }
            }
        }
        Ok(true)
    }

    /// Tells `table` of all objects.
    pub fn finish(self, table: &Table) -> Result<(), Error> {
        match self {
            Self::Here(mut naming) => {
                let tell = |entry, object| table.resolve(entry, object);
                naming.finish(&mut Spares::default(), tell).map(drop)
            }
            Self::There(There { batch, batches, named, thread, .. }) => {
                // If the thread is gone, it tells why.
                let _sent = batches.send(batch);
                drop(batches);
                let result = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                for (entry, object) in named.try_iter().flatten() {
                    table.resolve(entry, object);
                }
                result
            }
        }
    }
}

impl There<'_> {
    fn take(&self, table: &Table) {
        for (entry, object) in self.named.try_iter().flatten() {
            table.resolve(entry, object);
        }
    }
}

/// What the other thread does.
fn work(mut naming: Naming<'_>, batches: &Receiver<Vec<Waiting>>, tell: &Sender<Named>) -> Result<(), Error> {
    let mut named = Vec::new();
    let mut spares = Spares::default();
    for batch in batches {
        for object in batch {
            naming.add(object);
        }
        let _count = naming.note(&mut spares, |entry, object| named.push((entry, object)))?;
        // Nobody hears it where the reader has failed.
        let _heard = tell.send(std::mem::take(&mut named));
    }
    let _count = naming.finish(&mut spares, |entry, object| named.push((entry, object)))?;
    let _heard = tell.send(named);
    Ok(())
}
