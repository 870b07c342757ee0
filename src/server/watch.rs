//! A service seen from outside: what it may be asked for at most, how it is stopped, and what it tells of its work.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bstr::{BString, ByteSlice};

use super::{Error, harmless};
use crate::pack::produce::{KnownDeltas, Produced};
use crate::protocol::fetch::Request;
use crate::protocol::ls_refs::{self, Preamble};
use crate::telemetry;

/// The target of the spans: `request`, and below it one for each [`Phase`]. The fields of `request` are `http.request.method`,
/// `url.path`, `traceparent`, `command`, `session-id` (what the client calls the session), `wants`, `haves` and `result`.
pub const TARGET: &str = "gitr::request";

/// Watches one request. The default has no limits.
#[derive(Debug, Default)]
pub struct Watch {
    limits: Limits,
    known: Option<Arc<KnownDeltas>>,
    is_stopped: Arc<AtomicBool>,
    is_committed: Mutex<bool>,
    account: Mutex<Account>,
}

/// Objects that an `object-info` may ask about where nobody says how many: it remembers all until it has read the last.
const OBJECT_INFOS_MAX: usize = 1_000_000;

/// How much one request may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// `want` and `want-ref` lines.
    pub wants: usize,
    /// `have` lines.
    pub haves: usize,
    /// `shallow` lines.
    pub shallows: usize,
    /// `deepen-not` lines.
    pub deepen_nots: usize,
    /// `ref-prefix` lines.
    pub prefixes: usize,
    /// `server-option` lines.
    pub server_options: usize,
    /// `oid` lines of an `object-info`.
    pub object_infos: usize,
    /// Bytes of a request other than a push, once it is inflated.
    pub request_len: u64,
    /// How many times as long a request may become when it is inflated.
    pub inflation: u64,
    /// Bytes of an object that a delta of a push makes, of its base and of the delta; 0 means any.
    pub made_len: u64,
}

/// A part of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The request is read.
    Parse,
    /// What both sides have is found.
    Negotiate,
    /// What the other side lacks is found.
    Select,
    /// Deltas are searched.
    Delta,
    /// The pack is written.
    Write,
}

/// What a request was about.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// `ls-refs`, `fetch` and the like; a push is `push`.
    pub command: Option<&'static str>,
    /// The client's program.
    pub agent: Option<BString>,
    /// What the client calls the session.
    pub session_id: Option<BString>,
    /// `want` lines.
    pub wants: usize,
    /// `want-ref` lines.
    pub want_refs: usize,
    /// `have` lines.
    pub haves: usize,
    /// Those of them that are here.
    pub common: usize,
    /// `shallow` lines.
    pub shallows: usize,
    /// `deepen`; 0 for none.
    pub depth: u32,
    /// `deepen-since`.
    pub deepen_since: Option<i64>,
    /// `deepen-not` lines.
    pub deepen_nots: usize,
    /// `deepen-relative`.
    pub deepen_relative: bool,
    /// The kind of the filter.
    pub filter: Option<&'static str>,
    /// How long each part of the work took.
    pub phases: Vec<(Phase, Duration)>,
    /// What was sent.
    pub pack: Option<Produced>,
    /// The limit that the request went over.
    pub limited: Option<&'static str>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wants: usize::MAX,
            haves: usize::MAX,
            shallows: usize::MAX,
            deepen_nots: usize::MAX,
            prefixes: usize::MAX,
            server_options: usize::MAX,
            object_infos: OBJECT_INFOS_MAX,
            request_len: u64::MAX,
            inflation: u64::MAX,
            made_len: 0,
        }
    }
}

impl Phase {
    /// All, in the order in which they come.
    pub const ALL: [Self; 5] = [Self::Parse, Self::Negotiate, Self::Select, Self::Delta, Self::Write];

    /// A span of this name, below the one that this thread is in.
    pub(super) fn span(self) -> tracing::Span {
        match self {
            Self::Parse => tracing::info_span!(target: TARGET, "parse"),
            Self::Negotiate => tracing::info_span!(target: TARGET, "negotiate"),
            Self::Select => tracing::info_span!(target: TARGET, "select"),
            Self::Delta => tracing::info_span!(target: TARGET, "delta"),
            Self::Write => tracing::info_span!(target: TARGET, "write"),
        }
    }

    /// The word for logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::Negotiate => "negotiate",
            Self::Select => "select",
            Self::Delta => "delta",
            Self::Write => "write",
        }
    }
}

impl Watch {
    /// Watches a request that may ask for so much.
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Deltas that are kept from one request to the next.
    #[must_use]
    pub fn knowing(self, known: Arc<KnownDeltas>) -> Self {
        Self { known: Some(known), ..self }
    }

    /// Those deltas.
    pub(super) fn known(&self) -> Option<&Arc<KnownDeltas>> {
        self.known.as_ref()
    }

    /// What the request may ask for.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Ends the work soon: nobody waits for it.
    pub fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }

    /// Whether the work is to end.
    pub fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }

    /// Ends the work soon, unless it has begun what cannot be taken back; whether it ends.
    pub fn give_up(&self) -> bool {
        let is_committed = self.is_committed.lock().unwrap_or_else(PoisonError::into_inner);
        if !*is_committed {
            self.stop();
        }
        !*is_committed
    }

    /// Begins what cannot be taken back, unless the work is to end; whether it may be done.
    pub(super) fn commit(&self) -> bool {
        let mut is_committed = self.is_committed.lock().unwrap_or_else(PoisonError::into_inner);
        *is_committed |= !self.is_stopped();
        *is_committed
    }

    /// What is set once the work is to end.
    pub(super) fn stop_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_stopped)
    }

    /// What is known by now.
    pub fn account(&self) -> Account {
        self.account.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes over what another one heard of the same request, but for whose it is.
    pub fn adopt(&self, other: &Self) {
        let account = Account { agent: None, session_id: None, ..other.account() };
        self.tell(|own| *own = account);
    }

    /// The request went over the limit of this name.
    pub fn limited(&self, limit: &'static str) {
        self.tell(|account| account.limited = Some(limit));
    }

    pub(super) fn tell(&self, tell: impl FnOnce(&mut Account)) {
        tell(&mut self.account.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Does the part `phase` of the work, within a span of its name.
    pub(super) fn during<T>(&self, phase: Phase, work: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let done = phase.span().in_scope(work);
        self.took(phase, begun.elapsed());
        done
    }

    pub(super) fn took(&self, phase: Phase, time: Duration) {
        self.tell(|account| account.phases.push((phase, time)));
    }

    /// Takes note of who asks for what.
    pub(super) fn command(&self, name: &'static str, preamble: &Preamble) -> Result<(), Error> {
        self.tell(|account| {
            account.command = Some(name);
            account.agent.clone_from(&preamble.agent);
            account.session_id.clone_from(&preamble.session_id);
        });
        tracing::Span::current().record("command", name);
        if let Some(id) = &preamble.session_id {
            Self::session(&id.to_str_lossy());
        }
        self.check("server-options", preamble.server_options.len(), self.limits.server_options)
    }

    /// Tells those who measure what the client calls the session.
    pub(super) fn session(id: &str) {
        tracing::Span::current().record("session-id", harmless(id));
        telemetry::data("transfer", "client-sid", id);
    }

    pub(super) fn fetch(&self, request: &Request) -> Result<(), Error> {
        let span = tracing::Span::current();
        span.record("wants", request.wants.len().saturating_add(request.want_refs.len()));
        span.record("haves", request.haves.len());
        self.tell(|account| {
            account.wants = request.wants.len();
            account.want_refs = request.want_refs.len();
            account.haves = request.haves.len();
            account.shallows = request.shallow.len();
            account.depth = request.deepen.depth;
            account.deepen_since = request.deepen.since;
            account.deepen_nots = request.deepen.not.len();
            account.deepen_relative = request.deepen.relative;
        });
        let limits = &self.limits;
        self.check("wants", request.wants.len().saturating_add(request.want_refs.len()), limits.wants)?;
        self.check("haves", request.haves.len(), limits.haves)?;
        self.check("shallows", request.shallow.len(), limits.shallows)?;
        self.check("deepen-nots", request.deepen.not.len(), limits.deepen_nots)
    }

    pub(super) fn ls_refs(&self, request: &ls_refs::Request) -> Result<(), Error> {
        self.check("prefixes", request.prefixes.len(), self.limits.prefixes)
    }

    pub(super) fn object_infos(&self, count: usize) -> Result<(), Error> {
        self.check("object-infos", count, self.limits.object_infos)
    }

    /// Counts one more `have` of v0, which has no end that could be looked for.
    pub(super) fn have(&self) -> Result<(), Error> {
        let mut count = 0;
        self.tell(|account| {
            account.haves += 1;
            count = account.haves;
        });
        self.check("haves", count, self.limits.haves)
    }

    fn check(&self, limit: &'static str, count: usize, most: usize) -> Result<(), Error> {
        if count <= most {
            return Ok(());
        }
        self.limited(limit);
        Err(Error::TooMuch(format!("too many {limit}: {most} are the most that is served here")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_the_limit_is_refused_and_remembered() {
        let watch = Watch::new(Limits { deepen_nots: 1, ..Limits::default() });
        let mut request = Request::default();
        request.deepen.not = vec!["a".into()];
        assert!(watch.fetch(&request).is_ok());
        request.deepen.not.push("b".into());
        assert!(matches!(watch.fetch(&request), Err(Error::TooMuch(text)) if text.contains("deepen-nots")));
        assert_eq!(watch.account().limited, Some("deepen-nots"));
        assert_eq!(watch.account().deepen_nots, 2);
    }

    #[test]
    fn what_is_given_up_begins_nothing_and_what_has_begun_is_not_given_up() {
        let (given_up, begun) = (Watch::default(), Watch::default());
        assert!(given_up.give_up() && given_up.is_stopped());
        assert!(!given_up.commit());
        assert!(begun.commit());
        assert!(!begun.give_up() && !begun.is_stopped());
        begun.stop();
        assert!(begun.commit(), "what has begun goes on");
    }

    #[test]
    fn a_phase_is_timed_whatever_becomes_of_it() {
        let watch = Watch::default();
        let failed: Result<(), ()> = watch.during(Phase::Select, || Err(()));
        assert!(failed.is_err());
        assert_eq!(watch.account().phases.first().map(|(phase, _)| phase.name()), Some("select"));
    }
}
