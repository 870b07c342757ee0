//! What a push moves and writes beside what it sends: mirrors, tracking refs, and what branches follow.

use std::fs;
use std::path::Path;

use bstr::ByteSlice;

use super::push::{pushers, same_server};
use super::sandbox;

#[test]
fn a_mirror_is_forced_by_push_alone() {
    let sandbox = sandbox();
    let twin = pushers(&sandbox);
    twin.prepare(|client| {
        let git = |arguments: &[&str]| sandbox.git(&client.join("copy"), arguments).success();
        git(&["push", "-q", "origin", "main"]);
        git(&["commit", "-q", "--amend", "--allow-empty", "-m", "in other words"]);
    });
    assert_ne!(twin.run("copy", &["send-pack", "--mirror", "../served.git"]).status, 0);
    same_server(&sandbox, &twin);
    twin.done("copy", &["push", "--mirror", "origin"]);
    same_server(&sandbox, &twin);
}

/// What a negative refspec leaves out of fetches is looked up and moved all the same.
#[test]
fn what_is_not_fetched_has_a_tracking_ref() {
    let sandbox = sandbox();
    let twin = pushers(&sandbox);
    twin.prepare(|client| {
        sandbox
            .git(&client.join("copy"), &["config", "--add", "remote.origin.fetch", "^refs/heads/main"])
            .success();
    });
    twin.done("copy", &["push", "origin", "main"]);
    twin.same("copy");
    twin.prepare(|client| {
        sandbox
            .git(&client.join("copy"), &["commit", "-q", "--amend", "--allow-empty", "-m", "again"])
            .success();
    });
    twin.done("copy", &["push", "--force-with-lease", "origin", "main"]);
    twin.same("copy");
}

/// The branch we are on may be one that another ref leads to.
#[test]
fn symbolic_refs_are_followed_to_the_branch() {
    let sandbox = sandbox();
    let twin = pushers(&sandbox);
    twin.prepare(|client| {
        let git = |arguments: &[&str]| sandbox.git(&client.join("copy"), arguments).success();
        git(&["symbolic-ref", "refs/heads/alias", "refs/heads/main"]);
        git(&["symbolic-ref", "HEAD", "refs/heads/alias"]);
        git(&["config", "--remove-section", "branch.main"]);
    });
    for source in ["HEAD", "alias"] {
        twin.done("copy", &["push", "-u", "origin", source]);
        let following = |client: &Path| {
            sandbox.git(&client.join("copy"), &["config", "--get-regexp", "^branch"]).success().stdout
        };
        assert_eq!(following(&twin.ours), following(&twin.theirs));
        twin.prepare(|client| {
            sandbox.git(&client.join("copy"), &["config", "--remove-section", "branch.main"]).success();
        });
    }
    twin.run("copy", &["push"]);
    twin.run("copy", &["fetch", "../served.git", "main:main"]);
    same_server(&sandbox, &twin);
}

/// What cannot be moved here is told once it is told what was moved there.
#[test]
fn a_tracking_ref_that_is_locked_is_told_of_after_the_table() {
    let sandbox = sandbox();
    let twin = pushers(&sandbox);
    twin.prepare(|client| fs::write(client.join("copy/.git/refs/remotes/origin/main.lock"), "").unwrap());
    for (command, name) in [
        (&["push", "-v", "origin", "main"][..], "one"),
        (&["send-pack", "-v", "--remote=origin", "../served.git"], "two"),
    ] {
        let new = format!("main~1:refs/heads/{name}");
        let said = twin.done("copy", &[command, &[&new, ":refs/heads/topic"]].concat()).stderr;
        let [table, tracking] =
            ["\nTo ../served.git\n", "error: update_ref failed for ref "].map(|text| said.find(text));
        assert!(name == "two" || table.is_some() && table < tracking, "{said}");
        same_server(&sandbox, &twin);
        twin.prepare(|client| {
            sandbox.git(&client.join("served.git"), &["branch", "topic", "main"]).success();
        });
    }
}

/// Several values stay, and a warning says so.
#[test]
fn what_a_branch_follows_already_is_written_as_by_git() {
    let sandbox = sandbox();
    let twin = pushers(&sandbox);
    for (key, values) in [
        ("branch.main.merge", &["refs/heads/main", "refs/heads/topic"][..]),
        ("branch.main.remote", &["elsewhere", "nowhere"]),
        ("branch.main.rebase", &["true", "false"]),
    ] {
        twin.prepare(|client| {
            for value in values {
                sandbox.git(&client.join("copy"), &["config", "--add", key, value]).success();
            }
        });
        for always in ["never", "always"] {
            let setting = format!("branch.autoSetupRebase={always}");
            let run = twin.done("copy", &["-c", &setting, "push", "-u", "origin", "main"]);
            assert!(run.stderr.contains_str("has multiple values"), "{run:?}");
            let written = |client: &Path| fs::read_to_string(client.join("copy/.git/config")).unwrap();
            assert_eq!(written(&twin.ours), written(&twin.theirs));
        }
    }
    twin.done("copy", &["fetch", "--set-upstream", "origin", "main"]);
}
