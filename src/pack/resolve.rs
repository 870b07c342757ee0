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

/// Resolves the deltas to `roots` in at most `threads` threads.
///
/// `tick` hears from time to time how many are resolved; an error it gives stops the work. Gives how many were.
pub(super) fn resolve(
    pack: Pack<'_>,
    (family, roots): (&Family, &[u32]),
    found: &Found<'_>,
    threads: usize,
    tick: &mut dyn FnMut(u64) -> Result<(), Error>,
) -> Result<u64, Error> {
    let deltas = usize::try_from(pack.table.deltas).unwrap_or(usize::MAX);
    let threads = threads.min(deltas.max(roots.len()).div_ceil(ROOTS_PER_THREAD)).max(1);
    let shared = Shared::new(pack, (family, roots), found, threads);
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
        threads: usize,
    ) -> Self {
        Self {
            pack,
            family,
            found,
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
