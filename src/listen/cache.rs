//! Answers that are kept for whoever asks the same of a repository that has not changed: packs above all. The first who
//! asks has it made; whoever comes meanwhile reads along.
//!
//! An answer is kept in a file without a name, so that it takes no memory and is gone with the process. What a repository
//! is at a moment is told by the times of the directories and files that change with it ([`stamp`]); where those are too
//! young to be told apart from a change that follows at once, nothing is kept.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{self, BufRead as _, Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use flate2::read::GzDecoder;

use super::body::Headers;
use super::job::Finish;
use crate::protocol::pktline::{Packet, Reader};
use crate::server::Watch;

/// Directories below `refs/` that are looked at; a repository with more has its answers made anew each time.
const DIRECTORIES_MAX: usize = 2_000;
/// What has changed within this time may change again without a trace.
const RACY: Duration = Duration::from_millis(50);
/// Bytes of a request that are compared.
const REQUEST_LEN_MAX: u64 = 4 << 20;
/// Bytes that are read from a kept answer at once.
const PIECE_LEN: usize = 65_536;
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
}

/// What makes two requests the same: a hash.
pub(super) type Key = [u8; 32];

/// One answer.
#[derive(Debug)]
pub(super) struct Kept {
    file: File,
    begun: Instant,
    state: Mutex<State>,
    changed: Condvar,
    /// Stops whoever makes it.
    pub watch: Arc<Watch>,
}

#[derive(Debug, Default)]
struct State {
    headers: Option<Headers>,
    length: u64,
    end: Option<Finish>,
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
        Self { entries: Mutex::default(), bytes_max, age_max, directory }
    }

    /// Finds the answer that is called `key`, or begins one.
    pub(super) fn find(&self, key: Key, watch: &Arc<Watch>) -> io::Result<Part> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|_, kept| kept.begun.elapsed() < self.age_max && !kept.is_broken());
        self.make_room(&mut entries);
        if let Some(kept) = entries.get(&key) {
            return Ok(Part::Follow(Reading::new(kept)));
        }
        let kept = Arc::new(Kept {
            file: tempfile::tempfile_in(&self.directory)?,
            begun: Instant::now(),
            state: Mutex::default(),
            changed: Condvar::new(),
            watch: Arc::clone(watch),
        });
        entries.insert(key, Arc::clone(&kept));
        Ok(Part::Lead(Reading::new(&kept)))
    }

    /// Lets the oldest go, so that those that are left are not too much. Who reads one reads on.
    fn make_room(&self, entries: &mut HashMap<Key, Arc<Kept>>) {
        while entries.values().map(|kept| kept.lock().length).sum::<u64>() > self.bytes_max {
            let oldest = entries.iter().min_by_key(|(_, kept)| kept.begun).map(|(key, _)| *key);
            let Some(oldest) = oldest else { return };
            entries.remove(&oldest);
        }
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
        state.end == Some(Finish::Cut) || is_refusal || (state.end.is_none() && self.watch.is_stopped())
    }

    pub(super) fn set_headers(&self, headers: Headers) {
        self.lock().headers = Some(headers);
        self.changed.notify_all();
    }

    pub(super) fn append(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.file).write_all(bytes)?;
        self.lock().length += bytes.len() as u64;
        self.changed.notify_all();
        Ok(())
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

/// What makes a request for a pack or a list the same as another: what it asks of which repository in which state. `None`
/// if that cannot be told.
pub(super) fn key(git_dir: &Path, needs_export: bool, version: &str, request: &[u8]) -> Option<Key> {
    let mut hasher = gix_hash::hasher(gix_hash::Kind::Sha256);
    hasher.update(git_dir.as_os_str().as_encoded_bytes());
    hasher.update(b"\0");
    hasher.update(version.as_bytes());
    hasher.update(b"\0");
    hasher.update(&stamp(git_dir, needs_export, SystemTime::now().checked_sub(RACY)?)?);
    hasher.update(b"\0");
    hasher.update(&plain(request)?);
    hasher.try_finalize().ok()?.as_slice().try_into().ok()
}

/// A request without what does not matter for its answer: who asks.
fn plain(request: &[u8]) -> Option<Vec<u8>> {
    let mut inflated = Vec::new();
    let bytes = if request.starts_with(&[0x1f, 0x8b]) {
        GzDecoder::new(request).take(REQUEST_LEN_MAX).read_to_end(&mut inflated).ok()?;
        inflated.as_slice()
    } else {
        request
    };
    let mut rest = bytes;
    let mut kept = Vec::new();
    while !rest.fill_buf().ok()?.is_empty() {
        let packet = match Reader::new(&mut rest).read().ok()? {
            Packet::Data(data) if data.starts_with(b"agent=") || data.starts_with(b"session-id=") => continue,
            Packet::Data(data) => data.to_vec(),
            Packet::Flush => b"0000".to_vec(),
            Packet::Delimiter => b"0001".to_vec(),
            Packet::ResponseEnd => return None,
        };
        kept.extend_from_slice(&packet.len().to_le_bytes());
        kept.extend_from_slice(&packet);
    }
    Some(kept)
}

/// The files and directories that change with what a repository answers, besides those below `refs`.
const WATCHED: [&str; 8] = [
    "HEAD",
    "config",
    "packed-refs",
    "reftable/tables.list",
    "shallow",
    "objects",
    "objects/pack",
    "objects/info/alternates",
];

/// What a repository is at this moment: where its refs, packs and configuration stand. `None` if it has just changed, is not
/// to be served, or has too many directories. Nothing may have changed since `newest_allowed`.
fn stamp(git_dir: &Path, needs_export: bool, newest_allowed: SystemTime) -> Option<Vec<u8>> {
    let mut stamp = Vec::new();
    let mut add = |data: &Metadata| {
        for number in [data.mtime(), data.mtime_nsec(), data.ctime(), data.ctime_nsec()] {
            stamp.extend_from_slice(&number.to_le_bytes());
        }
        stamp.extend_from_slice(&data.ino().to_le_bytes());
        stamp.extend_from_slice(&data.len().to_le_bytes());
        data.modified().is_ok_and(|time| time < newest_allowed)
    };
    if needs_export && !git_dir.join("git-daemon-export-ok").exists() {
        return None;
    }
    if git_dir.join("commondir").exists() {
        return None;
    }
    for name in WATCHED {
        match fs::metadata(git_dir.join(name)) {
            Ok(data) if !add(&data) => return None,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => return None,
        }
    }
    let mut ahead = vec![git_dir.join("refs")];
    let mut count = 0;
    while let Some(directory) = ahead.pop() {
        count += 1;
        if count > DIRECTORIES_MAX || !add(&fs::metadata(&directory).ok()?) {
            return None;
        }
        for entry in fs::read_dir(&directory).ok()? {
            let entry = entry.ok()?;
            if entry.file_type().ok()?.is_dir() {
                ahead.push(entry.path());
            }
        }
    }
    Some(stamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("refs/heads/a")).unwrap();
        fs::create_dir_all(directory.path().join("objects/pack")).unwrap();
        for name in ["HEAD", "config", "refs/heads/a/b"] {
            fs::write(directory.path().join(name), "x").unwrap();
        }
        for name in ["refs/heads/a", "refs/heads", "refs", "objects/pack", "objects", "HEAD", "config"] {
            age(&directory.path().join(name));
        }
        directory
    }

    /// When everything happened that is not to count as new.
    const LONG_AGO: SystemTime = SystemTime::UNIX_EPOCH;

    /// Later than that, and long before the test runs.
    fn later() -> SystemTime {
        LONG_AGO + Duration::from_hours(1)
    }

    fn age(path: &Path) {
        File::open(path).unwrap().set_modified(LONG_AGO).unwrap();
    }

    #[test]
    fn a_change_of_the_repository_is_seen() {
        let directory = repository();
        let git_dir = directory.path();
        let before = stamp(git_dir, false, later()).unwrap();
        assert_eq!(stamp(git_dir, false, later()).unwrap(), before);
        assert_eq!(stamp(git_dir, true, later()), None, "it is not exported");
        fs::write(git_dir.join("refs/heads/a/new"), "x").unwrap();
        assert_eq!(stamp(git_dir, false, later()), None, "too young to be told from what follows");
        age(&git_dir.join("refs/heads/a"));
        assert_ne!(stamp(git_dir, false, later()).unwrap(), before);
    }

    #[test]
    fn who_asks_does_not_matter() {
        let one = b"0012command=fetch\n0012agent=git/1.2\n0001000awant \n0000";
        let other = b"0012command=fetch\n0012agent=git/9.9\n0001000awant \n0000";
        assert_eq!(plain(one), plain(other));
        assert_ne!(plain(one), plain(&one[..12]));
        assert_ne!(plain(b"0008want0000"), plain(b"0008want0001"));
        assert_eq!(plain(b"zzzz"), None);
    }

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
