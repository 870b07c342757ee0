//! Who is waited for: clients who send for long, hooks that take their time, packs that are made one after the other.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bstr::ByteSlice as _;

use crate::abuse::EMPTY_PACK;
use crate::bounds::{Guarded, begun};
use crate::client::{Client, fetch, head, packets, post};
use crate::commands::Sides;
use crate::pushed::{CAPABILITIES, NULL};
use crate::support::{Run, Sandbox};

/// What a client with side-bands hears who is to hear that the server is still there.
const KEEP_ALIVE: &[u8] = b"0005\x01";

/// A hook that goes on when it is told to.
pub struct Hook {
    pipe: PathBuf,
}

impl Hook {
    /// Installs the hook `name`, which waits for a line and then does what `script` says of `$line`.
    pub fn install(server: &Guarded, name: &str, script: &str) -> Self {
        Self::install_in(&server.sandbox, &server.repository(), name, script)
    }

    fn install_in(sandbox: &Sandbox, repository: &Path, name: &str, script: &str) -> Self {
        let (hook, pipe) = (repository.join("hooks").join(name), repository.join("pipe"));
        if !pipe.exists() {
            Run::of(sandbox.command("mkfifo").arg(&pipe)).success();
        }
        std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
        let script = format!("#!/bin/sh\nread line <'{}'\n{script}\n", pipe.display());
        std::fs::write(&hook, script).unwrap();
        std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self { pipe }
    }

    /// Waits until it runs, and lets it go on.
    pub fn go_on(&self, line: &str) {
        std::fs::write(&self.pipe, format!("{line}\n")).unwrap();
    }
}

/// The body of a push of what `tip` names to `refs/heads/x`.
fn pushes(tip: &str) -> Vec<u8> {
    let command = format!("{NULL} {tip} refs/heads/x\0 {CAPABILITIES}");
    [packets(&[&command, "0000"]).as_slice(), EMPTY_PACK].concat()
}

/// The head of a push of so many bytes.
fn push_head(length: usize) -> String {
    head(&format!("Content-Length: {length}")).replace("upload-pack", "receive-pack")
}

/// Reads an answer until `bytes` were in it so often.
fn hears(client: &mut Client, bytes: &[u8], times: usize) {
    let mut heard = Vec::new();
    let mut piece = [0; 256];
    while heard.find_iter(bytes).count() < times {
        let count = client.0.read(&mut piece).unwrap();
        assert_ne!(count, 0, "{}", heard.as_bstr());
        heard.extend_from_slice(&piece[..count]);
    }
}

/// Checks that the server neither answers nor hangs up for so long.
fn says_nothing_for(client: &Client, time: Duration) {
    let before = client.0.read_timeout().unwrap();
    client.0.set_read_timeout(Some(time)).unwrap();
    let heard = client.0.peek(&mut [0]);
    assert!(heard.is_err(), "{heard:?}");
    client.0.set_read_timeout(before).unwrap();
}

/// A push whose hook runs, and goes on when it is told to. It holds a slot.
fn holder(server: &Guarded) -> (Client, Hook) {
    server.sandbox.git(&server.repository(), &["config", "receive.keepAlive", "1"]).success();
    let hook = Hook::install(server, "pre-receive", "exit 0");
    let body = pushes(&server.tip());
    let mut client = begun(server.port(), &push_head(body.len()), &body);
    hears(&mut client, KEEP_ALIVE, 1);
    (client, hook)
}

/// The clock of an answer begins when the client has said everything.
#[test]
fn a_push_may_take_longer_to_come_than_an_answer() {
    let server = Guarded::start(&["--limit=answer-time=2s", "--enable-receive-pack=anybody"]);
    let body = pushes(&server.tip());
    let (first, rest) = body.split_at(body.len() - EMPTY_PACK.len() / 2);
    let mut client = begun(server.port(), &push_head(body.len()), first);
    says_nothing_for(&client, Duration::from_secs(4));
    client.send(rest);
    let answer = client.answer().unwrap();
    assert!(answer.status == 200 && answer.body.contains_str("unpack ok"), "{answer:?}");
    assert!(server.has_ref("refs/heads/x"));
}

#[test]
fn a_client_hears_that_a_hook_still_runs_as_from_c_git() {
    let sides = Sides::new();
    let body = pushes(&sides.tip);
    for name in ["pre-receive", "update", "post-receive", "post-update"] {
        for ((side, server), repository) in sides.servers.iter().zip(sides.repositories()) {
            let hook = Hook::install_in(&sides.sandbox, &repository, name, "exit 0");
            sides.sandbox.git(&repository, &["config", "receive.keepAlive", "1"]).success();
            let said = push_head(body.len()).replace("project", side);
            let mut client = begun(server.process.port, &said, &body);
            hears(&mut client, KEEP_ALIVE, 2);
            hook.go_on("");
            hears(&mut client, b"0000\r\n0\r\n", 1);
            std::fs::remove_file(repository.join("hooks").join(name)).unwrap();
            sides.sandbox.git(&repository, &["update-ref", "-d", "refs/heads/x"]).success();
        }
    }
}

/// The first of two refs has moved when the clock runs out: that is told, however long the rest takes.
#[test]
fn what_is_done_is_told_in_the_end() {
    let mut server = Guarded::start(&["--limit=answer-time=3s", "--enable-receive-pack=anybody"]);
    let hook = Hook::install(&server, "update", "exit 0");
    let command = |name: &str| format!("{NULL} {} refs/heads/{name}", server.tip());
    let first = format!("{}\0 report-status", command("x"));
    let body = [packets(&[&first, &command("y"), "0000"]).as_slice(), EMPTY_PACK].concat();
    let mut client = begun(server.port(), &push_head(body.len()), &body);
    hook.go_on("");
    says_nothing_for(&client, Duration::from_secs(5));
    hook.go_on("");
    let answer = client.answer().unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(["ok refs/heads/x", "ok refs/heads/y"].iter().all(|line| answer.body.contains_str(line)));
    drop(client);
    server.is_as_before();
}

#[test]
fn who_hangs_up_before_the_refs_move_moves_none() {
    let mut server = Guarded::start(&["--enable-receive-pack=anybody"]);
    let (client, hook) = holder(&server);
    drop(client);
    assert!(server.wait_until("gitr_client_gone_total ", |gone| gone == 1));
    hook.go_on("");
    server.is_as_before();
    assert!(!server.has_ref("refs/heads/x"));
}

#[test]
fn who_waits_for_the_packs_of_others_is_not_given_up() {
    for kept in [&["--pack-cache"][..], &[]] {
        let options = ["--limit=packs=1", "--limit=answer-time=3s", "--enable-receive-pack=anybody"];
        let mut server = Guarded::start(&[&options, kept].concat());
        let (mut first, hook) = holder(&server);
        let body = fetch(&server.tip());
        let mut second = begun(server.port(), &head(&format!("Content-Length: {}", body.len())), &body);
        // one a second
        hears(&mut first, KEEP_ALIVE, 5);
        hook.go_on("");
        let answer = second.answer().unwrap();
        assert!(answer.status == 200 && answer.body.contains_str("PACK"), "{kept:?} {answer:?}");
        drop((first, second));
        server.is_as_before();
    }
}

#[test]
fn who_waits_for_them_too_long_is_told_when_to_come_again() {
    for kept in [&["--pack-cache"][..], &[]] {
        let options = ["--limit=packs=1", "--limit=queue-time=200ms", "--enable-receive-pack=anybody"];
        let mut server = Guarded::start(&[&options, kept].concat());
        let (first, hook) = holder(&server);
        let answer = post(server.port(), fetch(&server.tip()));
        assert_eq!((answer.status, answer.header("retry-after")), (429, Some("10")), "{kept:?} {answer:?}");
        assert!(answer.body.contains_str("ERR too many requests"), "{answer:?}");
        hook.go_on("");
        drop(first);
        server.has_limited("queue-time", 1);
    }
}
