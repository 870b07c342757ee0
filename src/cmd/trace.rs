//! `GIT_TRACE_PACKET`: the packets of a conversation, in git's form. `git(1)`.

use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::ui;
use crate::protocol::trace::TARGET;
use crate::repo::Environment;

/// The variable that says where the packets go.
const VARIABLE: &str = "GIT_TRACE_PACKET";

/// Where the text begins behind time and place, as in git 2.47.3.
const COLUMN: usize = 40;

/// Prints packets from now on, if the environment asks for it. `command` stands in front of each.
pub(super) fn start(env: &Environment, command: &str) {
    let Some(sink) = sink(env) else { return };
    let is_bare = env.is_true("GIT_TRACE_BARE");
    let packets = Packets { sink, command: command.to_owned(), is_bare };
    // A program that embeds the command and listens itself goes first.
    let _listening_already = tracing::subscriber::set_global_default(packets);
}

/// Where lines go.
enum Sink {
    Stderr,
    File(File),
}

/// Takes the events of [`crate::protocol::trace`] and prints them.
struct Packets {
    sink: Sink,
    command: String,
    /// Without time and place (`GIT_TRACE_BARE`), as git's own tests want it.
    is_bare: bool,
}

impl Packets {
    fn line(&self, event: &Event<'_>) -> Vec<u8> {
        let mut packet = Fields::default();
        event.record(&mut packet);
        let reader = if packet.reader.is_empty() { self.command.as_str() } else { &packet.reader };
        let prefix = if self.is_bare { String::new() } else { prefix(event.metadata()) };
        let mut line = format!("{prefix}packet: {reader:>12}{} ", packet.direction).into_bytes();
        if packet.bytes.starts_with(b"PACK") || packet.bytes.starts_with(b"\x01PACK") {
            line.extend_from_slice(b"PACK ...");
        } else {
            escape(&packet.bytes, &mut line);
        }
        line.push(b'\n');
        line
    }
}

impl Subscriber for Packets {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == TARGET
    }

    fn event(&self, event: &Event<'_>) {
        let line = self.line(event);
        match &self.sink {
            Sink::Stderr => ui::trace(&line),
            Sink::File(file) => {
                // git says nothing either where a trace cannot be written.
                let _written = (&mut &*file).write_all(&line);
            }
        }
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

/// The fields of one event.
#[derive(Default)]
struct Fields {
    reader: String,
    direction: String,
    bytes: Vec<u8>,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "reader" => value.clone_into(&mut self.reader),
            "direction" => value.clone_into(&mut self.direction),
            _ => {}
        }
    }

    fn record_bytes(&mut self, _field: &Field, value: &[u8]) {
        value.clone_into(&mut self.bytes);
    }

    fn record_debug(&mut self, _field: &Field, _value: &dyn Debug) {}
}

/// `0` and `false` are nowhere, `1` and `true` stderr, another digit that file descriptor, an absolute path a file that
/// is added to.
fn sink(env: &Environment) -> Option<Sink> {
    let value = env.get(VARIABLE)?.to_string_lossy().into_owned();
    let descriptor = match value.to_ascii_lowercase().as_str() {
        "" | "0" | "false" => return None,
        "1" | "2" | "true" => return Some(Sink::Stderr),
        digit if digit.len() == 1 && digit.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(format!("/dev/fd/{digit}"))
        }
        _ => None,
    };
    let path = descriptor.unwrap_or(value);
    if !Path::new(&path).is_absolute() {
        ui::note(format!(
            "warning: unknown trace value for '{VARIABLE}': {path}\n         If you want to trace into a file, then \
             please set {VARIABLE}\n         to an absolute pathname (starting with /)"
        ));
        return None;
    }
    match OpenOptions::new().append(true).create(true).open(&path) {
        Ok(file) => Some(Sink::File(file)),
        Err(error) => {
            let reason = error.to_string();
            let reason = reason.split(" (os error").next().unwrap_or_default();
            ui::note(format!("warning: could not open '{path}' for tracing: {reason}"));
            None
        }
    }
}

/// The time of day in UTC and the place in the source, padded.
fn prefix(metadata: &Metadata<'_>) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, micros) = (now.as_secs() % 86_400, now.subsec_micros());
    let file = metadata.file().and_then(|file| file.rsplit('/').next()).unwrap_or_default();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let line = metadata.line().unwrap_or_default();
    let text = format!("{hours:02}:{minutes:02}:{seconds:02}.{micros:06} {file}:{line}");
    format!("{text:<COLUMN$}")
}

/// Line feeds are left out, other control characters and what is not ASCII are octal numbers.
fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        match byte {
            b'\n' => {}
            b' '..=b'~' => out.push(byte),
            _ => out.extend_from_slice(format!("\\{byte:o}").as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_shown_on_one_line() {
        let mut line = Vec::new();
        escape(b"HEAD\0multi_ack\n\xff\n", &mut line);
        assert_eq!(line, b"HEAD\\0multi_ack\\377");
    }

    #[test]
    fn nothing_is_traced_unless_asked_for() {
        for value in ["", "0", "false", "relative/path"] {
            let env = Environment::from_iter([(VARIABLE.into(), value.into())]);
            assert!(sink(&env).is_none(), "{value}");
        }
        assert!(sink(&Environment::default()).is_none());
    }
}
