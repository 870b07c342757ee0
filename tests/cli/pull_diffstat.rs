//! What a fast-forward shows of what changed, beside C git.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::support::{Sandbox, Stream, Twin, script};
use super::{clones, sandbox};

/// Numbers from one to another, a line for each.
fn numbers(from: usize, to: usize) -> String {
    let mut lines: Vec<String> = (from..=to).map(|number| number.to_string()).collect();
    lines.push(String::new());
    lines.join("\n")
}

/// Two clones that are behind a commit with changes of every kind.
fn behind(sandbox: &Sandbox) -> Twin<'_> {
    let long = "a-long-name-that-goes-on-and-on/and-never-seems-to-end/however-long-one-may-go-on-reading-it";
    let source = sandbox.path("served/project.git");
    let mut stream = Stream::onto("main");
    stream.commit("main", 90).file("changed/a/few", numbers(1, 100)).file("binary", "a\0b");
    stream
        .file("moved-binary", "b\0c")
        .file("deep/a/b/c/file", numbers(500, 900))
        .file("dir/renamed", numbers(200, 400));
    stream
        .file("script", "x\n")
        .file("empty", "")
        .file("gone", "gone\n")
        .file("with \\quote", numbers(1, 30));
    stream.file("über", numbers(1, 30)).entry("120000", "link", b"gone").file("to-link", "file\n");
    stream
        .file(".gitattributes", "*.nd -diff\n*.txt diff=words\n*.forced diff\n")
        .file("x.nd", numbers(1, 5));
    stream.file("no-end", "no end").file("large", numbers(1, 2000)).file(long, numbers(1, 20));
    stream
        .file("one/two/three/f", numbers(30, 80))
        .file("up/x/here", numbers(1, 40))
        .file("words.txt", "words\n");
    stream.file("x.forced", "a\0b\n").file("renamed-and-executable", numbers(1000, 1050));
    stream.import(sandbox, &source);
    let twin = clones(sandbox);
    let next = sandbox.path("next");
    sandbox.git(&sandbox.path(""), &["clone", "-q", &source.display().to_string(), "next"]).success();
    change(sandbox, &next, long);
    twin
}

/// Changes, makes, moves and removes files in the clone `next`, commits and pushes.
fn change(sandbox: &Sandbox, next: &Path, long: &str) {
    let git = |arguments: &[&str]| drop(sandbox.git(next, arguments).success());
    let moves = [
        ("moved-binary", "other/moved-binary"),
        ("deep/a/b/c/file", "deep/a/x/c/file"),
        ("dir/renamed", "dir/named"),
        ("empty", "still-empty"),
        ("one/two/three/f", "one/three/f"),
        ("up/x/here", "here"),
        ("renamed-and-executable", "changed/executable"),
    ];
    for (from, to) in moves {
        std::fs::create_dir_all(next.join(to).parent().unwrap()).unwrap();
        git(&["mv", from, to]);
    }
    git(&["rm", "-q", "gone", "link", "to-link"]);
    let write = |name: &str, text: &str| std::fs::write(PathBuf::from(next).join(name), text).unwrap();
    write("changed/a/few", &numbers(1, 100).replace("\n50\n", "\nfifty\n").replace("\n70\n", "\n"));
    write("binary", "a\0bcdef");
    write("with \\quote", &numbers(1, 31));
    write("über", &numbers(2, 32));
    write("link", "file\n");
    write("x.nd", &numbers(1, 6));
    write("no-end", "no end\n");
    write("large", &numbers(1000, 4000));
    write(long, &numbers(3, 21));
    write("new", "new\n");
    write("new-binary", &"\0".repeat(1000));
    write("new-script", "#!/bin/sh\n");
    write("tab\there", "tab\n");
    std::fs::write(next.join(std::ffi::OsStr::from_bytes(b"latin\xfc")), "latin\n").unwrap();
    write("words.txt", "other words\n");
    write("x.forced", "a\0b\nc\n");
    std::os::unix::fs::symlink("new", next.join("to-link")).unwrap();
    std::os::unix::fs::symlink("new", next.join("new-link")).unwrap();
    git(&["add", "-A"]);
    git(&["update-index", "--chmod=+x", "script", "new-script", "changed/executable"]);
    git(&["commit", "-q", "-m", "next"]);
    git(&["push", "-q", "origin", "main"]);
}

/// Each command is given to clones that are behind.
const COMMANDS: [&str; 36] = [
    "pull",
    "pull -n",
    "pull --no-stat",
    "pull --summary",
    "pull -q --stat",
    "-c merge.stat=false pull",
    "-c merge.stat=false pull --stat",
    "-c diff.statNameWidth=20 pull",
    "-c diff.statGraphWidth=10 pull",
    "-c diff.statGraphWidth=3 -c diff.statNameWidth=12 pull",
    "-c diff.statGraphWidth=-1 pull",
    "-c diff.statGraphWidth=-9 -c diff.statNameWidth=12 pull",
    "-c diff.statGraphWidth=-9 -c diff.statNameWidth=-12 pull",
    "-c core.quotePath=false pull",
    "-c core.quotePath=false -c diff.statNameWidth=6 pull",
    "-c diff.renames=false pull",
    "-c diff.renameLimit=1 pull",
    "-c diff.renameLimit=0 pull",
    "-c diff.renames=copies pull",
    "-c diff.orderFile=.git/order pull",
    "-c diff.orderFile=/dev/null pull",
    "-c diff.orderFile=nosuch pull",
    "-c diff.noprefix=true pull",
    "-c diff.noprefix=nonsense pull",
    "-c diff.mnemonicPrefix=true pull",
    "-c diff.relative=true pull",
    "-c diff.external=false pull",
    "-c color.ui=always pull",
    "-c color.diff=always -c color.diff.new=blue -c color.diff.old=ul pull",
    "-c color.ui=always -c color.diff=never pull",
    "-c diff.algorithm=histogram pull",
    "-c diff.words.binary=true pull",
    "-c diff.words.binary=false pull",
    "-c merge.autoStash=true pull",
    "-c pull.rebase=true pull",
    "-c pull.twohead=ours pull --no-edit",
];

#[test]
fn the_changes_of_a_fast_forward_are_shown_as_git_shows_them() {
    let sandbox = sandbox();
    let twin = behind(&sandbox);
    script::act(&sandbox, &twin, "> .git/order *.txt");
    let shown = twin.run("copy", &["pull"]);
    let text = shown.stdout.to_string();
    let stale = sandbox.git(&twin.ours.join("copy"), &["diff-files"]).success().stdout;
    assert_eq!(stale, "", "the index knows its files");
    for part in
        ["{b => x}", "{two => }", "mode change", "create mode 120000", "Bin 3 -> 7 bytes", "\"tab\\there\""]
    {
        assert!(text.contains(part), "no {part} in {text}");
    }
    for command in COMMANDS {
        script::act(&sandbox, &twin, &format!("! reset -q --hard ORIG_HEAD\n= {command}"));
    }
    twin.same_state("copy");
}

#[test]
fn the_changes_of_a_fast_forward_fit_into_the_columns() {
    let mut sandbox = sandbox();
    for (number, columns) in ["1", "24", "40", "57", "100", "250"].into_iter().enumerate() {
        sandbox.set("COLUMNS", columns);
        let twin = if number == 0 { behind(&sandbox) } else { again(&sandbox) };
        script::act(&sandbox, &twin, "= pull\n! reset -q --hard ORIG_HEAD");
    }
}

/// Clones of what [`behind`] has made, one commit behind.
fn again(sandbox: &Sandbox) -> Twin<'_> {
    let twin = clones(sandbox);
    script::act(sandbox, &twin, "! reset -q --hard HEAD~1");
    twin
}

/// git 2.51 has `pull --compact-summary` and `merge.stat=compact`; C git's `diff --compact-summary` says the same.
#[test]
fn the_changes_of_a_fast_forward_are_shown_in_one_line_each() {
    let sandbox = sandbox();
    let twin = behind(&sandbox);
    for command in [&["pull", "--compact-summary"][..], &["-c", "merge.stat=compact", "pull"]] {
        let shown = twin.gitr("copy", command).success().stdout.to_string();
        let copy = twin.ours.join("copy");
        let expected =
            sandbox.git(&copy, &["diff", "-M", "--compact-summary", "ORIG_HEAD", "HEAD"]).success();
        let (_, table) = shown.split_once("Fast-forward\n").expect("it is a fast-forward");
        assert_eq!(table, expected.stdout.to_string());
        assert!(table.contains("(new +x)") && table.contains("(gone)"), "{table}");
        sandbox.git(&copy, &["reset", "-q", "--hard", "ORIG_HEAD"]).success();
    }
}

/// git-merge(1), "--ff": an annotated tag that is not here is merged, one that is here is moved to.
#[test]
fn a_tag_is_moved_to_if_it_is_here() {
    let sandbox = sandbox();
    let twin = behind(&sandbox);
    let next = sandbox.path("next");
    sandbox.git(&next, &["tag", "-a", "-m", "signed off", "v9"]).success();
    sandbox.git(&next, &["push", "-q", "origin", "v9"]).success();
    script::act(
        &sandbox,
        &twin,
        "= pull --no-edit --no-tags origin tag v9
         ! reset -q --hard ORIG_HEAD
         = pull --no-edit --no-tags origin v9
         ! tag -d v9
         ! reset -q --hard ORIG_HEAD
         = pull --no-edit --ff-only --no-tags origin refs/tags/v9",
    );
    twin.same_state("copy");
}
