//! Repositories, built from fast-import streams: the same bytes on every run and every machine.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Git, Run, Sandbox};

/// The hash that names objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// 160 bits.
    Sha1,
    /// 256 bits.
    Sha256,
}

impl Format {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Sha1, Self::Sha256];

    /// The name as `--object-format` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
        }
    }

    /// An id made of one digit, for entries that name nothing here.
    pub fn id_of(self, digit: char) -> String {
        let length = match self {
            Self::Sha1 => 40,
            Self::Sha256 => 64,
        };
        std::iter::repeat_n(digit, length).collect()
    }
}

/// Makes an empty bare repository at `path`, whose HEAD names the unborn branch `main`.
pub fn empty(sandbox: &Sandbox, path: &Path, format: Format) {
    let format = format!("--object-format={}", format.name());
    let target = path.as_os_str();
    let arguments = ["init".as_ref(), "-q".as_ref(), "--bare".as_ref(), format.as_ref(), target];
    sandbox.git(&sandbox.path(""), &arguments).success();
}

/// Makes a bare repository at `path` with everything an ordinary project has: two branches that merged several
/// times, light and annotated tags, directories, an executable, a symbolic link, CRLF by attributes and a gitlink.
pub fn project(sandbox: &Sandbox, path: &Path, format: Format, commits: usize) {
    empty(sandbox, path, format);
    let mut stream = Stream::new();
    stream.special_files(format);
    stream.history(1..commits);
    stream.light_tag("v0.1", "refs/heads/main").annotated_tag("v1.0", "refs/heads/main");
    stream.branch("release/1.0", "refs/heads/main");
    stream.import(sandbox, path);
}

/// Makes a bare repository at `path` with one commit and `count` branches on it, packed.
pub fn many_refs(sandbox: &Sandbox, path: &Path, format: Format, count: usize) {
    empty(sandbox, path, format);
    let mut stream = Stream::new();
    stream.commit("main", 0).file("file.txt", "one\n");
    for number in 0..count {
        stream.branch(&format!("many/{number:05}"), "refs/heads/main");
    }
    stream.import(sandbox, path);
    sandbox.git(path, &["pack-refs", "--all"]).success();
}

/// Makes a bare repository at `path` that borrows every object of the one at `lender` and has a commit of its own.
pub fn borrower(sandbox: &Sandbox, path: &Path, lender: &Path, format: Format) {
    empty(sandbox, path, format);
    let alternates = format!("{}\n", lender.join("objects").display());
    fs::write(path.join("objects/info/alternates"), alternates).expect("the repository is new");
    let tip = sandbox.git(lender, &["rev-parse", "refs/heads/main"]).success().line();
    sandbox.git(path, &["update-ref", "refs/heads/main", &tip]).success();
    let mut stream = Stream::onto("main");
    stream.commit("main", 9_000).file("borrowed.txt", "own\n");
    stream.import(sandbox, path);
}

/// A file of `bytes` bytes that does not compress, the same in every run.
pub fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(&mut next).flatten().take(bytes).collect()
}

/// A stream for `git fast-import`, in the order in which it is written.
pub struct Stream {
    /// What was written so far.
    bytes: Vec<u8>,
    /// Branches that exist in the repository already, so that their next commit has to name its parent.
    continued: Vec<String>,
}

impl Stream {
    /// A stream for a new repository.
    pub fn new() -> Self {
        Self { bytes: Vec::new(), continued: Vec::new() }
    }

    /// A stream for a repository that has `branch` already.
    pub fn onto(branch: &str) -> Self {
        Self { bytes: Vec::new(), continued: vec![branch.to_owned()] }
    }

    /// Starts a commit on `branch`; `number` gives its date and its message. What follows are its files.
    pub fn commit(&mut self, branch: &str, number: usize) -> &mut Self {
        self.commit_with_parents(branch, number, &[])
    }

    /// Starts a commit whose parents beyond the branch's tip are `merged`.
    pub fn commit_with_parents(&mut self, branch: &str, number: usize, merged: &[&str]) -> &mut Self {
        let date = 1_112_911_993 + 60 * number;
        let message = format!("commit {number} on {branch}\n");
        self.line(&format!("commit refs/heads/{branch}"));
        self.line(&format!("author A U Thor <author@example.com> {date} -0700"));
        self.line(&format!("committer C O Mitter <committer@example.com> {date} -0700"));
        self.data(message.as_bytes());
        if let Some(index) = self.continued.iter().position(|name| name == branch) {
            self.continued.remove(index);
            self.line(&format!("from refs/heads/{branch}^0"));
        }
        for parent in merged {
            self.line(&format!("merge {parent}"));
        }
        self
    }

    /// An ordinary file of the current commit.
    pub fn file(&mut self, path: &str, content: impl AsRef<[u8]>) -> &mut Self {
        self.entry("100644", path, content.as_ref())
    }

    /// A file of the current commit with any mode but a gitlink's.
    pub fn entry(&mut self, mode: &str, path: &str, content: &[u8]) -> &mut Self {
        self.line(&format!("M {mode} inline {path}"));
        self.data(content);
        self
    }

    /// A submodule of the current commit.
    pub fn gitlink(&mut self, path: &str, commit: &str) -> &mut Self {
        self.line(&format!("M 160000 {commit} {path}"))
    }

    /// A light tag of what `target` is now.
    pub fn light_tag(&mut self, name: &str, target: &str) -> &mut Self {
        self.line(&format!("reset refs/tags/{name}\nfrom {target}\n"))
    }

    /// A tag object of what `target` is now.
    pub fn annotated_tag(&mut self, name: &str, target: &str) -> &mut Self {
        self.line(&format!("tag {name}\nfrom {target}"));
        self.line("tagger C O Mitter <committer@example.com> 1112999999 -0700");
        self.data(format!("release {name}\n").as_bytes())
    }

    /// Makes `name` what `target` is now, also where that loses commits.
    pub fn branch(&mut self, name: &str, target: &str) -> &mut Self {
        self.line(&format!("reset refs/heads/{name}\nfrom {target}\n"))
    }

    /// The first commit: one entry of each kind a tree can hold.
    pub fn special_files(&mut self, format: Format) -> &mut Self {
        self.commit("main", 0)
            .file("README", "a project\n")
            .file(".gitattributes", "*.crlf text eol=crlf\n*.bin binary\n")
            .file("windows.crlf", "one\ntwo\n")
            .file("raw.bin", [0, 13, 10, 255])
            .entry("100755", "run.sh", b"#!/bin/sh\n")
            .entry("120000", "link", b"README")
            .file("deep/er/and/deeper/file.txt", "deep\n")
            .file(".gitmodules", "[submodule \"sub\"]\n\tpath = sub\n\turl = ../sub.git\n")
            .gitlink("sub", &format.id_of('1'))
    }

    /// Commits on `main` and, in between, on `topic`, which `main` merges.
    pub fn history(&mut self, numbers: std::ops::Range<usize>) -> &mut Self {
        let mut topic = false;
        for number in numbers {
            match number % 10 {
                3 => {
                    self.branch("topic", "refs/heads/main").commit("topic", number);
                    self.file(&format!("topic/{number}.txt"), "topic\n");
                    topic = true;
                }
                6 if topic => {
                    self.commit_with_parents("main", number, &["refs/heads/topic"]);
                    self.file("merged.txt", format!("{number}\n"));
                }
                _ => {
                    self.commit("main", number);
                    let path = format!("dir{}/file{}.txt", number % 5, number % 17);
                    self.file(&path, format!("line one\nline {number}\nline three\n").repeat(5));
                }
            }
        }
        self
    }

    /// Gives the stream to `git fast-import` in the repository at `path`.
    #[track_caller]
    pub fn import(&self, sandbox: &Sandbox, path: &Path) {
        let mut command = sandbox.command(&Git::reference().program);
        command.current_dir(path).args(["fast-import", "--quiet", "--force"]);
        Run::with_input(&mut command, &self.bytes).success();
    }

    /// One line of the stream as it stands.
    fn line(&mut self, line: &str) -> &mut Self {
        self.bytes.extend_from_slice(line.as_bytes());
        self.bytes.push(b'\n');
        self
    }

    /// A counted run of bytes.
    fn data(&mut self, content: &[u8]) -> &mut Self {
        self.line(&format!("data {}", content.len()));
        self.bytes.extend_from_slice(content);
        self.line("")
    }
}

/// Copies the repository at `from` to `to`, as it stands.
pub fn copy(sandbox: &Sandbox, from: &Path, to: &Path) -> PathBuf {
    let arguments = ["-R".as_ref(), from.as_os_str(), to.as_os_str()];
    Run::of(sandbox.command("cp").args(arguments)).success();
    to.to_owned()
}
