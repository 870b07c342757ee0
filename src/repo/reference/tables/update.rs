//! Changing refs in tables, all or none: one table more for each stack that is concerned.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;

use super::{DIRECTORY, FILES, Tables};
use crate::repo::reference::conflict::{self, parents};
use crate::repo::reference::files::SYMREF_DEPTH_MAX;
use crate::repo::reference::hook::State;
use crate::repo::reference::reflog;
use crate::repo::reference::rewrite::NewRef;
use crate::repo::reference::transaction::{Settings, check, input};
use crate::repo::reference::{Edit, Target};
use crate::repo::reftable::{self, Addition, Log, LogRecord, RefRecord, Value};
use crate::repo::{Error, Objects};

/// A ref whose change has passed all checks.
pub(super) struct Checked<'a> {
    edit: &'a Edit,
    /// The id before, through symbolic refs.
    old: Option<ObjectId>,
    /// Whether the ref must change; it need not where the id is there already.
    differs: bool,
}

/// What the tables get that are added, by the directories of their stacks.
#[derive(Default)]
pub(super) struct Records(HashMap<PathBuf, Table>);

/// What one of them gets.
#[derive(Default)]
struct Table {
    refs: Vec<RefRecord>,
    logs: Vec<LogRecord>,
}

/// The stacks that a change concerns, locked; that which all work trees share is the first.
pub(super) struct Locked<'a> {
    tables: &'a Tables,
    settings: &'a reftable::Settings,
    additions: Vec<(PathBuf, Addition)>,
}

/// Makes all of `edits` or none.
pub(in crate::repo::reference) fn update(
    tables: &Tables,
    (settings, how): (&Settings, &reftable::Settings),
    edits: &[Edit],
) -> Result<(), Error> {
    if edits.is_empty() {
        return Ok(());
    }
    check::check_names(edits)?;
    refuse_conflict(conflict::in_the_way(edits)?)?;
    let locked = Locked::lock(tables, how, edits)?;
    let (checked, head) = locked.check(settings, edits)?;
    let records = locked.records(settings, &checked, head)?;
    let hook_input = input::of_edits(tables.files.object_hash, edits, head);
    locked.commit(settings, &hook_input, records)
}

fn refuse_conflict(found: Option<(&BStr, &BStr)>) -> Result<(), Error> {
    found.map_or(Ok(()), |(first, second)| {
        Err(Error::Reference(format!("cannot process '{first}' and '{second}' at the same time")))
    })
}

/// Adds `refs`, which are new, with the reflogs that git gives them.
pub(in crate::repo::reference) fn add(
    tables: &Tables,
    (settings, how): (&Settings, &reftable::Settings),
    refs: &[NewRef<'_>],
) -> Result<(), Error> {
    check::check_names_of_new(refs.iter().map(|(name, _)| *name))?;
    refuse_conflict(conflict::among_names(refs.iter().map(|(name, _)| *name))?)?;
    let null = tables.files.object_hash.null();
    let directory = tables.files.common_dir.join(DIRECTORY);
    let addition = Addition::begin(&directory, tables.files.object_hash, how)?;
    let update_index = addition.update_index();
    let (mut table, mut hook_input) = (Table::default(), Vec::new());
    // neighbours are often the same
    let mut last: Option<(ObjectId, Value)> = None;
    for (name, id) in refs {
        let known = last.take().filter(|(last, _)| last == id).map(|(_, value)| value);
        let value = known.map_or_else(|| value_of(&settings.objects, id), Ok)?;
        last = Some((*id, value.clone()));
        table.refs.push(RefRecord { name: (*name).to_owned(), update_index, value });
        if settings.log_all.wants(name) {
            let line = (null, *id, b"".as_bstr());
            let log = Some(log_of(settings, how, line));
            table.logs.push(LogRecord { name: (*name).to_owned(), update_index, log });
        }
        hook_input.extend_from_slice(format!("{null} {id} ").as_bytes());
        hook_input.extend_from_slice(&[name.as_bytes(), b"\n"].concat());
    }
    let records = Records([(directory.clone(), table)].into());
    let locked = Locked { tables, settings: how, additions: vec![(directory, addition)] };
    for (name, _) in refs {
        locked.check_conflicts(name, &HashSet::new())?;
    }
    locked.commit(settings, &hook_input, records)
}

impl<'a> Locked<'a> {
    /// Locks the stacks of all refs and reflogs that `edits` change.
    pub(super) fn lock(
        tables: &'a Tables,
        settings: &'a reftable::Settings,
        edits: &[Edit],
    ) -> Result<Self, Error> {
        let names = edits.iter().flat_map(|edit| std::iter::once(&edit.name).chain(&edit.through));
        let mut directories: Vec<PathBuf> = names.map(|name| tables.directory(name.as_ref())).collect();
        // a branch that is checked out has a line in the reflog of `HEAD`
        let branch = tables.head_branch()?;
        if branch.is_some_and(|branch| edits.iter().any(|edit| edit.name == branch)) {
            directories.push(tables.files.git_dir.join(DIRECTORY));
        }
        let shared = tables.files.common_dir.join(DIRECTORY);
        directories.sort_by_key(|directory| (*directory != shared, directory.clone()));
        directories.dedup();
        let mut additions = Vec::with_capacity(directories.len());
        for directory in directories {
            let addition = Addition::begin(&directory, tables.files.object_hash, settings)?;
            additions.push((directory, addition));
        }
        Ok(Self { tables, settings, additions })
    }

    /// Checks each of `edits`; also which of them `HEAD` follows.
    pub(super) fn check<'e>(
        &self,
        settings: &Settings,
        edits: &'e [Edit],
    ) -> Result<(Vec<Checked<'e>>, Option<usize>), Error> {
        let deleted =
            edits.iter().filter(|edit| edit.new.is_none()).map(|edit| edit.name.as_bstr()).collect();
        let checked: Vec<Checked<'e>> = edits
            .iter()
            .map(|edit| self.check_one(&settings.objects, edit, &deleted))
            .collect::<Result<_, _>>()?;
        let head = b"HEAD".as_bstr();
        let is_head = |edit: &Edit| edit.name == head || edit.through.iter().any(|name| name == head);
        if edits.iter().any(is_head) {
            return Ok((checked, None));
        }
        let branch = match self.find(head)? {
            Some(Value::Symbolic(branch)) => Some(branch),
            _ => None,
        };
        Ok((checked, branch.and_then(|branch| edits.iter().position(|edit| edit.name == branch))))
    }

    fn check_one<'e>(
        &self,
        objects: &Objects,
        edit: &'e Edit,
        deleted: &HashSet<&BStr>,
    ) -> Result<Checked<'e>, Error> {
        let name = edit.name.as_bstr();
        let (old, is_symbolic) = match self.find(name)? {
            Some(Value::Id(id) | Value::Tag(id, _)) => (Some(id), false),
            Some(Value::Symbolic(target)) => (self.resolve(target)?, true),
            Some(Value::Deleted) | None => (None, false),
        };
        check::check_expected(edit, old, is_symbolic)?;
        if old.is_none() && !is_symbolic {
            self.check_conflicts(name, deleted)?;
        }
        let differs = is_symbolic || edit.new != old.map(Target::Id);
        if let (true, Some(Target::Id(id))) = (differs, &edit.new)
            && let Some(fault) = check::object_fault(objects, name, id)?
        {
            return Err(Error::Reference(fault));
        }
        Ok(Checked { edit, old, differs })
    }

    /// Refuses `name` if a directory of it is a ref or it is itself a directory of refs, but for those that are deleted.
    pub(super) fn check_conflicts(&self, name: &BStr, deleted: &HashSet<&BStr>) -> Result<(), Error> {
        let exists = |other: &BStr| Error::Reference(format!("'{other}' exists; cannot create '{name}'"));
        for parent in parents(name).filter(|parent| !deleted.contains(parent)) {
            if self.find(parent)?.is_some() {
                return Err(exists(parent));
            }
        }
        let (directory, local) = self.tables.files.place(name);
        let below = BString::from([local.as_bytes(), b"/"].concat());
        let mut child = None;
        if let Some(addition) = self.addition(&directory.join(DIRECTORY)) {
            addition.stack().refs(below.as_ref(), &mut |found| {
                child = Some(found.name).filter(|name| !deleted.contains(name.as_bstr()));
                child.is_none()
            })?;
        }
        child.map_or(Ok(()), |child| Err(exists(child.as_ref())))
    }

    /// What the locked tables, or those of other work trees, say of `name`.
    fn find(&self, name: &BStr) -> Result<Option<Value>, Error> {
        let (directory, local) = self.tables.files.place(name);
        match self.addition(&directory.join(DIRECTORY)) {
            Some(addition) if !FILES.contains(&name.as_bytes()) => {
                Ok(addition.stack().find(local)?.map(|found| found.value))
            }
            _ => Ok(self.tables.find(name)?.map(|found| match found.target {
                Target::Id(id) => Value::Id(id),
                Target::Symbolic(target) => Value::Symbolic(target),
            })),
        }
    }

    fn resolve(&self, mut name: BString) -> Result<Option<ObjectId>, Error> {
        for _ in 0..SYMREF_DEPTH_MAX {
            match self.find(name.as_ref())? {
                Some(Value::Id(id) | Value::Tag(id, _)) => return Ok(Some(id)),
                Some(Value::Symbolic(next)) => name = next,
                Some(Value::Deleted) | None => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Where the tables are that `name` is in.
    pub(super) fn directory(&self, name: &BStr) -> PathBuf {
        self.tables.directory(name)
    }

    pub(super) fn addition(&self, directory: &Path) -> Option<&Addition> {
        self.additions.iter().find(|(known, _)| known == directory).map(|(_, addition)| addition)
    }

    /// What the tables get of `checked`, of which `HEAD` follows that at `head`.
    pub(super) fn records(
        &self,
        settings: &Settings,
        checked: &[Checked<'_>],
        head: Option<usize>,
    ) -> Result<Records, Error> {
        let mut records = Records::default();
        for (at, change) in checked.iter().enumerate() {
            let edit = change.edit;
            if change.differs {
                self.push_ref(&mut records, &settings.objects, edit)?;
            }
            if edit.new.is_none() {
                self.push_log_removal(&mut records, edit.name.as_ref())?;
            }
            let Some(message) = &edit.message else { continue };
            let null = self.tables.files.object_hash.null();
            let new = match &edit.new {
                None => Some(null),
                Some(Target::Id(id)) => Some(*id),
                Some(Target::Symbolic(target)) => self.value_after(target, checked)?,
            };
            let Some(new) = new else { continue };
            let line = (change.old.unwrap_or(null), new, message.as_bstr());
            let own = Some(edit.name.as_bstr()).filter(|_| change.differs && edit.new.is_some());
            let of_head = Some(b"HEAD".as_bstr()).filter(|_| head == Some(at));
            for name in own.into_iter().chain(edit.through.iter().map(|name| name.as_bstr())).chain(of_head) {
                self.push_log(&mut records, settings, name, line)?;
            }
        }
        Ok(records)
    }

    fn push_ref(&self, records: &mut Records, objects: &Objects, edit: &Edit) -> Result<(), Error> {
        let value = match &edit.new {
            None => Value::Deleted,
            Some(Target::Symbolic(target)) => Value::Symbolic(target.clone()),
            Some(Target::Id(id)) => value_of(objects, id)?,
        };
        let (directory, local) = self.tables.files.place(edit.name.as_ref());
        let directory = directory.join(DIRECTORY);
        let Some(addition) = self.addition(&directory) else { return Ok(()) };
        let record = RefRecord { name: local.to_owned(), update_index: addition.update_index(), value };
        records.of(directory).refs.push(record);
        Ok(())
    }

    /// Adds `line` (old id, new id, message) to the reflog of `name`, if it has or gets one.
    pub(super) fn push_log(
        &self,
        records: &mut Records,
        settings: &Settings,
        name: &BStr,
        line: (ObjectId, ObjectId, &BStr),
    ) -> Result<(), Error> {
        let (directory, local) = self.tables.files.place(name);
        let directory = directory.join(DIRECTORY);
        let Some(addition) = self.addition(&directory) else { return Ok(()) };
        if !settings.log_all.wants(name) && !addition.stack().has_log(local)? {
            return Ok(());
        }
        let log = Some(log_of(settings, self.settings, line));
        let record = LogRecord { name: local.to_owned(), update_index: addition.update_index(), log };
        records.push_log(directory, record);
        Ok(())
    }

    /// Takes away each line of the reflog of `name`.
    pub(super) fn push_log_removal(&self, records: &mut Records, name: &BStr) -> Result<(), Error> {
        let (directory, local) = self.tables.files.place(name);
        let directory = directory.join(DIRECTORY);
        let Some(addition) = self.addition(&directory) else { return Ok(()) };
        for line in addition.stack().log(local)? {
            records.push_log(directory.clone(), LogRecord { log: None, ..line });
        }
        Ok(())
    }

    /// The id that `name` will lead to, with the edits counted.
    fn value_after(&self, name: &BString, all: &[Checked<'_>]) -> Result<Option<ObjectId>, Error> {
        let mut name = name.clone();
        for _ in 0..SYMREF_DEPTH_MAX {
            let edit = all.iter().map(|change| change.edit).find(|edit| edit.name == name);
            let target = match edit {
                Some(edit) => edit.new.clone(),
                None => return self.resolve(name),
            };
            match target {
                None => return Ok(None),
                Some(Target::Id(id)) => return Ok(Some(id)),
                Some(Target::Symbolic(next)) => name = next,
            }
        }
        Ok(None)
    }

    /// Writes the tables, asks the hook, and makes them count.
    pub(super) fn commit(
        mut self,
        settings: &Settings,
        hook_input: &[u8],
        mut records: Records,
    ) -> Result<(), Error> {
        for (directory, addition) in &mut self.additions {
            let Table { refs, logs } = records.0.remove(directory).unwrap_or_default();
            addition.write(self.settings, refs, logs)?;
        }
        if let Some(hook) = &settings.hook {
            hook.run(State::Prepared, hook_input).inspect_err(|_| {
                let _refused_anyway = hook.run(State::Aborted, hook_input);
            })?;
        }
        let mut changed = Vec::with_capacity(self.additions.len());
        for (directory, addition) in self.additions {
            addition.commit()?;
            changed.push(directory);
        }
        for directory in changed {
            reftable::compact(&directory, self.tables.files.object_hash, self.settings);
        }
        settings.hook.as_ref().map_or(Ok(()), |hook| hook.run(State::Committed, hook_input))
    }
}

impl Records {
    fn of(&mut self, directory: PathBuf) -> &mut Table {
        self.0.entry(directory).or_default()
    }

    pub(super) fn push_log(&mut self, directory: PathBuf, record: LogRecord) {
        self.of(directory).logs.push(record);
    }
}

/// What a table says of a ref that holds `id`.
fn value_of(objects: &Objects, id: &ObjectId) -> Result<Value, Error> {
    let tagged =
        objects.tagged(id).map_err(|error| Error::Object(format!("unable to read object {id}: {error}")))?;
    Ok(tagged.map_or(Value::Id(*id), |tagged| Value::Tag(*id, tagged)))
}

/// A line of a reflog. Its message is cut off at half a block (seen in git 2.47.3).
pub(super) fn log_of(
    settings: &Settings,
    how: &reftable::Settings,
    (old, new, message): (ObjectId, ObjectId, &BStr),
) -> Log {
    let (name, rest) = settings.committer.split_once_str(" <").unwrap_or((&settings.committer, b""));
    let (email, time) = rest.split_once_str("> ").unwrap_or((rest, b""));
    let mut time = time.fields();
    let mut number = || time.next().and_then(|field| field.to_str().ok()).unwrap_or_default();
    let (seconds, zone) = (number().parse().unwrap_or(0), number().parse().unwrap_or(0));
    let mut message = reflog::clean(message);
    message.truncate(how.block_size as usize / 2);
    message.push(b'\n');
    Log { old, new, name: name.into(), email: email.into(), seconds, zone, message }
}
