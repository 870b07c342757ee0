//! From the far side's report to the statuses of the rows.

use std::collections::{HashMap, VecDeque};

use bstr::BString;

use super::converse::Heard;
use super::tell;
use crate::progress::{Event, Progress};
use crate::protocol::push::{RefReport, Report};
use crate::remote::Error;
use crate::remote::push::{RefUpdate, Status};

/// Puts what became of those of `rows` that were asked for, the `asked`, into their statuses.
pub(super) fn judge(
    rows: &mut [RefUpdate],
    asked: &[usize],
    heard: &Heard,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    if let Some(report) = &heard.report {
        return judge_by(report, rows, asked, progress);
    }
    if heard.result.is_ok() {
        // It cannot report, and it did not complain.
        for index in asked {
            if let Some(row) = rows.get_mut(*index) {
                row.status = Status::Done;
            }
        }
    }
    Ok(())
}

fn judge_by(
    report: &Report,
    rows: &mut [RefUpdate],
    asked: &[usize],
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    if let Err(reason) = &report.unpack {
        tell(progress, Event::Error(&format!("remote unpack failed: {reason}")))?;
    }
    let mut names: HashMap<BString, VecDeque<usize>> = HashMap::new();
    for (index, row) in rows.iter().enumerate() {
        names.entry(row.name.clone()).or_default().push_back(index);
    }
    for RefReport { name, outcome } in &report.refs {
        let Some(index) = names.get_mut(name).and_then(next) else {
            let text = format!("remote reported status on unknown ref: {name}");
            tell(progress, Event::Warning(&text))?;
            continue;
        };
        if asked.binary_search(&index).is_err() {
            let text = format!("remote reported status on unexpected ref: {name}");
            tell(progress, Event::Warning(&text))?;
            continue;
        }
        let Some(row) = rows.get_mut(index) else { continue };
        match outcome {
            Err(reason) => row.status = Status::RemoteRejected(reason.clone()),
            // Without the objects no ref can have moved, whatever is said. git shows it as done and fails all the same.
            Ok(_) if report.unpack.is_err() => {}
            Ok(rewritten) => {
                row.status = Status::Done;
                row.rewritten.extend_from_slice(rewritten);
            }
        }
    }
    Ok(())
}

/// Which of the `rows` of one name a report is of. Reports come in the order in which was asked; of the last row there may
/// be several. C git takes all for reports of the first.
fn next(rows: &mut VecDeque<usize>) -> Option<usize> {
    if rows.len() > 1 { rows.pop_front() } else { rows.front().copied() }
}
