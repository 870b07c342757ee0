//! Writing `packed-refs` anew, under `packed-refs.lock`.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::io::{BufWriter, Write};

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;
use gix_lock::acquire::Fail;

use super::conflict::{self, parents};
use super::files::{Files, is_valid_name};
use super::hook::State;
use super::lock::{lock_error, lock_path, unable_to_lock};
use super::packed::{self, Entry, Packed};
use super::transaction::Settings;
use super::{Reference, Target};
use crate::repo::Error;

/// Adds `refs` to `packed-refs`, as a transaction of its own.
pub(super) fn add(
    files: &Files,
    settings: &Settings,
    refs: &[(BString, ObjectId, Option<ObjectId>)],
) -> Result<(), Error> {
    let mut sorted = refs.to_vec();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    check_names(&sorted)?;
    let lock = acquire(files, settings)?;
    let old = files.packed()?;
    let all = packed::merge(&old, &sorted)?;
    check_conflicts(files, &sorted, &all)?;
    let marker = write(files, settings, lock, &old, all.iter().filter_map(entry))?;
    let Some(hook) = &settings.hook else { return commit(marker) };
    let null = files.object_hash.null();
    let mut input = Vec::new();
    for (name, id, _) in refs {
        input.extend_from_slice(format!("{null} {id} ").as_bytes());
        input.extend_from_slice(&[name.as_bytes(), b"\n"].concat());
    }
    hook.run(State::Prepared, &input).inspect_err(|_| {
        let _refused_anyway = hook.run(State::Aborted, &input);
    })?;
    commit(marker)?;
    hook.run(State::Committed, &input)
}

/// Locks `packed-refs` and writes it without `names` into the lock; `None` if none of them is in it.
pub(super) fn without(
    files: &Files,
    settings: &Settings,
    mut names: Vec<&BStr>,
) -> Result<Option<gix_lock::Marker>, Error> {
    let lock = acquire(files, settings)?;
    let old = files.packed()?;
    names.sort_unstable();
    let mut is_any = false;
    let mut gone = Walk { names: &names };
    for entry in old.entries() {
        is_any |= gone.has(entry?.name);
    }
    if !is_any {
        return Ok(None);
    }
    let mut gone = Walk { names: &names };
    // all have been read without an error before
    let kept = old.entries().filter_map(Result::ok).filter(|entry| !gone.has(entry.name));
    write(files, settings, lock, &old, kept).map(Some)
}

/// Sorted names, looked for in their order.
struct Walk<'a> {
    names: &'a [&'a BStr],
}

impl Walk<'_> {
    /// Whether `name`, which comes after those asked for before, is one of the names.
    fn has(&mut self, name: &BStr) -> bool {
        while let Some((first, rest)) = self.names.split_first() {
            match (*first).cmp(name) {
                Ordering::Less => self.names = rest,
                Ordering::Equal => return true,
                Ordering::Greater => return false,
            }
        }
        false
    }
}

/// Puts the new file in place.
pub(super) fn commit(lock: gix_lock::Marker) -> Result<(), Error> {
    let path = lock.resource_path();
    match lock.commit() {
        Ok(_) => Ok(()),
        Err(failed) => Err(Error::Io { action: "unable to rename to", path, source: failed.error }),
    }
}

fn acquire(files: &Files, settings: &Settings) -> Result<gix_lock::File, Error> {
    let path = files.common_dir.join("packed-refs");
    // a symbolic link (git-new-workdir) stays one
    let resolve = gix_lock::acquire::resolve_symlink;
    gix_lock::File::acquire(&path, Fail::from(settings.packed_timeout), None, 0, Some(&resolve)).map_err(
        |error| {
            let error = lock_error(error.downcast_any_ref(), error.is_retryable());
            Error::Reference(unable_to_lock(&lock_path(&path), &error))
        },
    )
}

/// Writes `entries` into the lock. Tags that `old` did not peel are peeled, for the header says that all are.
fn write<'a>(
    files: &Files,
    settings: &Settings,
    mut lock: gix_lock::File,
    old: &Packed,
    entries: impl Iterator<Item = Entry<'a>>,
) -> Result<gix_lock::Marker, Error> {
    let peeled = entries.map(|mut entry| {
        if !old.fully_peeled && entry.peeled.is_none() {
            let peeled = settings.objects.peel(&entry.id).ok().flatten();
            entry.peeled = peeled.map(|(id, _)| id).filter(|id| *id != entry.id);
        }
        entry
    });
    let mut out = BufWriter::new(&mut lock);
    let written = packed::write(&mut out, peeled).and_then(|()| out.flush());
    drop(out);
    written.and_then(|()| lock.close()).map_err(|source| Error::Io {
        action: "unable to write",
        path: lock_path(&files.common_dir.join("packed-refs")),
        source,
    })
}

fn check_names(sorted: &[(BString, ObjectId, Option<ObjectId>)]) -> Result<(), Error> {
    for (name, ..) in sorted {
        if !name.starts_with(b"refs/") || !is_valid_name(name.as_ref()) {
            return Err(super::bad_name(name.as_ref()));
        }
    }
    for pair in sorted.windows(2) {
        if let [(first, ..), (second, ..)] = pair
            && first == second
        {
            return Err(Error::Reference(format!("multiple updates for ref '{first}' not allowed")));
        }
    }
    Ok(())
}

/// Refuses new refs that are directories of others, or the other way round.
fn check_conflicts(
    files: &Files,
    new: &[(BString, ObjectId, Option<ObjectId>)],
    all: &[Reference],
) -> Result<(), Error> {
    let loose = files.loose_names(b"".as_bstr())?;
    let names: BTreeSet<&BStr> = all
        .iter()
        .map(|reference| reference.name.as_bstr())
        .chain(loose.iter().map(|name| name.as_bstr()))
        .collect();
    for (name, ..) in new {
        if let Some(parent) = parents(name.as_ref()).find(|parent| names.contains(parent)) {
            return Err(conflict::exists(name.as_ref(), parent));
        }
        let directory = [name.as_bytes(), b"/"].concat();
        if let Some(child) =
            names.range(directory.as_bstr()..).next().filter(|child| child.starts_with(&directory))
        {
            return Err(conflict::exists(name.as_ref(), child));
        }
    }
    Ok(())
}

fn entry(reference: &Reference) -> Option<Entry<'_>> {
    match &reference.target {
        Target::Id(id) => Some(Entry { name: reference.name.as_bstr(), id: *id, peeled: reference.peeled }),
        Target::Symbolic(_) => None,
    }
}
