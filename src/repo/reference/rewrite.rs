//! Writing `packed-refs` anew, under `packed-refs.lock`.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::io::{BufWriter, Write};

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;
use gix_lock::acquire::Fail;

use super::conflict::{self, parents};
use super::files::Files;
use super::hook::State;
use super::lock::{lock_error, lock_path, sync, unable_to_lock};
use super::packed::{self, Entry, Packed};
use super::transaction::Settings;
use super::transaction::check::check_names_of_new;
use crate::repo::{Error, Objects};

/// The file is written in pieces of so many bytes.
const BUFFER_BYTES: usize = 64 * 1024;

/// A ref to be added: its name and its id.
pub(super) type NewRef<'a> = (&'a BStr, ObjectId);

/// Adds `refs` to `packed-refs`, as a transaction of its own.
pub(super) fn add(files: &Files, settings: &Settings, refs: &[NewRef<'_>]) -> Result<(), Error> {
    let mut new: Vec<Entry<'_>> =
        refs.iter().map(|(name, id)| Entry { name, id: *id, peeled: None }).collect();
    if !new.is_sorted_by_key(|entry| entry.name) {
        new.sort_by_key(|entry| entry.name);
    }
    check_names(&new)?;
    let lock = acquire(files, settings)?;
    let old = files.packed()?;
    check_conflicts(files, &new, &old)?;
    let all = packed::merge(&old, new)?;
    let marker = write(files, lock, peeled(&settings.objects, all.into_iter()))?;
    let Some(hook) = &settings.hook else { return commit(marker) };
    let null = files.object_hash.null();
    let mut input = Vec::new();
    for (name, id) in refs {
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
    let marker = if old.fully_peeled {
        write(files, lock, kept)
    } else {
        write(files, lock, peeled(&settings.objects, kept))
    };
    marker.map(Some)
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
    gix_lock::File::acquire(
        &path,
        Fail::from(settings.packed_timeout),
        None,
        files.storage.bits(),
        Some(&resolve),
    )
    .map_err(|error| {
        let error = lock_error(error.downcast_any_ref(), error.is_retryable());
        Error::Reference(unable_to_lock(&lock_path(&path), &error))
    })
}

/// Writes `entries`, of which all tags are peeled, into the lock.
fn write<'a>(
    files: &Files,
    mut lock: gix_lock::File,
    entries: impl Iterator<Item = Entry<'a>>,
) -> Result<gix_lock::Marker, Error> {
    refuse_unfinished(files)?;
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, &mut lock);
    let written = packed::write(&mut out, entries).and_then(|()| out.flush());
    drop(out);
    let synced = written.and_then(|()| sync(&mut lock, files.storage));
    synced.and_then(|()| lock.close()).map_err(|source| Error::Io {
        action: "unable to write",
        path: lock_path(&files.common_dir.join("packed-refs")),
        source,
    })
}

/// An error where `packed-refs.new` is there, which C git writes before it renames it: one that it left behind stops it, so
/// that somebody looks.
fn refuse_unfinished(files: &Files) -> Result<(), Error> {
    let path = files.common_dir.join("packed-refs.new");
    match path.symlink_metadata() {
        Ok(_) => Err(Error::Reference(format!("unable to create file {}: File exists", path.display()))),
        Err(_) => Ok(()),
    }
}

/// `entries`, in which those tags are peeled that were not: the header of the file says that all are. What a tag leads to
/// is for the tag to say, whatever a server claims; a broken one leads nowhere.
fn peeled<'a>(
    objects: &Objects,
    entries: impl Iterator<Item = Entry<'a>>,
) -> impl Iterator<Item = Entry<'a>> {
    let mut last = None;
    entries.map(move |mut entry| {
        if entry.peeled.is_none() {
            entry.peeled = match last {
                // neighbours are often the same
                Some((id, peeled)) if id == entry.id => peeled,
                _ => objects.tagged(&entry.id).ok().flatten(),
            };
            last = Some((entry.id, entry.peeled));
        }
        entry
    })
}

fn check_names(sorted: &[Entry<'_>]) -> Result<(), Error> {
    check_names_of_new(sorted.iter().map(|entry| entry.name))?;
    for pair in sorted.windows(2) {
        if let [first, second] = pair
            && first.name == second.name
        {
            let name = first.name;
            return Err(Error::Reference(format!("multiple updates for ref '{name}' not allowed")));
        }
    }
    Ok(())
}

/// Refuses new refs, sorted by name, that are directories of others, or the other way round.
fn check_conflicts(files: &Files, new: &[Entry<'_>], old: &Packed) -> Result<(), Error> {
    let loose = files.loose_names(b"".as_bstr())?;
    let sources = Names { new, old, loose: &loose };
    let mut checked = HashSet::new();
    let mut last = None;
    for Entry { name, .. } in new {
        let directory = parents(name).last();
        // as a rule the one before has the same
        if last != Some(directory) {
            for parent in parents(name) {
                if checked.insert(parent) && sources.from(parent)?.is_some_and(|found| found == parent) {
                    return Err(conflict::exists(name, parent));
                }
            }
            last = Some(directory);
        }
    }
    if old.is_empty() && loose.is_empty() {
        return Ok(());
    }
    let mut below = Vec::new();
    for Entry { name, .. } in new {
        below.clear();
        below.extend_from_slice(name);
        below.push(b'/');
        if let Some(child) = sources.from(below.as_bstr())?.filter(|child| child.starts_with(&below)) {
            return Err(conflict::exists(name, child));
        }
    }
    Ok(())
}

/// The names of all refs that will be there.
struct Names<'a> {
    new: &'a [Entry<'a>],
    old: &'a Packed,
    loose: &'a [BString],
}

impl<'a> Names<'a> {
    /// The first that is not before `name`.
    fn from(&self, name: &BStr) -> Result<Option<&'a BStr>, Error> {
        let new = self.new.get(self.new.partition_point(|entry| entry.name < name)..).and_then(<[_]>::first);
        let loose = self.loose.get(self.loose.partition_point(|loose| loose.as_bstr() < name)..);
        let loose = loose.and_then(<[_]>::first).map(|loose| loose.as_bstr());
        let old = self.old.entries_from(name).next().transpose()?.map(|entry| entry.name);
        Ok(new.map(|entry| entry.name).into_iter().chain(loose).chain(old).min())
    }
}
