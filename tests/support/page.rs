//! Servers that know nothing of git: one fixed answer to everybody.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

/// A listening server; it lives as long as the test's process.
pub struct Page {
    /// Where it listens.
    pub port: u16,
}

impl Page {
    /// Answers every request with `status`, such as `200 OK`, and `body` as a page of HTML.
    pub fn start(status: &str, body: &str) -> Self {
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        Self::listen(move |stream| serve(stream, &answer))
    }

    /// Serves the files below `directory` as they are, 404 where there is none, and notes each path that is asked for.
    pub fn files(directory: &Path) -> (Self, Asked) {
        let asked = Asked::default();
        let (notes, directory) = (asked.clone(), directory.to_owned());
        let page = Self::listen(move |stream| {
            let mut reader = BufReader::new(stream.try_clone().ok()?);
            let mut first = String::new();
            reader.read_line(&mut first).ok()?;
            let path = first.split(' ').nth(1)?.trim_start_matches('/').to_owned();
            notes.0.lock().expect("nobody panics with it").push(path.clone());
            let (status, body) = match std::fs::read(directory.join(path)) {
                Ok(body) => ("200 OK", body),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let length = body.len();
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
            finish(reader, stream, &[head.as_bytes(), &body].concat(), &notes)
        });
        (page, asked)
    }

    /// Says `bytes` to everybody who connects, closes that direction and hears the other to its end.
    pub fn say(bytes: &[u8]) -> Self {
        let bytes = bytes.to_vec();
        Self::listen(move |mut stream| {
            stream.write_all(&bytes).ok()?;
            stream.shutdown(Shutdown::Write).ok()?;
            std::io::copy(&mut stream, &mut std::io::sink()).ok().map(drop)
        })
    }

    /// Answers every request with `start` and then zeros until the client goes away.
    pub fn endless(start: &str) -> Self {
        let start = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n{start}");
        Self::listen(move |mut stream| {
            let mut reader = BufReader::new(stream.try_clone().ok()?);
            let mut line = String::new();
            while reader.read_line(&mut line).ok()? > "\r\n".len() {
                line.clear();
            }
            stream.write_all(start.as_bytes()).ok()?;
            std::io::copy(&mut std::io::repeat(b'0'), &mut stream).ok().map(drop)
        })
    }

    /// Lets `answer` speak to each client in a thread of its own.
    fn listen(answer: impl Fn(TcpStream) -> Option<()> + Clone + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let port = listener.local_addr().expect("it is bound").port();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let answer = answer.clone();
                thread::spawn(move || answer(stream));
            }
        });
        Self { port }
    }

    /// A URL of the server.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }
}

/// The paths that a server of files was asked for, in order, and every header line that came with them.
#[derive(Clone, Default)]
pub struct Asked(Arc<Mutex<Vec<String>>>, Arc<Mutex<Vec<String>>>);

impl Asked {
    /// The paths since the last time.
    pub fn paths(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().expect("nobody panics with it"))
    }

    /// All header lines so far.
    pub fn headers(&self) -> Vec<String> {
        self.1.lock().expect("nobody panics with it").clone()
    }
}

/// Reads the rest of the head of a request, notes it and answers.
fn finish(
    mut reader: BufReader<TcpStream>,
    mut stream: TcpStream,
    answer: &[u8],
    notes: &Asked,
) -> Option<()> {
    let mut line = String::new();
    while reader.read_line(&mut line).ok()? > "\r\n".len() {
        notes.1.lock().expect("nobody panics with it").push(line.trim_end().to_owned());
        line.clear();
    }
    stream.write_all(answer).ok()
}

/// Reads the head of one request and answers it; `None` if the client went away.
fn serve(mut stream: TcpStream, answer: &str) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    while reader.read_line(&mut line).ok()? > "\r\n".len() {
        line.clear();
    }
    stream.write_all(answer.as_bytes()).ok()
}
