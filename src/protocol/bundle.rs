//! The header of a bundle file. `gitformat-bundle(5)`.

use std::io::{BufRead, Write};

use bstr::BString;
use gix_hash::ObjectId;

use super::{Error, Ref};

/// What stands before the pack in a bundle file, v2 or v3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// 2 or 3.
    pub version: u32,
    /// v3 `@object-format`, SHA-1 if not said.
    pub object_hash: gix_hash::Kind,
    /// v3 `@filter`: what was left out.
    pub filter: Option<BString>,
    /// The commits a repository must have to take the pack, with the comment behind each.
    pub prerequisites: Vec<(ObjectId, BString)>,
    /// The refs, in the order they stand.
    pub refs: Vec<Ref>,
}

impl Header {
    /// Reads a header up to and with the empty line that ends it.
    pub fn read(_input: &mut dyn BufRead) -> Result<Self, Error> {
        todo!("protocol helper")
    }
    /// Writes it.
    pub fn write(&self, _out: &mut dyn Write) -> std::io::Result<()> {
        todo!()
    }
}
