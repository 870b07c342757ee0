//! What a block of a SHA-1 collision attack looks like.
//!
//! Every practical attack is believed to follow one of 32 disturbance vectors. Each fixes relations between bits of the
//! expanded message, the unavoidable conditions, which most blocks break; for a block that breaks none of a vector's, the
//! other message of the pair is known, and hashing it tells. Conditions and vectors are those of M. Stevens and D. Shumow,
//! "Speeding up detection of SHA-1 collision attacks using unavoidable attack conditions" (2017), tables 4 and 5, the
//! conditions in the form that the sha1dc crate (MIT OR Apache-2.0) has brought them to.

#![expect(clippy::indexing_slicing, reason = "steps and vectors are counted here, by no byte from outside")]

/// Steps of SHA-1, and words of the expanded message.
pub(super) const LEN: usize = 80;

/// The constants of each twenty steps.
pub(super) const K: [u32; 4] = [0x5a82_7999, 0x6ed9_eba1, 0x8f1b_bcdc, 0xca62_c1d6];

/// Calls `$check` for each condition: two words of the expanded message; how far the second is turned to the left for its bit
/// to stand where that of the first does, and where that is; whether the bits must differ or agree; and the vectors that
/// are out if they do not. (A macro, so that the numbers become part of the instructions.)
macro_rules! for_each_condition {
    ($check:ident) => {
        $check!(44, 45, 0, 29, agree, 0x0283_a080);
        $check!(46, 47, 0, 29, agree, 0x1818_0801);
        $check!(45, 48, 7, 4, agree, 0x2020_2224);
        $check!(49, 50, 0, 29, agree, 0xc281_0008);
        $check!(40, 41, 0, 29, agree, 0x800a_00a2);
        $check!(36, 37, 27, 1, differ, 0x0004_1040);
        $check!(47, 48, 0, 29, agree, 0x3030_2002);
        $check!(39, 40, 27, 1, differ, 0x0040_1010);
        $check!(40, 41, 27, 1, differ, 0x0100_4040);
        $check!(41, 42, 27, 1, differ, 0x0404_0100);
        $check!(43, 46, 7, 4, agree, 0x0808_0225);
        $check!(46, 49, 7, 4, agree, 0x4080_8888);
        $check!(45, 47, 0, 6, agree, 0x0000_4440);
        $check!(45, 46, 0, 29, agree, 0x0a0a_8200);
        $check!(44, 47, 7, 4, agree, 0x1010_088a);
        $check!(48, 49, 0, 29, agree, 0x60a0_8004);
        $check!(44, 46, 0, 6, agree, 0x0000_1110);
        $check!(47, 50, 7, 4, agree, 0x8201_2220);
        $check!(35, 36, 27, 1, differ, 0x0000_0410);
        $check!(44, 45, 27, 1, differ, 0x0040_4000);
        $check!(42, 43, 5, 6, agree, 0x0404_0000);
        $check!(37, 40, 7, 4, agree, 0x5002_0021);
        $check!(41, 42, 5, 6, agree, 0x0100_4000);
        $check!(40, 43, 7, 4, agree, 0x8020_080a);
        $check!(41, 44, 7, 4, agree, 0x0081_2025);
        $check!(52, 53, 0, 29, agree, 0x3011_0200);
        $check!(40, 41, 5, 6, agree, 0x0040_1000);
        $check!(46, 47, 5, 6, agree, 0x0100_0010);
        $check!(47, 48, 5, 6, agree, 0x0400_0040);
        $check!(42, 45, 7, 4, agree, 0x0202_808a);
        $check!(37, 38, 27, 1, differ, 0x0000_4100);
        $check!(43, 45, 0, 6, agree, 0x0000_0440);
        $check!(53, 54, 0, 29, agree, 0x6022_0800);
        $check!(41, 42, 0, 29, agree, 0x0018_0284);
        $check!(50, 51, 0, 29, agree, 0x8a02_0020);
        $check!(61, 62, 27, 2, differ, 0x0004_0010);
        $check!(46, 48, 0, 6, agree, 0x0000_1100);
        $check!(39, 42, 7, 4, agree, 0x4010_0205);
        $check!(43, 44, 0, 29, agree, 0x00a1_2820);
        $check!(47, 49, 0, 6, agree, 0x0000_4400);
        $check!(51, 52, 0, 29, agree, 0x1808_0080);
        $check!(36, 37, 27, 0, differ, 0x0040_0000);
        $check!(37, 38, 27, 0, differ, 0x0100_0000);
        $check!(38, 39, 27, 0, differ, 0x0400_0000);
        $check!(38, 41, 7, 4, agree, 0xa008_0082);
        $check!(50, 51, 5, 6, agree, 0x0004_1000);
        $check!(42, 44, 0, 6, agree, 0x0000_0110);
        $check!(48, 51, 7, 4, agree, 0x0802_8880);
        $check!(42, 43, 0, 29, agree, 0x0030_0a08);
        $check!(54, 55, 0, 29, agree, 0xc088_2000);
        $check!(38, 39, 27, 1, differ, 0x0000_0400);
        $check!(45, 46, 27, 1, differ, 0x0100_0000);
        $check!(46, 47, 27, 1, differ, 0x0400_0000);
        $check!(50, 51, 27, 1, differ, 0x0040_0000);
        $check!(39, 40, 7, 4, differ, 0x5000_0001);
        $check!(55, 56, 0, 29, agree, 0x8210_8000);
        $check!(48, 50, 0, 6, agree, 0x0004_1000);
        $check!(49, 52, 7, 4, agree, 0x1009_2200);
        $check!(40, 41, 7, 4, differ, 0xa000_0002);
        $check!(41, 42, 7, 4, differ, 0x4000_0005);
        $check!(42, 43, 27, 1, differ, 0x0000_0400);
        $check!(51, 52, 27, 1, differ, 0x0100_0000);
        $check!(52, 53, 27, 1, differ, 0x0400_0000);
        $check!(62, 63, 27, 2, differ, 0x0000_0040);
        $check!(63, 64, 27, 2, differ, 0x0000_0100);
        $check!(45, 46, 5, 6, agree, 0x0040_0000);
        $check!(36, 40, 7, 4, agree, 0x0011_0208);
        $check!(50, 53, 7, 4, agree, 0x2012_8800);
        $check!(56, 57, 0, 29, agree, 0x0820_0000);
        $check!(43, 44, 7, 4, differ, 0x0000_0025);
        $check!(58, 59, 27, 0, differ, 0x0000_0001);
        $check!(58, 63, 2, 0, differ, 0x0000_0001);
        $check!(61, 62, 27, 1, differ, 0x0000_0001);
        $check!(43, 47, 7, 4, agree, 0x4808_0001);
        $check!(40, 42, 0, 4, differ, 0x8000_000a);
        $check!(42, 44, 0, 4, differ, 0x0000_008a);
        $check!(59, 60, 27, 0, differ, 0x0000_0002);
        $check!(59, 64, 2, 0, differ, 0x0000_0002);
        $check!(62, 63, 27, 1, differ, 0x0000_0002);
        $check!(44, 48, 7, 4, agree, 0x9010_0002);
        $check!(43, 45, 0, 4, differ, 0x0000_0224);
        $check!(60, 61, 27, 0, differ, 0x0001_0004);
        $check!(63, 64, 27, 1, differ, 0x0001_0004);
        $check!(35, 39, 7, 4, agree, 0x0008_0084);
        $check!(44, 46, 0, 4, differ, 0x0000_0888);
        $check!(61, 62, 27, 0, differ, 0x0002_0008);
        $check!(39, 42, 27, 1, differ, 0x0000_0010);
        $check!(45, 47, 0, 4, differ, 0x0000_2220);
        $check!(62, 63, 27, 0, differ, 0x0008_0020);
        $check!(37, 41, 7, 4, agree, 0x0022_0820);
        $check!(40, 43, 27, 1, differ, 0x0000_0040);
        $check!(46, 48, 0, 4, differ, 0x0000_8880);
        $check!(63, 64, 27, 0, differ, 0x0010_0080);
        $check!(38, 42, 7, 4, agree, 0x0088_2080);
        $check!(41, 49, 0, 1, differ, 0x0000_0100);
        $check!(47, 49, 0, 4, differ, 0x0001_2200);
        $check!(39, 43, 7, 4, agree, 0x0210_8200);
        $check!(38, 40, 0, 1, differ, 0x0000_0400);
        $check!(42, 50, 0, 1, differ, 0x0000_0400);
        $check!(36, 37, 0, 4, differ, 0x0000_0800);
        $check!(48, 50, 0, 4, differ, 0x0002_8800);
        $check!(40, 44, 7, 4, agree, 0x0820_0800);
        $check!(43, 44, 27, 1, differ, 0x0000_1000);
        $check!(37, 38, 0, 4, differ, 0x0000_2000);
        $check!(52, 55, 0, 29, differ, 0x0018_2000);
        $check!(35, 39, 7, 3, agree, 0x0008_2000);
        $check!(41, 45, 7, 4, agree, 0x1081_2000);
        $check!(51, 54, 7, 4, agree, 0x4028_2000);
        $check!(44, 51, 27, 1, differ, 0x0000_4000);
        $check!(44, 52, 0, 1, differ, 0x0000_4000);
        $check!(35, 39, 7, 5, agree, 0x0000_4000);
        $check!(37, 37, 27, 1, agree, 0x0000_4000);
        $check!(38, 39, 0, 4, differ, 0x0000_8000);
        $check!(53, 56, 0, 29, differ, 0x0030_8000);
        $check!(42, 46, 7, 4, agree, 0x2202_8000);
        $check!(52, 55, 7, 4, agree, 0x8090_8000);
        $check!(47, 48, 27, 1, differ, 0x0004_0000);
        $check!(35, 36, 27, 30, differ, 0x0010_0000);
        $check!(35, 40, 2, 30, differ, 0x0010_0000);
        $check!(36, 37, 27, 30, differ, 0x0020_0000);
        $check!(36, 41, 2, 30, differ, 0x0020_0000);
        $check!(53, 56, 7, 4, agree, 0x0220_0000);
        $check!(36, 41, 2, 0, differ, 0x0040_0000);
        $check!(50, 53, 27, 1, differ, 0x0040_0000);
        $check!(50, 54, 0, 1, differ, 0x0040_0000);
        $check!(37, 38, 27, 30, differ, 0x0080_0000);
        $check!(37, 42, 2, 30, differ, 0x0080_0000);
        $check!(55, 58, 0, 29, differ, 0x0280_0000);
        $check!(54, 57, 7, 4, agree, 0x0880_0000);
        $check!(57, 58, 0, 29, agree, 0x1080_0000);
        $check!(37, 42, 2, 0, differ, 0x0100_0000);
        $check!(51, 54, 27, 1, differ, 0x0100_0000);
        $check!(51, 55, 0, 1, differ, 0x0100_0000);
        $check!(38, 39, 27, 30, differ, 0x0200_0000);
        $check!(38, 43, 2, 30, differ, 0x0200_0000);
        $check!(56, 59, 0, 29, differ, 0x0a00_0000);
        $check!(55, 58, 7, 4, agree, 0x1200_0000);
        $check!(38, 43, 2, 0, differ, 0x0400_0000);
        $check!(52, 55, 27, 1, differ, 0x0400_0000);
        $check!(52, 56, 0, 1, differ, 0x0400_0000);
        $check!(36, 38, 0, 4, differ, 0x2800_0000);
        $check!(39, 40, 27, 30, differ, 0x0800_0000);
        $check!(39, 44, 2, 30, differ, 0x0800_0000);
        $check!(54, 60, 7, 4, differ, 0x0800_0000);
        $check!(56, 59, 7, 4, agree, 0x2800_0000);
        $check!(55, 57, 0, 4, differ, 0x1000_0000);
        $check!(55, 61, 7, 4, differ, 0x1000_0000);
        $check!(41, 45, 7, 3, agree, 0x1000_0000);
        $check!(42, 46, 7, 3, agree, 0x2000_0000);
        $check!(56, 58, 7, 4, agree, 0x2000_0000);
        $check!(58, 62, 7, 4, agree, 0x2000_0000);
        $check!(43, 47, 7, 3, agree, 0x4000_0000);
        $check!(57, 59, 7, 4, agree, 0x4000_0000);
        $check!(59, 63, 7, 4, agree, 0x4000_0000);
        $check!(44, 48, 7, 3, agree, 0x8000_0000);
        $check!(60, 64, 7, 4, agree, 0x8000_0000);
    };
}
pub(super) use for_each_condition;

/// A disturbance vector.
pub(super) struct Vector {
    /// The step before which a pair has its state in common.
    pub step: usize,
    /// In what the blocks of a pair differ. Their expanded messages then differ in what this one expands to.
    difference: [u8; 64],
}

impl Vector {
    /// The other block of a pair.
    #[inline]
    pub fn other_of(&self, block: &[u8; 64]) -> [u8; 64] {
        let mut other = *block;
        for (byte, difference) in other.iter_mut().zip(&self.difference) {
            *byte ^= difference;
        }
        other
    }
}

/// The vector of bit `bit` of a condition's vectors.
pub(super) fn vector(bit: u32) -> &'static Vector {
    &VECTORS[bit as usize % VECTORS.len()]
}

/// The steps of [`Vector::step`].
pub(super) const EARLY: usize = 58;
pub(super) const LATE: usize = 65;

/// The last difference of each of the two families, as its first 16 words: the others begin further on in the same
/// sequence.
const FIRST_FAMILY: [u32; 16] = [
    0x0400_0010,
    0xe800_0000,
    0x0800_000c,
    0x1800_0000,
    0xb800_000a,
    0xc800_0010,
    0x2c00_0010,
    0xf400_0014,
    0xb400_0008,
    0x0800_0000,
    0x9800_000c,
    0xd800_0010,
    0x0800_0010,
    0xb800_0010,
    0x9800_0000,
    0x6000_0000,
];
const SECOND_FAMILY: [u32; 16] = [
    0x2600_001a,
    0x0000_0010,
    0x0400_001c,
    0xcc00_0014,
    0x0c00_0002,
    0xc000_0010,
    0xb400_001c,
    0x3c00_0004,
    0xbc00_001a,
    0x2000_0010,
    0x2400_001c,
    0xec00_0014,
    0x0c00_0002,
    0xc000_0010,
    0xb400_001c,
    0x2c00_0004,
];

/// The vectors in the order of the bits of [`Condition::vectors`]: the family, its place K, and the bit B it begins at.
const PLACES: [(u8, usize, u32); 32] = [
    (1, 43, 0),
    (1, 44, 0),
    (1, 45, 0),
    (1, 46, 0),
    (1, 46, 2),
    (1, 47, 0),
    (1, 47, 2),
    (1, 48, 0),
    (1, 48, 2),
    (1, 49, 0),
    (1, 49, 2),
    (1, 50, 0),
    (1, 50, 2),
    (1, 51, 0),
    (1, 51, 2),
    (1, 52, 0),
    (2, 45, 0),
    (2, 46, 0),
    (2, 46, 2),
    (2, 47, 0),
    (2, 48, 0),
    (2, 49, 0),
    (2, 49, 2),
    (2, 50, 0),
    (2, 50, 2),
    (2, 51, 0),
    (2, 51, 2),
    (2, 52, 0),
    (2, 53, 0),
    (2, 54, 0),
    (2, 55, 0),
    (2, 56, 0),
];

static VECTORS: [Vector; 32] = {
    let mut vectors = [const { Vector { step: 0, difference: [0; 64] } }; 32];
    let mut at = 0;
    while at < 32 {
        let (family, place, bit) = PLACES[at];
        let (seed, last) = if family == 1 { (FIRST_FAMILY, 52) } else { (SECOND_FAMILY, 56) };
        let mut sequence = [0_u32; LEN + 16];
        let mut t = 0;
        while t < LEN + 16 {
            sequence[t] = if t < 16 {
                seed[t]
            } else {
                (sequence[t - 3] ^ sequence[t - 8] ^ sequence[t - 14] ^ sequence[t - 16]).rotate_left(1)
            };
            t += 1;
        }
        t = 0;
        while t < 64 {
            let word = sequence[t / 4 + last - place].rotate_left(bit);
            vectors[at].difference[t] = word.to_be_bytes()[t % 4];
            t += 1;
        }
        vectors[at].step = if place < 50 { EARLY } else { LATE };
        at += 1;
    }
    vectors
};
