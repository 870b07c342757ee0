//! Making one table of several small ones, so that there are few to look into.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gix_lock::acquire::Fail;

use super::add::{commit_file, commit_list, lock_list, write_table};
use super::merge::Merge;
use super::record::Record;
use super::stack::Stack;
use super::table::Table;
use super::write::NewTable;
use super::{LogRecord, RefRecord, Settings, broken};
use crate::repo::Error;

/// Merges the newest tables of `directory` if they are small beside the ones before them. Where another process holds a
/// lock, or something fails, it is left for the next time: the tables are as good as they were, and there are only more.
pub(in crate::repo) fn compact(directory: &Path, object_hash: gix_hash::Kind, settings: &Settings) {
    let _left_for_next_time = run(directory, object_hash, settings);
}

fn run(directory: &Path, object_hash: gix_hash::Kind, settings: &Settings) -> Result<(), Error> {
    let Ok(lock) = lock_list(directory, Duration::ZERO, settings.storage) else { return Ok(()) };
    let stack = Stack::open(directory, object_hash)?;
    let sizes: Vec<usize> = stack.tables.iter().map(Table::len).collect();
    let due = stack.tables.get(first_of_merged(&sizes, settings.geometric_factor)..).unwrap_or_default();
    let locks = lock_newest(due);
    if locks.len() < 2 {
        return Ok(());
    }
    let first = stack.tables.len() - locks.len();
    let (kept, merged) = stack.tables.split_at_checked(first).unwrap_or((&stack.tables, &[]));
    // others may add tables meanwhile
    drop(lock);
    let Some((low, high)) = merged.first().zip(merged.last()) else { return Ok(()) };
    let update_indices = (low.min_update_index, high.max_update_index);
    let merge = |settings: &Settings| merge(merged, object_hash, settings, update_indices, kept.is_empty());
    // what fitted into the blocks of before has to fit again
    let bytes = merge(settings).or_else(|error| {
        let block_size = merged.iter().map(Table::block_size).max().unwrap_or(0);
        let is_larger = block_size > settings.block_size;
        if is_larger { merge(&Settings { block_size, ..settings.clone() }) } else { Err(error) }
    })?;
    let table =
        bytes.map(|bytes| write_table((directory, settings.storage), update_indices, &bytes)).transpose()?;
    let Ok(lock) = lock_list(directory, settings.lock_timeout, settings.storage) else { return Ok(()) };
    let now = Stack::open(directory, object_hash)?;
    let paths =
        |tables: &[Table]| -> Vec<PathBuf> { tables.iter().map(|table| table.path().to_owned()).collect() };
    let (before, old, now) = (paths(kept), paths(merged), paths(&now.tables));
    let Some(after) = now.strip_prefix(before.as_slice()).and_then(|rest| rest.strip_prefix(old.as_slice()))
    else {
        return Ok(());
    };
    let new = table.map(commit_file).transpose()?;
    commit_list(lock, &before.iter().cloned().chain(new).chain(after.iter().cloned()).collect::<Vec<_>>())?;
    for path in &old {
        // what cannot be removed, as while it is open on some systems, is not named any more
        let _left_over = std::fs::remove_file(path);
    }
    drop(locks);
    Ok(())
}

/// From which table on all become one: each that stays is at least `factor` times as large as all newer ones together.
fn first_of_merged(sizes: &[usize], factor: u64) -> usize {
    let Some((newest, older)) = sizes.split_last() else { return 0 };
    let mut sum = *newest as u64;
    let mut first = older.len();
    for (at, size) in older.iter().enumerate().rev() {
        if *size as u64 >= sum.saturating_mul(factor) {
            break;
        }
        sum += *size as u64;
        first = at;
    }
    first
}

/// Tells other processes that these tables are being merged: from the newest on, to the first that another merges, or was
/// killed while it did.
fn lock_newest(tables: &[Table]) -> Vec<gix_lock::Marker> {
    let lock = |table: &Table| {
        gix_lock::Marker::acquire_to_hold_resource(table.path(), Fail::Immediately, None, 0).ok()
    };
    tables.iter().rev().map_while(lock).collect()
}

/// The table of all that `tables` tell. If there are none `is_lowest` below them, what is gone needs no mention.
fn merge(
    tables: &[Table],
    object_hash: gix_hash::Kind,
    settings: &Settings,
    update_indices: (u64, u64),
    is_lowest: bool,
) -> Result<Option<Vec<u8>>, Error> {
    let mut new = NewTable::new(object_hash, settings, update_indices);
    let is_kept = |is_deletion: bool| !(is_lowest && is_deletion);
    let does_not_fit = || {
        let path = tables.first().map_or_else(|| Path::new(""), Table::path);
        broken(path, "a record is longer than a block")
    };
    let mut refs = Merge::<RefRecord>::new(tables.iter().map(|table| table.refs(b"".into())))?;
    while let Some(record) = refs.next()? {
        if is_kept(record.is_deletion()) {
            new.add_ref(&record).map_err(|_| does_not_fit())?;
        }
    }
    let mut logs = Merge::<LogRecord>::new(tables.iter().map(|table| table.logs(b"".into())))?;
    while let Some(record) = logs.next()? {
        if is_kept(record.is_deletion()) {
            new.add_log(&record).map_err(|_| does_not_fit())?;
        }
    }
    Ok(new.finish())
}
