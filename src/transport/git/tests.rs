//! git:// against a listener of the test and against a real `git daemon`.

use std::net::TcpListener;
use std::process::Child;

use super::super::open;
use super::super::tests::{Recorder, Sandbox, Table, first_line, greet, parse};
use super::*;
use crate::progress::Discard;

/// A `git daemon` of the installed git; gone when dropped.
struct Daemon {
    child: Child,
    port: u16,
}

impl Daemon {
    /// Serves all below the sandbox. The port is one that was free a moment ago; another program may take it first, so
    /// it is tried more than once.
    fn start(sandbox: &Sandbox) -> Self {
        const ATTEMPTS_MAX: usize = 5;
        for _ in 0..ATTEMPTS_MAX {
            let port = free_port();
            // Not through `git daemon`: killing git would leave the daemon running.
            let program = format!("{}/git-daemon", sandbox.git(&["--exec-path"]).trim());
            let mut command = sandbox.command(&program);
            command.args(["--export-all", "--informative-errors", "--reuseaddr", "--listen=127.0.0.1"]);
            command.arg(format!("--port={port}")).arg(format!("--base-path={}", sandbox.path().display()));
            let mut child = command.arg(sandbox.path()).spawn().expect("git is installed");
            loop {
                if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    return Self { child, port };
                }
                if child.try_wait().expect("it can be asked").is_some() {
                    break;
                }
                std::thread::yield_now();
            }
        }
        unreachable!("a port that was free is free in one of {ATTEMPTS_MAX} attempts");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.local_addr().expect("it is bound").port()
}

fn connect(url: &str, settings: &Table) -> (Result<Box<dyn Connection>, Error>, Vec<String>) {
    let mut transport = open(&parse(url), settings, Options::default()).expect("it opens");
    let mut recorder = Recorder::default();
    let result = transport.connect(Service::UploadPack, Version::V2, &mut recorder);
    (result, recorder.0.into_inner())
}

#[test]
fn greeted_by_a_daemon() {
    let sandbox = Sandbox::new();
    sandbox.repository("r.git");
    let daemon = Daemon::start(&sandbox);
    let port = daemon.port;
    let settings = Table::default();
    let url = format!("git://127.0.0.1:{port}/r.git");
    assert_eq!(greet(&url, &settings, Options::default(), Version::V2).expect("version 2"), "version 2\n");
    assert_eq!(greet(&url, &settings, Options::default(), Version::V1).expect("version 1"), "version 1\n");
    let v0 = greet(&url, &settings, Options::default(), Version::V0).expect("version 0");
    assert!(v0.contains(" HEAD\0"), "{v0}");

    let (connection, told) = connect(&format!("git://127.0.0.1:{port}/missing.git"), &settings);
    let mut connection = connection.expect("it connects");
    assert_eq!(first_line(&mut *connection), "ERR no such repository: /missing.git");
    let lines = [
        "Looking up 127.0.0.1 ... done.".to_owned(),
        format!("Connecting to 127.0.0.1 (port {port}) ... 127.0.0.1 done."),
    ];
    assert_eq!(told, lines);
}

#[test]
fn refused_in_gits_words() {
    let port = free_port();
    let (result, told) = connect(&format!("git://127.0.0.1:{port}/x.git"), &Table::default());
    let error = result.err().expect("nobody listens");
    let expected = "unable to connect to 127.0.0.1:\n127.0.0.1[0: 127.0.0.1]: errno=Connection refused\n";
    assert_eq!(error.to_string(), expected);
    assert_eq!(told, ["Looking up 127.0.0.1 ... done."]);
}

#[test]
fn not_found_in_gits_words() {
    for (url, ip_version, expected) in [
        ("git:///p", IpVersion::Any, "unable to look up  (port 9418) (Name or service not known)"),
        (
            "git://[::1]/p",
            IpVersion::V4,
            "unable to look up ::1 (port 9418) (Address family for hostname not supported)",
        ),
        (
            "git://127.0.0.1:7/p",
            IpVersion::V6,
            "unable to look up 127.0.0.1 (port 7) (Address family for hostname not supported)",
        ),
    ] {
        let options = Options { ip_version, ..Options::default() };
        let mut transport = open(&parse(url), &Table::default(), options).expect("it opens");
        let error =
            transport.connect(Service::UploadPack, Version::V2, &mut Discard).err().expect("no address");
        assert_eq!(error.to_string(), expected);
    }
    let text = "failed to lookup address information: Name or service not known";
    assert_eq!(resolver_reason(&io::Error::other(text)), "Name or service not known");
}

/// Writes what it is given to a file: its arguments, then the request up to the last NUL it is told of.
const RECORDER: &str = "#!/bin/sh\nhome=$(dirname \"$0\")\n{ echo \"$@\"; cat; } >\"$home/log\"\n";

/// C git ends its request and waits for an answer; the recorder answers with end of file.
const GIT_RECORDER: &str =
    "#!/bin/sh\nhome=$(dirname \"$0\")\nexec 1>&-\n{ echo \"$@\"; cat; } >\"$home/log\"\n";

#[test]
fn the_request_is_gits() {
    let sandbox = Sandbox::new();
    sandbox.repository("r.git");
    let recorder = sandbox.script("recorder", RECORDER).to_str().expect("text").to_owned();
    let git_recorder = sandbox.script("git-recorder", GIT_RECORDER).to_str().expect("text").to_owned();
    let log = sandbox.path().join("log");
    let cases = [
        ("git://h/p", ""),
        ("git://h:1/p", ""),
        ("git://h:/p", ""),
        ("git://[::1]/p", ""),
        ("git://[::1]:5/p%20q", ""),
        ("git://u@h/~x", ""),
        ("git://h:x/p", "vh"),
    ];
    for (url, virtual_host) in cases {
        for (number, version) in [("0", Version::V0), ("1", Version::V1), ("2", Version::V2)] {
            for service in [Service::UploadPack, Service::ReceivePack] {
                let mut git = sandbox.command("git");
                git.args(["-C", "r.git", "-c", &format!("protocol.version={number}")]);
                git.args(if service == Service::UploadPack {
                    ["fetch", url, "HEAD"]
                } else {
                    ["push", url, "HEAD"]
                });
                git.env("GIT_PROXY_COMMAND", &git_recorder);
                let mut env = vec![("GIT_PROXY_COMMAND", recorder.as_str())];
                if !virtual_host.is_empty() {
                    git.env("GIT_OVERRIDE_VIRTUAL_HOST", virtual_host);
                    env.push(("GIT_OVERRIDE_VIRTUAL_HOST", virtual_host));
                }
                assert!(!git.output().expect("git runs").status.success());
                let expected = std::fs::read(&log).expect("git ran the recorder");

                let settings = Table::new(&[], &env).within(&sandbox);
                let mut transport = open(&parse(url), &settings, Options::default()).expect("it opens");
                let connection = transport.connect(service, version, &mut Discard).expect("it starts");
                connection.close().expect("the recorder ends well");
                let ours = std::fs::read(&log).expect("we ran the recorder");
                assert_eq!(ours.as_bstr(), expected.as_bstr(), "{url} {number} {service:?}");
            }
        }
    }
}

#[test]
fn a_proxy_is_chosen_by_domain() {
    let config = [
        ("core.gitProxy", "none for inside.example.com"),
        ("core.gitProxy", "/a b for example.com"),
        ("core.gitProxy", "/c for .org"),
        ("core.gitProxy", "/last"),
    ];
    for (host, expected) in [
        ("inside.example.com", None),
        ("x.inside.example.com", None),
        ("example.com", Some("/a b")),
        ("a.example.com", Some("/a b")),
        ("xexample.com", Some("/last")),
        ("example.com.x", Some("/last")),
        ("a.example.com:77", Some("/last")),
    ] {
        let chosen = proxy_for(&host.into(), &Table::new(&config, &[]));
        assert_eq!(chosen, expected.map(BString::from), "{host}");
        let none = Table::new(&config, &[("GIT_PROXY_COMMAND", "")]);
        assert_eq!(proxy_for(&host.into(), &none), None);
        let other = Table::new(&config, &[("GIT_PROXY_COMMAND", "/env")]);
        assert_eq!(proxy_for(&host.into(), &other), Some("/env".into()));
    }
}

#[test]
fn a_proxy_that_cannot_start_is_named() {
    let settings = Table::new(&[("core.gitProxy", "/nonexistent-proxy")], &[]);
    let (result, _) = connect("git://example.invalid/x.git", &settings);
    let expected = "cannot exec '/nonexistent-proxy': No such file or directory\nfatal: cannot start proxy /nonexistent-proxy";
    assert_eq!(result.err().expect("it is missing").to_string(), expected);
}

#[test]
fn the_request_has_a_limit() {
    let url = format!("git://h/{}", "x".repeat(LINE_BYTES_MAX));
    let (result, _) = connect(&url, &Table::new(&[], &[("GIT_PROXY_COMMAND", "/nonexistent")]));
    assert_eq!(result.err().expect("it is too long").to_string(), "protocol error: impossibly long line");
}

#[test]
fn the_server_reads_to_the_end_of_what_is_said() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let url = format!("git://127.0.0.1:{}/p", listener.local_addr().expect("it is bound").port());
    let server = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("a client");
        let mut heard = Vec::new();
        io::Read::read_to_end(&mut socket, &mut heard).expect("end of file comes");
        heard
    });
    let mut connection = connect(&url, &Table::default()).0.expect("it connects");
    connection.exchange(b"0000", &mut Discard).expect("it is sent");
    connection.close().expect("a socket always ends well");
    let heard = server.join().expect("no panic");
    assert!(heard.ends_with(b"\0\0version=2\x000000"), "{}", heard.as_bstr());
}
