//! What was visited in each directory last.
//!
//! From one commit to the next a tree changes in few places, and what did not change has been visited. So a tree is
//! compared with the version of it that was visited before, and only what differs is read and looked up in the sets of the
//! walk. Of a history with large directories that is one entry in hundreds.
//!
//! One version of each directory is kept. With four, which find more where a walk goes to and fro between branches, a clone of
//! git.git took half as long again: comparing costs more than looking up.

use std::collections::HashMap;

use super::boundary::Place;
use super::ids::Seed;
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

/// A tree, all of which was visited.
#[derive(Default)]
struct Tree {
    content: Vec<u8>,
    /// Where its entries begin, in order.
    starts: Vec<u32>,
}

impl Tree {
    fn bytes(&self) -> usize {
        self.content.capacity() + self.starts.capacity() * size_of::<u32>()
    }
}

/// The trees that were visited last.
#[derive(Default)]
pub(super) struct Versions {
    trees: HashMap<Directory, Tree, Seed>,
    kept_bytes: usize,
}

impl Versions {
    /// The version of `directory` that was visited last, for the next one to be compared with.
    pub fn take(&mut self, directory: Directory) -> Version {
        let old = self.trees.remove(&directory).unwrap_or_default();
        self.kept_bytes -= old.bytes();
        Version { old, used: 0, starts: Vec::new() }
    }

    /// Everything in `content` was visited, compared with `version`. Gives back a buffer that is of no use here.
    pub fn put(&mut self, directory: Directory, content: Vec<u8>, version: Version) -> Vec<u8> {
        let tree = Tree { content, starts: version.starts };
        if self.kept_bytes + tree.bytes() > KEPT_BYTES_MAX {
            return tree.content;
        }
        self.kept_bytes += tree.bytes();
        // the same directory may have been visited below itself
        if let Some(tree) = self.trees.insert(directory, tree) {
            self.kept_bytes -= tree.bytes();
        }
        version.old.content
    }
}

/// A tree that was visited, which another one is compared with from the first entry to the last.
#[derive(Default)]
pub(super) struct Version {
    old: Tree,
    /// The bytes of it that are behind us.
    used: usize,
    /// Where the entries of the other begin that were met.
    starts: Vec<u32>,
}

impl Version {
    /// Whole entries at `at` in `content` that stand here too, in bytes; they are met now.
    pub fn skip(&mut self, content: &[u8], at: usize) -> usize {
        let rest = content.get(at..).unwrap_or_default();
        let ours = self.old.content.get(self.used..).unwrap_or_default();
        let alike = common_prefix(ours, rest);
        let first = self.old.starts.partition_point(|start| (*start as usize) < self.used);
        let ahead = self.old.starts.get(first..).unwrap_or_default();
        let reached = self.used + alike;
        let count = ahead.partition_point(|start| (*start as usize) <= reached);
        let (end, count) = match count.checked_sub(1).and_then(|last| ahead.get(last)) {
            _ if alike == ours.len() => (reached, count),
            Some(start) => (*start as usize, count - 1),
            None => return 0,
        };
        let (skipped, used) = (end - self.used, self.used);
        let met = ahead.iter().take(count).map(|start| *start as usize - used + at);
        self.starts.extend(met.map_while(|start| u32::try_from(start).ok()));
        self.used = end;
        skipped
    }

    /// Whether `entry`, whose bytes at `at` are `bytes`, stands here too. It is met now.
    pub fn has(&mut self, at: usize, bytes: &[u8], entry: &Entry<'_>) -> bool {
        self.starts.extend(u32::try_from(at));
        loop {
            let Some(mut rest) = self.old.content.get(self.used..).filter(|rest| !rest.is_empty()) else {
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

    /// A version of which all of `content` is met.
    fn met(content: &[u8], mut version: Version) -> (Version, Vec<String>) {
        let (mut at, mut found) = (0, Vec::new());
        loop {
            at += version.skip(content, at);
            let mut rest = &content[at..];
            if rest.is_empty() {
                return (version, found);
            }
            let entry = tree::next_entry(&mut rest, 20).unwrap();
            let end = content.len() - rest.len();
            if !version.has(at, &content[at..end], &entry) {
                found.push(String::from_utf8(entry.name.to_vec()).unwrap());
            }
            at = end;
        }
    }

    /// Where the entries of `content` begin.
    fn starts(content: &[u8]) -> Vec<u32> {
        let (mut rest, mut starts) = (content, Vec::new());
        while !rest.is_empty() {
            starts.push(u32::try_from(content.len() - rest.len()).unwrap());
            tree::next_entry(&mut rest, 20).unwrap();
        }
        starts
    }

    /// The names in `new` that are looked up after `old` was visited.
    fn changed(old: &[(&str, u8)], new: &[(&str, u8)]) -> Vec<String> {
        let directory = Directory { place: None, name_hash: 7 };
        let mut versions = Versions::default();
        let (version, _) = met(&tree(old), Version::default());
        assert_eq!(version.starts, starts(&tree(old)));
        versions.put(directory, tree(old), version);
        let (version, found) = met(&tree(new), versions.take(directory));
        assert_eq!(versions.kept_bytes, 0);
        assert_eq!(version.starts, starts(&tree(new)));
        found
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
        let directory = Directory { place: None, name_hash: 7 };
        let mut versions = Versions::default();
        for id in 0..9 {
            let (version, _) = met(&tree(&[("100644 a", id)]), versions.take(directory));
            let spare = versions.put(directory, tree(&[("100644 a", id)]), version);
            assert_eq!(spare, if id == 0 { Vec::new() } else { tree(&[("100644 a", id - 1)]) });
        }
        assert_eq!(versions.take(directory).old.content, tree(&[("100644 a", 8)]));
        assert_eq!(versions.kept_bytes, 0);
        let large = vec![0; KEPT_BYTES_MAX + 1];
        assert_eq!(versions.put(directory, large, Version::default()).len(), KEPT_BYTES_MAX + 1);
        assert_eq!(versions.kept_bytes, 0);
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
