//! The one place where a file is mapped.
#![expect(unsafe_code, reason = "mapping a file is unsafe: see SAFETY")]

use std::fs::File;
use std::io;

use memmap2::Mmap;

/// Maps the whole of `file`, a temporary file of ours.
pub(super) fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the file was created by this process under a random name and is written by it alone; nobody shortens it
    // while the map lives, and bytes are added only after the map is dropped.
    unsafe { Mmap::map(file) }
}
