//! The one place that knows the HTTP library: requests go out, answers come back as streams.
//!
//! Nothing is done behind the caller's back: no redirect is followed, nothing is retried, no cookie is kept.

use std::error::Error as _;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::mpsc;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::blocking as http;
use reqwest::header::{CONTENT_ENCODING, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::failure::Failure;
use super::proxy::Proxies;
use super::tls::{self, Trust};
use crate::credential::Credential;

/// libcurl's own limit for reaching a host, which C git leaves as it is. There is no limit for an answer.
const CONNECT_TIMEOUT: Duration = Duration::from_mins(5);
/// What is read from the wire at once.
const READ_LEN: usize = 64 * 1024;
/// The pieces a stream is sent in.
const PIECE_LEN: usize = 64 * 1024;
/// Pieces that wait to be sent, so that making them and sending them overlap.
const PIECES_WAITING_MAX: usize = 4;
/// How many bytes may be in flight on one HTTP/2 stream before the server waits for us. reqwest's 2 MiB would
/// throttle a pack on a long line.
const HTTP2_WINDOW_LEN: u32 = 16 * 1024 * 1024;

/// How a client behaves, once and for all.
#[derive(Debug, Clone)]
pub(super) struct Options {
    /// Whom to trust over `https`.
    pub(super) trust: Trust,
    /// Through whom to go.
    pub(super) proxies: Proxies,
    /// `http.version=HTTP/1.1`.
    pub(super) http1_only: bool,
    /// `-4` or `-6`.
    pub(super) local_address: Option<std::net::IpAddr>,
}

/// Sends requests and keeps connections alive between them.
#[derive(Debug)]
pub(super) struct Client {
    options: Options,
    /// One pool of connections per way of going out, made when first needed: plain HTTP has no use for
    /// certificates, and to load them takes longer than a request.
    pools: Mutex<Vec<(Route, http::Client)>>,
}

/// What distinguishes pools of connections.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Route {
    tls: bool,
    proxy: Option<Url>,
}

/// One request.
pub(super) struct Request<'a> {
    /// Where it goes.
    pub(super) url: &'a Url,
    /// The header lines, in order.
    pub(super) headers: &'a [(String, String)],
    /// Who asks, if that is to be said.
    pub(super) credential: Option<&'a Credential>,
}

/// The kind of request and what it carries.
pub(super) enum Payload<'a> {
    /// A GET request.
    Get,
    /// A POST request with a `Content-Length`.
    Sized(Vec<u8>),
    /// A POST request in chunks.
    Chunked(&'a mut (dyn Read + Send)),
}

/// One answer.
pub(super) struct Response {
    /// The status code.
    pub(super) status: u16,
    /// What follows the header, with `Content-Encoding` undone.
    pub(super) body: Box<dyn BufRead>,
    headers: HeaderMap,
}

impl Response {
    /// The first value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// All values of a header.
    pub(super) fn headers(&self, name: &str) -> Vec<String> {
        self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).map(Into::into).collect()
    }

    /// The media type in lower case, without parameters such as `charset`; empty if none was given.
    pub(super) fn content_type(&self) -> String {
        let value = self.header("content-type").unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }
}

impl Client {
    pub(super) fn new(options: Options) -> Self {
        Self { options, pools: Mutex::new(Vec::new()) }
    }

    /// Sends `request` and waits for the header of the answer.
    pub(super) fn send(&self, request: &Request<'_>, payload: Payload<'_>) -> Result<Response, Failure> {
        let route = Route {
            tls: request.url.scheme() == "https",
            proxy: self.options.proxies.for_url(request.url).cloned(),
        };
        let pool = self.pool(&route)?;
        let &Request { url, headers, credential } = request;
        let method =
            if matches!(payload, Payload::Get) { reqwest::Method::GET } else { reqwest::Method::POST };
        let mut builder = pool.request(method, url.clone()).headers(header_map(headers));
        if let Some(credential) = credential {
            builder = builder.basic_auth(&credential.username, Some(credential.password.reveal()));
        }
        let begin = Instant::now();
        let answer = match payload {
            Payload::Get => builder.send(),
            Payload::Sized(bytes) => builder.body(bytes).send(),
            Payload::Chunked(stream) => send_chunked(builder, stream),
        };
        let answer = answer.map_err(|error| failure(&error, url, route.proxy.as_ref(), begin.elapsed()))?;
        Ok(response(answer))
    }

    fn pool(&self, route: &Route) -> Result<http::Client, Failure> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, pool)) = pools.iter().find(|(known, _)| known == route) {
            return Ok(pool.clone());
        }
        let pool = self.build(route)?;
        pools.push((route.clone(), pool.clone()));
        Ok(pool)
    }

    fn build(&self, route: &Route) -> Result<http::Client, Failure> {
        let through_tls = route.tls || route.proxy.as_ref().is_some_and(|proxy| proxy.scheme() == "https");
        let mut tls =
            if through_tls { tls::config(&self.options.trust) } else { tls::config_without_roots() }?;
        tls.alpn_protocols = if self.options.http1_only {
            vec![b"http/1.1".to_vec()]
        } else {
            vec![b"h2".to_vec(), b"http/1.1".to_vec()]
        };
        let mut builder = http::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            // the answer is decoded here, or Accept-Encoding would not be ours to write
            .no_gzip()
            .no_deflate()
            .timeout(None)
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_initial_stream_window_size(HTTP2_WINDOW_LEN)
            .http2_initial_connection_window_size(HTTP2_WINDOW_LEN)
            .local_address(self.options.local_address);
        if self.options.http1_only {
            builder = builder.http1_only();
        }
        builder = match &route.proxy {
            None => builder.no_proxy(),
            Some(url) => {
                // the URL is not shown: it may hold a password
                let unsupported = |_| Failure::new(5, "Unsupported proxy syntax");
                builder.proxy(reqwest::Proxy::all(url.clone()).map_err(unsupported)?)
            }
        };
        builder.build().map_err(|error| Failure::new(2, format!("cannot set up HTTP: {}", deepest(&error))))
    }
}

/// Sends `builder` with a body read from `stream` piece by piece. The answer may come before the stream is read
/// to its end; what is left then is not read.
fn send_chunked(
    builder: http::RequestBuilder,
    stream: &mut (dyn Read + Send),
) -> reqwest::Result<http::Response> {
    let (pieces, receiver) = mpsc::sync_channel(PIECES_WAITING_MAX);
    let body = http::Body::new(Pieces { receiver, current: io::Cursor::new(Vec::new()) });
    std::thread::scope(|scope| {
        let sender = scope.spawn(move || builder.body(body).send());
        loop {
            let mut piece = Vec::with_capacity(PIECE_LEN);
            let piece = match Read::take(&mut *stream, PIECE_LEN as u64).read_to_end(&mut piece) {
                Ok(0) => break,
                Ok(_) => Ok(piece),
                Err(error) => Err(error),
            };
            let failed = piece.is_err();
            // the receiver is gone as soon as the answer is there
            if pieces.send(piece).is_err() || failed {
                break;
            }
        }
        drop(pieces);
        sender.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The receiving end of a stream that another thread reads.
struct Pieces {
    receiver: mpsc::Receiver<io::Result<Vec<u8>>>,
    current: io::Cursor<Vec<u8>>,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.current.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            match self.receiver.recv() {
                Ok(piece) => self.current = io::Cursor::new(piece?),
                Err(mpsc::RecvError) => return Ok(0),
            }
        }
    }
}

/// Header lines that HTTP cannot carry are left out, as curl leaves out lines without a colon.
fn header_map(lines: &[(String, String)]) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(lines.len());
    for (name, value) in lines {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_bytes(value.as_bytes()))
        {
            map.append(name, value);
        }
    }
    map
}

fn response(answer: http::Response) -> Response {
    let status = answer.status().as_u16();
    let headers = answer.headers().clone();
    let encoding = headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes);
    let raw = BufReader::with_capacity(READ_LEN, Wire { answer });
    let body: Box<dyn BufRead> = match encoding {
        Some(b"gzip" | b"x-gzip") => {
            Box::new(BufReader::with_capacity(READ_LEN, flate2::bufread::MultiGzDecoder::new(raw)))
        }
        Some(b"deflate") => {
            Box::new(BufReader::with_capacity(READ_LEN, flate2::bufread::ZlibDecoder::new(raw)))
        }
        _ => Box::new(raw),
    };
    Response { status, body, headers }
}

/// The body as it comes, with curl's words for what may cut it short.
struct Wire {
    answer: http::Response,
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.answer.read(buffer).map_err(|error| {
            let failure = Failure::from_causes(&error, "")
                .unwrap_or_else(|| Failure::new(18, "transfer closed with outstanding read data remaining"));
            let text = format!("RPC failed; curl {} {}", failure.curl_code, failure.message);
            io::Error::new(error.kind(), text)
        })
    }
}

/// Turns the library's error into curl's words.
fn failure(error: &reqwest::Error, url: &Url, proxy: Option<&Url>, elapsed: Duration) -> Failure {
    let host = url.host_str().unwrap_or_default();
    let peer = proxy.unwrap_or(url);
    let peer_host = peer.host_str().unwrap_or_default().trim_matches(['[', ']']);
    if error.is_dns() {
        return match proxy {
            None => Failure::new(6, format!("Could not resolve host: {peer_host}")),
            Some(_) => Failure::new(5, format!("Could not resolve proxy: {peer_host}")),
        };
    }
    if let Some(known) = Failure::from_causes(error, host) {
        return known;
    }
    let ms = elapsed.as_millis();
    if error.is_timeout() {
        return Failure::new(28, format!("Connection timed out after {ms} milliseconds"));
    }
    if let (true, Some(refused)) = (proxy.is_some(), proxy_refusal(&deepest(error))) {
        return refused;
    }
    if error.is_connect() {
        let port = peer.port_or_known_default().unwrap_or_default();
        let message =
            format!("Failed to connect to {peer_host} port {port} after {ms} ms: Couldn't connect to server");
        return Failure::new(7, message);
    }
    Failure::new(56, deepest(error))
}

/// What a proxy said instead of letting us through; the HTTP library tells it in words alone.
fn proxy_refusal(text: &str) -> Option<Failure> {
    if text.contains("proxy authorization required") {
        return Some(Failure::new(56, "CONNECT tunnel failed, response 407"));
    }
    if text.contains("tunnel error: unsuccessful") {
        return Some(Failure::new(56, "CONNECT tunnel failed: the proxy refused"));
    }
    text.to_ascii_lowercase()
        .contains("socks")
        .then(|| Failure::new(97, format!("SOCKS proxy failed: {text}")))
}

/// The innermost cause, which says most.
fn deepest(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = cause.to_string();
        next = cause.source();
    }
    text
}
