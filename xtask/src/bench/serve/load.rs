//! Clients that ask as git does, and throw away what they hear.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};

use crate::bench::rows::packet;

/// Operations, each of which is a row of requests.
pub(super) struct Load {
    /// The rows, which take turns.
    pub(super) rows: Vec<Vec<Request>>,
    /// How many.
    pub(super) times: usize,
    /// How many of them at the same time.
    pub(super) at_once: usize,
}

/// One request: its head but for the host, and its body.
pub(super) struct Request(Vec<u8>);

/// What clients have seen.
#[derive(Default)]
pub(super) struct Seen {
    /// Seconds that each operation took.
    pub(super) seconds: Vec<f64>,
    pub(super) sent: usize,
    pub(super) received: usize,
}

impl Request {
    /// The first one, of the repository `name`.
    pub(super) fn greeting(name: &str) -> Self {
        let line = format!("GET /{name}/info/refs?service=git-upload-pack");
        Self([head(&line, ""), b"\r\n".to_vec()].concat())
    }

    /// A command of protocol version 2, with arguments that are always the same and others.
    pub(super) fn command(name: &str, command: &str, fixed: &[&str], others: &[String]) -> Self {
        let mut body = packet(&format!("command={command}\n"));
        body.push_str(&packet("agent=git/2.47.3\n"));
        body.push_str(&packet("object-format=sha1\n"));
        body.push_str("0001");
        let arguments = fixed.iter().copied().chain(others.iter().map(String::as_str));
        arguments.for_each(|argument| body.push_str(&packet(&format!("{argument}\n"))));
        body.push_str("0000");
        let more = format!(
            "Content-Type: application/x-git-upload-pack-request\r\n\
             Accept: application/x-git-upload-pack-result\r\nContent-Length: {}\r\n",
            body.len()
        );
        Self([head(&format!("POST /{name}/git-upload-pack"), &more), format!("\r\n{body}").into()].concat())
    }

    /// Sends it on a connection of its own; bytes of the answer.
    fn send(&self, port: u16) -> Result<usize> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.write_all(&self.0)?;
        let mut buffer = vec![0; 256 * 1024];
        let mut received = 0;
        loop {
            let length = stream.read(&mut buffer)?;
            let piece = buffer.get(..length).unwrap_or_default();
            if received == 0 && !piece.starts_with(b"HTTP/1.1 200") {
                bail!("a server answers {:?}", String::from_utf8_lossy(piece.get(..100).unwrap_or(piece)));
            }
            if length == 0 {
                return Ok(received);
            }
            received += length;
        }
    }
}

impl Load {
    /// Lets clients ask the server at `port`.
    pub(super) fn put_on(&self, port: u16) -> Result<Seen> {
        let next = AtomicUsize::new(0);
        let seen = Mutex::new(Seen::default());
        let ask = || -> Result<()> {
            loop {
                let number = next.fetch_add(1, Ordering::SeqCst);
                let row = self.rows.get(number % self.rows.len().max(1)).filter(|_| number < self.times);
                let Some(requests) = row else { return Ok(()) };
                let begin = Instant::now();
                let mut received = 0;
                for request in requests {
                    received += request.send(port)?;
                }
                let mut seen = seen.lock().map_err(|_| anyhow!("another client has failed"))?;
                seen.seconds.push(begin.elapsed().as_secs_f64());
                seen.received += received;
                seen.sent += requests.iter().map(|request| request.0.len()).sum::<usize>();
            }
        };
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..self.at_once).map(|_| scope.spawn(ask)).collect();
            clients
                .into_iter()
                .try_for_each(|client| client.join().unwrap_or_else(|_| bail!("a client fell")))
        })?;
        seen.into_inner().ok().context("a client has failed")
    }
}

/// The head of a request, as git 2.47.3 writes it.
fn head(line: &str, more: &str) -> Vec<u8> {
    format!(
        "{line} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: git/2.47.3\r\nAccept-Encoding: deflate, gzip\r\n\
         Git-Protocol: version=2\r\nConnection: close\r\n{more}"
    )
    .into()
}
