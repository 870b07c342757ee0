//! dulwich, git in Python.

use super::{Process, Serve};
use crate::support::Sandbox;

/// Serves every repository below the first argument on the port of the second.
const PROGRAM: &str = "import sys, os
from dulwich.repo import Repo
from dulwich.server import Backend, TCPGitServer
class Served(Backend):
    def open_repository(self, path):
        return Repo(os.path.join(sys.argv[1], os.fsdecode(path).lstrip('/')))
TCPGitServer(Served(), '127.0.0.1', int(sys.argv[2])).serve_forever()
";

/// A running server of `git://`.
pub(super) struct Dulwich(Process);

impl Dulwich {
    /// Starts the server, if Python finds the library.
    pub(super) fn start(sandbox: &Sandbox) -> Option<Self> {
        let python = python()?;
        let directory = super::home_of(sandbox, "dulwich");
        let process = Process::start(&directory, |port| {
            let mut command = sandbox.command(python);
            command.args(["-c", PROGRAM]).arg(sandbox.path("served")).arg(port.to_string());
            command
        });
        Some(Self(process))
    }
}

impl Serve for Dulwich {
    fn url(&self, name: &str) -> String {
        format!("git://127.0.0.1:{}/{name}", self.0.port)
    }
}

/// The Python that finds the library, or says that it is missing.
pub fn python() -> Option<&'static str> {
    let found = ["/usr/bin/python3", "python3"].into_iter().find(|python| {
        let mut command = std::process::Command::new(python);
        command.args(["-c", "import dulwich.server"]).output().is_ok_and(|output| output.status.success())
    });
    if found.is_none() {
        crate::support::missing("python3-dulwich");
    }
    found
}
