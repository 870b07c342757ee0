//! Hooks of the client: `pre-push`, and `reference-transaction` for the tracking refs.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{commit, once};
use crate::support::push::push_once;
use crate::support::{Format, Git, Kind, Pushers, Stream};

/// Tells everything it knows, one part on each stream.
const TELL: &str = "echo \"pre-push: $*\"\ncat\necho \"in $GIT_DIR $(pwd | sed 's|.*/||')\" >&2\n";

#[test]
fn a_pre_push_hook_is_told_what_is_pushed() {
    for kind in [Kind::Path, Kind::File, Kind::Daemon, Kind::Ssh, Kind::Apache] {
        push_once(kind, Git::reference(), Format::Sha1, 2, told);
    }
    push_once(Kind::File, Git::reference(), Format::Sha256, 2, told);
}

/// Everything that the hook may be told of.
fn told(pushers: &Pushers<'_>) {
    pushers.client_hook("pre-push", TELL);
    pushers.done(&["push"]); // up to date
    pushers.client(&commit("main", 100));
    pushers.client(Stream::new().annotated_tag("marked", "refs/heads/main"));
    pushers.done(&["push", "--dry-run"]);
    pushers.done(&["push", "origin", "main", "marked", "main~1:refs/heads/new", ":topic"]);
    pushers.done(&["push", "<first.git>", "HEAD:refs/heads/by-url", "main"]);
    pushers.rejected(&["push", "origin", "main~1:main", "main:refs/heads/good"]);
    pushers.rejected(&["push", "origin", ":nosuch"]);
    pushers.done(&["push", "--no-verify", "origin", "main:refs/heads/unverified"]);
    pushers.done(&["push", "-q", "--porcelain", "origin", "main:refs/heads/porcelain"]);
}

#[test]
fn a_pre_push_hook_stops_the_push() {
    for kind in [Kind::File, Kind::Daemon, Kind::Apache] {
        push_once(kind, Git::reference(), Format::Sha1, 2, |pushers| {
            pushers.client(&commit("main", 100));
            pushers.client_hook("pre-push", &format!("{TELL}exit 1\n"));
            pushers.rejected(&["push"]);
            pushers.rejected(&["push", "--atomic", "--porcelain", "origin", "main", "main:refs/heads/other"]);
            pushers.client_hook("pre-push", "exit 3\n"); // reads nothing
            pushers.rejected(&["push", "origin", "refs/heads/*:refs/copies/*"]);
            pushers.client_hook("pre-push", "kill -9 $$\n");
            pushers.rejected(&["push"]);
            pushers.done(&["push", "--no-verify"]);
        });
    }
}

/// More than a pipe holds for a hook that does not read them.
#[test]
fn a_pre_push_hook_need_not_read() {
    once(|pushers| {
        let mut stream = Stream::new();
        for number in 0..1_000 {
            stream.branch(&format!("many/{number}"), "refs/heads/main");
        }
        pushers.client(&stream);
        pushers.client_hook("pre-push", "exit 0\n");
        pushers.done(&["push", "-q", "--dry-run", "origin", "refs/heads/many/*"]);
        pushers.client_hook("pre-push", "exit 1\n");
        pushers.rejected(&["push", "-q", "origin", "refs/heads/many/*:refs/heads/more/*"]);
    });
}

#[test]
fn hooks_in_other_places() {
    once(|pushers| {
        pushers.client(&commit("main", 100));
        pushers.client_hook("pre-push", "exit 1\n");
        for client in pushers.clients() {
            let hook = client.join(".git/hooks/pre-push");
            fs::set_permissions(&hook, fs::Permissions::from_mode(0o644)).unwrap();
        }
        pushers.done(&["push", "--dry-run"]); // ignored, with a hint
        for client in pushers.clients() {
            fs::rename(client.join(".git/hooks"), client.join("hooks")).unwrap();
            fs::set_permissions(client.join("hooks/pre-push"), fs::Permissions::from_mode(0o755)).unwrap();
        }
        pushers.in_client(&["config", "core.hooksPath", "hooks"]);
        pushers.rejected(&["push"]);
        pushers.in_client(&["config", "core.hooksPath", "/dev/null"]);
        pushers.done(&["push"]);
    });
}

/// The tracking refs move in a transaction of ours.
#[test]
fn the_transaction_of_the_tracking_refs() {
    once(|pushers| {
        pushers.client(&commit("main", 100));
        pushers.client_hook("reference-transaction", "echo \"$1\" >>.git/told\ncat >>.git/told\n");
        pushers.done(&["push", "origin", "main", "main:refs/heads/new", ":topic"]);
        let told = pushers.clients().map(|client| fs::read_to_string(client.join(".git/told")).unwrap());
        assert_eq!(told[0], told[1]);
        pushers.client(&commit("main", 101));
        pushers.client_hook("reference-transaction", "test \"$1\" != prepared\n");
        pushers.like_git(&["push", "origin", "main"]);
    });
}
