//! Deltas: an object told by the bytes it shares with another (gitformat-pack(5), "Deltified representation").
//!
//! A delta is the size of its base, the size of its result, and a list of instructions that copy a range of the base
//! or insert bytes of their own.

mod create;

pub use create::{Index, create};
pub(super) use create::{common_prefix, of_shared};

/// The largest object a delta may make, in bytes. An instruction addresses its base with 32 bits, so no base larger
/// than this can be used in full.
pub const RESULT_SIZE_MAX: u64 = u32::MAX as u64;

/// The most that one byte of delta can add to the result: a copy of `0xff_0000` bytes takes two.
const GROWTH_PER_BYTE_MAX: u64 = 0xff_0000 / 2;

/// gitformat-pack(5): a copy of size zero copies this many bytes.
const COPY_SIZE_OF_ZERO: usize = 0x1_0000;

/// Makes the object that `delta` tells from `base` and puts it into `out`, whose former content is lost.
///
/// No byte is trusted: ranges are checked, and memory is reserved for no more than the instructions could fill. After
/// an error the content of `out` means nothing.
pub fn apply(base: &[u8], delta: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    apply_noting(base, delta, out, |_| {})
}

/// Bytes of a base that are bytes of what a delta makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Copied {
    /// Where they are in what is made.
    pub at: usize,
    /// Where they are in the base.
    pub from: usize,
    pub len: usize,
}

/// What an instruction of a delta says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Instruction<'d> {
    /// These bytes of the base follow.
    Copy(Copied),
    /// These bytes follow.
    Insert(&'d [u8]),
}

/// As [`apply`], and tells `note` what is copied, in the order of what is made.
pub(super) fn apply_noting(
    base: &[u8],
    delta: &[u8],
    out: &mut Vec<u8>,
    mut note: impl FnMut(Copied),
) -> Result<(), Error> {
    out.clear();
    let (size, instructions) = begin(base.len(), delta)?;
    out.try_reserve_exact(size).map_err(|_| Error::TooLarge)?;
    follow(base.len(), size, instructions, |instruction| match instruction {
        Instruction::Copy(copied) => {
            note(copied);
            out.extend_from_slice(base.get(copied.from..copied.from + copied.len).unwrap_or_default());
        }
        Instruction::Insert(bytes) => out.extend_from_slice(bytes),
    })
}

/// Tells `each` the instructions of `delta`, whose base has `base_len` bytes, in the order of what they make. They have
/// been found to copy from within the base and not to make more than declared, and after `Ok` not less either.
pub(super) fn replay<'d>(
    base_len: usize,
    delta: &'d [u8],
    each: impl FnMut(Instruction<'d>),
) -> Result<(), Error> {
    let (size, instructions) = begin(base_len, delta)?;
    follow(base_len, size, instructions, each)
}

/// The size of what `delta` makes, which its instructions could make, and the instructions.
fn begin(base_len: usize, delta: &[u8]) -> Result<(usize, &[u8]), Error> {
    let mut rest = delta;
    let (base_size, result_size) = decode_sizes(&mut rest)?;
    if base_size != base_len as u64 {
        return Err(Error::BaseSize);
    }
    let possible = (rest.len() as u64).saturating_mul(GROWTH_PER_BYTE_MAX);
    if result_size > possible.min(RESULT_SIZE_MAX) {
        return Err(if result_size > RESULT_SIZE_MAX { Error::TooLarge } else { Error::ResultSize });
    }
    Ok((usize::try_from(result_size).map_err(|_| Error::TooLarge)?, rest))
}

#[inline]
fn follow<'d>(
    base_len: usize,
    size: usize,
    mut rest: &'d [u8],
    mut each: impl FnMut(Instruction<'d>),
) -> Result<(), Error> {
    let mut at = 0;
    while let Some(&instruction) = rest.split_off_first() {
        let (instruction, len) = match instruction {
            0 => return Err(Error::Reserved),
            1..=0x7f => {
                let bytes = split_off(&mut rest, usize::from(instruction))?;
                (Instruction::Insert(bytes), bytes.len())
            }
            _ => {
                let (from, len) = decode_copy(instruction, &mut rest)?;
                if from.checked_add(len).is_none_or(|end| end > base_len) {
                    return Err(Error::Range);
                }
                (Instruction::Copy(Copied { at, from, len }), len)
            }
        };
        if len > size - at {
            return Err(Error::ResultSize);
        }
        each(instruction);
        at += len;
    }
    if at == size { Ok(()) } else { Err(Error::ResultSize) }
}

/// The size of the object that `delta` makes, as it declares itself, in bytes.
pub fn result_size(mut delta: &[u8]) -> Result<u64, Error> {
    decode_sizes(&mut delta).map(|(_base, result)| result)
}

/// What can be wrong with a delta.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The delta ends in the middle of an instruction or a size.
    #[error("delta is truncated")]
    Truncated,
    /// A size does not fit into 64 bits.
    #[error("delta size overflow")]
    SizeOverflow,
    /// The delta was made for a base of another size.
    #[error("delta base size mismatch")]
    BaseSize,
    /// The instructions make more or less than declared.
    #[error("delta replay has gone wild")]
    ResultSize,
    /// A copy goes beyond the base.
    #[error("delta copies from outside its base")]
    Range,
    /// Instruction 0, which is reserved.
    #[error("unexpected delta opcode 0")]
    Reserved,
    /// The result is larger than [`RESULT_SIZE_MAX`], or than there is memory for.
    #[error("delta result is too large")]
    TooLarge,
}

fn decode_sizes(rest: &mut &[u8]) -> Result<(u64, u64), Error> {
    Ok((decode_size(rest)?, decode_size(rest)?))
}

/// Seven bits in each byte, least significant first.
fn decode_size(rest: &mut &[u8]) -> Result<u64, Error> {
    let (mut size, mut shift) = (0_u64, 0);
    loop {
        let &byte = rest.split_off_first().ok_or(Error::Truncated)?;
        let bits = u64::from(byte & 0x7f);
        if shift >= u64::BITS || (bits << shift) >> shift != bits {
            return Err(Error::SizeOverflow);
        }
        size |= bits << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return Ok(size);
        }
    }
}

/// The offset and the length of a copy: the bits of the instruction tell which of their bytes follow.
fn decode_copy(instruction: u8, rest: &mut &[u8]) -> Result<(usize, usize), Error> {
    let mut field = |mask: u8, bytes: u32| -> Result<usize, Error> {
        let mut value = 0;
        for at in 0..bytes {
            if instruction & (mask << at) != 0 {
                let &byte = rest.split_off_first().ok_or(Error::Truncated)?;
                value |= usize::from(byte) << (8 * at);
            }
        }
        Ok(value)
    };
    let offset = field(0x01, 4)?;
    let len = field(0x10, 3)?;
    Ok((offset, if len == 0 { COPY_SIZE_OF_ZERO } else { len }))
}

fn split_off<'a>(rest: &mut &'a [u8], len: usize) -> Result<&'a [u8], Error> {
    let (taken, behind) = rest.split_at_checked(len).ok_or(Error::Truncated)?;
    *rest = behind;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BASE: &[u8] = b"the quick brown fox";

    fn applied(delta: &[u8]) -> Result<Vec<u8>, Error> {
        let mut out = b"old".to_vec();
        apply(BASE, delta, &mut out).map(|()| out)
    }

    #[test]
    fn copies_and_inserts_make_the_result() {
        let delta = [19, 9, 0x91, 4, 5, 4, b' ', b'c', b'a', b't'];
        assert_eq!(applied(&delta).unwrap(), b"quick cat");
        assert_eq!(result_size(&delta), Ok(9));
    }

    #[test]
    fn a_copy_of_size_zero_copies_64_kib() {
        let base = vec![7; 0x1_0000];
        let mut out = Vec::new();
        apply(&base, &[0x80, 0x80, 0x04, 0x80, 0x80, 0x04, 0x80], &mut out).unwrap();
        assert_eq!(out, base);
    }

    #[test]
    fn lies_are_refused() {
        assert_eq!(applied(&[3, 1, 1, b'x']), Err(Error::BaseSize));
        assert_eq!(applied(&[19, 2, 1, b'x']), Err(Error::ResultSize));
        assert_eq!(applied(&[19, 1, 2, b'x', b'y']), Err(Error::ResultSize));
        assert_eq!(applied(&[19, 5, 0x91, 17, 5]), Err(Error::Range));
        assert_eq!(applied(&[19, 1, 0]), Err(Error::Reserved));
        assert_eq!(applied(&[19, 3, 3, b'x']), Err(Error::Truncated));
        assert_eq!(applied(&[]), Err(Error::Truncated));
    }

    #[test]
    fn a_declared_size_reserves_no_memory_the_instructions_cannot_fill() {
        let mut huge = vec![19];
        huge.extend([0xff; 8]);
        huge.extend([0x7f, 0x91, 0, 1]);
        assert_eq!(applied(&huge), Err(Error::TooLarge));
        assert_eq!(applied(&[19, 0xff, 0xff, 0xff, 0x7f, 0x90, 1]), Err(Error::ResultSize));
    }

    proptest! {
        #[test]
        fn no_delta_makes_it_panic(delta: Vec<u8>) {
            let mut out = Vec::new();
            if apply(BASE, &delta, &mut out).is_ok() {
                prop_assert_eq!(result_size(&delta), Ok(out.len() as u64));
            }
        }

        #[test]
        fn no_instructions_make_it_panic(instructions: Vec<u8>, size in 0..100_u8) {
            let mut delta = vec![19, size];
            delta.extend(instructions);
            let mut out = Vec::new();
            if apply(BASE, &delta, &mut out).is_ok() {
                prop_assert_eq!(out.len(), usize::from(size));
            }
        }
    }
}
