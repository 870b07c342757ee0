//! Renaming refs in tables, with their reflogs: one table tells of all of it.

use bstr::ByteSlice;

use super::Tables;
use super::update::{Locked, Records, log_of};
use crate::repo::Error;
use crate::repo::reference::transaction::{Settings, check, input};
use crate::repo::reference::{Edit, Rename, Target};
use crate::repo::reftable::{self, LogRecord};

/// A renaming under way: the stacks are locked, and nothing counts yet. Names may be in each other's way, since the old ones
/// are gone when the new ones come.
pub(in crate::repo::reference) struct Renaming<'a> {
    locked: Locked<'a>,
    settings: (&'a Settings, &'a reftable::Settings),
    records: Records,
    hook_input: Vec<u8>,
}

impl<'a> Renaming<'a> {
    /// Locks what `edits` change, which do to the refs themselves all that is to be done, and checks it.
    pub(in crate::repo::reference) fn begin(
        tables: &'a Tables,
        settings: (&'a Settings, &'a reftable::Settings),
        edits: &[Edit],
    ) -> Result<Self, Error> {
        check::check_names(edits)?;
        let locked = Locked::lock(tables, settings.1, edits)?;
        let (checked, head) = locked.check(settings.0, edits)?;
        let records = locked.records(settings.0, &checked, head)?;
        let hook_input = input::of_edits(tables.files.object_hash, edits, head);
        Ok(Self { locked, settings, records, hook_input })
    }

    /// Gives the new ref the reflog of the old one, and two lines about the renaming: the end of the old one and the
    /// beginning of the new one. Each line is a change of its own. A symbolic ref begins a new reflog.
    pub(in crate::repo::reference) fn copy_log(&mut self, rename: &Rename) -> Result<(), Error> {
        let Target::Id(id) = rename.target else { return Ok(()) };
        let (settings, how) = self.settings;
        let directory = self.locked.directory(rename.old.as_ref());
        let Some(addition) = self.locked.addition(&directory) else { return Ok(()) };
        let lines = addition.stack().log(rename.old.as_ref())?;
        if lines.is_empty() && !settings.log_all.wants(rename.new.as_ref()) {
            return Ok(());
        }
        let null = id.kind().null();
        let about = [(id, null), (null, id)]
            .map(|(old, new)| log_of(settings, how, (old, new, rename.message.as_bstr())));
        let logs = lines.into_iter().rev().map(|line| line.log).chain(about.map(Some));
        for (update_index, log) in (addition.update_index()..).zip(logs) {
            let record = LogRecord { name: rename.new.clone(), update_index, log };
            self.records.push_log(directory.clone(), record);
        }
        Ok(())
    }

    /// Makes it count.
    pub(in crate::repo::reference) fn commit(self) -> Result<(), Error> {
        self.locked.commit(self.settings.0, &self.hook_input, self.records)
    }
}
