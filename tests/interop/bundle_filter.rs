//! Bundles that leave something out: those of gitr and those of C git, both hashes.

use std::fs;
use std::path::{Path, PathBuf};

use bstr::ByteSlice;

use crate::support::{Format, Git, Sandbox, Stream, Twin, build, state};

/// What is left out, and of which history.
const FILTERED: [(&str, &[&str]); 9] = [
    ("blob:none", &["--all"]),
    ("blob:none", &["main~5..main"]),
    ("blob:limit=20", &["--all"]),
    ("tree:0", &["main", "^main~5"]),
    ("tree:1", &["--all"]),
    ("object:type=tag", &["--all"]),
    ("object:type=blob", &["main", "v1.0"]),
    ("sparse:oid=patterns:list", &["--all"]),
    ("combine:blob:limit=100+tree:2", &["--branches"]),
];

/// A sandbox with a bare project of which filters can be served, and a branch with patterns.
fn project(format: Format) -> (Sandbox, PathBuf) {
    let sandbox = Sandbox::new();
    let path = sandbox.path("served/project.git");
    build::project(&sandbox, &path, format, 14);
    let mut stream = Stream::new();
    stream.commit("patterns", 1).file("list", "/*\n!/*/\n");
    stream.import(&sandbox, &path);
    (sandbox, path)
}

/// The header of a bundle.
fn header(file: &Path) -> Vec<u8> {
    let bytes = fs::read(file).unwrap();
    bytes[..bytes.find("\n\nPACK").unwrap()].to_vec()
}

/// What a repository holds once `git` has unbundled `bundle` in a copy of `base`.
fn unbundled(sandbox: &Sandbox, git: &Git, base: &Path, bundle: &Path) -> Vec<u8> {
    let copy = sandbox.path("taker.git");
    fs::remove_dir_all(&copy).ok();
    build::copy(sandbox, base, &copy);
    let bundle = bundle.display().to_string();
    sandbox.git_of(git, &copy, &["bundle", "verify", "-q", &bundle]).success();
    sandbox.git_of(git, &copy, &["bundle", "unbundle", &bundle]).success();
    let names = ["cat-file", "--batch-all-objects", "--batch-check=%(objectname)", "--unordered"];
    let mut lines: Vec<Vec<u8>> = ByteSlice::lines(sandbox.git(&copy, &names).success().stdout.as_slice())
        .map(<[u8]>::to_vec)
        .collect();
    lines.sort();
    lines.join(&b'\n')
}

#[test]
fn what_is_left_out_is_what_git_leaves_out() {
    for format in Format::ALL {
        let (sandbox, path) = project(format);
        let base = sandbox.path("base.git");
        build::empty(&sandbox, &base, format);
        sandbox.git(&path, &["branch", "old", "main~5"]).success();
        let old = [path.display().to_string(), "old:old".to_owned()];
        sandbox.git(&base, &["fetch", "-q", "--no-tags", &old[0], &old[1]]).success();
        let [ours, theirs] = ["ours", "theirs"].map(|name| sandbox.path(format!("{name}.bundle")));
        let count = if format == Format::Sha1 { FILTERED.len() } else { 4 };
        for (index, (filter, history)) in FILTERED.into_iter().take(count).enumerate() {
            let words = |file: &Path| {
                let start = ["bundle", "create", "-q", &file.display().to_string()].map(str::to_owned);
                let filter = format!("--filter={filter}");
                let more = history.iter().map(|word| (*word).to_owned());
                start.into_iter().chain(more).chain([filter]).collect::<Vec<_>>()
            };
            sandbox.gitr(&path, &words(&ours)).success();
            sandbox.git(&path, &words(&theirs)).success();
            assert_eq!(header(&ours).as_bstr(), header(&theirs).as_bstr(), "{filter} {history:?}");
            let git = &Git::all()[index % Git::all().len()];
            let (mine, expected) =
                (unbundled(&sandbox, git, &base, &ours), unbundled(&sandbox, git, &base, &theirs));
            assert_eq!(mine.as_bstr(), expected.as_bstr(), "{filter} {history:?}");
        }
    }
}

#[test]
fn a_partial_clone_takes_filtered_bundles_in_and_others_do_not() {
    for git in Git::all() {
        let (sandbox, path) = project(Format::Sha1);
        let files =
            ["ours", "theirs"].map(|name| sandbox.path(format!("{name}.bundle")).display().to_string());
        let words = ["--all", "--filter=blob:none"];
        sandbox.gitr(&path, &[&["bundle", "create", "-q", &files[0]], &words[..]].concat()).success();
        sandbox.git_of(git, &path, &[&["bundle", "create", "-q", &files[1]], &words[..]].concat()).success();
        let url = format!("file://{}", path.display());
        for file in &files {
            let twin = Twin::new(&sandbox, 2, Vec::new());
            for client in [&twin.ours, &twin.theirs] {
                build::empty(&sandbox, &client.join("full.git"), Format::Sha1);
                let partial = client.join("partial.git");
                build::empty(&sandbox, &partial, Format::Sha1);
                for (key, value) in [("remote.origin.url", &*url), ("remote.origin.promisor", "true")] {
                    sandbox.git(&partial, &["config", key, value]).success();
                }
            }
            twin.done("partial.git", &["fetch", file, "+refs/*:refs/*"]);
            twin.same_objects("partial.git");
            // what it leaves out is not promised to the other
            for run in [
                twin.gitr("full.git", &["fetch", file, "main:new"]),
                twin.git("full.git", &["fetch", file, "main:new"]),
            ] {
                assert_ne!(run.status, 0, "{run:?}");
                assert!(run.complains_of("did not send all necessary objects"), "{run:?}");
            }
            let refs = sandbox.git(&twin.ours.join("full.git"), &["for-each-ref"]).success();
            assert_eq!(refs.stdout, "");
            fs::remove_dir_all(&twin.ours).unwrap();
            fs::remove_dir_all(&twin.theirs).unwrap();
        }
    }
}

#[test]
fn a_filtered_bundle_begins_a_partial_clone() {
    let (sandbox, path) = project(Format::Sha1);
    let bundle = sandbox.path("filtered.bundle").display().to_string();
    sandbox.gitr(&path, &["bundle", "create", "-q", &bundle, "--all", "--filter=blob:none"]).success();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    let (uri, url) = (format!("--bundle-uri={bundle}"), format!("file://{}", path.display()));
    twin.done("", &["clone", "--bare", "--filter=blob:none", &uri, &url, "copy.git"]);
    twin.same("copy.git");
    for client in [&twin.ours, &twin.theirs] {
        let packs = state::files(&client.join("copy.git/objects/pack"));
        let promised = packs.iter().filter(|file| file.extension().is_some_and(|end| end == "promisor"));
        assert_eq!(promised.count(), packs.len() / 4, "{packs:?}");
    }
    sandbox.git(&twin.ours.join("copy.git"), &["cat-file", "-e", "main:README.md"]);
    sandbox.git(&twin.ours.join("copy.git"), &["fsck"]).success();
}
