//! An HTTP/1.1 server in a thread: it notes each request and answers as the test says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// One request as it came.
#[derive(Debug, Clone)]
pub(super) struct Received {
    /// Such as `GET /repo.git/info/refs?service=git-upload-pack`.
    pub(super) line: String,
    /// Names in lower case, and values, in order.
    pub(super) headers: Vec<(String, String)>,
    /// The body with its chunks joined.
    pub(super) body: Vec<u8>,
    /// Who sent it: the same for requests on one connection.
    pub(super) peer: SocketAddr,
}

impl Received {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }
}

/// What the server says; the bytes are sent as they are.
pub(super) enum Reply {
    /// Goes out, then the next request is read from the connection.
    Send(Vec<u8>),
    /// Goes out, then the connection ends.
    Last(Vec<u8>),
}

impl Reply {
    /// A whole answer.
    pub(super) fn new(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let lines: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = body.len();
        let text = format!("HTTP/1.1 {status} Canned\r\nContent-Length: {length}\r\n{}\r\n", lines.concat());
        Self::Send([text.as_bytes(), body].concat())
    }

    /// The advertisement of a version 2 server.
    pub(super) fn advertisement() -> Self {
        let body = b"000eversion 2\n0000";
        Self::new(200, &[("Content-Type", "application/x-git-upload-pack-advertisement")], body)
    }

    /// The answer to an exchange.
    pub(super) fn result(body: &[u8]) -> Self {
        Self::new(200, &[("Content-Type", "application/x-git-upload-pack-result")], body)
    }
}

/// The server; its threads end with the test program.
pub(super) struct Server {
    /// Such as `http://127.0.0.1:4711`.
    pub(super) url: String,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Server {
    /// Answers every request by `answer`.
    pub(super) fn start(answer: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&received);
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            while let Ok((stream, peer)) = listener.accept() {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream, peer, &log, &*answer));
            }
        });
        Self { url, received }
    }

    /// The requests so far.
    pub(super) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    log: &Mutex<Vec<Received>>,
    answer: &dyn Fn(&Received) -> Reply,
) -> Option<()> {
    let mut output = stream.try_clone().ok()?;
    let mut input = BufReader::new(stream);
    loop {
        let request = read_request(&mut input, peer)?;
        log.lock().unwrap().push(request.clone());
        match answer(&request) {
            Reply::Send(bytes) => output.write_all(&bytes).ok()?,
            Reply::Last(bytes) => {
                output.write_all(&bytes).ok()?;
                return output.shutdown(std::net::Shutdown::Both).ok();
            }
        }
    }
}

/// A line without its end; `None` at the end of the stream.
pub(super) fn read_line(input: &mut dyn BufRead) -> Option<String> {
    let mut line = String::new();
    input.read_line(&mut line).ok().filter(|&count| count > 0)?;
    Some(line.trim_end().to_owned())
}

/// The next request; `None` at the end of the stream.
pub(super) fn read_request(input: &mut dyn BufRead, peer: SocketAddr) -> Option<Received> {
    let line = read_line(input)?;
    let mut headers = Vec::new();
    loop {
        let line = read_line(input)?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let line = line.trim_end_matches(" HTTP/1.1").to_owned();
    let mut request = Received { line, headers, body: Vec::new(), peer };
    if request.header("transfer-encoding").is_some() {
        loop {
            let len = u64::from_str_radix(&read_line(input)?, 16).ok()?;
            input.take(len).read_to_end(&mut request.body).ok()?;
            read_line(input)?;
            if len == 0 {
                break;
            }
        }
    } else {
        let len = request.header("content-length").map_or(0, |len| len.parse().unwrap());
        input.take(len).read_to_end(&mut request.body).ok()?;
    }
    Some(request)
}
