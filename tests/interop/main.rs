//! gitr against C git's servers: every command is given to C git as well, in a directory beside, and both have to
//! print, return and leave the same. What gitr left is checked by C git.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test ends by panicking")]
#![allow(clippy::print_stderr, reason = "skips and failed cases are told on stderr")]

#[path = "../support/mod.rs"]
mod support;

mod alone;
mod backfill;
mod borrow;
mod bundle;
mod bundle_filter;
mod bundle_revisions;
mod bundle_uri;
mod capabilities;
mod clone;
mod daemon;
mod daemon_options;
mod daemon_room;
mod dumb;
mod fetch;
mod fetch_pack;
mod freshen;
mod helper;
mod hostile;
mod hostile_source;
mod http;
mod lazy;
mod ls_remote;
mod matrix;
mod mistaken;
mod options;
mod packfile_uri;
mod partial;
mod partial_work;
mod promisor_remote;
mod push;
mod ref_in_want;
mod remote;
mod remotes;
mod serve;
mod serve_current;
mod serve_fsck;
mod serve_pair;
mod serve_push;
mod serve_push_shallow;
mod serve_raw;
mod serve_signed;
mod serve_transport;
mod serve_words;
mod serve_work_tree;
mod shallow;
mod sources;
mod ssh;
mod submodules;
mod tables;
mod web;

use support::{Case, Kind, over};

/// Writes one test for each way to reach a repository, each over the whole matrix.
macro_rules! over_each_transport {
    ($scenario:path: $($name:ident $kind:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            over(Kind::$kind, $scenario);
        })*
    };
}

over_each_transport!(
    clone::scenario:
    clone_from_a_path Path,
    clone_over_file File,
    clone_over_git_daemon Daemon,
    clone_over_ssh Ssh,
    clone_over_apache Apache,
    clone_over_lighttpd Lighttpd,
    clone_over_nginx Nginx,
    clone_from_a_bundle Bundle,
);

over_each_transport!(
    fetch::scenario:
    fetch_from_a_path Path,
    fetch_over_file File,
    fetch_over_git_daemon Daemon,
    fetch_over_ssh Ssh,
    fetch_over_apache Apache,
    fetch_over_lighttpd Lighttpd,
    fetch_over_nginx Nginx,
    fetch_from_a_bundle Bundle,
);

over_each_transport!(
    ls_remote::scenario:
    ls_remote_of_a_path Path,
    ls_remote_over_file File,
    ls_remote_over_git_daemon Daemon,
    ls_remote_over_ssh Ssh,
    ls_remote_over_apache Apache,
    ls_remote_over_lighttpd Lighttpd,
    ls_remote_over_nginx Nginx,
    ls_remote_of_a_bundle Bundle,
);

/// Calls `scenario` once, with the newest protocol, SHA-1 and the reference git on the other side.
fn once(kind: Kind, scenario: impl FnOnce(&Case)) {
    if let Some(case) = Case::new(kind, support::Git::reference(), 2, support::Format::Sha1) {
        scenario(&case);
    }
}
