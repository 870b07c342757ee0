//! C git, for what gitr leaves to it: found where it is installed, and never gitr under another name.

use std::path::PathBuf;

use crate::repo::Environment;

/// The `git` program: in `GIT_EXEC_PATH`, else in `PATH`; `None` if there is none but ourselves.
pub(super) fn git(env: &Environment) -> Option<PathBuf> {
    let own = std::env::current_exe().ok().and_then(|path| path.canonicalize().ok());
    let is_other = |path: &PathBuf| path.canonicalize().ok() != own;
    let directories = env.get("GIT_EXEC_PATH").into_iter().chain(env.get("PATH"));
    directories
        .flat_map(|list| which::which_in_all("git", Some(list), "/").into_iter().flatten())
        .find(is_other)
}
