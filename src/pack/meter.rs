//! Counts the steps of a phase, and tells the caller when there is something to tell.

use std::time::{Duration, Instant};

use super::Error;
use crate::progress::{Event, Progress};

/// How many bytes go by before the clock is looked at.
const BYTES_PER_LOOK: u64 = 64 * 1024;

/// The longest the caller hears nothing while bytes or steps come in.
const INTERVAL: Duration = Duration::from_millis(100);

/// The meter of one phase: reports at each new percent, and otherwise at most every [`INTERVAL`].
pub(super) struct Meter<'a> {
    progress: &'a mut dyn Progress,
    title: &'static str,
    total: u64,
    percent: Option<u64>,
    looked_at_bytes: u64,
    reported: Instant,
}

impl<'a> Meter<'a> {
    /// Begins the phase `title` of `total` steps.
    pub fn new(progress: &'a mut dyn Progress, title: &'static str, total: u64) -> Self {
        Self { progress, title, total, percent: None, looked_at_bytes: 0, reported: Instant::now() }
    }

    /// Tells of the phase before its first step, as git does where steps may take long.
    pub fn begin(&mut self) -> Result<(), Error> {
        self.percent = Some(0);
        self.report(0, 0)
    }

    /// Takes note that `done` steps are behind us, and `bytes` bytes. Cheap: call it as often as you like.
    pub fn update(&mut self, done: u64, bytes: u64) -> Result<(), Error> {
        let percent = (done.saturating_mul(100)).checked_div(self.total).filter(|_| done > 0);
        if percent == self.percent {
            if bytes - self.looked_at_bytes.min(bytes) < BYTES_PER_LOOK {
                return Ok(());
            }
            self.looked_at_bytes = bytes;
            return self.look(done, bytes);
        }
        self.percent = percent;
        self.report(done, bytes)
    }

    /// Reports if nothing was reported for a while. Looks at the clock.
    pub fn look(&mut self, done: u64, bytes: u64) -> Result<(), Error> {
        if self.reported.elapsed() < INTERVAL { Ok(()) } else { self.report(done, bytes) }
    }

    /// Ends the phase.
    pub fn end(self, done: u64, bytes: u64) -> Result<(), Error> {
        let event = Event::PhaseEnd { title: self.title, done, total: Some(self.total), bytes };
        or_interrupted(self.progress.report(event))
    }

    fn report(&mut self, done: u64, bytes: u64) -> Result<(), Error> {
        self.reported = Instant::now();
        let event = Event::Phase { title: self.title, done, total: Some(self.total), bytes };
        or_interrupted(self.progress.report(event))
    }
}

fn or_interrupted(flow: std::ops::ControlFlow<()>) -> Result<(), Error> {
    if flow.is_break() { Err(Error::Interrupted) } else { Ok(()) }
}
