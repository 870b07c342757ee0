//! All or nothing, with a server that refuses one of several.

use crate::support::push::push_once;
use crate::support::{Format, Git, Kind, Pushers};

/// How many refs are pushed at once.
const REFS: usize = 5;

/// The server's hook refuses one ref: whichever it is, no other moves.
#[test]
fn an_atomic_push_never_leaves_a_subset() {
    for kind in [Kind::File, Kind::Daemon, Kind::Apache] {
        for git in Git::all() {
            push_once(kind, git, Format::Sha1, 2, refused_in_turn);
        }
    }
}

/// Creations, updates and deletions in one push, of which the hook refuses the n-th, for every n.
fn refused_in_turn(pushers: &Pushers<'_>) {
    let specs = ["main:refs/heads/new", "main~1:refs/heads/release/1.0", ":topic", "v1.0", "+main~2:main"];
    let names =
        ["refs/heads/new", "refs/heads/release/1.0", "refs/heads/topic", "refs/tags/v1.0", "refs/heads/main"];
    pushers.in_client(&["tag", "-f", "-m", "another", "v1.0", "main~1"]);
    let before = refs(pushers);
    let push = [&["push", "--atomic", "--force", "origin"], &specs[..]].concat();
    for refused in &names[..REFS] {
        pushers.server_hook("update", &format!("test \"$1\" != {refused}\n"));
        pushers.rejected(&push);
        assert_eq!(refs(pushers), before, "{refused} was refused, and others moved");
    }
    pushers.server_hook("update", "");
    pushers.server_hook("reference-transaction", "test \"$1\" != prepared\n");
    pushers.breaks(&push);
    assert_eq!(refs(pushers), before, "the transaction was refused, and refs moved");
    pushers.server_hook("reference-transaction", "");
    pushers.done(&push);
    assert_ne!(refs(pushers), before);
}

/// The refs of the copy that gitr pushes to.
fn refs(pushers: &Pushers<'_>) -> bstr::BString {
    let [ours, _] = pushers.served("first.git");
    pushers.case.sandbox.git(&ours, &["for-each-ref"]).success().stdout
}
