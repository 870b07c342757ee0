//! Indices and bitmaps of which a bit is turned over: what is sent has all that was asked for, or is not sent.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use gitr::pack::enumerate::{Wanted, enumerate};
use gitr::pack::produce::produce;
use gitr::pack::source::Source as _;
use gitr::progress::Discard;
use gix_hash::ObjectId;

use super::bitmap::{WAYS, settings};
use super::{Repo, with_history};

/// Every so many bytes one is broken: a prime number, so that the columns of all tables have their turn.
const STEP: usize = 89;

/// In how many places of each bitmap, about.
const BITMAP_TRIES: usize = 20;

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

/// Turns over a bit of `path` at every `step` bytes, and asks for a pack each time: what comes has all of `wanted`. Returns how
/// many came.
#[track_caller]
fn flip(repo: &Repo, wanted: &Wanted, path: &Path, step: usize) -> usize {
    let expected: BTreeSet<ObjectId> = repo.listed(wanted, &[]);
    let whole = fs::read(path).unwrap();
    let mut sent = 0;
    for at in (0..whole.len()).step_by(step) {
        let mut broken = whole.clone();
        broken[at] ^= 1 << (at % 8);
        replace(path, &broken);
        let Some(pack) = packed(repo, wanted) else { continue };
        let receiver = Repo::new("sha1");
        receiver.git(&["index-pack", "--stdin"], &pack);
        let listing = receiver.git(&["cat-file", "--batch-check", "--batch-all-objects"], b"");
        let arrived: BTreeSet<ObjectId> = super::ids(&listing).into_iter().collect();
        assert!(expected.is_subset(&arrived), "byte {at} of {}", path.display());
        sent += 1;
    }
    replace(path, &whole);
    sent
}

/// The files of the pack directory of `repo` whose names end with `end`.
fn files(repo: &Repo, end: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(repo.path.join("objects/pack")).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.to_string_lossy().ends_with(end)).collect()
}

#[test]
fn a_broken_index_leaves_nothing_out() {
    let repo = with_history(57, "sha1", 8);
    repo.write_bitmaps(WAYS[3]);
    let wanted = Wanted { wants: vec![repo.id("b0")], ..Wanted::default() };
    let indices = [files(&repo, "/multi-pack-index"), files(&repo, ".idx")].concat();
    assert!(indices.len() > 2, "{indices:?}");
    let sent: usize = indices.iter().map(|path| flip(&repo, &wanted, path, STEP)).sum();
    assert!(sent > 0, "all were refused");
}

/// A bitmap is a short way alone: whichever bit of it is turned over, all is found, and nothing is refused.
#[test]
fn a_broken_bitmap_leaves_nothing_out() {
    for way in WAYS {
        let repo = with_history(57, "sha1", 8);
        repo.write_bitmaps(way);
        let wanted = Wanted { wants: vec![repo.id("b0")], ..Wanted::default() };
        for path in files(&repo, ".bitmap") {
            let bytes = usize::try_from(fs::metadata(&path).unwrap().len()).unwrap();
            let step = (bytes / BITMAP_TRIES).max(1);
            assert_eq!(flip(&repo, &wanted, &path, step), bytes.div_ceil(step), "{}", path.display());
            let bitmaps = repo.objects().bitmaps().unwrap();
            assert!(bitmaps.index.is_some() && bitmaps.broken.is_empty(), "{}", path.display());
        }
    }
}
