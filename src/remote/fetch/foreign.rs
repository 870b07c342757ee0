//! A fetch where git's protocol is not spoken: a remote helper program brings the objects, or they come file by file.

use bstr::BString;
use gix_hash::ObjectId;

use super::tips::{tags_missing, wanted};
use super::{Fetch, Kept, Listed, Source};
use crate::progress::Progress;
use crate::protocol::Ref;
use crate::remote::config::Tags;
use crate::remote::far::Foreign;
use crate::remote::ref_map::Mapping;
use crate::remote::{Error, connectivity};
use crate::repo::Objects;

impl Fetch<'_> {
    /// Learns what the refs of `map` are, and the tags that may have to come along.
    pub(super) fn import(
        &self,
        foreign: &mut Foreign,
        refs: &[Ref],
        map: &[Mapping],
        tags: Tags,
    ) -> Result<(), Error> {
        let mut names: Vec<BString> = map.iter().map(|mapping| mapping.remote.clone()).collect();
        if self.follows_tags(tags) {
            let followed = tags_missing(&self.repo.ref_snapshot()?, refs, map, &self.repo.objects()?.here());
            names.extend(followed.into_iter().map(|tag| tag.remote));
        }
        foreign.import(self.repo, &names)
    }
}

impl Listed<'_> {
    /// Brings what is missing, and looks at it.
    pub(super) fn take_foreign(
        &mut self,
        objects: &mut Objects,
        known: &[ObjectId],
        progress: &mut dyn Progress,
    ) -> Result<Kept, Error> {
        let Source::Foreign(foreign) = &mut self.source else { return Ok(Kept::default()) };
        let wished = (self.map.as_slice(), &self.fetch.options.deepen);
        let brought = foreign.fetch(self.fetch.repo, wished, progress)?;
        self.check_foreign(objects, known)?;
        Ok(Kept { files: brought.files, packs: brought.packs, ..Kept::default() })
    }

    /// Checks what has come. A program may have moved the shallow boundary, so everything is looked at anew.
    fn check_foreign(&self, objects: &mut Objects, known: &[ObjectId]) -> Result<(), Error> {
        *objects = self.fetch.repo.objects()?.here();
        if self.fetch.filter().is_some() {
            return Ok(());
        }
        let known = if self.fetch.deepens() { &[] } else { known };
        let missing = connectivity::first_missing(objects, &wanted(&self.map), known, None)
            .map_err(|error| crate::repo::Error::Object(error.to_string()))?;
        match missing {
            Some(_) => Err(Error::NotConnected { url: self.fetch.url.clone(), missing }),
            None => Ok(()),
        }
    }
}
