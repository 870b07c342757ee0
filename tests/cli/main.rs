//! What the commands print and return before and beside any transfer, compared with C git in the same place.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test ends by panicking")]
#![allow(clippy::print_stderr, reason = "skips are told on stderr")]

#[path = "../support/mod.rs"]
mod support;

mod attributes;
mod bundle;
mod clone;
mod clone_options;
mod credential;
mod every_option;
mod fetch;
mod filter;
mod folding;
mod hidden;
mod hooks;
mod index_pack;
mod index_pack_input;
mod legacy;
mod lfs;
mod ls_remote;
mod many;
mod modules;
mod newer;
mod pack_objects;
mod prune;
mod pull;
mod pull_diffstat;
mod pull_obstacles;
mod push;
mod push_after;
mod reference_hook;
mod refspecs;
mod reftable;
mod remote;
mod rewrite;
mod shapes;
mod shared;
mod submodules;
mod trace;

use bstr::ByteSlice;
use support::{Format, Run, Sandbox, Stream, Twin, build};

/// A sandbox with `served/project.git`.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    build::project(&sandbox, &sandbox.path("served/project.git"), Format::Sha1, 12);
    sandbox
}

/// Two clients with a clone of the project each, in `copy`.
fn clones(sandbox: &Sandbox) -> Twin<'_> {
    let twin = Twin::new(sandbox, 2, Vec::new());
    let source = sandbox.path("served/project.git").display().to_string();
    for directory in [&twin.ours, &twin.theirs] {
        sandbox.git(directory, &["clone", "-q", &source, "copy"]).success();
    }
    twin
}

/// Checks that both return 129 and begin with the same words; the usage text that follows lists each one's options.
#[track_caller]
fn misused(twin: &Twin<'_>, arguments: &[&str]) {
    let place = if ["fetch", "push", "send-pack"].contains(&arguments[0]) { "copy" } else { "" };
    let (ours, theirs) = (twin.gitr(place, arguments), twin.git(place, arguments));
    let first = |run: &Run| run.stderr.lines().next().unwrap_or_default().to_vec();
    assert_eq!((theirs.status, ours.status), (129, 129), "{ours:?}\n== git\n{theirs:?}");
    assert_eq!(first(&ours).as_bstr(), first(&theirs).as_bstr());
}

#[test]
fn a_misused_command_returns_129() {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    misused(&twin, &["clone"]);
    misused(&twin, &["clone", "one", "two", "three"]);
    for command in ["clone", "fetch", "ls-remote"] {
        misused(&twin, &[command, "--nosuch"]);
        misused(&twin, &[command, "-Z"]);
    }
    misused(&twin, &["clone", "--depth"]);
    misused(&twin, &["fetch", "--depth"]);
    for number in ["abc", "1k", "", "0x2"] {
        misused(&twin, &["fetch", &format!("--deepen={number}")]);
    }
    misused(&twin, &["fetch", "--nosuch=1"]);
}

#[test]
fn an_option_that_is_shortened_too_much_returns_129() {
    const SHORTENED: [&[&str]; 27] = [
        &["clone", "--c"],
        &["clone", "--n"],
        &["clone", "--no-c"],
        &["clone", "--re=x"],
        &["clone", "--t"],
        &["fetch", "--auto"],
        &["fetch", "--n"],
        &["fetch", "--neg"],
        &["fetch", "--no-"],
        &["fetch", "--no-re"],
        &["fetch", "--p=1"],
        &["fetch", "--pru"],
        &["fetch", "--re"],
        &["fetch", "--u"],
        &["ls-remote", "--e"],
        &["ls-remote", "--s"],
        &["pull", "--al"],
        &["pull", "--f"],
        &["pull", "--no-"],
        &["pull", "--no-r"],
        &["pull", "--v"],
        &["push", "--f"],
        &["push", "--no-v"],
        &["push", "--v"],
        &["remote", "add", "--m"],
        &["send-pack", "--f"],
        &["send-pack", "--no-s"],
    ];
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    for words in SHORTENED {
        let (ours, theirs) = (twin.gitr("copy", words), twin.git("copy", words));
        assert_eq!((theirs.status, ours.status), (129, 129), "{ours:?}\n== git\n{theirs:?}");
        assert_eq!(ours.stderr, theirs.stderr);
        assert_eq!(ours.stdout.lines().next(), theirs.stdout.lines().next());
    }
    let source = sandbox.path("served/project.git").display().to_string();
    twin.done("", &["clone", "-q", "--rec", "--no-recu", &source, "new"]);
}

#[test]
fn help_is_printed_on_stdout_and_returns_129() {
    let sandbox = Sandbox::new();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    for command in ["clone", "fetch", "ls-remote"] {
        for run in [twin.git("", &[command, "-h"]), twin.gitr("", &[command, "-h"])] {
            assert_eq!(run.status, 129, "{run:?}");
            assert!(run.stdout.starts_with(b"usage: "), "{run:?}");
            assert_eq!(run.stderr, "");
        }
    }
}

#[test]
fn commands_outside_a_repository() {
    let sandbox = Sandbox::new();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    assert_eq!(twin.run("", &["fetch"]).status, 128);
    assert_eq!(twin.run("", &["ls-remote"]).status, 128);
    assert_eq!(twin.run("", &["ls-remote", "nosuch"]).status, 128);
    assert_eq!(twin.run("", &["-C", "nosuch", "fetch"]).status, 128);
}

#[test]
fn a_repository_without_a_remote() {
    let sandbox = Sandbox::new();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    for directory in [&twin.ours, &twin.theirs] {
        sandbox.git(directory, &["init", "-q", "copy"]).success();
    }
    // Seen in git 2.47.3: nothing to fetch from is nothing to do, but a name has to be there.
    twin.done("copy", &["fetch"]);
    assert_eq!(twin.run("copy", &["fetch", "origin"]).status, 128);
    assert_eq!(twin.run("copy", &["ls-remote"]).status, 128);
}

#[test]
fn options_that_exclude_each_other() {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    for arguments in [
        &["fetch", "--all", "origin"][..],
        &["fetch", "--depth", "1", "--unshallow"],
        &["fetch", "--unshallow"],
        &["fetch", "--depth", "x"],
        &["fetch", "origin", "a:b:c"],
        &["fetch", "origin", "refs/heads/*:refs/heads/one"],
        &["clone", "--bare", "--separate-git-dir", "other", "copy", "new"],
        &["clone", "--depth", "x", "copy", "new"],
        &["clone", "nosuch", "new"],
    ] {
        let place = if arguments[0] == "fetch" { "copy" } else { "" };
        assert_eq!(twin.run(place, arguments).status, 128, "{arguments:?}");
        assert!(!twin.ours.join("new").exists(), "{arguments:?}");
    }
}

#[test]
fn options_are_read_as_git_reads_them() {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    for arguments in [
        &["ls-remote", ".", "--heads"][..],
        &["ls-remote", "--sym", "."],
        &["ls-remote", "--symref", "--no-symref", "."],
        &["ls-remote", "--sort", "-refname", "origin"],
        &["ls-remote", "--", "origin", "main"],
        &["ls-remote", "-t", "-q", "origin"],
        &["fetch", "--no-tags", "--tags", "--verb"],
        &["fetch", "-v", "--", "origin"],
        &["fetch", "-qp"],
        &["fetch", "origin", "main", "-v"],
    ] {
        twin.done("copy", arguments);
    }
    twin.same("copy");
}

#[test]
fn configuration_comes_from_every_place() {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    let base = format!("url.{}/.insteadOf=short:", sandbox.path("served").display());
    twin.done("", &["-c", &base, "ls-remote", "--get-url", "short:project.git"]);
    twin.done("", &["-c", &base, "ls-remote", "short:project.git"]);
    twin.done("", &["-C", "copy", "fetch", "-v"]);
    twin.done("", &["--git-dir=copy/.git", "fetch", "-v"]);
    twin.done("", &["--git-dir", "copy/.git", "--work-tree", "copy", "ls-remote"]);
    twin.done("copy/dir1", &["fetch", "-v"]);
    twin.done("copy", &["-c", "remote.pushDefault=x", "-c", "fetch.prune", "fetch", "-v"]);
    twin.same("copy");
}

#[test]
fn fetch_all_names_each_remote() {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    build::empty(&sandbox, &sandbox.path("served/second.git"), Format::Sha1);
    let mut stream = Stream::new();
    stream
        .commit("main", 700)
        .file("second.txt", "second\n")
        .import(&sandbox, &sandbox.path("served/second.git"));
    let second = sandbox.path("served/second.git").display().to_string();
    for directory in [&twin.ours, &twin.theirs] {
        sandbox.git(&directory.join("copy"), &["remote", "add", "second", &second]).success();
    }
    twin.done("copy", &["fetch", "--all"]);
    twin.same("copy");
    twin.done("copy", &["fetch", "--multiple", "origin", "second"]);
    twin.same("copy");
}

#[test]
fn the_work_tree_need_not_be_there() {
    let sandbox = sandbox();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    let source = sandbox.path("served/project.git").display().to_string();
    twin.done("", &["clone", "-q", "--mirror", &source, "mirror.git"]);
    let mut stream = Stream::onto("main");
    stream.history(40..44).annotated_tag("v3.0", "refs/heads/main");
    stream.import(&sandbox, &sandbox.path("served/project.git"));
    twin.done("mirror.git", &["fetch"]);
    twin.same("mirror.git");
}
