//! Reading objects.
//!
//! [`Objects`] is a door to gix-odb with four rules of its own: replace refs are ignored, a miss never lists the
//! pack directories again (it asks for their time stamps at most), one value may be used by many threads, and the empty
//! tree is in every repository, as in C git.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use bstr::{BStr, BString, ByteSlice};
use gix_hash::{ObjectId, oid};

use super::{Error, Repository};
use crate::pack::links::target_of_tag;
use crate::pack::source::TREE_DEPTH_MAX;
use directory::Handle;
use packs::Packs;
use promise::Promise;
use stores::{Places, Stores};
use tag::Peeled;

mod alternates;
mod bitmap;
mod checksum;
mod commit;
mod decode;
mod directory;
mod entries;
mod find;
mod holders;
mod idx;
mod order;
mod pack;
mod packs;
mod prefix;
mod promise;
mod source;
mod stores;
mod tag;

pub use crate::pack::source::Commit;
pub(crate) use alternates::quote_alternate;
pub use promise::Promisor;

/// Commits that [`Objects::commit`] remembers.
const COMMITS_MAX: usize = 8_192;

/// The fewest digits git shortens an id to where `core.abbrev` is not set.
const ABBREVIATION_MIN: usize = 7;

/// The fewest digits git takes for an abbreviation at all.
const ABBREVIATION_FLOOR: usize = 4;

/// The objects of a repository and of its alternates. Cheap to clone for another thread; each clone has its own caches.
#[derive(Clone)]
pub struct Objects {
    stores: Stores,
    packs: Arc<Packs>,
    /// The commit-graph; empty until it was looked for, since only walks need it.
    graph: Arc<OnceLock<Option<gix_commitgraph::Graph>>>,
    shallow: Arc<[ObjectId]>,
    commits: HashMap<ObjectId, Commit>,
    /// Shared by all clones; else a chain would be followed once for each of its tags.
    peeled: Arc<Mutex<Peeled>>,
    promise: Promise,
    /// Whether bitmaps are believed (`pack.useBitmaps`).
    uses_bitmaps: bool,
    /// How deep trees may stand in others (`core.maxTreeDepth`).
    tree_depth_max: usize,
    /// Set once nobody waits for a walk any more.
    is_stopped: Arc<AtomicBool>,
}

impl Repository {
    /// Opens the object database. Replace refs are not applied; commits of the shallow file have no parents.
    ///
    /// Alternates come from `info/alternates` and from `GIT_ALTERNATE_OBJECT_DIRECTORIES`. The commit-graph is read
    /// unless `core.commitGraph` is false or the repository is shallow. What a filter left out is fetched when it is read, if
    /// the repository has somebody who does that.
    pub fn objects(&self) -> Result<Objects, Error> {
        self.objects_within(self.shallow()?)
    }

    /// As [`Self::objects`], with another shallow boundary than the one on disk: to look at what it would come to.
    pub fn objects_within(&self, boundary: Vec<ObjectId>) -> Result<Objects, Error> {
        let alternates = self.env.get("GIT_ALTERNATE_OBJECT_DIRECTORIES");
        let places = Places {
            main: self.objects_dir.clone(),
            extra: alternates.map(alternates::parse_environment).unwrap_or_default(),
            object_hash: self.object_hash,
        };
        let graph = self.config.boolean("core.commitGraph")?.unwrap_or(true);
        let uses_bitmaps = self.config.boolean("pack.useBitmaps")?.unwrap_or(true);
        let depth_max = self.config.integer("core.maxTreeDepth")?;
        let tree_depth_max = depth_max.map_or(TREE_DEPTH_MAX, |max| usize::try_from(max).unwrap_or(0));
        let objects = Objects { uses_bitmaps, tree_depth_max, ..Objects::open(places, boundary, graph)? };
        Ok(if self.is_partial()? { objects.with_promise(self.promisor.clone()) } else { objects })
    }
}

impl std::fmt::Debug for Objects {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Objects").finish_non_exhaustive()
    }
}

impl Objects {
    /// Opens the object directories of `places`. `shallow` is the shallow boundary; `use_graph` allows the
    /// commit-graph, which a shallow boundary rules out.
    fn open(places: Places, mut shallow: Vec<ObjectId>, use_graph: bool) -> Result<Self, Error> {
        shallow.sort_unstable();
        let packs = Arc::new(Packs::new(places.object_hash));
        let stores = Stores::open(places)?;
        let graph = if use_graph && shallow.is_empty() { OnceLock::new() } else { OnceLock::from(None) };
        Ok(Self {
            stores,
            packs,
            graph: Arc::new(graph),
            shallow: shallow.into(),
            commits: HashMap::new(),
            peeled: Arc::default(),
            promise: Promise::default(),
            uses_bitmaps: true,
            tree_depth_max: TREE_DEPTH_MAX,
            is_stopped: Arc::default(),
        })
    }

    /// Opens `objects_dir` with its alternates, without shallow boundary.
    pub(in crate::repo) fn at(objects_dir: PathBuf, object_hash: gix_hash::Kind) -> Result<Self, Error> {
        Self::open(Places { main: objects_dir, extra: Vec::new(), object_hash }, Vec::new(), true)
    }

    /// As [`at`](Self::at), for the tests of this module and its neighbours.
    #[cfg(test)]
    pub(in crate::repo) fn open_for_test(objects_dir: PathBuf, object_hash: gix_hash::Kind) -> Self {
        Self::at(objects_dir, object_hash).expect("objects")
    }

    /// Lets walks over commits end with an error of the kind `Interrupted` once `flag` is set.
    #[must_use]
    pub fn stopped_by(self, flag: Arc<AtomicBool>) -> Self {
        Self { is_stopped: flag, ..self }
    }

    /// Whether `id` exists; what is on disk now is looked at once, not again for each miss.
    pub fn contains(&self, id: &oid) -> bool {
        id.is_empty_tree()
            || self.packs.contain(id, &self.stores)
            || self.stores.with(|handles| handles.iter().any(|handle| handle.contains(id)))
    }

    /// Kind and content of `id`; `None` if there is no such object.
    pub fn find(&self, id: &oid, out: &mut Vec<u8>) -> io::Result<Option<gix_object::Kind>> {
        if id.is_empty_tree() {
            out.clear();
            return Ok(Some(gix_object::Kind::Tree));
        }
        self.find_or_bring(id, || {
            if let Some(kind) = self.packs.read(id, &self.stores, out) {
                return Ok(Some(kind));
            }
            self.stores.look_up(|handle| handle.find(id, out))
        })
    }

    /// The kind alone.
    pub fn kind(&self, id: &oid) -> io::Result<Option<gix_object::Kind>> {
        if id.is_empty_tree() {
            return Ok(Some(gix_object::Kind::Tree));
        }
        self.find_or_bring(id, || match self.packs.kind(id, &self.stores) {
            Some(kind) => Ok(Some(kind)),
            None => Ok(self.header_here(id)?.map(|(kind, _)| kind)),
        })
    }

    /// Whether of `id`, which is here, all can be read that git reads before it gives it to somebody: commits and tags (seen in
    /// git 2.47.3).
    pub(crate) fn is_readable(&self, id: &oid) -> bool {
        match self.kind(id) {
            Ok(Some(gix_object::Kind::Commit)) => matches!(self.commit_once(id), Ok(Some(_))),
            Ok(Some(gix_object::Kind::Tag)) => {
                let mut content = Vec::new();
                self.find(id, &mut content).is_ok() && target_of_tag(&content, id.kind()).is_some()
            }
            Ok(kind) => kind.is_some(),
            Err(_) => false,
        }
    }

    /// What `id` is, and its size in bytes; `None` if it is not here.
    fn header_here(&self, id: &oid) -> io::Result<Option<(gix_object::Kind, u64)>> {
        match self.packs.header(id, &self.stores) {
            Some(header) => Ok(Some(header)),
            None => self.stores.look_up(|handle| handle.header(id)),
        }
    }

    /// The commit `id`, from the commit-graph where it is there; `None` if there is no such object or it is no commit.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or nobody waits for it any more.
    pub fn commit(&mut self, id: &oid) -> io::Result<Option<Commit>> {
        if self.is_stopped.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if let Some(known) = self.commits.get(id) {
            return Ok(Some(known.clone()));
        }
        let Some(found) = self.commit_once(id)? else { return Ok(None) };
        if self.commits.len() >= COMMITS_MAX {
            self.commits.clear();
        }
        self.commits.insert(id.to_owned(), found.clone());
        Ok(Some(found))
    }

    /// The generation of the commit `id`, which is greater than those of its parents; 0 if it is not known, `None` if the
    /// commit-graph does not have it: it has all that its commits lead to.
    pub fn generation(&self, id: &oid) -> Option<u32> {
        let graph = self.graph.get_or_init(|| self.stores.commit_graph());
        graph.as_ref().and_then(|graph| commit::generation(graph, id))
    }

    /// Looks at the disk again, for packs that came since.
    pub fn refresh(&mut self) -> Result<(), Error> {
        self.look_again()
    }

    fn look_again(&self) -> Result<(), Error> {
        self.stores.reopen()?;
        self.packs.refresh(&self.stores);
        Ok(())
    }

    /// The shortest unique prefix of `id`, of at least `length_min` digits (`core.abbrev`).
    pub fn abbreviate(&self, id: &oid, length_min: usize) -> BString {
        let full = id.to_hex().to_string();
        let first = length_min.max(ABBREVIATION_FLOOR);
        let length = (first..full.len()).find(|length| self.is_unique(id, *length)).unwrap_or(full.len());
        full.get(..length).unwrap_or(&full).into()
    }

    /// The object whose id begins with the hexadecimal digits `prefix`, at least four; `None` if there is none, or more
    /// than one.
    pub fn find_prefix(&self, prefix: &BStr) -> Option<ObjectId> {
        let prefix = gix_hash::Prefix::from_hex(prefix.to_str().ok()?).ok()?;
        let found: Vec<ObjectId> = self
            .stores
            .with(|handles| {
                handles.iter().filter_map(|handle| handle.find_prefix(prefix)).collect::<Result<_, ()>>()
            })
            .ok()?;
        let (first, rest) = found.split_first()?;
        rest.iter().all(|id| id == first).then_some(*first)
    }

    /// The number of digits git shortens ids to where `core.abbrev` is not set: by the number of objects, at least 7.
    pub fn abbreviation_len(&self) -> usize {
        let count: u64 = self.stores.with(|handles| handles.iter().map(Handle::packed_objects).sum());
        // as seen in git 2.47.3: half the bits of the number of packed objects, so that few ids collide
        let bits = (u64::BITS - count.leading_zeros()) as usize;
        bits.div_ceil(2).max(ABBREVIATION_MIN)
    }

    /// The `objects` directories of alternates, recursively.
    pub fn alternates(&self) -> Vec<PathBuf> {
        self.stores.alternates()
    }

    /// As [`Self::commit`], without remembering it.
    fn commit_once(&self, id: &oid) -> io::Result<Option<Commit>> {
        let graph = self.graph.get_or_init(|| self.stores.commit_graph());
        match graph.as_ref().and_then(|graph| commit::from_graph(graph, id)) {
            Some(commit) => Ok(Some(commit)),
            None => self.commit_from_object(id),
        }
    }

    fn commit_from_object(&self, id: &oid) -> io::Result<Option<Commit>> {
        let mut content = Vec::new();
        if self.find(id, &mut content)? != Some(gix_object::Kind::Commit) {
            return Ok(None);
        }
        let mut commit = commit::parse(&content, id.kind())
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("bad commit object {id}")))?;
        if self.shallow.binary_search_by(|boundary| boundary.as_ref().cmp(id)).is_ok() {
            commit.parents.clear();
        }
        Ok(Some(commit))
    }

    /// Whether no object but `id` begins with the first `length` digits of `id`.
    fn is_unique(&self, id: &oid, length: usize) -> bool {
        let Ok(prefix) = gix_hash::Prefix::new(id, length) else { return false };
        self.stores.with(|handles| {
            handles.iter().all(|handle| {
                handle.find_prefix(prefix).is_none_or(|found| found.is_ok_and(|found| *found == *id))
            })
        })
    }
}

impl crate::pack::Bases for Objects {
    fn find(&self, id: &oid, out: &mut Vec<u8>) -> io::Result<Option<gix_object::Kind>> {
        Self::find(self, id, out)
    }
    fn contains(&self, id: &oid) -> bool {
        Self::contains(self, id)
    }
    fn freshen(&self, id: &oid) -> bool {
        let is_loose = |objects: &PathBuf| crate::pack::freshen_loose(objects, id);
        self.packs.freshen(id, &self.stores) || self.stores.directories().iter().any(is_loose)
    }
    fn kind(&self, id: &oid) -> io::Result<Option<gix_object::Kind>> {
        Self::kind(self, id)
    }
    fn stored_as(&self, id: &oid, entry: (crate::pack::source::Stored, u64), deflated: &[u8]) -> Option<u32> {
        self.packs.stored_as(id, entry, deflated, &self.stores)
    }
    fn bring(&self, ids: &[ObjectId]) -> io::Result<()> {
        Self::bring(self, ids)
    }
}

#[cfg(test)]
mod tests;
