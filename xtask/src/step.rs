//! One step of a task: a program that has to succeed, its title and its time.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The steps done so far, each with its time.
#[derive(Default)]
pub(crate) struct Steps(Vec<(String, Duration)>);

impl Steps {
    /// Runs `command` as the step `title`; what it prints is shown as it comes.
    pub(crate) fn run(&mut self, title: &str, command: &mut Command) -> Result<()> {
        println!("\n=== {title}");
        let start = Instant::now();
        let status = command.status().with_context(|| format!("cannot run '{title}'"))?;
        let time = start.elapsed();
        println!(
            "=== {title}: {} in {:.1} s",
            if status.success() { "done" } else { "failed" },
            time.as_secs_f64()
        );
        self.0.push((title.to_owned(), time));
        if !status.success() {
            bail!("'{title}' failed: {status}");
        }
        Ok(())
    }

    /// Prints every step with its time.
    pub(crate) fn summary(&self) {
        println!("\n=== summary");
        for (title, time) in &self.0 {
            println!("{:>8.1} s  {title}", time.as_secs_f64());
        }
    }
}

/// `cargo` as it was called, in the root of the workspace, with `arguments` separated by spaces.
pub(crate) fn cargo(arguments: &str) -> Command {
    let mut command = Command::new(variable("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).args(arguments.split(' '));
    command
}

/// Whether `cargo <name>` is there.
pub(crate) fn has_cargo(name: &str) -> bool {
    let mut command = cargo(name);
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}

/// An environment variable.
#[expect(clippy::disallowed_methods, reason = "xtask has no repo::Environment; this is its one door")]
pub(crate) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}
