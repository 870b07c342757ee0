//! Each limit, reached for real on a server that is looked at from outside: what is counted, and that its memory,
//! descriptors, connections and workers are after it what they were before.

use std::io::Write as _;

use bstr::ByteSlice as _;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::abuse::EMPTY_PACK;
use crate::client::{Answer, Client, ask, fetch, get, head, ls_refs, packets, post};
use crate::served;
use crate::support::servers::free_port;
use crate::support::servers::serve::GitrServe;
use crate::support::{Sandbox, Stream, build};
use crate::turns::Hook;

pub const REFS: &str = "/project.git/info/refs?service=git-upload-pack";
/// Clients that do the same at a time.
const CROWD: usize = 30;
/// Kilobytes by which a server may have grown when an attack is over: what the allocator keeps, stacks of threads.
const GROWN_MAX_KB: u64 = 48 << 10;
/// Kilobytes by which it may grow while it lasts: some workers with objects of ten megabytes.
const PEAK_MAX_KB: u64 = 192 << 10;
/// Descriptors that it may have more afterwards: packs that are kept open.
const DESCRIPTORS_MAX: usize = 4;

/// A server and what it was like at rest.
pub struct Guarded {
    pub sandbox: Sandbox,
    pub server: GitrServe,
    admin: u16,
    descriptors: usize,
    memory_kb: u64,
}

impl Guarded {
    /// Starts one with `options`, and lets it do once what it does often.
    pub fn start(options: &[&str]) -> Self {
        let admin = free_port();
        let said = format!("--admin=127.0.0.1:{admin}");
        let all = [&[said.as_str()], options].concat();
        let (sandbox, server) = served(&all);
        let mut guarded = Self { sandbox, server, admin, descriptors: 0, memory_kb: 0 };
        assert_eq!(get(guarded.port(), REFS).status, 200);
        guarded.wait_for_rest();
        guarded.descriptors = guarded.descriptors();
        guarded.memory_kb = guarded.memory_kb("VmRSS:");
        guarded
    }

    pub fn port(&self) -> u16 {
        self.server.process.port
    }

    pub fn repository(&self) -> std::path::PathBuf {
        self.sandbox.path("served/project.git")
    }

    pub fn tip(&self) -> String {
        self.sandbox.git(&self.repository(), &["rev-parse", "main"]).line()
    }

    /// Whether there is a ref of this name.
    pub fn has_ref(&self, name: &str) -> bool {
        self.sandbox.git(&self.repository(), &["rev-parse", "--verify", "-q", name]).status == 0
    }

    /// Adds a commit with a file of `bytes` that nothing makes smaller.
    pub fn enlarge(&self, bytes: usize) {
        let mut stream = Stream::onto("main");
        stream.commit("main", 200).file("large.bin", build::noise(bytes));
        stream.import(&self.sandbox, &self.repository());
    }

    /// What the metrics say under a name that begins so.
    pub fn metric(&self, name: &str) -> u64 {
        metric(self.admin, name)
    }

    /// Waits until the metrics say under `name` what `is` is true of; false if that takes too long.
    pub fn wait_until(&mut self, name: &str, is: impl Fn(u64) -> bool) -> bool {
        let admin = self.admin;
        self.server.process.wait_until(|| is(metric(admin, name)))
    }

    /// All that the metrics say.
    pub fn metrics(&self) -> String {
        get(self.admin, "/metrics").body.to_string()
    }

    /// How often something went over `limit`.
    pub fn counted(&self, limit: &str) -> u64 {
        self.metric(&format!("gitr_limited_total{{limit=\"{limit}\","))
    }

    /// Waits until `limit` was counted so often, and nothing is left of those who went over it.
    pub fn has_limited(&mut self, limit: &str, times: usize) {
        let admin = self.admin;
        let name = format!("gitr_limited_total{{limit=\"{limit}\",");
        let is_counted = || metric(admin, &name) >= times as u64;
        assert!(self.server.process.wait_until(is_counted), "{limit}: {} of {times}", self.counted(limit));
        self.is_as_before();
    }

    /// What is kept by now for the next of the kind is not held against it: the allocator gives nothing back that threads
    /// have used for large objects.
    pub fn starts_anew(&mut self) {
        self.memory_kb = self.memory_kb("VmRSS:");
    }

    /// Checks that nothing is left of what was done to it, and that it serves.
    pub fn is_as_before(&mut self) {
        assert_eq!(get(self.port(), REFS).status, 200);
        self.wait_for_rest();
        let descriptors = self.descriptors();
        assert!(
            descriptors <= self.descriptors + DESCRIPTORS_MAX,
            "{descriptors}, {} before",
            self.descriptors
        );
        for (name, most) in [("VmRSS:", GROWN_MAX_KB), ("VmHWM:", PEAK_MAX_KB)] {
            let grown = self.memory_kb(name).saturating_sub(self.memory_kb);
            assert!(grown <= most, "{name} {grown} kB more than before");
        }
    }

    fn wait_for_rest(&mut self) {
        const GAUGES: [&str; 4] =
            ["gitr_workers_busy ", "gitr_queue_depth ", "gitr_connections ", "http_server_active_requests "];
        let admin = self.admin;
        let rests = || GAUGES.iter().all(|name| metric(admin, name) == 0);
        let does = self.server.process.wait_until(rests);
        assert!(does, "{:?}", GAUGES.map(|name| (name, self.metric(name))));
    }

    fn descriptors(&self) -> usize {
        std::fs::read_dir(self.place("fd")).unwrap().count()
    }

    /// What the kernel says of its memory under a name such as `VmRSS:`, in kilobytes.
    pub fn memory_kb(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(self.place("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    fn place(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.server.process.group().as_raw_nonzero())
    }
}

fn metric(admin: u16, name: &str) -> u64 {
    let text = get(admin, "/metrics").body.to_string();
    let lines = text.lines().filter(|line| line.starts_with(name));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

/// Sends a head and `body`, which need not be all of it.
pub fn begun(port: u16, head: &str, body: impl AsRef<[u8]>) -> Client {
    let mut client = Client::new(port);
    client.send(format!("{}\r\nHost: x\r\n\r\n", head.replace('\n', "\r\n")));
    client.send(body);
    client
}

/// A push of which the server waits for the rest.
pub fn holder(port: u16, repository: &str) -> Client {
    let said = head("Content-Length: 100\nExpect: 100-continue").replace("upload-pack", "receive-pack");
    let mut client = begun(port, &said.replace("project", repository), "");
    assert_eq!(client.answer().unwrap().status, 100, "it is being worked on");
    client
}

/// All do the same at the same time.
fn crowd(act: impl Fn() -> Answer + Send + Sync) -> Vec<Answer> {
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..CROWD).map(|_| scope.spawn(&act)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

fn fetch_lines(line: &str, count: usize) -> Vec<u8> {
    let begin = packets(&["command=fetch", "0001"]);
    [begin, packets(&[line]).repeat(count), packets(&["done", "0000"])].concat()
}

#[test]
fn lines_without_end_are_refused_and_counted() {
    let mut server = Guarded::start(&[
        "--limit=wants=100",
        "--limit=shallows=100",
        "--limit=deepen-nots=100",
        "--limit=prefixes=100",
        "--limit=server-options=100",
        "--limit=object-infos=100",
    ]);
    let told = ["config", "transfer.advertiseObjectInfo", "true"];
    server.sandbox.git(&server.repository(), &told).success();
    let (port, id) = (server.port(), server.tip());
    let list =
        |line: &str| [packets(&["command=ls-refs"]), packets(&[line]).repeat(101), b"0000".to_vec()].concat();
    let prefixes =
        [packets(&["command=ls-refs", "0001"]), packets(&["ref-prefix refs/"]).repeat(101)].concat();
    let infos = |count| {
        let oids = packets(&[&format!("oid {id}")]).repeat(count);
        [packets(&["command=object-info", "0001", "size"]), oids, b"0000".to_vec()].concat()
    };
    let sized = post(port, infos(100));
    assert_eq!((sized.status, sized.body.find_iter(&id).count()), (200, 100), "{sized:?}");
    for (limit, body) in [
        ("object-infos", infos(101)),
        ("wants", fetch_lines(&format!("want {id}"), 101)),
        ("shallows", fetch_lines(&format!("shallow {id}"), 101)),
        ("deepen-nots", fetch_lines("deepen-not refs/heads/main", 101)),
        ("prefixes", [prefixes, b"0000".to_vec()].concat()),
        ("server-options", list("server-option=x")),
    ] {
        for answer in crowd(|| post(port, &body)) {
            assert!(answer.status == 413 && answer.body.contains_str("ERR too many "), "{limit} {answer:?}");
        }
        server.has_limited(limit, CROWD);
        assert_eq!(server.counted(limit), CROWD as u64);
    }
}

#[test]
fn thirteen_megabytes_of_haves_are_refused_and_counted() {
    let mut server = Guarded::start(&[]);
    // one more than the limit that holds where nothing is said
    let body = fetch_lines(&format!("have {}", "7".repeat(40)), 262_145);
    for (most, limit, text) in [
        ("10m", "request-bytes", "ERR request was larger than our maximum size (10485760)"),
        ("20m", "haves", "ERR too many haves: 262144 are the most that is served here"),
    ] {
        server.sandbox.git(&server.repository(), &["config", "http.maxRequestBuffer", most]).success();
        for _ in 0..2 {
            let answer = post(server.port(), &body);
            assert!(answer.status == 413 && answer.body.contains_str(text), "{answer:?}");
        }
        server.has_limited(limit, 2);
    }
}

#[test]
fn long_heads_bodies_and_bombs_are_refused_and_counted() {
    let mut server = Guarded::start(&["--limit=request-bytes=1m", "--limit=header-bytes=4k"]);
    let port = server.port();
    let long = format!("GET {REFS} HTTP/1.1\nX: {}", "x".repeat(100_000));
    assert!(crowd(|| ask(port, &long, "")).iter().all(|answer| answer.status == 431));
    server.has_limited("header-bytes", CROWD);
    let declared = head("Content-Length: 1100000");
    assert!(crowd(|| ask(port, &declared, "")).iter().all(|answer| answer.status == 413));
    server.has_limited("request-bytes", CROWD);
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(&packets(&["command=ls-refs", "0001"])).unwrap();
    packer.write_all(&packets(&["ref-prefix x"]).repeat(4_000_000)).unwrap();
    let bomb = packer.finish().unwrap();
    assert!(bomb.len() < 1 << 20, "{} bytes", bomb.len());
    let said = head(&format!("Content-Length: {}\nContent-Encoding: gzip", bomb.len()));
    for answer in crowd(|| ask(port, &said, &bomb)) {
        assert!(answer.status == 413 && answer.body.contains_str("longer than is served"), "{answer:?}");
    }
    let all = server.counted("inflation") + server.counted("request-bytes");
    assert_eq!(all, 2 * CROWD as u64);
    server.is_as_before();
}

#[test]
fn so_many_connections_and_no_more() {
    for (limit, option) in [
        ("connections", "--limit=connections=5"),
        ("connections-per-address", "--limit=connections-per-address=5"),
    ] {
        let mut server = Guarded::start(&[option]);
        let port = server.port();
        let inside: Vec<_> = (0..5)
            .map(|_| {
                let mut client = begun(port, &format!("GET {REFS} HTTP/1.1"), "");
                assert_eq!(client.answer().unwrap().status, 200);
                client
            })
            .collect();
        let mut outside: Vec<_> = (0..CROWD).map(|_| Client::new(port)).collect();
        for client in &mut outside {
            let answer = client.answer().unwrap();
            assert_eq!((answer.status, answer.header("retry-after")), (503, Some("10")));
            assert_eq!(answer.body, "too many connections\r\n");
            assert!(client.is_closed());
        }
        // those who run it get in
        assert_eq!((server.counted(limit), server.metric("gitr_connections ")), (CROWD as u64, 5));
        drop((inside, outside));
        server.wait_for_rest();
        server.has_limited(limit, CROWD);
    }
}

#[test]
fn so_many_workers_and_no_more() {
    for (option, has_other) in [
        ("--limit=workers=1", false),
        ("--limit=workers-per-address=1", false),
        ("--limit=workers-per-repository=1", true),
    ] {
        let mut server =
            Guarded::start(&[option, "--limit=queue-time=20ms", "--enable-receive-pack=anybody"]);
        let port = server.port();
        build::project(&server.sandbox, &server.sandbox.path("served/other.git"), crate::Format::Sha1, 3);
        let held = holder(port, "project");
        for answer in crowd(|| post(port, ls_refs())) {
            assert_eq!((answer.status, answer.header("retry-after")), (429, Some("10")), "{option}");
            assert!(
                answer.body.contains_str("ERR too many requests: no worker was free in time"),
                "{answer:?}"
            );
        }
        let elsewhere = get(port, &REFS.replace("project", "other")).status;
        assert_eq!(elsewhere, if has_other { 200 } else { 429 }, "{option}");
        drop(held);
        server.wait_for_rest();
        server.has_limited("queue-time", CROWD);
    }
}

#[test]
fn a_queue_has_an_end() {
    let mut server = Guarded::start(&[
        "--limit=workers=1",
        "--limit=queue=2",
        "--limit=queue-time=10m",
        "--enable-receive-pack=anybody",
    ]);
    let port = server.port();
    let held = holder(port, "project");
    let body = ls_refs();
    let said = head(&format!("Content-Length: {}", body.len()));
    let mut waiting: Vec<_> = (0..2).map(|_| begun(port, &said, &body)).collect();
    let admin = server.admin;
    assert!(server.server.process.wait_until(|| metric(admin, "gitr_queue_depth ") == 2));
    for answer in crowd(|| post(port, &body)) {
        assert_eq!(answer.status, 429);
        assert!(answer.body.contains_str("ERR too many requests: the queue is full"), "{answer:?}");
    }
    drop(held);
    for client in &mut waiting {
        assert_eq!(client.answer().unwrap().status, 200, "who waited has a turn");
    }
    drop(waiting);
    server.has_limited("queue", CROWD);
}

#[test]
fn answers_that_take_too_long_are_given_up() {
    let mut server = Guarded::start(&["--limit=answer-time=2s", "--enable-receive-pack=anybody"]);
    let hook = Hook::install(&server, "pre-receive", "exit $line");
    let command = format!("{} {} refs/heads/x\0 report-status", "0".repeat(40), server.tip());
    let body = [packets(&[&command, "0000"]).as_slice(), EMPTY_PACK].concat();
    let said = head(&format!("Content-Length: {}", body.len())).replace("upload-pack", "receive-pack");
    // who has heard that nothing comes of it finds nothing, whatever the hook says later
    for (turn, status) in [(1, "1"), (2, "0")] {
        let answer = ask(server.port(), &said, &body);
        assert_eq!(answer.status, 504, "{answer:?}");
        assert!(answer.body.contains_str("this takes too long"), "{answer:?}");
        hook.go_on(status);
        server.has_limited("answer-time", turn);
        assert!(!server.has_ref("refs/heads/x"), "{status}");
    }
}

#[test]
fn those_who_hang_up_free_their_workers() {
    let mut server = Guarded::start(&["--limit=packs=1", "--limit=connections-per-address=100"]);
    server.enlarge(9 << 20);
    let port = server.port();
    let body = fetch(&server.tip());
    let said = head(&format!("Content-Length: {}", body.len()));
    let clients: Vec<_> = (0..CROWD).map(|_| begun(port, &said, &body)).collect();
    let admin = server.admin;
    assert!(
        server.server.process.wait_until(|| metric(admin, "http_server_active_requests ") == CROWD as u64)
    );
    drop(clients);
    assert!(server.server.process.wait_until(|| metric(admin, "gitr_client_gone_total ") == CROWD as u64));
    server.is_as_before();
}
