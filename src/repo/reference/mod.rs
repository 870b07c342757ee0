//! Reading and moving refs.
//!
//! Refs are loose (one file each) or lines of `packed-refs`; a loose one counts more. `files` reads one, `list` all;
//! `transaction` changes them under lock files, `rewrite` writes `packed-refs`, `reflog` keeps the history. `tables` does
//! all of this where refs are in a reftable; `store` is either.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;

use super::{Error, Repository};
pub use elsewhere::WorkTrees;
use files::Files;
use hook::Hook;
use reflog::LogAll;
pub use reflog_read::LogEntry;
pub use rename::Rename;
pub use snapshot::{Seen, Snapshot};
use store::Store;
use transaction::Settings;

mod borrowed;
mod conflict;
mod directory;
mod elsewhere;
mod files;
mod hook;
mod identity;
mod list;
pub(super) mod lock;
mod packed;
mod present;
mod reflog;
mod reflog_read;
mod rename;
mod rewrite;
mod snapshot;
mod store;
pub(in crate::repo) mod tables;
mod transaction;

/// How long git waits for a lock, in milliseconds, where `core.filesRefLockTimeout` is not set.
const REF_LOCK_TIMEOUT_MS: i64 = 100;

/// How long git waits for `packed-refs.lock`, in milliseconds, where `core.packedRefsTimeout` is not set.
const PACKED_REFS_TIMEOUT_MS: i64 = 1_000;

/// The longest wait for a lock, in milliseconds, which stands for git's "for ever" (a negative value).
const LOCK_TIMEOUT_MAX_MS: i64 = 24 * 60 * 60 * 1_000;

/// How a repository keeps its refs (`extensions.refStorage`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RefFormat {
    /// As files, and as lines of `packed-refs`.
    #[default]
    Files,
    /// In a reftable.
    Tables,
}

/// A ref of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The full name.
    pub name: BString,
    /// What it holds.
    pub target: Target,
    /// The peeled object of an annotated tag, where packed-refs says it.
    pub peeled: Option<ObjectId>,
}

/// A ref as [`Repository::each_ref`] shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed<'a> {
    /// The full name.
    pub name: &'a BStr,
    /// The id, the null id of a broken ref; `None` in a symbolic ref.
    pub id: Option<ObjectId>,
    /// What a symbolic ref names.
    pub symbolic: Option<&'a BStr>,
    /// What is known to be at the end of a chain of tags that begins with the ref.
    pub peeled: Option<ObjectId>,
    /// Whether its file is neither an id nor a symbolic ref.
    pub is_broken: bool,
    /// Whether [`Self::peeled`] is all there is to know: without it, the ref is no annotated tag.
    pub is_peeled: bool,
}

/// What a ref holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// An object id.
    Id(ObjectId),
    /// Another ref's name.
    Symbolic(BString),
}

/// One change of a ref.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The full name; a symbolic ref is itself changed, not what it names.
    pub name: BString,
    /// The new content; `None` deletes the ref.
    pub new: Option<Target>,
    /// What must be there before.
    pub expected: Expected,
    /// The reflog message; `None` writes no reflog (a deletion removes it).
    pub message: Option<BString>,
    /// The symbolic refs that led to `name`, if it was reached by them: their reflogs get the line as well.
    pub through: Vec<BString>,
}

/// What must be there before a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Anything or nothing.
    Any,
    /// No such ref.
    Missing,
    /// This id.
    Id(ObjectId),
}

impl Repository {
    /// The ref `name`, of this work tree or shared; `None` if there is none or it is broken.
    pub fn find_ref(&self, name: &BStr) -> Result<Option<Reference>, Error> {
        self.ref_store().find(name)
    }

    /// The id that `name` leads to through symbolic refs, five at most; `None` if there is none.
    pub fn resolve_ref(&self, name: &BStr) -> Result<Option<ObjectId>, Error> {
        self.ref_store().resolve(name)
    }

    /// The ref that an update of `name` moves: where symbolic refs lead to; and those symbolic refs. What cannot be read
    /// leads nowhere.
    pub fn follow_ref(&self, name: &BStr) -> (BString, Vec<BString>) {
        let mut name = name.to_owned();
        let mut through = Vec::new();
        for _ in 0..files::SYMREF_DEPTH_MAX {
            match self.find_ref(name.as_bstr()) {
                Ok(Some(Reference { target: Target::Symbolic(target), .. })) => {
                    through.push(std::mem::replace(&mut name, target));
                }
                Ok(_) | Err(_) => break,
            }
        }
        (name, through)
    }

    /// All refs whose name begins with `prefix` (all for an empty one; `HEAD` is not among them), sorted by name, each
    /// file read once and packed-refs once. Broken refs are left out; symbolic ones are listed also if what they name
    /// does not exist.
    pub fn refs(&self, prefix: &BStr) -> Result<Vec<Reference>, Error> {
        self.ref_store().list(prefix)
    }

    /// As [`Self::refs`], one ref after the other, with broken ones and with what is known of tags: what a server shows. The
    /// first error of `tell` ends it.
    pub fn each_ref<E: From<Error>>(
        &self,
        prefix: &BStr,
        tell: &mut dyn FnMut(Listed<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.ref_store().each(prefix, tell)
    }

    /// The branch `HEAD` leads to (full name), also if unborn; `None` if detached.
    pub fn head_branch(&self) -> Result<Option<BString>, Error> {
        self.ref_store().head_branch()
    }

    /// The branches checked out in this and all linked work trees: full ref name and directory. Branches that a
    /// rebase or a bisection will return to are among them.
    ///
    /// A git directory that is not bare and stands apart does not say where its work tree is: then the directory is its own.
    pub fn checked_out_branches(&self) -> Result<Vec<(BString, PathBuf)>, Error> {
        let mut branches = Vec::new();
        for (git_dir, top) in self.work_trees()? {
            let own = list::branches_of(&Files { git_dir, ..self.ref_files() })?;
            branches.extend(own.into_iter().map(|branch| (branch, top.clone())));
        }
        Ok(branches)
    }

    /// As [`Self::checked_out_branches`], and those that a rebase will move when it is done: what a fetch must not move.
    pub fn branches_in_use(&self) -> Result<Vec<(BString, PathBuf)>, Error> {
        let mut branches = self.checked_out_branches()?;
        for (git_dir, top) in self.work_trees()? {
            let rebased = list::rebased_branches_of(&git_dir);
            branches.extend(rebased.into_iter().map(|branch| (branch, top.clone())));
        }
        Ok(branches)
    }

    /// The git directories of this and all linked work trees, and the tops of these.
    fn work_trees(&self) -> Result<Vec<(PathBuf, PathBuf)>, Error> {
        let has_some = self.config.boolean("core.bare")? == Some(false);
        let apart = has_some.then(|| self.common_dir.clone());
        let main = self.main_work_tree()?.or(apart).map(|top| (self.common_dir.clone(), top));
        Ok(main.into_iter().chain(self.ref_files().linked_work_trees()).collect())
    }

    /// Makes all of `edits` or none, with their reflogs, under git's lock files. Directory/file conflicts with loose and
    /// packed refs and among the edits are errors in git's words. Runs the `reference-transaction` hook.
    ///
    /// If writing fails after every check and the hook passed, such as on a full disk, refs that were written before
    /// stay written; C git does the same.
    ///
    /// # Errors
    ///
    /// In git's words; where objects are in quarantine no ref may move at all: git-receive-pack(1), "QUARANTINE ENVIRONMENT".
    pub fn update_refs(&self, edits: &[Edit]) -> Result<(), Error> {
        self.check_quarantine()?;
        self.ref_store().update(&self.ref_settings()?, &self.config, edits)
    }

    /// Tells the `reference-transaction` hook that a transaction of `edits` is given up before it begins.
    pub fn give_up_refs(&self, edits: &[Edit]) -> Result<(), Error> {
        transaction::give_up(&self.ref_settings()?, self.object_hash, edits)
    }

    /// Whether a `reference-transaction` hook hears of each transaction.
    pub fn has_reference_hook(&self) -> Result<bool, Error> {
        Ok(self.hook(Hook::NAME)?.is_some())
    }

    /// Writes many new refs, names and ids, at once into `packed-refs`, peeled and sorted, one rename: for a clone, whose
    /// repository has no other refs. No reflogs, but in tables, where git gives them some. Refs that are in the file already
    /// stay, and names are checked against all others. Runs the `reference-transaction` hook.
    pub fn write_packed_refs(&self, refs: &[(&BStr, ObjectId)]) -> Result<(), Error> {
        self.check_quarantine()?;
        self.ref_store().add(&self.ref_settings()?, &self.config, refs)
    }

    /// `Name <email> seconds zone` for reflogs, by git's rules (`GIT_COMMITTER_*`, `user.*`, the system's names).
    ///
    /// # Errors
    ///
    /// [`Error::Config`] in git's words for a date that cannot be understood.
    pub fn committer(&self) -> Result<BString, Error> {
        identity::committer(&self.env, &|key| self.config.string(key))
    }

    /// Refuses where a hook runs that may yet say no to the objects that came.
    fn check_quarantine(&self) -> Result<(), Error> {
        if self.env.get("GIT_QUARANTINE_PATH").is_some() {
            return Err(Error::Reference("ref updates forbidden inside quarantine environment".into()));
        }
        Ok(())
    }

    fn ref_store(&self) -> Store {
        Store::new(self.ref_format, self.ref_files())
    }

    fn ref_files(&self) -> Files {
        Files {
            git_dir: self.git_dir.clone(),
            common_dir: self.common_dir.clone(),
            object_hash: self.object_hash,
            storage: self.storage,
        }
    }

    fn ref_settings(&self) -> Result<Settings, Error> {
        Ok(Settings {
            log_all: self.log_all()?,
            lock_timeout: self.lock_timeout("core.filesRefLockTimeout", REF_LOCK_TIMEOUT_MS)?,
            packed_timeout: self.lock_timeout("core.packedRefsTimeout", PACKED_REFS_TIMEOUT_MS)?,
            committer: self.committer()?,
            hook: self.hook(Hook::NAME)?.map(Hook),
            objects: self.objects()?,
        })
    }

    fn log_all(&self) -> Result<LogAll, Error> {
        const KEY: &str = "core.logAllRefUpdates";
        if self.config.string(KEY).is_some_and(|value| value.eq_ignore_ascii_case(b"always")) {
            return Ok(LogAll::Always);
        }
        let is_bare = self.is_bare() && self.config.boolean("core.bare")? != Some(false);
        let wanted = self.config.boolean(KEY)?.unwrap_or(!is_bare);
        Ok(if wanted { LogAll::Branches } else { LogAll::Never })
    }

    fn lock_timeout(&self, key: &str, default_ms: i64) -> Result<Duration, Error> {
        let wanted = self.config.integer(key)?.unwrap_or(default_ms);
        let bounded = if wanted < 0 { LOCK_TIMEOUT_MAX_MS } else { wanted.min(LOCK_TIMEOUT_MAX_MS) };
        Ok(Duration::from_millis(bounded.unsigned_abs()))
    }

    /// The top of the work tree that the common directory belongs to; `None` if that is bare.
    pub fn main_work_tree(&self) -> Result<Option<PathBuf>, Error> {
        if self.git_dir == self.common_dir {
            return Ok(self.work_tree.clone());
        }
        if self.config.boolean("core.bare")?.unwrap_or(false) {
            return Ok(None);
        }
        let is_dot_git = self.common_dir.file_name().is_some_and(|name| name == ".git");
        Ok(self.common_dir.parent().filter(|_| is_dot_git).map(Path::to_owned))
    }
}

/// What the refs of another repository hold whose names begin with `prefix`: that of `git_dir`, whose objects are borrowed.
/// What cannot be read holds nothing.
pub fn tips_of(git_dir: &Path, prefix: &BStr, object_hash: gix_hash::Kind) -> Vec<ObjectId> {
    let refs = Store::at(git_dir, object_hash).list(prefix).unwrap_or_default();
    let id = |reference: Reference| match reference.target {
        Target::Id(id) => Some(id),
        Target::Symbolic(_) => None,
    };
    refs.into_iter().filter_map(id).collect()
}

fn bad_name(name: &BStr) -> Error {
    Error::Reference(format!("refusing to update ref with bad name '{name}'"))
}

#[cfg(test)]
mod tests;
