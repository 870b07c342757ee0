//! How many bytes were moved and how fast, in git's words.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Bytes moved, and how fast.
pub(super) struct Throughput {
    bytes: u64,
    sampled_at: Instant,
    sampled_bytes: u64,
    samples: VecDeque<(u64, Duration)>,
    /// `, 1.20 MiB | 2.40 MiB/s`, empty before the first sample.
    pub(super) text: String,
}

impl Throughput {
    /// git averages over this many samples, taken every half second.
    const SAMPLES: usize = 8;
    const INTERVAL: Duration = Duration::from_millis(500);

    pub(super) fn new(started: Instant) -> Self {
        Self {
            bytes: 0,
            sampled_at: started,
            sampled_bytes: 0,
            samples: VecDeque::new(),
            text: String::new(),
        }
    }

    pub(super) fn update(&mut self, bytes: u64) {
        if bytes == self.bytes {
            return;
        }
        self.bytes = bytes;
        let elapsed = self.sampled_at.elapsed();
        if elapsed < Self::INTERVAL {
            return;
        }
        if self.samples.len() == Self::SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back((bytes - self.sampled_bytes.min(bytes), elapsed));
        (self.sampled_at, self.sampled_bytes) = (Instant::now(), bytes);
        let moved: u64 = self.samples.iter().map(|(bytes, _)| bytes).sum();
        let taken: Duration = self.samples.iter().map(|(_, taken)| *taken).sum();
        self.text = throughput_text(bytes, rate(moved, taken));
    }

    /// The last line's text: the whole over the whole time. Empty for so few bytes that git has them in its first read.
    pub(super) fn final_text(&self, started: Instant, is_read: bool) -> String {
        /// git 2.47.3 reads a pack through a buffer of this size, and begins to measure when it fills it again.
        const FIRST_READ_BYTES: u64 = 4096;
        if self.bytes == 0 || is_read && self.bytes <= FIRST_READ_BYTES {
            return String::new();
        }
        throughput_text(self.bytes, rate(self.bytes, started.elapsed()))
    }
}

/// Bytes each second; a time too short to tell counts as 1/1024 of a second.
fn rate(bytes: u64, taken: Duration) -> u64 {
    let units = u64::try_from(taken.as_micros()).unwrap_or(u64::MAX).saturating_mul(1024) / 1_000_000;
    (bytes / units.max(1)).saturating_mul(1024)
}

fn throughput_text(bytes: u64, rate: u64) -> String {
    format!(", {} | {}/s", humanise(bytes), humanise(rate))
}

/// Bytes as git words them: two decimals from KiB on.
fn humanise(bytes: u64) -> String {
    const UNITS: [(u32, &str); 3] = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    for (shift, unit) in UNITS {
        let one = 1_u64 << shift;
        // GiB begin above one, the others at one: seen in git 2.47.3.
        if bytes > one || (bytes == one && shift < 30) {
            let hundredths = (bytes % one).saturating_mul(100) >> shift;
            return format!("{}.{hundredths:02} {unit}", bytes >> shift);
        }
    }
    if bytes == 1 { "1 byte".into() } else { format!("{bytes} bytes") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_worded_as_git_does() {
        for (bytes, text) in [
            (1, "1 byte"),
            (993, "993 bytes"),
            (1024, "1.00 KiB"),
            (45_619, "44.54 KiB"),
            (1_258_291, "1.19 MiB"),
            ((1 << 30) + 1, "1.00 GiB"),
        ] {
            assert_eq!(humanise(bytes), text);
        }
    }

    #[test]
    fn a_few_bytes_written_count_and_a_few_read_do_not() {
        let started = Instant::now();
        let mut throughput = Throughput::new(started);
        throughput.update(263);
        assert_eq!(throughput.final_text(started, true), "");
        assert!(throughput.final_text(started, false).starts_with(", 263 bytes | "));
    }

    #[test]
    fn a_rate_is_never_divided_by_nothing() {
        assert_eq!(rate(993, Duration::from_micros(1)), 993 * 1024);
        assert_eq!(rate(993, Duration::from_millis(2)), 496 * 1024);
    }
}
