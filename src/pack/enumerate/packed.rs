//! Trees out of packs, and which of their entries a walk has to look at.
//!
//! Most trees are deltas to other trees there. What a delta copies from a tree has been visited where that was, and what it
//! takes of a tree need not be visited there any more where the delta was: whichever of the two comes first. Of git.git one entry
//! in twenty is left to be looked up. Following more than one delta at a time spares no more than it costs.
//!
//! A delta to a tree that was visited need not be followed to the whole tree: what it does not copy is all that there is to do.
//! More than half of the trees of git.git are nobody's base, and are never made. Others are made when a delta asks for them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use gix_hash::ObjectId;
use gix_object::Kind;

use super::boundary::Place;
use super::extract;
use super::ids::Seed;
use crate::pack::delta::{self, Copied};
use crate::pack::entry::{Content, HEADER_LEN_MAX, Header};
use crate::pack::inflate::Inflater;
use crate::pack::kept::Kept;
use crate::pack::links::Starts;
use crate::pack::source::{Entries, Source};

/// Larger trees are left to the source, in bytes.
const SIZE_MAX: u64 = 64 * 1024 * 1024;

/// Memory for what is kept, in bytes. Twice as much is no faster for git.git.
const CACHE_BYTES: usize = 32 * 1024 * 1024;

/// Memory for large trees that are kept, in bytes: git-config(1), `core.deltaBaseCacheLimit`. A walk goes through many
/// directories in turn.
const LARGE_BYTES: usize = 96 * 1024 * 1024;

/// More links than git makes (`pack.depth` is at most 4095).
const CHAIN_MAX: usize = 4_096;

/// A tree, and what is known of its visits.
pub(super) struct Tree {
    /// Its bytes; without those of entries that were visited, if it is not whole.
    pub content: Vec<u8>,
    /// Where its entries begin.
    pub starts: Starts,
    /// The delta that makes the whole tree, if this is not it.
    delta: Option<Vec<u8>>,
    /// The tree that it is told by the difference to, and the entries that both have.
    base: Option<(Key, Box<[Copied]>)>,
    visited: RefCell<Visited>,
}

/// What was visited of a tree.
#[derive(Default)]
struct Visited {
    /// Where.
    place: Option<Place>,
    extent: Extent,
}

#[derive(Default)]
enum Extent {
    #[default]
    Nothing,
    /// The entries that begin there.
    Part(Starts),
    All,
}

impl Tree {
    /// A tree of `content` with ids of `id_len` bytes. Of one that is broken nothing is known but that.
    pub fn new(content: Vec<u8>, id_len: usize) -> Self {
        let mut starts = Starts::default();
        if starts.find(&content, id_len, (&[], &Starts::default()), |_| {}).is_none() {
            starts.clear();
        }
        Self::whole(content, starts)
    }

    fn whole(content: Vec<u8>, starts: Starts) -> Self {
        Self { content, starts, delta: None, base: None, visited: RefCell::default() }
    }

    /// What `delta` makes of `base` and does not copy from it, if all of that was visited at `place`; `None` if not.
    fn extract(base: &Self, delta: &[u8], id_len: usize, place: Option<Place>) -> Option<Self> {
        if !base.is_visited(place) {
            return None;
        }
        let (content, starts) = extract::extract((&base.content, &base.starts), delta, id_len)?;
        let visited = RefCell::new(Visited { place, extent: Extent::Part(Starts::default()) });
        Some(Self { content, starts, delta: Some(delta.to_vec()), base: None, visited })
    }

    /// Whether this is all of it.
    pub fn is_whole(&self) -> bool {
        self.delta.is_none()
    }

    /// Whether all of it was visited at `place`.
    fn is_visited(&self, place: Option<Place>) -> bool {
        let visited = self.visited.borrow();
        visited.place == place && matches!(visited.extent, Extent::All)
    }

    /// Puts into `fresh` where the entries begin that were not visited at `place`; false if nothing is known of that.
    pub fn fresh(&self, place: Option<Place>, fresh: &mut Vec<u32>) -> bool {
        let visited = self.visited.borrow();
        match &visited.extent {
            _ if visited.place != place => return false,
            Extent::Nothing => return false,
            Extent::Part(part) => self.starts.without(part, |at| fresh.extend(u32::try_from(at))),
            Extent::All => {}
        }
        // that is where the last one ends
        fresh.pop_if(|at| *at as usize >= self.content.len());
        true
    }

    /// The memory it takes, in bytes.
    pub fn bytes(&self) -> usize {
        let delta_len = self.delta.as_ref().map_or(0, Vec::capacity);
        size_of::<Self>() + self.content.capacity() + self.starts.bytes() + delta_len
    }

    /// What was visited of `base` at `place` was visited of this tree too, as far as both have it.
    fn inherit(&self, base: &Self, shared: &[Copied], place: Option<Place>) {
        let theirs = base.visited.borrow();
        let from = match &theirs.extent {
            _ if theirs.place != place => return,
            Extent::Nothing => return,
            Extent::Part(part) => part,
            Extent::All => &base.starts,
        };
        let mut part = Starts::none(self.content.len());
        for Copied { at, from: begin, len } in shared {
            part.copy(from, (*begin, begin + len), *at);
        }
        self.visited.replace(Visited { place, extent: Extent::Part(part) });
    }

    /// All of `other`, which shares entries with this tree, was visited at `place`.
    fn share(&self, other: &Self, shared: &[Copied], place: Option<Place>) {
        let mut visited = self.visited.borrow_mut();
        if visited.place != place {
            *visited = Visited { place, extent: Extent::Nothing };
        }
        if matches!(visited.extent, Extent::Nothing) {
            visited.extent = Extent::Part(Starts::none(self.content.len()));
        }
        if let Extent::Part(part) = &mut visited.extent {
            for Copied { at, from, len } in shared {
                part.copy(&other.starts, (*at, at + len), *from);
            }
        }
    }
}

/// Reads trees.
pub(super) struct Trees<'a> {
    source: &'a dyn Source,
    packs: HashMap<u32, Option<Pack>>,
    inflate: Inflater,
    cache: Kept<Key, Rc<Tree>, Seed>,
    chain: Vec<Link>,
    delta: Vec<u8>,
    copied: Vec<Copied>,
}

/// A pack and where its last entry ends.
#[derive(Clone)]
struct Pack {
    entries: Arc<dyn Entries>,
    end: u64,
}

/// A delta on the way to a tree.
struct Link {
    offset: u64,
    stream_offset: u64,
    size: u64,
    /// The tree that it makes, if the delta has been inflated for that.
    extract: Option<Rc<Tree>>,
}

/// How much of a tree is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    Whole,
    /// What was not visited will do.
    New,
}

impl<'a> Trees<'a> {
    pub fn new(source: &'a dyn Source) -> Self {
        Self {
            source,
            packs: HashMap::new(),
            inflate: Inflater::new(),
            cache: Kept::new(CACHE_BYTES, LARGE_BYTES),
            chain: Vec::new(),
            delta: Vec::new(),
            copied: Vec::new(),
        }
    }

    /// The tree `id`, which is to be visited at `place`; `None` if it cannot be read here: the source knows more about it.
    pub fn read(&mut self, id: &ObjectId, place: Option<Place>, reading: Reading) -> Option<Rc<Tree>> {
        let (number, offset) = self.source.entry_offset(id).ok()??;
        let pack = self.pack(number)?;
        let mut base_offset = 0;
        let mut base = self.read_base(&pack, (number, offset), &mut base_offset, id)?;
        while let Some(link) = self.chain.pop() {
            if link.extract.is_none() {
                let stream = pack.entries.bytes(link.stream_offset..pack.end)?;
                self.inflate.inflate(stream, link.size, &mut self.delta).ok()?;
            }
            let is_last = self.chain.is_empty() && link.extract.is_none();
            let tree = if is_last
                && reading == Reading::New
                && let Some(tree) = Tree::extract(&base, &self.delta, id.as_slice().len(), place)
            {
                tree
            } else {
                self.make(&base, (number, base_offset), link.extract.as_deref(), id.as_slice().len(), place)?
            };
            let tree = Rc::new(tree);
            self.keep((number, link.offset), &tree);
            (base, base_offset) = (tree, link.offset);
        }
        Some(base)
    }

    /// Makes a whole tree of `base` and a delta: that of `extract`, or else the one inflated last.
    fn make(
        &mut self,
        base: &Tree,
        key: Key,
        extract: Option<&Tree>,
        id_len: usize,
        place: Option<Place>,
    ) -> Option<Tree> {
        let delta = extract.and_then(|tree| tree.delta.as_ref()).unwrap_or(&self.delta);
        if delta::result_size(delta).ok()? > SIZE_MAX {
            return None;
        }
        let (mut content, mut starts, mut shared) = (Vec::new(), Starts::default(), Vec::new());
        self.copied.clear();
        delta::apply_noting(&base.content, delta, &mut content, |copy| self.copied.push(copy)).ok()?;
        let from = (&*self.copied, &base.starts);
        starts.find(&content, id_len, from, |range| shared.push(range))?;
        let tree = Tree { base: Some((key, shared.into())), ..Tree::whole(content, starts) };
        if extract.is_some_and(|extract| extract.is_visited(place)) {
            tree.visited.replace(Visited { place, extent: Extent::All });
        } else if let Some((_, shared)) = &tree.base {
            tree.inherit(base, shared, place);
        }
        Some(tree)
    }

    /// All of `tree` was visited at `place`.
    pub fn was_visited(&self, tree: &Tree, place: Option<Place>) {
        tree.visited.replace(Visited { place, extent: Extent::All });
        if let Some((key, shared)) = &tree.base
            && let Some(base) = self.cache.peek(key).filter(|base| base.is_whole())
        {
            base.share(tree, shared, place);
        }
    }

    /// Reads the nearest tree that is kept or whole, and leaves the deltas that follow in the chain.
    fn read_base(
        &mut self,
        pack: &Pack,
        (number, mut offset): Key,
        found: &mut u64,
        id: &ObjectId,
    ) -> Option<Rc<Tree>> {
        self.chain.clear();
        while self.chain.len() < CHAIN_MAX {
            *found = offset;
            let kept = self.cache.get((number, offset));
            if kept.as_ref().is_some_and(|tree| tree.is_whole()) {
                return kept;
            }
            let head =
                pack.entries.bytes(offset..pack.end.min(offset.checked_add(HEADER_LEN_MAX as u64)?))?;
            let (header, header_len) = Header::decode(head, id.kind()).ok()??;
            let stream_offset = offset + header_len as u64;
            let link = Link { offset, stream_offset, size: header.size, extract: kept };
            match header.content {
                _ if header.size > SIZE_MAX => return None,
                Content::Object(Kind::Tree) => return self.read_whole(pack, number, &link, id),
                Content::Object(_) => return None,
                Content::OfsDelta { distance } => offset = offset.checked_sub(distance)?,
                Content::RefDelta { base } => {
                    offset = pack.entries.offset(pack.entries.place_of(&base)?)?;
                }
            }
            self.chain.push(link);
        }
        None
    }

    fn read_whole(&mut self, pack: &Pack, number: u32, link: &Link, id: &ObjectId) -> Option<Rc<Tree>> {
        let stream = pack.entries.bytes(link.stream_offset..pack.end)?;
        let mut content = Vec::new();
        self.inflate.inflate(stream, link.size, &mut content).ok()?;
        let tree = Rc::new(Tree::new(content, id.as_slice().len()));
        self.keep((number, link.offset), &tree);
        Some(tree)
    }

    fn keep(&mut self, key: Key, tree: &Rc<Tree>) {
        self.cache.put(key, Rc::clone(tree), tree.bytes());
    }

    fn pack(&mut self, number: u32) -> Option<Pack> {
        let source = self.source;
        let opened = self.packs.entry(number).or_insert_with(|| {
            let entries = source.entries(number).ok()??;
            let end = entries.offset(entries.count())?;
            Some(Pack { entries, end })
        });
        opened.clone()
    }
}

type Key = (u32, u64);
