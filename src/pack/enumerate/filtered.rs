//! The filter of a walk, and what it has decided so far.

use std::collections::HashSet;
use std::hash::BuildHasher as _;

use gix_hash::ObjectId;

use super::filter::{Filter, Patterns};
use super::ids::{IdMap, IdSet, Seed};
use crate::pack::Error;
use crate::pack::source::Source;

/// A filter, and what it has decided.
pub(super) struct Filtered<'a> {
    pub filter: &'a Filter,
    /// Blobs that were left out, wherever that does not depend on where they are met.
    left_out: IdSet,
    /// How deep trees were met at least.
    depths: IdMap<u64>,
    /// Trees and the hashes of the paths at which they were met.
    paths: HashSet<(ObjectId, u64), Seed>,
}

/// Where the entries of a tree stand, as far as a filter minds.
pub(super) struct Above {
    /// 1 in the tree of a commit, as that itself is at 0. No filter sees trees that are named by the wants: their entries are
    /// at 0.
    pub depth: u64,
    /// The path with a slash behind it; empty where nobody asks.
    pub path: Vec<u8>,
}

impl<'a> Filtered<'a> {
    /// Nothing is decided yet.
    pub fn new(filter: &'a Filter) -> Self {
        Self { filter, left_out: IdSet::default(), depths: IdMap::default(), paths: HashSet::default() }
    }

    /// Whether what is kept of a tree depends on where it is met.
    pub fn minds_standing(&self) -> bool {
        self.filter.minds_depth() || self.filter.minds_path()
    }

    /// Whether a tree that was met before may have more to send where it is met now.
    pub fn is_news(&mut self, id: ObjectId, above: &Above) -> bool {
        let mut is_news = false;
        if self.filter.minds_depth() {
            let known = self.depths.get(&id).copied();
            if known.is_none_or(|known| above.depth < known) {
                self.depths.insert(id, above.depth);
                is_news = known.is_some();
            }
        }
        if self.filter.minds_path() {
            let path = self.paths.hasher().hash_one(&above.path);
            is_news |= self.paths.insert((id, path));
        }
        is_news
    }

    /// Whether the blob `id` is kept that stands under `name` in the tree `tree`.
    pub fn keeps_blob(
        &mut self,
        source: &dyn Source,
        id: &ObjectId,
        tree: &Above,
        name: &[u8],
    ) -> Result<bool, Error> {
        if self.left_out.contains(id) {
            return Ok(false);
        }
        let chosen = |patterns: &Patterns| patterns.choose([&tree.path, name].concat().as_slice().into());
        let kept = self.filter.keeps_blob(source, id, tree.depth, &chosen);
        let kept = kept.map_err(|source| Error::Unreadable { id: *id, source })?;
        if !kept && !self.minds_standing() {
            self.left_out.insert(*id);
        }
        Ok(kept)
    }
}
