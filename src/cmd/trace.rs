//! `GIT_TRACE`, `GIT_TRACE_PACKET`, `GIT_TRACE_PACKFILE` and `GIT_TRACE_CURL`: the programs that are started, the packets,
//! the packs and the requests of a conversation, in git's form. `git(1)`.

use std::cell::RefCell;
use std::ffi::OsString;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bstr::ByteSlice;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::protocol::trace as packet;
use crate::repo::Environment;
use crate::telemetry;
use crate::transport::CHILD_TARGET;
use crate::transport::http::trace as http;

mod event;
mod fields;
mod sink;

use event::EventLog;
use fields::Fields;
use sink::Sink;

/// The variable that says where the programs go that are started.
const PROGRAMS: &str = "GIT_TRACE";
/// The variable that says where the packets go.
const PACKET: &str = "GIT_TRACE_PACKET";
/// The variable that says where packs go that are received.
const PACKFILE: &str = "GIT_TRACE_PACKFILE";
/// The variable that says where the requests and answers over HTTP go.
const CURL: &str = "GIT_TRACE_CURL";

/// Where the text begins behind time and place, as in git 2.47.3.
const COLUMN: usize = 40;
/// Bytes of data on one line, as in git 2.47.3.
const DATA_WIDTH: usize = 60;

/// The target of the events of the command itself: `error` with its `value`, and `exit` with its `code`.
const COMMAND_TARGET: &str = "gitr::command";

/// Prints packets, requests and the rest from now on, if the environment asks for it. `command` stands in front of each
/// packet; it was called by `arguments`.
pub(super) fn start(env: &mut Environment, arguments: &[OsString], command: &str) {
    // git(1), GIT_CURL_VERBOSE, which `GIT_TRACE_CURL` made old
    let is_verbose = env.get("GIT_CURL_VERBOSE").is_some();
    let trace = Trace {
        programs: Sink::named(env, PROGRAMS),
        packets: Sink::named(env, PACKET),
        packs: Sink::named(env, PACKFILE),
        is_redacted: env.get("GIT_TRACE_REDACT").is_none() || env.is_true("GIT_TRACE_REDACT"),
        requests: Sink::named(env, CURL).or_else(|| is_verbose.then_some(Sink::Stderr)),
        events: EventLog::open(env, arguments, command),
        command: command.to_owned(),
        readers: Mutex::default(),
        shows_data: !is_verbose && env.get("GIT_TRACE_CURL_NO_DATA").is_none(),
        is_bare: env.is_true("GIT_TRACE_BARE"),
    };
    let sinks = [&trace.programs, &trace.packets, &trace.packs, &trace.requests];
    let is_wanted = sinks.into_iter().any(Option::is_some) || trace.events.is_some();
    #[cfg(feature = "otlp")]
    if command == "serve"
        && let Some(layer) = super::otlp::layer(env)
    {
        use tracing_subscriber::layer::SubscriberExt as _;
        let both = tracing_subscriber::registry().with(layer).with(is_wanted.then_some(Beside(trace)));
        // A program that embeds the command and listens itself goes first.
        let _listening_already = tracing::subscriber::set_global_default(both);
        return;
    }
    if is_wanted {
        // A program that embeds the command and listens itself goes first.
        let _listening_already = tracing::subscriber::set_global_default(trace);
    }
}

/// Tells of an error that ends the command.
pub(super) fn error(message: &str) {
    tracing::trace!(target: COMMAND_TARGET, event = "error", value = message);
}

/// Tells of the end of the command.
pub(super) fn exit(code: u8) {
    tracing::trace!(target: COMMAND_TARGET, event = "exit", code = i64::from(code));
}

/// Takes the events of [`packet`] and [`http`] and prints them.
struct Trace {
    programs: Option<Sink>,
    packets: Option<Sink>,
    packs: Option<Sink>,
    /// Whether addresses of packs are cut, since knowing them may be all it takes to have them.
    is_redacted: bool,
    requests: Option<Sink>,
    events: Option<EventLog>,
    command: String,
    /// The names of those who stand for it: see [`packet::told_as`].
    readers: Mutex<Vec<String>>,
    /// Whether the bodies of requests and answers are shown.
    shows_data: bool,
    /// Without time and place (`GIT_TRACE_BARE`), as git's own tests want it.
    is_bare: bool,
}

impl Trace {
    fn prefix(&self, metadata: &Metadata<'_>) -> String {
        if self.is_bare { String::new() } else { prefix(metadata) }
    }

    fn program(&self, event: &Event<'_>) -> Vec<u8> {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let prefix = self.prefix(event.metadata());
        if !fields.note.is_empty() {
            return [prefix.as_bytes(), fields.note.as_bytes(), b"\n"].concat();
        }
        [prefix.as_bytes(), b"trace: run_command: ", &fields.bytes, b"\n"].concat()
    }

    fn measure(&self, event: &Event<'_>) {
        let Some(log) = &self.events else { return };
        let mut fields = Fields::default();
        event.record(&mut fields);
        match (event.metadata().target(), fields.event.as_str()) {
            (telemetry::TARGET, _) => log.tell(event.metadata(), &fields),
            (_, "error") => log.error(&fields.value),
            (_, _) => log.exit(fields.code),
        }
    }

    /// Who reads and writes now: the command, or who stands for it.
    fn reader(&self) -> String {
        let readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let innermost = READING.with_borrow(|reading| reading.last().map(Id::into_u64));
        let place = innermost.and_then(|id| usize::try_from(id.checked_sub(1)?).ok());
        place.and_then(|place| readers.get(place)).unwrap_or(&self.command).clone()
    }

    fn packet(&self, event: &Event<'_>) -> Vec<u8> {
        let mut packet = Fields::default();
        event.record(&mut packet);
        if packet.reader.is_empty() {
            packet.reader = self.reader();
        }
        let reader = packet.reader;
        let prefix = self.prefix(event.metadata());
        let mut line = format!("{prefix}packet: {reader:>12}{} ", packet.direction).into_bytes();
        if packet.bytes.starts_with(b"PACK") || packet.bytes.starts_with(b"\x01PACK") {
            line.extend_from_slice(b"PACK ...");
        } else if let Some(end) = path_of_pack(&packet.bytes).filter(|_| self.is_redacted) {
            escape(packet.bytes.get(..end).unwrap_or_default(), &mut line);
            line.extend_from_slice(b"<redacted>");
        } else {
            escape(&packet.bytes, &mut line);
        }
        line.push(b'\n');
        line
    }

    fn request(&self, event: &Event<'_>) -> Vec<u8> {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let prefix = self.prefix(event.metadata());
        let Fields { kind, bytes, .. } = fields;
        let mut lines = Vec::new();
        let mut line = |text: &[u8]| {
            lines.extend_from_slice(prefix.as_bytes());
            lines.extend_from_slice(text.trim_ascii_end());
            lines.push(b'\n');
        };
        if kind == http::INFO {
            line(&[b"== Info: ", &*bytes].concat());
            return lines;
        }
        let is_data = [http::SENT_DATA, http::RECEIVED_DATA].contains(&&*kind);
        if is_data && !self.shows_data {
            return Vec::new();
        }
        let len = bytes.len();
        line(format!("{kind}, {len:010} bytes (0x{len:08x})").as_bytes());
        let pieces: Vec<Vec<u8>> = if is_data {
            bytes.chunks(DATA_WIDTH).map(printable).collect()
        } else {
            let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
            text.split(|&byte| byte == b'\n').map(|line| printable(line.trim_ascii_end())).collect()
        };
        for piece in pieces {
            line(&[kind.as_bytes(), b": ", &piece].concat());
        }
        lines
    }
}

/// Where the path begins in a line of packfile-uris, `<id> <uri>`, if `packet` is one: gitprotocol-v2(5).
fn path_of_pack(packet: &[u8]) -> Option<usize> {
    let line = packet.strip_prefix(b"\x01").unwrap_or(packet);
    let (id, uri) = line.split_once_str(" ")?;
    let rest = uri.strip_prefix(b"http://").or_else(|| uri.strip_prefix(b"https://"))?;
    let slash = rest.find_byte(b'/')?;
    let is_id = [40, 64].contains(&id.len()) && id.iter().all(u8::is_ascii_hexdigit);
    let path = rest.get(slash + 1..)?.trim_ascii_end();
    (is_id && !path.is_empty()).then(|| packet.len() - rest.len() + slash + 1)
}

/// With dots in the place of what is no printable ASCII.
fn printable(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|&byte| if matches!(byte, b' '..=b'~') { byte } else { b'.' }).collect()
}

impl Subscriber for Trace {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        match metadata.target() {
            CHILD_TARGET => self.programs.is_some(),
            packet::TARGET => self.packets.is_some(),
            packet::PACKFILE_TARGET => self.packs.is_some(),
            http::TARGET => self.requests.is_some(),
            telemetry::TARGET | COMMAND_TARGET => self.events.is_some(),
            _ => false,
        }
    }

    fn event(&self, event: &Event<'_>) {
        let (sink, lines) = match event.metadata().target() {
            CHILD_TARGET => (&self.programs, self.program(event)),
            packet::TARGET => (&self.packets, self.packet(event)),
            packet::PACKFILE_TARGET => {
                let mut fields = Fields::default();
                event.record(&mut fields);
                (&self.packs, fields.bytes)
            }
            http::TARGET => (&self.requests, self.request(event)),
            _ => return self.measure(event),
        };
        if let Some(sink) = sink {
            sink.write(&lines);
        }
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields::default();
        span.record(&mut fields);
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let known = readers.iter().position(|reader| *reader == fields.reader);
        let place = known.unwrap_or_else(|| {
            readers.push(fields.reader);
            readers.len() - 1
        });
        Id::from_u64(place as u64 + 1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn enter(&self, span: &Id) {
        READING.with_borrow_mut(|reading| reading.push(span.clone()));
    }

    fn exit(&self, _span: &Id) {
        READING.with_borrow_mut(Vec::pop);
    }
}

/// The events of a trace beside others who listen. Spans, which say who else reads packets, are theirs.
#[cfg(feature = "otlp")]
struct Beside(Trace);

#[cfg(feature = "otlp")]
impl<S: Subscriber> tracing_subscriber::Layer<S> for Beside {
    fn on_event(&self, event: &Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        if self.0.enabled(event.metadata()) {
            self.0.event(event);
        }
    }
}

thread_local! {
    /// The spans that the thread is in, which say who reads and writes packets.
    static READING: RefCell<Vec<Id>> = const { RefCell::new(Vec::new()) };
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
    fn addresses_of_packs_have_a_path() {
        let id = "1".repeat(40);
        for (uri, shown) in
            [("https://h:1/p.pack", Some("https://h:1/")), ("http://h/", None), ("ftp://h/p", None)]
        {
            for band in ["", "\x01"] {
                let packet = format!("{band}{id} {uri}\n");
                let end = path_of_pack(packet.as_bytes());
                let expected = shown.map(|shown| format!("{band}{id} {shown}"));
                assert_eq!(end.and_then(|end| packet.get(..end)), expected.as_deref(), "{uri}");
            }
        }
        assert_eq!(path_of_pack(b"deadbeef http://h/p"), None);
    }
}
