//! Each limit, and clients that mean no good.

use std::io::{Read as _, Write as _};

use bstr::ByteSlice as _;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::client::{Client, ask, fetch, get, head, ls_refs, packets, post};
use crate::served;
use crate::support::Run;
use crate::support::servers::Serve as _;
use crate::support::servers::serve::GitrServe;

const REFS: &str = "/project.git/info/refs?service=git-upload-pack";

#[test]
fn heads_have_to_come_in_time_and_be_short() {
    let (_sandbox, server) =
        served(&["--limit=header-time=50ms", "--limit=idle-time=50ms", "--limit=header-bytes=1k"]);
    let port = server.process.port;
    let mut silent = Client::new(port);
    assert!(silent.is_closed(), "who says nothing is let go");
    let mut slow = Client::new(port);
    slow.send("GET /project.git");
    assert!(slow.is_closed(), "who says half is let go");
    let mut idle = Client::new(port);
    idle.send(format!("GET {REFS} HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_eq!(idle.answer().unwrap().status, 200);
    assert!(idle.is_closed(), "who has nothing more to say is let go");
    let long = ask(port, &format!("GET {REFS} HTTP/1.1\nX: {}", "x".repeat(2000)), "");
    assert_eq!(long.status, 431);
    let many = (0..200).map(|number| format!("\nX{number}: x")).collect::<Vec<_>>().concat();
    assert_eq!(ask(port, &format!("GET {REFS} HTTP/1.1{many}"), "").status, 431);
    let mut slow_http2 = Client::new(port);
    slow_http2.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    while !slow_http2.is_closed() {}
}

#[test]
fn bodies_have_to_come_in_time() {
    let (_sandbox, mut server) =
        served(&["--limit=body-time=50ms", "--limit=push-time=50ms", "--enable-receive-pack=anybody"]);
    let mut slow = Client::new(server.process.port);
    slow.send(format!("{}\r\nHost: x\r\n\r\n0014", head("Content-Length: 100").replace('\n', "\r\n")));
    let answer = slow.answer().unwrap();
    assert_eq!(answer.status, 408, "{answer:?}");
    assert!(answer.body.contains_str("ERR the request comes too slowly"), "{answer:?}");
    server.wait_for("body-time");
    let mut push = Client::new(server.process.port);
    let begun = head("Content-Length: 100").replace("upload-pack", "receive-pack").replace('\n', "\r\n");
    push.send(format!("{begun}\r\nHost: x\r\n\r\n00"));
    assert_eq!(push.answer().unwrap().status, 408);
}

#[test]
fn requests_have_to_be_short() {
    let (_sandbox, server) = served(&["--limit=request-bytes=10k", "--limit=inflation=10"]);
    let port = server.process.port;
    let declared = ask(port, &head("Content-Length: 20000"), "");
    assert_eq!(declared.status, 413, "before a byte of it has come");
    let line = packets(&["ref-prefix x"]).repeat(1000);
    let long = [packets(&["command=ls-refs", "0001"]), line, packets(&["0000"])].concat();
    let chunked = [format!("{:x}\r\n", long.len()).as_bytes(), &long, b"\r\n0\r\n\r\n"].concat();
    assert_eq!(ask(port, &head("Transfer-Encoding: chunked"), chunked).status, 413);
    for (bytes, status) in [(100, 200), (200_000, 413)] {
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        packer.write_all(&packets(&["command=ls-refs", "0001"])).unwrap();
        packer.write_all(&packets(&["ref-prefix x"]).repeat(bytes / 16)).unwrap();
        packer.write_all(b"0000").unwrap();
        let bomb = packer.finish().unwrap();
        let answer =
            ask(port, &head(&format!("Content-Length: {}\nContent-Encoding: gzip", bomb.len())), bomb);
        assert_eq!(answer.status, status, "{bytes} {answer:?}");
    }
    let broken = ask(port, &head("Content-Length: 5\nContent-Encoding: gzip"), "12345");
    assert_eq!(broken.status, 400, "{broken:?}");
}

#[test]
fn requests_may_not_ask_for_too_much() {
    let (sandbox, server) = served(&[
        "--limit=wants=2",
        "--limit=haves=2",
        "--limit=shallows=2",
        "--limit=deepen-nots=2",
        "--limit=prefixes=2",
        "--limit=server-options=2",
    ]);
    let port = server.process.port;
    let id = sandbox.git(&sandbox.path("served/project.git"), &["rev-parse", "main"]).line();
    let fetch = |line: &str, count: usize| {
        let line = line.replace("ID", &id);
        let mut lines = vec!["command=fetch", "0001"];
        lines.extend(std::iter::repeat_n(line.as_str(), count));
        lines.extend(["done", "0000"]);
        packets(&lines)
    };
    for line in ["want ID", "have ID", "shallow ID", "deepen-not refs/heads/main"] {
        assert_eq!(post(port, fetch(line, 2)).status, 200, "{line}");
        let refused = post(port, fetch(line, 3));
        assert_eq!(refused.status, 413, "{line}");
        assert!(refused.body.contains_str("ERR too many "), "{refused:?}");
    }
    let prefix = "ref-prefix refs/";
    let listed = packets(&["command=ls-refs", "0001", prefix, prefix, prefix, "0000"]);
    assert_eq!(post(port, listed).status, 413);
    let option = "server-option=x";
    let listed = packets(&["command=ls-refs", option, option, option, "0000"]);
    assert_eq!(post(port, listed).status, 413);
}

#[test]
fn one_client_has_so_many_connections() {
    let (_sandbox, server) = served(&["--limit=connections-per-address=2"]);
    let port = server.process.port;
    // a place is free as soon as the server has seen that its client went
    let enter = || {
        let mut client = Client::new(port);
        client.send(format!("GET {REFS} HTTP/1.1\r\nHost: x\r\n\r\n"));
        client.answer().is_some_and(|answer| answer.status == 200).then_some(client)
    };
    let enter = || (0..1000).find_map(|_| enter()).expect("there is room");
    let (first, _second) = (enter(), enter());
    let mut third = Client::new(port);
    assert!(third.answer().is_none_or(|answer| answer.status == 503));
    assert!(third.is_closed());
    drop(first);
    enter();
}

/// A client that begins a push and says no more: it keeps its worker.
fn holder(port: u16) -> Client {
    let mut client = Client::new(port);
    let begun = head("Content-Length: 100\nExpect: 100-continue").replace("upload-pack", "receive-pack");
    client.send(format!("{}\r\nHost: x\r\n\r\n", begun.replace('\n', "\r\n")));
    assert_eq!(client.answer().unwrap().status, 100, "it is being worked on");
    client
}

#[test]
fn who_finds_no_worker_is_told_when_to_come_again() {
    let (_sandbox, mut server) = served(&[
        "--enable-receive-pack=anybody",
        "--limit=workers-per-address=1",
        "--limit=queue-time=20ms",
    ]);
    let port = server.process.port;
    let held = holder(port);
    let refused = post(port, ls_refs());
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("10")), "{refused:?}");
    assert!(refused.body.contains_str("ERR too many requests"), "{refused:?}");
    let shown = get(port, REFS);
    assert_eq!((shown.status, shown.header("content-type")), (429, Some("text/plain; charset=utf-8")));
    drop(held);
    server.wait_for("client_gone");
    let free = || post(port, ls_refs()).status == 200;
    assert!((0..1000).any(|_| free()), "{}", server.log());
}

#[test]
fn a_client_that_hangs_up_frees_its_worker() {
    let (sandbox, mut server) = served(&["--limit=packs=1", "--limit=workers=1"]);
    let port = server.process.port;
    let repository = sandbox.path("served/project.git");
    let mut stream = crate::support::Stream::onto("main");
    stream.commit("main", 200).file("large.bin", crate::support::build::noise(9 << 20));
    stream.import(&sandbox, &repository);
    let id = sandbox.git(&repository, &["rev-parse", "main"]).line();
    let mut client = Client::new(port);
    let request = fetch(&id);
    let begun = head(&format!("Content-Length: {}", request.len())).replace('\n', "\r\n");
    client.send(format!("{begun}\r\nHost: x\r\n\r\n"));
    client.send(request);
    let mut first = [0; 64];
    std::io::Read::read_exact(&mut client.0, &mut first).unwrap();
    drop(client);
    server.wait_for("client_gone");
    assert_eq!(post(port, ls_refs()).status, 200);
}

#[test]
fn a_client_that_reads_nothing_is_let_go() {
    let (sandbox, mut server) = served(&["--limit=write-time=100ms", "--limit=packs=1"]);
    let port = server.process.port;
    let repository = sandbox.path("served/project.git");
    let mut stream = crate::support::Stream::onto("main");
    stream.commit("main", 200).file("large.bin", crate::support::build::noise(9 << 20));
    stream.import(&sandbox, &repository);
    let id = sandbox.git(&repository, &["rev-parse", "main"]).line();
    let mut client = Client::new(port);
    let request = fetch(&id);
    let begun = head(&format!("Content-Length: {}", request.len())).replace('\n', "\r\n");
    client.send(format!("{begun}\r\nHost: x\r\n\r\n"));
    client.send(&request);
    let mut first = [0; 64];
    std::io::Read::read_exact(&mut client.0, &mut first).unwrap();
    // while it sits there others get their packs, though there is one slot
    assert!(post(port, &request).is_whole);
    server.wait_for("limited git-protocol=2 command=\"fetch\" wants=1 reason=\"write-time\"");
}

#[test]
fn a_client_of_http2_that_takes_nothing_is_let_go() {
    let (_sandbox, mut server) = served(&["--limit=write-time=50ms"]);
    let mut client = Client::new(server.process.port);
    // SETTINGS_INITIAL_WINDOW_SIZE is 0: nothing of an answer may be sent
    client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0");
    let block =
        [&b"\x82\x86\x41\x01x\x04"[..], &[u8::try_from(REFS.len()).unwrap()], REFS.as_bytes()].concat();
    let length = u8::try_from(block.len()).unwrap();
    client.send([&[0, 0, length, 1, 5, 0, 0, 0, 1], block.as_slice()].concat());
    server.wait_for("write-time");
    while !client.is_closed() {}
}

/// Or libcurl from 7.84 to 8.6 waits for ever at the end of some pushes over HTTP/2, where the window closes just before.
#[test]
fn a_push_over_http2_has_a_wide_window() {
    const WIDTH: u32 = 4 << 20;
    /// RFC 9113: what the window of a connection is before anybody says more.
    const FIRST_WIDTH: u32 = 65_535;
    let (_sandbox, server) = served(&[]);
    let mut client = Client::new(server.process.port);
    client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    let mut settings = Vec::new();
    let more_of_connection = loop {
        let mut head = [0; 9];
        client.0.read_exact(&mut head).unwrap();
        let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
        client.0.read_exact(&mut payload).unwrap();
        match head[3] {
            4 => settings.extend(payload),
            8 => break u32::from_be_bytes(payload.try_into().unwrap()),
            _ => (),
        }
    };
    let (settings, rest) = settings.as_chunks::<6>();
    assert!(rest.is_empty());
    let window = settings.iter().find_map(|setting| setting.strip_prefix(&[0, 4])).unwrap();
    assert_eq!(u32::from_be_bytes(window.try_into().unwrap()), WIDTH);
    assert_eq!(more_of_connection, WIDTH - FIRST_WIDTH);
}

/// curl sends nothing more once it hears no: over HTTP/1.1 it waits for the end of the answer then, over HTTP/2 it ends the
/// push short of what it declared, or of all.
#[test]
fn a_large_push_that_is_refused_hears_why() {
    let Some(curl) = crate::support::find_program("curl") else { return crate::support::missing("curl") };
    let (sandbox, htpasswd, _) = crate::access::sandbox();
    let options = [
        &*htpasswd,
        "--enable-receive-pack",
        "--limit=workers-per-repository=1",
        "--limit=queue-time=100ms",
        // nobody waits for this long
        "--limit=body-time=1000s",
    ];
    let server = GitrServe::start(&sandbox, &options);
    let mut holder = Client::new(server.process.port);
    let begun = head("Authorization: Basic YWxpY2U6cGFzc3dvcmQ=\nContent-Length: 100");
    holder.send(format!(
        "{}\r\nHost: x\r\n\r\n00",
        begun.replace("upload-pack", "receive-pack").replace('\n', "\r\n")
    ));
    let file = sandbox.path("large");
    std::fs::write(&file, crate::support::build::noise(24 << 20)).unwrap();
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        for (who, repository, end) in [
            ("alice:password", "none", "404"),
            ("alice:password", "x%0a", "0027ERR the path has control characters400"),
            ("alice:password", "project", "429"),
            ("alice:wrong", "project", "401"),
        ] {
            for length in ["X-Length: declared", "Transfer-Encoding: chunked"] {
                let mut command = sandbox.command(&curl);
                command.args(["-sS", version, "-m", "60", "-u", who, "-X", "POST", "-w", "%{http_code}"]);
                command.args(["-H", "Expect:", "-H", length]);
                command.args(["-H", "Content-Type: application/x-git-receive-pack-request"]);
                command.arg("-T").arg(&file);
                command.arg(server.url(&format!("{repository}.git/git-receive-pack")));
                let run = Run::of(&mut command).success();
                assert!(run.stdout.ends_with(end.as_bytes()), "{version} {repository} {who} {run:?}");
            }
        }
    }
}
