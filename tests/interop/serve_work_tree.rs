//! `receive.denyCurrentBranch = updateInstead`: a push to a branch that is checked out, served by C git and by gitr.

use std::fs;

use bstr::ByteSlice;

use crate::serve_pair::Pair;
use crate::support::Stream;

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
