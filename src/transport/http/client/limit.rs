//! A transfer that hardly moves is given up: git-config(1), `http.lowSpeedLimit` and `http.lowSpeedTime`.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::super::failure::Failure;

/// How long the speed is measured before it is judged.
const WINDOW: Duration = Duration::from_secs(1);

/// The two settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct LowSpeed {
    /// Bytes a second.
    pub(in super::super) limit: u64,
    /// How long the speed may stay below.
    pub(in super::super) time: Duration,
}

/// The bytes that went over one connection, both ways.
#[derive(Debug, Clone, Default)]
pub(super) struct Meter(Arc<AtomicU64>);

impl Meter {
    pub(super) fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Watches one exchange. Only the time counts in which somebody waits for the far side.
#[derive(Debug)]
pub(super) struct Watch {
    low_speed: Option<LowSpeed>,
    meter: Meter,
    /// What the meter said when the window began, and how much of the window was waited for.
    before: u64,
    waited: Duration,
    /// For how long it has been too slow.
    slow: Duration,
}

impl Watch {
    pub(super) fn new(low_speed: Option<LowSpeed>, meter: Meter) -> Self {
        let before = meter.bytes();
        Self { low_speed, meter, before, waited: Duration::ZERO, slow: Duration::ZERO }
    }

    /// Waits for `future`, but not for ever.
    pub(super) async fn wait<T>(&mut self, future: impl Future<Output = T>) -> Result<T, Failure> {
        let Some(low_speed) = self.low_speed else { return Ok(future.await) };
        let mut future = pin!(future);
        loop {
            let begin = Instant::now();
            let outcome = tokio::time::timeout(WINDOW.saturating_sub(self.waited), &mut future).await;
            self.waited += begin.elapsed();
            if self.waited >= WINDOW {
                self.judge(low_speed)?;
            }
            if let Ok(output) = outcome {
                return Ok(output);
            }
        }
    }

    fn judge(&mut self, LowSpeed { limit, time }: LowSpeed) -> Result<(), Failure> {
        let bytes = self.meter.bytes();
        let moved = u128::from(bytes - self.before) * 1000;
        let is_slow = moved < u128::from(limit) * self.waited.as_millis();
        self.slow = if is_slow { self.slow + self.waited } else { Duration::ZERO };
        (self.before, self.waited) = (bytes, Duration::ZERO);
        if self.slow < time {
            return Ok(());
        }
        let seconds = time.as_secs();
        Err(Failure::new(
            28,
            format!("Operation too slow. Less than {limit} bytes/sec transferred the last {seconds} seconds"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(limit: u64, seconds: u64, windows: &[u64]) -> Vec<bool> {
        let meter = Meter::default();
        let low_speed = LowSpeed { limit, time: Duration::from_secs(seconds) };
        let mut watch = Watch::new(Some(low_speed), meter.clone());
        let judge = |bytes: &u64| {
            meter.add(usize::try_from(*bytes).unwrap());
            watch.waited = WINDOW;
            watch.judge(low_speed).is_ok()
        };
        windows.iter().map(judge).collect()
    }

    #[test]
    fn only_what_stays_slow_is_given_up() {
        assert_eq!(judged(100, 2, &[100, 99, 100, 0, 0]), [true, true, true, true, false]);
        assert_eq!(judged(100, 1, &[1000, 50]), [true, false]);
    }
}
