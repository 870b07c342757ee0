//! The frame of a pack: its header and the headers of its entries (gitformat-pack(5)).
//!
//! ```text
//! "PACK" version:u32 objects:u32  { entry header, [base], zlib stream }*  checksum of all before
//! ```
//!
//! An entry header holds the type, and the size of what the zlib stream inflates to. A delta names its base behind
//! it: by the distance to an earlier entry, or by object id.

use gix_hash::ObjectId;
use gix_object::Kind;

/// The bytes of a pack's header.
pub const PACK_HEADER_LEN: usize = 12;

/// The longest entry header there can be: ten bytes of size and ten of distance, or an id of 32 bytes.
pub const HEADER_LEN_MAX: usize = 10 + 32;

/// The first bytes of every pack.
const SIGNATURE: [u8; 4] = *b"PACK";

/// gitformat-pack(5): the type numbers of the two kinds of delta.
const OFS_DELTA: u8 = 6;
const REF_DELTA: u8 = 7;

/// Reads a pack's header and gives the number of entries it declares.
///
/// The number is a claim of the sender: do not reserve memory by it.
pub fn decode_pack_header(bytes: [u8; PACK_HEADER_LEN]) -> Result<u32, HeaderError> {
    let [s0, s1, s2, s3, v0, v1, v2, v3, n0, n1, n2, n3] = bytes;
    if [s0, s1, s2, s3] != SIGNATURE {
        return Err(HeaderError::Signature);
    }
    match u32::from_be_bytes([v0, v1, v2, v3]) {
        2 | 3 => Ok(u32::from_be_bytes([n0, n1, n2, n3])),
        version => Err(HeaderError::Version(version)),
    }
}

/// The header of a pack of version 2 with `objects` entries.
pub fn encode_pack_header(objects: u32) -> [u8; PACK_HEADER_LEN] {
    let [n0, n1, n2, n3] = objects.to_be_bytes();
    let [s0, s1, s2, s3] = SIGNATURE;
    [s0, s1, s2, s3, 0, 0, 0, 2, n0, n1, n2, n3]
}

/// What stands in front of an entry's zlib stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What the entry holds.
    pub content: Content,
    /// The bytes the zlib stream inflates to: those of the object, or of the delta.
    pub size: u64,
}

/// What an entry holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// A whole object.
    Object(Kind),
    /// A delta to the entry that begins `distance` bytes before this one.
    OfsDelta {
        /// From this entry's first byte back to the base's; never 0.
        distance: u64,
    },
    /// A delta to the object `base`, which may be anywhere in the pack, or outside of it in a thin pack.
    RefDelta {
        /// The id of the base.
        base: ObjectId,
    },
}

impl Header {
    /// Reads a header from the start of `bytes`, for a pack whose ids are of the kind `hash`.
    ///
    /// Gives it together with its length in bytes; `None` if it goes on behind the end of `bytes`, which cannot be
    /// where `bytes` has [`HEADER_LEN_MAX`] bytes.
    pub fn decode(bytes: &[u8], hash: gix_hash::Kind) -> Result<Option<(Self, usize)>, HeaderError> {
        let mut rest = bytes;
        let Some((number, size)) = decode_type_and_size(&mut rest)? else { return Ok(None) };
        let content = match number {
            1 => Content::Object(Kind::Commit),
            2 => Content::Object(Kind::Tree),
            3 => Content::Object(Kind::Blob),
            4 => Content::Object(Kind::Tag),
            OFS_DELTA => match decode_distance(&mut rest)? {
                Some(distance) => Content::OfsDelta { distance },
                None => return Ok(None),
            },
            REF_DELTA => {
                let Some((id, behind)) = rest.split_at_checked(hash.len_in_bytes()) else { return Ok(None) };
                rest = behind;
                Content::RefDelta { base: ObjectId::from_bytes_or_panic(id) }
            }
            _ => return Err(HeaderError::Type(number)),
        };
        Ok(Some((Self { content, size }, bytes.len() - rest.len())))
    }

    /// Appends the header to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let number = match self.content {
            Content::Object(Kind::Commit) => 1,
            Content::Object(Kind::Tree) => 2,
            Content::Object(Kind::Blob) => 3,
            Content::Object(Kind::Tag) => 4,
            Content::OfsDelta { .. } => OFS_DELTA,
            Content::RefDelta { .. } => REF_DELTA,
        };
        encode_type_and_size(number, self.size, out);
        match self.content {
            Content::Object(_) => {}
            Content::OfsDelta { distance } => encode_distance(distance, out),
            Content::RefDelta { base } => out.extend_from_slice(base.as_slice()),
        }
    }
}

/// What can be wrong with a header, in git's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The first four bytes are not those of a pack.
    #[error("pack signature mismatch")]
    Signature,
    /// The version is neither 2 nor 3.
    #[error("pack version {0} unsupported")]
    Version(u32),
    /// The type number has no meaning.
    #[error("unknown object type {0}")]
    Type(u8),
    /// The size does not fit into 64 bits.
    #[error("object size overflow")]
    SizeOverflow,
    /// The distance to the base does not fit into 64 bits.
    #[error("offset value overflow for delta base object")]
    DistanceOverflow,
    /// The distance is zero: the delta would be its own base.
    #[error("delta base offset is out of bound")]
    DistanceZero,
}

/// Type and size: three bits and four in the first byte, then seven in each that follows, least significant first.
fn decode_type_and_size(rest: &mut &[u8]) -> Result<Option<(u8, u64)>, HeaderError> {
    let Some(first) = rest.split_off_first() else { return Ok(None) };
    let mut size = u64::from(first & 0x0f);
    let (mut shift, mut more) = (4, first & 0x80 != 0);
    while more {
        let Some(byte) = rest.split_off_first() else { return Ok(None) };
        let bits = u64::from(byte & 0x7f);
        if shift >= u64::BITS || (bits << shift) >> shift != bits {
            return Err(HeaderError::SizeOverflow);
        }
        size |= bits << shift;
        shift += 7;
        more = byte & 0x80 != 0;
    }
    Ok(Some(((first >> 4) & 7, size)))
}

fn encode_type_and_size(number: u8, size: u64, out: &mut Vec<u8>) {
    let mut byte = (number << 4) | low_bits(size, 4);
    let mut rest = size >> 4;
    while rest > 0 {
        out.push(byte | 0x80);
        byte = low_bits(rest, 7);
        rest >>= 7;
    }
    out.push(byte);
}

/// The distance: seven bits in each byte, most significant first, and one added at each step, so that every number
/// has one form only.
fn decode_distance(rest: &mut &[u8]) -> Result<Option<u64>, HeaderError> {
    let Some(first) = rest.split_off_first() else { return Ok(None) };
    let mut distance = u64::from(first & 0x7f);
    let mut more = first & 0x80 != 0;
    while more {
        let Some(byte) = rest.split_off_first() else { return Ok(None) };
        let next = distance.checked_add(1).filter(|next| next.leading_zeros() >= 7);
        let Some(next) = next else { return Err(HeaderError::DistanceOverflow) };
        distance = (next << 7) | u64::from(byte & 0x7f);
        more = byte & 0x80 != 0;
    }
    if distance == 0 { Err(HeaderError::DistanceZero) } else { Ok(Some(distance)) }
}

fn encode_distance(distance: u64, out: &mut Vec<u8>) {
    let at = out.len();
    let mut rest = distance;
    out.push(low_bits(rest, 7));
    rest >>= 7;
    while rest > 0 {
        rest -= 1;
        out.insert(at, 0x80 | low_bits(rest, 7));
        rest >>= 7;
    }
}

/// The lowest `count` bits of `number`, at most seven.
fn low_bits(number: u64, count: u32) -> u8 {
    let [low, ..] = number.to_le_bytes();
    low & !(0xff << count)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHA1: gix_hash::Kind = gix_hash::Kind::Sha1;

    #[test]
    fn a_pack_header_is_read_back() {
        assert_eq!(decode_pack_header(encode_pack_header(7)), Ok(7));
        assert_eq!(decode_pack_header(*b"PACK\0\0\0\x03\0\0\0\x01"), Ok(1));
    }

    #[test]
    fn other_signatures_and_versions_are_refused() {
        assert_eq!(decode_pack_header(*b"PACX\0\0\0\x02\0\0\0\x01"), Err(HeaderError::Signature));
        assert_eq!(decode_pack_header(*b"PACK\0\0\0\x04\0\0\0\x01"), Err(HeaderError::Version(4)));
    }

    #[test]
    fn numbers_beyond_64_bits_are_refused() {
        let mut size = vec![0xbf];
        size.extend([0xff; 9]);
        size.push(1);
        assert_eq!(Header::decode(&size, SHA1), Err(HeaderError::SizeOverflow));
        let mut distance = vec![0x61];
        distance.extend([0xff; 12]);
        distance.push(1);
        assert_eq!(Header::decode(&distance, SHA1), Err(HeaderError::DistanceOverflow));
    }

    #[test]
    fn a_delta_to_itself_and_unknown_types_are_refused() {
        assert_eq!(Header::decode(&[0x61, 0], SHA1), Err(HeaderError::DistanceZero));
        assert_eq!(Header::decode(&[0x51], SHA1), Err(HeaderError::Type(5)));
        assert_eq!(Header::decode(&[0x01], SHA1), Err(HeaderError::Type(0)));
    }

    fn content() -> impl Strategy<Value = Content> {
        prop_oneof![
            Just(Content::Object(Kind::Commit)),
            Just(Content::Object(Kind::Tree)),
            Just(Content::Object(Kind::Blob)),
            Just(Content::Object(Kind::Tag)),
            (1..=u64::MAX).prop_map(|distance| Content::OfsDelta { distance }),
            any::<[u8; 20]>().prop_map(|id| Content::RefDelta { base: id.into() }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(content in content(), size: u64, behind: [u8; 3]) {
            let header = Header { content, size };
            let mut bytes = Vec::new();
            header.encode(&mut bytes);
            let len = bytes.len();
            prop_assert!(len <= HEADER_LEN_MAX);
            for end in 0..len {
                prop_assert_eq!(Header::decode(&bytes[..end], SHA1), Ok(None));
            }
            bytes.extend(behind);
            prop_assert_eq!(Header::decode(&bytes, SHA1), Ok(Some((header, len))));
        }

        #[test]
        fn any_bytes_of_full_length_give_a_header_or_an_error(bytes: [u8; HEADER_LEN_MAX]) {
            prop_assert_ne!(Header::decode(&bytes, gix_hash::Kind::Sha256), Ok(None));
        }
    }
}
