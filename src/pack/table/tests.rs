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
fn a_kept_delta_is_that_of_its_entry() {
    let mut table = Table::new(gix_hash::Kind::Sha1, 0);
    for delta in [&b"one"[..], &[0; KEPT_LEN_MAX + 1], b"", b"four"] {
        table.keep(delta);
        table.push(&NewEntry::new(table.entries.len() as u64, delta.len() as u64, 1), None).unwrap();
    }
    let kept = [0, 1, 2, 3].map(|index| table.kept(index));
    assert_eq!(kept, [Some(&b"one"[..]), None, Some(b""), Some(b"four")]);
}
