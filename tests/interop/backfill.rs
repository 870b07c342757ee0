//! Tags that come along though the server did not put them into the pack: they are asked for once more.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use bstr::ByteSlice;

use crate::support::sandbox::gitr_program;
use crate::support::{Case, Format, Git, Kind, Run, Stream, build};

/// The repository that is served.
const NAME: &str = "project.git";

/// The fetches, each into a copy of its own of what was cloned before the tags were made.
const FETCHES: [&[&str]; 10] = [
    &["fetch"],
    &["fetch", "-v"],
    &["fetch", "-q", "--keep"],
    &["fetch", "--atomic"],
    &["fetch", "--dry-run"],
    &["fetch", "--porcelain", "--append"],
    &["fetch", "--depth=5"],
    &["fetch", "--refetch", "--no-write-fetch-head"],
    &["fetch", "origin", "main"],
    &["fetch", "origin", "topic", "main:refs/kept/main", "middle:refs/tags/other"],
];

/// Leaves tags out of the packs of all repositories that are served.
fn leave_tags_out(case: &Case) {
    let hook = case.sandbox.path("hook");
    let script = "#!/bin/sh\nfor word\ndo\n\tshift\n\
        \ttest \"$word\" = --include-tag || set -- \"$@\" \"$word\"\ndone\nexec \"$@\"\n";
    fs::write(&hook, script).unwrap();
    fs::set_permissions(&hook, PermissionsExt::from_mode(0o755)).unwrap();
    let hook = hook.display().to_string();
    let set = ["config", "--global", "uploadpack.packObjectsHook", &hook];
    case.sandbox.git(&case.sandbox.path(""), &set).success();
}

/// Commits with tags on them, and tags of these.
fn grow(case: &Case) {
    let served = case.served(NAME);
    let mut stream = Stream::onto("main");
    stream.history(12..20).annotated_tag("middle", "refs/heads/main");
    stream.light_tag("light", "refs/heads/main").history(20..24);
    stream.annotated_tag("end", "refs/heads/main").history(24..25);
    stream.import(&case.sandbox, &served);
    case.sandbox.git(&served, &["tag", "-a", "-m", "a tag of a tag", "nested", "middle"]).success();
    case.refresh(NAME);
}

#[test]
fn tags_come_along_as_in_git() {
    for (kind, count) in [(Kind::File, FETCHES.len()), (Kind::Apache, 2), (Kind::Daemon, 1), (Kind::Ssh, 1)] {
        for version in [0, 2] {
            if let Some(case) = Case::new(kind, Git::reference(), version, Format::Sha1) {
                fetch_each(&case, &FETCHES[..count]);
            }
        }
    }
}

/// Does each of `fetches` as git does, in a copy of its own.
fn fetch_each(case: &Case, fetches: &[&[&str]]) {
    leave_tags_out(case);
    build::project(&case.sandbox, &case.served(NAME), case.format, 12);
    case.refresh(NAME);
    let twin = case.twin();
    twin.done("", &["clone", "-q", &case.url(NAME), "before"]);
    grow(case);
    for arguments in fetches {
        twin.prepare(|directory| {
            fs::remove_dir_all(directory.join("copy")).ok();
            build::copy(&case.sandbox, &directory.join("before"), &directory.join("copy"));
        });
        twin.done("copy", arguments);
        twin.same("copy");
    }
}

#[test]
fn after_a_rejected_ref_no_tags_are_fetched() {
    crate::once(Kind::File, |case| {
        leave_tags_out(case);
        build::project(&case.sandbox, &case.served(NAME), case.format, 12);
        let twin = case.twin();
        twin.done("", &["clone", "-q", &case.url(NAME), "copy"]);
        grow(case);
        twin.prepare(|directory| {
            let git = |words: &[&str]| case.sandbox.git(&directory.join("copy"), words).success().line();
            let other = git(&["commit-tree", "-m", "nobody else has it", "HEAD^{tree}"]);
            git(&["update-ref", "refs/remotes/origin/topic", &other]);
        });
        for option in ["--atomic", "--no-auto-maintenance"] {
            let rejected =
                twin.run("copy", &["fetch", option, "origin", "refs/heads/*:refs/remotes/origin/*"]);
            assert_eq!(rejected.status, 1, "{rejected:?}");
            twin.same("copy");
        }
    });
}

#[test]
fn a_server_of_version_2_is_not_reached_twice() {
    crate::once(Kind::Daemon, |case| {
        leave_tags_out(case);
        build::project(&case.sandbox, &case.served(NAME), case.format, 12);
        let twin = case.twin();
        twin.gitr("", &["clone", "-q", &case.url(NAME), "copy"]).success();
        grow(case);
        let trace = case.sandbox.path("trace");
        let mut fetch = case.sandbox.command(gitr_program());
        fetch.current_dir(twin.ours.join("copy")).env("GIT_TRACE_PACKET", &trace).args(["fetch", "-q"]);
        Run::of(&mut fetch).success();
        let packets = fs::read(&trace).unwrap();
        assert_eq!(packets.find_iter("fetch< version 2").count(), 1);
        assert_eq!(packets.find_iter("fetch< packfile").count(), 2);
        assert_eq!(case.sandbox.git(&twin.ours.join("copy"), &["cat-file", "-t", "nested"]).line(), "tag");
    });
}
