//! Programs that run at the same time. What each prints is kept together: that of one is shown while it runs, that of the
//! others when they have ended.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{PipeReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use super::{CommandError, ui};
use crate::telemetry;
use crate::transport::{trace_note, trace_program};

/// The programs of [`run`] that have not ended: who is ended by a signal takes them along.
static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// What trace2 calls programs that are of no particular class.
const CLASS: &str = "?";

/// Runs one program to its end, as [`Command::status`] does, and tells of it to those who trace.
pub(super) fn status(command: &mut Command) -> std::io::Result<ExitStatus> {
    let mut child = spawn(command)?;
    wait(&mut child)
}

/// As [`status`], of C git, wherever it was found: it is called `git`.
pub(super) fn git_status(command: &mut Command) -> std::io::Result<ExitStatus> {
    const NAME: &str = "git";
    trace_program(command);
    let mut child = command.arg0(NAME).spawn()?;
    let words: Vec<&OsStr> = std::iter::once(OsStr::new(NAME)).chain(command.get_args()).collect();
    telemetry::child_started_as(&child, CLASS, &words, false);
    wait(&mut child)
}

fn spawn(command: &mut Command) -> std::io::Result<Child> {
    trace_program(command);
    let child = command.spawn()?;
    telemetry::child_started(&child, CLASS, command);
    Ok(child)
}

fn wait(child: &mut Child) -> std::io::Result<ExitStatus> {
    let status = child.wait()?;
    telemetry::child_ended(child.id(), status);
    Ok(status)
}

/// Sends `signal` to all programs of [`run`]. For as long as what is given back is held, none starts or ends.
pub(super) fn end_all(signal: i32) -> MutexGuard<'static, Vec<Pid>> {
    let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(signal) = Signal::from_named_raw(signal) {
        for pid in running.iter() {
            let _told_or_gone = kill_process(*pid, signal);
        }
    }
    running
}

/// As [`spawn`], of a program that [`end_all`] ends.
fn spawn_watched(command: &mut Command) -> std::io::Result<Child> {
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    let child = spawn(command)?;
    running.push(Pid::from_child(&child));
    Ok(child)
}

/// As [`wait`], of a program that was started by [`spawn_watched`].
fn wait_watched(child: &mut Child) -> std::io::Result<ExitStatus> {
    let pid = Pid::from_child(child);
    // its number is another's as soon as its status was taken
    let has_ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    let _known_below = rustix::io::retry_on_intr(|| waitid(WaitId::Pid(pid), has_ended));
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner).retain(|running| *running != pid);
    wait(child)
}

/// One program to run.
pub(super) struct Job {
    pub(super) command: Command,
    /// Lines to show in front of what it prints on its standard error.
    pub(super) said: Vec<u8>,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// With exit code 0.
    Well,
    /// With another, or by a signal: then 128 and its number.
    Badly { code: i32 },
    /// It could not be started.
    Never,
}

/// What there is to do.
pub(super) trait Work {
    /// The next program; `None` if there is none now. It is asked again when one has ended.
    fn next(&mut self) -> Result<Option<Job>, CommandError>;
    /// Lines to show behind what has been shown, where [`Self::next`] had something to tell and no program to tell it in front of.
    fn left_over(&mut self) -> Vec<u8> {
        Vec::new()
    }
    /// Takes note of how the program ended that was the `number`th of [`Self::next`]; gives lines to show behind what it
    /// printed on its standard error.
    fn ended(&mut self, number: usize, ended: Ended) -> Vec<u8>;
}

/// As many programs at once as was wished; 0 stands for one for each processor.
pub(super) fn jobs(wish: i64) -> usize {
    match usize::try_from(wish) {
        Ok(0) | Err(_) => thread::available_parallelism().map_or(1, usize::from),
        Ok(jobs) => jobs,
    }
}

/// Runs all that `work` has, at most `jobs_max` programs at once. `category` is what it is part of, for trace2.
pub(super) fn run(jobs_max: usize, category: &str, work: &mut dyn Work) -> Result<(), CommandError> {
    trace_note(&format!("run_processes_parallel: preparing to run up to {jobs_max} tasks"));
    let which = format!("max:{jobs_max}");
    let outcome = telemetry::region_of(category, "parallel/fetch", &which, || run_all(jobs_max, work));
    trace_note("run_processes_parallel: done");
    outcome
}

fn run_all(jobs_max: usize, work: &mut dyn Work) -> Result<(), CommandError> {
    let (sender, receiver) = mpsc::channel();
    let mut running: BTreeMap<usize, Running> = BTreeMap::new();
    let mut shown = None;
    let mut done = Output::default();
    let mut started = 0;
    loop {
        while running.len() < jobs_max {
            let next = work.next();
            if !matches!(next, Ok(Some(_))) {
                done.stderr.extend(work.left_over());
            }
            if next.is_err() {
                done.show()?;
            }
            let Some(job) = next? else { break };
            let number = started;
            started += 1;
            match Running::start(job, number, &sender) {
                Ok(child) => drop(running.insert(number, child)),
                Err(said) => {
                    done.stderr.extend(said);
                    done.stderr.extend(work.ended(number, Ended::Never));
                }
            }
        }
        shown = shown.or_else(|| running.keys().next().copied());
        let Some(first) = shown else { return done.show() };
        if let Some(child) = running.get_mut(&first) {
            child.output.show()?;
        }
        // each reader holds a sender for as long as its program runs
        let Ok(message) = receiver.recv() else { return Ok(()) };
        let Some(child) = running.get_mut(&message.number) else { continue };
        match message.content {
            Some((stream, text)) => child.output.of(stream).extend(text),
            None if child.open_count > 1 => child.open_count -= 1,
            None => {
                let ended = child.wait();
                let Some(mut child) = running.remove(&message.number) else { continue };
                child.output.stderr.extend(work.ended(message.number, ended));
                if shown == Some(message.number) {
                    child.output.show()?;
                    done.show()?;
                    shown = running.keys().next().copied();
                } else {
                    done.stdout.append(&mut child.output.stdout);
                    done.stderr.append(&mut child.output.stderr);
                }
            }
        }
    }
}

/// Which of its two a program wrote to.
#[derive(Debug, Clone, Copy)]
enum Stream {
    Stdout,
    Stderr,
}

/// What a reader has to tell; nothing at the end of its stream.
struct Message {
    number: usize,
    content: Option<(Stream, Vec<u8>)>,
}

/// What a program printed and was not shown yet.
#[derive(Default)]
struct Output {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Output {
    fn of(&mut self, stream: Stream) -> &mut Vec<u8> {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    fn show(&mut self) -> Result<(), CommandError> {
        if !self.stdout.is_empty() {
            ui::out_raw(&std::mem::take(&mut self.stdout))?;
        }
        if !self.stderr.is_empty() {
            ui::relay(&std::mem::take(&mut self.stderr));
        }
        Ok(())
    }
}

struct Running {
    child: Child,
    output: Output,
    /// Its streams that have not ended.
    open_count: usize,
}

impl Running {
    /// Starts the program; if that fails, gives what is to be said.
    fn start(job: Job, number: usize, sender: &mpsc::Sender<Message>) -> Result<Self, Vec<u8>> {
        let Job { mut command, said } = job;
        let mut streams = Vec::new();
        let mut spawn = || {
            for stream in [Stream::Stdout, Stream::Stderr] {
                let (reader, writer) = std::io::pipe()?;
                match stream {
                    Stream::Stdout => command.stdout(Stdio::from(writer)),
                    Stream::Stderr => command.stderr(Stdio::from(writer)),
                };
                streams.push((stream, reader));
            }
            spawn_watched(command.stdin(Stdio::null()))
        };
        let child = match spawn() {
            Ok(child) => child,
            Err(error) => {
                let text = format!("error: cannot run {}: {error}\n", command.get_program().display());
                return Err([said, text.into()].concat());
            }
        };
        let open_count = streams.len();
        for (stream, reader) in streams {
            let sender = sender.clone();
            thread::spawn(move || forward(reader, stream, number, &sender));
        }
        Ok(Self { child, output: Output { stdout: Vec::new(), stderr: said }, open_count })
    }

    fn wait(&mut self) -> Ended {
        /// As a shell tells of a process that a signal ended.
        const BY_SIGNAL: i32 = 128;
        match wait_watched(&mut self.child) {
            Ok(status) if status.success() => Ended::Well,
            Ok(status) => {
                use std::os::unix::process::ExitStatusExt;
                let signal = status.signal().map(|signal| BY_SIGNAL + signal);
                Ended::Badly { code: status.code().or(signal).unwrap_or(BY_SIGNAL) }
            }
            Err(_) => Ended::Badly { code: BY_SIGNAL },
        }
    }
}

/// Hands on what comes out of `reader`, to its end.
fn forward(mut reader: PipeReader, stream: Stream, number: usize, sender: &mpsc::Sender<Message>) {
    const BLOCK_BYTES: usize = 8192;
    let mut block = vec![0; BLOCK_BYTES];
    loop {
        let len = match reader.read(&mut block) {
            Ok(len) => len,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => 0,
        };
        let text = block.get(..len).unwrap_or_default().to_vec();
        let content = (len > 0).then_some((stream, text));
        let is_end = content.is_none();
        if sender.send(Message { number, content }).is_err() || is_end {
            return;
        }
    }
}
