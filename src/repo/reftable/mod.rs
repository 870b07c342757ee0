//! Refs and reflogs in tables (`extensions.refStorage=reftable`): Documentation/technical/reftable.txt of git.
//!
//! A directory `reftable` holds a [`Stack`] of tables, which `tables.list` names from the oldest to the newest. A
//! [`Table`] is a file that never changes: sorted blocks of records, of refs first, then of reflogs. What a newer table
//! says of a ref counts more. A change adds a table ([`Addition`]), and small tables are made into one from time to time
//! (`compact`).
//!
//! ```text
//!   tables.list   0x000000000001-0x000000000007-5d17.ref   header  block of refs …  index  block of logs …  index  footer
//!                 0x000000000008-0x000000000008-c0de.ref   header  block of refs    block of logs           footer
//! ```
//!
//! Nothing here knows what a ref means: that is `reference`'s.

use std::path::Path;

use super::Error;

pub(super) use add::{Addition, Settings};
pub(super) use compact::compact;
pub(super) use record::{Log, LogRecord, RefRecord, Value};
pub(super) use stack::Stack;

mod add;
mod block;
mod compact;
mod merge;
mod record;
mod stack;
mod table;
mod write;

/// The first bytes of each table.
const MAGIC: &[u8; 4] = b"REFT";

/// The kinds of blocks.
const REFS: u8 = b'r';
const INDEX: u8 = b'i';
const LOGS: u8 = b'g';

/// How long the header is whose version is that of the hash function: version 2 names it.
fn header_len(object_hash: gix_hash::Kind) -> usize {
    if object_hash == gix_hash::Kind::Sha1 { 24 } else { 28 }
}

/// The table at `path` is not as it should be.
fn broken(path: &Path, what: &str) -> Error {
    Error::Reference(format!("reftable '{}' is broken: {what}", path.display()))
}

#[cfg(test)]
mod tests;
