//! What goes wrong on the way: gitr says what C git says, returns what C git returns and leaves nothing behind.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test ends by panicking")]
#![allow(clippy::print_stderr, reason = "skips are told on stderr")]

#[path = "../support/mod.rs"]
mod support;

mod bundle;
mod disk;
mod harm;
mod push;
mod signal;
mod unreachable;

use std::path::PathBuf;

use support::{Twin, state};

/// Checks that a failed clone to `copy` left neither the directory nor a temporary file of gitr.
#[track_caller]
fn assert_nothing_left(twin: &Twin<'_>, sandbox: &support::Sandbox) {
    assert!(!twin.ours.join("copy").exists(), "the half-made clone was left");
    assert_eq!(state::files(&twin.ours), Vec::<PathBuf>::new(), "files were left");
    assert_eq!(state::files(&sandbox.path("temporary")), Vec::<PathBuf>::new(), "temporary files were left");
}
