//! `gitr serve`: what its clients get from it, C git's and those that mean no good, and what it does for those who run it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test ends by panicking")]
#![allow(clippy::print_stderr, reason = "skips are told on stderr")]

#[path = "../support/mod.rs"]
mod support;

mod abuse;
mod access;
mod backend;
mod bounds;
mod caches;
mod client;
mod clients;
mod commands;
mod crowd;
mod damaged;
mod forward;
mod gone;
mod hostile;
mod http;
mod limits;
mod operation;
mod page;
mod pushed;
mod repack;
mod slow;
mod tls;
mod trust;
mod turns;

use support::servers::serve::GitrServe;
use support::{Format, Sandbox, build};

/// A sandbox with a project of some commits in it, and a server of it.
fn served(options: &[&str]) -> (Sandbox, GitrServe) {
    let sandbox = Sandbox::new();
    build::project(&sandbox, &sandbox.path("served/project.git"), Format::Sha1, 30);
    let server = GitrServe::start(&sandbox, options);
    (sandbox, server)
}
