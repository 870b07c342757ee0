//! A repository behind ssh: the ssh program is started as C git starts it, with the far side's command as its last word.
//!
//! `GIT_SSH_COMMAND`, else `core.sshCommand`, is a snippet for the shell; else `GIT_SSH` is a program; else it is `ssh`.
//! How it takes a port and the like is its `Variant`: `GIT_SSH_VARIANT`, `ssh.variant`, the program's name or, failing
//! all, whether it knows `-G`. No option is ever passed that loosens what the user's own configuration of ssh asks for.
//!
//! git-config(1) `core.sshCommand`, `ssh.variant`; git(1) `GIT_SSH`; argument lists as seen in git 2.47.3.

use std::process::{Command, Stdio};

use bstr::{BStr, BString, ByteSlice};

use super::child::{self, Surroundings};
use super::stream::Stream;
use super::{Connection, Error, IpVersion, Options, Settings, Transport, Url};
use crate::progress::{Event, Progress};
use crate::protocol::{self, Service, Version};

/// Reaches [`Scheme::Ssh`](super::Scheme::Ssh).
#[derive(Debug)]
pub struct Ssh {
    program: Program,
    /// `None` if it has to be found out.
    variant: Option<Variant>,
    /// `[user@]host`.
    destination: BString,
    port: Option<u16>,
    path: BString,
    options: Options,
    surroundings: Surroundings,
}

/// What is started on this side.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Program {
    /// A snippet for the shell, its own arguments included.
    Snippet(BString),
    /// The name or path of a program.
    Plain(BString),
}

/// How an ssh program takes its options, git-config(1) `ssh.variant`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variant {
    /// OpenSSH.
    Ssh,
    /// PuTTY's plink, and putty itself.
    Putty,
    /// The plink of `TortoiseGit`, which must be told not to ask.
    TortoisePlink,
    /// Takes no options at all.
    Simple,
}

impl Ssh {
    /// The repository at `url`.
    ///
    /// # Errors
    ///
    /// [`Error::Url`] if ssh would take the host for an option (CVE-2017-1000117), or if it cannot be one.
    pub fn new(url: &Url, settings: &dyn Settings, options: Options) -> Result<Self, Error> {
        let destination = url.user_and_host();
        for word in [&destination, &url.host] {
            if word.starts_with(b"-") {
                return Err(Error::Url(format!("strange hostname '{word}' blocked")));
            }
        }
        if destination.iter().any(u8::is_ascii_control) {
            return Err(Error::Url("control characters are forbidden in ssh hosts and users".into()));
        }
        let program = Program::from_settings(settings);
        Ok(Self {
            variant: configured_variant(settings).or_else(|| program.variant()),
            program,
            destination,
            port: url.port,
            path: url.path.clone(),
            surroundings: Surroundings::new(settings, &options),
            options,
        })
    }

    /// Asks the program to print its configuration, as OpenSSH does on `-G`; what fails at it takes no options.
    /// One that cannot be started is told of here already, as git does, and again when it is needed.
    fn probe(&self, version: Version, progress: &mut dyn Progress) -> Result<Variant, Error> {
        let mut arguments = vec![BString::from("-G")];
        arguments.extend(self.arguments(Variant::Ssh, version)?);
        let mut command = self.command(&arguments);
        set_version(&mut command, Variant::Ssh, version);
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        let program = command.get_program().as_encoded_bytes().as_bstr();
        if let Err(error) = &status
            && !program.contains(&b'/')
        {
            let text = format!("cannot run {program}: {}", child::reason(error));
            if progress.report(Event::Error(&text)).is_break() {
                return Err(protocol::Error::Interrupted.into());
            }
        }
        Ok(if status.is_ok_and(|status| status.success()) { Variant::Ssh } else { Variant::Simple })
    }

    /// The options and the destination, in C git's order.
    fn arguments(&self, variant: Variant, version: Version) -> Result<Vec<BString>, Error> {
        let mut arguments: Vec<BString> = Vec::new();
        if variant == Variant::Ssh && version > Version::V0 {
            arguments.extend(["-o".into(), "SendEnv=GIT_PROTOCOL".into()]);
        }
        let family = match self.options.ip_version {
            IpVersion::Any => None,
            IpVersion::V4 => Some("-4"),
            IpVersion::V6 => Some("-6"),
        };
        if let Some(family) = family {
            if variant == Variant::Simple {
                return Err(Error::Program(format!("ssh variant 'simple' does not support {family}")));
            }
            arguments.push(family.into());
        }
        if variant == Variant::TortoisePlink {
            arguments.push("-batch".into());
        }
        if let Some(port) = self.port {
            arguments.push(match variant {
                Variant::Ssh => "-p".into(),
                Variant::Putty | Variant::TortoisePlink => "-P".into(),
                Variant::Simple => {
                    return Err(Error::Program("ssh variant 'simple' does not support setting port".into()));
                }
            });
            arguments.push(port.to_string().into());
        }
        arguments.push(self.destination.clone());
        Ok(arguments)
    }

    fn command(&self, arguments: &[BString]) -> Command {
        match &self.program {
            Program::Snippet(snippet) => self.surroundings.snippet(snippet.as_bstr(), arguments),
            Program::Plain(program) => {
                let mut command = self.surroundings.command(program.as_bstr());
                command.args(arguments.iter().map(|argument| argument.to_os_str_lossy()));
                command
            }
        }
    }
}

impl Transport for Ssh {
    fn connect(
        &mut self,
        service: Service,
        version: Version,
        progress: &mut dyn Progress,
    ) -> Result<Box<dyn Connection>, Error> {
        let version = child::version_for(service, version);
        let variant = match self.variant {
            Some(variant) => variant,
            None => *self.variant.insert(self.probe(version, progress)?),
        };
        let mut arguments = self.arguments(variant, version)?;
        let program = child::far_program(&self.options, service);
        arguments.push([&program[..], b" ", &child::shell_quote(&self.path)].concat().into());
        let mut command = self.command(&arguments);
        set_version(&mut command, variant, version);
        let child = child::start(&mut command, "transport/ssh", "unable to fork")?;
        Ok(Box::new(Stream::from_child(child)?))
    }
}

impl Program {
    fn from_settings(settings: &dyn Settings) -> Self {
        let env = |name| settings.env(name).map(|value| BString::from(value.into_encoded_bytes()));
        if let Some(snippet) = env("GIT_SSH_COMMAND").or_else(|| settings.value("core.sshCommand")) {
            return Self::Snippet(snippet);
        }
        Self::Plain(env("GIT_SSH").unwrap_or_else(|| "ssh".into()))
    }

    /// What the name of the program tells.
    fn variant(&self) -> Option<Variant> {
        match self {
            Self::Snippet(snippet) => variant_of_name(first_word(snippet)?.as_bstr()),
            Self::Plain(program) => variant_of_name(program.as_bstr()),
        }
    }
}

/// What the user says; `None` also for `auto`.
fn configured_variant(settings: &dyn Settings) -> Option<Variant> {
    let env = settings.env("GIT_SSH_VARIANT").map(|value| BString::from(value.into_encoded_bytes()));
    match env.or_else(|| settings.value("ssh.variant"))?.as_slice() {
        b"auto" => None,
        b"plink" | b"putty" => Some(Variant::Putty),
        b"tortoiseplink" => Some(Variant::TortoisePlink),
        b"simple" => Some(Variant::Simple),
        _ => Some(Variant::Ssh),
    }
}

/// `putty` is known to `ssh.variant` alone, as in git 2.47.3.
fn variant_of_name(program: &BStr) -> Option<Variant> {
    let is_separator = |byte: &u8| *byte == b'/' || (cfg!(windows) && *byte == b'\\');
    let name = program.rsplit(is_separator).next()?.to_ascii_lowercase();
    match name.strip_suffix(b".exe").unwrap_or(&name) {
        b"ssh" => Some(Variant::Ssh),
        b"plink" => Some(Variant::Putty),
        b"tortoiseplink" => Some(Variant::TortoisePlink),
        _ => None,
    }
}

/// The first word of a command line with quotes and backslashes; `None` if a quote is left open or nothing is there.
fn first_word(line: &[u8]) -> Option<BString> {
    let mut word = BString::default();
    let mut quote = None;
    let mut is_complete = false;
    let mut bytes = line.trim_start().iter().copied();
    while let Some(byte) = bytes.next() {
        let literal = match (byte, quote) {
            (b'\'' | b'"', None) => {
                quote = Some(byte);
                continue;
            }
            (_, Some(open)) if byte == open => {
                quote = None;
                continue;
            }
            (b'\\', None | Some(b'"')) => bytes.next()?,
            (_, None) if byte.is_ascii_whitespace() => {
                is_complete = true;
                continue;
            }
            _ => byte,
        };
        if !is_complete {
            word.push(literal);
        }
    }
    (quote.is_none() && !word.is_empty()).then_some(word)
}

/// Only OpenSSH passes a variable on.
fn set_version(command: &mut Command, variant: Variant, version: Version) {
    match child::version_request(version).filter(|_| variant == Variant::Ssh) {
        Some(request) => command.env("GIT_PROTOCOL", request),
        None => command.env_remove("GIT_PROTOCOL"),
    };
}

#[cfg(all(test, unix))]
mod tests;
