//! The header of a bundle file. `gitformat-bundle(5)`.

use std::io::{self, BufRead, Read, Write};

use bstr::{BString, ByteSlice};
use gix_hash::ObjectId;

use super::capability::hash_kind;
use super::{Error, Ref, parse_id, printable};

/// What stands before the pack in a bundle file, v2 or v3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// 2 or 3.
    pub version: u32,
    /// v3 `@object-format`, SHA-1 if not said.
    pub object_hash: gix_hash::Kind,
    /// v3 `@filter`: what was left out.
    pub filter: Option<BString>,
    /// The commits a repository must have to take the pack, with the comment behind each.
    pub prerequisites: Vec<(ObjectId, BString)>,
    /// The refs, in the order they stand.
    pub refs: Vec<Ref>,
}

impl Header {
    /// Reads a header up to and with the empty line that ends it. What does not begin as a bundle of version 2 or 3 is
    /// [`Error::NotABundle`].
    pub fn read(input: &mut dyn BufRead) -> Result<Self, Error> {
        let mut lines = Lines { input, position: 0, line: Vec::new() };
        let version = match lines.next() {
            Ok(b"# v2 git bundle") => 2,
            Ok(b"# v3 git bundle") => 3,
            Err(Error::Io(error)) => return Err(Error::Io(error)),
            Ok(_) | Err(_) => {
                return Err(Error::NotABundle);
            }
        };
        let mut header = Self { version, ..Self::new(gix_hash::Kind::Sha1, None) };
        loop {
            match lines.next()? {
                b"" => return Ok(header),
                line => header.take(line)?,
            }
        }
    }

    /// A header without prerequisites and refs, of the oldest version that can say what it has to: git-bundle(1).
    pub fn new(object_hash: gix_hash::Kind, filter: Option<BString>) -> Self {
        let is_plain = object_hash == gix_hash::Kind::Sha1 && filter.is_none();
        let version = if is_plain { 2 } else { 3 };
        Self { version, object_hash, filter, prerequisites: Vec::new(), refs: Vec::new() }
    }

    /// Writes it.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "# v{} git bundle", self.version)?;
        if self.version >= 3 {
            writeln!(out, "@object-format={}", self.object_hash)?;
            if let Some(filter) = &self.filter {
                out.write_all(&[b"@filter=", filter.as_slice(), b"\n"].concat())?;
            }
        }
        for (id, comment) in &self.prerequisites {
            out.write_all(&[b"-", id.to_string().as_bytes(), b" ", comment, b"\n"].concat())?;
        }
        for reference in &self.refs {
            let Some(id) = reference.id else { continue };
            out.write_all(&[id.to_string().as_bytes(), b" ", &reference.name, b"\n"].concat())?;
        }
        out.write_all(b"\n")
    }

    fn take(&mut self, line: &[u8]) -> Result<(), Error> {
        if let Some(capability) = line.strip_prefix(b"@")
            && self.version >= 3
        {
            return self.take_capability(capability);
        }
        // git counts the bytes behind the dash
        let length = line.strip_prefix(b"-").unwrap_or(line).len();
        let unrecognized =
            || Error::Unsupported(format!("unrecognized header: {} ({length})", printable(line)));
        let id_of = |hex| parse_id(hex).filter(|id| id.kind() == self.object_hash).ok_or_else(unrecognized);
        if let Some(line) = line.strip_prefix(b"-") {
            let (hex, comment) = line.split_once_str(" ").unwrap_or((line, b""));
            self.prerequisites.push((id_of(hex)?, comment.into()));
        } else {
            let (hex, name) = line.split_once_str(" ").ok_or_else(unrecognized)?;
            self.refs.push(Ref::direct(name, id_of(hex)?));
        }
        Ok(())
    }

    fn take_capability(&mut self, capability: &[u8]) -> Result<(), Error> {
        match capability.split_once_str("=") {
            Some((b"object-format", name)) => {
                let text = || format!("unrecognized bundle hash algorithm: {}", printable(name));
                self.object_hash = hash_kind(name).ok_or_else(|| Error::Unsupported(text()))?;
            }
            Some((b"filter", filter)) => self.filter = Some(filter.into()),
            _ => {
                let name = printable(capability);
                return Err(Error::Unsupported(format!("unknown capability '{name}'")));
            }
        }
        Ok(())
    }
}

/// The lines of a header; never reads beyond the line asked for, since a pack follows.
struct Lines<'a> {
    input: &'a mut dyn BufRead,
    position: u64,
    line: Vec<u8>,
}

impl Lines<'_> {
    /// The next line without its line feed.
    fn next(&mut self) -> Result<&[u8], Error> {
        self.line.clear();
        let amount = (&mut *self.input).take(LINE_LEN_MAX as u64).read_until(b'\n', &mut self.line)?;
        self.position += amount as u64;
        if self.position > HEADER_LEN_MAX as u64 {
            return Err(Error::TooMany { what: "bytes of a bundle's header", limit: HEADER_LEN_MAX });
        }
        match self.line.strip_suffix(b"\n") {
            Some(line) => Ok(line),
            None if amount == LINE_LEN_MAX => {
                Err(Error::TooMany { what: "bytes of a bundle's line", limit: LINE_LEN_MAX })
            }
            None => Err(Error::UnexpectedEof { position: self.position }),
        }
    }
}

/// Bytes of one line: a prerequisite's comment is the subject of a commit, which may be long.
const LINE_LEN_MAX: usize = 1 << 20;
/// Bytes of a header: ten million refs with names of 100 bytes.
const HEADER_LEN_MAX: usize = 2 << 30;
