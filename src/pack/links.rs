//! What objects refer to: parents and trees of commits, entries of trees, targets of tags.
//!
//! Collected while the objects are in hand, so that whether a history is complete needs no second walk over it.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use gix_hash::ObjectId;
use gix_object::{CommitRefIter, Kind, TagRefIter, TreeRefIter, commit, tag};

use super::Links;
use super::fsck::{Checker, Rules};

/// Ids that a [`Collector`] remembers so as not to store them again. Neighbouring trees name mostly the same
/// objects, so few slots catch nearly all; they fit into a processor's second cache.
const RECENT_SLOTS: usize = 1 << 13;

/// Ids collected before they are handed to the common [`Found`].
const PENDING_MAX: usize = 4096;

/// All links found so far, of all threads.
#[derive(Default)]
pub struct Found<'a> {
    sets: Mutex<Sets>,
    /// Commits whose parents are not to come: the shallow boundary.
    boundary: HashSet<ObjectId>,
    /// Looks at each object for more than its links.
    pub(super) checker: Checker<'a>,
}

/// The ids by what they are named as. The hash function of the sets is seeded at random, since the ids come from
/// the network and could be chosen to collide.
#[derive(Default)]
struct Sets {
    commits: HashSet<ObjectId>,
    trees: HashSet<ObjectId>,
    blobs: HashSet<ObjectId>,
    others: HashSet<ObjectId>,
}

impl<'a> Found<'a> {
    /// Nothing found yet; the parents of the commits in `boundary` are no links. The objects are to obey `rules`.
    pub fn new(boundary: &[ObjectId], rules: Option<&'a Rules>) -> Self {
        let boundary = boundary.iter().copied().collect();
        Self { sets: Mutex::default(), boundary, checker: Checker::new(rules) }
    }

    /// The links to objects that `is_in_pack` does not know, each list sorted.
    pub fn outside(&self, is_in_pack: &dyn Fn(&ObjectId) -> bool) -> Links {
        let sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        let sorted = |set: &HashSet<ObjectId>| {
            let mut ids = set.iter().copied().filter(|id| !is_in_pack(id)).collect::<Vec<_>>();
            ids.sort_unstable();
            ids
        };
        Links {
            commits: sorted(&sets.commits),
            trees: sorted(&sets.trees),
            blobs: sorted(&sets.blobs),
            others: sorted(&sets.others),
        }
    }
}

/// Collects the links of one thread's objects.
pub struct Collector<'a> {
    found: &'a Found<'a>,
    hash: gix_hash::Kind,
    recent: Vec<Option<Link>>,
    pending: Vec<Link>,
}

/// What kind of object is named, as far as the naming object tells, and its id.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Link {
    Commit(ObjectId),
    Tree(ObjectId),
    Blob(ObjectId),
    Other(ObjectId),
}

impl<'a> Collector<'a> {
    /// Collects into `found` from objects whose ids are of the kind `hash`.
    pub fn new(found: &'a Found<'a>, hash: gix_hash::Kind) -> Self {
        Self { found, hash, recent: vec![None; RECENT_SLOTS], pending: Vec::new() }
    }

    /// Collects the links of the object `id` of `kind` that consists of `content`.
    ///
    /// Only what names other objects is looked at: neither the author of a commit nor the message of a tag need be
    /// well-formed. A commit that a tree names, a submodule's, is in another repository and no link.
    pub fn collect(&mut self, id: &ObjectId, kind: Kind, content: &[u8]) -> Result<(), Malformed> {
        match kind {
            Kind::Blob => Some(()),
            Kind::Tree => self.collect_tree(content),
            Kind::Commit => self.collect_commit(id, content),
            Kind::Tag => self.collect_tag(content),
        }
        .ok_or(Malformed::Unreadable(kind))?;
        self.found.checker.check(id, kind, content)
    }

    /// Hands what was collected to the common store; dropping the collector does so too.
    fn flush(&mut self) {
        let mut sets = self.found.sets.lock().unwrap_or_else(PoisonError::into_inner);
        for link in self.pending.drain(..) {
            let _was_new = match link {
                Link::Commit(id) => sets.commits.insert(id),
                Link::Tree(id) => sets.trees.insert(id),
                Link::Blob(id) => sets.blobs.insert(id),
                Link::Other(id) => sets.others.insert(id),
            };
        }
    }

    fn collect_tree(&mut self, content: &[u8]) -> Option<()> {
        for entry in TreeRefIter::from_bytes(content, self.hash) {
            let entry = entry.ok()?;
            let id = entry.oid.to_owned();
            if entry.mode.is_tree() {
                self.add(Link::Tree(id));
            } else if !entry.mode.is_commit() {
                self.add(Link::Blob(id));
            }
        }
        Some(())
    }

    fn collect_commit(&mut self, commit: &ObjectId, content: &[u8]) -> Option<()> {
        let mut tokens = CommitRefIter::from_bytes(content, self.hash);
        self.add(Link::Tree(tokens.tree_id().ok()?));
        if self.found.boundary.contains(commit) {
            return Some(());
        }
        for token in tokens {
            // What follows the parents is of no interest here, even if it is malformed.
            let Ok(commit::ref_iter::Token::Parent { id }) = token else { break };
            self.add(Link::Commit(id));
        }
        Some(())
    }

    fn collect_tag(&mut self, content: &[u8]) -> Option<()> {
        let mut tokens = TagRefIter::from_bytes(content, self.hash);
        let Ok(tag::ref_iter::Token::Target { id }) = tokens.next()? else { return None };
        let Ok(tag::ref_iter::Token::TargetKind(kind)) = tokens.next()? else { return None };
        self.add(match kind {
            Kind::Commit => Link::Commit(id),
            Kind::Tree | Kind::Blob | Kind::Tag => Link::Other(id),
        });
        Some(())
    }

    fn add(&mut self, link: Link) {
        let slot = match self.recent.get_mut(link.slot()) {
            Some(slot) if *slot == Some(link) => return,
            Some(slot) => slot,
            None => return,
        };
        *slot = Some(link);
        self.pending.push(link);
        if self.pending.len() >= PENDING_MAX {
            self.flush();
        }
    }
}

impl Drop for Collector<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Link {
    fn slot(&self) -> usize {
        let (Self::Commit(id) | Self::Tree(id) | Self::Blob(id) | Self::Other(id)) = self;
        let [first, second, ..] = id.as_slice() else { return 0 };
        usize::from(u16::from_be_bytes([*first, *second])) % RECENT_SLOTS
    }
}

/// An object is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It names others and cannot be read.
    #[error("invalid {0}")]
    Unreadable(Kind),
    /// It is against the rules; which ones was noted.
    #[error("fsck error in packed object")]
    Unfit,
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: gix_hash::Kind = gix_hash::Kind::Sha1;

    fn id(byte: u8) -> ObjectId {
        [byte; 20].into()
    }

    fn links(objects: &[(Kind, &[u8])]) -> Result<Links, Malformed> {
        let found = Found::default();
        let mut collector = Collector::new(&found, HASH);
        for (kind, content) in objects {
            collector.collect(&ObjectId::null(HASH), *kind, content)?;
        }
        drop(collector);
        Ok(found.outside(&|known| *known == id(7)))
    }

    #[test]
    fn a_commit_names_its_tree_and_its_parents() {
        let content = format!("tree {}\nparent {}\nparent {}\n\nno author", id(1), id(2), id(3));
        let links = links(&[(Kind::Commit, content.as_bytes())]).unwrap();
        assert_eq!((links.trees, links.commits), (vec![id(1)], vec![id(2), id(3)]));
    }

    #[test]
    fn a_tree_names_trees_and_blobs_but_no_submodules() {
        let mut content = Vec::new();
        for (mode, byte) in
            [("40000 a", 1), ("100644 b", 2), ("120000 c", 3), ("160000 d", 4), ("100755 e", 7)]
        {
            content.extend(mode.as_bytes());
            content.push(0);
            content.extend([byte; 20]);
        }
        let links = links(&[(Kind::Tree, &content), (Kind::Tree, &content)]).unwrap();
        assert_eq!((links.trees, links.blobs), (vec![id(1)], vec![id(2), id(3)]));
    }

    #[test]
    fn a_tag_names_its_target_by_kind() {
        let tag = |kind: &str, byte| format!("object {}\ntype {kind}\ntag v\n", id(byte));
        let (first, second) = (tag("commit", 1), tag("tree", 2));
        let links = links(&[(Kind::Tag, first.as_bytes()), (Kind::Tag, second.as_bytes())]).unwrap();
        assert_eq!((links.commits, links.others), (vec![id(1)], vec![id(2)]));
    }

    #[test]
    fn objects_that_cannot_be_read_are_refused() {
        for kind in [Kind::Commit, Kind::Tree, Kind::Tag] {
            assert_eq!(links(&[(kind, b"zzz")]).unwrap_err(), Malformed::Unreadable(kind));
        }
    }
}
