//! What a ref was: `<ref>@{<n>}` and `<ref>@{<date>}`.

use bstr::{BStr, ByteSlice};
use gix_hash::ObjectId;

use super::{Error, Resolver, reference_error};
use crate::repo::{LogEntry, parse_date};

/// Seen in git 2.47.3: a number of more digits than this is a time.
const INDEX_DIGITS_MAX: usize = 8;

impl Resolver<'_> {
    /// What the ref `full` was, `at` being what stands between the braces. `shown` is its name in messages, `current`
    /// what it is.
    pub(super) fn resolve_log(
        &mut self,
        full: &BStr,
        shown: &BStr,
        current: ObjectId,
        at: &BStr,
    ) -> Result<Option<ObjectId>, Error> {
        let is_number = at.iter().all(u8::is_ascii_digit);
        let text = at.to_str().unwrap_or_default();
        if is_number && at.len() <= INDEX_DIGITS_MAX {
            let Ok(index) = text.parse() else { return Ok(None) };
            return self.entry_by_index(full, shown, current, index).map(Some);
        }
        let seconds = if is_number { text.parse().ok() } else { parse_date(text) };
        let Some(seconds) = seconds else { return Ok(None) };
        self.entry_by_time(full, shown, current, seconds).map(Some)
    }

    fn entry_by_index(
        &mut self,
        full: &BStr,
        shown: &BStr,
        current: ObjectId,
        index: usize,
    ) -> Result<ObjectId, Error> {
        let log = self.repo.reflog(full)?;
        let Some(oldest) = log.last() else {
            if index == 0 {
                return Ok(current);
            }
            return Err(reference_error(format!("log for {full} is empty")));
        };
        if index < log.len() {
            return self.checked_entry(full, current, &log, index);
        }
        if index == log.len() && !oldest.old.is_null() {
            return Ok(oldest.old);
        }
        Err(reference_error(format!("log for '{shown}' only has {} entries", log.len())))
    }

    fn entry_by_time(
        &mut self,
        full: &BStr,
        shown: &BStr,
        current: ObjectId,
        seconds: i64,
    ) -> Result<ObjectId, Error> {
        let log = self.repo.reflog(full)?;
        let Some(oldest) = log.last() else {
            return Err(reference_error(format!("log for {full} is empty")));
        };
        if let Some(index) = log.iter().position(|entry| entry.seconds <= seconds) {
            return self.checked_entry(full, current, &log, index);
        }
        self.warn(&format!("log for '{shown}' only goes back to {}", rfc_2822(oldest)))?;
        Ok(if oldest.old.is_null() { oldest.new } else { oldest.old })
    }

    /// The id that the entry `index` leads to; if the log does not continue from there, that is told.
    fn checked_entry(
        &mut self,
        full: &BStr,
        current: ObjectId,
        log: &[LogEntry],
        index: usize,
    ) -> Result<ObjectId, Error> {
        let Some(entry) = log.get(index) else { return Ok(current) };
        match index.checked_sub(1).and_then(|newer| log.get(newer)) {
            Some(newer) if newer.old != entry.new => {
                self.warn(&format!("log for ref {full} has gap after {}", rfc_2822(entry)))?;
                Ok(entry.new)
            }
            None if entry.new != current => {
                self.warn(&format!("log for ref {full} unexpectedly ended on {}", rfc_2822(entry)))?;
                Ok(current)
            }
            Some(_) | None => Ok(entry.new),
        }
    }
}

/// `Tue, 14 Nov 2023 22:30:00 +0000`
fn rfc_2822(entry: &LogEntry) -> String {
    let minutes = entry.zone / 100 * 60 + entry.zone % 100;
    let time = gix_date::Time::new(entry.seconds, minutes.saturating_mul(60));
    time.format(gix_date::time::format::GIT_RFC2822).unwrap_or_default()
}
