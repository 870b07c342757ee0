//! What was visited in each directory last.
//!
//! From one commit to the next a tree changes in few places, and what did not change has been visited. So a tree is
//! compared with the version of it that was visited before, and only what differs is looked up in the sets of the
//! walk. Where a pack says how a tree came about from another (`packed.rs`) that is not needed.
//!
//! One version of each directory is kept. With four, which find more where a walk goes to and fro between branches, a clone of
//! git.git took half as long again: comparing costs more than looking up.

use std::collections::HashMap;
use std::rc::Rc;

use super::boundary::Place;
use super::ids::Seed;
use super::packed::Tree;
use super::tree::{self, Entry};
use crate::pack::delta::common_prefix;

/// Memory for what is kept, in bytes: directories beyond are looked up as a whole.
const KEPT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A directory. Two of the same hash spoil the comparison, not the result: what was visited was visited.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Directory {
    /// What it is compared with at the receiver: what is below is visited again for another one.
    pub place: Option<Place>,
    /// The hash of its path.
    pub name_hash: u32,
}

/// The trees that were visited last, all of each.
#[derive(Default)]
pub(super) struct Versions {
    trees: HashMap<Directory, Rc<Tree>, Seed>,
    kept_bytes: usize,
}

impl Versions {
    /// Puts into `fresh` where the entries of `content` begin that the version of `directory` does not have which was visited
    /// last; `None` if `content` cannot be read.
    pub fn compare(
        &self,
        directory: Directory,
        content: &[u8],
        id_len: usize,
        fresh: &mut Vec<u32>,
    ) -> Option<()> {
        let mut version = Version { old: self.trees.get(&directory).map(Rc::as_ref), used: 0 };
        let mut at = 0;
        loop {
            at += version.skip(content.get(at..)?);
            let begin = content.get(at..)?;
            if begin.is_empty() {
                return Some(());
            }
            let mut rest = begin;
            let entry = tree::next_entry(&mut rest, id_len)?;
            let bytes = begin.get(..begin.len() - rest.len())?;
            if !version.has(bytes, &entry) {
                fresh.push(u32::try_from(at).ok()?);
            }
            at += bytes.len();
        }
    }

    /// Everything in `tree` was visited.
    pub fn put(&mut self, directory: Directory, tree: Rc<Tree>) {
        if let Some(old) = self.trees.remove(&directory) {
            self.kept_bytes -= old.bytes();
        }
        if self.kept_bytes + tree.bytes() <= KEPT_BYTES_MAX {
            self.kept_bytes += tree.bytes();
            self.trees.insert(directory, tree);
        }
    }
}

/// A tree that was visited, which another one is compared with from the first entry to the last.
struct Version<'a> {
    old: Option<&'a Tree>,
    /// The bytes of it that are behind us.
    used: usize,
}

impl Version<'_> {
    /// Whole entries in front of `rest` that stand here too, in bytes; they are met now.
    fn skip(&mut self, rest: &[u8]) -> usize {
        let Some(old) = self.old else { return 0 };
        let alike = common_prefix(old.content.get(self.used..).unwrap_or_default(), rest);
        let end = old.starts.last(self.used, self.used + alike).unwrap_or(self.used);
        let skipped = end - self.used;
        self.used = end;
        skipped
    }

    /// Whether `entry`, whose bytes are `bytes`, stands here too. It is met now.
    fn has(&mut self, bytes: &[u8], entry: &Entry<'_>) -> bool {
        let Some(old) = self.old else { return false };
        loop {
            let Some(mut rest) = old.content.get(self.used..).filter(|rest| !rest.is_empty()) else {
                return false;
            };
            if rest.starts_with(bytes) {
                self.used += bytes.len();
                return true;
            }
            let before = rest.len();
            let Some(ours) = tree::next_entry(&mut rest, entry.id.len()) else { return false };
            // Directories are sorted as if a slash stood behind their names. Not minding that loses an entry at times,
            // which is looked up then.
            if ours.name > entry.name {
                return false;
            }
            let is_changed = ours.name == entry.name;
            self.used += before - rest.len();
            if is_changed {
                return false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(entries: &[(&str, u8)]) -> Vec<u8> {
        let entry = |(head, id): &(&str, u8)| [head.as_bytes(), b"\0", &[*id; 20]].concat();
        entries.iter().flat_map(entry).collect()
    }

    const DIRECTORY: Directory = Directory { place: None, name_hash: 7 };

    fn put(versions: &mut Versions, content: Vec<u8>) {
        versions.put(DIRECTORY, Rc::new(Tree::new(content, 20)));
    }

    /// The names in `new` that are looked up after `old` was visited.
    fn changed(old: &[(&str, u8)], new: &[(&str, u8)]) -> Vec<String> {
        let (mut versions, mut fresh) = (Versions::default(), Vec::new());
        put(&mut versions, tree(old));
        let content = tree(new);
        versions.compare(DIRECTORY, &content, 20, &mut fresh).unwrap();
        let name = |at: &u32| {
            let entry = tree::next_entry(&mut &content[*at as usize..], 20).unwrap();
            String::from_utf8(entry.name.to_vec()).unwrap()
        };
        fresh.iter().map(name).collect()
    }

    #[test]
    fn only_what_differs_is_looked_up() {
        let old = [("100644 a", 1), ("100644 c", 2), ("40000 d", 3), ("100644 e", 4)];
        assert_eq!(changed(&old, &old), [""; 0]);
        assert_eq!(changed(&old, &old[1..]), [""; 0]);
        assert_eq!(changed(&[], &old), ["a", "c", "d", "e"]);
        assert_eq!(changed(&old, &[("100644 a", 1), ("100644 b", 2), ("100644 e", 4)]), ["b"]);
        assert_eq!(changed(&old, &[("100755 a", 1), ("100644 c", 9), ("40000 d", 3)]), ["a", "c"]);
    }

    #[test]
    fn what_is_kept_has_limits() {
        let mut versions = Versions::default();
        for id in 0..9 {
            put(&mut versions, tree(&[("100644 a", id)]));
        }
        assert_eq!(versions.trees.len(), 1);
        assert_eq!(versions.trees[&DIRECTORY].content, tree(&[("100644 a", 8)]));
        assert_eq!(versions.kept_bytes, versions.trees[&DIRECTORY].bytes());
        put(&mut versions, vec![0; KEPT_BYTES_MAX + 1]);
        assert_eq!((versions.trees.len(), versions.kept_bytes), (0, 0));
    }

    #[test]
    fn a_tree_that_breaks_off_cannot_be_read() {
        let mut content = tree(&[("100644 a", 1), ("100644 b", 2)]);
        content.pop();
        assert_eq!(Versions::default().compare(DIRECTORY, &content, 20, &mut Vec::new()), None);
    }

    #[test]
    fn long_trees_are_compared_in_blocks() {
        let names: Vec<String> = (100..400).map(|number| format!("100644 file{number}")).collect();
        let old: Vec<(&str, u8)> = names.iter().map(|name| (name.as_str(), 1)).collect();
        for at in (0..old.len()).step_by(23) {
            let mut new = old.clone();
            new[at].1 = 2;
            assert_eq!(changed(&old, &new), [&names[at][7..]]);
            new.remove(at);
            assert_eq!(changed(&old, &new), [""; 0]);
            assert_eq!(changed(&new, &old), [&names[at][7..]]);
        }
    }

    #[test]
    fn a_directory_among_files_of_its_name_costs_no_more_than_a_look() {
        let old = [("40000 foo", 1), ("100644 z", 2)];
        let new = [("100644 foo.c", 3), ("40000 foo", 1), ("100644 z", 2)];
        assert_eq!(changed(&old, &new), ["foo.c", "foo"]);
    }
}
