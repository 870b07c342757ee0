//! Pushes: every command is given to C git as well, in front of a copy of the same served repository, and the refs,
//! reflogs and objects there, the tracking refs, reflogs and configuration here, the output and the exit code have to
//! be the same.

mod atomic;
mod choice;
mod foreign;
mod hook;
mod lease;
mod many;
mod option;
mod ordinary;
mod plumbing;
mod refspec;
mod refusal;
pub mod signed;
mod size;
mod source;
mod submodule;

use crate::support::push::{push_once, push_over};
use crate::support::{Format, Git, Kind, Pushers, Stream};

/// Writes one test for each way to reach a repository, over every C git that this machine has.
macro_rules! over_each_transport {
    ($scenario:path: $($name:ident $kind:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            push_over(Kind::$kind, $scenario);
        })*
    };
}

over_each_transport!(
    ordinary::scenario:
    push_to_a_path Path,
    push_over_file File,
    push_over_git_daemon Daemon,
    push_over_ssh Ssh,
    push_over_apache Apache,
    push_over_lighttpd Lighttpd,
    push_over_nginx Nginx,
);

over_each_transport!(
    lease::scenario:
    leases_over_file File,
    leases_over_git_daemon Daemon,
    leases_over_ssh Ssh,
    leases_over_apache Apache,
);

over_each_transport!(
    many::scenario:
    many_refs_over_file File,
    many_refs_over_git_daemon Daemon,
    many_refs_over_ssh Ssh,
    many_refs_over_apache Apache,
);

over_each_transport!(
    refusal::scenario:
    refusals_of_a_path Path,
    refusals_over_file File,
    refusals_over_git_daemon Daemon,
    refusals_over_ssh Ssh,
    refusals_over_apache Apache,
    refusals_over_lighttpd Lighttpd,
    refusals_over_nginx Nginx,
);

over_each_transport!(
    option::scenario:
    push_options_and_rewritten_refs_over_file File,
    push_options_and_rewritten_refs_over_git_daemon Daemon,
    push_options_and_rewritten_refs_over_ssh Ssh,
    push_options_and_rewritten_refs_over_apache Apache,
);

over_each_transport!(
    signed::scenario:
    signed_push_over_file File,
    signed_push_over_git_daemon Daemon,
    signed_push_over_ssh Ssh,
    signed_push_over_apache Apache,
);

over_each_transport!(
    source::scenario:
    unusual_sources_over_file File,
    unusual_sources_over_git_daemon Daemon,
    unusual_sources_over_ssh Ssh,
    unusual_sources_over_apache Apache,
);

/// The older protocols, which a push asks for by `protocol.version`.
#[test]
fn push_with_other_protocol_versions() {
    for (kind, version) in [(Kind::File, 0), (Kind::Daemon, 1), (Kind::Apache, 1)] {
        push_once(kind, Git::reference(), Format::Sha1, version, ordinary::scenario);
    }
}

/// Calls `scenario` once: SHA-1 over `file://` and the reference git, for what the transport has no part in.
fn once(scenario: impl FnOnce(&Pushers<'_>)) {
    push_once(Kind::File, Git::reference(), Format::Sha1, 2, scenario);
}

/// A commit `number` on `branch`, which exists already.
fn commit(branch: &str, number: usize) -> Stream {
    let mut stream = Stream::onto(branch);
    stream.commit(branch, number).file(&format!("pushed/{number}.txt"), format!("line {number}\n").repeat(9));
    stream
}
