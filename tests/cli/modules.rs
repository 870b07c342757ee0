//! A `.gitmodules` that is no configuration: what a fetch and a pull make of it, beside C git.

use std::fs;

use super::support::{Sandbox, Stream, Twin, build};
use super::{clones, sandbox};

/// What is given, in fresh copies each.
const COMMANDS: [&[&str]; 11] = [
    &["fetch"],
    &["fetch", "-q"],
    &["fetch", "--dry-run"],
    &["fetch", "--all"],
    &["fetch", "--multiple", "origin"],
    &["fetch", "--porcelain"],
    &["fetch", "--no-recurse-submodules"],
    &["-c", "submodule.recurse=false", "fetch"],
    &["fetch", "nosuch"],
    &["remote", "update"],
    &["-C", "dir1", "fetch"],
];

/// Two clones of a project whose `.gitmodules` is none, which moved on since.
fn behind(sandbox: &Sandbox) -> Twin<'_> {
    let source = sandbox.path("served/project.git");
    let mut stream = Stream::onto("main");
    stream.commit("main", 100).file(".gitmodules", "[submodule \"sub\"]\n\tpath = sub\n[x\n");
    stream.import(sandbox, &source);
    let twin = clones(sandbox);
    let mut stream = Stream::onto("main");
    stream.commit("main", 101).file("more", "more\n");
    stream.import(sandbox, &source);
    twin
}

#[track_caller]
fn try_all(twin: &Twin<'_>, sandbox: &Sandbox) {
    for (number, arguments) in COMMANDS.into_iter().enumerate() {
        let name = format!("copy{number}");
        twin.prepare(|client| drop(build::copy(sandbox, &client.join("copy"), &client.join(&name))));
        twin.run(&name, arguments);
        twin.same_state(&name);
    }
}

/// Nobody could mend it but with a fetch.
#[test]
fn one_in_a_commit_holds_up_nothing() {
    let sandbox = sandbox();
    let twin = behind(&sandbox);
    twin.prepare(|client| fs::remove_file(client.join("copy/.gitmodules")).unwrap());
    try_all(&twin, &sandbox);
}

#[test]
fn one_in_the_work_tree_is_told_of_before_anything_moves() {
    let sandbox = sandbox();
    let twin = behind(&sandbox);
    try_all(&twin, &sandbox);
    assert_eq!(twin.run("copy", &["fetch"]).status, 128);
    assert_eq!(twin.run("copy", &["-c", "submodule.fetchJobs=-1", "fetch"]).status, 128);
    twin.run("copy", &["pull"]);
    twin.same_state("copy");
}
