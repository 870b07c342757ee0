//! Delta resolution: makes every object that is stored as a delta, to learn its id.
//!
//! Objects that are no deltas are the roots of trees of deltas. The threads take one root after another; when none is
//! left, those that still work give away branches of their trees.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Error;
use super::family::Family;
use super::links::Found;
use super::table::Pack;
use super::worker::{Job, Worker};

/// How often the caller hears of the work of the threads.
const INTERVAL: Duration = Duration::from_millis(50);

/// So many roots for each thread are worth starting it.
const ROOTS_PER_THREAD: usize = 16;

/// Resolves the deltas to `roots` in at most `threads` threads, each of which holds objects of `live_bytes_max` bytes.
///
/// `tick` hears from time to time how many are resolved; an error it gives stops the work. Gives how many were.
pub(super) fn resolve(
    pack: Pack<'_>,
    (family, roots): (&Family, &[u32]),
    found: &Found<'_>,
    (threads, live_bytes_max): (usize, usize),
    tick: &mut dyn FnMut(u64) -> Result<(), Error>,
) -> Result<u64, Error> {
    let deltas = usize::try_from(pack.table.deltas).unwrap_or(usize::MAX);
    let threads = threads.min(deltas.max(roots.len()).div_ceil(ROOTS_PER_THREAD)).max(1);
    let shared = Shared::new(pack, (family, roots), found, (threads, live_bytes_max));
    std::thread::scope(|scope| {
        for _ in 1..threads {
            let _handle = scope.spawn(|| {
                let mut running = Running { shared: &shared, result: Err(Error::Interrupted) };
                running.result = Worker::new(&shared).run(&mut Tick::none());
            });
        }
        // This thread works too: it has memory that the first pass does not need any more.
        let mut running = Running { shared: &shared, result: Err(Error::Interrupted) };
        running.result = Worker::new(&shared).run(&mut Tick { call: Some(&mut *tick), last: Instant::now() });
        drop(running);
        let mut outcome = shared.outcome();
        while outcome.running > 0 {
            let waited = shared.finished.wait_timeout(outcome, INTERVAL);
            outcome = waited.unwrap_or_else(PoisonError::into_inner).0;
            if outcome.error.is_none() {
                drop(outcome);
                let ticked = tick(shared.done.load(Ordering::Relaxed));
                outcome = shared.outcome();
                if let Err(error) = ticked {
                    shared.stop(&mut outcome, error);
                }
            }
        }
        match outcome.error.take() {
            Some(error) => Err(error),
            None => Ok(shared.done.load(Ordering::Relaxed)),
        }
    })
}

/// How a thread tells of the work of all.
pub(super) struct Tick<'a> {
    call: Option<&'a mut dyn FnMut(u64) -> Result<(), Error>>,
    last: Instant,
}

impl Tick<'_> {
    /// It tells nothing.
    fn none() -> Self {
        Self { call: None, last: Instant::now() }
    }

    /// Tells how many deltas are resolved, if it is time to.
    pub fn tick(&mut self, shared: &Shared<'_>) -> Result<(), Error> {
        match &mut self.call {
            Some(call) if self.last.elapsed() >= INTERVAL => {
                self.last = Instant::now();
                call(shared.done.load(Ordering::Relaxed))
            }
            _ => Ok(()),
        }
    }
}

/// What the threads share.
pub(super) struct Shared<'a> {
    pub pack: Pack<'a>,
    pub family: &'a Family,
    pub found: &'a Found<'a>,
    /// The objects one thread holds while it resolves the deltas to them, in bytes.
    pub live_bytes_max: usize,
    /// Set when the work is to end at once.
    pub stop: AtomicBool,
    /// Deltas resolved so far.
    pub done: AtomicU64,
    /// Threads that wait for something to do.
    hungry: AtomicUsize,
    threads: usize,
    roots: &'a [u32],
    next_root: AtomicUsize,
    jobs: Mutex<Vec<Job>>,
    given: Condvar,
    outcome: Mutex<Outcome>,
    finished: Condvar,
}

/// One thread at work. Dropped, it tells how that ended: after a panic too, so that nobody waits for ever and the
/// panic comes out.
struct Running<'a> {
    shared: &'a Shared<'a>,
    result: Result<(), Error>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.shared.finish(std::mem::replace(&mut self.result, Ok(())));
    }
}

/// What came of the work.
struct Outcome {
    running: usize,
    error: Option<Error>,
}

impl<'a> Shared<'a> {
    fn new(
        pack: Pack<'a>,
        (family, roots): (&'a Family, &'a [u32]),
        found: &'a Found<'a>,
        (threads, live_bytes_max): (usize, usize),
    ) -> Self {
        Self {
            pack,
            family,
            found,
            live_bytes_max,
            stop: AtomicBool::new(false),
            done: AtomicU64::new(0),
            hungry: AtomicUsize::new(0),
            threads,
            roots,
            next_root: AtomicUsize::new(0),
            jobs: Mutex::new(Vec::new()),
            given: Condvar::new(),
            outcome: Mutex::new(Outcome { running: threads, error: None }),
            finished: Condvar::new(),
        }
    }

    /// The next root that no thread has taken.
    pub fn next_root(&self) -> Option<u32> {
        self.roots.get(self.next_root.fetch_add(1, Ordering::Relaxed)).copied()
    }

    /// Waits for a branch that another thread gives away; `None` once all threads wait.
    pub fn next_job(&self, tick: &mut Tick<'_>) -> Result<Option<Job>, Error> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(job) = jobs.pop() {
            return Ok(Some(job));
        }
        // Changed under the lock only, so that the last thread to become hungry sees that it is.
        if self.hungry.fetch_add(1, Ordering::Relaxed) + 1 == self.threads {
            self.given.notify_all();
            return Ok(None);
        }
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            jobs = self.given.wait_timeout(jobs, INTERVAL).unwrap_or_else(PoisonError::into_inner).0;
            if let Some(job) = jobs.pop() {
                let _before = self.hungry.fetch_sub(1, Ordering::Relaxed);
                return Ok(Some(job));
            }
            if self.hungry.load(Ordering::Relaxed) == self.threads {
                return Ok(None);
            }
            drop(jobs);
            tick.tick(self)?;
            jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            // Given while nobody held the lock.
            if let Some(job) = jobs.pop() {
                let _before = self.hungry.fetch_sub(1, Ordering::Relaxed);
                return Ok(Some(job));
            }
            if self.hungry.load(Ordering::Relaxed) == self.threads {
                return Ok(None);
            }
        }
    }

    /// Whether there are threads that wait, and not enough given to them yet.
    pub fn wants_job(&self) -> bool {
        self.hungry.load(Ordering::Relaxed) > 0 && {
            let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            jobs.len() < self.hungry.load(Ordering::Relaxed)
        }
    }

    /// Gives `job` to a thread that waits.
    pub fn give(&self, job: Job) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).push(job);
        self.given.notify_one();
    }

    /// Takes the result of one thread.
    fn finish(&self, result: Result<(), Error>) {
        let mut outcome = self.outcome();
        outcome.running -= 1;
        if let Err(error) = result {
            self.stop(&mut outcome, error);
        }
        self.finished.notify_all();
    }

    /// Ends the work of all threads because of `error`, if it is the first.
    fn stop(&self, outcome: &mut Outcome, error: Error) {
        outcome.error.get_or_insert(error);
        self.stop.store(true, Ordering::Relaxed);
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        self.given.notify_all();
        drop(jobs);
    }

    fn outcome(&self) -> MutexGuard<'_, Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use gix_hash::ObjectId;
    use gix_object::Kind;

    use super::*;
    use crate::pack::hash::object_id;
    use crate::pack::table::{NONE, NewEntry, Object, Table};

    const SHA1: gix_hash::Kind = gix_hash::Kind::Sha1;

    /// The bytes of an object of the chain, whose first ones are its number.
    const LEN: u8 = 100;

    /// An object of a chain, or one that hangs on it.
    fn content(number: u32, is_leaf: bool) -> Vec<u8> {
        let mut content = vec![b'a'; usize::from(LEN)];
        content[..4].copy_from_slice(&number.to_be_bytes());
        content.extend(if is_leaf { &b"leaf"[..] } else { &[] });
        content
    }

    /// A delta from the object before in the chain to the object `number`, or from this to its leaf.
    fn delta(number: u32, is_leaf: bool) -> Vec<u8> {
        if is_leaf {
            return [&[LEN, LEN + 4, 0x90, LEN, 4][..], b"leaf"].concat();
        }
        [&[LEN, LEN, 4][..], &number.to_be_bytes(), &[0x91, 4, LEN - 4]].concat()
    }

    /// The table and the bytes of a pack: a chain of `count` deltas that name their bases by id, each with one delta more.
    fn chain(count: u32) -> (Table, Vec<u8>) {
        let (mut table, mut bytes) = (Table::new(SHA1, 0), Vec::new());
        let mut add = |data: &[u8], base: Option<ObjectId>| {
            let entry = NewEntry::new(bytes.len() as u64, data.len() as u64, 0);
            let object = base.is_none().then(|| Object {
                id: object_id(SHA1, Kind::Blob, data).unwrap(),
                kind: Kind::Blob,
                base: NONE,
            });
            let index = u32::try_from(table.entries.len()).unwrap();
            table.ref_deltas.extend(base.map(|base| (base, index)));
            table.deltas += u64::from(base.is_some());
            table.push(&entry, object).unwrap();
            let mut encoder = flate2::write::ZlibEncoder::new(&mut bytes, flate2::Compression::fast());
            encoder.write_all(data).unwrap();
            encoder.finish().unwrap();
            table.end = bytes.len() as u64;
        };
        add(&content(0, false), None);
        for number in 1..=count {
            let [base, id] = [number - 1, number].map(|number| id_of(number, false));
            add(&delta(number, false), Some(base));
            add(&delta(number, true), Some(id));
        }
        (table, bytes)
    }

    fn id_of(number: u32, is_leaf: bool) -> ObjectId {
        object_id(SHA1, Kind::Blob, &content(number, is_leaf)).unwrap()
    }

    #[test]
    fn a_chain_of_deltas_by_id_beyond_the_memory_for_objects_is_resolved() {
        let count = 500;
        for threads in [1, 3] {
            // Room for all, for some and for none.
            for live_bytes_max in [usize::MAX, 20 * usize::from(LEN), 0] {
                let (mut table, bytes) = chain(count);
                let family = Family::new(&mut table);
                let pack = Pack { table: &table, bytes: &bytes, hash: SHA1 };
                let found = Found::new(&[], None);
                let means = (threads, live_bytes_max);
                let done = resolve(pack, (&family, &[0]), &found, means, &mut |_| Ok(())).unwrap();
                assert_eq!(done, u64::from(2 * count));
                let ids: Vec<_> = table.ids().map(|(_, id)| id).skip(1).collect();
                let expected =
                    (1..=count).flat_map(|number| [false, true].map(|is_leaf| id_of(number, is_leaf)));
                assert!(expected.eq(ids));
            }
        }
    }
}
