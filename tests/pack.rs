//! Packs received by us, compared with what C git makes of the same packs.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::fs;
use std::io::{Cursor, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use gitr::pack::entry::{Content, Header, encode_pack_header};
use gitr::pack::hash::{Checksum, object_id};
use gitr::pack::source;
use gitr::pack::{Bases, Error, Options, Received, Stored, receive};
use gitr::progress::{Discard, Event, Progress};
use gix_hash::{ObjectId, oid};
use gix_object::Kind;
use tempfile::TempDir;

const SHA1: gix_hash::Kind = gix_hash::Kind::Sha1;

/// A repository in a directory of its own, driven by C git.
struct Repo {
    directory: TempDir,
    hash: gix_hash::Kind,
}

impl Repo {
    fn new(hash: gix_hash::Kind) -> Self {
        let repo = Self { directory: TempDir::new().unwrap(), hash };
        repo.git(&["init", "-q", "--bare", &format!("--object-format={hash}"), "."], b"");
        repo
    }

    /// A repository with `commits` commits, each of which changes one line of a growing file and one of two others.
    fn with_history(hash: gix_hash::Kind, commits: usize) -> Self {
        let repo = Self::new(hash);
        let mut stream = Vec::new();
        for n in 1..=commits {
            let mut lines = Vec::new();
            for line in 0..200 + n {
                writeln!(lines, "line {line} of {}", line * 7 + n % 3).unwrap();
            }
            let time = 1_700_000_000 + n;
            writeln!(stream, "commit refs/heads/main").unwrap();
            writeln!(stream, "committer A U Thor <a@example.com> {time} +0000\ndata 2\nm").unwrap();
            writeln!(stream, "M 100644 inline big.txt\ndata {}", lines.len()).unwrap();
            stream.extend(lines);
            writeln!(stream, "M 100755 inline dir{}/{n}\ndata 2\n{}\n", n % 4, n % 10).unwrap();
        }
        writeln!(stream, "tag v1\nfrom refs/heads/main").unwrap();
        writeln!(stream, "tagger A U Thor <a@example.com> 1700000000 +0000\ndata 2\nt").unwrap();
        repo.git(&["fast-import", "--quiet"], &stream);
        repo
    }

    fn git(&self, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let (success, stdout, stderr) = self.try_git(arguments, input);
        assert!(success, "git {arguments:?}: {}", String::from_utf8_lossy(&stderr));
        stdout
    }

    #[expect(clippy::disallowed_methods, reason = "a test has no Environment")]
    fn try_git(&self, arguments: &[&str], input: &[u8]) -> (bool, Vec<u8>, Vec<u8>) {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(self.directory.path()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", self.directory.path());
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("LC_ALL", "C");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        // A git that fails may not read all of its input.
        let writer = std::thread::spawn(move || stdin.write_all(&input).is_ok());
        let output = child.wait_with_output().unwrap();
        let _all_read = writer.join().unwrap();
        (output.status.success(), output.stdout, output.stderr)
    }

    fn pack(&self, arguments: &[&str], revisions: &str) -> Vec<u8> {
        let mut all = vec!["pack-objects", "--stdout", "--revs", "-q"];
        all.extend(arguments);
        self.git(&all, revisions.as_bytes())
    }

    fn objects(&self) -> PathBuf {
        self.directory.path().join("objects")
    }

    fn options(&self) -> Options<'static> {
        Options {
            storage: gitr::storage::Storage::default(),
            objects: self.objects(),
            object_hash: self.hash,
            bases: None,
            unpack_limit: 0,
            keep: None,
            promisor: None,
            threads: 2,
            size_max_bytes: 0,
            made_len_max: 0,
            to_end: true,
            fsck: None,
            shallow: &[],
        }
    }

    fn receive(&self, pack: &[u8]) -> Result<Received, Error> {
        receive(&mut Cursor::new(pack), &self.options(), &mut Discard)
    }

    /// The files below `objects`, with their content.
    fn files(&self) -> BTreeSet<(String, Vec<u8>)> {
        let mut found = BTreeSet::new();
        let mut directories = vec![self.objects()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                } else {
                    let name = path.strip_prefix(self.objects()).unwrap().to_str().unwrap().to_owned();
                    found.insert((name, fs::read(path).unwrap()));
                }
            }
        }
        found
    }

    fn object_names(&self) -> String {
        let listing = self.git(&["cat-file", "--batch-check", "--batch-all-objects"], b"");
        String::from_utf8(listing).unwrap()
    }
}

/// The objects of a repository, read by C git.
struct GitBases<'a>(&'a Repo);

impl Bases for GitBases<'_> {
    fn find(&self, id: &oid, out: &mut Vec<u8>) -> std::io::Result<Option<Kind>> {
        let id = id.to_string();
        let (found, kind, _) = self.0.try_git(&["cat-file", "-t", &id], b"");
        if !found {
            return Ok(None);
        }
        let kind = String::from_utf8(kind).unwrap();
        out.extend(self.0.git(&["cat-file", kind.trim(), &id], b""));
        Ok(Some(Kind::from_bytes(kind.trim().as_bytes()).unwrap()))
    }

    fn contains(&self, id: &oid) -> bool {
        self.0.try_git(&["cat-file", "-e", &id.to_string()], b"").0
    }
}

/// Receives `pack` with C git and with us; the files must be the same, and git must find no fault with ours.
fn check_like_git(pack: &[u8], hash: gix_hash::Kind) -> Received {
    let (theirs, ours) = (Repo::new(hash), Repo::new(hash));
    theirs.git(&["-c", "pack.writeReverseIndex=true", "index-pack", "--stdin"], pack);
    let received = ours.receive(pack).unwrap();
    let (theirs, ours_files) = (theirs.files(), ours.files());
    let names =
        |files: &BTreeSet<(String, Vec<u8>)>| files.iter().map(|file| file.0.clone()).collect::<Vec<_>>();
    assert_eq!(names(&theirs), names(&ours_files));
    assert!(theirs == ours_files, "the content differs");
    let Stored::Pack { path, keep: None } = &received.stored else { panic!("{:?}", received.stored) };
    ours.git(&["verify-pack", path.to_str().unwrap()], b"");
    ours.git(&["fsck", "--full", "--strict", "--no-dangling"], b"");
    assert_eq!(received.bytes, pack.len() as u64);
    received
}

#[test]
fn a_history_is_indexed_as_by_git() {
    for hash in [SHA1, gix_hash::Kind::Sha256] {
        let repo = Repo::with_history(hash, 60);
        let pack = repo.pack(&["--all", "--delta-base-offset"], "");
        let received = check_like_git(&pack, hash);
        assert_eq!(received.objects as usize, repo.object_names().lines().count());
        let links = received.links;
        assert!(links.commits.is_empty() && links.trees.is_empty() && links.blobs.is_empty());
        assert!(links.others.is_empty());
    }
}

#[test]
fn ref_deltas_and_deep_chains_are_resolved() {
    let repo = Repo::with_history(SHA1, 150);
    check_like_git(&repo.pack(&["--all"], ""), SHA1);
    repo.git(&["repack", "-adfq", "--depth=4000", "--window=20"], b"");
    check_like_git(&repo.pack(&["--all", "--delta-base-offset"], ""), SHA1);
}

#[test]
fn one_tree_of_deltas_is_shared_by_many_threads() {
    let repo = Repo::with_history(SHA1, 150);
    let pack = repo.pack(&["--all", "--delta-base-offset"], "");
    for threads in [1, 3, 16] {
        let target = Repo::new(SHA1);
        let options = Options { threads, ..target.options() };
        receive(&mut Cursor::new(&pack), &options, &mut Discard).unwrap();
        target.git(&["fsck", "--full", "--no-dangling"], b"");
        assert_eq!(target.object_names(), repo.object_names());
    }
}

#[test]
fn a_large_blob_is_received() {
    let mut state = 1_u32;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_le_bytes()[3]
    });
    let noise = noise.take(3 << 20).collect::<Vec<_>>();
    let pack = Builder::new().object(Kind::Blob, &noise).object(Kind::Blob, &vec![b'a'; 9 << 20]).build();
    check_like_git(&pack, SHA1);
}

#[test]
fn a_tree_of_deltas_larger_than_the_memory_for_it_is_resolved() {
    // Each object is the one before it and one byte more. Each has two deltas: the next object, which comes first
    // when they are resolved, and one without deltas of its own, for which its base must be made again.
    let size = 16 << 20;
    let mut builder = Builder::new().object(Kind::Blob, &vec![b'a'; size]);
    let mut base_at = 12;
    for level in 0..9 {
        for byte in [b'x', b'y'] {
            let at = builder.bytes.len();
            builder = builder
                .entry(Content::OfsDelta { distance: (at - base_at) as u64 }, &growth(size + level, byte));
            if byte == b'y' {
                base_at = at;
            }
        }
    }
    check_like_git(&builder.build(), SHA1);
}

/// A delta that copies all of a base of `len` bytes, less than 32 MiB, and appends `byte`.
fn growth(len: usize, byte: u8) -> Vec<u8> {
    let mut delta = Vec::new();
    for size in [len, len + 1] {
        let low = |shift: usize| u8::try_from((size >> shift) & 0x7f).unwrap();
        delta.extend([low(0) | 0x80, low(7) | 0x80, low(14) | 0x80, low(21)]);
    }
    let half = len / 2;
    for (offset, size) in [(0, half), (half, len - half)] {
        delta.push(0xff);
        delta.extend(&u32::try_from(offset).unwrap().to_le_bytes());
        delta.extend(&u32::try_from(size).unwrap().to_le_bytes()[..3]);
    }
    delta.extend([1, byte]);
    delta
}

#[test]
fn bases_of_a_thin_pack_may_be_made_by_it_too() {
    let target = Repo::new(SHA1);
    let (a, b) = (&b"hello world\n"[..], &b"abc"[..]);
    target.receive(&Builder::new().object(Kind::Blob, a).object(Kind::Blob, b).build()).unwrap();
    let thin = Builder::new().reference(b.len(), &blob_id(b), b"third").reference(a.len(), &blob_id(a), b);
    let bases = GitBases(&target);
    let options = Options { bases: Some(&bases), ..target.options() };
    let received = receive(&mut Cursor::new(thin.build()), &options, &mut Discard).unwrap();
    let Stored::Pack { path, .. } = &received.stored else { panic!("{:?}", received.stored) };
    target.git(&["verify-pack", path.to_str().unwrap()], b"");
    assert_eq!(fs::read(path).unwrap()[..12], encode_pack_header(3));
    assert_eq!(target.git(&["cat-file", "blob", &blob_id(b"third").to_string()], b""), b"third");
}

#[test]
fn a_pack_that_is_there_already_stays() {
    let target = Repo::new(SHA1);
    target.receive(&small_pack()).unwrap();
    let before = target.files();
    target.receive(&small_pack()).unwrap();
    assert!(before == target.files());
}

#[test]
fn a_thin_pack_is_completed() {
    let source = Repo::with_history(SHA1, 40);
    let target = Repo::new(SHA1);
    let old = source.pack(&["--delta-base-offset"], "main~5\n");
    target.receive(&old).unwrap();
    let thin = source.pack(&["--thin", "--delta-base-offset"], "main\n^main~5\n");
    assert!(matches!(target.receive(&thin), Err(Error::Unresolved { .. })));

    let bases = GitBases(&target);
    let options = Options { bases: Some(&bases), ..target.options() };
    let received = receive(&mut Cursor::new(&thin), &options, &mut Discard).unwrap();
    let Stored::Pack { path, .. } = &received.stored else { panic!("{:?}", received.stored) };
    target.git(&["verify-pack", path.to_str().unwrap()], b"");
    target.git(&["fsck", "--full", "--strict", "--no-dangling"], b"");
    let parent = String::from_utf8(source.git(&["rev-parse", "main~5"], b"")).unwrap();
    assert_eq!(received.links.commits, [ObjectId::from_hex(parent.trim().as_bytes()).unwrap()]);
    assert!(!received.links.blobs.is_empty());
}

#[test]
fn few_objects_become_loose_ones() {
    let source = Repo::with_history(SHA1, 12);
    let target = Repo::new(SHA1);
    let old = source.pack(&["--delta-base-offset"], "main~5\n");
    let loose = Options { unpack_limit: 1000, ..target.options() };
    let received = receive(&mut Cursor::new(&old), &loose, &mut Discard).unwrap();
    assert!(matches!(received.stored, Stored::Loose));
    let thin = source.pack(&["--thin", "--delta-base-offset"], "main\nv1\n^main~5\n");
    let bases = GitBases(&target);
    let loose = Options { bases: Some(&bases), unpack_limit: 1000, ..target.options() };
    receive(&mut Cursor::new(&thin), &loose, &mut Discard).unwrap();
    target.git(&["fsck", "--full", "--strict", "--no-dangling"], b"");
    assert_eq!(target.object_names(), source.object_names());
    assert!(target.files().iter().all(|(name, _)| !name.starts_with("pack") && !name.contains("tmp")));
    // Once more: nothing is written twice.
    let before = target.files();
    receive(&mut Cursor::new(&old), &target_options(&target, 1000), &mut Discard).unwrap();
    assert!(before == target.files());
}

fn target_options(target: &Repo, unpack_limit: u32) -> Options<'static> {
    Options { unpack_limit, ..target.options() }
}

#[test]
fn an_empty_pack_leaves_nothing() {
    let target = Repo::new(SHA1);
    let mut recorder = Recorder::default();
    let pack = Builder::new().build();
    let received = receive(&mut Cursor::new(pack), &target.options(), &mut recorder).unwrap();
    assert!(matches!(received.stored, Stored::Nothing));
    assert!(target.files().is_empty() && recorder.heard.is_empty());
}

#[test]
fn keep_and_promisor_files_stand_beside_the_pack() {
    let target = Repo::new(SHA1);
    let pack = Builder::new().object(Kind::Blob, b"x").build();
    let options = Options {
        keep: Some("fetch-pack 1 on host\n".into()),
        promisor: Some("id refs/heads/main\n".into()),
        unpack_limit: 100,
        ..target.options()
    };
    let received = receive(&mut Cursor::new(&pack), &options, &mut Discard).unwrap();
    let extensions = |repo: &Repo| {
        let files = repo.files().into_iter().map(|(name, _)| name.rsplit('.').next().unwrap().to_owned());
        files.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(extensions(&target), "idx keep pack promisor rev");
    drop(received);
    assert_eq!(extensions(&target), "idx pack promisor rev");
}

#[cfg(unix)]
#[test]
fn packs_and_loose_objects_are_read_only() {
    use std::os::unix::fs::PermissionsExt;
    let target = Repo::new(SHA1);
    target.receive(&Builder::new().object(Kind::Blob, b"x").build()).unwrap();
    let pack = Builder::new().object(Kind::Blob, b"y").build();
    receive(&mut Cursor::new(pack), &target_options(&target, 9), &mut Discard).unwrap();
    assert_eq!(target.files().len(), 4);
    for (name, _) in target.files() {
        let mode = fs::metadata(target.objects().join(&name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o333, 0, "{name}");
    }
}

#[test]
fn every_truncation_is_an_error_and_leaves_nothing() {
    let pack = small_pack();
    for unpack_limit in [0, 100] {
        let target = Repo::new(SHA1);
        for len in 0..pack.len() {
            let options = target_options(&target, unpack_limit);
            let result = receive(&mut Cursor::new(&pack[..len]), &options, &mut Discard);
            assert!(matches!(result, Err(Error::EarlyEof)), "{len}: {result:?}");
        }
        assert!(target.files().is_empty());
    }
}

#[test]
fn every_flipped_bit_is_an_error_and_leaves_nothing() {
    let pack = small_pack();
    let target = Repo::new(SHA1);
    for at in 0..pack.len() * 8 {
        let mut damaged = pack.clone();
        damaged[at / 8] ^= 1 << (at % 8);
        // The trailer alone would catch them all: make it right, so that what is behind it is tried too. The pack may
        // then be another valid one, which git must find no fault with.
        assert!(target.receive(&damaged).is_err(), "bit {at}");
        let end = damaged.len() - 20;
        damaged.truncate(end);
        let sealed = sealed(damaged);
        if let Ok(Received { stored: Stored::Pack { path, .. }, .. }) = target.receive(&sealed) {
            target.git(&["verify-pack", path.to_str().unwrap()], b"");
            for extension in ["pack", "idx", "rev"] {
                fs::remove_file(path.with_extension(extension)).unwrap();
            }
        }
        assert!(target.files().is_empty(), "bit {at}");
    }
}

#[test]
fn a_reader_that_gives_one_byte_at_a_time_is_enough() {
    let target = Repo::new(SHA1);
    let mut input = std::io::BufReader::with_capacity(1, Cursor::new(small_pack()));
    receive(&mut input, &target.options(), &mut Discard).unwrap();
    target.git(&["fsck", "--full", "--no-dangling"], b"");
}

#[test]
fn faults_are_told_in_the_words_of_git() {
    let (a, b) = (&b"hello world\n"[..], &b"abc"[..]);
    let (id_a, id_b) = (blob_id(a), blob_id(b));
    let two = || Builder::new().object(Kind::Blob, a).object(Kind::Blob, b);
    let mut wrong = two().build();
    wrong[0] = b'X';
    check_fault(&wrong, "pack signature mismatch");
    let mut wrong = two().build();
    wrong[7] = 4;
    check_fault(&wrong, "pack version 4 unsupported");
    let mut wrong = two().build();
    *wrong.last_mut().unwrap() ^= 1;
    check_fault(&wrong, "pack is corrupted (SHA1 mismatch)");
    let at_2 = two().bytes.len();
    check_fault(
        &two().count(3).build(),
        &format!("pack has bad object at offset {at_2}: inflate returned -3"),
    );
    // Here git says only that it cannot reserve so much memory.
    let last = format!("pack has bad object at offset {at_2}: inflate returned -3");
    check_error(&two().count(u32::MAX).build(), &last);
    check_fault(&two().count(1).build(), "pack is corrupted (SHA1 mismatch)");
    check_fault(
        &two().ofs(a.len(), 1 << 40, b).build(),
        &format!("pack has bad object at offset {at_2}: delta base offset is out of bound"),
    );
    check_fault(&two().ofs(a.len(), 3, b).build(), "pack has 1 unresolved delta");
    check_fault(&two().reference(a.len(), &ObjectId::null(SHA1), b).build(), "pack has 1 unresolved delta");
    check_fault(
        &two().reference(a.len() + 1, &id_a, b).build(),
        &format!("pack has bad object at offset {at_2}: failed to apply delta"),
    );
    // A cycle: each is a delta to the other.
    let cycle = Builder::new().reference(a.len(), &id_a, b).reference(b.len(), &id_b, a).build();
    check_fault(&cycle, "pack has 2 unresolved deltas");
    // Two bases for one delta.
    let twice =
        Builder::new().object(Kind::Blob, a).object(Kind::Blob, a).reference(a.len(), &id_a, b).build();
    check_fault(&twice, &format!("already resolved (duplicate base {id_a}?)"));
}

#[test]
fn junk_behind_the_pack_is_an_error_if_asked_for() {
    let target = Repo::new(SHA1);
    let mut pack = small_pack();
    pack.push(b'x');
    assert_eq!(target.receive(&pack).unwrap_err().to_string(), "pack has junk at the end");
    assert!(target.files().is_empty());
    let mut input = Cursor::new(&pack);
    receive(&mut input, &Options { to_end: false, ..target.options() }, &mut Discard).unwrap();
    assert_eq!(input.position(), pack.len() as u64 - 1);
}

#[test]
fn a_pack_beyond_the_limit_is_refused() {
    let target = Repo::new(SHA1);
    let options = Options { size_max_bytes: 2000, ..target.options() };
    let pack = Builder::new().object(Kind::Blob, &vec![0; 4 << 20]).build();
    let error = receive(&mut Cursor::new(pack), &options, &mut Discard).unwrap_err();
    assert_eq!(error.to_string(), "pack exceeds maximum allowed size (1.95 KiB)");
    assert!(target.files().is_empty());
}

#[test]
fn bases_that_come_later_and_duplicates_are_accepted() {
    let (a, b) = (&b"hello world\n"[..], &b"abc"[..]);
    let forward = Builder::new().reference(a.len(), &blob_id(a), b).object(Kind::Blob, a);
    check_like_git(&forward.build(), SHA1);
    let chain = Builder::new().reference(3, &blob_id(b), b"third").reference(a.len(), &blob_id(a), b);
    check_like_git(&chain.object(Kind::Blob, a).build(), SHA1);
    let twice = Builder::new().object(Kind::Blob, a).object(Kind::Blob, b).object(Kind::Blob, a);
    let (theirs, ours) = (Repo::new(SHA1), Repo::new(SHA1));
    theirs.git(&["-c", "pack.writeReverseIndex=true", "index-pack", "--stdin"], &twice.bytes_sealed());
    ours.receive(&twice.bytes_sealed()).unwrap();
    assert!(theirs.files() == ours.files());
}

#[test]
fn objects_that_name_others_must_be_readable() {
    for (kind, error) in [
        (Kind::Commit, "invalid commit"),
        (Kind::Tree, "Not all child objects of 86541041f888cb4dd09bac0172fa57dcbd54e27d are reachable"),
        (Kind::Tag, "invalid tag"),
    ] {
        check_error(&Builder::new().object(kind, b"zzz").build(), error);
    }
}

#[test]
fn another_object_of_an_id_we_have_is_a_collision() {
    struct Liar;
    impl Bases for Liar {
        fn find(&self, _: &oid, out: &mut Vec<u8>) -> std::io::Result<Option<Kind>> {
            out.extend(b"other");
            Ok(Some(Kind::Blob))
        }
        fn contains(&self, _: &oid) -> bool {
            true
        }
    }
    let target = Repo::new(SHA1);
    for unpack_limit in [0, 100] {
        let options = Options { bases: Some(&Liar), ..target_options(&target, unpack_limit) };
        let result = receive(&mut Cursor::new(small_pack()), &options, &mut Discard);
        assert!(matches!(result, Err(Error::Collision { .. })), "{result:?}");
        assert!(target.files().is_empty());
    }
}

#[test]
fn what_is_stored_in_the_same_way_is_not_compared() {
    /// Says of each object that it is stored as it comes, in the pack that is next.
    struct Same {
        packs: std::sync::Mutex<Vec<u32>>,
    }
    impl Bases for Same {
        fn find(&self, _: &oid, out: &mut Vec<u8>) -> std::io::Result<Option<Kind>> {
            out.extend(b"other");
            Ok(Some(Kind::Blob))
        }
        fn contains(&self, _: &oid) -> bool {
            true
        }
        fn stored_as(&self, id: &oid, entry: (source::Stored, u64), _: &[u8]) -> Option<u32> {
            let base = b"some text that is long enough\n";
            match entry.0 {
                source::Stored::Whole(kind) => assert_eq!(kind, Kind::Blob, "{id}"),
                other => assert_eq!(other, source::Stored::IdDelta(blob_id(base))),
            }
            self.packs.lock().unwrap().pop()
        }
    }
    // the second of these is a delta to the first: both have to be in one pack
    let base = b"some text that is long enough\n";
    let pack =
        Builder::new().object(Kind::Blob, base).reference(base.len(), &blob_id(base), b"three").build();
    for (packs, is_same) in [(vec![7, 7], true), (vec![8, 7], false), (vec![7], false), (vec![], false)] {
        let bases = Same { packs: packs.into() };
        let target = Repo::new(SHA1);
        let options = Options { bases: Some(&bases), ..target_options(&target, 0) };
        let result = receive(&mut Cursor::new(&pack), &options, &mut Discard);
        match result {
            Ok(_) => assert!(is_same),
            Err(Error::Collision { .. }) => assert!(!is_same),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Records what it hears, and stops the work at an event.
#[derive(Default)]
struct Recorder {
    heard: Vec<String>,
    stop_at: Option<&'static str>,
}

impl Progress for Recorder {
    fn report(&mut self, event: Event<'_>) -> ControlFlow<()> {
        let text = match event {
            Event::Phase { title, done, total, .. } => format!("{title} {done}/{}", total.unwrap()),
            Event::PhaseEnd { title, done, total, .. } => format!("{title} {done}/{}, done", total.unwrap()),
            _ => String::new(),
        };
        let stop = self.stop_at.is_some_and(|at| text.starts_with(at));
        self.heard.push(text);
        if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

#[test]
fn phases_are_told_and_can_be_stopped() {
    let target = Repo::new(SHA1);
    for stop_at in ["Receiving objects 2/3", "Receiving objects 3/3, done", "Resolving deltas"] {
        let mut recorder = Recorder { stop_at: Some(stop_at), ..Recorder::default() };
        let result = receive(&mut Cursor::new(small_pack()), &target.options(), &mut recorder);
        assert!(matches!(result, Err(Error::Interrupted)), "{stop_at}: {result:?}");
        assert!(target.files().is_empty());
    }
    let mut recorder = Recorder::default();
    receive(&mut Cursor::new(small_pack()), &target.options(), &mut recorder).unwrap();
    let ends = recorder.heard.iter().filter(|text| text.ends_with("done")).collect::<Vec<_>>();
    assert_eq!(ends, ["Receiving objects 3/3, done", "Resolving deltas 1/1, done"]);
    let mut recorder = Recorder::default();
    receive(&mut Cursor::new(small_pack()), &target_options(&target, 9), &mut recorder).unwrap();
    let expected = ["1/3", "2/3", "3/3", "3/3, done"].map(|step| format!("Unpacking objects {step}"));
    assert_eq!(recorder.heard, expected);
}

#[test]
fn errors_of_the_stream_come_back_unchanged() {
    struct Failing;
    impl std::io::Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("remote error"))
        }
    }
    let target = Repo::new(SHA1);
    let pack = small_pack();
    let input = std::io::Read::chain(Cursor::new(&pack[..30]), Failing);
    let error = receive(&mut std::io::BufReader::new(input), &target.options(), &mut Discard).unwrap_err();
    assert!(matches!(error, Error::Read(source) if source.to_string() == "remote error"));
    assert!(target.files().is_empty());
}

fn check_error(pack: &[u8], expected: &str) {
    let target = Repo::new(SHA1);
    let error = target.receive(pack).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}, not {expected}");
    assert!(target.files().is_empty());
}

/// The pack is refused by us as by C git, in the same words.
fn check_fault(pack: &[u8], expected: &str) {
    let (success, _, stderr) = Repo::new(SHA1).try_git(&["index-pack", "--stdin"], pack);
    let stderr = String::from_utf8(stderr).unwrap();
    assert!(!success && stderr.contains(expected), "git: {stderr}, not {expected}");
    check_error(pack, expected);
}

fn small_pack() -> Vec<u8> {
    let base = b"some text that is long enough\n";
    let builder = Builder::new().object(Kind::Blob, base).object(Kind::Blob, b"two");
    builder.reference(base.len(), &blob_id(base), b"three").build()
}

fn blob_id(content: &[u8]) -> ObjectId {
    object_id(SHA1, Kind::Blob, content).unwrap()
}

fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut checksum = Checksum::new(SHA1);
    checksum.update(&bytes);
    bytes.extend(checksum.finish().as_slice());
    bytes
}

/// Builds packs that no git would.
struct Builder {
    bytes: Vec<u8>,
    objects: u32,
    declared: Option<u32>,
}

impl Builder {
    fn new() -> Self {
        Self { bytes: encode_pack_header(0).to_vec(), objects: 0, declared: None }
    }

    fn object(self, kind: Kind, content: &[u8]) -> Self {
        self.entry(Content::Object(kind), content)
    }

    /// A delta, to a base of `base_len` bytes that begins `distance` bytes before it, that inserts `content`.
    fn ofs(self, base_len: usize, distance: u64, content: &[u8]) -> Self {
        self.entry(Content::OfsDelta { distance }, &insertion(base_len, content))
    }

    fn reference(self, base_len: usize, base: &ObjectId, content: &[u8]) -> Self {
        self.entry(Content::RefDelta { base: *base }, &insertion(base_len, content))
    }

    fn count(mut self, declared: u32) -> Self {
        self.declared = Some(declared);
        self
    }

    fn build(self) -> Vec<u8> {
        self.bytes_sealed()
    }

    fn bytes_sealed(&self) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        bytes[..12].copy_from_slice(&encode_pack_header(self.declared.unwrap_or(self.objects)));
        sealed(bytes)
    }

    fn entry(mut self, content: Content, data: &[u8]) -> Self {
        Header { content, size: data.len() as u64 }.encode(&mut self.bytes);
        let mut encoder = flate2::write::ZlibEncoder::new(self.bytes, flate2::Compression::default());
        encoder.write_all(data).unwrap();
        self.bytes = encoder.finish().unwrap();
        self.objects += 1;
        self
    }
}

/// A delta of one instruction.
fn insertion(base_len: usize, content: &[u8]) -> Vec<u8> {
    let small = |len: usize| u8::try_from(len).ok().filter(|len| *len < 0x80).unwrap();
    let mut delta = vec![small(base_len), small(content.len()), small(content.len())];
    delta.extend(content);
    delta
}
