//! Slots for packs: of the requests that are worked on, so many compute at a time. Who was at work and goes on, since its
//! client has taken what there was, goes before those who have not begun: it has memory until it is done.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::wait::Wait;
use crate::server::Watch;

/// Slots for those who compute.
#[derive(Debug)]
pub(super) struct Slots {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// Those who were at work and wait to go on.
    going_on: usize,
}

/// One slot: held while there is work, free while its holder waits for a client.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    is_held: AtomicBool,
    watch: Arc<Watch>,
    wait: Arc<Wait>,
}

/// How often one who waits for a slot looks whether the client is still there.
const LOOK: Duration = Duration::from_millis(200);

impl Slots {
    pub(super) fn new(count: usize) -> Self {
        Self { state: Mutex::new(State { free: count, going_on: 0 }), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a slot; there is none for work that was stopped. `wait` hears of it when the work pauses and goes on.
    pub(super) fn slot(self: &Arc<Self>, watch: &Arc<Watch>, wait: &Arc<Wait>) -> Slot {
        let slot = Slot {
            slots: Arc::clone(self),
            is_held: AtomicBool::new(false),
            watch: Arc::clone(watch),
            wait: Arc::clone(wait),
        };
        slot.take(|state| state.free > 0 && state.going_on == 0);
        slot
    }
}

impl Slot {
    /// Does what waits for a client, while somebody else has the slot.
    pub(super) fn without<T>(&self, wait: impl FnOnce() -> T) -> T {
        self.give();
        let done = wait();
        self.wait.pauses();
        self.slots.lock().going_on += 1;
        self.take(|state| state.free > 0);
        self.slots.lock().going_on -= 1;
        self.wait.works();
        self.slots.changed.notify_all();
        done
    }

    /// Waits until the slot `may_be_had`; there is none for work that was stopped.
    fn take(&self, may_be_had: impl Fn(&State) -> bool) {
        let mut state = self.slots.lock();
        while !may_be_had(&state) {
            if self.watch.is_stopped() {
                return;
            }
            let waited = self.slots.changed.wait_timeout(state, LOOK);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.free -= 1;
        self.is_held.store(true, Ordering::SeqCst);
    }

    fn give(&self) {
        if self.is_held.swap(false, Ordering::SeqCst) {
            self.slots.lock().free += 1;
            self.slots.changed.notify_all();
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
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_slot_is_free_while_its_holder_waits() {
        let slots = Arc::new(Slots::new(1));
        let watch = Arc::new(Watch::default());
        let slot = slots.slot(&watch, &Arc::default());
        slot.without(|| drop(slots.slot(&Arc::default(), &Arc::default())));
        watch.stop();
        // none is to be had, and nobody waits for it
        drop(slots.slot(&watch, &Arc::default()));
        drop(slot);
        assert_eq!(slots.lock().free, 1);
    }

    #[test]
    fn who_goes_on_goes_before_who_begins() {
        let slots = Arc::new(Slots::new(1));
        let order = Mutex::new(Vec::new());
        let (client, taken) = mpsc::channel::<()>();
        let old = slots.slot(&Arc::default(), &Arc::default());
        std::thread::scope(|scope| {
            let (slots, order) = (&slots, &order);
            let going_on = scope.spawn(move || {
                old.without(|| taken.recv().unwrap());
                order.lock().unwrap().push("goes on");
                drop(old);
            });
            // the one that has it while the client takes its time
            let other = slots.slot(&Arc::default(), &Arc::default());
            client.send(()).unwrap();
            while slots.lock().going_on == 0 {
                std::thread::yield_now();
            }
            scope.spawn(move || {
                let _slot = slots.slot(&Arc::default(), &Arc::default());
                order.lock().unwrap().push("begins");
            });
            drop(other);
            going_on.join().unwrap();
        });
        assert_eq!(*order.lock().unwrap(), ["goes on", "begins"]);
    }
}
