//! What is found to be sent, compared with what C git lists for the same wants and haves.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test ends by panicking")]

mod bitmap;
mod broken;
mod packed;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gitr::pack::Error;
use gitr::pack::enumerate::{Enumerated, Wanted, enumerate, name_hash};
use gitr::progress::{Discard, Event, Progress};
use gitr::repo::{Environment, Objects, Repository};
use gix_hash::ObjectId;
use gix_object::Kind;
use tempfile::TempDir;

/// The beginning of all histories, in seconds since 1970.
const EPOCH: u64 = 1_700_000_000;

/// A repository in a directory of its own, driven by C git.
struct Repo {
    directory: TempDir,
    path: PathBuf,
}

impl Repo {
    fn new(format: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let repo = Self { path: directory.path().join("r.git"), directory };
        let path = repo.path.to_str().unwrap().to_owned();
        git(
            repo.directory.path(),
            &["init", "-q", "--bare", "-b", "b0", &format!("--object-format={format}"), &path],
            b"",
        );
        repo
    }

    /// A repository that C git clones from this one with `options`.
    fn cloned(&self, options: &[&str]) -> Self {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("r.git");
        let url = format!("file://{}", self.path.display());
        let arguments = [&["clone", "-q", "--bare"], options, &[&url, path.to_str().unwrap()]].concat();
        git(directory.path(), &arguments, b"");
        Self { directory, path }
    }

    fn git(&self, arguments: &[&str], input: &[u8]) -> String {
        git(&self.path, arguments, input)
    }

    fn id(&self, name: &str) -> ObjectId {
        ids(&self.git(&["rev-parse", name], b""))[0]
    }

    fn objects(&self) -> Objects {
        let repo = Repository::open(&self.path, None, &[], &Environment::default()).unwrap();
        repo.objects().unwrap()
    }

    fn enumerate(&self, wanted: &Wanted) -> Result<Enumerated, Error> {
        enumerate(&self.objects(), wanted, &mut Discard)
    }

    /// What C git lists, with further options.
    fn listed(&self, wanted: &Wanted, options: &[&str]) -> BTreeSet<ObjectId> {
        let mut input = String::new();
        for id in &wanted.wants {
            input += &format!("{id}\n");
        }
        for id in &wanted.haves {
            input += &format!("^{id}\n");
        }
        let arguments = [&["rev-list", "--objects", "--stdin"], options].concat();
        let listing = self.git(&arguments, input.as_bytes());
        ids(&listing).into_iter().collect()
    }

    /// Asserts that the same is found as C git lists; gives what was found.
    fn check(&self, wanted: &Wanted) -> Enumerated {
        let found = self.enumerate(wanted).unwrap();
        let context = format!("{wanted:?} in {}", self.path.display());
        let (ours, listed) = (set(&found), self.listed(wanted, &[]));
        let difference: Vec<_> = ours.symmetric_difference(&listed).collect();
        assert!(difference.is_empty(), "{difference:?} in {context}");
        assert_eq!(set(&found).len(), found.objects.len(), "twice in {context}");
        let theirs = Wanted { wants: wanted.haves.clone(), ..Wanted::default() };
        let theirs = self.listed(&theirs, &[]);
        assert!(found.bases.iter().all(|base| theirs.contains(&base.id)), "bases in {context}");
        found
    }
}

#[expect(clippy::disallowed_methods, reason = "a test has no Environment")]
fn git(directory: &Path, arguments: &[&str], input: &[u8]) -> String {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "protocol.file.allow=always"]);
    command.args(arguments).current_dir(directory).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", directory);
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("LC_ALL", "C");
    command.env("GIT_COMMITTER_DATE", format!("{EPOCH} +0000"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // a git that fails may not read all of its input
    let writer = std::thread::spawn(move || stdin.write_all(&input).is_ok());
    let output = child.wait_with_output().unwrap();
    let _all_read = writer.join().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The first word of each line.
fn ids(listing: &str) -> Vec<ObjectId> {
    listing.lines().filter_map(|line| ObjectId::from_hex(line.split(' ').next()?.as_bytes()).ok()).collect()
}

fn set(found: &Enumerated) -> BTreeSet<ObjectId> {
    found.objects.iter().map(|object| object.id).collect()
}

/// Numbers that look random and are the same each time: splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % limit as u64).unwrap()
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// Where files are; directories are renamed over each other.
const DIRECTORIES: [&str; 6] = ["", "a/", "a/b/", "a/b/c/", "d/", "e/f/"];

/// A history in the making, as a fast-import stream.
struct Story {
    random: Random,
    stream: Vec<u8>,
    /// The last commit of each branch; 0 before the first.
    made: [usize; 3],
    id_hex_len: usize,
}

/// A repository with a history of `commits` commits on three branches: merges, wrong clocks, renames, copies, equal
/// content at many places, submodules, and tags of all kinds of objects.
fn with_history(seed: u64, format: &str, commits: usize) -> Repo {
    let repo = Repo::new(format);
    let id_hex_len = if format == "sha1" { 40 } else { 64 };
    let mut story = Story { random: Random(seed), stream: Vec::new(), made: [0; 3], id_hex_len };
    for number in 1..=commits {
        story.commit(number);
    }
    story.line("done");
    repo.git(&["fast-import", "--quiet", "--done"], &story.stream);
    for (name, target) in
        [("t1", "b0~1"), ("t2", "t1"), ("tree", "b1^{tree}"), ("blob", "b2:seen"), ("deep", "b0~1:a")]
    {
        repo.git(&["tag", "-a", "-m", name, name, target], b"");
    }
    repo
}

impl Story {
    fn line(&mut self, line: &str) {
        writeln!(self.stream, "{line}").unwrap();
    }

    fn file(&mut self, path: &str, content: &str) {
        self.line(&format!("M 100644 inline {path}\ndata {}\n{content}", content.len()));
    }

    fn commit(&mut self, number: usize) {
        let branch = if number < 4 { number - 1 } else { self.random.below(3) };
        let skew = if self.random.one_in(6) { self.random.below(20_000) } else { 10_000 };
        let date = EPOCH + 60 * number as u64 + skew as u64;
        self.line(&format!("commit refs/heads/b{branch}\nmark :{number}"));
        self.line(&format!("committer A U Thor <a@example.com> {date} +0000\ndata 1\nm"));
        let parent = if self.made[branch] == 0 { 1 } else { self.made[branch] };
        if number > 1 {
            self.line(&format!("from :{parent}"));
        }
        let other = self.made[self.random.below(3)];
        if self.random.one_in(4) && other != 0 && other != parent {
            self.line(&format!("merge :{other}"));
        }
        if number == 1 || self.random.one_in(10) {
            for directory in DIRECTORIES {
                self.file(&format!("{directory}seen"), "seen");
                self.file(&format!("{directory}f{number}"), &number.to_string());
            }
        }
        for _ in 0..=self.random.below(3) {
            self.change(number);
        }
        self.made[branch] = number;
    }

    fn change(&mut self, number: usize) {
        let directory = *self.random.pick(&DIRECTORIES);
        let some = self.random.below(5);
        match self.random.below(8) {
            0 => self.line("C a d"),
            1 => self.line(&format!("C a/b e/copy{some}")),
            2 => {
                self.line(&format!("R a/b/c e/moved{some}"));
                self.file("a/b/c/seen", "seen");
            }
            3 => self.line("D d/seen"),
            4 => {
                let id = some.to_string().repeat(self.id_hex_len);
                self.line(&format!("M 160000 {id} {directory}submodule"));
            }
            // content that may have been somewhere before
            5 => {
                let content = self.random.below(number).to_string();
                self.file(&format!("{directory}old"), &content);
            }
            _ => self.file(&format!("{directory}new {some}"), &format!("new {number}")),
        }
    }
}

/// Some commits and tags of a repository, `count` of them, as wants or haves.
fn some_tips(random: &mut Random, repo: &Repo, count: usize) -> Vec<ObjectId> {
    let mut all = ids(&repo.git(&["rev-list", "--all"], b""));
    all.extend(ids(&repo.git(&["for-each-ref", "--format=%(objectname)", "refs/tags"], b"")));
    (0..count).map(|_| *random.pick(&all)).collect()
}

#[test]
fn random_histories_give_what_c_git_lists() {
    for (seed, format) in (1..9).map(|seed| (seed, if seed % 4 == 2 { "sha256" } else { "sha1" })) {
        let repo = with_history(seed, format, 60);
        let mut random = Random(seed);
        for round in 0..12 {
            let (wants, haves) = (1 + random.below(3), random.below(4));
            let wants = some_tips(&mut random, &repo, wants);
            let haves = some_tips(&mut random, &repo, haves);
            repo.check(&Wanted { wants, haves, thin: round % 2 == 0, ..Wanted::default() });
        }
        let everything = ids(&repo.git(&["for-each-ref", "--format=%(objectname)"], b""));
        let found = repo.check(&Wanted { wants: everything, ..Wanted::default() });
        let first_tree = found.objects.iter().position(|object| object.kind == Kind::Tree).unwrap();
        assert!(
            found.objects[first_tree..].iter().all(|object| matches!(object.kind, Kind::Tree | Kind::Blob))
        );
        assert!(found.bases.is_empty());
    }
}

#[test]
fn a_commit_graph_changes_nothing() {
    let repo = with_history(5, "sha1", 40);
    repo.git(&["commit-graph", "write", "--reachable"], b"");
    repo.check(&Wanted { wants: vec![repo.id("b0")], haves: vec![repo.id("b1")], ..Wanted::default() });
}

#[test]
fn trees_and_blobs_may_be_wanted_and_had() {
    let repo = with_history(6, "sha1", 30);
    let wanted = |wants: &[&str], haves: &[&str]| {
        let ids = |names: &[&str]| names.iter().map(|name| repo.id(name)).collect();
        Wanted { wants: ids(wants), haves: ids(haves), ..Wanted::default() }
    };
    repo.check(&wanted(&["b0^{tree}", "blob"], &[]));
    repo.check(&wanted(&["b0:a", "b0"], &["b0:a/b"]));
    repo.check(&wanted(&["tree", "deep"], &["b0:seen"]));
    repo.check(&wanted(&["t2"], &["t1"]));
    repo.check(&wanted(&["t2"], &["t2"]));
    repo.check(&wanted(&["b1"], &["tree"]));
}

#[test]
fn what_the_receiver_has_and_we_lack_is_passed_over() {
    let repo = with_history(7, "sha1", 20);
    let unknown = ObjectId::from_hex(&[b'1'; 40]).unwrap();
    let wants = vec![repo.id("b0")];
    let without = repo.enumerate(&Wanted { wants: wants.clone(), ..Wanted::default() }).unwrap();
    let with = repo.enumerate(&Wanted { wants, haves: vec![unknown], ..Wanted::default() }).unwrap();
    assert_eq!(without.objects, with.objects);
}

#[test]
fn a_change_is_thin_and_reads_bases_of_its_path() {
    let repo = Repo::new("sha1");
    let mut stream = Vec::new();
    for (number, content) in [(1, "one"), (2, "two")] {
        writeln!(stream, "commit refs/heads/main\ncommitter A <a@example.com> {EPOCH} +0000\ndata 0")
            .unwrap();
        for path in if number == 1 { &["a/b/x", "a/y", "z/x"][..] } else { &["a/b/x"] } {
            writeln!(stream, "M 100644 inline {path}\ndata {}\n{content}{path}", 3 + path.len()).unwrap();
        }
    }
    repo.git(&["fast-import", "--quiet"], &stream);
    let wanted = Wanted {
        wants: vec![repo.id("main")],
        haves: vec![repo.id("main~1")],
        thin: true,
        ..Wanted::default()
    };
    let found = repo.check(&wanted);
    let names = |side: &str| ["", "a", "a/b", "a/b/x"].map(|path| repo.id(&format!("{side}:{path}")));
    let of = |objects: &[gitr::pack::enumerate::Object]| {
        objects.iter().map(|object| object.id).collect::<Vec<_>>()
    };
    assert_eq!(of(&found.bases), names("main~1"));
    assert_eq!(of(&found.objects)[1..], names("main"));
    let hashes = ["", "a", "a/b", "a/b/x"].map(|path| name_hash(path.as_bytes()));
    for objects in [&found.bases[..], &found.objects[1..]] {
        assert_eq!(objects.iter().map(|object| object.name_hash).collect::<Vec<_>>(), hashes);
    }
}

#[test]
fn a_shallow_sender_sends_what_it_has() {
    let full = with_history(8, "sha1", 40);
    let repo = full.cloned(&["--depth=3", "--no-single-branch"]);
    let tree = repo.id("b0:a");
    let commit = repo.git(&["commit-tree", "-m", "new", "-p", "b0", &tree.to_string()], b"");
    let wants = ids(&commit);
    repo.check(&Wanted { wants: wants.clone(), haves: vec![repo.id("b0")], ..Wanted::default() });
    repo.check(&Wanted { wants: vec![repo.id("b0"), repo.id("b1")], ..Wanted::default() });
    // where history is cut off, what the receiver has is not met, and its trees are the boundary all the same
    let wanted = Wanted { wants: vec![repo.id("b0")], haves: vec![repo.id("b1")], ..Wanted::default() };
    let found = set(&repo.enumerate(&wanted).unwrap());
    assert_eq!(found, repo.listed(&wanted, &["--objects-edge-aggressive"]));
}

#[test]
fn a_shallow_receiver_gets_what_lies_behind_its_boundary() {
    let repo = with_history(9, "sha1", 40);
    let receiver = repo.cloned(&["--depth=1", "--branch=b0"]);
    let boundary = repo.id("b0");
    let newer = ids(&repo.git(&["commit-tree", "-m", "new", "-p", "b0", "b1^{tree}"], b""));
    for (want, receiver_shallow) in [(newer[0], vec![boundary]), (repo.id("b1"), vec![boundary])] {
        let wanted =
            Wanted { wants: vec![want], haves: vec![boundary], receiver_shallow, ..Wanted::default() };
        let found = repo.enumerate(&wanted).unwrap();
        let list: Vec<String> = found.objects.iter().map(|object| object.id.to_string()).collect();
        let directory = receiver.directory.path().join("pack");
        repo.git(&["pack-objects", "-q", directory.to_str().unwrap()], (list.join("\n") + "\n").as_bytes());
        for entry in fs::read_dir(receiver.directory.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "pack") {
                receiver.git(&["unpack-objects", "-q"], &fs::read(path).unwrap());
            }
        }
        receiver.git(&["update-ref", "refs/heads/new", &want.to_string()], b"");
        receiver.git(&["fsck", "--connectivity-only"], b"");
        receiver.git(&["rev-list", "--objects", "--all"], b"");
    }
}

#[test]
fn missing_objects_are_an_error_unless_a_promisor_has_them() {
    let full = with_history(10, "sha1", 30);
    full.git(&["config", "uploadpack.allowFilter", "true"], b"");
    let blobless = full.cloned(&["--filter=blob:none"]);
    let wants = vec![blobless.id("b0"), blobless.id("tree")];
    let wanted = Wanted { wants, is_partial: true, ..Wanted::default() };
    let found = blobless.enumerate(&wanted).unwrap();
    let blobs = found.objects.iter().filter(|object| object.kind == Kind::Blob).map(|object| object.id);
    assert_eq!(blobs.collect::<Vec<_>>(), [full.id("b2:seen")], "the one that a tag names was cloned");
    assert_eq!(set(&found), blobless.listed(&wanted, &["--missing=allow-any"]));
    let missing: BTreeSet<ObjectId> = found.missing.iter().copied().collect();
    assert_eq!(missing.len(), found.missing.len(), "each is named once");
    assert_eq!(&missing | &set(&found), full.listed(&wanted, &[]));

    let haves = vec![blobless.id("b0~1")];
    let wanted =
        Wanted { wants: vec![blobless.id("b0")], haves, thin: true, is_partial: true, ..Wanted::default() };
    let found = blobless.enumerate(&wanted).unwrap();
    let missing = found.missing.iter().copied().collect();
    assert_eq!(&set(&found) | &missing, full.listed(&wanted, &["--objects-edge-aggressive"]));

    let treeless = full.cloned(&["--filter=tree:0"]);
    let wanted = Wanted { wants: vec![treeless.id("b0")], ..Wanted::default() };
    let tree = full.id("b0^{tree}");
    let error = treeless.enumerate(&wanted).unwrap_err();
    assert_eq!(error.to_string(), format!("bad tree object {tree}"));
    let commits = treeless.enumerate(&Wanted { is_partial: true, ..wanted }).unwrap();
    assert!(commits.missing.contains(&tree));
    assert!(commits.objects.iter().all(|object| object.kind == Kind::Commit));
    assert_eq!(set(&commits), ids(&treeless.git(&["rev-list", "b0"], b"")).into_iter().collect());

    let unknown = ObjectId::from_hex(&[b'1'; 40]).unwrap();
    let wanted = Wanted { wants: vec![unknown], is_partial: true, ..Wanted::default() };
    assert!(matches!(full.enumerate(&wanted), Err(Error::Missing { id, .. }) if id == unknown));
}

#[test]
fn objects_of_alternates_count() {
    let full = with_history(11, "sha1", 30);
    let repo = full.cloned(&["--shared"]);
    let commit = repo.git(&["commit-tree", "-m", "new", "-p", "b0", "b1^{tree}"], b"");
    let found = repo.check(&Wanted { wants: ids(&commit), haves: vec![repo.id("b2")], ..Wanted::default() });
    assert!(!found.objects.is_empty());
}

#[test]
fn the_phase_ends_with_git_s_count_and_can_be_stopped() {
    struct Stop(Option<u64>);
    impl Progress for Stop {
        fn report(&mut self, event: Event<'_>) -> ControlFlow<()> {
            if let Event::PhaseEnd { title: "Enumerating objects", done, .. } = event {
                self.0 = Some(done);
            }
            ControlFlow::Break(())
        }
    }
    let repo = with_history(12, "sha1", 10);
    let wanted =
        Wanted { wants: vec![repo.id("b0")], haves: vec![repo.id("b1")], thin: true, ..Wanted::default() };
    let found = repo.enumerate(&wanted).unwrap();
    let mut stop = Stop(None);
    assert!(matches!(enumerate(&repo.objects(), &wanted, &mut stop), Err(Error::Interrupted)));
    assert_eq!(stop.0, Some((found.objects.len() + found.bases.len()) as u64));
}

#[test]
fn name_hashes_are_those_of_c_git() {
    let repo = Repo::new("sha1");
    let paths =
        ["a", "a b", "dir/a\tb", "dir/very/long/path/to/some file.c", "\u{e4}/\u{df}\u{b}", "x\r/y\u{c}z"];
    let mut stream =
        b"commit refs/heads/main\ncommitter A <a@example.com> 1700000000 +0000\ndata 0\n".to_vec();
    for path in paths {
        let quoted: Vec<String> = path.bytes().map(|byte| format!("\\{byte:03o}")).collect();
        let quoted = quoted.concat();
        writeln!(stream, "M 100644 inline \"{quoted}\"\ndata {}\n{path}", path.len()).unwrap();
    }
    repo.git(&["fast-import", "--quiet"], &stream);
    repo.git(&["repack", "-adbq"], b"");
    repo.git(&["config", "pack.useBitmaps", "false"], b"");
    let found = repo.check(&Wanted { wants: vec![repo.id("main")], ..Wanted::default() });
    let pack = fs::read_dir(repo.path.join("objects/pack")).unwrap().map(|entry| entry.unwrap().path());
    let bitmap =
        pack.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "bitmap"));
    let bitmap = fs::read(bitmap.unwrap()).unwrap();
    // gitformat-pack(5), bitmaps: the cache of name hashes ends the file, in the order of the index, before a checksum
    let mut sorted = found.objects.clone();
    sorted.sort_by_key(|object| object.id);
    let cache = &bitmap[bitmap.len() - 20 - 4 * sorted.len()..];
    for (object, hash) in sorted.iter().zip(cache.as_chunks::<4>().0) {
        assert_eq!(object.name_hash, u32::from_be_bytes(*hash), "{object:?}");
    }
}
