//! Taking index and work tree from one commit to another without losing what the user changed: git-read-tree(1), "Two
//! Tree Merge", for what is neither sparse nor split.
//!
//! Everything is checked before anything changes. What cannot be told to be as it was counts as changed. [`Forward`] is known
//! to be possible as soon as it is there; whether it loses anything is seen when it is gone, since that may take filters.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::path::Path;

use bstr::{BStr, BString, ByteSlice};
use gix_hash::{ObjectId, oid};

use super::filter::Filters;
use super::ignore::Excludes;
use super::index::{self, Entry, Layout, Mode, Stat, read};
use super::looker::Looker;
use super::tree::Listing;
use super::write::{self, How};
use super::{Options, Outcome, Place, Source, tree};
use crate::progress::Progress;
use crate::repo::object::Objects;
use crate::repo::{Error, Repository};

mod plan;

use plan::Plan;

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
    /// Directories with files that git does not know, where a file is to be or is no more.
    pub directories: Vec<BString>,
    /// Files that git does not know, once for each path that they are in the way of.
    pub untracked: Vec<BString>,
    /// Such files where the user took one out of the index that the new commit does not have either.
    pub forgotten: Vec<BString>,
}

/// What becomes of files that are ignored, where others are to be: gitignore(5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ignored {
    /// They are replaced.
    Replaced,
    /// They are kept, as what is not ignored is.
    Kept,
}

/// One path in the old commit, the new one and the index.
#[derive(Default)]
struct Row<'a> {
    old: Option<&'a Entry>,
    new: Option<&'a Entry>,
    index: Option<&'a Entry>,
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
        ignored: Ignored,
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
            storage: self.storage,
        };
        let exclude_files = match ignored {
            Ignored::Replaced => Some(self.exclude_files()?),
            Ignored::Kept => None,
        };
        let options = Options { reference: None, treeish, exclude_files, ..self.checkout_options()? };
        Forward::new(place, [from, to], options)
    }
}

/// A way from one commit to another that can be gone.
pub struct Forward<'a> {
    place: Place<'a>,
    options: Options,
    objects: Objects,
    lock: gix_lock::File,
    old: Listing,
    new: Listing,
    index: read::Plain,
}

impl<'a> Forward<'a> {
    /// Does what [`Repository::forward`] says, with everything given.
    pub fn new(place: Place<'a>, [from, to]: [&oid; 2], options: Options) -> Result<Option<Self>, Error> {
        let objects = Objects::at(place.objects_dir.to_owned(), place.object_hash)?;
        let index_path = place.git_dir.join("index");
        let lock = index::lock(&index_path, place.storage)?;
        let list = |tree| match tree::list(&objects, tree, options.protection) {
            Ok(listing) => Ok(listing),
            Err(tree::Failure::Path(path)) => Err(Error::Refused(format!("invalid path '{path}'"))),
            Err(tree::Failure::Other(error)) => Err(error),
        };
        let (old, new) = (list(from)?, list(to)?);
        let Some(index) = read::read(&index_path, place.object_hash)? else { return Ok(None) };
        let rows = rows(&old.entries, &new.entries, &index.entries);
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
        let shortens_paths = index.shortens_paths.unwrap_or(options.index.shortens_paths);
        let layout = Layout { shortens_paths, ..options.index };
        let index = index.entries;
        let filters = Filters::new(&options, &index, Source::FilesThenTree(place.work_tree))?;
        let mut looker = Looker { top: place.work_tree, objects: &objects, filters, written_at, progress };
        let excludes = Excludes::new(place.work_tree, &options);
        let plan = looker.plan(&old.entries, &new.entries, &index, excludes)?;
        if let Some(filters) = looker.filters.take() {
            filters.finish(progress)?;
        }
        if plan.blocked != Blocked::default() {
            return Ok(Forwarded::Blocked(plan.blocked));
        }
        let filters = Filters::new(&options, &new.entries, Source::TreeThenFiles(place.work_tree))?;
        let (symlinks, ignore_case) = (options.symlinks, options.ignore_case);
        let how = How { filters, symlinks, ignore_case, threads: 1 };
        let Plan { mut kept, removed, replaced, mut written, .. } = plan;
        let rewritten: HashSet<&BStr> = written.iter().map(|entry| entry.path.as_bstr()).collect();
        // what is written anew goes when its turn comes
        let removed = removed.iter().filter(|path| !rewritten.contains(path.as_bstr()));
        for path in removed.chain(&replaced) {
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
            index::write(
                (lock, place.storage),
                &index::encode(&kept, directories, place.object_hash, layout)?,
                &index_path,
            )?;
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
