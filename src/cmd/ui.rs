//! What a person sees: lines on the terminal, meters, colours. The only place that writes to stdout and stderr.

use std::io::{self, IsTerminal, Write};

use bstr::{BStr, BString, ByteSlice};

use crate::repo::{Config, Environment};

mod color;
mod filter;
mod meter;
mod patient;
pub mod push;
mod remote;
mod table;

pub use color::{BadColor, Paint};
pub use meter::{Meters, Settings as MeterSettings};
use patient::Patient;
pub use remote::RemotePaints;
pub use table::{Layout as TableLayout, Table, measure, porcelain_row};

/// What is known of the terminal.
#[derive(Debug, Clone)]
pub struct Terminal {
    /// Whether stderr is one.
    pub is_tty: bool,
    /// Columns; 80 where that is not known.
    pub columns: usize,
    /// Whether it understands escape sequences.
    pub is_smart: bool,
    /// Seconds before a delayed meter is shown (`GIT_PROGRESS_DELAY`).
    pub delay_seconds: u64,
}

impl Terminal {
    /// Looks at stderr and at the environment.
    pub fn new(env: &Environment) -> Self {
        let is_tty = io::stderr().is_terminal();
        Self::of(env, is_tty, if is_tty { rustix::termios::tcgetwinsize(io::stderr()).ok() } else { None })
    }

    fn of(env: &Environment, is_tty: bool, size: Option<rustix::termios::Winsize>) -> Self {
        let number = |name: &str| env.get(name).and_then(|value| value.to_str()?.parse::<u64>().ok());
        let columns = number("COLUMNS")
            .filter(|columns| *columns > 0)
            .or(size.map(|size| u64::from(size.ws_col)).filter(|columns| *columns > 0))
            .unwrap_or(80);
        let is_dumb = env.get("TERM").is_none_or(|term| term == "dumb");
        Self {
            is_tty,
            columns: usize::try_from(columns).unwrap_or(80),
            is_smart: is_tty && !is_dumb,
            // git 2.47.3 waits two seconds.
            delay_seconds: number("GIT_PROGRESS_DELAY").unwrap_or(2),
        }
    }

    /// As [`Terminal::new`], for what goes to stdout.
    pub fn of_stdout(env: &Environment) -> Self {
        let is_tty = io::stdout().is_terminal();
        Self::of(env, is_tty, if is_tty { rustix::termios::tcgetwinsize(io::stdout()).ok() } else { None })
    }

    /// Whether `color.<slot>`, else `color.ui`, asks for colour on this terminal.
    pub fn has_color(&self, config: &Config, slot: &str) -> bool {
        self.wants_color(config.string(&format!("color.{slot}")).or_else(|| config.string("color.ui")))
    }

    /// Whether `wish`, the value of a `color.<slot>`, asks for colour on this terminal.
    fn wants_color(&self, wish: Option<BString>) -> bool {
        match wish.map(|wish| wish.to_ascii_lowercase()).as_deref() {
            Some(b"always") => true,
            Some(b"never" | b"false" | b"no" | b"off" | b"0") => false,
            Some(_) | None => self.is_smart,
        }
    }
}

/// Writes `line` and a line feed to stdout.
pub fn out(line: &[u8]) -> io::Result<()> {
    let mut stdout = Patient(io::stdout().lock());
    stdout.write_all(line)?;
    stdout.write_all(b"\n")
}

/// Writes bytes to stdout as they are.
pub fn out_raw(text: &[u8]) -> io::Result<()> {
    Patient(io::stdout().lock()).write_all(text)
}

/// Writes `line` and a line feed to stderr in one write, so that lines of several processes do not mix.
pub fn note(line: impl AsRef<[u8]>) {
    let mut text = line.as_ref().to_vec();
    text.push(b'\n');
    raw(&text);
}

/// Writes to stderr what another run of this program wrote to its own.
pub(super) fn relay(text: &[u8]) {
    raw(text);
}

/// Writes a line of a trace to stderr.
pub(super) fn trace(line: &[u8]) {
    raw(line);
}

/// As [`note`], with what the far side may have put into the line made harmless.
pub fn safe_note(line: &[u8]) {
    note(harmless(line.as_bstr()));
}

/// As [`safe_note`], for several lines.
pub fn safe_lines(text: &[u8]) {
    for line in text.lines() {
        let (tab, rest) = match line.strip_prefix(b"\t") {
            Some(rest) => ("\t", rest),
            None => ("", line),
        };
        note([tab.as_bytes(), harmless(rest.as_bstr()).as_slice()].concat());
    }
}

/// `line` with a question mark for each control character.
pub fn harmless(line: &BStr) -> BString {
    let mut text = BString::default();
    filter::blank_out(line, &mut text);
    text
}

/// A line of a log: `text` with a question mark for each control character, line feeds among them, so that nobody who is
/// logged writes lines of his own.
pub fn one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

/// Writes bytes to stderr as they are. A stderr that is gone is no reason to stop.
fn raw(text: &[u8]) {
    let _written_or_gone = Patient(io::stderr().lock()).write_all(text);
}

/// `fatal: …` and the like; what came from outside is made harmless.
pub fn message(prefix: &str, text: &BStr) {
    let mut line = BString::from(prefix);
    line.extend_from_slice(b": ");
    filter::blank_out(text, &mut line);
    note(line);
}

/// `error: …` in the colour of `paint`, whose end comes after the line feed as in git; what came from outside is made
/// harmless.
pub fn error_in(paint: &Paint, text: &[u8]) {
    let mut line = BString::from("error: ");
    filter::blank_out(text.as_bstr(), &mut line);
    line.push(b'\n');
    let mut painted = BString::default();
    paint.put(&line, &mut painted);
    raw(&painted);
}

/// `hint: …`, a line each.
pub fn hint(text: &str) {
    hint_in(&Paint::default(), text.as_bytes().as_bstr());
}

/// As [`hint`], each line in the colour of `paint`; what came from outside is made harmless.
pub fn hint_in(paint: &Paint, text: &BStr) {
    for line in text.lines() {
        let mut plain = BString::from(if line.is_empty() { "hint:" } else { "hint: " });
        filter::blank_out(line.as_bstr(), &mut plain);
        let mut painted = BString::default();
        paint.put(&plain, &mut painted);
        note(painted);
    }
}

/// The server's own lines, `remote: …`.
pub fn remote_lines(lines: &[BString]) {
    for line in lines {
        let mut text = BString::from("remote: ");
        filter::mask(line.as_bstr(), &filter::Allowed::default(), &mut text);
        note(text);
    }
}
