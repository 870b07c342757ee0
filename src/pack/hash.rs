//! Hashes: the ids of objects, and the checksums that end packs and their indices.
//!
//! An id names an object, so whoever can make two objects of one id can swap them: SHA-1 ids are computed with the
//! detection of such attacks, as C git's are. A checksum only guards against damage.

#[cfg(target_arch = "x86_64")]
mod attack;
#[cfg(target_arch = "x86_64")]
mod conditions;
#[cfg(target_arch = "x86_64")]
mod lanes;
mod many;
#[cfg(target_arch = "x86_64")]
mod suspects;
#[cfg(target_arch = "x86_64")]
mod vector;

use std::io::{self, Write};

use gix_hash::ObjectId;
use gix_object::Kind;
use sha1::Digest as _;

pub use many::{Hashable, ManyHasher, object_ids};

/// The id of the object of `kind` that consists of `content`.
pub fn object_id(hash: gix_hash::Kind, kind: Kind, content: &[u8]) -> Result<ObjectId, CollisionAttack> {
    let mut hasher = ObjectHasher::new(hash, kind, content.len() as u64);
    hasher.update(content);
    hasher.finish()
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
    gathered: Vec<u8>,
}

/// Bytes gathered before they are hashed and written.
const GATHERED_LEN: usize = 32 * 1024;

impl<W: Write> ChecksumWriter<W> {
    /// Begins a file.
    pub fn new(inner: W, hash: gix_hash::Kind) -> Self {
        Self { inner, hasher: Checksum::new(hash), gathered: Vec::with_capacity(GATHERED_LEN) }
    }

    /// Writes the checksum behind all that was written and gives it.
    pub fn finish(mut self) -> io::Result<ObjectId> {
        self.pass_on()?;
        let checksum = self.hasher.finish();
        self.inner.write_all(checksum.as_slice())?;
        self.inner.flush()?;
        Ok(checksum)
    }

    fn pass_on(&mut self) -> io::Result<()> {
        self.hasher.update(&self.gathered);
        self.inner.write_all(&self.gathered)?;
        self.gathered.clear();
        Ok(())
    }
}

impl<W: Write> Write for ChecksumWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= GATHERED_LEN {
            self.pass_on()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pass_on()?;
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
    use std::collections::HashMap;

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
        let bytes = noise(400_000);
        check(&[]);
        check(&[(Kind::Blob, &bytes)]);
        // Every place of the padding, in every lane.
        let ends = (0..400).map(|len| (Kind::Tree, &bytes[len..2 * len])).collect::<Vec<_>>();
        check(&ends);
        // Lengths so different that some objects are hashed alone.
        let uneven = (1..60).map(|at| (Kind::Commit, &bytes[at..at + at * at * 50])).collect::<Vec<_>>();
        check(&uneven);
        // More bytes than lanes hold, so that not all of them are in use.
        let large = (0..12).map(|at| (Kind::Blob, &bytes[at * 70..])).collect::<Vec<_>>();
        check(&large);
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
    pub(super) fn lanes_are_missing() -> bool {
        let missing = !lanes::is_available();
        if missing {
            let text = b"not tested: this processor has no AVX-512, so that nothing is hashed in lanes\n";
            io::stderr().write_all(text).unwrap();
        }
        missing
    }

    /// A message and its number.
    #[cfg(target_arch = "x86_64")]
    struct Raw<'a>(u32, &'a [u8]);

    #[cfg(target_arch = "x86_64")]
    impl lanes::Message for Raw<'_> {
        fn head(&self, _block: &mut [u8; 64]) -> usize {
            0
        }

        fn body(&self) -> &[u8] {
            self.1
        }

        fn number(&self) -> u32 {
            self.0
        }
    }

    /// The hash of each of `messages`, and whether it shows an attack.
    #[cfg(target_arch = "x86_64")]
    fn hash_in_lanes(messages: &[&[u8]]) -> Vec<(ObjectId, bool)> {
        let mut lanes = lanes::Lanes::new().unwrap();
        let mut hashed = Vec::new();
        let mut queue: Vec<_> = (0..).zip(messages).map(|(at, message)| Raw(at, message)).collect();
        queue.reverse();
        lanes.run(&mut queue, &mut hashed);
        assert!(queue.is_empty());
        lanes.finish(&mut queue, &mut hashed);
        let mut all = vec![None; messages.len()];
        for (Raw(at, _), hash) in hashed {
            all[at as usize] = Some((ObjectId::Sha1(hash), lanes.attacks().contains(&(at, hash))));
        }
        for Raw(at, message) in queue {
            all[at as usize] = Some(hash_alone(message));
        }
        all.into_iter().map(Option::unwrap).collect()
    }

    #[cfg(target_arch = "x86_64")]
    fn hash_alone(message: &[u8]) -> (ObjectId, bool) {
        let mut hasher = ObjectHasher(gix_hash::hasher(SHA1));
        hasher.update(message);
        match hasher.finish() {
            Ok(id) => (id, false),
            Err(CollisionAttack(id)) => (id, true),
        }
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
                let message = |at| if at == place { attack } else { &harmless };
                let messages = (0..40).map(message).collect::<Vec<_>>();
                let hashes = hash_in_lanes(&messages);
                assert!(hashes.iter().enumerate().all(|(at, hash)| hash.1 == (at == place)));
            }
        }
        let hashes = hash_in_lanes(&[SHAMBLES]);
        assert_eq!(hashes[0].0.as_slice()[..4], [0x8a, 0xc6, 0x0b, 0xa7]);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn objects_that_show_an_attack_are_told_by_their_numbers() {
        let body = noise(5000);
        let mut hasher = ManyHasher::new(SHA1);
        for number in 0..50 {
            hasher.push(many::Numbered { number, kind: Kind::Blob, content: &body[number as usize..] });
        }
        assert!(hasher.finish().is_empty());
        assert!(!hasher.has_attack());
        let ids: HashMap<_, _> = hasher.done().map(|(object, id)| (object.number, id)).collect();
        for number in 0..50 {
            assert_eq!(ids[&number], object_id(SHA1, Kind::Blob, &body[number as usize..]).unwrap());
        }
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
        let slices: Vec<_> = messages.iter().map(Vec::as_slice).collect();
        for (message, hash) in messages.iter().zip(hash_in_lanes(&slices)) {
            assert_eq!(hash_alone(message), hash);
        }
    }
}
