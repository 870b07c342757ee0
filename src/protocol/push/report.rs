//! What the server says in the end.

use std::io::BufRead;

use bstr::{BString, ByteSlice};
use gix_hash::ObjectId;

use crate::protocol::pktline::{Packet, Reader, push_line};
use crate::protocol::{Error, parse_id, printable};

/// The reason for a report that says nothing, in git's words.
pub(crate) const NO_STATUS: &str = "unexpected flush packet while reading remote unpack status";

/// How a push ended, `report-status` or `report-status-v2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Whether the pack could be used; the server's reason if not.
    pub unpack: Result<(), BString>,
    /// What became of each ref, in the server's order. A ref may be told of more than once: what comes later holds.
    pub refs: Vec<RefReport>,
}

/// What became of one ref.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefReport {
    /// The name as in the command.
    pub name: BString,
    /// What was done: empty means as asked; or the server's reason for refusing.
    pub outcome: Result<Vec<Rewritten>, BString>,
}

/// What the server did instead of what it was asked: the `option` lines of `report-status-v2`, which the
/// `proc-receive` hook gives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rewritten {
    /// `option refname`: another ref.
    pub name: Option<BString>,
    /// `option old-oid`.
    pub old: Option<ObjectId>,
    /// `option new-oid`.
    pub new: Option<ObjectId>,
    /// `option forced-update`.
    pub forced: bool,
}

impl Default for Report {
    /// The beginning of one: nothing is wrong, and nothing is said of any ref.
    fn default() -> Self {
        Self { unpack: Ok(()), refs: Vec::new() }
    }
}

impl Report {
    /// Reads a report up to its flush-pkt. Errors in git's words.
    pub fn read(input: &mut dyn BufRead, object_hash: gix_hash::Kind) -> Result<Self, Error> {
        let mut report = Self::default();
        report.take(input, object_hash)?;
        Ok(report)
    }

    /// As [`Self::read`], for an empty report: what was understood before an error stays in it, and holds.
    ///
    /// # Errors
    ///
    /// [`Error::Report`] if a line makes no sense; [`Error::Remote`] for an `ERR` packet.
    pub fn take(&mut self, input: &mut dyn BufRead, object_hash: gix_hash::Kind) -> Result<(), Error> {
        let mut reader = Reader::new(input);
        self.unpack = match reader.read()? {
            packet @ Packet::Data(_) => unpack_status(packet.line().unwrap_or_default())?,
            Packet::Flush | Packet::Delimiter | Packet::ResponseEnd => {
                return Err(Error::Report(NO_STATUS.into()));
            }
        };
        let mut lines = Lines { refs: &mut self.refs, object_hash, is_told_again: false };
        loop {
            match reader.read()? {
                packet @ Packet::Data(_) => lines.take(packet.line().unwrap_or_default())?,
                // as in git 2.47.3, any special packet ends the report
                Packet::Flush | Packet::Delimiter | Packet::ResponseEnd => return Ok(()),
            }
            if reader.position() > REPORT_LEN_MAX || lines.refs.len() > REFS_MAX {
                return Err(Error::TooMany { what: "refs in a report", limit: REFS_MAX });
            }
        }
    }

    /// The bytes of `report-status-v2`, flush-pkt included.
    pub fn encode(&self) -> Vec<u8> {
        self.encode_with(|rewritten| rewritten)
    }

    /// The bytes of the first `report-status`, which has no words for what was [`Rewritten`].
    pub fn encode_v1(&self) -> Vec<u8> {
        self.encode_with(|_| &[])
    }

    fn encode_with(&self, shown: impl Fn(&[Rewritten]) -> &[Rewritten]) -> Vec<u8> {
        let mut out = Vec::new();
        match &self.unpack {
            Ok(()) => push_line(&mut out, &[b"unpack ok"]),
            Err(reason) => push_line(&mut out, &[b"unpack ", reason]),
        }
        for RefReport { name, outcome } in &self.refs {
            match outcome {
                Err(reason) => push_line(&mut out, &[b"ng ", name, b" ", reason]),
                Ok(rewritten) => {
                    push_line(&mut out, &[b"ok ", name]);
                    for (index, rewritten) in shown(rewritten).iter().enumerate() {
                        if index > 0 {
                            push_line(&mut out, &[b"ok ", name]);
                        }
                        rewritten.push(&mut out);
                    }
                }
            }
        }
        out.extend_from_slice(b"0000");
        out
    }
}

impl Rewritten {
    /// An option that is not known, or makes no sense, is passed over (seen in git 2.47.3).
    pub(crate) fn take_option(&mut self, key: &[u8], value: Option<&[u8]>, object_hash: gix_hash::Kind) {
        let id = || value.and_then(parse_id).filter(|id| id.kind() == object_hash);
        match key {
            b"refname" => self.name = value.map(BString::from).or(self.name.take()),
            b"old-oid" => self.old = id().or(self.old),
            b"new-oid" => self.new = id().or(self.new),
            b"forced-update" => self.forced = true,
            _ => {}
        }
    }

    fn push(&self, out: &mut Vec<u8>) {
        if let Some(name) = &self.name {
            push_line(out, &[b"option refname ", name]);
        }
        if let Some(old) = &self.old {
            push_line(out, &[format!("option old-oid {old}").as_bytes()]);
        }
        if let Some(new) = &self.new {
            push_line(out, &[format!("option new-oid {new}").as_bytes()]);
        }
        if self.forced {
            push_line(out, &[b"option forced-update"]);
        }
    }
}

/// Puts the lines behind the first together.
struct Lines<'a> {
    refs: &'a mut Vec<RefReport>,
    object_hash: gix_hash::Kind,
    /// `ok` was said again of the last ref: options that follow tell of another of its updates.
    is_told_again: bool,
}

impl Lines<'_> {
    fn take(&mut self, line: &[u8]) -> Result<(), Error> {
        let Some((directive, rest)) = line.split_once_str(" ") else {
            return Err(Error::Report(format!("invalid status line from remote: {}", printable(line))));
        };
        let (word, message) = match rest.split_once_str(" ") {
            Some((word, message)) => (word, Some(message)),
            None => (rest, None),
        };
        match directive {
            b"ok" => self.take_ok(word),
            b"ng" => {
                let reason = message.unwrap_or(b"failed").into();
                self.refs.push(RefReport { name: word.into(), outcome: Err(reason) });
            }
            b"option" => return self.take_option(word, message),
            _ => {
                let text = format!("invalid ref status from remote: {}", printable(directive));
                return Err(Error::Report(text));
            }
        }
        Ok(())
    }

    fn take_ok(&mut self, name: &[u8]) {
        match self.refs.last() {
            Some(RefReport { name: last, outcome: Ok(_) }) if *last == name => self.is_told_again = true,
            _ => {
                self.refs.push(RefReport { name: name.into(), outcome: Ok(Vec::new()) });
                self.is_told_again = false;
            }
        }
    }

    fn take_option(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), Error> {
        let Some(RefReport { outcome: Ok(rewritten), .. }) = self.refs.last_mut() else {
            return Err(Error::Report("'option' without a matching 'ok/ng' directive".into()));
        };
        let mut told = Rewritten::default();
        told.take_option(key, value, self.object_hash);
        if told == Rewritten::default() {
            return Ok(());
        }
        if rewritten.is_empty() || self.is_told_again {
            if rewritten.len() >= REWRITTEN_MAX {
                return Err(Error::TooMany { what: "updates of one ref", limit: REWRITTEN_MAX });
            }
            rewritten.push(Rewritten::default());
            self.is_told_again = false;
        }
        if let Some(last) = rewritten.last_mut() {
            last.take_option(key, value, self.object_hash);
        }
        Ok(())
    }
}

/// What the first line of a report says.
fn unpack_status(line: &[u8]) -> Result<Result<(), BString>, Error> {
    match line.strip_prefix(b"unpack ") {
        Some(b"ok") => Ok(Ok(())),
        Some(reason) => Ok(Err(reason.into())),
        None => Err(Error::Report(format!("unable to parse remote unpack status: {}", printable(line)))),
    }
}

/// More refs than the largest hosts have in one repository.
const REFS_MAX: usize = 10_000_000;
/// Updates that the server may have made in place of one.
const REWRITTEN_MAX: usize = 100_000;
/// Bytes of a report.
const REPORT_LEN_MAX: u64 = 1 << 30;
