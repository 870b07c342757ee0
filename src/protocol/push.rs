//! What a push says and hears: `gitprotocol-pack(5)`, "Pushing Data To a Server". Version 2 has no push.
//!
//! ```text
//! client  shallow*  (commands | push-cert)  flush  [push options  flush]  [pack]
//! server  unpack line  (ok | ng | option)*  flush
//! ```
//!
//! The pack follows a [`Request`] bare. A [`Report`] is in band 1 if `side-band-64k` is among the capabilities of the
//! request, with a flush-pkt of its own behind the bands.

use bstr::BString;
use gix_hash::ObjectId;

pub mod certificate;
pub mod proc_receive;
mod report;
mod request;

pub(crate) use report::NO_STATUS;
pub use report::{RefReport, Report, Rewritten};
pub use request::Request;

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
