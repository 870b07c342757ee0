//! SIGINT, SIGTERM and the like: what is half made goes away, programs that run at the same time are told, then the process ends
//! by the same signal, so that a shell sees what it expects.

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, PoisonError, mpsc};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use super::{children, clone};
use crate::remote::clone::{Destination, Made};

/// How long somebody who reads no more can keep the process from ending.
const TELL_TIME: Duration = Duration::from_millis(500);

/// The signal that was caught, 0 if none.
static CAUGHT: AtomicI32 = AtomicI32::new(0);

/// Whether the checkout of a clone is on its way: then the clone itself is whole.
static IS_CHECKING_OUT: AtomicBool = AtomicBool::new(false);

/// Calls `check_out`, the checkout of a clone; who interrupts it is told what there is.
pub(super) fn telling_of_checkout<T>(check_out: impl FnOnce() -> T) -> T {
    IS_CHECKING_OUT.store(true, Ordering::SeqCst);
    let outcome = check_out();
    IS_CHECKING_OUT.store(false, Ordering::SeqCst);
    outcome
}

/// Removes what a clone has `made` so far when a signal comes, and ends the process by it.
pub(super) fn guard(made: Made, is_stopped: Arc<AtomicBool>) -> std::io::Result<()> {
    on_signal(move |signal| {
        // first: who sees that he is stopped ends the process
        if IS_CHECKING_OUT.load(Ordering::SeqCst) {
            tell(clone::checkout_failed);
        }
        is_stopped.store(true, Ordering::Relaxed);
        crate::repo::remove_temporaries();
        // Held to the end: whoever would go on with the clone or clean up after it waits here.
        let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
        for (directory, existed) in made.drain(..) {
            Destination::remove(&directory, existed);
        }
        raise(signal);
    })
}

/// Lets `say` say something, unless nobody takes it.
fn tell(say: fn()) {
    let (done, told) = mpsc::channel();
    let speaker = std::thread::Builder::new().name("words".into()).spawn(move || {
        say();
        done.send(())
    });
    if speaker.is_ok() {
        let _told_or_late = told.recv_timeout(TELL_TIME);
    }
}

/// Lets temporary files go when a signal comes, and ends the process by it.
pub(super) fn guard_temporaries(is_stopped: Arc<AtomicBool>) -> std::io::Result<()> {
    on_signal(move |signal| {
        is_stopped.store(true, Ordering::Relaxed);
        crate::repo::remove_temporaries();
        raise(signal);
    })
}

fn on_signal(act: impl Fn(i32) + Send + 'static) -> std::io::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP, SIGQUIT])?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in &mut signals {
            CAUGHT.store(signal, Ordering::SeqCst);
            // to the end: what starts now would outlive us
            let _none_starts = children::end_all(signal);
            act(signal);
        }
    })?;
    Ok(())
}

/// Ends the process by the signal that was caught, if one was.
pub(super) fn raise_caught() {
    match CAUGHT.load(Ordering::SeqCst) {
        0 => {}
        signal => raise(signal),
    }
}

fn raise(signal: i32) {
    let _never_returns = signal_hook::low_level::emulate_default_handler(signal);
}
