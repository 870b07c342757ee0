//! Hooks: the user's programs that are asked or told at certain points. githooks(5).

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::Signal;

use super::{Environment, Error, Repository};
use crate::telemetry;

/// What the system says of a program that does not tell how to run it (`ENOEXEC`): git gives it to the shell.
const NO_EXECUTABLE_FORMAT: i32 = 8;

/// Bytes of a hook's output that are passed on at once: as git does, so that the client sees them early.
const HEARD_LEN_MAX: usize = 128;

/// How long a hook says nothing before that is told as well.
const SILENCE: Duration = Duration::from_millis(200);

/// The code of a hook that could not be started: that of git 2.47.3.
const NOT_STARTED: u8 = 1;

/// Takes in what a hook writes, as it comes, and an empty text each time it has written nothing for a while.
pub type Hear<'a> = dyn FnMut(&[u8]) + 'a;

/// Who runs the hooks of a repository, and what was said of them.
#[derive(Debug, Clone, Default)]
pub struct Hooks {
    /// Who runs them.
    pub run_by: RunBy,
    /// The files of which was told that they are no hooks.
    ignored: Arc<Mutex<BTreeSet<PathBuf>>>,
}

/// Who runs the hooks of a repository: that decides where they run and by which name. Seen in git 2.47.3.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RunBy {
    /// A command in the repository: at the top of the work tree, or in the git directory if there is none. `GIT_DIR` is set
    /// where they could not find the repository by themselves.
    #[default]
    Command,
    /// The clone that makes it: the same, but everything is named from the root.
    Clone,
    /// A server: in the git directory.
    Server,
}

/// An installed hook and what it runs in.
#[derive(Debug, Clone)]
pub struct Hook {
    /// As the hook is called, and messages name it; a relative path begins at `directory`.
    program: PathBuf,
    directory: PathBuf,
    git_dir: Option<PathBuf>,
    env: Environment,
    /// What the command line said of the configuration.
    parameters: Option<OsString>,
    /// Whether what it writes to its standard output goes to ours; else to our standard error.
    has_our_output: bool,
}

impl Repository {
    /// The hook `name`, such as `pre-push`, if it is installed and executable: in `core.hooksPath`, else in the directory
    /// `hooks` that all work trees share. That a file is not executable and thus no hook is told once, where hooks are heard.
    ///
    /// # Errors
    ///
    /// If `core.hooksPath` cannot be expanded.
    pub fn hook(&self, name: &str) -> Result<Option<Hook>, Error> {
        let hook = self.hook_at(name)?;
        if hook.is_executable() {
            return Ok(Some(hook));
        }
        if let Some(text) = self.ignored_hook(name)? {
            aside(text.lines().flat_map(|line| ["hint: ", line, "\n"]).collect::<String>().as_bytes());
        }
        Ok(None)
    }

    /// What is to be told of the hook `name` if it is there and not executable, unless that was told or nobody wants to know.
    ///
    /// # Errors
    ///
    /// If `core.hooksPath` cannot be expanded.
    pub fn ignored_hook(&self, name: &str) -> Result<Option<String>, Error> {
        let hook = self.hook_at(name)?;
        let is_wanted = !hook.is_executable()
            && hook.file().exists()
            && self.env.has_advice()
            && self.config.boolean("advice.ignoredHook")? != Some(false);
        let mut known = self.hooks.ignored.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_wanted || !known.insert(hook.file()) {
            return Ok(None);
        }
        Ok(Some(format!(
            "The '{}' hook was ignored because it's not set as executable.\n\
             You can disable this warning with `git config advice.ignoredHook false`.",
            hook.program.display()
        )))
    }

    /// The hook `name`, whether it is there or not.
    fn hook_at(&self, name: &str) -> Result<Hook, Error> {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let named = self.env.path("GIT_DIR");
        let is_named = named.as_ref().is_some_and(|path| path.is_absolute());
        let (directory, git_dir) = match (self.hooks.run_by, self.work_tree.as_deref()) {
            // a file that leads to another place is no place that hooks find again
            (RunBy::Command, Some(top)) if named.is_none() && top.join(".git").is_dir() => (top, None),
            (RunBy::Command | RunBy::Clone, Some(top)) => (top, Some(absolute(&self.git_dir))),
            (RunBy::Clone, None) => (self.git_dir.as_path(), Some(absolute(&self.git_dir))),
            (RunBy::Command, None) if is_named => (self.git_dir.as_path(), named),
            (RunBy::Command, None) | (RunBy::Server, _) => (self.git_dir.as_path(), Some(".".into())),
        };
        let (directory, common_dir) = (absolute(directory), absolute(&self.common_dir));
        let is_relative = match self.hooks.run_by {
            RunBy::Command => !is_named,
            RunBy::Clone => false,
            RunBy::Server => true,
        };
        let hooks = match self.config.path("core.hooksPath")? {
            Some(configured) => configured,
            None => match common_dir.strip_prefix(&directory) {
                Ok(inner) if is_relative => inner.join("hooks"),
                _ => common_dir.join("hooks"),
            },
        };
        let (program, env) = (hooks.join(name), self.env.clone());
        let parameters = self.config.parameters().map(OsStr::to_owned);
        Ok(Hook { program, directory, git_dir, env, parameters, has_our_output: false })
    }
}

impl Hook {
    /// The hook with `env` around it.
    #[must_use]
    pub fn within(self, env: Environment) -> Self {
        Self { env, ..self }
    }

    /// The hook with its standard output on ours, as `pre-push` has it in git 2.47.3.
    #[must_use]
    pub fn with_our_output(self) -> Self {
        Self { has_our_output: true, ..self }
    }

    /// The hook with `GIT_DIR` naming `git_dir` wherever it goes.
    #[must_use]
    pub fn naming(self, git_dir: &Path) -> Self {
        Self { git_dir: Some(git_dir.to_owned()), ..self }
    }

    /// The hook at `program`, if it is there and executable, as it runs in `directory`.
    #[cfg(test)]
    pub(super) fn in_directory(program: &Path, directory: &Path, env: &Environment) -> Option<Self> {
        let (program, directory) = (program.to_owned(), directory.to_owned());
        let (env, parameters) = (env.clone(), None);
        let hook = Self { program, directory, git_dir: None, env, parameters, has_our_output: false };
        hook.is_executable().then_some(hook)
    }

    /// Where its file is, wherever we are.
    fn file(&self) -> PathBuf {
        self.directory.join(&self.program)
    }

    fn is_executable(&self) -> bool {
        is_executable(&self.file())
    }

    /// Runs the hook with `arguments`, and `input` to read. It need not read what it is given. What it writes goes to our
    /// standard error.
    ///
    /// Gives its exit code; that it could not be started or died of a signal is told there too, and is no better than an exit
    /// code that is not 0.
    pub fn run(&self, arguments: &[&OsStr], input: &[u8]) -> u8 {
        self.code(self.attempt(arguments, input))
    }

    fn attempt(&self, arguments: &[&OsStr], input: &[u8]) -> io::Result<ExitStatus> {
        let mut child = self.spawn(arguments)?;
        if let Some(mut stdin) = child.stdin.take() {
            let _read_or_not = stdin.write_all(input);
        }
        ended(child)
    }

    /// As [`Self::run`], but what it writes, to either output, goes to `hear` as it comes.
    pub fn run_heard(&self, arguments: &[&OsStr], input: &[u8], hear: &mut Hear<'_>) -> u8 {
        self.code(self.attempt_heard(arguments, input, hear))
    }

    fn attempt_heard(
        &self,
        arguments: &[&OsStr],
        input: &[u8],
        hear: &mut Hear<'_>,
    ) -> io::Result<ExitStatus> {
        let (output, writer) = io::pipe()?;
        let child = self.spawn_with(arguments, &|command| {
            command.stdout(writer.try_clone()?).stderr(writer.try_clone()?);
            Ok(())
        });
        // the end of its output is seen once nobody else has the pipe
        drop(writer);
        let mut child = child?;
        let stdin = child.stdin.take();
        std::thread::scope(|scope| {
            scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(input)));
            pass_on(output, hear)
        })?;
        ended(child)
    }

    /// Runs the hook and talks to it: `talk` has its standard input and output, and what it writes to standard error goes to
    /// `hear` as it comes, or to our own without one. Gives its exit code, and what `talk` gave if it could be started.
    pub fn run_talking<T: Send>(
        &self,
        talk: impl FnOnce(ChildStdin, ChildStdout) -> T + Send,
        hear: Option<&mut Hear<'_>>,
    ) -> (Option<T>, u8) {
        match self.attempt_talking(talk, hear) {
            Ok((told, status)) => (Some(told), self.code(Ok(status))),
            Err(error) => (None, self.code(Err(error))),
        }
    }

    fn attempt_talking<T: Send>(
        &self,
        talk: impl FnOnce(ChildStdin, ChildStdout) -> T + Send,
        hear: Option<&mut Hear<'_>>,
    ) -> io::Result<(T, ExitStatus)> {
        let is_heard = hear.is_some();
        let mut child = self.spawn_with(&[], &|command| {
            command.stdout(Stdio::piped());
            if is_heard {
                command.stderr(Stdio::piped());
            }
            Ok(())
        })?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let stderr = child.stderr.take();
        let told = std::thread::scope(|scope| {
            let conversation = scope.spawn(move || talk(stdin, stdout));
            if let (Some(stderr), Some(hear)) = (stderr, hear) {
                pass_on(stderr, hear)?;
            }
            conversation.join().map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
        });
        Ok((told?, ended(child)?))
    }

    /// The exit code of a hook that ended so: 128 and the number of the signal that ended it. What is wrong is told.
    fn code(&self, outcome: io::Result<ExitStatus>) -> u8 {
        let shown = self.program.display();
        match outcome {
            Ok(status) => {
                if let Some(signal) = telemetry::signal(status)
                    && !QUIET_SIGNALS.contains(&signal)
                {
                    aside(format!("error: {shown} died of signal {signal}\n").as_bytes());
                }
                u8::try_from(telemetry::code(status)).unwrap_or(u8::MAX)
            }
            Err(source) => {
                let error = Error::Io { action: "cannot exec", path: self.program.clone(), source };
                aside(format!("fatal: {error}\n").as_bytes());
                NOT_STARTED
            }
        }
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
        if let Some(parameters) = &self.parameters {
            command.env("GIT_CONFIG_PARAMETERS", parameters);
        }
        if let Some(git_dir) = &self.git_dir {
            command.env("GIT_DIR", git_dir);
        }
        let output = if self.has_our_output { Stdio::inherit() } else { Stdio::from(io::stderr()) };
        command.stdin(Stdio::piped()).stdout(output).stderr(Stdio::inherit());
        command
    }
}

/// Waits for the end of `child`.
fn ended(mut child: Child) -> io::Result<ExitStatus> {
    let status = child.wait()?;
    telemetry::child_ended(child.id(), status);
    Ok(status)
}

/// Says what those are to hear who hear the hooks, where these write: on our standard error.
pub(crate) fn aside(text: &[u8]) {
    // nobody is told that nobody listens
    let _heard_or_not = io::stderr().lock().write_all(text);
}

/// Signals that need no word, seen in git 2.47.3: who sent them knows.
#[cfg(unix)]
const QUIET_SIGNALS: [i32; 3] = [Signal::INT.as_raw(), Signal::QUIT.as_raw(), Signal::PIPE.as_raw()];
#[cfg(not(unix))]
const QUIET_SIGNALS: [i32; 0] = [];

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
        std::fs::create_dir_all(directory.join("hooks")).unwrap();
        let program = directory.join("hooks/pre-push");
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let env = std::env::vars_os().collect();
        Hook::in_directory("hooks/pre-push".as_ref(), directory, &env).map(|hook| hook.naming(".".as_ref()))
    }

    #[test]
    fn a_hook_gets_its_name_arguments_input_and_the_repository() {
        let directory = tempfile::tempdir().unwrap();
        let script = "#!/bin/sh\n(echo \"$0 $# $1 $2\"; cat; echo \"$GIT_DIR\") >seen\nexit 3\n";
        let hook = install(directory.path(), script).unwrap();
        assert_eq!(hook.run(&["a b".as_ref(), "c".as_ref()], b"line\n"), 3);
        assert_eq!(
            std::fs::read_to_string(directory.path().join("seen")).unwrap(),
            "hooks/pre-push 2 a b c\nline\n.\n"
        );
    }

    #[test]
    fn a_script_that_does_not_name_its_shell_is_one_all_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let hook = install(directory.path(), "exit 5\n").unwrap();
        assert_eq!(hook.run(&[], b""), 5);
    }

    #[test]
    fn a_hook_need_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let hook = install(directory.path(), "#!/bin/sh\nexit 0\n").unwrap();
        assert_eq!(hook.run(&[], &vec![b'x'; 1 << 20]), 0);
    }

    #[test]
    fn a_hook_that_cannot_be_started_or_dies_has_failed() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(install(directory.path(), "#!/nonexistent/shell\n").unwrap().run(&[], b""), 1);
        assert_eq!(install(directory.path(), "#!/bin/sh\nkill -9 $$\n").unwrap().run(&[], b""), 137);
    }

    #[test]
    fn a_file_that_is_not_executable_is_no_hook() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("pre-push");
        std::fs::write(&program, "#!/bin/sh\n").unwrap();
        let env = Environment::default();
        for name in ["pre-push", "none"] {
            assert!(Hook::in_directory(name.as_ref(), directory.path(), &env).is_none());
        }
    }
}
