//! What a push says and hears: `gitprotocol-pack(5)`, "Pushing Data To a Server". Version 2 has no push.
//!
//! ```text
//! client  shallow*  (commands | push-cert)  flush  [push options  flush]  [pack]
//! server  unpack line  (ok | ng | option)*  flush
//! ```

use std::io::BufRead;

use bstr::BString;
use gix_hash::ObjectId;

use super::Error;

pub mod certificate;

/// One change that the client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The full name of the ref.
    pub name: BString,
    /// What the client believes it to be; the null id if there is none.
    pub old: ObjectId,
    /// What it is to be; the null id deletes it.
    pub new: ObjectId,
}

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
    /// The bytes on the wire, flush-pkts included; empty if there is nothing to ask for.
    pub fn encode(&self) -> Vec<u8> {
        unimplemented!()
    }
}

/// How a push ended, `report-status` or `report-status-v2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Whether the pack could be used; the server's reason if not.
    pub unpack: Result<(), BString>,
    /// What became of each ref, in the server's order.
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

impl Report {
    /// Reads a report up to its flush-pkt. Errors in git's words.
    pub fn read(_input: &mut dyn BufRead, _object_hash: gix_hash::Kind) -> Result<Self, Error> {
        unimplemented!()
    }
}
