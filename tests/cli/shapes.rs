//! Clones of repositories that are not as most are, and clones of a part; each beside C git's.

use std::fs;

use crate::support::{Format, Sandbox, Stream, Twin, build};

/// A bare repository `served/shape.git` whose `HEAD` names `head`.
fn shape(sandbox: &Sandbox, head: &str) -> String {
    let path = sandbox.path("served/shape.git");
    build::project(sandbox, &path, Format::Sha1, 12);
    let mut stream = Stream::onto("main");
    stream.commit("main", 20).light_tag("light", "main").annotated_tag("annotated", "main");
    stream.import(sandbox, &path);
    sandbox.git(&path, &["symbolic-ref", "HEAD", head]).success();
    path.display().to_string()
}

/// Clones `source` with each of `variants`, over the protocol and by links.
#[track_caller]
fn clone_each(sandbox: &Sandbox, source: &str, variants: &[&[&str]]) {
    for url in [source.to_owned(), format!("file://{source}")] {
        for options in variants {
            let twin = Twin::new(sandbox, 2, Vec::new());
            twin.done("", &[&["clone"], *options, &[&url, "copy"]].concat());
            twin.same("copy");
        }
    }
}

#[test]
fn the_branch_that_head_names_is_missing() {
    let sandbox = Sandbox::new();
    let source = shape(&sandbox, "refs/heads/nosuch");
    let variants: [&[&str]; 5] = [&[], &["--bare"], &["--mirror"], &["--single-branch"], &["--no-tags"]];
    clone_each(&sandbox, &source, &variants);
}

#[test]
fn an_empty_repository_is_cloned_as_one_branch() {
    let sandbox = Sandbox::new();
    let path = sandbox.path("served/empty.git");
    build::empty(&sandbox, &path, Format::Sha1);
    let variants: [&[&str]; 3] = [&[], &["--single-branch"], &["--no-tags", "--single-branch"]];
    clone_each(&sandbox, &path.display().to_string(), &variants);
}

#[test]
fn one_branch_brings_its_tags_as_loose_refs() {
    let sandbox = Sandbox::new();
    let source = shape(&sandbox, "refs/heads/main");
    let variants: [&[&str]; 5] = [
        &["--single-branch"],
        &["--single-branch", "--branch", "annotated"],
        &["--single-branch", "--branch", "light"],
        &["--single-branch", "--mirror"],
        &["--single-branch", "--bare"],
    ];
    clone_each(&sandbox, &source, &variants);
    let twin = Twin::new(&sandbox, 2, Vec::new());
    twin.done("", &["clone", "-q", "--single-branch", &source, "copy"]);
    assert!(twin.ours.join("copy/.git/refs/tags/light").is_file());
}

#[test]
fn a_filter_is_written_even_where_it_has_no_effect() {
    let sandbox = Sandbox::new();
    let source = shape(&sandbox, "refs/heads/main");
    clone_each(&sandbox, &source, &[&["--filter=blob:none"], &["--filter=tree:0", "--bare"]]);
}

#[test]
fn a_filter_that_git_does_not_know_is_refused_before_anything_is_made() {
    let sandbox = Sandbox::new();
    let source = shape(&sandbox, "refs/heads/main");
    for filter in ["--filter=bogus", "--filter=tree:x", "--filter=blob:limit=x"] {
        let twin = Twin::new(&sandbox, 2, Vec::new());
        assert_eq!(twin.run("", &["clone", filter, &source, "copy"]).status, 128);
        assert!(!twin.ours.join("copy").exists());
    }
}

#[test]
fn a_destination_that_cannot_be_made_stays_as_it_is() {
    let sandbox = Sandbox::new();
    let source = shape(&sandbox, "refs/heads/main");
    let twin = Twin::new(&sandbox, 2, Vec::new());
    twin.prepare(|directory| std::os::unix::fs::symlink("nowhere", directory.join("dangling")).unwrap());
    for directory in ["", "dangling"] {
        assert_eq!(twin.run("", &["clone", "-q", &source, directory]).status, 128);
    }
    assert!(fs::symlink_metadata(twin.ours.join("dangling")).is_ok());
    assert_eq!(fs::read_dir(&twin.ours).unwrap().count(), 1, "something was left");
}

#[test]
fn a_bundle_without_head_gives_the_default_branch() {
    let sandbox = Sandbox::new();
    let source = shape(&sandbox, "refs/heads/main");
    let bundle = sandbox.path("served/branch.bundle").display().to_string();
    let place = sandbox.path("served/shape.git");
    assert!(place.display().to_string() == source);
    sandbox.git(&place, &["bundle", "create", "-q", &bundle, "main"]).success();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    twin.done("", &["-c", "init.defaultBranch=main", "clone", &bundle, "copy"]);
    twin.same("copy");
}

#[test]
fn a_clone_without_trees_has_a_whole_work_tree() {
    let sandbox = Sandbox::new();
    let source = shape(&sandbox, "refs/heads/main");
    let path = sandbox.path("served/shape.git");
    sandbox.git(&path, &["config", "uploadpack.allowFilter", "true"]).success();
    sandbox.git(&path, &["config", "uploadpack.allowAnySHA1InWant", "true"]).success();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    twin.done("", &["clone", "--filter=tree:0", &format!("file://{source}"), "copy"]);
    twin.same("copy");
}
