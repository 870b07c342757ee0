//! Requests that were damaged, and clients that mean no good, against a server in this process.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use bstr::ByteSlice as _;
use flate2::Compression;
use flate2::write::GzEncoder;
use gitr::listen::address::Socket;
use gitr::listen::limit::{Limit, Limits};
use gitr::listen::log::{Ending, Entry, Log};
use gitr::listen::{Pushing, Role, Server, Settings};
use gitr::repo::Environment;

use crate::client::{Client, fetch, ls_refs, packets};
use crate::support::{Format, Sandbox, build};

/// Damaged forms of each kind of request.
pub const TRIES: usize = 1_000;
/// A pack of nothing.
pub const EMPTY_PACK: &[u8] =
    b"PACK\0\0\0\x02\0\0\0\0\x02\x9d\x08\x82;\xd8\xa8\xea\xb5\x10\xadj\xc7\\\x82<\xfd>\xd3\x1e";

/// Keeps what is logged.
#[derive(Default)]
struct Kept(Mutex<Vec<Entry>>);

impl Log for Kept {
    fn request(&self, entry: &Entry) {
        self.0.lock().unwrap().push(entry.clone());
    }

    fn note(&self, _: &str) {}
}

struct InProcess {
    sandbox: Sandbox,
    server: Option<Server>,
    log: Arc<Kept>,
    port: u16,
}

impl InProcess {
    fn start(limits: &[(Limit, &str)]) -> Self {
        let sandbox = Sandbox::new();
        let repository = sandbox.path("served/project.git");
        build::project(&sandbox, &repository, Format::Sha1, 12);
        for (key, value) in [
            ("transfer.advertiseObjectInfo", "true"),
            ("uploadpack.advertiseBundleURIs", "true"),
            ("bundle.version", "1"),
            ("bundle.mode", "all"),
            ("bundle.one.uri", "https://example.com/one.bundle"),
        ] {
            sandbox.git(&repository, &["config", key, value]).success();
        }
        let mut all = Limits::default();
        for (limit, value) in limits {
            all.set(*limit, limit.parse(value).unwrap());
        }
        let settings = Settings {
            root: sandbox.path("served"),
            env: sandbox.variables().into_iter().collect::<Environment>(),
            exports_all: true,
            pushes: Pushing::Anybody,
            limits: all,
            ..Settings::default()
        };
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let log = Arc::new(Kept::default());
        let sockets = vec![(Role::Git, Socket::Tcp(socket))];
        let server = Server::start(settings, sockets, Arc::clone(&log) as Arc<dyn Log>).unwrap();
        Self { sandbox, server: Some(server), log, port }
    }

    fn tip(&self) -> String {
        self.sandbox.git(&self.sandbox.path("served/project.git"), &["rev-parse", "main"]).line()
    }

    /// Ends the server; what it has logged.
    fn end(mut self) -> Vec<Entry> {
        assert!(self.server.take().unwrap().drain(), "nothing is left to be done");
        self.sandbox.git(&self.sandbox.path("served/project.git"), &["fsck", "--strict"]).success();
        self.log.0.lock().unwrap().clone()
    }
}

/// Numbers that look like chance, the same each time.
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % most as u64).unwrap()
    }

    /// `whole` cut short, or with some bits turned over.
    pub fn damage(&mut self, whole: &[u8]) -> Vec<u8> {
        let mut bytes = whole.to_vec();
        if self.below(2) == 0 {
            bytes.truncate(self.below(whole.len()));
        } else {
            for _ in 0..=self.below(3) {
                let bit = self.below(bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        }
        bytes
    }
}

/// What HTTP says of the body of a request.
const V2: &str = "Git-Protocol: version=2";
const V2_PACKED: &str = "Git-Protocol: version=2\r\nContent-Encoding: gzip";
const V1: &str = "Git-Protocol: version=1";
const V0: &str = "X: y";
const V0_PACKED: &str = "X: y\r\nContent-Encoding: gzip";

/// Each kind of request: the service, what is said of the body, the body.
fn kinds(tip: &str) -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let (negotiation, v0, push) = (negotiation(tip), negotiation_v0(tip), push(tip));
    let oid = format!("oid {tip}\n");
    let info = packets(&["command=object-info", "object-format=sha1", "0001", "size", &oid, &oid, "0000"]);
    let bundles = packets(&["command=bundle-uri", "agent=git/2.47.3", "object-format=sha1", "0000"]);
    vec![
        ("upload-pack", V2, ls_refs()),
        ("upload-pack", V2, fetch(tip)),
        ("upload-pack", V2, info),
        ("upload-pack", V2, bundles),
        ("upload-pack", V2_PACKED, gzip(&negotiation.repeat(3))),
        ("upload-pack", V2, negotiation),
        ("upload-pack", V1, v0.clone()),
        ("upload-pack", V0_PACKED, gzip(&v0)),
        ("upload-pack", V0, v0),
        ("receive-pack", V0_PACKED, gzip(&push)),
        ("receive-pack", V0, push),
    ]
}

pub fn negotiation(tip: &str) -> Vec<u8> {
    packets(&[
        "command=fetch",
        "agent=git/2.47.3",
        "object-format=sha1",
        "0001",
        "thin-pack",
        "include-tag",
        "ofs-delta",
        "deepen 3",
        "filter blob:none",
        &format!("want {tip}\n"),
        &format!("have {tip}\n"),
        &format!("have {}\n", "7".repeat(40)),
        "0000",
    ])
}

pub fn negotiation_v0(tip: &str) -> Vec<u8> {
    const CAPABILITIES: &str =
        "multi_ack_detailed no-done side-band-64k thin-pack ofs-delta agent=git/2.47.3";
    let (want, have) = (format!("want {tip} {CAPABILITIES}\n"), format!("have {tip}\n"));
    packets(&[&want, "deepen 2\n", "0000", &have, "0000", "done\n"])
}

pub fn push(tip: &str) -> Vec<u8> {
    const CAPABILITIES: &str = " report-status-v2 side-band-64k object-format=sha1 agent=git/2";
    let command = format!("{} {tip} refs/heads/x\0{CAPABILITIES}", "0".repeat(40));
    [packets(&[&command, "0000"]).as_slice(), EMPTY_PACK].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

#[test]
fn damaged_fetches_are_answered() {
    damaged_bodies_are_answered("upload-pack");
}

#[test]
fn damaged_pushes_are_answered() {
    damaged_bodies_are_answered("receive-pack");
}

fn damaged_bodies_are_answered(of: &str) {
    let server = InProcess::start(&[]);
    let mut chance = Chance(0x2545_f491_4f6c_dd1d);
    let mut kinds = kinds(&server.tip());
    kinds.retain(|(service, ..)| *service == of);
    for (service, said, body) in &kinds {
        let mut client = Client::new(server.port);
        for number in 0..TRIES {
            let damaged = chance.damage(body);
            let length = damaged.len();
            client.send(format!(
                "POST /project.git/git-{service} HTTP/1.1\r\nHost: x\r\n\
                 Content-Type: application/x-git-{service}-request\r\n{said}\r\nContent-Length: {length}\r\n\r\n"
            ));
            client.send(&damaged);
            let answer = client.answer();
            let answer = answer.unwrap_or_else(|| panic!("{service} {number}: {:?}", damaged.as_bstr()));
            let is_right = matches!(answer.status, 200 | 400 | 413);
            assert!(is_right && answer.is_whole, "{service} {:?}: {answer:?}", damaged.as_bstr());
            if answer.status != 200 {
                assert!(
                    answer.body.get(4..8) == Some(b"ERR "),
                    "{service} {:?}: {answer:?}",
                    damaged.as_bstr()
                );
            }
            if answer.header("connection") == Some("close") {
                client = Client::new(server.port);
            }
        }
    }
    let entries = server.end();
    assert_eq!(entries.len(), kinds.len() * TRIES);
    let failed = entries.iter().find(|entry| matches!(entry.result, Ending::Failed | Ending::Gone));
    assert!(failed.is_none(), "{failed:?}");
}

#[test]
fn damaged_heads_are_answered_or_the_connection_closed() {
    let server =
        InProcess::start(&[(Limit::HeaderTime, "1s"), (Limit::BodyTime, "1s"), (Limit::PushTime, "1s")]);
    let mut chance = Chance(0x1234_5678_9abc_def1);
    let body = ls_refs();
    let head = format!(
        "POST /project.git/git-upload-pack HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-git-upload-pack-request\r\n\
         Git-Protocol: version=2\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut requests = vec![[head.as_bytes(), &body].concat()];
    for (service, version) in
        [("upload", "0"), ("upload", "1"), ("upload", "2"), ("upload", "9:x=y"), ("receive", "1")]
    {
        let head = format!(
            "GET /project.git/info/refs?service=git-{service}-pack HTTP/1.1\r\nHost: x\r\n\
             Git-Protocol: version={version}\r\n\r\n"
        );
        requests.push(head.into_bytes());
    }
    for whole in requests {
        for _ in 0..TRIES {
            let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
            stream.write_all(&chance.damage(&whole)).ok();
            stream.shutdown(Shutdown::Write).ok();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).ok();
            let is_http1 = ["HTTP/1.1 200 ", "HTTP/1.1 4", "HTTP/1.0 200 ", "HTTP/1.0 4"]
                .iter()
                .any(|begin| answer.starts_with(begin.as_bytes()));
            // a head that is none is a connection without an answer, or one of HTTP/2
            assert!(answer.is_empty() || is_http1 || answer.starts_with(b"\0\0"), "{:?}", answer.as_bstr());
        }
    }
    server.end();
}

#[test]
fn what_smuggles_requests_is_refused() {
    let server = InProcess::start(&[(Limit::BodyTime, "1s")]);
    let start = "POST /project.git/git-upload-pack HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-git-upload-pack-request\r\n";
    let inner = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
    for said in [
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: -1",
        "Content-Length: +4",
        "Content-Length: 0x4",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Content Length: 4",
        "Content-Length : 4",
    ] {
        let mut client = Client::new(server.port);
        client.send(format!("{start}{said}\r\n\r\n0000{inner}"));
        client.0.shutdown(Shutdown::Write).ok();
        let mut answer = Vec::new();
        client.0.read_to_end(&mut answer).ok();
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{said}: {:?}", answer.as_bstr());
    }
    for chunks in [
        "zz\r\n0000\r\n0\r\n\r\n",
        "-4\r\n0000\r\n0\r\n\r\n",
        "fffffffffffffffff\r\n0000",
        "4\r\n000000\r\n0\r\n\r\n",
    ] {
        let mut client = Client::new(server.port);
        client.send(format!("{start}Transfer-Encoding: chunked\r\n\r\n{chunks}{inner}"));
        client.0.shutdown(Shutdown::Write).ok();
        let mut answer = Vec::new();
        client.0.read_to_end(&mut answer).ok();
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{chunks}: {:?}", answer.as_bstr());
    }
    assert!(server.end().iter().all(|entry| entry.path != "/smuggled"));
}

#[test]
fn streams_that_are_reset_again_and_again_end_their_connection() {
    let server = InProcess::start(&[]);
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    // :method GET, :scheme http, :path / and :authority by their numbers in HPACK's table
    let block = b"\x82\x86\x84\x41\x01x";
    for number in 0..2_000_u32 {
        let id = (number * 2 + 1).to_be_bytes();
        bytes.extend_from_slice(&[&[0, 0, 6, 1, 5], &id[..], block].concat());
        bytes.extend_from_slice(&[&[0, 0, 4, 3, 0], &id[..], &[0, 0, 0, 8]].concat());
    }
    stream.write_all(&bytes).ok();
    let mut answer = Vec::new();
    // the server closes it, we do not
    stream.read_to_end(&mut answer).ok();
    drop(stream);
    let entries = server.end();
    assert!(entries.len() < 500, "{} requests were worked on", entries.len());
}

#[test]
fn heads_without_end_end_their_connection() {
    let server = InProcess::start(&[]);
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x06\x01\x01\0\0\0\x01\x82\x86\x84\x41\x01x".to_vec();
    for _ in 0..2_000 {
        // CONTINUATION with a field of 100 bytes and without the flag that ends it
        bytes.extend_from_slice(
            &[&[0, 0, 103, 9, 0, 0, 0, 0, 1, 0, 1, b'a', 99][..], &[b'b'; 99][..]].concat()[..112],
        );
    }
    stream.write_all(&bytes).ok();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok();
    assert!(server.end().is_empty());
}
