//! One connection on which HTTP is spoken.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHORIZATION};
use hyper::{Method, Uri, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::task::AbortHandle;
use url::Position;

use super::super::failure::Failure;
use super::super::trace;
use super::dial::{self, Dialed, TlsConfigs};
use super::limit::Meter;
use super::login::Login;
use super::outgoing::Outgoing;
use super::route::Route;
use super::socket::Listening;
use super::{Options, Request, header_map};

/// How many bytes may be in flight on one HTTP/2 stream before the server waits for us. hyper's 2 MiB would throttle a
/// pack on a long line.
const HTTP2_WINDOW_LEN: u32 = 16 * 1024 * 1024;
/// How often other tasks get their turn before a kept connection counts as alive: the first lets the runtime look at the
/// socket, the second lets the connection see what came, the third is for TLS.
const LOOKS: usize = 3;

/// A connection; its end is told to the server when this is dropped.
pub(super) struct Link {
    sender: Sender,
    /// The task that moves the bytes.
    driver: AbortHandle,
    /// How many they are.
    pub(super) meter: Meter,
    /// Whether the first line of an answer has come since the latest request.
    has_begun: Arc<AtomicBool>,
}

enum Sender {
    Http1(http1::SendRequest<Outgoing>),
    Http2(http2::SendRequest<Outgoing>),
}

/// A request that got no answer.
pub(super) struct Refused {
    pub(super) failure: Failure,
    /// Its body, if not a byte of the request was sent.
    pub(super) unsent: Option<Outgoing>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Link {
    /// Makes a new connection.
    pub(super) async fn dial(
        route: &Route,
        options: &Options,
        tls: &TlsConfigs,
        login: &Login,
    ) -> Result<Self, Failure> {
        let Dialed { stream, meter, speaks_http2 } = dial::dial(route, options, tls, login).await?;
        let has_begun = Arc::default();
        let io = TokioIo::new(Listening { stream, has_begun: Arc::clone(&has_begun) });
        let broken = |error: hyper::Error| failure(&error, &route.host);
        let (sender, driver) = if speaks_http2 {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder.initial_stream_window_size(HTTP2_WINDOW_LEN);
            builder.initial_connection_window_size(HTTP2_WINDOW_LEN);
            let (sender, connection) = builder.handshake(io).await.map_err(broken)?;
            (Sender::Http2(sender), tokio::spawn(async { drop(connection.await) }))
        } else {
            let mut builder = http1::Builder::new();
            builder.title_case_headers(true).allow_obsolete_multiline_headers_in_responses(true);
            let (sender, connection) = builder.handshake(io).await.map_err(broken)?;
            (Sender::Http1(sender), tokio::spawn(async { drop(connection.await) }))
        };
        Ok(Self { sender, driver: driver.abort_handle(), meter, has_begun })
    }

    /// Whether the server had begun to answer the latest request. HTTP/2 says so itself.
    pub(super) fn has_begun(&self) -> bool {
        matches!(self.sender, Sender::Http1(_)) && self.has_begun.load(Ordering::Relaxed)
    }

    /// Whether a connection that was kept can still be used.
    pub(super) async fn is_alive(&mut self) -> bool {
        for _ in 0..LOOKS {
            tokio::task::yield_now().await;
        }
        match &mut self.sender {
            Sender::Http1(sender) => sender.ready().await.is_ok() && !sender.is_closed(),
            Sender::Http2(sender) => sender.ready().await.is_ok() && !sender.is_closed(),
        }
    }

    /// `request` in the form that this connection wants.
    pub(super) fn message(
        &self,
        request: &Request<'_>,
        route: &Route,
        body: Outgoing,
    ) -> Result<hyper::Request<Outgoing>, Failure> {
        let malformed = |_| Failure::new(3, "URL using bad/illegal format or missing URL");
        let url = request.url;
        let whole = matches!(self.sender, Sender::Http2(_)) || route.is_forwarded();
        // RFC 9112, 3.2: without user and password
        let place = format!("{}://{}", url.scheme(), &url[Position::BeforeHost..Position::AfterPort]);
        let path = &url[Position::BeforePath..Position::AfterQuery];
        let target = if whole { format!("{place}{path}") } else { path.to_owned() };
        let mut message = hyper::Request::new(body);
        *message.method_mut() = match message.body() {
            Outgoing::Nothing => Method::GET,
            Outgoing::Whole(_) | Outgoing::Chunks(_) => Method::POST,
        };
        *message.uri_mut() = target.parse::<Uri>().map_err(malformed)?;
        let mut headers = HeaderMap::new();
        let own = header_map(request.headers);
        if matches!(self.sender, Sender::Http1(_)) && !own.contains_key(HOST) {
            insert(&mut headers, HOST, &url[Position::BeforeHost..Position::AfterPort]);
        }
        headers.extend(own);
        *message.headers_mut() = headers;
        Ok(message)
    }

    /// Sends `message` and waits for the header of the answer.
    pub(super) async fn send(
        &mut self,
        message: hyper::Request<Outgoing>,
        shows_secrets: bool,
    ) -> Result<hyper::Response<Incoming>, Refused> {
        if trace::is_on() {
            tell_request(&message, matches!(self.sender, Sender::Http2(_)), shows_secrets);
        }
        self.has_begun.store(false, Ordering::Relaxed);
        let host = message.uri().host().unwrap_or_default().to_owned();
        let answer = match &mut self.sender {
            Sender::Http1(sender) => sender.try_send_request(message).await,
            Sender::Http2(sender) => sender.try_send_request(message).await,
        };
        let answer = answer.map_err(|mut error: TrySendError<hyper::Request<Outgoing>>| {
            let unsent = error.take_message().map(hyper::Request::into_body);
            Refused { failure: failure(error.error(), &host), unsent }
        })?;
        if trace::is_on() {
            tell_answer(&answer, shows_secrets);
        }
        Ok(answer)
    }
}

/// Tells the trace of a request.
pub(super) fn tell_request(message: &hyper::Request<Outgoing>, is_http2: bool, shows_secrets: bool) {
    let target =
        message.uri().path_and_query().map_or_else(|| message.uri().to_string(), ToString::to_string);
    let target = if is_http2 { target } else { message.uri().to_string() };
    let version = if is_http2 { "HTTP/2" } else { "HTTP/1.1" };
    let first = format!("{} {target} {version}", message.method());
    let lines = message
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes())));
    let framing = match message.body() {
        Outgoing::Nothing => None,
        Outgoing::Whole(bytes) => Some(("content-length", bytes.len().to_string().into())),
        Outgoing::Chunks(_) => (!is_http2).then(|| ("transfer-encoding", "chunked".into())),
    };
    trace::sent_header(&first, lines.chain(framing), shows_secrets);
}

/// Tells the trace of an answer.
pub(super) fn tell_answer(answer: &hyper::Response<Incoming>, shows_secrets: bool) {
    let version = match answer.version() {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    };
    let status = answer.status();
    trace::received_line(&format!(
        "{version} {} {}",
        status.as_u16(),
        status.canonical_reason().unwrap_or_default()
    ));
    for (name, value) in answer.headers() {
        trace::received_header(name.as_str(), &String::from_utf8_lossy(value.as_bytes()), shows_secrets);
    }
    trace::received_line("");
}

/// Sets a header unless HTTP cannot carry the value.
pub(super) fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(mut value) = HeaderValue::from_str(value) {
        value.set_sensitive(name == AUTHORIZATION || name == PROXY_AUTHORIZATION);
        headers.insert(name, value);
    }
}

/// Turns the library's error into curl's words.
pub(super) fn failure(error: &hyper::Error, host: &str) -> Failure {
    if let Some(known) = Failure::from_causes(error, host) {
        return known;
    }
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        return Failure::new(52, "Empty reply from server");
    }
    if error.is_parse() {
        return Failure::new(1, "Received HTTP/0.9 when not allowed");
    }
    Failure::new(56, deepest(error))
}

/// The innermost cause, which says most.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = cause.to_string();
        next = cause.source();
    }
    text
}
