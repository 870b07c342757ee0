//! The one place that knows the HTTP library: requests go out, answers come back as streams.
//!
//! Whoever calls, waits. Inside, a runtime of one thread does several things at once: it sends what is left of a request
//! while the answer comes in. It runs only while somebody waits for an answer or reads one:
//!
//! ```text
//! Client::send --idle link? no--> dial: TCP, proxy, TLS --> link: request out --> Response, read to its end
//!                    ^                                                                      |
//!                    +------------------------------ the link is idle again ----------------+
//! ```
//!
//! Nothing is done behind the caller's back: no redirect is followed, no cookie is kept, and a request is sent a second
//! time only if a connection that had been kept turns out to be dead and the request says that it may be.

use std::io::{self, BufRead, Read as _};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use hyper::HeaderMap;
use hyper::body::Bytes;
use hyper::header::{CONTENT_ENCODING, HeaderName, HeaderValue};
use tokio::runtime::Runtime;
use url::Url;

use super::failure::Failure;
use super::proxy::Proxies;
use super::tls::Trust;
use crate::credential::Credential;

mod answer;
mod dial;
mod link;
mod outgoing;
mod route;
mod socks;

pub(super) use outgoing::{Chunks, Feed, Made, chunked};

use answer::Answer;
use link::Link;
use outgoing::Outgoing;
use route::Route;

/// What is left of an answer is read up to here, so that its connection can be used again.
const REST_LEN_MAX: u64 = 64 * 1024;
/// What is unpacked at once.
const READ_LEN: usize = 64 * 1024;

/// How a client behaves, once and for all.
#[derive(Debug, Clone)]
pub(super) struct Options {
    /// Whom to trust over `https`.
    pub(super) trust: Trust,
    /// Through whom to go.
    pub(super) proxies: Proxies,
    /// `http.version=HTTP/1.1`.
    pub(super) http1_only: bool,
    /// `-4` or `-6`: an address of the family that may be used.
    pub(super) local_address: Option<IpAddr>,
}

/// Sends requests and keeps connections alive between them.
pub(super) struct Client {
    shared: Arc<Shared>,
}

/// What a client and the answers that are still read have in common.
struct Shared {
    options: Options,
    runtime: OnceLock<Runtime>,
    tls: dial::TlsConfigs,
    /// Connections that wait for the next request.
    idle: Mutex<Vec<(Route, Link)>>,
}

/// One request.
pub(super) struct Request<'a> {
    /// Where it goes.
    pub(super) url: &'a Url,
    /// The header lines, in order.
    pub(super) headers: &'a [(String, String)],
    /// Who asks, if that is to be said.
    pub(super) credential: Option<&'a Credential>,
    /// Whether it may be sent again.
    pub(super) repeat: Repeat,
}

/// Whether a request may be sent again after a connection broke on which the server may have got it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It does no harm.
    Allowed,
    /// It changes something.
    Never,
}

/// The kind of request and what it carries.
pub(super) enum Payload {
    /// A GET request.
    Get,
    /// A POST request with a `Content-Length`.
    Sized(Vec<u8>),
    /// A POST request in chunks.
    Chunked(Chunks),
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

    /// Reads a body that says nothing to us, so that its connection can be used again.
    pub(super) fn finish(self) {
        finish(self.body);
    }
}

impl Client {
    pub(super) fn new(options: Options) -> Self {
        let (runtime, tls, idle) = (OnceLock::new(), dial::TlsConfigs::default(), Mutex::new(Vec::new()));
        Self { shared: Arc::new(Shared { options, runtime, tls, idle }) }
    }

    /// Sends `request` and waits for the header of the answer, which can come before all of a [`Payload::Chunked`] is
    /// sent: reading the answer sends on.
    pub(super) fn send(&self, request: &Request<'_>, payload: Payload) -> Result<Response, Failure> {
        let runtime = self.shared.runtime()?;
        let (route, link, answer) = runtime.block_on(self.shared.exchange(request, payload))?;
        let (head, body) = answer.into_parts();
        let raw = Answer::new(Arc::clone(&self.shared), body, route, link);
        Ok(Response {
            status: head.status.as_u16(),
            body: decoded(raw, &head.headers),
            headers: head.headers,
        })
    }

    /// Sends what is left of a request, until all of it was taken or nobody takes more.
    pub(super) fn wait(&self, made: Made) {
        if let Ok(runtime) = self.shared.runtime() {
            runtime.block_on(made.wait());
        }
    }
}

impl Shared {
    fn runtime(&self) -> Result<&Runtime, Failure> {
        if let Some(runtime) = self.runtime.get() {
            return Ok(runtime);
        }
        let made = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let made = made.map_err(|error| Failure::new(2, format!("cannot set up HTTP: {error}")))?;
        // a thread that was faster has made one just as good
        Ok(self.runtime.get_or_init(|| made))
    }

    /// Sends a request over a connection that was kept or a new one.
    async fn exchange(
        &self,
        request: &Request<'_>,
        payload: Payload,
    ) -> Result<(Route, Link, hyper::Response<hyper::body::Incoming>), Failure> {
        let route = Route::new(request.url, self.options.proxies.for_url(request.url));
        let is_get = matches!(payload, Payload::Get);
        let (mut outgoing, copy) = match payload {
            Payload::Get => (Outgoing::Nothing, Some(Bytes::new())),
            Payload::Sized(bytes) => {
                let bytes = Bytes::from(bytes);
                (Outgoing::Whole(bytes.clone()), Some(bytes))
            }
            Payload::Chunked(chunks) => (Outgoing::Chunks(chunks), None),
        };
        while let Some(mut link) = self.take_idle(&route).await {
            let message = link.message(request, &route, outgoing)?;
            match link.send(message).await {
                Ok(answer) => return Ok((route, link, answer)),
                Err(refused) => {
                    match (refused.unsent, copy.as_ref().filter(|_| request.repeat == Repeat::Allowed)) {
                        // the server hung up while nobody looked
                        (Some(unsent), _) => outgoing = unsent,
                        (None, Some(_)) if is_get => outgoing = Outgoing::Nothing,
                        (None, Some(bytes)) => outgoing = Outgoing::Whole(bytes.clone()),
                        (None, None) => return Err(refused.failure),
                    }
                }
            }
        }
        let mut link = Link::dial(&route, &self.options, &self.tls).await?;
        let message = link.message(request, &route, outgoing)?;
        match link.send(message).await {
            Ok(answer) => Ok((route, link, answer)),
            Err(refused) => Err(refused.failure),
        }
    }

    /// A connection for `route` that is still alive.
    async fn take_idle(&self, route: &Route) -> Option<Link> {
        loop {
            let mut link = {
                let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
                let position = idle.iter().position(|(known, _)| known == route)?;
                idle.swap_remove(position).1
            };
            if link.is_alive().await {
                return Some(link);
            }
        }
    }

    /// Keeps a connection whose answer was read to its end.
    fn put_idle(&self, route: Route, link: Link) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push((route, link));
    }
}

/// The body behind its `Content-Encoding`.
fn decoded(raw: Answer, headers: &HeaderMap) -> Box<dyn BufRead> {
    match headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        Some(b"gzip" | b"x-gzip") => {
            let unpacked = flate2::bufread::MultiGzDecoder::new(raw);
            Box::new(io::BufReader::with_capacity(READ_LEN, unpacked))
        }
        Some(b"deflate") => {
            let unpacked = flate2::bufread::ZlibDecoder::new(raw);
            Box::new(io::BufReader::with_capacity(READ_LEN, unpacked))
        }
        _ => Box::new(raw),
    }
}

/// Reads what is left of an answer. How one ends that nobody reads is nobody's affair.
pub(super) fn finish(answer: Box<dyn BufRead>) {
    drop(io::copy(&mut answer.take(REST_LEN_MAX), &mut io::sink()));
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
