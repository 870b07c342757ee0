//! The format, and what may be wrong with a file.

use proptest::prelude::*;

use super::ewah::tests::encode;
use super::*;

fn checksum() -> ObjectId {
    ObjectId::from([7; 20])
}

fn set(numbers: &[u32]) -> Bits {
    let mut bits = Bits::new(5);
    for number in numbers {
        assert!(bits.insert(*number));
    }
    bits
}

/// Five objects in the order commit, commit, tree, blob, tag, whose ids are in the opposite order. The first commit
/// reaches all but the tag, and its bitmap is told by the difference to that of the second.
fn file(options: u16) -> Vec<u8> {
    let mut out = b"BITM\0\x01".to_vec();
    out.extend((FULL_DAG | options).to_be_bytes());
    out.extend(2_u32.to_be_bytes());
    out.extend(checksum().as_slice());
    for numbers in [&[0, 1][..], &[2], &[3], &[4]] {
        out.extend(encode(&set(numbers)));
    }
    let second = out.len() as u64;
    out.extend([0, 0, 0, 3, 0, 0]);
    out.extend(encode(&set(&[1, 2])));
    let first = out.len() as u64;
    out.extend([0, 0, 0, 4, 1, 0]);
    out.extend(encode(&set(&[0, 3])));
    if options & LOOKUP_TABLE != 0 {
        for (position, at, base) in [(3_u32, second, NO_ROW), (4, first, 0)] {
            out.extend(position.to_be_bytes());
            out.extend(at.to_be_bytes());
            out.extend(base.to_be_bytes());
        }
    }
    if options & HASH_CACHE != 0 {
        for hash in 10_u32..15 {
            out.extend(hash.to_be_bytes());
        }
    }
    out.extend([0; 20]);
    out
}

fn open(bytes: Vec<u8>) -> Result<Bitmap, Broken> {
    Bitmap::open(Box::new(bytes), 5, &checksum())
}

fn reach(bitmap: &Bitmap, position: u32) -> Option<Vec<u32>> {
    let (mut reached, mut scratch) = (Bits::new(5), Bits::new(5));
    bitmap.reach(position, &mut reached, &mut scratch).then(|| reached.iter().collect())
}

#[test]
fn commits_reach_what_their_bitmaps_say() {
    for options in [0, HASH_CACHE, LOOKUP_TABLE, HASH_CACHE | LOOKUP_TABLE, PSEUDO_MERGES] {
        let bitmap = open(file(options)).unwrap_or_else(|broken| panic!("{options}: {broken}"));
        assert_eq!(reach(&bitmap, 3).unwrap(), [1, 2]);
        assert_eq!(reach(&bitmap, 4).unwrap(), [0, 1, 2, 3]);
        assert_eq!(reach(&bitmap, 0), None);
        assert!(bitmap.has(4) && !bitmap.has(2));
        let kinds = [0, 2, 3, 4, 5].map(|bit| bitmap.kind(bit));
        assert_eq!(kinds, [Some(Kind::Commit), Some(Kind::Tree), Some(Kind::Blob), Some(Kind::Tag), None]);
        let hashes = [0, 4, 5].map(|position| bitmap.name_hash(position));
        assert_eq!(hashes, if options & HASH_CACHE == 0 { [0; 3] } else { [10, 14, 0] });
    }
}

#[test]
fn what_is_wrong_is_said_in_git_s_words() {
    let broken = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = file(0);
        change(&mut bytes);
        open(bytes).err().unwrap().to_string()
    };
    assert_eq!(broken(&|bytes| bytes.truncate(20)), "corrupted bitmap index (too small)");
    assert_eq!(broken(&|bytes| bytes[0] = b'b'), "corrupted bitmap index file (wrong header)");
    assert_eq!(broken(&|bytes| bytes[4] = 0xff), "unsupported version '65281' for bitmap index file");
    assert!(broken(&|bytes| bytes[7] = 0).contains("FULL_DAG"));
    assert!(broken(&|bytes| bytes[7] |= 0x80).contains("unsupported options"));
    assert!(broken(&|bytes| bytes[11] = 3).contains("entry 2"));
    let claims = |options: u16| {
        let mut bytes = file(options);
        bytes.truncate(60);
        open(bytes).err().unwrap().to_string()
    };
    assert!(claims(HASH_CACHE).contains("hash cache") && claims(LOOKUP_TABLE).contains("lookup table"));
    assert_eq!(Bitmap::open(Box::new(file(0)), 5, &ObjectId::from([8; 20])).err(), Some(Broken::Checksum));
}

#[test]
fn rows_that_name_each_other_are_of_no_use() {
    let mut bytes = file(LOOKUP_TABLE);
    let base_of_first = bytes.len() - 20 - 16 - 4;
    bytes[base_of_first..base_of_first + 4].copy_from_slice(&1_u32.to_be_bytes());
    let bitmap = open(bytes).unwrap();
    assert_eq!((reach(&bitmap, 3), reach(&bitmap, 4)), (None, None));
}

proptest! {
    #[test]
    fn no_bytes_do_any_harm(
        options in prop::sample::select(vec![0, HASH_CACHE, LOOKUP_TABLE, HASH_CACHE | LOOKUP_TABLE]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        len in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
    ) {
        let mut bytes = file(options);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if is_cut {
            bytes.truncate(len.index(bytes.len()));
        }
        if let Ok(bitmap) = open(bytes) {
            for position in 0..6 {
                prop_assert!(reach(&bitmap, position).is_none_or(|reached| reached.iter().all(|bit| *bit < 5)));
                let _any = (bitmap.name_hash(position), bitmap.kind(position), bitmap.has(position));
            }
        }
    }
}
