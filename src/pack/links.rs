//! What objects refer to: parents and trees of commits, entries of trees, targets of tags.
//!
//! Collected while the objects are in hand, so that whether a history is complete needs no second walk over it.

mod found;
mod outside;
mod refuse;
mod starts;

use bstr::ByteSlice;
use gix_hash::ObjectId;
use gix_object::{Kind, TagRefIter, tag};

pub use found::Found;
use found::{Link, Named};
pub use outside::Outside;
pub(super) use outside::Strictness;
pub(super) use starts::Starts;
#[cfg(test)]
pub(super) use starts::tests::tree as sample_tree;

use super::delta::Copied;

/// Ids that a [`Collector`] remembers so as not to store them again: those of neighbours, mostly.
const RECENT_SLOTS: usize = 1 << 10;

/// The digits of a mode at most.
const MODE_LEN_MAX: usize = 7;

/// The bits of a mode that tell what an entry of a tree is, and those of trees and of submodules.
const KIND_OF_ENTRY: u32 = 0o170_000;
const TREE: u32 = 0o040_000;
const SUBMODULE: u32 = 0o160_000;

/// What git takes for a tag is longer than an id in hex by this at least (seen in git 2.47.3).
const TAG_LEN_MIN: usize = 24;

/// The bytes of an id of SHA-1.
const SHA1_LEN: usize = 20;

/// The bytes of the longest id.
const ID_LEN_MAX: usize = 32;

/// Ids collected before they are handed to the common [`Found`].
const PENDING_MAX: usize = 4096;

/// Collects the links of one thread's objects.
pub struct Collector<'a> {
    found: &'a Found<'a>,
    hash: gix_hash::Kind,
    recent: Vec<Link>,
    pending: Vec<Link>,
}

impl<'a> Collector<'a> {
    /// Collects into `found` from objects whose ids are of the kind `hash`.
    pub fn new(found: &'a Found<'a>, hash: gix_hash::Kind) -> Self {
        let nothing = Link { named: Named::Nothing, id: [0; ID_LEN_MAX] };
        Self { found, hash, recent: vec![nothing; RECENT_SLOTS], pending: Vec::new() }
    }

    /// Collects the links of the object `id` of `kind` that consists of `content`.
    ///
    /// Only what names other objects is looked at: neither the author of a commit nor the message of a tag need be
    /// well-formed. A commit that a tree names, a submodule's, is in another repository and no link.
    pub fn collect(&mut self, id: &ObjectId, kind: Kind, content: &[u8]) -> Result<(), Malformed> {
        match kind {
            _ if !self.found.is_asked_for => Some(()),
            Kind::Blob => Some(()),
            Kind::Tree if self.hash.len_in_bytes() == SHA1_LEN => self.collect_tree::<SHA1_LEN>(content),
            Kind::Tree => self.collect_tree::<ID_LEN_MAX>(content),
            Kind::Commit => self.collect_commit(id, content),
            Kind::Tag => self.collect_tag(content),
        }
        .ok_or_else(|| self.refuse(id, kind, content))?;
        self.check(id, kind, content)
    }

    /// Hands what was collected to the common store; dropping the collector does so too.
    fn flush(&mut self) {
        self.found.add(self.pending.drain(..), self.hash);
    }

    /// Collects the links of the tree `content` of which `copied` is copied from another whose links are collected, and
    /// whose entries begin where `base` says; puts into `starts` where those of this one do, which stay unknown if it cannot
    /// be read: [`collect`](Self::collect) tells why once its id is known.
    pub(super) fn collect_changed(
        &mut self,
        content: &[u8],
        (copied, base): (&[Copied], &Starts),
        starts: &mut Starts,
    ) {
        let read = if self.hash.len_in_bytes() == SHA1_LEN {
            starts.read::<SHA1_LEN>(content, (copied, base), |named, id| self.add(named, id), |_| {})
        } else {
            starts.read::<ID_LEN_MAX>(content, (copied, base), |named, id| self.add(named, id), |_| {})
        };
        if read.is_none() {
            starts.clear();
        }
    }

    /// Whether what is copied from tree to tree is worth knowing.
    pub(super) fn follows_copies(&self, kind: Kind) -> bool {
        kind == Kind::Tree && self.found.is_asked_for
    }

    /// Looks at an object whose links are collected.
    pub(super) fn check(&self, id: &ObjectId, kind: Kind, content: &[u8]) -> Result<(), Malformed> {
        self.found.checker.check(id, kind, content)
    }

    fn collect_tree<const LEN: usize>(&mut self, content: &[u8]) -> Option<()> {
        let mut rest = content;
        while !rest.is_empty() {
            let (named, id);
            (named, id, rest) = split_off_entry::<LEN>(rest)?;
            if let Some(named) = named {
                self.add(named, id);
            }
        }
        Some(())
    }

    fn collect_commit(&mut self, commit: &ObjectId, content: &[u8]) -> Option<()> {
        let (tree, mut rest) = self.split_off_line("tree ", content)?;
        self.add_id(Named::Tree, tree);
        // what ends with its links is no commit to git
        if rest.is_empty() {
            return None;
        }
        if self.found.boundary.contains(commit) {
            return Some(());
        }
        while let Some((parent, behind)) = self.split_off_line("parent ", rest) {
            if parent == tree {
                return None;
            }
            self.add_id(Named::Commit, parent);
            rest = behind;
        }
        // What follows the parents is of no interest here, even if it is malformed, but a parent that cannot be read is no
        // history: git says "bad parents in commit".
        (!rest.is_empty() && !rest.starts_with(b"parent ")).then_some(())
    }

    /// Splits a line off a commit that has nothing but an id behind `key`.
    fn split_off_line<'c>(&self, key: &str, content: &'c [u8]) -> Option<(ObjectId, &'c [u8])> {
        let (id, rest) = content.strip_prefix(key.as_bytes())?.split_at_checked(self.hash.len_in_hex())?;
        Some((ObjectId::from_hex(id).ok()?, rest.strip_prefix(b"\n")?))
    }

    fn collect_tag(&mut self, content: &[u8]) -> Option<()> {
        let (kind, id) = target_of_tag(content, self.hash)?;
        let named = match kind {
            Kind::Commit => Named::Commit,
            Kind::Tree => Named::Tree,
            Kind::Blob => Named::Blob,
            Kind::Tag => Named::Tag,
        };
        self.add_id(named, id);
        Some(())
    }

    fn add_id(&mut self, named: Named, id: ObjectId) {
        match id.as_slice().as_array::<SHA1_LEN>() {
            Some(short) => self.add(named, short),
            None => {
                if let Some(long) = id.as_slice().as_array::<ID_LEN_MAX>() {
                    self.add(named, long);
                }
            }
        }
    }

    #[inline]
    fn add<const LEN: usize>(&mut self, named: Named, id: &[u8; LEN]) {
        let [first, second, ..] = id.as_slice() else { return };
        let slot = usize::from(u16::from_be_bytes([*first, *second])) % RECENT_SLOTS;
        let Some(slot) = self.recent.get_mut(slot) else { return };
        let Some((known, _)) = slot.id.split_first_chunk_mut::<LEN>() else { return };
        if known == id && slot.named == named {
            return;
        }
        *known = *id;
        slot.named = named;
        self.pending.push(*slot);
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

/// What the tag of `content` names; `None` if git would not take it for a tag: it needs a name too.
pub fn target_of_tag(content: &[u8], hash: gix_hash::Kind) -> Option<(Kind, ObjectId)> {
    let mut tokens = TagRefIter::from_bytes(content, hash);
    let Ok(tag::ref_iter::Token::Target { id }) = tokens.next()? else { return None };
    let Ok(tag::ref_iter::Token::TargetKind(kind)) = tokens.next()? else { return None };
    let read_len = "object \ntype \n".len() + hash.len_in_hex() + kind.as_bytes().len();
    let name = content.get(read_len..)?.strip_prefix(b"tag ")?;
    let _end = name.find_byte(b'\n').filter(|_| content.len() >= hash.len_in_hex() + TAG_LEN_MIN)?;
    Some((kind, id))
}

/// Splits the first entry off a tree with ids of `LEN` bytes. Gives what it names and the rest; a submodule names nothing.
#[inline]
fn split_off_entry<const LEN: usize>(tree: &[u8]) -> Option<(Option<Named>, &[u8; LEN], &[u8])> {
    let mut rest = tree;
    let mode = split_off_mode(&mut rest)?;
    let name_len = rest.find_byte(0).filter(|len| *len > 0)?;
    let behind = rest.get(name_len + 1..)?;
    let (id, rest) = behind.split_first_chunk::<LEN>()?;
    let named = match mode & KIND_OF_ENTRY {
        TREE => Some(Named::Directory),
        SUBMODULE => None,
        _ => Some(Named::File),
    };
    Some((named, id, rest))
}

/// Splits the mode off an entry of a tree, and the space behind it.
#[inline]
fn split_off_mode(rest: &mut &[u8]) -> Option<u32> {
    let mut mode = 0;
    for at in 0..=MODE_LEN_MAX {
        match rest.get(at)? {
            digit @ b'0'..=b'7' => mode = mode << 3 | u32::from(digit - b'0'),
            b' ' if at > 0 => {
                *rest = rest.get(at + 1..)?;
                return Some(mode);
            }
            _ => return None,
        }
    }
    None
}

/// An object is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It names others and cannot be read.
    #[error("{}", Self::unreadable(*.0, .1))]
    Unreadable(Kind, ObjectId),
    /// It is against the rules; which ones was noted.
    #[error("fsck error in packed object")]
    Unfit,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::Links;

    const HASH: gix_hash::Kind = gix_hash::Kind::Sha1;

    fn id(byte: u8) -> ObjectId {
        [byte; 20].into()
    }

    fn links(objects: &[(Kind, &[u8])]) -> Result<Links, Malformed> {
        let found = Found::new(&[], None);
        let mut collector = Collector::new(&found, HASH);
        for (kind, content) in objects {
            collector.collect(&ObjectId::null(HASH), *kind, content)?;
        }
        drop(collector);
        Ok(found.outside(&|known, _| *known == id(7)).into_links())
    }

    #[test]
    fn a_commit_names_its_tree_and_its_parents() {
        let content = format!("tree {}\nparent {}\nparent {}\n\nno author", id(1), id(2), id(3));
        let links = links(&[(Kind::Commit, content.as_bytes())]).unwrap();
        assert_eq!((links.trees, links.commits), (vec![id(1)], vec![id(2), id(3)]));
    }

    #[test]
    fn a_parent_that_is_no_id_is_not_passed_over() {
        for (line, is_read) in [
            ("parent xyz", false),
            ("parent ", false),
            (&format!("parent {}x", id(2)), false),
            (&format!("parent {}\nparent x", id(2)), false),
            ("parent", true),
            ("parents", true),
        ] {
            let content = format!("tree {}\n{line}\nauthor", id(1));
            assert_eq!(links(&[(Kind::Commit, content.as_bytes())]).is_ok(), is_read, "{line}");
        }
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
        let tag = |kind: &str, byte| format!("object {}\ntype {kind}\ntag v1\n", id(byte));
        let tags = [tag("commit", 1), tag("tree", 2), tag("blob", 3), tag("tag", 4)];
        let links = links(&tags.each_ref().map(|tag| (Kind::Tag, tag.as_bytes()))).unwrap();
        assert_eq!((links.commits, links.trees, links.blobs), (vec![id(1)], vec![id(2)], vec![]));
        assert_eq!(links.others, [(id(3), Kind::Blob), (id(4), Kind::Tag)]);
    }

    #[test]
    fn trees_that_break_off_or_have_odd_modes_are_refused() {
        let mut whole = b"100644 b\0".to_vec();
        whole.extend([2; 20]);
        links(&[(Kind::Tree, &whole)]).unwrap();
        for end in 1..whole.len() {
            links(&[(Kind::Tree, &whole[..end])]).unwrap_err();
        }
        for mode in ["", "8", "12345670", "1 0644", "-1"] {
            let mut tree = format!("{mode} b\0").into_bytes();
            tree.extend([2; 19]);
            links(&[(Kind::Tree, &tree)]).unwrap_err();
        }
    }

    #[test]
    fn objects_that_cannot_be_read_are_refused() {
        for kind in [Kind::Commit, Kind::Tree, Kind::Tag] {
            let error = Malformed::Unreadable(kind, ObjectId::null(HASH));
            assert_eq!(links(&[(kind, b"zzz")]).unwrap_err(), error);
        }
    }
}
