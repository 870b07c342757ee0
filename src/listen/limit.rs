//! How much one client, and all of them together, may take of this server. Each limit has a name, which is that of its
//! option, its environment variable and its label in the metrics.

use std::time::Duration;

use crate::server::watch;

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// Bytes of the head of a request.
    HeaderBytes,
    /// Time for the head of a request, and for a TLS handshake.
    HeaderTime,
    /// Time that a connection may be kept without a request.
    IdleTime,
    /// Time without a byte of the body of a request.
    BodyTime,
    /// Time without a byte of a push.
    PushTime,
    /// Bytes a second that the body of a request other than a push comes at, over each ten seconds of it.
    BodyRate,
    /// Time in which a client takes nothing of its answer.
    WriteTime,
    /// Time until the first byte of an answer, while nobody but the worker is waited for.
    AnswerTime,
    /// Bytes of a request other than a push, inflated.
    RequestBytes,
    /// How many times as long a request may become when it is inflated.
    Inflation,
    /// Connections.
    Connections,
    /// Connections from one address.
    ConnectionsPerAddress,
    /// Requests that are worked on.
    Workers,
    /// Requests of one repository that are worked on.
    WorkersPerRepository,
    /// Requests of one address that are worked on.
    WorkersPerAddress,
    /// Packs that are made at the same time.
    Packs,
    /// Requests that wait for a worker; and as many whose passwords, or the page, wait for their turn.
    Queue,
    /// Time that a request waits for a worker, and as long for its turn to make a pack.
    QueueTime,
    /// Bytes of requests that wait for a worker.
    QueueBytes,
    /// Those of them from one address.
    QueueBytesPerAddress,
    /// Time that transfers have to end once the server is to stop.
    GraceTime,
    /// `want` lines.
    Wants,
    /// `have` lines.
    Haves,
    /// `shallow` lines.
    Shallows,
    /// `deepen-not` lines.
    DeepenNots,
    /// `ref-prefix` lines.
    Prefixes,
    /// `server-option` lines.
    ServerOptions,
    /// Objects that an `object-info` asks about.
    ObjectInfos,
    /// Bytes of an object that a delta of a push makes.
    DeltaBytes,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Count,
    Bytes,
    Milliseconds,
}

/// Limit, name, unit, value where none is given, explanation.
type Row = (Limit, &'static str, Unit, u64, &'static str);

const TABLE: [Row; 29] = {
    use Limit as L;
    use Unit::{Bytes, Count, Milliseconds};
    [
        (L::HeaderBytes, "header-bytes", Bytes, 16 << 10, "the head of a request"),
        (L::HeaderTime, "header-time", Milliseconds, 10_000, "until the head of a request is there"),
        (L::IdleTime, "idle-time", Milliseconds, 60_000, "a connection without a request"),
        (L::BodyTime, "body-time", Milliseconds, 60_000, "without a byte of a request's body"),
        (L::PushTime, "push-time", Milliseconds, 600_000, "without a byte of a push"),
        (L::BodyRate, "body-rate", Bytes, 256, "a second, over each ten of a body"),
        (L::WriteTime, "write-time", Milliseconds, 60_000, "in which a client takes nothing"),
        (L::AnswerTime, "answer-time", Milliseconds, 120_000, "of work until the first byte of an answer"),
        (L::RequestBytes, "request-bytes", Bytes, 64 << 20, "an inflated request other than a push"),
        (L::Inflation, "inflation", Count, 100, "times as long as it came"),
        (L::Connections, "connections", Count, 1024, "connections"),
        (L::ConnectionsPerAddress, "connections-per-address", Count, 128, "connections of one client"),
        (L::Workers, "workers", Count, 64, "requests worked on"),
        (L::WorkersPerRepository, "workers-per-repository", Count, 32, "of them for one repository"),
        (L::WorkersPerAddress, "workers-per-address", Count, 16, "of them for one client"),
        (L::Packs, "packs", Count, 0, "packs made at a time; 0: as many as processors"),
        (L::Queue, "queue", Count, 64, "requests that wait for a worker, or with a password"),
        (L::QueueTime, "queue-time", Milliseconds, 30_000, "that they wait, and again to make a pack"),
        (L::QueueBytes, "queue-bytes", Bytes, 64 << 20, "of requests that wait"),
        (L::QueueBytesPerAddress, "queue-bytes-per-address", Bytes, 16 << 20, "of them from one client"),
        (L::GraceTime, "grace-time", Milliseconds, 30_000, "for transfers to end when the server stops"),
        (L::Wants, "wants", Count, 65_536, "want lines of a request"),
        (L::Haves, "haves", Count, 262_144, "have lines of a request"),
        (L::Shallows, "shallows", Count, 100_000, "shallow lines of a request"),
        (L::DeepenNots, "deepen-nots", Count, 1_000, "deepen-not lines of a request"),
        (L::Prefixes, "prefixes", Count, 65_535, "ref-prefix lines of a request"),
        (L::ServerOptions, "server-options", Count, 100, "server-option lines of a request"),
        (L::ObjectInfos, "object-infos", Count, 10_000, "objects that a request asks the sizes of"),
        // git-config(1): of files that are longer than `core.bigFileThreshold` C git makes no deltas
        (L::DeltaBytes, "delta-bytes", Bytes, 512 << 20, "an object that a delta of a push makes"),
    ]
};

impl Limit {
    /// All.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.0)
    }

    /// The limit called `name`.
    pub fn called(name: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    /// Its name, such as `header-time`.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// Its environment variable, such as `GITR_HEADER_TIME`.
    pub fn variable(self) -> String {
        format!("GITR_{}", self.name().replace('-', "_").to_ascii_uppercase())
    }

    /// What it limits and what it is where nothing is said, for a help text.
    pub fn explanation(self) -> String {
        let (_, _, unit, value, what) = *self.row();
        let value = match unit {
            Unit::Bytes if value >= 1 << 20 => format!("{}m", value >> 20),
            Unit::Bytes if value >= 1 << 10 => format!("{}k", value >> 10),
            Unit::Count | Unit::Bytes => value.to_string(),
            Unit::Milliseconds => format!("{}s", value / 1000),
        };
        format!("{value} {what}")
    }

    /// Reads a value: a number of things, bytes with `k`, `m` or `g`, a time with `ms`, `s` (the unit where none is said),
    /// `m` or `h`; 0 is no limit.
    pub fn parse(self, text: &str) -> Option<u64> {
        let suffixes: &[(&str, u64)] = match self.row().2 {
            Unit::Count => &[],
            Unit::Bytes => &[("k", 1 << 10), ("m", 1 << 20), ("g", 1 << 30)],
            Unit::Milliseconds => &[("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)],
        };
        let lower = text.to_ascii_lowercase();
        for (suffix, factor) in suffixes {
            if let Some(digits) = lower.strip_suffix(suffix) {
                return digits.parse::<u64>().ok()?.checked_mul(*factor);
            }
        }
        let factor = if self.row().2 == Unit::Milliseconds { 1000 } else { 1 };
        lower.parse::<u64>().ok()?.checked_mul(factor)
    }

    fn row(self) -> &'static Row {
        static ROWS: [Row; 29] = TABLE;
        ROWS.iter().find(|row| row.0 == self).unwrap_or(&ROWS[0])
    }
}

/// The values of all limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits([u64; TABLE.len()]);

impl Default for Limits {
    fn default() -> Self {
        Self(TABLE.map(|row| row.3))
    }
}

impl Limits {
    /// Sets one; 0 is no limit.
    pub fn set(&mut self, limit: Limit, value: u64) {
        if let Some(place) = self.0.get_mut(limit as usize) {
            *place = value;
        }
    }

    /// A number, which is never 0.
    pub fn get(&self, limit: Limit) -> u64 {
        self.0.get(limit as usize).copied().filter(|value| *value > 0).unwrap_or(u64::MAX)
    }

    /// A number of things in memory.
    pub fn count(&self, limit: Limit) -> usize {
        usize::try_from(self.get(limit)).unwrap_or(usize::MAX)
    }

    /// A time; that of no limit is longer than anybody waits.
    pub fn time(&self, limit: Limit) -> Duration {
        /// tokio's clock does not go much further.
        const FOREVER: Duration = Duration::from_hours(10 * 365 * 24);
        Duration::from_millis(self.get(limit)).min(FOREVER)
    }

    /// How many packs are made at a time.
    pub(super) fn packs(&self) -> usize {
        match self.0.get(Limit::Packs as usize) {
            None | Some(0) => std::thread::available_parallelism().map_or(2, usize::from),
            Some(_) => self.count(Limit::Packs),
        }
    }

    /// What one request may ask for.
    pub(super) fn of_request(&self) -> watch::Limits {
        watch::Limits {
            wants: self.count(Limit::Wants),
            haves: self.count(Limit::Haves),
            shallows: self.count(Limit::Shallows),
            deepen_nots: self.count(Limit::DeepenNots),
            prefixes: self.count(Limit::Prefixes),
            server_options: self.count(Limit::ServerOptions),
            object_infos: self.count(Limit::ObjectInfos),
            request_len: self.get(Limit::RequestBytes),
            inflation: self.get(Limit::Inflation),
            made_len: self.get(Limit::DeltaBytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_has_its_row_and_its_place() {
        for (place, limit) in Limit::all().enumerate() {
            assert_eq!(limit as usize, place, "{}", limit.name());
            assert_eq!(Limit::called(limit.name()), Some(limit));
        }
        assert_eq!(Limit::HeaderTime.variable(), "GITR_HEADER_TIME");
    }

    #[test]
    fn values_have_units() {
        for (limit, text, value) in [
            (Limit::HeaderTime, "3", Some(3000)),
            (Limit::HeaderTime, "250ms", Some(250)),
            (Limit::GraceTime, "2m", Some(120_000)),
            (Limit::RequestBytes, "2M", Some(2 << 20)),
            (Limit::RequestBytes, "7", Some(7)),
            (Limit::Workers, "7k", None),
            (Limit::Workers, "-1", None),
        ] {
            assert_eq!(limit.parse(text), value, "{text}");
        }
    }

    #[test]
    fn nothing_is_no_limit() {
        let mut limits = Limits::default();
        limits.set(Limit::Workers, 0);
        limits.set(Limit::IdleTime, 0);
        assert_eq!(limits.get(Limit::Workers), u64::MAX);
        assert!(limits.time(Limit::IdleTime) > Duration::from_secs(1_000_000));
        assert!(limits.packs() > 0);
    }
}
