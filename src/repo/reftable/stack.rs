//! The tables of a directory, from the oldest to the newest.

use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use bstr::{BStr, BString, ByteSlice};

use super::merge::Merge;
use super::table::Table;
use super::{LogRecord, RefRecord, Value, broken};
use crate::repo::Error;

/// The file that names the tables.
pub(super) const LIST: &str = "tables.list";

/// How long tables are looked for that `tables.list` names and that are not there: then another process has made one of
/// them, and the list names it in a moment.
const MISSING_TABLE_TIMEOUT: Duration = Duration::from_secs(3);

/// The pause before the list is read again.
const MISSING_TABLE_PAUSE: Duration = Duration::from_millis(5);

/// The tables as they were at one moment.
pub(in crate::repo) struct Stack {
    /// The directory that they are in.
    pub(super) directory: PathBuf,
    pub(super) object_hash: gix_hash::Kind,
    /// The oldest first.
    pub(super) tables: Vec<Table>,
}

impl Stack {
    /// Opens the tables in `directory`; without a list there are none.
    ///
    /// # Errors
    ///
    /// If a table cannot be read, is none, or is not there although the list names it for seconds.
    pub(in crate::repo) fn open(directory: &Path, object_hash: gix_hash::Kind) -> Result<Self, Error> {
        let deadline = Instant::now() + MISSING_TABLE_TIMEOUT;
        loop {
            let mut tables = Vec::new();
            let mut missing = None;
            for name in read_list(directory)? {
                let path = directory.join(name);
                match Table::open(&path, object_hash)? {
                    Some(table) => tables.push(table),
                    None => missing = Some(path),
                }
            }
            let Some(missing) = missing else {
                return Ok(Self { directory: directory.to_owned(), object_hash, tables });
            };
            if Instant::now() >= deadline {
                return Err(broken(&missing, "there is no such file"));
            }
            thread::sleep(MISSING_TABLE_PAUSE);
        }
    }

    /// What the newest table that knows `name` says of it; deletions are told as nothing.
    pub(in crate::repo) fn find(&self, name: &BStr) -> Result<Option<RefRecord>, Error> {
        for table in self.tables.iter().rev() {
            if let Some(found) = table.refs(name)?.next()?
                && found.name == name
            {
                return Ok(Some(found).filter(|found| found.value != Value::Deleted));
            }
        }
        Ok(None)
    }

    /// Gives `take` all refs whose name begins with `prefix`, sorted, until it has enough and returns false.
    pub(in crate::repo) fn refs(
        &self,
        prefix: &BStr,
        take: &mut dyn FnMut(RefRecord) -> bool,
    ) -> Result<(), Error> {
        let mut merged = Merge::new(self.tables.iter().map(|table| table.refs(prefix)))?;
        while let Some(found) = merged.next_present()? {
            if !found.name.starts_with(prefix) || !take(found) {
                break;
            }
        }
        Ok(())
    }

    /// The reflog of `name`, the newest line first.
    pub(in crate::repo) fn log(&self, name: &BStr) -> Result<Vec<LogRecord>, Error> {
        let mut merged = Merge::new(self.tables.iter().map(|table| table.logs(name)))?;
        let mut lines = Vec::new();
        while let Some(line) = merged.next_present()?.filter(|line| line.name == name) {
            lines.push(line);
        }
        Ok(lines)
    }

    /// Whether `name` has a reflog, be it an empty one.
    pub(in crate::repo) fn has_log(&self, name: &BStr) -> Result<bool, Error> {
        let mut merged = Merge::new(self.tables.iter().map(|table| table.logs(name)))?;
        Ok(merged.next_present()?.is_some_and(|line| line.name == name))
    }

    /// The names of all refs that have a reflog, sorted.
    pub(in crate::repo) fn log_names(&self) -> Result<Vec<BString>, Error> {
        let mut merged = Merge::new(self.tables.iter().map(|table| table.logs(b"".as_bstr())))?;
        let mut names: Vec<BString> = Vec::new();
        while let Some(line) = merged.next_present()? {
            if names.last() != Some(&line.name) {
                names.push(line.name);
            }
        }
        Ok(names)
    }

    /// The update index of the next change.
    pub(super) fn next_update_index(&self) -> u64 {
        self.tables.last().map_or(1, |table| table.max_update_index.saturating_add(1))
    }
}

/// The names of the tables in `directory`, the oldest first.
fn read_list(directory: &Path) -> Result<Vec<String>, Error> {
    let path = directory.join(LIST);
    let content = match std::fs::read(&path) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(Error::Io { action: "unable to open", path, source }),
    };
    let names = content.lines().filter(|line| !line.is_empty()).map(|line| {
        let name =
            line.to_str().ok().filter(|name| !name.contains(['/', '\\', '\0']) && !name.starts_with('.'));
        name.map(str::to_owned).ok_or_else(|| broken(&path, "a line names no table"))
    });
    names.collect()
}
