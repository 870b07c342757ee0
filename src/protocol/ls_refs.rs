//! The v2 command `ls-refs`. `gitprotocol-v2(5)`, "ls-refs".

use std::io::BufRead;

use bstr::BString;

use super::{Error, Ref};

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
    /// The request as bytes, its flush-pkt included.
    pub fn encode(&self) -> Vec<u8> {
        todo!("protocol helper")
    }
    /// Reads one as a server does, beginning after the line `command=ls-refs`.
    pub fn decode(_input: &mut dyn BufRead) -> Result<Self, Error> {
        todo!()
    }
}

/// Reads the answer, up to and with its flush-pkt.
pub fn read_refs(_input: &mut dyn BufRead, _object_hash: gix_hash::Kind) -> Result<Vec<Ref>, Error> {
    todo!()
}
/// Writes one line of the answer, without the flush-pkt after the last.
pub fn write_ref(_out: &mut dyn std::io::Write, _reference: &Ref) -> std::io::Result<()> {
    todo!()
}
