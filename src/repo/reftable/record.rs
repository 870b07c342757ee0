//! The records of blocks, each encoded and decoded. A record begins with its key, which `block` takes care of.

use bstr::{BStr, BString, ByteSlice};
use gix_hash::{ObjectId, oid};

/// A ref as a table tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::repo) struct RefRecord {
    /// The full name.
    pub name: BString,
    /// The change that this comes from.
    pub update_index: u64,
    pub value: Value,
}

/// What a ref holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::repo) enum Value {
    /// There is no such ref, whatever older tables say.
    Deleted,
    Id(ObjectId),
    /// An annotated tag, and what it leads to.
    Tag(ObjectId, ObjectId),
    Symbolic(BString),
}

/// A line of a reflog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::repo) struct LogRecord {
    /// The full name of the ref.
    pub name: BString,
    /// The change that this tells of; the newest has the highest.
    pub update_index: u64,
    /// `None`: there is no such line, whatever older tables say.
    pub log: Option<Log>,
}

/// What a line says. One whose ids are both null only tells that there is a reflog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::repo) struct Log {
    pub old: ObjectId,
    pub new: ObjectId,
    /// Without the address.
    pub name: BString,
    /// Without `<` and `>`.
    pub email: BString,
    /// Since 1970.
    pub seconds: u64,
    /// As it is written: `+0130` is 130 (seen in git 2.47.3; the format's description has minutes).
    pub zone: i16,
    /// With a line feed at its end.
    pub message: BString,
}

/// A record of one kind of block.
pub(super) trait Record: Sized {
    /// The kind of its blocks.
    const BLOCK: u8;

    /// What it is sorted by.
    fn key(&self) -> BString;

    /// Whether it only says that what older tables tell is gone.
    fn is_deletion(&self) -> bool;

    /// The three bits beside the length of the key.
    fn kind(&self) -> u8;

    /// Appends what stands behind the key; `base` is the least update index of the table.
    fn encode(&self, base: u64, out: &mut Vec<u8>);

    /// Reads what stands behind `key`; `None` if it makes no sense.
    fn decode(key: &[u8], kind: u8, base: u64, input: &mut Input<'_>) -> Option<Self>;
}

impl Record for RefRecord {
    const BLOCK: u8 = super::REFS;

    fn key(&self) -> BString {
        self.name.clone()
    }

    fn is_deletion(&self) -> bool {
        self.value == Value::Deleted
    }

    fn kind(&self) -> u8 {
        match self.value {
            Value::Deleted => 0,
            Value::Id(_) => 1,
            Value::Tag(..) => 2,
            Value::Symbolic(_) => 3,
        }
    }

    fn encode(&self, base: u64, out: &mut Vec<u8>) {
        push_varint(out, self.update_index.saturating_sub(base));
        match &self.value {
            Value::Deleted => {}
            Value::Id(id) => out.extend_from_slice(id.as_bytes()),
            Value::Tag(id, peeled) => {
                out.extend_from_slice(id.as_bytes());
                out.extend_from_slice(peeled.as_bytes());
            }
            Value::Symbolic(target) => push_text(out, target.as_bstr()),
        }
    }

    fn decode(key: &[u8], kind: u8, base: u64, input: &mut Input<'_>) -> Option<Self> {
        let update_index = base.checked_add(input.varint()?)?;
        let value = match kind {
            0 => Value::Deleted,
            1 => Value::Id(input.id()?),
            2 => Value::Tag(input.id()?, input.id()?),
            3 => Value::Symbolic(input.text()?),
            _ => return None,
        };
        Some(Self { name: key.into(), update_index, value })
    }
}

/// What ends a key of a reflog: a NUL and the update index, its bits turned, so that the newest comes first.
const LOG_KEY_END: usize = 9;

/// The key of the line of `update_index` in the reflog of `name`.
pub(super) fn log_key(name: &BStr, update_index: u64) -> BString {
    [name.as_bytes(), b"\0", &(!update_index).to_be_bytes()].concat().into()
}

impl Record for LogRecord {
    const BLOCK: u8 = super::LOGS;

    fn key(&self) -> BString {
        log_key(self.name.as_bstr(), self.update_index)
    }

    fn is_deletion(&self) -> bool {
        self.log.is_none()
    }

    fn kind(&self) -> u8 {
        self.log.is_some().into()
    }

    fn encode(&self, _base: u64, out: &mut Vec<u8>) {
        let Some(log) = &self.log else { return };
        out.extend_from_slice(log.old.as_bytes());
        out.extend_from_slice(log.new.as_bytes());
        push_text(out, log.name.as_bstr());
        push_text(out, log.email.as_bstr());
        push_varint(out, log.seconds);
        out.extend_from_slice(&log.zone.to_be_bytes());
        push_text(out, log.message.as_bstr());
    }

    fn decode(key: &[u8], kind: u8, _base: u64, input: &mut Input<'_>) -> Option<Self> {
        let (name, end) = key.split_at_checked(key.len().checked_sub(LOG_KEY_END)?)?;
        let reversed = u64::from_be_bytes(end.strip_prefix(b"\0")?.try_into().ok()?);
        let log = match kind {
            0 => None,
            1 => Some(Log {
                old: input.id()?,
                new: input.id()?,
                name: input.text()?,
                email: input.text()?,
                seconds: input.varint()?,
                zone: i16::from_be_bytes(input.take(2)?.try_into().ok()?),
                message: input.text()?,
            }),
            _ => return None,
        };
        Some(Self { name: name.into(), update_index: !reversed, log })
    }
}

/// The last key of a block, and where that block begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IndexRecord {
    pub last: BString,
    pub position: u64,
}

impl Record for IndexRecord {
    const BLOCK: u8 = super::INDEX;

    fn key(&self) -> BString {
        self.last.clone()
    }

    fn is_deletion(&self) -> bool {
        false
    }

    fn kind(&self) -> u8 {
        0
    }

    fn encode(&self, _base: u64, out: &mut Vec<u8>) {
        push_varint(out, self.position);
    }

    fn decode(key: &[u8], _kind: u8, _base: u64, input: &mut Input<'_>) -> Option<Self> {
        Some(Self { last: key.into(), position: input.varint()? })
    }
}

/// Bytes that are read from their beginning. What ends too early is `None`.
pub(super) struct Input<'a> {
    pub rest: &'a [u8],
    pub object_hash: gix_hash::Kind,
}

impl<'a> Input<'a> {
    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    /// A number as packs have it for the offsets of delta bases.
    pub(super) fn varint(&mut self) -> Option<u64> {
        let (&first, mut rest) = self.rest.split_first()?;
        let (mut value, mut byte) = (u64::from(first & 0x7f), first);
        while byte & 0x80 != 0 {
            let (&next, after) = rest.split_first()?;
            (byte, rest) = (next, after);
            // seven bits must still fit
            value =
                value.checked_add(1).filter(|value| *value <= u64::MAX >> 7)? << 7 | u64::from(byte & 0x7f);
        }
        self.rest = rest;
        Some(value)
    }

    /// A length and as many bytes.
    fn text(&mut self) -> Option<BString> {
        let len = usize::try_from(self.varint()?).ok()?;
        self.take(len).map(BString::from)
    }

    fn id(&mut self) -> Option<ObjectId> {
        let bytes = self.take(self.object_hash.len_in_bytes())?;
        oid::try_from_bytes(bytes).ok().map(ToOwned::to_owned)
    }
}

/// Appends what [`Input::varint`] reads.
pub(super) fn push_varint(out: &mut Vec<u8>, value: u64) {
    let mut bytes = vec![low_bits(value)];
    let mut rest = value >> 7;
    while rest != 0 {
        rest -= 1;
        bytes.push(0x80 | low_bits(rest));
        rest >>= 7;
    }
    out.extend(bytes.iter().rev());
}

fn low_bits(value: u64) -> u8 {
    u8::try_from(value & 0x7f).unwrap_or_default()
}

fn push_text(out: &mut Vec<u8>, text: &BStr) {
    push_varint(out, text.len() as u64);
    out.extend_from_slice(text);
}
