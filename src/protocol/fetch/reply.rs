//! What the server says in front of the pack.

use std::io::{self, BufRead, Write};

use bstr::{BString, ByteSlice};
use gix_hash::ObjectId;

use crate::progress::Progress;
use crate::protocol::pktline::{Packet, Reader, write_data, write_delimiter, write_flush, write_line};
use crate::protocol::sideband::PacketReader;
use crate::protocol::{Error, parse_id, printable, unexpected_line};

/// Bytes of an answer in front of the pack: five million acknowledgments.
const REPLY_LEN_MAX: usize = 256 << 20;

/// One acknowledgment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ack {
    /// `NAK`.
    Nak,
    /// `ACK <id>`: in v0 the last word; in v2 the object is common.
    Final(ObjectId),
    /// v0 `multi_ack`: `ACK <id> continue`.
    Continue(ObjectId),
    /// v0 `multi_ack_detailed`: `ACK <id> common`.
    Common(ObjectId),
    /// v0 `multi_ack_detailed`: `ACK <id> ready`.
    Ready(ObjectId),
}

impl Ack {
    /// Reads one line of v0's answer to haves.
    pub fn read_v0(input: &mut dyn BufRead) -> Result<Self, Error> {
        let mut reader = Reader::new(input);
        let packet = reader.read()?;
        let line = packet.shown();
        let unexpected = || Error::Unexpected { expected: "ACK/NAK", received: printable(line) };
        if line == b"NAK" && packet.line().is_some() {
            return Ok(Self::Nak);
        }
        let rest = line.strip_prefix(b"ACK ").ok_or_else(unexpected)?;
        let (hex, status) = rest.split_once_str(" ").unwrap_or((rest, b""));
        let id = parse_id(hex).ok_or_else(unexpected)?;
        match status {
            b"" => Ok(Self::Final(id)),
            b"continue" => Ok(Self::Continue(id)),
            b"common" => Ok(Self::Common(id)),
            b"ready" => Ok(Self::Ready(id)),
            _ => Err(unexpected()),
        }
    }

    /// Writes it as a v0 server does.
    pub fn write_v0(self, out: &mut dyn Write) -> io::Result<()> {
        let line = match self {
            Self::Nak => "NAK".to_owned(),
            Self::Final(id) => format!("ACK {id}"),
            Self::Continue(id) => format!("ACK {id} continue"),
            Self::Common(id) => format!("ACK {id} common"),
            Self::Ready(id) => format!("ACK {id} ready"),
        };
        write_line(out, line.as_bytes())
    }
}

/// A change of the shallow boundary that the server tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShallowUpdate {
    /// The commit comes without its parents.
    Shallow(ObjectId),
    /// The commit's parents come now.
    Unshallow(ObjectId),
}

/// v0: reads `shallow` and `unshallow` lines up to and with the flush-pkt.
pub fn read_shallow_v0(input: &mut dyn BufRead) -> Result<Vec<ShallowUpdate>, Error> {
    let mut reader = Reader::new(input);
    let mut updates = Vec::new();
    loop {
        check_reply_len(reader.position())?;
        match reader.read()? {
            Packet::Flush => return Ok(updates),
            packet => updates.push(ShallowUpdate::parse(packet.shown())?),
        }
    }
}

/// v0: writes what [`read_shallow_v0`] reads, the flush-pkt included.
pub fn write_shallow_v0(out: &mut dyn Write, updates: &[ShallowUpdate]) -> io::Result<()> {
    for update in updates {
        update.write(out)?;
    }
    write_flush(out)
}

impl ShallowUpdate {
    fn parse(line: &[u8]) -> Result<Self, Error> {
        let id = match line.split_once_str(" ") {
            Some((b"shallow", hex)) => parse_id(hex).map(Self::Shallow),
            Some((b"unshallow", hex)) => parse_id(hex).map(Self::Unshallow),
            _ => None,
        };
        id.ok_or_else(|| Error::Unexpected { expected: "shallow/unshallow", received: printable(line) })
    }

    fn write(self, out: &mut dyn Write) -> io::Result<()> {
        match self {
            // without a line feed, seen in git 2.47.3
            Self::Shallow(id) => write_data(out, format!("shallow {id}").as_bytes()),
            Self::Unshallow(id) => write_data(out, format!("unshallow {id}").as_bytes()),
        }
    }
}

/// The sections of a v2 answer that stand before the pack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// The objects acknowledged; `None` if there was no such section.
    pub acks: Option<Vec<ObjectId>>,
    /// The server is ready: the pack follows in this answer.
    pub ready: bool,
    /// The new shallow boundary.
    pub shallow: Vec<ShallowUpdate>,
    /// Refs asked for by name and what they are now.
    pub wanted_refs: Vec<(ObjectId, BString)>,
    /// Packs to be fetched elsewhere: the trailer's id and the URI.
    pub packfile_uris: Vec<(ObjectId, BString)>,
    /// The answer goes on with side-band packets of the pack, which the input now stands before. Otherwise the flush-pkt
    /// has been read and the next request is due.
    pub pack: bool,
}

impl Reply {
    /// Reads a v2 answer up to the line `packfile` and with it, or to the flush-pkt.
    pub fn read_v2(input: &mut dyn BufRead) -> Result<Self, Error> {
        Self::read_sections(&mut Packets::Plain(Reader::new(input)))
    }

    /// As [`Self::read_v2`], for an answer to `sideband-all`.
    pub fn read_v2_sideband_all(input: &mut dyn BufRead, progress: &mut dyn Progress) -> Result<Self, Error> {
        let mut packets = Packets::Banded(PacketReader::new(input, progress));
        let reply = Self::read_sections(&mut packets)?;
        if let Packets::Banded(packets) = packets {
            packets.finish()?;
        }
        Ok(reply)
    }

    fn read_sections(packets: &mut Packets<'_>) -> Result<Self, Error> {
        let mut reply = Self::default();
        let mut seen = Vec::new();
        loop {
            let packet = packets.read()?;
            let name = packet.shown();
            let section =
                Section::named(name).filter(|section| packet.line().is_some() && !seen.contains(section));
            let unexpected = || Error::Unexpected { expected: "'packfile'", received: printable(name) };
            let section = section.ok_or_else(unexpected)?;
            if section == Section::Packfile {
                reply.pack = true;
                return Ok(reply);
            }
            seen.push(section);
            let ended = reply.read_section(packets, section)?;
            let negotiating = section == Section::Acknowledgments && !reply.ready;
            match ended {
                End::Flush if negotiating => return Ok(reply),
                End::Delimiter if !negotiating => {}
                End::Flush if reply.ready => {
                    return Err(malformed("expected packfile to be sent after 'ready'"));
                }
                End::Flush => {
                    return Err(Error::Unexpected { expected: "'packfile'", received: "0000".into() });
                }
                End::Delimiter => {
                    return Err(malformed("expected no other sections to be sent after no 'ready'"));
                }
            }
        }
    }

    fn read_section(&mut self, packets: &mut Packets<'_>, section: Section) -> Result<End, Error> {
        if section == Section::Acknowledgments {
            self.acks = Some(Vec::new());
        }
        loop {
            let packet = packets.read()?;
            match packet {
                Packet::Flush => return Ok(End::Flush),
                Packet::Delimiter => return Ok(End::Delimiter),
                Packet::ResponseEnd => return Err(unexpected_line(packet.shown())),
                Packet::Data(_) => self.take(section, packet.shown())?,
            }
        }
    }

    fn take(&mut self, section: Section, line: &[u8]) -> Result<(), Error> {
        match section {
            Section::Acknowledgments => self.take_acknowledgment(line)?,
            Section::ShallowInfo => self.shallow.push(ShallowUpdate::parse(line)?),
            Section::WantedRefs => self.wanted_refs.push(id_and_rest(line, "wanted-ref, got")?),
            Section::PackfileUris => self.packfile_uris.push(id_and_rest(line, "'<hash> <uri>', got")?),
            // its packets belong to the side-bands and are never read here
            Section::Packfile => return Err(unexpected_line(line)),
        }
        Ok(())
    }

    fn take_acknowledgment(&mut self, line: &[u8]) -> Result<(), Error> {
        match line {
            b"NAK" => {}
            b"ready" => self.ready = true,
            _ => {
                let id = line.strip_prefix(b"ACK ").and_then(parse_id);
                let text = || format!("unexpected acknowledgment line: '{}'", printable(line));
                let id = id.ok_or_else(|| Error::Malformed(text()))?;
                self.acks.get_or_insert_default().push(id);
            }
        }
        Ok(())
    }

    /// Writes it as a server does, up to the line `packfile` and with it if `pack` is true, with a flush-pkt otherwise.
    pub fn write_v2(&self, out: &mut dyn Write) -> io::Result<()> {
        if let Some(acks) = &self.acks {
            self.write_acknowledgments(acks, out)?;
            if !self.pack {
                return write_flush(out);
            }
            write_delimiter(out)?;
        }
        // seen in git 2.47.3: wanted-refs come first, which gitprotocol-v2(5) tells otherwise
        write_named(out, b"wanted-refs", &self.wanted_refs)?;
        if !self.shallow.is_empty() {
            write_line(out, b"shallow-info")?;
            for update in &self.shallow {
                update.write(out)?;
            }
            write_delimiter(out)?;
        }
        write_named(out, b"packfile-uris", &self.packfile_uris)?;
        if self.pack { write_line(out, b"packfile") } else { write_flush(out) }
    }

    fn write_acknowledgments(&self, acks: &[ObjectId], out: &mut dyn Write) -> io::Result<()> {
        write_line(out, b"acknowledgments")?;
        for id in acks {
            write_line(out, format!("ACK {id}").as_bytes())?;
        }
        if self.ready {
            write_line(out, b"ready")?;
        } else if acks.is_empty() {
            write_line(out, b"NAK")?;
        }
        Ok(())
    }
}

/// Writes a section of lines `<id> <name>`; nothing if there are none.
fn write_named(out: &mut dyn Write, section: &[u8], lines: &[(ObjectId, BString)]) -> io::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    write_line(out, section)?;
    for (id, name) in lines {
        write_line(out, &[id.to_string().as_bytes(), b" ", name].concat())?;
    }
    write_delimiter(out)
}

/// The sections of a v2 answer; each comes once at most.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Acknowledgments,
    ShallowInfo,
    WantedRefs,
    PackfileUris,
    Packfile,
}

impl Section {
    fn named(name: &[u8]) -> Option<Self> {
        match name {
            b"acknowledgments" => Some(Self::Acknowledgments),
            b"shallow-info" => Some(Self::ShallowInfo),
            b"wanted-refs" => Some(Self::WantedRefs),
            b"packfile-uris" => Some(Self::PackfileUris),
            b"packfile" => Some(Self::Packfile),
            _ => None,
        }
    }
}

/// How a section ended.
#[derive(Clone, Copy)]
enum End {
    Flush,
    Delimiter,
}

/// Where the packets of an answer come from.
enum Packets<'a> {
    Plain(Reader<'a>),
    Banded(PacketReader<'a>),
}

impl Packets<'_> {
    fn read(&mut self) -> Result<Packet<'_>, Error> {
        match self {
            Self::Plain(reader) => {
                check_reply_len(reader.position())?;
                reader.read()
            }
            Self::Banded(reader) => {
                check_reply_len(reader.position())?;
                reader.read()
            }
        }
    }
}

fn check_reply_len(position: u64) -> Result<(), Error> {
    if position > REPLY_LEN_MAX as u64 {
        return Err(Error::TooMany { what: "bytes in front of the pack", limit: REPLY_LEN_MAX });
    }
    Ok(())
}

fn id_and_rest(line: &[u8], expected: &str) -> Result<(ObjectId, BString), Error> {
    let parts = line.split_once_str(" ").filter(|(_, rest)| !rest.is_empty());
    let parsed = parts.and_then(|(hex, rest)| Some((parse_id(hex)?, rest.into())));
    parsed.ok_or_else(|| Error::Malformed(format!("expected {expected} '{}'", printable(line))))
}

fn malformed(text: &str) -> Error {
    Error::Malformed(text.into())
}
