//! Changing refs, all or none.
//!
//! ```text
//!    edits --lock--> Locked --check--> Prepared --commit--> done
//! ```
//!
//! Every ref is locked by `<ref>.lock`, which already holds the new value, before the first is checked; whatever
//! fails up to `commit` drops the locks and leaves nothing behind. `packed-refs` is read once all locks are held, so
//! what it says cannot change any more.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;

use super::conflict::{self, Conflicts};
use super::directory::{remove_empty_directories, remove_empty_parents};
use super::files::{Files, Loose, SYMREF_DEPTH_MAX, is_valid_name};
use super::hook::{Hook, State};
use super::lock::{lock_ref, reason};
use super::packed::Packed;
use super::reflog::{self, LogAll};
use super::{Edit, Expected, Target, rewrite};
use crate::repo::{Error, Objects};

/// What changes are made with.
pub(super) struct Settings {
    pub log_all: LogAll,
    /// How long a locked ref is waited for (`core.filesRefLockTimeout`).
    pub lock_timeout: Duration,
    /// How long a locked `packed-refs` is waited for (`core.packedRefsTimeout`).
    pub packed_timeout: Duration,
    /// For reflogs: `Name <email> seconds zone`.
    pub committer: BString,
    pub hook: Option<Hook>,
    /// Tells whether new values exist and are commits, and peels tags.
    pub objects: Objects,
}

/// Makes all of `edits` or none.
pub(super) fn update(files: &Files, settings: &Settings, edits: &[Edit]) -> Result<(), Error> {
    if edits.is_empty() {
        return Ok(());
    }
    check_names(edits)?;
    conflict::among(edits)?;
    let mut directories = Directories { files, made: Vec::new() };
    let locked = lock_all(files, settings, edits, &mut directories)?;
    let prepared = Prepared::check(files, settings, locked)?;
    prepared.commit()
}

/// A ref under its lock, which holds the new value.
struct Locked<'a> {
    edit: &'a Edit,
    lock: gix_lock::Marker,
    /// Guard the reflogs of the symbolic refs that led here.
    _through: Vec<gix_lock::Marker>,
}

/// A ref that has passed all checks.
struct Checked<'a> {
    locked: Locked<'a>,
    /// The id before, through symbolic refs.
    old: Option<ObjectId>,
    /// Whether the file must change; it need not where the id is there already.
    differs: bool,
}

/// All edits are locked and checked, and the hook agrees.
struct Prepared<'a> {
    files: &'a Files,
    settings: &'a Settings,
    changes: Vec<Checked<'a>>,
    /// Guards the reflog of `HEAD`, and says for which of `changes` it gets a line.
    head: Option<(gix_lock::Marker, usize)>,
    /// The new `packed-refs`, if refs in it are deleted.
    packed: Option<gix_lock::Marker>,
    hook_input: Vec<u8>,
    deletions_input: Vec<u8>,
}

impl<'a> Prepared<'a> {
    fn check(files: &'a Files, settings: &'a Settings, locked: Vec<Locked<'a>>) -> Result<Self, Error> {
        let head = lock_head(files, settings, &locked)?;
        let mut packed = Some(files.packed()?);
        let mut conflicts = Conflicts::new(files);
        let mut changes = Vec::with_capacity(locked.len());
        for entry in locked {
            changes.push(check_one(files, settings, entry, &mut packed, &mut conflicts)?);
        }
        let deleted = changes.iter().map(|change| change.locked.edit).filter(|edit| edit.new.is_none());
        let deletions: Vec<&BStr> = deleted.map(|edit| edit.name.as_bstr()).collect();
        let rewritten =
            if deletions.is_empty() { None } else { rewrite::without(files, settings, &deletions)? };
        let hook_input = hook_input(files.object_hash, &changes, head.as_ref().map(|(_, index)| *index));
        let deletions_input = deletions_input(files.object_hash, &deletions);
        let prepared =
            Self { files, settings, changes, head, packed: rewritten, hook_input, deletions_input };
        prepared.ask_hook()?;
        Ok(prepared)
    }

    /// Runs the hook for `prepared`. Deletions make git run it for `packed-refs` as well, as seen in git 2.47.3:
    /// `aborted` if no line goes, `prepared` and later `committed` if one does.
    fn ask_hook(&self) -> Result<(), Error> {
        let Some(hook) = &self.settings.hook else { return Ok(()) };
        if !self.deletions_input.is_empty() {
            let state = if self.packed.is_some() { State::Prepared } else { State::Aborted };
            hook.run(state, &self.deletions_input)?;
        }
        hook.run(State::Prepared, &self.hook_input).inspect_err(|_| {
            let _refused_anyway = hook.run(State::Aborted, &self.hook_input);
        })
    }

    fn commit(mut self) -> Result<(), Error> {
        let changes = std::mem::take(&mut self.changes);
        for (index, change) in changes.iter().enumerate() {
            self.write_logs(index, change, &changes)?;
        }
        let (deletions, updates): (Vec<_>, Vec<_>) =
            changes.into_iter().partition(|change| change.locked.edit.new.is_none());
        for change in updates {
            // a lock that is dropped instead of committed is gone without a trace
            if change.differs {
                rename_into_place(self.files, change.locked)?;
            }
        }
        self.commit_deletions(deletions)?;
        if let Some(hook) = &self.settings.hook {
            hook.run(State::Committed, &self.hook_input)?;
        }
        Ok(())
    }

    fn commit_deletions(&mut self, deletions: Vec<Checked<'_>>) -> Result<(), Error> {
        if let Some(lock) = self.packed.take() {
            rewrite::commit(lock)?;
            if let Some(hook) = &self.settings.hook {
                hook.run(State::Committed, &self.deletions_input)?;
            }
        }
        for change in deletions {
            let name = change.locked.edit.name.as_bstr();
            for path in [self.files.log_path(name), self.files.path(name)] {
                remove_file(&path)?;
            }
            drop(change.locked.lock);
            remove_empty_parents(&self.files.base(name).join("logs"), name);
            remove_empty_parents(self.files.base(name), name);
        }
        Ok(())
    }

    /// Writes the reflog of the ref, those of the symbolic refs that led to it, and that of `HEAD` if it names the ref.
    fn write_logs(&self, index: usize, change: &Checked<'_>, all: &[Checked<'_>]) -> Result<(), Error> {
        let edit = change.locked.edit;
        let Some(message) = &edit.message else { return Ok(()) };
        let null = self.files.object_hash.null();
        let new = match &edit.new {
            None => Some(null),
            Some(Target::Id(id)) => Some(*id),
            Some(Target::Symbolic(target)) => self.value_after(target.as_ref(), all)?,
        };
        let Some(new) = new else { return Ok(()) };
        let old = change.old.unwrap_or(null);
        let committer = self.settings.committer.as_bstr();
        let line = reflog::Line { old, new, committer, message: message.as_bstr() };
        if change.differs && edit.new.is_some() {
            reflog::append(self.files, self.settings.log_all, edit.name.as_ref(), &line)?;
        }
        for name in &edit.through {
            reflog::append(self.files, self.settings.log_all, name.as_ref(), &line)?;
        }
        if self.head.as_ref().is_some_and(|(_, branch)| *branch == index) {
            reflog::append(self.files, self.settings.log_all, b"HEAD".as_bstr(), &line)?;
        }
        Ok(())
    }

    /// The id that `name` will lead to, with the edits counted.
    fn value_after(&self, name: &BStr, all: &[Checked<'_>]) -> Result<Option<ObjectId>, Error> {
        let mut name = name.to_owned();
        let mut packed = None;
        for _ in 0..SYMREF_DEPTH_MAX {
            let edit = all.iter().map(|change| change.locked.edit).find(|edit| edit.name == name);
            let target = match edit {
                Some(edit) => edit.new.clone(),
                None => self.files.find(name.as_ref(), &mut packed)?.map(|reference| reference.target),
            };
            match target {
                None => return Ok(None),
                Some(Target::Id(id)) => return Ok(Some(id)),
                Some(Target::Symbolic(next)) => name = next,
            }
        }
        Ok(None)
    }
}

/// Removes directories that were made for locks, if nothing came to be in them.
struct Directories<'a> {
    files: &'a Files,
    made: Vec<&'a BStr>,
}

impl Drop for Directories<'_> {
    fn drop(&mut self) {
        for name in &self.made {
            remove_empty_parents(self.files.base(name), name);
        }
    }
}

fn check_names(edits: &[Edit]) -> Result<(), Error> {
    for edit in edits {
        let target_ok = match &edit.new {
            Some(Target::Symbolic(target)) => is_valid_name(target.as_ref()),
            Some(Target::Id(_)) | None => true,
        };
        if !is_valid_name(edit.name.as_ref()) || !is_safe_name(edit.name.as_ref()) || !target_ok {
            return Err(super::bad_name(edit.name.as_ref()));
        }
    }
    Ok(())
}

/// Whether the file of the ref is no other file of git's: it is below `refs/`, or spelled like `HEAD`.
fn is_safe_name(name: &BStr) -> bool {
    name.starts_with(b"refs/") || name.iter().all(|byte| byte.is_ascii_uppercase() || b"_-".contains(byte))
}

fn lock_all<'a>(
    files: &'a Files,
    settings: &Settings,
    edits: &'a [Edit],
    directories: &mut Directories<'a>,
) -> Result<Vec<Locked<'a>>, Error> {
    let mut conflicts = Conflicts::new(files);
    let mut known = HashSet::new();
    let mut locked = Vec::with_capacity(edits.len());
    for edit in edits {
        let name = edit.name.as_bstr();
        conflicts.with_loose_parents(name)?;
        let path = files.path(name);
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
        let lock = lock_ref(&path, settings.lock_timeout, &content)
            .map_err(|reason| Error::Reference(format!("cannot lock ref '{name}': {reason}")))?;
        let through = edit.through.iter().map(|name| lock_log(files, settings, name.as_bstr()));
        locked.push(Locked { edit, lock, _through: through.collect::<Result<_, _>>()? });
    }
    Ok(locked)
}

/// Locks `HEAD` if it names a branch that is edited; with the edit's place.
fn lock_head(
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
    lock_ref(&files.path(name), settings.lock_timeout, b"").map_err(|reason| cannot_lock(name, &reason))
}

/// Checks one ref under its lock: what it was, whether its name is free, what it becomes.
fn check_one<'a>(
    files: &Files,
    settings: &Settings,
    locked: Locked<'a>,
    packed: &mut Option<Packed>,
    conflicts: &mut Conflicts<'a>,
) -> Result<Checked<'a>, Error> {
    let edit = locked.edit;
    let name = edit.name.as_bstr();
    let loose = files.read_loose(name)?;
    let old = match &loose {
        Loose::Broken => {
            return Err(cannot_lock(
                name,
                &format!("unable to resolve reference '{name}': reference broken"),
            ));
        }
        Loose::Found(Target::Id(id)) => Some(*id),
        Loose::Found(Target::Symbolic(target)) => files.resolve(target.as_ref(), packed)?,
        Loose::Missing | Loose::Directory => files.resolve(name, packed)?,
    };
    let is_symbolic = matches!(loose, Loose::Found(Target::Symbolic(_)));
    check_expected(edit, old, is_symbolic)?;
    if edit.new.is_some() {
        if loose == Loose::Directory {
            conflicts.with_directory(name)?;
        }
        let absent = old.is_none() && !is_symbolic;
        if let Some(packed) = packed.as_ref().filter(|_| absent) {
            conflicts.with_packed(name, packed)?;
        }
    }
    let differs = is_symbolic || edit.new != old.map(Target::Id);
    if let (true, Some(Target::Id(id))) = (differs, &edit.new) {
        check_object(&settings.objects, name, id)?;
    }
    Ok(Checked { locked, old, differs })
}

fn check_expected(edit: &Edit, old: Option<ObjectId>, is_symbolic: bool) -> Result<(), Error> {
    let name = edit.name.as_bstr();
    match (edit.expected, old) {
        (Expected::Any, _) | (Expected::Missing, None) => Ok(()),
        (Expected::Missing, Some(_)) => Err(cannot_lock(name, "reference already exists")),
        (Expected::Id(expected), Some(old)) if expected == old => Ok(()),
        (Expected::Id(expected), Some(old)) => {
            Err(cannot_lock(name, &format!("is at {old} but expected {expected}")))
        }
        (Expected::Id(expected), None) if is_symbolic => {
            Err(cannot_lock(name, &format!("reference is missing but expected {expected}")))
        }
        (Expected::Id(_), None) => Err(cannot_lock(name, &format!("unable to resolve reference '{name}'"))),
    }
}

fn check_object(objects: &Objects, name: &BStr, id: &ObjectId) -> Result<(), Error> {
    let kind =
        objects.kind(id).map_err(|error| Error::Object(format!("unable to read object {id}: {error}")))?;
    let reason = match kind {
        None => format!("trying to write ref '{name}' with nonexistent object {id}"),
        Some(kind)
            if kind != gix_object::Kind::Commit && (name == "HEAD" || name.starts_with(b"refs/heads/")) =>
        {
            format!("trying to write non-commit object {id} to branch '{name}'")
        }
        Some(_) => return Ok(()),
    };
    Err(Error::Reference(format!("cannot update ref '{name}': {reason}")))
}

/// The lines `<old> <new> <ref>` that the hook reads; `head` is the change that `HEAD` follows. A symbolic ref that led to
/// a change stands before it, without an old id (seen in git 2.47.3).
fn hook_input(object_hash: gix_hash::Kind, changes: &[Checked<'_>], head: Option<usize>) -> Vec<u8> {
    let mut input = Vec::new();
    let head = head.and_then(|index| changes.get(index)).map(|change| (change, b"HEAD".as_bstr()));
    let named = changes.iter().map(|change| (change, change.locked.edit.name.as_bstr()));
    for (change, name) in named.chain(head) {
        let edit = change.locked.edit;
        let old = match edit.expected {
            Expected::Id(id) => id,
            Expected::Any | Expected::Missing => object_hash.null(),
        };
        let through = edit
            .through
            .iter()
            .filter(|_| name == edit.name)
            .map(|name| (object_hash.null(), name.as_bstr()));
        let new = match &edit.new {
            None => object_hash.null().to_string().into(),
            Some(Target::Id(id)) => id.to_string().into(),
            Some(Target::Symbolic(target)) => BString::from([b"ref:", target.as_bytes()].concat()),
        };
        for (old, name) in through.chain([(old, name)]) {
            input.extend_from_slice(format!("{old} ").as_bytes());
            input.extend_from_slice(&[new.as_bytes(), b" ", name.as_bytes(), b"\n"].concat());
        }
    }
    input
}

/// The lines that the hook reads for `packed-refs`.
fn deletions_input(object_hash: gix_hash::Kind, names: &[&BStr]) -> Vec<u8> {
    let null = object_hash.null();
    let mut input = Vec::new();
    for name in names {
        input.extend_from_slice(format!("{null} {null} ").as_bytes());
        input.extend_from_slice(&[name.as_bytes(), b"\n"].concat());
    }
    input
}

fn rename_into_place(files: &Files, locked: Locked<'_>) -> Result<(), Error> {
    let name = locked.edit.name.as_bstr();
    let path = files.path(name);
    let committed = locked.lock.commit().or_else(|failed| {
        // an empty directory came to be there in between
        remove_empty_directories(&path);
        failed.instance.commit()
    });
    match committed {
        Ok(_) => Ok(()),
        Err(failed) => Err(Error::Reference(format!(
            "cannot update ref '{name}': couldn't set '{name}': {}",
            reason(&failed.error)
        ))),
    }
}

fn cannot_lock(name: &BStr, reason: &str) -> Error {
    Error::Reference(format!("cannot lock ref '{name}': {reason}"))
}

fn remove_file(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(())
        }
        // a directory of other refs; the ref itself was packed
        Err(_) if path.is_dir() => Ok(()),
        Err(source) => Err(Error::Io { action: "unable to unlink", path: path.to_owned(), source }),
    }
}
