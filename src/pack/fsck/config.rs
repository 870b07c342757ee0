//! Files in the syntax of git-config(1), as far as a `.gitmodules` is one.

use bstr::{BString, ByteSlice};

/// A variable of a section, and its value; nothing where none is given.
pub(super) struct Variable {
    /// The name of the section, that of the subsection, and that of the variable, with dots between.
    pub name: BString,
    pub value: BString,
}

/// What is no configuration file.
pub(super) struct Unreadable;

/// Reads such a file.
pub(super) struct Parser {
    /// What is left, the last byte first.
    rest: Vec<u8>,
    section: Vec<u8>,
}

impl Parser {
    /// Reads `content`, whose lines end with LF or CRLF.
    pub fn new(content: &[u8]) -> Self {
        let mut rest = content.replace("\r\n", "\n");
        rest.reverse();
        Self { rest, section: Vec::new() }
    }

    /// The next variable; `None` at the end.
    pub fn next(&mut self) -> Result<Option<Variable>, Unreadable> {
        while let Some(byte) = self.rest.pop() {
            match byte {
                byte if is_space(byte) => {}
                b'#' | b';' => self.skip_line(),
                b'[' => self.section = self.section()?,
                first if first.is_ascii_alphabetic() => return self.variable(first).map(Some),
                _ => return Err(Unreadable),
            }
        }
        Ok(None)
    }

    fn skip_line(&mut self) {
        while self.rest.pop().is_some_and(|byte| byte != b'\n') {}
    }

    /// `[section]`, `[section "subsection"]` or, as of old, `[section.subsection]`.
    fn section(&mut self) -> Result<Vec<u8>, Unreadable> {
        let mut name = Vec::new();
        let mut space = loop {
            match self.rest.pop().ok_or(Unreadable)? {
                b']' if name.is_empty() => return Err(Unreadable),
                b']' => return Ok(name),
                byte if is_space(byte) => break byte,
                byte if is_key(byte) || byte == b'.' => name.push(byte.to_ascii_lowercase()),
                _ => return Err(Unreadable),
            }
        };
        while is_space(space) && space != b'\n' {
            space = self.rest.pop().ok_or(Unreadable)?;
        }
        if space != b'"' {
            return Err(Unreadable);
        }
        name.push(b'.');
        loop {
            match self.rest.pop().ok_or(Unreadable)? {
                b'"' => break,
                b'\n' => return Err(Unreadable),
                b'\\' => name.push(self.rest.pop().filter(|byte| *byte != b'\n').ok_or(Unreadable)?),
                byte => name.push(byte),
            }
        }
        self.rest.pop().filter(|byte| *byte == b']').map(|_| name).ok_or(Unreadable)
    }

    fn variable(&mut self, first: u8) -> Result<Variable, Unreadable> {
        let mut name = [&*self.section, b".", &[first.to_ascii_lowercase()]].concat();
        while let Some(byte) = self.rest.pop_if(|byte| is_key(*byte)) {
            name.push(byte.to_ascii_lowercase());
        }
        self.skip_blanks();
        let value = match self.rest.pop() {
            Some(b'=') => self.value()?,
            Some(b'\n') | None => Vec::new(),
            Some(_) => return Err(Unreadable),
        };
        Ok(Variable { name: until_nul(name), value: until_nul(value) })
    }

    fn skip_blanks(&mut self) {
        while self.rest.pop_if(|byte| matches!(byte, b' ' | b'\t')).is_some() {}
    }

    fn value(&mut self) -> Result<Vec<u8>, Unreadable> {
        let (mut value, mut is_quoted, mut kept) = (Vec::new(), false, 0);
        loop {
            match self.rest.pop() {
                None | Some(b'\n') if is_quoted => return Err(Unreadable),
                None | Some(b'\n') => break,
                Some(b'"') => is_quoted = !is_quoted,
                Some(b'#' | b';') if !is_quoted => {
                    self.skip_line();
                    break;
                }
                Some(b'\\') => match self.rest.pop() {
                    // the end of the file counts as one of a line
                    Some(b'\n') | None => continue,
                    Some(b'n') => value.push(b'\n'),
                    Some(b't') => value.push(b'\t'),
                    Some(b'b') => value.push(8),
                    Some(byte @ (b'\\' | b'"')) => value.push(byte),
                    Some(_) => return Err(Unreadable),
                },
                Some(byte) if !is_quoted && is_space(byte) => {
                    if !value.is_empty() {
                        value.push(byte);
                    }
                    continue;
                }
                Some(byte) => value.push(byte),
            }
            kept = value.len();
        }
        value.truncate(kept);
        Ok(value)
    }
}

/// A name or a value ends where git's do.
fn until_nul(mut text: Vec<u8>) -> BString {
    text.truncate(text.find_byte(0).unwrap_or(text.len()));
    text.into()
}

fn is_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}
