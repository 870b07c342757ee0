//! Repositories on servers that know nothing of git, each taken by gitr and by C git: gitprotocol-http(5), "Dumb Clients".

use std::fs;
use std::path::{Path, PathBuf};

use bstr::{BString, ByteSlice};

use crate::support::page::Page;
use crate::support::servers::port_of;
use crate::support::{Format, Git, Kind, Run, Sandbox, Stream, Twin, build, state};

mod fault;

/// A server that gives away files.
struct Plain {
    sandbox: Sandbox,
    port: u16,
    _server: Box<dyn crate::support::servers::Serve>,
}

impl Plain {
    fn start() -> Option<Self> {
        let sandbox = Sandbox::new();
        let server = Kind::Nginx.start(&sandbox, Git::reference())?;
        let port = port_of(&server.url("x"));
        Some(Self { sandbox, port, _server: server })
    }

    /// The URL of `name` at `place`: `plain`, or `locked` to all but `alice:sesame`.
    fn url(&self, place: &str, name: &str) -> String {
        format!("http://127.0.0.1:{}/{place}/{name}", self.port)
    }

    fn served(&self, name: &str) -> PathBuf {
        self.sandbox.path("served").join(name)
    }

    /// Tells clients of the refs and packs of `name`.
    fn update(&self, name: &str) {
        self.sandbox.git(&self.served(name), &["update-server-info"]).success();
    }

    /// A repository of one pack.
    fn packed(&self, name: &str) -> PathBuf {
        let path = self.served(name);
        build::project(&self.sandbox, &path, Format::Sha1, 12);
        self.sandbox.git(&path, &["repack", "-adq"]).success();
        self.update(name);
        path
    }

    /// The same in loose objects.
    fn loose(&self, name: &str) -> PathBuf {
        let path = self.packed(name);
        let pack = packs(&path, "pack").remove(0);
        let bytes = fs::read(&pack).unwrap();
        for extension in ["pack", "idx", "rev"] {
            fs::remove_file(pack.with_extension(extension)).ok();
        }
        let mut unpack = self.sandbox.command(&Git::reference().program);
        unpack.current_dir(&path).args(["unpack-objects", "-q"]);
        Run::with_input(&mut unpack, &bytes).success();
        self.update(name);
        path
    }
}

/// The files of packs with this extension.
fn packs(repository: &Path, extension: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(repository.join("objects/pack")).unwrap();
    let files = files.map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

/// Writes over a file that may be read only.
fn overwrite(path: &Path, bytes: &[u8]) {
    fs::remove_file(path).ok();
    fs::write(path, bytes).unwrap();
}

#[test]
fn files_make_the_same_clone_as_gits() {
    let Some(plain) = Plain::start() else { return };
    plain.loose("loose.git");
    plain.packed("packed.git");
    let mixed = plain.packed("mixed.git");
    Stream::onto("main")
        .commit("more", 100)
        .file("new", "new\n")
        .commit("more", 101)
        .file("new", "newer\n")
        .import(&plain.sandbox, &mixed);
    plain.sandbox.git(&mixed, &["config", "core.bare", "true"]).success();
    plain.update("mixed.git");
    build::empty(&plain.sandbox, &plain.served("empty.git"), Format::Sha1);
    plain.update("empty.git");
    let detached = plain.packed("detached.git");
    let tip = plain.sandbox.git(&detached, &["rev-parse", "main~2"]).success().line();
    overwrite(&detached.join("HEAD"), format!("{tip}\n").as_bytes());
    let long = plain.served("sha256.git");
    build::project(&plain.sandbox, &long, Format::Sha256, 3);
    plain.update("sha256.git");
    for name in ["loose.git", "packed.git", "mixed.git", "empty.git", "detached.git", "sha256.git"] {
        let twin = Twin::new(&plain.sandbox, 2, Vec::new());
        let url = plain.url("plain", name);
        twin.done("", &["clone", &url, "copy"]);
        twin.same_objects("copy");
        twin.done("", &["ls-remote", "--symref", &url]);
        let loud = ["clone", "--mirror", "-vvv", &url, "mirror"];
        // C git asks for several objects at once, in no order that could be relied on
        let sorted = |run: Run| {
            let stderr = run.success().stderr;
            let lines = stderr.lines().filter(|line| !line.starts_with(b" which contains"));
            let mut lines: Vec<BString> = lines.map(BString::from).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(twin.gitr("", &loud)), sorted(twin.git("", &loud)), "{name}");
        twin.same_objects("mirror");
        twin.done("", &["clone", "--filter=blob:none", "--bare", &url, "partial"]);
        twin.same_state("partial");
    }
}

#[test]
fn the_empty_tree_comes_along() {
    let Some(plain) = Plain::start() else { return };
    let path = plain.loose("loose.git");
    Stream::onto("main").commit("bare", 100).import(&plain.sandbox, &path);
    plain.update("loose.git");
    let twin = Twin::new(&plain.sandbox, 2, Vec::new());
    twin.gitr("", &["clone", &plain.url("plain", "loose.git"), "copy"]).success();
    // C git has it without its being there, and its own clone of this is not whole
    state::assert_sound(&plain.sandbox, &twin.ours.join("copy"));
}

#[test]
fn a_fetch_takes_what_is_new() {
    let Some(plain) = Plain::start() else { return };
    for name in ["loose.git", "packed.git"] {
        let served = if name == "loose.git" { plain.loose(name) } else { plain.packed(name) };
        let twin = Twin::new(&plain.sandbox, 2, Vec::new());
        let url = plain.url("plain", name);
        twin.done("", &["clone", &url, "copy"]);
        twin.done("copy", &["fetch"]);
        let mut more = Stream::onto("main");
        more.commit("main", 200).annotated_tag("new", "main").branch("other", "main").commit("other", 201);
        more.annotated_tag("within", "refs/heads/other").commit("other", 202);
        more.import(&plain.sandbox, &served);
        plain.update(name);
        twin.done("copy", &["fetch", "-v"]);
        twin.same("copy");
        plain.sandbox.git(&served, &["branch", "-D", "other"]).success();
        plain.update(name);
        twin.done("copy", &["fetch", "--prune"]);
        twin.done("copy", &["pull"]);
        twin.run("copy", &["fetch", "origin", "nosuch"]);
        twin.done("copy", &["fetch", "origin", "main"]);
        twin.same("copy");
    }
}

#[test]
fn what_cannot_be_done_over_files_is_refused_in_gits_words() {
    let Some(plain) = Plain::start() else { return };
    plain.packed("packed.git");
    let url = plain.url("plain", "packed.git");
    let twin = Twin::new(&plain.sandbox, 2, Vec::new());
    for arguments in [&["clone", "--depth=1"][..], &["clone", "--shallow-since=2020-01-01"]] {
        let refused = twin.run("", &[arguments, &[&url, "cut"]].concat());
        assert!(
            refused.complains_of("dumb http transport does not support shallow capabilities"),
            "{refused:?}"
        );
        assert!(!twin.ours.join("cut").exists());
    }
    twin.done("", &["clone", &url, "copy"]);
    twin.run("copy", &["fetch", "--depth=1"]);
    twin.same("copy");
    let pushed = twin.gitr("copy", &["push", "origin", "HEAD:refs/heads/x"]);
    assert_eq!(pushed.status, 128, "{pushed:?}");
    assert!(pushed.complains_of("is no smart git server: pushes by WebDAV"), "{pushed:?}");
    twin.run("", &["ls-remote", &plain.url("plain", "nosuch.git")]);
    twin.run("", &["clone", &plain.url("plain", "nosuch.git"), "none"]);
}

#[test]
fn a_smart_server_is_taken_for_a_dumb_one_where_that_is_wished() {
    let Some(mut plain) = Plain::start() else { return };
    plain.packed("packed.git");
    plain.sandbox.set("GIT_SMART_HTTP", "0");
    let twin = Twin::new(&plain.sandbox, 2, Vec::new());
    let url = plain.url("git", "packed.git");
    twin.done("", &["ls-remote", &url]);
    let cloned = twin.gitr("", &["clone", "-vvv", &url, "copy"]).success();
    assert!(cloned.complains_of("Getting pack list for"), "{cloned:?}");
}

#[test]
fn who_is_asked_for_a_password_gives_it() {
    let Some(plain) = Plain::start() else { return };
    plain.loose("loose.git");
    let twin = Twin::new(&plain.sandbox, 2, Vec::new());
    let url = plain.url("locked", "loose.git");
    twin.run("", &["ls-remote", &url]);
    let known = url.replace("http://", "http://alice:sesame@");
    twin.done("", &["clone", &known, "copy"]);
    twin.same_objects("copy");
    twin.run("", &["clone", &url.replace("http://", "http://alice:wrong@"), "refused"]);
    assert!(!twin.ours.join("refused").exists());
    let helper = "credential.helper=!f() { echo username=alice; echo password=sesame; }; f";
    twin.done("", &["-c", helper, "clone", &url, "helped"]);
    twin.same_objects("helped");
}

#[test]
fn redirects_are_followed_as_by_git() {
    let Some(plain) = Plain::start() else { return };
    plain.packed("packed.git");
    let twin = Twin::new(&plain.sandbox, 2, Vec::new());
    let moved = plain.url("moved", "packed.git");
    twin.done("", &["clone", &moved, "copy"]);
    twin.same_objects("copy");
    let refused = ["-c", "http.followRedirects=false", "clone", &moved, "none"];
    assert_eq!(twin.gitr("", &refused).status, twin.git("", &refused).status);
    // what is asked for later is followed nowhere, unless that is wished
    let apart = plain.url("apart", "packed.git");
    let ours = twin.gitr("", &["clone", &apart, "apart"]);
    assert_eq!(ours.status, twin.git("", &["clone", &apart, "apart"]).status);
    assert!(ours.complains_of("Cannot obtain needed object"), "{ours:?}");
    twin.done("", &["-c", "http.followRedirects=true", "clone", &apart, "apart"]);
    twin.same_objects("apart");
}

#[test]
fn alternates_are_followed_where_that_is_wished() {
    let Some(plain) = Plain::start() else { return };
    let lender = plain.packed("lender.git");
    let refs = fs::read(lender.join("info/refs")).unwrap();
    let borrower = |name: &str, file: &str, text: &str| {
        let path = plain.served(name);
        build::empty(&plain.sandbox, &path, Format::Sha1);
        plain.update(name);
        fs::write(path.join("info/refs"), &refs).unwrap();
        fs::write(path.join("objects/info").join(file), text).unwrap();
        plain.url("plain", name)
    };
    let relative = borrower("relative.git", "alternates", "../../lender.git/objects\n");
    let absolute = borrower("absolute.git", "http-alternates", "/plain/lender.git/objects\n");
    let there = format!("{}/objects\n", plain.url("plain", "lender.git"));
    let whole = borrower("whole.git", "http-alternates", &there);
    let circle = borrower("circle.git", "alternates", "../../circle.git/objects\n../../lender.git/objects\n");
    let follows = ["-c", "http.followRedirects=true"];
    for url in [&relative, &absolute, &whole, &circle] {
        let twin = Twin::new(&plain.sandbox, 2, Vec::new());
        let refused = twin.gitr("", &["clone", url, "copy"]);
        assert_eq!(refused.status, twin.git("", &["clone", url, "copy"]).status);
        assert!(refused.complains_of("alternate disabled by http.followRedirects"), "{refused:?}");
        let clone = [&follows[..], &["clone", url, "copy"]].concat();
        if *url == circle {
            // C git takes a repository for an alternate of itself
            twin.gitr("", &clone).success();
            twin.git("", &clone).success();
        } else {
            twin.done("", &clone);
        }
        twin.same_objects("copy");
    }
    let odd = borrower("odd.git", "http-alternates", "/plain/lender.git/\n");
    Twin::new(&plain.sandbox, 2, Vec::new()).run("", &[&follows[..], &["clone", &odd, "none"]].concat());
    let file = format!("file://{}/objects\n", lender.display());
    let twin = Twin::new(&plain.sandbox, 2, Vec::new());
    for (name, text) in
        [("file.git", &*file), ("program.git", "ext::sh -c touch% PWN\n"), ("ftp.git", "ftp://h/objects\n")]
    {
        let url = borrower(name, "http-alternates", text);
        let refused = twin.gitr("", &[&follows[..], &["clone", &url, "none"]].concat());
        assert_eq!(refused.status, 128, "{refused:?}");
        assert!(refused.complains_of("Unable to find"), "{refused:?}");
        assert!(!twin.ours.join("none").exists());
    }
    let only_by_the_user = ["-c", "protocol.http.allow=user", "clone", &whole, "none"];
    let refused = twin.gitr("", &[&follows[..], &only_by_the_user].concat());
    assert_eq!(refused.status, 128, "{refused:?}");
}

#[test]
fn what_is_no_list_of_refs_is_no_repository() {
    let sandbox = Sandbox::new();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    for body in [
        "<html><body>hello</body></html>\n",
        "abc\tdef\n",
        "0123456789012345678901234567890123456789 refs/heads/x\n",
    ] {
        let page = Page::start("200 OK", body);
        twin.run("", &["ls-remote", &page.url("project.git")]);
    }
    // C git takes as much as it is given
    let page = Page::endless("0123456789012345678901234567890123456789\trefs/heads/");
    let listed = twin.gitr("", &["ls-remote", &page.url("project.git")]);
    assert_eq!(listed.status, 128, "{listed:?}");
    assert!(listed.complains_of("bytes in a line of info/refs"), "{listed:?}");
}
