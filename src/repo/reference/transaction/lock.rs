//! The locks of a transaction: `<ref>.lock` for each ref, and for those whose reflog gets a line.

use std::collections::HashSet;

use bstr::{BStr, ByteSlice};

use super::{Locked, Settings, cannot_lock};
use crate::repo::Error;
use crate::repo::reference::conflict::Conflicts;
use crate::repo::reference::directory::remove_empty_parents;
use crate::repo::reference::files::{Files, Loose};
use crate::repo::reference::lock::lock_ref;
use crate::repo::reference::present::{Locks, Present};
use crate::repo::reference::{Edit, Expected, Target};

/// Locks the refs of all `edits`, with the new values in the locks.
pub(super) fn lock_all<'a>(
    files: &'a Files,
    settings: &Settings,
    edits: &'a [Edit],
    directories: &mut Directories<'a>,
) -> Result<Vec<Locked<'a>>, Error> {
    let mut conflicts = Conflicts::new(files);
    let mut known = HashSet::new();
    let mut locked = Vec::with_capacity(edits.len());
    let dropped = edits.iter().filter(|edit| is_dropped(edit));
    let mut present = Present::new(dropped.map(|edit| files.path(edit.name.as_bstr())), Locks::Others);
    for edit in edits {
        let name = edit.name.as_bstr();
        conflicts.with_loose_parents(name).map_err(|error| match edit.expected {
            // seen in git 2.47.3: what has to be there is missed, whatever stands in its way
            Expected::Id(_) => cannot_lock(name, &format!("unable to resolve reference '{name}'")),
            Expected::Any | Expected::Missing => error,
        })?;
        let path = files.path(name);
        if is_dropped(edit) && !present.may_be(&path) {
            locked.push(Locked { edit, lock: None, _through: Vec::new() });
            continue;
        }
        let parent = path.parent().unwrap_or(&path);
        if !known.contains(parent) {
            if !parent.is_dir() {
                directories.made.push(name);
            }
            known.insert(parent.to_owned());
        }
        let content = match &edit.new {
            None => Vec::new(),
            Some(Target::Id(id)) => format!("{id}\n").into_bytes(),
            Some(Target::Symbolic(target)) => [b"ref: ", target.as_bytes(), b"\n"].concat(),
        };
        let lock = lock_ref(&path, (settings.lock_timeout, files.storage), &content)
            .map_err(|reason| Error::Reference(format!("cannot lock ref '{name}': {reason}")))?;
        let through = edit.through.iter().map(|name| lock_log(files, settings, name.as_bstr()));
        locked.push(Locked {
            edit,
            lock: Some(Box::new(lock)),
            _through: through.collect::<Result<_, _>>()?,
        });
    }
    Ok(locked)
}

/// Whether the ref is to go whatever it is. Where it is in `packed-refs` alone, that is a line less there, and needs no lock but
/// that file's: somebody who makes the ref in between has made it afterwards. Many such locks cost more than all else of it.
fn is_dropped(edit: &Edit) -> bool {
    edit.new.is_none() && edit.expected == Expected::Any && edit.message.is_none() && edit.through.is_empty()
}

/// Locks `HEAD` if it names a branch that is edited; with the edit's place.
pub(super) fn lock_head(
    files: &Files,
    settings: &Settings,
    locked: &[Locked<'_>],
) -> Result<Option<(gix_lock::Marker, usize)>, Error> {
    let head = b"HEAD".as_bstr();
    let Loose::Found(Target::Symbolic(branch)) = files.read_loose(head)? else { return Ok(None) };
    let is_head =
        |entry: &Locked<'_>| entry.edit.name == head || entry.edit.through.iter().any(|name| name == head);
    if locked.iter().any(is_head) {
        return Ok(None);
    }
    let Some(index) = locked.iter().position(|entry| entry.edit.name == branch) else { return Ok(None) };
    Ok(Some((lock_log(files, settings, head)?, index)))
}

/// Locks the symbolic ref `name`, which stays as it is, for a line in its reflog.
fn lock_log(files: &Files, settings: &Settings, name: &BStr) -> Result<gix_lock::Marker, Error> {
    lock_ref(&files.path(name), (settings.lock_timeout, files.storage), b"")
        .map_err(|reason| cannot_lock(name, &reason))
}

/// Removes directories that were made for locks, if nothing came to be in them.
pub(super) struct Directories<'a> {
    files: &'a Files,
    made: Vec<&'a BStr>,
}

impl<'a> Directories<'a> {
    pub(super) fn new(files: &'a Files) -> Self {
        Self { files, made: Vec::new() }
    }
}

impl Drop for Directories<'_> {
    fn drop(&mut self) {
        for name in &self.made {
            remove_empty_parents(self.files.base(name), name);
        }
    }
}
