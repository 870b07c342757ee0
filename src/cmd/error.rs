//! From the library's errors to git's messages and exit codes: the one place.

use std::fmt::Display;

use bstr::{BString, ByteSlice};

use super::ui;
use crate::repo::Config;
use crate::repo::config::Scope;
use crate::{pack, protocol, remote, repo, server, transport};

/// Why a command failed.
#[derive(Debug)]
pub struct CommandError {
    kind: Kind,
    error: anyhow::Error,
    /// What to type next.
    hints: Vec<String>,
    /// The far side's own words, shown first.
    remote: Vec<BString>,
    /// Lines in front, each with its severity, such as `error: …`.
    told: Vec<(&'static str, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// `fatal: …`, exit code 128.
    Fatal,
    /// The text as it is, exit code 129.
    Usage,
    /// The text as it is on stdout, exit code 1.
    NoCommand,
    /// The text as it is, exit code 1.
    Failed,
    /// `error: …` and usage, exit code 129.
    BadOption,
    /// Everything has been said; the exit code alone.
    Silent(u8),
    /// A signal asked for the end.
    Interrupted,
}

impl CommandError {
    /// `fatal: <text>`, exit code 128.
    pub(crate) fn fatal(text: impl Display) -> Self {
        Self::new(Kind::Fatal, anyhow::anyhow!("{text}"))
    }

    /// `<text>` on stderr, exit code 129.
    pub(crate) fn usage(text: impl Display) -> Self {
        Self::new(Kind::Usage, anyhow::anyhow!("{text}"))
    }

    /// `error: <text>` on stderr, exit code 129.
    pub(crate) fn bad_option(text: impl Display) -> Self {
        Self::new(Kind::BadOption, anyhow::anyhow!("{text}"))
    }

    /// A value of the configuration that cannot be read; the reason stands in front as an `error: …` line.
    pub(crate) fn bad_value(config: &Config, key: &str) -> Self {
        match config.scope(key) {
            Some(Scope::Command) => Self::fatal(format!("unable to parse '{key}' from command-line config")),
            Some(Scope::System | Scope::Global | Scope::Local | Scope::Worktree) | None => {
                Self::fatal(format!("bad config variable '{key}'"))
            }
        }
    }

    /// Nothing more to say.
    pub(crate) fn silent(code: u8) -> Self {
        Self::new(Kind::Silent(code), anyhow::anyhow!("exit code {code}"))
    }

    fn new(kind: Kind, error: anyhow::Error) -> Self {
        Self { kind, error, hints: Vec::new(), remote: Vec::new(), told: Vec::new() }
    }

    /// Adds a line that says what to type.
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds an `error: …` line in front.
    pub(crate) fn with_error(self, text: impl Into<String>) -> Self {
        self.with_told("error", text)
    }

    /// Adds a line in front.
    fn with_told(mut self, severity: &'static str, text: impl Into<String>) -> Self {
        self.told.push((severity, text.into()));
        self
    }

    /// As it is, but with exit code 1, which a missing command has.
    pub(crate) fn exit_1(mut self) -> Self {
        self.kind = Kind::NoCommand;
        self
    }

    /// What went wrong, for a log.
    pub(crate) fn text(&self) -> String {
        format!("{:#}", self.error)
    }

    /// Prints the message and gives the exit code.
    pub(crate) fn print(self) -> u8 {
        /// As a shell tells of a process that SIGINT ended; main raises the signal itself where it can.
        const INTERRUPTED: u8 = 130;
        ui::remote_lines(&self.remote);
        for hint in &self.hints {
            ui::hint(hint);
        }
        for (severity, text) in &self.told {
            ui::message(severity, text.as_bytes().as_bstr());
        }
        let text = self.error.to_string();
        if matches!(self.kind, Kind::Fatal | Kind::BadOption) {
            super::trace::error(&text);
        }
        match self.kind {
            Kind::Fatal => ui::message("fatal", text.as_bytes().as_bstr()),
            Kind::BadOption => ui::message("error", text.as_bytes().as_bstr()),
            Kind::Usage | Kind::Failed => ui::note(&text),
            Kind::NoCommand => {
                // A stdout that is gone is no reason for another message.
                let _written_or_gone = ui::out(text.as_bytes());
            }
            Kind::Silent(_) => {}
            Kind::Interrupted => super::signal::raise_caught(),
        }
        match self.kind {
            Kind::Fatal => 128,
            Kind::Usage | Kind::BadOption => 129,
            Kind::Silent(code) => code,
            Kind::NoCommand | Kind::Failed => 1,
            Kind::Interrupted => INTERRUPTED,
        }
    }

    fn of(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::new(Kind::Fatal, anyhow::Error::new(error))
    }

    fn interrupted() -> Self {
        Self::new(Kind::Interrupted, anyhow::anyhow!("interrupted"))
    }
}

impl From<remote::Error> for CommandError {
    fn from(error: remote::Error) -> Self {
        if error.is_interrupted() {
            return Self::interrupted();
        }
        match error {
            remote::Error::Transport(error) => error.into(),
            remote::Error::Protocol(error) => error.into(),
            remote::Error::Pack(error) => error.into(),
            remote::Error::Repo(error) => error.into(),
            remote::Error::Usage(text) if text.starts_with("server options require") => {
                Self::fatal(text).with_hint("see protocol.version in 'git help config' for more details")
            }
            remote::Error::Unbundle(error) => {
                Self::new(Kind::Failed, anyhow::anyhow!("fatal: {error}\nerror: index-pack died"))
            }
            remote::Error::Unadvertised(_) | remote::Error::Prerequisites(_) => {
                let text = error.to_string();
                text.lines().fold(Self::silent(1), Self::with_error)
            }
            remote::Error::Told(_) => Self::silent(128),
            remote::Error::NotConnected { .. } => Self::silent(1).with_error(error.to_string()),
            error @ (remote::Error::Missing(_)
            | remote::Error::Refspec(_)
            | remote::Error::Usage(_)
            | remote::Error::NotPushed { .. }
            | remote::Error::HookDeclined
            | remote::Error::NotPromised(_)
            | remote::Error::Interrupted
            | remote::Error::Io { .. }) => Self::of(error),
        }
    }
}

impl From<transport::Error> for CommandError {
    fn from(error: transport::Error) -> Self {
        match error {
            transport::Error::Refused { remote, message } => {
                let mut error = Self::fatal(message);
                error.remote = remote;
                error
            }
            transport::Error::Rpc { remote, reason, consequence } => {
                let mut error = Self::fatal(consequence).with_error(reason);
                error.remote = remote;
                error
            }
            transport::Error::Start { severity, reason, message } => {
                Self::fatal(message).with_told(severity, reason)
            }
            transport::Error::HelperEnded(_) => Self::silent(128),
            transport::Error::Protocol(error) => error.into(),
            error => Self::of(error),
        }
    }
}

impl From<protocol::Error> for CommandError {
    fn from(error: protocol::Error) -> Self {
        match error {
            protocol::Error::Interrupted => Self::interrupted(),
            protocol::Error::Banner { ref line, .. } => {
                let hint = format!("the far side printed '{line}' before git spoke there");
                Self::of(error).with_hint(hint)
            }
            error => Self::of(error),
        }
    }
}

impl From<pack::Error> for CommandError {
    fn from(error: pack::Error) -> Self {
        match error {
            pack::Error::Interrupted => Self::interrupted(),
            error => Self::of(error),
        }
    }
}

impl From<repo::Error> for CommandError {
    fn from(error: repo::Error) -> Self {
        match error {
            repo::Error::Interrupted => Self::interrupted(),
            repo::Error::ConfigEntry { reason, message } => Self::fatal(message).with_error(reason),
            error => Self::of(error),
        }
    }
}

impl From<server::Error> for CommandError {
    fn from(error: server::Error) -> Self {
        match error {
            server::Error::Io(error) => error.into(),
            server::Error::Protocol(error) => error.into(),
            server::Error::Repo(error) => error.into(),
            error => Self::of(error),
        }
    }
}

impl From<std::io::Error> for CommandError {
    fn from(error: std::io::Error) -> Self {
        // A reader that went away, such as `head`, is no failure worth a word.
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self::silent(141);
        }
        // The commands themselves read and write nothing but stdout.
        Self::fatal(format!("write failure on standard output: {}", reason(&error)))
    }
}

/// The system's words for `error`, as C has them.
pub(super) fn reason(error: &std::io::Error) -> String {
    let mut text = error.to_string();
    text.truncate(text.find(" (os error").unwrap_or(text.len()));
    text
}
