//! The `reference-transaction` hook (githooks(5)).

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::repo::{Environment, Error};

/// What the system says of a program that does not tell how to run it (`ENOEXEC`): git gives it to the shell.
const NO_EXECUTABLE_FORMAT: i32 = 8;

/// The installed hook and what it runs in.
#[derive(Debug, Clone)]
pub(super) struct Hook {
    program: PathBuf,
    directory: PathBuf,
    git_dir: Option<PathBuf>,
    env: Environment,
}

/// The states in which the hook is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Prepared,
    Committed,
    Aborted,
}

impl Hook {
    /// The hook in `hooks_dir`, if it is there and executable. It runs at the top of the work tree, or in the git
    /// directory if there is none; `GIT_DIR` is set where it could not find the repository by itself.
    pub(super) fn find(
        hooks_dir: &Path,
        git_dir: &Path,
        work_tree: Option<&Path>,
        env: &Environment,
    ) -> Option<Self> {
        let program = hooks_dir.join("reference-transaction");
        if !is_executable(&program) {
            return None;
        }
        let program = std::path::absolute(&program).ok()?;
        let (directory, git_dir) = match work_tree {
            Some(top) if env.get("GIT_DIR").is_none() && top.join(".git").exists() => (top, None),
            Some(top) => (top, Some(std::path::absolute(git_dir).ok()?)),
            None => (git_dir, Some(PathBuf::from("."))),
        };
        Some(Self { program, directory: directory.to_owned(), git_dir, env: env.clone() })
    }

    /// Runs the hook with `input`; whether it agrees. Only [`State::Prepared`] can be refused.
    pub(super) fn run(&self, state: State, input: &[u8]) -> Result<(), Error> {
        let failed = |source| Error::Io { action: "cannot run", path: self.program.clone(), source };
        let mut child = self.spawn(state).map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            // a hook need not read its input
            let _read_or_not = stdin.write_all(input);
        }
        let status = child.wait().map_err(failed)?;
        if state == State::Prepared && !status.success() {
            return Err(Error::Reference("ref updates aborted by hook".into()));
        }
        Ok(())
    }

    fn spawn(&self, state: State) -> io::Result<std::process::Child> {
        match self.command(Command::new(&self.program), state).spawn() {
            Err(error) if error.raw_os_error() == Some(NO_EXECUTABLE_FORMAT) => {
                let mut shell = Command::new("sh");
                shell.arg(&self.program);
                self.command(shell, state).spawn()
            }
            outcome => outcome,
        }
    }

    fn command(&self, mut command: Command, state: State) -> Command {
        command.arg(state.name()).current_dir(&self.directory).env_clear().envs(self.env.vars());
        if let Some(git_dir) = &self.git_dir {
            command.env("GIT_DIR", git_dir);
        }
        // as git: what a hook says on stdout is for the user, not for the reader of our output
        command.stdin(Stdio::piped()).stdout(io::stderr()).stderr(Stdio::inherit());
        command
    }
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Committed => "committed",
            Self::Aborted => "aborted",
        }
    }
}

#[cfg(unix)]
fn is_executable(program: &Path) -> bool {
    rustix::fs::access(program, rustix::fs::Access::EXEC_OK).is_ok() && program.is_file()
}

#[cfg(not(unix))]
fn is_executable(program: &Path) -> bool {
    program.is_file()
}
