//! What long work tells its caller, and how the caller stops it.
//!
//! The library prints nothing. Whatever a user may want to see while a transfer runs is an [`Event`]; who receives
//! the events decides what becomes of them. The command draws git's meters, a graphical client its own, a test
//! records them.

use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};

/// Receives the events of one operation. It may be handed to another thread: a push packs in one and listens in another.
pub trait Progress: Send {
    /// Takes note of `event`; [`ControlFlow::Break`] asks the work to stop as soon as it can do so cleanly.
    fn report(&mut self, event: Event<'_>) -> ControlFlow<()>;
}

/// One thing worth telling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// One line that the server wrote on side-band 2, without its terminator and exactly as received: it may hold
    /// control characters, so filter it before it reaches a terminal.
    Remote {
        /// The bytes of the line.
        line: &'a [u8],
        /// How the line ended.
        ending: Ending,
    },
    /// A counted phase moved on.
    Phase {
        /// The title as git words it, such as `Receiving objects`.
        title: &'static str,
        /// Units done so far.
        done: u64,
        /// Units in all, where known.
        total: Option<u64>,
        /// Bytes moved so far; zero in phases that move none.
        bytes: u64,
    },
    /// A counted phase is complete: its last figures.
    PhaseEnd {
        /// The title given in the phase's events.
        title: &'static str,
        /// Units done.
        done: u64,
        /// Units in all, where known.
        total: Option<u64>,
        /// Bytes moved.
        bytes: u64,
    },
    /// Something is not as it should be, yet the work goes on; git prints it behind `warning: `.
    Warning(&'a str),
    /// As [`Self::Warning`], of what is no news to who wants quiet (`--quiet`): where a redirect led.
    Hint(&'a str),
    /// Something failed and will be told of again, yet the work goes on; git prints it behind `error: `.
    Error(&'a str),
    /// A part of the work ended and others have still to tell of it; git, where that part is a process of its own, prints it
    /// behind `fatal: `.
    Fatal(&'a str),
    /// A line that belongs to the meters and is shown where they are, such as `Delta compression using up to 2 threads`.
    Note(&'a str),
    /// What `--verbose` adds; `level` 1 for `-v`, 2 for `-vv`.
    Detail {
        /// How often `--verbose` must be given for the text to be shown.
        level: u8,
        /// One line, without its terminator.
        text: &'a str,
    },
}

/// How a line on side-band 2 ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// By a line feed: the next line goes below it.
    Newline,
    /// By a carriage return: the next line replaces it.
    Replaced,
    /// By the end of the stream.
    Unterminated,
}

/// Ignores every event and never stops the work.
#[derive(Debug, Clone, Copy, Default)]
pub struct Discard;

impl Progress for Discard {
    fn report(&mut self, _event: Event<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// One [`Progress`] for several threads; each takes a [`Shared::handle`].
pub struct Shared<'a>(Mutex<&'a mut dyn Progress>);

impl<'a> Shared<'a> {
    /// Shares `progress` for as long as the value lives.
    pub fn new(progress: &'a mut dyn Progress) -> Self {
        Self(Mutex::new(progress))
    }

    /// A [`Progress`] for one thread: its events go to the shared one, one after the other.
    pub fn handle(&self) -> Handle<'_, 'a> {
        Handle(self)
    }
}

/// See [`Shared::handle`].
pub struct Handle<'b, 'a>(&'b Shared<'a>);

impl Progress for Handle<'_, '_> {
    fn report(&mut self, event: Event<'_>) -> ControlFlow<()> {
        // a panic elsewhere leaves the receiver as usable as it was
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).report(event)
    }
}
