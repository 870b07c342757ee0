//! The pack engine: packs in and out, for client and server alike.
//!
//! [`receive()`] takes a pack stream and leaves an indexed pack, or loose objects if there are few. Nothing is visible
//! to other processes before everything in the stream has been checked.
//!
//! ```text
//! receive  stream ──> temporary pack      pass 1: entries, ids of whole objects      (entry, inflate, hash, links)
//!          resolve ─> worker, worker …    pass 2: deltas, in threads                 (table, delta, map)
//!          thin                           the bases a thin pack leaves out
//!          store ───> index, loose        everything gets its lasting name
//! ```
//!
//! [`entry`], [`delta`], [`hash`] and [`index`] know the formats and nothing of where bytes come from or go to.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use bstr::BString;
use gix_hash::{ObjectId, oid};
use gix_tempfile::{AutoRemove, ContainingDirectory};

use crate::storage::Storage;

pub mod bitmap;
mod collision;
mod complete;
pub mod delta;
pub mod entry;
pub mod enumerate;
pub mod examine;
mod family;
pub mod fsck;
pub mod hash;
mod held;
pub mod index;
pub(crate) mod inflate;
pub(crate) mod kept;
pub mod links;
mod loose;
mod made;
pub(crate) mod map;
mod meter;
mod namer;
mod naming;
mod path;
pub mod placement;
pub mod produce;
mod read;
pub mod receive;
mod recent;
mod resolve;
mod sorted;
pub mod source;
mod special;
mod store;
mod stream;
mod table;
mod temporary;
mod thin;
mod worker;

pub use gix_object::Kind;
pub use loose::{Arrival, receive_loose, write_loose};
pub(crate) use loose::{freshen, freshen_loose};
pub use receive::{receive, receive_at};
pub use special::{check_modules, check_objects};

/// Gives objects that a thin pack's deltas are based on, and those that an incoming object may collide with.
pub trait Bases: Sync {
    /// Puts the content of the object `id` into `out` and gives its kind; `None` if there is no such object.
    fn find(&self, id: &oid, out: &mut Vec<u8>) -> io::Result<Option<Kind>>;
    /// Whether the object `id` exists.
    fn contains(&self, id: &oid) -> bool;
    /// Whether the object `id` exists and is taken for a new one from now on, so that nobody prunes it.
    fn freshen(&self, id: &oid) -> bool {
        self.contains(id)
    }
    /// The kind of the object `id`; `None` if there is no such object.
    fn kind(&self, id: &oid) -> io::Result<Option<Kind>> {
        self.find(id, &mut Vec::new())
    }
    /// The pack in which `id` is stored just so: as `entry` says, which is what it holds and how many bytes its zlib stream
    /// inflates to, and with the zlib stream `deflated`. The bases of deltas are told by their ids. `None` if it is stored in
    /// another way, or that is not known.
    fn stored_as(&self, _id: &oid, _entry: (source::Stored, u64), _deflated: &[u8]) -> Option<u32> {
        None
    }
    /// As [`find`](Self::find), for a base that a thin pack leaves out; `None` where packs must be complete.
    fn find_base(&self, id: &oid, out: &mut Vec<u8>) -> io::Result<Option<Kind>> {
        self.find(id, out)
    }
    /// Is told of all bases that are going to be asked for, and may bring at once what is not here yet.
    fn bring(&self, _ids: &[ObjectId]) -> io::Result<()> {
        Ok(())
    }
}

/// Objects that those of a pack may collide with, but that complete none: each pack must be whole.
pub struct Comparable<'a>(pub &'a dyn Bases);

impl Bases for Comparable<'_> {
    fn find(&self, id: &oid, out: &mut Vec<u8>) -> io::Result<Option<Kind>> {
        self.0.find(id, out)
    }

    fn contains(&self, id: &oid) -> bool {
        self.0.contains(id)
    }

    fn freshen(&self, id: &oid) -> bool {
        self.0.freshen(id)
    }

    fn kind(&self, id: &oid) -> io::Result<Option<Kind>> {
        self.0.kind(id)
    }

    fn stored_as(&self, id: &oid, entry: (source::Stored, u64), deflated: &[u8]) -> Option<u32> {
        self.0.stored_as(id, entry, deflated)
    }

    fn find_base(&self, _id: &oid, _out: &mut Vec<u8>) -> io::Result<Option<Kind>> {
        Ok(None)
    }
}

/// How a pack is to be received.
pub struct Options<'a> {
    /// The `objects` directory that takes the pack or the loose objects.
    pub objects: PathBuf,
    /// How the files in it are stored.
    pub storage: Storage,
    /// The hash function of the repository.
    pub object_hash: gix_hash::Kind,
    /// Where bases that are not in the pack come from, and objects that those in it may collide with. `None` if the pack
    /// must be self-contained.
    pub bases: Option<&'a dyn Bases>,
    /// Packs of fewer objects than this are unpacked to loose objects; 0 always keeps the pack
    /// (`fetch.unpackLimit`, 100 by default).
    pub unpack_limit: u32,
    /// The content of a `.keep` file to write beside the pack, if it stays one, which guards it from `git gc` until
    /// [`Keep`] is dropped.
    pub keep: Option<BString>,
    /// The content of a `.promisor` file to write beside the pack, which always stays one: it came from a promisor remote. The
    /// file is empty where the pack has fewer objects than `unpack_limit`.
    pub promisor: Option<BString>,
    /// Threads that resolve deltas; 0 means one for each processor.
    pub threads: usize,
    /// The largest pack accepted, in bytes; 0 means any, less than that none at all: seen in git 2.47.3.
    pub size_max_bytes: i64,
    /// The largest object that a delta may make, in bytes, and the largest that it may make it of, or be itself; 0 means any.
    /// These are held in memory, and some hundred bytes can make gigabytes.
    pub made_len_max: u64,
    /// Whether bytes after the pack's trailer are an error. False where the stream goes on, as a bare v0 pipe may.
    pub to_end: bool,
    /// What objects are checked for beyond being readable; `None`: nothing (`transfer.fsckObjects`).
    pub fsck: Option<&'a fsck::Rules>,
    /// The shallow boundary: commits whose parents need not be there.
    pub shallow: &'a [ObjectId],
}

/// What was received.
#[derive(Debug)]
pub struct Received {
    /// The id in the pack's trailer, which names its files.
    pub pack_id: ObjectId,
    /// The objects that were in the stream; bases added to complete a thin pack are not counted.
    pub objects: u32,
    /// The bytes of the stream, header and trailer included.
    pub bytes: u64,
    /// Where the objects went.
    pub stored: Stored,
    /// The objects that those in the pack refer to and that are not in the pack themselves, or not as what they are named.
    pub links: Links,
}

/// Where received objects went.
#[derive(Debug)]
pub enum Stored {
    /// Into a pack; the path is that of the `.pack` file.
    Pack {
        /// The `.pack` file.
        path: PathBuf,
        /// Guards the pack until the refs have moved.
        keep: Option<Keep>,
    },
    /// Into loose objects.
    Loose,
    /// Nowhere: the pack was empty.
    Nothing,
}

/// A `.keep` file, removed when dropped, and when a signal ends the process.
#[derive(Debug)]
pub struct Keep(gix_tempfile::Handle<gix_tempfile::handle::Closed>);

impl Keep {
    /// Writes the `.keep` file `path` with `content`; `None` if somebody else's is there already.
    ///
    /// # Errors
    ///
    /// If it cannot be written; it is gone then.
    pub fn create(path: &Path, content: &[u8]) -> io::Result<Option<Self>> {
        let created = gix_tempfile::writable_at(path, ContainingDirectory::Exists, AutoRemove::Tempfile);
        let mut handle = match created {
            Ok(handle) => handle,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            Err(error) => return Err(error),
        };
        handle.write_all(content)?;
        Ok(Some(Self(handle.close()?)))
    }

    /// Leaves the file where it is, for others to remove.
    pub fn stay(self) {
        if let Some(file) = self.0.take() {
            // it fails only where the platform cannot give up removing a file, which none we run on does
            let _left = file.keep();
        }
    }
}

impl Links {
    /// Adds what the objects of another pack refer to. What is in the one pack may be among the links of the other.
    pub fn extend(&mut self, other: Self) {
        self.commits.extend(other.commits);
        self.trees.extend(other.trees);
        self.blobs.extend(other.blobs);
        self.others.extend(other.others);
    }

    /// Whether nothing is referred to that is not in the pack: its history is whole by itself.
    pub fn is_empty(&self) -> bool {
        self.named().next().is_none()
    }

    /// All of them, each with the kind that it is to be of.
    pub fn named(&self) -> impl Iterator<Item = (ObjectId, Kind)> {
        fn of(ids: &[ObjectId], kind: Kind) -> impl Iterator<Item = (ObjectId, Kind)> {
            ids.iter().map(move |id| (*id, kind))
        }
        let entries = of(&self.trees, Kind::Tree).chain(of(&self.blobs, Kind::Blob));
        of(&self.commits, Kind::Commit).chain(entries).chain(self.others.iter().copied())
    }
}

/// What objects refer to outside of their pack: what must exist for the pack's history to be connected. An object of the
/// pack that is of another kind than it is named as is among these too.
#[derive(Debug, Default)]
pub struct Links {
    /// Commits named as parents, as targets of tags.
    pub commits: Vec<ObjectId>,
    /// Trees named by commits, by trees, and as targets of tags.
    pub trees: Vec<ObjectId>,
    /// Blobs named by trees.
    pub blobs: Vec<ObjectId>,
    /// Blobs and tags that tags name, and which of the two each is to be.
    pub others: Vec<(ObjectId, Kind)>,
}

/// What can be wrong with a pack, sorted by whose fault it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Reading the stream failed.
    #[error("cannot read pack: {0}")]
    Read(#[source] io::Error),
    /// Writing to the disk failed.
    #[error("unable to write '{}': {source}", path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The stream ended in the middle.
    #[error("early EOF")]
    EarlyEof,
    /// An entry or the frame of the pack is not what it should be; `message` in git's words.
    #[error("pack has bad object at offset {offset}: {message}")]
    BadObject {
        /// Where the entry begins, in bytes from the start of the stream.
        offset: u64,
        /// What is wrong.
        message: String,
    },
    /// A delta makes more than [`Options::made_len_max`], is made for more, or is longer itself.
    #[error(
        "pack has bad object at offset {offset}: delta needs {len} bytes, more than the {len_max} that are taken"
    )]
    DeltaTooLarge {
        /// Where the entry begins, in bytes from the start of the stream.
        offset: u64,
        /// The bytes of what is too large, as the pack says itself.
        len: u64,
        /// The limit.
        len_max: u64,
    },
    /// An object that names others cannot be read; why was told as [`Event::Error`](crate::progress::Event::Error).
    #[error(transparent)]
    Malformed(links::Malformed),
    /// The pack as a whole is not what it should be.
    #[error("{0}")]
    BadPack(String),
    /// Deltas whose base is neither in the pack nor in the repository.
    #[error("pack has {count} unresolved delta{}", if *count == 1 { "" } else { "s" })]
    Unresolved {
        /// How many.
        count: u64,
    },
    /// An incoming object has the id of one we have and other content.
    #[error("SHA1 COLLISION FOUND WITH {id} !")]
    Collision {
        /// The id both have.
        id: ObjectId,
    },
    /// An object that is to be sent is not here.
    #[error("{} {id}", missing(kind))]
    Missing {
        /// What it should be; `object` if that is not known.
        kind: &'static str,
        /// Its id.
        id: ObjectId,
    },
    /// A commit that is to be sent is not here, although its child is.
    #[error("Failed to traverse parents of commit {child}")]
    MissingParent {
        /// The commit that is not here.
        id: ObjectId,
        /// The commit that names it.
        child: ObjectId,
    },
    /// An object that is to be sent cannot be read.
    #[error("unable to read {id}")]
    Unreadable {
        /// Its id.
        id: ObjectId,
        /// What is wrong with it.
        source: io::Error,
    },
    /// Whoever was to read the pack is gone.
    #[error("cannot send pack: {0}")]
    Send(#[source] io::Error),
    /// The caller asked the work to stop.
    #[error("interrupted")]
    Interrupted,
}

/// What git 2.47.3 says in front of the id of a missing object.
fn missing(kind: &str) -> &'static str {
    match kind {
        "blob" => "unable to read",
        "tree" => "bad tree object",
        _ => "bad object",
    }
}
