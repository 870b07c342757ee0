//! Partial clones: what a filter leaves out, and how it is fetched once it is needed.

use std::fs;
use std::path::{Path, PathBuf};

use bstr::{BString, ByteSlice};

use crate::support::gateway::Gateway;
use crate::support::servers::port_of;
use crate::support::{Case, Format, Git, Kind, Sandbox, Stream, Twin, build, state};

/// The repository that is cloned.
const NAME: &str = "project.git";

/// What a filter can say, by what it is about.
const FILTERS: [&str; 9] = [
    "blob:none",
    "blob:limit=0",
    "blob:limit=30",
    "tree:0",
    "tree:2",
    "object:type=blob",
    "object:type=commit",
    "sparse:oid=main:patterns",
    "combine:blob:limit=30+tree:2",
];

/// A served project of which a part is in the patterns of a sparse checkout.
pub(crate) fn serve(case: &Case) {
    build::project(&case.sandbox, &case.served(NAME), case.format, 24);
    let mut stream = Stream::onto("main");
    stream.commit("main", 24).file("patterns", "/dir1/\n!/dir2/\n");
    stream.import(&case.sandbox, &case.served(NAME));
    case.refresh(NAME);
}

/// The served project moves on.
fn advance(case: &Case, numbers: std::ops::Range<usize>) {
    let mut stream = Stream::onto("main");
    stream.history(numbers).import(&case.sandbox, &case.served(NAME));
    case.refresh(NAME);
}

/// What the refs of a repository reach and is not there; nothing is fetched for it.
pub(crate) fn missing(sandbox: &Sandbox, repository: &Path) -> BString {
    let arguments = ["rev-list", "--objects", "--all", "--missing=print"];
    let listed = sandbox.git(repository, &arguments).success().stdout;
    let mut lines: Vec<&[u8]> = listed.lines().filter(|line| line.starts_with(b"?")).collect();
    lines.sort_unstable();
    bstr::join("\n", lines).into()
}

/// What the `.promisor` files of a repository say, each text once.
fn promises(repository: &Path) -> Vec<BString> {
    let is_promise = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "promisor");
    let files = state::files(repository).into_iter().filter(is_promise);
    let mut texts: Vec<BString> = files.map(|file| fs::read(file).unwrap().into()).collect();
    texts.sort();
    texts.dedup();
    texts
}

/// Both have the same, lack the same and note the same.
#[track_caller]
fn same(case: &Case, twin: &Twin<'_>, name: &str) {
    twin.same_state(name);
    let (ours, theirs) = (twin.ours.join(name), twin.theirs.join(name));
    // which fetches what it wants to read
    for repository in [&ours, &theirs] {
        case.sandbox.git(repository, &["fsck", "--full"]).success();
    }
    assert_eq!(state::leftovers(&ours), Vec::<PathBuf>::new());
    assert_eq!(missing(&case.sandbox, &ours), missing(&case.sandbox, &theirs), "{name}");
    // the program that C git runs for older protocols over HTTP is not told what it fetches
    if case.version == 2 || !case.kind.is_http() {
        assert_eq!(promises(&ours), promises(&theirs), "{name}");
    }
}

/// Each filter in a clone with a work tree and in a bare one, and what later fetches inherit of it.
fn each_filter(case: &Case) {
    serve(case);
    let url = case.url(NAME);
    let twin = case.twin();
    for (number, filter) in FILTERS.iter().enumerate() {
        let option = format!("--filter={filter}");
        let (copy, bare) = (format!("copy{number}"), format!("bare{number}.git"));
        twin.done("", &["clone", "-q", &option, &url, &copy]);
        same(case, &twin, &copy);
        twin.done("", &["clone", "-q", "--bare", &option, &url, &bare]);
        same(case, &twin, &bare);
    }
    advance(case, 30..36);
    for (number, filter) in FILTERS.iter().enumerate() {
        let copy = format!("copy{number}");
        if filter.starts_with("object:type") {
            // without commits C git cannot tell whether a branch moved ahead, and gives up; we fetch them
            twin.gitr(&copy, &["fetch"]).success();
            case.sandbox.git(&twin.ours.join(&copy), &["fsck", "--full"]).success();
        } else {
            twin.done(&copy, &["fetch"]);
            same(case, &twin, &copy);
        }
    }
}

#[test]
fn each_filter_over_file() {
    crate::once(Kind::File, each_filter);
}

#[test]
fn each_filter_over_http_in_version_0() {
    if let Some(case) = Case::new(Kind::Apache, Git::reference(), 0, Format::Sha256) {
        each_filter(&case);
    }
}

#[test]
fn each_filter_from_gitr_over_git() {
    if let Some(case) = Case::new(Kind::Daemon, crate::serve_transport::server(), 2, Format::Sha1) {
        each_filter(&case);
    }
}

/// A filter is changed, overridden, and given up; nothing else is looked at that would be fetched for it.
#[test]
fn filters_of_later_fetches() {
    crate::once(Kind::File, |case| {
        build::empty(&case.sandbox, &case.served(NAME), case.format);
        let mut stream = Stream::new();
        stream.history(1..40).import(&case.sandbox, &case.served(NAME));
        let twin = case.twin();
        // one branch: of several C git refetches those alone that have moved
        let clone = ["clone", "-q", "--no-checkout", "--single-branch"];
        twin.done("", &[&clone[..], &["--filter=blob:none", &case.url(NAME), "copy"]].concat());
        twin.done("", &[&clone[..], &[&case.url(NAME), "whole"]].concat());
        for (number, (place, arguments)) in [
            ("copy", &["fetch", "--filter=tree:0"][..]),
            ("copy", &["fetch", "--refetch", "--filter=tree:0"]),
            ("copy", &["fetch", "--refetch"]),
            ("copy", &["fetch", "--no-filter"]),
            ("copy", &["fetch", "--refetch", "--no-filter"]),
            ("whole", &["fetch", "--filter=blob:limit=1k"]),
            ("whole", &["fetch"]),
        ]
        .into_iter()
        .enumerate()
        {
            advance(case, 40 + 3 * number..43 + 3 * number);
            twin.done(place, arguments);
            same(case, &twin, place);
        }
    });
}

/// How many requests a clone takes.
fn requests(case: &Case, gateway: &Gateway, options: &[&str]) -> Vec<String> {
    let url = format!("http://127.0.0.1:{}/git/{NAME}", gateway.port);
    let twin = case.twin();
    let before = gateway.seen().len();
    twin.gitr("", &[&["clone", "-q"], options, &[&url, "copy"]].concat()).success();
    gateway.seen().into_iter().skip(before).map(|seen| seen.line).collect()
}

/// The files of a work tree come in one batch: a greeting and one fetch.
#[test]
fn a_checkout_takes_two_requests() {
    crate::once(Kind::Apache, |case| {
        serve(case);
        let gateway = Gateway::before(port_of(&case.url(NAME)));
        let without = requests(case, &gateway, &["--filter=blob:none", "--no-checkout"]);
        let with = requests(case, &gateway, &["--filter=blob:none"]);
        assert_eq!(with.len() - without.len(), 2, "{with:#?}");
        // directories first, all files of all of them then
        let with = requests(case, &gateway, &["--filter=tree:0"]);
        assert_eq!(with.len() - without.len(), 4, "{with:#?}");
        let with = requests(case, &gateway, &["--filter=tree:2"]);
        assert_eq!(with.len() - without.len(), 4, "{with:#?}");
    });
}

/// A helper program that connects is as good as any transport.
#[test]
fn what_is_missing_comes_through_a_helper_program() {
    crate::once(Kind::File, |case| {
        serve(case);
        case.sandbox
            .git(&case.sandbox.path(""), &["config", "--global", "protocol.ext.allow", "always"])
            .success();
        let url = format!("ext::git-upload-pack {}", case.served(NAME).display());
        let url = url.replace(
            "git-upload-pack",
            &Git::reference().exec_path.join("git-upload-pack").display().to_string(),
        );
        let twin = Twin::new(&case.sandbox, 2, Vec::new());
        twin.done("", &["clone", "-q", "--filter=blob:none", &url, "copy"]);
        same(case, &twin, "copy");
    });
}
