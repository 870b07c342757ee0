//! The same commands given to gitr and to C git, side by side, and the matrix of cases they are given in.

use std::ffi::OsStr;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use bstr::{BString, ByteSlice};

use super::{Format, Git, Kind, Run, Sandbox, Serve, state};

/// The commands that contact a server, and are told what they need for it.
const CONTACTING: [&str; 4] = ["clone", "fetch", "ls-remote", "push"];

/// One field of the matrix: a server of one version of C git, one protocol version, one object format.
pub struct Case {
    /// Where everything happens.
    pub sandbox: Sandbox,
    /// What kind of server it is.
    pub kind: Kind,
    /// How `served/` is reached.
    pub server: Box<dyn Serve>,
    /// `protocol.version`.
    pub version: u8,
    /// The hash of the repositories.
    pub format: Format,
    /// Whose server it is.
    pub git: Git,
}

impl Case {
    /// Starts a server of `kind` in a sandbox of its own; `None`, after saying so, if a program is missing.
    pub fn new(kind: Kind, git: &Git, version: u8, format: Format) -> Option<Self> {
        let mut sandbox = Sandbox::new();
        let server = kind.start(&sandbox, git)?;
        for (name, value) in server.variables() {
            sandbox.set(name, value);
        }
        Some(Self { sandbox, kind, server, version, format, git: git.clone() })
    }

    /// The path of the served repository `name`.
    pub fn served(&self, name: &str) -> PathBuf {
        self.sandbox.path("served").join(name)
    }

    /// The URL of the served repository `name`.
    pub fn url(&self, name: &str) -> String {
        self.server.url(name)
    }

    /// Whether each command costs the better part of a second here: then only what the transport has a part in is
    /// worth a case.
    pub fn is_slow(&self) -> bool {
        self.kind == Kind::Ssh
    }

    /// Tells the server that the served repository `name` changed.
    pub fn refresh(&self, name: &str) {
        self.server.refresh(&self.sandbox, name, self.format);
    }

    /// Two empty directories for the two clients.
    pub fn twin(&self) -> Twin<'_> {
        let twin = Twin::new(&self.sandbox, self.version, self.server.options());
        Twin { push_options: self.server.push_options(), ..twin }
    }
}

/// Calls `scenario` for each protocol version, object format and version of C git on the other side of a server of
/// `kind`. All are tried; the end names those that failed.
///
/// # Panics
/// If a case did.
pub fn over(kind: Kind, scenario: fn(&Case)) {
    let mut failed = Vec::new();
    for git in Git::all() {
        for format in Format::ALL {
            for version in 0..=2 {
                let name = format!("v{version}, {}, server {}", format.name(), git.version);
                let attempt = || {
                    if let Some(case) = Case::new(kind, git, version, format) {
                        scenario(&case);
                    }
                };
                if catch_unwind(AssertUnwindSafe(attempt)).is_err() {
                    eprintln!("failed: {name}");
                    failed.push(name);
                }
            }
        }
    }
    assert!(failed.is_empty(), "{} cases failed over {kind:?}: {failed:#?}", failed.len());
}

/// Two directories in which gitr and C git do the same.
pub struct Twin<'a> {
    /// Where both are.
    sandbox: &'a Sandbox,
    /// Where gitr works.
    pub ours: PathBuf,
    /// Where C git works.
    pub theirs: PathBuf,
    /// `-c protocol.version=N`.
    version: String,
    /// Options of each command that contacts the server and receives.
    options: Vec<String>,
    /// Options of each push.
    push_options: Vec<String>,
}

impl<'a> Twin<'a> {
    /// Two empty directories; every command is given `protocol.version` and, where it contacts a server, `options`.
    pub fn new(sandbox: &'a Sandbox, version: u8, options: Vec<String>) -> Self {
        let (ours, theirs) = (sandbox.path("ours"), sandbox.path("theirs"));
        for directory in [&ours, &theirs] {
            fs::remove_dir_all(directory).ok();
            fs::create_dir(directory).expect("the sandbox can be written");
        }
        Self {
            sandbox,
            ours,
            theirs,
            version: format!("protocol.version={version}"),
            options,
            push_options: Vec::new(),
        }
    }

    /// Gives `arguments` to both in the directory `place` of each, and checks that both print and return the same.
    /// Returns what C git printed, with the client's directory as `<client>`.
    ///
    /// # Panics
    /// If they differ.
    #[track_caller]
    pub fn run(&self, place: &str, arguments: &[&str]) -> Run {
        let theirs = self.git(place, arguments);
        let ours = self.gitr(place, arguments);
        let same =
            (&ours.stdout, &ours.stderr, ours.status) == (&theirs.stdout, &theirs.stderr, theirs.status);
        assert!(same, "gitr does not say what git says\n{ours:?}\n== git\n{theirs:?}");
        theirs
    }

    /// As [`Self::run`], with `input` on the standard input of each.
    #[track_caller]
    pub fn run_with_input(&self, place: &str, arguments: &[&str], input: &str) {
        let run = |program: &OsStr, client: &Path| {
            let mut command = self.sandbox.command(program);
            command.current_dir(client.join(place)).args(self.complete(arguments));
            self.normalised(Run::with_input(&mut command, input.as_bytes()))
        };
        let theirs = run(Git::reference().program.as_os_str(), &self.theirs);
        let ours = run(&super::sandbox::gitr_program(), &self.ours);
        let same =
            (&ours.stdout, &ours.stderr, ours.status) == (&theirs.stdout, &theirs.stderr, theirs.status);
        assert!(same, "gitr does not say what git says\n{ours:?}\n== git\n{theirs:?}");
    }

    /// As [`Self::run`], and both must succeed.
    #[track_caller]
    pub fn done(&self, place: &str, arguments: &[&str]) -> Run {
        self.run(place, arguments).success()
    }

    /// Gives `arguments` to gitr alone.
    pub fn gitr(&self, place: &str, arguments: &[&str]) -> Run {
        let run = self.sandbox.gitr(&self.ours.join(place), &self.complete(arguments));
        self.normalised(run)
    }

    /// Gives `arguments` to C git alone.
    pub fn git(&self, place: &str, arguments: &[&str]) -> Run {
        let run = self.sandbox.git(&self.theirs.join(place), &self.complete(arguments));
        self.normalised(run)
    }

    /// Checks that the repository `name` of gitr is whole and equal to that of C git.
    ///
    /// # Panics
    /// If it is not.
    #[track_caller]
    pub fn same(&self, name: &str) {
        state::assert_sound(self.sandbox, &self.ours.join(name));
        self.same_state(name);
    }

    /// Checks that the repository `name` of gitr is equal to that of C git, work tree and index included.
    ///
    /// # Panics
    /// If it is not.
    #[track_caller]
    pub fn same_state(&self, name: &str) {
        let (ours, theirs) = (self.ours.join(name), self.theirs.join(name));
        let parts = state::of(self.sandbox, &ours).into_iter().zip(state::of(self.sandbox, &theirs));
        for ((part, ours), (_, theirs)) in parts {
            let (ours, theirs) = (self.anonymous(&ours), self.anonymous(&theirs));
            assert!(
                ours == theirs,
                "'{name}' has another {part} than git's\n== gitr\n{ours}\n== git\n{theirs}"
            );
        }
    }

    /// As [`Self::same`], and both have the same objects: a clone is sent nothing else.
    ///
    /// # Panics
    /// If they differ.
    #[track_caller]
    pub fn same_objects(&self, name: &str) {
        self.same(name);
        let ours = state::objects(self.sandbox, &self.ours.join(name));
        let theirs = state::objects(self.sandbox, &self.theirs.join(name));
        assert!(ours == theirs, "'{name}' has other objects than git's\n== gitr\n{ours}\n== git\n{theirs}");
    }

    /// Does `change` in the directory of each.
    pub fn prepare(&self, change: impl Fn(&Path)) {
        change(&self.ours);
        change(&self.theirs);
    }

    /// The command line with what every command is given.
    fn complete(&self, arguments: &[&str]) -> Vec<String> {
        let before = arguments.iter().take_while(|&&word| !CONTACTING.contains(&word)).count();
        let (before, rest) = arguments.split_at(before);
        let (command, after) = rest.split_at(rest.len().min(1));
        let options = match command {
            ["push"] => &self.push_options[..],
            [_] => &self.options[..],
            _ => &[],
        };
        let words = [&["-c", &*self.version][..], before, command].concat().into_iter().map(str::to_owned);
        let after = after.iter().map(|&word| word.to_owned());
        words.chain(options.iter().cloned()).chain(after).collect()
    }

    /// `run` with the client's directory as `<client>` and the two served copies as one.
    fn normalised(&self, run: Run) -> Run {
        Run { stdout: self.anonymous(&run.stdout), stderr: self.anonymous(&run.stderr), ..run }
    }

    /// `text` with the client's directory as `<client>` and the two served copies of [`Pushers`](super::Pushers),
    /// whose names are of one length, as one.
    pub fn anonymous(&self, text: &[u8]) -> BString {
        let ours = self.ours.as_os_str().as_encoded_bytes();
        let theirs = self.theirs.as_os_str().as_encoded_bytes();
        let text = text.replace(ours, "<client>").replace(theirs, "<client>");
        let text = text.replace("/ours/", "/copy/").replace("/them/", "/copy/");
        // how long it took to find out that nobody is there
        let time = regex::bytes::Regex::new("after [0-9]+ ms: ").expect("it is a pattern");
        without_sizes(&time.replace_all(&text, b"after N ms: ".as_slice()))
    }
}

/// `text` with what `POST …` lines say of sizes left out: each client names itself in its requests. How many requests
/// there are still counts.
fn without_sizes(text: &[u8]) -> BString {
    let mut plain = BString::default();
    for line in text.lines_with_terminator() {
        match line.split_once_str("(") {
            Some((start, _)) if line.starts_with(b"POST git-") => {
                plain.extend_from_slice(start);
                plain.push(b'\n');
            }
            _ => plain.extend_from_slice(line),
        }
    }
    plain
}
