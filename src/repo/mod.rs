//! The only door to `.git` and the work tree.

use std::path::PathBuf;
use std::sync::Arc;

use bstr::BString;

use crate::storage::Storage;

pub mod checkout;
pub mod config;
pub mod connectivity;
pub mod date;
mod diff_order;
pub mod diffstat;
pub mod discover;
pub mod environment;
mod filter;
mod format;
mod fsck;
pub(crate) mod hidden;
pub mod hook;
pub(crate) mod index;
pub mod init;
mod lock;
mod maintenance;
pub mod object;
mod owner;
pub mod pack_settings;
pub mod pathspec;
pub mod reference;
mod reftable;
pub mod revision;
pub mod session_id;
pub mod shallow;
mod shell;
pub mod sign;
mod temporary;

pub use config::Config;
pub use date::parse_date;
pub use environment::Environment;
pub use fsck::FsckSettings;
pub use hook::Hook;
pub use lock::LockFile;
pub use object::Objects;
pub use reference::{Edit, Expected, Listed, LogEntry, RefFormat, Reference, Rename, Seen, Snapshot, Target};
pub use shell::shell;
pub use temporary::{TemporaryDirectory, TemporaryFile};

/// An opened repository.
///
/// It holds paths and configuration, no open file; refs and objects are read when asked for.
#[derive(Debug, Clone)]
pub struct Repository {
    /// `.git`, or that of this work tree (`.git/worktrees/<name>`).
    pub git_dir: PathBuf,
    /// Where refs, objects and configuration are; the same as `git_dir` but in a linked work tree.
    pub common_dir: PathBuf,
    /// The top of the work tree; `None` in a bare repository.
    pub work_tree: Option<PathBuf>,
    /// The `objects` directory (`GIT_OBJECT_DIRECTORY` or below the common directory).
    pub objects_dir: PathBuf,
    /// The hash function of its object ids.
    pub object_hash: gix_hash::Kind,
    /// How it keeps its refs.
    pub ref_format: RefFormat,
    /// How its files are stored.
    pub storage: Storage,
    /// All configuration that holds here.
    pub config: Config,
    /// The environment it was opened in.
    pub env: Environment,
    /// Who brings what a filter left out when it is read; nobody unless somebody is put here.
    pub promisor: Option<Arc<dyn object::Promisor>>,
    /// Who runs its hooks.
    pub hooks: hook::Hooks,
}

/// What can go wrong with a repository, sorted by whose fault it is. The messages are git's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or directory could not be read or written.
    #[error("{action} '{}': {}", path.display(), system_text(source))]
    Io {
        /// What was attempted, such as `unable to create`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no repository.
    #[error("{0}")]
    NotFound(String),
    /// There is a repository that must not be used: of an unknown format, or of another owner.
    #[error("{0}")]
    Refused(String),
    /// Its configuration cannot be parsed or a value is of the wrong kind.
    #[error("{0}")]
    Config(String),
    /// One entry of the configuration is wrong. git prints `error: <reason>`, then `fatal: <message>`.
    #[error("{reason}")]
    ConfigEntry {
        /// What is wrong with the entry, such as `missing value for 'core.askpass'`.
        reason: String,
        /// Where it is, such as `bad config line 2 in file .git/config`.
        message: String,
    },
    /// A ref cannot be updated; the text begins with git's `cannot lock ref 'R': …` and the like.
    #[error("{0}")]
    Reference(String),
    /// The `reference-transaction` hook refused.
    #[error("ref updates aborted by hook")]
    RefusedByHook,
    /// An object is missing or broken.
    #[error("{0}")]
    Object(String),
    /// The user's program did not sign; git prints the text behind `error: `, and then what it wanted the signature for.
    #[error("{0}")]
    Sign(String),
    /// The caller asked the work to stop.
    #[error("interrupted")]
    Interrupted,
}

impl Repository {
    /// The file `name` of this work tree's git directory, such as `HEAD`, `FETCH_HEAD` or `index`.
    pub fn git_path(&self, name: &str) -> PathBuf {
        self.git_dir.join(name)
    }

    /// The file `name` that all work trees share, such as `shallow` or `packed-refs`.
    pub fn common_path(&self, name: &str) -> PathBuf {
        self.common_dir.join(name)
    }

    /// Whether any remote may have objects that are not here, because a filter left them out: git-config(1),
    /// `remote.<name>.promisor` and `remote.<name>.partialclonefilter`.
    ///
    /// # Errors
    ///
    /// If a value of the configuration makes no sense.
    pub fn is_partial(&self) -> Result<bool, Error> {
        Ok(!self.promisor_names()?.is_empty() || self.config.string("extensions.partialClone").is_some())
    }

    /// The remotes that the configuration makes promisors, in the order in which it does.
    ///
    /// # Errors
    ///
    /// As [`Self::is_partial`].
    pub fn promisor_names(&self) -> Result<Vec<BString>, Error> {
        let mut names = Vec::new();
        for (name, key, _) in self.config.section("remote") {
            let Some(name) = name.filter(|name| !names.contains(name)) else { continue };
            let is_promisor = match key.as_str() {
                "promisor" => self.config.boolean(&format!("remote.{name}.promisor"))?.unwrap_or(false),
                "partialclonefilter" => true,
                _ => false,
            };
            names.extend(is_promisor.then_some(name));
        }
        Ok(names)
    }

    /// Whether there is no work tree.
    pub fn is_bare(&self) -> bool {
        self.work_tree.is_none()
    }
}

/// What the system says about `error`, in the words of C's `strerror`.
fn system_text(error: &std::io::Error) -> String {
    let mut text = error.to_string();
    if let Some(end) = text.find(" (os error ") {
        text.truncate(end);
    }
    text
}

/// Removes the lock files and temporary files of this process, as when a signal ends it.
pub fn remove_temporaries() {
    gix_tempfile::registry::cleanup_tempfiles();
    temporary::remove_directories();
}
