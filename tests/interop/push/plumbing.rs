//! `send-pack`, which knows no remotes, hooks or tracking refs but those it is told of.

use super::source::lose_a_file;
use super::{commit, once};

#[test]
fn what_send_pack_sends() {
    once(|pushers| {
        pushers.client(&commit("main", 100));
        pushers.done(&["send-pack", "--dry-run", "<first.git>", "main"]);
        pushers.done(&["send-pack", "<first.git>", "main", "main~1:refs/heads/new"]);
        pushers.done(&["send-pack", "--quiet", "<first.git>", "main", ":new"]);
        pushers.done(&["send-pack", "--verbose", "--remote=origin", "<first.git>", "main:refs/heads/told"]);
        pushers.done(&["send-pack", "--all", "<first.git>"]);
        pushers.done(&["send-pack", "<first.git>"]); // what both have
        pushers.ends(255, &["send-pack", "<first.git>", "main~1:main", "main:refs/heads/late"]);
        pushers.ends(255, &["send-pack", "--atomic", "<first.git>", "main~1:main", "main:refs/heads/none"]);
        pushers.done(&["send-pack", "--force", "<first.git>", "main~1:main"]);
        pushers.ends(255, &["send-pack", "--force-with-lease=main:main", "<first.git>", "main"]);
        pushers.done(&["send-pack", "--force-with-lease=main:main~1", "<first.git>", "main"]);
        pushers.done(&["send-pack", "--no-thin", "--mirror", "<first.git>"]);
        pushers.like_git(&["send-pack", "--remote=origin", "elsewhere", "main"]);
        pushers.like_git(&["send-pack", "--mirror", "--all", "<first.git>"]);
        pushers.like_git(&["send-pack", "<nosuch.git>", "main"]);
    });
}

/// What a remote helper reads: gitremote-helpers(7), "push".
#[test]
fn what_a_remote_helper_is_told() {
    once(|pushers| {
        pushers.client(&commit("main", 100));
        let tell = ["send-pack", "--helper-status"];
        let told = |status, more: &[&str]| pushers.ends(status, &[&tell, more].concat());
        told(0, &["<first.git>", "main"]); // and nothing of the other branches
        told(0, &["<first.git>", "main", "main~1:refs/heads/new", "v1.0"]);
        told(0, &["--dry-run", "<first.git>", "main:refs/heads/dry", ":new"]);
        told(0, &["--force", "<first.git>", "main~2:refs/heads/new", "main"]);
        told(255, &["<first.git>", "main~2:refs/heads/main", "main~1:refs/heads/new"]);
        told(0, &["--all", "<first.git>"]);
        pushers.server_hook("update", "test \"$1\" != refs/heads/bad\n");
        told(255, &["<first.git>", "main:refs/heads/bad", "main:refs/heads/good", ":new"]);
    });
}

/// An object of what is sent is missing: git has the pack made by another program, which says so by itself.
#[test]
fn what_send_pack_cannot_send() {
    once(|pushers| {
        pushers.client(&commit("main", 100));
        lose_a_file(pushers, "main:pushed/100.txt");
        pushers.ends(255, &["send-pack", "<first.git>", "main"]);
        pushers.ends(255, &["send-pack", "--helper-status", "<first.git>", "main"]);
        pushers.rejected(&["push", "<first.git>", "main"]);
    });
}
