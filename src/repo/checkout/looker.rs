//! Looks at the files of a work tree: whether they are as the index has them.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use bstr::{BStr, ByteSlice};

use super::filter::Filters;
use super::index::{Entry, Mode, Stat};
use crate::progress::Progress;
use crate::repo::Error;
use crate::repo::object::Objects;

/// Looks at the files of the work tree.
pub(super) struct Looker<'a> {
    pub(super) top: &'a Path,
    pub(super) objects: &'a Objects,
    /// What is done to content that is added.
    pub(super) filters: Option<Filters>,
    /// When the index was written: a file that is not older may have changed since without a trace.
    pub(super) written_at: Option<(u32, u32)>,
    /// Hears what filters complain of.
    pub(super) progress: &'a mut dyn Progress,
}

impl Looker<'_> {
    /// Whether the file of `entry` is there, and as the index has it.
    pub(super) fn is_unchanged(&mut self, entry: &Entry) -> Result<bool, Error> {
        Ok(fs::symlink_metadata(self.full(entry.path.as_bstr())).is_ok() && self.is_clean(entry)?)
    }

    /// Whether the file of `entry` is as the index has it, or gone.
    pub(super) fn is_clean(&mut self, entry: &Entry) -> Result<bool, Error> {
        let path = self.full(entry.path.as_bstr());
        if self.has_odd_parent(entry.path.as_bstr()) {
            return Ok(false);
        }
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) => return Ok(error.kind() == io::ErrorKind::NotFound),
        };
        if !is_kind(&metadata, entry.mode) {
            return Ok(false);
        }
        let is_older = self.written_at.is_some_and(|written_at| entry.stat.mtime < written_at);
        if is_older && Stat::new(&metadata) == entry.stat {
            return Ok(true);
        }
        // another size is another content, whatever filters would say: git asks them where the size is the same, or not known
        if entry.stat.size != 0 && Stat::new(&metadata).size != entry.stat.size {
            return Ok(false);
        }
        self.is_as_stored(entry, &path, &metadata)
    }

    /// Whether the blob of `entry` is what the file would be if it were added.
    fn is_as_stored(&mut self, entry: &Entry, path: &Path, metadata: &Metadata) -> Result<bool, Error> {
        if entry.mode == Mode::Gitlink {
            return Ok(true);
        }
        let content = if metadata.is_symlink() {
            fs::read_link(path).map(|to| to.into_os_string().into_encoded_bytes())
        } else {
            fs::read(path)
        };
        let Ok(mut content) = content else { return Ok(false) };
        if let Some(filters) = self.filters.as_mut().filter(|_| !metadata.is_symlink()) {
            content = filters.clean(self.objects, entry, content, self.progress)?;
        }
        let id = gix_object::compute_hash(entry.id.kind(), gix_object::Kind::Blob, &content);
        Ok(id.is_ok_and(|id| id == entry.id))
    }

    /// Whether something above `path` is a link or a file.
    fn has_odd_parent(&self, path: &BStr) -> bool {
        let mut parents = path.find_iter(b"/").filter_map(|end| path.get(..end));
        parents.any(|above| {
            fs::symlink_metadata(self.full(above.as_bstr())).is_ok_and(|metadata| !metadata.is_dir())
        })
    }

    pub(super) fn full(&self, path: &BStr) -> PathBuf {
        self.top.join(path.to_path_lossy())
    }
}

/// Whether the file is of the kind that the index says.
fn is_kind(metadata: &Metadata, mode: Mode) -> bool {
    match mode {
        Mode::Symlink => metadata.is_symlink(),
        Mode::File => metadata.is_file() && !is_executable(metadata),
        Mode::Executable => metadata.is_file() && is_executable(metadata),
        Mode::Gitlink => metadata.is_dir(),
    }
}

#[cfg(unix)]
fn is_executable(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o100 != 0
}

#[cfg(not(unix))]
fn is_executable(_metadata: &Metadata) -> bool {
    false
}
