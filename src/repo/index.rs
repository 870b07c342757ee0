//! The index, as far as a transport has to know it: which submodules and which objects are in it. gitformat-index(5).

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;

use super::reference::WorkTrees;
use super::{Error, Repository};

/// Signature, version and number of entries.
const HEAD_LEN: usize = 12;
/// What stands in front of the hash of an entry: two time stamps, device, inode, mode, owner, group, size.
const STAT_BYTES: usize = 40;
/// Where the mode is among these.
const MODE_OFFSET: usize = 24;
/// The mode of a submodule, with the bits of permissions masked out.
const GITLINK: u32 = 0o160_000;
/// Entries without path compression fill up to a multiple of this.
const ALIGNMENT: usize = 8;
/// The flag of an entry with two more bytes of flags.
const EXTENDED: u16 = 0x4000;
/// The flags that tell the stage: above 0 it is one side of a conflict.
const STAGE: u16 = 0x3000;

/// What the index has at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Indexed {
    /// No file.
    Nothing,
    /// A file.
    Blob(ObjectId),
    /// The sides of a conflict.
    Unmerged,
}

impl Repository {
    /// Refuses an index that cannot be read.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] for what is no index.
    pub fn check_index_file(&self) -> Result<(), Error> {
        self.read_index(&self.index_path(), &mut |_| {}).map(drop)
    }

    /// The paths of the submodules in the index; see [`Self::submodules`].
    pub fn gitlinks(&self) -> Result<Vec<BString>, Error> {
        Ok(self.submodules()?.into_iter().map(|(path, _)| path).collect())
    }

    /// The submodules in the index, in its order, and the commit of each; none if there is no index. Of a conflict the first
    /// stage counts. Entries of a shared index (`core.splitIndex`) are not looked for.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] for what is no index.
    pub fn submodules(&self) -> Result<Vec<(BString, ObjectId)>, Error> {
        let path = self.index_path();
        let mut links: Vec<(BString, ObjectId)> = Vec::new();
        self.read_index(&path, &mut |entry| {
            // the stages of a conflict have the path several times
            if entry.is_gitlink && links.last().is_none_or(|(last, _)| last != entry.path) {
                links.push((entry.path.to_owned(), entry.id));
            }
        })?;
        Ok(links)
    }

    /// What the index has at `path`. What a shared index (`core.splitIndex`) has is not looked for.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] for what is no index.
    pub fn indexed_blob(&self, path: &BStr) -> Result<Indexed, Error> {
        let mut found = Indexed::Nothing;
        self.read_index(&self.index_path(), &mut |entry| {
            if entry.path == path && entry.is_unmerged {
                found = Indexed::Unmerged;
            } else if entry.path == path && !entry.is_gitlink {
                found = Indexed::Blob(entry.id);
            }
        })?;
        Ok(found)
    }

    /// The blobs that the index of this work tree names, and those of all others if that is wished for, and the trees that
    /// they are known to make; in no order, some of them twice. What a shared index (`core.splitIndex`) names is among
    /// them. That an object is here is not looked at.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] for what is no index.
    pub fn indexed_objects(&self, which: WorkTrees) -> Result<Vec<ObjectId>, Error> {
        let mut paths = vec![self.index_path()];
        if which == WorkTrees::All {
            paths.extend(self.other_work_trees()?.into_iter().map(|(_, git_dir)| git_dir.join("index")));
        }
        let mut ids = Vec::new();
        while let Some(path) = paths.pop() {
            let extensions = self.read_index(&path, &mut |entry| {
                ids.extend((!entry.is_gitlink).then_some(entry.id));
            })?;
            let broken = || broken(&path);
            ids.extend(trees(&extensions, self.object_hash).ok_or_else(broken)?);
            let shared = shared_index(&extensions, self.object_hash);
            paths.extend(shared.map(|id| path.with_file_name(format!("sharedindex.{id}"))));
        }
        Ok(ids)
    }

    fn index_path(&self) -> PathBuf {
        self.env.path("GIT_INDEX_FILE").unwrap_or_else(|| self.git_path("index"))
    }

    /// Gives `take` the entries of the index at `path`, if there is one, and returns what follows them.
    fn read_index(&self, path: &Path, take: &mut dyn FnMut(Entry<'_>)) -> Result<Vec<u8>, Error> {
        match std::fs::read(path) {
            Ok(data) if data.len() < HEAD_LEN + self.object_hash.len_in_bytes() => {
                // git is at the top of the work tree, and names what is below it from there
                let top = self.work_tree.as_deref().unwrap_or(Path::new(""));
                let shown = path.strip_prefix(top).unwrap_or(path).display();
                Err(Error::Refused(format!("{shown}: index file smaller than expected")))
            }
            Ok(data) => Ok(entries(&data, self.object_hash, take).ok_or_else(|| broken(path))?.to_vec()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(source) => Err(Error::Io { action: "unable to read", path: path.to_owned(), source }),
        }
    }
}

/// An entry of an index.
struct Entry<'a> {
    path: &'a BStr,
    id: ObjectId,
    is_gitlink: bool,
    is_unmerged: bool,
}

fn broken(path: &Path) -> Error {
    Error::Refused(format!("index file corrupt: '{}'", path.display()))
}

/// Gives `take` the entries in `data` and returns what follows them; `None` if it is no index.
fn entries<'a>(data: &'a [u8], hash: gix_hash::Kind, take: &mut dyn FnMut(Entry<'_>)) -> Option<&'a [u8]> {
    let hash_len = hash.len_in_bytes();
    let rest = data.strip_prefix(b"DIRC")?;
    let (version, rest) = take_u32(rest)?;
    let (count, mut rest) = take_u32(rest)?;
    if !(2..=4).contains(&version) {
        return None;
    }
    let mut path = BString::default();
    for _ in 0..count {
        let (mode, _) = take_u32(rest.get(MODE_OFFSET..)?)?;
        let id = ObjectId::try_from(rest.get(STAT_BYTES..STAT_BYTES + hash_len)?).ok()?;
        let flags = rest.get(STAT_BYTES + hash_len..)?;
        let (flags, after) = flags.split_first_chunk::<2>()?;
        let flags = u16::from_be_bytes(*flags);
        let is_extended = version > 2 && flags & EXTENDED != 0;
        let after = after.get(if is_extended { 2 } else { 0 }..)?;
        let name = if version == 4 {
            let (removed, after) = take_varint(after)?;
            let kept = path.len().checked_sub(removed)?;
            path.truncate(kept);
            after
        } else {
            path.clear();
            after
        };
        let end = name.find_byte(0)?;
        path.extend_from_slice(name.get(..end)?);
        let len = rest.len() - name.len() + end;
        let len = if version == 4 { len + 1 } else { (len / ALIGNMENT + 1) * ALIGNMENT };
        rest = rest.get(len..)?;
        let is_gitlink = mode & 0o170_000 == GITLINK;
        take(Entry { path: path.as_bstr(), id, is_gitlink, is_unmerged: flags & STAGE != 0 });
    }
    Some(rest)
}

/// The extension `name` among `extensions`; gitformat-index(5), "Extensions".
fn extension(mut extensions: &[u8], name: [u8; 4]) -> Option<&[u8]> {
    loop {
        let (found, rest) = extensions.split_first_chunk::<4>()?;
        let (len, rest) = take_u32(rest)?;
        let (content, rest) = rest.split_at_checked(usize::try_from(len).ok()?)?;
        if *found == name {
            return Some(content);
        }
        extensions = rest;
    }
}

/// The trees that the entries are known to make, "Cache tree"; `None` if that cannot be read.
fn trees(extensions: &[u8], hash: gix_hash::Kind) -> Option<Vec<ObjectId>> {
    let mut rest = extension(extensions, *b"TREE").unwrap_or_default();
    let mut ids = Vec::new();
    while !rest.is_empty() {
        let (_, behind) = rest.split_once_str("\0")?;
        let (numbers, behind) = behind.split_once_str("\n")?;
        rest = behind;
        // a tree whose files have changed is told by a count below zero, and has no id
        if !numbers.starts_with(b"-") {
            let (id, behind) = rest.split_at_checked(hash.len_in_bytes())?;
            ids.push(ObjectId::try_from(id).ok()?);
            rest = behind;
        }
    }
    Some(ids)
}

/// The index that this one is made of in part, "Split index".
fn shared_index(extensions: &[u8], hash: gix_hash::Kind) -> Option<ObjectId> {
    let id = extension(extensions, *b"link")?.get(..hash.len_in_bytes())?;
    ObjectId::try_from(id).ok().filter(|id| !id.is_null())
}

fn take_u32(data: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = data.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*number), rest))
}

/// How many bytes of the path before are not in the next one: gitformat-pack(5), "offset encoding".
fn take_varint(data: &[u8]) -> Option<(usize, &[u8])> {
    let (mut byte, mut rest) = data.split_first()?;
    let mut number = usize::from(byte & 0x7f);
    while byte & 0x80 != 0 {
        (byte, rest) = rest.split_first()?;
        number = number.checked_add(1)?.checked_mul(128)?.checked_add(usize::from(byte & 0x7f))?;
    }
    Some((number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH_LEN: usize = 20;

    fn gitlinks(data: &[u8]) -> Option<Vec<BString>> {
        let mut links = Vec::new();
        entries(data, gix_hash::Kind::Sha1, &mut |entry| {
            links.extend(entry.is_gitlink.then(|| entry.path.to_owned()));
        })?;
        Some(links)
    }

    fn entry(version: u32, removed: u8, name: &str, mode: u32) -> Vec<u8> {
        let mut entry = vec![0; STAT_BYTES + HASH_LEN + 2];
        entry[MODE_OFFSET..MODE_OFFSET + 4].copy_from_slice(&mode.to_be_bytes());
        if version == 4 {
            entry.push(removed);
        }
        entry.extend_from_slice(name.as_bytes());
        let fill = if version == 4 { 1 } else { ALIGNMENT - entry.len() % ALIGNMENT };
        entry.resize(entry.len() + fill, 0);
        entry
    }

    fn index(version: u32, entries: &[Vec<u8>]) -> Vec<u8> {
        let count = u32::try_from(entries.len()).unwrap();
        let head = [b"DIRC".as_slice(), &version.to_be_bytes(), &count.to_be_bytes()].concat();
        [head, entries.concat()].concat()
    }

    #[test]
    fn submodules_are_found_in_every_version() {
        for version in [2, 3] {
            let entries = [
                entry(version, 0, "a/file", 0o100_644),
                entry(version, 0, "a/sub", 0o160_000),
                entry(version, 0, "sub", 0o160_000),
            ];
            assert_eq!(gitlinks(&index(version, &entries)).unwrap(), ["a/sub", "sub"]);
        }
        let entries =
            [entry(4, 0, "a/file", 0o100_644), entry(4, 4, "sub", 0o160_000), entry(4, 5, "sub", 0o160_000)];
        assert_eq!(gitlinks(&index(4, &entries)).unwrap(), ["a/sub", "sub"]);
    }

    #[test]
    fn an_index_that_is_cut_is_none() {
        for version in [2, 4] {
            let whole = index(version, &[entry(version, 0, "sub", 0o160_000)]);
            for len in 0..whole.len() {
                assert_eq!(gitlinks(&whole[..len]), None, "at {len}");
            }
            assert!(gitlinks(&whole).is_some());
        }
    }
}
