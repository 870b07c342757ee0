//! Slots for packs: of the requests that are worked on, so many compute at a time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::server::Watch;

/// Slots for those who compute.
#[derive(Debug)]
pub(super) struct Slots {
    free: Mutex<usize>,
    changed: Condvar,
}

/// One slot: held while there is work, free while its holder waits for a client.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    is_held: AtomicBool,
    watch: Arc<Watch>,
}

/// How often one who waits for a slot looks whether the client is still there.
const LOOK: Duration = Duration::from_millis(200);

impl Slots {
    pub(super) fn new(count: usize) -> Self {
        Self { free: Mutex::new(count), changed: Condvar::new() }
    }

    /// Waits for a slot; there is none for work that was stopped.
    pub(super) fn slot(self: &Arc<Self>, watch: &Arc<Watch>) -> Slot {
        let slot =
            Slot { slots: Arc::clone(self), is_held: AtomicBool::new(false), watch: Arc::clone(watch) };
        slot.take();
        slot
    }
}

impl Slot {
    /// Does what waits for a client, while somebody else has the slot.
    pub(super) fn without<T>(&self, wait: impl FnOnce() -> T) -> T {
        self.give();
        let done = wait();
        self.take();
        done
    }

    fn take(&self) {
        let mut free = self.slots.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free == 0 {
            if self.watch.is_stopped() {
                return;
            }
            let waited = self.slots.changed.wait_timeout(free, LOOK);
            free = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        *free -= 1;
        self.is_held.store(true, Ordering::SeqCst);
    }

    fn give(&self) {
        if self.is_held.swap(false, Ordering::SeqCst) {
            *self.slots.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
            self.slots.changed.notify_one();
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.give();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_free_while_its_holder_waits() {
        let slots = Arc::new(Slots::new(1));
        let watch = Arc::new(Watch::default());
        let slot = slots.slot(&watch);
        slot.without(|| drop(slots.slot(&Arc::default())));
        watch.stop();
        // none is to be had, and nobody waits for it
        drop(slots.slot(&watch));
        drop(slot);
        assert_eq!(*slots.free.lock().unwrap(), 1);
    }
}
