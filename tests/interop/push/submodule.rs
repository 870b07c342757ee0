//! `--recurse-submodules`: what a superproject asks of its submodules.

use super::once;
use crate::support::{Pushers, build};

/// Gives both clients a submodule with a commit that its remote lacks, and a commit of theirs that needs it.
fn with_submodule(scenario: impl FnOnce(&Pushers<'_>)) {
    once(|pushers| {
        let sandbox = &pushers.case.sandbox;
        pushers.serve("library.git", |path| build::project(sandbox, path, pushers.case.format, 3));
        let allow = ["-c", "protocol.file.allow=always"];
        pushers.in_client(&[&allow[..], &["submodule", "-q", "add", "../library.git", "library"]].concat());
        pushers.in_client(&["commit", "-q", "-m", "a submodule"]);
        pushers.done(&["push", "-q", "origin", "main"]);
        change_library(pushers);
        scenario(pushers);
    });
}

/// A commit in the submodule, and one that records it.
fn change_library(pushers: &Pushers<'_>) {
    pushers.in_client(&["-C", "library", "commit", "-q", "--allow-empty", "-m", "changed"]);
    pushers.in_client(&["commit", "-q", "-a", "-m", "with a newer library"]);
}

#[test]
fn submodules_that_are_behind_are_found() {
    with_submodule(|pushers| {
        pushers.fatal(&["push", "--recurse-submodules=check", "origin", "main"]);
        pushers.fatal(&["-c", "push.recurseSubmodules=check", "push", "origin", "main"]);
        pushers.fatal(&["push", "--dry-run", "--recurse-submodules=check", "origin", "main"]);
        pushers.done(&["push", "--recurse-submodules=check", "--no-recurse-submodules", "origin", "main"]);
        pushers.in_client(&["-C", "library", "push", "-q", "origin", "HEAD:main"]);
        pushers.done(&["push", "--recurse-submodules=check", "origin", "main:refs/heads/checked"]);
    });
}

#[test]
fn submodules_are_pushed_first() {
    with_submodule(|pushers| {
        pushers.done(&["push", "--recurse-submodules=on-demand", "--dry-run", "origin", "main"]);
        pushers.done(&["push", "--recurse-submodules=on-demand", "origin", "main"]);
        change_library(pushers);
        pushers.done(&["-c", "push.recurseSubmodules=on-demand", "push", "-q", "origin", "main"]);
        change_library(pushers);
        pushers.done(&["push", "--recurse-submodules=only", "origin", "main"]);
        change_library(pushers);
        pushers.in_client(&["-C", "library", "config", "push.recurseSubmodules", "only"]);
        pushers.done(&["push", "--recurse-submodules=on-demand", "origin", "main"]);
        pushers.done(&["-c", "submodule.recurse=true", "push", "origin", "main"]);
        pushers.fatal(&["push", "--recurse-submodules=sometimes", "origin", "main"]);
        pushers.fatal(&["-c", "push.recurseSubmodules=sometimes", "push", "origin", "main"]);
    });
}

/// A submodule that cannot be pushed keeps its superproject.
#[test]
fn a_submodule_that_is_refused_stops_the_push() {
    with_submodule(|pushers| {
        for served in pushers.served("library.git") {
            pushers.case.sandbox.git(&served, &["config", "receive.hideRefs", "refs/heads"]).success();
        }
        pushers.fatal(&["push", "--recurse-submodules=on-demand", "origin", "main"]);
        pushers.fatal(&["push", "--recurse-submodules=only", "origin", "main"]);
    });
}
