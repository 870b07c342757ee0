//! Hosts, ports and repositories that are not there, and servers that are no git servers.

use std::fs;

use crate::support::page::Page;
use crate::support::servers::free_port;
use crate::support::{Case, Format, Git, Kind, Run, Sandbox, Twin, build, over};

/// Clones `url`, which fails with exit code 128, and compares the words with C git's.
#[track_caller]
fn clone_fails(sandbox: &Sandbox, twin: &Twin<'_>, url: &str) -> Run {
    let run = twin.run("", &["clone", url, "copy"]);
    assert_eq!(run.status, 128, "{run:?}");
    crate::assert_nothing_left(twin, sandbox);
    run
}

/// Clones `url`, which fails in the transport, where the system's or curl's own words stand: gitr's have to contain
/// each of `words`.
#[track_caller]
fn clone_fails_with(sandbox: &Sandbox, url: &str, words: &[&str]) {
    let twin = Twin::new(sandbox, 2, Vec::new());
    for run in [twin.git("", &["clone", url, "copy"]), twin.gitr("", &["clone", url, "copy"])] {
        assert_eq!(run.status, 128, "{run:?}");
        for word in words {
            assert!(run.complains_of(word), "no '{word}' in {run:?}");
        }
    }
    crate::assert_nothing_left(&twin, sandbox);
}

#[test]
fn unknown_host() {
    let sandbox = Sandbox::new();
    let host = "nosuch.invalid"; // RFC 2606: never resolves
    clone_fails_with(&sandbox, &format!("git://{host}/x.git"), &["fatal: unable to look up nosuch.invalid"]);
    let words =
        ["fatal: unable to access 'http://nosuch.invalid/x.git/': Could not resolve host: nosuch.invalid"];
    clone_fails_with(&sandbox, &format!("http://{host}/x.git"), &words);
}

#[test]
fn refused_port() {
    let sandbox = Sandbox::new();
    let port = free_port();
    let words = ["fatal: unable to connect to 127.0.0.1:", "Connection refused"];
    clone_fails_with(&sandbox, &format!("git://127.0.0.1:{port}/x.git"), &words);
    let words = [&*format!(
        "fatal: unable to access 'http://127.0.0.1:{port}/x.git/': Failed to connect to 127.0.0.1"
    )];
    clone_fails_with(&sandbox, &format!("http://127.0.0.1:{port}/x.git"), &words);
    if crate::support::find_program("ssh").is_none() {
        return crate::support::missing("ssh");
    }
    let words = ["Connection refused", "fatal: Could not read from remote repository."];
    clone_fails_with(&sandbox, &format!("ssh://127.0.0.1:{port}/x.git"), &words);
}

/// One scenario for each transport: a repository that the server does not have.
fn missing_repository(case: &Case) {
    clone_fails(&case.sandbox, &case.twin(), &case.url("nosuch.git"));
    let listed = case.twin().run("", &["ls-remote", &case.url("nosuch.git")]);
    assert_eq!(listed.status, 128, "{listed:?}");
}

#[test]
fn missing_repository_on_every_transport() {
    for kind in
        [Kind::Path, Kind::File, Kind::Daemon, Kind::Apache, Kind::Lighttpd, Kind::Nginx, Kind::Bundle]
    {
        over(kind, missing_repository);
    }
}

#[test]
fn missing_repository_over_ssh() {
    for git in Git::all() {
        if let Some(case) = Case::new(Kind::Ssh, git, 2, Format::Sha1) {
            missing_repository(&case);
        }
    }
}

/// A directory that is no repository, and a file that is no bundle.
#[test]
fn something_else_in_its_place() {
    let case = Case::new(Kind::Path, Git::reference(), 2, Format::Sha1).unwrap();
    fs::create_dir(case.served("directory")).unwrap();
    fs::write(case.served("file"), "nothing that git knows\n").unwrap();
    for name in ["directory", "file"] {
        clone_fails(&case.sandbox, &case.twin(), &case.url(name));
    }
}

/// A page of a web site: an error page with its status, and a page that says 200 to everything.
#[test]
fn a_web_site_is_no_repository() {
    let sandbox = Sandbox::new();
    for (status, word) in [
        ("404 Not Found", "not found"),
        ("403 Forbidden", "The requested URL returned error: 403"),
        ("500 Internal Server Error", "The requested URL returned error: 500"),
        ("200 OK", "fatal: "),
    ] {
        let page = Page::start(status, "<!DOCTYPE html>\n<title>a page</title>\n");
        clone_fails_with(&sandbox, &page.url("x.git"), &[word]);
    }
}

/// A protocol that nobody has.
#[test]
fn unknown_protocol() {
    let sandbox = Sandbox::new();
    clone_fails_with(&sandbox, "nosuch://127.0.0.1/x.git", &["fatal: ", "nosuch"]);
}

/// A repository that has its refs but not their objects: the server refuses, and its words are shown.
#[test]
fn a_broken_repository_is_told_by_the_server() {
    for kind in [Kind::File, Kind::Daemon, Kind::Apache] {
        let Some(case) = Case::new(kind, Git::reference(), 2, Format::Sha1) else { continue };
        let source = case.served("broken.git");
        build::project(&case.sandbox, &source, case.format, 12);
        case.sandbox.git(&source, &["repack", "-adq"]).success();
        for pack in crate::support::state::files(&source.join("objects/pack")) {
            fs::remove_file(pack).unwrap();
        }
        let twin = case.twin();
        let url = case.url("broken.git");
        for run in [twin.git("", &["clone", &url, "copy"]), twin.gitr("", &["clone", &url, "copy"])] {
            assert_eq!(run.status, 128, "{run:?}");
            assert!(run.complains_of("fatal: remote error: upload-pack: not our ref "), "{run:?}");
        }
        crate::assert_nothing_left(&twin, &case.sandbox);
    }
}
