//! The content of blobs: in memory, or as a stream where it is large.

use gix_hash::oid;
use gix_object::Kind;

use super::Place;
use super::work_tree::Content;
use crate::pack::source::{Source, Stored};
use crate::repo::Error;
use crate::repo::object::Objects;

/// From this size on blobs are streamed, in bytes.
const STREAMED_FROM_BYTES: u64 = 8 * 1024 * 1024;

/// The blobs of a repository, for many threads.
pub(super) struct Blobs(Objects);

impl Blobs {
    pub fn open(place: &Place<'_>) -> Result<Self, Error> {
        Objects::at(place.objects_dir.to_owned(), place.object_hash).map(Self)
    }

    /// The content of `id` as a stream; `None` if it cannot be read.
    pub fn stream(&self, id: &oid) -> Option<Content<'_>> {
        self.0.open_stream(id).ok()?.map(Content::Stream)
    }

    /// The content of `id` in `buffer`; `None` if it cannot be read.
    pub fn read<'a>(&self, id: &oid, buffer: &'a mut Vec<u8>) -> Option<Content<'a>> {
        self.find(id, buffer).map(Content::Bytes)
    }

    /// As [`read`](Self::read), as plain bytes.
    pub fn find<'a>(&self, id: &oid, buffer: &'a mut Vec<u8>) -> Option<&'a [u8]> {
        let kind = self.0.find(id, buffer).ok()??;
        (kind == Kind::Blob).then_some(buffer.as_slice())
    }

    /// Whether `id` is large, and can be streamed.
    pub fn is_large(&self, id: &oid) -> bool {
        match self.0.locate(id) {
            Ok(Some(place)) => {
                place.size >= STREAMED_FROM_BYTES && place.content == Stored::Whole(Kind::Blob)
            }
            Ok(None) => {
                let header = self.0.header(id).ok().flatten();
                header.is_some_and(|(kind, size)| kind == Kind::Blob && size >= STREAMED_FROM_BYTES)
            }
            Err(_) => false,
        }
    }
}
