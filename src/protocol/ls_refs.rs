//! The v2 command `ls-refs`. `gitprotocol-v2(5)`, "ls-refs".

use std::io::{self, BufRead};

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;

use super::capability::hash_kind;
use super::pktline::{Packet, Reader, begin_packet, end_packet, push_line};
use super::{Error, Ref, parse_id, printable, unexpected_line};
use crate::text;

/// The lines between `command=` and the delimiter, which every v2 command has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preamble {
    /// `agent=`, sent if the server named its own.
    pub agent: Option<BString>,
    /// `object-format=`, sent if the server has that capability.
    pub object_format: Option<gix_hash::Kind>,
    /// `session-id=`, sent if the server has that capability and it is wished for.
    pub session_id: Option<BString>,
    /// `server-option=`, any number.
    pub server_options: Vec<BString>,
    /// `promisor-remote=`: the names of remotes that the server named and the client accepts, see
    /// [`promisor_remote`](super::promisor_remote).
    pub promisor_remote: Option<BString>,
}

/// Asks for refs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// The command's head.
    pub preamble: Preamble,
    /// Asks for the peeled object of tags.
    pub peel: bool,
    /// Asks for the targets of symbolic refs.
    pub symrefs: bool,
    /// Asks for a `HEAD` that names an unborn branch; only if the server has `ls-refs=unborn`.
    pub unborn: bool,
    /// Only refs that begin with one of these; all if empty. The server may send others nonetheless.
    pub prefixes: Vec<BString>,
}

impl Request {
    /// The request as bytes, its flush-pkt included. Order as C git sends it (seen in git 2.47.3, which never sends a
    /// `session-id` here).
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        push_line(&mut out, &[b"command=ls-refs"]);
        self.preamble.push_agent(&mut out);
        self.preamble.push_session_id(&mut out);
        self.preamble.push_object_format(&mut out);
        self.preamble.push_server_options(&mut out);
        out.extend_from_slice(b"0001");
        for (asked, line) in [(self.peel, "peel"), (self.symrefs, "symrefs"), (self.unborn, "unborn")] {
            if asked {
                push_line(&mut out, &[line.as_bytes()]);
            }
        }
        for prefix in &self.prefixes {
            push_line(&mut out, &[b"ref-prefix ", prefix]);
        }
        out.extend_from_slice(b"0000");
        out
    }

    /// Reads one as a server does, beginning after the line `command=ls-refs`. As in C git, [`PREFIXES_MAX`] prefixes or
    /// more are as good as none.
    pub fn decode(input: &mut dyn BufRead) -> Result<Self, Error> {
        let (preamble, has_arguments) = Preamble::read(&mut Reader::new(input))?;
        if has_arguments {
            Self::decode_arguments(preamble, input)
        } else {
            Ok(Self { preamble, ..Self::default() })
        }
    }

    /// Reads the arguments behind the delimiter, up to and with the flush-pkt.
    pub fn decode_arguments(preamble: Preamble, input: &mut dyn BufRead) -> Result<Self, Error> {
        let mut reader = Reader::new(input);
        let mut request = Self { preamble, ..Self::default() };
        let mut prefix_count = 0_usize;
        while let Some(line) = read_argument(&mut reader)? {
            match line {
                b"peel" => request.peel = true,
                b"symrefs" => request.symrefs = true,
                b"unborn" => request.unborn = true,
                _ => {
                    let prefix = line.strip_prefix(b"ref-prefix ").ok_or_else(|| unexpected_line(line))?;
                    prefix_count += 1;
                    if prefix_count < PREFIXES_MAX {
                        request.prefixes.push(prefix.into());
                    }
                }
            }
        }
        if prefix_count >= PREFIXES_MAX {
            request.prefixes.clear();
        }
        Ok(request)
    }
}

impl Preamble {
    /// Reads the lines behind `command=`; false if a flush-pkt ended the request before any argument.
    pub fn read(reader: &mut Reader<'_>) -> Result<(Self, bool), Error> {
        let mut preamble = Self::default();
        loop {
            check_request_len(reader)?;
            let packet = reader.read()?;
            match packet {
                Packet::Flush => return Ok((preamble, false)),
                Packet::Delimiter => return Ok((preamble, true)),
                Packet::ResponseEnd => return Err(unexpected_line(packet.shown())),
                Packet::Data(_) => preamble.take(packet.shown())?,
            }
        }
    }

    pub(super) fn take(&mut self, line: &[u8]) -> Result<(), Error> {
        match line.split_once_str("=") {
            Some((b"agent", value)) => self.agent = Some(value.into()),
            Some((b"session-id", value)) => self.session_id = Some(value.into()),
            Some((b"server-option", value)) => self.server_options.push(value.into()),
            Some((b"promisor-remote", value)) => self.promisor_remote = Some(value.into()),
            Some((b"object-format", value)) => {
                let unknown = || Error::Unsupported(format!("unknown object format '{}'", printable(value)));
                self.object_format = Some(hash_kind(value).ok_or_else(unknown)?);
            }
            None if line == b"object-format" => {
                return Err(Error::Unsupported("object-format capability requires an argument".into()));
            }
            _ => return Err(Error::Unsupported(format!("unknown capability '{}'", printable(line)))),
        }
        Ok(())
    }

    pub(super) fn push_agent(&self, out: &mut Vec<u8>) {
        if let Some(agent) = &self.agent {
            push_line(out, &[b"agent=", agent]);
        }
    }

    pub(super) fn push_session_id(&self, out: &mut Vec<u8>) {
        if let Some(id) = &self.session_id {
            push_line(out, &[b"session-id=", id]);
        }
    }

    pub(super) fn push_object_format(&self, out: &mut Vec<u8>) {
        if let Some(hash) = self.object_format {
            push_line(out, &[b"object-format=", hash.to_string().as_bytes()]);
        }
    }

    pub(super) fn push_promisor_remote(&self, out: &mut Vec<u8>) {
        if let Some(names) = &self.promisor_remote {
            push_line(out, &[b"promisor-remote=", names]);
        }
    }

    pub(super) fn push_server_options(&self, out: &mut Vec<u8>) {
        for option in &self.server_options {
            push_line(out, &[b"server-option=", option]);
        }
    }
}

/// The next argument of a v2 command, `None` at its flush-pkt.
pub fn read_argument<'r>(reader: &'r mut Reader<'_>) -> Result<Option<&'r [u8]>, Error> {
    check_request_len(reader)?;
    match reader.read()? {
        packet @ Packet::Data(_) => Ok(packet.line()),
        Packet::Flush => Ok(None),
        packet @ (Packet::Delimiter | Packet::ResponseEnd) => Err(unexpected_line(packet.shown())),
    }
}

pub(super) fn check_request_len(reader: &Reader<'_>) -> Result<(), Error> {
    if reader.position() > REQUEST_LEN_MAX as u64 {
        return Err(Error::TooMany { what: "bytes of a request", limit: REQUEST_LEN_MAX });
    }
    Ok(())
}

/// Reads the answer, up to and with its flush-pkt.
pub fn read_refs(input: &mut dyn BufRead, object_hash: gix_hash::Kind) -> Result<Vec<Ref>, Error> {
    let mut refs = Vec::new();
    for_each_ref(input, object_hash, &mut |reference| refs.push(reference.clone()))?;
    Ok(refs)
}

/// As [`read_refs`], giving `take` one after the other, for whoever does not keep them.
pub fn for_each_ref(
    input: &mut dyn BufRead,
    object_hash: gix_hash::Kind,
    take: &mut dyn FnMut(&Ref),
) -> Result<(), Error> {
    let mut reader = Reader::new(input);
    let mut reference = Ref { name: BString::default(), id: None, peeled: None, symref_target: None };
    let mut count = 0;
    loop {
        match reader.read()? {
            packet @ Packet::Data(_) => parse_ref(packet.shown(), object_hash, &mut reference)?,
            Packet::Flush => return Ok(()),
            Packet::Delimiter | Packet::ResponseEnd => {
                return Err(Error::Malformed("expected flush after ref listing".into()));
            }
        }
        take(&reference);
        count += 1;
        if count > REFS_MAX {
            return Err(Error::TooMany { what: "refs", limit: REFS_MAX });
        }
        if reader.position() > REFS_LEN_MAX as u64 {
            return Err(Error::TooMany { what: "bytes of refs", limit: REFS_LEN_MAX });
        }
    }
}

/// Reads one line into `reference`, whose buffers are used again.
fn parse_ref(line: &[u8], object_hash: gix_hash::Kind, reference: &mut Ref) -> Result<(), Error> {
    let invalid = || Error::Malformed(format!("invalid ls-refs response: {}", printable(line)));
    let id_of = |hex| parse_id(hex).filter(|id| id.kind() == object_hash);
    let (hex, rest) = split_at_space(line);
    let (name, attributes) = split_at_space(rest.ok_or_else(invalid)?);
    if name.is_empty() || name.contains(&0) {
        return Err(invalid());
    }
    reference.id = if hex == b"unborn" { None } else { Some(id_of(hex).ok_or_else(invalid)?) };
    reference.name.clear();
    reference.name.extend_from_slice(name);
    (reference.peeled, reference.symref_target) = (None, None);
    for attribute in attributes.into_iter().flat_map(|text| text.split(|byte| *byte == b' ')) {
        if let Some(target) = attribute.strip_prefix(b"symref-target:") {
            reference.symref_target = Some(target.into());
        } else if let Some(hex) = attribute.strip_prefix(b"peeled:") {
            reference.peeled = Some(id_of(hex).ok_or_else(invalid)?);
        }
    }
    Ok(())
}

/// What stands before the first space, and what behind it, if there is one.
fn split_at_space(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    let Some((before, rest)) = text.find_byte(b' ').and_then(|at| text.split_at_checked(at)) else {
        return (text, None);
    };
    (before, rest.get(1..))
}

/// One line of the answer, borrowed from whoever knows the ref.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefLine<'a> {
    /// The full name.
    pub name: &'a BStr,
    /// The object; `None` for a `HEAD` that names an unborn branch.
    pub id: Option<ObjectId>,
    /// The object at the end of a chain of tags, if it was asked for.
    pub peeled: Option<ObjectId>,
    /// The full name of the ref it leads to, if that was asked for.
    pub symref_target: Option<&'a BStr>,
}

impl<'a> From<&'a Ref> for RefLine<'a> {
    fn from(reference: &'a Ref) -> Self {
        let symref_target = reference.symref_target.as_ref().map(|target| target.as_bstr());
        Self { name: reference.name.as_bstr(), id: reference.id, peeled: reference.peeled, symref_target }
    }
}

impl RefLine<'_> {
    /// Appends the line to `out` as a pkt-line; an error if it is longer than one can be.
    pub fn push(&self, out: &mut Vec<u8>) -> io::Result<()> {
        let start = begin_packet(out);
        match &self.id {
            Some(id) => text::push_hex(out, id),
            None => out.extend_from_slice(b"unborn"),
        }
        out.push(b' ');
        out.extend_from_slice(self.name);
        if let Some(target) = self.symref_target {
            out.extend_from_slice(b" symref-target:");
            out.extend_from_slice(target);
        }
        if let Some(peeled) = &self.peeled {
            out.extend_from_slice(b" peeled:");
            text::push_hex(out, peeled);
        }
        out.push(b'\n');
        end_packet(out, start)
    }
}

/// From so many prefixes on C git's server lists every ref.
pub const PREFIXES_MAX: usize = 65_536;
/// More refs than the largest hosts have in one repository.
const REFS_MAX: usize = 10_000_000;
/// Bytes of an answer: ten million refs with names of 100 bytes.
const REFS_LEN_MAX: usize = 2 << 30;
/// Bytes of one request: five million `have` lines.
const REQUEST_LEN_MAX: usize = 256 << 20;
