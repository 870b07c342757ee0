//! A request from its first word to its last: whatever ends it, it is logged and counted once, and its worker stopped.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::Shared;
use super::body::End;
use super::limit::Limit;
use super::log::{Ending, Entry};
use super::watched::Ongoing;
use crate::server::Watch;

/// One request.
pub(super) struct Ticket {
    pub shared: Arc<Shared>,
    pub entry: Entry,
    pub watch: Arc<Watch>,
    pub received: Arc<AtomicU64>,
    pub sent: Arc<AtomicU64>,
    /// What the worker says of it.
    pub report: Arc<Report>,
    begun: Instant,
    ending: Option<Ending>,
    is_told: bool,
    pub ongoing: Ongoing,
}

/// What a worker says of its work.
#[derive(Debug, Default)]
pub(super) struct Report(Mutex<Option<(Ending, Option<String>)>>);

impl Report {
    pub(super) fn set(&self, ending: Ending, reason: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((ending, reason));
    }

    fn take(&self) -> Option<(Ending, Option<String>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Ticket {
    pub(super) fn new(shared: &Arc<Shared>, entry: Entry, ongoing: Ongoing) -> Self {
        shared.metrics.active.inc();
        Self {
            entry,
            watch: Arc::new(shared.watch()),
            received: Arc::default(),
            sent: Arc::default(),
            report: Arc::default(),
            begun: Instant::now(),
            ending: None,
            is_told: false,
            ongoing,
            shared: Arc::clone(shared),
        }
    }

    /// It is answered with `status`, and nothing is left to do.
    pub(super) fn answered(&mut self, status: u16, ending: Ending) {
        self.entry.status = status;
        self.ending = Some(ending);
    }

    /// It went over `limit`.
    pub(super) fn limited(&mut self, limit: Limit) {
        self.shared.metrics.limited(limit);
        self.ending = Some(Ending::Limited);
        self.entry.reason = Some(limit.name().to_owned());
    }
}

impl End for Ticket {
    fn whole(&mut self) {
        self.ending = Some(Ending::Done);
        self.tell();
    }

    fn cut(&mut self) {
        self.ending = Some(Ending::Failed);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.tell();
    }
}

impl Ticket {
    /// It is logged and counted: what is read after its answer is no work.
    fn tell(&mut self) {
        if std::mem::replace(&mut self.is_told, true) {
            return;
        }
        let report = self.report.take();
        if self.ending.is_none() {
            self.watch.stop();
        }
        let entry = &mut self.entry;
        entry.account = self.watch.account();
        entry.result = self.ending.unwrap_or(Ending::Gone);
        match report {
            Some((Ending::Gone, _)) => {
                entry.result = Ending::Gone;
                entry.reason = None;
            }
            Some((ending, reason)) if entry.result != Ending::Gone => {
                if entry.result == Ending::Done {
                    entry.result = ending;
                }
                entry.reason = entry.reason.take().or(reason);
            }
            Some(_) | None => {}
        }
        if let Some(limit) = entry.account.limited.and_then(Limit::called) {
            entry.result = Ending::Limited;
            entry.reason = Some(limit.name().to_owned());
            self.shared.metrics.limited(limit);
        }
        // the connection went over it and counts it
        if let (Ending::Gone, Some(limit)) = (entry.result, self.ongoing.ended_by()) {
            entry.result = Ending::Limited;
            entry.reason = Some(limit.name().to_owned());
        }
        entry.received = self.received.load(Ordering::Relaxed);
        entry.sent = self.sent.load(Ordering::Relaxed);
        entry.time = self.begun.elapsed();
        self.shared.metrics.active.dec();
        self.shared.metrics.request(entry, self.shared.settings.backend.name());
        self.shared.log.request(entry);
    }
}
