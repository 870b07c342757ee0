//! `jgit`, git in Java.

use std::path::Path;
use std::process::Command;

use super::{Process, Serve};
use crate::support::Sandbox;

/// Where Debian keeps the libraries of Java.
const LIBRARIES: &str = "/usr/share/java";
/// What Debian's `jgit` forgets to name in its class path.
const FORGOTTEN: [&str; 9] = [
    "org.eclipse.jgit.lfs",
    "org.eclipse.jgit.http.apache",
    "org.eclipse.jgit.archive",
    "org.eclipse.jgit.ui",
    "httpclient",
    "httpcore",
    "gson",
    "commons-logging",
    "jsch",
];

/// A running `jgit daemon`.
pub(super) struct Jgit(Process);

impl Jgit {
    /// Starts the daemon, if it is installed.
    pub(super) fn start(sandbox: &Sandbox) -> Option<Self> {
        super::require("jgit")?;
        let directory = super::home_of(sandbox, "jgit");
        let process = Process::start(&directory, |port| {
            let mut command = command(sandbox).expect("it was just found");
            command.args(["daemon", "--listen", "127.0.0.1", "--port", &port.to_string(), "--export-all"]);
            command.args(["--enable", "receive-pack"]).arg(sandbox.path("served"));
            command
        });
        Some(Self(process))
    }
}

impl Serve for Jgit {
    fn url(&self, name: &str) -> String {
        format!("git://127.0.0.1:{}/{name}", self.0.port)
    }
}

/// `jgit` with all that it needs, or says that it is missing.
pub fn command(sandbox: &Sandbox) -> Option<Command> {
    let mut command = sandbox.command(super::require("jgit")?);
    let path = FORGOTTEN.map(|name| Path::new(LIBRARIES).join(format!("{name}.jar")).display().to_string());
    command.env("JGIT_CLASSPATH", path.join(":")).env("XDG_CONFIG_HOME", sandbox.path("home"));
    Some(command)
}
