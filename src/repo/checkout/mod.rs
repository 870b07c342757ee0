//! Filling the work tree of a fresh clone, and writing its index.
//!
//! `tree` lists a tree and refuses unsafe names (`path`), `attribute` finds what is wanted of a file, `filter` and
//! `convert` turn its blob (`blob`) into its content, with the programs of `driver` and `process`, `write` has it made in
//! the `work_tree`, by several threads where nothing is converted (`parallel`), `collision` sees what was in the way, `index`
//! notes what git needs to see that nothing changed, and `config` says how all of it is done.
//!
//! Each thread holds one blob in memory; one that is large and not converted goes from the pack to its file.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use bstr::{BStr, BString};
use gix_hash::{ObjectId, oid};

use super::{Error, Repository};
use crate::progress::Progress;
use crate::repo::object::Objects;
use crate::storage::Storage;
use collision::Taken;
use filter::Filters;

mod attribute;
mod blob;
pub mod clean;
mod collision;
mod config;
mod convert;
mod driver;
mod filter;
pub mod forward;
mod ignore;
mod index;
mod looker;
mod parallel;
mod path;
mod process;
mod tree;
mod work_tree;
mod write;

#[cfg(all(test, unix))]
mod tests;

pub use driver::{Driver, Surroundings};
pub use path::Protection;

/// What a checkout found.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Paths that collide on a file system that folds case, where a clone warns; all of a group, sorted as git does.
    /// The last of each group is in the work tree.
    pub collisions: Vec<BString>,
    /// Paths that could not be written, with git's words for it, which it prints behind `error: `. If there are any,
    /// no index was written, and git ends with `fatal: unable to checkout working tree`.
    pub errors: Vec<(BString, String)>,
    /// Whether a filter process did not keep its word, of which was told. It is as if there were errors then.
    is_incomplete: bool,
    /// Paths that found something in their place.
    taken: Vec<Taken>,
}

/// Where the attributes of files are found, besides those outside of the tree.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// In the tree: there is nothing else in a fresh work tree.
    Tree,
    /// In the tree or, of a directory that has none there, in the work tree: what git does where it checks out.
    TreeThenFiles(&'a Path),
    /// In the work tree or, of a directory that has none there, in the index: what git does where it looks at files.
    FilesThenTree(&'a Path),
}

/// Where a checkout happens.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Has the index.
    pub git_dir: &'a Path,
    /// Gets the files; nothing but the git directory is there.
    pub work_tree: &'a Path,
    /// Has the objects.
    pub objects_dir: &'a Path,
    /// The hash function of the object ids.
    pub object_hash: gix_hash::Kind,
    /// How the index is stored.
    pub storage: Storage,
}

/// How a checkout is done. The default is git's for a repository without configuration.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which names are refused besides `.git`.
    pub protection: Protection,
    /// `core.symlinks`: otherwise a symbolic link becomes a file with its target.
    pub symlinks: bool,
    /// `core.ignoreCase`: patterns of attributes match in any case.
    pub ignore_case: bool,
    /// `core.autocrlf` and `core.eol`.
    pub line_endings: gix_filter::eol::Configuration,
    /// `filter.<name>.*`; attributes can choose among these alone.
    pub drivers: Vec<Driver>,
    /// Where their programs run.
    pub surroundings: Surroundings,
    /// The attributes of the system and of the user (`core.attributesFile`), the weaker first.
    pub attributes_files: Vec<PathBuf>,
    /// `info/attributes` of the repository.
    pub info_attributes: Option<PathBuf>,
    /// The user's files with patterns of what is ignored (`core.excludesFile`) and the repository's, the weaker first; a path
    /// begins at the top of the work tree. Ignored files are in nobody's way; `None` keeps them as others are kept.
    pub exclude_files: Option<Vec<PathBuf>>,
    /// The branch, which filter processes are told.
    pub reference: Option<BString>,
    /// The commit, which they are told too.
    pub treeish: Option<ObjectId>,
    /// Only files at the top are written; the others are in the index alone.
    pub top_only: bool,
    /// How many threads write files (`checkout.workers`); 0 means one for each processor.
    pub workers: usize,
    /// With fewer files than this there is one thread (`checkout.thresholdForParallelism`).
    pub parallel_from: usize,
    /// How the index is written (`index.version` and `index.skipHash`).
    pub index: index::Layout,
}

/// `checkout.thresholdForParallelism` where it is not set.
const PARALLEL_FROM: usize = 100;

/// The file with the patterns of a sparse checkout, in the git directory.
pub const SPARSE_FILE: &str = "info/sparse-checkout";

/// The patterns that ask for the files at the top, as `git sparse-checkout set` writes them.
pub const SPARSE_TOP: &[u8] = b"/*\n!/*/\n";

impl Default for Options {
    fn default() -> Self {
        Self {
            protection: Protection::default(),
            symlinks: true,
            ignore_case: false,
            line_endings: gix_filter::eol::Configuration::default(),
            drivers: Vec::new(),
            surroundings: Surroundings::default(),
            attributes_files: Vec::new(),
            info_attributes: None,
            exclude_files: None,
            reference: None,
            treeish: None,
            top_only: false,
            workers: 0,
            parallel_from: PARALLEL_FROM,
            index: index::Layout::default(),
        }
    }
}

impl Options {
    /// How many threads write the files of `entries`. Where names that differ in case are the same the first of them is
    /// to be written, so that one thread writes all.
    fn threads(&self, entries: &[index::Entry]) -> usize {
        let files = entries.iter().filter(|entry| !entry.is_skipped).count();
        if files < self.parallel_from || self.ignore_case {
            return 1;
        }
        match self.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        }
    }
}

impl Repository {
    /// Writes the files of `tree` into the empty work tree, then the index, so that `git status` is clean and has
    /// nothing to refresh. Filters are told the branch and the commit of `HEAD`; of a branch that is not yet born they are
    /// told the commit `unborn`.
    pub fn checkout(
        &self,
        tree: &ObjectId,
        unborn: Option<ObjectId>,
        progress: &mut dyn Progress,
    ) -> Result<Outcome, Error> {
        let Some(work_tree) = &self.work_tree else {
            return Err(Error::Refused("this operation must be run in a work tree".to_owned()));
        };
        let place = Place {
            git_dir: &self.git_dir,
            work_tree,
            objects_dir: &self.objects_dir,
            object_hash: self.object_hash,
            storage: self.storage,
        };
        let mut options = self.checkout_options()?;
        if unborn.is_some() {
            options = Options { reference: None, treeish: unborn, ..options };
        } else {
            // as C git has it here, and not where it moves a work tree
            let git_dir = std::path::absolute(&self.git_dir).unwrap_or_else(|_| self.git_dir.clone());
            options.surroundings.env.set("GIT_DIR", git_dir);
        }
        let outcome = checkout(&place, tree, &options, progress)?;
        if outcome.is_complete() {
            self.tell_index_changed()?;
        }
        Ok(outcome)
    }

    /// Runs the `post-index-change` hook after index and work tree have changed. githooks(5).
    ///
    /// # Errors
    ///
    /// If the hook cannot be run; what it says of itself changes nothing.
    pub fn tell_index_changed(&self) -> Result<(), Error> {
        let Some(hook) = self.hook("post-index-change")? else { return Ok(()) };
        // the work tree has changed too, and no entry is skipped that was not
        let _nobody_waits_for_its_opinion = hook.run(&["1".as_ref(), "0".as_ref()], b"");
        Ok(())
    }

    /// What a partial clone has to fetch before [`Repository::checkout`] of `tree`, or before [`Repository::forward`] from
    /// `old`, since it is not in the object database: the trees or, once all of these are here, the blobs, each once, in the
    /// order of their paths.
    pub fn missing_for_checkout(
        &self,
        tree: &ObjectId,
        old: Option<&ObjectId>,
    ) -> Result<Vec<ObjectId>, Error> {
        let mut missing = Vec::new();
        for tree in [Some(tree), old].into_iter().flatten() {
            missing.extend(missing_trees(&self.objects_dir, tree)?);
        }
        if missing.is_empty() {
            missing = missing_blobs(&self.objects_dir, tree, old, &self.checkout_options()?)?;
        }
        Ok(missing)
    }
}

/// Does what [`Repository::checkout`] says, with everything given.
pub fn checkout(
    place: &Place<'_>,
    tree: &oid,
    options: &Options,
    progress: &mut dyn Progress,
) -> Result<Outcome, Error> {
    let objects = Objects::at(place.objects_dir.to_owned(), place.object_hash)?;
    let index_path = place.git_dir.join("index");
    let lock = index::lock(&index_path, place.storage)?;
    let mut listing = match tree::list(&objects, tree, options.protection) {
        Ok(listing) => listing,
        Err(tree::Failure::Path(path)) => {
            let reason = format!("invalid path '{path}'");
            return Ok(Outcome { errors: vec![(path, reason)], ..Outcome::default() });
        }
        Err(tree::Failure::Other(error)) => return Err(error),
    };
    if options.top_only {
        skip_below_top(&mut listing.entries);
    }
    let how = write::How {
        filters: Filters::new(options, &listing.entries, Source::Tree)?,
        symlinks: options.symlinks,
        ignore_case: options.ignore_case,
        threads: options.threads(&listing.entries),
    };
    let outcome = write::write(place, &objects, how, &mut listing.entries, progress)?;
    if outcome.is_complete() {
        let content =
            index::encode(&listing.entries, &listing.directories, place.object_hash, options.index)?;
        index::write((lock, place.storage), &content, &index_path)?;
    }
    Ok(outcome)
}

/// The trees at or below `tree` that are not in the object database. One that cannot be read is not among them.
pub fn missing_trees(objects_dir: &Path, tree: &oid) -> Result<Vec<ObjectId>, Error> {
    let objects = Objects::at(objects_dir.to_owned(), tree.kind())?;
    let mut missing = Vec::new();
    let mut seen = HashSet::from([tree.to_owned()]);
    let mut ahead = vec![tree.to_owned()];
    let mut content = Vec::new();
    while let Some(id) = ahead.pop() {
        match objects.find(&id, &mut content) {
            Ok(None) if !id.is_empty_tree() => missing.push(id),
            Ok(Some(gix_object::Kind::Tree)) => {
                let entries = gix_object::TreeRefIter::from_bytes(&content, id.kind());
                let trees = entries.filter_map(Result::ok).filter(|entry| entry.mode.is_tree());
                ahead.extend(trees.map(|entry| entry.oid.to_owned()).filter(|below| seen.insert(*below)));
            }
            Ok(_) | Err(_) => {}
        }
    }
    Ok(missing)
}

/// The blobs of `tree` that are not in the object database and that `old` does not have at the same path.
pub fn missing_blobs(
    objects_dir: &Path,
    tree: &oid,
    old: Option<&ObjectId>,
    options: &Options,
) -> Result<Vec<ObjectId>, Error> {
    let objects = Objects::at(objects_dir.to_owned(), tree.kind())?;
    let list = |tree: &oid| {
        tree::list(&objects, tree, options.protection).map_err(|failure| match failure {
            tree::Failure::Path(path) => Error::Refused(format!("invalid path '{path}'")),
            tree::Failure::Other(error) => error,
        })
    };
    let mut listing = list(tree)?;
    let old = old.map(|old| list(old)).transpose()?.unwrap_or_default();
    if options.top_only {
        skip_below_top(&mut listing.entries);
    }
    let here: HashSet<_> = old.entries.iter().map(|entry| (&entry.path, entry.id)).collect();
    let mut seen = HashSet::new();
    let is_needed = |entry: &&index::Entry| {
        entry.mode != index::Mode::Gitlink && !entry.is_skipped && !here.contains(&(&entry.path, entry.id))
    };
    let blobs = listing.entries.iter().filter(is_needed).map(|entry| entry.id);
    Ok(blobs.filter(|id| seen.insert(*id) && !objects.contains(id)).collect())
}

/// Leaves out of the work tree what lies in directories.
fn skip_below_top(entries: &mut [index::Entry]) {
    for entry in entries {
        entry.is_skipped = entry.path.contains(&b'/');
    }
}

/// Stops the work where whoever hears of it had enough.
fn stop_on(flow: ControlFlow<()>) -> Result<(), Error> {
    if flow.is_break() { Err(Error::Interrupted) } else { Ok(()) }
}

/// git's words for a blob that is missing or broken.
fn unreadable(path: &BStr, id: &ObjectId) -> Error {
    Error::Object(format!("unable to read sha1 file of {path} ({id})"))
}
