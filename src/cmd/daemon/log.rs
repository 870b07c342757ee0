//! What `gitr daemon` tells the one who runs it. git-daemon(1), `--log-destination`.

use super::system;
use crate::cmd::{CommandError, ui};

/// Where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Destination {
    Stderr,
    Syslog,
    None,
}

impl Destination {
    /// Reads the value of the option.
    pub(super) fn parse(word: &str) -> Result<Self, CommandError> {
        match word {
            "stderr" => Ok(Self::Stderr),
            "syslog" => Ok(Self::Syslog),
            "none" => Ok(Self::None),
            other => Err(CommandError::fatal(format!("unknown log destination '{other}'"))),
        }
    }
}

/// The log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Log {
    destination: Destination,
    is_verbose: bool,
}

impl Log {
    pub(super) fn new(destination: Destination, is_verbose: bool) -> Self {
        if destination == Destination::Syslog {
            system::open_syslog();
        }
        Self { destination, is_verbose }
    }

    /// Whether what is wrong is told to syslog alone.
    pub(super) fn is_elsewhere(self) -> bool {
        self.destination == Destination::Syslog
    }

    /// Tells what went wrong.
    pub(super) fn error(self, text: &str) {
        self.write(text, system::Level::Error);
    }

    /// Tells what goes on, to those who asked for it.
    pub(super) fn detail(self, text: &str) {
        if self.is_verbose {
            self.write(text, system::Level::Info);
        }
    }

    fn write(self, text: &str, level: system::Level) {
        let text = ui::one_line(text);
        match self.destination {
            Destination::Stderr => ui::note(format!("[{}] {text}", std::process::id())),
            Destination::Syslog => system::log(level, &text),
            Destination::None => {}
        }
    }
}
