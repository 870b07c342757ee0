//! Entries of a pack and what is kept of them.

use super::*;

#[test]
fn what_does_not_fit_into_32_bits_is_known_too() {
    let mut table = Table::new(gix_hash::Kind::Sha1, 0);
    let (large, far) = (u64::from(u32::MAX), 1 << 47);
    for (offset, size) in [(12, large - 1), (13, large), (far, large + 1), (far + 1, 7)] {
        table.push(&NewEntry::new(offset, size, 1), None).unwrap();
    }
    assert_eq!([0, 1, 2, 3].map(|index| table.size(index)), [large - 1, large, large + 1, 7]);
    assert_eq!(table.find(far), Some(2));
    assert_eq!(table.entry(3).map(Entry::offset), Some(far + 1));
    assert!(table.push(&NewEntry::new(1 << 48, 7, 1), None).is_err());
}

#[test]
fn entries_are_found_where_they_begin() {
    let mut table = Table::new(gix_hash::Kind::Sha1, 0);
    // close together, far apart, and close together again
    let near = (0..5_000).map(|number| 12 + number * 3);
    let far = (1..3_000).map(|number| number << 20);
    let behind = (0..5_000).map(|number| (3_000 << 20) + number * 70);
    let offsets = near.chain(far).chain(behind).collect::<Vec<u64>>();
    let fill = |table: &mut Table| {
        for offset in offsets.iter().skip(table.entries.len()) {
            table.push(&NewEntry::new(*offset, 7, 1), None).unwrap();
        }
    };
    fill(&mut table);
    for _ in 0..2 {
        for (index, offset) in (0..).zip(&offsets) {
            assert_eq!(table.find(*offset), Some(index));
            assert_eq!(table.find(offset + 1), None);
        }
        assert_eq!((table.find(0), table.find(1 << 40), table.find(u64::MAX)), (None, None, None));
        table.truncate(6_000);
        assert_eq!((table.find(offsets[5_999]), table.find(offsets[6_000])), (Some(5_999), None));
        fill(&mut table);
    }
}

#[test]
fn a_kept_delta_is_that_of_its_entry() {
    let mut table = Table::new(gix_hash::Kind::Sha1, 0);
    for delta in [&b"one"[..], &[0; KEPT_LEN_MAX + 1], b"", b"four"] {
        table.keep(delta);
        table.push(&NewEntry::new(table.entries.len() as u64, delta.len() as u64, 1), None).unwrap();
    }
    let kept = [0, 1, 2, 3].map(|index| table.kept(index));
    assert_eq!(kept, [Some(&b"one"[..]), None, Some(b""), Some(b"four")]);
}
