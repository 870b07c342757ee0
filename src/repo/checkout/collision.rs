//! Paths that found something in their place: on a file system that folds case, and where a filter makes files of others.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use bstr::{BStr, BString, ByteSlice};

use super::index::Entry;
use super::work_tree::DeviceInode;

/// A path that found something in its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Taken {
    pub path: BString,
    /// What was there.
    pub device_inode: DeviceInode,
}

/// The paths of `taken` and, for each, the first before it whose file was in its place or, where case is ignored, whose name or
/// that of a directory above differs in case alone; all of `entries`, in their order but for case where it is ignored.
pub(super) fn collided(entries: &[Entry], taken: &[Taken], ignore_case: bool) -> Vec<BString> {
    if taken.is_empty() {
        return Vec::new();
    }
    // An entry that comes later is not meant: a file that is removed leaves its inode to others.
    let with_inode = entries.iter().filter(|entry| entry.stat.device_inode.1 != 0);
    let by_inode = first_by(with_inode.map(|entry| (entry.stat.device_inode, &entry.path)));
    let with_name = entries.iter().filter(|_| ignore_case);
    let by_name = first_by(with_name.clone().map(|entry| (entry.path.to_lowercase(), &entry.path)));
    let by_directory = first_by(with_name.flat_map(|entry| {
        let slashes = entry.path.find_iter("/");
        let above = slashes.filter_map(|slash| entry.path.get(..slash));
        above.map(|directory| (directory.to_lowercase(), &entry.path))
    }));
    let mut found: HashSet<&BStr> = HashSet::new();
    for taken in taken {
        found.insert(taken.path.as_bstr());
        let folded = taken.path.to_lowercase();
        let below = by_directory.get(&folded).filter(|path| ***path < taken.path);
        let others = [by_inode.get(&taken.device_inode), by_name.get(&folded)];
        let first = others.into_iter().flatten().min().filter(|path| ***path < taken.path);
        let first = below.or(first);
        found.extend(first.map(|path| path.as_bstr()));
    }
    let paths = entries.iter().map(|entry| &entry.path).filter(|path| found.contains(path.as_bstr()));
    let mut paths: Vec<BString> = paths.cloned().collect();
    if ignore_case {
        paths.sort_by_cached_key(|path| path.to_lowercase());
    }
    paths
}

/// The first path for each key.
fn first_by<'a, K: Eq + Hash>(rows: impl Iterator<Item = (K, &'a BString)>) -> HashMap<K, &'a BString> {
    let mut first = HashMap::new();
    for (key, path) in rows {
        first.entry(key).or_insert(path);
    }
    first
}
