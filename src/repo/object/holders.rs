//! Which packs hold an object, for those who leave out what others have.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gix_hash::oid;

use super::Objects;
use crate::pack::source::Entries;

impl Objects {
    /// The same, without belief in bitmaps.
    #[must_use]
    pub fn without_bitmaps(self) -> Self {
        Self { uses_bitmaps: false, ..self }
    }

    /// The `.idx` files of all packs that hold `id`, those of alternates included.
    pub fn packs_with(&self, id: &oid) -> Vec<PathBuf> {
        self.packs.with(id, &self.stores)
    }

    /// The entries of the pack whose file is called `name`, in this repository or in an alternate.
    pub fn pack_called(&self, name: &Path) -> Option<Arc<dyn Entries>> {
        let pack = self.packs.called(name, &self.stores)?;
        Some(pack)
    }

    /// Whether `id` is a loose object of the repository itself.
    pub fn is_loose_here(&self, id: &oid) -> bool {
        let name = id.to_hex().to_string();
        let Some((first, rest)) = name.split_at_checked(2) else { return false };
        self.stores.main().join(first).join(rest).exists()
    }

    /// Whether the file of a pack belongs to the repository itself.
    pub fn is_here(&self, file: &Path) -> bool {
        file.starts_with(self.stores.main())
    }
}
