//! Two equal repositories to push to, one behind C git's receive-pack and one behind gitr's.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use bstr::ByteSlice;

use crate::support::{Format, Git, Run, Sandbox, Stream, build, sandbox, state};

/// A repository to push from, and the two.
pub struct Pair<'a> {
    pub sandbox: Sandbox,
    client: &'a Git,
    kind: Kind,
    /// Before the program that serves: a variable for it.
    variable: &'static str,
}

/// What the two are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bare,
    /// With work trees, in which `main` is checked out.
    CheckedOut,
}

impl<'a> Pair<'a> {
    /// Two bare ones.
    pub fn bare(client: &'a Git, format: Format) -> Self {
        let sandbox = Sandbox::new();
        for name in ["work.git", "theirs.git", "ours.git"] {
            build::project(&sandbox, &sandbox.path(name), format, 12);
        }
        Self { sandbox, client, kind: Kind::Bare, variable: "" }
    }

    /// Two with work trees that are to go along with what is pushed.
    pub fn checked_out() -> Pair<'static> {
        let sandbox = Sandbox::new();
        build::project(&sandbox, &sandbox.path("work.git"), Format::Sha1, 6);
        let pair = Pair { sandbox, client: Git::reference(), kind: Kind::CheckedOut, variable: "" };
        let work = pair.sandbox.path("work.git");
        for place in pair.places() {
            let name = place.file_name().unwrap().to_string_lossy().into_owned();
            pair.sandbox.git(&work, &["clone", "-q", ".", &format!("../{name}")]).success();
        }
        pair.configure("receive.denyCurrentBranch", "updateInstead");
        pair.grow(6..9);
        pair
    }

    /// From here on the servers are run with `variable`, such as `NAME=value `.
    pub fn serve_with(&mut self, variable: &'static str) {
        self.variable = variable;
    }

    /// C git's, and ours.
    pub fn places(&self) -> [PathBuf; 2] {
        let names = match self.kind {
            Kind::Bare => ["theirs.git", "ours.git"],
            Kind::CheckedOut => ["theirs", "ours"],
        };
        names.map(|name| self.sandbox.path(name))
    }

    /// Changes both.
    pub fn prepare(&self, change: impl Fn(&Sandbox, &Path)) {
        for place in self.places() {
            change(&self.sandbox, &place);
        }
    }

    /// Runs git in both.
    pub fn git(&self, words: &[&str]) {
        self.prepare(|sandbox, place| drop(sandbox.git(place, words).success()));
    }

    pub fn configure(&self, key: &str, value: &str) {
        self.git(&["config", key, value]);
    }

    pub fn hook(&self, name: &str, script: &str) {
        self.prepare(|_, place| {
            let inner = place.join(".git");
            let hooks = if inner.exists() { inner } else { place.to_owned() }.join("hooks");
            fs::create_dir_all(&hooks).unwrap();
            fs::write(hooks.join(name), format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(hooks.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        });
    }

    pub fn grow(&self, commits: std::ops::Range<usize>) {
        let mut stream = Stream::onto("main");
        stream.history(commits);
        stream.import(&self.sandbox, &self.sandbox.path("work.git"));
    }

    /// Pushes to both; the client has to see the same, and both repositories have to be the same afterwards. What stands in
    /// the way of a work tree is told in other words than C git's, which are not compared.
    #[track_caller]
    pub fn same(&self, arguments: &[&str]) -> Run {
        let [there, here] = self.places();
        let theirs = self.push(&there, "git", arguments);
        let ours = self.ours(arguments);
        let told = |run: &Run| {
            // C git stumbles where history is cut off, without harm; and it tells the server alone what cannot be started
            let is_said = |line: &&str| {
                let is_compared =
                    !line.starts_with("error: Could not read ") && !line.contains(": cannot exec '");
                self.kind == Kind::Bare && is_compared
            };
            let said: Vec<&str> = run.stderr.to_str().unwrap().lines().filter(is_said).collect();
            let text = format!("{}\n{}\n{}", run.status, run.stdout, said.join("\n"));
            text.replace("/theirs", "/X")
                .replace("/ours", "/X")
                .replace("theirs.git", "X.git")
                .replace("ours.git", "X.git")
        };
        assert_eq!(told(&ours), told(&theirs), "{arguments:?}: {ours:?}");
        assert_eq!(self.state(&here), self.state(&there), "{arguments:?}");
        self.sandbox.git(&here, &["fsck", "--strict"]).success();
        ours
    }

    /// Pushes to ours alone.
    pub fn ours(&self, arguments: &[&str]) -> Run {
        let [_, here] = self.places();
        self.push(&here, &format!("'{}'", sandbox::gitr_program().display()), arguments)
    }

    fn push(&self, place: &Path, program: &str, arguments: &[&str]) -> Run {
        let (program, url) = (
            format!("--receive-pack={}{program} receive-pack", self.variable),
            format!("file://{}", place.display()),
        );
        let format = (self.kind == Kind::CheckedOut).then_some("--porcelain");
        let words = ["push", program.as_str()].into_iter().chain(format).chain([url.as_str()]);
        let words: Vec<&str> = words.chain(arguments.iter().copied()).collect();
        self.sandbox.git_of(self.client, &self.sandbox.path("work.git"), &words)
    }

    /// What is in one of the two, or in a work tree of it.
    pub fn state(&self, place: &Path) -> String {
        let git = |words: &[&str]| self.sandbox.git(place, words).success().stdout.to_string();
        let refs = git(&["for-each-ref"]);
        if self.kind == Kind::CheckedOut {
            let status = git(&["status", "--porcelain=v2", "--branch"]);
            return [refs, status, git(&["ls-files", "-s"]), git(&["diff"])].concat();
        }
        let objects = git(&["cat-file", "--batch-all-objects", "--batch-check"]);
        let left = state::leftovers(place);
        let left: Vec<&Path> = left.iter().filter_map(|path| path.strip_prefix(place).ok()).collect();
        let logs = self.sandbox.git(place, &["reflog", "show", "--all", "--format=%H %gd %gs"]).stdout;
        let shallow = fs::read_to_string(place.join("shallow")).unwrap_or_default();
        format!("{refs}{objects}{logs}{left:?}{shallow}")
    }
}
