//! `receive.denyCurrentBranch = updateInstead`: a push to a branch that is checked out, served by C git and by gitr.

use std::fs;

use bstr::ByteSlice;

use crate::serve_pair::Pair;
use crate::support::{Git, Run, Stream, sandbox};

#[test]
fn a_clean_work_tree_goes_along() {
    let checked = Pair::checked_out();
    checked.same(&["main"]);
    checked.same(&["+main~4:main"]);
    checked.same(&["--atomic", "main", "main:refs/heads/x"]);
    checked.git(&["checkout", "-q", "--orphan", "unborn"]);
    checked.git(&["rm", "-rfq", "."]);
    checked.same(&["main~1:refs/heads/unborn"]);
    checked.same(&[":unborn"]);
}

/// In a namespace the branch of the work tree is the one of that name, whatever the ref is called.
#[test]
fn namespaces_have_the_work_tree_of_their_branch() {
    let mut checked = Pair::checked_out();
    checked.serve_with("GIT_NAMESPACE=some ");
    for deny in ["refuse", "warn", "updateInstead"] {
        checked.configure("receive.denyCurrentBranch", deny);
        checked.same(&[&format!("main:refs/heads/{deny}"), "main~1:refs/heads/main"]);
    }
    checked.git(&["checkout", "-q", "--orphan", "unborn"]);
    for deny in ["refuse", "updateInstead"] {
        checked.configure("receive.denyCurrentBranch", deny);
        checked.same(&["main:refs/heads/unborn"]);
    }
}

/// What is wrong with one work tree is the affair of its branch alone.
#[test]
fn what_cannot_be_taken_along_holds_up_nothing_else() {
    let checked = Pair::checked_out();
    let tree = "100644 blob e69de29bb2d1d6434b8b29ae775ad8c2e48c5391\tname";
    checked.hook("post-receive", "sed s/^/after:/ >>said");
    let work = checked.sandbox.path("work.git");
    let run = |words: &[&str], input: &str| {
        let mut command = checked.sandbox.command(&Git::reference().program);
        Run::with_input(command.current_dir(&work).args(words), input.as_bytes()).success().line()
    };
    let [theirs, ours] = checked.places();
    let server = format!("--receive-pack='{}' receive-pack", sandbox::gitr_program().display());
    // which of two reasons C git gives depends on the age of the index
    let both = |refspecs: [&str; 3]| {
        for (place, server) in [(&theirs, "--receive-pack=git receive-pack"), (&ours, &server)] {
            let url = format!("file://{}", place.display());
            let run = checked.sandbox.git(&work, &[&["push", server, &url], &refspecs[..]].concat());
            assert_eq!(run.status, 1, "{run:?}");
            let reasons = ["(Could not update working tree to new HEAD)", "(Up-to-date check failed)"];
            assert!(reasons.iter().any(|reason| run.complains_of(reason)), "{run:?}");
        }
        assert_eq!(checked.state(&ours), checked.state(&theirs));
    };
    checked.prepare(|_, place| fs::write(place.join(".git/index.lock"), "").unwrap());
    both(["main", "main:refs/heads/other", "main:refs/heads/more"]);
    both(["--atomic", "main", "main:refs/heads/never"]);
    checked.prepare(|_, place| fs::remove_file(place.join(".git/index.lock")).unwrap());
    checked.prepare(|sandbox, place| {
        let side = place.with_extension("side").display().to_string();
        sandbox.git(place, &["worktree", "add", "-q", "-b", "side", &side]).success();
        fs::remove_dir_all(side).unwrap();
    });
    checked.same(&["main", "main:refs/heads/side", "main:refs/heads/last"]);
    // last, since it stays there for git fsck to find
    run(&["hash-object", "-w", "--stdin"], "");
    let inner = run(&["mktree"], tree);
    let outer = run(&["mktree"], &format!("040000 tree {inner}\t.git"));
    let bad = run(&["commit-tree", "-p", "main", "-m", "bad", &outer], "");
    both([&format!("{bad}:refs/heads/main"), &format!("{bad}:refs/heads/bad"), "main:refs/heads/good"]);
    let said = [&theirs, &ours].map(|place| fs::read_to_string(place.join(".git/said")).unwrap());
    assert_eq!(said[0], said[1]);
}

/// The hook is told which work tree it is for, and runs where C git runs it.
#[test]
fn the_hook_of_a_linked_work_tree_runs_as_that_of_the_first() {
    let checked = Pair::checked_out();
    checked.prepare(|sandbox, place| {
        let side = place.with_extension("side").display().to_string();
        sandbox.git(place, &["worktree", "add", "-q", "-b", "side", &side]).success();
    });
    checked.hook("push-to-checkout", "for x in $(pwd) $GIT_DIR $GIT_WORK_TREE; do realpath $x; done >>said");
    checked.same(&["main", "main:refs/heads/side"]);
    let said = checked.places().map(|place| {
        let text = fs::read_to_string(place.join(".git/said")).unwrap();
        text.replace("/theirs", "/X").replace("/ours", "/X")
    });
    assert_eq!(said[0], said[1]);
    assert_eq!(said[0].lines().count(), 6, "{}", said[0]);
}

#[test]
fn changes_of_the_user_are_not_lost() {
    let checked = Pair::checked_out();
    let file = fs::read_dir(checked.sandbox.path("ours"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .find(|entry| entry.file_type().unwrap().is_file());
    let name = file.unwrap().file_name().into_string().unwrap();
    checked.prepare(|_, place| fs::write(place.join(&name), "changed").unwrap());
    let run = checked.same(&["main"]);
    assert!(run.stdout.contains_str("Working directory has unstaged changes"), "{run:?}");
    checked.git(&["add", "."]);
    let run = checked.same(&["main", "main:refs/heads/other"]);
    assert!(run.stdout.contains_str("Working directory has staged changes"), "{run:?}");
    checked.same(&["--atomic", "main", "main:refs/heads/more"]);
    checked.git(&["reset", "-q", "--hard"]);
    checked.prepare(|_, place| fs::remove_file(place.join(&name)).unwrap());
    checked.same(&["main"]);
    checked.git(&["reset", "-q", "--hard"]);
    // a new file where the push has one
    checked.prepare(|_, place| fs::write(place.join("new-file"), "mine").unwrap());
    let mut stream = Stream::onto("main");
    stream.commit("main", 9).file("new-file", "theirs");
    stream.import(&checked.sandbox, &checked.sandbox.path("work.git"));
    let run = checked.same(&["main"]);
    assert!(run.stdout.contains_str("Could not update working tree to new HEAD"), "{run:?}");
    assert!(run.complains_of("Untracked working tree file 'new-file' would be overwritten"), "{run:?}");
    // unless nobody misses it
    checked.prepare(|_, place| {
        fs::create_dir_all(place.join(".git/info")).unwrap();
        fs::write(place.join(".git/info/exclude"), "/new-*\n").unwrap();
    });
    assert_eq!(checked.same(&["main"]).status, 0);
}

#[test]
fn the_hook_decides_where_there_is_one() {
    let checked = Pair::checked_out();
    checked.hook("push-to-checkout", "test -n \"$GIT_WORK_TREE\" && cd \"$GIT_WORK_TREE\" && git update-index -q --refresh && git read-tree -u -m HEAD \"$1\"");
    checked.same(&["main"]);
    checked.hook("push-to-checkout", "exit 1");
    let run = checked.same(&["main~2:main", "+main~3:main"][1..]);
    assert!(run.stdout.contains_str("push-to-checkout hook declined"), "{run:?}");
}

#[test]
fn linked_work_trees_go_along() {
    let checked = Pair::checked_out();
    checked.prepare(|_, place| {
        let linked = place.with_extension("linked").display().to_string();
        checked.sandbox.git(place, &["worktree", "add", "-q", &linked, "-b", "linked", "main"]).success();
    });
    checked.same(&["main:linked"]);
    let states = checked.places().map(|place| checked.state(&place.with_extension("linked")));
    assert_eq!(states[1], states[0]);
    checked.prepare(|_, place| fs::write(place.with_extension("linked").join("more"), "x").unwrap());
    checked.prepare(|_, place| {
        drop(checked.sandbox.git(&place.with_extension("linked"), &["add", "more"]).success());
    });
    let run = checked.same(&["+main~2:linked"]);
    assert!(run.stdout.contains_str("staged changes"), "{run:?}");
}
