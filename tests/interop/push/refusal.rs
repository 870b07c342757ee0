//! What a server refuses: its configuration, its hooks, its unpacker.

use std::fs;

use bstr::ByteSlice;

use super::commit;
use crate::support::{Kind, Pushers, Run, Stream, build};

/// Every row, one after the other.
pub(super) fn scenario(pushers: &Pushers<'_>) {
    hidden(pushers);
    declined(pushers);
    long_winded(pushers);
    denied(pushers);
    checked_out(pushers);
    not_unpacked(pushers);
    not_written(pushers);
    unreachable(pushers);
}

/// Refs that nobody shall see.
fn hidden(pushers: &Pushers<'_>) {
    pushers.in_server(&["update-ref", "refs/hidden/there", "refs/heads/main"]);
    for key in ["receive.hideRefs", "transfer.hideRefs"] {
        pushers.in_server(&["config", key, "refs/hidden"]);
        pushers.rejected(&["push", "origin", "main:refs/hidden/new"]);
        pushers.rejected(&["push", "origin", "main~1:refs/hidden/there", "main:refs/heads/seen"]);
        pushers.rejected(&["push", "origin", ":refs/hidden/there"]);
        pushers.in_server(&["config", "--unset", key]);
    }
}

/// Hooks that say no, and hooks that only talk.
fn declined(pushers: &Pushers<'_>) {
    pushers.client(&commit("main", 100));
    pushers.server_hook(
        "pre-receive",
        "cat\necho 'error: not today'\necho 'to stderr' >&2\nprintf 'no end'\nexit 1\n",
    );
    pushers.rejected(&["push"]);
    pushers.rejected(&["push", "--porcelain", "-q", "origin", "main", "main:refs/heads/pre"]);
    pushers.server_hook("pre-receive", "exit 1\n"); // reads nothing
    pushers.rejected(&["push", "--atomic", "origin", "main", "main:refs/heads/pre"]);
    pushers.server_hook("pre-receive", "");

    pushers.server_hook("update", "echo \"update: $*\"\ntest \"$1\" != refs/heads/bad\n");
    let refs = ["main:refs/heads/good", "main:refs/heads/bad", "main:refs/heads/better"];
    pushers.rejected(&[&["push", "origin"], &refs[..]].concat());
    pushers.rejected(&["push", "--atomic", "origin", ":good", "main:refs/heads/bad"]);
    pushers.rejected(&["push", "--porcelain", "origin", ":good", "main:refs/heads/bad"]);
    pushers.server_hook("update", "");

    pushers.server_hook("post-receive", "echo 'post-receive:'\ncat\nexit 3\n");
    pushers.server_hook("post-update", "printf 'one\\rtwo\\r\\nthree\\n\\n'\necho \"$*\" >&2\nexit 4\n");
    pushers.done(&["push", "origin", "main", ":better"]);
    pushers.done(&["push", "-q", "origin", "main:refs/heads/quiet"]);
    pushers.server_hook("post-receive", "");
    pushers.server_hook("post-update", "");
}

/// A hook that prints a megabyte: in lines, and in one.
fn long_winded(pushers: &Pushers<'_>) {
    let line = "the quick brown fox jumps over the lazy dog again and again";
    for (number, stream) in ["1", "2"].into_iter().enumerate() {
        pushers.server_hook("pre-receive", &format!("yes '{line}' | head -n 17000 >&{stream}\n"));
        let name = format!("main:refs/heads/long{number}");
        let run = pushers.done(&["push", "origin", &name]);
        assert!(run.stderr.len() > 1_000_000, "the hook is not heard");
    }
    pushers.server_hook("pre-receive", "head -c 1000000 /dev/zero | tr '\\0' x\nexit 1\n");
    let push = ["push", "origin", "main:refs/heads/line"];
    let [ours, theirs] = [pushers.gitr(&push), pushers.git(&push)].map(|run| {
        // gitr breaks a line that has no end; git keeps it whole, however long it grows: what is in it counts.
        let (endless, rest): (Vec<_>, Vec<_>) =
            run.stderr.lines_with_terminator().partition(|line| line.starts_with(b"remote: x"));
        let length = endless.concat().find_iter("x").count();
        Run { stderr: [format!("{length}\n").as_bytes(), &rest.concat()].concat().into(), ..run }
    });
    assert!(theirs.stderr.starts_with(b"1000000\n"), "the hook is not heard");
    pushers.compare(&ours, &theirs);
    pushers.server_hook("pre-receive", "");
}

/// `receive.deny*` of a bare repository.
fn denied(pushers: &Pushers<'_>) {
    pushers.in_server(&["config", "receive.denyDeletes", "true"]);
    pushers.rejected(&["push", "origin", ":quiet", "main:refs/heads/new"]);
    pushers.in_server(&["config", "receive.denyDeletes", "false"]);
    pushers.in_server(&["config", "receive.denyNonFastForwards", "true"]);
    pushers.rejected(&["push", "-f", "origin", "main~1:main"]);
    pushers.rejected(&[
        "push",
        "-f",
        "--porcelain",
        "--atomic",
        "origin",
        "main~1:main",
        "main:refs/heads/a",
    ]);
    pushers.in_server(&["config", "receive.denyNonFastForwards", "false"]);
    pushers.rejected(&["push", "origin", ":main"]); // the current branch
    pushers.in_server(&["config", "receive.denyDeleteCurrent", "warn"]);
    pushers.done(&["push", "origin", ":main"]);
    pushers.done(&["push", "origin", "main"]);
}

/// The current branch of a repository with a work tree.
fn checked_out(pushers: &Pushers<'_>) {
    let [_, source] = pushers.served("first.git");
    let from = source.display().to_string();
    pushers.serve("work", |path| {
        let to = path.display().to_string();
        pushers.case.sandbox.git(&pushers.case.sandbox.path(""), &["clone", "-q", &from, &to]).success();
    });
    pushers.client(&commit("main", 200));
    pushers.rejected(&["push", "<work>", "main"]);
    pushers.done(&["push", "<work>", "main:refs/heads/other"]);
    pushers.rejected(&["push", "<work>", ":main"]);
    if pushers.case.kind == Kind::Apache {
        return; // the work tree would belong to another than who starts the hook
    }
    for served in pushers.served("work") {
        pushers
            .case
            .sandbox
            .git(&served, &["config", "receive.denyCurrentBranch", "updateInstead"])
            .success();
    }
    pushers.done(&["push", "<work>", "main"]);
    pushers.client(&commit("main", 201));
    for served in pushers.served("work") {
        fs::write(served.join("README"), "changed\n").unwrap();
    }
    pushers.rejected(&["push", "<work>", "main"]);
}

/// A pack that the server does not want.
fn not_unpacked(pushers: &Pushers<'_>) {
    let bad = bad_commit(pushers);
    pushers.refused_in_the_pack(&["push", "origin", &format!("{bad}:refs/heads/bad")]);
    pushers.refused_in_the_pack(&[
        "push",
        "--porcelain",
        "origin",
        "main:refs/heads/more",
        &format!("{bad}:refs/heads/bad"),
    ]);
    pushers.in_server(&["config", "receive.unpackLimit", "1"]); // index-pack instead of unpack-objects
    pushers.refused_in_the_pack(&["push", "origin", &format!("{bad}:refs/heads/bad")]);
    pushers.client(Stream::onto("main").commit("main", 300).file("noise", build::noise(3_000)));
    pushers.in_server(&["config", "receive.maxInputSize", "1000"]);
    pushers.refused_in_the_pack(&["push", "origin", "main:refs/heads/large"]);
    pushers.in_server(&["config", "--unset", "receive.maxInputSize"]);
    pushers.done(&["push", "origin", "main:refs/heads/large"]);
    pushers.in_server(&["config", "--unset", "receive.unpackLimit"]);
}

/// A commit without an address in both clients.
fn bad_commit(pushers: &Pushers<'_>) -> String {
    let clients = pushers.clients().map(|client| {
        let sandbox = &pushers.case.sandbox;
        let tree = sandbox.git(&client, &["rev-parse", "main^{tree}"]).success().line();
        let file = sandbox.path("bad-commit");
        let person = "Nobody 1112911993 +0000";
        fs::write(&file, format!("tree {tree}\nauthor {person}\ncommitter {person}\n\nbad\n")).unwrap();
        let file = file.display().to_string();
        let write = ["hash-object", "-t", "commit", "-w", "--literally", &file];
        sandbox.git(&client, &write).success()
    });
    clients.map(|run: Run| run.line())[0].clone()
}

/// Refs that cannot be written: of the wrong kind, in the way, locked, refused by the transaction's hook.
fn not_written(pushers: &Pushers<'_>) {
    pushers.rejected(&["push", "origin", "main^{tree}:refs/heads/tree"]);
    pushers.rejected(&["push", "origin", "main:refs/heads/topic/sub"]);
    for served in pushers.served("first.git") {
        fs::write(served.join("refs/heads/locked.lock"), "").unwrap();
    }
    pushers.rejected(&["push", "origin", "main:refs/heads/locked", "main:refs/heads/free"]);
    for served in pushers.served("first.git") {
        fs::remove_file(served.join("refs/heads/locked.lock")).unwrap();
    }
    pushers.server_hook("reference-transaction", "test \"$1\" != prepared\n");
    pushers.breaks(&["push", "origin", "main:refs/heads/hook1", "main:refs/heads/hook2"]); // receive-pack dies of it
    pushers.breaks(&["push", "--atomic", "origin", "main:refs/heads/hook1", "main:refs/heads/hook2"]);
    pushers.server_hook("reference-transaction", "");
}

/// No repository, or one that takes no pushes.
fn unreachable(pushers: &Pushers<'_>) {
    pushers.fatal(&["push", "<nosuch.git>", "main"]);
    if matches!(pushers.case.kind, Kind::Path | Kind::File | Kind::Ssh) {
        return; // whoever may start receive-pack may push
    }
    pushers.in_server(&["config", "http.receivepack", "false"]);
    pushers.in_server(&["config", "daemon.receivepack", "false"]);
    pushers.fatal(&["push", "origin", "main"]);
}
