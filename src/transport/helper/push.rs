//! `push`: the program sends objects and asks for the changes of refs.

use bstr::{BStr, BString, ByteSlice};

use super::Helper;
use crate::progress::Progress;
use crate::protocol;
use crate::transport::Error;

/// The most lines that a report may have.
const REPORTS_MAX: usize = 10_000_000;

/// One change of a ref that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What it is to be: a ref of ours or an id; `None` deletes it.
    pub source: Option<BString>,
    /// The full name of the far side's ref.
    pub destination: BString,
    /// Whether it need not be a fast-forward.
    pub force: bool,
}

/// What the program said of one ref.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The full name of the far side's ref.
    pub name: BString,
    /// Whether it is as it should be.
    pub is_ok: bool,
    /// What was said besides: why not, or that nothing had to be done.
    pub why: Option<BString>,
}

/// What the program said of the refs that were asked for, and perhaps of others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reports {
    /// Ref by ref.
    pub list: Vec<Report>,
    /// Whether the program ended before it had said all: it has said why on its standard error.
    pub is_cut: bool,
}

impl Helper {
    /// Whether there is a `push` command.
    pub fn pushes(&self) -> bool {
        self.capabilities.push
    }

    /// Asks for `changes` and hears what became of them.
    ///
    /// # Errors
    ///
    /// If the program does not listen, or says too much.
    pub fn push(&mut self, changes: &[Change], progress: &mut dyn Progress) -> Result<Reports, Error> {
        for Change { source, destination, force } in changes {
            // What is deleted needs no force.
            let plus: &[u8] = if *force && source.is_some() { b"+" } else { b"" };
            let source = source.clone().unwrap_or_default();
            self.say(&[b"push ", plus, &source, b":", destination])?;
        }
        self.say(&[])?;
        self.reports(progress)
    }

    /// Reads `ok` and `error` lines.
    pub(super) fn reports(&mut self, progress: &mut dyn Progress) -> Result<Reports, Error> {
        let mut reports = Vec::new();
        loop {
            let line = match self.hear() {
                Err(Error::HelperEnded(_)) => return Ok(Reports { list: reports, is_cut: true }),
                line => line?,
            };
            if line.is_empty() {
                return Ok(Reports { list: reports, is_cut: false });
            }
            if reports.len() >= REPORTS_MAX {
                return Err(protocol::Error::TooMany { what: "lines of a report", limit: REPORTS_MAX }.into());
            }
            match report(line.as_bstr()) {
                Some(report) => reports.push(report),
                None => self.surprised(&line, progress)?,
            }
        }
    }
}

/// `ok <dst>` or `error <dst> <why>?`.
fn report(line: &BStr) -> Option<Report> {
    let (word, rest) = line.split_once_str(" ")?;
    let (name, why) = rest.split_once_str(" ").unwrap_or((rest, b""));
    let why = (!why.is_empty()).then(|| unquote(why));
    let is_ok = match word {
        b"ok" => true,
        b"error" => false,
        _ => return None,
    };
    Some(Report { name: name.into(), is_ok, why })
}

/// Takes the quotes off a C string; what is none stays as it is.
fn unquote(text: &[u8]) -> BString {
    let Some(inside) = text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")) else {
        return text.into();
    };
    let mut plain = BString::default();
    let mut rest = inside.iter().copied();
    while let Some(byte) = rest.next() {
        plain.push(match (byte, rest.clone().next()) {
            (b'\\', Some(escaped)) => {
                rest.next();
                match escaped {
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'r' => b'\r',
                    digit @ b'0'..=b'3' => octal(digit, &mut rest),
                    other => other,
                }
            }
            _ => byte,
        });
    }
    plain
}

/// The byte whose three octal digits begin with `first`.
fn octal(first: u8, rest: &mut impl Iterator<Item = u8>) -> u8 {
    let digits = [Some(first), rest.next(), rest.next()];
    digits.into_iter().flatten().fold(0, |value: u8, digit| value.wrapping_mul(8).wrapping_add(digit & 7))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_read() {
        for (line, name, verdict) in [
            ("ok refs/heads/a", "refs/heads/a", Some((true, None))),
            ("ok refs/heads/a up to date", "refs/heads/a", Some((true, Some("up to date")))),
            ("error refs/heads/a", "refs/heads/a", Some((false, None))),
            ("error refs/heads/a too bad", "refs/heads/a", Some((false, Some("too bad")))),
            (
                r#"error refs/heads/a "two\nlines\t\303\244""#,
                "refs/heads/a",
                Some((false, Some("two\nlines\tä"))),
            ),
            ("what refs/heads/a", "", None),
            ("ok", "", None),
        ] {
            let found = report(line.into());
            let expected =
                verdict.map(|(is_ok, why)| Report { name: name.into(), is_ok, why: why.map(BString::from) });
            assert_eq!(found, expected, "{line}");
        }
    }
}
