//! `gitr serve`.

use std::ffi::OsStr;
use std::path::PathBuf;

use super::{Process, Serve};
use crate::support::{Sandbox, sandbox};

/// A running `gitr serve` of `served/`.
pub struct GitrServe {
    /// The server.
    pub process: Process,
    log: PathBuf,
}

impl GitrServe {
    /// Starts it with `--export-all` and `options`.
    pub fn start(sandbox: &Sandbox, options: &[&str]) -> Self {
        let mut all = vec!["--export-all"];
        all.extend_from_slice(options);
        Self::start_bare(sandbox, &all)
    }

    /// Starts it with `options` alone.
    pub fn start_bare(sandbox: &Sandbox, options: &[&str]) -> Self {
        let number = std::fs::read_dir(super::home_of(sandbox, "")).map_or(0, Iterator::count);
        let directory = super::home_of(sandbox, &format!("serve-{number}"));
        let process = Process::start(&directory, |port| {
            let mut command = sandbox.command(sandbox::gitr_program());
            command.arg("serve").arg(format!("--listen=127.0.0.1:{port}"));
            command.arg("--root").arg(sandbox.path("served")).args(options.iter().map(OsStr::new));
            command
        });
        Self { process, log: directory.join("log") }
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// If it has ended.
    pub fn signal(&self, signal: rustix::process::Signal) {
        self.process.signal(signal);
    }

    /// What it has told by now.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until it has told of `text`.
    ///
    /// # Panics
    /// If it never does.
    pub fn wait_for(&mut self, text: &str) {
        let log = self.log.clone();
        let has_said = || std::fs::read_to_string(&log).is_ok_and(|log| log.contains(text));
        assert!(self.process.wait_until(has_said), "'{text}' is not in {}", self.log());
    }
}

impl Serve for GitrServe {
    fn url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}/{name}", self.process.port)
    }
}
