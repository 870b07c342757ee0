//! What a filter leaves out of what bitmaps tell.

use gix_hash::ObjectId;
use gix_object::Kind;

use super::Object;
use super::filter::Filter;
use super::reach::Reached;
use crate::pack::Error;
use crate::pack::source::Source;

/// Whether the filter asks for no more than kinds and sizes.
pub(super) fn is_told_by_kind(filter: &Filter) -> bool {
    match filter {
        Filter::BlobNone | Filter::BlobLimit(_) | Filter::TreeDepth(0) | Filter::ObjectType(_) => true,
        Filter::TreeDepth(_) | Filter::Sparse(_) => false,
        Filter::Any(filters) => filters.iter().all(is_told_by_kind),
    }
}

/// Whether somebody who asks with `filter`, and may have asked with it before, has an object of `kind` that its commits
/// reach.
pub(super) fn is_surely_had(filter: Option<&Filter>, kind: Option<Kind>) -> bool {
    match filter {
        None => true,
        Some(Filter::BlobNone | Filter::BlobLimit(_)) => kind.is_some_and(|kind| kind != Kind::Blob),
        Some(Filter::TreeDepth(_) | Filter::ObjectType(_) | Filter::Sparse(_) | Filter::Any(_)) => false,
    }
}

impl Reached {
    /// Takes out what the filter leaves out, but not what is in `asked`.
    pub fn leave_out(
        &mut self,
        source: &dyn Source,
        filter: &Filter,
        asked: &[ObjectId],
        had: &Self,
    ) -> Result<(), Error> {
        let asked_bits: Vec<u32> = asked.iter().filter_map(|id| self.index.bit(id)).collect();
        let asked_bits: Vec<u32> = asked_bits.into_iter().filter(|bit| self.bits.get(*bit)).collect();
        let asked_others: Vec<Object> =
            self.others.iter().filter(|object| asked.contains(&object.id)).copied().collect();
        self.apply(source, filter)?;
        for bit in asked_bits.into_iter().filter(|bit| !had.bits.get(*bit)) {
            let _is_new = self.bits.insert(bit);
        }
        for object in asked_others {
            if !self.others.contains(&object) {
                self.others.push(object);
            }
        }
        Ok(())
    }

    fn apply(&mut self, source: &dyn Source, filter: &Filter) -> Result<(), Error> {
        let bitmap = self.index.bitmap();
        match filter {
            Filter::BlobNone => {
                self.bits.remove_all(bitmap.of_kind(Kind::Blob));
                self.others.retain(|object| object.kind != Kind::Blob);
            }
            Filter::BlobLimit(limit) => self.leave_out_large(source, *limit)?,
            Filter::TreeDepth(_) => {
                self.bits.remove_all(bitmap.of_kind(Kind::Blob));
                self.bits.remove_all(bitmap.of_kind(Kind::Tree));
                self.others.retain(|object| !matches!(object.kind, Kind::Tree | Kind::Blob));
            }
            Filter::ObjectType(kind) => {
                self.bits.retain_all(bitmap.of_kind(*kind));
                self.others.retain(|object| object.kind == *kind);
            }
            Filter::Any(filters) => {
                for filter in filters {
                    self.apply(source, filter)?;
                }
            }
            // no bitmap tells of paths: see [`is_told_by_kind`]
            Filter::Sparse(_) => {}
        }
        Ok(())
    }

    fn leave_out_large(&mut self, source: &dyn Source, limit: u64) -> Result<(), Error> {
        let is_large = |id: &ObjectId| match source.header(id) {
            Ok(header) => Ok(header.is_some_and(|(_, size)| size >= limit)),
            Err(source) => Err(Error::Unreadable { id: *id, source }),
        };
        let mut blobs = self.bits.clone();
        blobs.retain_all(self.index.bitmap().of_kind(Kind::Blob));
        for bit in blobs.iter() {
            if let Some(id) = self.index.id(bit)
                && is_large(&id)?
            {
                self.bits.remove(bit);
            }
        }
        let mut kept = Vec::new();
        for object in self.others.drain(..) {
            if object.kind != Kind::Blob || !is_large(&object.id)? {
                kept.push(object);
            }
        }
        self.others = kept;
        Ok(())
    }
}
