//! `pull`, each scenario beside C git: output, exit code, refs, reflogs, index and work tree.

use super::support::{Sandbox, Stream, Twin, script};
use super::{clones, sandbox};

/// Two clones that are two commits behind `main`, and another commit on `topic` behind.
fn behind(sandbox: &Sandbox) -> Twin<'_> {
    let twin = clones(sandbox);
    let mut stream = Stream::onto("main");
    stream.commit("main", 100).file("new/deep", "new\n").file("dir1/added", "added\n");
    stream.commit("main", 101).file("new/other", "other\n");
    stream.import(sandbox, &sandbox.path("served/project.git"));
    twin
}

/// Plays `text` in two clones that are behind; both end with a clean work tree.
#[track_caller]
fn play(text: &str) {
    let sandbox = sandbox();
    let twin = behind(&sandbox);
    script::play(&sandbox, &twin, text);
}

/// Plays `text` in two clones that are behind.
#[track_caller]
fn play_unfinished(text: &str) {
    let sandbox = sandbox();
    let twin = behind(&sandbox);
    script::play_unfinished(&sandbox, &twin, text);
}

/// Plays `text` in two new repositories with the remote `origin`, whose branch `main` is not yet born.
#[track_caller]
fn play_unborn(text: &str) {
    let sandbox = sandbox();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    let source = sandbox.path("served/project.git").display().to_string();
    twin.prepare(|client| {
        sandbox.git(client, &["init", "-q", "copy"]).success();
        sandbox.git(&client.join("copy"), &["remote", "add", "origin", &source]).success();
    });
    script::play_unfinished(&sandbox, &twin, text);
}

#[test]
fn what_is_up_to_date_stays() {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    let text = "= pull
                = pull -v
                = pull -q
                = pull --squash
                = pull --ff-only
                = pull --rebase
                = pull --autostash
                = pull --dry-run
                = pull origin main topic
                = -c pull.ff=only pull
                = -c pull.rebase=true pull
                ! commit -q --allow-empty -m own
                = pull
                = pull --rebase
                = pull --ff-only
                = -C dir1 pull";
    script::play(&sandbox, &twin, text);
}

#[test]
fn a_branch_that_is_behind_moves_ahead() {
    play("= pull\n= pull");
    play("= pull -q --stat");
    play("= pull -n --rebase origin main");
    play("= pull --no-stat --ff-only origin");
    play("= pull --no-ff --no-edit");
    play("= -c pull.rebase=interactive pull");
}

#[test]
fn changes_in_the_way_are_not_lost() {
    play_unfinished(
        "! rm -q --cached new/deep --ignore-unmatch
         > dir1/added mine
         = pull
         < dir1/added
         = pull",
    );
    play_unfinished(
        "> file1 mine
         = pull --rebase
         ! add file1
         = pull --rebase
         > file1 other
         = pull --rebase
         = pull --rebase --autostash",
    );
}

#[test]
fn branches_that_diverged_are_asked_about() {
    play(
        "! commit -q --allow-empty -m own
         = pull
         = pull --ff-only
         = -c advice.diverging=true pull --ff-only
         = -c advice.diverging=false pull --ff-only
         = -c pull.ff=only pull
         = -c pull.rebase=nonsense pull
         = -c pull.ff=nonsense pull
         = pull --rebase=nonsense
         = pull --rebase -q
         = pull",
    );
    play("! commit -q --allow-empty -m own\n= pull --no-rebase --no-edit\n= pull");
    play("! commit -q --allow-empty -m own\n= -c pull.ff=true pull --no-edit --no-stat");
    play("! commit -q --allow-empty -m own\n= -c pull.ff=only pull --rebase=merges -q");
    play("! commit -q --allow-empty -m own\n! config branch.main.rebase true\n= pull -q --verify-signatures");
}

#[test]
fn a_conflict_is_left_to_the_user() {
    play_unfinished(
        "! config user.name me
         > dir1/added mine
         ! add dir1/added
         ! commit -q -m own
         = pull --no-rebase
         = pull
         ! reset -q --hard
         = pull --no-rebase -X ours --no-edit",
    );
}

#[test]
fn what_cannot_be_merged_is_explained() {
    play(
        "! remote add second ./nosuch
         ! config remote.second.url .
         = pull second
         = pull origin refs/heads/nosuch*:refs/x/*
         = pull --rebase origin refs/heads/nosuch*:refs/x/*
         = pull nosuch main
         = pull origin nosuch
         ! config branch.main.merge refs/heads/gone
         = pull
         ! config branch.main.merge refs/heads/main
         ! checkout -q -b untracked
         = pull
         = pull origin
         = pull ''
         = fetch ''
         = pull --rebase
         ! remote rm second
         = pull
         ! checkout -q --detach
         = pull
         = pull --rebase
         = pull --bogus",
    );
}

#[test]
fn what_is_not_finished_comes_first() {
    play_unfinished(
        "> .git/MERGE_HEAD x
         = pull
         < .git/MERGE_HEAD
         > .git/CHERRY_PICK_HEAD x
         = pull",
    );
}

#[test]
fn an_unborn_branch_begins() {
    play_unborn("= pull\n= pull origin main topic\n= pull origin main\n= pull origin main");
    play_unborn("= pull --rebase origin main");
    play_unborn("> mine mine\n= pull -q origin main");
    play_unborn("> mine mine\n! add mine\n= pull --rebase origin main\n= pull origin main");
}

#[test]
fn a_fetch_may_have_made_the_first_commit() {
    play_unborn("= pull origin main:main\n= pull");
}

/// A branch may follow another one here.
#[test]
fn a_branch_of_ones_own_is_pulled() {
    play(
        "! checkout -q -b copy HEAD~1
         ! config branch.copy.remote .
         ! config branch.copy.merge refs/heads/main
         = pull
         = pull . main
         = pull --cleanup nonsense",
    );
}

/// The words are those of git's plumbing here; what is there stays.
#[test]
fn a_file_in_the_way_of_a_first_commit_stays() {
    let sandbox = sandbox();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    let source = sandbox.path("served/project.git").display().to_string();
    sandbox.git(&twin.ours, &["init", "-q", "copy"]).success();
    let copy = twin.ours.join("copy");
    std::fs::write(copy.join("dir1"), "mine\n").unwrap();
    let run = twin.gitr("copy", &["pull", &source, "main"]);
    assert_eq!(run.status, 1, "{run:?}");
    assert_eq!(std::fs::read(copy.join("dir1")).unwrap(), b"mine\n");
    assert_eq!(sandbox.git(&copy, &["rev-parse", "-q", "--verify", "HEAD"]).status, 1);
    assert!(!copy.join(".git/index.lock").exists());
}

#[test]
fn a_fetch_into_the_current_branch_takes_the_work_tree_along() {
    play("= pull origin main:main");
    play_unfinished("= pull . origin/main:main\n= pull origin main:other");
}

#[test]
fn a_bare_repository_has_nothing_to_merge_into() {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    assert_eq!(twin.run("copy/.git", &["pull"]).status, 128);
    assert_eq!(twin.run("", &["pull"]).status, 128);
}

#[test]
fn usage_is_that_of_git() {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    assert_eq!(twin.run("copy", &["pull", "-h"]).status, 129);
}

/// Gives `arguments` to gitr in its copy, where no git can be found.
fn without_git(sandbox: &Sandbox, twin: &Twin<'_>, arguments: &[&str]) -> super::Run {
    let upload_pack = super::support::Git::reference().exec_path.join("git-upload-pack");
    let program = format!("remote.origin.uploadpack={}", upload_pack.display());
    let mut command = sandbox.command(super::support::sandbox::gitr_program());
    let command = command.current_dir(twin.ours.join("copy")).env("PATH", sandbox.path("temporary"));
    super::Run::of(command.args(["-c", &program]).args(arguments))
}

/// Without git what was fetched stays to be merged, and is told how.
#[test]
fn without_git_the_fetch_is_done_and_the_merge_explained() {
    let sandbox = sandbox();
    let twin = behind(&sandbox);
    let copy = twin.ours.join("copy");
    sandbox.git(&copy, &["commit", "-q", "--allow-empty", "-m", "own"]).success();
    let run = without_git(&sandbox, &twin, &["pull", "--no-rebase"]);
    assert_eq!(run.status, 128, "{run:?}");
    let words = "git has to be installed; then run\n\n    git merge FETCH_HEAD";
    assert!(run.stderr.to_string().contains(words), "{run:?}");
    let tips = sandbox.git(&copy, &["rev-parse", "origin/main", "FETCH_HEAD"]).success().stdout.to_string();
    let tips: Vec<&str> = tips.lines().collect();
    assert_eq!(tips.first(), tips.last());
}

/// Two clones that are behind a commit which changes, makes and removes files and directories of every kind.
fn far_behind(sandbox: &Sandbox) -> Twin<'_> {
    let source = sandbox.path("served/project.git");
    let mut stream = Stream::onto("main");
    stream.commit("main", 90).file("plain", "old\n").file("gone/deep/file", "old\n").file("turns", "file\n");
    stream.file("into/file", "directory\n").file("mode", "mode\n").entry("120000", "link", b"plain");
    stream.file("same", "same\n").file("eol.crlf", "old\n");
    stream.import(sandbox, &source);
    let twin = clones(sandbox);
    let next = sandbox.path("next");
    sandbox.git(&sandbox.path(""), &["clone", "-q", &source.display().to_string(), "next"]).success();
    let write = |name: &str, text: &str| {
        let path = next.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    sandbox.git(&next, &["rm", "-q", "-r", "gone", "turns", "into", "link"]).success();
    write("plain", "new\n");
    write("turns/file", "now a directory\n");
    write("into", "now a file\n");
    write("link", "now a file\n");
    write("added/deep/file", "added\n");
    write("eol.crlf", "new\n");
    sandbox.git(&next, &["add", "-A"]).success();
    sandbox.git(&next, &["update-index", "--chmod=+x", "mode"]).success();
    sandbox.git(&next, &["commit", "-q", "-m", "next"]).success();
    sandbox.git(&next, &["push", "-q", "origin", "main"]).success();
    twin
}

/// A fast-forward without git, after `prepare` in both, leaves what git leaves, and refuses where it refuses.
#[track_caller]
fn forward(prepare: &str) -> super::Run {
    let sandbox = sandbox();
    let twin = far_behind(&sandbox);
    script::act(&sandbox, &twin, prepare);
    let theirs = twin.git("copy", &["pull"]);
    let ours = without_git(&sandbox, &twin, &["pull"]);
    let said = |run: &super::Run| (twin.anonymous(&run.stdout), twin.anonymous(&run.stderr), run.status);
    assert_eq!(said(&ours), said(&theirs), "after {prepare}");
    let status = |client: &std::path::Path| {
        sandbox
            .git(&client.join("copy"), &["status", "--porcelain", "--untracked-files=all"])
            .success()
            .stdout
    };
    assert_eq!(status(&twin.ours), status(&twin.theirs), "after {prepare}");
    twin.same_state("copy");
    ours
}

#[test]
fn without_git_a_branch_moves_ahead() {
    for prepare in [
        "",
        "> same mine",
        "> same mine\n! add same",
        "! rm -q same",
        "< same",
        "< plain",
        "> fresh untracked",
        "> plain new\n! add plain",
        "! update-index --index-version 4",
        "! checkout -q --detach\n! checkout -q -B other\n! branch -q -u origin/main",
    ] {
        assert_eq!(forward(prepare).status, 0, "after {prepare}");
    }
}

#[test]
fn without_git_no_change_is_lost() {
    for prepare in [
        "> plain mine",
        "> plain mine\n! add plain",
        "> added untracked",
        "! rm -q plain",
        "> mode mine",
        "> gone/deep/file mine",
        "> turns mine\n> into/file mine",
        "> into/untracked mine",
        "< gone/deep/file\n> gone/deep/file mine",
    ] {
        assert_eq!(forward(prepare).status, 1, "after {prepare}");
    }
}

/// Of an index that is split, replaced entries have no names.
#[test]
fn a_split_index_is_for_git() {
    play(
        "! config core.splitIndex true
         ! config splitIndex.maxPercentChange 100
         ! update-index --split-index
         > README mine
         ! add README
         ! reset -q --hard
         = pull --ff-only",
    );
}

/// What this cannot take along is told and left alone.
#[test]
fn without_git_what_is_special_is_left_alone() {
    let sandbox = sandbox();
    let twin = far_behind(&sandbox);
    let copy = twin.ours.join("copy");
    sandbox.git(&copy, &["update-index", "--assume-unchanged", "same"]).success();
    let before = sandbox.git(&copy, &["rev-parse", "HEAD"]).line();
    let run = without_git(&sandbox, &twin, &["pull"]);
    assert_eq!(run.status, 128, "{run:?}");
    assert!(run.stderr.to_string().contains("git merge FETCH_HEAD"), "{run:?}");
    assert_eq!(sandbox.git(&copy, &["rev-parse", "HEAD"]).line(), before);
    assert_eq!(sandbox.git(&copy, &["status", "--porcelain"]).success().stdout, "");
    assert!(!copy.join(".git/index.lock").exists());
}

/// An index that is there has to be one, where anybody looks into it; a fetch does so before or after it, by where `.gitmodules` is.
#[test]
fn an_index_that_is_too_short_is_refused() {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    twin.prepare(|client| std::fs::write(client.join("copy/.git/index"), "").unwrap());
    let rows = [
        ("copy", &["pull", "--ff-only"][..], 128),
        ("copy", &["pull", "-q"], 128),
        ("copy", &["fetch"], 128),
        ("copy/dir1", &["fetch"], 128),
        ("copy", &["remote", "update"], 1),
        ("copy", &["fetch", "--recurse-submodules=no"], 0),
        ("copy", &["push"], 0),
    ];
    for is_declared in [false, true] {
        let file = |client: &std::path::Path| client.join("copy/.gitmodules");
        if is_declared {
            twin.prepare(|client| std::fs::write(file(client), "").unwrap());
        }
        for (place, words, status) in rows {
            assert_eq!(twin.run(place, words).status, status, "{words:?}");
            twin.same_state("copy");
            twin.prepare(|client| drop(std::fs::remove_file(client.join("copy/.git/FETCH_HEAD"))));
        }
    }
}
