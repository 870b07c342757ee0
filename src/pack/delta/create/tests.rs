//! Tests of deltas that are made.

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
