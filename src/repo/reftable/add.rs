//! Adding a table under `tables.list.lock`.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use gix_lock::acquire::Fail;

use super::record::Record as _;
use super::stack::{LIST, Stack};
use super::write::{NewTable, file_name};
use super::{LogRecord, RefRecord};
use crate::repo::Error;
use crate::repo::reference::lock::{lock_error, unable_to_lock};
use crate::storage::Storage;

/// How tables are written (git-config(1), `reftable.*`).
#[derive(Debug, Clone)]
pub(in crate::repo) struct Settings {
    /// `reftable.blockSize`, below 2^24.
    pub block_size: u32,
    /// `reftable.restartInterval`.
    pub restart_interval: usize,
    /// `reftable.geometricFactor`: a table is at least so many times as large as all newer ones together, else they become one.
    pub geometric_factor: u64,
    /// `reftable.lockTimeout`.
    pub lock_timeout: Duration,
    /// How the files of the tables are stored; they are always synchronised to disk.
    pub storage: Storage,
}

/// Tables whose list is locked, and the one that is to be added.
pub(in crate::repo) struct Addition {
    stack: Stack,
    lock: gix_lock::File,
    /// The new table, once it is written.
    table: Option<gix_lock::Marker>,
}

impl Addition {
    /// Locks the list of the tables in `directory` and reads them.
    pub(in crate::repo) fn begin(
        directory: &Path,
        object_hash: gix_hash::Kind,
        settings: &Settings,
    ) -> Result<Self, Error> {
        let lock = lock_list(directory, settings.lock_timeout, settings.storage)?;
        Ok(Self { stack: Stack::open(directory, object_hash)?, lock, table: None })
    }

    /// The tables as they are while the lock is held.
    pub(in crate::repo) fn stack(&self) -> &Stack {
        &self.stack
    }

    /// The update index that changes get from here on.
    pub(in crate::repo) fn update_index(&self) -> u64 {
        self.stack.next_update_index()
    }

    /// Writes the table with these records, in any order, beside the others; it does not count yet.
    pub(in crate::repo) fn write(
        &mut self,
        settings: &Settings,
        mut refs: Vec<RefRecord>,
        mut logs: Vec<LogRecord>,
    ) -> Result<(), Error> {
        refs.sort_by(|left, right| left.name.cmp(&right.name));
        logs.sort_by_key(LogRecord::key);
        let first = self.update_index();
        let last = logs.iter().map(|record| record.update_index).max().unwrap_or(first).max(first);
        let mut table = NewTable::new(self.stack.object_hash, settings, (first, last));
        for record in &refs {
            table.add_ref(record).map_err(|_| too_long(record.name.as_ref()))?;
        }
        for record in &logs {
            table.add_log(record).map_err(|_| too_long(record.name.as_ref()))?;
        }
        let Some(bytes) = table.finish() else { return Ok(()) };
        self.table = Some(write_table((&self.stack.directory, settings.storage), (first, last), &bytes)?);
        Ok(())
    }

    /// Makes the table count; [`super::compact`] is due then.
    pub(in crate::repo) fn commit(mut self) -> Result<(), Error> {
        let Some(table) = self.table.take() else { return Ok(()) };
        let mut names: Vec<PathBuf> = self.stack.tables.iter().map(|table| table.path().to_owned()).collect();
        names.push(commit_file(table)?);
        let added = names.last().cloned();
        commit_list(self.lock, &names).inspect_err(|_| {
            let _not_named = added.map(std::fs::remove_file);
        })
    }
}

/// Takes `tables.list.lock`.
pub(super) fn lock_list(
    directory: &Path,
    timeout: Duration,
    storage: Storage,
) -> Result<gix_lock::File, Error> {
    let path = directory.join(LIST);
    gix_lock::File::acquire(&path, Fail::from(timeout), None, storage.bits(), None).map_err(|error| {
        let error = lock_error(error.downcast_any_ref(), error.is_retryable());
        let lock = path.with_added_extension("lock");
        Error::Reference(format!("cannot lock references: {}", unable_to_lock(&lock, &error)))
    })
}

/// Writes a table of `bytes` under the lock of the name that it is to have.
pub(super) fn write_table(
    (directory, storage): (&Path, Storage),
    update_indices: (u64, u64),
    bytes: &[u8],
) -> Result<gix_lock::Marker, Error> {
    let random = RandomState::new().build_hasher().finish() >> 32;
    let name = file_name(update_indices.0, update_indices.1, random);
    let path = directory.join(name.to_string());
    let failed = |source| Error::Io { action: "unable to write", path: path.clone(), source };
    let mut file = gix_lock::File::acquire(&path, Fail::Immediately, None, storage.bits(), None)
        .map_err(|error| failed(lock_error(error.downcast_any_ref(), error.is_retryable())))?;
    let written = file.write_all(bytes).and_then(|()| file.with_mut(|file| file.sync_all()));
    written.and_then(|()| file.close()).map_err(failed)
}

/// Gives a new table its name; where it is.
pub(super) fn commit_file(table: gix_lock::Marker) -> Result<PathBuf, Error> {
    let path = table.resource_path();
    match table.commit() {
        Ok(_) => Ok(path),
        Err(failed) => Err(Error::Io { action: "unable to rename to", path, source: failed.error }),
    }
}

/// Makes `tables` those that count.
pub(super) fn commit_list(mut lock: gix_lock::File, tables: &[PathBuf]) -> Result<(), Error> {
    let path = lock.resource_path();
    let mut text = Vec::new();
    for table in tables {
        text.extend_from_slice(table.file_name().unwrap_or_default().as_encoded_bytes());
        text.push(b'\n');
    }
    let written = lock.write_all(&text).and_then(|()| lock.with_mut(|file| file.sync_all()));
    let failed = |source: io::Error| Error::Io { action: "unable to write", path: path.clone(), source };
    written.map_err(failed)?;
    lock.commit().map(drop).map_err(|error| failed(error.error))
}

fn too_long(name: &bstr::BStr) -> Error {
    Error::Reference(format!("cannot update ref '{name}': its name is too long"))
}
