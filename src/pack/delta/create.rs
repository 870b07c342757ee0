//! Making deltas.
//!
//! What base and target begin and end with is found by comparing. For what is between, the base is cut into blocks whose
//! hashes are put into an [`Index`]; the target is then gone through byte by byte, each time looking whether a block of the
//! base begins here. Where one does, the match is extended in both directions as far as it goes.

/// The bytes of a block. A match shorter than this is not worth more than the instruction that copies it.
const BLOCK_LEN: usize = 16;

/// How far blocks lie apart in the base, in bytes. Less than their length, so that matches of 23 bytes are never missed;
/// that makes packs some 0.8 % smaller than with 16, for a quarter more time.
const STRIDE: usize = 8;

/// The most blocks of an index, so that it takes no more than 72 MiB; the blocks of larger bases lie further apart.
const BLOCKS_MAX: usize = 1 << 22;

/// How many places are tried for a block, and how many blocks for a position of the target: with bases in which the same
/// is repeated again and again all blocks fall together.
const PROBES_MAX: usize = 16;

/// The longest insertion that one instruction takes, in bytes.
const INSERT_LEN_MAX: usize = 0x7f;

/// The longest copy that one instruction takes in packs of version 2, in bytes; it is written as size zero.
const COPY_LEN_MAX: usize = 0x1_0000;

/// The shortest common beginning or end that is copied, in bytes.
const END_LEN_MIN: usize = 8;

/// The shortest rest between common ends in which blocks are looked for.
const MIDDLE_LEN_MIN: usize = BLOCK_LEN;

/// How much is compared at once, in bytes.
const CHUNK_LEN: usize = 16;

/// No block.
const NONE: u32 = u32::MAX;

/// Where the blocks of a base are.
pub struct Index {
    /// A table of offsets with open addressing.
    slots: Vec<u32>,
    /// One bit for each value of some bits of a hash: whether there is a block with it. It is small, so that most of what
    /// is not in the base is found out without looking into the table.
    filter: Vec<u64>,
    bits: u32,
}

impl Index {
    /// Makes the index of `base`.
    pub fn new(base: &[u8]) -> Self {
        let stride = STRIDE.max(base.len().div_ceil(BLOCKS_MAX));
        let blocks = base.len() / stride + 1;
        let bits = (blocks * 2).next_power_of_two().ilog2();
        let mut index =
            Self { slots: vec![NONE; 1 << bits], filter: vec![0; (1 << (bits + 2)) / 64 + 1], bits };
        let mut previous = None;
        for (at, block) in base.windows(BLOCK_LEN).step_by(stride).enumerate() {
            let Some(block) = block.first_chunk() else { break };
            // of a run of equal blocks the first makes the longest matches
            let hash = hash(block);
            if previous.replace(hash) != Some(hash) {
                index.insert(hash, u32::try_from(at * stride).unwrap_or(NONE));
            }
        }
        index
    }

    /// The bytes that it takes, without the base.
    pub fn size(&self) -> usize {
        self.slots.len() * 4 + self.filter.len() * 8
    }

    fn insert(&mut self, hash: u64, offset: u32) {
        let (word, bit) = self.filter_place(hash);
        if let Some(word) = self.filter.get_mut(word) {
            *word |= bit;
        }
        let home = self.home(hash);
        let Some((before, from)) = self.slots.split_at_mut_checked(home) else { return };
        let mut places = from.iter_mut().chain(before).take(PROBES_MAX);
        if let Some(free) = places.find(|slot| **slot == NONE) {
            *free = offset;
        }
    }

    /// Whether a block with `hash` may be there.
    fn may_have(&self, hash: u64) -> bool {
        let (word, bit) = self.filter_place(hash);
        self.filter.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Where blocks with `hash` may be, and others.
    fn candidates(&self, hash: u64) -> impl Iterator<Item = usize> {
        let (before, from) = self.slots.split_at_checked(self.home(hash)).unwrap_or_default();
        let places = from.iter().chain(before).take(PROBES_MAX);
        places.take_while(|slot| **slot != NONE).map(|slot| *slot as usize)
    }

    fn home(&self, hash: u64) -> usize {
        usize::try_from(hash >> (64 - self.bits)).unwrap_or(0)
    }

    fn filter_place(&self, hash: u64) -> (usize, u64) {
        let place = hash >> (62 - self.bits);
        (usize::try_from(place >> 6).unwrap_or(0), 1 << (place & 63))
    }
}

/// Puts a delta that makes `target` of `base` into `out`, whose former content is lost.
///
/// `index` gives the index of `base`; it is asked for only where it is needed. False if the delta would be longer than
/// `len_max` bytes, or if instructions cannot address all of `base`; then the content of `out` means nothing.
pub fn create<'a>(
    base: &[u8],
    index: impl FnOnce() -> &'a Index,
    target: &[u8],
    len_max: usize,
    out: &mut Vec<u8>,
) -> bool {
    out.clear();
    if u32::try_from(base.len()).is_err() {
        return false;
    }
    encode_size(base.len(), out);
    encode_size(target.len(), out);
    let prefix = end_len(common_prefix(base, target));
    let suffix = end_len(common_suffix(base, target.get(prefix..).unwrap_or_default()));
    let end = target.len() - suffix;
    let mut delta = Delta { out, len_max, base, target: target.get(..end).unwrap_or_default(), told: 0 };
    delta.copy(0, prefix);
    if end - prefix >= MIDDLE_LEN_MIN && !delta.search(index()) {
        return false;
    }
    delta.insert(end);
    delta.copy(base.len() - suffix, suffix);
    out.len() <= len_max
}

/// A delta in the making.
struct Delta<'a> {
    out: &'a mut Vec<u8>,
    len_max: usize,
    base: &'a [u8],
    /// The target as far as it is to be searched.
    target: &'a [u8],
    /// How much of the target the instructions so far tell.
    told: usize,
}

/// A range of the base that the target has too.
#[derive(Clone, Copy)]
struct Match {
    /// Where it begins in the base.
    offset: usize,
    /// Where it begins in the target.
    at: usize,
    len: usize,
}

impl Delta<'_> {
    /// Tells the target from where it is told by what of the base is in it, but for what follows the last match. False if
    /// that gets too long.
    fn search(&mut self, index: &Index) -> bool {
        let mut at = self.told;
        let mut give_up_at = self.give_up_at();
        while let Some(block) = self.target.get(at..).and_then(|rest| rest.first_chunk()) {
            let hash = hash(block);
            if index.may_have(hash)
                && let Some(found) = self.longest_match(index, hash, at)
            {
                self.insert(found.at);
                self.copy(found.offset, found.len);
                at = self.told;
                give_up_at = self.give_up_at();
            } else {
                at += 1;
            }
            if at > give_up_at {
                return false;
            }
        }
        true
    }

    /// Where the delta is too long if everything up to there is inserted; a match may still save the last block.
    fn give_up_at(&self) -> usize {
        match self.len_max.checked_sub(self.out.len()) {
            Some(left) => self.told.saturating_add(left).saturating_add(BLOCK_LEN),
            None => 0,
        }
    }

    fn longest_match(&self, index: &Index, hash: u64, at: usize) -> Option<Match> {
        let (before, from) = self.target.split_at_checked(at)?;
        let before = before.get(self.told..)?;
        let matches = index.candidates(hash).filter_map(|offset| {
            let (base_before, base_from) = self.base.split_at_checked(offset)?;
            let len = common_prefix(base_from, from);
            if len < BLOCK_LEN {
                return None;
            }
            let back = common_suffix(base_before, before);
            Some(Match { offset: offset - back, at: at - back, len: len + back })
        });
        // of matches of the same length the first
        matches.reduce(|best, other| if other.len > best.len { other } else { best })
    }

    /// Inserts what is not told up to `end`.
    fn insert(&mut self, end: usize) {
        let bytes = self.target.get(self.told..end).unwrap_or_default();
        for piece in bytes.chunks(INSERT_LEN_MAX) {
            self.out.push(u8::try_from(piece.len()).unwrap_or(0));
            self.out.extend_from_slice(piece);
        }
        self.told = end;
    }

    /// Copies `len` bytes of the base from `offset`.
    fn copy(&mut self, offset: usize, len: usize) {
        self.told += len;
        let (mut offset, mut left) = (offset, len);
        while left > 0 {
            let len = left.min(COPY_LEN_MAX);
            let at = self.out.len();
            self.out.push(0x80);
            let mut instruction = 0x80;
            for (bit, byte) in
                (0..4).zip(offset.to_le_bytes()).chain((4..6).zip((len % COPY_LEN_MAX).to_le_bytes()))
            {
                if byte != 0 {
                    instruction |= 1 << bit;
                    self.out.push(byte);
                }
            }
            if let Some(first) = self.out.get_mut(at) {
                *first = instruction;
            }
            offset += len;
            left -= len;
        }
    }
}

/// Seven bits in each byte, least significant first.
fn encode_size(size: usize, out: &mut Vec<u8>) {
    let mut rest = size;
    loop {
        let [low, ..] = rest.to_le_bytes();
        rest >>= 7;
        if rest == 0 {
            return out.push(low & 0x7f);
        }
        out.push(low | 0x80);
    }
}

/// A hash whose highest bits are the best.
fn hash(block: &[u8; BLOCK_LEN]) -> u64 {
    let ([low, high], _) = block.as_chunks() else { return 0 };
    let [low, high] = [u64::from_le_bytes(*low), u64::from_le_bytes(*high)];
    let mixed = low.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ high.rotate_left(32);
    mixed.wrapping_mul(0xc2b2_ae3d_27d4_eb4f)
}

fn end_len(len: usize) -> usize {
    if len < END_LEN_MIN { 0 } else { len }
}

/// How many bytes both begin with.
fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let chunks = a.as_chunks::<CHUNK_LEN>().0.iter().zip(b.as_chunks::<CHUNK_LEN>().0);
    let len = CHUNK_LEN * chunks.take_while(|(a, b)| a == b).count();
    let rest = a.get(len..).unwrap_or_default().iter().zip(b.get(len..).unwrap_or_default());
    len + rest.take_while(|(a, b)| a == b).count()
}

/// How many bytes both end with.
fn common_suffix(a: &[u8], b: &[u8]) -> usize {
    let chunks = a.as_rchunks::<CHUNK_LEN>().1.iter().rev().zip(b.as_rchunks::<CHUNK_LEN>().1.iter().rev());
    let len = CHUNK_LEN * chunks.take_while(|(a, b)| a == b).count();
    let shorter = |all: &[u8]| all.len() - len;
    let rest = a.get(..shorter(a)).unwrap_or_default().iter().rev();
    len + rest.zip(b.get(..shorter(b)).unwrap_or_default().iter().rev()).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::apply;
    use super::*;

    /// Makes a delta, sees that it makes the target, and gives its length.
    fn check(base: &[u8], target: &[u8]) -> usize {
        let index = Index::new(base);
        let (mut delta, mut made) = (b"old".to_vec(), Vec::new());
        assert!(create(base, || &index, target, usize::MAX, &mut delta));
        apply(base, &delta, &mut made).unwrap();
        assert!(made == target, "{} bytes of {}", target.len(), base.len());
        let len = delta.len();
        // the limit decides whether there is a delta, not which
        let mut again = Vec::new();
        assert!(create(base, || &index, target, len, &mut again));
        assert_eq!(again, delta);
        assert!(len == 0 || !create(base, || &index, target, len - 1, &mut again));
        len
    }

    /// Bytes in which nothing repeats.
    fn noise(len: usize, seed: u64) -> Vec<u8> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()[0]
        };
        (0..len).map(|_| next()).collect()
    }

    #[test]
    fn what_is_equal_is_copied() {
        for len in [8, 15, 16, 17, 31, 32, 1000, 0xffff] {
            assert!(check(&noise(len, 1), &noise(len, 1)) <= 10);
        }
    }

    #[test]
    fn copies_end_at_64_kib() {
        for len in [0x1_0000 - 1, 0x1_0000, 0x1_0000 + 1, 0x2_0000, 0x2_0001] {
            let base = noise(len, 1);
            assert!(check(&base, &base) <= 6 + 6 * (len / 0x1_0000 + 1));
        }
        // from an offset that needs all of its bytes
        let mut moved = vec![0; 0x0101_0101];
        moved.extend(noise(0x1_0001, 1));
        assert!(check(&moved, &noise(0x1_0001, 1)) <= 8 + 2 * 7);
    }

    #[test]
    fn insertions_end_at_127_bytes() {
        for len in [0_usize, 1, 126, 127, 128, 254, 255] {
            let expected = len + len.div_ceil(127) + if len > 127 { 3 } else { 2 };
            assert_eq!(check(b"", &noise(len, 1)), expected);
        }
    }

    #[test]
    fn what_moved_is_found() {
        let (a, b, c) = (noise(1000, 1), noise(3000, 2), noise(2000, 3));
        let base = [&a[..], &b, &c].concat();
        assert!(check(&base, &[&c[..], &a, &b].concat()) < 30);
        assert!(check(&base, &[&b[5..], b"new", &a[100..], &c[..500], &a].concat()) < 50);
    }

    #[test]
    fn a_base_of_one_byte_again_and_again_takes_no_time() {
        let base = vec![0; 1 << 24];
        let mut target = noise(1 << 16, 1);
        target.extend(vec![0; 1 << 20]);
        target.extend(noise(1 << 10, 2));
        target.extend(vec![0; 1 << 23]);
        target.push(1);
        assert!(check(&base, &target) < (1 << 16) + (1 << 11));
        let periodic: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
        assert!(check(&periodic, &[&noise(40, 1)[..], &periodic].concat()) < 200);
    }

    #[test]
    fn a_search_in_vain_ends_early() {
        let (base, target) = (noise(1 << 20, 1), noise(1 << 20, 2));
        let (index, mut delta) = (Index::new(&base), Vec::new());
        assert!(!create(&base, || &index, &target, 1000, &mut delta));
        assert!(delta.len() <= 1000);
    }

    #[derive(Debug, Clone)]
    enum Edit {
        Insert(prop::sample::Index, Vec<u8>),
        Remove(prop::sample::Index, usize),
        Move(prop::sample::Index, usize, prop::sample::Index),
    }

    fn edit() -> impl Strategy<Value = Edit> {
        prop_oneof![
            (any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 0..200))
                .prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
            (any::<prop::sample::Index>(), 0..400_usize).prop_map(|(at, len)| Edit::Remove(at, len)),
            (any::<prop::sample::Index>(), 0..400_usize, any::<prop::sample::Index>())
                .prop_map(|(from, len, to)| Edit::Move(from, len, to)),
        ]
    }

    fn edited(content: &[u8], edits: &[Edit]) -> Vec<u8> {
        let mut content = content.to_vec();
        for edit in edits {
            let place = |at: &prop::sample::Index, content: &[u8]| at.index(content.len() + 1);
            match edit {
                Edit::Insert(at, bytes) => {
                    let at = place(at, &content);
                    content.splice(at..at, bytes.iter().copied());
                }
                Edit::Remove(at, len) => {
                    let at = place(at, &content);
                    content.drain(at..(at + len).min(content.len()));
                }
                Edit::Move(from, len, to) => {
                    let from = place(from, &content);
                    let taken: Vec<u8> = content.drain(from..(from + len).min(content.len())).collect();
                    let to = place(to, &content);
                    content.splice(to..to, taken);
                }
            }
        }
        content
    }

    proptest! {
        #[test]
        fn any_two_buffers_have_a_delta(base: Vec<u8>, target: Vec<u8>) {
            check(&base, &target);
        }

        #[test]
        fn buffers_of_few_letters_have_a_delta(
            base in prop::collection::vec(0..3_u8, 0..500),
            target in prop::collection::vec(0..3_u8, 0..500),
        ) {
            check(&base, &target);
        }

        #[test]
        fn edits_have_a_short_delta(
            len in 0..200_000_usize,
            edits in prop::collection::vec(edit(), 0..6),
            few_letters: bool,
        ) {
            let mut base = noise(len, 1);
            if few_letters {
                for byte in &mut base {
                    *byte %= 2;
                }
            }
            let target = edited(&base, &edits);
            let inserted: usize = edits.iter().map(|edit| match edit {
                Edit::Insert(_, bytes) => bytes.len() + 2,
                Edit::Remove(..) | Edit::Move(..) => 0,
            }).sum();
            let delta_len = check(&base, &target);
            if !few_letters {
                prop_assert!(delta_len < inserted + (edits.len() + 1) * 120 + 8 * (len / 0x1_0000) + 20);
            }
        }
    }
}
