//! What those need who run a server: places to listen at, signals, logs.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use bstr::ByteSlice as _;
use gitr::listen::limit::Limit;

use crate::client::{Client, fetch, get, head, ls_refs, packets, post};
use crate::served;

use crate::support::servers::serve::GitrServe;
use crate::support::{Format, Run, Sandbox, build, sandbox};

const REFS: &str = "/project.git/info/refs?service=git-upload-pack";

#[test]
fn a_server_listens_at_several_addresses_and_at_sockets_of_the_machine() {
    let sandbox = Sandbox::new();
    build::project(&sandbox, &sandbox.path("served/project.git"), Format::Sha1, 3);
    let path = sandbox.path("socket");
    let unix = format!("--listen=unix:{}", path.display());
    let mut server = GitrServe::start(&sandbox, &[&unix, "--listen=127.0.0.1:0"]);
    server.wait_for("listening at unix:");
    let ports: Vec<u16> = server
        .log()
        .lines()
        .filter_map(|line| {
            line.strip_prefix("listening at http://127.0.0.1:")?.trim_end_matches('/').parse().ok()
        })
        .collect();
    assert_eq!(ports.len(), 2, "{}", server.log());
    for port in ports {
        assert_eq!(get(port, REFS).status, 200);
    }
    let mut stream = UnixStream::connect(&path).unwrap();
    stream
        .write_all(format!("GET {REFS} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{:?}", answer.as_bstr());
    drop(server);
    assert!(!path.exists(), "the socket went with its server");
}

#[test]
fn systemd_may_have_opened_the_socket() {
    let sandbox = Sandbox::new();
    build::project(&sandbox, &sandbox.path("served/project.git"), Format::Sha1, 3);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut command = sandbox.command("sh");
    let script = "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\" 3<&0 0</dev/null";
    command.args(["-c", script]).arg(sandbox::gitr_program()).args(["serve", "--export-all", "--root"]);
    command.arg(sandbox.path("served")).stderr(Stdio::null());
    command.stdin(OwnedFd::from(listener));
    let mut child = command.spawn().unwrap();
    assert_eq!(get(port, REFS).status, 200);
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
        .unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn what_has_begun_comes_to_its_end() {
    let sandbox = Sandbox::new();
    build::project(&sandbox, &sandbox.path("served/project.git"), Format::Sha1, 3);
    let port = crate::support::servers::free_port();
    let mut command = sandbox.command(sandbox::gitr_program());
    command.arg("serve").arg(format!("--listen=127.0.0.1:{port}")).args(["--export-all", "--root"]);
    command.arg(sandbox.path("served")).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut told = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut told, &mut line).unwrap();
    assert!(line.starts_with("listening at "), "{line}");
    let mut idle = Client::new(port);
    idle.send(format!("GET {REFS} HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_eq!(idle.answer().unwrap().status, 200);
    let mut client = Client::new(port);
    let half = head(&format!("Content-Length: {}", ls_refs().len())).replace('\n', "\r\n");
    client.send(format!("{half}\r\nHost: x\r\nExpect: 100-continue\r\n\r\n"));
    assert_eq!(client.answer().unwrap().status, 100, "it is being worked on");
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
        .unwrap();
    assert!(idle.is_closed(), "nobody waits for what is idle");
    client.send(ls_refs());
    let answer = client.answer().unwrap();
    assert!(answer.status == 200 && answer.body.ends_with(b"0000"), "{answer:?}");
    assert!(child.wait().unwrap().success());
}

#[test]
fn what_does_not_come_to_its_end_in_time_is_cut_off() {
    let sandbox = Sandbox::new();
    build::project(&sandbox, &sandbox.path("served/project.git"), Format::Sha1, 3);
    let port = crate::support::servers::free_port();
    let mut command = sandbox.command(sandbox::gitr_program());
    command.arg("serve").arg(format!("--listen=127.0.0.1:{port}")).args(["--export-all", "--root"]);
    command.arg(sandbox.path("served")).arg("--limit=grace-time=100ms").stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut told = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut text = String::new();
    std::io::BufRead::read_line(&mut told, &mut text).unwrap();
    let mut client = Client::new(port);
    let half = head("Content-Length: 100\nExpect: 100-continue").replace('\n', "\r\n");
    client.send(format!("{half}\r\nHost: x\r\n\r\n"));
    assert_eq!(client.answer().unwrap().status, 100, "it is being worked on");
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
        .unwrap();
    assert!(client.is_closed());
    assert_eq!(child.wait().unwrap().code(), Some(1));
    told.read_to_string(&mut text).unwrap();
    assert!(text.contains("the grace-time is over: transfers were cut off"), "{text}");
}

#[test]
fn requests_are_logged_for_people_and_for_programs() {
    let (sandbox, mut server) = served(&["--log-format=json"]);
    let id = sandbox.git(&sandbox.path("served/project.git"), &["rev-parse", "main"]).line();
    post(server.process.port, fetch(&id));
    get(server.process.port, "/no%1bne.git/info/refs?service=git-upload-pack");
    server.wait_for("\"status\":400");
    let log = server.log();
    let fetched: serde_json::Value =
        serde_json::from_str(log.lines().find(|line| line.contains("\"fetch\"")).unwrap()).unwrap();
    for (name, value) in [
        ("address", serde_json::Value::from("127.0.0.1")),
        ("method", "POST".into()),
        ("path", "/project.git/git-upload-pack".into()),
        ("status", 200.into()),
        ("git-protocol", 2.into()),
        ("wants", 1.into()),
        ("result", "ok".into()),
    ] {
        assert_eq!(fetched[name], value, "{name} in {fetched}");
    }
    assert!(
        fetched["pack-bytes"].as_u64().unwrap() > 1000 && fetched["select-seconds"].is_number(),
        "{fetched}"
    );
    assert!(!log.contains('\u{1b}'), "{log:?}");
    let (_sandbox, mut server) = served(&[]);
    get(server.process.port, REFS);
    server.wait_for("\"GET /project.git/info/refs HTTP/1.1\" 200 ");
}

#[test]
fn a_second_server_finds_the_address_taken() {
    let (sandbox, server) = served(&[]);
    let listen = format!("--listen=127.0.0.1:{}", server.process.port);
    let run = sandbox.gitr(&sandbox.path(""), &["serve", &listen]);
    assert_eq!(run.status, 128);
    assert!(run.complains_of("cannot listen at"), "{run:?}");
    for words in [
        &["serve", "--limit=nonsense=1"][..],
        &["serve", "--limit=wants=many"],
        &["serve", "--root=/none"],
        &["serve", "--delta-cache=much"],
    ] {
        assert_eq!(sandbox.gitr(&sandbox.path(""), words).status, 128, "{words:?}");
    }
    let help = sandbox.gitr(&sandbox.path(""), &["serve", "-h"]);
    assert!(
        help.stdout.contains_str("--listen <address>") && help.stdout.contains_str("GITR_HEADER_TIME"),
        "{help:?}"
    );
}

/// What is kept of one answer changes nothing of the next.
#[test]
fn a_pack_is_the_same_whatever_is_kept() {
    let (sandbox, keeping) = served(&[]);
    let forgetting = GitrServe::start(&sandbox, &["--delta-cache=0"]);
    let project = sandbox.path("served/project.git");
    for name in ["main", "main~1", "main~2", "main"] {
        let run = sandbox.git(&project, &["rev-parse", name]);
        let id = run.stdout.trim().to_str().unwrap().to_owned();
        let fetch = ["command=fetch", "0001", "ofs-delta", "no-progress", "deepen 1\n"];
        let body = packets(&[&fetch[..], &[&format!("want {id}\n"), "done\n", "0000"]].concat());
        let [kept, made] = [&keeping, &forgetting].map(|server| post(server.process.port, &body));
        assert_eq!((kept.status, made.status), (200, 200));
        assert!(kept.body == made.body, "{name}");
        assert!(kept.body.contains_str("PACK"), "{name}");
    }
}

/// Each limit has an option, an environment variable and a row in the metrics.
#[test]
fn each_limit_can_be_set_and_is_counted() {
    let port = crate::support::servers::free_port();
    let (mut sandbox, server) = served(&[&format!("--admin=127.0.0.1:{port}")]);
    let metrics = get(port, "/metrics").body;
    let here = sandbox.path("");
    for limit in Limit::all() {
        let (name, variable) = (limit.name(), limit.variable());
        let refused = sandbox.gitr(&here, &["serve", &format!("--limit={name}=x")]);
        assert!(refused.status == 128 && refused.complains_of(name), "{refused:?}");
        let mut command = sandbox.command(sandbox::gitr_program());
        let refused = Run::of(command.env(variable, "x").arg("serve"));
        assert!(refused.status == 128 && refused.complains_of(name), "{refused:?}");
        let row = format!("gitr_limited_total{{limit=\"{name}\",");
        assert!(metrics.contains_str(&row), "{row}: {metrics}");
    }
    drop(server);
    // the option counts for more
    sandbox.set(Limit::Prefixes.variable().as_str(), "1");
    let two = packets(&["command=ls-refs", "0001", "ref-prefix refs/heads/", "ref-prefix HEAD", "0000"]);
    for (options, status) in [(&[][..], 413), (&["--limit=prefixes=2"], 200)] {
        let server = GitrServe::start(&sandbox, options);
        assert_eq!(post(server.process.port, &two).status, status, "{options:?}");
    }
}

#[test]
fn those_who_run_it_see_how_it_is() {
    let port = crate::support::servers::free_port();
    let (_sandbox, server) = served(&[&format!("--admin=127.0.0.1:{port}")]);
    for path in ["/livez", "/readyz"] {
        assert_eq!(get(port, path).status, 200, "{path}");
    }
    assert_eq!(get(port, REFS).status, 404, "no repository is served here");
    assert_eq!(get(server.process.port, "/livez").status, 404, "nor this there");
    post(server.process.port, ls_refs());
    let metrics = get(port, "/metrics");
    assert!(metrics.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    for line in [
        "gitr_upload_pack_requests_total{backend=\"gitr\",command=\"ls-refs\",protocol=\"2\",filter=\"none\",\
         shallow=\"false\",result=\"ok\"} 1",
        "gitr_limited_total{limit=\"queue\",reason=\"max_size\"} 0",
        "http_server_active_requests 0",
    ] {
        assert!(metrics.body.lines().any(|known| known == line.as_bytes()), "{line}: {}", metrics.body);
    }
}
