//! The bands of an answer: the pack in one, in another what a person may want to see. gitprotocol-pack(5), "Packfile Data".

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bstr::BString;
use tracing::Span;

use crate::progress::{Event, Progress};
use crate::protocol::fetch::SideBand;
use crate::protocol::pktline;
use crate::protocol::sideband::{DATA, ERROR, SidebandWriter, TEXT};
use crate::server::Watch;
use crate::server::watch::Phase;

/// What a client is told when its pack cannot be made: nothing of our disk.
const GIVING_UP: &str = "aborting due to possible repository corruption on the remote side.";

/// The phase that clients do not hear of: they count for themselves what arrives.
const UNTOLD: &str = "Writing objects";

/// How often a phase that gets no further by a percent is told.
const INTERVAL: Duration = Duration::from_secs(1);

/// Bytes of band 1 in one packet.
const PACKET_LEN_MAX: usize = 65_515;

/// The phase in which deltas are searched.
const DELTAS: &str = "Compressing objects";

/// The bands of one answer, which the maker of the pack and the teller of its progress share.
pub(super) struct Bands<'a> {
    out: &'a mut (dyn Write + Send),
    kind: SideBand,
    /// Band 1 that waits for more.
    pub data: Vec<u8>,
    /// When the client last heard of us.
    spoke: Instant,
    keep_alive: Option<Duration>,
    /// Why nothing more can be sent.
    pub failure: Option<io::Error>,
}

impl<'a> Bands<'a> {
    pub fn new(out: &'a mut (dyn Write + Send), kind: SideBand, keep_alive: Option<Duration>) -> Self {
        Self { out, kind, data: Vec::new(), spoke: Instant::now(), keep_alive, failure: None }
    }

    fn write(&mut self, band: u8, bytes: &[u8]) -> io::Result<()> {
        self.spoke = Instant::now();
        SidebandWriter::new(self.out, self.kind).write_band(band, bytes)
    }

    /// Names packs that stand elsewhere, and says that ours follows.
    pub fn begin(&mut self, elsewhere: &[BString]) -> io::Result<()> {
        if !elsewhere.is_empty() {
            self.write(DATA, b"packfile-uris\n")?;
            for line in elsewhere {
                self.write(DATA, &[line.as_slice(), b"\n"].concat())?;
            }
            pktline::write_delimiter(self.out)?;
        }
        self.write(DATA, b"packfile\n")
    }

    pub fn send_data(&mut self) -> io::Result<()> {
        let data = std::mem::take(&mut self.data);
        if !data.is_empty() {
            self.write(DATA, &data)?;
        }
        self.data = data;
        self.data.clear();
        Ok(())
    }

    pub fn tell(&mut self, text: &[u8]) -> io::Result<()> {
        self.send_data()?;
        self.write(TEXT, text)?;
        self.out.flush()
    }

    /// Ends the answer, all of which is there.
    pub fn finish(mut self) -> io::Result<()> {
        self.send_data()?;
        SidebandWriter::new(self.out, self.kind).finish()?;
        self.out.flush()
    }

    /// Tells that there is no more, after `reason`.
    pub fn give_up(mut self, reason: Option<&str>) -> io::Result<()> {
        self.send_data()?;
        if let Some(reason) = reason {
            self.tell(reason.as_bytes())?;
        }
        self.write(ERROR, GIVING_UP.as_bytes())?;
        self.out.flush()
    }

    pub fn keep_alive(&mut self) -> io::Result<()> {
        if self.kind == SideBand::None || self.keep_alive.is_none_or(|limit| self.spoke.elapsed() < limit) {
            return Ok(());
        }
        self.spoke = Instant::now();
        SidebandWriter::new(self.out, self.kind).write_keepalive()?;
        self.out.flush()
    }
}

pub(super) fn lock<'m, 'a>(bands: &'m Mutex<Bands<'a>>) -> MutexGuard<'m, Bands<'a>> {
    bands.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Band 1.
pub(super) struct Data<'m, 'a>(pub &'m Mutex<Bands<'a>>);

impl Write for Data<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut bands = lock(self.0);
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = PACKET_LEN_MAX - bands.data.len();
            let (taken, more) = rest.split_at_checked(room).unwrap_or((rest, &[]));
            bands.data.extend_from_slice(taken);
            rest = more;
            if bands.data.len() == PACKET_LEN_MAX
                && let Err(error) = bands.send_data()
            {
                bands.failure = Some(io::Error::from(error.kind()));
                return Err(error);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Band 2: the meters of git, as text.
pub(super) struct Told<'m, 'a> {
    bands: &'m Mutex<Bands<'a>>,
    shows: bool,
    /// What was told last: the phase, its percent, when.
    last: Option<(&'static str, Option<u64>, Instant)>,
    watch: &'m Watch,
    /// When what is sent was known; later, when its deltas were.
    pub enumerated: Option<Instant>,
    /// The part of the work after that, which is over when this is dropped.
    pub part: Span,
    is_writing: bool,
}

/// Whether the search for deltas is over, or there was nothing to search.
fn begins_to_write(event: Event<'_>) -> bool {
    match event {
        Event::PhaseEnd { title, .. } => title == DELTAS || title == UNTOLD,
        Event::Phase { title, .. } => title == UNTOLD,
        _ => false,
    }
}

impl<'m, 'a> Told<'m, 'a> {
    /// `shows` whether the client wants to see it.
    pub fn new(bands: &'m Mutex<Bands<'a>>, shows: bool, watch: &'m Watch) -> Self {
        Self { bands, shows, last: None, watch, enumerated: None, part: Span::none(), is_writing: false }
    }

    fn line(&mut self, event: Event<'_>) -> Option<String> {
        match event {
            Event::Phase { title, done, total, .. } if title != UNTOLD => {
                let percent = percent(done, total);
                let is_due = match self.last {
                    Some((told, before, at)) if told == title => {
                        before != percent || at.elapsed() >= INTERVAL
                    }
                    // a phase without end is first told of after a while
                    Some(_) | None if total.is_none() => {
                        self.last = Some((title, percent, Instant::now()));
                        false
                    }
                    Some(_) | None => true,
                };
                if !is_due {
                    return None;
                }
                self.last = Some((title, percent, Instant::now()));
                Some(format!("{}\r", meter(title, done, total)))
            }
            Event::PhaseEnd { title, done, total, .. } if title != UNTOLD && done > 0 => {
                let last = self.last.take();
                let mut text = String::new();
                let full = percent(done, total);
                if full.is_some() && last.is_none_or(|(told, before, _)| told != title || before != full) {
                    text = format!("{}\r", meter(title, done, total));
                }
                Some(format!("{text}{}, done.\n", meter(title, done, total)))
            }
            Event::Note(text) if text.starts_with("Total ") => Some(format!("{text}\n")),
            Event::Warning(text) => Some(format!("warning: {text}\n")),
            Event::Error(text) => Some(format!("error: {text}\n")),
            _ => None,
        }
    }
}

impl Progress for Told<'_, '_> {
    fn report(&mut self, event: Event<'_>) -> ControlFlow<()> {
        if self.enumerated.is_some() && !self.is_writing && begins_to_write(event) {
            self.is_writing = true;
            self.enumerated = Some(Instant::now());
            self.part = Phase::Write.span();
        }
        let line = if self.shows { self.line(event) } else { None };
        let mut bands = lock(self.bands);
        let told = match line {
            _ if self.watch.is_stopped() => Err(io::ErrorKind::BrokenPipe.into()),
            Some(line) => bands.tell(line.as_bytes()),
            None => bands.keep_alive(),
        };
        match told {
            Ok(()) => ControlFlow::Continue(()),
            // nobody is there to read: the work is for nothing
            Err(error) => {
                bands.failure = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}

fn percent(done: u64, total: Option<u64>) -> Option<u64> {
    done.saturating_mul(100).checked_div(total?)
}

fn meter(title: &str, done: u64, total: Option<u64>) -> String {
    match (percent(done, total), total) {
        (Some(percent), Some(total)) => format!("{title}: {percent:3}% ({done}/{total})"),
        _ => format!("{title}: {done}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(kind: SideBand, shows: bool, events: &[Event<'_>]) -> Vec<u8> {
        let mut out = Vec::new();
        let bands = Mutex::new(Bands::new(&mut out, kind, None));
        let watch = Watch::default();
        let mut progress = Told::new(&bands, shows, &watch);
        for event in events {
            assert!(progress.report(*event).is_continue());
        }
        out
    }

    #[test]
    fn meters_are_git_s() {
        let title = "Counting objects";
        let events = [
            Event::PhaseEnd { title: "Enumerating objects", done: 7, total: None, bytes: 0 },
            Event::Phase { title, done: 1, total: Some(7), bytes: 0 },
            Event::Phase { title, done: 1, total: Some(7), bytes: 0 },
            Event::PhaseEnd { title, done: 7, total: Some(7), bytes: 0 },
            Event::PhaseEnd { title: UNTOLD, done: 7, total: Some(7), bytes: 9 },
            Event::Note("Delta compression using up to 2 threads"),
            Event::Note("Total 4 (delta 0)"),
        ];
        let expected = "Enumerating objects: 7, done.\n|Counting objects:  14% (1/7)\r|\
                        Counting objects: 100% (7/7)\rCounting objects: 100% (7/7), done.\n|Total 4 (delta 0)\n";
        let packet = |text: &str| format!("{:04x}\u{2}{text}", text.len() + 5);
        let packets = expected.split('|').map(packet).collect::<Vec<_>>().concat();
        assert_eq!(String::from_utf8(told(SideBand::Large, true, &events)).unwrap(), packets);
        assert!(told(SideBand::Large, false, &events).is_empty());
        assert!(told(SideBand::None, true, &events).is_empty());
    }

    #[test]
    fn nothing_is_told_of_a_phase_with_nothing_in_it() {
        let event = Event::PhaseEnd { title: "Enumerating objects", done: 0, total: None, bytes: 0 };
        assert!(told(SideBand::Large, true, &[event]).is_empty());
    }
}
