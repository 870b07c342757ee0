//! Filter drivers, gitattributes(5): what `filter.<name>.*` names, and running it once for each file. What runs on is
//! [`Process`].

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;

use super::process::{Answer, Failure, Process};
use super::stop_on;
use crate::progress::{Event, Progress};
use crate::repo::shell::program;
use crate::repo::{Environment, Error, system_text};
use crate::telemetry;

/// A filter driver, `filter.<name>.*`. An empty program is none.
#[derive(Debug, Clone, Default)]
pub struct Driver {
    /// What the attribute `filter` calls it.
    pub name: BString,
    /// Makes the content of a blob from that of a file.
    pub clean: Option<BString>,
    /// Makes the content of a file from that of a blob.
    pub smudge: Option<BString>,
    /// Does both, for one file after the other; the other two are not run then.
    pub process: Option<BString>,
    /// Whether a file cannot do without.
    pub required: bool,
}

/// Where filters run, and what they see of the system.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The top of the work tree.
    pub directory: PathBuf,
    /// All variables.
    pub env: Environment,
}

/// Which way content goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the work tree.
    Clean,
    /// To the work tree.
    Smudge,
}

/// One file that is filtered.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// Which way.
    pub direction: Direction,
    /// The file, from the top of the work tree.
    pub path: &'a BStr,
    /// The branch that is checked out, which a process is told.
    pub reference: Option<&'a BStr>,
    /// The commit that is checked out, which a process is told.
    pub treeish: Option<ObjectId>,
    /// The blob, which a process is told.
    pub blob: Option<ObjectId>,
    /// Whether a process may take its time.
    pub can_delay: bool,
}

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub enum Filtered {
    /// The content.
    Content(Vec<u8>),
    /// The process that this command line names has it later.
    Delayed(BString),
    /// There is none, for whatever reason; what is to be said of it was said.
    Failed,
}

/// The programs of all drivers.
pub struct Programs {
    surroundings: Surroundings,
    /// By command line.
    running: BTreeMap<BString, Process>,
}

impl Programs {
    /// Nothing runs yet.
    pub fn new(surroundings: Surroundings) -> Self {
        Self { surroundings, running: BTreeMap::new() }
    }

    /// Has `driver` filter `data`.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] in the words of C git where it dies whether or not the driver is required: a process that hangs up
    /// or talks nonsense.
    pub fn apply(
        &mut self,
        driver: &Driver,
        job: &Job<'_>,
        data: &[u8],
        progress: &mut dyn Progress,
    ) -> Result<Filtered, Error> {
        if let Some(process) = &driver.process {
            return self.ask(process, job, data, progress);
        }
        let program = match job.direction {
            Direction::Clean => &driver.clean,
            Direction::Smudge => &driver.smudge,
        };
        match program {
            Some(program) => self.run(program.as_bstr(), job.path, data, progress),
            None => Ok(Filtered::Failed),
        }
    }

    /// The paths that the process `command` has ready by now, none once it has no more; `None` if it does not say.
    ///
    /// # Errors
    ///
    /// As [`Self::apply`].
    pub fn ready(
        &mut self,
        command: &BString,
        progress: &mut dyn Progress,
    ) -> Result<Option<Vec<BString>>, Error> {
        let Some(process) = self.running.get_mut(command) else {
            let text = format!(
                "external filter '{command}' is not available anymore although not all paths have been filtered"
            );
            complain(progress, &text)?;
            return Ok(None);
        };
        let ready = process.ready();
        self.judge(command, ready, progress)
    }

    /// Ends the processes.
    pub fn finish(self, progress: &mut dyn Progress) -> Result<(), Error> {
        self.running.into_values().try_for_each(|process| process.end(progress))
    }

    /// Has a process filter `data`; starts it if it does not run.
    fn ask(
        &mut self,
        command: &BString,
        job: &Job<'_>,
        data: &[u8],
        progress: &mut dyn Progress,
    ) -> Result<Filtered, Error> {
        if !self.running.contains_key(command) {
            let Some(process) = Process::start(command.as_bstr(), &self.surroundings, progress)? else {
                return Ok(Filtered::Failed);
            };
            self.running.insert(command.clone(), process);
        }
        let Some(process) = self.running.get_mut(command) else { return Ok(Filtered::Failed) };
        let answer = process.filter(job, data);
        Ok(match self.judge(command, answer, progress)? {
            Some(Answer::Content(content)) => Filtered::Content(content),
            Some(Answer::Delayed) => Filtered::Delayed(command.clone()),
            None => Filtered::Failed,
        })
    }

    /// Ends a process that does not keep to the protocol: the next file has it started again.
    fn judge<T>(
        &mut self,
        command: &BString,
        answer: Result<T, Failure>,
        progress: &mut dyn Progress,
    ) -> Result<Option<T>, Error> {
        match answer {
            Ok(answer) => return Ok(Some(answer)),
            Err(Failure::Unwilling) => {}
            Err(Failure::Fatal(text)) => return Err(Error::Refused(text)),
            Err(Failure::Broken(reason)) => {
                reason.map_or(Ok(()), |reason| complain(progress, reason))?;
                complain(progress, &format!("external filter '{command}' failed"))?;
                if let Some(process) = self.running.remove(command) {
                    process.kill(progress)?;
                }
            }
        }
        Ok(None)
    }

    /// Runs `program` for one file.
    fn run(
        &self,
        program: &BStr,
        path: &BStr,
        data: &[u8],
        progress: &mut dyn Progress,
    ) -> Result<Filtered, Error> {
        let line = expand(program, path);
        let Some(mut child) = self.surroundings.spawn(line.as_bstr(), progress)? else {
            complain(progress, &format!("cannot fork to run external filter '{program}'"))?;
            complain(progress, &format!("external filter '{program}' failed"))?;
            return Ok(Filtered::Failed);
        };
        let content = converse(&mut child, data);
        let status = ended(&mut child, line.as_bstr(), progress)?;
        if let Some(code) = status.map(telemetry::code).filter(|code| *code != 0) {
            complain(progress, &format!("external filter '{program}' failed {code}"))?;
        }
        match content {
            Ok(content) if status.is_some_and(|status| status.success()) => Ok(Filtered::Content(content)),
            Ok(_) | Err(_) => {
                complain(progress, &format!("external filter '{program}' failed"))?;
                Ok(Filtered::Failed)
            }
        }
    }
}

impl Surroundings {
    /// Starts `line`; `None`, after saying why, if that cannot be done.
    pub(super) fn spawn(&self, line: &BStr, progress: &mut dyn Progress) -> Result<Option<Child>, Error> {
        let start = |mut command: Command| {
            command.env_clear().envs(self.env.vars());
            if !self.directory.as_os_str().is_empty() {
                command.current_dir(&self.directory);
            }
            let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
            telemetry::child_started(&child, "subprocess", &command);
            Ok(child)
        };
        let error = match program(line).and_then(start) {
            Ok(child) => return Ok(Some(child)),
            Err(error) => error,
        };
        let reason = system_text(&error);
        if line.contains(&b'/') {
            let text = format!("cannot exec '{line}': {reason}");
            stop_on(progress.report(Event::Fatal(&text)))?;
        } else {
            complain(progress, &format!("cannot run {line}: {reason}"))?;
        }
        Ok(None)
    }
}

/// Gives `child` all of `data` to read and takes in what it writes. It need not read it.
fn converse(child: &mut Child, data: &[u8]) -> io::Result<Vec<u8>> {
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    std::thread::scope(|scope| {
        let writer = stdin.map(|mut stdin| scope.spawn(move || stdin.write_all(data)));
        let mut content = Vec::new();
        if let Some(mut stdout) = stdout {
            stdout.read_to_end(&mut content)?;
        }
        match writer.map(std::thread::ScopedJoinHandle::join) {
            Some(Ok(Err(error))) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            Some(Ok(_)) | None => Ok(content),
            Some(Err(panic)) => std::panic::resume_unwind(panic),
        }
    })
}

/// Waits for the end of `child`, which `line` started, and says so if a signal was it.
pub(super) fn ended(
    child: &mut Child,
    line: &BStr,
    progress: &mut dyn Progress,
) -> Result<Option<ExitStatus>, Error> {
    /// Those that a user sends, or that say that nobody listens: `SIGINT`, `SIGQUIT` and `SIGPIPE`.
    const NOT_TOLD: [i32; 3] = [2, 3, 13];
    let Ok(status) = child.wait() else { return Ok(None) };
    telemetry::child_ended(child.id(), status);
    if let Some(signal) = telemetry::signal(status).filter(|signal| !NOT_TOLD.contains(signal)) {
        complain(progress, &format!("{line} died of signal {signal}"))?;
    }
    Ok(Some(status))
}

/// Says what went wrong, behind `error: `.
pub(super) fn complain(progress: &mut dyn Progress, text: &str) -> Result<(), Error> {
    stop_on(progress.report(Event::Error(text)))
}

/// `program` with the path, quoted for the shell, for each `%f`, and `%` for `%%`.
fn expand(program: &BStr, path: &BStr) -> BString {
    let mut line = BString::default();
    let mut rest = program.as_bytes();
    while let Some((before, after)) = rest.split_once_str("%") {
        line.extend_from_slice(before);
        rest = after;
        if let Some(after) = rest.strip_prefix(b"f") {
            line.push(b'\'');
            for &byte in path.as_bytes() {
                match byte {
                    b'\'' | b'!' => line.extend_from_slice(&[b'\'', b'\\', byte, b'\'']),
                    other => line.push(other),
                }
            }
            line.push(b'\'');
            rest = after;
        } else {
            line.push(b'%');
            rest = rest.strip_prefix(b"%").unwrap_or(rest);
        }
    }
    line.extend_from_slice(rest);
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seen in git 2.47.3.
    #[test]
    fn the_path_is_quoted_for_the_shell() {
        let expand = |program: &str, path: &str| expand(program.into(), path.into()).to_string();
        assert_eq!(expand("a %f%f b", "x y"), "a 'x y''x y' b");
        assert_eq!(expand("%f", "it's!"), r"'it'\''s'\!''");
        assert_eq!(expand("%% %x %%f %", "x"), "% %x %f %");
    }
}
