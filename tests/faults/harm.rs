//! Connections that break and bytes that change on the way, over `git://`.

use crate::support::proxy::{Fault, Proxy};
use crate::support::{Case, Format, Git, Kind, Stream, Twin, build, state};

/// The repository that is cloned.
const NAME: &str = "project.git";
/// At how many places of a conversation it is broken.
const PLACES: u64 = 24;

/// A served project and its URL.
fn project(version: u8) -> (Case, String) {
    let case = Case::new(Kind::Daemon, Git::reference(), version, Format::Sha1).unwrap();
    build::project(&case.sandbox, &case.served(NAME), case.format, 40);
    let url = case.url(NAME);
    (case, url)
}

/// How many bytes the server sends for a whole clone.
fn length_of_clone(case: &Case, url: &str) -> u64 {
    let proxy = Proxy::before(url, Fault::None);
    case.twin().git("", &["clone", &proxy.url, "copy"]).success();
    proxy.server_bytes().len() as u64
}

/// Clones through `fault` with gitr: it fails with 128 and leaves nothing.
#[track_caller]
fn clone_breaks(case: &Case, twin: &Twin<'_>, url: &str, fault: Fault) {
    let proxy = Proxy::before(url, fault);
    let run = twin.gitr("", &["clone", &proxy.url, "copy"]);
    assert_eq!(run.status, 128, "{fault:?}: {run:?}");
    assert!(run.complains_of("fatal: "), "{fault:?}: {run:?}");
    crate::assert_nothing_left(twin, &case.sandbox);
}

/// Breaks clones of every protocol version at places spread over the whole conversation.
fn sweep(fault: fn(u64) -> Fault) {
    for version in 0..=2 {
        let (case, url) = project(version);
        let length = length_of_clone(&case, &url);
        let twin = case.twin();
        for place in (0..PLACES).map(|step| length * step / PLACES) {
            clone_breaks(&case, &twin, &url, fault(place));
        }
    }
}

#[test]
fn a_clone_cut_anywhere_leaves_nothing() {
    sweep(Fault::Close);
}

#[test]
fn a_clone_reset_anywhere_leaves_nothing() {
    sweep(Fault::Reset);
}

/// A reset is told apart from an end.
#[test]
fn a_reset_greeting_names_the_reset() {
    let (case, url) = project(2);
    let proxy = Proxy::before(&url, Fault::Reset(2));
    let twin = case.twin();
    for run in [twin.git("", &["clone", &proxy.url, "copy"]), twin.gitr("", &["clone", &proxy.url, "copy"])] {
        assert_eq!(run.status, 128, "{run:?}");
        assert!(run.complains_of("Connection reset by peer"), "{run:?}");
    }
    crate::assert_nothing_left(&twin, &case.sandbox);
}

/// While only the greeting is under way nothing is left to chance: gitr's words are C git's.
#[test]
fn a_cut_greeting_is_told_as_git_tells_it() {
    for version in 0..=2 {
        let (case, url) = project(version);
        for place in [0, 1, 3, 4, 10, 60] {
            let proxy = Proxy::before(&url, Fault::Close(place));
            let twin = case.twin();
            let run = twin.run("", &["clone", &proxy.url, "copy"]);
            assert_eq!(run.status, 128, "{run:?}");
        }
    }
}

/// A bit turned in the pack: the checksums tell, and nothing of it stays.
#[test]
fn a_pack_with_a_turned_bit_is_refused() {
    for version in 0..=2 {
        let (case, url) = project(version);
        let length = length_of_clone(&case, &url);
        let twin = case.twin();
        for place in (0..PLACES).map(|step| length / 2 + length * step / (PLACES * 5 / 2)) {
            clone_breaks(&case, &twin, &url, Fault::Flip(place));
        }
    }
}

/// A fetch that breaks changes no ref and leaves no file; the next one works.
#[test]
fn a_broken_fetch_changes_nothing() {
    let (case, url) = project(2);
    let twin = case.twin();
    twin.done("", &["clone", "-q", &case.url(NAME), "copy"]);
    let mut stream = Stream::onto("main");
    stream.commit("main", 900).file("noise", build::noise(200_000));
    stream.import(&case.sandbox, &case.served(NAME));
    let copy = twin.ours.join("copy");
    let refs = |part: &(&str, _)| ["refs", "HEAD", "config", "reflogs", "work tree"].contains(&part.0);
    let before: Vec<_> = state::of(&case.sandbox, &copy).into_iter().filter(refs).collect();
    for place in [0, 50, 1_000, 5_000, 100_000] {
        let proxy = Proxy::before(&url, Fault::Close(place));
        let tracking = "refs/heads/*:refs/remotes/origin/*";
        let run = twin.gitr("copy", &["fetch", &proxy.url, tracking]);
        assert_eq!(run.status, 128, "cut at {place}: {run:?}");
        let after: Vec<_> = state::of(&case.sandbox, &copy).into_iter().filter(refs).collect();
        assert_eq!(before, after, "cut at {place}");
    }
    twin.done("copy", &["fetch"]);
    case.sandbox.git(&copy, &["fsck", "--full"]).success();
}
