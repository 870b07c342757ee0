//! The order of entries, where what tells of it is broken.

use super::*;

/// A `.rev` file that is broken is no help, and of one that lies nothing is believed that is not so.
#[test]
fn an_order_of_entries_is_compared_with_the_index() {
    for object_format in ["sha1", "sha256"] {
        let directory = repository(object_format);
        let top = directory.path();
        commit_long_file(top);
        git(top, &["repack", "-adq"]);
        let index = indices(top).pop().unwrap();
        let listing = git(top, &["verify-pack", "-v", index.to_str().unwrap()]);
        let reverse = index.with_extension("rev");
        let whole = std::fs::read(&reverse).unwrap();
        std::fs::remove_file(&reverse).unwrap();
        // rows that are swapped, the same, or of no object, the first as well as the last
        let object_hash = id(top, "HEAD").kind();
        let objects = open(top);
        let truth: Vec<_> = listing
            .lines()
            .filter_map(|line| ObjectId::from_hex(line.split(' ').next()?.as_bytes()).ok())
            .map(|id| (id, objects.locate(&id).unwrap().unwrap()))
            .collect();
        let rows = (whole.len() - 12) / 4 - id(top, "HEAD").as_slice().len() / 2;
        let lies: [fn(&mut [u8]); 4] = [
            |rows| rows.rotate_left(4),
            |rows| rows.copy_within(..4, 4),
            |rows| rows.fill(0),
            |rows| rows.fill(0xff),
        ];
        for (lie, begin) in lies.iter().flat_map(|lie| [(lie, 0), (lie, rows / 2), (lie, rows - 3)]) {
            let mut bytes = whole.clone();
            lie(&mut bytes[12 + 4 * begin..][..12]);
            std::fs::write(&reverse, &bytes).unwrap();
            check_entries(&open(top), &listing);
            // if whoever wrote the file lied, what is told is true nevertheless
            let body = bytes.len() - object_hash.len_in_bytes();
            let mut checksum = crate::pack::hash::Checksum::new(object_hash);
            checksum.update(&bytes[..body]);
            bytes.truncate(body);
            bytes.extend_from_slice(checksum.finish().as_slice());
            std::fs::remove_file(&reverse).unwrap();
            std::fs::write(&reverse, &bytes).unwrap();
            let ids: Vec<&str> = listing.lines().filter_map(|line| line.split(' ').next()).collect();
            let mut told = 0;
            for hex in ids.iter().filter_map(|hex| ObjectId::from_hex(hex.as_bytes()).ok()) {
                let objects = Objects::open_for_test(top.join(".git/objects"), object_hash);
                if let Some(location) = objects.locate(&hex).unwrap() {
                    // where it ends is checked when it is read
                    let is_true = truth.contains(&(hex, location));
                    assert!(is_true || entry(&objects, &location).is_err(), "{hex} {location:?}");
                    told += usize::from(is_true);
                }
                assert!(objects.find(&hex, &mut Vec::new()).unwrap().is_some());
            }
            assert!(told < ids.len(), "the lie is not noticed");
        }
    }
}
