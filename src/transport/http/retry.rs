//! Failures that may pass: how often a request is tried again, and after what pause.
//!
//! git-config(1), `http.maxRetries`, `http.retryAfter` and `http.maxRetryTime`. C git tries again after 429 alone. Here, a
//! server or gateway that says it is overloaded (502, 503, 504), a connection that takes too long to come about or is cut
//! before the first byte of the answer are tried again as well, for requests that do no harm when they come twice. Without
//! `http.maxRetries`, nothing is.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::{Duration, SystemTime};

use super::client::Response;
use super::failure::Failure;

/// git-config(1), `http.maxRetryTime`.
const PAUSE_MAX_DEFAULT: Duration = Duration::from_mins(5);
/// The first pause where the server names none; each further one is twice as long.
const BACKOFF: Duration = Duration::from_millis(200);
/// So often the pause is doubled at most.
const DOUBLINGS_MAX: u32 = 16;

/// The three settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Retry {
    /// `http.maxRetries`.
    pub(super) tries_max: u32,
    /// `http.retryAfter`, the pause after a 429 that names none.
    pause_after_429: Duration,
    /// `http.maxRetryTime`: who asks for more patience than this is given none.
    pause_max: Duration,
}

impl Retry {
    pub(super) fn new(tries: Option<u64>, after_429: Option<Duration>, pause_max: Option<Duration>) -> Self {
        Self {
            tries_max: tries.map_or(0, |tries| tries.try_into().unwrap_or(u32::MAX)),
            pause_after_429: after_429.unwrap_or_default(),
            pause_max: pause_max.unwrap_or(PAUSE_MAX_DEFAULT),
        }
    }

    /// The pause before the next try after `tries` that came to nothing, the last of them by `failure`, which is a status
    /// and the answer's `Retry-After` or a connection's end; `None` if it is of no use.
    pub(super) fn pause(&self, tries: u32, failure: &Trouble) -> Option<Duration> {
        if tries >= self.tries_max {
            return None;
        }
        let pause = match failure {
            Trouble::Status(429, wished) => wished.unwrap_or(self.pause_after_429),
            Trouble::Status(_, Some(wished)) => *wished,
            Trouble::Status(_, None) | Trouble::Broken => backoff(tries),
        };
        (pause <= self.pause_max).then_some(pause)
    }
}

/// A failure that may pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// An answer with this status and this `Retry-After`.
    Status(u16, Option<Duration>),
    /// No answer at all.
    Broken,
}

impl Trouble {
    /// What is wrong with `answer`, if it may pass.
    pub(super) fn of_response(answer: &Response) -> Option<Self> {
        let after = || answer.header("retry-after").and_then(|value| parse_after(value, SystemTime::now()));
        matches!(answer.status, 429 | 502 | 503 | 504).then(|| Self::Status(answer.status, after()))
    }

    /// What is wrong with a request that got no answer, if it may pass: libcurl-errors(3), timeouts, empty replies, and
    /// connections that broke.
    pub(super) fn of_failure(failure: &Failure) -> Option<Self> {
        matches!(failure.curl_code, 28 | 52 | 55 | 56).then_some(Self::Broken)
    }
}

/// Half of it is chance, so that clients that failed together do not come back together.
fn backoff(tries: u32) -> Duration {
    let whole = BACKOFF * 2_u32.saturating_pow(tries.min(DOUBLINGS_MAX));
    let half = whole / 2;
    let chance = RandomState::new().build_hasher().finish() % 1024;
    half + half * u32::try_from(chance).unwrap_or_default() / 1024
}

/// `Retry-After`: seconds or a date, RFC 9110, 10.2.3.
fn parse_after(value: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let then = super::date::parse(value)?;
    Some(then.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    #[test]
    fn nothing_is_tried_again_unless_asked_for() {
        let retry = Retry::new(None, None, None);
        assert_eq!(retry.pause(0, &Trouble::Status(429, Some(seconds(1)))), None);
    }

    #[test]
    fn the_server_is_given_the_time_it_wants_up_to_a_limit() {
        let retry = Retry::new(Some(2), Some(seconds(7)), Some(seconds(10)));
        let pause = |tries, wished| retry.pause(tries, &Trouble::Status(429, wished));
        assert_eq!(pause(0, Some(seconds(3))), Some(seconds(3)));
        assert_eq!(pause(1, None), Some(seconds(7)));
        assert_eq!(pause(2, None), None);
        assert_eq!(pause(0, Some(seconds(11))), None);
        assert_eq!(retry.pause(0, &Trouble::Status(503, Some(seconds(4)))), Some(seconds(4)));
    }

    #[test]
    fn pauses_grow_and_differ() {
        for tries in 0..6 {
            let whole = BACKOFF * 2_u32.pow(tries);
            assert!((whole / 2..=whole).contains(&backoff(tries)), "{tries}");
        }
        assert!(backoff(u32::MAX) > seconds(60));
    }

    #[test]
    fn a_date_is_as_good_as_a_number() {
        let now = SystemTime::UNIX_EPOCH + seconds(784_111_777);
        assert_eq!(parse_after(" 120 ", now), Some(seconds(120)));
        assert_eq!(parse_after("Sun, 06 Nov 1994 08:49:47 GMT", now), Some(seconds(10)));
        assert_eq!(parse_after("Sun, 06 Nov 1994 08:49:00 GMT", now), Some(seconds(0)));
        assert_eq!(parse_after("soon", now), None);
    }
}
