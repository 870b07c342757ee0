//! Submodules of submodules over real servers: cloned, fetched and pulled with their superproject, in both hashes and both
//! formats of refs.

use std::path::Path;

use bstr::{BString, ByteSlice};

use crate::support::{Case, Format, Git, Kind, Run, Twin, build};

/// What is served, each with the submodules it has: path and repository.
const SERVED: [(&str, &[(&str, &str)]); 3] = [
    ("plain.git", &[]),
    ("inner.git", &[("x", "plain.git")]),
    ("outer.git", &[("one", "inner.git"), ("deep/two", "plain.git")]),
];

/// What is done, and where; `<url>` is the superproject.
const COMMANDS: [(&str, &[&str]); 7] = [
    ("", &["clone", "-q", "--recurse-submodules", "<url>", "copy"]),
    ("", &["clone", "-q", "--recurse-submodules", "--jobs=2", "--ref-format=reftable", "<url>", "tables"]),
    ("", &["clone", "-q", "--recurse-submodules=one", "--shallow-submodules", "<url>", "shallow"]),
    ("copy", &["fetch", "--recurse-submodules", "--jobs=1"]),
    ("tables", &["fetch", "-q", "--recurse-submodules=on-demand", "--jobs=2"]),
    ("shallow", &["-c", "fetch.recurseSubmodules=true", "fetch", "--jobs=1"]),
    ("copy", &["pull", "-q", "--recurse-submodules=no"]),
];

/// The repositories move on, each from what it has to another file and the new commits of its submodules.
fn advance(case: &Case, number: usize) {
    for (name, submodules) in SERVED {
        let served = case.served(name);
        if number == 0 {
            build::empty(&case.sandbox, &served, case.format);
        }
        let git = |arguments: &[&str]| case.sandbox.git(&served, arguments).success().line();
        let mut modules = String::new();
        let mut input = format!("100644 {}\tfile\n", blob(case, &served, &format!("{number}\n")));
        for (path, repository) in submodules {
            modules += &format!("[submodule \"{path}\"]\n\tpath = {path}\n\turl = ../{repository}\n");
            let tip = case.sandbox.git(&case.served(repository), &["rev-parse", "main"]).success().line();
            input += &format!("160000 {tip}\t{path}\n");
        }
        input += &format!("100644 {}\t.gitmodules\n", blob(case, &served, &modules));
        let mut command = case.sandbox.command(&Git::reference().program);
        command.current_dir(&served).args(["update-index", "--add", "--index-info"]);
        Run::with_input(&mut command, input.as_bytes()).success();
        let tree = git(&["write-tree"]);
        let message = format!("{number}");
        let commit = if number == 0 {
            git(&["commit-tree", "-m", &message, &tree])
        } else {
            git(&["commit-tree", "-p", "main", "-m", &message, &tree])
        };
        git(&["update-ref", "refs/heads/main", &commit]);
        case.refresh(name);
    }
}

/// Writes a blob of `text`.
fn blob(case: &Case, repository: &Path, text: &str) -> String {
    let mut command = case.sandbox.command(&Git::reference().program);
    command.current_dir(repository).args(["hash-object", "-w", "--stdin"]);
    Run::with_input(&mut command, text.as_bytes()).success().line()
}

/// What C git says of the submodules of `top`.
fn said(case: &Case, twin: &Twin<'_>, top: &Path) -> BString {
    let each = "git status --porcelain --branch; git for-each-ref; git reflog HEAD; git config --list --local; \
                git rev-parse --show-ref-format --show-object-format --is-shallow-repository; git fsck --full";
    let status = case.sandbox.git(top, &["submodule", "status", "--recursive"]).success();
    let each = case.sandbox.git(top, &["submodule", "foreach", "--recursive", each]).success();
    twin.anonymous(&[status.stdout, each.stdout].concat())
}

fn follow(case: &Case) {
    advance(case, 0);
    let url = case.url("outer.git");
    let twin = case.twin();
    for (number, (place, words)) in COMMANDS.iter().enumerate() {
        if number == 3 {
            advance(case, 1);
        }
        let words: Vec<&str> =
            words.iter().map(|word| if *word == "<url>" { &*url } else { *word }).collect();
        twin.done(place, &words);
    }
    for name in ["copy", "tables", "shallow"] {
        twin.same_state(name);
        let (ours, theirs) = (twin.ours.join(name), twin.theirs.join(name));
        assert_eq!(said(case, &twin, &ours), said(case, &twin, &theirs), "{name}");
    }
}

/// Clones with a filter, whose submodules have it too, and what they lack when all is checked out.
fn filter(case: &Case) {
    advance(case, 0);
    advance(case, 1);
    for (name, _) in SERVED {
        case.sandbox.git(&case.served(name), &["config", "uploadpack.allowFilter", "true"]).success();
    }
    let url = case.url("outer.git");
    let twin = case.twin();
    for (name, options) in [
        ("here", &["--filter=blob:none"][..]),
        ("below", &["--filter=blob:none", "--also-filter-submodules"]),
        ("told", &["--filter=blob:none", "--config=clone.filterSubmodules=true", "--jobs=2"]),
    ] {
        twin.done("", &[&["clone", "-q", "--recurse-submodules"], options, &[&url, name]].concat());
        let [ours, theirs] = [&twin.ours, &twin.theirs].map(|client| {
            let top = client.join(name);
            let each = "git status --porcelain --branch; git for-each-ref; git config --list --local; \
                        git rev-list --objects --all --missing=print | sort";
            let status = case.sandbox.git(&top, &["submodule", "status", "--recursive"]).success();
            let each = case.sandbox.git(&top, &["submodule", "foreach", "--recursive", each]).success();
            twin.anonymous(&[status.stdout, each.stdout].concat())
        });
        assert_eq!(ours, theirs, "{name}");
        let lacks = ours.lines().any(|line| line.starts_with(b"?"));
        assert_eq!(lacks, name != "here", "{ours}");
    }
}

#[test]
fn submodules_are_filtered_over_http_and_git_and_ssh() {
    for kind in [Kind::Apache, Kind::Daemon, Kind::Ssh] {
        crate::once(kind, filter);
    }
}

#[test]
fn submodules_follow_over_http() {
    if let Some(case) = Case::new(Kind::Apache, Git::reference(), 2, Format::Sha256) {
        follow(&case);
    }
}

#[test]
fn submodules_follow_over_git() {
    if let Some(case) = Case::new(Kind::Daemon, Git::reference(), 0, Format::Sha256) {
        follow(&case);
    }
}

#[test]
fn submodules_follow_over_ssh() {
    for format in Format::ALL {
        if let Some(case) = Case::new(Kind::Ssh, Git::reference(), 2, format) {
            follow(&case);
        }
    }
}
