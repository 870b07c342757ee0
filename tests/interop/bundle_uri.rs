//! Bundles that stand elsewhere: what `--bundle-uri`, lists and servers name is taken in first, as C git takes it.

use std::fs;
use std::path::{Path, PathBuf};

use bstr::ByteSlice;

use crate::support::page::{Asked, Page};
use crate::support::{Format, Run, Sandbox, Stream, Twin, build, state};

/// A project whose history is cut into bundles, and the servers of both.
struct Elsewhere {
    sandbox: Sandbox,
    files: PathBuf,
    page: Page,
    asked: Asked,
    url: String,
}

/// Branches `one` to `four`: one, two and three on it, four merges both.
fn elsewhere(format: Format) -> Elsewhere {
    let sandbox = Sandbox::new();
    let served = sandbox.path("served/project.git");
    build::empty(&sandbox, &served, format);
    let mut stream = Stream::new();
    stream.commit("one", 1).file("1", "1");
    stream.branch("two", "refs/heads/one").commit("two", 2).file("2", "2");
    stream.branch("three", "refs/heads/one").commit("three", 3).file("3", "3");
    stream.branch("four", "refs/heads/two");
    stream.commit_with_parents("four", 4, &["refs/heads/three"]).file("3", "3");
    stream.branch("main", "refs/heads/four").commit("main", 5).file("5", "5");
    stream.import(&sandbox, &served);
    sandbox.git(&served, &["config", "uploadpack.advertiseBundleURIs", "true"]).success();
    let files = sandbox.path("files");
    fs::create_dir(&files).unwrap();
    for (name, what) in [
        ("1", &["one"][..]),
        ("2", &["one..two"]),
        ("3", &["one..three"]),
        ("4", &["four", "--not", "two", "three"]),
    ] {
        let file = files.join(name).display().to_string();
        sandbox.git(&served, &[&["bundle", "create", "-q", &file], what].concat()).success();
    }
    let (page, asked) = Page::files(&files);
    let url = format!("file://{}", served.display());
    Elsewhere { sandbox, files, page, asked, url }
}

impl Elsewhere {
    /// Writes a list whose head is `head` and which names `bundles`, their tokens being their numbers.
    fn list(&self, head: &str, bundles: &[(&str, u64)]) {
        let mut text = format!("[bundle]\nversion = 1\n{head}\n");
        for (uri, token) in bundles {
            text.push_str(&format!("[bundle \"b{token}\"]\nuri = {uri}\ncreationToken = {token}\n"));
        }
        fs::write(self.files.join("list"), text).unwrap();
    }

    /// Clones with `options`; the clone is whole, and has `refs` below `refs/bundles/`.
    #[track_caller]
    fn clones(&self, twin: &Twin<'_>, options: &[&str], refs: &[&str]) -> Run {
        let copy = twin.ours.join("copy");
        fs::remove_dir_all(&copy).ok();
        let run = twin.gitr("", &[options, &["clone", "--no-local", &self.url, "copy"]].concat()).success();
        self.has(&copy, refs);
        run
    }

    #[track_caller]
    fn has(&self, copy: &Path, refs: &[&str]) {
        state::assert_sound(&self.sandbox, copy);
        let format = ["for-each-ref", "--format=%(refname:lstrip=2)", "refs/bundles"];
        let found = self.sandbox.git(copy, &format).success().line();
        assert_eq!(found.lines().collect::<Vec<_>>(), refs);
    }

    fn config(&self, copy: &Path, key: &str) -> String {
        self.sandbox.git(copy, &["config", key]).line()
    }
}

#[test]
fn bundles_and_lists_are_taken_in_as_git_does() {
    for format in Format::ALL {
        let here = elsewhere(format);
        let twin = Twin::new(&here.sandbox, 2, Vec::new());
        for (head, bundles) in [
            ("mode = all", &[("4", 1), ("3", 2), ("2", 3), ("1", 4)][..]),
            ("mode = all", &[("nosuch", 1), ("2", 2), ("1", 3), ("4", 4)]),
            ("mode = any", &[("2", 1)]),
            ("mode = all\nheuristic = creationToken", &[("1", 1), ("2", 2), ("3", 3), ("4", 4)]),
            ("mode = all\nheuristic = creationToken", &[("nosuch", 1), ("2", 2), ("3", 3), ("4", 4)]),
            ("mode = all\nheuristic = creationToken", &[("1", 1), ("nosuch", 2), ("3", 3), ("4", 4)]),
            ("mode = all\nheuristic = creationToken", &[("1", 1), ("2", 2), ("3", 3), ("nosuch", 4)]),
        ] {
            here.list(head, bundles);
            // git keeps what it downloaded in the repository for ever
            let option = format!("--bundle-uri={}", here.page.url("list"));
            twin.prepare(|client| drop(fs::remove_dir_all(client.join("copy"))));
            let arguments = ["clone", "--no-local", &option, &here.url, "copy"];
            let theirs = twin.git("", &arguments).success();
            // without tokens git asks in no order
            let paths = || {
                let mut paths = here.asked.paths();
                if !head.contains("Token") {
                    paths.sort();
                }
                paths
            };
            let their_paths = paths();
            let ours = twin.gitr("", &arguments).success();
            assert_eq!((ours.stdout, ours.stderr), (theirs.stdout, theirs.stderr), "{head} {bundles:?}");
            assert_eq!(paths(), their_paths, "{head} {bundles:?}");
            twin.same_objects("copy");
        }
    }
}

#[test]
fn a_bundle_spares_the_server_its_objects() {
    let here = elsewhere(Format::Sha1);
    let twin = Twin::new(&here.sandbox, 2, Vec::new());
    for uri in [here.page.url("1"), here.files.join("1").display().to_string()] {
        let option = format!("--bundle-uri={uri}");
        for version in ["0", "1", "2"] {
            let copy = twin.ours.join("copy");
            fs::remove_dir_all(&copy).ok();
            let config = format!("protocol.version={version}");
            let words = ["-c", &config, "clone", "--no-local", &option, "--progress", &here.url, "copy"];
            let run = twin.gitr("", &words).success();
            assert!(run.complains_of("Total 11 "), "{run:?}");
            here.has(&copy, &["one"]);
        }
    }
}

#[test]
fn what_cannot_be_used_is_warned_of_and_fetched() {
    let here = elsewhere(Format::Sha1);
    let twin = Twin::new(&here.sandbox, 2, Vec::new());
    let whole = fs::read(here.files.join("1")).unwrap();
    fs::write(here.files.join("cut"), &whole[..whole.len() - 30]).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() - 40] ^= 1;
    fs::write(here.files.join("flipped"), flipped).unwrap();
    fs::write(here.files.join("text"), "nothing of use\n").unwrap();
    fs::write(here.files.join("large"), "# no end\n".repeat(200_000)).unwrap();
    here.list("mode = all\nversion = 2", &[("1", 1)]);
    let silent = Page::say(b"");
    let refused = ["http://127.0.0.1:1/x".to_owned(), silent.url("x"), "ftp://127.0.0.1/x".to_owned()];
    let files = ["nosuch", "cut", "flipped", "text", "large", "list"].map(|name| here.page.url(name));
    for uri in refused.iter().chain(&files) {
        let copy = twin.ours.join("copy");
        fs::remove_dir_all(&copy).ok();
        let option = format!("--bundle-uri={uri}");
        let run = twin.gitr("", &["clone", "--no-local", &option, &here.url, "copy"]).success();
        assert!(run.stderr.lines().count() > 1, "{uri}: {run:?}");
        here.has(&copy, &[]);
    }
    for name in ["self", "other"] {
        let text = "[bundle]\nversion = 1\nmode = all\n[bundle \"a\"]\nuri = self\n";
        fs::write(here.files.join(name), text).unwrap();
    }
    let copy = twin.ours.join("copy");
    fs::remove_dir_all(&copy).ok();
    let option = format!("--bundle-uri={}", here.page.url("other"));
    let run = twin.gitr("", &["clone", "--no-local", &option, &here.url, "copy"]).success();
    assert!(run.complains_of("warning: exceeded bundle URI recursion limit (4)"), "{run:?}");
}

#[test]
fn uris_do_not_lead_where_they_must_not() {
    let here = elsewhere(Format::Sha1);
    let twin = Twin::new(&here.sandbox, 2, Vec::new());
    for uri in [here.page.url("1 x"), here.page.url("1\nget x"), here.page.url("1\r")] {
        let copy = twin.ours.join("copy");
        fs::remove_dir_all(&copy).ok();
        let option = format!("--bundle-uri={uri}");
        let run = twin.gitr("", &["clone", "--no-local", &option, &here.url, "copy"]).success();
        assert!(run.complains_of("error: bundle-uri: URI is malformed: "), "{run:?}");
        here.has(&copy, &[]);
    }
    assert_eq!(here.asked.paths(), Vec::<String>::new());
    // a list from the net names a file of this machine, another way to reach one, and somebody's password
    let file = format!("file://{}", here.files.join("1").display());
    let path = here.files.join("1").display().to_string();
    let secret = here.page.url("1").replace("http://", "http://user:secret@");
    for uri in [&*file, &*path, "ext::sh -c touch% ran", "ssh://127.0.0.1/x", &secret] {
        here.list("mode = all", &[(uri, 1)]);
        let copy = twin.ours.join("copy");
        fs::remove_dir_all(&copy).ok();
        let option = format!("--bundle-uri={}", here.page.url("list"));
        let run = twin.gitr("", &["clone", "--no-local", &option, &here.url, "copy"]).success();
        assert!(run.complains_of("warning: failed to download bundle from URI"), "{uri}: {run:?}");
        assert!(!run.complains_of("secret"), "{run:?}");
        here.has(&copy, &[]);
    }
    assert!(here.asked.paths().iter().all(|path| path != "1"));
}

#[test]
fn what_the_user_adds_to_requests_goes_to_the_repository_alone() {
    let here = elsewhere(Format::Sha1);
    let twin = Twin::new(&here.sandbox, 2, Vec::new());
    let option = format!("--bundle-uri={}", here.page.url("1"));
    let words = ["-c", "http.extraHeader=X-Secret: 1", "clone", "--no-local", &option, &here.url, "copy"];
    twin.gitr("", &words).success();
    here.has(&twin.ours.join("copy"), &["one"]);
    assert!(
        here.asked.headers().iter().all(|line| !line.starts_with("X-Secret")),
        "{:?}",
        here.asked.headers()
    );
}

#[test]
fn fetches_ask_for_what_is_new() {
    let here = elsewhere(Format::Sha1);
    let twin = Twin::new(&here.sandbox, 2, Vec::new());
    let head = "mode = all\nheuristic = creationToken";
    here.list(head, &[("1", 1)]);
    let option = format!("--bundle-uri={}", here.page.url("list"));
    let copy = twin.ours.join("copy");
    let words =
        ["clone", "--no-local", "--single-branch", "-b", "one", "--no-tags", &option, &here.url, "copy"];
    twin.gitr("", &words).success();
    assert_eq!(here.asked.paths(), ["list", "1"]);
    assert_eq!(here.config(&copy, "fetch.bundleuri"), here.page.url("list"));
    assert_eq!(here.config(&copy, "fetch.bundlecreationtoken"), "1");

    here.list(head, &[("1", 1), ("2", 2), ("3", 3), ("4", 4)]);
    twin.gitr("copy", &["fetch", "origin", "four:four"]).success();
    assert_eq!(here.asked.paths(), ["list", "4", "3", "2"]);
    assert_eq!(here.config(&copy, "fetch.bundlecreationtoken"), "4");
    here.has(&copy, &["four", "one", "three", "two"]);

    twin.gitr("copy", &["fetch", "--all"]).success();
    assert_eq!(here.asked.paths(), ["list"]);

    fs::remove_file(here.files.join("list")).unwrap();
    let run = twin.gitr("copy", &["fetch"]).success();
    assert!(run.complains_of("warning: failed to fetch bundles from "), "{run:?}");
}

#[test]
fn servers_advertise_lists_to_those_who_wish() {
    let here = elsewhere(Format::Sha1);
    let twin = Twin::new(&here.sandbox, 2, Vec::new());
    let served = here.sandbox.path("served/project.git");
    let set = |key: &str, value: &str| drop(here.sandbox.git(&served, &["config", key, value]).success());
    set("bundle.version", "1");
    set("bundle.mode", "all");
    set("bundle.a.uri", &here.page.url("1"));
    here.clones(&twin, &[], &[]);
    here.clones(&twin, &["-c", "transfer.bundleURI=true"], &["one"]);
    set("bundle.a.uri", "../../files/1");
    here.clones(&twin, &["-c", "transfer.bundleURI=true"], &["one"]);
    set("bundle.a.uri", &here.page.url("nosuch"));
    here.clones(&twin, &["-c", "transfer.bundleURI=true"], &[]);
    set("bundle.a.uri", "../../../../../../../../../../files/1");
    set("bundle.heuristic", "creationToken");
    let run = here.clones(&twin, &["-c", "transfer.bundleURI=true"], &[]);
    assert!(run.complains_of("error: could not retrieve server-advertised bundle-uri list"), "{run:?}");
}
