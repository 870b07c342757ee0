//! The feature `otlp`: what a collector of OpenTelemetry hears of `gitr serve`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test ends by panicking")]
#![allow(clippy::print_stderr, reason = "skips are told on stderr")]

#[path = "support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use support::servers::serve::GitrServe;
use support::{Format, Run, Sandbox, Serve as _, build};

/// How long the collector waits before the test calls the server mute. Nothing is measured.
const MUTE_AFTER: Duration = Duration::from_mins(1);
/// What a client says that is itself traced, and the ids in it.
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// A span, as the collector hears of it.
#[derive(Debug, Default)]
struct Told {
    trace: String,
    id: String,
    parent: String,
    name: String,
    attributes: HashMap<String, String>,
    service: String,
}

/// The fields of a message of protocol buffers: their numbers, and the bytes of those that have a length.
fn fields(mut rest: &[u8]) -> Vec<(u64, &[u8])> {
    let mut found = Vec::new();
    while !rest.is_empty() {
        let key = varint(&mut rest);
        let length = match key & 7 {
            0 => {
                varint(&mut rest);
                continue;
            }
            1 => 8,
            2 => usize::try_from(varint(&mut rest)).unwrap(),
            5 => 4,
            other => panic!("there is no type {other}"),
        };
        let (value, after) = rest.split_at(length);
        found.push((key >> 3, value));
        rest = after;
    }
    found
}

fn varint(rest: &mut &[u8]) -> u64 {
    let (mut number, mut shift) = (0, 0);
    loop {
        let byte = *rest.split_off_first().unwrap();
        number |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            return number;
        }
    }
}

/// Everything that is at the end of a path of field numbers.
fn at<'m>(message: &'m [u8], path: &[u64]) -> Vec<&'m [u8]> {
    path.iter().fold(vec![message], |found, number| {
        let inner = found.into_iter().flat_map(fields);
        inner.filter(|(own, _)| own == number).map(|(_, value)| value).collect()
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Names and values of attributes that are text.
fn attributes(message: &[u8], number: u64) -> HashMap<String, String> {
    let pair = |pair: &[u8]| {
        let value = at(pair, &[2, 1]).first().map(|value| text(value)).unwrap_or_default();
        (text(at(pair, &[1])[0]), value)
    };
    at(message, &[number]).into_iter().map(pair).collect()
}

/// The spans of an `ExportTraceServiceRequest`: opentelemetry-proto, `trace.proto`.
fn spans(request: &[u8]) -> Vec<Told> {
    let hex = |bytes: &[u8]| {
        let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect::<String>()
    };
    let mut found = Vec::new();
    for resource_spans in at(request, &[1]) {
        let service = at(resource_spans, &[1]).first().map(|resource| attributes(resource, 1));
        let service = service.and_then(|all| all.get("service.name").cloned()).unwrap_or_default();
        for span in at(resource_spans, &[2, 2]) {
            let id = |number| at(span, &[number]).first().map(|id| hex(id)).unwrap_or_default();
            found.push(Told {
                trace: id(1),
                id: id(2),
                parent: id(4),
                name: text(at(span, &[5])[0]),
                attributes: attributes(span, 9),
                service: service.clone(),
            });
        }
    }
    found
}

/// A collector that takes what it is told, and tells by a channel what that was.
fn collector() -> (u16, mpsc::Receiver<Vec<Told>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, told) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (head, body) = request(&stream);
            assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
            assert!(head.to_lowercase().contains("content-type: application/x-protobuf"), "{head}");
            assert!(head.to_lowercase().contains("x-key: value"), "{head}");
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            (&stream).write_all(answer.as_bytes()).unwrap();
            sender.send(spans(&body)).ok();
        }
    });
    (port, told)
}

fn request(stream: &TcpStream) -> (String, Vec<u8>) {
    let mut input = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(input.read_line(&mut head).unwrap() > 0, "{head}");
    }
    let length =
        head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap()];
    input.read_exact(&mut body).unwrap();
    (head, body)
}

/// A server of a project, whose spans go to a collector.
fn served(more: &[(&str, &str)]) -> (Sandbox, GitrServe, mpsc::Receiver<Vec<Told>>) {
    let mut sandbox = Sandbox::new();
    build::project(&sandbox, &sandbox.path("served/project.git"), Format::Sha1, 30);
    let (port, told) = collector();
    sandbox.set("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{port}"));
    sandbox.set("OTEL_EXPORTER_OTLP_HEADERS", "x-key=value");
    sandbox.set("OTEL_BSP_SCHEDULE_DELAY", "100");
    for (name, value) in more {
        sandbox.set(*name, *value);
    }
    let server = GitrServe::start(&sandbox, &["--enable-receive-pack=anybody"]);
    (sandbox, server, told)
}

/// Waits until a span called `name` is told that `is` is true of; all that was told by then.
fn wait_for(told: &mpsc::Receiver<Vec<Told>>, name: &str, is: impl Fn(&Told) -> bool) -> Vec<Told> {
    let mut all = Vec::new();
    while !all.iter().any(|span: &Told| span.name == name && is(span)) {
        let more = told.recv_timeout(MUTE_AFTER);
        all.extend(more.unwrap_or_else(|_| panic!("no '{name}' among {all:#?}")));
    }
    all
}

#[test]
fn a_fetch_is_told_part_by_part_under_the_span_of_its_client() {
    let (sandbox, server, told) = served(&[]);
    let mut command = sandbox.command("git");
    let header = format!("http.extraHeader=traceparent: {TRACEPARENT}");
    command.args(["-c", &header, "-c", "transfer.advertiseSID=true", "clone", "-q", "--bare"]);
    Run::of(command.args([&server.url("project.git"), "copy.git"])).success();
    let is_fetch = |span: &Told| span.attributes.get("command").is_some_and(|command| command == "fetch");
    let all = wait_for(&told, "request", is_fetch);
    let request = all.iter().find(|span| is_fetch(span)).unwrap();
    assert_eq!((request.trace.as_str(), request.parent.as_str()), (TRACE, PARENT));
    assert_eq!(request.service, "gitr");
    assert!(request.attributes["session-id"].len() > 10, "{request:?}");
    assert_eq!(request.attributes["url.path"], "/project.git/git-upload-pack");
    for name in ["parse", "negotiate", "select", "delta", "write"] {
        // a clone has nothing to negotiate
        let parts = all.iter().filter(|span| span.name == name && span.parent == request.id).count();
        assert_eq!(parts > 0, name != "negotiate", "{name}: {all:#?}");
    }
    assert!(all.iter().all(|span| span.trace == TRACE), "{all:#?}");
}

#[test]
fn rounds_of_a_negotiation_are_told_and_so_are_pushes() {
    let (sandbox, server, told) = served(&[("OTEL_SERVICE_NAME", "forge")]);
    let (project, copy, url) =
        (sandbox.path("served/project.git"), sandbox.path("copy.git"), server.url("project.git"));
    sandbox.git(&sandbox.path(""), &["clone", "-q", "--mirror", &url, "copy.git"]).success();
    support::Stream::onto("main").history(40..44).import(&sandbox, &project);
    sandbox.git(&copy, &["fetch", "-q", "origin"]).success();
    let all = wait_for(&told, "negotiate", |_| true);
    let negotiated = all.iter().find(|span| span.name == "negotiate").unwrap();
    assert_eq!((negotiated.service.as_str(), negotiated.parent.is_empty()), ("forge", false));
    sandbox.git(&copy, &["push", "-q", &url, "main:refs/heads/pushed"]).success();
    wait_for(&told, "request", |span| {
        span.attributes.get("url.path").is_some_and(|path| path == "/project.git/git-receive-pack")
    });
}

/// What was not sent when the server ends is sent then; and a collector that is not there is in nobody's way.
#[test]
fn spans_are_sent_at_the_end_and_are_no_condition() {
    let (sandbox, server, told) = served(&[("OTEL_BSP_SCHEDULE_DELAY", "600000")]);
    sandbox.git(&sandbox.path(""), &["ls-remote", &server.url("project.git")]).success();
    drop(server);
    wait_for(&told, "request", |span| span.attributes.get("command").is_some_and(|name| name == "ls-refs"));
    let (sandbox, server, _) = served(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")]);
    for name in ["first", "second"] {
        let words = ["clone", "-q", "--bare", &server.url("project.git"), name];
        sandbox.git(&sandbox.path(""), &words).success();
    }
}
