//! Pushes to branches that are checked out, served by C git and by gitr: which branches these are, and what is refused.

use crate::serve_pair::Pair;
use crate::support::{Format, Git};

#[test]
fn there_is_a_work_tree_wherever_it_is() {
    let pushed = Pair::bare(Git::reference(), Format::Sha1);
    pushed.configure("core.bare", "false");
    pushed.grow(12..13);
    let run = pushed.same(&["main"]);
    assert!(run.complains_of("branch is currently checked out"), "{run:?}");
    pushed.same(&[":main"]);
    pushed.same(&["main:refs/heads/topic"]);
    pushed.configure("receive.denyCurrentBranch", "warn");
    pushed.same(&["main"]);
}

/// C git takes the git directory for the work tree then, and writes what was pushed beside the hooks.
#[test]
fn nothing_is_written_to_a_work_tree_that_is_not_known() {
    let pushed = Pair::bare(Git::reference(), Format::Sha1);
    pushed.configure("core.bare", "false");
    pushed.configure("receive.denyCurrentBranch", "updateInstead");
    pushed.grow(12..13);
    let [_, here] = pushed.places();
    let refs = || pushed.sandbox.git(&here, &["for-each-ref"]).success().stdout;
    let before = refs();
    let run = pushed.ours(&["main"]);
    assert!(run.complains_of("Could not update working tree to new HEAD"), "{run:?}");
    assert_eq!(refs(), before);
}

/// `receive.denyCurrentBranch` comes before `receive.denyDeleteCurrent`, in linked work trees too.
#[test]
fn both_settings_are_asked_about_a_deletion() {
    for (current, deletion) in [
        ("refuse", "ignore"),
        ("refuse", "warn"),
        ("ignore", "refuse"),
        ("updateInstead", "refuse"),
        ("warn", "ignore"),
        ("warn", "warn"),
    ] {
        let pushed = Pair::bare(Git::reference(), Format::Sha1);
        pushed.prepare(|sandbox, place| {
            // the same name for both: it is in reflogs
            let side = place.with_extension("linked").join("side").display().to_string();
            sandbox.git(place, &["worktree", "add", "-q", &side, "topic"]).success();
        });
        pushed.configure("receive.denyDeleteCurrent", deletion);
        let run = pushed.same(&[":topic"]);
        assert!(run.complains_of("branch is currently checked out"), "{run:?}");
        pushed.configure("receive.denyCurrentBranch", current);
        pushed.same(&[":topic"]);
    }
}

/// A work tree cannot follow its branch to nowhere.
#[test]
fn update_instead_deletes_nothing() {
    let pushed = Pair::checked_out();
    pushed.configure("receive.denyDeleteCurrent", "ignore");
    let run = pushed.same(&[":main"]);
    assert!(run.stdout.to_string().contains("Could not update working tree to new HEAD"), "{run:?}");
}

/// `HEAD` may lead to its branch by way of another ref.
#[test]
fn a_branch_behind_two_symbolic_refs_is_the_current_one() {
    let pushed = Pair::bare(Git::reference(), Format::Sha1);
    pushed.git(&["symbolic-ref", "refs/heads/alias", "refs/heads/main"]);
    pushed.git(&["symbolic-ref", "HEAD", "refs/heads/alias"]);
    let run = pushed.same(&[":main"]);
    assert!(run.complains_of("deletion of the current branch prohibited"), "{run:?}");
    pushed.configure("core.bare", "false");
    pushed.grow(12..13);
    let run = pushed.same(&["main"]);
    assert!(run.complains_of("branch is currently checked out"), "{run:?}");
}

/// A symbolic ref is pushed as what it leads to is, or not at all.
#[test]
fn aliases_are_told_with_their_ids() {
    let pushed = Pair::bare(Git::reference(), Format::Sha1);
    pushed.git(&["symbolic-ref", "refs/heads/alias", "refs/heads/topic"]);
    pushed.grow(12..13);
    let run = pushed.same(&["main:refs/heads/topic", ":alias", "main:refs/heads/other"]);
    assert!(run.complains_of("(inconsistent aliased update)"), "{run:?}");
    pushed.same(&["+main:refs/heads/topic", "+main~1:refs/heads/alias"]);
}

#[test]
fn a_pack_that_is_too_large_is_refused_in_the_same_words() {
    let pushed = Pair::bare(Git::reference(), Format::Sha1);
    pushed.configure("receive.maxInputSize", "10");
    pushed.grow(12..13);
    pushed.same(&["main"]);
    pushed.configure("receive.unpackLimit", "1");
    pushed.same(&["main"]);
}
