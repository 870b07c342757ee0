//! Taking index and work tree from one commit to another without losing what the user changed: git-read-tree(1), "Two
//! Tree Merge", for what is neither sparse nor split.
//!
//! Everything is checked before anything changes. What cannot be told to be as it was counts as changed.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use bstr::{BStr, BString, ByteSlice};
use gix_hash::oid;
use gix_object::FindExt;

use super::filter::{Converted, Filters};
use super::index::{self, Entry, Mode, Stat, read};
use super::write::{self, How};
use super::{Options, Outcome, Place, open, tree};
use crate::progress::Progress;
use crate::repo::{Error, Repository};

/// What became of it.
#[derive(Debug)]
pub enum Forwarded {
    /// Index and work tree are those of the new commit, with the changes of the user. If there are errors, files could not
    /// be written, and the index is as it was.
    Done(Outcome),
    /// Nothing was changed, since these would be lost.
    Blocked(Blocked),
    /// Nothing was changed: index, work tree or commits hold what this cannot do, such as submodules that change.
    Special,
}

/// What would be lost.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Blocked {
    /// Files of the old commit with changes, in the index or in the work tree.
    pub changed: Vec<BString>,
    /// Files that git does not know, once for each path that they are in the way of.
    pub untracked: Vec<BString>,
    /// Directories with such files, where a file is to be.
    pub directories: Vec<BString>,
}

/// One path in the old commit, the new one and the index.
#[derive(Default)]
struct Row<'a> {
    old: Option<&'a Entry>,
    new: Option<&'a Entry>,
    index: Option<&'a Entry>,
}

/// What is done, by path.
#[derive(Default)]
struct Plan {
    kept: Vec<Entry>,
    removed: Vec<BString>,
    written: Vec<Entry>,
    blocked: Blocked,
    is_special: bool,
}

impl Repository {
    /// Takes index and work tree from the tree `from` to the tree `to`.
    ///
    /// # Errors
    ///
    /// If a tree or the index cannot be read, or the index is locked.
    pub fn forward(&self, from: &oid, to: &oid, progress: &mut dyn Progress) -> Result<Forwarded, Error> {
        let Some(work_tree) = &self.work_tree else {
            return Err(Error::Refused("this operation must be run in a work tree".to_owned()));
        };
        if self.config.boolean("core.sparseCheckout")?.unwrap_or(false) {
            return Ok(Forwarded::Special);
        }
        let place = Place {
            git_dir: &self.git_dir,
            work_tree,
            objects_dir: &self.objects_dir,
            object_hash: self.object_hash,
        };
        forward(&place, [from, to], &self.checkout_options()?, progress)
    }
}

/// Does what [`Repository::forward`] says, with everything given.
pub fn forward(
    place: &Place<'_>,
    [from, to]: [&oid; 2],
    options: &Options,
    progress: &mut dyn Progress,
) -> Result<Forwarded, Error> {
    let objects = open(place.objects_dir, place.object_hash)?;
    let index_path = place.git_dir.join("index");
    let lock = index::lock(&index_path)?;
    let list = |tree| match tree::list(&objects, tree, options.protection) {
        Ok(listing) => Ok(listing),
        Err(tree::Failure::Path(path)) => Err(Error::Refused(format!("invalid path '{path}'"))),
        Err(tree::Failure::Other(error)) => Err(error),
    };
    let (old, new) = (list(from)?, list(to)?);
    let Some(entries) = read::read(&index_path, place.object_hash)? else { return Ok(Forwarded::Special) };
    let written_at = fs::metadata(&index_path).ok().map(|metadata| Stat::new(&metadata).mtime);
    let filters = Filters::new(place, options, &old.entries)?;
    let mut looker = Looker { top: place.work_tree, objects: &objects, filters, written_at };
    let plan = looker.plan(&old.entries, &new.entries, &entries);
    if let Some(filters) = looker.filters.take() {
        filters.finish();
    }
    if plan.is_special {
        return Ok(Forwarded::Special);
    }
    if plan.blocked != Blocked::default() {
        return Ok(Forwarded::Blocked(plan.blocked));
    }
    let filters = Filters::new(place, options, &new.entries)?;
    let how = How { filters, symlinks: options.symlinks, threads: 1 };
    let Plan { mut kept, removed, mut written, .. } = plan;
    let mut paths: Vec<&BString> = kept.iter().chain(&written).map(|entry| &entry.path).collect();
    paths.sort_unstable();
    if tree::conflict(paths.into_iter()).is_some() {
        return Ok(Forwarded::Special);
    }
    for path in &removed {
        remove(place.work_tree, path.as_bstr())?;
    }
    for entry in &written {
        clear(&place.work_tree.join(entry.path.to_path_lossy()));
    }
    let mut outcome = write::write(place, &objects, how, &mut written, progress)?;
    let in_the_way = outcome.collisions.drain(..).map(|path| (path, "File exists".to_owned()));
    outcome.errors.extend(in_the_way);
    if outcome.errors.is_empty() {
        kept.extend(written);
        kept.sort_by(|a, b| a.path.cmp(&b.path));
        let same = |(a, b): (&Entry, &Entry)| (&a.path, a.mode, a.id) == (&b.path, b.mode, b.id);
        let is_new = kept.len() == new.entries.len() && kept.iter().zip(&new.entries).all(same);
        let directories = if is_new { &new.directories[..] } else { &[] };
        index::write(lock, &index::encode(&kept, directories, place.object_hash)?, &index_path)?;
    }
    Ok(Forwarded::Done(outcome))
}

/// What is in the way of a file.
enum Obstacle {
    File(BString),
    Directory(BString),
}

/// Looks at the files of the work tree.
pub(super) struct Looker<'a> {
    pub(super) top: &'a Path,
    pub(super) objects: &'a gix_odb::Handle,
    /// What a checkout of the old commit does to content.
    pub(super) filters: Option<Filters>,
    /// When the index was written: a file that is not older may have changed since without a trace.
    pub(super) written_at: Option<(u32, u32)>,
}

impl Looker<'_> {
    fn plan(&mut self, old: &[Entry], new: &[Entry], index: &[Entry]) -> Plan {
        let mut rows: BTreeMap<&BStr, Row<'_>> = BTreeMap::new();
        for entry in old {
            rows.entry(entry.path.as_bstr()).or_default().old = Some(entry);
        }
        for entry in new {
            rows.entry(entry.path.as_bstr()).or_default().new = Some(entry);
        }
        for entry in index {
            rows.entry(entry.path.as_bstr()).or_default().index = Some(entry);
        }
        let mut plan = Plan::default();
        let mut made = Vec::new();
        for (path, row) in &rows {
            self.settle(path, row, &mut plan, &mut made);
        }
        // What was changed is told of already.
        let known = plan.removed.iter().chain(&plan.blocked.changed);
        let removed: HashSet<&BStr> = known.map(|path| path.as_bstr()).collect();
        let obstacles: Vec<Obstacle> = made.iter().filter_map(|path| self.obstacle(path, &removed)).collect();
        for obstacle in obstacles {
            match obstacle {
                Obstacle::File(path) => plan.blocked.untracked.push(path),
                Obstacle::Directory(path) => plan.blocked.directories.push(path),
            }
        }
        plan
    }

    /// Decides about one path; those that are to be made where there was nothing go to `made` too.
    fn settle<'b>(&mut self, path: &'b BStr, row: &Row<'b>, plan: &mut Plan, made: &mut Vec<&'b BStr>) {
        let is_same = |a: Option<&Entry>, b: Option<&Entry>| {
            a.map(|entry| (entry.mode, entry.id)) == b.map(|entry| (entry.mode, entry.id))
        };
        if is_same(row.old, row.new) || is_same(row.index, row.new) {
            plan.kept.extend(row.index.map(|entry| self.refreshed(entry)));
            return;
        }
        let is_gitlink = |entry: Option<&Entry>| entry.is_some_and(|entry| entry.mode == Mode::Gitlink);
        let is_added = row.old.is_none() && row.index.is_none();
        if is_gitlink(row.old) || is_gitlink(row.new) && !(is_added && is_absent(&self.full(path))) {
            plan.is_special = true;
            return;
        }
        match (row.index, row.new) {
            (Some(entry), _) if is_same(row.index, row.old) && self.is_clean(entry) => {
                plan.removed.push(path.to_owned());
            }
            (None, Some(_)) if row.old.is_none() => made.push(path),
            (Some(_) | None, _) => {
                plan.blocked.changed.push(path.to_owned());
                return;
            }
        }
        plan.written.extend(row.new.map(|entry| Entry {
            path: entry.path.clone(),
            stat: Stat::default(),
            ..*entry
        }));
    }

    /// An entry that stays, with what is known of its file brought up to date where that is as the index has it. One that may
    /// have changed in the second in which the index was written, or later, is one that git has to look at again, since
    /// seconds are all it compares.
    fn refreshed(&mut self, entry: &Entry) -> Entry {
        let is_older = self.written_at.is_some_and(|(second, _)| entry.stat.mtime.0 < second);
        let known = if is_older { entry.stat } else { Stat::default() };
        let stat = match fs::symlink_metadata(self.full(entry.path.as_bstr())) {
            Ok(metadata) if entry.mode != Mode::Gitlink && Stat::new(&metadata) != known => {
                if self.is_clean(entry) { Stat::new(&metadata) } else { known }
            }
            Ok(_) | Err(_) => known,
        };
        Entry { path: entry.path.clone(), stat, ..*entry }
    }

    /// Whether the file of `entry` is there, and as the index has it.
    pub(super) fn is_unchanged(&mut self, entry: &Entry) -> bool {
        fs::symlink_metadata(self.full(entry.path.as_bstr())).is_ok() && self.is_clean(entry)
    }

    /// Whether the file of `entry` is as the index has it, or gone.
    fn is_clean(&mut self, entry: &Entry) -> bool {
        let path = self.full(entry.path.as_bstr());
        if self.has_odd_parent(entry.path.as_bstr()) {
            return false;
        }
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) => return error.kind() == io::ErrorKind::NotFound,
        };
        if !is_kind(&metadata, entry.mode) {
            return false;
        }
        let is_older = self.written_at.is_some_and(|written_at| entry.stat.mtime < written_at);
        if is_older && Stat::new(&metadata) == entry.stat {
            return true;
        }
        self.is_as_written(entry, &path, &metadata)
    }

    /// Whether the file holds what a checkout of `entry` would write.
    fn is_as_written(&mut self, entry: &Entry, path: &Path, metadata: &Metadata) -> bool {
        let mut buffer = Vec::new();
        let Ok(blob) = self.objects.find_blob(&entry.id, &mut buffer) else { return false };
        if metadata.is_symlink() {
            return fs::read_link(path).is_ok_and(|to| to.as_os_str().as_encoded_bytes() == blob.data);
        }
        let converted = match &mut self.filters {
            None => Ok(Converted::Same),
            Some(filters) => filters.convert(self.objects, entry, blob.data),
        };
        let content = match &converted {
            Ok(Converted::Same) => blob.data,
            Ok(Converted::Content(content)) => content,
            Ok(Converted::Delayed(_)) | Err(_) => return false,
        };
        metadata.len() == content.len() as u64 && fs::read(path).is_ok_and(|file| file == content)
    }

    /// What of the user's is where `path` is to be made, once the files `removed` are gone.
    fn obstacle(&self, path: &BStr, removed: &HashSet<&BStr>) -> Option<Obstacle> {
        for end in path.find_iter(b"/") {
            let above = path.get(..end)?.as_bstr();
            match fs::symlink_metadata(self.full(above)) {
                Ok(metadata) if metadata.is_dir() => {}
                Ok(_) if removed.contains(above) => return None,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
                Ok(_) | Err(_) => return Some(Obstacle::File(above.to_owned())),
            }
        }
        match fs::symlink_metadata(self.full(path)) {
            Ok(metadata) if metadata.is_dir() => {
                (!self.holds_only(path, removed)).then(|| Obstacle::Directory(path.to_owned()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Ok(_) | Err(_) => Some(Obstacle::File(path.to_owned())),
        }
    }

    /// Whether the directory `path` has no files but those `removed`.
    fn holds_only(&self, path: &BStr, removed: &HashSet<&BStr>) -> bool {
        let mut ahead = vec![path.to_owned()];
        while let Some(directory) = ahead.pop() {
            let Ok(entries) = fs::read_dir(self.full(directory.as_bstr())) else { return false };
            for entry in entries {
                let Ok(entry) = entry else { return false };
                let name = entry.file_name().into_encoded_bytes();
                let inner = BString::from([directory.as_bytes(), b"/", &name].concat());
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => ahead.push(inner),
                    Ok(_) if removed.contains(inner.as_bstr()) => {}
                    Ok(_) | Err(_) => return false,
                }
            }
        }
        true
    }

    /// Whether something above `path` is a link or a file.
    fn has_odd_parent(&self, path: &BStr) -> bool {
        let mut parents = path.find_iter(b"/").filter_map(|end| path.get(..end));
        parents.any(|above| {
            fs::symlink_metadata(self.full(above.as_bstr())).is_ok_and(|metadata| !metadata.is_dir())
        })
    }

    fn full(&self, path: &BStr) -> PathBuf {
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

/// Whether nothing is at `path`.
fn is_absent(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Removes the directory at `path` with the empty directories in it.
fn clear(path: &Path) {
    if !fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
        return;
    }
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        clear(&entry.path());
    }
    // one that is not empty stays, and the file that is to be there cannot be made
    let _empty_or_not = fs::remove_dir(path);
}

/// Removes the file and the directories that are empty without it.
fn remove(top: &Path, path: &BStr) -> Result<(), Error> {
    let full = top.join(path.to_path_lossy());
    match fs::remove_file(&full) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(Error::Io { action: "unable to unlink", path: full, source }),
    }
    let ends: Vec<usize> = path.find_iter(b"/").collect();
    for above in ends.into_iter().rev().filter_map(|end| path.get(..end)) {
        if fs::remove_dir(top.join(above.to_path_lossy())).is_err() {
            break;
        }
    }
    Ok(())
}
