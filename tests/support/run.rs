//! One run of a program: what it printed and how it ended.

use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use bstr::{BString, ByteSlice};

/// How long a program may take before the test calls it hung. Far above what any run needs; nothing is measured.
const HUNG_AFTER: Duration = Duration::from_mins(5);

/// What a program printed and how it ended.
#[derive(Clone, PartialEq, Eq)]
pub struct Run {
    /// The command line, for messages.
    pub command: String,
    /// Everything on stdout.
    pub stdout: BString,
    /// Everything on stderr.
    pub stderr: BString,
    /// The exit code; a signal counts as 128 + its number, as shells have it.
    pub status: i32,
}

impl Run {
    /// Runs `command` with nothing on stdin and waits for its end.
    ///
    /// # Panics
    /// If the program cannot be started or hangs.
    pub fn of(command: &mut Command) -> Self {
        Self::with_input(command, &[])
    }

    /// Runs `command` with `input` on stdin and waits for its end.
    ///
    /// # Panics
    /// If the program cannot be started or hangs.
    pub fn with_input(command: &mut Command, input: &[u8]) -> Self {
        let words: Vec<_> = std::iter::once(command.get_program()).chain(command.get_args()).collect();
        let line = words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot run '{line}': {error}"));
        let group = rustix::process::Pid::from_child(&child);
        let stdout = collect(child.stdout.take());
        let stderr = collect(child.stderr.take());
        let mut stdin = child.stdin.take().expect("stdin is piped");
        let input = input.to_vec();
        // A program may end before it has read everything; that is its affair.
        let writer = thread::spawn(move || std::io::Write::write_all(&mut stdin, &input).is_ok());
        let outputs = (stdout.recv_timeout(HUNG_AFTER), stderr.recv_timeout(HUNG_AFTER));
        let (Ok(stdout), Ok(stderr)) = outputs else {
            rustix::process::kill_process_group(group, rustix::process::Signal::KILL).ok();
            panic!("'{line}' hangs");
        };
        writer.join().expect("the writer does not panic");
        let status = code(child.wait().expect("the child is ours to wait for"));
        Self { command: line, stdout, stderr, status }
    }

    /// This run, if it ended with exit code 0.
    ///
    /// # Panics
    /// If it did not.
    #[track_caller]
    pub fn success(self) -> Self {
        assert_eq!(self.status, 0, "{self:?}");
        self
    }

    /// Whether stderr contains `text`.
    pub fn complains_of(&self, text: &str) -> bool {
        self.stderr.contains_str(text)
    }

    /// Stdout without the line end.
    pub fn line(&self) -> String {
        self.stdout.to_str_lossy().trim_end().to_owned()
    }
}

/// Shows the run as a terminal would, so that a failed comparison can be read.
impl std::fmt::Debug for Run {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "$ {}\n-- stdout\n{}-- stderr\n{}-- exit {}",
            self.command, self.stdout, self.stderr, self.status
        )
    }
}

/// Reads a stream to its end in a thread of its own.
fn collect(stream: Option<impl Read + Send + 'static>) -> mpsc::Receiver<BString> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            stream.read_to_end(&mut bytes).ok();
        }
        sender.send(bytes.into()).ok();
    });
    receiver
}

/// The exit code as a shell tells it.
fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}
