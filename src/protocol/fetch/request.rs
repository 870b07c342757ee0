//! What the client says: wants, haves and what the pack may be like.

use std::io::BufRead;

use bstr::{BString, ByteSlice};
use gix_hash::ObjectId;

use crate::protocol::ls_refs::{Preamble, read_argument};
use crate::protocol::pktline::{Packet, Reader, push_line};
use crate::protocol::{Error, parse_id, printable, unexpected_line};

mod v0;

/// What the client wants and has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// The head of the v2 command. In v0 `agent`, `object_format` and `session_id` become capabilities.
    pub preamble: Preamble,
    /// The objects wanted.
    pub wants: Vec<ObjectId>,
    /// v2 `want-ref`: refs wanted by name.
    pub want_refs: Vec<BString>,
    /// Objects the client has, newest first.
    pub haves: Vec<ObjectId>,
    /// The client's own shallow boundary.
    pub shallow: Vec<ObjectId>,
    /// How to move that boundary.
    pub deepen: Deepen,
    /// The filter of a partial clone, as git spells it.
    pub filter: Option<BString>,
    /// v2 `packfile-uris`: the protocols by which the client would fetch packs elsewhere, such as `https`.
    pub packfile_uris: Vec<BString>,
    /// No more haves will come: send the pack.
    pub done: bool,
    /// What the pack and the stream may be like.
    pub features: Features,
}

/// A change of the shallow boundary.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deepen {
    /// `deepen <n>`; 0 for none.
    pub depth: u32,
    /// `deepen-relative`: counted from the present boundary.
    pub relative: bool,
    /// `deepen-since`, in seconds since 1970.
    pub since: Option<i64>,
    /// `deepen-not`, a ref each.
    pub not: Vec<BString>,
}

/// What the client allows and asks for; each only where the server said it can.
#[expect(clippy::struct_excessive_bools, reason = "each is a word of the protocol that is there or not")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Features {
    /// Deltas against objects the client has.
    pub thin_pack: bool,
    /// Deltas named by offset.
    pub ofs_delta: bool,
    /// No band 2.
    pub no_progress: bool,
    /// Tags that point to what is sent are sent too.
    pub include_tag: bool,
    /// v2: the whole answer is in side-bands.
    pub sideband_all: bool,
    /// v2: do not send a pack before `done`.
    pub wait_for_done: bool,
    /// v0: how acknowledgments are given.
    pub multi_ack: MultiAck,
    /// v0: the pack may follow `ready` without `done`.
    pub no_done: bool,
    /// v0: how the pack is framed.
    pub side_band: SideBand,
    /// v0: `deepen-since` is named among the capabilities; C git names it whenever the server does.
    pub deepen_since: bool,
    /// v0: `deepen-not` is named among the capabilities; C git names it whenever the server does.
    pub deepen_not: bool,
}

/// v0's kinds of acknowledgment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MultiAck {
    /// Only the first common object is acknowledged.
    #[default]
    None,
    /// `ACK <id> continue`.
    Plain,
    /// `ACK <id> common` and `ACK <id> ready`.
    Detailed,
}

/// v0's kinds of side-band.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SideBand {
    /// The pack comes bare.
    #[default]
    None,
    /// Packets of up to 1,000 bytes.
    Small,
    /// Packets of up to 65,520 bytes.
    Large,
}

impl Request {
    /// The v2 command as bytes, its flush-pkt included. Order as C git sends it (seen in git 2.47.3).
    pub fn encode_v2(&self) -> Vec<u8> {
        let mut out = Vec::new();
        push_line(&mut out, &[b"command=fetch"]);
        self.preamble.push_agent(&mut out);
        self.preamble.push_session_id(&mut out);
        self.preamble.push_server_options(&mut out);
        self.preamble.push_promisor_remote(&mut out);
        self.preamble.push_object_format(&mut out);
        out.extend_from_slice(b"0001");
        for (word, asked) in self.features.v2_words() {
            if asked {
                push_line(&mut out, &[word.as_bytes()]);
            }
        }
        push_ids(&mut out, "shallow ", &self.shallow);
        self.deepen.push_v2(&mut out);
        self.push_filter(&mut out);
        if !self.packfile_uris.is_empty() {
            push_line(&mut out, &[b"packfile-uris ", &bstr::join(",", &self.packfile_uris)]);
        }
        for name in &self.want_refs {
            push_line(&mut out, &[b"want-ref ", name]);
        }
        push_ids(&mut out, "want ", &self.wants);
        push_ids(&mut out, "have ", &self.haves);
        if self.done {
            push_line(&mut out, &[b"done"]);
        }
        out.extend_from_slice(b"0000");
        out
    }

    /// Reads a v2 command as a server does, beginning after the line `command=fetch`.
    pub fn decode_v2(input: &mut dyn BufRead) -> Result<Self, Error> {
        let (preamble, has_arguments) = Preamble::read(&mut Reader::new(input))?;
        let mut request = Self { preamble, ..Self::default() };
        if has_arguments {
            request.read_arguments_v2(input)?;
        }
        Ok(request)
    }

    /// Reads the arguments of a v2 command behind the delimiter, up to and with the flush-pkt. What came before an error
    /// has been taken.
    pub fn read_arguments_v2(&mut self, input: &mut dyn BufRead) -> Result<(), Error> {
        let mut reader = Reader::new(input);
        while let Some(line) = read_argument(&mut reader)? {
            self.take_v2(line)?;
        }
        Ok(())
    }

    fn take_v2(&mut self, line: &[u8]) -> Result<(), Error> {
        match line.split_once_str(" ") {
            // git 2.47.3 looks no further than the id
            Some((b"want", rest)) => {
                self.wants.push(parse_id(first_word(rest)).ok_or_else(|| expected("oid", line))?);
            }
            Some((b"have", rest)) => {
                let expected = || format!("expected SHA1 object, got '{}'", printable(rest));
                self.haves.push(parse_id(first_word(rest)).ok_or_else(|| Error::Malformed(expected()))?);
            }
            Some((b"want-ref", name)) => self.want_refs.push(name.into()),
            Some((b"packfile-uris", _)) if !self.packfile_uris.is_empty() => {
                return Err(Error::Repeated { argument: "packfile-uris" });
            }
            Some((b"packfile-uris", list)) => {
                self.packfile_uris = list.split_str(",").map(BString::from).collect();
            }
            None if line == b"done" => self.done = true,
            None if line == b"deepen-relative" => self.deepen.relative = true,
            None => self.features.take_v2(line)?,
            Some((key, value)) => return self.take_boundary(key, value, line),
        }
        Ok(())
    }

    /// Takes the lines that v0 and v2 have in common: `shallow`, `deepen…` and `filter`.
    fn take_boundary(&mut self, key: &[u8], value: &[u8], line: &[u8]) -> Result<(), Error> {
        let invalid = |what| Error::Malformed(format!("invalid {what}: {}", printable(line)));
        match key {
            b"shallow" => self.shallow.push(parse_id(value).ok_or_else(|| invalid("shallow line"))?),
            b"deepen" => {
                let depth = parse_depth(value).filter(|depth| *depth > 0);
                self.deepen.depth = depth.ok_or_else(|| invalid("deepen"))?;
            }
            b"deepen-since" => {
                self.deepen.since = Some(parse_since(value).ok_or_else(|| invalid("deepen-since"))?);
            }
            b"deepen-not" => self.deepen.not.push(value.into()),
            b"filter" if self.filter.is_some() => {
                return Err(Error::Unsupported("multiple filter-specs cannot be combined".into()));
            }
            b"filter" => self.filter = Some(value.into()),
            _ => return Err(unexpected_line(line)),
        }
        Ok(())
    }

    fn push_filter(&self, out: &mut Vec<u8>) {
        if let Some(filter) = &self.filter {
            push_line(out, &[b"filter ", filter]);
        }
    }
}

impl Features {
    /// The features that are lines of a v2 command, in C git's order. `wait-for-done`, which C git sends alone, first.
    fn v2_words(&self) -> [(&'static str, bool); 6] {
        [
            ("wait-for-done", self.wait_for_done),
            ("thin-pack", self.thin_pack),
            ("no-progress", self.no_progress),
            ("include-tag", self.include_tag),
            ("ofs-delta", self.ofs_delta),
            ("sideband-all", self.sideband_all),
        ]
    }

    fn take_v2(&mut self, line: &[u8]) -> Result<(), Error> {
        match line {
            b"wait-for-done" => self.wait_for_done = true,
            b"thin-pack" => self.thin_pack = true,
            b"no-progress" => self.no_progress = true,
            b"include-tag" => self.include_tag = true,
            b"ofs-delta" => self.ofs_delta = true,
            b"sideband-all" => self.sideband_all = true,
            _ => return Err(unexpected_line(line)),
        }
        Ok(())
    }
}

impl Deepen {
    fn push_v2(&self, out: &mut Vec<u8>) {
        self.push_depth(out);
        if self.relative {
            push_line(out, &[b"deepen-relative"]);
        }
        self.push_since_and_not(out);
    }

    fn push(&self, out: &mut Vec<u8>) {
        self.push_depth(out);
        self.push_since_and_not(out);
    }

    fn push_depth(&self, out: &mut Vec<u8>) {
        if self.depth > 0 {
            push_line(out, &[format!("deepen {}", self.depth).as_bytes()]);
        }
    }

    fn push_since_and_not(&self, out: &mut Vec<u8>) {
        if let Some(since) = self.since {
            push_line(out, &[format!("deepen-since {since}").as_bytes()]);
        }
        for name in &self.not {
            push_line(out, &[b"deepen-not ", name]);
        }
    }
}

/// v0: `have` lines, with neither flush-pkt nor `done`.
pub fn encode_haves_v0(haves: &[ObjectId], out: &mut Vec<u8>) {
    push_ids(out, "have ", haves);
}

/// v0: one packet of what a client says after its wants, read by a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Have {
    /// `have <id>`.
    Have(ObjectId),
    /// A flush-pkt: the client waits for acknowledgments.
    Flush,
    /// `done`: the client waits for the pack.
    Done,
}

impl Have {
    /// Reads one; `None` if the client hung up instead.
    pub fn read_v0(input: &mut dyn BufRead) -> Result<Option<Self>, Error> {
        let mut reader = Reader::new(input);
        let Some(packet) = reader.read_or_eof()? else { return Ok(None) };
        match packet {
            Packet::Flush => Ok(Some(Self::Flush)),
            Packet::Data(_) if packet.shown() == b"done" => Ok(Some(Self::Done)),
            Packet::Data(_) | Packet::Delimiter | Packet::ResponseEnd => {
                let id = packet.shown().strip_prefix(b"have ").and_then(parse_id);
                id.map(|id| Some(Self::Have(id))).ok_or_else(|| unexpected_line(packet.shown()))
            }
        }
    }
}

fn push_ids(out: &mut Vec<u8>, key: &str, ids: &[ObjectId]) {
    for id in ids {
        push_line(out, &[key.as_bytes(), id.to_string().as_bytes()]);
    }
}

/// git 2.47.3 has one word for an id in v2, another one in v0.
fn expected(id: &str, line: &[u8]) -> Error {
    Error::Malformed(format!("expected to get {id}, not '{}'", printable(line)))
}

fn first_word(text: &[u8]) -> &[u8] {
    text.split_once_str(" ").map_or(text, |(word, _)| word)
}

/// A depth as git 2.47.3 takes it: a number as C's `strtol` reads it, decimal, octal behind a 0, hexadecimal behind a 0x, of
/// which the lower 32 bits count.
fn parse_depth(text: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(text).ok()?.trim_ascii_start();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, radix) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (digits, 8),
        None => (digits, 10),
    };
    let is_number = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let value = i64::from_str_radix(digits, radix).ok().filter(|_| is_number)?.checked_mul(sign)?;
    let depth = u32::try_from(value.rem_euclid(1 << 32)).ok()?;
    Some(depth).filter(|depth| i32::try_from(*depth).is_ok())
}

/// Seconds as git 2.47.3 takes them: less than nothing is a time that never comes, but for -1, which is none.
fn parse_since(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?.trim_ascii_start();
    let read = text.parse::<i64>().ok();
    // what is too large is later than all commits as well
    let read = read.or_else(|| text.parse::<u64>().ok().filter(|since| *since < u64::MAX).map(|_| i64::MAX));
    read.filter(|since| *since != -1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_git_reads_them() {
        for (text, depth) in [
            ("1", Some(1)),
            (" \t1", Some(1)),
            ("+0x1", Some(1)),
            ("010", Some(8)),
            ("4294967297", Some(1)),
            ("-4294967295", Some(1)),
            ("2147483647", Some(0x7fff_ffff)),
            ("0", Some(0)),
            ("2147483648", None),
            ("-1", None),
            ("+-1", None),
            ("99999999999999999999", None),
            ("1x", None),
            ("", None),
        ] {
            assert_eq!(parse_depth(text.as_bytes()), depth, "{text}");
        }
        for (text, since) in [
            ("5", Some(5)),
            (" 5", Some(5)),
            ("-5", Some(-5)),
            ("9223372036854775808", Some(i64::MAX)),
            ("-1", None),
            ("18446744073709551615", None),
            ("99999999999999999999", None),
            ("1x", None),
        ] {
            assert_eq!(parse_since(text.as_bytes()), since, "{text}");
        }
    }
}
