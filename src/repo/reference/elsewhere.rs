//! What else keeps objects alive: other work trees of the repository, and reflogs. git-worktree(1), "Refs";
//! git-rev-list(1), `--reflog`.

use std::path::{Path, PathBuf};

use bstr::{BStr, BString, ByteSlice};

use super::list::walk;
use super::store::Store;
use crate::repo::{Error, Repository};

/// Which work trees of a repository are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkTrees {
    /// The one that was opened.
    This,
    /// All of them.
    All,
}

impl Repository {
    /// The git directories of the other work trees, each with what its refs are called by from here, such as
    /// `worktrees/<id>/`; that of the main one is the first, the others are in the order of their ids.
    pub fn other_work_trees(&self) -> Result<Vec<(BString, PathBuf)>, Error> {
        let mut others = Vec::new();
        if self.git_dir != self.common_dir {
            others.push(("main-worktree/".into(), self.common_dir.clone()));
        }
        let Ok(entries) = std::fs::read_dir(self.common_dir.join("worktrees")) else { return Ok(others) };
        let is_other = |path: &PathBuf| {
            let is_this = || path.canonicalize().ok() == self.git_dir.canonicalize().ok();
            path.join("gitdir").is_file() && !is_this()
        };
        let mut linked: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_other).collect();
        linked.sort_unstable();
        others.extend(linked.into_iter().map(|path| {
            let id = path.file_name().map(<Vec<u8> as bstr::ByteVec>::from_os_str_lossy).unwrap_or_default();
            (BString::from([b"worktrees/".as_slice(), &id, b"/"].concat()), path)
        }));
        Ok(others)
    }

    /// The names of all reflogs, sorted; those of other work trees' own refs are called as from here.
    pub fn reflog_names(&self, which: WorkTrees) -> Result<Vec<BString>, Error> {
        let mut names = self.ref_store().log_names()?;
        if which == WorkTrees::All {
            for (prefix, git_dir) in self.other_work_trees()? {
                names.extend(Store::at(&git_dir, self.object_hash).own_log_names(prefix.as_bstr())?);
            }
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }
}

/// The names of the reflogs that the work trees of `common_dir` share.
pub(super) fn shared_logs(common_dir: &Path) -> Result<Vec<BString>, Error> {
    let mut names = Vec::new();
    walk(&common_dir.join("logs"), b"refs/".as_bstr(), &mut names)?;
    Ok(names)
}

/// The reflogs below `git_dir`, with `prefix` before their names.
pub(super) fn own_logs(prefix: &BStr, git_dir: &Path) -> Result<Vec<BString>, Error> {
    let mut names = Vec::new();
    walk(&git_dir.join("logs"), b"refs/".as_bstr(), &mut names)?;
    if git_dir.join("logs/HEAD").is_file() {
        names.push("HEAD".into());
    }
    Ok(names.into_iter().map(|name| BString::from([prefix.as_bytes(), &name].concat())).collect())
}
