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
    /// The program on the far side.
    upload_pack: PathBuf,
}

impl Local {
    /// Repositories named by their path.
    pub(super) fn path(sandbox: &Sandbox, git: &Git) -> Self {
        Self { scheme: "", ..Self::file(sandbox, git) }
    }

    /// Repositories named by a `file://` URL.
    pub(super) fn file(sandbox: &Sandbox, git: &Git) -> Self {
        let upload_pack = git.exec_path.join("git-upload-pack");
        Self { served: sandbox.path("served"), scheme: "file://", upload_pack }
    }
}

impl Serve for Local {
    fn url(&self, name: &str) -> String {
        format!("{}{}", self.scheme, self.served.join(name).display())
    }

    fn options(&self) -> Vec<String> {
        vec![format!("--upload-pack={}", self.upload_pack.display())]
    }
}
