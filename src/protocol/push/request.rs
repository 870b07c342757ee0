//! What the client says before the pack.

use std::io::BufRead;

use bstr::{BString, ByteSlice};
use gix_hash::ObjectId;

use super::Command;
use crate::protocol::pktline::{Packet, Reader, write_data, write_flush, write_line};
use crate::protocol::{Error, parse_id, printable, unexpected_line};

/// Everything a client says before the pack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// The client's shallow boundary.
    pub shallow: Vec<ObjectId>,
    /// The changes. If there is a certificate they are in it and not said again.
    pub commands: Vec<Command>,
    /// What stands behind the NUL of the first command (or of the `push-cert` line), such as
    /// `report-status-v2` or `object-format=sha1`.
    pub capabilities: Vec<BString>,
    /// A signed push certificate: its text, which ends with the signature.
    pub certificate: Option<BString>,
    /// Push options, if `push-options` is among the capabilities: an empty list is said as well.
    pub options: Option<Vec<BString>>,
}

impl Request {
    /// The bytes on the wire, flush-pkts included; empty if there is nothing to ask for. The layout is that of git
    /// 2.47.3: a line feed ends shallow lines and those of a certificate, none ends commands and options.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] if a line is too long for a pkt-line.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        if self.commands.is_empty() && self.certificate.is_none() {
            return Ok(out);
        }
        self.write(&mut out).map_err(|_| Error::Malformed("impossibly long line".into()))?;
        Ok(out)
    }

    fn write(&self, out: &mut Vec<u8>) -> std::io::Result<()> {
        for id in &self.shallow {
            write_line(out, format!("shallow {id}").as_bytes())?;
        }
        let mut list = b"\0".to_vec();
        for capability in &self.capabilities {
            list.push(b' ');
            list.extend_from_slice(capability);
        }
        match &self.certificate {
            Some(certificate) => write_certificate(out, certificate, &list)?,
            None => {
                for Command { name, old, new } in &self.commands {
                    let command = [format!("{old} {new} ").as_bytes(), name, &list].concat();
                    write_data(out, &command)?;
                    list.clear();
                }
            }
        }
        write_flush(out)?;
        if let Some(options) = &self.options {
            for option in options {
                write_data(out, option)?;
            }
            write_flush(out)?;
        }
        Ok(())
    }

    /// Reads a request and not a byte of the pack behind it. A client that wants nothing sends a flush-pkt, which gives
    /// a request without commands.
    ///
    /// # Errors
    ///
    /// In the words of git's receive-pack; [`Error::UnexpectedEof`] if the client hangs up.
    pub fn decode(input: &mut dyn BufRead, object_hash: gix_hash::Kind) -> Result<Self, Error> {
        let mut request = Self::default();
        let mut reader = Reader::new(input);
        loop {
            check_length(&reader)?;
            let Some(line) = read_line(&mut reader)? else { break };
            let (line, list) = match line.split_once_str("\0") {
                Some((line, list)) => (line.to_vec(), Some(list)),
                None => (line.clone(), None),
            };
            let words = list.unwrap_or_default().split(|byte| *byte == b' ').filter(|word| !word.is_empty());
            request.capabilities.extend(words.map(BString::from));
            if line == b"push-cert" {
                let (certificate, is_last) = read_certificate(&mut reader)?;
                // of two, the second makes nonsense of the first, as in C git
                request.certificate.get_or_insert_default().extend_from_slice(&certificate);
                if is_last {
                    break;
                }
            } else {
                request.take_line(&line, object_hash)?;
            }
        }
        if request.capabilities.iter().any(|word| word == "push-options") {
            request.options = Some(read_options(&mut reader)?);
        }
        Ok(request)
    }

    fn take_line(&mut self, line: &[u8], object_hash: gix_hash::Kind) -> Result<(), Error> {
        if self.shallow.len() + self.commands.len() >= COMMANDS_MAX {
            return Err(Error::TooMany { what: "commands", limit: COMMANDS_MAX });
        }
        let parse = |hex: &[u8]| parse_id(hex).filter(|id| id.kind() == object_hash);
        if let Some(hex) = line.strip_prefix(b"shallow ") {
            let id = parse(hex).ok_or_else(|| expected("shallow sha", hex))?;
            self.shallow.push(id);
            return Ok(());
        }
        let mut words = line.splitn(3, |byte| *byte == b' ');
        let (old, new) = (words.next().and_then(parse), words.next().and_then(parse));
        match (old, new, words.next()) {
            (Some(old), Some(new), Some(name)) => self.commands.push(Command { name: name.into(), old, new }),
            _ => return Err(expected("old/new/ref", line)),
        }
        Ok(())
    }
}

fn write_certificate(out: &mut Vec<u8>, certificate: &[u8], list: &[u8]) -> std::io::Result<()> {
    write_data(out, &[b"push-cert", list].concat())?;
    for line in certificate.split_inclusive(|byte| *byte == b'\n') {
        write_data(out, line)?;
    }
    write_line(out, b"push-cert-end")
}

/// The lines up to `push-cert-end`, and whether a flush-pkt came in its place, which ends the request as well.
fn read_certificate(reader: &mut Reader<'_>) -> Result<(BString, bool), Error> {
    let mut certificate = BString::default();
    loop {
        check_length(reader)?;
        match reader.read_raw()? {
            Packet::Data(b"push-cert-end\n" | b"push-cert-end") => return Ok((certificate, false)),
            Packet::Data(line) => certificate.extend_from_slice(line),
            Packet::Flush => return Ok((certificate, true)),
            packet @ (Packet::Delimiter | Packet::ResponseEnd) => {
                return Err(unexpected_line(packet.shown()));
            }
        }
    }
}

fn read_options(reader: &mut Reader<'_>) -> Result<Vec<BString>, Error> {
    let mut options = Vec::new();
    while let Some(option) = read_line(reader)? {
        if options.len() >= OPTIONS_MAX {
            return Err(Error::TooMany { what: "push options", limit: OPTIONS_MAX });
        }
        options.push(option.into());
    }
    Ok(options)
}

/// The next line, `None` for a flush-pkt.
fn read_line(reader: &mut Reader<'_>) -> Result<Option<Vec<u8>>, Error> {
    match reader.read_raw()? {
        packet @ Packet::Data(_) => Ok(Some(packet.line().unwrap_or_default().to_vec())),
        Packet::Flush => Ok(None),
        packet @ (Packet::Delimiter | Packet::ResponseEnd) => Err(unexpected_line(packet.shown())),
    }
}

fn check_length(reader: &Reader<'_>) -> Result<(), Error> {
    if reader.position() > REQUEST_LEN_MAX {
        let limit = usize::try_from(REQUEST_LEN_MAX).unwrap_or(usize::MAX);
        return Err(Error::TooMany { what: "bytes of commands", limit });
    }
    Ok(())
}

fn expected(what: &str, line: &[u8]) -> Error {
    Error::Malformed(format!("expected {what}, got '{}'", printable(line)))
}

/// More refs than the largest hosts have in one repository.
const COMMANDS_MAX: usize = 10_000_000;
/// Bytes before the pack, but for push options: ten million commands with names of a hundred bytes are twice that, yet
/// nobody changes them in one push.
const REQUEST_LEN_MAX: u64 = 1 << 30;
/// A hook gets each push option in an environment variable of its own; a system has room for fewer than this.
const OPTIONS_MAX: usize = 10_000;
