//! What a push without refspecs means: `push.default`, upstreams, remotes.

use super::{commit, once};
use crate::support::{Pushers, Stream};

/// Every value of `push.default` and none.
const DEFAULTS: [&str; 5] = ["nothing", "current", "upstream", "simple", "matching"];

/// `push` with each `push.default`, each of them where C git stands after the one before.
fn with_each_default(pushers: &Pushers<'_>) {
    pushers.like_git(&["push", "--dry-run"]);
    for default in DEFAULTS {
        let config = format!("push.default={default}");
        pushers.like_git(&["-c", &config, "push", "--porcelain"]);
    }
}

#[test]
fn push_default_of_a_tracking_branch() {
    once(|pushers| {
        pushers.client(&commit("main", 100));
        with_each_default(pushers);
        pushers.fatal(&["-c", "push.default=nosuch", "push"]);
        pushers.fatal(&["-c", "push.default=nothing", "push"]);
    });
}

#[test]
fn push_default_of_a_branch_without_an_upstream() {
    once(|pushers| {
        pushers.in_client(&["checkout", "-q", "-b", "lonely"]);
        pushers.client(&commit("lonely", 100));
        pushers.fatal(&["push"]);
        with_each_default(pushers);
        pushers.done(&["-c", "push.autoSetupRemote=true", "push"]);
        pushers.done(&["push"]);
    });
}

#[test]
fn push_default_of_a_branch_with_another_name() {
    once(|pushers| {
        pushers.in_client(&["checkout", "-q", "-b", "mine", "--track", "origin/topic"]);
        pushers.client(&commit("mine", 100));
        pushers.fatal(&["push"]);
        with_each_default(pushers);
        pushers.done(&["-c", "push.default=upstream", "push", "origin"]);
    });
}

#[test]
fn push_default_of_a_detached_head() {
    once(|pushers| {
        pushers.in_client(&["checkout", "-q", "--detach"]);
        pushers.fatal(&["push"]);
        with_each_default(pushers);
        pushers.done(&["push", "origin", "HEAD:refs/heads/detached"]);
        pushers.rejected(&["push", "origin", "HEAD"]);
    });
}

/// Fetched from one place, pushed to another.
#[test]
fn push_to_another_remote_than_the_upstream() {
    once(|pushers| {
        pushers.serve("fork.git", |path| {
            crate::support::build::empty(&pushers.case.sandbox, path, pushers.case.format);
        });
        pushers.in_client(&["remote", "add", "fork", "<fork.git>"]);
        pushers.client(&commit("main", 100));
        pushers.in_client(&["config", "remote.pushDefault", "fork"]);
        pushers.fatal(&["-c", "push.default=upstream", "push"]);
        with_each_default(pushers);
        pushers.in_client(&["config", "branch.main.pushRemote", "origin"]);
        pushers.done(&["push"]);
        pushers.done(&["push", "fork"]);
        pushers.done(&["push", "--repo=fork"]);
        pushers.done(&["push", "--repo=fork", "origin"]);
        pushers.in_client(&["config", "--unset", "branch.main.pushRemote"]);
        pushers.client(&commit("main", 101));
        pushers.done(&["push", "-u"]);
        pushers.done(&["push", "-v"]);
    });
}

#[test]
fn configured_refspecs_of_a_remote() {
    once(|pushers| {
        pushers.in_client(&["config", "--add", "remote.origin.push", "refs/heads/main:refs/heads/copy/main"]);
        pushers.in_client(&["config", "--add", "remote.origin.push", "+refs/tags/*:refs/tags/mine/*"]);
        pushers.client(&commit("main", 100));
        pushers.done(&["push"]);
        pushers.done(&["push", "origin", "main"]); // the name is mapped as configured
        pushers.client(Stream::onto("main").commit("main", 101).file("more.txt", "more\n"));
        pushers.done(&["push", "--porcelain", "origin"]);
        pushers.in_client(&["config", "remote.origin.mirror", "true"]);
        pushers.done(&["push", "--dry-run", "origin"]);
    });
}

#[test]
fn rewritten_urls() {
    once(|pushers| {
        let [ours, theirs] = pushers.served("first.git");
        for (served, client) in [ours, theirs].iter().zip(pushers.clients()) {
            let key = format!("url.file://{}.pushInsteadOf", served.display());
            pushers.case.sandbox.git(&client, &["config", &key, "short:first"]).success();
        }
        pushers.client(&commit("main", 100));
        pushers.done(&["push", "short:first", "main"]);
        pushers.in_client(&["config", "remote.origin.url", "short:first"]);
        pushers.done(&["push", "-v", "origin", "main:refs/heads/instead"]);
    });
}

#[test]
fn no_place_to_push_to() {
    once(|pushers| {
        pushers.in_client(&["remote", "remove", "origin"]);
        pushers.fatal(&["push"]);
        pushers.fatal(&["push", "--all"]);
        pushers.fatal(&["push", "nosuch", "main"]);
        pushers.fatal(&["push", "origin"]);
        pushers.fatal(&["push", "<first.git>"]);
        pushers.done(&["-c", "push.default=current", "push", "<first.git>"]);
        pushers.done(&["push", "<first.git>", "main:refs/heads/named"]);
        pushers.fatal(&["push", "-u", "<first.git>"]);
        pushers.done(&["push", "-u", "<first.git>", "main:refs/heads/named"]);
    });
}

/// Options that contradict each other or name nothing.
#[test]
fn misused_options() {
    once(|pushers| {
        for arguments in [
            &["push", "--delete"][..],
            &["push", "--delete", "origin"],
            &["push", "--delete", "--all"],
            &["push", "--delete", "origin", "main:main"],
            &["push", "--mirror", "--tags"],
            &["push", "--all", "--mirror"],
            &["push", "--tags", "origin", "nosuch"],
            &["push", "--signed=maybe"],
            &["push", "--recurse-submodules=maybe"],
            &["push", "-4", "-6", "--dry-run"],
            &["push", ""],
            &["push", "origin", ""],
            &["-c", "push.gpgSign=maybe", "push"],
            &["-c", "push.followTags=maybe", "push"],
            &["-c", "push.recurseSubmodules=maybe", "push"],
        ] {
            pushers.like_git(arguments);
        }
    });
}
