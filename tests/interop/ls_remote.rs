//! What `ls-remote` prints.

use std::fs;

use crate::support::{Case, build};

/// Each option of `ls-remote`, on an ordinary project, on many refs and on an empty repository.
pub fn scenario(case: &Case) {
    build::project(&case.sandbox, &case.served("project.git"), case.format, 12);
    case.refresh("project.git");
    let url = case.url("project.git");
    let twin = case.twin();
    twin.done("", &["ls-remote", "--symref", &url]);
    let none = twin.run("", &["ls-remote", "--exit-code", &url, "nosuch"]);
    assert_eq!(none.status, 2, "{none:?}");
    if case.is_slow() {
        return;
    }
    for options in [
        &[][..],
        &["--heads"],
        &["--tags"],
        &["--refs"],
        &["--exit-code"],
        &["--sort=-refname"],
        &["--sort=version:refname", "--tags"],
        &["--quiet"],
    ] {
        twin.done("", &[&["ls-remote"], options, &[&url]].concat());
    }
    for patterns in [&["main"][..], &["v*"], &["refs/heads/*"], &["release/1.0", "HEAD"], &["nosuch"]] {
        twin.done("", &[&["ls-remote", &url], patterns].concat());
    }
    twin.done("", &["ls-remote", "--get-url", &url]);
}

/// An empty repository has nothing to list, but is no error.
#[test]
fn ls_remote_of_an_empty_repository() {
    for kind in [crate::Kind::File, crate::Kind::Daemon, crate::Kind::Apache] {
        crate::once(kind, |case| {
            build::empty(&case.sandbox, &case.served("empty.git"), case.format);
            let twin = case.twin();
            let listed = twin.done("", &["ls-remote", "--symref", &case.url("empty.git")]);
            assert_eq!(listed.stdout, "");
            assert_eq!(twin.run("", &["ls-remote", "--exit-code", &case.url("empty.git")]).status, 2);
        });
    }
}

/// Ten thousand refs, which take many packets.
#[test]
fn ls_remote_of_ten_thousand_refs() {
    for kind in [crate::Kind::Daemon, crate::Kind::Apache] {
        crate::once(kind, |case| {
            build::many_refs(&case.sandbox, &case.served("many.git"), case.format, 10_000);
            let twin = case.twin();
            let all = twin.done("", &["ls-remote", &case.url("many.git")]);
            assert_eq!(bstr::ByteSlice::lines(&**all.stdout).count(), 10_002);
            twin.done("", &["ls-remote", &case.url("many.git"), "refs/heads/many/0123*"]);
        });
    }
}

/// In a repository the remote may be left out; its name is printed then.
#[test]
fn ls_remote_of_the_default_remote() {
    crate::once(crate::Kind::File, |case| {
        build::project(&case.sandbox, &case.served("project.git"), case.format, 12);
        let twin = case.twin();
        let url = case.url("project.git");
        twin.done("", &["clone", "-q", &url, "copy"]);
        twin.done("copy", &["ls-remote"]);
        twin.done("copy", &["ls-remote", "-q"]);
        twin.done("copy", &["ls-remote", "origin", "main"]);
        twin.done("copy", &["ls-remote", "--get-url"]);
        twin.done("copy", &["ls-remote", "."]);
        twin.prepare(|directory| fs::create_dir(directory.join("outside")).unwrap());
        assert_eq!(twin.run("outside", &["ls-remote"]).status, 128);
    });
}
