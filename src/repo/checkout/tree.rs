//! All files and directories of a tree, in the order of the index.

use bstr::{BString, ByteSlice};
use gix_hash::{ObjectId, oid};
use gix_object::Find;

use super::index::{Entry, Mode, Stat};
use super::path::{self, Protection};
use crate::repo::Error;

/// Directories below each other, as git's `core.maxTreeDepth` has it by default.
const DEPTH_MAX: usize = 2048;
/// Files and directories in all: a tree of few objects can name billions.
const ENTRIES_MAX: usize = 20_000_000;
/// Bytes of all paths together.
const PATHS_BYTES_MAX: usize = 4 << 30;

/// What a tree holds.
#[derive(Debug, Default)]
pub struct Listing {
    /// Files, symbolic links and submodules, sorted by path.
    pub entries: Vec<Entry>,
    /// The directories, each behind the one it lies in; the first is the top.
    pub directories: Vec<Directory>,
}

/// One tree object in its place.
#[derive(Debug)]
pub struct Directory {
    /// The last component of its path; empty for the top.
    pub name: BString,
    /// The place in [`Listing::directories`] of the directory it lies in; its own for the top.
    pub parent: usize,
    /// The tree.
    pub id: ObjectId,
    /// Index entries below it.
    pub entry_count: usize,
    /// Whether the index gives this very tree again: it does not for trees that are out of order, have modes of old or
    /// hold empty trees.
    pub is_exact: bool,
}

/// Why a tree cannot be listed.
#[derive(Debug)]
pub enum Failure {
    /// It names a file that must not be made.
    Path(BString),
    /// It cannot be read.
    Other(Error),
}

/// Lists `tree` with everything below it.
pub fn list(objects: &dyn Find, tree: &oid, protection: Protection) -> Result<Listing, Failure> {
    let mut walk =
        Walk { objects, protection, listing: Listing::default(), path: BString::default(), paths_bytes: 0 };
    let mut frames = vec![walk.open(tree, BString::default(), 0)?];
    while let Some(frame) = frames.last_mut() {
        walk.path.truncate(frame.path_len);
        let Some(raw) = frame.rest.next() else {
            walk.close(frame);
            frames.pop();
            continue;
        };
        let parent = frame.directory;
        walk.append(&raw)?;
        match raw.mode {
            Some(mode) => walk.add(mode, raw.id)?,
            None if frames.len() < DEPTH_MAX => frames.push(walk.open(&raw.id, raw.name, parent)?),
            None => return Err(refused("exceeded maximum allowed tree depth")),
        }
    }
    let mut listing = walk.listing;
    if !listing.entries.is_sorted_by(|a, b| a.path < b.path) {
        listing.entries.sort_by(|a, b| a.path.cmp(&b.path));
    }
    let paths = listing.entries.iter().map(|entry| &entry.path);
    conflict(paths).map_or(Ok(listing), |path| Err(Failure::Path(path)))
}

/// The state of a walk besides its stack.
struct Walk<'a> {
    objects: &'a dyn Find,
    protection: Protection,
    listing: Listing,
    /// Of the entry in hand.
    path: BString,
    paths_bytes: usize,
}

/// A directory that is being walked.
struct Frame {
    directory: usize,
    /// The number of entries before its first.
    start: usize,
    path_len: usize,
    rest: std::vec::IntoIter<Raw>,
}

/// An entry of a tree object.
struct Raw {
    name: BString,
    /// `None` for a tree.
    mode: Option<Mode>,
    id: ObjectId,
}

impl Walk<'_> {
    /// Reads `tree`, whose path is the current one.
    fn open(&mut self, tree: &oid, name: BString, parent: usize) -> Result<Frame, Failure> {
        let mut buffer = Vec::new();
        let data = match self.objects.try_find(tree, &mut buffer) {
            Ok(Some(object)) if object.kind == gix_object::Kind::Tree => object.data,
            Ok(_) if tree.is_empty_tree() => &[],
            Ok(Some(_)) => return Err(broken(format!("not a tree object: {tree}"))),
            Ok(None) => return Err(broken(format!("unable to read tree ({tree})"))),
            Err(error) => return Err(broken(format!("unable to read tree ({tree}): {error}"))),
        };
        let (entries, is_exact) = parse(data, tree.kind()).map_err(|reason| broken(reason.to_owned()))?;
        let directory = self.listing.directories.len();
        self.count()?;
        self.listing.directories.push(Directory {
            name,
            parent,
            id: tree.to_owned(),
            entry_count: 0,
            is_exact,
        });
        let start = self.listing.entries.len();
        Ok(Frame { directory, start, path_len: self.path.len(), rest: entries.into_iter() })
    }

    /// Settles what is known of a directory once it is walked.
    fn close(&mut self, frame: &Frame) {
        let entry_count = self.listing.entries.len() - frame.start;
        let Some(directory) = self.listing.directories.get_mut(frame.directory) else { return };
        directory.entry_count = entry_count;
        let (parent, is_exact) = (directory.parent, directory.is_exact && entry_count > 0);
        if let Some(parent) = self.listing.directories.get_mut(parent)
            && frame.directory > 0
        {
            parent.is_exact &= is_exact;
        }
    }

    /// Makes `raw` the current path, if it is a safe one.
    fn append(&mut self, raw: &Raw) -> Result<(), Failure> {
        if !self.path.is_empty() {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(&raw.name);
        if path::is_safe(raw.name.as_bstr(), raw.mode == Some(Mode::Symlink), self.protection) {
            return Ok(());
        }
        if raw.mode.is_none() {
            self.append_first(raw.id);
        }
        Err(Failure::Path(self.path.clone()))
    }

    /// Goes on to the first file below the directory that is the current path: git speaks of files alone.
    fn append_first(&mut self, mut tree: ObjectId) {
        let mut buffer = Vec::new();
        for _ in 0..DEPTH_MAX {
            let Ok(Some(object)) = self.objects.try_find(&tree, &mut buffer) else { return };
            let Ok((entries, _)) = parse(object.data, tree.kind()) else { return };
            let Some(first) = entries.into_iter().next() else { return };
            self.path.push(b'/');
            self.path.extend_from_slice(&first.name);
            if first.mode.is_some() {
                return;
            }
            tree = first.id;
        }
    }

    /// Lists the current path.
    fn add(&mut self, mode: Mode, id: ObjectId) -> Result<(), Failure> {
        self.count()?;
        self.listing.entries.push(Entry {
            path: self.path.clone(),
            mode,
            id,
            stat: Stat::default(),
            is_skipped: false,
        });
        Ok(())
    }

    /// Counts one more file or directory, and the bytes of its path.
    fn count(&mut self) -> Result<(), Failure> {
        self.paths_bytes += self.path.len();
        let count = self.listing.entries.len() + self.listing.directories.len();
        if count >= ENTRIES_MAX || self.paths_bytes > PATHS_BYTES_MAX {
            return Err(refused("tree has too many entries"));
        }
        Ok(())
    }
}

/// The entries of a tree object, and whether git would write them just so; otherwise what is wrong, in git's words.
fn parse(mut data: &[u8], kind: gix_hash::Kind) -> Result<(Vec<Raw>, bool), &'static str> {
    let mut entries: Vec<Raw> = Vec::new();
    let mut is_exact = true;
    while !data.is_empty() {
        let (digits, rest) = data.split_once_str(b" ").ok_or("too-short tree object")?;
        let (name, rest) = rest.split_once_str(b"\0").ok_or("too-short tree object")?;
        let (id, rest) = rest.split_at_checked(kind.len_in_bytes()).ok_or("too-short tree object")?;
        if name.is_empty() {
            return Err("empty filename in tree entry");
        }
        let (mode, is_exact_mode) = parse_mode(digits).ok_or("malformed mode in tree entry")?;
        let id = ObjectId::try_from(id).map_err(|_| "too-short tree object")?;
        let raw = Raw { name: name.into(), mode, id };
        is_exact &= is_exact_mode && entries.last().is_none_or(|last| sort_key(last).lt(sort_key(&raw)));
        entries.push(raw);
        data = rest;
    }
    Ok((entries, is_exact))
}

/// The mode that `digits` mean, `None` for a tree, and whether git writes it so; as git reads odd ones.
fn parse_mode(digits: &[u8]) -> Option<(Option<Mode>, bool)> {
    const DIGITS_MAX: usize = 10;
    if digits.is_empty()
        || digits.len() > DIGITS_MAX
        || !digits.iter().all(|digit| (b'0'..=b'7').contains(digit))
    {
        return None;
    }
    let bits = digits.iter().fold(0_u32, |bits, digit| (bits << 3) | u32::from(digit - b'0'));
    let mode = match bits & 0o170_000 {
        0o040_000 => return Some((None, digits == b"40000")),
        0o100_000 if bits & 0o100 != 0 => Mode::Executable,
        0o100_000 => Mode::File,
        0o120_000 => Mode::Symlink,
        _ => Mode::Gitlink,
    };
    Some((Some(mode), digits == format!("{:o}", mode.bits()).as_bytes()))
}

/// What the entries of a tree are sorted by.
fn sort_key(raw: &Raw) -> impl Iterator<Item = u8> + '_ {
    raw.name.iter().copied().chain(raw.mode.is_none().then_some(b'/'))
}

/// A path that is twice among sorted `paths`, or once as a file and once as a directory.
pub fn conflict<'a>(paths: impl Iterator<Item = &'a BString>) -> Option<BString> {
    let mut open: Vec<&BString> = Vec::new();
    for path in paths {
        while open.last().is_some_and(|prefix| !path.starts_with(prefix)) {
            open.pop();
        }
        let is_inside = |prefix: &&BString| matches!(path.get(prefix.len()), None | Some(b'/'));
        if let Some(prefix) = open.iter().copied().find(is_inside) {
            return Some(prefix.clone());
        }
        open.push(path);
    }
    None
}

fn broken(reason: String) -> Failure {
    Failure::Other(Error::Object(reason))
}

fn refused(reason: &str) -> Failure {
    Failure::Other(Error::Refused(reason.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_that_is_cut_anywhere_is_an_error_or_shorter() {
        let whole = [b"100644 a\0".as_slice(), &[1; 20], b"40000 b\0", &[2; 20]].concat();
        for len in 0..whole.len() {
            let parsed = parse(&whole[..len], gix_hash::Kind::Sha1);
            assert_eq!(parsed.is_ok(), len == 0 || len == 29, "at {len}");
        }
        let (entries, is_exact) = parse(&whole, gix_hash::Kind::Sha1).expect("whole");
        assert_eq!((entries.len(), is_exact), (2, true));
    }

    #[test]
    fn odd_modes_are_read_as_git_does() {
        assert_eq!(parse_mode(b"100664"), Some((Some(Mode::File), false)));
        assert_eq!(parse_mode(b"100755"), Some((Some(Mode::Executable), true)));
        assert_eq!(parse_mode(b"040000"), Some((None, false)));
        assert_eq!(parse_mode(b"60000"), Some((Some(Mode::Gitlink), false)));
        assert_eq!(parse_mode(b"10068"), None);
        assert_eq!(parse_mode(b""), None);
    }

    #[test]
    fn a_file_that_is_also_a_directory_is_found_across_its_neighbours() {
        let paths = |paths: &[&str]| {
            let paths: Vec<BString> = paths.iter().map(|path| BString::from(*path)).collect();
            conflict(paths.iter())
        };
        assert_eq!(paths(&["a", "a.", "a.b", "a/x"]), Some("a".into()));
        assert_eq!(paths(&["a", "a"]), Some("a".into()));
        assert_eq!(paths(&["a", "a.", "a.b/x", "ab/x", "b"]), None);
    }
}
