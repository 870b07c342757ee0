//! What the user asks of a clone.

use std::path::PathBuf;

use bstr::BString;

use super::Reference;
use crate::protocol::fetch::Deepen;
use crate::repo::RefFormat;
use crate::repo::config::Override;
use crate::transport;

/// What the user asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// How the new repository keeps its refs.
    pub ref_format: RefFormat,
    /// No work tree.
    pub bare: bool,
    /// All refs as they are; implies `bare`.
    pub mirror: bool,
    /// The branch or tag to check out instead of the remote's `HEAD`.
    pub branch: Option<BString>,
    /// The one ref or id to fetch and to check out, without any branch (`--revision`, git 2.49).
    pub revision: Option<BString>,
    /// Only one branch; `None` is as `deepen` says.
    pub single_branch: Option<bool>,
    /// No tags, now and later.
    pub no_tags: bool,
    /// How much history.
    pub deepen: Deepen,
    /// What a partial clone leaves out.
    pub filter: Option<BString>,
    /// A source that is shallow itself is refused.
    pub reject_shallow: bool,
    /// Where bundles are that bring some of the objects (`--bundle-uri`).
    pub bundle_uri: Option<BString>,
    /// The name of the remote.
    pub origin: BString,
    /// Configuration to write, in order (`--config`); what has no value is true.
    pub config: Vec<Override>,
    /// Whether a path may be linked or copied.
    pub local: Local,
    /// Only the files at the top are checked out.
    pub sparse: bool,
    /// Whether to warn where `local` cannot be done (`--local` was given).
    pub insists_on_local: bool,
    /// Repositories on this machine whose objects are borrowed.
    pub references: Vec<Reference>,
    /// Nothing is borrowed once the clone is there.
    pub dissociate: bool,
    /// See [`crate::repo::init::Init::template`].
    pub template: Option<PathBuf>,
    /// Nobody looks at the server's progress.
    pub no_progress: bool,
    /// How the remote is reached.
    pub transport: transport::Options,
    /// `--server-option`.
    pub server_options: Vec<BString>,
}

impl Default for Options {
    /// A clone as `git clone <url>` makes it.
    fn default() -> Self {
        Self {
            ref_format: RefFormat::Files,
            bare: false,
            mirror: false,
            branch: None,
            revision: None,
            single_branch: None,
            no_tags: false,
            deepen: Deepen::default(),
            filter: None,
            reject_shallow: false,
            bundle_uri: None,
            origin: "origin".into(),
            config: Vec::new(),
            local: Local::default(),
            sparse: false,
            insists_on_local: false,
            references: Vec::new(),
            dissociate: false,
            template: None,
            no_progress: false,
            transport: transport::Options::default(),
            server_options: Vec::new(),
        }
    }
}

impl Options {
    /// Whether no more than one branch is cloned.
    pub(super) fn is_single_branch(&self) -> bool {
        self.single_branch.unwrap_or(self.deepen != Deepen::default())
    }
}

/// How the objects of a path on this machine come over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Local {
    /// By hard links where the file system has them.
    #[default]
    Link,
    /// By copies (`--no-hardlinks`).
    Copy,
    /// Not at all: they are borrowed (`--shared`).
    Share,
    /// By the protocol (`--no-local`, and always with `file://`).
    Transfer,
}
