//! `ls-remote --sort`, each key beside C git.

use std::path::Path;

use bstr::ByteSlice;

use super::support::{Git, Run, Sandbox};
use super::{clones, sandbox};

/// Commits and tags whose authors, committers and taggers have dates of their own, in zones of their own.
fn date(sandbox: &Sandbox, copy: &Path) {
    let git = |author: &str, committer: &str, arguments: &[&str]| {
        let mut command = sandbox.command(&Git::reference().program);
        command.env("GIT_AUTHOR_DATE", author).env("GIT_COMMITTER_DATE", committer);
        Run::of(command.current_dir(copy).args(arguments)).success();
    };
    let commit = ["commit", "-q", "--allow-empty", "-m", "x"];
    for (number, (author, committer)) in [
        ("1400000000 -0700", "1500000000 +0000"),
        ("1400000000 +0900", "1500000000 +0100"),
        ("1300000000 +0000", "1500000000 +0000"),
        ("1400003600 -0800", "1600000000 +0000"),
    ]
    .into_iter()
    .enumerate()
    {
        git(author, committer, &commit);
        git(author, committer, &["branch", &format!("dated{number}")]);
        git(author, committer, &["branch", &format!("again{number}"), "main~1"]);
    }
    for (name, date) in [("b", "1450000000 +0000"), ("a", "1450000000 +0000"), ("c", "1350000000 +0000")] {
        git(date, date, &["tag", "-m", "x", name]);
    }
    git("1", "1", &["tag", "tree", "HEAD^{tree}"]);
    git("1", "1", &["tag", "blob", "HEAD:README"]);
}

#[test]
fn refs_are_sorted_by_what_their_objects_hold() {
    const KEYS: [&str; 31] = [
        "authordate",
        "committerdate",
        "taggerdate",
        "creatordate",
        "objectname",
        "objecttype",
        "objectsize",
        "authordate:iso",
        "authordate:iso8601-strict",
        "authordate:iso-strict-local",
        "committerdate:short",
        "authordate:raw",
        "authordate:unix",
        "authordate:rfc2822",
        "authordate:default",
        "authordate:local",
        "creatordate:iso",
        "objectname:short",
        "objectname:",
        "authordate:nosuch",
        "authordate:",
        "authordate:format",
        "authordate:iso-x",
        "objectname:x",
        "objectsize:x",
        "objecttype:x",
        "",
        "refname",
        "version:refname",
        "nosuch",
        "-nosuch",
    ];
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    twin.prepare(|client| date(&sandbox, &client.join("copy")));
    for key in KEYS {
        for sort in [format!("--sort={key}"), format!("--sort=-{key}")] {
            twin.run("copy", &["ls-remote", &sort, "."]);
        }
        twin.run("copy", &["ls-remote", "--sort=-refname", &format!("--sort={key}"), "."]);
        twin.run("copy", &["ls-remote", &format!("--sort={key}"), "--sort=-objecttype", "."]);
        twin.run("", &["ls-remote", &format!("--sort=-{key}"), "copy"]);
    }
}

/// C git sorts by what is written, which is not known here: it is said, not sorted some other way.
#[test]
fn dates_that_cannot_be_written_are_not_sorted_by() {
    let sandbox = sandbox();
    let twin = clones(&sandbox);
    for format in ["relative", "human", "human-local", "format:%d", "format-local:%H"] {
        let words = ["ls-remote", &format!("--sort=committerdate:{format}"), "."];
        assert_eq!(twin.git("copy", &words).status, 0, "{format}");
        let ours = twin.gitr("copy", &words);
        let text = format!("fatal: sorting by dates written as '{format}' is not supported\n");
        assert_eq!(
            (ours.status, ours.stdout.as_bstr(), ours.stderr.as_bstr()),
            (128, "".into(), text.as_str().into())
        );
    }
}
