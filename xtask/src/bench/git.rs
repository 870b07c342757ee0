//! Runs of git that prepare something, away from the user's configuration, and copies of repositories.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::program::Program;

/// Runs git, whose output is nobody's affair.
pub(super) fn git(place: &Path, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("git");
    let status = hermetic(&mut command).current_dir(place).args(arguments).stdout(Stdio::null()).status();
    if !status.context("cannot run git")?.success() {
        bail!("'git {}' failed", arguments.join(" "));
    }
    Ok(())
}

/// Runs git with `input`.
pub(super) fn feed_git(place: &Path, arguments: &[&str], input: &str) -> Result<()> {
    let mut command = Command::new("git");
    let mut child =
        hermetic(&mut command).current_dir(place).args(arguments).stdin(Stdio::piped()).spawn()?;
    child.stdin.take().context("git has no input")?.write_all(input.as_bytes())?;
    if !child.wait()?.success() {
        bail!("'git {}' failed", arguments.join(" "));
    }
    Ok(())
}

/// What git says, without the end of its last line.
pub(super) fn said_by_git(place: &Path, arguments: &[&str]) -> Result<String> {
    said_by(Program::Git, place, arguments)
}

/// What `program` prints.
pub(super) fn said_by(program: Program, place: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(program.path());
    let output = hermetic(&mut command).current_dir(place).args(arguments).output()?;
    if !output.status.success() {
        bail!("'{}' failed", arguments.join(" "));
    }
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}

/// Keeps the user's configuration away.
pub(super) fn hermetic(command: &mut Command) -> &mut Command {
    command
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
}

/// Copies a repository; its packs are linked.
pub(super) fn link(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            link(&entry.path(), &target)?;
        } else if entry.path().components().any(|part| part.as_os_str() == "objects") {
            fs::hard_link(entry.path(), target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

pub(super) fn absolute(path: &Path) -> Result<String> {
    let path = fs::canonicalize(path).with_context(|| format!("cannot find '{}'", path.display()))?;
    Ok(path.display().to_string())
}
