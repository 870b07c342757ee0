//! What is found by bitmaps, and packs made of it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;

use gitr::pack::Error;
use gitr::pack::enumerate::filter::Filter;
use gitr::pack::enumerate::{Enumerated, Wanted, enumerate};
use gitr::pack::produce::{Produced, Reuse, Settings, produce};
use gitr::pack::source::Source as _;
use gitr::progress::{Discard, Event, Progress};
use gitr::repo::Objects;
use gix_hash::ObjectId;
use gix_object::Kind;

use super::{Random, Repo, some_tips, with_history};

/// How bitmaps are written.
pub(super) const WAYS: [&[&str]; 4] = [
    &["-c", "pack.writeBitmapLookupTable=true", "repack", "-adbq"],
    &["-c", "pack.writeBitmapLookupTable=false", "repack", "-adbq"],
    &["-c", "pack.writeBitmapHashCache=false", "repack", "-adbq"],
    &["-c", "pack.writeBitmapLookupTable=true", "multi-pack-index", "write", "--bitmap"],
];

/// All that is sent, the entries of packs included.
fn all(objects: &Objects, found: &Enumerated) -> BTreeSet<ObjectId> {
    let mut all: BTreeSet<ObjectId> = found.objects.iter().map(|object| object.id).collect();
    for packed in &found.packed {
        let entries = objects.entries(packed.pack).unwrap().unwrap();
        all.extend(packed.places.iter().map(|place| entries.id(place).unwrap()));
    }
    assert_eq!(all.len(), found.count(), "something is there twice");
    all
}

/// Each of `items` on a line of its own.
fn lines<T: std::fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| format!("{item}\n")).collect::<Vec<_>>().concat()
}

pub(super) fn settings(object_hash: gix_hash::Kind, ofs_delta: bool) -> Settings {
    Settings {
        object_hash,
        window: 10,
        depth: 50,
        window_memory_bytes: 0,
        compression: -1,
        ofs_delta,
        big_file_threshold_bytes: 1 << 29,
        threads: 2,
        delta_cache_bytes: 1 << 28,
        reuse: Reuse::All,
        known: None,
    }
}

impl Repo {
    /// Writes bitmaps, after the objects have been brought into two packs where they are for several.
    pub(super) fn write_bitmaps(&self, way: &[&str]) {
        if way.contains(&"multi-pack-index") {
            let old = self.git(&["rev-list", "--objects", "--all", "--skip=7"], b"");
            let old = lines(super::ids(&old));
            self.git(&["pack-objects", "-q", "objects/pack/pack"], old.as_bytes());
            self.git(&["repack", "-dq"], b"");
        }
        self.git(way, b"");
        assert_eq!(self.bitmaps().len(), 1);
    }

    fn bitmaps(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.path.join("objects/pack")).unwrap();
        let files = files.map(|file| file.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|extension| extension == "bitmap")).collect()
    }

    /// Asserts that exactly what the wants reach and the haves do not is found.
    fn check_exact(&self, objects: &Objects, wanted: &Wanted) -> Enumerated {
        let found = enumerate(objects, wanted, &mut Discard).unwrap();
        let reach = |tips: &[ObjectId]| {
            let tips = Wanted { wants: tips.to_vec(), ..Wanted::default() };
            if tips.wants.is_empty() { BTreeSet::new() } else { self.listed(&tips, &[]) }
        };
        let theirs = reach(&wanted.haves);
        let expected: BTreeSet<ObjectId> = reach(&wanted.wants).difference(&theirs).copied().collect();
        let ours = all(objects, &found);
        let difference: Vec<_> = ours.symmetric_difference(&expected).collect();
        assert!(difference.is_empty(), "{difference:?} of {wanted:?}");
        assert!(found.bases.iter().all(|base| theirs.contains(&base.id)));
        found
    }

    /// Makes a pack and has C git take it in, in a repository that has all that `haves` reach.
    fn send(&self, objects: &Objects, found: Enumerated, haves: &[ObjectId], ofs_delta: bool) -> Produced {
        let ids = all(objects, &found);
        let object_hash = self.id("b0").kind();
        let settings = settings(object_hash, ofs_delta);
        let mut pack = Vec::new();
        let produced = produce(objects, found, &settings, &mut pack, &mut Discard).unwrap();
        assert_eq!((produced.objects as usize, produced.bytes), (ids.len(), pack.len() as u64));
        let receiver = Self::new(&object_hash.to_string());
        if !haves.is_empty() {
            let tips = lines(haves);
            let base = self.git(&["pack-objects", "--revs", "-q", "../base"], tips.as_bytes());
            for extension in ["pack", "idx"] {
                let file = format!("base-{}.{extension}", base.trim());
                let packs = receiver.path.join("objects/pack");
                fs::copy(self.path.join("..").join(&file), packs.join(file.replace("base", "pack"))).unwrap();
            }
        }
        receiver.git(&["index-pack", "--stdin", "--fix-thin"], &pack);
        let list = lines(&ids);
        let checked = receiver.git(&["cat-file", "--batch-check"], list.as_bytes());
        assert!(!checked.contains("missing"), "{checked}");
        produced
    }
}

#[test]
fn bitmaps_give_what_c_git_lists() {
    for (seed, way) in (21..).zip(WAYS) {
        let repo = with_history(seed, if seed % 2 == 0 { "sha256" } else { "sha1" }, 50);
        repo.write_bitmaps(way);
        let mut random = Random(seed);
        // what came after the bitmaps were written
        let tree = repo.git(&["rev-parse", "b0~2:a"], b"");
        let newer = repo.git(&["commit-tree", "-p", "b0", "-p", "b2~1", "-m", "x", tree.trim()], b"");
        repo.git(&["update-ref", "refs/heads/newer", newer.trim()], b"");
        let objects = repo.objects();
        for round in 0..8 {
            let (wants, haves) = (1 + random.below(3), random.below(4));
            let mut wants = some_tips(&mut random, &repo, wants);
            wants.extend((round % 3 == 0).then(|| repo.id("newer")));
            let haves = some_tips(&mut random, &repo, haves);
            let wanted = Wanted { wants, haves: haves.clone(), thin: round % 2 == 0, ..Wanted::default() };
            let found = repo.check_exact(&objects, &wanted);
            assert_eq!(found.packed.is_empty(), !haves.is_empty(), "they were not used");
            if round < 3 {
                repo.send(&objects, found, &haves, round != 1);
            }
        }
    }
}

#[test]
fn filters_leave_out_what_c_git_leaves_out() {
    let repo = with_history(31, "sha1", 40);
    repo.write_bitmaps(WAYS[0]);
    let objects = repo.objects();
    let everything: Vec<ObjectId> = ["b0", "b1", "t2"].iter().map(|name| repo.id(name)).collect();
    let both = Filter::Any(vec![Filter::BlobLimit(4), Filter::ObjectType(Kind::Blob)]);
    for (filter, option) in [
        (Filter::BlobNone, "--filter=blob:none"),
        (Filter::TreeDepth(0), "--filter=tree:0"),
        (Filter::TreeDepth(2), "--filter=tree:2"),
        (Filter::BlobLimit(4), "--filter=blob:limit=4"),
        (Filter::ObjectType(Kind::Tree), "--filter=object:type=tree"),
        (both, "--filter=combine:blob:limit=4+object:type=blob"),
    ] {
        for thin in [true, false] {
            let haves = if thin { vec![repo.id("b2")] } else { Vec::new() };
            let theirs = Wanted { wants: haves.clone(), ..Wanted::default() };
            let theirs = if thin { repo.listed(&theirs, &[]) } else { BTreeSet::new() };
            let filter = Some(filter.clone());
            let wanted = Wanted { wants: everything.clone(), haves, thin, filter, ..Wanted::default() };
            let found = enumerate(&objects, &wanted, &mut Discard).unwrap();
            let listed = repo.listed(&Wanted { haves: Vec::new(), ..wanted.clone() }, &[option]);
            let expected: BTreeSet<ObjectId> = listed.difference(&theirs).copied().collect();
            let ours: BTreeSet<ObjectId> = all(&objects, &found).difference(&theirs).copied().collect();
            assert_eq!(ours, expected, "{option}");
            repo.send(&objects, found, &wanted.haves, true);
        }
    }
}

#[test]
fn deltas_to_what_the_receiver_has_are_kept_and_made() {
    let repo = Repo::new("sha1");
    let text = lines((0..400).map(|line| format!("a line that says {line}")));
    let mut stream = String::new();
    for number in 0..6 {
        let content = format!("{text}{number}\n");
        stream += &format!("commit refs/heads/b0\ncommitter A <a@example.com> {number} +0000\ndata 1\nm");
        stream += &format!("M 100644 inline file\ndata {}\n{content}\n", content.len());
    }
    repo.git(&["fast-import", "--quiet"], stream.as_bytes());
    repo.write_bitmaps(WAYS[0]);
    let objects = repo.objects();
    let haves = vec![repo.id("b0~1")];
    let wanted = Wanted { wants: vec![repo.id("b0")], haves: haves.clone(), thin: true, ..Wanted::default() };
    let found = repo.check_exact(&objects, &wanted);
    assert_eq!(found.bases.iter().map(|base| base.kind).collect::<Vec<_>>(), [Kind::Tree, Kind::Blob]);
    // the newest version is whole in the pack, the older ones are deltas to it
    let produced = repo.send(&objects, found, &haves, true);
    assert!(produced.deltas == 1 && produced.bytes < 400, "{produced:?}");
    // and the other way round, the delta on disk does
    let wanted = Wanted { wants: vec![repo.id("b0~3")], haves: vec![repo.id("b0~2")], ..wanted };
    assert_eq!(repo.check_exact(&objects, &wanted).count(), 0);
    let tree = repo.id("b0~3^{tree}");
    let odd = repo.git(&["commit-tree", "-m", "odd", &tree.to_string()], b"");
    repo.git(&["update-ref", "refs/heads/odd", odd.trim()], b"");
    let haves = vec![repo.id("b0:file")];
    let wanted = Wanted { wants: vec![repo.id("odd")], haves: haves.clone(), ..wanted };
    let objects = repo.objects();
    let found = repo.check_exact(&objects, &wanted);
    let produced = repo.send(&objects, found, &[repo.id("b0")], true);
    assert!(produced.reused_deltas >= 1, "{produced:?}");
}

/// Files that are all of noise but for what commits change: what is not based on the version that the receiver has is long.
#[test]
fn what_lies_whole_is_sent_as_a_delta_made_of_those_on_disk() {
    let repo = Repo::new("sha1");
    let noise = lines((0..4_000_u32).map(|number| number.wrapping_mul(0x9e37_79b1)));
    let mut stream = String::new();
    for number in 0..20 {
        stream += &format!("commit refs/heads/b0\ncommitter A <a@example.com> {number} +0000\ndata 1\nm");
        for file in 0..3 {
            let content = format!("{file}{}{number}\n", &noise[number * 9..]);
            stream += &format!("M 100644 inline file{file}\ndata {}\n{content}\n", content.len());
        }
    }
    repo.git(&["fast-import", "--quiet"], stream.as_bytes());
    repo.git(&["repack", "-adfbq"], b"");
    let objects = repo.objects();
    for (haves, ofs_delta) in [("b0~1", true), ("b0~7", true), ("b0~7", false)] {
        let haves = vec![repo.id(haves)];
        let wanted =
            Wanted { wants: vec![repo.id("b0")], haves: haves.clone(), thin: true, ..Wanted::default() };
        let found = repo.check_exact(&objects, &wanted);
        let produced = repo.send(&objects, found, &haves, ofs_delta);
        // each of the three has some 15 kB
        assert!(produced.bytes < 6_000 && produced.deltas >= 3, "{produced:?}");
    }
}

#[test]
fn entries_are_copied_with_and_without_gaps() {
    let repo = with_history(41, "sha1", 60);
    repo.git(&["repack", "-adfq"], b"");
    repo.write_bitmaps(WAYS[1]);
    let objects = repo.objects();
    for name in ["b0", "b1~4", "b2"] {
        let wanted = Wanted { wants: vec![repo.id(name)], ..Wanted::default() };
        for ofs_delta in [true, false] {
            let found = repo.check_exact(&objects, &wanted);
            let produced = repo.send(&objects, found, &[], ofs_delta);
            assert!(produced.pack_reused.objects > 0 && produced.reused >= produced.pack_reused.objects);
        }
    }
}

#[test]
fn a_broken_entry_is_made_anew() {
    let repo = with_history(42, "sha1", 40);
    repo.write_bitmaps(WAYS[1]);
    // another pack has everything as well
    let bitmap = repo.bitmaps().remove(0);
    let everything = repo.git(&["rev-list", "--objects", "--all"], b"");
    let everything = lines(super::ids(&everything));
    repo.git(
        &["pack-objects", "-q", "--no-reuse-delta", "--window=0", "objects/pack/pack"],
        everything.as_bytes(),
    );
    let pack = bitmap.with_extension("pack");
    let mut bytes = fs::read(&pack).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    fs::remove_file(&pack).unwrap();
    fs::write(&pack, bytes).unwrap();
    let objects = repo.objects();
    let wanted = Wanted { wants: vec![repo.id("b0"), repo.id("b1"), repo.id("b2")], ..Wanted::default() };
    let found = enumerate(&objects, &wanted, &mut Discard).unwrap();
    assert!(!found.packed.is_empty());
    repo.send(&objects, found, &[], true);
}

#[test]
fn a_copy_of_a_whole_pack_has_its_checksum() {
    let repo = with_history(43, "sha1", 40);
    repo.write_bitmaps(WAYS[1]);
    // what the pack says of itself is told: whoever reads it sees whether it holds
    let bitmap = repo.bitmaps().remove(0);
    let mut pack = Vec::new();
    for (extension, from_end) in [("idx", Some(40)), ("bitmap", None), ("pack", Some(20))] {
        let path = bitmap.with_extension(extension);
        pack = fs::read(&path).unwrap();
        let at = from_end.map_or(12, |from_end| pack.len() - from_end);
        pack[at] ^= 1;
        if extension == "bitmap" {
            let body = pack.len() - 20;
            let mut checksum = gix_hash::hasher(gix_hash::Kind::Sha1);
            checksum.update(&pack[..body]);
            pack[body..].copy_from_slice(checksum.try_finalize().unwrap().as_slice());
        }
        fs::remove_file(&path).unwrap();
        fs::write(&path, &pack).unwrap();
    }
    let objects = repo.objects();
    let tips = repo.git(&["for-each-ref", "--format=%(objectname)"], b"");
    let wanted = Wanted { wants: super::ids(&tips).into_iter().collect(), ..Wanted::default() };
    for (ofs_delta, is_copy) in [(true, true), (false, false)] {
        let found = enumerate(&objects, &wanted, &mut Discard).unwrap();
        let mut made = Vec::new();
        let settings = settings(gix_hash::Kind::Sha1, ofs_delta);
        produce(&objects, found, &settings, &mut made, &mut Discard).unwrap();
        assert_eq!(made == pack, is_copy);
        if !is_copy {
            Repo::new("sha1").git(&["index-pack", "--stdin"], &made);
        }
    }
}

#[test]
fn an_entry_of_another_object_is_not_sent() {
    let repo = Repo::new("sha1");
    repo.git(&["hash-object", "-w", "--stdin"], b"one thing");
    let other = repo.git(&["hash-object", "-w", "--stdin"], b"two other");
    let tree = repo.git(&["mktree"], format!("100644 blob {}\tf\n", other.trim()).as_bytes());
    let commit = repo.git(&["commit-tree", "-m", "x", tree.trim()], b"");
    repo.git(&["update-ref", "refs/heads/b0", commit.trim()], b"");
    repo.git(&["-c", "core.compression=0", "repack", "-adbqf"], b"");
    let pack = repo.bitmaps().remove(0).with_extension("pack");
    let mut bytes = fs::read(&pack).unwrap();
    // stored as it is: the same with other letters and their checksum
    let at = bytes.windows(9).position(|window| window == b"two other").unwrap();
    bytes[at..at + 9].copy_from_slice(b"one thing");
    let mut stream = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::none());
    stream.write_all(b"one thing").unwrap();
    let stream = stream.finish().unwrap();
    bytes[at + 9..at + 13].copy_from_slice(&stream[stream.len() - 4..]);
    fs::remove_file(&pack).unwrap();
    fs::write(&pack, bytes).unwrap();
    let objects = repo.objects();
    let wanted = Wanted { wants: vec![repo.id("b0")], ..Wanted::default() };
    let found = enumerate(&objects, &wanted, &mut Discard).unwrap();
    let made = produce(&objects, found, &settings(gix_hash::Kind::Sha1, true), &mut io::sink(), &mut Discard);
    assert!(matches!(made, Err(Error::Unreadable { .. })), "{made:?}");
}

#[test]
fn copying_ends_when_it_is_told_to_or_nobody_reads() {
    struct Stop;
    impl Progress for Stop {
        fn report(&mut self, event: Event<'_>) -> ControlFlow<()> {
            match event {
                Event::Phase { title: "Writing objects", .. } => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let repo = with_history(43, "sha1", 40);
    repo.write_bitmaps(WAYS[1]);
    let objects = repo.objects();
    let wanted = Wanted { wants: vec![repo.id("b0")], ..Wanted::default() };
    let found = repo.check_exact(&objects, &wanted);
    let stopped =
        produce(&objects, found.clone(), &settings(gix_hash::Kind::Sha1, true), &mut io::sink(), &mut Stop);
    assert!(matches!(stopped, Err(Error::Interrupted)), "{stopped:?}");
    let closed = produce(&objects, found, &settings(gix_hash::Kind::Sha1, true), &mut Closed, &mut Discard);
    assert!(matches!(closed, Err(Error::Send(_))), "{closed:?}");
}

#[test]
fn a_broken_bitmap_costs_time_alone() {
    #[derive(Default)]
    struct Told(Vec<String>);
    impl Progress for Told {
        fn report(&mut self, event: Event<'_>) -> ControlFlow<()> {
            if let Event::Error(text) = event {
                self.0.push(text.to_owned());
            }
            ControlFlow::Continue(())
        }
    }
    let repo = with_history(51, "sha1", 20);
    repo.write_bitmaps(WAYS[0]);
    let path = repo.bitmaps().remove(0);
    let whole = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let wanted = Wanted { wants: vec![repo.id("b0")], ..Wanted::default() };
    for (len, expected) in [
        (10, "corrupted bitmap index (too small)"),
        (60, "corrupted bitmap index file (too short to fit hash cache)"),
    ] {
        fs::write(&path, &whole[..len]).unwrap();
        let mut told = Told::default();
        let found = enumerate(&repo.objects(), &wanted, &mut told).unwrap();
        assert_eq!(told.0, [expected]);
        assert_eq!(super::set(&found), repo.listed(&wanted, &[]));
    }
    repo.git(&["config", "pack.useBitmaps", "false"], b"");
    let mut told = Told::default();
    assert!(enumerate(&repo.objects(), &wanted, &mut told).unwrap().packed.is_empty() && told.0.is_empty());
}

#[test]
fn a_history_that_is_cut_off_is_walked() {
    let repo = with_history(61, "sha1", 20);
    repo.write_bitmaps(WAYS[0]);
    let wants = vec![repo.id("b0")];
    let receiver_shallow = vec![repo.id("b0~1")];
    let wanted = Wanted { wants, receiver_shallow, ..Wanted::default() };
    assert!(enumerate(&repo.objects(), &wanted, &mut Discard).unwrap().packed.is_empty());
    fs::write(repo.path.join("shallow"), format!("{}\n", repo.id("b0~1"))).unwrap();
    let wanted = Wanted { receiver_shallow: Vec::new(), ..wanted };
    let found = enumerate(&repo.objects(), &wanted, &mut Discard).unwrap();
    assert!(found.packed.is_empty());
    assert_eq!(super::set(&found), repo.listed(&wanted, &[]));
}
