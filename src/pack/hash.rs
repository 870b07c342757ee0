//! Hashes: the ids of objects, and the checksums that end packs and their indices.
//!
//! An id names an object, so whoever can make two objects of one id can swap them: SHA-1 ids are computed with the
//! detection of such attacks, as C git's are. A checksum only guards against damage.

#[cfg(target_arch = "x86_64")]
mod attack;
#[cfg(target_arch = "x86_64")]
mod lanes;
#[cfg(target_arch = "x86_64")]
mod vector;

use std::io::{self, Write};

use gix_hash::ObjectId;
use gix_object::Kind;
use sha1::Digest as _;

/// An object of more than so many times what each lane has to do on average is hashed alone.
#[cfg(target_arch = "x86_64")]
const ALONE_FROM: usize = 2;

/// The id of the object of `kind` that consists of `content`.
pub fn object_id(hash: gix_hash::Kind, kind: Kind, content: &[u8]) -> Result<ObjectId, CollisionAttack> {
    let mut hasher = ObjectHasher::new(hash, kind, content.len() as u64);
    hasher.update(content);
    hasher.finish()
}

/// The ids of many objects, in their order: where the processor can, several are computed at once.
pub fn object_ids(hash: gix_hash::Kind, objects: &[(Kind, &[u8])]) -> Vec<Result<ObjectId, CollisionAttack>> {
    #[cfg(target_arch = "x86_64")]
    if hash == gix_hash::Kind::Sha1 && lanes::is_available() {
        return at_once(objects);
    }
    objects.iter().map(|(kind, content)| object_id(hash, *kind, content)).collect()
}

/// The ids of `objects`, large ones first so that the lanes end together. One that would keep a single lane busy when all
/// others are done is faster alone.
#[cfg(target_arch = "x86_64")]
fn at_once(objects: &[(Kind, &[u8])]) -> Vec<Result<ObjectId, CollisionAttack>> {
    let mut order: Vec<usize> = (0..objects.len()).collect();
    let len = |at: &usize| objects.get(*at).map_or(0, |(_, content)| content.len());
    order.sort_unstable_by_key(|at| std::cmp::Reverse(len(at)));
    let mut left: usize = order.iter().map(len).sum();
    let mut alone = 0;
    for at in &order {
        if len(at) <= left / lanes::LANES * ALONE_FROM {
            break;
        }
        (left, alone) = (left - len(at), alone + 1);
    }
    let (_alone, together) = order.split_at(alone);
    let mut ids = vec![None; objects.len()];
    let head =
        |(kind, content): &(Kind, &[u8])| gix_object::encode::loose_header(*kind, content.len() as u64);
    let heads: Vec<_> = objects.iter().map(head).collect();
    let messages = together.iter().filter_map(|at| Some((heads.get(*at)?, objects.get(*at)?.1)));
    let messages: Vec<_> = messages.map(|(head, body)| lanes::Message { head, body }).collect();
    for (at, hash) in together.iter().zip(lanes::hash_all(&messages)) {
        let id = ObjectId::Sha1(hash.bytes);
        if let Some(slot) = ids.get_mut(*at) {
            *slot = Some(if hash.is_attack { Err(CollisionAttack(id)) } else { Ok(id) });
        }
    }
    let single =
        |at: usize| objects.get(at).map(|(kind, content)| object_id(gix_hash::Kind::Sha1, *kind, content));
    ids.into_iter().enumerate().filter_map(|(at, id)| id.or_else(|| single(at))).collect()
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

/// The checksum of a pack or an index. Nobody finds anything by it, so that the bytes of an attack in a file do no harm:
/// it is computed without looking for them, several times faster.
#[derive(Clone)]
pub struct Checksum(Plain);

/// The hash functions as the standards have them.
#[derive(Clone)]
enum Plain {
    Sha1(sha1::Sha1),
    Other(gix_hash::Hasher),
}

impl Checksum {
    /// Begins a file.
    pub fn new(hash: gix_hash::Kind) -> Self {
        Self(match hash {
            gix_hash::Kind::Sha1 => Plain::Sha1(sha1::Sha1::default()),
            other => Plain::Other(gix_hash::hasher(other)),
        })
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Plain::Sha1(hasher) => hasher.update(bytes),
            Plain::Other(hasher) => hasher.update(bytes),
        }
    }

    /// The checksum of all that was added.
    pub fn finish(self) -> ObjectId {
        match self.0 {
            Plain::Sha1(hasher) => ObjectId::Sha1(hasher.finalize().into()),
            Plain::Other(hasher) => match ObjectHasher(hasher).finish() {
                Ok(checksum) | Err(CollisionAttack(checksum)) => checksum,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA1: gix_hash::Kind = gix_hash::Kind::Sha1;

    /// Bytes that look random.
    fn noise(len: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let next = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        });
        next.take(len).collect()
    }

    #[track_caller]
    fn check(objects: &[(Kind, &[u8])]) {
        for hash in [SHA1, gix_hash::Kind::Sha256] {
            let single = objects.iter().map(|(kind, content)| object_id(hash, *kind, content));
            assert_eq!(object_ids(hash, objects), single.collect::<Vec<_>>());
        }
    }

    #[test]
    fn ids_of_many_objects_are_those_of_each() {
        let bytes = noise(200_000);
        check(&[]);
        check(&[(Kind::Blob, &bytes)]);
        // Every place of the padding, in every lane.
        let ends = (0..400).map(|len| (Kind::Tree, &bytes[len..2 * len])).collect::<Vec<_>>();
        check(&ends);
        // Lengths so different that some objects are hashed alone.
        let uneven = (1..60).map(|at| (Kind::Commit, &bytes[at..at + at * at * 50])).collect::<Vec<_>>();
        check(&uneven);
    }

    /// The first of the two messages of G. Leurent and T. Peyrin, "SHA-1 is a Shambles" (2020).
    const SHAMBLES: &[u8] = include_bytes!("hash/shambles.bin");

    /// What the two files of M. Stevens, E. Bursztein, P. Karpman, A. Albertini and Y. Markov, "The first collision for
    /// full SHA-1" (2017), begin with; all bytes after these are the same in both.
    const SHATTERED: [&[u8]; 2] =
        [include_bytes!("hash/shattered-1.bin"), include_bytes!("hash/shattered-2.bin")];

    #[test]
    fn the_files_of_published_attacks_are_seen_as_such() {
        let mut ids = SHATTERED.map(|file| {
            let mut hasher = ObjectHasher(gix_hash::hasher(SHA1));
            hasher.update(file);
            hasher.finish().unwrap_err().0
        });
        assert_eq!(ids[0], ids[1]);
        assert_eq!(ids[0].to_string(), "f92d74e3874587aaf443d1db961d4e26dde13e9c");
        // Behind the head that git puts before them they are files as any others, for C git too.
        ids = SHATTERED.map(|file| object_id(SHA1, Kind::Blob, file).unwrap());
        assert_eq!(ids[0].to_string(), "ef380704685cc8e54de9bc13556d1ff7026ec0cc");
        assert_ne!(ids[0], ids[1]);
    }

    #[test]
    fn the_checksum_of_a_file_is_plain() {
        let mut checksum = Checksum::new(SHA1);
        checksum.update(SHATTERED[1]);
        assert_eq!(checksum.finish().to_string(), "f92d74e3874587aaf443d1db961d4e26dde13e9c");
    }

    /// Whether the processor cannot hash in lanes, which then are not tested: the test's output says so.
    #[cfg(target_arch = "x86_64")]
    fn lanes_are_missing() -> bool {
        let missing = !lanes::is_available();
        if missing {
            let text = b"not tested: this processor has no AVX-512, so that nothing is hashed in lanes\n";
            io::stderr().write_all(text).unwrap();
        }
        missing
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn an_attack_is_seen_in_every_lane() {
        if lanes_are_missing() {
            return;
        }
        for attack in [SHAMBLES, SHATTERED[0], SHATTERED[1]] {
            let harmless = noise(attack.len());
            for place in 0..40 {
                let message =
                    |at| lanes::Message { head: &[], body: if at == place { attack } else { &harmless } };
                let messages = (0..40).map(message).collect::<Vec<_>>();
                let hashes = lanes::hash_all(&messages);
                assert!(hashes.iter().enumerate().all(|(at, hash)| hash.is_attack == (at == place)));
            }
        }
        let message = lanes::Message { head: &[], body: SHAMBLES };
        assert_eq!(lanes::hash_all(&[message])[0].bytes[..4], [0x8a, 0xc6, 0x0b, 0xa7]);
    }

    /// Each block is looked at by the rules of the sha1dc crate, and found as suspect as it finds it.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn an_attack_is_seen_wherever_it_stands() {
        if lanes_are_missing() {
            return;
        }
        let bytes = noise(64 * 20);
        let mut messages = Vec::new();
        for len in (0..bytes.len()).step_by(61) {
            for attack in [SHATTERED[0], SHATTERED[1], SHAMBLES] {
                // Before the attack, and with its last block broken off or another byte in it.
                messages.push([attack, &bytes[..len]].concat());
                messages.push([&bytes[..len], attack].concat());
                messages.push(attack[..attack.len() - 64].to_vec());
                messages.push(attack.iter().rev().copied().collect());
            }
        }
        let lanes: Vec<_> = messages.iter().map(|body| lanes::Message { head: &[], body }).collect();
        for (message, hash) in messages.iter().zip(lanes::hash_all(&lanes)) {
            let mut hasher = ObjectHasher(gix_hash::hasher(SHA1));
            hasher.update(message);
            let (id, is_attack) = match hasher.finish() {
                Ok(id) => (id, false),
                Err(CollisionAttack(id)) => (id, true),
            };
            assert_eq!((id.as_slice(), is_attack), (hash.bytes.as_slice(), hash.is_attack));
        }
    }
}
