//! What is left out for where it lies: `--incremental`, `--local`, `--honor-pack-keep`, `--keep-pack`.

use std::ffi::OsString;
use std::path::Path;

use gix_hash::ObjectId;

use super::options::Arguments;
use crate::pack::enumerate::Enumerated;
use crate::repo::Objects;

pub(super) struct Limit<'a> {
    is_needed: bool,
    leaves_packed: bool,
    is_local: bool,
    honors_keep: bool,
    kept: &'a [OsString],
}

impl<'a> Limit<'a> {
    pub(super) fn new(arguments: &'a Arguments) -> Self {
        Self {
            is_needed: arguments.limits_packs(),
            leaves_packed: arguments.leaves_packed(),
            is_local: arguments.local,
            honors_keep: arguments.honor_pack_keep,
            kept: &arguments.keep_pack,
        }
    }

    /// Takes out of `found` what is not wanted.
    pub(super) fn apply(&self, objects: &Objects, found: &mut Enumerated) {
        if self.is_needed {
            found.objects.retain(|object| self.keeps(objects, &object.id));
        }
    }

    fn keeps(&self, objects: &Objects, id: &ObjectId) -> bool {
        let packs = objects.packs_with(id);
        if self.leaves_packed && !packs.is_empty() {
            return false;
        }
        // as in git 2.47.3, what an alternate has in a pack is borrowed even if it is here as well
        let is_borrowed = packs.iter().any(|pack| !objects.is_here(pack))
            || (packs.is_empty() && !objects.is_loose_here(id));
        if self.is_local && is_borrowed {
            return false;
        }
        let is_kept = |pack: &Path| {
            let is_named =
                |name: &OsString| Path::new(name).with_extension("idx").file_name() == pack.file_name();
            (self.honors_keep && pack.with_extension("keep").exists()) || self.kept.iter().any(is_named)
        };
        !packs.iter().any(|pack| objects.is_here(pack) && is_kept(pack))
    }
}
