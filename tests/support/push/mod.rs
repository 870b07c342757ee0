//! Two clients that push, each to a served copy of its own.

mod compare;
mod snapshot;

pub use snapshot::Snapshot;

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use bstr::{BString, ByteSlice};

use super::{Case, Format, Git, Kind, Run, Stream, Twin, build, state};

/// Whose the two copies are, by the names of their directories below `served/`: of one length, so that URLs are.
const WHOSE: [&str; 2] = ["ours", "them"];
/// The served repository that `origin` of both clients is.
pub const ORIGIN: &str = "first.git";
/// The repository of each client, in its directory.
pub const COPY: &str = "copy";

/// How often a push that a reset overtook is tried again.
const RESET_TRIES: usize = 20;

/// What every served repository needs: pushes over HTTP, reflogs to compare, nothing in the background, and every
/// object checked.
const SERVED: [(&str, &str); 4] = [
    ("http.receivepack", "true"),
    ("core.logAllRefUpdates", "always"),
    ("receive.autogc", "false"),
    ("receive.fsckObjects", "true"),
];

/// Calls `scenario` for each version of C git on the other side of a server of `kind`, and with SHA-256 for the
/// reference git. All are tried; the end names those that failed.
///
/// # Panics
/// If a case did.
pub fn push_over(kind: Kind, scenario: fn(&Pushers<'_>)) {
    let mut failed = Vec::new();
    let newest = &Git::reference().version;
    for git in Git::all() {
        for format in Format::ALL {
            let is_newest = git.version == *newest;
            if format == Format::Sha256 && (kind == Kind::Ssh || !is_newest) {
                continue; // what differs is the length of ids, whatever carries them
            }
            let is_like_apache = matches!(kind, Kind::Lighttpd | Kind::Nginx);
            if is_like_apache && (format == Format::Sha256 || !is_newest) {
                continue; // what differs is the web server, whatever is behind it
            }
            let name = format!("{}, server {}", format.name(), git.version);
            if catch_unwind(AssertUnwindSafe(|| push_once(kind, git, format, 2, scenario))).is_err() {
                eprintln!("failed: {name}");
                failed.push(name);
            }
        }
    }
    assert!(failed.is_empty(), "{} cases failed over {kind:?}: {failed:#?}", failed.len());
}

/// Calls `scenario` once, with clones of a project.
///
/// # Panics
/// If a row differed.
pub fn push_once(kind: Kind, git: &Git, format: Format, version: u8, scenario: impl FnOnce(&Pushers<'_>)) {
    let Some(case) = Case::new(kind, git, version, format) else { return };
    let pushers = Pushers::new(&case, |path| build::project(&case.sandbox, path, case.format, 12));
    scenario(&pushers);
    pushers.finish();
}

/// gitr and C git with a clone each, in front of a served copy each. What one of them may do to its copy, the other
/// does to its own, and both are compared by C git.
///
/// In arguments `<name>` stands for the URL of the served repository `name`, and `<nosuch.git>` for one that is not.
pub struct Pushers<'a> {
    /// The server.
    pub case: &'a Case,
    /// The clients.
    pub twin: Twin<'a>,
    /// Rows in which gitr differed.
    differences: RefCell<Vec<String>>,
}

impl<'a> Pushers<'a> {
    /// Serves what `fill` makes twice and gives each client a clone of its copy.
    pub fn new(case: &'a Case, fill: impl FnOnce(&Path)) -> Self {
        let pushers = Self { case, twin: case.twin(), differences: RefCell::default() };
        pushers.serve(ORIGIN, fill);
        pushers.clone(&[]);
        pushers
    }

    /// Gives each client a new clone of `origin`, made by C git with `options`.
    pub fn clone(&self, options: &[&str]) {
        let [_, theirs] = self.served(ORIGIN);
        let copy = self.twin.theirs.join(COPY);
        fs::remove_dir_all(&copy).ok();
        let path = format!("file://{}", theirs.display());
        let arguments = [&["clone", "-q"], options, &[&path, COPY]].concat();
        self.case.sandbox.git(&self.twin.theirs, &arguments).success();
        let url = self.case.url(&format!("{}/{ORIGIN}", WHOSE[1]));
        self.case.sandbox.git(&copy, &["config", "remote.origin.url", &url]).success();
        self.give_theirs_to_us(COPY);
    }

    /// Serves what `fill` makes, for each client a copy.
    pub fn serve(&self, name: &str, fill: impl FnOnce(&Path)) {
        let [ours, theirs] = self.served(name);
        fs::create_dir_all(theirs.parent().expect("it is below served/"))
            .expect("the sandbox can be written");
        fill(&theirs);
        for (key, value) in SERVED {
            self.case.sandbox.git(&theirs, &["config", key, value]).success();
        }
        replace(&self.case.sandbox, &theirs, &ours);
        self.refresh(name);
    }

    /// The two copies of the served repository `name`: gitr's, C git's.
    pub fn served(&self, name: &str) -> [PathBuf; 2] {
        WHOSE.map(|whose| self.case.served(&format!("{whose}/{name}")))
    }

    /// The repositories of the two clients: gitr's, C git's.
    pub fn clients(&self) -> [PathBuf; 2] {
        [self.twin.ours.join(COPY), self.twin.theirs.join(COPY)]
    }

    /// A push that must succeed.
    #[track_caller]
    pub fn done(&self, arguments: &[&str]) -> Run {
        self.ends(0, arguments)
    }

    /// A push of which a ref is rejected.
    #[track_caller]
    pub fn rejected(&self, arguments: &[&str]) -> Run {
        self.ends(1, arguments)
    }

    /// A push that cannot be done.
    #[track_caller]
    pub fn fatal(&self, arguments: &[&str]) -> Run {
        self.ends(128, arguments)
    }

    /// A push that cannot be done, as is found while it is sent. Over HTTP git 2.47.3 sends in another process: its
    /// end makes the first one name the refs or say `Everything up-to-date`, and return 1. gitr may do so or not.
    #[track_caller]
    pub fn breaks(&self, arguments: &[&str]) -> Run {
        let (theirs, ours) = (self.git(arguments), self.gitr(arguments));
        if !self.case.kind.is_http() {
            assert_eq!(theirs.status, 128, "{theirs:?}");
        }
        let [theirs, ours] = [theirs, ours].map(|run| self.without_echo(run));
        self.compare(&ours, &theirs);
        theirs
    }

    /// A push that ends with `status` if C git does it: gitr has to say, return and leave the same.
    ///
    /// # Panics
    /// If C git ends otherwise: the test is wrong. What gitr does otherwise is told by [`Self::finish`].
    #[track_caller]
    pub fn ends(&self, status: i32, arguments: &[&str]) -> Run {
        let theirs = self.git(arguments);
        assert_eq!(theirs.status, status, "{theirs:?}");
        self.compare(&self.gitr(arguments), &theirs);
        theirs
    }

    /// A push whose pack the server stops reading before its end, and then refuses. Over `git://` that close is a
    /// reset, which may overtake the report: then neither client can know, and the row is tried again.
    ///
    /// # Panics
    /// If that happens every time.
    #[track_caller]
    pub fn refused_in_the_pack(&self, arguments: &[&str]) -> Run {
        for _ in 0..RESET_TRIES {
            let (theirs, ours) = (self.git(arguments), self.gitr(arguments));
            if [&theirs, &ours].iter().any(|run| run.complains_of("Connection reset by peer")) {
                continue;
            }
            assert_eq!(theirs.status, 1, "{theirs:?}");
            self.compare(&ours, &theirs);
            return theirs;
        }
        panic!("every try ends with a reset");
    }

    /// As [`Self::ends`], however C git ends.
    pub fn like_git(&self, arguments: &[&str]) -> Run {
        let theirs = self.git(arguments);
        self.compare(&self.gitr(arguments), &theirs);
        theirs
    }

    /// Gives `push <arguments>` to C git alone.
    pub fn git(&self, arguments: &[&str]) -> Run {
        let arguments = self.expanded(arguments, WHOSE[1]);
        self.twin.git(COPY, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Gives `push <arguments>` to gitr alone.
    pub fn gitr(&self, arguments: &[&str]) -> Run {
        let arguments = self.expanded(arguments, WHOSE[0]);
        self.twin.gitr(COPY, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Imports `stream` into both clients.
    pub fn client(&self, stream: &Stream) {
        for client in self.clients() {
            stream.import(&self.case.sandbox, &client);
        }
    }

    /// Imports `stream` into both served copies of `origin`.
    pub fn server(&self, stream: &Stream) {
        for served in self.served(ORIGIN) {
            stream.import(&self.case.sandbox, &served);
        }
        self.refresh(ORIGIN);
    }

    /// Waits until no process is at work in what is served: a server may go on when its client has ended, and what is
    /// looked at or put back meanwhile is not what the push left. Where there is no `/proc` that cannot be known.
    pub fn await_servers(&self) {
        let served = WHOSE.map(|whose| self.case.served(whose));
        while is_worked_in(&served) {
            std::thread::yield_now();
        }
    }

    /// Runs C git in both clients.
    #[track_caller]
    pub fn in_client(&self, arguments: &[&str]) {
        for (whose, client) in WHOSE.into_iter().zip(self.clients()) {
            self.case.sandbox.git(&client, &self.expanded(arguments, whose)).success();
        }
    }

    /// Runs C git in both served copies of `origin`.
    #[track_caller]
    pub fn in_server(&self, arguments: &[&str]) {
        for served in self.served(ORIGIN) {
            self.case.sandbox.git(&served, arguments).success();
        }
        self.refresh(ORIGIN);
    }

    /// Both clients learn where `origin` stands, by its path: how it is reached is not what is tried.
    pub fn fetch(&self) {
        for (served, client) in self.served(ORIGIN).into_iter().zip(self.clients()) {
            let url = format!("remote.origin.url={}", served.display());
            self.case.sandbox.git(&client, &["-c", &url, "fetch", "-q"]).success();
            fs::remove_file(client.join(".git/FETCH_HEAD")).ok(); // it names the path
        }
    }

    /// Makes `script`, given to sh, the hook `name` of both served copies of `origin`; takes it away if empty.
    pub fn server_hook(&self, name: &str, script: &str) {
        for served in self.served(ORIGIN) {
            write_hook(&served.join("hooks"), name, script);
        }
        self.refresh(ORIGIN);
    }

    /// As [`Self::server_hook`], of both clients.
    pub fn client_hook(&self, name: &str, script: &str) {
        for client in self.clients() {
            write_hook(&client.join(".git/hooks"), name, script);
        }
    }

    /// `arguments` with URLs of the copy of `whose`.
    fn expanded(&self, arguments: &[&str], whose: &str) -> Vec<String> {
        let mut names = self.served_names();
        names.push("nosuch.git".to_owned());
        let expand = |&argument: &&str| {
            names.iter().fold(argument.to_owned(), |text, name| {
                text.replace(&format!("<{name}>"), &self.case.url(&format!("{whose}/{name}")))
            })
        };
        arguments.iter().map(expand).collect()
    }

    /// The names of the served repositories, sorted.
    fn served_names(&self) -> Vec<String> {
        let directory = self.case.served(WHOSE[1]);
        let entries = fs::read_dir(directory).expect("something is served").flatten();
        let mut names: Vec<_> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Tells the server that both copies of `name` changed.
    fn refresh(&self, name: &str) {
        for whose in WHOSE {
            self.case.refresh(&format!("{whose}/{name}"));
        }
    }

    /// Makes gitr's directory `name` a copy of C git's, in front of its own served copies.
    fn give_theirs_to_us(&self, name: &str) {
        let ours = self.twin.ours.join(name);
        replace(&self.case.sandbox, &self.twin.theirs.join(name), &ours);
        let config = ours.join(".git/config");
        let text: BString = fs::read(&config).expect("it is a repository").into();
        let [us, them] = WHOSE.map(|whose| format!("/{whose}/"));
        fs::write(&config, text.replace(them, us)).expect("the sandbox can be written");
    }
}

/// Whether a process stands in one of `directories`, which may have been removed, or was started for what is in them.
fn is_worked_in(directories: &[PathBuf]) -> bool {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.map(|process| process.path()).any(|process| {
        let place = fs::read_link(process.join("cwd")).unwrap_or_default();
        let line = fs::read(process.join("cmdline")).unwrap_or_default();
        directories.iter().any(|directory| {
            let below = [directory.as_os_str().as_encoded_bytes(), b"/"].concat();
            place.starts_with(directory) || line.contains_str(&below)
        })
    })
}

/// Makes `to` a copy of `from`.
fn replace(sandbox: &super::Sandbox, from: &Path, to: &Path) {
    if to.exists() {
        fs::remove_dir_all(to).expect("nobody is at work in it");
    }
    fs::create_dir_all(to.parent().expect("it is in the sandbox")).expect("the sandbox can be written");
    build::copy(sandbox, from, to);
}

/// Writes the hook `name` into `directory`, or removes it if `script` is empty.
fn write_hook(directory: &Path, name: &str, script: &str) {
    fs::create_dir_all(directory).expect("the sandbox can be written");
    let hook = directory.join(name);
    if script.is_empty() {
        fs::remove_file(hook).ok();
        return;
    }
    fs::write(&hook, format!("#!/bin/sh\n{script}")).expect("the sandbox can be written");
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).expect("it is ours");
}
