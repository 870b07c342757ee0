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

/// A condition: two bits of the expanded message agree, or differ.
pub(super) struct Condition {
    /// The words they are in.
    pub words: [usize; 2],
    pub bits: [u32; 2],
    pub differ: bool,
    /// The vectors that are out if it does not hold, by their bits: see [`PLACES`].
    pub vectors: u32,
}

/// Bit `bit` of word `left` agrees with the one that comes to this place when word `right` is turned to the left by `rotate`.
const fn agree(left: usize, right: usize, rotate: u32, bit: u32, vectors: u32) -> Condition {
    Condition { words: [left, right], bits: [bit, (bit + 32 - rotate) % 32], differ: false, vectors }
}

/// They differ.
const fn differ(left: usize, right: usize, rotate: u32, bit: u32, vectors: u32) -> Condition {
    Condition { differ: true, ..agree(left, right, rotate, bit, vectors) }
}

/// All conditions.
pub(super) static CONDITIONS: [Condition; 156] = [
    agree(44, 45, 0, 29, 0x0063_0320),
    agree(46, 47, 0, 29, 0x018c_0081),
    agree(45, 48, 7, 4, 0x0210_0154),
    agree(49, 50, 0, 29, 0x0c61_0008),
    agree(40, 41, 0, 29, 0x0806_0032),
    differ(36, 37, 27, 1, 0x8000_4800),
    agree(47, 48, 0, 29, 0x0318_0102),
    differ(39, 40, 27, 1, 0x1000_4400),
    differ(40, 41, 27, 1, 0x2000_8800),
    differ(41, 42, 27, 1, 0xc000_1000),
    agree(43, 46, 7, 4, 0x0084_0055),
    agree(46, 49, 7, 4, 0x0420_02a8),
    agree(45, 47, 0, 6, 0x0000_a800),
    agree(45, 46, 0, 29, 0x00c6_0240),
    agree(44, 47, 7, 4, 0x0108_00aa),
    agree(48, 49, 0, 29, 0x0630_0204),
    agree(44, 46, 0, 6, 0x0000_5400),
    agree(47, 50, 7, 4, 0x0841_0150),
    differ(35, 36, 27, 1, 0x0000_2400),
    differ(44, 45, 27, 1, 0x1000_8000),
    agree(42, 43, 5, 6, 0xc000_0000),
    agree(37, 40, 7, 4, 0x0502_0011),
    agree(41, 42, 5, 6, 0x2000_8000),
    agree(40, 43, 7, 4, 0x0810_008a),
    agree(41, 44, 7, 4, 0x0021_0115),
    agree(52, 53, 0, 29, 0x0309_0040),
    agree(40, 41, 5, 6, 0x1000_4000),
    agree(46, 47, 5, 6, 0x2000_0400),
    agree(47, 48, 5, 6, 0x4000_0800),
    agree(42, 45, 7, 4, 0x0042_022a),
    differ(37, 38, 27, 1, 0x0000_9000),
    agree(43, 45, 0, 6, 0x0000_2800),
    agree(53, 54, 0, 29, 0x0612_0080),
    agree(41, 42, 0, 29, 0x000c_0064),
    agree(50, 51, 0, 29, 0x08c2_0010),
    differ(61, 62, 27, 2, 0x8000_0400),
    agree(46, 48, 0, 6, 0x0000_5000),
    agree(39, 42, 7, 4, 0x0408_0045),
    agree(43, 44, 0, 29, 0x0031_0190),
    agree(47, 49, 0, 6, 0x0000_a000),
    agree(51, 52, 0, 29, 0x0184_0020),
    differ(36, 37, 27, 0, 0x1000_0000),
    differ(37, 38, 27, 0, 0x2000_0000),
    differ(38, 39, 27, 0, 0x4000_0000),
    agree(38, 41, 7, 4, 0x0a04_0022),
    agree(50, 51, 5, 6, 0x8000_4000),
    agree(42, 44, 0, 6, 0x0000_1400),
    agree(48, 51, 7, 4, 0x0082_02a0),
    agree(42, 43, 0, 29, 0x0018_00c8),
    agree(54, 55, 0, 29, 0x0c24_0100),
    differ(38, 39, 27, 1, 0x0000_2000),
    differ(45, 46, 27, 1, 0x2000_0000),
    differ(46, 47, 27, 1, 0x4000_0000),
    differ(50, 51, 27, 1, 0x1000_0000),
    differ(39, 40, 7, 4, 0x0500_0001),
    agree(55, 56, 0, 29, 0x0848_0200),
    agree(48, 50, 0, 6, 0x8000_4000),
    agree(49, 52, 7, 4, 0x0105_0140),
    differ(40, 41, 7, 4, 0x0a00_0002),
    differ(41, 42, 7, 4, 0x0400_0005),
    differ(42, 43, 27, 1, 0x0000_2000),
    differ(51, 52, 27, 1, 0x2000_0000),
    differ(52, 53, 27, 1, 0x4000_0000),
    differ(62, 63, 27, 2, 0x0000_0800),
    differ(63, 64, 27, 2, 0x0000_1000),
    agree(45, 46, 5, 6, 0x1000_0000),
    agree(36, 40, 7, 4, 0x0009_0048),
    agree(50, 53, 7, 4, 0x020a_0280),
    agree(56, 57, 0, 29, 0x0090_0000),
    differ(43, 44, 7, 4, 0x0000_0015),
    differ(58, 59, 27, 0, 0x0000_0001),
    differ(58, 63, 2, 0, 0x0000_0001),
    differ(61, 62, 27, 1, 0x0000_0001),
    agree(43, 47, 7, 4, 0x0484_0001),
    differ(40, 42, 0, 4, 0x0800_000a),
    differ(42, 44, 0, 4, 0x0000_002a),
    differ(59, 60, 27, 0, 0x0000_0002),
    differ(59, 64, 2, 0, 0x0000_0002),
    differ(62, 63, 27, 1, 0x0000_0002),
    agree(44, 48, 7, 4, 0x0908_0002),
    differ(43, 45, 0, 4, 0x0000_0054),
    differ(60, 61, 27, 0, 0x0001_0004),
    differ(63, 64, 27, 1, 0x0001_0004),
    agree(35, 39, 7, 4, 0x0004_0024),
    differ(44, 46, 0, 4, 0x0000_00a8),
    differ(61, 62, 27, 0, 0x0002_0008),
    differ(39, 42, 27, 1, 0x0000_0400),
    differ(45, 47, 0, 4, 0x0000_0150),
    differ(62, 63, 27, 0, 0x0004_0010),
    agree(37, 41, 7, 4, 0x0012_0090),
    differ(40, 43, 27, 1, 0x0000_0800),
    differ(46, 48, 0, 4, 0x0000_02a0),
    differ(63, 64, 27, 0, 0x0008_0020),
    agree(38, 42, 7, 4, 0x0024_0120),
    differ(41, 49, 0, 1, 0x0000_1000),
    differ(47, 49, 0, 4, 0x0001_0140),
    agree(39, 43, 7, 4, 0x0048_0240),
    differ(38, 40, 0, 1, 0x0000_2000),
    differ(42, 50, 0, 1, 0x0000_2000),
    differ(36, 37, 0, 4, 0x0000_0080),
    differ(48, 50, 0, 4, 0x0002_0280),
    agree(40, 44, 7, 4, 0x0090_0080),
    differ(43, 44, 27, 1, 0x0000_4000),
    differ(37, 38, 0, 4, 0x0000_0100),
    differ(52, 55, 0, 29, 0x000c_0100),
    agree(35, 39, 7, 3, 0x0004_0100),
    agree(41, 45, 7, 4, 0x0121_0100),
    agree(51, 54, 7, 4, 0x0414_0100),
    differ(44, 51, 27, 1, 0x0000_8000),
    differ(44, 52, 0, 1, 0x0000_8000),
    agree(35, 39, 7, 5, 0x0000_8000),
    agree(37, 37, 27, 1, 0x0000_8000),
    differ(38, 39, 0, 4, 0x0000_0200),
    differ(53, 56, 0, 29, 0x0018_0200),
    agree(42, 46, 7, 4, 0x0242_0200),
    agree(52, 55, 7, 4, 0x0828_0200),
    differ(47, 48, 27, 1, 0x8000_0000),
    differ(35, 36, 27, 30, 0x0008_0000),
    differ(35, 40, 2, 30, 0x0008_0000),
    differ(36, 37, 27, 30, 0x0010_0000),
    differ(36, 41, 2, 30, 0x0010_0000),
    agree(53, 56, 7, 4, 0x0050_0000),
    differ(36, 41, 2, 0, 0x1000_0000),
    differ(50, 53, 27, 1, 0x1000_0000),
    differ(50, 54, 0, 1, 0x1000_0000),
    differ(37, 38, 27, 30, 0x0020_0000),
    differ(37, 42, 2, 30, 0x0020_0000),
    differ(55, 58, 0, 29, 0x0060_0000),
    agree(54, 57, 7, 4, 0x00a0_0000),
    agree(57, 58, 0, 29, 0x0120_0000),
    differ(37, 42, 2, 0, 0x2000_0000),
    differ(51, 54, 27, 1, 0x2000_0000),
    differ(51, 55, 0, 1, 0x2000_0000),
    differ(38, 39, 27, 30, 0x0040_0000),
    differ(38, 43, 2, 30, 0x0040_0000),
    differ(56, 59, 0, 29, 0x00c0_0000),
    agree(55, 58, 7, 4, 0x0140_0000),
    differ(38, 43, 2, 0, 0x4000_0000),
    differ(52, 55, 27, 1, 0x4000_0000),
    differ(52, 56, 0, 1, 0x4000_0000),
    differ(36, 38, 0, 4, 0x0280_0000),
    differ(39, 40, 27, 30, 0x0080_0000),
    differ(39, 44, 2, 30, 0x0080_0000),
    differ(54, 60, 7, 4, 0x0080_0000),
    agree(56, 59, 7, 4, 0x0280_0000),
    differ(55, 57, 0, 4, 0x0100_0000),
    differ(55, 61, 7, 4, 0x0100_0000),
    agree(41, 45, 7, 3, 0x0100_0000),
    agree(42, 46, 7, 3, 0x0200_0000),
    agree(56, 58, 7, 4, 0x0200_0000),
    agree(58, 62, 7, 4, 0x0200_0000),
    agree(43, 47, 7, 3, 0x0400_0000),
    agree(57, 59, 7, 4, 0x0400_0000),
    agree(59, 63, 7, 4, 0x0400_0000),
    agree(44, 48, 7, 3, 0x0800_0000),
    agree(60, 64, 7, 4, 0x0800_0000),
];

/// A disturbance vector.
pub(super) struct Vector {
    /// The step before which a pair has its state in common.
    pub step: usize,
    /// In what the blocks of a pair differ. Their expanded messages then differ in what this one expands to.
    difference: [u8; 64],
}

impl Vector {
    /// Puts the other block of a pair into `other`.
    #[inline]
    pub fn other_of(&self, block: &[u8; 64], other: &mut [u8; 64]) {
        for ((other, byte), difference) in other.iter_mut().zip(block).zip(&self.difference) {
            *other = byte ^ difference;
        }
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
    (1, 47, 0),
    (1, 48, 0),
    (1, 49, 0),
    (1, 50, 0),
    (1, 51, 0),
    (1, 52, 0),
    (1, 46, 2),
    (1, 47, 2),
    (1, 48, 2),
    (1, 49, 2),
    (1, 50, 2),
    (1, 51, 2),
    (2, 45, 0),
    (2, 46, 0),
    (2, 47, 0),
    (2, 48, 0),
    (2, 49, 0),
    (2, 50, 0),
    (2, 51, 0),
    (2, 52, 0),
    (2, 53, 0),
    (2, 54, 0),
    (2, 55, 0),
    (2, 56, 0),
    (2, 49, 2),
    (2, 50, 2),
    (2, 51, 2),
    (2, 46, 2),
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
