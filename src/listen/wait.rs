//! Who is waited for in a request that has a worker and no answer yet. Each has a limit of its own, so that none runs while
//! somebody else is waited for.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

/// Who is waited for, and since when.
#[derive(Debug)]
pub(super) struct Wait {
    begun: Instant,
    state: Mutex<State>,
    /// That of another request, whose answer this one reads along.
    followed: OnceLock<Arc<Self>>,
}

/// Who is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Awaited {
    /// The client, who is still sending, or somebody who soon gives a slot back: neither is the fault of the worker.
    Others,
    /// Since then, those who make their packs: there is no slot yet.
    Slot(Instant),
    /// Since then, the worker.
    Worker(Instant),
}

#[derive(Debug)]
struct State {
    stage: Stage,
    /// Since when the worker has all that the client has sent; `None` while more is waited for.
    sent: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    Queued,
    Paused,
    Works(Instant),
}

impl Default for Wait {
    /// That of a request that waits for a slot.
    fn default() -> Self {
        let begun = Instant::now();
        let state = State { stage: Stage::Queued, sent: Some(begun) };
        Self { begun, state: Mutex::new(state), followed: OnceLock::new() }
    }
}

impl Wait {
    /// The worker has its slot, or needs none.
    pub(super) fn works(&self) {
        self.lock().stage = Stage::Works(Instant::now());
    }

    /// The worker, who had a slot, waits until it has one again.
    pub(super) fn pauses(&self) {
        self.lock().stage = Stage::Paused;
    }

    /// The client is to send more.
    pub(super) fn asks(&self) {
        self.lock().sent = None;
    }

    /// It has sent something, or is done.
    pub(super) fn hears(&self) {
        self.lock().sent = Some(Instant::now());
    }

    /// From now on `other` tells who is waited for.
    pub(super) fn follow(&self, other: &Arc<Self>) {
        self.followed.get_or_init(|| Arc::clone(other));
    }

    /// Who is waited for.
    pub(super) fn awaited(&self) -> Awaited {
        if let Some(other) = self.followed.get() {
            // who comes later has waited for less long
            return match other.awaited() {
                Awaited::Others => Awaited::Others,
                Awaited::Slot(since) => Awaited::Slot(since.max(self.begun)),
                Awaited::Worker(since) => Awaited::Worker(since.max(self.begun)),
            };
        }
        let state = self.lock();
        match (state.stage, state.sent) {
            (Stage::Queued, _) => Awaited::Slot(self.begun),
            (Stage::Works(since), Some(sent)) => Awaited::Worker(since.max(sent)),
            (Stage::Paused, _) | (Stage::Works(_), None) => Awaited::Others,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_waited_for_once_it_has_all_that_it_needs() {
        let wait = Wait::default();
        wait.asks();
        assert_eq!(wait.awaited(), Awaited::Slot(wait.begun));
        wait.works();
        assert_eq!(wait.awaited(), Awaited::Others, "the client sends");
        let before = Instant::now();
        wait.hears();
        assert!(matches!(wait.awaited(), Awaited::Worker(since) if since >= before));
        wait.pauses();
        assert_eq!(wait.awaited(), Awaited::Others);
    }

    #[test]
    fn who_reads_along_waits_for_whom_the_first_waits_for() {
        let (first, second) = (Arc::new(Wait::default()), Wait::default());
        second.works();
        second.follow(&first);
        assert_eq!(second.awaited(), Awaited::Slot(second.begun));
        first.works();
        assert!(matches!(second.awaited(), Awaited::Worker(since) if since >= second.begun));
    }
}
