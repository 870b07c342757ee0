//! Requests and answers, as a gateway passes them on.

use std::io::{BufRead, Read, Write};
use std::net::TcpStream;

/// The form of an answer, which says the same in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dress {
    /// HTTP/1.0, which ends with the connection.
    Old,
    /// In chunks.
    Chunked,
    /// Compressed.
    Gzip,
    /// Compressed and in chunks.
    GzipChunked,
}

/// One request, its body whole.
pub(super) struct Request {
    pub(super) method: String,
    pub(super) target: String,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// One answer, its body whole.
pub(super) struct Answer {
    pub(super) status: u16,
    lines: String,
    body: Vec<u8>,
    dress: Option<Dress>,
    /// Whether `body` is all there is, and whether the connection ends with it.
    raw: Option<bool>,
}

impl Request {
    /// Reads one; `None` at the end of the connection.
    pub(super) fn read(input: &mut dyn BufRead, client: &TcpStream) -> Option<Self> {
        let first = read_line(input)?;
        let mut words = first.split(' ').map(ToOwned::to_owned);
        let (method, target) = (words.next()?, words.next()?);
        let mut headers = Vec::new();
        while let Some((name, value)) = read_line(input)?.split_once(':') {
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut request = Self { method, target, headers, body: Vec::new() };
        if request.header("expect").is_some() {
            (&mut &*client).write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
        }
        if request.header("transfer-encoding").is_some() {
            request.body = read_chunks(input)?;
        } else {
            let len = request.header("content-length").map_or(Ok(0), str::parse).ok()?;
            input.take(len).read_to_end(&mut request.body).ok()?;
        }
        Some(request)
    }

    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    /// Puts it to `server`, in HTTP/1.0, whose answers end with the connection.
    pub(super) fn ask(&self, server: TcpStream) -> Option<Answer> {
        let mut text = format!("{} {} HTTP/1.0\r\n", self.method, self.target);
        let own = ["connection", "transfer-encoding", "content-length", "expect", "accept-encoding"];
        for (name, value) in self.headers.iter().filter(|(name, _)| !own.contains(&&**name)) {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if self.method == "POST" {
            text.push_str(&format!("content-length: {}\r\n", self.body.len()));
        }
        let mut server = server;
        server.write_all(&[text.as_bytes(), b"\r\n", &self.body].concat()).ok()?;
        Answer::read(&mut std::io::BufReader::new(server))
    }
}

impl Answer {
    /// One that says how long it is.
    pub(super) fn new(status: u16, lines: &str, body: &[u8]) -> Self {
        Self { status, lines: lines.to_owned(), body: body.to_vec(), dress: None, raw: None }
    }

    /// What goes over the wire as it is.
    pub(super) fn raw(bytes: Vec<u8>, closes: bool) -> Self {
        Self { status: 0, lines: String::new(), body: bytes, dress: None, raw: Some(closes) }
    }

    /// Reads one that ends with the connection. What a server says of itself and of the time is left out, so that the same
    /// answer is always as long.
    fn read(input: &mut dyn BufRead) -> Option<Self> {
        let status = read_line(input)?.split(' ').nth(1)?.parse().ok()?;
        let mut lines = String::new();
        loop {
            let line = read_line(input)?;
            let Some((name, _)) = line.split_once(':') else { break };
            let own = ["connection", "content-length", "date", "server", "keep-alive"];
            if !own.contains(&&*name.to_ascii_lowercase()) {
                lines.push_str(&format!("{line}\r\n"));
            }
        }
        let mut body = Vec::new();
        input.read_to_end(&mut body).ok()?;
        Some(Self { status, lines, body, dress: None, raw: None })
    }

    pub(super) fn dressed(self, dress: Dress) -> Self {
        Self { dress: Some(dress), ..self }
    }

    /// What goes over the wire, and whether the connection ends with it.
    pub(super) fn bytes(&self) -> (Vec<u8>, bool) {
        let Self { status, lines, body, dress, raw } = self;
        if let Some(closes) = raw {
            return (body.clone(), *closes);
        }
        let version = if *dress == Some(Dress::Old) { "1.0" } else { "1.1" };
        let mut head = format!("HTTP/{version} {status} Status\r\n{lines}");
        let body = match dress {
            Some(Dress::Gzip | Dress::GzipChunked) => {
                head.push_str("Content-Encoding: gzip\r\n");
                gzip(body)
            }
            Some(Dress::Old | Dress::Chunked) | None => body.clone(),
        };
        let body = match dress {
            Some(Dress::Old) => body,
            Some(Dress::Chunked | Dress::GzipChunked) => {
                head.push_str("Transfer-Encoding: chunked\r\n");
                chunks(&body)
            }
            Some(Dress::Gzip) | None => {
                head.push_str(&format!("Content-Length: {}\r\n", body.len()));
                body
            }
        };
        ([head.as_bytes(), b"\r\n", &body].concat(), *dress == Some(Dress::Old))
    }
}

/// A line without its end; `None` at the end of the stream.
fn read_line(input: &mut dyn BufRead) -> Option<String> {
    let mut line = String::new();
    input.read_line(&mut line).ok().filter(|&count| count > 0)?;
    Some(line.trim_end().to_owned())
}

fn read_chunks(input: &mut dyn BufRead) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let len = u64::from_str_radix(&read_line(input)?, 16).ok()?;
        input.take(len).read_to_end(&mut body).ok()?;
        read_line(input)?;
        if len == 0 {
            return Some(body);
        }
    }
}

/// The bytes in chunks of odd lengths, which fit no border of what is in them.
fn chunks(bytes: &[u8]) -> Vec<u8> {
    let pieces =
        bytes.chunks(97).map(|piece| [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat());
    pieces.chain([b"0\r\n\r\n".to_vec()]).flatten().collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("a vector takes everything");
    encoder.finish().expect("a vector takes everything")
}
