//! Pushes from and to repositories that are not ordinary: shallow, partial, borrowing, empty.

use std::fs;

use super::{commit, once};
use crate::support::{Pushers, Stream, build};

/// Every row, one after the other.
pub(super) fn scenario(pushers: &Pushers<'_>) {
    empty_server(pushers);
    borrowing(pushers);
    shallow(pushers);
    partial(pushers);
}

/// A server without a ref, and a client without a commit.
fn empty_server(pushers: &Pushers<'_>) {
    let empty = |path: &std::path::Path| build::empty(&pushers.case.sandbox, path, pushers.case.format);
    pushers.serve("empty.git", empty);
    pushers.done(&["push", "--dry-run", "<empty.git>", "main"]);
    pushers.done(&["push", "<empty.git>", "main"]);
    pushers.serve("all.git", empty);
    pushers.like_git(&["push", "<all.git>", ":"]); // nothing in common: how that ends is the transport's affair
    pushers.done(&["push", "--porcelain", "<all.git>", "refs/*:refs/*"]);
    pushers.serve("void.git", empty);
    pushers.done(&["push", "<void.git>", ":refs/heads/nosuch"]);
}

/// Objects that are borrowed here, and objects that the server borrows and says so (`.have`).
fn borrowing(pushers: &Pushers<'_>) {
    let lender = pushers.case.sandbox.path("lender.git");
    build::project(&pushers.case.sandbox, &lender, pushers.case.format, 30);
    pushers.serve("borrower.git", |path| {
        build::borrower(&pushers.case.sandbox, path, &lender, pushers.case.format);
    });
    pushers.clone(&["--reference", &lender.display().to_string()]);
    pushers.client(&commit("main", 100));
    pushers.done(&["push", "origin", "main"]);
    pushers.rejected(&["push", "<borrower.git>", "main"]);
    pushers.done(&[
        "push",
        "<borrower.git>",
        "main:refs/heads/mine",
        "origin/topic:refs/heads/theirs",
        "v1.0",
    ]);
}

/// A client that has only the last commits, in front of servers that have all, none, or want none of it.
fn shallow(pushers: &Pushers<'_>) {
    pushers.clone(&["--depth=2", "--no-single-branch"]);
    pushers.client(&commit("main", 200));
    pushers.done(&["push", "origin", "main"]);
    pushers.done(&["push", "origin", "main~1:refs/heads/older", "main:refs/heads/newer"]);
    let empty = |path: &std::path::Path| build::empty(&pushers.case.sandbox, path, pushers.case.format);
    pushers.serve("deep.git", empty);
    pushers.rejected(&["push", "<deep.git>", "main"]);
    for served in pushers.served("deep.git") {
        pushers.case.sandbox.git(&served, &["config", "receive.shallowUpdate", "true"]).success();
    }
    pushers.done(&["push", "<deep.git>", "main"]);
    pushers.client(&commit("main", 201));
    pushers.done(&["push", "<deep.git>", "main", "main:refs/heads/again"]);
}

/// A client that left objects with the server.
fn partial(pushers: &Pushers<'_>) {
    for filter in ["--filter=blob:none", "--filter=tree:0"] {
        pushers.clone(&[filter, "--no-checkout"]);
        let number = 300 + filter.len();
        let mut stream = Stream::new();
        stream.commit(&format!("own{number}"), number).file("own.txt", format!("own {number}\n"));
        pushers.client(&stream);
        pushers.done(&["push", "origin", "refs/heads/*:refs/heads/*"]);
        pushers.done(&["push", "origin", "main~3:refs/heads/back"]);
        pushers.done(&["push", "origin", ":back"]);
    }
}

/// A branch on top of what a partial clone left with the server.
#[test]
fn a_commit_on_top_of_what_is_not_here() {
    once(|pushers| {
        pushers.clone(&["--filter=blob:none", "--no-checkout"]);
        pushers.client(&commit("main", 100));
        pushers.done(&["push"]);
        pushers.serve("empty.git", |path| {
            build::empty(&pushers.case.sandbox, path, pushers.case.format);
        });
        pushers.done(&["push", "-q", "<empty.git>", "main"]); // what is missing is fetched first
    });
}

#[test]
fn a_client_without_commits() {
    once(|pushers| {
        for client in pushers.clients() {
            pushers.case.sandbox.git(&client, &["checkout", "-q", "--orphan", "unborn"]).success();
        }
        pushers.fatal(&["push"]);
        pushers.rejected(&["push", "origin", "unborn"]);
        pushers.rejected(&["push", "origin", "HEAD"]);
        for client in pushers.clients() {
            fs::remove_dir_all(client.join(".git/refs/heads")).unwrap();
            fs::create_dir(client.join(".git/refs/heads")).unwrap();
            fs::remove_file(client.join(".git/packed-refs")).ok();
        }
        pushers.done(&["push", "--all", "origin"]);
        pushers.done(&["push", "origin", ":"]);
    });
}

/// Removes the blob `name` from both clients.
pub(super) fn lose_a_file(pushers: &Pushers<'_>, name: &str) {
    for client in pushers.clients() {
        let blob = pushers.case.sandbox.git(&client, &["rev-parse", name]).success().line();
        let (first, rest) = blob.split_at(2);
        let loose = client.join(".git/objects").join(first).join(rest);
        assert!(loose.exists(), "the object is in a pack");
        fs::remove_file(loose).unwrap();
    }
}

/// Objects that are missing or harmed here: nothing moves there.
#[test]
fn a_client_with_missing_objects() {
    once(|pushers| {
        pushers.client(&commit("main", 100));
        lose_a_file(pushers, "main:pushed/100.txt");
        let theirs = pushers.like_git(&["push", "-q"]);
        assert_ne!(theirs.status, 0, "{theirs:?}");
    });
}

/// A pack of every kind is accepted by `index-pack --strict --fix-thin`: thin deltas, tags of tags, large files.
#[test]
fn every_pack_is_accepted() {
    for format in crate::support::Format::ALL {
        crate::support::push::push_once(
            crate::support::Kind::File,
            crate::support::Git::reference(),
            format,
            2,
            |pushers| {
                pushers.in_server(&["config", "receive.unpackLimit", "1"]);
                let mut stream = Stream::onto("main");
                stream.history(100..400).commit("main", 400).file("noise", build::noise(3 << 20));
                stream.file("zeros", vec![0; 4 << 20]).annotated_tag("v3", "refs/heads/main");
                pushers.client(&stream);
                pushers.in_client(&["tag", "-m", "of a tag", "v4", "v3"]);
                pushers.done(&["push", "origin", "main~20:main"]);
                pushers.done(&["push", "--follow-tags", "origin", "main"]);
                pushers.done(&["push", "origin", "v4"]);
                pushers.client(
                    Stream::onto("main").commit("main", 401).file("noise", build::noise((3 << 20) + 9)),
                );
                pushers.done(&["push", "--no-thin", "origin", "main"]);
                pushers.client(
                    Stream::onto("main").commit("main", 402).file("noise", build::noise((3 << 20) + 5)),
                );
                pushers.done(&["push", "--thin", "origin", "main"]);
                pushers.in_client(&["repack", "-adfq"]);
                pushers.done(&["push", "origin", "refs/heads/*:refs/copies/*", "refs/tags/*"]);
            },
        );
    }
}
