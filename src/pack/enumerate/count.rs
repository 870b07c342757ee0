//! The phase `Enumerating objects`, whose end is not known before it is reached.

use std::time::{Duration, Instant};

use crate::pack::Error;
use crate::progress::{Event, Progress};

const TITLE: &str = "Enumerating objects";

/// Steps between two looks at the clock.
const STEPS_PER_LOOK: u32 = 256;

/// The longest the caller hears nothing.
const INTERVAL: Duration = Duration::from_millis(100);

/// Counts the objects found.
pub(super) struct Count<'a> {
    progress: &'a mut dyn Progress,
    done: u64,
    steps: u32,
    reported: Instant,
}

impl<'a> Count<'a> {
    pub fn new(progress: &'a mut dyn Progress) -> Self {
        Self { progress, done: 0, steps: 0, reported: Instant::now() }
    }

    /// Counts `more` objects.
    pub fn add(&mut self, more: usize) -> Result<(), Error> {
        self.done += more as u64;
        self.step()
    }

    /// Takes note of work that has found nothing. Cheap.
    pub fn step(&mut self) -> Result<(), Error> {
        self.steps += 1;
        if self.steps < STEPS_PER_LOOK {
            return Ok(());
        }
        self.steps = 0;
        if self.reported.elapsed() < INTERVAL {
            return Ok(());
        }
        self.reported = Instant::now();
        self.report(Event::Phase { title: TITLE, done: self.done, total: None, bytes: 0 })
    }

    /// Ends the phase with what came of it in the end.
    pub fn end(mut self, done: usize) -> Result<(), Error> {
        self.report(Event::PhaseEnd { title: TITLE, done: done as u64, total: None, bytes: 0 })
    }

    fn report(&mut self, event: Event<'_>) -> Result<(), Error> {
        if self.progress.report(event).is_break() { Err(Error::Interrupted) } else { Ok(()) }
    }
}
