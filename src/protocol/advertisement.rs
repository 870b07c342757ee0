//! What a server says before it is asked.

use std::io::{self, BufRead, Write};

use gix_hash::ObjectId;

use super::{Capabilities, Error, Ref, Version};

/// The advertisement of a server, v0, v1 or v2. A bundle's header is told as one too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Advertisement {
    /// v0 and v1: the refs themselves.
    Refs {
        /// V0 or V1.
        version: Version,
        /// What the server can do.
        capabilities: Capabilities,
        /// The refs, in the order they came; `peeled` and `symref_target` filled in from `^{}` lines and `symref=`
        /// capabilities. Entries named `.have` are kept under that name. Without `capabilities^{}`.
        refs: Vec<Ref>,
        /// The server's own shallow boundary.
        shallow: Vec<ObjectId>,
    },
    /// v2: what may be asked.
    Commands {
        /// What the server can do.
        capabilities: Capabilities,
    },
}

impl Advertisement {
    /// Reads one, up to and with its flush-pkt. A `# service=` preamble is skipped if there is one.
    pub fn read(_input: &mut dyn BufRead) -> Result<Self, Error> {
        todo!("protocol helper")
    }
    /// Writes it as a server does, `agent` being among the capabilities already.
    pub fn write(&self, _out: &mut dyn Write) -> io::Result<()> {
        todo!()
    }
    /// The capabilities, whichever version.
    pub fn capabilities(&self) -> &Capabilities {
        match self {
            Self::Refs { capabilities, .. } | Self::Commands { capabilities } => capabilities,
        }
    }
}
