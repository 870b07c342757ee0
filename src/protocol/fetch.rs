//! Asking for a pack: the v2 command `fetch`, and the upload request of v0 and v1.
//!
//! One [`Request`] says all that a round can say, whatever the version; [`Request::encode_v2`] writes it as one command,
//! [`Request::encode_wants_v0`] and [`encode_haves_v0`] as the parts of a v0 conversation, which differs between pipes
//! and HTTP only in which parts are sent again.

use std::io::{BufRead, Write};

use bstr::BString;
use gix_hash::ObjectId;

use super::Error;
use super::ls_refs::Preamble;

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
    /// v0 over HTTP: the client may be told of a boundary (`deepen-since` and so on are sent as lines).
    pub deepen_relative: bool,
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
    /// The v2 command as bytes, its flush-pkt included. Order as C git sends it.
    pub fn encode_v2(&self) -> Vec<u8> {
        todo!("protocol helper")
    }
    /// Reads a v2 command as a server does, beginning after the line `command=fetch`.
    pub fn decode_v2(_input: &mut dyn BufRead) -> Result<Self, Error> {
        todo!()
    }
    /// v0: the wants with capabilities behind the first, `shallow`, `deepen…`, `filter` lines and a flush-pkt.
    pub fn encode_wants_v0(&self, _out: &mut Vec<u8>) {
        todo!()
    }
    /// Reads what [`Self::encode_wants_v0`] wrote, as a server does.
    pub fn decode_wants_v0(_input: &mut dyn BufRead) -> Result<Self, Error> {
        todo!()
    }
}

/// v0: `have` lines, with neither flush-pkt nor `done`.
pub fn encode_haves_v0(_haves: &[ObjectId], _out: &mut Vec<u8>) {
    todo!()
}

/// One acknowledgment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ack {
    /// `NAK`.
    Nak,
    /// `ACK <id>`: in v0 the last word; in v2 the object is common.
    Final(ObjectId),
    /// v0 multi_ack: `ACK <id> continue`.
    Continue(ObjectId),
    /// v0 multi_ack_detailed: `ACK <id> common`.
    Common(ObjectId),
    /// v0 multi_ack_detailed: `ACK <id> ready`.
    Ready(ObjectId),
}

impl Ack {
    /// Reads one line of v0's answer to haves.
    pub fn read_v0(_input: &mut dyn BufRead) -> Result<Self, Error> {
        todo!()
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
pub fn read_shallow_v0(_input: &mut dyn BufRead) -> Result<Vec<ShallowUpdate>, Error> {
    todo!()
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
    pub fn read_v2(_input: &mut dyn BufRead) -> Result<Self, Error> {
        todo!()
    }
    /// Writes it as a server does, up to the line `packfile` and with it if `pack` is true, with a flush-pkt otherwise.
    pub fn write_v2(&self, _out: &mut dyn Write) -> std::io::Result<()> {
        todo!()
    }
}
