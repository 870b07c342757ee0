//! Whether index and work tree are as a commit has them: git-diff-files(1), and git-diff-index(1) with `--cached`.

use std::fs;

use gix_hash::oid;

use super::filter::Filters;
use super::index::{Entry, Mode, Stat, read};
use super::looker::Looker;
use super::{Source, tree};
use crate::progress::Discard;
use crate::repo::object::Objects;
use crate::repo::{Error, Repository};

/// What of the user's is in no commit. New files do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uncommitted {
    /// Files differ from the index.
    Unstaged,
    /// The index differs from the commit.
    Staged,
    /// The index is sparse, split or in conflict: what is in it cannot be told.
    Special,
}

impl Repository {
    /// What index and work tree hold that the tree `tree` does not; submodules are passed over.
    ///
    /// # Errors
    ///
    /// If the tree or the index cannot be read.
    pub fn uncommitted(&self, tree: &oid) -> Result<Option<Uncommitted>, Error> {
        let Some(work_tree) = &self.work_tree else {
            return Err(Error::Refused("this operation must be run in a work tree".to_owned()));
        };
        let options = self.checkout_options()?;
        let index_path = self.git_dir.join("index");
        let Some(index) = read::read(&index_path, self.object_hash)? else {
            return Ok(Some(Uncommitted::Special));
        };
        let index = index.entries;
        let objects = Objects::at(self.objects_dir.clone(), self.object_hash)?;
        let listing = match tree::list(&objects, tree, options.protection) {
            Ok(listing) => listing,
            Err(tree::Failure::Path(path)) => return Err(Error::Refused(format!("invalid path '{path}'"))),
            Err(tree::Failure::Other(error)) => return Err(error),
        };
        let written_at = fs::metadata(&index_path).ok().map(|metadata| Stat::new(&metadata).mtime);
        let filters = Filters::new(&options, &index, Source::FilesThenTree(work_tree))?;
        let progress = &mut Discard;
        let mut looker = Looker { top: work_tree, objects: &objects, filters, written_at, progress };
        let is_file = |entry: &&Entry| entry.mode != Mode::Gitlink;
        for entry in index.iter().filter(is_file) {
            if !looker.is_unchanged(entry)? {
                return Ok(Some(Uncommitted::Unstaged));
            }
        }
        let kind = |entry: &Entry| (entry.mode, entry.id, entry.path.clone());
        let is_same =
            index.iter().filter(is_file).map(kind).eq(listing.entries.iter().filter(is_file).map(kind));
        Ok((!is_same).then_some(Uncommitted::Staged))
    }
}
