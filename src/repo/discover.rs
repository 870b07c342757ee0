//! Finding and opening the repository.

use std::path::{Path, PathBuf};

use super::config::Override;
use super::{Environment, Error, Repository};

/// What decides which repository is meant.
#[derive(Debug, Clone, Default)]
pub struct Discovery {
    /// Where the search begins: the current directory after `-C`.
    pub start: PathBuf,
    /// `--git-dir`, which overrides `GIT_DIR`.
    pub git_dir: Option<PathBuf>,
    /// `--work-tree`, which overrides `GIT_WORK_TREE` and `core.worktree`.
    pub work_tree: Option<PathBuf>,
    /// `--bare`.
    pub bare: bool,
    /// `-c` values.
    pub overrides: Vec<Override>,
}

impl Repository {
    /// Finds the repository above `discovery.start` (or that of `GIT_DIR`) and opens it, with git's rules for
    /// ownership (`safe.directory`, `safe.bareRepository`), `.git` files, `commondir`, ceilings and file systems.
    pub fn discover(_discovery: &Discovery, _env: &Environment) -> Result<Self, Error> {
        todo!("repo helper")
    }

    /// Opens the repository whose git directory is `git_dir`.
    pub fn open(
        _git_dir: &Path,
        _work_tree: Option<&Path>,
        _overrides: &[Override],
        _env: &Environment,
    ) -> Result<Self, Error> {
        todo!("repo helper")
    }
}

/// The git directory that a local path given as a URL means: `<path>/.git` (also a `.git` file), `<path>`,
/// `<path>.git/.git`, `<path>.git`, in git's order; `None` if there is no repository.
pub fn local_git_dir(_path: &Path) -> Option<PathBuf> {
    todo!("repo helper")
}
