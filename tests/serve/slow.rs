//! Clients that take their time, with slowhttptest and without it.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use bstr::ByteSlice as _;

use crate::bounds::{Guarded, REFS, begun};
use crate::client::{Client, fetch, get, head, packets, post};

/// Bytes of a file that no socket has room for.
const LARGE_LEN: usize = 24 << 20;
/// Kilobytes that each client who stops may hold: pieces of its answer, the state of zlib, the stack of a thread.
const HELD_MAX_KB: u64 = 1_800;
/// Clients that dawdle at a time.
const CROWD: usize = 30;

#[test]
fn heads_and_bodies_that_stop_are_let_go_and_counted() {
    let mut server = Guarded::start(&[
        "--limit=header-time=200ms",
        "--limit=idle-time=300ms",
        "--limit=body-time=200ms",
        "--limit=push-time=200ms",
        "--enable-receive-pack=anybody",
    ]);
    let port = server.port();
    let whole = format!("GET {REFS} HTTP/1.1");
    let body = head("Content-Length: 100");
    let push = body.replace("upload-pack", "receive-pack");
    for (limit, begin) in [
        ("header-time", &(|| Client::new(port)) as &dyn Fn() -> Client),
        ("idle-time", &|| {
            let mut client = begun(port, &whole, "");
            assert_eq!(client.answer().unwrap().status, 200);
            client
        }),
        ("body-time", &|| begun(port, &body, "0014")),
        ("push-time", &|| begun(port, &push, "00")),
    ] {
        let mut clients: Vec<_> = (0..CROWD).map(|_| begin()).collect();
        for client in &mut clients {
            if limit == "body-time" || limit == "push-time" {
                let answer = client.answer().unwrap();
                assert_eq!(answer.status, 408, "{limit} {answer:?}");
                assert!(answer.body.contains_str("the request comes too slowly"), "{limit} {answer:?}");
            }
            assert!(client.is_closed(), "{limit}");
        }
        drop(clients);
        server.has_limited(limit, CROWD);
    }
}

#[test]
fn bodies_that_trickle_are_let_go_and_counted() {
    let mut server = Guarded::start(&["--limit=body-rate=1k"]);
    let mut client = begun(server.port(), &head("Content-Length: 10000"), "");
    client.0.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    // 40 bytes a second, for as long as nothing is said to that
    let mut first = [0; 12];
    while client.0.peek(&mut first).is_err() {
        client.send("0014xxxx");
    }
    let answer = client.answer().unwrap();
    assert_eq!(answer.status, 408, "{answer:?}");
    assert!(answer.body.contains_str("ERR the request comes too slowly"), "{answer:?}");
    drop(client);
    server.has_limited("body-rate", 1);
}

/// What waits for a worker is in memory, so that there is not to be too much of it.
#[test]
fn bodies_that_wait_take_so_much_memory_and_no_more() {
    let body = |lines: usize| {
        [packets(&["command=ls-refs", "0001"]), packets(&["ref-prefix x"]).repeat(lines), b"0000".to_vec()]
            .concat()
    };
    for limit in ["queue-bytes", "queue-bytes-per-address"] {
        let mut server = Guarded::start(&[&format!("--limit={limit}=50k")]);
        let port = server.port();
        // who has a worker gives back what he took
        assert!((0..3).all(|_| post(port, body(2_500)).status == 200));
        let refused = post(port, body(3_300));
        assert_eq!((refused.status, refused.header("retry-after")), (429, Some("10")), "{refused:?}");
        assert!(refused.body.contains_str("ERR too many requests"), "{refused:?}");
        server.has_limited(limit, 1);
        assert_eq!(post(port, body(2_500)).status, 200);
    }
}

#[test]
fn those_who_take_nothing_of_their_answer_are_let_go_and_counted() {
    let mut server = Guarded::start(&["--limit=write-time=300ms", "--limit=workers-per-address=4"]);
    server.enlarge(9 << 20);
    let body = fetch(&server.tip());
    let said = head(&format!("Content-Length: {}", body.len()));
    for turn in 1..=2 {
        let mut clients: Vec<_> = (0..CROWD).map(|_| begun(server.port(), &said, &body)).collect();
        for client in &mut clients {
            client.0.read_exact(&mut [0; 64]).unwrap();
        }
        server.has_limited("write-time", turn * CROWD);
        server.starts_anew();
    }
}

/// Clients that stop in the middle of a large file, which is a loose object: nobody's worker holds it.
#[test]
fn those_who_stop_in_a_large_file_hold_little_memory() {
    let mut server = Guarded::start(&[
        "--limit=write-time=10m",
        "--limit=packs=30",
        "--limit=workers=100",
        "--limit=workers-per-address=100",
        "--limit=workers-per-repository=100",
    ]);
    server.enlarge(LARGE_LEN);
    let body = fetch(&server.tip());
    let said = head(&format!("Content-Length: {}", body.len()));
    let before = server.memory_kb("VmRSS:");
    let mut clients: Vec<_> = (0..CROWD).map(|_| begun(server.port(), &said, &body)).collect();
    for client in &mut clients {
        client.0.read_exact(&mut vec![0; 1 << 20]).unwrap();
    }
    assert!(server.wait_until("gitr_workers_busy ", |busy| busy == CROWD as u64));
    let held = server.memory_kb("VmRSS:").saturating_sub(before);
    assert!(held < CROWD as u64 * HELD_MAX_KB, "{held} kB are held");
    drop(clients);
    server.is_as_before();
}

/// What slowhttptest does, by its option; the path it asks for; the limits that it goes over.
const ATTACKS: [(&str, &str, &[&str]); 3] = [
    ("-H", REFS, &["header-time"]),
    ("-B", "/project.git/git-upload-pack", &["body-time"]),
    ("-X", "/project.git/objects/pack/", &["write-time", "idle-time"]),
];

#[test]
fn slowloris_keeps_nobody_out() {
    let Some(program) = crate::support::find_program("slowhttptest") else {
        return crate::support::missing("slowhttptest");
    };
    for (kind, path, limits) in ATTACKS {
        let mut server = Guarded::start(&[
            "--limit=header-time=200ms",
            "--limit=body-time=200ms",
            "--limit=write-time=200ms",
            "--limit=idle-time=200ms",
            "--limit=connections-per-address=60",
        ]);
        let mut path = path.to_owned();
        if kind == "-X" {
            server.enlarge(9 << 20);
            let packs = server.repository().join("objects/pack");
            let size = |file: &std::fs::DirEntry| file.metadata().unwrap().len();
            let large = std::fs::read_dir(packs).unwrap().flatten().max_by_key(size).unwrap();
            path += large.file_name().to_str().unwrap();
        }
        let mut command = server.sandbox.command(&program);
        command.args([kind, "-c", "50", "-r", "50", "-i", "1", "-l", "2", "-w", "64", "-y", "128", "-u"]);
        command.arg(format!("http://127.0.0.1:{}{path}", server.port()));
        if kind == "-B" {
            command.args(["-f", "application/x-git-upload-pack-request"]);
        }
        let attack = std::thread::spawn(move || crate::support::Run::of(&mut command));
        while !attack.is_finished() {
            assert_eq!(get(server.port(), REFS).status, 200);
        }
        let run = attack.join().unwrap();
        assert!(run.stdout.contains_str("slowhttptest"), "{run:?}");
        let counted: u64 = limits.iter().map(|limit| server.counted(limit)).sum();
        assert!(counted >= 25, "{kind}: {counted}\n{}", server.metrics());
        server.is_as_before();
    }
}

/// Nobody works on what comes after the answer, and it may be anything.
#[test]
fn a_push_that_goes_on_after_its_answer_is_let_go() {
    let mut server = Guarded::start(&["--enable-receive-pack=anybody", "--limit=body-time=300ms"]);
    let said = head("Transfer-Encoding: chunked").replace("upload-pack", "receive-pack");
    let command = format!("{} {} refs/heads/x\0report-status", "0".repeat(40), "1".repeat(40));
    let body = format!("{:04x}{command}0000{}", command.len() + 4, "no pack at all".repeat(10));
    let mut client = begun(server.port(), &said, format!("{:x}\r\n{body}\r\n", body.len()));
    client.0.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let mut heard = Vec::new();
    let is_over = (0..200).any(|_| {
        let is_gone = client.0.write_all(b"1\r\ny\r\n").is_err();
        let mut room = [0; 4096];
        match client.0.read(&mut room) {
            Ok(length) => {
                heard.extend_from_slice(&room[..length]);
                is_gone || length == 0
            }
            Err(error) => is_gone || error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    });
    assert!(heard.contains_str("unpack "), "{:?}", heard.as_bstr());
    assert!(is_over);
    server.is_as_before();
}
