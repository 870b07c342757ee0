//! A request in the hands of a worker: who answers it, and how the answer ends.

use std::io::{self, BufRead, BufReader, Cursor};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::StatusCode;
use hyper::body::Bytes;
use tokio::sync::mpsc;
use tracing::Span;
use tracing::field::Empty;

use super::body::{Headers, Inlet, Outlet, Packing};
use super::cache::{self, Kept, Part, Reading};
use super::exchange::Task;
use super::limit::Limit;
use super::lists::{Copying, Known, List};
use super::log::Ending;
use super::refusal::Asked;
use super::ticket::Report;
use super::wait::Wait;
use super::work::Place;
use super::{Backend, Shared, git};
use crate::server::http::{Outcome, Pushes};
use crate::server::{self, Watch};

/// What a client hears that has to say who it is.
pub(super) const WHO: &str = "you have to say who you are";
/// What a client hears of what is not there, or not for it.
pub(super) const NOT_HERE: &str = "there is no such repository here";
/// What a client hears whose request takes too long to come.
pub(super) const TOO_SLOW: &str = "the request comes too slowly";
/// And one whose request is too long.
pub(super) const TOO_LONG: &str = "the request is longer than is served here";

/// Work that takes so long may have taken much memory. To give it back takes about a millisecond.
const LONG: Duration = Duration::from_millis(100);

/// How an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    /// As it should.
    Whole,
    /// In the middle, so that nobody takes it for whole.
    Cut,
}

/// A request in the hands of a worker.
pub(super) struct Job {
    pub place: Place,
    pub task: Task,
    pub input: mpsc::Receiver<io::Result<Bytes>>,
    pub outlet: Outlet,
    pub makes_pack: bool,
    /// All of the request, if its answer may be kept.
    pub whole: Option<Vec<u8>>,
    pub report: Arc<Report>,
    pub wait: Arc<Wait>,
}

impl Job {
    pub(super) fn run(self, shared: &Arc<Shared>) {
        let Self { place, task, input, mut outlet, makes_pack, mut whole, report, wait } = self;
        let watch = Arc::clone(&outlet.watch);
        let list = whole.take_if(|_| outlet.packing == Packing::Short);
        if let Some(list) = list.and_then(|body| find_list(shared, key(&task, &body)?, &mut outlet)) {
            watch.adopt(&list.watch);
            report.set(Ending::Done, None);
            // if nobody is there any more, that is known already
            let _sent_or_gone = outlet.send_list(&list).and_then(|()| outlet.finish(Finish::Whole));
            return drop(place);
        }
        if let Some((part, body)) = whole.and_then(|body| Some((find(shared, &task, &body)?, body))) {
            let reading = match part {
                Part::Follow(reading) => reading,
                Part::Lead(reading) => {
                    let maker = Maker { task, body, kept: Arc::clone(&reading.0), makes_pack };
                    maker.start(shared);
                    reading
                }
            };
            wait.follow(&reading.0.making);
            let (finish, ending, reason) = follow(&reading, &mut outlet, &watch);
            watch.adopt(&reading.0.watch);
            report.set(ending, reason);
            // if nobody is there any more, that is known already
            let _sent_or_gone = outlet.finish(finish);
            return drop(place);
        }
        let slot = makes_pack.then(|| Arc::new(shared.slots.slot(&watch, &wait)));
        if watch.is_stopped() {
            // it has waited for nothing
            return drop(place);
        }
        wait.works();
        outlet.slot.clone_from(&slot);
        let mut input = BufReader::with_capacity(65_536, Inlet::new(input, slot));
        let begun = Instant::now();
        let (finish, ending, reason) = serve(shared, &task, &mut input, &mut outlet);
        give_back_after(begun);
        outlet.copying.take_if(|_| ending != Ending::Done);
        report.set(ending, reason);
        // if nobody is there any more, that is known already
        let _sent_or_gone = outlet.finish(finish);
        drop(place);
    }
}

/// Gives back what long work has left in the allocator, which keeps it for each thread that had it.
fn give_back_after(begun: Instant) {
    if begun.elapsed() >= LONG {
        server::give_back();
    }
}

/// Answers as the settings say, and tells how that ended.
fn serve(
    shared: &Shared,
    task: &Task,
    input: &mut (dyn BufReadSend + '_),
    outlet: &mut Outlet,
) -> (Finish, Ending, Option<String>) {
    let span = span(task);
    let watch = Arc::clone(&outlet.watch);
    let outcome = span.in_scope(|| match &shared.settings.backend {
        Backend::Gitr => task.site.serve(&task.request, &mut &mut *input, outlet),
        Backend::Git(program) => git::serve(program, &task.site, &task.request, &mut &mut *input, outlet),
    });
    let concluded = if is_challenged(&outcome, outlet, task) {
        (Finish::Whole, Ending::Refused, Some(WHO.to_owned()))
    } else {
        conclude(outlet, outcome, (task.asked, shared.settings.imitates_backend), &watch)
    };
    span.record("result", concluded.1.name());
    concluded
}

/// The span of a request, whose fields are those of [`server::watch::TARGET`].
fn span(task: &Task) -> Span {
    let request = &task.request;
    let span = tracing::info_span!(
        target: server::watch::TARGET,
        "request",
        "http.request.method" = %request.method,
        "url.path" = %task.path,
        traceparent = task.traceparent.as_deref(),
        command = Empty,
        "session-id" = Empty,
        wants = Empty,
        haves = Empty,
        result = Empty,
    );
    #[cfg(feature = "otlp")]
    if let Some(traceparent) = &task.traceparent {
        super::otlp::adopt(&span, traceparent);
    }
    span
}

/// A stream of bytes that a thread may take along.
trait BufReadSend: BufRead + Send {}

impl<R: BufRead + Send> BufReadSend for R {}

/// The answer that is kept for such a request, or will be; `None` if it is not one to be kept.
fn find(shared: &Shared, task: &Task, body: &[u8]) -> Option<Part> {
    let cache = shared.cache.as_ref()?;
    let Some(key) = key(task, body) else {
        shared.metrics.cache("bypass");
        return None;
    };
    let watch = Arc::new(shared.watch());
    let part = cache.find(key, &watch).ok()?;
    shared.metrics.cache(if matches!(part, Part::Lead(_)) { "miss" } else { "hit" });
    Some(part)
}

/// The list that is kept for such a request. If there is none, `outlet` is set up to send it as it is best, and to keep it
/// if that is worth it.
fn find_list(shared: &Shared, key: cache::Key, outlet: &mut Outlet) -> Option<Arc<List>> {
    match shared.lists.ask(key) {
        Known::New => None,
        Known::Asked => {
            outlet.packing = Packing::Always;
            outlet.copying = Some(Copying::new(&shared.lists, key));
            None
        }
        Known::Kept(list) => Some(list),
    }
}

/// What the answer to such a request is kept under; `None` if it is not one to be kept.
fn key(task: &Task, body: &[u8]) -> Option<cache::Key> {
    let repo = task.site.upload_pack_for(&task.request)?;
    cache::key(&repo, &task.request, body)
}

/// Makes an answer that is kept, for all who ask for it.
struct Maker {
    task: Task,
    body: Vec<u8>,
    kept: Arc<Kept>,
    makes_pack: bool,
}

impl Maker {
    fn start(mut self, shared: &Arc<Shared>) {
        let shared = Arc::clone(shared);
        let kept = Arc::clone(&self.kept);
        // a thread of its own: those who wait for it have all that there are
        let spawned = std::thread::Builder::new().name("gitr-serve-maker".into()).spawn(move || {
            let ended = Ended(Arc::clone(&self.kept));
            let watch = Arc::clone(&self.kept.watch);
            self.task.site.watch = Arc::clone(&watch);
            let wait = &self.kept.making;
            let slot = self.makes_pack.then(|| Arc::new(shared.slots.slot(&watch, wait)));
            if watch.is_stopped() {
                return;
            }
            wait.works();
            let mut outlet = Outlet::keep(Arc::clone(&self.kept));
            outlet.slot = slot;
            let begun = Instant::now();
            let (finish, ending, _) = serve(&shared, &self.task, &mut Cursor::new(self.body), &mut outlet);
            if ending != Ending::Done {
                // those who wait hear it, and whoever comes later asks anew
                self.kept.refuse();
            }
            give_back_after(begun);
            // what cannot be kept is cut
            let _kept = outlet.finish(finish);
            drop(ended);
        });
        if spawned.is_err() {
            kept.end(Finish::Cut);
        }
    }
}

/// Sees that those who wait hear of an end, whatever happens.
struct Ended(Arc<Kept>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.end_if_open();
    }
}

/// Hands on what is kept, as far as it is there.
fn follow(reading: &Reading, outlet: &mut Outlet, watch: &Watch) -> (Finish, Ending, Option<String>) {
    match read_along(reading, outlet, watch) {
        Ok((Finish::Whole, false)) => (Finish::Whole, Ending::Done, None),
        Ok((Finish::Whole, true)) => (Finish::Whole, Ending::Refused, None),
        Ok((Finish::Cut, _)) => {
            (Finish::Cut, Ending::Failed, Some("the answer that was kept is not whole".into()))
        }
        Err(_) if watch.is_stopped() => (Finish::Cut, Ending::Gone, None),
        Err(error) => (Finish::Cut, Ending::Failed, Some(error.to_string())),
    }
}

fn read_along(reading: &Reading, outlet: &mut Outlet, watch: &Watch) -> io::Result<(Finish, bool)> {
    use crate::server::http::Answer as _;
    let Some(headers) = reading.headers(watch)? else { return Ok((Finish::Cut, false)) };
    let is_refusal = headers.iter().any(|(name, _)| name == "Status");
    let out = outlet.head(&headers)?;
    let mut place = 0;
    loop {
        let (bytes, end) = reading.next(place, watch)?;
        if let Some(end) = end {
            return Ok((end, is_refusal || reading.0.is_refused()));
        }
        place += bytes.len() as u64;
        out.write_all(&bytes)?;
        out.flush()?;
    }
}

/// Asks a client who it is that may not push as nobody; whether it does.
fn is_challenged(outcome: &Outcome, outlet: &mut Outlet, task: &Task) -> bool {
    let is_forbidden = |headers: &Headers| headers.iter().any(|(_, value)| value == "403 Forbidden");
    let is_refused = matches!(outcome, Outcome::Refused(_)) && outlet.waiting().is_some_and(is_forbidden);
    if !is_refused || task.challenges.is_empty() || task.site.pushes != Pushes::Known {
        return false;
    }
    let (kind, body) = task.asked.body(WHO);
    let mut headers =
        vec![("Status".to_owned(), "401 Unauthorized".to_owned()), ("Content-Type".into(), kind)];
    let asked = task.challenges.iter().map(|text| ("WWW-Authenticate".to_owned(), (*text).to_owned()));
    headers.extend(asked);
    outlet.replace(headers, &body);
    true
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
        return if status.is_server_error() {
            (Finish::Cut, Ending::Failed, reason)
        } else {
            (Finish::Whole, Ending::Refused, reason)
        };
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
        Some("404 Not Found") => NOT_HERE,
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
        // git has words of its own for what is longer than it buffers
        Some(Limit::RequestBytes | Limit::Inflation) if !matches!(error, server::Error::TooMuch(_)) => {
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
