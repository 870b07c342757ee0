//! Deltas that are kept from one pack to the next.

use super::*;
use crate::pack::enumerate::{Wanted, enumerate};
use crate::pack::produce::{KnownDeltas, Reuse, Settings, produce};

/// Who lacks the same as another gets the same pack, for which no delta is made again: turned ones where the receiver has a
/// version of the file, others where it has nothing.
#[test]
fn a_delta_is_made_once_for_all_who_lack_it() {
    let directory = repository("sha1");
    let top = directory.path();
    for number in 0..4 {
        for name in 0..3 {
            let lines =
                (0..2_000).map(|line| format!("{}\n", line * if line == number { 7 + name } else { 1 }));
            let text = lines.chain(["new\n".repeat(number)]).collect::<String>();
            std::fs::create_dir_all(top.join(format!("d{name}"))).unwrap();
            std::fs::write(top.join(format!("d{name}/long")), text).unwrap();
        }
        git(top, &["add", "."]);
        git(top, &["commit", "-q", "-m", "c"]);
    }
    git(top, &["repack", "-adfbq"]);
    let known = Arc::new(KnownDeltas::new(1 << 20));
    let settings = |objects: &str, is_known: bool| Settings {
        object_hash: gix_hash::Kind::Sha1,
        window: 10,
        depth: 50,
        window_memory_bytes: 0,
        compression: -1,
        ofs_delta: true,
        big_file_threshold_bytes: 1 << 29,
        threads: 1,
        delta_cache_bytes: 1 << 28,
        reuse: Reuse::All,
        known: is_known.then(|| known.of(Path::new(objects))),
    };
    let pack = |haves: &[ObjectId], boundary: Vec<ObjectId>, settings: &Settings| {
        let main =
            Places { main: top.join(".git/objects"), extra: Vec::new(), object_hash: gix_hash::Kind::Sha1 };
        let objects = Objects::open(main, boundary, true).unwrap();
        let wanted =
            Wanted { wants: vec![id(top, "HEAD~1")], haves: haves.to_vec(), thin: true, ..Wanted::default() };
        let found = enumerate(&objects, &wanted, &mut crate::progress::Discard).unwrap();
        let mut pack = Vec::new();
        produce(&objects, found, settings, &mut pack, &mut crate::progress::Discard).unwrap();
        pack
    };
    for (haves, boundary, at_least) in
        [(vec![id(top, "HEAD~3")], Vec::new(), 3), (Vec::new(), vec![id(top, "HEAD~1")], 2)]
    {
        let alone = pack(&haves, boundary.clone(), &settings("objects", false));
        let before = known.found();
        assert!(pack(&haves, boundary.clone(), &settings("objects", true)) == alone);
        assert_eq!(known.found(), before);
        assert!(pack(&haves, boundary.clone(), &settings("objects", true)) == alone);
        let after = known.found();
        assert!(after >= before + at_least, "{before} {after}");
        assert!(pack(&haves, boundary.clone(), &settings("others", true)) == alone);
        assert_eq!(known.found(), after);
        let other_level = |is_known: bool| Settings { compression: 1, ..settings("objects", is_known) };
        let level = pack(&haves, boundary.clone(), &other_level(false));
        assert!(level != alone && pack(&haves, boundary.clone(), &other_level(true)) == level);
        git(top, &["repack", "-adfbq", "--window=2", "--depth=1"]);
        let repacked = pack(&haves, boundary.clone(), &settings("objects", false));
        assert!(pack(&haves, boundary.clone(), &settings("objects", true)) == repacked);
    }
}
