//! Indices of which a bit is turned over, beside a bitmap: what is sent has all that was asked for, or is not sent.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use gitr::pack::enumerate::{Wanted, enumerate};
use gitr::pack::produce::produce;
use gitr::progress::Discard;
use gix_hash::ObjectId;

use super::bitmap::{WAYS, settings};
use super::{Repo, with_history};

/// Every so many bytes one is broken: a prime number, so that the columns of all tables have their turn.
const STEP: usize = 89;

/// The pack of what `wanted` says; `None` if it is refused.
fn packed(repo: &Repo, wanted: &Wanted) -> Option<Vec<u8>> {
    let objects = repo.objects();
    let found = enumerate(&objects, wanted, &mut Discard).ok()?;
    let mut pack = Vec::new();
    produce(&objects, found, &settings(gix_hash::Kind::Sha1, true), &mut pack, &mut Discard).ok()?;
    Some(pack)
}

/// Others may have the file open: it is not changed, there is another.
fn replace(path: &Path, bytes: &[u8]) {
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_broken_index_leaves_nothing_out() {
    let repo = with_history(57, "sha1", 8);
    repo.write_bitmaps(WAYS[3]);
    let wanted = Wanted { wants: vec![repo.id("b0")], ..Wanted::default() };
    let expected: BTreeSet<ObjectId> = repo.listed(&wanted, &[]);
    let files = fs::read_dir(repo.path.join("objects/pack")).unwrap().map(|file| file.unwrap().path());
    let indices: Vec<_> = files
        .filter(|path| path.ends_with("multi-pack-index") || path.extension().is_some_and(|e| e == "idx"))
        .collect();
    assert!(indices.len() > 2, "{indices:?}");
    let mut sent = 0;
    for path in indices {
        let whole = fs::read(&path).unwrap();
        for at in (0..whole.len()).step_by(STEP) {
            let mut broken = whole.clone();
            broken[at] ^= 1 << (at % 8);
            replace(&path, &broken);
            let Some(pack) = packed(&repo, &wanted) else { continue };
            let receiver = Repo::new("sha1");
            receiver.git(&["index-pack", "--stdin"], &pack);
            let listing = receiver.git(&["cat-file", "--batch-check", "--batch-all-objects"], b"");
            let arrived: BTreeSet<ObjectId> = super::ids(&listing).into_iter().collect();
            assert!(expected.is_subset(&arrived), "byte {at} of {}", path.display());
            sent += 1;
        }
        replace(&path, &whole);
    }
    assert!(sent > 0, "all were refused");
}
