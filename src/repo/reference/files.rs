//! Where refs are on disk, and one ref read.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;

use super::packed::Packed;
use super::{Reference, Target};
use crate::repo::Error;
use crate::storage::Storage;
use crate::text;

/// Refs that are read one after the other along symbolic refs, as C git does.
pub(super) const SYMREF_DEPTH_MAX: usize = 5;

/// The most bytes of a loose ref that are read; git's own are 4 KiB at most.
const LOOSE_BYTES_MAX: u64 = 64 * 1024;

/// The refs of one work tree.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub git_dir: PathBuf,
    pub common_dir: PathBuf,
    pub object_hash: gix_hash::Kind,
    pub storage: Storage,
}

/// What the file of a ref says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Loose {
    Missing,
    /// There is a directory in its place.
    Directory,
    /// Neither an id nor a symbolic ref.
    Broken,
    Found(Target),
}

impl Files {
    /// The file of the ref `name`.
    pub(super) fn path(&self, name: &BStr) -> PathBuf {
        let (directory, name) = self.place(name);
        directory.join(gix_path(name))
    }

    /// The file of the reflog of `name`.
    pub(super) fn log_path(&self, name: &BStr) -> PathBuf {
        let (directory, name) = self.place(name);
        directory.join("logs").join(gix_path(name))
    }

    /// The git directory that `name` is in and what it is called there: `main-worktree/HEAD` and `worktrees/<id>/HEAD` are
    /// refs of other work trees (git-worktree(1), "Refs").
    pub(super) fn place<'a>(&self, name: &'a BStr) -> (PathBuf, &'a BStr) {
        if let Some(rest) = name.strip_prefix(b"main-worktree/") {
            return (self.common_dir.clone(), rest.as_bstr());
        }
        let linked = name.strip_prefix(b"worktrees/").and_then(|rest| rest.split_once_str("/"));
        match linked {
            Some((id, rest)) => {
                (self.common_dir.join("worktrees").join(gix_path(id.as_bstr())), rest.as_bstr())
            }
            None => (self.base(name).to_owned(), name),
        }
    }

    /// The directory that `name` is relative to.
    pub(super) fn base(&self, name: &BStr) -> &Path {
        if is_per_worktree(name) { &self.git_dir } else { &self.common_dir }
    }

    /// Opens `packed-refs`.
    pub(super) fn packed(&self) -> Result<Packed, Error> {
        Packed::open(&self.common_dir.join("packed-refs"), self.object_hash)
    }

    /// The ref `name`, loose or packed. `packed` is opened if it is needed and not there yet.
    pub(super) fn find(&self, name: &BStr, packed: &mut Option<Packed>) -> Result<Option<Reference>, Error> {
        if !is_valid_name(name) {
            return Ok(None);
        }
        match self.read_loose(name)? {
            Loose::Found(target) => {
                return Ok(Some(Reference { name: name.to_owned(), target, peeled: None }));
            }
            Loose::Broken => return Ok(None),
            Loose::Missing | Loose::Directory => {}
        }
        if !name.starts_with(b"refs/") {
            return Ok(None);
        }
        if packed.is_none() {
            *packed = Some(self.packed()?);
        }
        packed.as_ref().map_or(Ok(None), |packed| packed.find(name))
    }

    /// The id that `name` leads to.
    pub(super) fn resolve(
        &self,
        name: &BStr,
        packed: &mut Option<Packed>,
    ) -> Result<Option<ObjectId>, Error> {
        let mut name = name.to_owned();
        for _ in 0..SYMREF_DEPTH_MAX {
            match self.find(name.as_ref(), packed)? {
                None => return Ok(None),
                Some(Reference { target: Target::Id(id), .. }) => return Ok(Some(id)),
                Some(Reference { target: Target::Symbolic(next), .. }) => name = next,
            }
        }
        Ok(None)
    }

    /// Reads the file of `name`.
    pub(super) fn read_loose(&self, name: &BStr) -> Result<Loose, Error> {
        read_loose_at(&self.path(name), self.object_hash)
    }
}

/// Reads the loose ref at `path`.
pub(super) fn read_loose_at(path: &Path, object_hash: gix_hash::Kind) -> Result<Loose, Error> {
    match read_file(path) {
        Ok(content) => return Ok(parse_loose(&content, object_hash).map_or(Loose::Broken, Loose::Found)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Loose::Missing);
        }
        Err(_) => {}
    }
    // before symbolic refs were files they were symbolic links; git still reads these
    if let Ok(link) = std::fs::read_link(path) {
        let link = path_bytes(&link);
        if link.starts_with(b"refs/") && is_valid_name(link.as_ref()) {
            return Ok(Loose::Found(Target::Symbolic(link)));
        }
    }
    match File::open(path).and_then(read_content) {
        Ok(content) => Ok(parse_loose(&content, object_hash).map_or(Loose::Broken, Loose::Found)),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(Loose::Missing),
            io::ErrorKind::IsADirectory => Ok(Loose::Directory),
            _ if path.is_dir() => Ok(Loose::Directory),
            _ => Err(Error::Io { action: "unable to read", path: path.to_owned(), source: error }),
        },
    }
}

/// Reads the file at `path`; an error if there is a symbolic link in its place.
#[cfg(unix)]
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    use rustix::fs::{Mode, OFlags, open};
    let file = open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())?;
    read_content(file.into())
}

#[cfg(not(unix))]
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    if path.is_symlink() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    File::open(path).and_then(read_content)
}

fn read_content(file: File) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.take(LOOSE_BYTES_MAX).read_to_end(&mut content)?;
    Ok(content)
}

/// Whether each work tree has a ref of this name of its own (git-worktree(1), "Refs").
pub(super) fn is_per_worktree(name: &BStr) -> bool {
    const OWN: [&[u8]; 3] = [b"refs/bisect/", b"refs/worktree/", b"refs/rewritten/"];
    !name.starts_with(b"refs/") || OWN.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether git accepts the name (git-check-ref-format(1), with one level allowed).
pub(super) fn is_valid_name(name: &BStr) -> bool {
    name != "@" && text::is_partial_ref_name(name)
}

/// The bytes of a path, with slashes.
pub(super) fn path_bytes(path: &Path) -> BString {
    let bytes = <Vec<u8> as bstr::ByteVec>::from_path_lossy(path).into_owned();
    if cfg!(windows) { bytes.replace(b"\\", b"/").into() } else { bytes.into() }
}

fn gix_path(name: &BStr) -> PathBuf {
    name.to_path_lossy().into_owned()
}

fn parse_loose(content: &[u8], object_hash: gix_hash::Kind) -> Option<Target> {
    if let Some(target) = content.strip_prefix(b"ref:") {
        let target = target.trim_ascii().as_bstr();
        return is_valid_name(target).then(|| Target::Symbolic(target.to_owned()));
    }
    let (hex, after) = content.split_at_checked(object_hash.len_in_hex())?;
    if after.first().is_some_and(|byte| !byte.is_ascii_whitespace()) {
        return None;
    }
    text::id_of_hex(hex).map(Target::Id)
}
