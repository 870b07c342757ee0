//! The object directories that make up one database, and handles to read them from many threads.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use super::directory::{self, Directory, Handle};
use crate::repo::Error;

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
type Handles = Vec<Handle>;

struct State {
    directories: Vec<Directory>,
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
    pub(super) fn with<T>(&self, work: impl FnOnce(&[Handle]) -> T) -> T {
        let (generation, handles) = {
            let mut state = self.lock();
            let idle = state.idle.pop();
            (
                state.generation,
                idle.unwrap_or_else(|| state.directories.iter().map(Directory::handle).collect()),
            )
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
        mut ask: impl FnMut(&Handle) -> io::Result<Option<T>>,
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
        self.lock().directories.iter().flat_map(Directory::paths).skip(1).collect()
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
            directories: state.directories.clone(),
            stamps: state.stamps.clone(),
            idle: Vec::new(),
            generation: state.generation,
        };
        Self { places: self.places.clone(), state: Mutex::new(copy) }
    }
}

impl State {
    fn open(places: &Places, generation: u64) -> io::Result<Self> {
        let mut directories = directory::open(&places.main, places.object_hash)?;
        // git reports alternates that cannot be opened and goes on without them
        let extra = places.extra.iter().flat_map(|extra| directory::open(extra, places.object_hash));
        directories.extend(extra.flatten());
        let packs = directories.iter().flat_map(Directory::paths).map(|path| path.join("pack"));
        let stamps = packs.map(|packs| (packs.clone(), modified(&packs))).collect();
        Ok(Self { directories, stamps, idle: Vec::new(), generation })
    }
}

fn first_answer<T>(
    handles: &[Handle],
    ask: &mut impl FnMut(&Handle) -> io::Result<Option<T>>,
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
