//! One request and its answer.

use std::io::{self, BufReader};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bstr::BString;
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName,
};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode, Version};
use tokio::sync::{mpsc, oneshot};

use super::body::{End as _, Headers, Inlet, Outgoing, Outlet, PIECES_MAX};
use super::connection::Peer;
use super::limit::{Limit, Limits};
use super::log::{Ending, Entry};
use super::refusal::{Asked, Refusal, response};
use super::ticket::{Report, Ticket};
use super::watched::Ongoing;
use super::work::{For, Full, Place};
use super::{Pushing, Shared};
use crate::protocol::Service;
use crate::server::http::{self, Outcome, Pushes, Site, path_below};
use crate::server::upload_pack::version_asked;
use crate::server::{self, Watch};

/// Bytes of a request that are taken before a worker is asked for: a client that says nothing keeps none.
const FIRST_LEN: usize = 1 << 20;
/// How long the body of a request may come as slowly as it wants to.
const RATE_GRACE: Duration = Duration::from_secs(10);
/// When a client may come again that found no room.
const RETRY_AFTER: &str = "10";
/// What git's clients say of the versions that they speak.
const GIT_PROTOCOL: HeaderName = HeaderName::from_static("git-protocol");

/// What a client hears whose request takes too long to come.
const TOO_SLOW: &str = "the request comes too slowly";

/// And one whose request is too long.
const TOO_LONG: &str = "the request is longer than is served here";

/// How an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    /// As it should.
    Whole,
    /// In the middle, so that nobody takes it for whole.
    Cut,
}

/// Answers one request.
pub(super) async fn respond(
    shared: Arc<Shared>,
    peer: Peer,
    ongoing: Ongoing,
    request: hyper::Request<Incoming>,
) -> Response<Outgoing> {
    let (parts, body) = request.into_parts();
    let path = percent_encoding::percent_decode_str(parts.uri.path()).collect::<Vec<u8>>();
    let query = parts.uri.query().unwrap_or_default();
    let asked = Asked::of(parts.method.as_str(), &path, query.as_bytes());
    let mut ticket = Ticket::new(&shared, entry(&parts, peer, &path), ongoing);
    match admit(&shared, &parts, path, asked) {
        Ok(task) => match work(&shared, task, body, &mut ticket).await {
            Ok(begun) => begun.answer(ticket),
            Err(refusal) => refusal.answer(asked, ticket),
        },
        Err(refusal) => {
            ticket.entry.account.command = None;
            refusal.answer(asked, ticket)
        }
    }
}

fn entry(parts: &Parts, peer: Peer, path: &[u8]) -> Entry {
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    Entry {
        address: peer.address,
        method: parts.method.to_string(),
        path: String::from_utf8_lossy(path).into_owned(),
        host: host.or(parts.uri.host()).map(ToOwned::to_owned),
        protocol: protocol(parts.version),
        ..Entry::default()
    }
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP/1.1",
    }
}

/// What is to be done for a request that may be made.
struct Task {
    site: Site,
    request: http::Request,
    asked: Asked,
    who: For,
    takes_gzip: bool,
}

/// Looks at the head of a request.
fn admit(shared: &Shared, parts: &Parts, path: Vec<u8>, asked: Asked) -> Result<Task, Refusal> {
    let header = |name: HeaderName| text_of(&parts.headers, &name);
    if path.iter().any(u8::is_ascii_control) {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "the path has control characters"));
    }
    let below = path_below(&shared.root, &path)
        .map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, "the path leads elsewhere than it seems"))?;
    let length = header(CONTENT_LENGTH);
    let declared = length.to_string().parse::<u64>().unwrap_or(0);
    if asked != Asked::Rpc(Service::ReceivePack) && declared > shared.settings.limits.get(Limit::RequestBytes)
    {
        return Err(too_large());
    }
    let request = http::Request {
        method: parts.method.as_str().into(),
        // what HTTP/2 is told is what HTTP/1.1 would be
        protocol: if parts.version == Version::HTTP_10 { "HTTP/1.0" } else { "HTTP/1.1" }.into(),
        path: below,
        query: parts.uri.query().unwrap_or_default().into(),
        content_type: header(CONTENT_TYPE),
        content_encoding: header(CONTENT_ENCODING),
        content_length: length,
        user: None,
        address: None,
    };
    let who = For { address: None, repository: repository(&request.path) };
    let takes_gzip = takes_gzip(&header(ACCEPT_ENCODING).to_string());
    Ok(Task { site: site(shared, parts), request, asked, who, takes_gzip })
}

fn site(shared: &Shared, parts: &Parts) -> Site {
    let settings = &shared.settings;
    let mut env = settings.env.clone();
    env.remove("GIT_PROTOCOL");
    if let Some(asked) = parts.headers.get(GIT_PROTOCOL).and_then(|asked| asked.to_str().ok()) {
        env.set("GIT_PROTOCOL", asked);
    }
    Site {
        env,
        overrides: settings.overrides.clone(),
        exports_all: settings.exports_all,
        pushes: match settings.pushes {
            Pushing::Off => Pushes::None,
            Pushing::Users => Pushes::Known,
            Pushing::Anybody => Pushes::All,
        },
        confined_to: (!settings.follows_links).then(|| shared.root.clone()),
        hides_from_dumb: !settings.imitates_backend,
        watch: Arc::default(),
    }
}

/// The directory that requests of one repository have in common.
fn repository(path: &std::path::Path) -> PathBuf {
    let text = path.to_string_lossy();
    let ends = ["/info/refs", "/git-upload-pack", "/git-receive-pack"];
    let found = ends.into_iter().find_map(|end| text.strip_suffix(end));
    found.map_or_else(|| path.parent().unwrap_or(path).to_owned(), PathBuf::from)
}

fn text_of(headers: &HeaderMap, name: &HeaderName) -> BString {
    headers.get(name).map(|value| value.as_bytes().into()).unwrap_or_default()
}

fn takes_gzip(accepted: &str) -> bool {
    let mut codings = accepted.split(',').map(|coding| coding.trim().to_ascii_lowercase());
    codings.any(|coding| {
        let (name, quality) = coding.split_once(';').unwrap_or((&coding, ""));
        let quality = quality.trim().strip_prefix("q=").and_then(|quality| quality.parse::<f32>().ok());
        name.trim() == "gzip" && quality.unwrap_or(1.0) > 0.0
    })
}

fn too_large() -> Refusal {
    Refusal::limited(StatusCode::PAYLOAD_TOO_LARGE, Limit::RequestBytes, TOO_LONG)
}

/// An answer whose head is known.
struct Begun {
    headers: Headers,
    pieces: mpsc::Receiver<super::body::Piece>,
    is_head: bool,
}

impl Begun {
    fn answer(self, mut ticket: Ticket) -> Response<Outgoing> {
        let status = self.headers.iter().find(|(name, _)| name == "Status");
        let status = status.and_then(|(_, value)| StatusCode::from_bytes(value.get(..3)?.as_bytes()).ok());
        let status = status.unwrap_or(StatusCode::OK);
        ticket.entry.status = status.as_u16();
        let headers: Headers = self.headers.into_iter().filter(|(name, _)| name != "Status").collect();
        if self.is_head {
            ticket.whole();
            return response(status, &headers, Outgoing::Done);
        }
        response(status, &headers, Outgoing::Piped { pieces: self.pieces, end: Box::new(ticket) })
    }
}

/// Finds a worker and waits for the head of its answer.
async fn work(
    shared: &Arc<Shared>,
    mut task: Task,
    body: Incoming,
    ticket: &mut Ticket,
) -> Result<Begun, Refusal> {
    let limits = &shared.settings.limits;
    ticket.entry.version = version_asked(&task.site.env);
    task.who.address = ticket.entry.address;
    task.request.user = ticket.entry.user.as_deref().map(Into::into);
    task.request.address = ticket.entry.address.map(|address| address.to_string().into());
    http::introduce(&mut task.site.env, &task.request);
    task.site.watch = Arc::clone(&ticket.watch);
    let is_push = task.asked == Asked::Rpc(Service::ReceivePack);
    let mut source =
        Source::new(body, limits, is_push, (Arc::clone(&ticket.received), Arc::clone(&ticket.watch)));
    let first = if is_push { Vec::new() } else { source.first().await.map_err(|_| unread(&ticket.watch))? };
    let queued = Instant::now();
    let place = shared.pool.place(task.who.clone()).await;
    ticket.entry.queued = queued.elapsed();
    let place = place.map_err(full)?;
    let is_head = task.request.method == "HEAD";
    let (head, is_begun) = oneshot::channel();
    let (answer, pieces) = mpsc::channel(PIECES_MAX);
    let mut outlet = Outlet::new(head, answer, Arc::clone(&ticket.watch));
    let is_list = is_list(&first);
    outlet.sent = Arc::clone(&ticket.sent);
    outlet.is_head = is_head;
    outlet.may_pack = task.takes_gzip && (task.asked == Asked::Advertisement || is_list);
    let makes_pack = matches!(task.asked, Asked::Rpc(_)) && !is_list;
    let (sender, input) = mpsc::channel(PIECES_MAX);
    tokio::spawn(source.pump(first, sender));
    let job = Job { place, task, input, outlet, makes_pack, report: Arc::clone(&ticket.report) };
    let own = Arc::clone(shared);
    tokio::task::spawn_blocking(move || job.run(&own));
    match tokio::time::timeout(limits.time(Limit::AnswerTime), is_begun).await {
        Ok(Ok(headers)) => Ok(Begun { headers, pieces, is_head }),
        Ok(Err(_)) => Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error")),
        Err(_) => {
            ticket.watch.stop();
            Err(Refusal::limited(StatusCode::GATEWAY_TIMEOUT, Limit::AnswerTime, "this takes too long"))
        }
    }
}

fn full(full: Full) -> Refusal {
    let text = match full {
        Full::Queue => "too many requests: the queue is full, please come again",
        Full::Patience => "too many requests: no worker was free in time, please come again",
    };
    Refusal::limited(StatusCode::TOO_MANY_REQUESTS, full.limit(), text).with("Retry-After", RETRY_AFTER)
}

/// Whether a request asks for what needs no pack.
fn is_list(first: &[Bytes]) -> bool {
    let begins = first.first().map(|bytes| bytes.get(4..).unwrap_or_default()).unwrap_or_default();
    let lists: [&[u8]; 3] = [b"command=ls-refs", b"command=object-info", b"command=bundle-uri"];
    lists.iter().any(|list| begins.starts_with(list))
}

/// Why the body of a request is not read.
fn unread(watch: &Watch) -> Refusal {
    match watch.account().limited {
        Some(_) => Refusal::new(StatusCode::REQUEST_TIMEOUT, TOO_SLOW),
        None => Refusal::new(StatusCode::BAD_REQUEST, "the request breaks off"),
    }
}

/// The body of a request, as it comes.
struct Source {
    body: Incoming,
    received: Arc<AtomicU64>,
    watch: Arc<Watch>,
    stall: (Duration, Limit),
    /// Bytes a second that it has to come at.
    rate: u64,
    waited: Duration,
}

impl Source {
    fn new(
        body: Incoming,
        limits: &Limits,
        is_push: bool,
        (received, watch): (Arc<AtomicU64>, Arc<Watch>),
    ) -> Self {
        let (stall, rate) = match is_push {
            // a client may search for deltas while it pushes
            true => (Limit::PushTime, 0),
            false if limits.get(Limit::BodyRate) == u64::MAX => (Limit::BodyTime, 0),
            false => (Limit::BodyTime, limits.get(Limit::BodyRate)),
        };
        Self { body, received, watch, stall: (limits.time(stall), stall), rate, waited: Duration::ZERO }
    }

    /// The beginning of a body, or all of it.
    async fn first(&mut self) -> io::Result<Vec<Bytes>> {
        let mut first = Vec::new();
        let mut length = 0;
        while length < FIRST_LEN
            && let Some(piece) = self.next().await
        {
            let piece = piece?;
            length += piece.len();
            first.push(piece);
        }
        Ok(first)
    }

    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        let watch = Arc::clone(&self.watch);
        let too_slow = |limit: Limit| {
            watch.limited(limit.name());
            io::Error::other(TOO_SLOW)
        };
        loop {
            let begun = Instant::now();
            let body = &mut self.body;
            let frame = std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context));
            let Ok(frame) = tokio::time::timeout(self.stall.0, frame).await else {
                return Some(Err(too_slow(self.stall.1)));
            };
            self.waited += begun.elapsed();
            let data = match frame? {
                Ok(frame) => frame.into_data(),
                Err(error) => {
                    // it is not half a request that is to be answered
                    self.watch.stop();
                    return Some(Err(io::Error::new(io::ErrorKind::UnexpectedEof, error)));
                }
            };
            // trailers are of no use
            let Ok(data) = data else { continue };
            let length = data.len() as u64;
            let all = self.received.fetch_add(length, Ordering::Relaxed).saturating_add(length);
            if self.waited > RATE_GRACE && all / self.waited.as_secs().max(1) < self.rate {
                return Some(Err(too_slow(Limit::BodyRate)));
            }
            return Some(Ok(data));
        }
    }

    /// Hands all of it to a worker, for as long as that wants it.
    async fn pump(mut self, first: Vec<Bytes>, pieces: mpsc::Sender<io::Result<Bytes>>) {
        for piece in first {
            if pieces.send(Ok(piece)).await.is_err() {
                return;
            }
        }
        while let Some(piece) = self.next().await {
            let is_over = piece.is_err();
            if pieces.send(piece).await.is_err() || is_over {
                return;
            }
        }
    }
}

/// A request in the hands of a worker.
struct Job {
    place: Place,
    task: Task,
    input: mpsc::Receiver<io::Result<Bytes>>,
    outlet: Outlet,
    makes_pack: bool,
    report: Arc<Report>,
}

impl Job {
    fn run(self, shared: &Arc<Shared>) {
        let Self { place, task, input, mut outlet, makes_pack, report } = self;
        let watch = Arc::clone(&outlet.watch);
        let slot = makes_pack.then(|| Arc::new(shared.slots.slot(&watch)));
        outlet.slot.clone_from(&slot);
        let mut input = BufReader::with_capacity(65_536, Inlet::new(input, slot));
        let span = tracing::info_span!(target: server::watch::TARGET, "request");
        let outcome = span.in_scope(|| task.site.serve(&task.request, &mut input, &mut outlet));
        let imitates = shared.settings.imitates_backend;
        let (finish, ending, reason) = conclude(&mut outlet, outcome, (task.asked, imitates), &watch);
        report.set(ending, reason);
        // if nobody is there any more, that is known already
        let _sent_or_gone = outlet.finish(finish);
        drop(place);
    }
}

/// Makes the end of an answer of how the work went.
fn conclude(
    outlet: &mut Outlet,
    outcome: Outcome,
    (asked, imitates): (Asked, bool),
    watch: &Watch,
) -> (Finish, Ending, Option<String>) {
    let error = match outcome {
        Outcome::Done => return (Finish::Whole, Ending::Done, None),
        Outcome::Refused(log) => {
            if let Some(headers) = outlet.waiting().filter(|_| asked == Asked::Advertisement && !imitates) {
                let (mut headers, (kind, body)) = (headers.clone(), asked.body(refused(headers)));
                headers.push(("Content-Type".into(), kind));
                outlet.replace(headers, &body);
            }
            return (Finish::Whole, Ending::Refused, Some(log));
        }
        Outcome::Broken(error) | Outcome::Failed(error) => error,
    };
    let reason = Some(error.to_string());
    if watch.is_stopped() {
        return (Finish::Cut, Ending::Gone, reason);
    }
    if imitates {
        return (Finish::Whole, Ending::Failed, reason);
    }
    let (status, text) = status_of(&error, watch.account().limited.and_then(Limit::called));
    if outlet.waiting().is_none() {
        // what a client did wrong it has been told within the answer
        let finish = if status.is_server_error() { Finish::Cut } else { Finish::Whole };
        return (finish, Ending::Failed, reason);
    }
    let (kind, body) = asked.body(&text);
    let mut headers = vec![("Content-Type".to_owned(), kind)];
    if status != StatusCode::OK {
        headers.push(("Status".into(), status.to_string()));
    }
    headers.push(("Cache-Control".into(), "no-cache, max-age=0, must-revalidate".into()));
    outlet.replace(headers, &body);
    let ending = if status.is_server_error() { Ending::Failed } else { Ending::Refused };
    (Finish::Whole, ending, reason)
}

/// What a refused client is told: the same whether something is not there or not for everybody.
fn refused(headers: &Headers) -> &'static str {
    let status = headers.iter().find(|(name, _)| name == "Status").map(|(_, value)| value.as_str());
    match status {
        Some("404 Not Found") => "there is no such repository here",
        Some("403 Forbidden") => "this service is not enabled",
        _ => "the request is not one of git's",
    }
}

/// Whose fault an error is, and what they are told.
fn status_of(error: &server::Error, limit: Option<Limit>) -> (StatusCode, String) {
    let text = error.to_string();
    let text = text.strip_prefix("git upload-pack: ").unwrap_or(&text).to_owned();
    match limit {
        Some(Limit::BodyTime | Limit::PushTime | Limit::BodyRate) => {
            return (StatusCode::REQUEST_TIMEOUT, TOO_SLOW.into());
        }
        Some(Limit::RequestBytes | Limit::Inflation) => {
            return (StatusCode::PAYLOAD_TOO_LARGE, TOO_LONG.into());
        }
        _ => {}
    }
    match error {
        server::Error::TooMuch(_) => (StatusCode::PAYLOAD_TOO_LARGE, text),
        server::Error::Refused(_) => (StatusCode::OK, text),
        server::Error::Protocol(_) => (StatusCode::BAD_REQUEST, text),
        server::Error::Io(_) => (StatusCode::BAD_REQUEST, "the request cannot be read".into()),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "the repository cannot be served".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_taken_where_it_is_named() {
        for (accepted, takes) in [
            ("deflate, gzip", true),
            ("gzip;q=0.5", true),
            ("gzip;q=0, br", false),
            ("br", false),
            ("", false),
        ] {
            assert_eq!(takes_gzip(accepted), takes, "{accepted}");
        }
    }

    #[test]
    fn requests_of_one_repository_are_counted_together() {
        for path in ["/r/a.git/info/refs", "/r/a.git/git-upload-pack", "/r/a.git/HEAD"] {
            assert_eq!(repository(path.as_ref()), PathBuf::from("/r/a.git"), "{path}");
        }
    }

    #[test]
    fn errors_are_sorted_by_whose_fault_they_are() {
        let of = |error: server::Error| status_of(&error, None).0.as_u16();
        let over = |limit| status_of(&io::Error::other("x").into(), Some(limit)).0.as_u16();
        assert_eq!(of(server::Error::Refused("git upload-pack: no".into())), 200);
        assert_eq!(of(server::Error::TooMuch("no".into())), 413);
        assert_eq!((over(Limit::Inflation), over(Limit::BodyTime)), (413, 408));
        assert_eq!(of(io::Error::from(io::ErrorKind::InvalidData).into()), 400);
        assert_eq!(of(server::Error::Missing("x".into())), 500);
    }
}
