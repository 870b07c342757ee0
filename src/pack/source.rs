//! What the engine needs of a repository to make a pack.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use gix_hash::{ObjectId, oid};
use gix_object::Kind;

use super::bitmap::{Broken, Indexed};

/// git-config(1), `core.maxTreeDepth`: 2048 by default.
pub const TREE_DEPTH_MAX: usize = 2_048;

/// A repository's objects, as the making of a pack reads them. One value is used by many threads.
pub trait Source: super::Bases {
    /// The kind of `id` and the bytes of its content, without inflating it whole; `None` if there is no such object.
    fn header(&self, id: &oid) -> io::Result<Option<(Kind, u64)>>;

    /// The commit `id` as far as walks need it, the shallow boundary respected; `None` if there is no such commit.
    fn commit(&self, id: &oid) -> io::Result<Option<Commit>>;

    /// Where `id` lies in one of the repository's packs; `None` if it is loose or not there at all. Packs with a
    /// `.keep` file count as any other.
    fn locate(&self, id: &oid) -> io::Result<Option<Location>>;

    /// The object at the beginning of an entry of `pack`: what the base of an ofs-delta is called.
    fn id_at(&self, pack: u32, offset: u64) -> io::Result<Option<ObjectId>>;

    /// Shows `read` the entry's zlib stream as it is on disk, piece by piece, after its CRC32 was found right. Of an entry
    /// that is broken nothing is shown: it is an error, and the caller makes a new one from the object.
    fn with_entry(&self, location: &Location, read: &mut dyn FnMut(&[u8])) -> io::Result<()>;

    /// What is written down of what commits reach. Nothing is where the history is cut off, as that holds for all of it.
    fn bitmaps(&self) -> io::Result<Bitmaps> {
        Ok(Bitmaps::default())
    }

    /// The entries of `pack` as they lie on disk; `None` if they are not to be had like that.
    fn entries(&self, _pack: u32) -> io::Result<Option<Arc<dyn Entries>>> {
        Ok(None)
    }

    /// The place of `id` in the order of entries of one of the packs, and which pack that is; `None` if that is not known.
    fn entry_place(&self, _id: &oid) -> io::Result<Option<(u32, u32)>> {
        Ok(None)
    }

    /// Where the entry of `id` begins in one of the packs, and which pack that is; `None` if that is not known.
    fn entry_offset(&self, _id: &oid) -> io::Result<Option<(u32, u64)>> {
        Ok(None)
    }

    /// How deep trees may stand in others before a walk gives up; that of a commit is at 0.
    fn tree_depth_max(&self) -> usize {
        TREE_DEPTH_MAX
    }

    /// The content of `id` as a stream, so that big objects need not be in memory; `None` if there is no such object.
    ///
    /// The stream ends with an error where the object is broken or is not as long as its header says. Here the whole
    /// content is read first; a source that can do better does so.
    fn open_stream(&self, id: &oid) -> io::Result<Option<Box<dyn Read + '_>>> {
        let mut content = Vec::new();
        let found = self.find(id, &mut content)?;
        Ok(found.map(|_| Box::new(io::Cursor::new(content)) as Box<dyn Read>))
    }
}

/// The bitmaps of a repository.
#[derive(Clone, Default)]
pub struct Bitmaps {
    /// The one to use.
    pub index: Option<Arc<dyn Indexed>>,
    /// What is wrong with others.
    pub broken: Vec<Broken>,
}

/// The entries of a pack by their place in it: the first has the place 0.
pub trait Entries: Send + Sync {
    /// How many there are.
    fn count(&self) -> u32;

    /// Where the entry at `place` begins; for [`count`](Self::count) where the last one ends.
    fn offset(&self, place: u32) -> Option<u64>;

    /// The place of the entry of `id`.
    fn place_of(&self, id: &oid) -> Option<u32>;

    /// The object at `place`.
    fn id(&self, place: u32) -> Option<ObjectId>;

    /// The CRC-32 that the entry at `place` should have, header included.
    fn crc32(&self, place: u32) -> Option<u32>;

    /// The bytes of the pack.
    fn bytes(&self, range: Range<u64>) -> Option<&[u8]>;

    /// The checksum that stands behind the last entry.
    fn trailer(&self) -> Option<ObjectId>;

    /// Takes note that so many bytes were read, so that the memory in which they are can be let go.
    fn were_read(&self, bytes: usize);
}

/// A commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The tree.
    pub tree: ObjectId,
    /// The parents in order; none beyond a shallow boundary.
    pub parents: Vec<ObjectId>,
    /// The committer's date in seconds since 1970.
    pub date: i64,
}

/// Where an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Location {
    /// Which of the source's packs.
    pub pack: u32,
    /// Where the entry begins, header included.
    pub offset: u64,
    /// The bytes of its zlib stream on disk.
    pub stream_len: u64,
    /// What it holds.
    pub content: Stored,
    /// The bytes the zlib stream inflates to: those of the object, or of the delta.
    pub size: u64,
}

/// What an entry on disk holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stored {
    /// A whole object.
    Whole(Kind),
    /// A delta to the entry of the same pack at this offset.
    OffsetDelta(u64),
    /// A delta to this object.
    IdDelta(ObjectId),
}
