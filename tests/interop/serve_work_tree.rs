//! `receive.denyCurrentBranch = updateInstead`: a push to a branch that is checked out, served by C git and by gitr.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use bstr::ByteSlice;

use crate::support::{Format, Run, Sandbox, Stream, build, sandbox};

/// A repository to push from, and two equal ones with work trees to push to.
struct Checked {
    sandbox: Sandbox,
}

impl Checked {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        build::project(&sandbox, &sandbox.path("work.git"), Format::Sha1, 6);
        let checked = Self { sandbox };
        for place in checked.places() {
            let name = place.file_name().unwrap().to_string_lossy().into_owned();
            checked
                .sandbox
                .git(&checked.sandbox.path("work.git"), &["clone", "-q", ".", &format!("../{name}")])
                .success();
            checked.sandbox.git(&place, &["config", "receive.denyCurrentBranch", "updateInstead"]).success();
        }
        checked.grow(6..9);
        checked
    }

    fn places(&self) -> [PathBuf; 2] {
        ["theirs", "ours"].map(|name| self.sandbox.path(name))
    }

    fn prepare(&self, change: impl Fn(&Path)) {
        self.places().iter().for_each(|place| change(place));
    }

    fn git(&self, words: &[&str]) {
        self.prepare(|place| drop(self.sandbox.git(place, words).success()));
    }

    fn hook(&self, script: &str) {
        self.prepare(|place| {
            let file = place.join(".git/hooks/push-to-checkout");
            fs::create_dir_all(place.join(".git/hooks")).unwrap();
            fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        });
    }

    fn grow(&self, commits: std::ops::Range<usize>) {
        let mut stream = Stream::onto("main");
        stream.history(commits);
        stream.import(&self.sandbox, &self.sandbox.path("work.git"));
    }

    /// Pushes to both; what is reported, refs, index and files have to be the same.
    #[track_caller]
    fn same(&self, words: &[&str]) -> Run {
        let gitr = format!("--receive-pack='{}' receive-pack", sandbox::gitr_program().display());
        let [theirs, ours] = [("theirs", "--receive-pack=git receive-pack"), ("ours", gitr.as_str())].map(
            |(name, program)| {
                let url = self.sandbox.path(name).display().to_string();
                let words = ["push", "--porcelain", program, &url].into_iter().chain(words.iter().copied());
                self.sandbox.git(&self.sandbox.path("work.git"), &words.collect::<Vec<_>>())
            },
        );
        let told =
            |run: &Run| format!("{}\n{}", run.status, run.stdout).replace("theirs", "X").replace("ours", "X");
        assert_eq!(told(&ours), told(&theirs), "{words:?}: {ours:?}");
        let [theirs, here] = self.places().map(|place| self.state(&place));
        assert_eq!(here, theirs, "{words:?}");
        ours
    }

    fn state(&self, place: &Path) -> String {
        let git = |words: &[&str]| self.sandbox.git(place, words).success().stdout.to_string();
        [
            git(&["status", "--porcelain=v2", "--branch"]),
            git(&["for-each-ref"]),
            git(&["ls-files", "-s"]),
            git(&["diff"]),
        ]
        .concat()
    }
}

#[test]
fn a_clean_work_tree_goes_along() {
    let checked = Checked::new();
    checked.same(&["main"]);
    checked.same(&["+main~4:main"]);
    checked.same(&["--atomic", "main", "main:refs/heads/x"]);
    checked.git(&["checkout", "-q", "--orphan", "unborn"]);
    checked.git(&["rm", "-rfq", "."]);
    checked.same(&["main~1:refs/heads/unborn"]);
    checked.same(&[":unborn"]);
}

#[test]
fn changes_of_the_user_are_not_lost() {
    let checked = Checked::new();
    let file = fs::read_dir(checked.sandbox.path("ours"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .find(|entry| entry.file_type().unwrap().is_file());
    let name = file.unwrap().file_name().into_string().unwrap();
    checked.prepare(|place| fs::write(place.join(&name), "changed").unwrap());
    let run = checked.same(&["main"]);
    assert!(run.stdout.contains_str("Working directory has unstaged changes"), "{run:?}");
    checked.git(&["add", "."]);
    let run = checked.same(&["main", "main:refs/heads/other"]);
    assert!(run.stdout.contains_str("Working directory has staged changes"), "{run:?}");
    checked.same(&["--atomic", "main", "main:refs/heads/more"]);
    checked.git(&["reset", "-q", "--hard"]);
    checked.prepare(|place| fs::remove_file(place.join(&name)).unwrap());
    checked.same(&["main"]);
    checked.git(&["reset", "-q", "--hard"]);
    // a new file where the push has one
    checked.prepare(|place| fs::write(place.join("new-file"), "mine").unwrap());
    let mut stream = Stream::onto("main");
    stream.commit("main", 9).file("new-file", "theirs");
    stream.import(&checked.sandbox, &checked.sandbox.path("work.git"));
    let run = checked.same(&["main"]);
    assert!(run.stdout.contains_str("Could not update working tree to new HEAD"), "{run:?}");
    assert!(run.complains_of("Untracked working tree file 'new-file' would be overwritten"), "{run:?}");
}

#[test]
fn the_hook_decides_where_there_is_one() {
    let checked = Checked::new();
    checked.hook("test -n \"$GIT_WORK_TREE\" && cd \"$GIT_WORK_TREE\" && git update-index -q --refresh && git read-tree -u -m HEAD \"$1\"");
    checked.same(&["main"]);
    checked.hook("exit 1");
    let run = checked.same(&["main~2:main", "+main~3:main"][1..]);
    assert!(run.stdout.contains_str("push-to-checkout hook declined"), "{run:?}");
}

#[test]
fn linked_work_trees_go_along() {
    let checked = Checked::new();
    checked.prepare(|place| {
        let linked = place.with_extension("linked").display().to_string();
        checked.sandbox.git(place, &["worktree", "add", "-q", &linked, "-b", "linked", "main"]).success();
    });
    checked.same(&["main:linked"]);
    let states = checked.places().map(|place| checked.state(&place.with_extension("linked")));
    assert_eq!(states[1], states[0]);
    checked.prepare(|place| fs::write(place.with_extension("linked").join("more"), "x").unwrap());
    checked.prepare(|place| {
        drop(checked.sandbox.git(&place.with_extension("linked"), &["add", "more"]).success());
    });
    let run = checked.same(&["+main~2:linked"]);
    assert!(run.stdout.contains_str("staged changes"), "{run:?}");
}
