//! The pack of a push, taken into quarantine.

use std::io::BufRead;
use std::ops::ControlFlow;

use bstr::BString;

use super::quarantine::Quarantine;
use super::{ReceivePack, Voice};
use crate::pack::placement::Placement;
use crate::pack::{self, Bases, Options, Received};
use crate::progress::{Event, Progress};
use crate::server::Error;

/// The phase that the client hears of.
const RESOLVING: &str = "Resolving deltas";

/// The program that C git starts for few objects.
const UNPACK_OBJECTS: &str = "unpack-objects";

/// All that it says of a pack that is too large; index-pack also says what would not be.
const TOO_LARGE: &str = "pack exceeds maximum allowed size";

/// What index-pack says of a pack whose checksum is another one.
const MISMATCH: &str = "pack is corrupted (SHA1 mismatch)";

/// Why there is no pack.
pub(super) enum Failure {
    /// The report says so.
    Told(BString),
    /// The client cannot be reached.
    Broken(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Broken(error)
    }
}

impl ReceivePack<'_> {
    /// Takes the pack of a push from `input`. What has an object that cannot be read is not kept: without rules git finds
    /// that out later, when it looks for what is missing.
    pub(super) fn unpack(
        &self,
        quarantine: &Quarantine,
        is_quiet: bool,
        input: &mut dyn BufRead,
        voice: &mut Voice<'_>,
    ) -> Result<Option<Received>, Failure> {
        let program = match check_header(input)? {
            Some(count) if count < self.settings.unpack_limit => UNPACK_OBJECTS,
            Some(_) | None => "index-pack",
        };
        let fsck = match &self.settings.fsck.rules {
            Ok(rules) => rules.as_ref(),
            Err(reason) => return Err(refused(reason, program, voice)?),
        };
        let objects = self.repo.objects().map_err(Error::from)?;
        let boundary = self.repo.shallow().map_err(Error::from)?;
        let options = Options {
            objects: quarantine.path().to_owned(),
            storage: self.repo.storage,
            object_hash: self.repo.object_hash,
            bases: (!self.rejects_thin).then_some(&objects as &dyn Bases),
            unpack_limit: self.settings.unpack_limit,
            keep: None,
            promisor: None,
            threads: 0,
            size_max_bytes: self.settings.input_size_max,
            made_len_max: self.watch.limits().made_len,
            to_end: false,
            fsck,
            // where the client's history ends is for the check of the history to know
            shallow: &boundary,
        };
        let mut progress = Told { voice, is_quiet, percent: None, failure: None };
        let placement = Placement { is_strict: fsck.is_some(), ..Placement::default() };
        let received = pack::receive_at(input, &options, &placement, &mut progress);
        if let Some(error) = progress.failure {
            return Err(error.into());
        }
        match received {
            Ok(received) => Ok(Some(received)),
            Err(pack::Error::Malformed(_)) if fsck.is_none() => Ok(None),
            Err(error) => {
                if matches!(error, pack::Error::DeltaTooLarge { .. }) {
                    self.watch.limited("delta-bytes");
                }
                let reason = error.to_string();
                let reason = match &*reason {
                    reason if program != UNPACK_OBJECTS => reason,
                    reason if reason.starts_with(TOO_LARGE) => TOO_LARGE,
                    MISMATCH => "final sha1 did not match",
                    reason => reason,
                };
                Err(refused(reason, program, voice)?)
            }
        }
    }
}

/// Tells the client what the program would say that C git runs here, and that it failed.
fn refused(reason: &str, program: &str, voice: &mut Voice<'_>) -> Result<Failure, Error> {
    voice.tell(format!("fatal: {reason}\n").as_bytes())?;
    Ok(Failure::Told(format!("{program} abnormal exit").into()))
}

/// Looks at the first bytes, whose absence git has words for. Gives the number of objects, if it has come already: it decides
/// which program C git would start.
fn check_header(input: &mut dyn BufRead) -> Result<Option<u32>, Failure> {
    let start = crate::protocol::pktline::fill(input).map_err(|error| Failure::Broken(error.into()))?;
    let text = match start {
        [] => "eof before pack header was fully read",
        start if b"PACK".starts_with(start.get(..4).unwrap_or(start)) => {
            let count = start.get(8..12).and_then(|count| count.try_into().ok());
            return Ok(count.map(u32::from_be_bytes));
        }
        _ => "protocol error (pack signature mismatch detected)",
    };
    Err(Failure::Told(text.into()))
}

/// The meters of a push, on band 2.
struct Told<'v, 'a> {
    voice: &'v mut Voice<'a>,
    is_quiet: bool,
    percent: Option<(&'static str, u64)>,
    failure: Option<Error>,
}

impl Progress for Told<'_, '_> {
    fn report(&mut self, event: Event<'_>) -> ControlFlow<()> {
        match event {
            Event::Warning(text) => return self.tell(&format!("warning: {text}\n")),
            Event::Error(text) => return self.tell(&format!("error: {text}\n")),
            _ => {}
        }
        let (title, done, total, ending) = match event {
            Event::Phase { title, done, total: Some(total), .. } => (title, done, total, "\r"),
            Event::PhaseEnd { title, done, total: Some(total), .. } => (title, done, total, ", done.\n"),
            _ => return ControlFlow::Continue(()),
        };
        let Some(percent) = done.saturating_mul(100).checked_div(total) else {
            return ControlFlow::Continue(());
        };
        if title == RESOLVING
            && let Err(error) = self.voice.keep_alive()
        {
            self.failure = Some(error);
            return ControlFlow::Break(());
        }
        // as git does, nothing is said of objects that are unpacked, and the client counts for itself what it sends
        let is_known = self.percent == Some((title, percent)) && ending == "\r";
        if self.is_quiet || is_known || title != RESOLVING {
            return ControlFlow::Continue(());
        }
        self.percent = Some((title, percent));
        let text = format!("{title}: {percent:3}% ({done}/{total}){ending}");
        self.tell(&text)
    }
}

impl Told<'_, '_> {
    fn tell(&mut self, text: &str) -> ControlFlow<()> {
        match self.voice.tell(text.as_bytes()) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.failure = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::protocol::fetch::SideBand;

    /// What a client hears of `phase` that is to hear nothing, where silence may last so long.
    fn heard(phase: &'static str, keep_alive: Option<Duration>) -> Vec<u8> {
        let mut out = Vec::new();
        let mut voice =
            Voice { out: &mut out, side_band: SideBand::Large, spoke: Instant::now(), keep_alive };
        let mut told = Told { voice: &mut voice, is_quiet: true, percent: None, failure: None };
        let event = Event::Phase { title: phase, done: 1, total: Some(2), bytes: 0 };
        assert!(told.report(event).is_continue());
        out
    }

    #[test]
    fn a_client_that_hears_nothing_is_told_that_we_are_there() {
        assert_eq!(heard(RESOLVING, Some(Duration::ZERO)), b"0005\x01");
        assert!(heard(RESOLVING, Some(Duration::MAX)).is_empty());
        assert!(heard(RESOLVING, None).is_empty());
        // the client is still sending, and does not listen yet
        assert!(heard("Receiving objects", Some(Duration::ZERO)).is_empty());
    }
}
