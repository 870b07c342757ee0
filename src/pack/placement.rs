//! Where a pack goes, and what stands beside it.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};

use bstr::BString;
use gix_hash::ObjectId;

use super::index::Layout;
use super::links::Strictness;

/// What `git index-pack` has a say in; the default is what a fetch does.
#[derive(Debug, Clone)]
pub struct Placement {
    /// The `.pack` file; `None`: among the objects, named by the pack's checksum.
    pub pack: Option<PathBuf>,
    /// The `.idx` file; `None`: beside the pack.
    pub idx: Option<PathBuf>,
    /// Whether there is to be a `.rev` file.
    pub has_rev: bool,
    /// How the `.idx` file is laid out.
    pub layout: Layout,
    /// The content of a `.keep` file that stays.
    pub keep: Option<BString>,
    /// Whether that file was made, and not there already: told once the pack is stored.
    pub made_keep: Cell<bool>,
    /// The content of a `.promisor` file, for a pack that is there already.
    pub promisor: Option<BString>,
    /// Takes the `.gitmodules` blobs that are missing, which is then the caller's affair; `None`: that is an error.
    pub missing_modules: Option<RefCell<Vec<ObjectId>>>,
    /// What becomes of what the objects refer to.
    pub connectivity: Connectivity,
    /// Whether a pack is refused that has an object twice, or one that another takes for something else.
    pub is_strict: bool,
    /// Whether a pack without objects is stored too.
    pub keeps_empty: bool,
    /// What the first phase is called.
    pub title: &'static str,
}

impl Default for Placement {
    fn default() -> Self {
        Self {
            pack: None,
            idx: None,
            has_rev: true,
            layout: Layout::default(),
            keep: None,
            made_keep: Cell::new(false),
            promisor: None,
            missing_modules: None,
            connectivity: Connectivity::Told,
            is_strict: false,
            keeps_empty: false,
            title: "Receiving objects",
        }
    }
}

/// What becomes of what the objects of a pack refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connectivity {
    /// Nobody asks. Unless objects are checked by rules, they are then not read at all, but for their ids.
    Ignored,
    /// What is not in the pack is told in [`Received::links`](super::Received::links).
    Told,
    /// It must be in the pack, or among [`Options::bases`](super::Options::bases).
    Required,
}

/// The files of a pack.
pub(super) struct Names {
    pub pack: PathBuf,
    pub idx: PathBuf,
    pub rev: PathBuf,
    pub keep: PathBuf,
    pub promisor: PathBuf,
}

impl Placement {
    /// Which links within the pack are refused; `is_checked` tells whether its objects are to obey rules.
    pub(super) fn strictness(&self, is_checked: bool) -> Strictness {
        match (self.is_strict, is_checked) {
            (true, _) => Strictness::Full,
            (false, true) => Strictness::Headers,
            (false, false) => Strictness::Lax,
        }
    }

    /// The directory of the pack, if that is not the one among the objects.
    pub(super) fn directory(&self) -> Option<PathBuf> {
        self.pack.as_deref().map(directory_of)
    }

    /// What the files of the pack `id` are called; those that are not told are in `directory`.
    pub(super) fn names(&self, directory: &Path, id: &ObjectId) -> Names {
        let pack = self.pack.clone().unwrap_or_else(|| directory.join(format!("pack-{id}.pack")));
        let idx = self.idx.clone().unwrap_or_else(|| pack.with_extension("idx"));
        Names {
            rev: idx.with_extension("rev"),
            keep: pack.with_extension("keep"),
            promisor: pack.with_extension("promisor"),
            idx,
            pack,
        }
    }
}

/// The directory that `path` is in.
pub(super) fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}
