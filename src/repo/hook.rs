//! Hooks: the user's programs that are asked or told at certain points. githooks(5).

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::config::display_name;
use super::{Environment, Error, Repository};
use crate::telemetry;

/// What the system says of a program that does not tell how to run it (`ENOEXEC`): git gives it to the shell.
const NO_EXECUTABLE_FORMAT: i32 = 8;

/// Bytes of a hook's output that are passed on at once: as git does, so that the client sees them early.
const HEARD_LEN_MAX: usize = 128;

/// How long a hook says nothing before that is told as well.
const SILENCE: Duration = Duration::from_millis(200);

/// Takes in what a hook writes, as it comes, and an empty text each time it has written nothing for a while.
pub type Hear<'a> = dyn FnMut(&[u8]) + 'a;

/// An installed hook and what it runs in.
#[derive(Debug, Clone)]
pub struct Hook {
    program: PathBuf,
    /// What messages call it.
    shown: PathBuf,
    directory: PathBuf,
    git_dir: Option<PathBuf>,
    env: Environment,
    /// Whether what it writes to its standard output goes to ours; else to our standard error.
    has_our_output: bool,
}

impl Repository {
    /// The hook `name`, such as `pre-push`, if it is installed and executable: in `core.hooksPath`, else in the directory
    /// `hooks` that all work trees share.
    ///
    /// # Errors
    ///
    /// If `core.hooksPath` cannot be expanded.
    pub fn hook(&self, name: &str) -> Result<Option<Hook>, Error> {
        let (program, shown) = self.hook_paths(name)?;
        let found = Hook::find(&program, &self.git_dir, self.work_tree.as_deref(), &self.env);
        Ok(found.map(|hook| Hook { shown, has_our_output: true, ..hook }))
    }

    /// The file of the hook `name`, as messages show it, if it is there and is no hook since it is not executable.
    ///
    /// # Errors
    ///
    /// If `core.hooksPath` cannot be expanded.
    pub fn ignored_hook(&self, name: &str) -> Result<Option<PathBuf>, Error> {
        let (program, shown) = self.hook_paths(name)?;
        Ok((program.exists() && !is_executable(&program)).then_some(shown))
    }

    /// Where the hook `name` would be, and what messages call it.
    fn hook_paths(&self, name: &str) -> Result<(PathBuf, PathBuf), Error> {
        let Some(configured) = self.config.path("core.hooksPath")? else {
            let shown = display_name(&self.common_dir, &format!("hooks/{name}"));
            return Ok((self.common_dir.join("hooks").join(name), shown));
        };
        let shown = configured.join(name);
        // a relative path begins where hooks run
        Ok((self.work_tree.as_deref().unwrap_or(&self.git_dir).join(&shown), shown))
    }
}

impl Hook {
    /// The hook at `program`, if it is there and executable. It runs at the top of the work tree, or in the git directory
    /// if there is none; `GIT_DIR` is set where it could not find the repository by itself.
    pub(super) fn find(
        program: &Path,
        git_dir: &Path,
        work_tree: Option<&Path>,
        env: &Environment,
    ) -> Option<Self> {
        if !is_executable(program) {
            return None;
        }
        let shown = program.to_owned();
        let program = std::path::absolute(program).ok()?;
        let (directory, git_dir) = match work_tree {
            Some(top) if env.get("GIT_DIR").is_none() && top.join(".git").exists() => (top, None),
            Some(top) => (top, Some(std::path::absolute(git_dir).ok()?)),
            None => (git_dir, Some(PathBuf::from("."))),
        };
        Some(Self {
            program,
            shown,
            directory: directory.to_owned(),
            git_dir,
            env: env.clone(),
            has_our_output: false,
        })
    }

    /// The hook with its standard output on our standard error, as most hooks have it.
    #[must_use]
    pub fn with_output_to_stderr(self) -> Self {
        Self { has_our_output: false, ..self }
    }

    /// The path of its file as messages show it, such as `.git/hooks/pre-push`.
    pub fn shown_path(&self) -> &Path {
        &self.shown
    }

    /// Runs the hook with `arguments`, and `input` to read; how it ended. It need not read what it is given. What it
    /// writes goes to our standard error; with a hook of [`Repository::hook`] its standard output is ours, as in git 2.47.3.
    ///
    /// # Errors
    ///
    /// If it cannot be started: `cannot exec '<path>': …`.
    pub fn run(&self, arguments: &[&OsStr], input: &[u8]) -> Result<ExitStatus, Error> {
        let failed = |source| Error::Io { action: "cannot exec", path: self.shown.clone(), source };
        let mut child = self.spawn(arguments).map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            let _read_or_not = stdin.write_all(input);
        }
        let status = child.wait().map_err(failed)?;
        telemetry::child_ended(child.id(), status);
        Ok(status)
    }

    /// The hook as a server runs it: within the git directory, which `GIT_DIR` names, and with `env` around it. Messages, which the
    /// client hears, do not say where that is.
    #[must_use]
    pub fn in_git_dir(self, git_dir: &Path, env: Environment) -> Self {
        Self {
            shown: self.shown.strip_prefix(git_dir).map_or_else(|_| self.shown.clone(), Path::to_owned),
            directory: git_dir.to_owned(),
            git_dir: Some(PathBuf::from(".")),
            env,
            has_our_output: false,
            ..self
        }
    }

    /// The hook with `GIT_DIR` naming `git_dir` wherever it goes.
    #[must_use]
    pub fn naming(self, git_dir: &Path) -> Self {
        Self { git_dir: Some(git_dir.to_owned()), ..self }
    }

    /// As [`Self::run`], but what it writes, to either output, goes to `hear` as it comes.
    ///
    /// # Errors
    ///
    /// If it cannot be started or heard.
    pub fn run_heard(
        &self,
        arguments: &[&OsStr],
        input: &[u8],
        hear: &mut Hear<'_>,
    ) -> Result<ExitStatus, Error> {
        let failed = |source| Error::Io { action: "cannot exec", path: self.shown.clone(), source };
        let (output, writer) = io::pipe().map_err(failed)?;
        let child = self.spawn_with(arguments, &|command| {
            command.stdout(writer.try_clone()?).stderr(writer.try_clone()?);
            Ok(())
        });
        // the end of its output is seen once nobody else has the pipe
        drop(writer);
        let mut child = child.map_err(failed)?;
        let stdin = child.stdin.take();
        std::thread::scope(|scope| {
            scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(input)));
            pass_on(output, hear).map_err(failed)
        })?;
        let status = child.wait().map_err(failed)?;
        telemetry::child_ended(child.id(), status);
        Ok(status)
    }

    /// Runs the hook and talks to it: `talk` has its standard input and output, and what it writes to standard error goes to
    /// `hear` as it comes, or to our own without one. Gives what `talk` gave, and how the hook ended.
    ///
    /// # Errors
    ///
    /// If it cannot be started or heard.
    pub fn run_talking<T: Send>(
        &self,
        talk: impl FnOnce(ChildStdin, ChildStdout) -> T + Send,
        hear: Option<&mut Hear<'_>>,
    ) -> Result<(T, ExitStatus), Error> {
        let failed = |source| Error::Io { action: "cannot exec", path: self.shown.clone(), source };
        let is_heard = hear.is_some();
        let child = self.spawn_with(&[], &|command| {
            command.stdout(Stdio::piped());
            if is_heard {
                command.stderr(Stdio::piped());
            }
            Ok(())
        });
        let mut child = child.map_err(failed)?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed(io::ErrorKind::BrokenPipe.into()));
        };
        let stderr = child.stderr.take();
        let told = std::thread::scope(|scope| {
            let conversation = scope.spawn(move || talk(stdin, stdout));
            if let (Some(stderr), Some(hear)) = (stderr, hear) {
                pass_on(stderr, hear).map_err(failed)?;
            }
            conversation.join().map_err(|_| failed(io::ErrorKind::BrokenPipe.into()))
        })?;
        let status = child.wait().map_err(failed)?;
        telemetry::child_ended(child.id(), status);
        Ok((told, status))
    }

    fn spawn(&self, arguments: &[&OsStr]) -> io::Result<Child> {
        self.spawn_with(arguments, &|_| Ok(()))
    }

    fn spawn_with(
        &self,
        arguments: &[&OsStr],
        prepare: &dyn Fn(&mut Command) -> io::Result<()>,
    ) -> io::Result<Child> {
        let mut command = self.command(Command::new(&self.program), arguments);
        prepare(&mut command)?;
        let child = match command.spawn() {
            Err(error) if error.raw_os_error() == Some(NO_EXECUTABLE_FORMAT) => {
                let mut shell = Command::new("sh");
                shell.arg(&self.program);
                command = self.command(shell, arguments);
                prepare(&mut command)?;
                command.spawn()
            }
            outcome => outcome,
        }?;
        telemetry::child_started(&child, "hook", &command);
        Ok(child)
    }

    fn command(&self, mut command: Command, arguments: &[&OsStr]) -> Command {
        command.args(arguments).current_dir(&self.directory).env_clear().envs(self.env.vars());
        if let Some(git_dir) = &self.git_dir {
            command.env("GIT_DIR", git_dir);
        }
        let output = if self.has_our_output { Stdio::inherit() } else { Stdio::from(io::stderr()) };
        command.stdin(Stdio::piped()).stdout(output).stderr(Stdio::inherit());
        command
    }
}

/// Gives what comes out of `output` to `hear`, up to its end.
fn pass_on(mut output: impl Read + AsFd, hear: &mut Hear<'_>) -> io::Result<()> {
    let silence = SILENCE.try_into().map_err(io::Error::other)?;
    let mut buffer = [0; HEARD_LEN_MAX];
    loop {
        let ready = poll(&mut [PollFd::new(&output, PollFlags::IN)], Some(&silence));
        match ready {
            Ok(0) => {
                hear(b"");
                continue;
            }
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        match output.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(amount) => hear(buffer.get(..amount).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
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

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn install(directory: &Path, script: &str) -> Option<Hook> {
        let program = directory.join("pre-push");
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let env = std::env::vars_os().collect();
        Hook::find(&program, directory, None, &env)
    }

    #[test]
    fn a_hook_gets_arguments_input_and_the_repository() {
        let directory = tempfile::tempdir().unwrap();
        let script = "#!/bin/sh\n(echo \"$# $1 $2\"; cat; echo \"$GIT_DIR\") >seen\nexit 3\n";
        let hook = install(directory.path(), script).unwrap();
        let status = hook.run(&["a b".as_ref(), "c".as_ref()], b"line\n").unwrap();
        assert_eq!(status.code(), Some(3));
        assert_eq!(std::fs::read_to_string(directory.path().join("seen")).unwrap(), "2 a b c\nline\n.\n");
    }

    #[test]
    fn a_script_that_does_not_name_its_shell_is_one_all_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let hook = install(directory.path(), "exit 5\n").unwrap();
        assert_eq!(hook.run(&[], b"").unwrap().code(), Some(5));
    }

    #[test]
    fn a_hook_need_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let hook = install(directory.path(), "#!/bin/sh\nexit 0\n").unwrap();
        assert!(hook.run(&[], &vec![b'x'; 1 << 20]).unwrap().success());
    }

    #[test]
    fn a_hook_that_cannot_be_started_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let hook = install(directory.path(), "#!/nonexistent/shell\n").unwrap();
        let error = hook.run(&[], b"").unwrap_err().to_string();
        assert!(
            error.starts_with("cannot exec '") && error.ends_with("No such file or directory"),
            "{error}"
        );
    }

    #[test]
    fn a_file_that_is_not_executable_is_no_hook() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("pre-push");
        std::fs::write(&program, "#!/bin/sh\n").unwrap();
        assert!(Hook::find(&program, directory.path(), None, &Environment::default()).is_none());
        assert!(
            Hook::find(&directory.path().join("none"), directory.path(), None, &Environment::default())
                .is_none()
        );
    }
}
