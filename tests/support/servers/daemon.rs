//! `git daemon`.

use super::{Process, Serve};
use crate::support::{Git, Sandbox};

/// A running `git daemon`.
pub(super) struct Daemon(Process);

impl Daemon {
    /// Starts the daemon of `git`.
    pub(super) fn start(sandbox: &Sandbox, git: &Git) -> Self {
        let served = sandbox.path("served");
        let directory = super::home_of(sandbox, &format!("daemon-{}", git.version));
        let process = Process::start(&directory, |port| {
            let mut command = sandbox.command(&git.program);
            command.args(["daemon", "--listen=127.0.0.1", &format!("--port={port}"), "--export-all"]);
            command.args(["--enable=receive-pack", "--informative-errors"]);
            command.arg(format!("--base-path={}", served.display()));
            command
        });
        Self(process)
    }
}

impl Serve for Daemon {
    fn url(&self, name: &str) -> String {
        format!("git://127.0.0.1:{}/{name}", self.0.port)
    }
}
