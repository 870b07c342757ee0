//! Bundle files, made anew whenever the repository changed.

use std::fs;
use std::path::PathBuf;

use super::Serve;
use crate::support::{Format, Git, Sandbox};

/// Bundles of the repositories in `served/`, written by one version of git.
pub(super) struct Bundle {
    /// Where the bundles are.
    directory: PathBuf,
    /// Who writes them.
    git: Git,
}

impl Bundle {
    /// Bundles written by `git`.
    pub(super) fn new(sandbox: &Sandbox, git: &Git) -> Self {
        Self { directory: super::home_of(sandbox, "bundles"), git: git.clone() }
    }

    /// The bundle of `served/<name>`.
    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name).with_extension("bundle")
    }
}

impl Serve for Bundle {
    fn url(&self, name: &str) -> String {
        self.file(name).display().to_string()
    }

    fn refresh(&self, sandbox: &Sandbox, name: &str, _format: Format) {
        let file = self.file(name);
        fs::remove_file(&file).ok();
        let file = file.as_os_str();
        let arguments =
            ["bundle".as_ref(), "create".as_ref(), "-q".as_ref(), file, "--all".as_ref(), "HEAD".as_ref()];
        sandbox.git_of(&self.git, &sandbox.path("served").join(name), &arguments).success();
    }
}
