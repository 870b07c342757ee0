//! The installed git, which merges and rebases.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::process::{Command, ExitStatus, Stdio};

use super::CommandError;
use crate::cmd::{Context, children};
use crate::repo::config::overrides_as_parameters;

/// The program.
const PROGRAM: &str = "git";

/// Runs git where this command runs.
#[derive(Clone)]
pub(super) struct Git<'a> {
    context: &'a Context,
}

impl<'a> Git<'a> {
    pub(super) fn new(context: &'a Context) -> Self {
        Self { context }
    }

    /// Runs git; its exit code. `what` is what a user without git would have to type where there is one.
    pub(super) fn run_or_explain<S: AsRef<OsStr>>(
        &self,
        words: &[S],
        what: &str,
    ) -> Result<u8, CommandError> {
        self.status(words)?.ok_or_else(|| explain(what))
    }

    /// Runs git; its exit code, `None` if it is not installed.
    pub(super) fn status<S: AsRef<OsStr>>(&self, words: &[S]) -> Result<Option<u8>, CommandError> {
        match children::status(&mut self.command(words)) {
            Ok(status) => Ok(Some(code(status))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&error)),
        }
    }

    /// Runs git; its exit code.
    pub(super) fn run(&self, words: &[&str]) -> Result<u8, CommandError> {
        self.run_or_explain(words, &words.join(" "))
    }

    /// Runs git for what it prints, or `None` if it is not installed or does not do it. What it complains of is not shown.
    pub(super) fn output<S: AsRef<OsStr>>(&self, words: &[S]) -> Result<Option<Vec<u8>>, CommandError> {
        match self.command(words).stderr(Stdio::null()).stdin(Stdio::null()).output() {
            Ok(output) => Ok(output.status.success().then_some(output.stdout)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&error)),
        }
    }

    /// Runs git silently for its exit code; `None` if it is not installed.
    pub(super) fn test(&self, words: &[&str]) -> Result<Option<u8>, CommandError> {
        let mut command = self.command(words);
        match command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status() {
            Ok(status) => Ok(Some(code(status))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&error)),
        }
    }

    fn command<S: AsRef<OsStr>>(&self, words: &[S]) -> Command {
        let Context { env, overrides, git_dir, work_tree, .. } = self.context;
        let mut command = Command::new(PROGRAM);
        command.args(words).env_clear().envs(env.vars());
        if !overrides.is_empty() {
            command.env("GIT_CONFIG_PARAMETERS", overrides_as_parameters(overrides, env));
        }
        for (name, path) in [("GIT_DIR", git_dir), ("GIT_WORK_TREE", work_tree)] {
            if let Some(path) = path {
                command.env(name, path);
            }
        }
        command
    }
}

/// What is to be done where git is not installed: `git <what>`, once it is.
pub(super) fn explain(what: &str) -> CommandError {
    CommandError::fatal(format!(
        "what was fetched has yet to be joined with your branch, for which git has to be installed; then run\n\n    \
         git {what}\n"
    ))
}

/// The code of a child, 128 and its number if a signal ended it.
fn code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(128)
}

fn failed(error: &std::io::Error) -> CommandError {
    CommandError::fatal(format!("cannot run {PROGRAM}: {error}"))
}
