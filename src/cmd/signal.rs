//! SIGINT, SIGTERM and the like: what is half made goes away, then the process ends by the same signal, so that a shell
//! sees what it expects.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use crate::remote::clone::Destination;

/// The signal that was caught, 0 if none.
static CAUGHT: AtomicI32 = AtomicI32::new(0);

/// The directories of a half-made clone, each with whether it was there before, so that it stays, emptied.
pub(super) type Junk = Vec<(PathBuf, bool)>;

/// Removes `junk` when a signal comes, and ends the process by it. Emptying the slot keeps the clone.
pub(super) fn guard(junk: Junk, is_stopped: Arc<AtomicBool>) -> std::io::Result<Arc<Mutex<Junk>>> {
    let slot = Arc::new(Mutex::new(junk));
    let shared = Arc::clone(&slot);
    on_signal(move |signal| {
        is_stopped.store(true, Ordering::Relaxed);
        let junk = std::mem::take(&mut *shared.lock().unwrap_or_else(PoisonError::into_inner));
        for (directory, existed) in junk {
            Destination::remove(&directory, existed);
        }
        raise(signal);
    })?;
    Ok(slot)
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
