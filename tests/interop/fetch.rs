//! A clone that keeps up with a repository that grows, loses branches and rewrites history.

use crate::support::{Case, Kind, Stream, Twin, build};

/// The repository that changes.
const NAME: &str = "project.git";

/// Everything that can happen to a repository between two fetches, one after the other.
pub fn scenario(case: &Case) {
    build::project(&case.sandbox, &case.served(NAME), case.format, 30);
    case.refresh(NAME);
    let twin = case.twin();
    twin.done("", &["clone", "-q", &case.url(NAME), "copy"]);

    let fetch = |change: fn(&mut Stream) -> &mut Stream, arguments: &[&str]| {
        let mut stream = Stream::onto("main");
        change(&mut stream);
        follow(case, &twin, &stream, arguments);
    };
    fetch(|stream| stream.history(30..31), &["fetch"]);
    fetch(|stream| stream.history(31..131), &["fetch", "origin"]);
    if case.is_slow() {
        return rewritten(case, &twin, "refs/tags/v1.0^0");
    }
    fetch(|stream| stream.history(131..140).light_tag("v0.2", "refs/heads/main"), &["fetch", "-v"]);
    fetch(|stream| stream.annotated_tag("v2.0", "refs/heads/main"), &["fetch", "--tags"]);
    fetch(|stream| stream.branch("release/1.0", "refs/tags/v0.1"), &["fetch"]);
    fetch(
        |stream| stream.branch("new/one", "refs/heads/main").history(140..142),
        &["fetch", "origin", "main"],
    );
    fetch(|stream| stream, &["fetch", "origin"]);
    fetch(|stream| stream.history(142..143), &["fetch", "-q"]);

    rewritten(case, &twin, "refs/tags/v2.0^0");
    diverged(case, &twin);
    pruned(case, &twin);
}

/// What `main` has beyond `base` is thrown away and replaced: the row says so.
fn rewritten(case: &Case, twin: &Twin<'_>, base: &str) {
    let mut stream = Stream::new();
    stream.branch("main", base).commit("main", 7_000).file("other.txt", "other\n");
    follow(case, twin, &stream, &["fetch"]);
}

/// Both sides have commits that the other lacks.
fn diverged(case: &Case, twin: &Twin<'_>) {
    twin.prepare(|directory| {
        let mut local = Stream::onto("main");
        local.history(500..560).import(&case.sandbox, &directory.join("copy"));
        let copy = directory.join("copy");
        case.sandbox.git(&copy, &["reset", "-q", "--hard"]).success();
    });
    let mut stream = Stream::onto("main");
    stream.history(600..640);
    follow(case, twin, &stream, &["fetch"]);
}

/// A branch is deleted: `--prune` takes its tracking branch away.
fn pruned(case: &Case, twin: &Twin<'_>) {
    case.sandbox.git(&case.served(NAME), &["update-ref", "-d", "refs/heads/new/one"]).success();
    follow(case, twin, &Stream::new(), &["fetch"]);
    follow(case, twin, &Stream::new(), &["fetch", "--prune"]);
    follow(case, twin, &Stream::new(), &["fetch", "--prune", "--verbose"]);
}

/// Changes the served repository, and both clients fetch.
#[track_caller]
fn follow(case: &Case, twin: &Twin<'_>, stream: &Stream, arguments: &[&str]) {
    stream.import(&case.sandbox, &case.served(NAME));
    case.refresh(NAME);
    twin.done("copy", arguments);
    twin.same("copy");
}

/// Five thousand commits at once: the pack is indexed, not unpacked.
#[test]
fn fetch_of_five_thousand_commits() {
    crate::once(Kind::Daemon, |case| {
        build::project(&case.sandbox, &case.served(NAME), case.format, 30);
        let twin = case.twin();
        twin.done("", &["clone", "-q", &case.url(NAME), "copy"]);
        let mut stream = Stream::onto("main");
        stream.history(30..5_030);
        follow(case, &twin, &stream, &["fetch"]);
    });
}

/// Five thousand local commits that the server does not know: the negotiation goes many rounds.
#[test]
fn fetch_into_five_thousand_unknown_commits() {
    for kind in [Kind::Daemon, Kind::Apache] {
        crate::once(kind, |case| {
            build::project(&case.sandbox, &case.served(NAME), case.format, 30);
            let twin = case.twin();
            twin.done("", &["clone", "-q", &case.url(NAME), "copy"]);
            twin.prepare(|directory| {
                let mut local = Stream::onto("main");
                local.history(1_000..6_000).import(&case.sandbox, &directory.join("copy"));
                case.sandbox.git(&directory.join("copy"), &["reset", "-q", "--hard"]).success();
            });
            let mut stream = Stream::onto("main");
            stream.history(30..40);
            follow(case, &twin, &stream, &["fetch"]);
        });
    }
}

/// What a fetch refuses: the rows, the words and the exit code.
#[test]
fn fetch_refuses_what_git_refuses() {
    crate::once(Kind::File, |case| {
        build::project(&case.sandbox, &case.served(NAME), case.format, 30);
        let twin = case.twin();
        twin.done("", &["clone", "-q", &case.url(NAME), "copy"]);
        let mut stream = Stream::new();
        stream.branch("release/1.0", "refs/tags/v0.1^1").light_tag("v0.1", "refs/tags/v0.1^1");
        stream.import(&case.sandbox, &case.served(NAME));

        let not_forced = "refs/heads/release/1.0:refs/remotes/origin/release/1.0";
        let refused = twin.run("copy", &["fetch", "origin", not_forced, "--refmap="]);
        assert_eq!(refused.status, 1, "{refused:?}");
        let clobbering = twin.run("copy", &["fetch", "origin", "--tags"]);
        assert_eq!(clobbering.status, 1, "{clobbering:?}");
        let missing = twin.run("copy", &["fetch", "origin", "nosuch"]);
        assert_eq!(missing.status, 128, "{missing:?}");
        let checked_out = twin.run("copy", &["fetch", "origin", "topic:main"]);
        assert_eq!(checked_out.status, 128, "{checked_out:?}");
        let unknown = twin.run("copy", &["fetch", "nosuch"]);
        assert_eq!(unknown.status, 128, "{unknown:?}");
        twin.same("copy");
    });
}

/// Ways to say what is fetched, each on the same clone.
#[test]
fn fetch_takes_refspecs_as_git_does() {
    crate::once(Kind::File, |case| {
        build::project(&case.sandbox, &case.served(NAME), case.format, 30);
        let twin = case.twin();
        let url = case.url(NAME);
        twin.done("", &["clone", "-q", "--single-branch", &url, "copy"]);
        let tip = case.sandbox.git(&case.served(NAME), &["rev-parse", "topic"]).line();
        for arguments in [
            &["fetch", &url][..],
            &["fetch", &url, "topic"],
            &["fetch", "origin", "refs/heads/topic:refs/heads/mine"],
            &["fetch", "origin", "+refs/heads/*:refs/remotes/all/*"],
            &["fetch", "origin", "+refs/heads/*:refs/remotes/some/*", "^refs/heads/topic"],
            &["fetch", "origin", "tag", "v1.0"],
            &["fetch", "--no-tags", "origin", "HEAD"],
            &["fetch", "origin", &tip],
            &["fetch", "--append", "origin", "topic"],
            &["fetch", "--dry-run", "origin", "release/1.0"],
            &["fetch", "--porcelain", "origin", "release/1.0:refs/heads/other"],
            &["fetch", "--depth", "3", "origin", "main"],
            &["fetch", "--deepen", "2", "origin", "main"],
            &["fetch", "--unshallow"],
        ] {
            twin.done("copy", arguments);
            twin.same("copy");
        }
    });
}
