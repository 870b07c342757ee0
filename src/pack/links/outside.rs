//! What is named and is not there, or is there as something else.

use gix_hash::ObjectId;
use gix_object::Kind;

use super::found::{NAMED, Named, Sets};
use crate::pack::{Error, Links};

/// What an object has to be that is named.
const NAMES: [(Named, Kind); NAMED] = [
    (Named::Commit, Kind::Commit),
    (Named::Tree, Kind::Tree),
    (Named::Directory, Kind::Tree),
    (Named::Blob, Kind::Blob),
    (Named::File, Kind::Blob),
    (Named::Tag, Kind::Tag),
];

/// The links to objects that are not there as the kind that they are named as.
pub struct Outside([Vec<ObjectId>; NAMED]);

/// Which links must not lead to an object of the pack that is of another kind than they say (seen in git 2.47.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pack) enum Strictness {
    /// None.
    Lax,
    /// Those of commits and tags.
    Headers,
    /// All.
    Full,
}

impl Outside {
    /// The links in `sets` to what is not there, as `is_there` tells.
    pub(super) fn of(sets: &Sets, is_there: &dyn Fn(&ObjectId, Kind) -> bool) -> Self {
        Self(NAMES.map(|(named, kind)| {
            let mut ids = sets.ids(named).filter(|id| !is_there(id, kind)).collect::<Vec<_>>();
            ids.sort_unstable();
            ids
        }))
    }

    /// Refuses the first link that `strictness` counts and that leads to something else than it says; `kind_of` tells what
    /// an object of the pack is.
    pub(in crate::pack) fn check(
        &self,
        strictness: Strictness,
        kind_of: &dyn Fn(&ObjectId) -> Option<Kind>,
    ) -> Result<(), Error> {
        for ((named, kind), ids) in NAMES.into_iter().zip(&self.0) {
            let is_checked = match strictness {
                Strictness::Lax => false,
                Strictness::Headers => !matches!(named, Named::Directory | Named::File),
                Strictness::Full => true,
            };
            let mut found = ids.iter().filter(|_| is_checked).filter_map(|id| Some((id, kind_of(id)?)));
            if let Some((id, other)) = found.next() {
                return Err(Error::BadPack(format!("object {id} is a {other}, not a {kind}")));
            }
        }
        Ok(())
    }

    /// The links by what they have to lead to.
    pub fn into_links(self) -> Links {
        // in the order of NAMES
        let [commits, mut trees, directories, blobs, files, tags] = self.0;
        trees.extend(directories);
        trees.sort_unstable();
        trees.dedup();
        let blobs = blobs.into_iter().map(|id| (id, Kind::Blob));
        let tags = tags.into_iter().map(|id| (id, Kind::Tag));
        Links { commits, trees, blobs: files, others: blobs.chain(tags).collect() }
    }
}
