//! Making a repository.

use std::path::{Path, PathBuf};

use bstr::BString;

use super::config::Override;
use super::{Environment, Error, Repository};

/// What the new repository is to be like.
#[derive(Debug, Clone)]
pub struct Init {
    /// The git directory to make.
    pub git_dir: PathBuf,
    /// Its work tree; `None` for a bare repository.
    pub work_tree: Option<PathBuf>,
    /// The hash function.
    pub object_hash: gix_hash::Kind,
    /// What `HEAD` names, such as `refs/heads/main`.
    pub head: BString,
    /// `--template`; otherwise `GIT_TEMPLATE_DIR`, `init.templateDir`, then the installed templates.
    pub template: Option<PathBuf>,
    /// `-c` values of the command line.
    pub overrides: Vec<Override>,
}

impl Repository {
    /// Makes what `git init` makes and opens it. Directories that are made are the caller's to remove upon failure.
    pub fn init(_init: &Init, _env: &Environment) -> Result<Self, Error> {
        todo!("repo helper")
    }
}

/// The branch that a new repository's `HEAD` names: `init.defaultBranch`, or `master`, without `refs/heads/`.
pub fn default_branch(_config: &super::Config) -> BString {
    let _: Option<&Path> = None;
    todo!("repo helper")
}
