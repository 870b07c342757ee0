//! Answers that are kept for whoever asks the same of a repository that has not changed: packs above all. The first who
//! asks has it made; whoever comes meanwhile reads along.
//!
//! An answer is kept in a file without a name, so that it takes no memory and is gone with the process. Which
//! requests are the same is told in `key`.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::body::Headers;
use super::job::Finish;
use super::wait::Wait;
use crate::server::Watch;

pub(super) use key::{Key, key};

mod key;

/// Bytes that are read from a kept answer at once.
const PIECE_LEN: usize = 65_536;
/// How long nothing is kept after an answer could not be.
const PAUSE: Duration = Duration::from_secs(30);
/// How often one who reads along looks whether its own client is still there.
const LOOK: Duration = Duration::from_millis(200);

/// Kept answers.
#[derive(Debug)]
pub(super) struct Cache {
    entries: Mutex<HashMap<Key, Arc<Kept>>>,
    /// Bytes that all of them may have.
    bytes_max: u64,
    age_max: Duration,
    directory: PathBuf,
    failure: Arc<Failure>,
}

/// When an answer last could not be kept, as on a full disk.
type Failure = Mutex<Option<Instant>>;

/// One answer.
#[derive(Debug)]
pub(super) struct Kept {
    file: File,
    failure: Arc<Failure>,
    begun: Instant,
    state: Mutex<State>,
    changed: Condvar,
    /// Stops whoever makes it.
    pub watch: Arc<Watch>,
    /// On whom its making waits.
    pub making: Arc<Wait>,
}

#[derive(Debug, Default)]
struct State {
    headers: Option<Headers>,
    length: u64,
    end: Option<Finish>,
    /// It says no, which is no answer to keep.
    is_refused: bool,
    /// Clients who want it.
    readers: usize,
}

/// What becomes of a request.
pub(super) enum Part {
    /// It is to be made by the one who asks.
    Lead(Reading),
    /// It is there, or in the making.
    Follow(Reading),
}

/// Somebody who reads an answer. Once nobody does, it is not made any further.
pub(super) struct Reading(pub Arc<Kept>);

impl Cache {
    pub(super) fn new(bytes_max: u64, age_max: Duration, directory: PathBuf) -> Self {
        Self { entries: Mutex::default(), bytes_max, age_max, directory, failure: Arc::default() }
    }

    /// Finds the answer that is called `key`, or begins one.
    ///
    /// # Errors
    ///
    /// If there is no room for one, or no file. It can be made without being kept then.
    pub(super) fn find(&self, key: Key, watch: &Arc<Watch>) -> io::Result<Part> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|_, kept| kept.begun.elapsed() < self.age_max && !kept.is_broken());
        let has_room = self.make_room(&mut entries) && !self.has_failed();
        if let Some(kept) = entries.get(&key) {
            return Ok(Part::Follow(Reading::new(kept)));
        }
        if !has_room {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let kept = Arc::new(Kept {
            file: tempfile::tempfile_in(&self.directory)?,
            failure: Arc::clone(&self.failure),
            begun: Instant::now(),
            state: Mutex::default(),
            changed: Condvar::new(),
            watch: Arc::clone(watch),
            making: Arc::default(),
        });
        entries.insert(key, Arc::clone(&kept));
        Ok(Part::Lead(Reading::new(&kept)))
    }

    /// Lets the oldest go, so that those that are left are not too much; whether that was enough. Who reads one reads on.
    /// One in the making stays: it takes its room with or without others who read it.
    fn make_room(&self, entries: &mut HashMap<Key, Arc<Kept>>) -> bool {
        while entries.values().map(|kept| kept.lock().length).sum::<u64>() > self.bytes_max {
            let whole = entries.iter().filter(|(_, kept)| kept.lock().end.is_some());
            let oldest = whole.min_by_key(|(_, kept)| kept.begun).map(|(key, _)| *key);
            let Some(oldest) = oldest else { return false };
            entries.remove(&oldest);
        }
        true
    }

    /// Whether nothing can be kept for now.
    fn has_failed(&self) -> bool {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.is_some_and(|failure| failure.elapsed() < PAUSE)
    }
}

impl Kept {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_broken(&self) -> bool {
        let state = self.lock();
        let is_good = |headers: &Headers| headers.iter().all(|(name, _)| name != "Status");
        let is_refusal = state.headers.as_ref().is_some_and(|headers| !is_good(headers));
        state.end == Some(Finish::Cut)
            || is_refusal
            || state.is_refused
            || (state.end.is_none() && self.watch.is_stopped())
    }

    pub(super) fn set_headers(&self, headers: Headers) {
        self.lock().headers = Some(headers);
        self.changed.notify_all();
    }

    pub(super) fn append(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.file).write_all(bytes).inspect_err(|_| {
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        })?;
        self.lock().length += bytes.len() as u64;
        self.changed.notify_all();
        Ok(())
    }

    /// It says no: whoever has come by now hears it, and nobody else.
    pub(super) fn refuse(&self) {
        self.lock().is_refused = true;
    }

    pub(super) fn is_refused(&self) -> bool {
        self.lock().is_refused
    }

    pub(super) fn end(&self, finish: Finish) {
        self.lock().end = Some(finish);
        self.changed.notify_all();
    }

    /// It ends in the middle, unless it has ended already.
    pub(super) fn end_if_open(&self) {
        self.lock().end.get_or_insert(Finish::Cut);
        self.changed.notify_all();
    }

    /// Waits until `ready` finds something, or the client of `watch` is gone.
    fn wait<T>(&self, watch: &Watch, ready: impl Fn(&State) -> Option<T>) -> io::Result<T> {
        let mut state = self.lock();
        loop {
            if let Some(found) = ready(&state) {
                return Ok(found);
            }
            if watch.is_stopped() {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            state = self.changed.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Reading {
    fn new(kept: &Arc<Kept>) -> Self {
        kept.lock().readers += 1;
        Self(Arc::clone(kept))
    }

    /// The headers, as soon as they are known; `None` if it ended without.
    pub(super) fn headers(&self, watch: &Watch) -> io::Result<Option<Headers>> {
        self.0.wait(watch, |state| match (&state.headers, state.end) {
            (Some(headers), _) => Some(Some(headers.clone())),
            (None, Some(_)) => Some(None),
            (None, None) => None,
        })
    }

    /// The bytes from `place` on, none at the end, which tells how it ended.
    pub(super) fn next(&self, place: u64, watch: &Watch) -> io::Result<(Vec<u8>, Option<Finish>)> {
        let (length, end) = self.0.wait(watch, |state| {
            (state.length > place || state.end.is_some()).then_some((state.length, state.end))
        })?;
        let count = usize::try_from(length.saturating_sub(place)).unwrap_or(PIECE_LEN).min(PIECE_LEN);
        let mut bytes = vec![0; count];
        self.0.file.read_exact_at(&mut bytes, place)?;
        Ok((bytes, end.filter(|_| count == 0)))
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.readers = state.readers.saturating_sub(1);
        if state.readers == 0 && state.end.is_none() {
            self.0.watch.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_later_reads_along() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(1 << 20, Duration::from_mins(1), directory.path().to_owned());
        let watch = Arc::new(Watch::default());
        let Part::Lead(lead) = cache.find([1; 32], &watch).unwrap() else { panic!("nobody was here before") };
        lead.0.set_headers(vec![("A".into(), "b".into())]);
        lead.0.append(b"some").unwrap();
        let Part::Follow(follower) = cache.find([1; 32], &Arc::default()).unwrap() else {
            panic!("it is there")
        };
        let own = Watch::default();
        assert_eq!(follower.headers(&own).unwrap().unwrap().len(), 1);
        assert_eq!(follower.next(0, &own).unwrap(), (b"some".to_vec(), None));
        lead.0.append(b"thing").unwrap();
        assert_eq!(follower.next(4, &own).unwrap().0, b"thing");
        let kept = Arc::clone(&lead.0);
        drop(lead);
        assert!(!watch.is_stopped(), "somebody reads");
        kept.end(Finish::Whole);
        assert_eq!(follower.next(9, &own).unwrap(), (Vec::new(), Some(Finish::Whole)));
    }

    #[test]
    fn where_there_is_no_room_nothing_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(3, Duration::from_mins(1), directory.path().to_owned());
        let Part::Lead(lead) = cache.find([1; 32], &Arc::default()).unwrap() else {
            panic!("nobody was here before")
        };
        lead.0.append(b"four").unwrap();
        assert!(cache.find([2; 32], &Arc::default()).is_err(), "one that is too long is in the making");
        assert!(matches!(cache.find([1; 32], &Arc::default()), Ok(Part::Follow(_))));
        lead.0.end(Finish::Whole);
        assert!(matches!(cache.find([2; 32], &Arc::default()), Ok(Part::Lead(_))));
        *lead.0.failure.lock().unwrap() = Some(Instant::now());
        assert!(cache.find([3; 32], &Arc::default()).is_err(), "the disk is full");
    }

    #[test]
    fn a_refusal_is_heard_by_those_who_wait_and_not_kept() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(1 << 20, Duration::from_mins(1), directory.path().to_owned());
        let Part::Lead(lead) = cache.find([1; 32], &Arc::default()).unwrap() else {
            panic!("nobody was here before")
        };
        let Part::Follow(follower) = cache.find([1; 32], &Arc::default()).unwrap() else {
            panic!("it is there")
        };
        lead.0.set_headers(Headers::new());
        lead.0.append(b"ERR").unwrap();
        lead.0.refuse();
        lead.0.end(Finish::Whole);
        assert_eq!(follower.next(0, &Watch::default()).unwrap().0, b"ERR");
        assert!(matches!(cache.find([1; 32], &Arc::default()), Ok(Part::Lead(_))));
    }

    #[test]
    fn what_nobody_wants_is_not_made_further_and_what_is_too_much_is_let_go() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(3, Duration::from_mins(1), directory.path().to_owned());
        let watch = Arc::new(Watch::default());
        let Part::Lead(lead) = cache.find([1; 32], &watch).unwrap() else { panic!("nobody was here before") };
        drop(lead);
        assert!(watch.is_stopped());
        let Part::Lead(lead) = cache.find([1; 32], &Arc::default()).unwrap() else { panic!("it was broken") };
        lead.0.append(b"four").unwrap();
        lead.0.end(Finish::Whole);
        assert!(matches!(cache.find([1; 32], &Arc::default()).unwrap(), Part::Lead(_)));
    }
}
