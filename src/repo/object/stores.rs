//! The object directories that make up one database, and handles to read them from many threads.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use crate::repo::Error;

/// Memory for the bases of deltas, per handle, in bytes.
const PACK_CACHE_BYTES: usize = 32 * 1024 * 1024;

/// Memory for whole objects, per handle, in bytes.
const OBJECT_CACHE_BYTES: usize = 8 * 1024 * 1024;

/// Handles that wait for the next thread; more than these are closed after use.
const IDLE_MAX: usize = 16;

/// Where objects are.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// The repository's `objects` directory.
    pub main: PathBuf,
    /// Those of `GIT_ALTERNATE_OBJECT_DIRECTORIES`.
    pub extra: Vec<PathBuf>,
    /// The hash function of all.
    pub object_hash: gix_hash::Kind,
}

/// The opened directories. A clone shares the mapped files, not the caches.
pub(super) struct Stores {
    places: Places,
    state: Mutex<State>,
}

/// One handle for each object directory that was opened.
type Handles = Vec<gix_odb::HandleArc>;

struct State {
    stores: Vec<Arc<gix_odb::Store>>,
    /// The pack directories and when they had last changed before they were read.
    stamps: Vec<(PathBuf, Option<SystemTime>)>,
    idle: Vec<Handles>,
    /// Counts the reopenings, so that handles of an older state are not put back.
    generation: u64,
}

impl Stores {
    pub(super) fn open(places: Places) -> Result<Self, Error> {
        let state = State::open(&places, 0).map_err(|source| Error::Io {
            action: "unable to open",
            path: places.main.clone(),
            source,
        })?;
        Ok(Self { places, state: Mutex::new(state) })
    }

    /// Calls `work` with handles that no other thread uses at the same time.
    pub(super) fn with<T>(&self, work: impl FnOnce(&[gix_odb::HandleArc]) -> T) -> T {
        let (generation, handles) = {
            let mut state = self.lock();
            let idle = state.idle.pop();
            (state.generation, idle.unwrap_or_else(|| state.stores.iter().map(handle).collect()))
        };
        let outcome = work(&handles);
        let mut state = self.lock();
        if state.generation == generation && state.idle.len() < IDLE_MAX {
            state.idle.push(handles);
        }
        outcome
    }

    /// The first answer among the directories. If there is none, and packs came or went since they were read, the
    /// question is asked once more.
    pub(super) fn look_up<T>(
        &self,
        mut ask: impl FnMut(&gix_odb::HandleArc) -> io::Result<Option<T>>,
    ) -> io::Result<Option<T>> {
        let first = self.with(|handles| first_answer(handles, &mut ask));
        if matches!(first, Ok(Some(_))) || !self.reopen_if_changed()? {
            return first;
        }
        self.with(|handles| first_answer(handles, &mut ask))
    }

    /// Reads the directories again.
    pub(super) fn reopen(&self) -> Result<(), Error> {
        let mut state = self.lock();
        *state = State::open(&self.places, state.generation + 1).map_err(|source| Error::Io {
            action: "unable to open",
            path: self.places.main.clone(),
            source,
        })?;
        Ok(())
    }

    /// The repository's own `objects` directory.
    pub(super) fn main(&self) -> &Path {
        &self.places.main
    }

    /// The object directories beside the repository's own.
    pub(super) fn alternates(&self) -> Vec<PathBuf> {
        let mut all = Vec::new();
        for (index, store) in self.lock().stores.iter().enumerate() {
            if index > 0 {
                all.push(store.path().to_owned());
            }
            all.extend(store.alternate_db_paths().unwrap_or_default());
        }
        all
    }

    /// The `objects` directories, the repository's own first.
    pub(super) fn directories(&self) -> Vec<PathBuf> {
        let mut all = vec![self.places.main.clone()];
        all.extend(self.alternates());
        all
    }

    /// The first commit-graph among the directories, as C git looks for it.
    pub(super) fn commit_graph(&self) -> Option<gix_commitgraph::Graph> {
        self.directories().into_iter().find_map(|objects| {
            gix_commitgraph::Graph::at(&objects.join("info"), self.places.object_hash, None).ok()
        })
    }

    fn reopen_if_changed(&self) -> io::Result<bool> {
        let mut state = self.lock();
        if state.stamps.iter().all(|(directory, then)| modified(directory) == *then) {
            return Ok(false);
        }
        *state = State::open(&self.places, state.generation + 1)?;
        Ok(true)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // a panic elsewhere leaves the list of handles whole
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clone for Stores {
    fn clone(&self) -> Self {
        let state = self.lock();
        let copy = State {
            stores: state.stores.clone(),
            stamps: state.stamps.clone(),
            idle: Vec::new(),
            generation: state.generation,
        };
        Self { places: self.places.clone(), state: Mutex::new(copy) }
    }
}

impl State {
    fn open(places: &Places, generation: u64) -> io::Result<Self> {
        let mut stores = vec![open_store(&places.main, places.object_hash)?];
        // git reports alternates that cannot be opened and goes on without them
        stores.extend(places.extra.iter().filter_map(|extra| open_store(extra, places.object_hash).ok()));
        let mut directories = Vec::new();
        for store in &stores {
            directories.push(store.path().join("pack"));
            directories
                .extend(store.alternate_db_paths().unwrap_or_default().iter().map(|path| path.join("pack")));
        }
        let stamps =
            directories.into_iter().map(|directory| (directory.clone(), modified(&directory))).collect();
        Ok(Self { stores, stamps, idle: Vec::new(), generation })
    }
}

/// Splits `GIT_ALTERNATE_OBJECT_DIRECTORIES` at the path separator; entries may be in double quotes with C escapes
/// (git(1)).
pub(super) fn parse_alternates(value: &OsStr) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    let mut rest = value.as_encoded_bytes();
    let separator = if cfg!(windows) { b';' } else { b':' };
    while !rest.is_empty() {
        let quoted = rest.strip_prefix(b"\"").and_then(unquote);
        let (path, after) = quoted.unwrap_or_else(|| {
            let (path, after) =
                rest.split_at(rest.iter().position(|byte| *byte == separator).unwrap_or(rest.len()));
            (path.to_vec(), after)
        });
        let after = after.strip_prefix(&[separator]).unwrap_or(after);
        if !path.is_empty() {
            paths.push(bytes_to_path(path));
        }
        rest = after;
    }
    paths
}

/// Undoes C quoting up to the closing quote; `None` if there is none.
fn unquote(quoted: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut out = Vec::new();
    let mut rest = quoted;
    loop {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        match byte {
            b'"' => return Some((out, rest)),
            b'\\' => {
                let (&escape, after) = rest.split_first()?;
                rest = after;
                out.push(match escape {
                    b'a' => 7,
                    b'b' => 8,
                    b't' => b'\t',
                    b'n' => b'\n',
                    b'v' => 11,
                    b'f' => 12,
                    b'r' => b'\r',
                    b'0'..=b'3' => {
                        let (digits, after) = rest.split_at_checked(2)?;
                        rest = after;
                        let text = format!("{}{}", char::from(escape), std::str::from_utf8(digits).ok()?);
                        u8::from_str_radix(&text, 8).ok()?
                    }
                    other => other,
                });
            }
            other => out.push(other),
        }
    }
}

fn bytes_to_path(bytes: Vec<u8>) -> PathBuf {
    use bstr::ByteVec as _;
    bytes.into_path_buf().unwrap_or_default()
}

fn open_store(objects: &Path, object_hash: gix_hash::Kind) -> io::Result<Arc<gix_odb::Store>> {
    let options = gix_odb::store::init::Options::default();
    let store = gix_odb::Store::at_opts(objects.to_owned(), object_hash, &mut std::iter::empty(), options)?;
    Ok(Arc::new(store))
}

fn handle(store: &Arc<gix_odb::Store>) -> gix_odb::HandleArc {
    let mut handle = store.to_cache_arc();
    handle.refresh_never();
    handle.ignore_replacements = true;
    handle.set_pack_cache(|| Box::new(gix_pack::cache::lru::MemoryCappedHashmap::new(PACK_CACHE_BYTES)));
    handle
        .set_object_cache(|| Box::new(gix_pack::cache::object::MemoryCappedHashmap::new(OBJECT_CACHE_BYTES)));
    handle
}

fn first_answer<T>(
    handles: &[gix_odb::HandleArc],
    ask: &mut impl FnMut(&gix_odb::HandleArc) -> io::Result<Option<T>>,
) -> io::Result<Option<T>> {
    for handle in handles {
        if let Some(answer) = ask(handle)? {
            return Ok(Some(answer));
        }
    }
    Ok(None)
}

fn modified(directory: &Path) -> Option<SystemTime> {
    std::fs::metadata(directory).and_then(|metadata| metadata.modified()).ok()
}
