//! Where the refs of a repository are: a file each, or in tables. What callers ask of refs is asked here.

use std::path::Path;

use bstr::{BStr, BString};
use gix_hash::ObjectId;

use super::elsewhere::{own_logs, shared_logs};
use super::files::{Files, Loose, SYMREF_DEPTH_MAX, is_valid_name};
use super::tables::{self, Tables};
use super::transaction::{self, Settings};
use super::{Edit, Listed, LogEntry, RefFormat, Reference, Snapshot, Target, rewrite};
use crate::repo::{Config, Error};
use crate::storage::Storage;

/// The refs of one work tree.
pub(super) enum Store {
    Files(Files),
    Tables(Box<Tables>),
}

impl Store {
    pub(super) fn new(format: RefFormat, files: Files) -> Self {
        match format {
            RefFormat::Files => Self::Files(files),
            RefFormat::Tables => Self::Tables(Box::new(Tables::new(files))),
        }
    }

    /// The refs of the repository at `git_dir`, whose configuration nobody has read: the directory of the tables tells.
    pub(super) fn at(git_dir: &Path, object_hash: gix_hash::Kind) -> Self {
        let (git_dir, common_dir) = (git_dir.to_owned(), git_dir.to_owned());
        Self::of(Files { git_dir, common_dir, object_hash, storage: Storage::default() })
    }

    /// As [`Self::at`], for any work tree.
    pub(super) fn of(files: Files) -> Self {
        let has_tables = files.git_dir.join(tables::DIRECTORY).is_dir();
        Self::new(if has_tables { RefFormat::Tables } else { RefFormat::Files }, files)
    }

    /// The ref `name`.
    pub(super) fn find(&self, name: &BStr) -> Result<Option<Reference>, Error> {
        match self {
            Self::Files(files) => files.find(name, &mut None),
            Self::Tables(tables) => tables.find(name),
        }
    }

    /// The id that `name` leads to.
    pub(super) fn resolve(&self, name: &BStr) -> Result<Option<ObjectId>, Error> {
        match self {
            Self::Files(files) => files.resolve(name, &mut None),
            Self::Tables(tables) => tables.resolve(name),
        }
    }

    /// All refs whose name begins with `prefix`, sorted.
    pub(super) fn list(&self, prefix: &BStr) -> Result<Vec<Reference>, Error> {
        match self {
            Self::Files(files) => files.list(prefix),
            Self::Tables(tables) => tables.list(prefix),
        }
    }

    /// As [`Self::list`], one after the other, broken ones too.
    pub(super) fn each<E: From<Error>>(
        &self,
        prefix: &BStr,
        tell: &mut dyn FnMut(Listed<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Self::Files(files) => files.each(prefix, tell),
            Self::Tables(tables) => tables.each(prefix, tell),
        }
    }

    /// All refs below `refs/`, read at once.
    pub(super) fn snapshot(&self) -> Result<Snapshot, Error> {
        match self {
            Self::Files(files) => Snapshot::read(files),
            Self::Tables(tables) => tables.snapshot(),
        }
    }

    /// The branch that `HEAD` leads to, through other symbolic refs too; `None` if they never end.
    pub(super) fn head_branch(&self) -> Result<Option<BString>, Error> {
        let Some(mut name) = self.head_target()? else { return Ok(None) };
        for _ in 1..SYMREF_DEPTH_MAX {
            match self.find(name.as_ref())? {
                Some(Reference { target: Target::Symbolic(next), .. }) => name = next,
                Some(_) | None => return Ok(Some(name)),
            }
        }
        Ok(None)
    }

    /// What `HEAD` itself says.
    fn head_target(&self) -> Result<Option<BString>, Error> {
        match self {
            Self::Files(files) => Ok(match files.read_loose(b"HEAD".into())? {
                Loose::Found(Target::Symbolic(branch)) => Some(branch),
                Loose::Found(Target::Id(_)) | Loose::Missing | Loose::Directory | Loose::Broken => None,
            }),
            Self::Tables(tables) => tables.head_branch(),
        }
    }

    /// The reflog of `name`, newest entry first.
    pub(super) fn log(&self, name: &BStr) -> Result<Vec<LogEntry>, Error> {
        match self {
            Self::Files(files) => files.read_log(name),
            Self::Tables(tables) => tables.log(name),
        }
    }

    /// Whether `name` has a reflog, even an empty one.
    pub(super) fn has_log(&self, name: &BStr) -> bool {
        is_valid_name(name)
            && match self {
                Self::Files(files) => files.log_path(name).is_file(),
                Self::Tables(tables) => tables.has_log(name).unwrap_or(false),
            }
    }

    /// The names of the reflogs of this work tree, and of those that all share.
    pub(super) fn log_names(&self) -> Result<Vec<BString>, Error> {
        match self {
            Self::Files(files) => {
                let mut names = own_logs(b"".into(), &files.git_dir)?;
                if files.git_dir != files.common_dir {
                    names.extend(shared_logs(&files.common_dir)?);
                }
                Ok(names)
            }
            Self::Tables(tables) => tables.log_names(),
        }
    }

    /// The names of the reflogs of this work tree's own refs, with `prefix` before them.
    pub(super) fn own_log_names(&self, prefix: &BStr) -> Result<Vec<BString>, Error> {
        match self {
            Self::Files(files) => own_logs(prefix, &files.git_dir),
            Self::Tables(tables) => tables.own_log_names(prefix),
        }
    }

    /// Makes all of `edits` or none.
    pub(super) fn update(&self, settings: &Settings, config: &Config, edits: &[Edit]) -> Result<(), Error> {
        match self {
            Self::Files(files) => transaction::update(files, settings, edits),
            Self::Tables(tables) => tables::update(tables, (settings, &tables::settings(config)?), edits),
        }
    }

    /// Adds many refs that are new.
    pub(super) fn add(
        &self,
        settings: &Settings,
        config: &Config,
        refs: &[rewrite::NewRef<'_>],
    ) -> Result<(), Error> {
        match self {
            Self::Files(files) => rewrite::add(files, settings, refs),
            Self::Tables(tables) => tables::add(tables, (settings, &tables::settings(config)?), refs),
        }
    }
}
