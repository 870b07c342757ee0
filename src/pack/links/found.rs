//! The links of all threads, each but once.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use gix_hash::ObjectId;
use gix_object::Kind;

use super::{ID_LEN_MAX, Outside, SHA1_LEN};
use crate::pack::fsck::{Checker, Rules};

/// All links found so far, of all threads.
pub struct Found<'a> {
    sets: Mutex<Sets>,
    /// Commits whose parents are not to come: the shallow boundary.
    pub(super) boundary: HashSet<ObjectId>,
    /// Whether links are collected.
    pub(in crate::pack) is_asked_for: bool,
    /// Looks at each object for more than its links.
    pub(in crate::pack) checker: Checker<'a>,
}

/// The ids by what they are named as: those of SHA-1, and others.
#[derive(Default)]
pub(super) struct Sets {
    short: [Set<SHA1_LEN>; NAMED],
    long: [Set<ID_LEN_MAX>; NAMED],
}

/// The hash function of the sets is seeded at random, since the ids come from the network and could be chosen to collide.
type Set<const LEN: usize> = HashSet<[u8; LEN]>;

/// How many kinds of [`Named`] there are.
pub(super) const NAMED: usize = 6;

impl Sets {
    /// The ids named as `named`.
    pub fn ids(&self, named: Named) -> impl Iterator<Item = ObjectId> {
        let short = self.short.get(named as usize).into_iter().flatten().map(|id| ObjectId::Sha1(*id));
        let long = self.long.get(named as usize).into_iter().flatten();
        short.chain(long.map(|id| ObjectId::from_bytes_or_panic(id)))
    }

    fn add(&mut self, Link { named, id }: Link, hash: gix_hash::Kind) {
        let _was_new = match id.split_first_chunk() {
            Some((short, _)) if hash.len_in_bytes() == SHA1_LEN => {
                self.short.get_mut(named as usize).map(|set| set.insert(*short))
            }
            _ => self.long.get_mut(named as usize).map(|set| set.insert(id)),
        };
    }

    /// Forgets that `id` was named as `named`.
    fn forget(&mut self, named: Named, id: &ObjectId) {
        let _was_known = if let Some(short) = id.as_slice().as_array() {
            self.short.get_mut(named as usize).map(|set| set.remove(short))
        } else {
            let set = self.long.get_mut(named as usize);
            set.zip(id.as_slice().as_array()).map(|(set, long)| set.remove(long))
        };
    }
}

impl<'a> Found<'a> {
    /// Nothing found yet; the parents of the commits in `boundary` are no links. The objects are to obey `rules`.
    pub fn new(boundary: &[ObjectId], rules: Option<&'a Rules>) -> Self {
        let boundary = boundary.iter().copied().collect();
        Self { sets: Mutex::default(), boundary, is_asked_for: true, checker: Checker::new(rules) }
    }

    /// Collects no links from now on, since nobody asks for them.
    pub(in crate::pack) fn ignore_links(&mut self) {
        self.is_asked_for = false;
    }

    /// Adds `links`, whose ids are of the kind `hash`.
    pub(super) fn add(&self, links: impl Iterator<Item = Link>, hash: gix_hash::Kind) {
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        for link in links {
            sets.add(link, hash);
        }
    }

    /// The links to what is not among `objects`, or is there as something else than it is named as. They are found by taking the
    /// links to `objects` out: there are mostly more links than objects, so that to look for the objects among the links takes
    /// less than the other way round.
    pub(in crate::pack) fn beside(&self, objects: impl Iterator<Item = (ObjectId, Kind)>) -> Outside {
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, kind) in objects {
            let (one, other) = match kind {
                Kind::Commit => (Named::Commit, None),
                Kind::Tree => (Named::Tree, Some(Named::Directory)),
                Kind::Blob => (Named::File, Some(Named::Blob)),
                Kind::Tag => (Named::Tag, None),
            };
            sets.forget(one, &id);
            if let Some(other) = other {
                sets.forget(other, &id);
            }
        }
        Outside::of(&sets, &|_, _| false)
    }

    /// The links to objects that are not there, as `is_there` tells, as the kind that they are named as.
    pub fn outside(&self, is_there: &dyn Fn(&ObjectId, Kind) -> bool) -> Outside {
        let sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        Outside::of(&sets, is_there)
    }
}

/// An object that is named.
#[derive(Clone, Copy)]
pub(super) struct Link {
    pub named: Named,
    /// Its id, with zeros behind it if it is shorter.
    pub id: [u8; ID_LEN_MAX],
}

/// What kind of object is named, as far as the naming object tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    Commit,
    /// The tree of a commit or of a tag.
    Tree,
    /// The blob of a tag.
    Blob,
    Tag,
    /// A tree in another.
    Directory,
    /// A blob in a tree.
    File,
    /// Nothing is.
    Nothing,
}
