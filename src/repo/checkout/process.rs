//! A filter that runs on, gitattributes(5), "Long Running Filter Process": a conversation in pkt-lines.
//!
//! ```text
//! start ── handshake ── Process ── filter, ready … ── end
//!               └ None            └ Failure::Broken ── kill
//! ```

use std::collections::BTreeSet;
use std::io::{self, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout};

use bstr::{BStr, BString, ByteSlice};

use super::driver::{Direction, Job, Surroundings, complain, ended};
use crate::progress::Progress;
use crate::protocol::pktline::{self, Packet, Reader};
use crate::protocol::{self, trace};
use crate::repo::Error;

/// The one version of the protocol that there is.
const VERSION: &str = "2";

/// What git says where packets do not reach the program.
const NOT_WRITTEN: &str = "packet write with format failed";

/// A program that has shaken hands.
pub struct Process {
    line: BString,
    child: Child,
    /// `None` once it is to end.
    pipes: Option<Pipes>,
    abilities: Abilities,
}

/// The ways to a program and back.
struct Pipes {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// What a program can do, as it says.
#[derive(Debug, Default)]
struct Abilities {
    clean: bool,
    smudge: bool,
    delay: bool,
}

/// What a program made of a file.
pub enum Answer {
    /// Its content.
    Content(Vec<u8>),
    /// Nothing yet.
    Delayed,
}

/// Why there is no answer.
pub enum Failure {
    /// The program does not want to, or cannot; it goes on.
    Unwilling,
    /// It broke the protocol or ended; what is to be said of it, if anything.
    Broken(Option<&'static str>),
    /// git ends here, whatever the file means to the user; its words.
    Fatal(String),
}

/// How a handshake fails.
enum Refusal {
    /// The program is not taken; what is to be said of it.
    Unfit(Vec<String>),
    /// As [`Failure::Fatal`].
    Fatal(String),
}

impl Process {
    /// Starts `line` and shakes hands; `None`, after saying why, if that fails.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] where git dies of it.
    pub fn start(
        line: &BStr,
        surroundings: &Surroundings,
        progress: &mut dyn Progress,
    ) -> Result<Option<Self>, Error> {
        let Some(mut child) = surroundings.spawn(line, progress)? else {
            complain(progress, &format!("cannot fork to run subprocess '{line}'"))?;
            return Ok(None);
        };
        let pipes = match (child.stdin.take(), child.stdout.take()) {
            (Some(input), Some(output)) => Some(Pipes { input, output: BufReader::new(output) }),
            _ => None,
        };
        let mut process = Self { line: line.to_owned(), child, pipes, abilities: Abilities::default() };
        match process.shake_hands() {
            Ok(abilities) => {
                process.abilities = abilities;
                Ok(Some(process))
            }
            Err(Refusal::Fatal(text)) => Err(Error::Refused(text)),
            Err(Refusal::Unfit(reasons)) => {
                reasons.iter().try_for_each(|reason| complain(progress, reason))?;
                complain(progress, &format!("initialization for subprocess '{line}' failed"))?;
                process.kill(progress)?;
                Ok(None)
            }
        }
    }

    /// Has the program filter `data`.
    pub fn filter(&mut self, job: &Job<'_>, data: &[u8]) -> Result<Answer, Failure> {
        if !*self.ability(job.direction) {
            return Err(Failure::Unwilling);
        }
        let can_delay = job.can_delay && self.abilities.delay;
        let pipes = self.pipes.as_mut().ok_or(Failure::Broken(None))?;
        pipes.send(&request(job, can_delay)).map_err(|_| Failure::Broken(Some(NOT_WRITTEN)))?;
        pipes.send_content(data).map_err(|_| Failure::Broken(Some("packet write failed")))?;
        let mut status = BString::default();
        pipes.read_status(&mut status)?;
        if can_delay && status == "delayed" {
            return Ok(Answer::Delayed);
        }
        let mut content = Vec::new();
        if status == "success" {
            pipes.read_content(&mut content)?;
            pipes.read_status(&mut status)?;
        }
        if status == "success" {
            return Ok(Answer::Content(content));
        }
        if status == "abort" {
            *self.ability(job.direction) = false;
            return Err(Failure::Unwilling);
        }
        Err(unsuccessful(&status))
    }

    /// The paths that were delayed and are ready by now, sorted; none once there are no more.
    pub fn ready(&mut self) -> Result<Vec<BString>, Failure> {
        let pipes = self.pipes.as_mut().ok_or(Failure::Broken(None))?;
        let mut request = Vec::new();
        line(&mut request, &[b"command=list_available_blobs"]);
        end(&mut request);
        pipes.send(&request).map_err(|_| Failure::Broken(Some(NOT_WRITTEN)))?;
        let mut paths = BTreeSet::new();
        let mut reader = Reader::new(&mut pipes.output);
        while let Some(text) = reader.read_raw().map_err(|error| Failure::Fatal(error.to_string()))?.line() {
            paths.extend(text.strip_prefix(b"pathname=").map(BString::from));
        }
        let mut status = BString::default();
        pipes.read_status(&mut status)?;
        if status == "success" { Ok(paths.into_iter().collect()) } else { Err(unsuccessful(&status)) }
    }

    /// Ends the program, which hears so, and waits for it.
    pub fn end(mut self, progress: &mut dyn Progress) -> Result<(), Error> {
        self.pipes = None;
        ended(&mut self.child, self.line.as_bstr(), progress).map(drop)
    }

    /// Ends the program by a signal, and waits for it.
    pub fn kill(mut self, progress: &mut dyn Progress) -> Result<(), Error> {
        // one that has ended already is not there to be told
        #[cfg(unix)]
        let _told_or_gone = rustix::process::kill_process(
            rustix::process::Pid::from_child(&self.child),
            rustix::process::Signal::TERM,
        );
        #[cfg(not(unix))]
        let _told_or_gone = self.child.kill();
        self.pipes = None;
        ended(&mut self.child, self.line.as_bstr(), progress).map(drop)
    }

    fn ability(&mut self, direction: Direction) -> &mut bool {
        match direction {
            Direction::Clean => &mut self.abilities.clean,
            Direction::Smudge => &mut self.abilities.smudge,
        }
    }

    fn shake_hands(&mut self) -> Result<Abilities, Refusal> {
        let unfit = |text: String| Refusal::Unfit(vec![text]);
        let unwritten = |what: &str| Refusal::Unfit(vec![NOT_WRITTEN.to_owned(), what.to_owned()]);
        let Some(pipes) = &mut self.pipes else { return Err(Refusal::Unfit(Vec::new())) };
        let mut hello = Vec::new();
        line(&mut hello, &[b"git-filter-client"]);
        line(&mut hello, &[b"version=", VERSION.as_bytes()]);
        end(&mut hello);
        pipes.send(&hello).map_err(|_| unwritten("Could not write client identification"))?;
        let mut reader = Reader::new(&mut pipes.output);
        let unexpected = |text: Option<&[u8]>, expected: &str| {
            let text = text.unwrap_or(b"<flush packet>").as_bstr();
            unfit(format!("Unexpected line '{text}', expected {expected}"))
        };
        let text = next(&mut reader)?;
        if text != Some(b"git-filter-server") {
            return Err(unexpected(text, "git-filter-server"));
        }
        let text = next(&mut reader)?;
        let version = match text.and_then(|text| text.strip_prefix(b"version=")) {
            Some(version) if version.iter().all(u8::is_ascii_digit) => version.as_bstr().to_owned(),
            Some(_) | None => return Err(unexpected(text, "version")),
        };
        let text = next(&mut reader)?;
        if text.is_some() {
            return Err(unexpected(text, "flush"));
        }
        if version != VERSION {
            return Err(unfit(format!("Version {version} not supported")));
        }
        let mut wishes = Vec::new();
        for ability in ["clean", "smudge", "delay"] {
            line(&mut wishes, &[b"capability=", ability.as_bytes()]);
        }
        end(&mut wishes);
        pipes.send(&wishes).map_err(|_| unwritten("Could not write requested capability"))?;
        self.hear_abilities()
    }

    fn hear_abilities(&mut self) -> Result<Abilities, Refusal> {
        let mut abilities = Abilities::default();
        let Some(pipes) = &mut self.pipes else { return Ok(abilities) };
        let mut reader = Reader::new(&mut pipes.output);
        while let Some(text) = next(&mut reader)? {
            match text.strip_prefix(b"capability=") {
                Some(b"clean") => abilities.clean = true,
                Some(b"smudge") => abilities.smudge = true,
                Some(b"delay") => abilities.delay = true,
                Some(other) => {
                    return Err(Refusal::Fatal(format!(
                        "subprocess '{}' requested unsupported capability '{}'",
                        self.line,
                        other.as_bstr()
                    )));
                }
                None => {}
            }
        }
        Ok(abilities)
    }
}

/// One that was not told to end is told now, and waited for, as git does when it dies.
impl Drop for Process {
    fn drop(&mut self) {
        self.pipes = None;
        // nobody is left to hear how it ended
        let _status = self.child.wait();
    }
}

impl Pipes {
    fn send(&mut self, request: &[u8]) -> io::Result<()> {
        trace::sent(request);
        self.input.write_all(request)
    }

    fn send_content(&mut self, data: &[u8]) -> io::Result<()> {
        let mut packet = Vec::with_capacity(data.len().min(pktline::DATA_LEN_MAX) + 8);
        for chunk in data.chunks(pktline::DATA_LEN_MAX) {
            packet.clear();
            pktline::write_data(&mut packet, chunk)?;
            self.send(&packet)?;
        }
        self.send(b"0000")
    }

    /// Reads a list of keys and values. A list without a status leaves `status` as it is.
    fn read_status(&mut self, status: &mut BString) -> Result<(), Failure> {
        let mut reader = Reader::new(&mut self.output);
        while let Some(text) = reader.read_raw().map_err(broken)?.line() {
            if let Some(value) = text.strip_prefix(b"status=") {
                *status = value.into();
            }
        }
        Ok(())
    }

    fn read_content(&mut self, content: &mut Vec<u8>) -> Result<(), Failure> {
        let mut reader = Reader::new(&mut self.output);
        while let Packet::Data(data) = reader.read_raw().map_err(broken)? {
            content.extend_from_slice(data);
        }
        Ok(())
    }
}

/// The next line of a handshake; `None` for a flush-pkt.
fn next<'a>(reader: &'a mut Reader<'_>) -> Result<Option<&'a [u8]>, Refusal> {
    reader.read_raw().map(Packet::line).map_err(|error| Refusal::Fatal(error.to_string()))
}

/// What a program that ends is, and one that talks nonsense.
fn broken(error: protocol::Error) -> Failure {
    match error {
        protocol::Error::UnexpectedEof { .. } | protocol::Error::Io(_) => Failure::Broken(None),
        other => Failure::Fatal(other.to_string()),
    }
}

/// What a status other than `success` means where the program may not abort.
fn unsuccessful(status: &BString) -> Failure {
    if status == "error" { Failure::Unwilling } else { Failure::Broken(None) }
}

/// What a program is told of a file, before its content.
fn request(job: &Job<'_>, can_delay: bool) -> Vec<u8> {
    let mut request = Vec::new();
    let direction = match job.direction {
        Direction::Clean => "clean",
        Direction::Smudge => "smudge",
    };
    line(&mut request, &[b"command=", direction.as_bytes()]);
    line(&mut request, &[b"pathname=", job.path]);
    if let Some(reference) = job.reference {
        line(&mut request, &[b"ref=", reference]);
    }
    for (key, id) in [("treeish=", job.treeish), ("blob=", job.blob)] {
        if let Some(id) = id {
            line(&mut request, &[key.as_bytes(), id.to_string().as_bytes()]);
        }
    }
    if can_delay {
        line(&mut request, &[b"can-delay=1"]);
    }
    end(&mut request);
    request
}

/// Adds a line to a request. A path that fits into no pkt-line is left out, and the program complains.
fn line(request: &mut Vec<u8>, parts: &[&[u8]]) {
    let _fits_or_not = pktline::write_line(request, &parts.concat());
}

/// Ends a list.
fn end(request: &mut Vec<u8>) {
    request.extend_from_slice(b"0000");
}
