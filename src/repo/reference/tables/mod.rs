//! Refs in a reftable: what `files`, `list` and the others do where each ref is a file.
//!
//! All work trees share one stack of tables; a linked one has another for its own refs, such as `HEAD`. `FETCH_HEAD` and
//! `MERGE_HEAD` are files here too, for they hold more than a ref does.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;

use super::files::{Files, SYMREF_DEPTH_MAX, is_per_worktree, is_valid_name};
use super::packed::Packed;
use super::{Listed, LogEntry, Reference, Snapshot, Target};
use crate::repo::reftable::{self, LogRecord, RefRecord, Stack, Value};
use crate::repo::{Config, Error};
use crate::storage::Storage;

mod rename;
mod update;

pub(super) use rename::Renaming;
pub(super) use update::{add, update};

/// The directory of the tables in a git directory.
pub(in crate::repo) const DIRECTORY: &str = "reftable";

/// What refs say that are files in any repository.
const FILES: [&[u8]; 2] = [b"FETCH_HEAD", b"MERGE_HEAD"];

/// How long git waits for the lock of a stack, in milliseconds, where `reftable.lockTimeout` is not set.
const LOCK_TIMEOUT_MS: i64 = 100;

/// The longest wait for a lock, in milliseconds, which stands for git's "for ever" (a negative value).
const LOCK_TIMEOUT_MAX_MS: i64 = 24 * 60 * 60 * 1_000;

/// `reftable.blockSize` where it is not set; also the most that its 24 bits can say.
const BLOCK_SIZE: i64 = 4096;
const BLOCK_SIZE_MAX: i64 = 0xff_ffff;

/// `reftable.restartInterval` where it is not set.
const RESTART_INTERVAL: i64 = 16;

/// `reftable.geometricFactor` where it is not set.
const GEOMETRIC_FACTOR: i64 = 2;

/// The refs of one work tree as they were when the first was asked for.
pub(super) struct Tables {
    /// Where names belong, and the refs that are files.
    files: Files,
    shared: OnceCell<Stack>,
    own: OnceCell<Stack>,
}

impl Tables {
    pub(super) fn new(files: Files) -> Self {
        Self { files, shared: OnceCell::new(), own: OnceCell::new() }
    }

    /// The ref `name`.
    pub(super) fn find(&self, name: &BStr) -> Result<Option<Reference>, Error> {
        if !is_valid_name(name) {
            return Ok(None);
        }
        if FILES.contains(&name.as_bytes()) {
            return self.files.find(name, &mut None);
        }
        let (directory, local) = self.files.place(name);
        let found = if directory == self.files.common_dir {
            self.shared()?.find(local)?
        } else if directory == self.files.git_dir {
            self.own()?.find(local)?
        } else {
            Stack::open(&directory.join(DIRECTORY), self.files.object_hash)?.find(local)?
        };
        Ok(found.and_then(|found| reference_of(RefRecord { name: name.to_owned(), ..found })))
    }

    /// The id that `name` leads to.
    pub(super) fn resolve(&self, name: &BStr) -> Result<Option<ObjectId>, Error> {
        let mut name = name.to_owned();
        for _ in 0..SYMREF_DEPTH_MAX {
            match self.find(name.as_ref())? {
                None => return Ok(None),
                Some(Reference { target: Target::Id(id), .. }) => return Ok(Some(id)),
                Some(Reference { target: Target::Symbolic(next), .. }) => name = next,
            }
        }
        Ok(None)
    }

    /// All refs whose name begins with `prefix`, sorted.
    pub(super) fn list(&self, prefix: &BStr) -> Result<Vec<Reference>, Error> {
        let mut refs = Vec::new();
        let is_linked = self.is_linked();
        let mut take = |found: RefRecord, is_own: bool| {
            let name = found.name.as_bstr();
            let is_here = !is_linked || is_per_worktree(name) == is_own;
            if is_here && name.starts_with(b"refs/") && is_valid_name(name) {
                refs.extend(reference_of(found));
            }
            true
        };
        self.shared()?.refs(prefix, &mut |found| take(found, false))?;
        if is_linked {
            self.own()?.refs(prefix, &mut |found| take(found, true))?;
            refs.sort_by(|left, right| left.name.cmp(&right.name));
        }
        Ok(refs)
    }

    /// Tells what [`Self::list`] lists: a table has no broken refs, and says of each tag what it leads to.
    pub(super) fn each<E: From<Error>>(
        &self,
        prefix: &BStr,
        tell: &mut dyn FnMut(Listed<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.list(prefix)?.iter().try_for_each(|reference| {
            let (id, symbolic) = match &reference.target {
                Target::Id(id) => (Some(*id), None),
                Target::Symbolic(target) => (None, Some(target.as_bstr())),
            };
            let (name, peeled) = (reference.name.as_bstr(), reference.peeled);
            tell(Listed { name, id, symbolic, peeled, is_broken: false, is_peeled: id.is_some() })
        })
    }

    pub(super) fn snapshot(&self) -> Result<Snapshot, Error> {
        let refs = self.list(b"refs/".into())?;
        let refs = refs.into_iter().map(|reference| (reference.name, Some(reference.target)));
        Snapshot::merged(Packed::none(self.files.object_hash), refs.collect())
    }

    /// The branch that `HEAD` itself names.
    pub(super) fn head_branch(&self) -> Result<Option<BString>, Error> {
        Ok(self.find(b"HEAD".into())?.and_then(|head| match head.target {
            Target::Symbolic(branch) => Some(branch),
            Target::Id(_) => None,
        }))
    }

    /// The reflog of `name`, newest entry first.
    pub(super) fn log(&self, name: &BStr) -> Result<Vec<LogEntry>, Error> {
        if !is_valid_name(name) {
            return Ok(Vec::new());
        }
        let (directory, local) = self.files.place(name);
        let lines = Stack::open(&directory.join(DIRECTORY), self.files.object_hash)?.log(local)?;
        Ok(lines.into_iter().filter_map(entry_of).collect())
    }

    /// Whether `name` has a reflog, even an empty one.
    pub(super) fn has_log(&self, name: &BStr) -> Result<bool, Error> {
        let (directory, local) = self.files.place(name);
        Stack::open(&directory.join(DIRECTORY), self.files.object_hash)?.has_log(local)
    }

    /// The names of the reflogs of this work tree, and of those that all share.
    pub(super) fn log_names(&self) -> Result<Vec<BString>, Error> {
        let mut names = self.own()?.log_names()?;
        if self.is_linked() {
            names.extend(
                self.shared()?.log_names()?.into_iter().filter(|name| !is_per_worktree(name.as_ref())),
            );
        }
        names.retain(|name| is_valid_name(name.as_ref()));
        Ok(names)
    }

    /// The names of the reflogs of this work tree's own refs, with `prefix` before them.
    pub(super) fn own_log_names(&self, prefix: &BStr) -> Result<Vec<BString>, Error> {
        let names = self.own()?.log_names()?.into_iter();
        let own = names.filter(|name| is_valid_name(name.as_ref()) && is_per_worktree(name.as_ref()));
        Ok(own.map(|name| [prefix.as_bytes(), &name].concat().into()).collect())
    }

    /// Whether this is a linked work tree, whose own refs are elsewhere.
    fn is_linked(&self) -> bool {
        self.files.git_dir != self.files.common_dir
    }

    fn shared(&self) -> Result<&Stack, Error> {
        self.opened(&self.shared, &self.files.common_dir)
    }

    fn own(&self) -> Result<&Stack, Error> {
        if self.is_linked() { self.opened(&self.own, &self.files.git_dir) } else { self.shared() }
    }

    fn opened<'s>(&self, cell: &'s OnceCell<Stack>, git_dir: &Path) -> Result<&'s Stack, Error> {
        if let Some(stack) = cell.get() {
            return Ok(stack);
        }
        let stack = Stack::open(&git_dir.join(DIRECTORY), self.files.object_hash)?;
        Ok(cell.get_or_init(|| stack))
    }

    fn directory(&self, name: &BStr) -> PathBuf {
        self.files.place(name).0.join(DIRECTORY)
    }
}

/// How `config` wants tables to be written.
pub(in crate::repo) fn settings(config: &Config) -> Result<reftable::Settings, Error> {
    let number = |key: &str, default: i64, max: i64| -> Result<i64, Error> {
        let value = config.integer(key)?.filter(|value| *value > 0).unwrap_or(default);
        if value > max {
            return Err(Error::Config(format!(
                "{} can't be larger than {max}",
                key.replace("reftable.", "reftable ")
            )));
        }
        Ok(value)
    };
    let block_size = number("reftable.blockSize", BLOCK_SIZE, BLOCK_SIZE_MAX)?;
    let restart_interval = number("reftable.restartInterval", RESTART_INTERVAL, i64::from(u16::MAX))?;
    let factor = number("reftable.geometricFactor", GEOMETRIC_FACTOR, i64::from(u8::MAX))?;
    let timeout = config.integer("reftable.lockTimeout")?.unwrap_or(LOCK_TIMEOUT_MS);
    let timeout = if timeout < 0 { LOCK_TIMEOUT_MAX_MS } else { timeout.min(LOCK_TIMEOUT_MAX_MS) };
    Ok(reftable::Settings {
        block_size: u32::try_from(block_size).unwrap_or(u32::MAX),
        restart_interval: usize::try_from(restart_interval).unwrap_or(usize::MAX),
        geometric_factor: factor.unsigned_abs(),
        lock_timeout: Duration::from_millis(timeout.unsigned_abs()),
        storage: config.storage()?,
    })
}

/// Makes the tables of a new repository, whose `HEAD` names `branch`.
pub(in crate::repo) fn create(
    git_dir: &Path,
    object_hash: gix_hash::Kind,
    branch: &BStr,
    settings: &reftable::Settings,
) -> Result<(), Error> {
    let mut addition = reftable::Addition::begin(&git_dir.join(DIRECTORY), object_hash, settings)?;
    let (name, value) = ("HEAD".into(), Value::Symbolic(branch.to_owned()));
    let head = RefRecord { name, update_index: addition.update_index(), value };
    addition.write(settings, vec![head], Vec::new())?;
    addition.commit()
}

/// The branch that `HEAD` of `git_dir` names, whose hash function is not known yet.
pub(in crate::repo) fn head_branch_of(git_dir: &Path) -> Option<BString> {
    [gix_hash::Kind::Sha1, gix_hash::Kind::Sha256].into_iter().find_map(|object_hash| {
        let (git_dir, common_dir) = (git_dir.to_owned(), git_dir.to_owned());
        let storage = Storage::default();
        Tables::new(Files { git_dir, common_dir, object_hash, storage }).head_branch().ok().flatten()
    })
}

fn reference_of(record: RefRecord) -> Option<Reference> {
    let (target, peeled) = match record.value {
        Value::Id(id) => (Target::Id(id), None),
        Value::Tag(id, peeled) => (Target::Id(id), Some(peeled)),
        Value::Symbolic(target) if is_valid_name(target.as_ref()) => (Target::Symbolic(target), None),
        Value::Symbolic(_) | Value::Deleted => return None,
    };
    Some(Reference { name: record.name, target, peeled })
}

fn entry_of(line: LogRecord) -> Option<LogEntry> {
    let log = line.log.filter(|log| !(log.old.is_null() && log.new.is_null()))?;
    let message = log.message.strip_suffix(b"\n").unwrap_or(&log.message);
    Some(LogEntry {
        old: log.old,
        new: log.new,
        committer: [log.name.as_slice(), b" <", &log.email, b">"].concat().into(),
        seconds: i64::try_from(log.seconds).ok()?,
        zone: i32::from(log.zone),
        message: message.into(),
    })
}
