//! gitr and C git as clients of gitr's servers: what holds with C git's servers holds with these, over each transport.

use std::path::PathBuf;
use std::sync::OnceLock;

use crate::push::signed;
use crate::support::push::push_once;
use crate::support::{Case, Format, Git, Kind, Stream, build, sandbox};
use crate::{clone, fetch, ls_remote};

/// gitr in the place of C git: its server programs under the names that servers call them by.
pub fn server() -> &'static Git {
    static SERVER: OnceLock<Git> = OnceLock::new();
    SERVER.get_or_init(|| {
        let exec_path: PathBuf = tempfile::tempdir().expect("there is room").keep();
        std::fs::set_permissions(&exec_path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let gitr = PathBuf::from(sandbox::gitr_program());
        for name in ["git-upload-pack", "git-receive-pack", "git-http-backend"] {
            std::os::unix::fs::symlink(&gitr, exec_path.join(name)).expect("the directory is new");
        }
        Git { program: gitr, exec_path, version: "gitr".to_owned() }
    })
}

fn fetched(kind: Kind, version: u8, format: Format) {
    for scenario in [clone::scenario, fetch::scenario, ls_remote::scenario] {
        if let Some(case) = Case::new(kind, server(), version, format) {
            scenario(&case);
        }
    }
}

#[test]
fn fetched_over_file_from_gitr() {
    fetched(Kind::File, 2, Format::Sha256);
    fetched(Kind::File, 0, Format::Sha1);
}

#[test]
fn fetched_over_git_from_gitr() {
    fetched(Kind::Daemon, 2, Format::Sha1);
    fetched(Kind::Daemon, 1, Format::Sha1);
}

#[test]
fn fetched_over_ssh_from_gitr() {
    fetched(Kind::Ssh, 2, Format::Sha1);
}

#[test]
fn fetched_over_http_from_gitr() {
    fetched(Kind::Apache, 2, Format::Sha1);
    fetched(Kind::Lighttpd, 0, Format::Sha1);
}

#[test]
fn fetched_from_gitr_serve() {
    fetched(Kind::GitrServe, 2, Format::Sha1);
    fetched(Kind::GitrServe, 1, Format::Sha256);
    fetched(Kind::GitrServe, 0, Format::Sha1);
}

/// A branch is pushed by both clients, one after the other.
fn pushed(kind: Kind) {
    let Some(case) = Case::new(kind, server(), 2, Format::Sha1) else { return };
    let served = case.served("pushed.git");
    build::project(&case.sandbox, &served, case.format, 12);
    case.sandbox.git(&served, &["config", "http.receivepack", "true"]).success();
    case.refresh("pushed.git");
    let twin = case.twin();
    let url = case.url("pushed.git");
    twin.done("", &["clone", "-q", &url, "copy"]);
    twin.prepare(|directory| {
        let mut stream = Stream::onto("main");
        stream.history(12..20);
        stream.import(&case.sandbox, &directory.join("copy"));
    });
    twin.done("copy", &["push", "-q", "origin", "main:refs/heads/one", "v1.0^0:refs/heads/two"]);
    case.refresh("pushed.git");
    let theirs =
        case.sandbox.git(&case.sandbox.path(""), &["-C", "theirs/copy", "rev-parse", "main"]).success();
    let there = case.sandbox.git(&served, &["rev-parse", "one"]).success();
    assert_eq!(there.line(), theirs.line());
    case.sandbox.git(&served, &["fsck", "--strict"]).success();
}

#[test]
fn pushed_to_gitr() {
    for kind in [Kind::Daemon, Kind::Ssh, Kind::Apache, Kind::GitrServe] {
        pushed(kind);
    }
}

/// With keys of ssh and of gnupg, by both clients; over HTTP the one who issues a nonce is not the one who sees it again.
#[test]
fn signed_pushes_are_judged_by_gitr() {
    for (kind, format) in [
        (Kind::File, Format::Sha256),
        (Kind::Daemon, Format::Sha1),
        (Kind::Ssh, Format::Sha1),
        (Kind::GitrServe, Format::Sha1),
        (Kind::Apache, Format::Sha1),
    ] {
        push_once(kind, server(), format, 2, signed::scenario);
    }
}
