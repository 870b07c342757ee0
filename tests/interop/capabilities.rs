//! Servers of protocol v0 that lack capabilities which every C git has: `git daemon` and `git-http-backend` behind a
//! relay that renames them in the greeting.

use crate::support::proxy::{Fault, Proxy};
use crate::support::{Case, Format, Git, Kind, Stream, Twin, build};

/// The served repository.
const NAME: &str = "project.git";

/// Names that are taken away together. A name takes those with it that it is a part of: `side-band` also
/// `side-band-64k`.
const LACKING: [&[&str]; 9] = [
    &["multi_ack"],
    &["multi_ack_detailed"],
    &["side-band"],
    &["side-band-64k"],
    &["ofs-delta"],
    &["thin-pack"],
    &["include-tag"],
    &["symref", "agent", "object-format", "allow-"],
    &["multi_ack", "side-band", "ofs-delta", "thin-pack", "no-progress", "include-tag", "shallow", "filter"],
];

/// As [`LACKING`], where each request stands alone. Without `multi_ack_detailed` git-upload-pack refuses such requests
/// of C git.
const LACKING_OVER_HTTP: [&[&str]; 3] =
    [&["no-done"], &["side-band-64k"], &["no-done", "side-band", "ofs-delta", "thin-pack"]];

#[test]
fn a_daemon_that_lacks_capabilities() {
    for missing in LACKING {
        clone_and_follow(Kind::Daemon, missing);
    }
}

#[test]
fn a_web_server_that_lacks_capabilities() {
    for missing in LACKING_OVER_HTTP {
        clone_and_follow(Kind::Apache, missing);
    }
}

/// A server without `shallow` is told what it cannot do.
#[test]
fn a_depth_that_the_server_does_not_know() {
    let Some((case, proxy)) = project(Kind::Daemon, &["shallow", "deepen"]) else { return };
    let twin = case.twin();
    let run = twin.run("", &["clone", "-q", "--depth=1", &proxy.url, "copy"]);
    assert_eq!(run.status, 128, "{run:?}");
    assert!(run.complains_of("shallow"), "{run:?}");
}

/// A project behind a relay that takes `missing` away.
fn project(kind: Kind, missing: &'static [&'static str]) -> Option<(Case, Proxy)> {
    let case = Case::new(kind, Git::reference(), 0, Format::Sha1)?;
    build::project(&case.sandbox, &case.served(NAME), case.format, 30);
    let proxy = Proxy::before(&case.url(NAME), Fault::Rename(missing));
    Some((case, proxy))
}

/// A clone, a fetch of what is new, and one where both sides have commits that the other lacks.
fn clone_and_follow(kind: Kind, missing: &'static [&'static str]) {
    let Some((case, proxy)) = project(kind, missing) else { return };
    let twin = case.twin();
    twin.done("", &["clone", "-q", &proxy.url, "copy"]);
    twin.same_objects("copy");
    let greeting = proxy.server_bytes();
    let known = |name: &&str| bstr::ByteSlice::contains_str(&greeting[..], name);
    assert!(missing.iter().all(known), "the server has no {missing:?} to take away");

    let mut stream = Stream::onto("main");
    stream.history(30..60).annotated_tag("v2.0", "refs/heads/main");
    follow(&case, &twin, &stream);
    twin.prepare(|directory| {
        let copy = directory.join("copy");
        Stream::onto("main").history(500..520).import(&case.sandbox, &copy);
        case.sandbox.git(&copy, &["reset", "-q", "--hard"]).success();
    });
    let mut stream = Stream::onto("main");
    stream.history(600..640);
    follow(&case, &twin, &stream);
}

/// Changes the served repository, and both clients fetch: quietly, since git 2.47.3 shows a progress meter where there
/// is no sideband, even with `--no-progress` and without a terminal.
#[track_caller]
fn follow(case: &Case, twin: &Twin<'_>, stream: &Stream) {
    stream.import(&case.sandbox, &case.served(NAME));
    twin.done("copy", &["fetch", "-q"]);
    twin.same("copy");
}
