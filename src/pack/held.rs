//! The pack's bytes on disk, while it is looked through.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use super::Error;
use super::temporary::Temporary;

/// Where the bytes of a pack are.
pub(super) enum Held {
    /// In a file that is being written; the pack may be completed there.
    Copied(Temporary),
    /// In a file that was there before, and is not changed.
    There(File, PathBuf),
}

impl Held {
    /// The file.
    pub fn file(&self) -> &File {
        match self {
            Self::Copied(temporary) => &temporary.file,
            Self::There(file, _) => file,
        }
    }

    /// The file that is being written, if there is one.
    pub fn copied(&mut self) -> Option<&mut Temporary> {
        match self {
            Self::Copied(temporary) => Some(temporary),
            Self::There(..) => None,
        }
    }

    /// Takes bytes of the stream.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        match self {
            Self::Copied(temporary) => {
                let written = temporary.file.write_all(bytes);
                written.map_err(|source| temporary.error(source))
            }
            Self::There(..) => Ok(()),
        }
    }

    /// What to say when the file failed.
    pub fn error(&self, source: io::Error) -> Error {
        match self {
            Self::Copied(temporary) => temporary.error(source),
            Self::There(_, path) => Error::Write { path: path.clone(), source },
        }
    }
}
