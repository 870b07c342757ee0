//! Hashes: the ids of objects, and the checksums that end packs and their indices.
//!
//! An id names an object, so whoever can make two objects of one id can swap them: SHA-1 ids are computed with the
//! detection of such attacks, as C git's are. A checksum only guards against damage.

use std::io::{self, Write};

use gix_hash::ObjectId;
use gix_object::Kind;

/// The id of the object of `kind` that consists of `content`.
pub fn object_id(hash: gix_hash::Kind, kind: Kind, content: &[u8]) -> Result<ObjectId, CollisionAttack> {
    let mut hasher = ObjectHasher::new(hash, kind, content.len() as u64);
    hasher.update(content);
    hasher.finish()
}

/// The ids of many objects, in their order: one call for all of them.
pub fn object_ids(hash: gix_hash::Kind, objects: &[(Kind, &[u8])]) -> Vec<Result<ObjectId, CollisionAttack>> {
    objects.iter().map(|(kind, content)| object_id(hash, *kind, content)).collect()
}

/// Computes the id of an object whose content comes in pieces.
#[derive(Clone)]
pub struct ObjectHasher(gix_hash::Hasher);

impl ObjectHasher {
    /// Begins an object of `kind` with `size` bytes.
    pub fn new(hash: gix_hash::Kind, kind: Kind, size: u64) -> Self {
        let mut hasher = gix_hash::hasher(hash);
        hasher.update(&gix_object::encode::loose_header(kind, size));
        Self(hasher)
    }

    /// Adds content.
    pub fn update(&mut self, content: &[u8]) {
        self.0.update(content);
    }

    /// The id of all that was added.
    pub fn finish(self) -> Result<ObjectId, CollisionAttack> {
        match self.0 {
            gix_hash::Hasher::Sha1(hasher) => match hasher.finalize() {
                Ok(digest) => Ok(ObjectId::Sha1(digest.into())),
                Err(collision) => Err(CollisionAttack(ObjectId::Sha1(collision.digest().into()))),
            },
            // Only SHA-1 has attacks to detect, so this never fails.
            hasher @ gix_hash::Hasher::Sha256(_) => {
                hasher.try_finalize().map_err(|_| CollisionAttack(ObjectId::null(gix_hash::Kind::Sha256)))
            }
        }
    }
}

/// The bytes of an object are those of an attack on SHA-1: another object of the same id may exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("SHA-1 appears to be part of a collision attack: {0}")]
pub struct CollisionAttack(pub ObjectId);

/// Computes the checksum of a file while it is written to `inner`.
pub struct ChecksumWriter<W> {
    inner: W,
    hasher: Checksum,
}

impl<W: Write> ChecksumWriter<W> {
    /// Begins a file.
    pub fn new(inner: W, hash: gix_hash::Kind) -> Self {
        Self { inner, hasher: Checksum::new(hash) }
    }

    /// Writes the checksum behind all that was written and gives it.
    pub fn finish(mut self) -> io::Result<ObjectId> {
        let checksum = self.hasher.finish();
        self.inner.write_all(checksum.as_slice())?;
        self.inner.flush()?;
        Ok(checksum)
    }
}

impl<W: Write> Write for ChecksumWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or(bytes));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The checksum of a pack or an index.
#[derive(Clone)]
pub struct Checksum(gix_hash::Hasher);

impl Checksum {
    /// Begins a file.
    pub fn new(hash: gix_hash::Kind) -> Self {
        Self(gix_hash::hasher(hash))
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of all that was added.
    pub fn finish(self) -> ObjectId {
        match ObjectHasher(self.0).finish() {
            // The bytes of an attack in a file do the file's checksum no harm.
            Ok(checksum) | Err(CollisionAttack(checksum)) => checksum,
        }
    }
}
