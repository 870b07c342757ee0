//! Against repositories that C git made.

use std::io::{self, Read as _};
use std::path::Path;
use std::process::Command;

use super::*;
use crate::pack::Bases;
use crate::pack::source::{Location, Source, Stored};

mod known;
mod order;

fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(directory)
        .env("HOME", directory)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_AUTHOR_NAME", "A")
        .env("GIT_AUTHOR_EMAIL", "a@example.com")
        .env("GIT_COMMITTER_NAME", "C")
        .env("GIT_COMMITTER_EMAIL", "c@example.com")
        .env("GIT_COMMITTER_DATE", "1700000000 +0100")
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end_matches('\n').to_owned()
}

fn id(directory: &Path, name: &str) -> ObjectId {
    ObjectId::from_hex(git(directory, &["rev-parse", name]).as_bytes()).unwrap()
}

/// A repository with a merge, tags of tags, and loose objects.
fn repository(object_format: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let top = directory.path();
    git(top, &["init", "-q", "-b", "main", "--object-format", object_format]);
    for number in 0..20 {
        std::fs::write(top.join("file"), format!("{number}\n").repeat(number)).unwrap();
        git(top, &["add", "file"]);
        git(top, &["commit", "-q", "-m", "c"]);
    }
    let tree = git(top, &["rev-parse", "HEAD^{tree}"]);
    let octopus =
        git(top, &["commit-tree", &tree, "-p", "HEAD", "-p", "HEAD~5", "-p", "HEAD~9", "-m", "three"]);
    git(top, &["update-ref", "refs/heads/main", &octopus]);
    git(top, &["tag", "-a", "-m", "t", "t1"]);
    git(top, &["tag", "-a", "-m", "t", "t2", "t1"]);
    directory
}

fn open(directory: &Path) -> Objects {
    let object_hash = id(directory, "HEAD").kind();
    Objects::open_for_test(directory.join(".git/objects"), object_hash)
}

#[test]
fn objects_are_found_loose_and_packed() {
    for object_format in ["sha1", "sha256"] {
        let directory = repository(object_format);
        let top = directory.path();
        for packed in [false, true] {
            if packed {
                git(top, &["repack", "-adq"]);
            }
            let objects = open(top);
            let all = git(top, &["cat-file", "--batch-all-objects", "--batch-check"]);
            let mut content = Vec::new();
            for line in all.lines() {
                let fields: Vec<&str> = line.split(' ').collect();
                let id = ObjectId::from_hex(fields[0].as_bytes()).unwrap();
                let kind = gix_object::Kind::from_bytes(fields[1].as_bytes()).unwrap();
                assert!(objects.contains(&id));
                assert_eq!(objects.kind(&id).unwrap(), Some(kind));
                assert_eq!(objects.find(&id, &mut content).unwrap(), Some(kind));
                assert_eq!(content.len().to_string(), fields[2]);
            }
            let absent = ObjectId::null(id(top, "HEAD").kind());
            assert!(!objects.contains(&absent));
            assert_eq!(objects.kind(&absent).unwrap(), None);
            assert_eq!(objects.find(&absent, &mut content).unwrap(), None);
            let tag = id(top, "t2");
            assert_eq!(objects.peel(&tag).unwrap(), Some((id(top, "HEAD"), gix_object::Kind::Commit)));
            assert_eq!(objects.peel(&absent).unwrap(), None);
        }
    }
}

#[test]
fn the_empty_tree_need_not_be_on_disk() {
    for object_format in ["sha1", "sha256"] {
        let directory = repository(object_format);
        let objects = open(directory.path());
        let tree = ObjectId::empty_tree(id(directory.path(), "HEAD").kind());
        let mut content = vec![1];
        assert!(objects.contains(&tree));
        assert_eq!(objects.kind(&tree).unwrap(), Some(gix_object::Kind::Tree));
        assert_eq!(objects.find(&tree, &mut content).unwrap(), Some(gix_object::Kind::Tree));
        assert!(content.is_empty());
        assert_eq!(Source::header(&objects, &tree).unwrap(), Some((gix_object::Kind::Tree, 0)));
        assert_eq!(objects.open_stream(&tree).unwrap().unwrap().read(&mut [0]).unwrap(), 0);
    }
}

#[test]
fn commits_are_the_same_from_graph_and_object() {
    let directory = repository("sha1");
    let top = directory.path();
    let read = |objects: &mut Objects| -> Vec<String> {
        let all = git(top, &["rev-list", "--all"]);
        let commits = all.lines().map(|hex| {
            let id = ObjectId::from_hex(hex.as_bytes()).unwrap();
            let commit = objects.commit(&id).unwrap().unwrap();
            assert_eq!(objects.commit(&id).unwrap().as_ref(), Some(&commit));
            let parents: Vec<String> = commit.parents.iter().map(ToString::to_string).collect();
            format!("{id} {} {} {}", commit.tree, commit.date, parents.join(" "))
        });
        commits.collect()
    };
    let log = git(top, &["log", "--all", "--format=%H %T %ct %P"]);
    let expected: Vec<&str> = log.lines().collect();
    let mut from_objects = open(top);
    assert_eq!(read(&mut from_objects), expected);
    assert!(from_objects.graph.get().unwrap().is_none());
    git(top, &["commit-graph", "write", "--reachable"]);
    let mut from_graph = open(top);
    assert_eq!(read(&mut from_graph), expected);
    assert!(from_graph.graph.get().unwrap().is_some());
    let not_commits = open(top);
    assert_eq!(not_commits.commit(&id(top, "HEAD^{tree}")).unwrap(), None);
    assert_eq!(not_commits.commit(&id(top, "t1")).unwrap(), None);
}

#[test]
fn a_shallow_boundary_has_no_parents() {
    let directory = repository("sha1");
    let top = directory.path();
    git(top, &["commit-graph", "write", "--reachable"]);
    let boundary = id(top, "HEAD~2");
    let main = top.join(".git/objects");
    let places = Places { main, extra: Vec::new(), object_hash: boundary.kind() };
    let objects = Objects::open(places, vec![boundary], true).unwrap();
    assert!(objects.commit(&boundary).unwrap().unwrap().parents.is_empty());
    assert_eq!(objects.commit(&id(top, "HEAD")).unwrap().unwrap().parents.len(), 3);
}

#[test]
fn broken_commits_are_errors() {
    let sha1 = gix_hash::Kind::Sha1;
    let tree = "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n";
    let author = "author A <a@b> 1 +0000\n";
    for (content, date) in [
        (format!("{tree}{author}committer C <c> 5 +0000\n\nm"), Some(5)),
        (format!("{tree}{author}committer C <c> -5 +0000\n\nm"), Some(-5)),
        (format!("{tree}{author}committer C <c> junk\n\ncommitter C <c> 7 +0000\n"), Some(0)),
        (format!("{tree}\n"), Some(0)),
        (format!("{tree}parent 4b82\n{author}"), None),
        ("tree x\n".to_owned(), None),
        (format!("parent {}", &tree[5..]), None),
        (String::new(), None),
    ] {
        assert_eq!(commit::parse(content.as_bytes(), sha1).map(|commit| commit.date), date, "{content}");
    }
}

#[test]
fn abbreviations_are_as_long_as_gits() {
    let directory = repository("sha1");
    let top = directory.path();
    // enough objects for prefixes of four digits to collide
    let blobs: Vec<String> = (0..1_200).map(|n| format!("blob\ndata <<E\n{n}\nE\n")).collect();
    let mut import = Command::new("git")
        .args(["fast-import", "--quiet"])
        .current_dir(top)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    io::Write::write_all(&mut import.stdin.take().unwrap(), blobs.concat().as_bytes()).unwrap();
    assert!(import.wait().unwrap().success());
    let objects = open(top);
    let all = git(top, &["cat-file", "--batch-all-objects", "--batch-check=%(objectname)"]);
    let ids: Vec<&str> = all.lines().collect();
    for pair in ids.windows(3) {
        let id = ObjectId::from_hex(pair[1].as_bytes()).unwrap();
        let shared = |other: &str| pair[1].bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
        let expected = (shared(pair[0]).max(shared(pair[2])) + 1).max(4);
        assert_eq!(objects.abbreviate(&id, 4), pair[1][..expected]);
    }
    let head = id(top, "HEAD");
    let short = git(top, &["rev-parse", "--short", "HEAD"]);
    assert_eq!(objects.abbreviate(&head, objects.abbreviation_len()), short);
}

#[test]
fn alternates_are_read_from_file_and_environment() {
    let directory = repository("sha1");
    let top = directory.path();
    let borrower = tempfile::tempdir().unwrap();
    git(borrower.path(), &["init", "-q"]);
    let main = borrower.path().join(".git/objects");
    let lender = top.join(".git/objects");
    let head = id(top, "HEAD");
    let object_hash = head.kind();
    let missing = borrower.path().join("missing");
    let extra = vec![missing.clone(), lender.clone()];
    let places = Places { main: main.clone(), extra, object_hash };
    let objects = Objects::open(places, Vec::new(), true).unwrap();
    assert!(objects.contains(&head));
    assert_eq!(objects.alternates(), std::slice::from_ref(&lender));
    assert!(!Objects::open_for_test(main.clone(), object_hash).contains(&head));
    let alternates = format!("{}\n{}\n", missing.display(), lender.display());
    std::fs::write(main.join("info/alternates"), alternates).unwrap();
    let objects = Objects::open_for_test(main, object_hash);
    assert!(objects.contains(&head));
    assert!(objects.alternates().contains(&lender));
    assert_eq!(objects.kind(&head).unwrap(), Some(gix_object::Kind::Commit));
}

#[cfg(unix)]
#[test]
fn alternates_of_the_environment_may_be_quoted() {
    let parse = |text: &str| alternates::parse_environment(text.as_ref());
    let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
    assert_eq!(parse("/a:/b c::d"), paths(&["/a", "/b c", "d"]));
    assert_eq!(parse("\"/a:\\\"b\\102\":/c"), paths(&["/a:\"bB", "/c"]));
    assert_eq!(parse("\"open:/c"), paths(&["\"open", "/c"]));
    assert_eq!(parse("\"\\"), paths(&["\"\\"]));
    assert_eq!(parse(""), paths(&[]));
}

#[test]
fn packs_that_come_are_seen_by_find_at_once_and_by_contains_after_refresh() {
    let directory = repository("sha1");
    let top = directory.path();
    git(top, &["repack", "-adq"]);
    let mut objects = open(top);
    assert!(objects.contains(&id(top, "HEAD")));
    assert!(!objects.contains(&ObjectId::null(gix_hash::Kind::Sha1)), "what is there is looked at now");
    git(top, &["commit", "-q", "--allow-empty", "-m", "new"]);
    git(top, &["repack", "-dq"]);
    let new = id(top, "HEAD");
    assert!(!objects.contains(&new));
    assert_eq!(objects.clone().kind(&new).unwrap(), Some(gix_object::Kind::Commit));
    assert!(!objects.contains(&new));
    objects.refresh().unwrap();
    assert!(objects.contains(&new));
    // a repack takes the packs away that were open
    let old = open(top);
    git(top, &["repack", "-adq"]);
    assert_eq!(old.kind(&new).unwrap(), Some(gix_object::Kind::Commit));
}

#[test]
fn one_value_serves_many_threads() {
    let directory = repository("sha1");
    let top = directory.path();
    git(top, &["repack", "-adq"]);
    let objects = open(top);
    let all = git(top, &["cat-file", "--batch-all-objects", "--batch-check=%(objectname)"]);
    let ids: Vec<ObjectId> = all.lines().map(|hex| ObjectId::from_hex(hex.as_bytes()).unwrap()).collect();
    let bases: &dyn Bases = &objects;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut content = Vec::new();
                for id in &ids {
                    assert!(bases.contains(id));
                    assert!(bases.find(id, &mut content).unwrap().is_some());
                }
            });
        }
    });
}

/// The packs' `.idx` files.
fn indices(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory.join(".git/objects/pack")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "idx")).collect()
}

fn inflate(stream: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    flate2::read::ZlibDecoder::new(stream).read_to_end(&mut content).unwrap();
    content
}

/// The zlib stream of an entry.
fn entry(objects: &Objects, location: &Location) -> io::Result<Vec<u8>> {
    let mut stream = Vec::new();
    objects.with_entry(location, &mut |bytes| stream.extend_from_slice(bytes))?;
    Ok(stream)
}

/// Compares every entry of a pack with what `git verify-pack -v` says of it.
fn check_entries(objects: &Objects, listing: &str) {
    let mut deltas = 0;
    for line in listing.lines() {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let Ok(id) = ObjectId::from_hex(fields[0].as_bytes()) else { continue };
        let number = |field: usize| fields[field].parse::<u64>().unwrap();
        let location = objects.locate(&id).unwrap().unwrap();
        assert_eq!((location.offset, location.size), (number(4), number(2)), "{line}");
        assert_eq!(objects.id_at(location.pack, location.offset).unwrap(), Some(id));
        assert_eq!(objects.id_at(location.pack, location.offset + 1).unwrap(), None);
        let stream = entry(objects, &location).unwrap();
        assert_eq!(stream.len() as u64, location.stream_len);
        assert_eq!(inflate(&stream).len() as u64, location.size);
        let (kind, size) = objects.header(&id).unwrap().unwrap();
        assert_eq!((kind.to_string().as_str(), size), (fields[1], content(objects, &id).len() as u64));
        check_stored_as(objects, &id, &location, &stream);
        match location.content {
            Stored::Whole(whole) => assert_eq!((whole, fields.len()), (kind, 5), "{line}"),
            Stored::OffsetDelta(base) => {
                deltas += 1;
                let base = objects.id_at(location.pack, base).unwrap().unwrap();
                assert_eq!(base.to_string(), fields[6]);
            }
            Stored::IdDelta(base) => assert_eq!(base.to_string(), fields[6]),
        }
    }
    assert!(deltas > 0, "{listing}");
}

/// The object is stored as it is, and in no other way.
fn check_stored_as(objects: &Objects, id: &oid, location: &Location, stream: &[u8]) {
    use crate::pack::Bases as _;
    let content = match location.content {
        Stored::OffsetDelta(base) => Stored::IdDelta(objects.id_at(location.pack, base).unwrap().unwrap()),
        stored => stored,
    };
    let (pack, size) = (Some(location.pack), location.size);
    assert_eq!(objects.stored_as(id, (content, size), stream), pack);
    assert_eq!(objects.stored_as(id, (content, size + 1), stream), None);
    assert_eq!(objects.stored_as(id, (Stored::IdDelta(id.to_owned()), size), stream), None);
    let other = [&stream[..stream.len() - 1], &[!stream[stream.len() - 1]]].concat();
    assert_eq!(objects.stored_as(id, (content, size), &other), None);
}

fn content(objects: &Objects, id: &oid) -> Vec<u8> {
    let mut content = Vec::new();
    objects.find(id, &mut content).unwrap().unwrap();
    content
}

/// Commits versions of a file that is long enough for deltas.
fn commit_long_file(directory: &Path) {
    for version in 0..3 {
        let lines = (0..500).map(|line| format!("line {}\n", line * 7 + usize::from(line % 100 == version)));
        std::fs::write(directory.join("file"), lines.collect::<String>()).unwrap();
        git(directory, &["commit", "-qam", "long"]);
    }
}

/// A large entry comes in pieces; after many bytes its memory is let go, and nobody sees that.
#[test]
fn large_entries_are_shown_again_and_again() {
    let directory = repository("sha1");
    let top = directory.path();
    let noise: Vec<u8> =
        (0_u32..1_200_000).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    std::fs::write(top.join("noise"), &noise).unwrap();
    git(top, &["add", "noise"]);
    git(top, &["commit", "-qm", "noise"]);
    git(top, &["repack", "-adq"]);
    let objects = open(top);
    let id = ObjectId::from_hex(git(top, &["rev-parse", "HEAD:noise"]).trim().as_bytes()).unwrap();
    let location = objects.locate(&id).unwrap().unwrap();
    assert!(location.stream_len > 2 << 20, "it comes in one piece");
    for _ in 0..16 {
        assert!(inflate(&entry(&objects, &location).unwrap()) == noise);
    }
}

#[test]
fn entries_are_where_git_says_they_are() {
    for object_format in ["sha1", "sha256"] {
        let directory = repository(object_format);
        let top = directory.path();
        commit_long_file(top);
        git(top, &["repack", "-adq"]);
        let index = indices(top).pop().unwrap();
        let listing = git(top, &["verify-pack", "-v", index.to_str().unwrap()]);
        check_entries(&open(top), &listing);
        let reverse = index.with_extension("rev");
        std::fs::rename(&reverse, top.join("away")).unwrap();
        check_entries(&open(top), &listing);
        // one of another pack is no help either
        std::fs::write(&reverse, b"RIDX\0\0\0\x01\0\0\0\x01").unwrap();
        check_entries(&open(top), &listing);
    }
}

#[test]
fn every_link_of_a_chain_of_large_objects_is_kept() {
    let directory = repository("sha1");
    let top = directory.path();
    for number in 0..5 {
        let lines = (0..200_000).map(|line| format!("{}\n", line * if line == number { 7 } else { 1 }));
        std::fs::write(top.join("large"), lines.collect::<String>()).unwrap();
        git(top, &["add", "large"]);
        git(top, &["commit", "-q", "-m", "c"]);
    }
    git(top, &["repack", "-adfq", "--depth=10"]);
    let versions: Vec<_> = (0..5).map(|age| id(top, &format!("HEAD~{age}:large"))).collect();
    let objects = open(top);
    let whole: Vec<_> = versions.iter().map(|id| content(&objects, id)).collect();
    let places: Vec<_> = versions.iter().map(|id| objects.locate(id).unwrap().unwrap()).collect();
    let is_base = |of: &Location, at: u64| of.content == Stored::OffsetDelta(at);
    let last = places.iter().position(|place| !places.iter().any(|other| is_base(other, place.offset)));
    let base = places.iter().find(|place| matches!(place.content, Stored::Whole(_))).unwrap();
    // once what others are made of is lost, they are made of what was kept
    let objects = open(top);
    assert_eq!(content(&objects, &versions[last.unwrap()]), whole[last.unwrap()]);
    let pack = indices(top)[0].with_extension("pack");
    let mut permissions = std::fs::metadata(&pack).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
    std::fs::set_permissions(&pack, permissions).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&pack).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[0; 99], base.offset).unwrap();
    for (id, whole) in versions.iter().zip(&whole) {
        assert!(content(&objects, id) == *whole, "{id}");
    }
}

#[test]
fn a_broken_entry_is_not_copied() {
    let directory = repository("sha1");
    let top = directory.path();
    git(top, &["repack", "-adq"]);
    std::fs::write(top.join(".git/objects/pack/pack-broken.idx"), "broken").unwrap();
    let tip = id(top, "HEAD");
    let location = open(top).locate(&tip).unwrap().unwrap();
    let pack = indices(top).into_iter().map(|index| index.with_extension("pack")).find(|pack| pack.exists());
    let pack = pack.unwrap();
    let mut bytes = std::fs::read(&pack).unwrap();
    bytes[usize::try_from(location.offset).unwrap() + 10] ^= 1;
    std::fs::remove_file(&pack).unwrap();
    std::fs::write(&pack, bytes).unwrap();
    let objects = open(top);
    let location = objects.locate(&tip).unwrap().unwrap();
    let error = entry(&objects, &location).unwrap_err();
    assert!(error.to_string().starts_with("bad CRC of the entry at offset"), "{error}");
}

#[test]
fn places_outlive_a_repack_and_new_packs_are_found() {
    let directory = repository("sha1");
    let top = directory.path();
    git(top, &["repack", "-adq"]);
    let old = id(top, "HEAD");
    let mut objects = open(top);
    assert_eq!(objects.locate(&ObjectId::null(old.kind())).unwrap(), None);
    let location = objects.locate(&old).unwrap().unwrap();
    let unasked = open(top);
    std::fs::write(top.join("file"), "new").unwrap();
    git(top, &["commit", "-qam", "new"]);
    assert_eq!(unasked.locate(&id(top, "HEAD")).unwrap(), None);
    let before = entry(&objects, &location).unwrap();

    git(top, &["commit", "-q", "--amend", "-m", "newer"]);
    git(top, &["repack", "-adq"]);
    let after = entry(&objects, &location).unwrap();
    assert_eq!(before, after);
    assert!(unasked.locate(&old).unwrap().is_some());
    objects.refresh().unwrap();
    let new = objects.locate(&id(top, "HEAD")).unwrap().unwrap();
    assert_ne!(new.pack, location.pack);
}

#[test]
fn a_pack_that_is_gone_before_it_was_opened_is_replaced() {
    let directory = repository("sha1");
    let top = directory.path();
    git(top, &["repack", "-adq"]);
    let old = id(top, "HEAD");
    std::fs::write(top.join("file"), "new").unwrap();
    git(top, &["commit", "-qam", "new"]);
    git(top, &["repack", "-dq"]);
    let objects = open(top);
    let number_of = |id: &oid| objects.locate(id).unwrap().map(|location| location.pack);
    // reads the listing, and opens the newer pack alone where time stamps are fine enough
    let first = number_of(&id(top, "HEAD")).unwrap();
    git(top, &["repack", "-adq"]);
    let second = number_of(&old).unwrap();
    assert_ne!(first, second);
}

#[test]
fn objects_are_read_as_streams() {
    for object_format in ["sha1", "sha256"] {
        let directory = repository(object_format);
        let top = directory.path();
        commit_long_file(top);
        for packed in [false, true] {
            if packed {
                git(top, &["repack", "-adq"]);
            }
            let objects = open(top);
            for line in git(top, &["cat-file", "--batch-all-objects", "--batch-check"]).lines() {
                let id = ObjectId::from_hex(line.split(' ').next().unwrap().as_bytes()).unwrap();
                let mut streamed = Vec::new();
                objects.open_stream(&id).unwrap().unwrap().read_to_end(&mut streamed).unwrap();
                assert_eq!(streamed, content(&objects, &id));
            }
            assert!(objects.open_stream(&ObjectId::null(id(top, "HEAD").kind())).unwrap().is_none());
        }
    }
}

#[test]
fn a_stream_that_is_cut_off_is_an_error() {
    let directory = repository("sha1");
    let top = directory.path();
    let name = id(top, "HEAD:file").to_string();
    let path = top.join(".git/objects").join(&name[..2]).join(&name[2..]);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 5]).unwrap();
    let objects = open(top);
    let mut stream = objects.open_stream(&id(top, "HEAD:file")).unwrap().unwrap();
    assert!(stream.read_to_end(&mut Vec::new()).is_err());
}

/// Remembers what it was asked for, and gets it from another repository.
#[derive(Debug)]
struct Lender {
    from: PathBuf,
    to: PathBuf,
    asked: Mutex<Vec<Vec<ObjectId>>>,
}

impl Promisor for Lender {
    fn bring(&self, ids: &[ObjectId]) -> io::Result<()> {
        self.asked.lock().unwrap().push(ids.to_vec());
        for id in ids {
            let kind = git(&self.from, &["cat-file", "-t", &id.to_string()]);
            let content = Command::new("git")
                .args(["-C".as_ref(), self.from.as_os_str(), "cat-file".as_ref(), kind.as_ref()])
                .arg(id.to_string())
                .output()?;
            std::fs::write(self.to.join("object"), content.stdout)?;
            git(&self.to, &["hash-object", "-w", "-t", &kind, "object"]);
        }
        Ok(())
    }
}

#[test]
fn what_was_promised_is_fetched_when_it_is_read() {
    let whole = repository("sha1");
    let partial = tempfile::tempdir().unwrap();
    git(partial.path(), &["init", "-q"]);
    let tip = id(whole.path(), "main");
    let file = id(whole.path(), "main:file");
    let lender = Arc::new(Lender {
        from: whole.path().to_owned(),
        to: partial.path().to_owned(),
        asked: Mutex::default(),
    });
    let objects = Objects::open_for_test(partial.path().join(".git/objects"), gix_hash::Kind::Sha1);
    let objects = objects.with_promise(Some(lender.clone()));
    let mut content = Vec::new();
    assert!(!objects.contains(&file), "whether it is here is no reason to fetch it");
    assert_eq!(objects.clone().here().find(&file, &mut content).unwrap(), None);
    assert_eq!(objects.find(&file, &mut content).unwrap(), Some(gix_object::Kind::Blob));
    let tree = objects.commit(&tip).unwrap().unwrap().tree;
    objects.bring(&[tip, tree, tree.kind().null()]).unwrap();
    assert_eq!(objects.kind(&tree).unwrap(), Some(gix_object::Kind::Tree));
    assert_eq!(*lender.asked.lock().unwrap(), [[file], [tip], [tree]]);
}

#[test]
fn what_packs_of_promisors_name_was_promised() {
    let directory = repository("sha1");
    let top = directory.path();
    git(top, &["repack", "-adq"]);
    let file = id(top, "main:file");
    let filtered = top.join("filtered");
    git(top, &["config", "uploadpack.allowFilter", "true"]);
    let url = format!("file://{}", top.display());
    git(top, &["clone", "-q", "--bare", "--filter=blob:none", &url, "filtered"]);
    let objects = Objects::open_for_test(filtered.join("objects"), gix_hash::Kind::Sha1);
    assert!(!objects.is_promised(&file), "nobody has promised anything");
    let objects = objects.with_promise(None);
    let tip = id(top, "main");
    assert!(objects.is_from_promisor(&tip) && !objects.is_from_promisor(&file));
    assert!(objects.is_promised(&file) && !objects.is_promised(&file.kind().null()));
}
