//! Renaming refs in tables, with their reflogs: one table tells of all of it.

use bstr::ByteSlice;

use super::Tables;
use super::update::{Locked, Records, log_of};
use crate::repo::Error;
use crate::repo::reference::transaction::{Settings, check, input};
use crate::repo::reference::{Edit, Rename, Target};
use crate::repo::reftable::{self, LogRecord};

/// Renames all of `renames`, which `removals` and `creations` do to the refs themselves. Names may be in each other's way,
/// since the old ones are gone when the new ones come.
pub(in crate::repo::reference) fn rename(
    tables: &Tables,
    (settings, how): (&Settings, &reftable::Settings),
    renames: &[Rename],
    edits: &[Edit],
) -> Result<(), Error> {
    check::check_names(edits)?;
    let locked = Locked::lock(tables, how, edits)?;
    let (checked, head) = locked.check(settings, edits)?;
    let mut records = locked.records(settings, &checked, head)?;
    for rename in renames {
        copy_log(&locked, (settings, how), rename, &mut records)?;
    }
    let hook_input = input::of_edits(tables.files.object_hash, edits, head);
    locked.commit(settings, &hook_input, records)
}

/// Gives the new ref the reflog of the old one, and two lines about the renaming: the end of the old one and the beginning
/// of the new one. Each line is a change of its own.
fn copy_log(
    locked: &Locked<'_>,
    (settings, how): (&Settings, &reftable::Settings),
    rename: &Rename,
    records: &mut Records,
) -> Result<(), Error> {
    let Target::Id(id) = rename.target else { return Ok(()) };
    let directory = locked.directory(rename.old.as_ref());
    let Some(addition) = locked.addition(&directory) else { return Ok(()) };
    let lines = addition.stack().log(rename.old.as_ref())?;
    if lines.is_empty() && !settings.log_all.wants(rename.new.as_ref()) {
        return Ok(());
    }
    let null = id.kind().null();
    let about = [(id, null), (null, id)]
        .map(|(old, new)| log_of(settings, how, (old, new, rename.message.as_bstr())));
    let logs = lines.into_iter().rev().map(|line| line.log).chain(about.map(Some));
    for (update_index, log) in (addition.update_index()..).zip(logs) {
        records.push_log(directory.clone(), LogRecord { name: rename.new.clone(), update_index, log });
    }
    Ok(())
}
