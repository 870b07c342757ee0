//! Taking index and work tree from one commit to another without losing what the user changed: git-read-tree(1), "Two
//! Tree Merge", for what is neither sparse nor split.
//!
//! Everything is checked before anything changes. What cannot be told to be as it was counts as changed. [`Forward`] is known
//! to be possible as soon as it is there; whether it loses anything is seen when it is gone, since that may take filters.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use bstr::{BStr, BString, ByteSlice};
use gix_hash::{ObjectId, oid};

use super::filter::Filters;
use super::index::{self, Entry, Mode, Stat, read};
use super::tree::Listing;
use super::write::{self, How};
use super::{Options, Outcome, Place, Source, open, tree};
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
}

impl Repository {
    /// Prepares to take index and work tree from the tree `from` to the tree `to`, of the commit `treeish`; `None` if that
    /// cannot be done here: index or commits hold what is not understood, such as submodules that change.
    ///
    /// # Errors
    ///
    /// If a tree or the index cannot be read, or the index is locked.
    pub fn forward(
        &self,
        [from, to]: [&oid; 2],
        treeish: Option<ObjectId>,
    ) -> Result<Option<Forward<'_>>, Error> {
        let Some(work_tree) = &self.work_tree else {
            return Err(Error::Refused("this operation must be run in a work tree".to_owned()));
        };
        if self.config.boolean("core.sparseCheckout")?.unwrap_or(false) {
            return Ok(None);
        }
        let place = Place {
            git_dir: &self.git_dir,
            work_tree,
            objects_dir: &self.objects_dir,
            object_hash: self.object_hash,
        };
        let options = Options { reference: None, treeish, ..self.checkout_options()? };
        Forward::new(place, [from, to], options)
    }
}

/// A way from one commit to another that can be gone.
pub struct Forward<'a> {
    place: Place<'a>,
    options: Options,
    objects: gix_odb::Handle,
    lock: gix_lock::File,
    old: Listing,
    new: Listing,
    index: Vec<Entry>,
}

impl<'a> Forward<'a> {
    /// Does what [`Repository::forward`] says, with everything given.
    pub fn new(place: Place<'a>, [from, to]: [&oid; 2], options: Options) -> Result<Option<Self>, Error> {
        let objects = open(place.objects_dir, place.object_hash)?;
        let index_path = place.git_dir.join("index");
        let lock = index::lock(&index_path)?;
        let list = |tree| match tree::list(&objects, tree, options.protection) {
            Ok(listing) => Ok(listing),
            Err(tree::Failure::Path(path)) => Err(Error::Refused(format!("invalid path '{path}'"))),
            Err(tree::Failure::Other(error)) => Err(error),
        };
        let (old, new) = (list(from)?, list(to)?);
        let Some(index) = read::read(&index_path, place.object_hash)? else { return Ok(None) };
        let rows = rows(&old.entries, &new.entries, &index);
        let is_left = |row: &Row<'_>| if row.stays() { row.index.is_some() } else { row.new.is_some() };
        let left = rows.iter().filter(|(_, row)| is_left(row)).map(|(path, _)| BString::from(*path));
        let left: Vec<BString> = left.collect();
        let is_special = rows.iter().any(|(path, row)| row.is_special(place.work_tree, path))
            || tree::conflict(left.iter()).is_some();
        Ok((!is_special).then_some(Self { place, options, objects, lock, old, new, index }))
    }

    /// Goes it, if that loses nothing of the user's.
    ///
    /// # Errors
    ///
    /// If a filter that is required fails, the caller stops the work, or something cannot be read or written. The index is
    /// what it was then; files may be gone.
    pub fn run(self, progress: &mut dyn Progress) -> Result<Forwarded, Error> {
        let Self { place, options, objects, lock, old, new, index } = self;
        let index_path = place.git_dir.join("index");
        let written_at = fs::metadata(&index_path).ok().map(|metadata| Stat::new(&metadata).mtime);
        let filters = Filters::new(&options, &index, Source::FilesThenTree(place.work_tree))?;
        let mut looker = Looker { top: place.work_tree, objects: &objects, filters, written_at, progress };
        let plan = looker.plan(&old.entries, &new.entries, &index)?;
        if let Some(filters) = looker.filters.take() {
            filters.finish(progress)?;
        }
        if plan.blocked != Blocked::default() {
            return Ok(Forwarded::Blocked(plan.blocked));
        }
        let filters = Filters::new(&options, &new.entries, Source::TreeThenFiles(place.work_tree))?;
        let (symlinks, ignore_case) = (options.symlinks, options.ignore_case);
        let how = How { filters, symlinks, ignore_case, threads: 1 };
        let Plan { mut kept, removed, mut written, .. } = plan;
        let rewritten: HashSet<&BStr> = written.iter().map(|entry| entry.path.as_bstr()).collect();
        // what is written anew goes when its turn comes
        for path in removed.iter().filter(|path| !rewritten.contains(path.as_bstr())) {
            remove(place.work_tree, path.as_bstr())?;
        }
        for entry in &written {
            clear(&place.work_tree.join(entry.path.to_path_lossy()));
        }
        let outcome = write::write(&place, &objects, how, &mut written, progress)?;
        if outcome.is_complete() {
            kept.extend(written);
            kept.sort_by(|a, b| a.path.cmp(&b.path));
            let same = |(a, b): (&Entry, &Entry)| (&a.path, a.mode, a.id) == (&b.path, b.mode, b.id);
            let is_new = kept.len() == new.entries.len() && kept.iter().zip(&new.entries).all(same);
            let directories = if is_new { &new.directories[..] } else { &[] };
            index::write(lock, &index::encode(&kept, directories, place.object_hash)?, &index_path)?;
        }
        Ok(Forwarded::Done(outcome))
    }
}

/// All paths, with what is known of them.
fn rows<'a>(old: &'a [Entry], new: &'a [Entry], index: &'a [Entry]) -> BTreeMap<&'a BStr, Row<'a>> {
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
    rows
}

impl Row<'_> {
    /// Whether the index keeps what it has.
    fn stays(&self) -> bool {
        let same = |a: Option<&Entry>, b: Option<&Entry>| {
            a.map(|entry| (entry.mode, entry.id)) == b.map(|entry| (entry.mode, entry.id))
        };
        same(self.old, self.new) || same(self.index, self.new)
    }

    /// Whether it is about a submodule that changes or meets what is there.
    fn is_special(&self, top: &Path, path: &BStr) -> bool {
        let is_gitlink = |entry: Option<&Entry>| entry.is_some_and(|entry| entry.mode == Mode::Gitlink);
        let is_added = self.old.is_none() && self.index.is_none();
        !self.stays()
            && (is_gitlink(self.old)
                || is_gitlink(self.new) && !(is_added && is_absent(&top.join(path.to_path_lossy()))))
    }
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
    /// What is done to content that is added.
    pub(super) filters: Option<Filters>,
    /// When the index was written: a file that is not older may have changed since without a trace.
    pub(super) written_at: Option<(u32, u32)>,
    /// Hears what filters complain of.
    pub(super) progress: &'a mut dyn Progress,
}

impl Looker<'_> {
    fn plan(&mut self, old: &[Entry], new: &[Entry], index: &[Entry]) -> Result<Plan, Error> {
        let mut plan = Plan::default();
        let mut made = Vec::new();
        for (path, row) in &rows(old, new, index) {
            self.settle(path, row, &mut plan, &mut made)?;
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
        Ok(plan)
    }

    /// Decides about one path; those that are to be made where there was nothing go to `made` too.
    fn settle<'b>(
        &mut self,
        path: &'b BStr,
        row: &Row<'b>,
        plan: &mut Plan,
        made: &mut Vec<&'b BStr>,
    ) -> Result<(), Error> {
        if row.stays() {
            if let Some(entry) = row.index {
                plan.kept.push(self.refreshed(entry)?);
            }
            return Ok(());
        }
        let id = |entry: &Entry| (entry.mode, entry.id);
        match (row.index, row.new) {
            (Some(entry), _) if row.index.map(id) == row.old.map(id) && self.is_clean(entry)? => {
                plan.removed.push(path.to_owned());
            }
            (None, Some(_)) if row.old.is_none() => made.push(path),
            (Some(_) | None, _) => {
                plan.blocked.changed.push(path.to_owned());
                return Ok(());
            }
        }
        plan.written.extend(row.new.map(|entry| Entry {
            path: entry.path.clone(),
            stat: Stat::default(),
            ..*entry
        }));
        Ok(())
    }

    /// An entry that stays, with what is known of its file brought up to date where that is as the index has it. One that may
    /// have changed in the second in which the index was written, or later, is one that git has to look at again, since
    /// seconds are all it compares.
    fn refreshed(&mut self, entry: &Entry) -> Result<Entry, Error> {
        let is_older = self.written_at.is_some_and(|(second, _)| entry.stat.mtime.0 < second);
        let known = if is_older { entry.stat } else { Stat::default() };
        let stat = match fs::symlink_metadata(self.full(entry.path.as_bstr())) {
            Ok(metadata) if entry.mode != Mode::Gitlink && Stat::new(&metadata) != known => {
                if self.is_clean(entry)? { Stat::new(&metadata) } else { known }
            }
            Ok(_) | Err(_) => known,
        };
        Ok(Entry { path: entry.path.clone(), stat, ..*entry })
    }

    /// Whether the file of `entry` is there, and as the index has it.
    pub(super) fn is_unchanged(&mut self, entry: &Entry) -> Result<bool, Error> {
        Ok(fs::symlink_metadata(self.full(entry.path.as_bstr())).is_ok() && self.is_clean(entry)?)
    }

    /// Whether the file of `entry` is as the index has it, or gone.
    fn is_clean(&mut self, entry: &Entry) -> Result<bool, Error> {
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
