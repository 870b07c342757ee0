//! What is counted and measured, as Prometheus asks for it. Labels come from closed sets: nothing that a client says is
//! one.

use std::sync::atomic::AtomicU64;

use bstr::ByteSlice;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use super::limit::Limit;
use super::log::{Ending, Entry};
use crate::protocol::Version;
use crate::server::watch::Account;

/// The buckets of OpenTelemetry's semantic conventions for HTTP, and some more for packs, in seconds.
const SECONDS: [f64; 18] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0, 120.0, 300.0,
];

type Labels = Vec<(&'static str, &'static str)>;
type Histograms = Family<Labels, Histogram, fn() -> Histogram>;

/// All of them.
pub(super) struct Metrics {
    registry: Registry,
    pub active: Gauge,
    pub connections: Gauge,
    busy: Gauge,
    waiting: Gauge,
    duration: Histograms,
    received: Histograms,
    sent: Histograms,
    requests: Family<Labels, Counter>,
    phases: Histograms,
    queue: Histogram,
    wants: Histogram,
    haves: Family<Labels, Counter>,
    objects: Family<Labels, Counter>,
    pack_bytes: Counter<u64, AtomicU64>,
    limited: Family<Labels, Counter>,
    gone: Counter,
    cache: Family<Labels, Counter>,
    agents: Family<Labels, Counter>,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let seconds: fn() -> Histogram = || Histogram::new(SECONDS);
        let bytes: fn() -> Histogram = || Histogram::new(exponential_buckets(256.0, 8.0, 10));
        let counts = || Histogram::new(exponential_buckets(1.0, 4.0, 10));
        let mut metrics = Self {
            registry: Registry::default(),
            active: Gauge::default(),
            connections: Gauge::default(),
            busy: Gauge::default(),
            waiting: Gauge::default(),
            duration: Family::new_with_constructor(seconds),
            received: Family::new_with_constructor(bytes),
            sent: Family::new_with_constructor(bytes),
            requests: Family::default(),
            phases: Family::new_with_constructor(seconds),
            queue: seconds(),
            wants: counts(),
            haves: Family::default(),
            objects: Family::default(),
            pack_bytes: Counter::default(),
            limited: Family::default(),
            gone: Counter::default(),
            cache: Family::default(),
            agents: Family::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        let mut http = |name, help, unit, family: &Histograms| {
            registry.register_with_unit(format!("http_server_{name}"), help, unit, family.clone());
        };
        http("request_duration", "from the head to the end of the answer", Unit::Seconds, &self.duration);
        http("request_body_size", "as it came", Unit::Bytes, &self.received);
        http("response_body_size", "as it went", Unit::Bytes, &self.sent);
        registry.register("http_server_active_requests", "in the works", self.active.clone());
        registry.register("gitr_connections", "that are open", self.connections.clone());
        registry.register("gitr_workers_busy", "requests worked on", self.busy.clone());
        registry.register("gitr_queue_depth", "requests that wait", self.waiting.clone());
        registry.register("gitr_upload_pack_requests", "clones, fetches and lists", self.requests.clone());
        registry.register_with_unit(
            "gitr_upload_pack_phase",
            "parts of a request",
            Unit::Seconds,
            self.phases.clone(),
        );
        registry.register_with_unit("gitr_queue_wait", "for a worker", Unit::Seconds, self.queue.clone());
        registry.register("gitr_wants", "of a fetch", self.wants.clone());
        registry.register("gitr_haves", "of fetches", self.haves.clone());
        registry.register("gitr_pack_objects", "that were sent", self.objects.clone());
        registry.register("gitr_pack_bytes", "of packs that were sent", self.pack_bytes.clone());
        registry.register("gitr_limited", "went over a limit", self.limited.clone());
        registry.register("gitr_client_gone", "before their answer was whole", self.gone.clone());
        registry.register("gitr_cache", "answers that may be kept", self.cache.clone());
        registry.register("gitr_clients", "by the program that they are", self.agents.clone());
        for limit in Limit::all() {
            self.limited.get_or_create(&of_limit(limit)).inc_by(0);
        }
    }

    /// Something went over `limit`.
    pub(super) fn limited(&self, limit: Limit) {
        self.limited.get_or_create(&of_limit(limit)).inc();
    }

    /// What became of a request whose answer may be kept: `hit`, `miss` or `bypass`.
    pub(super) fn cache(&self, result: &'static str) {
        self.cache.get_or_create(&vec![("result", result)]).inc();
    }

    /// A request is over.
    pub(super) fn request(&self, entry: &Entry, backend: &'static str) {
        let labels = vec![("method", method(&entry.method)), ("status", class(entry.status))];
        self.duration.get_or_create(&labels).observe(entry.time.as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "a histogram is not exact")]
        let (received, sent) = (entry.received as f64, entry.sent as f64);
        self.received.get_or_create(&labels).observe(received);
        self.sent.get_or_create(&labels).observe(sent);
        self.queue.observe(entry.queued.as_secs_f64());
        if entry.result == Ending::Gone {
            self.gone.inc();
        }
        if let Some(command) = entry.account.command {
            self.service(entry, command, backend);
        }
    }

    fn service(&self, entry: &Entry, command: &'static str, backend: &'static str) {
        let account = &entry.account;
        let shallow = account.depth > 0 || account.deepen_since.is_some() || account.deepen_nots > 0;
        let version = match entry.version {
            Version::V0 => "0",
            Version::V1 => "1",
            Version::V2 => "2",
        };
        let labels = vec![
            ("backend", backend),
            ("command", command),
            ("protocol", version),
            ("filter", account.filter.unwrap_or("none")),
            ("shallow", if shallow { "true" } else { "false" }),
            ("result", entry.result.name()),
        ];
        self.requests.get_or_create(&labels).inc();
        self.agents.get_or_create(&vec![("family", family(account))]).inc();
        for (phase, time) in &account.phases {
            let labels = vec![("phase", phase.name()), ("backend", backend)];
            self.phases.get_or_create(&labels).observe(time.as_secs_f64());
        }
        if command != "fetch" {
            return;
        }
        let wants = u32::try_from(account.wants + account.want_refs).unwrap_or(u32::MAX);
        self.wants.observe(f64::from(wants));
        let unknown = account.haves.saturating_sub(account.common);
        for (known, count) in [("true", account.common), ("false", unknown)] {
            self.haves.get_or_create(&vec![("known", known)]).inc_by(count as u64);
        }
        if let Some(pack) = account.pack {
            let whole = pack.reused.saturating_sub(pack.reused_deltas);
            let made = pack.deltas.saturating_sub(pack.reused_deltas);
            let deflated = pack.objects.saturating_sub(pack.deltas).saturating_sub(whole);
            for (how, count) in [
                ("reused_delta", pack.reused_deltas),
                ("reused_whole", whole),
                ("delta", made),
                ("deflated", deflated),
            ] {
                self.objects.get_or_create(&vec![("how", how)]).inc_by(count.into());
            }
            self.pack_bytes.inc_by(pack.bytes);
        }
    }

    /// All of them as text, with what holds at this moment.
    pub(super) fn text(&self, busy: usize, waiting: usize) -> String {
        let gauge = |gauge: &Gauge, value: usize| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        gauge(&self.busy, busy);
        gauge(&self.waiting, waiting);
        let mut text = String::new();
        // a String takes all that is written
        let _always = encode(&mut text, &self.registry);
        text
    }
}

fn of_limit(limit: Limit) -> Labels {
    let reason = match limit {
        Limit::HeaderTime
        | Limit::IdleTime
        | Limit::BodyTime
        | Limit::PushTime
        | Limit::WriteTime
        | Limit::AnswerTime
        | Limit::QueueTime
        | Limit::GraceTime => "max_time",
        Limit::BodyRate => "rate",
        _ => "max_size",
    };
    vec![("limit", limit.name()), ("reason", reason)]
}

fn method(method: &str) -> &'static str {
    ["GET", "POST", "HEAD"].into_iter().find(|known| *known == method).unwrap_or("other")
}

fn class(status: u16) -> &'static str {
    match status {
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        500..600 => "5xx",
        _ => "none",
    }
}

/// Which of the programs that are known it is.
fn family(account: &Account) -> &'static str {
    let agent = account.agent.as_ref().map(|agent| agent.to_ascii_lowercase()).unwrap_or_default();
    // gitr calls itself git as well
    let known = ["gitr", "git/", "jgit", "libgit2", "go-git", "dulwich", "gix", "isomorphic-git"];
    let found = known.into_iter().find(|name| agent.contains_str(name)).unwrap_or("other");
    found.trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_say_is_no_label() {
        let metrics = Metrics::new();
        let mut entry = Entry { method: "EVIL\"\n".into(), status: 404, ..Entry::default() };
        entry.account.command = Some("fetch");
        entry.account.agent = Some("evil\"\nagent".into());
        metrics.request(&entry, "gitr");
        metrics.limited(Limit::Queue);
        let text = metrics.text(1, 2);
        assert!(!text.to_lowercase().contains("evil"), "{text}");
        for line in [
            "http_server_request_duration_seconds_count{method=\"other\",status=\"4xx\"} 1",
            "gitr_limited_total{limit=\"queue\",reason=\"max_size\"} 1",
            "gitr_clients_total{family=\"other\"} 1",
            "gitr_limited_total{limit=\"wants\",reason=\"max_size\"} 0",
            "gitr_workers_busy 1",
            "gitr_queue_depth 2",
        ] {
            assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
        }
    }
}
