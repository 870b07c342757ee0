//! What a server says before it is asked.

use std::collections::HashMap;
use std::io::{self, BufRead, Write};

use bstr::{BString, ByteSlice};
use gix_hash::ObjectId;

use super::pktline::{Packet, Reader, write_flush, write_line};
use super::{Capabilities, Error, Ref, Version, parse_id, unexpected_line};

/// The advertisement of a server, v0, v1 or v2. A bundle's header is told as one too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Advertisement {
    /// v0 and v1: the refs themselves.
    Refs {
        /// V0 or V1.
        version: Version,
        /// What the server can do.
        capabilities: Capabilities,
        /// The refs, in the order they came; `peeled` and `symref_target` filled in from `^{}` lines and `symref=`
        /// capabilities. Entries named `.have` are kept under that name. Without `capabilities^{}`.
        refs: Vec<Ref>,
        /// The server's own shallow boundary.
        shallow: Vec<ObjectId>,
    },
    /// v2: what may be asked.
    Commands {
        /// What the server can do.
        capabilities: Capabilities,
    },
}

impl Advertisement {
    /// Reads one, up to and with its flush-pkt. A `# service=` preamble is skipped if there is one. The end of the
    /// stream before the first line is whole is [`Error::UnexpectedEof`], later it is [`Error::CutShort`].
    pub fn read(input: &mut dyn BufRead) -> Result<Self, Error> {
        let mut reader = Reader::new(input);
        let mut first = read_line(&mut reader)?;
        if first.as_deref().is_some_and(|line| line.starts_with(b"# service=")) {
            skip_preamble(&mut reader)?;
            first = read_line(&mut reader)?;
        }
        match first.as_deref() {
            Some(b"version 2") => read_commands(&mut reader).map_err(|error| match error {
                Error::UnexpectedEof { .. } => no_flush(),
                error => error,
            }),
            Some(b"version 1") => read_line(&mut reader)
                .and_then(|first| read_refs(&mut reader, Version::V1, first))
                .map_err(cut_short),
            Some(line) if line.starts_with(b"version ") => {
                Err(Error::Unsupported("server is speaking an unknown protocol".into()))
            }
            _ => read_refs(&mut reader, Version::V0, first).map_err(cut_short),
        }
    }

    /// Writes it as a server does, `agent` being among the capabilities already.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Refs { version, capabilities, refs, shallow } => {
                if *version == Version::V1 {
                    write_line(out, b"version 1")?;
                }
                write_refs(out, capabilities, refs)?;
                for id in shallow {
                    write_line(out, format!("shallow {id}").as_bytes())?;
                }
            }
            Self::Commands { capabilities } => {
                write_line(out, b"version 2")?;
                for line in capabilities.lines() {
                    write_line(out, &line)?;
                }
            }
        }
        write_flush(out)
    }

    /// The capabilities, whichever version.
    pub fn capabilities(&self) -> &Capabilities {
        match self {
            Self::Refs { capabilities, .. } | Self::Commands { capabilities } => capabilities,
        }
    }
}

fn cut_short(error: Error) -> Error {
    match error {
        Error::UnexpectedEof { .. } => Error::CutShort,
        error => error,
    }
}

fn no_flush() -> Error {
    Error::Unsupported("expected flush after capabilities".into())
}

/// The next line, `None` for a flush-pkt.
fn read_line(reader: &mut Reader<'_>) -> Result<Option<Vec<u8>>, Error> {
    match reader.read()? {
        packet @ Packet::Data(_) => Ok(Some(packet.line().unwrap_or_default().to_vec())),
        Packet::Flush => Ok(None),
        packet @ (Packet::Delimiter | Packet::ResponseEnd) => Err(unexpected_line(packet.shown())),
    }
}

/// Skips what may follow `# service=` up to the flush-pkt; gitprotocol-http(5) leaves room for more lines.
fn skip_preamble(reader: &mut Reader<'_>) -> Result<(), Error> {
    for _ in 0..PREAMBLE_LINES_MAX {
        if read_line(reader)?.is_none() {
            return Ok(());
        }
    }
    Err(Error::TooMany { what: "lines in front of the advertisement", limit: PREAMBLE_LINES_MAX })
}

fn read_commands(reader: &mut Reader<'_>) -> Result<Advertisement, Error> {
    let mut capabilities = Capabilities::default();
    for _ in 0..CAPABILITIES_MAX {
        match reader.read()? {
            packet @ Packet::Data(_) => capabilities.push_line(packet.line().unwrap_or_default()),
            Packet::Flush => {
                capabilities.object_format()?;
                return Ok(Advertisement::Commands { capabilities });
            }
            Packet::Delimiter | Packet::ResponseEnd => {
                return Err(no_flush());
            }
        }
    }
    Err(Error::TooMany { what: "capabilities", limit: CAPABILITIES_MAX })
}

/// Reads v0 and v1 from `first`, the line that may hold the capabilities, on.
fn read_refs(
    reader: &mut Reader<'_>,
    version: Version,
    first: Option<Vec<u8>>,
) -> Result<Advertisement, Error> {
    let list = first.as_deref().and_then(|line| line.split_once_str("\0")).map(|(_, list)| list);
    let capabilities = Capabilities::from_list(list.unwrap_or_default());
    let mut found = Found::new(capabilities.object_format()?);
    if let Some(line) = first {
        found.push(&line)?;
        loop {
            match reader.read()? {
                packet @ Packet::Data(_) => found.push(packet.line().unwrap_or_default())?,
                Packet::Flush => break,
                packet @ (Packet::Delimiter | Packet::ResponseEnd) => {
                    return Err(unexpected_line(packet.shown()));
                }
            }
            if reader.position() > ADVERTISEMENT_LEN_MAX {
                let limit = usize::try_from(ADVERTISEMENT_LEN_MAX).unwrap_or(usize::MAX);
                return Err(Error::TooMany { what: "bytes of refs", limit });
            }
        }
    }
    let (refs, shallow) = found.finish(&capabilities);
    Ok(Advertisement::Refs { version, capabilities, refs, shallow })
}

/// The refs and boundaries found so far.
struct Found {
    hash: gix_hash::Kind,
    refs: Vec<Ref>,
    shallow: Vec<ObjectId>,
    /// `^{}` lines that did not come right behind their tag.
    stray_peeled: HashMap<BString, ObjectId>,
}

impl Found {
    fn new(hash: gix_hash::Kind) -> Self {
        Self { hash, refs: Vec::new(), shallow: Vec::new(), stray_peeled: HashMap::new() }
    }

    fn push(&mut self, line: &[u8]) -> Result<(), Error> {
        if self.refs.len() + self.shallow.len() + self.stray_peeled.len() >= REFS_MAX {
            return Err(Error::TooMany { what: "refs", limit: REFS_MAX });
        }
        if let Some(hex) = line.strip_prefix(b"shallow ") {
            self.shallow.push(self.id(hex).ok_or_else(|| unexpected_line(line))?);
            return Ok(());
        }
        // as C git does, what stands behind a NUL of a later line is passed over
        let visible = line.split_once_str("\0").map_or(line, |(visible, _)| visible);
        let (hex, name) = visible.split_once_str(" ").ok_or_else(|| unexpected_line(line))?;
        let id = self.id(hex).ok_or_else(|| unexpected_line(line))?;
        match name.strip_suffix(b"^{}") {
            Some(b"capabilities") if id.is_null() => {}
            Some(tag) => self.peel(tag, id),
            None if name.is_empty() => return Err(unexpected_line(line)),
            None => self.refs.push(Ref::direct(name, id)),
        }
        Ok(())
    }

    fn id(&self, hex: &[u8]) -> Option<ObjectId> {
        parse_id(hex).filter(|id| id.kind() == self.hash)
    }

    fn peel(&mut self, tag: &[u8], id: ObjectId) {
        match self.refs.last_mut() {
            Some(last) if last.name == tag => last.peeled = Some(id),
            _ => drop(self.stray_peeled.insert(tag.into(), id)),
        }
    }

    fn finish(mut self, capabilities: &Capabilities) -> (Vec<Ref>, Vec<ObjectId>) {
        // a table and one pass: a hostile list of symrefs must not make this quadratic
        let mut targets = HashMap::new();
        for value in capabilities.values("symref") {
            if let Some((name, target)) = value.split_once_str(":") {
                targets.entry(name).or_insert(target);
            }
        }
        for reference in &mut self.refs {
            reference.symref_target = targets.get(reference.name.as_bytes()).map(|target| (*target).into());
            if reference.peeled.is_none() {
                reference.peeled = self.stray_peeled.get(&reference.name).copied();
            }
        }
        (self.refs, self.shallow)
    }
}

/// Writes the ref lines of v0, the capabilities on the first; a ref without an id is not told.
fn write_refs(out: &mut dyn Write, capabilities: &Capabilities, refs: &[Ref]) -> io::Result<()> {
    let mut list = Some(capabilities.to_list());
    let mut write = |id: ObjectId, name: &[u8], suffix: &[u8]| {
        let mut line = [id.to_string().as_bytes(), b" ", name, suffix].concat();
        if let Some(list) = list.take() {
            line.push(0);
            line.extend_from_slice(&list);
        }
        write_line(out, &line)
    };
    let mut empty = true;
    for reference in refs {
        let Some(id) = reference.id else { continue };
        empty = false;
        write(id, &reference.name, b"")?;
        if let Some(peeled) = reference.peeled {
            write(peeled, &reference.name, b"^{}")?;
        }
    }
    if empty {
        let hash = capabilities.object_format().unwrap_or(gix_hash::Kind::Sha1);
        write(hash.null(), b"capabilities", b"^{}")?;
    }
    Ok(())
}

/// More refs than the largest hosts have in one repository.
const REFS_MAX: usize = 10_000_000;
/// Bytes of a v0 advertisement: ten million refs with names of 300 bytes.
const ADVERTISEMENT_LEN_MAX: u64 = 4 << 30;
/// Lines of a v2 advertisement; C git sends 8.
const CAPABILITIES_MAX: usize = 10_000;
/// Lines between `# service=` and the flush-pkt; every known server sends none.
const PREAMBLE_LINES_MAX: usize = 100;
