//! The options of `clone`, each over `file://`, which always has a server program, and over HTTP.

use std::fs;

use crate::support::{Case, Kind, build};

/// The repository that is cloned.
const NAME: &str = "project.git";

/// Clones with each of `variants` and compares everything with C git's clone.
fn clone_with(kind: Kind, variants: &[&[&str]]) {
    crate::once(kind, |case| {
        build::project(&case.sandbox, &case.served(NAME), case.format, 40);
        let url = case.url(NAME);
        for (number, options) in variants.iter().enumerate() {
            let twin = case.twin();
            let name = format!("copy{number}");
            twin.done("", &[&["clone"], *options, &[&url, &name]].concat());
            if options.contains(&"--no-checkout") {
                // C git's status shows every file as deleted: only what is stored is compared.
                assert_eq!(entries(case, "ours", &name), entries(case, "theirs", &name));
            } else {
                twin.same_objects(&name);
            }
        }
    });
}

/// What a clone without a checkout holds.
fn entries(case: &Case, client: &str, name: &str) -> Vec<(&'static str, bstr::BString)> {
    let path = case.sandbox.path(client).join(name);
    case.sandbox.git(&path, &["fsck", "--full"]).success();
    crate::support::state::of(&case.sandbox, &path)
}

#[test]
fn clone_options_over_file() {
    clone_with(
        Kind::File,
        &[
            &["--quiet"],
            &["--verbose"],
            &["--bare"],
            &["--mirror"],
            &["--branch", "release/1.0"],
            &["--branch", "v1.0"],
            &["--single-branch"],
            &["--single-branch", "--branch", "topic"],
            &["--no-tags"],
            &["--no-tags", "--single-branch"],
            &["--no-checkout"],
            &["--origin", "upstream"],
            &["-c", "core.autocrlf=false", "-c", "remote.origin.fetch=+refs/heads/topic:refs/heads/mine"],
            &["-c", "checkout.defaultRemote=origin", "--config", "user.name=somebody"],
            &["--separate-git-dir", "elsewhere"],
        ],
    );
}

#[test]
fn shallow_clones_over_file() {
    clone_with(
        Kind::File,
        &[
            &["--depth", "1"][..],
            &["--depth", "1", "--no-single-branch"],
            &["--depth", "5", "--bare"],
            &["--depth", "1", "--branch", "v1.0"],
            &["--shallow-since=2005-04-07T22:33:13Z"],
            &["--shallow-exclude=topic"],
        ],
    );
}

#[test]
fn shallow_clones_over_http() {
    clone_with(
        Kind::Apache,
        &[&["--depth", "1"], &["--depth", "3", "--no-single-branch"], &["--depth", "2", "--bare"]],
    );
}

#[test]
fn partial_clones() {
    for kind in [Kind::File, Kind::Apache] {
        clone_with(
            kind,
            &[
                &["--filter=blob:none", "--bare"],
                &["--filter=blob:none", "--no-checkout"],
                &["--filter=tree:0", "--bare"],
                &["--filter=blob:limit=100", "--bare"],
            ],
        );
    }
}

#[test]
fn options_that_ask_for_what_is_not_there() {
    crate::once(Kind::File, |case| {
        build::project(&case.sandbox, &case.served(NAME), case.format, 12);
        let url = case.url(NAME);
        let twin = case.twin();
        for options in [&["--branch", "nosuch"][..], &["--origin", "bad..name"], &["--depth", "0"]] {
            let run = twin.run("", &[&["clone"], options, &[&url, "copy"]].concat());
            assert_eq!(run.status, 128, "{run:?}");
            assert!(!twin.ours.join("copy").exists(), "the half-made clone was left");
        }
    });
}

#[test]
fn the_directory_has_to_be_free() {
    crate::once(Kind::File, |case| {
        build::project(&case.sandbox, &case.served(NAME), case.format, 12);
        let url = case.url(NAME);
        let twin = case.twin();
        twin.prepare(|directory| {
            fs::create_dir(directory.join("empty")).unwrap();
            fs::create_dir(directory.join("full")).unwrap();
            fs::write(directory.join("full/file"), "mine\n").unwrap();
            fs::write(directory.join("file"), "mine\n").unwrap();
        });
        twin.done("", &["clone", &url, "empty"]);
        twin.same("empty");
        for taken in ["full", "file"] {
            let run = twin.run("", &["clone", &url, taken]);
            assert_eq!(run.status, 128, "{run:?}");
        }
        assert_eq!(fs::read_to_string(twin.ours.join("full/file")).unwrap(), "mine\n");
    });
}

#[test]
fn the_directory_is_named_after_the_repository() {
    crate::once(Kind::File, |case| {
        build::project(&case.sandbox, &case.served(NAME), case.format, 12);
        let url = case.url(NAME);
        let twin = case.twin();
        twin.done("", &["clone", &url]);
        twin.same("project");
        twin.done("", &["clone", "--bare", &format!("{url}/")]);
        twin.same("project.git");
        twin.done("", &["clone", "-q", &url, "parent/is/made/too"]);
        twin.same("parent/is/made/too");
    });
}
