//! What goes over the wire, HTTP/1.1.

use std::io::{Read as _, Write as _};

use bstr::ByteSlice as _;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use crate::client::{Client, ask, fetch, get, head, ls_refs, packets, post};
use crate::support::servers::serve::GitrServe;
use crate::support::{Format, Run, Sandbox, build};
use crate::{served, support};

const REFS: &str = "/project.git/info/refs?service=git-upload-pack";

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

#[test]
fn requests_are_answered_by_the_rules_of_git_and_of_http() {
    let (_sandbox, server) = served(&[]);
    let port = server.process.port;
    for (request, status) in [
        (format!("GET {REFS} HTTP/1.1"), 200),
        (format!("HEAD {REFS} HTTP/1.1"), 200),
        ("GET /project/info/refs?service=git-upload-pack HTTP/1.1".into(), 200),
        ("GET /project.git/HEAD HTTP/1.1".into(), 200),
        ("GET /project.git/info/refs HTTP/1.1".into(), 200),
        (format!("POST {REFS} HTTP/1.1\nContent-Length: 0"), 405),
        (format!("OPTIONS {REFS} HTTP/1.1"), 405),
        ("GET /project.git/git-upload-pack HTTP/1.1".into(), 405),
        ("GET /project.git/info/refs?service=git-receive-pack HTTP/1.1".into(), 403),
        ("GET /project.git/info/refs?service=git-upload-archive HTTP/1.1".into(), 403),
        ("GET /none.git/info/refs?service=git-upload-pack HTTP/1.1".into(), 404),
        ("GET / HTTP/1.1".into(), 404),
        ("GET /metrics HTTP/1.1".into(), 404),
        ("GET /project.git/config HTTP/1.1".into(), 404),
        ("POST /project.git/git-upload-pack HTTP/1.1\nContent-Length: 0".into(), 415),
    ] {
        let mut client = Client::new(port);
        let head = request.replace('\n', "\r\n");
        client.send(format!("{head}\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
        let mut answer = Vec::new();
        client.0.read_to_end(&mut answer).unwrap();
        assert!(
            answer.starts_with(format!("HTTP/1.1 {status} ").as_bytes()),
            "{request}: {:?}",
            answer.as_bstr()
        );
        if request.starts_with("HEAD") {
            assert!(answer.ends_with(b"\r\n\r\n"), "{request}: {:?}", answer.as_bstr());
        }
    }
}

#[test]
fn refs_are_listed_in_each_version() {
    let (_sandbox, server) = served(&[]);
    let port = server.process.port;
    let v0 = get(port, REFS);
    assert!(v0.body.starts_with(b"001e# service=git-upload-pack\n0000"), "{v0:?}");
    assert_eq!(v0.header("content-type"), Some("application/x-git-upload-pack-advertisement"));
    assert_eq!(v0.header("cache-control"), Some("no-cache, max-age=0, must-revalidate"));
    let v2 = ask(port, &format!("GET {REFS} HTTP/1.1\nGit-Protocol: version=2"), "");
    assert!(v2.body.starts_with(b"000eversion 2\n"), "{v2:?}");
    assert!(v2.body.contains_str("session-id="), "{v2:?}");
    let refs = post(port, ls_refs());
    assert!(refs.body.contains_str("HEAD symref-target:refs/heads/main\n"), "{refs:?}");
    assert!(refs.body.ends_with(b"0000"));
}

#[test]
fn bodies_may_be_packed_and_come_in_pieces() {
    let sandbox = Sandbox::new();
    build::many_refs(&sandbox, &sandbox.path("served/project.git"), Format::Sha1, 500);
    // two answers are to be the same
    sandbox.git(&sandbox.path(""), &["config", "--global", "transfer.advertiseSID", "false"]).success();
    let server = GitrServe::start(&sandbox, &[]);
    let port = server.process.port;
    let plain = post(port, ls_refs());
    assert_eq!(plain.header("content-encoding"), None);
    let request = packed(&ls_refs());
    let length = format!("Content-Length: {}\nContent-Encoding: gzip", request.len());
    assert_eq!(ask(port, &head(&length), &request).body, plain.body);
    let chunked =
        [b"4\r\n", &ls_refs()[..4], b"\r\n", format!("{:x}\r\n", ls_refs().len() - 4).as_bytes()].concat();
    let chunked = [chunked.as_slice(), &ls_refs()[4..], b"\r\n0\r\n\r\n"].concat();
    assert_eq!(ask(port, &head("Transfer-Encoding: chunked"), &chunked).body, plain.body);
    for (path, plain) in [(REFS, get(port, REFS).body), ("", plain.body)] {
        let answer = if path.is_empty() {
            let length = format!("Content-Length: {}\nAccept-Encoding: deflate, gzip", ls_refs().len());
            ask(port, &head(&length), ls_refs())
        } else {
            ask(port, &format!("GET {path} HTTP/1.1\nAccept-Encoding: gzip"), "")
        };
        assert_eq!(answer.header("content-encoding"), Some("gzip"), "{path}");
        assert_eq!(answer.header("vary"), Some("Accept-Encoding"));
        assert!(answer.body.len() < plain.len() / 4);
        let mut inflated = Vec::new();
        GzDecoder::new(answer.body.as_slice()).read_to_end(&mut inflated).unwrap();
        assert_eq!(inflated.as_bstr(), plain.as_bstr());
    }
}

#[test]
fn one_connection_serves_many_requests_and_asks_for_bodies() {
    let (_sandbox, server) = served(&[]);
    let mut client = Client::new(server.process.port);
    for _ in 0..3 {
        client.send(format!("GET {REFS} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        assert_eq!(client.answer().unwrap().status, 200);
    }
    let expecting = head(&format!("Content-Length: {}\nExpect: 100-continue", ls_refs().len()));
    client.send(format!("{}\r\nHost: localhost\r\n\r\n", expecting.replace('\n', "\r\n")));
    assert_eq!(client.answer().unwrap().status, 100);
    client.send(ls_refs());
    assert_eq!(client.answer().unwrap().status, 200);
}

#[test]
fn what_is_not_exported_looks_as_if_it_were_not_there() {
    let sandbox = Sandbox::new();
    for name in ["project.git", "open.git"] {
        build::project(&sandbox, &sandbox.path("served").join(name), Format::Sha1, 3);
    }
    std::fs::write(sandbox.path("served/open.git/git-daemon-export-ok"), "").unwrap();
    let server = GitrServe::start_bare(&sandbox, &[]);
    let port = server.process.port;
    let [closed, missing] = ["project", "none"].map(|name| {
        let answer = get(port, &format!("/{name}.git/info/refs?service=git-upload-pack"));
        (
            answer.status,
            answer.body,
            answer.headers.into_iter().filter(|(name, _)| name != "date").collect::<Vec<_>>(),
        )
    });
    assert_eq!(closed, missing);
    assert_eq!(closed.0, 404);
    assert_eq!(get(port, "/open.git/info/refs?service=git-upload-pack").status, 200);
}

#[test]
fn paths_stay_below_the_root() {
    let (sandbox, server) = served(&[]);
    let port = server.process.port;
    build::project(&sandbox, &sandbox.path("outside.git"), Format::Sha1, 3);
    std::os::unix::fs::symlink(sandbox.path("outside.git"), sandbox.path("served/link.git")).unwrap();
    std::os::unix::fs::symlink(sandbox.path("served/project.git"), sandbox.path("served/inner.git")).unwrap();
    let refs = "info/refs?service=git-upload-pack";
    for (path, status) in [
        ("/../outside.git", 400),
        ("/%2e%2e/outside.git", 400),
        ("/..%2foutside.git", 400),
        ("/./project.git", 400),
        ("//project.git", 400),
        ("/project.git/..", 400),
        ("/project.git/../project.git", 400),
        ("/project.git%00", 400),
        ("/project.git%0a", 400),
        ("/%252e%252e/outside.git", 404),
        ("/..\\outside.git", 404),
        ("/link.git", 404),
        ("/inner.git", 200),
        ("/PROJECT.git", 404),
        ("/~root/project.git", 404),
    ] {
        assert_eq!(get(port, &format!("{path}/{refs}")).status, status, "{path}");
        let length = format!("Content-Length: {}", ls_refs().len());
        let posted = head(&length).replace("/project.git", path);
        assert_eq!(ask(port, &posted, ls_refs()).status, status, "POST {path}");
    }
    let other = GitrServe::start(&sandbox, &["--follow-symlinks"]);
    assert_eq!(get(other.process.port, &format!("/link.git/{refs}")).status, 200);
}

#[test]
fn what_goes_wrong_is_told_where_a_client_hears_it() {
    let (_sandbox, server) = served(&[]);
    let port = server.process.port;
    let unknown = "1".repeat(40);
    let missing = post(port, fetch(&unknown));
    assert_eq!((missing.status, missing.is_whole), (200, true));
    assert!(missing.body.contains_str(format!("ERR upload-pack: not our ref {unknown}")), "{missing:?}");
    let filtered = packets(&["command=fetch", "0001", "filter nonsense", "done", "0000"]);
    let filtered = post(port, filtered);
    assert!(filtered.status == 200 && filtered.body.contains_str("ERR "), "{filtered:?}");
    for (body, status) in [
        (b"0006x".to_vec(), 400),
        (b"zzzz".to_vec(), 400),
        (b"0002".to_vec(), 400),
        (packets(&["command=nonsense", "0000"]), 200),
    ] {
        let answer = post(port, &body);
        assert_eq!(answer.status, status, "{:?} {answer:?}", body.as_bstr());
        assert!(answer.body.contains_str("ERR "), "{answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/x-git-upload-pack-result"));
    }
    let hostile = post(port, packets(&["command=\u{1b}[2Jx", "0000"]));
    assert!(!hostile.body.contains(&0x1b), "{hostile:?}");
    let (_sandbox, imitating) = served(&["--compat=http-backend"]);
    let empty = post(imitating.process.port, "0006x");
    assert_eq!((empty.status, empty.body.len(), empty.is_whole), (200, 0, true));
}

#[test]
fn curl_speaks_http2_where_it_knows_how() {
    let Some(curl) = support::find_program("curl") else { return support::missing("curl") };
    let (sandbox, server) = served(&[]);
    let port = server.process.port;
    let url = format!("http://127.0.0.1:{port}{REFS}");
    let mut command = sandbox.command(curl);
    command.args([
        "-sS",
        "--http2-prior-knowledge",
        "-H",
        "Git-Protocol: version=2",
        "-w",
        "%{http_version}",
    ]);
    let run = Run::of(command.arg(&url)).success();
    assert!(run.stdout.starts_with(b"000eversion 2\n") && run.stdout.ends_with(b"00002"), "{run:?}");
}

#[test]
fn what_is_hidden_is_hidden_from_simple_clients_too() {
    let (sandbox, server) = served(&[]);
    let repository = sandbox.path("served/project.git");
    sandbox.git(&repository, &["config", "transfer.hideRefs", "refs/heads/topic"]).success();
    let answer = get(server.process.port, "/project.git/info/refs");
    assert!(answer.body.contains_str("refs/heads/main") && !answer.body.contains_str("topic"), "{answer:?}");
}

#[test]
fn pages_of_others_get_nothing_by_a_browser() {
    let (_sandbox, server) = served(&[]);
    let port = server.process.port;
    for head in [
        format!("GET {REFS} HTTP/1.1\nOrigin: http://evil.test"),
        format!("OPTIONS {REFS} HTTP/1.1\nOrigin: x"),
    ] {
        let answer = ask(port, &head, "");
        assert!(answer.headers.iter().all(|(name, _)| !name.starts_with("access-control")), "{answer:?}");
    }
    // what a form can send is not what a service takes
    let form = "POST /project.git/git-upload-pack HTTP/1.1\nContent-Type: text/plain\nContent-Length: 4";
    assert_eq!(ask(port, form, "0000").status, 415);
}
