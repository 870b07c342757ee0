//! The syntax of configuration files: git-config(1), "CONFIGURATION FILE", and where it is silent, git 2.47.3.

use std::ops::Range;

use bstr::{BStr, BString, ByteSlice};

/// A piece of a configuration file and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// What it is.
    pub kind: Kind,
    /// Its bytes: a header from `[` to `]`, an entry from its key to the end of its last line, a comment likewise.
    pub span: Range<usize>,
    /// The number of the line it ends on, from 1.
    pub line: usize,
}

impl Item {
    /// The value of an entry; empty if it has none.
    pub(super) fn value(&self) -> &BStr {
        match &self.kind {
            Kind::Entry { value: Some(value), .. } => value.as_bstr(),
            Kind::Entry { value: None, .. } | Kind::Header(_) | Kind::Comment => "".into(),
        }
    }
}

/// The kinds of [`Item`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// `[section "subsection"]`.
    Header(Header),
    /// `key = value`; without `=` there is no value.
    Entry {
        /// The key in lower case.
        name: String,
        /// The value without quotes, escapes and comment.
        value: Option<BString>,
    },
    /// A comment that does not stand behind a value.
    Comment,
}

/// The name of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// The section in lower case.
    pub section: BString,
    /// The subsection, exactly as it is meant.
    pub subsection: Option<BString>,
    /// Written the old way, `[section.subsection]`, where case does not matter.
    pub dotted: bool,
}

impl Header {
    /// Whether entries below this header belong to `section` (in lower case) and `subsection`.
    pub(super) fn is(&self, section: &[u8], subsection: Option<&[u8]>) -> bool {
        let same_subsection = match (&self.subsection, subsection) {
            (None, None) => true,
            (Some(own), Some(other)) if self.dotted => own.eq_ignore_ascii_case(other),
            (Some(own), Some(other)) => own.as_slice() == other,
            _ => false,
        };
        same_subsection && self.section == section
    }
}

/// Splits the text of a configuration file; the error is the number of the bad line.
pub(super) fn parse(text: &[u8]) -> Result<Vec<Item>, usize> {
    let start = if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let mut scanner = Scanner { text, at: start, line: 1, is_past_end: false };
    let mut items = Vec::new();
    loop {
        let start = scanner.at;
        let Some(byte) = scanner.next() else { return Ok(items) };
        let kind = match byte {
            byte if is_space(byte) => continue,
            b'#' | b';' => {
                scanner.comment();
                Some(Kind::Comment)
            }
            b'[' => scanner.header(),
            byte if byte.is_ascii_alphabetic() => scanner.entry(byte),
            _ => None,
        };
        let ended_by_newline = scanner.at > start && text.get(scanner.at - 1) == Some(&b'\n');
        let line = scanner.line - usize::from(ended_by_newline);
        // git takes the end of the file for one more line
        let kind = kind.ok_or(line + usize::from(scanner.is_past_end))?;
        items.push(Item { kind, span: start..scanner.at, line });
    }
}

/// What git takes for white space in configuration files.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Reads byte by byte, taking CR LF for LF. Each method returns `None` upon bad syntax.
struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
    is_past_end: bool,
}

impl Scanner<'_> {
    fn next(&mut self) -> Option<u8> {
        let Some(&(mut byte)) = self.text.get(self.at) else {
            self.is_past_end = true;
            return None;
        };
        self.at += 1;
        if byte == b'\r' && self.text.get(self.at) == Some(&b'\n') {
            self.at += 1;
            byte = b'\n';
        }
        self.line += usize::from(byte == b'\n');
        Some(byte)
    }

    /// The next byte, where the end of the file also ends the line.
    fn next_of_line(&mut self) -> u8 {
        self.next().unwrap_or(b'\n')
    }

    fn comment(&mut self) {
        while self.next_of_line() != b'\n' {}
    }

    fn header(&mut self) -> Option<Kind> {
        let mut name = Vec::new();
        let quoted = loop {
            match self.next()? {
                b']' => break None,
                b' ' | b'\t' | b'\r' => {
                    let subsection = self.subsection();
                    // git counts the end of the file as a line in the section's name, but not here
                    self.is_past_end = false;
                    break Some(subsection?);
                }
                byte if is_name(byte) || byte == b'.' => name.push(byte.to_ascii_lowercase()),
                _ => return None,
            }
        };
        if name.is_empty() {
            return None;
        }
        let dotted = quoted.is_none() && name.contains(&b'.');
        if let Some(quoted) = quoted {
            name.push(b'.');
            name.extend(quoted);
        }
        let (section, subsection) = match name.split_once_str(b".") {
            Some((section, subsection)) => (section.into(), Some(subsection.into())),
            None => (name.into(), None),
        };
        Some(Kind::Header(Header { section, subsection, dotted }))
    }

    /// ` "subsection"]` after its first blank.
    fn subsection(&mut self) -> Option<Vec<u8>> {
        let mut byte = self.next()?;
        while matches!(byte, b' ' | b'\t' | b'\r') {
            byte = self.next()?;
        }
        if byte != b'"' {
            return None;
        }
        let mut subsection = Vec::new();
        loop {
            byte = match self.next()? {
                b'"' => break,
                b'\\' => self.next()?,
                byte => byte,
            };
            if byte == b'\n' {
                return None;
            }
            subsection.push(byte);
        }
        (self.next()? == b']').then_some(subsection)
    }

    fn entry(&mut self, first: u8) -> Option<Kind> {
        let mut name = String::from(char::from(first.to_ascii_lowercase()));
        let mut byte = self.next_of_line();
        while is_name(byte) {
            name.push(char::from(byte.to_ascii_lowercase()));
            byte = self.next_of_line();
        }
        while matches!(byte, b' ' | b'\t') {
            byte = self.next_of_line();
        }
        let value = match byte {
            b'\n' => None,
            b'=' => Some(self.value()?),
            _ => return None,
        };
        Some(Kind::Entry { name, value })
    }

    fn value(&mut self) -> Option<BString> {
        let mut value = Vec::new();
        let mut len_trimmed = 0;
        let mut quoted = false;
        loop {
            let byte = match self.next_of_line() {
                b'\n' if quoted => return None,
                b'\n' => break,
                b'#' | b';' if !quoted => {
                    self.comment();
                    break;
                }
                b'"' => {
                    quoted = !quoted;
                    continue;
                }
                b'\\' => match self.next_of_line() {
                    b'\n' => continue,
                    b't' => b'\t',
                    b'b' => 8,
                    b'n' => b'\n',
                    byte @ (b'\\' | b'"') => byte,
                    _ => return None,
                },
                byte if is_space(byte) && !quoted => {
                    if !value.is_empty() {
                        value.push(byte);
                    }
                    continue;
                }
                byte => byte,
            };
            value.push(byte);
            len_trimmed = value.len();
        }
        value.truncate(len_trimmed);
        // To C git a value ends at a NUL; whatever reads it must see the same here.
        if let Some(end) = value.find_byte(0) {
            value.truncate(end);
        }
        Some(value.into())
    }
}

/// Bytes of section and key names.
fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}
