//! Options of `clone` and `fetch` as a table, over each transport and version: what is printed, returned and left is what
//! C git prints, returns and leaves.

use crate::support::{Case, Format, Git, Kind, Run, Stream, Twin, build};

/// The repository that is cloned.
const NAME: &str = "project.git";

/// Options of a clone.
const CLONES: [&[&str]; 9] = [
    &["--bare"],
    &["--mirror"],
    &["--single-branch", "--branch", "topic"],
    &["--no-tags", "--no-checkout"],
    &["--depth", "2"],
    &["--shallow-exclude=base/old", "--no-single-branch"],
    &["--filter=blob:none", "--no-checkout"],
    &["-v", "--origin", "upstream"],
    &["--branch", "v1.0", "-c", "core.autocrlf=false"],
];

/// Options of fetches that follow each other in one clone, and how they end.
const FETCHES: [(&[&str], i32); 18] = [
    (&["origin", "topic"], 0),
    (&["-v"], 0),
    (&["--dry-run"], 0),
    (&["--append", "origin", "main", "topic"], 0),
    (&["--porcelain", "origin", "+refs/heads/*:refs/remotes/all/*", "^refs/heads/topic"], 0),
    (&["--refmap=", "origin", "release/1.0:refs/heads/mine"], 0),
    (&["--atomic", "--tags"], 0),
    (&["--no-tags", "--prune"], 0),
    (&["--prune", "--prune-tags"], 0),
    (&["origin", "tag", "v1.0"], 0),
    (&["--prefetch"], 0),
    (&["--no-write-fetch-head", "origin", "main"], 0),
    (&["--negotiation-tip=main", "origin"], 0),
    (&["--set-upstream", "origin", "topic"], 0),
    (&["--depth=3"], 0),
    (&["--unshallow"], 0),
    (&["origin", "nosuch"], 128),
    (&["--multiple", "--jobs=2", "origin"], 0),
];

/// The rows that show the most, where others have shown the rest.
const FETCHES_FEW: [usize; 8] = [1, 4, 5, 6, 8, 14, 15, 16];
const CLONES_FEW: [usize; 3] = [2, 4, 6];

fn table(case: &Case) {
    let served = case.served(NAME);
    build::project(&case.sandbox, &served, case.format, 24);
    case.sandbox.git(&served, &["update-ref", "refs/base/old", "main~9"]).success();
    case.refresh(NAME);
    let url = case.url(NAME);
    let twin = case.twin();
    let is_first = case.kind == Kind::Apache && case.version == 2;
    for (number, options) in CLONES.iter().enumerate() {
        if !is_first && !CLONES_FEW.contains(&number) {
            continue;
        }
        let name = format!("copy{number}");
        twin.done("", &[&["clone"], *options, &[&url, &name]].concat());
        twin.same_state(&name);
        case.sandbox.git(&twin.ours.join(&name), &["fsck", "--full"]).success();
    }
    twin.done("", &["clone", "-q", &url, "copy"]);
    let mut stream = Stream::onto("main");
    stream
        .history(24..36)
        .annotated_tag("v2.0", "refs/heads/main")
        .branch("release/1.0", "refs/tags/v0.1^0~2");
    stream.import(&case.sandbox, &served);
    case.refresh(NAME);
    for (number, row) in FETCHES.iter().enumerate() {
        if is_first || FETCHES_FEW.contains(&number) {
            fetch(case, &twin, *row);
        }
    }
}

fn fetch(case: &Case, twin: &Twin<'_>, (options, status): (&[&str], i32)) {
    let words = [&["fetch"], options].concat();
    if status == 0 {
        twin.done("copy", &words);
    } else {
        // what the far side says of a client that hangs up comes when it comes
        let (ours, theirs) = (twin.gitr("copy", &words), twin.git("copy", &words));
        let said = |run: &Run| {
            let mut lines: Vec<String> = run.stderr.to_string().lines().map(str::to_owned).collect();
            lines.sort_unstable();
            (run.status, lines)
        };
        assert_eq!(said(&ours), said(&theirs), "{options:?}");
        assert_eq!(ours.status, status, "{ours:?}");
    }
    twin.same_state("copy");
    if options.contains(&"--depth=3") {
        case.sandbox.git(&twin.ours.join("copy"), &["fsck", "--full"]).success();
    }
}

fn over(kind: Kind) {
    for version in 0..=2 {
        if let Some(case) = Case::new(kind, Git::reference(), version, Format::Sha1) {
            table(&case);
        }
    }
}

#[test]
fn options_over_http() {
    over(Kind::Apache);
}

#[test]
fn options_over_ssh() {
    over(Kind::Ssh);
}

#[test]
fn options_over_git() {
    over(Kind::Daemon);
}
