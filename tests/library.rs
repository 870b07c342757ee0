//! gitr as another program embeds it: everything in this process, with its own progress, environment and credentials.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test ends by panicking")]
#![allow(clippy::print_stderr, reason = "skips are told on stderr")]

#[path = "support/mod.rs"]
mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use bstr::{BStr, BString, ByteSlice};
use gitr::credential::{self, Credential, CredentialProvider, Secret, Target};
use gitr::progress::{Discard, Event, Progress};
use gitr::remote::clone::{self, Cloned, Destination};
use gitr::remote::fetch::{self, Fetch};
use gitr::remote::update::Status;
use gitr::remote::{Error, Remote, RepoSettings, Session};
use gitr::repo::{Config, Environment, Repository};
use gitr::transport::{self, ChildStderr, Url};

use support::{Format, Run, Sandbox, Stream, build, state};

/// Notes the phases that were told, and stops at one of them.
#[derive(Default)]
struct Recorder {
    phases: Vec<&'static str>,
    stop_at: &'static [&'static str],
    is_stopped: bool,
}

impl Recorder {
    fn stopping_at(titles: &'static [&'static str]) -> Self {
        Self { stop_at: titles, ..Self::default() }
    }
}

impl Progress for Recorder {
    fn report(&mut self, event: Event<'_>) -> ControlFlow<()> {
        let Event::Phase { title, .. } = event else { return ControlFlow::Continue(()) };
        if self.phases.last() != Some(&title) {
            self.phases.push(title);
        }
        self.is_stopped |= self.stop_at.contains(&title);
        if self.is_stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// A served repository with history, and its `file://` URL.
fn served(sandbox: &Sandbox) -> (PathBuf, String) {
    let path = sandbox.path("served/project.git");
    build::project(sandbox, &path, Format::Sha1, 30);
    let url = format!("file://{}", path.display());
    (path, url)
}

fn environment(sandbox: &Sandbox) -> Environment {
    sandbox.variables().into_iter().collect()
}

fn clone_into(
    sandbox: &Sandbox,
    url: &str,
    directory: &Path,
    progress: &mut dyn Progress,
) -> Result<Cloned, Error> {
    let transport =
        transport::Options { child_stderr: ChildStderr::Discard, ..transport::Options::default() };
    let options = clone::Options { transport, ..clone::Options::default() };
    let env = environment(sandbox);
    let destination = Destination::new(directory, options.bare)?;
    clone::Clone::new(url.into(), &destination, &options, &env, &[])?.run(progress)
}

fn open(sandbox: &Sandbox, url: &str, options: transport::Options) -> Result<Session, Error> {
    let env = environment(sandbox);
    let config = Config::load(&env, &[], None)?;
    let settings = RepoSettings { config: &config, env: &env };
    Session::connect(&Url::parse(url.into())?, &settings, options, &[], &mut Discard)
}

#[test]
fn a_clone_is_whole_and_tells_its_phases() {
    let sandbox = Sandbox::new();
    let (_, url) = served(&sandbox);
    let directory = sandbox.path("copy");
    let mut progress = Recorder::default();
    let cloned = clone_into(&sandbox, &url, &directory, &mut progress).unwrap();
    assert!(cloned.head.is_some() && !cloned.is_detached && !cloned.is_local);
    let outcome = cloned.checkout(&mut progress).unwrap().unwrap();
    assert!(outcome.errors.is_empty());
    assert!(progress.phases.contains(&"Receiving objects"), "{:?}", progress.phases);
    state::assert_sound(&sandbox, &directory);
}

#[test]
fn a_clone_that_is_stopped_leaves_nothing() {
    let sandbox = Sandbox::new();
    let (_, url) = served(&sandbox);
    let directory = sandbox.path("copy");
    for stop_at in [&["Receiving objects"], &["Resolving deltas"]] {
        let mut progress = Recorder::stopping_at(stop_at);
        let error = clone_into(&sandbox, &url, &directory, &mut progress).err().unwrap();
        assert!(error.is_interrupted(), "{stop_at:?}: {error:?}");
        assert!(!directory.exists(), "stopped at {stop_at:?}");
    }
    assert_eq!(state::files(&sandbox.path("temporary")), Vec::<PathBuf>::new());
}

#[test]
fn a_directory_that_was_there_stays_when_its_clone_is_stopped() {
    let sandbox = Sandbox::new();
    let (_, url) = served(&sandbox);
    let directory = sandbox.path("copy");
    std::fs::create_dir(&directory).unwrap();
    let mut progress = Recorder::stopping_at(&["Receiving objects"]);
    assert!(clone_into(&sandbox, &url, &directory, &mut progress).is_err());
    assert!(directory.is_dir());
    assert_eq!(state::files(&directory), Vec::<PathBuf>::new());
}

#[test]
fn refs_are_listed_as_git_lists_them() {
    let sandbox = Sandbox::new();
    let (path, url) = served(&sandbox);
    let mut session = open(&sandbox, &url, transport::Options::default()).unwrap();
    let refs = session.refs(&["refs/heads/".into()], &mut Discard).unwrap();
    session.close().unwrap();
    let listed: Vec<String> = refs.iter().map(|r| format!("{} {}", r.id.unwrap(), r.name)).collect();
    let theirs = sandbox.git(&path, &["for-each-ref", "--format=%(objectname) %(refname)", "refs/heads"]);
    assert_eq!(theirs.success().line(), listed.join("\n"));
}

/// Clones, lets the served repository go on, and fetches.
fn fetch_news(sandbox: &Sandbox, progress: &mut dyn Progress) -> Result<fetch::Outcome, Error> {
    let (path, url) = served(sandbox);
    let directory = sandbox.path("copy");
    clone_into(sandbox, &url, &directory, &mut Discard)?.checkout(&mut Discard)?;
    Stream::onto("main").commit("main", 99).file("news", "new\n").import(sandbox, &path);
    let work_tree = Some(directory.as_path());
    let repo = Repository::open(&directory.join(".git"), work_tree, &[], &environment(sandbox))?;
    let remote = Remote::from_config(&repo.config, "origin".into())?;
    let options = fetch::Options::default();
    Fetch::new(&repo, &remote, &options)?.list(progress)?.transfer(progress)?.update()?.follow_tags(progress)
}

#[test]
fn a_fetch_gives_a_row_for_each_ref() {
    let sandbox = Sandbox::new();
    let outcome = fetch_news(&sandbox, &mut Discard).unwrap();
    assert!(outcome.errors.is_empty());
    let moved: Vec<&BStr> = outcome
        .updates
        .iter()
        .filter(|update| update.status == Status::FastForward)
        .filter_map(|update| update.local.as_ref().map(|name| name.as_bstr()))
        .collect();
    assert_eq!(moved, ["refs/remotes/origin/main"]);
    state::assert_sound(&sandbox, &sandbox.path("copy"));
}

#[test]
fn a_fetch_that_is_stopped_moves_no_ref() {
    let sandbox = Sandbox::new();
    let mut progress = Recorder::stopping_at(&["Receiving objects", "Unpacking objects"]);
    let error = fetch_news(&sandbox, &mut progress).err().unwrap();
    assert!(error.is_interrupted(), "{error:?}");
    let copy = sandbox.path("copy");
    let ids = sandbox.git(&copy, &["rev-parse", "HEAD", "refs/remotes/origin/main"]).success().line();
    let (head, tracking) = ids.split_once('\n').unwrap();
    assert_eq!(head, tracking);
    state::assert_sound(&sandbox, &copy);
}

#[test]
fn errors_say_whose_fault_it_is() {
    let sandbox = Sandbox::new();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let fails = |url: &str| clone_into(&sandbox, url, &sandbox.path("copy"), &mut Discard).err().unwrap();
    let missing = format!("file://{}", sandbox.path("no-such.git").display());
    assert!(matches!(fails(&missing), Error::Transport(transport::Error::NoAccess)));
    let refused = fails(&format!("git://127.0.0.1:{closed}/project.git"));
    assert!(matches!(refused, Error::Transport(transport::Error::Access(_))), "{refused:?}");
    assert!(matches!(fails("no-such-path"), Error::Usage(_)));
    assert!(matches!(fails("ext::sh -c true"), Error::Transport(transport::Error::Url(_))));
    assert!(!sandbox.path("copy").exists());
}

/// Knows one user, and notes what it is told.
#[derive(Default)]
struct Keyring(Mutex<Vec<String>>);

impl Keyring {
    fn note(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

impl CredentialProvider for Keyring {
    fn fill(&self, target: &Target, challenges: &[String]) -> Result<Option<Credential>, credential::Error> {
        self.note(format!("fill {}://{} {challenges:?}", target.protocol, target.username.is_none()));
        Ok(Some(Credential::new("alice", Secret::new("secret"))))
    }

    fn approve(&self, _target: &Target, credential: &Credential) {
        self.note(format!("approve {}", credential.username));
    }

    fn reject(&self, _target: &Target, credential: &Credential) {
        self.note(format!("reject {}", credential.username));
    }
}

/// An HTTP server that greets alice, and asks everybody else who he is. Gives its port.
fn guarded_server() -> u16 {
    const ALICE: &str = "authorization: basic ywxpy2u6c2vjcmv0"; // alice:secret, in lower case as a whole
    const GREETING: &str = "001e# service=git-upload-pack\n0000000eversion 2\n0000";
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let head: Vec<String> =
                lines.take_while(|line| !line.is_empty()).map(|line| line.to_ascii_lowercase()).collect();
            let (status, header, body) = if head.iter().any(|line| line == ALICE) {
                ("200 OK", "Content-Type: application/x-git-upload-pack-advertisement", GREETING)
            } else {
                ("401 Unauthorized", "WWW-Authenticate: Basic realm=\"test\"", "")
            };
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\n{header}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    port
}

#[test]
fn the_callers_credentials_are_asked_for_and_judged() {
    let sandbox = Sandbox::new();
    let url = format!("http://127.0.0.1:{}/project.git", guarded_server());
    let keyring = Arc::new(Keyring::default());
    let credentials: Arc<dyn CredentialProvider> = keyring.clone();
    let options = transport::Options { credentials: Some(credentials), ..transport::Options::default() };
    assert!(!format!("{options:?}").contains("secret"));
    open(&sandbox, &url, options).unwrap().close().unwrap();
    let heard = keyring.0.lock().unwrap();
    assert_eq!(*heard, ["fill http://true [\"Basic realm=\\\"test\\\"\"]", "approve alice"]);
}

/// The program that is `name` of `examples/`: cargo built it where all tests are run; it is built here if it is missing.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("examples").join(name);
    if program.exists() {
        return program;
    }
    let mut build = Command::new(env!("CARGO"));
    build.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "--quiet", "--offline", "--example", name]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    // What cargo tells a test of its package makes build scripts run again.
    for (variable, _) in std::env::vars_os() {
        if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|own| variable.to_string_lossy().starts_with(own)) {
            build.env_remove(variable);
        }
    }
    assert!(build.status().unwrap().success());
    program
}

#[test]
fn the_example_of_a_clone_clones() {
    let sandbox = Sandbox::new();
    let (_, url) = served(&sandbox);
    let run = Run::of(sandbox.command(example("clone")).args([&url, "copy"])).success();
    assert!(run.stdout.contains_str("Receiving objects: "), "{run:?}");
    state::assert_sound(&sandbox, &sandbox.path("copy"));
}

#[test]
fn the_example_of_a_listing_lists() {
    let sandbox = Sandbox::new();
    let (path, url) = served(&sandbox);
    let run = Run::of(sandbox.command(example("ls_refs")).args([&url, "refs/tags/"])).success();
    let theirs = sandbox.git(&path, &["for-each-ref", "--format=%(objectname)%09%(refname)", "refs/tags"]);
    assert_eq!(run.stdout, theirs.success().stdout);
    assert_eq!(run.stderr, BString::default());
}
