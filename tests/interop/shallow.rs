//! Shallow clones and how their boundary moves: over each transport and version, from each server, `.git/shallow` and
//! what of history is there are those of C git.

use std::fs;
use std::path::Path;

use bstr::BString;

use crate::support::{Case, Format, Git, Kind, Sandbox, Twin, build};

/// The repository that is cloned, and a shallow one that others are fetched from.
const NAME: &str = "project.git";
const CUT: &str = "cut.git";

/// One step of a client.
type Step = &'static [&'static str];

/// What clients do, each in a clone of its own: the options of the clone and those of the fetches that follow.
const LIVES: [(Step, &[Step]); 6] = [
    (&["--depth=1"], &[&["--deepen=1"], &["--deepen=2", "origin", "main"], &["--depth=2"], &["--unshallow"]]),
    (
        &["--depth=3", "--no-single-branch"],
        &[&["--depth=6"], &["--shallow-exclude=base/old"], &["--unshallow"]],
    ),
    (&["--shallow-since=2005-04-07T22:25:13Z"], &[&["--shallow-exclude=base/old"], &["--deepen=3"]]),
    (
        &["--shallow-exclude=base/old", "--no-single-branch"],
        &[&["--shallow-since=2005-04-07T22:20:13Z"], &["--depth=1"]],
    ),
    (
        &[],
        &[
            &["--depth=4"],
            &["--depth=2147483647"],
            &["--shallow-since=2005-04-07T22:25:13Z"],
            &["--unshallow"],
        ],
    ),
    (&["--depth=2", "--bare"], &[&["--deepen=2", "origin", "+refs/heads/*:refs/heads/*"]]),
];

/// The lives that show the most, where others have shown the rest.
const LIVES_FEW: [usize; 2] = [0, 3];

/// A served project, and a shallow clone of it that is served too.
fn serve(case: &Case) {
    let served = case.served(NAME);
    build::project(&case.sandbox, &served, case.format, 24);
    case.sandbox.git(&served, &["update-ref", "refs/base/old", "main~9"]).success();
    let cut = case.served(CUT).display().to_string();
    let url = format!("file://{}", served.display());
    let arguments = ["clone", "-q", "--bare", "--depth=5", "--no-single-branch", &url, &cut];
    case.sandbox.git(&case.sandbox.path(""), &arguments).success();
    case.refresh(NAME);
    case.refresh(CUT);
}

/// The boundary and all commits of both are the same.
#[track_caller]
fn same(case: &Case, twin: &Twin<'_>, name: &str, step: &[&str]) {
    let of = |client: &Path| -> (BString, BString) {
        let repository = client.join(name);
        let inner = repository.join(".git");
        let directory = if inner.is_dir() { inner } else { repository.clone() };
        let mut lines: Vec<String> = fs::read_to_string(directory.join("shallow"))
            .unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect();
        // C git names a commit twice where the server is shallow itself
        lines.sort_unstable();
        lines.dedup();
        let commits = case.sandbox.git(&repository, &["rev-list", "--all", "--parents", "--date-order"]);
        (lines.join("\n").into(), commits.success().stdout)
    };
    let (ours, theirs) = (of(&twin.ours), of(&twin.theirs));
    assert_eq!(ours, theirs, "{step:?}");
}

fn live(case: &Case) {
    serve(case);
    let url = case.url(NAME);
    let twin = case.twin();
    for (number, (options, fetches)) in LIVES.iter().enumerate() {
        let is_first = case.kind == Kind::File && case.git.version == Git::reference().version;
        if !is_first && !LIVES_FEW.contains(&number) {
            continue;
        }
        let name = format!("copy{number}");
        twin.done("", &[&["clone", "-q"], *options, &[&url, &name]].concat());
        same(case, &twin, &name, options);
        for options in *fetches {
            twin.done(&name, &[&["fetch", "-q"], *options].concat());
            same(case, &twin, &name, options);
        }
        case.sandbox.git(&twin.ours.join(&name), &["fsck", "--full"]).success();
    }
    from_shallow_server(case, &twin);
}

/// A server whose history is cut moves our boundary only where it is told to.
fn from_shallow_server(case: &Case, twin: &Twin<'_>) {
    let (cut, url) = (case.url(CUT), case.url(NAME));
    twin.done("", &["clone", "-q", &cut, "of-cut"]);
    same(case, twin, "of-cut", &["clone"]);
    twin.prepare(|client| {
        case.sandbox.git(client, &["init", "-q", "new"]).success();
        let new = client.join("new");
        case.sandbox.git(&new, &["commit", "-q", "--allow-empty", "-m", "own"]).success();
        case.sandbox.git(&new, &["remote", "add", "cut", &cut]).success();
    });
    if case.kind.is_http() && case.version < 2 {
        // C git, whose program for this is not told of the other's boundary, finds its own fetch incomplete
        twin.gitr("new", &["fetch", "-q", "--update-shallow", "cut"]).success();
        case.sandbox.git(&twin.ours.join("new"), &["fsck", "--full"]).success();
        return;
    }
    // C git asks once more for the tags that it has just refused, and says all of it again
    let (ours, theirs) = (twin.gitr("new", &["fetch", "cut"]), twin.git("new", &["fetch", "cut"]));
    assert_eq!((ours.status, theirs.status), (0, 0), "{ours:?}");
    let rejected = "rejected refs/remotes/cut/main because shallow roots are not allowed to be updated";
    assert!(ours.complains_of(rejected) && theirs.complains_of(rejected), "{ours:?}");
    same(case, twin, "new", &["fetch"]);
    case.sandbox.git(&twin.ours.join("new"), &["fsck", "--full"]).success();
    if case.is_slow() {
        return;
    }
    for options in [
        &["--update-shallow", "cut", "+refs/heads/*:refs/remotes/cut/*"][..],
        &["--depth=2", "cut"],
        &["--unshallow", &url, "+refs/heads/*:refs/remotes/cut/*"],
    ] {
        // what C git finds missing before it asks it tells too
        let words = [&["fetch", "-q"], options].concat();
        let (ours, theirs) = (twin.gitr("new", &words), twin.git("new", &words));
        assert_eq!((ours.status, theirs.status), (0, 0), "{ours:?}\n{theirs:?}");
        same(case, twin, "new", options);
    }
    let refused = twin.run("", &["clone", "-q", "--reject-shallow", &cut, "refused"]);
    assert_eq!(refused.status, 128, "{refused:?}");
}

/// Over one transport, in each version, from each C git and from gitr.
fn over(kind: Kind, servers: &[&Git]) {
    for server in servers {
        for version in 0..=2 {
            if let Some(case) = Case::new(kind, server, version, Format::Sha1) {
                live(&case);
            }
        }
    }
}

fn gits() -> Vec<&'static Git> {
    Git::all().iter().collect()
}

#[test]
fn boundaries_over_file() {
    over(Kind::File, &gits());
}

#[test]
fn boundaries_over_git() {
    over(Kind::Daemon, &gits());
}

#[test]
fn boundaries_over_ssh() {
    over(Kind::Ssh, &gits()[..1]);
}

#[test]
fn boundaries_over_ssh_from_an_older_git() {
    if let Some(case) = gits().get(1).and_then(|git| Case::new(Kind::Ssh, git, 2, Format::Sha1)) {
        live(&case);
    }
}

#[test]
fn boundaries_over_http() {
    over(Kind::Apache, &gits()[..1]);
}

#[test]
fn boundaries_over_http_from_an_older_git() {
    over(Kind::Apache, &gits()[1..]);
}

#[test]
fn boundaries_from_gitr() {
    let gitr = [crate::serve_transport::server()];
    over(Kind::File, &gitr);
    over(Kind::Daemon, &gitr);
}

#[test]
fn boundaries_from_gitr_over_http() {
    over(Kind::Apache, &[crate::serve_transport::server()]);
}

#[test]
fn boundaries_from_gitr_over_ssh() {
    over(Kind::Ssh, &[crate::serve_transport::server()]);
}

/// What makes no sense is refused by both, and moves nothing.
#[test]
fn boundaries_that_cannot_be_moved() {
    crate::once(Kind::File, |case| {
        serve(case);
        let twin = case.twin();
        twin.done("", &["clone", "-q", "--depth=2", &case.url(NAME), "copy"]);
        for options in [
            &["--shallow-exclude=nosuch"][..],
            &["--shallow-since=2030-01-01"],
            &["--depth=0"],
            &["--depth=-1"],
            &["--deepen=-1"],
            &["--depth=2", "--deepen=1"],
            &["--depth=2", "--unshallow"],
        ] {
            let run = twin.run("copy", &[&["fetch"], options].concat());
            assert_eq!(run.status, 128, "{run:?}");
            same(case, &twin, "copy", options);
        }
        twin.done("copy", &["fetch", "--unshallow"]);
        assert!(!twin.ours.join("copy/.git/shallow").exists());
        assert_eq!(twin.run("copy", &["fetch", "--unshallow"]).status, 128);
    });
}

/// Where the boundary is not that of our objects, nothing that comes makes the history whole: a fetch that is to move it fails.
#[test]
fn a_boundary_that_was_lost_is_noticed() {
    let sandbox = Sandbox::new();
    let served = sandbox.path("served").join(NAME);
    build::project(&sandbox, &served, Format::Sha1, 24);
    let url = format!("file://{}", served.display());
    let twin = Twin::new(&sandbox, 2, Vec::new());
    let boundary = Format::Sha1.id_of('1') + "\n";
    for (number, option) in ["--unshallow", "--deepen=1", "--depth=2", "--depth=100"].iter().enumerate() {
        let name = format!("copy{number}");
        twin.prepare(|client| {
            sandbox.git(client, &["clone", "-q", "--depth=1", &url, &name]).success();
            fs::write(client.join(&name).join(".git/shallow"), &boundary).unwrap();
        });
        for run in [twin.gitr(&name, &["fetch", option]), twin.git(&name, &["fetch", option])] {
            assert_ne!(run.status, 0, "{option}: {run:?}");
            assert!(run.complains_of("did not send all necessary objects"), "{option}: {run:?}");
        }
        for client in [&twin.ours, &twin.theirs] {
            let now = fs::read_to_string(client.join(&name).join(".git/shallow")).unwrap();
            assert_eq!(now, boundary, "{option}");
        }
    }
}
