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
//! time only if a proxy asks who we are, or if a connection that had been kept turns out to be dead and the request says that
//! it may be.

use std::io::{self, BufRead, Read as _};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use hyper::HeaderMap;
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_ENCODING, COOKIE, HeaderName, HeaderValue, PROXY_AUTHORIZATION};
use tokio::runtime::Runtime;
use url::Url;

use super::failure::Failure;
use super::proxy::Proxies;
use super::tls::Trust;
use super::trace;
use crate::credential::{Credential, Secret};

mod answer;
mod dial;
mod limit;
mod link;
mod login;
mod outgoing;
mod resolve;
mod route;
mod socket;
mod socks;

pub(super) use limit::LowSpeed;
pub(super) use outgoing::{Chunks, Feed, Made, chunked};
pub(super) use resolve::Pinned;
pub(super) use socket::KeepAlive;

use answer::Answer;
use limit::Watch;
use link::{Link, Refused};
use login::Login;
use outgoing::Outgoing;
use route::Route;

/// What is left of an answer is read up to here, so that its connection can be used again.
const REST_LEN_MAX: u64 = 64 * 1024;
/// What is unpacked at once.
const READ_LEN: usize = 64 * 1024;

/// How a client behaves, once and for all. It has no `Debug`: the URLs of proxies hold passwords.
#[derive(Clone)]
pub(super) struct Options {
    /// Whom to trust over `https`.
    pub(super) trust: Trust,
    /// Whom to trust as a proxy over `https`.
    pub(super) proxy_trust: Trust,
    /// Through whom to go.
    pub(super) proxies: Proxies,
    /// `http.version=HTTP/1.1`.
    pub(super) http1_only: bool,
    /// `-4` or `-6`: an address of the family that may be used.
    pub(super) local_address: Option<IpAddr>,
    /// `http.keepAliveIdle` and its kin.
    pub(super) keep_alive: KeepAlive,
    /// `http.lowSpeedLimit` and `http.lowSpeedTime`, if both are set.
    pub(super) low_speed: Option<LowSpeed>,
    /// `http.curloptResolve`.
    pub(super) pinned: Vec<Pinned>,
    /// `GIT_TRACE_REDACT=0`: the trace shows secrets.
    pub(super) shows_secrets: bool,
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
    login: Login,
    /// Connections that wait for the next request.
    idle: Mutex<Vec<(Route, Link)>>,
}

/// One request.
pub(super) struct Request<'a> {
    /// Where it goes.
    pub(super) url: &'a Url,
    /// The header lines, in order.
    pub(super) headers: &'a [(String, String)],
    /// What the user calls the repository: a failure to read the answer to a GET names it.
    pub(super) shown: &'a str,
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
        header_values(&self.headers, name)
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
        Self { shared: Arc::new(Shared { options, runtime, tls, login: Login::default(), idle }) }
    }

    /// Sends `request` and waits for the header of the answer, which can come before all of a [`Payload::Chunked`] is
    /// sent: reading the answer sends on.
    pub(super) fn send(&self, request: &Request<'_>, payload: Payload) -> Result<Response, Failure> {
        let runtime = self.shared.runtime()?;
        let prefix = match payload {
            Payload::Get => Some(format!("unable to access '{}': ", request.shown)),
            Payload::Sized(_) | Payload::Chunked(_) => None,
        };
        let (exchanged, answer) = runtime.block_on(self.shared.exchange(request, payload))?;
        let (head, body) = answer.into_parts();
        let raw = Answer::new(Arc::clone(&self.shared), body, exchanged, prefix);
        Ok(Response {
            status: head.status.as_u16(),
            body: decoded(raw, &head.headers),
            headers: head.headers,
        })
    }

    /// The proxy on the way to `url` whose URL names a user and no password.
    pub(super) fn proxy_without_password(&self, url: &Url) -> Option<&Url> {
        let proxy = self.shared.options.proxies.for_url(url)?;
        (!proxy.username().is_empty() && proxy.password().is_none()).then_some(proxy)
    }

    /// Says who we are to `proxy`.
    pub(super) fn log_in_to_proxy(&self, proxy: &Url, credential: &Credential) {
        self.shared.login.give(proxy, credential);
    }

    /// The file whose key is protected by a password that has to be asked for, if there is one on the way to `url`.
    pub(super) fn protected_certificate(&self, url: &Url) -> Option<&std::path::Path> {
        let identity = self.shared.options.trust.identity.as_ref()?;
        (url.scheme() == "https" && identity.is_protected).then_some(&*identity.certificate)
    }

    /// Gives the password of our own key.
    pub(super) fn unlock_key(&self, password: Secret) {
        self.shared.tls.unlock(password);
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

    /// Sends a request over a connection that was kept or a new one; once more if a proxy wants to know who we are.
    async fn exchange(
        &self,
        request: &Request<'_>,
        payload: Payload,
    ) -> Result<(Exchanged, hyper::Response<Incoming>), Failure> {
        let proxies = &self.options.proxies;
        let route = Route::new(request.url, proxies.for_url(request.url));
        let (mut outgoing, spare) = match payload {
            Payload::Get => (Outgoing::Nothing, Some(Spare::Nothing)),
            Payload::Sized(bytes) => {
                let bytes = Bytes::from(bytes);
                (Outgoing::Whole(bytes.clone()), Some(Spare::Whole(bytes)))
            }
            Payload::Chunked(chunks) => (Outgoing::Chunks(chunks), None),
        };
        let mut further = 1..dial::PROXY_CHALLENGES_MAX;
        loop {
            let (exchanged, answer) = self.exchange_once(request, &route, outgoing, spare.as_ref()).await?;
            let (407, Some(proxy), Some(spare), Some(_)) =
                (answer.status().as_u16(), &route.proxy, &spare, further.next())
            else {
                return Ok((exchanged, answer));
            };
            let lines = header_values(answer.headers(), "proxy-authenticate");
            if !route.is_forwarded() || !self.login.challenged(proxy, proxies.method, &lines) {
                return Ok((exchanged, answer));
            }
            outgoing = spare.outgoing();
        }
    }

    async fn exchange_once(
        &self,
        request: &Request<'_>,
        route: &Route,
        mut outgoing: Outgoing,
        spare: Option<&Spare>,
    ) -> Result<(Exchanged, hyper::Response<Incoming>), Failure> {
        let spare = spare.filter(|_| request.repeat == Repeat::Allowed);
        while let Some(mut link) = self.take_idle(route).await {
            trace::info(&format!("Re-using existing connection with host {}", route.host));
            let message = self.message(&link, request, route, outgoing)?;
            match self.send(&mut link, message).await? {
                Ok((watch, answer)) => return Ok((Exchanged { route: route.clone(), link, watch }, answer)),
                // who began to answer was there: curl looks for the first line, too
                Err(refused) if link.has_begun() => return Err(refused.failure),
                Err(refused) => match (refused.unsent, spare) {
                    // the server hung up while nobody looked
                    (Some(unsent), _) => outgoing = unsent,
                    (None, Some(spare)) => outgoing = spare.outgoing(),
                    (None, None) => return Err(refused.failure),
                },
            }
        }
        let mut link = Link::dial(route, &self.options, &self.tls, &self.login).await?;
        let message = self.message(&link, request, route, outgoing)?;
        match self.send(&mut link, message).await? {
            Ok((watch, answer)) => Ok((Exchanged { route: route.clone(), link, watch }, answer)),
            Err(refused) => Err(refused.failure),
        }
    }

    /// Sends `message` and watches how fast it goes.
    async fn send(
        &self,
        link: &mut Link,
        message: hyper::Request<Outgoing>,
    ) -> Result<Result<(Watch, hyper::Response<Incoming>), Refused>, Failure> {
        let mut watch = Watch::new(self.options.low_speed, link.meter.clone());
        let shows_secrets = self.options.shows_secrets;
        let sent = watch.wait(link.send(message, shows_secrets)).await?;
        Ok(sent.map(|answer| (watch, answer)))
    }

    /// `request` in the form that `link` wants, with what the proxy must be told.
    fn message(
        &self,
        link: &Link,
        request: &Request<'_>,
        route: &Route,
        outgoing: Outgoing,
    ) -> Result<hyper::Request<Outgoing>, Failure> {
        let mut message = link.message(request, route, outgoing)?;
        if let (true, Some(proxy)) = (route.is_forwarded(), &route.proxy) {
            let (method, target) = (message.method().as_str(), message.uri().to_string());
            let value = self.login.authorization(proxy, self.options.proxies.method, method, &target);
            if let Some(value) = value {
                link::insert(message.headers_mut(), PROXY_AUTHORIZATION, &value);
            }
        }
        Ok(message)
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

/// What an exchange leaves to be read and used again.
struct Exchanged {
    route: Route,
    link: Link,
    watch: Watch,
}

/// A body that can be sent again.
enum Spare {
    Nothing,
    Whole(Bytes),
}

impl Spare {
    fn outgoing(&self) -> Outgoing {
        match self {
            Self::Nothing => Outgoing::Nothing,
            Self::Whole(bytes) => Outgoing::Whole(bytes.clone()),
        }
    }
}

/// All values of a header that are text.
fn header_values(headers: &HeaderMap, name: &str) -> Vec<String> {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).map(Into::into).collect()
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
        let value = HeaderValue::from_bytes(value.as_bytes());
        if let (Ok(name), Ok(mut value)) = (name.parse::<HeaderName>(), value) {
            // HTTP/2 compresses headers by what it saw before: secrets are left out of that
            let is_secret = [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE].contains(&name);
            value.set_sensitive(is_secret);
            map.append(name, value);
        }
    }
    map
}
