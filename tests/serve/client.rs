//! A client of HTTP/1.1 that says what it is told to, byte by byte.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bstr::{BString, ByteSlice};

/// How long an answer may take before the test calls the server hung. Nothing is measured.
const HUNG_AFTER: Duration = Duration::from_mins(1);

/// A connection.
pub struct Client(pub TcpStream);

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Without chunks.
    pub body: BString,
    /// Whether the body came to its end.
    pub is_whole: bool,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl Client {
    pub fn new(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
        stream.set_read_timeout(Some(HUNG_AFTER)).unwrap();
        // what is said in several pieces does not wait for those before it
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // a server that does not want to hear more has its reasons, which its answer tells
        self.0.write_all(bytes.as_ref()).ok();
    }

    /// The next answer; `None` if the connection ends without one.
    pub fn answer(&mut self) -> Option<Answer> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.byte()?);
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let mut answer = Answer { status, headers, body: BString::default(), is_whole: true };
        if status == 100 {
            return Some(answer);
        }
        let length = answer.header("content-length").map(|length| length.parse::<usize>().unwrap());
        if answer.header("transfer-encoding") == Some("chunked") {
            answer.is_whole = self.chunks(&mut answer.body).is_some();
        } else if let Some(length) = length {
            answer.is_whole = self.take(length, &mut answer.body).is_some();
        }
        Some(answer)
    }

    /// Whether the server has closed the connection, or does so now.
    pub fn is_closed(&mut self) -> bool {
        !matches!(self.0.read(&mut [0]), Ok(1..))
    }

    fn chunks(&mut self, body: &mut BString) -> Option<()> {
        loop {
            let mut line = Vec::new();
            while !line.ends_with(b"\r\n") {
                line.push(self.byte()?);
            }
            let length = usize::from_str_radix(line.trim().to_str().unwrap(), 16).unwrap();
            self.take(length, body)?;
            self.byte()?;
            self.byte()?;
            if length == 0 {
                return Some(());
            }
        }
    }

    fn take(&mut self, length: usize, body: &mut BString) -> Option<()> {
        let mut piece = vec![0; length];
        self.0.read_exact(&mut piece).ok()?;
        body.extend_from_slice(&piece);
        Some(())
    }

    fn byte(&mut self) -> Option<u8> {
        let mut byte = [0];
        self.0.read_exact(&mut byte).ok()?;
        Some(byte[0])
    }
}

/// Asks one thing on a connection of its own.
pub fn ask(port: u16, head: &str, body: impl AsRef<[u8]>) -> Answer {
    let mut client = Client::new(port);
    client.send(format!("{}\r\nHost: localhost\r\nConnection: close\r\n\r\n", head.replace('\n', "\r\n")));
    client.send(body);
    client.answer().expect("there is an answer")
}

pub fn get(port: u16, path: &str) -> Answer {
    ask(port, &format!("GET {path} HTTP/1.1"), "")
}

/// The head of a POST to upload-pack in v2, with what is said of its length.
pub fn head(length: &str) -> String {
    format!(
        "POST /project.git/git-upload-pack HTTP/1.1\nContent-Type: application/x-git-upload-pack-request\n\
         Git-Protocol: version=2\n{length}"
    )
}

/// A POST to upload-pack in v2.
pub fn post(port: u16, body: impl AsRef<[u8]>) -> Answer {
    ask(port, &head(&format!("Content-Length: {}", body.as_ref().len())), body)
}

/// pkt-lines; `0000` and `0001` are those packets.
pub fn packets(lines: &[&str]) -> Vec<u8> {
    let packet = |line: &&str| match *line {
        "0000" | "0001" | "0002" => (*line).to_owned(),
        line => format!("{:04x}{line}", line.len() + 4),
    };
    lines.iter().map(packet).collect::<String>().into_bytes()
}

/// A request for refs.
pub fn ls_refs() -> Vec<u8> {
    packets(&["command=ls-refs\n", "0001", "peel\n", "symrefs\n", "0000"])
}

/// A request for everything that `main` leads to.
pub fn fetch(id: &str) -> Vec<u8> {
    packets(&["command=fetch", "0001", "ofs-delta", &format!("want {id}\n"), "done\n", "0000"])
}
