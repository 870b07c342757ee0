//! Repositories of every shape: what C git's client gets of them from gitr is what it gets from C git, in no more bytes.

use std::path::{Path, PathBuf};

use bstr::ByteSlice as _;

use crate::gitr_as_git;
use crate::support::proxy::{Fault, Proxy};
use crate::support::{Format, Git, Kind, Run, Sandbox, Serve, Stream, build};

/// How many bytes more than C git a server may send in an incremental fetch, in percent, and the bytes that do not count:
/// a delta more or less in a small pack.
const MORE_PERCENT: usize = 3;
const MORE_BYTES: usize = 200;
/// All branches by their own names.
const BRANCHES: &str = "+refs/heads/*:refs/heads/*";

/// A repository between both servers.
struct Shape {
    sandbox: Sandbox,
    servers: Vec<(&'static str, Box<dyn Serve>)>,
    repository: PathBuf,
}

impl Shape {
    /// `make` makes the repository at the path that it is given.
    fn new(make: impl FnOnce(&Sandbox, &Path)) -> Self {
        let sandbox = Sandbox::new();
        let repository = sandbox.path("served/project.git");
        make(&sandbox, &repository);
        let gitr = gitr_as_git(&sandbox);
        let servers = [("theirs", Git::reference()), ("ours", &gitr)]
            .map(|(side, git)| (side, Kind::Daemon.start(&sandbox, git).unwrap()))
            .into();
        Self { sandbox, servers, repository }
    }

    /// Gives a command to a client of each server; how many bytes each has sent.
    fn run(&self, words: &[&str]) -> [usize; 2] {
        let counts = self.servers.iter().map(|(side, server)| {
            let proxy = Proxy::before(&server.url("project.git"), Fault::None);
            std::fs::create_dir_all(self.sandbox.path(side)).unwrap();
            let words: Vec<_> = words.iter().map(|word| word.replace("URL", &proxy.url)).collect();
            self.sandbox.git(&self.sandbox.path(side), &words).success();
            proxy.server_bytes().len()
        });
        counts.collect::<Vec<_>>().try_into().unwrap()
    }

    /// Checks that the copies `name` are whole, and have the same objects, refs and boundary.
    fn same(&self, name: &str) {
        let states = ["theirs", "ours"].map(|side| {
            let copy = self.sandbox.path(side).join(name);
            let all = ["cat-file", "--batch-all-objects", "--unordered", "--batch-check"];
            let objects = self.sandbox.git(&copy, &all).success().stdout.to_string();
            let mut objects: Vec<String> = objects.lines().map(ToOwned::to_owned).collect();
            objects.sort_unstable();
            let refs = self.sandbox.git(&copy, &["for-each-ref"]).success().stdout;
            (objects, refs, std::fs::read_to_string(copy.join("shallow")).ok())
        });
        self.sandbox.git(&self.sandbox.path("ours").join(name), &["fsck", "--full"]).success();
        assert!(states[0] == states[1], "'{name}' differs from C git's");
    }

    /// A fetch of `commits` new commits sends no more than C git's.
    fn grows(&self, commits: usize) {
        let mut stream = Stream::onto("main");
        for number in 0..commits {
            let text = format!("line of {number}\n").repeat(40);
            stream.commit("main", 200_000 + number).file(&format!("new/{}.txt", number % 7), text);
        }
        stream.import(&self.sandbox, &self.repository);
        let [theirs, ours] = self.run(&["-C", "whole", "fetch", "-q", "URL", BRANCHES]);
        self.same("whole");
        let most = theirs + theirs * MORE_PERCENT / 100 + MORE_BYTES;
        assert!(ours <= most, "a fetch of {commits} commits: {ours} bytes, C git {theirs}");
    }

    /// Everything that a client may ask of it.
    fn everything(&self) {
        self.run(&["clone", "-q", "--bare", "URL", "whole"]);
        self.same("whole");
        self.cut();
        for commits in [1, 60] {
            self.grows(commits);
        }
        self.run(&["-C", "shallow", "fetch", "-q", "URL", BRANCHES]);
        self.same("shallow");
    }

    /// Shallow and filtered copies, and a blob that is fetched when it is needed.
    fn cut(&self) {
        self.run(&["clone", "-q", "--bare", "--depth=4", "--no-single-branch", "URL", "shallow"]);
        self.run(&["clone", "-q", "--bare", "--filter=tree:0", "URL", "treeless"]);
        self.same("shallow");
        self.same("treeless");
        self.lazy();
    }

    /// A partial clone fetches what is looked at.
    fn lazy(&self) {
        let files = self.sandbox.git(&self.repository, &["ls-tree", "-r", "--name-only", "main"]).success();
        let file = files.stdout.to_string().lines().last().unwrap().to_owned();
        let whole =
            self.sandbox.git(&self.repository, &["cat-file", "-p", &format!("main:{file}")]).success();
        for (side, server) in &self.servers {
            let place = self.sandbox.path(side);
            let url = server.url("project.git");
            self.sandbox
                .git(&place, &["clone", "-q", "--bare", "--filter=blob:none", &url, "partial"])
                .success();
            let copy = place.join("partial");
            let missing = self.sandbox.git(&copy, &["rev-list", "--objects", "--missing=print", "main"]);
            assert!(missing.success().stdout.lines().any(|line| line.starts_with(b"?")));
            let looked = self.sandbox.git(&copy, &["cat-file", "-p", &format!("main:{file}")]).success();
            assert_eq!(looked.stdout, whole.stdout);
        }
        self.same("partial");
    }
}

#[test]
fn a_tiny_repository() {
    let shape = Shape::new(|sandbox, path| {
        build::empty(sandbox, path, Format::Sha1);
        let mut stream = Stream::new();
        stream.commit("main", 0).file("file.txt", "one\n");
        stream.import(sandbox, path);
    });
    shape.everything();
}

#[test]
fn a_medium_repository() {
    let shape = Shape::new(|sandbox, path| {
        build::empty(sandbox, path, Format::Sha1);
        let mut stream = Stream::new();
        for part in 0..100 {
            stream.history(20 * part..20 * (part + 1));
            stream.annotated_tag(&format!("v{part}"), "refs/heads/main");
            stream.branch(&format!("one/{part}"), "refs/heads/main");
            stream.branch(&format!("two/{part}"), "refs/heads/topic");
        }
        stream.import(sandbox, path);
        sandbox.git(path, &["repack", "-adq"]).success();
    });
    shape.everything();
}

#[test]
fn a_long_line_of_commits() {
    let shape = Shape::new(|sandbox, path| {
        build::empty(sandbox, path, Format::Sha1);
        let mut stream = Stream::new();
        for number in 0..5_000 {
            stream.commit("main", number).file("file.txt", format!("{number}\n"));
        }
        stream.import(sandbox, path);
    });
    shape.everything();
}

#[test]
fn borrowed_objects() {
    let shape = Shape::new(|sandbox, path| {
        let lender = sandbox.path("lender.git");
        build::project(sandbox, &lender, Format::Sha1, 30);
        build::borrower(sandbox, path, &lender, Format::Sha1);
    });
    shape.everything();
}

#[test]
fn names_of_sha256() {
    let shape = Shape::new(|sandbox, path| build::project(sandbox, path, Format::Sha256, 60));
    shape.everything();
}

#[test]
fn a_corrupt_repository_is_served_to_nobody() {
    let shape = Shape::new(|sandbox, path| {
        build::project(sandbox, path, Format::Sha1, 30);
        let tree = sandbox.git(path, &["rev-parse", "main~5:dir1"]).success().line();
        let packs: Vec<_> = std::fs::read_dir(path.join("objects/pack")).unwrap().flatten().collect();
        for pack in &packs {
            let spare = sandbox.path(pack.file_name());
            std::fs::rename(pack.path(), &spare).unwrap();
            if spare.extension() == Some("pack".as_ref()) {
                let bytes = std::fs::read(&spare).unwrap();
                Run::with_input(
                    sandbox.command("git").current_dir(path).args(["unpack-objects", "-q"]),
                    &bytes,
                )
                .success();
            }
        }
        let file = path.join("objects").join(&tree[..2]).join(&tree[2..]);
        std::fs::remove_file(&file).unwrap();
        std::fs::write(file, "this is no object").unwrap();
    });
    let results = shape.servers.iter().map(|(side, server)| {
        let words = ["clone", "-q", "--bare", &server.url("project.git"), side];
        let run = shape.sandbox.git(&shape.sandbox.path(""), &words);
        assert!(run.complains_of("remote: aborting due to possible repository corruption"), "{run:?}");
        assert!(!shape.sandbox.path(side).exists(), "nothing is left");
        run.status
    });
    assert_eq!(results.collect::<Vec<_>>(), [128, 128]);
}
