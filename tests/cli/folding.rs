//! What a file system that folds case makes of names that differ in case alone, beside C git on the same file system.

use crate::support::folding::Folding;
use crate::support::{Format, Git, Run, Sandbox, Stream, Twin, build};

/// Makes the commit of a tree with `entries`, lines of `git mktree`, on `branch` of `served/odd.git`.
fn commit_odd(sandbox: &Sandbox, branch: &str, entries: &str) {
    let odd = sandbox.path("served/odd.git");
    let tree = make_tree(sandbox, entries);
    let commit = sandbox.git(&odd, &["commit-tree", "-m", "odd", &tree]).success().line();
    sandbox.git(&odd, &["update-ref", &format!("refs/heads/{branch}"), &commit]).success();
}

fn make_tree(sandbox: &Sandbox, entries: &str) -> String {
    let mut command = sandbox.command(&Git::reference().program);
    command.current_dir(sandbox.path("served/odd.git")).arg("mktree");
    Run::with_input(&mut command, entries.as_bytes()).success().line()
}

#[test]
fn paths_that_differ_in_case_alone_collide() {
    let sandbox = Sandbox::new();
    let Some(folding) = Folding::mount(&sandbox) else { return };
    let served = sandbox.path("served/project.git");
    build::empty(&sandbox, &served, Format::Sha1);
    let mut stream = Stream::new();
    stream.commit("main", 0);
    for name in
        ["A/m/x", "B/x", "B/y", "C", "D/x", "FILE", "File", "c/x", "dir/x", "DIR/x", "dir/y", "file", "b"]
    {
        stream.file(name, name);
    }
    for (name, target) in [("a", ".git"), ("d", "nowhere"), ("Link", "target"), ("x/k", "C")] {
        stream.entry("120000", name, target.as_bytes());
    }
    stream.file("link/inside", "inside").file("x/K/1", "1").file("x/K/2", "2");
    stream.import(&sandbox, &served);
    let source = served.display().to_string();
    for settings in [
        &[][..],
        &["-c", "core.ignoreCase=false"],
        &["-c", "checkout.workers=2", "-c", "checkout.thresholdForParallelism=1"],
    ] {
        let twin = folding.twin(&sandbox);
        let words = [settings, &["clone", &source, "copy"]].concat();
        if settings.contains(&"checkout.workers=2") {
            // which of two comes first is a race there
            assert_eq!(twin.gitr("", &words).status, twin.git("", &words).status);
            continue;
        }
        let run = twin.done("", &words);
        assert!(run.complains_of("the following paths have collided"), "{run:?}");
        twin.same_state("copy");
    }
}

#[test]
fn refs_that_differ_in_case_alone_are_one_file() {
    let sandbox = crate::sandbox();
    let Some(folding) = Folding::mount(&sandbox) else { return };
    let served = sandbox.path("served/project.git");
    let source = served.display().to_string();
    for (first, second) in [("Case", "case"), ("Dir/one", "dir/two"), ("Dir", "dir/two")] {
        let twin = folding.twin(&sandbox);
        twin.done("", &["clone", "-q", &source, "copy"]);
        for (name, target) in [(first, "main"), (second, "main~1")] {
            sandbox.git(&served, &["branch", name, target]).success();
        }
        for words in [&["fetch"][..], &["fetch", "-v"], &["fetch", "--prune"]] {
            twin.run("copy", words);
            twin.same_state("copy");
        }
        sandbox.git(&served, &["branch", "-D", first]).success();
        twin.run("copy", &["fetch", "--prune"]);
        twin.same_state("copy");
        sandbox.git(&served, &["branch", "-D", second]).success();
    }
    // git 2.47.3 aborts where it should be told that not all can be done at once
    let twin = folding.twin(&sandbox);
    twin.gitr("", &["clone", "-q", &source, "copy"]).success();
    let both = ["main:refs/remotes/origin/Case", "topic:refs/remotes/origin/case"];
    let run = twin.gitr("copy", &["fetch", "--atomic", "origin", both[0], both[1]]);
    assert_eq!(run.status, 128, "{run:?}");
    let made = sandbox.git(&twin.ours.join("copy"), &["for-each-ref", "refs/remotes/origin/case"]);
    assert_eq!(made.success().stdout, "");
}

/// CVE-2024-32002: a submodule below `A`, and `a`, which leads into `.git`, where the submodule's hook would be a hook of
/// git's.
#[test]
fn a_submodule_is_not_cloned_through_a_link() {
    let sandbox = Sandbox::new();
    let Some(folding) = Folding::mount(&sandbox) else { return };
    let hook = sandbox.path("served/hook.git");
    build::empty(&sandbox, &hook, Format::Sha1);
    let mark = sandbox.path("mark");
    let script = format!("#!/bin/sh\ntouch '{}'\n", mark.display());
    let mut stream = Stream::new();
    stream.commit("main", 0).entry("100755", "y/hooks/post-checkout", script.as_bytes());
    stream.import(&sandbox, &hook);
    let tip = sandbox.git(&hook, &["rev-parse", "main"]).success().line();
    let modules = "[submodule \"x/y\"]\n\tpath = A/modules/x\n\turl = ../hook.git\n";
    let captain = sandbox.path("served/captain.git");
    build::empty(&sandbox, &captain, Format::Sha1);
    let mut stream = Stream::new();
    stream.commit("main", 0).file(".gitmodules", modules).gitlink("A/modules/x", &tip);
    stream.entry("120000", "a", b".git").import(&sandbox, &captain);
    let source = captain.display().to_string();
    let twin = folding.twin(&sandbox);
    let clone = ["-c", "protocol.file.allow=always", "clone", "--recurse-submodules", &source, "copy"];
    let (ours, theirs) = (twin.gitr("", &clone), twin.git("", &clone));
    assert_eq!((ours.status, &ours.stderr), (theirs.status, &theirs.stderr));
    assert!(!mark.exists(), "the hook was run");
    twin.prepare(|client| assert!(!client.join("copy/.git/modules/x/y/hooks/post-checkout").exists()));
}

#[test]
fn no_other_spelling_of_the_git_directory_is_checked_out() {
    let sandbox = Sandbox::new();
    let Some(folding) = Folding::mount(&sandbox) else { return };
    let odd = sandbox.path("served/odd.git");
    build::empty(&sandbox, &odd, Format::Sha1);
    let mut stream = Stream::new();
    stream.commit("main", 0).file("file", "[core]\n\tfsmonitor = false\n").import(&sandbox, &odd);
    let blob = sandbox.git(&odd, &["rev-parse", "main:file"]).success().line();
    sandbox.git(&odd, &["branch", "-D", "main"]).success();
    commit_odd(&sandbox, "file", &format!("100644 blob {blob}\t.Git\n"));
    for (number, name) in [".GIT", ".gIt", "git~1", "GIT~1"].into_iter().enumerate() {
        let inner = make_tree(&sandbox, &format!("100644 blob {blob}\tconfig\n"));
        let inner = make_tree(&sandbox, &format!("040000 tree {inner}\tdeep\n100644 blob {blob}\tx\n"));
        commit_odd(&sandbox, &format!("directory{number}"), &format!("040000 tree {inner}\t{name}\n"));
    }
    let branches =
        sandbox.git(&odd, &["for-each-ref", "--format=%(refname:short)"]).success().stdout.to_string();
    for branch in branches.lines() {
        refused(&sandbox, &folding.twin(&sandbox), branch);
    }
}

/// A clone of `branch` has to end with nothing of it written.
fn refused(sandbox: &Sandbox, twin: &Twin<'_>, branch: &str) {
    let source = sandbox.path("served/odd.git").display().to_string();
    let words = ["clone", "-q", "--branch", branch, &source, "copy"];
    let run = twin.run("", &words);
    assert_ne!(run.status, 0, "{run:?}");
    assert!(run.complains_of("invalid path"), "{run:?}");
    let left = std::fs::read_dir(twin.ours.join("copy")).unwrap().count();
    assert_eq!(left, 1, "only the git directory is there");
}
