//! Repositories of the same machine.

use std::path::PathBuf;

use super::Serve;
use crate::support::{Git, Sandbox};

/// Repositories reached by path or `file://`.
pub(super) struct Local {
    /// Where the repositories are.
    served: PathBuf,
    /// What stands before the path in the URL.
    scheme: &'static str,
    /// Where the programs of the far side are.
    exec_path: PathBuf,
}

impl Local {
    /// Repositories named by their path.
    pub(super) fn path(sandbox: &Sandbox, git: &Git) -> Self {
        Self { scheme: "", ..Self::file(sandbox, git) }
    }

    /// Repositories named by a `file://` URL.
    pub(super) fn file(sandbox: &Sandbox, git: &Git) -> Self {
        Self { served: sandbox.path("served"), scheme: "file://", exec_path: git.exec_path.clone() }
    }
}

impl Serve for Local {
    fn url(&self, name: &str) -> String {
        format!("{}{}", self.scheme, self.served.join(name).display())
    }

    fn options(&self) -> Vec<String> {
        vec![format!("--upload-pack={}", self.exec_path.join("git-upload-pack").display())]
    }

    fn push_options(&self) -> Vec<String> {
        vec![format!("--receive-pack={}", self.exec_path.join("git-receive-pack").display())]
    }
}
