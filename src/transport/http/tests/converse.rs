//! Requests that are answered while they are still being sent: a push.

use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;

use super::server::{Received, Reply, Server, read_line, read_request};
use super::*;

/// The longest request that goes out whole with [`small_buffer`]: a pkt-line less than its `http.postBuffer`.
const POST_BUFFER_LEN: usize = 65520;
/// The head of a good answer; its body ends where the connection does.
const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/x-git-receive-pack-result\r\n\r\n";

fn advertisement() -> Reply {
    let body = packet("# service=git-receive-pack\n") + "00000000";
    Reply::new(200, &[("Content-Type", "application/x-git-receive-pack-advertisement")], body.as_bytes())
}

fn result(body: &[u8]) -> Reply {
    Reply::new(200, &[("Content-Type", "application/x-git-receive-pack-result")], body)
}

/// Takes pushes and says how long they were.
fn counting() -> Server {
    Server::start(|request| {
        if request.line.starts_with("GET") {
            advertisement()
        } else {
            result(format!("{} bytes", request.body.len()).as_bytes())
        }
    })
}

fn connect_to_push(at: &str, settings: &FakeSettings) -> Box<dyn Connection> {
    let mut transport = open(&url(at), settings, Options::default()).unwrap();
    transport.connect(Service::ReceivePack, Version::V1, &mut Discard).unwrap()
}

fn small_buffer() -> FakeSettings {
    quiet().with("postbuffer", &(2 * POST_BUFFER_LEN).to_string())
}

/// Says `body`; gives the whole answer.
fn say(connection: &mut dyn Connection, body: &mut (dyn Read + Send)) -> Result<String, Error> {
    let mut text = String::new();
    let mut read = |answer: &mut dyn BufRead| {
        answer.read_to_string(&mut text)?;
        Ok(())
    };
    connection.converse(body, &mut read, &mut Discard)?;
    Ok(text)
}

/// A server that advertises and takes the probe as usual, then leaves the long request to `script`, which gets what
/// comes behind its header.
fn scripted(script: impl FnOnce(&mut dyn BufRead, &mut TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = format!("http://{}/r", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, peer) = listener.accept().unwrap();
        let mut input = BufReader::new(stream.try_clone().unwrap());
        for reply in [advertisement(), result(b"")] {
            read_request(&mut input, peer).unwrap();
            let Reply::Send(bytes) = reply else { panic!("a whole answer") };
            stream.write_all(&bytes).unwrap();
        }
        let (line, headers) = read_head(&mut input);
        assert_eq!(line, "POST /r/git-receive-pack HTTP/1.1");
        assert!(headers.contains(&"Transfer-Encoding: chunked".into()), "{headers:?}");
        script(&mut input, &mut stream);
    });
    at
}

fn read_head(input: &mut dyn BufRead) -> (String, Vec<String>) {
    let line = read_line(input).unwrap();
    (line, std::iter::from_fn(|| read_line(input).filter(|line| !line.is_empty())).collect())
}

/// Reads one chunk; it is empty if it is the last.
fn read_chunk(input: &mut dyn BufRead) -> Option<Vec<u8>> {
    let len = u64::from_str_radix(&read_line(input)?, 16).unwrap();
    let mut chunk = Vec::new();
    input.take(len).read_to_end(&mut chunk).unwrap();
    read_line(input)?;
    Some(chunk)
}

#[test]
fn what_fits_the_buffer_is_one_request() {
    let server = counting();
    let mut connection = connect_to_push(&format!("{}/r", server.url), &small_buffer());
    for len in [0, 4, 2000, POST_BUFFER_LEN] {
        let answer = say(&mut *connection, &mut std::io::repeat(b'x').take(len as u64)).unwrap();
        assert_eq!(answer, format!("{len} bytes"));
    }
    let received = server.received();
    assert_eq!(received.len(), 5);
    let length = |request: &Received| request.header("content-length").map(ToOwned::to_owned);
    assert_eq!(length(&received[3]).as_deref(), Some("2000"));
    assert!(received.iter().all(|request| request.header("content-encoding").is_none()));
    let peers: Vec<SocketAddr> = received.iter().map(|request| request.peer).collect();
    assert!(peers.iter().all(|peer| *peer == peers[0]), "one connection serves the whole session");
}

#[test]
fn what_is_longer_comes_in_chunks_after_a_probe() {
    let server = counting();
    let mut connection = connect_to_push(&format!("{}/r", server.url), &small_buffer());
    let len = POST_BUFFER_LEN + 1;
    let answer = say(&mut *connection, &mut std::io::repeat(b'x').take(len as u64)).unwrap();
    assert_eq!(answer, format!("{len} bytes"));
    let received = server.received();
    assert_eq!(received[1].body, b"0000");
    assert_eq!(received[1].header("content-length"), Some("4"));
    assert_eq!(received[2].header("transfer-encoding"), Some("chunked"));
    assert_eq!(received[2].header("content-length").or(received[2].header("expect")), None);
    assert_eq!(received.len(), 3);
}

#[test]
fn the_probe_finds_out_who_we_are() {
    const ALICE: &str = "Basic YWxpY2U6c2VjcmV0";
    let server = Server::start(|request| match request.header("authorization") {
        _ if request.line.starts_with("GET") => advertisement(),
        Some(ALICE) => result(b"taken"),
        _ => Reply::new(401, &[("WWW-Authenticate", "Basic realm=x")], b""),
    });
    let at = server.url.replace("http://", "http://alice:secret@") + "/r";
    let mut connection = connect_to_push(&at, &small_buffer());
    let mut body = std::io::repeat(b'x').take(1_000_000);
    assert_eq!(say(&mut *connection, &mut body).unwrap(), "taken");
    let posts: Vec<_> =
        server.received().into_iter().skip(1).map(|post| (post.body.len(), post.headers)).collect();
    let lengths: Vec<usize> = posts.iter().map(|(len, _)| *len).collect();
    assert_eq!(lengths, [4, 4, 1_000_000]);
}

/// Gives `first`, then waits for a word before it gives `second`.
struct Halves {
    first: std::io::Take<std::io::Repeat>,
    go: mpsc::Receiver<()>,
    second: std::io::Take<std::io::Repeat>,
}

impl Read for Halves {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.first.read(buffer)?;
        if count == 0 && self.second.limit() == 300_000 {
            self.go.recv().map_err(std::io::Error::other)?;
        }
        if count > 0 { Ok(count) } else { self.second.read(buffer) }
    }
}

#[test]
fn the_answer_is_heard_while_the_request_is_made() {
    let at = scripted(|input, output| {
        let mut len = 0;
        while len < 300_000 {
            len += read_chunk(input).unwrap().len();
        }
        output.write_all(HEAD.as_bytes()).unwrap();
        output.write_all(b"half\n").unwrap();
        while read_chunk(input).is_some_and(|chunk| !chunk.is_empty()) {}
        output.write_all(b"all\n").unwrap();
        output.shutdown(std::net::Shutdown::Both).unwrap();
    });
    let (told, go) = mpsc::channel();
    let half = || std::io::repeat(b'x').take(300_000);
    let mut body = Halves { first: half(), go, second: half() };
    let mut lines = Vec::new();
    let mut read = |answer: &mut dyn BufRead| {
        while let Some(line) = read_line(answer) {
            if line == "half" {
                told.send(()).unwrap();
            }
            lines.push(line);
        }
        Ok(())
    };
    connect_to_push(&at, &small_buffer()).converse(&mut body, &mut read, &mut Discard).unwrap();
    assert_eq!(lines, ["half", "all"]);
}

#[test]
fn a_refusal_in_the_middle_is_heard() {
    let page =
        "HTTP/1.1 413 Too Large\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nno more than 5 MB\n";
    let refused_after = |chunks: usize| {
        let at = scripted(move |input, output| {
            (0..chunks).for_each(|_| drop(read_chunk(input)));
            // what is not read yet makes the system reset the connection when the socket is closed
            output.write_all(page.as_bytes()).unwrap();
        });
        let mut body = std::io::repeat(b'x').take(1 << 30);
        match say(&mut *connect_to_push(&at, &small_buffer()), &mut body) {
            Err(Error::Rpc { remote, reason, consequence }) => {
                assert_eq!(remote, ["no more than 5 MB"]);
                assert_eq!(reason, "RPC failed; HTTP 413 curl 22 The requested URL returned error: 413");
                assert_eq!(consequence, "the remote end hung up unexpectedly");
            }
            other => panic!("{other:?}"),
        }
        (1 << 30) - body.limit()
    };
    for chunks in [0, 1, 20] {
        let taken = refused_after(chunks);
        assert!(taken < 64 << 20, "{taken} bytes were made for a server that read {chunks} chunks");
    }
}

#[test]
fn a_server_that_hangs_up_is_not_a_broken_pipe() {
    let at = scripted(|input, _output| drop(read_chunk(input)));
    let mut body = std::io::repeat(b'x').take(1 << 30);
    let error = say(&mut *connect_to_push(&at, &small_buffer()), &mut body).unwrap_err().to_string();
    let known = [
        "curl 52 Empty reply from server",
        "curl 55 Send failure: Broken pipe",
        "curl 56 Recv failure: Connection reset by peer",
    ];
    assert!(known.iter().any(|words| error == format!("RPC failed; {words}")), "{error}");
}

/// Fails after a while.
struct Torn(usize);

impl Read for Torn {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0 = self.0.checked_sub(buffer.len()).ok_or_else(|| std::io::Error::other("torn"))?;
        Ok(buffer.len())
    }
}

#[test]
fn a_request_that_cannot_be_finished_is_never_complete() {
    let (report, seen) = mpsc::channel();
    let at = scripted(move |input, _output| {
        // the connection ends between two chunks, and the empty one that would be the last never comes
        let lengths: Vec<usize> = std::iter::from_fn(|| read_chunk(input))
            .map(|chunk| chunk.len())
            .take_while(|&len| len > 0)
            .collect();
        report.send((lengths.iter().sum::<usize>(), read_chunk(input).is_none())).unwrap();
    });
    let error = say(&mut *connect_to_push(&at, &small_buffer()), &mut Torn(1_000_000)).unwrap_err();
    assert_eq!(error.to_string(), "torn");
    let (len, ended) = seen.recv().unwrap();
    assert!(len < 1_000_000 && ended, "{len}");

    let server = counting();
    let mut connection = connect_to_push(&format!("{}/r", server.url), &quiet());
    assert_eq!(say(&mut *connection, &mut Torn(1000)).unwrap_err().to_string(), "torn");
    assert_eq!(server.received().len(), 1, "a request that fits the buffer is not even begun");
}

#[test]
fn a_reader_that_gives_up_ends_the_request() {
    let at = scripted(|input, output| {
        drop(read_chunk(input));
        output.write_all(HEAD.as_bytes()).unwrap();
        output.write_all(b"unpack failed\n").unwrap();
        // reads on, as a server may that drains the request
        while read_chunk(input).is_some() {}
    });
    let mut body = std::io::repeat(b'x').take(1 << 40);
    let mut read = |answer: &mut dyn BufRead| match read_line(answer) {
        Some(line) => Err(Error::Access(line)),
        None => Ok(()),
    };
    let error =
        connect_to_push(&at, &small_buffer()).converse(&mut body, &mut read, &mut Discard).unwrap_err();
    assert_eq!(error.to_string(), "unpack failed");
}
