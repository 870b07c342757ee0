//! `git://` beyond what every transport has: IPv6, a program in the place of the connection, words of the server.

use std::net::{Ipv6Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;

use crate::support::servers::{Process, free_port};
use crate::support::{Format, Git, Sandbox, Stream, Twin, build, skipped};

/// The repository that is served.
const NAME: &str = "r.git";

/// Clones, fetches and pushes, and C git beside it.
fn round(sandbox: &Sandbox, options: &[&str], url: &str) {
    let served = sandbox.path("served").join(NAME);
    let twin = Twin::new(sandbox, 2, Vec::new());
    let with = |words: &[&str]| twin.done("", &[options, words].concat());
    with(&["clone", "-q", url, "copy"]);
    twin.same_objects("copy");
    Stream::onto("main").history(12..14).import(sandbox, &served);
    let inside = |words: &[&str]| twin.done("copy", &[options, words].concat());
    inside(&["fetch", "-v"]);
    twin.same("copy");
    inside(&["ls-remote", url, "main"]);
    let copy = twin.ours.join("copy");
    sandbox.git(&copy, &["commit", "-q", "--allow-empty", "-m", "ours"]).success();
    twin.gitr("copy", &[options, &["push", "-q", "origin", "HEAD:refs/heads/new"]].concat()).success();
    let id = |place, name| sandbox.git(place, &["rev-parse", name]).success().line();
    assert_eq!(id(&served, "new"), id(&copy, "HEAD"));
}

#[test]
fn addresses_of_ipv6() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        return skipped("there is no ::1");
    }
    for git in Git::all() {
        let sandbox = Sandbox::new();
        build::project(&sandbox, &sandbox.path("served").join(NAME), Format::Sha1, 12);
        let port = free_port();
        let mut command = sandbox.command(&git.program);
        command.args([
            "daemon",
            "--listen=::1",
            &format!("--port={port}"),
            "--export-all",
            "--enable=receive-pack",
        ]);
        command.arg(format!("--base-path={}", sandbox.path("served").display()));
        let mut process = Process::spawn(command, &sandbox.path("temporary/log"), port);
        let answers = || TcpStream::connect((Ipv6Addr::LOCALHOST, port)).is_ok();
        assert!(process.wait_until(answers), "it does not start");
        round(&sandbox, &[], &format!("git://[::1]:{port}/{NAME}"));
        let twin = Twin::new(&sandbox, 2, Vec::new());
        let url = format!("git://[::1]:{port}/{NAME}");
        twin.done("", &["clone", "-q", "-6", &url, "copy"]);
        let refused = twin.gitr("", &["clone", "-q", "-4", &url, "none"]);
        assert_eq!(refused.status, 128, "{refused:?}");
    }
}

#[test]
fn a_program_in_the_place_of_the_connection() {
    for git in Git::all() {
        let sandbox = Sandbox::new();
        build::project(&sandbox, &sandbox.path("served").join(NAME), Format::Sha1, 12);
        let (log, program) = (sandbox.path("log"), sandbox.path("proxy"));
        let script = format!(
            "#!/bin/sh\necho \"$1 $2\" >>{}\nexec {} daemon --inetd --export-all --enable=receive-pack --base-path={}\n",
            log.display(),
            git.program.display(),
            sandbox.path("served").display()
        );
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let chosen = format!("core.gitProxy={} for example.test:77", program.display());
        round(&sandbox, &["-c", &chosen], &format!("git://far.example.test:77/{NAME}"));
        let said = std::fs::read_to_string(&log).unwrap();
        assert!(
            said.lines().all(|line| line == "far.example.test 77") && said.lines().count() == 7,
            "{said}"
        );
        // another host is not meant
        let twin = Twin::new(&sandbox, 2, Vec::new());
        let other = ["-c", &*chosen, "ls-remote", "git://example.test.invalid/r.git"];
        assert_eq!(twin.run("", &other).status, 128);
        assert_eq!(std::fs::read_to_string(&log).unwrap(), said);
    }
}

#[test]
fn what_a_daemon_refuses_is_told() {
    for git in Git::all() {
        let sandbox = Sandbox::new();
        for name in ["open.git", "closed.git"] {
            build::project(&sandbox, &sandbox.path("served").join(name), Format::Sha1, 4);
        }
        std::fs::write(sandbox.path("served/open.git/git-daemon-export-ok"), "").unwrap();
        for informs in [true, false] {
            let process = Process::start(&sandbox.path("temporary"), |port| {
                let mut command = sandbox.command(&git.program);
                command.args(["daemon", "--listen=127.0.0.1", &format!("--port={port}")]);
                command.args(informs.then_some("--informative-errors"));
                command.arg(format!("--base-path={}", sandbox.path("served").display()));
                command
            });
            let url = |name: &str| format!("git://127.0.0.1:{}/{name}", process.port);
            let twin = Twin::new(&sandbox, 2, Vec::new());
            twin.done("", &["clone", "-q", &url("open.git"), "copy"]);
            for name in ["closed.git", "nosuch.git", "../open.git"] {
                assert_eq!(twin.run("", &["ls-remote", &url(name)]).status, 128);
                assert_eq!(twin.run("", &["clone", &url(name), "none"]).status, 128);
            }
            // nobody said that it takes pushes
            assert_eq!(twin.run("copy", &["push", &url("open.git"), "main:new"]).status, 128);
        }
    }
}
