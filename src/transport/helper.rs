//! Remote helper programs, `git-remote-<name>`: how git's users plug in ways of their own. gitremote-helpers(7).
//!
//! ```text
//! start: capabilities, options ── Helper ── connect ─┬─ Way::Wire: git's protocol, through the program
//!                                                    └─ Way::Program: list, then fetch, import, push or export
//! ```
//!
//! A program talks in lines on its standard input and output, one command at a time. It is the user's own choice, so
//! it is trusted as `ssh` is; still nothing that it says is taken without a limit. What it is told, and when, is as seen
//! in git 2.47.3.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command};

use bstr::{BStr, BString, ByteSlice};

use self::capability::Capabilities;
use self::stateless::Stateless;
use super::child::{self, Surroundings};
use super::program::{Place, Programs};
use super::stream::Stream;
use super::{Connection, Error, Options, Scheme, Settings, Transport, Url};
use crate::progress::{Event, Progress};
use crate::protocol::{self, Service, Version};

mod capability;
mod foreign;
mod list;
mod push;
mod stateless;
mod transfer;

pub use foreign::Exported;
pub use list::{Listing, Purpose};
pub use push::{Change, Report, Reports};
pub use transfer::{Fetched, KeepFile};

/// The longest line that is read: a ref or a message.
const LINE_BYTES_MAX: u64 = 64 * 1024;

/// A helper program that runs, has said what it can do and waits for a command.
///
/// Dropping it ends its input and waits for it, so that none is left behind.
pub struct Helper {
    /// `<name>` of `git-remote-<name>`.
    name: BString,
    writer: ChildStdin,
    reader: BufReader<ChildStdout>,
    child: Reaped,
    capabilities: Capabilities,
    options: Options,
    surroundings: Surroundings,
}

/// How a helper program reaches the far side.
pub enum Way {
    /// It connects us with the far side's programs: all goes on in git's protocol.
    Wire(Box<dyn Transport>),
    /// It moves refs and objects by commands of its own.
    Program(Box<Helper>),
}

/// Starts the program for `url` and sets [`Options::helper_options`].
///
/// # Errors
///
/// [`Error::Url`] if `protocol.allow` or one of its kin forbids it; [`Error::Start`] or [`Error::Program`] if there is no
/// such program, if it ends at once, or if it insists on being understood where it is not.
pub fn start(
    url: &Url,
    settings: &dyn Settings,
    options: Options,
    progress: &mut dyn Progress,
) -> Result<Helper, Error> {
    let Scheme::Helper(name) = &url.scheme else {
        return Err(Error::Url(format!("'{}' needs no remote helper", url.redacted())));
    };
    super::policy::allowed(name.as_bstr(), settings)?;
    let surroundings = Surroundings::new(settings, &options);
    let mut command = command(name, settings, &options, &surroundings)?;
    command.arg(match &options.remote {
        Some(remote) => remote.to_os_str_lossy(),
        None => url.text.to_os_str_lossy(),
    });
    if !url.path.is_empty() {
        command.arg(url.path.to_os_str_lossy());
    }
    let mut child = child::start(
        &mut command,
        &format!("remote-{name}"),
        &format!("unable to find remote helper for '{name}'"),
    )?;
    let (Some(writer), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the child has no pipes").into());
    };
    let (reader, child) = (BufReader::new(stdout), Reaped(Some(child)));
    let capabilities = Capabilities::default();
    let mut helper =
        Helper { name: name.clone(), writer, reader, child, capabilities, options, surroundings };
    helper.learn_capabilities(progress)?;
    for (option, value) in helper.options.helper_options.clone() {
        // One that it does not know is ignored, as git does it.
        let _known = helper.set(option, value.as_bstr(), progress)?;
    }
    Ok(helper)
}

/// The program, in the environment of the repository that it works on.
fn command(
    name: &BString,
    settings: &dyn Settings,
    options: &Options,
    surroundings: &Surroundings,
) -> Result<Command, Error> {
    if name.starts_with(b"-") || name.contains(&b'/') {
        return Err(Error::Url(format!("invalid name of a remote helper: '{name}'")));
    }
    let program = format!("git-remote-{name}");
    let programs = Programs::new(settings, options);
    let mut command = match programs.find(&program, surroundings) {
        Some(Place::Reachable) => surroundings.command_here(program.as_bytes().as_bstr()),
        Some(Place::Directory(directory)) => {
            let path = directory.join(&program).into_os_string().into_encoded_bytes();
            let mut command = surroundings.command_here(path.as_bstr());
            command.env("PATH", programs.path_with(directory));
            command
        }
        Some(Place::Subcommand) | None => {
            return Err(Error::Start {
                severity: "git",
                reason: format!("'remote-{name}' is not a git command. See 'git --help'."),
                message: format!("remote helper '{name}' aborted session"),
            });
        }
    };
    if let Some(git_dir) = &options.git_dir {
        command.env("GIT_DIR", git_dir);
    }
    Ok(command)
}

/// What a helper answers to `option`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It will do as told.
    Ok,
    /// It cannot, or does not know the option.
    Unsupported,
}

impl Helper {
    /// `<name>` of `git-remote-<name>`.
    pub fn name(&self) -> &BStr {
        self.name.as_bstr()
    }

    /// Whether objects come by `import`, so that the listing has names without ids until [`Helper::import`] was called.
    pub fn imports(&self) -> bool {
        self.capabilities.import && !self.capabilities.fetch
    }

    /// Tells the program that all is said, and waits for its end.
    pub fn close(mut self) {
        // It may have gone already: nothing is lost then.
        let _said = self.say(&[]);
    }

    /// Sets an option for all commands that follow.
    ///
    /// # Errors
    ///
    /// If the program has gone. What it says against the value is told as a warning or on its standard error.
    pub fn set(&mut self, name: &str, value: &BStr, progress: &mut dyn Progress) -> Result<Answer, Error> {
        if !self.capabilities.option || value.find_byteset(b"\n\0").is_some() {
            return Ok(Answer::Unsupported);
        }
        self.say(&[b"option ", name.as_bytes(), b" ", value])?;
        let answer = self.hear()?;
        match answer.as_slice() {
            b"ok" => return Ok(Answer::Ok),
            b"unsupported" => {}
            error if error.starts_with(b"error") => {}
            _ => self.surprised(&answer, progress)?,
        }
        Ok(Answer::Unsupported)
    }

    /// Asks to be connected with `service`, where the program can do that for `version`.
    ///
    /// # Errors
    ///
    /// [`Error::HelperEnded`] if it could not, and said why itself.
    pub fn connect(
        mut self,
        service: Service,
        version: Version,
        progress: &mut dyn Progress,
    ) -> Result<Way, Error> {
        self.name_far_program(service, progress)?;
        let is_stateless = !self.capabilities.connect;
        let word = if self.capabilities.connect {
            "connect"
        } else if self.capabilities.stateless_connect
            && (service, version) == (Service::UploadPack, Version::V2)
        {
            "stateless-connect"
        } else {
            return Ok(Way::Program(Box::new(self)));
        };
        self.say(&[word.as_bytes(), b" ", service.name().as_bytes()])?;
        let answer = self.hear()?;
        match answer.as_slice() {
            b"" => {}
            b"fallback" => return Ok(Way::Program(Box::new(self))),
            _ => return Err(Error::Program(format!("unknown response to connect: {answer}"))),
        }
        let Self { writer, reader, mut child, .. } = self;
        let connection: Box<dyn Connection> = if is_stateless {
            Box::new(Stateless::new(reader, writer, child))
        } else {
            let buffered = io::Cursor::new(reader.buffer().to_vec());
            let reader = Box::new(buffered.chain(reader.into_inner()));
            Box::new(Stream::from_parts(reader, Box::new(writer)).with_child(child.0.take()))
        };
        Ok(Way::Wire(Box::new(Connected(Some(connection)))))
    }

    /// `--upload-pack` and `--receive-pack`.
    fn name_far_program(&mut self, service: Service, progress: &mut dyn Progress) -> Result<(), Error> {
        let program = child::far_program(&self.options, service);
        if program == service.name() {
            return Ok(());
        }
        let quoted = quote(&program);
        if self.set("servpath", quoted.as_bstr(), progress)? == Answer::Unsupported {
            let text = "setting remote service path not supported by protocol";
            tell(progress, Event::Warning(text))?;
        }
        Ok(())
    }

    /// `capabilities`.
    fn learn_capabilities(&mut self, progress: &mut dyn Progress) -> Result<(), Error> {
        let aborted = format!("remote helper '{}' aborted session", self.name);
        let ended = |error| match error {
            Error::HelperEnded(_) => Error::Program(aborted.clone()),
            error => error,
        };
        self.say(&[b"capabilities"]).map_err(ended)?;
        loop {
            let line = self.hear().map_err(ended)?;
            if line.is_empty() {
                break;
            }
            self.capabilities.learn(line.as_bstr())?;
        }
        let has_refspec = !self.capabilities.refspecs.is_empty();
        if !has_refspec && (self.capabilities.import || self.capabilities.export) {
            tell(progress, Event::Warning("this remote helper should implement refspec capability"))?;
        }
        Ok(())
    }

    /// Says one line, made of `parts`.
    fn say(&mut self, parts: &[&[u8]]) -> Result<(), Error> {
        let mut line = parts.concat();
        line.push(b'\n');
        let said = self.writer.write_all(&line).and_then(|()| self.writer.flush());
        said.map_err(|error| {
            Error::Program(format!("full write to remote helper failed: {}", child::reason(&error)))
        })
    }

    /// Reads one line, without its end.
    fn hear(&mut self) -> Result<BString, Error> {
        let mut line = Vec::new();
        let mut limited = (&mut self.reader).take(LINE_BYTES_MAX);
        limited.read_until(b'\n', &mut line)?;
        match line.pop() {
            Some(b'\n') => Ok(line.into()),
            Some(_) if limited.limit() == 0 => Err(protocol::Error::TooMany {
                what: "bytes in a line of a remote helper",
                limit: usize::try_from(LINE_BYTES_MAX).unwrap_or(usize::MAX),
            }
            .into()),
            Some(_) | None => Err(Error::HelperEnded(self.name.clone())),
        }
    }

    /// Tells of an answer that makes no sense, in git's words.
    fn surprised(&self, answer: &BString, progress: &mut dyn Progress) -> Result<(), Error> {
        tell(progress, Event::Warning(&format!("{} unexpectedly said: '{answer}'", self.name)))
    }
}

/// A transport whose one connection is there already.
struct Connected(Option<Box<dyn Connection>>);

impl Transport for Connected {
    fn connect(
        &mut self,
        _service: Service,
        _version: Version,
        _progress: &mut dyn Progress,
    ) -> Result<Box<dyn Connection>, Error> {
        self.0.take().ok_or_else(|| Error::Program("a remote helper connects once".into()))
    }
}

/// A child that is waited for when dropped.
struct Reaped(Option<Child>);

impl Drop for Reaped {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            // How it ended is no news: it has answered what it was asked.
            let _status = child.wait();
        }
    }
}

fn tell(progress: &mut dyn Progress, event: Event<'_>) -> Result<(), Error> {
    if progress.report(event).is_break() { Err(protocol::Error::Interrupted.into()) } else { Ok(()) }
}

/// `text` as a C string in double quotes, if it needs them.
fn quote(text: &[u8]) -> BString {
    let is_plain = |byte: &u8| (b' '..=b'~').contains(byte) && !b"\"\\".contains(byte);
    if text.iter().all(is_plain) {
        return text.into();
    }
    let mut quoted = BString::from("\"");
    for byte in text {
        match byte {
            b'"' | b'\\' => quoted.extend_from_slice(&[b'\\', *byte]),
            b'\n' => quoted.extend_from_slice(b"\\n"),
            b'\t' => quoted.extend_from_slice(b"\\t"),
            byte if is_plain(byte) => quoted.push(*byte),
            byte => quoted.extend_from_slice(format!("\\{byte:03o}").as_bytes()),
        }
    }
    quoted.push(b'"');
    quoted
}

#[cfg(all(test, unix))]
mod tests;
