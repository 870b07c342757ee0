//! What a server and its `proc-receive` hook tell each other. githooks(5), "proc-receive".
//!
//! ```text
//! server  version=1 NUL words  flush            hook  version=1 NUL words  flush
//! server  commands  flush  [options  flush]     hook  (ok | ng | option)*  flush
//! ```

use std::io::{self, BufRead, Write};

use bstr::{BStr, BString, ByteSlice};

use super::Command;
use crate::protocol::pktline::{Packet, Reader, write_data, write_flush, write_line};
use crate::protocol::{Error, printable};

/// One line of what the hook says in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// It did what the command for this ref asks for.
    Ok(BString),
    /// It refuses the command for this ref, for this reason.
    Ng(BString, BString),
    /// How it did what it said last: a word and its value.
    Option(BString, Option<BString>),
    /// A line that makes no sense; the text says so in git's words.
    Nonsense(String),
}

/// Says which version this is, and `words`: the capabilities that matter here.
///
/// # Errors
///
/// If the hook does not listen.
pub fn write_greeting(out: &mut dyn Write, words: &[&str]) -> io::Result<()> {
    let words = words.join(" ");
    let separator = if words.is_empty() { "" } else { "\0" };
    write_line(out, format!("version=1{separator}{words}").as_bytes())?;
    write_flush(out)?;
    out.flush()
}

/// Reads the hook's greeting: whether it wants to hear push options.
///
/// # Errors
///
/// [`Error::Report`] in git's words if it speaks another version, or none at all.
pub fn read_greeting(input: &mut dyn BufRead) -> Result<bool, Error> {
    let failed = |_| Error::Report("fail to negotiate version with proc-receive hook".into());
    let mut reader = Reader::new(input);
    let mut has_options = false;
    loop {
        let packet = reader.read_raw().map_err(failed)?;
        let Packet::Data(_) = packet else { return Ok(has_options) };
        let line = packet.line().unwrap_or_default();
        let (line, words) = line.split_once_str("\0").unwrap_or((line, b""));
        // as git 2.47.3 does, one that says nothing of versions is taken to speak ours
        if let Some(version) = line.strip_prefix(b"version=") {
            if !matches!(version, b"1" | b"0") {
                let version = printable(version);
                return Err(Error::Report(format!("proc-receive version '{version}' is not supported")));
            }
            has_options |= words.split(|byte| *byte == b' ').any(|word| word == b"push-options");
        }
    }
}

/// Says what is to be done, and the push options if the hook wants to hear them.
///
/// # Errors
///
/// If the hook does not listen.
pub fn write_commands<'c>(
    out: &mut dyn Write,
    commands: impl Iterator<Item = &'c Command>,
    options: Option<&[BString]>,
) -> io::Result<()> {
    for Command { name, old, new } in commands {
        write_data(out, &[format!("{old} {new} ").as_bytes(), name].concat())?;
    }
    write_flush(out)?;
    if let Some(options) = options {
        for option in options {
            write_data(out, option)?;
        }
        write_flush(out)?;
    }
    out.flush()
}

/// Reads what became of it, up to a flush-pkt or the end.
///
/// # Errors
///
/// [`Error::TooMany`] beyond [`STATEMENTS_MAX`], and where the frames break.
pub fn read_report(input: &mut dyn BufRead) -> Result<Vec<Statement>, Error> {
    let mut reader = Reader::new(input);
    let mut statements = Vec::new();
    while let Some(packet @ Packet::Data(_)) = reader.read_or_eof()? {
        if statements.len() >= STATEMENTS_MAX {
            return Err(Error::TooMany { what: "lines of a proc-receive hook", limit: STATEMENTS_MAX });
        }
        statements.push(Statement::parse(packet.line().unwrap_or_default().as_bstr()));
    }
    Ok(statements)
}

impl Statement {
    fn parse(line: &BStr) -> Self {
        let Some((word, rest)) = line.split_once_str(" ") else {
            return Self::Nonsense(format!(
                "proc-receive reported incomplete status line: '{}'",
                printable(line)
            ));
        };
        let (first, second) = match rest.split_once_str(" ") {
            Some((first, second)) => (first.into(), Some(BString::from(second))),
            None => (rest.into(), None),
        };
        match word {
            b"ok" => Self::Ok(first),
            b"ng" => Self::Ng(first, second.unwrap_or_else(|| "failed".into())),
            b"option" => Self::Option(first, second),
            _ => Self::Nonsense(format!(
                "proc-receive reported bad status '{}' on ref '{}'",
                printable(word),
                printable(&first)
            )),
        }
    }
}

/// Lines that are heard: a few for each ref that the largest pushes change.
pub const STATEMENTS_MAX: usize = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting(bytes: &[u8]) -> Result<bool, String> {
        read_greeting(&mut &*bytes).map_err(|error| error.to_string())
    }

    #[test]
    fn hooks_are_greeted_as_git_greets_them() {
        let mut out = Vec::new();
        write_greeting(&mut out, &["atomic", "push-options"]).unwrap();
        assert_eq!(out.as_bstr(), "0022version=1\0atomic push-options\n0000");
        out.clear();
        write_greeting(&mut out, &[]).unwrap();
        assert_eq!(out.as_bstr(), "000eversion=1\n0000");
        let id = gix_hash::Kind::Sha1.null();
        let command = Command { name: "refs/for/a".into(), old: id, new: id };
        out.clear();
        write_commands(&mut out, [command].iter(), Some(&["x".into()])).unwrap();
        assert_eq!(out.as_bstr(), format!("0060{id} {id} refs/for/a00000005x0000"));
    }

    #[test]
    fn the_answer_tells_the_version_and_the_wish_for_options() {
        assert_eq!(greeting(b"001aversion=1\0push-options0000"), Ok(true));
        assert_eq!(greeting(b"000dversion=10000"), Ok(false));
        assert_eq!(greeting(b"0008zork0000"), Ok(false));
        let other = "proc-receive version '2' is not supported";
        assert_eq!(greeting(b"000dversion=20000"), Err(other.into()));
        let none = "fail to negotiate version with proc-receive hook";
        for broken in [&b""[..], b"00", b"zzzz", b"000dversion=1"] {
            assert_eq!(greeting(broken), Err(none.into()), "{:?}", broken.as_bstr());
        }
    }

    #[test]
    fn statements_end_with_a_flush_or_the_end() {
        let expected = [
            Statement::Ok("a".into()),
            Statement::Ng("b".into(), "x y".into()),
            Statement::Ng("c".into(), "failed".into()),
            Statement::Option("k".into(), Some("v w".into())),
            Statement::Option("k".into(), None),
            Statement::Nonsense("proc-receive reported incomplete status line: 'ok'".into()),
            Statement::Nonsense("proc-receive reported bad status 'xx' on ref 'd'".into()),
        ];
        let parts: Vec<&[u8]> = vec![
            b"0009ok a\n",
            b"000cng b x y",
            b"0009ng c\n",
            b"0011option k v w\n",
            b"000doption k\n",
            b"0006ok",
            b"0008xx d",
        ];
        let whole = parts.concat();
        assert_eq!(read_report(&mut &*whole).unwrap(), expected);
        let ended = [whole.as_slice(), b"0000junk"].concat();
        assert_eq!(read_report(&mut &*ended).unwrap(), expected);
        assert!(read_report(&mut &b"0009ok"[..]).is_err());
    }
}
