//! Several tables read as one: of records of one key that of the newest table counts.

use super::record::Record;
use super::table::Scan;
use crate::repo::Error;

/// Records in order, from the oldest table to the newest.
pub(super) struct Merge<'t, R> {
    /// What each table has next.
    scans: Vec<(R, Scan<'t, R>)>,
}

impl<'t, R: Record> Merge<'t, R> {
    /// Merges `scans`, the oldest first.
    pub(super) fn new(scans: impl Iterator<Item = Result<Scan<'t, R>, Error>>) -> Result<Self, Error> {
        let mut merged = Vec::new();
        for scan in scans {
            let mut scan = scan?;
            if let Some(first) = scan.next()? {
                merged.push((first, scan));
            }
        }
        Ok(Self { scans: merged })
    }

    /// The next record, deletions included.
    pub(super) fn next(&mut self) -> Result<Option<R>, Error> {
        let Some(least) = self.scans.iter().map(|(record, _)| record.key()).min() else { return Ok(None) };
        let mut newest = None;
        let mut at = 0;
        while let Some((record, scan)) = self.scans.get_mut(at) {
            if record.key() != least {
                at += 1;
                continue;
            }
            match scan.next()? {
                Some(next) => {
                    newest = Some(std::mem::replace(record, next));
                    at += 1;
                }
                None => newest = Some(self.scans.remove(at).0),
            }
        }
        Ok(newest)
    }

    /// The next record that is no deletion.
    pub(super) fn next_present(&mut self) -> Result<Option<R>, Error> {
        loop {
            match self.next()? {
                Some(record) if record.is_deletion() => {}
                next => return Ok(next),
            }
        }
    }
}
