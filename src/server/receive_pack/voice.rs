//! What the client of a push hears.

use std::io::Write;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::protocol::fetch::SideBand;
use crate::protocol::pktline::write_flush;
use crate::protocol::push::Report;
use crate::protocol::sideband::{DATA, SidebandWriter, TEXT};
use crate::repo::hook::aside;
use crate::server::Error;

/// How often it is looked during long work whether the client has heard nothing for a while.
const LOOK: Duration = Duration::from_millis(200);

/// What the client hears.
pub(super) struct Voice<'a> {
    pub out: &'a mut (dyn Write + Send),
    pub side_band: SideBand,
    /// When the client last heard of us.
    pub spoke: Instant,
    /// `receive.keepAlive`: how long it hears nothing at most; `None` for as long as it takes.
    pub keep_alive: Option<Duration>,
}

impl Voice<'_> {
    /// Lets the client know that we are still there, if it has heard nothing for a while.
    pub(super) fn keep_alive(&mut self) -> Result<(), Error> {
        if self.side_band == SideBand::None
            || self.keep_alive.is_none_or(|limit| self.spoke.elapsed() < limit)
        {
            return Ok(());
        }
        self.spoke = Instant::now();
        SidebandWriter::new(self.out, self.side_band).write_keepalive()?;
        Ok(self.out.flush()?)
    }

    /// Does `work`, and lets the client know meanwhile that we are still there.
    pub(super) fn during<T>(&mut self, work: impl FnOnce() -> T) -> T {
        if self.side_band == SideBand::None || self.keep_alive.is_none() {
            return work();
        }
        self.spoke = Instant::now();
        thread::scope(|scope| {
            let (working, is_over) = channel::<()>();
            let tell = move || {
                while is_over.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                    if self.keep_alive().is_err() {
                        break;
                    }
                }
            };
            // without a thread the client hears nothing, which is no reason not to work
            let _told_or_not =
                thread::Builder::new().name("gitr-keep-alive".into()).spawn_scoped(scope, tell);
            let done = work();
            drop(working);
            done
        })
    }

    /// Passes on what a hook says. Where it says nothing the client is to know that we are still there; one that is gone does not
    /// end the push by that, as in git 2.47.3.
    pub(super) fn hear(&mut self, text: &[u8]) -> Result<(), Error> {
        if text.is_empty() {
            let _heard_or_gone = self.keep_alive();
            return Ok(());
        }
        self.tell(text)
    }

    /// Says text that a person reads, at once. Without side-bands it is for those who run us, as in git 2.47.3.
    pub(super) fn tell(&mut self, text: &[u8]) -> Result<(), Error> {
        if self.side_band == SideBand::None {
            aside(text);
            return Ok(());
        }
        self.spoke = Instant::now();
        SidebandWriter::new(self.out, self.side_band).write_band(TEXT, text)?;
        Ok(self.out.flush()?)
    }

    /// Says an `error: …` line.
    pub(super) fn error(&mut self, text: &str) -> Result<(), Error> {
        self.tell(format!("error: {text}\n").as_bytes())
    }

    /// Says a `warning: …` line.
    pub(super) fn warning(&mut self, text: &str) -> Result<(), Error> {
        self.tell(format!("warning: {text}\n").as_bytes())
    }

    pub(super) fn report(&mut self, report: &Report, is_v2: bool) -> Result<(), Error> {
        let bytes = if is_v2 { report.encode() } else { report.encode_v1() };
        SidebandWriter::new(self.out, self.side_band).write_band(DATA, &bytes)?;
        Ok(self.out.flush()?)
    }

    pub(super) fn finish(self) -> Result<(), Error> {
        if self.side_band != SideBand::None {
            write_flush(self.out)?;
        }
        Ok(self.out.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Keeps what is written, for whoever waits for it.
    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_client_hears_of_us_while_long_work_is_done() {
        let heard = Shared::default();
        let mut out = heard.clone();
        let mut voice = Voice {
            out: &mut out,
            side_band: SideBand::Large,
            spoke: Instant::now(),
            keep_alive: Some(Duration::ZERO),
        };
        let begun = Instant::now();
        voice.during(|| {
            // the work is over once the client has heard
            while heard.0.lock().unwrap().is_empty() {
                assert!(begun.elapsed() < Duration::from_mins(1), "nobody says anything");
                thread::yield_now();
            }
        });
        assert!(heard.0.lock().unwrap().starts_with(b"0005\x01"));
    }
}
