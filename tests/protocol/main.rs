//! The messages of the wire protocol: what real servers said, and properties that hold for all bytes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod framing;
mod properties;
mod push;
mod recorded;
mod urls;

/// Reads a fixture: bytes that a real server sent.
fn fixture(name: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/protocol/fixtures").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{name}: {error}"))
}
