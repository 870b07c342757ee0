//! What was visited in each directory last.
//!
//! From one commit to the next a tree changes in few places, and what did not change has been visited. So a tree is
//! compared with the version of it that was visited before, entry by entry, and only what differs is looked up in the
//! sets of the walk. Of a history with large directories that is one entry in hundreds.

use std::collections::HashMap;

use super::boundary::Place;
use super::tree::{self, Entry};

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

/// How many trees are kept of one directory. With four, which find more where a walk goes to and fro between branches, a clone
/// of git.git took half as long again: comparing costs more than looking up.
const KEPT_PER_DIRECTORY_MAX: usize = 1;

/// The trees that were visited last.
#[derive(Default)]
pub(super) struct Versions {
    /// Of each directory the latest first.
    trees: HashMap<Directory, Vec<Vec<u8>>>,
    kept_bytes: usize,
}

impl Versions {
    /// The versions of `directory` that were visited last, for the next one to be compared with.
    pub fn take(&mut self, directory: Directory) -> Version {
        let trees = self.trees.remove(&directory).unwrap_or_default();
        self.kept_bytes -= trees.iter().map(Vec::capacity).sum::<usize>();
        Version { trees: trees.into_iter().map(|content| Tree { content, used: 0 }).collect() }
    }

    /// Everything in `content` was visited, as in what was taken before. Gives back a buffer that is of no use here.
    pub fn put(&mut self, directory: Directory, content: Vec<u8>, version: Version) -> Option<Vec<u8>> {
        let mut trees = vec![content];
        trees.extend(version.trees.into_iter().map(|tree| tree.content));
        // the same directory may have been visited below itself
        trees.extend(self.trees.remove(&directory).unwrap_or_default());
        let mut spare = None;
        while trees.len() > KEPT_PER_DIRECTORY_MAX {
            spare = trees.pop();
        }
        let mut bytes = trees.iter().map(Vec::capacity).sum::<usize>();
        while self.kept_bytes + bytes > KEPT_BYTES_MAX
            && let Some(tree) = trees.pop()
        {
            bytes -= tree.capacity();
            spare = Some(tree);
        }
        self.kept_bytes += bytes;
        self.trees.insert(directory, trees);
        spare
    }
}

/// Trees that were visited, which another one is compared with from the first entry to the last.
#[derive(Default)]
pub(super) struct Version {
    trees: Vec<Tree>,
}

struct Tree {
    content: Vec<u8>,
    used: usize,
}

impl Version {
    /// Whether `entry`, whose bytes are `bytes`, stands here too. What has it is asked first from then on.
    pub fn has(&mut self, bytes: &[u8], entry: &Entry<'_>) -> bool {
        let found = self.trees.iter_mut().position(|tree| tree.has(bytes, entry));
        if let Some(at) = found
            && at > 0
        {
            self.trees.swap(0, at);
        }
        found.is_some()
    }
}

impl Tree {
    fn has(&mut self, bytes: &[u8], entry: &Entry<'_>) -> bool {
        loop {
            let Some(mut rest) = self.content.get(self.used..).filter(|rest| !rest.is_empty()) else {
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

    /// The names in `new` that are looked up after `old` was visited.
    fn changed(old: &[(&str, u8)], new: &[(&str, u8)]) -> Vec<String> {
        let directory = Directory { place: None, name_hash: 7 };
        let mut versions = Versions::default();
        assert!(versions.put(directory, tree(old), Version::default()).is_none());
        let mut version = versions.take(directory);
        assert_eq!(versions.kept_bytes, 0);
        let content = tree(new);
        let (mut rest, mut found) = (content.as_slice(), Vec::new());
        while !rest.is_empty() {
            let begin = rest;
            let entry = tree::next_entry(&mut rest, 20).unwrap();
            if !version.has(&begin[..begin.len() - rest.len()], &entry) {
                found.push(String::from_utf8(entry.name.to_vec()).unwrap());
            }
        }
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
            let version = versions.take(directory);
            let spare = versions.put(directory, tree(&[("100644 a", id)]), version);
            assert_eq!(spare.is_some(), usize::from(id) >= KEPT_PER_DIRECTORY_MAX);
        }
        assert_eq!(versions.take(directory).trees.len(), KEPT_PER_DIRECTORY_MAX);
        assert_eq!(versions.kept_bytes, 0);
        let large = vec![0; KEPT_BYTES_MAX + 1];
        assert!(versions.put(directory, large, Version::default()).is_some());
    }

    #[test]
    fn a_directory_among_files_of_its_name_costs_no_more_than_a_look() {
        let old = [("40000 foo", 1), ("100644 z", 2)];
        let new = [("100644 foo.c", 3), ("40000 foo", 1), ("100644 z", 2)];
        assert_eq!(changed(&old, &new), ["foo.c", "foo"]);
    }
}
