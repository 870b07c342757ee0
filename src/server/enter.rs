//! Which repository a client means, and whether it may be served.

use std::path::{Path, PathBuf};

use super::Error;
use crate::repo::config::Override;
use crate::repo::discover::local_git_dir;
use crate::repo::hook::RunBy;
use crate::repo::{Environment, Repository};

/// The file that says that everybody may have a repository: git-daemon(1), git-http-backend(1).
const EXPORT_OK: &str = "git-daemon-export-ok";

/// How a path is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// A work tree or a name without `.git` stands for the repository.
    Lenient,
    /// The path is that of the repository itself.
    Strict,
}

/// Opens the repository that a client calls `path`, as C git's servers do. `GIT_DIR` and its like are not heard.
///
/// # Errors
///
/// [`Error::Missing`] if there is none; if it is another user's and `safe.directory` does not lift the ban.
pub fn enter(
    path: &Path,
    naming: Naming,
    overrides: &[Override],
    env: &Environment,
) -> Result<Repository, Error> {
    let found = local_git_dir(path).filter(|found| naming == Naming::Lenient || found == path);
    let git_dir: PathBuf = found.ok_or_else(|| Error::Missing(path.to_owned()))?;
    Repository::check_owner(&git_dir, overrides, env)?;
    let mut env = env.clone();
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR"] {
        env.remove(name);
    }
    let mut repo = Repository::open(&git_dir, None, overrides, &env)?;
    repo.hooks.run_by = RunBy::Server;
    Ok(repo)
}

/// Whether the owner of `repo` lets everybody have it.
pub fn is_exported(repo: &Repository) -> bool {
    repo.git_path(EXPORT_OK).exists()
}
