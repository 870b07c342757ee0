//! How trees are packed makes no difference to what is found.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gitr::pack::Bases;
use gitr::pack::enumerate::{Wanted, enumerate};
use gitr::pack::source::{Commit, Entries, Location, Source};
use gitr::progress::Discard;
use gitr::repo::Objects;
use gix_hash::{ObjectId, oid};
use gix_object::Kind;

use super::{EPOCH, Random, Repo, Story, ids};

/// A repository whose directory has `files` files, of which each of `commits` commits on two branches changes some.
fn with_large_directory(files: usize, commits: usize, format: &str) -> Repo {
    let repo = Repo::new(format);
    let mut story = Story { random: Random(3), stream: Vec::new(), made: [0; 3], id_hex_len: 40 };
    for number in 1..=commits {
        let branch = number % 2;
        story.line(&format!("commit refs/heads/b{branch}\nmark :{number}"));
        story.line(&format!("committer A U Thor <a@example.com> {} +0000\ndata 1\nm", EPOCH + number as u64));
        if number > 1 {
            story.line(&format!("from :{}", number.saturating_sub(2).max(1)));
        }
        let changed = if number == 1 { files } else { 1 + story.random.below(4) };
        for at in 0..changed {
            let file = if number == 1 { at } else { story.random.below(files) };
            story.file(&format!("large/directory/file {file}"), &format!("{number} {file}"));
        }
        if story.random.one_in(3) {
            let file = story.random.below(files);
            story.line(&format!("D large/directory/file {file}"));
        }
    }
    story.line("done");
    repo.git(&["fast-import", "--quiet", "--done"], &story.stream);
    repo
}

#[test]
fn deltas_of_trees_change_nothing() {
    for format in ["sha1", "sha256"] {
        let repo = with_large_directory(300, 60, format);
        let (wants, haves) = (ids(&repo.git(&["rev-parse", "b0", "b1"], b"")), vec![repo.id("b0~5")]);
        let wanted = [
            Wanted { wants: wants.clone(), ..Wanted::default() },
            Wanted { wants: wants.clone(), haves: haves.clone(), ..Wanted::default() },
            Wanted { wants, haves, thin: true, ..Wanted::default() },
        ];
        // whatever is a delta to whatever: the same objects are found in the same order
        let mut before = Vec::new();
        for window in ["--window=0", "--window=10", "--window=250"] {
            repo.git(&["repack", "-adfq", "--no-write-bitmap-index", "--depth=30", window], b"");
            let found: Vec<_> = wanted.iter().map(|wanted| repo.check(wanted)).collect();
            let found: Vec<_> = found.into_iter().map(|found| (found.objects, found.bases)).collect();
            assert!(before.is_empty() || before == found, "{window}");
            before = found;
        }
    }
}

/// Objects that count how often the bytes of packs are asked for.
struct Counted {
    objects: Objects,
    count: Arc<AtomicUsize>,
}

impl Bases for Counted {
    fn find(&self, id: &oid, out: &mut Vec<u8>) -> io::Result<Option<Kind>> {
        Bases::find(&self.objects, id, out)
    }

    fn contains(&self, id: &oid) -> bool {
        Bases::contains(&self.objects, id)
    }
}

impl Source for Counted {
    fn header(&self, id: &oid) -> io::Result<Option<(Kind, u64)>> {
        self.objects.header(id)
    }

    fn commit(&self, id: &oid) -> io::Result<Option<Commit>> {
        Source::commit(&self.objects, id)
    }

    fn locate(&self, id: &oid) -> io::Result<Option<Location>> {
        self.objects.locate(id)
    }

    fn id_at(&self, pack: u32, offset: u64) -> io::Result<Option<ObjectId>> {
        self.objects.id_at(pack, offset)
    }

    fn with_entry(&self, location: &Location, read: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        self.objects.with_entry(location, read)
    }

    fn entries(&self, pack: u32) -> io::Result<Option<Arc<dyn Entries>>> {
        let entries = self.objects.entries(pack)?;
        let count = &self.count;
        let counted = entries.map(|entries| CountedEntries { entries, count: Arc::clone(count) });
        Ok(counted.map(|entries| Arc::new(entries) as Arc<dyn Entries>))
    }

    fn entry_offset(&self, id: &oid) -> io::Result<Option<(u32, u64)>> {
        self.objects.entry_offset(id)
    }
}

struct CountedEntries {
    entries: Arc<dyn Entries>,
    count: Arc<AtomicUsize>,
}

impl Entries for CountedEntries {
    fn count(&self) -> u32 {
        self.entries.count()
    }

    fn offset(&self, place: u32) -> Option<u64> {
        self.entries.offset(place)
    }

    fn place_of(&self, id: &oid) -> Option<u32> {
        self.entries.place_of(id)
    }

    fn id(&self, place: u32) -> Option<ObjectId> {
        self.entries.id(place)
    }

    fn crc32(&self, place: u32) -> Option<u32> {
        self.entries.crc32(place)
    }

    fn bytes(&self, range: Range<u64>) -> Option<&[u8]> {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.entries.bytes(range)
    }

    fn trailer(&self) -> Option<ObjectId> {
        self.entries.trailer()
    }

    fn were_read(&self, bytes: usize) {
        self.entries.were_read(bytes);
    }
}

#[test]
fn a_chain_of_large_trees_is_made_once() {
    const TREES: usize = 20;
    let repo = Repo::new("sha1");
    let mut stream = "blob\nmark :1\ndata 1\na\nblob\nmark :2\ndata 1\nb\n".to_owned();
    for number in 0..TREES {
        stream += &format!("commit refs/heads/b0\ncommitter A <a@example.com> {EPOCH} +0000\ndata 1\nm\n");
        let files = if number == 0 { 0..34_000 } else { number..number + 1 };
        files.for_each(|file| stream += &format!("M 100644 :{} file{file:08}\n", 1 + number.min(1)));
    }
    repo.git(&["fast-import", "--quiet"], stream.as_bytes());
    // several threads would make several chains
    repo.git(&["-c", "pack.threads=1", "repack", "-adfq", "--depth=50", "--window=3"], b"");
    let depths =
        repo.git(&["cat-file", "--batch-all-objects", "--batch-check=%(objecttype) %(deltabase)"], b"");
    let deltas = depths.lines().filter(|line| line.starts_with("tree") && !line.ends_with(&"0".repeat(40)));
    assert_eq!(deltas.count(), TREES - 1);
    let count = Arc::new(AtomicUsize::new(0));
    let source = Counted { objects: repo.objects(), count: Arc::clone(&count) };
    let wanted = Wanted { wants: vec![repo.id("b0")], ..Wanted::default() };
    assert_eq!(enumerate(&source, &wanted, &mut Discard).unwrap().objects.len(), 2 * TREES + 2);
    // the header and the stream of an entry, and once more the header of its base
    let count = count.load(Ordering::Relaxed);
    assert!((2 * TREES..=3 * TREES).contains(&count), "{count}");
}
