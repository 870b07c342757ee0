//! Changing refs, all or none.
//!
//! ```text
//!    edits --lock--> Locked --check--> Prepared --commit--> done
//! ```
//!
//! Every ref is locked by `<ref>.lock`, which already holds the new value, before the first is checked; whatever
//! fails up to `commit` drops the locks and leaves nothing behind. `packed-refs` is read once all locks are held, so
//! what it says cannot change any more. Refs that are lines of `packed-refs` and nothing else, and go whatever they are, need
//! no lock of their own where they are many.

use std::time::Duration;

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;

use super::conflict::{self, Conflicts};
use super::files::{Files, SYMREF_DEPTH_MAX};
use super::hook::{Hook, State};
use super::present::{Locks, Present};
use super::reflog::{self, LogAll};
use super::{Edit, Target, rewrite};
use crate::repo::{Error, Objects};

pub(super) mod check;
pub(super) mod input;
mod lock;
mod place;

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
    check::check_names(edits)?;
    conflict::among(edits)?;
    let mut directories = lock::Directories::new(files);
    let locked = lock::lock_all(files, settings, edits, &mut directories)?;
    let prepared = Prepared::check(files, settings, locked)?;
    prepared.commit()
}

/// Tells the hook that `edits`, of which there are any, will not be made.
pub(super) fn give_up(settings: &Settings, object_hash: gix_hash::Kind, edits: &[Edit]) -> Result<(), Error> {
    let Some(hook) = settings.hook.as_ref().filter(|_| !edits.is_empty()) else { return Ok(()) };
    hook.run(State::Aborted, &input::of_given_up(object_hash, edits))
}

/// A ref under its lock, which holds the new value.
struct Locked<'a> {
    edit: &'a Edit,
    /// None is needed where a line of `packed-refs` goes and nothing else; boxed, since many have none.
    lock: Option<Box<gix_lock::Marker>>,
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
    /// Whether there may be a file; if not, none can come to be as long as the lock is held.
    is_present: bool,
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
    /// What the hook reads, if there is one.
    hook_input: Vec<u8>,
    /// What it reads of refs that are deleted.
    deletions_input: Vec<u8>,
}

impl<'a> Prepared<'a> {
    fn check(files: &'a Files, settings: &'a Settings, locked: Vec<Locked<'a>>) -> Result<Self, Error> {
        let head = lock::lock_head(files, settings, &locked)?;
        let mut packed = Some(files.packed()?);
        let mut conflicts = Conflicts::new(files);
        let mut present =
            Present::new(locked.iter().map(|entry| files.path(entry.edit.name.as_bstr())), Locks::Ours);
        let mut changes = Vec::with_capacity(locked.len());
        for entry in locked {
            let known = (&mut conflicts, &mut present);
            changes.push(check::check_one((files, settings), entry, &mut packed, known)?);
        }
        drop(packed);
        let deleted = changes.iter().map(|change| change.locked.edit).filter(|edit| edit.new.is_none());
        let deletions: Vec<&BStr> = deleted.map(|edit| edit.name.as_bstr()).collect();
        let (mut hook_input, mut deletions_input) = (Vec::new(), Vec::new());
        if settings.hook.is_some() {
            let head = head.as_ref().map(|(_, index)| *index);
            let edits = changes.iter().map(|change| change.locked.edit);
            hook_input = input::of_edits(files.object_hash, edits, head);
            deletions_input = input::of_deletions(files.object_hash, &deletions);
        }
        let rewritten =
            if deletions.is_empty() { None } else { rewrite::without(files, settings, deletions)? };
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
            hook.run(state, &self.deletions_input).inspect_err(|_| {
                let _refused_anyway = hook.run(State::Aborted, &self.deletions_input);
            })?;
        }
        hook.run(State::Prepared, &self.hook_input).inspect_err(|_| {
            if self.packed.is_some() {
                let _refused_anyway = hook.run(State::Aborted, &self.deletions_input);
            }
            let _refused_anyway = hook.run(State::Aborted, &self.hook_input);
        })
    }

    fn commit(mut self) -> Result<(), Error> {
        let changes = std::mem::take(&mut self.changes);
        for (index, change) in changes.iter().enumerate() {
            self.write_logs(index, change, &changes)?;
        }
        let mut changes = changes;
        for change in changes.extract_if(.., |change| change.locked.edit.new.is_some()) {
            // a lock that is dropped instead of committed is gone without a trace
            if change.differs {
                place::rename_into_place(self.files, change.locked)?;
            }
        }
        self.commit_deletions(changes)?;
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
        place::remove(self.files, deletions)
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

fn cannot_lock(name: &BStr, reason: &str) -> Error {
    Error::Reference(format!("cannot lock ref '{name}': {reason}"))
}
