//! Each way to a repository, and each form of a bundle, with each version of C git on the other side.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::servers::ssh::Sshd;
use crate::support::{Case, Format, Git, Kind, Sandbox, Serve, Stream, Twin, build, state};

/// The repository that is served.
const NAME: &str = "r.git";

/// The ways, by the names that the test tells them by.
const WAYS: [&str; 7] =
    ["local path", "file://", "git://", "ssh by OpenSSH", "ssh by plink", "ext::", "http://"];

/// A way to `served/r.git`, and what its clients are told besides.
struct Way {
    case: Case,
    url: String,
}

/// Prepares `way` with the programs of `git` on its far side; `None`, after saying so, if something is missing.
fn prepare(way: &str, git: &Git) -> Option<Way> {
    let kind = match way {
        "local path" => Kind::Path,
        "git://" => Kind::Daemon,
        "ssh by OpenSSH" => Kind::Ssh,
        "http://" => Kind::Apache,
        _ => Kind::File,
    };
    let mut case = Case::new(kind, git, 2, Format::Sha1)?;
    let mut url = case.url(NAME);
    match way {
        "ssh by plink" => {
            let server = Sshd::start(&case.sandbox, git)?;
            case.sandbox.set("GIT_SSH_COMMAND", server.plink(&case.sandbox)?.command());
            url = server.url(NAME);
            case.server = Box::new(server);
        }
        "ext::" => {
            case.sandbox.set("GIT_ALLOW_PROTOCOL", "ext");
            let (programs, served) = (git.exec_path.display(), case.served(NAME));
            url = format!("ext::{programs}/%S {}", served.display());
        }
        _ => {}
    }
    Some(Way { case, url })
}

/// Clones, fetches and pushes; C git looks at what came of it.
fn round(way: &Way) {
    let Way { case, url } = way;
    let (sandbox, served) = (&case.sandbox, case.served(NAME));
    build::project(sandbox, &served, case.format, 6);
    sandbox.git(&served, &["config", "http.receivePack", "true"]).success();
    case.refresh(NAME);
    let (fetching, pushing) = match case.kind {
        Kind::File if url.starts_with("ext::") => (Vec::new(), Vec::new()),
        _ => (case.server.options(), case.server.push_options()),
    };
    let gitr = |place: &Path, command: &str, more: &[String], words: &[&str]| {
        let start = [command, "-q"].map(str::to_owned).into_iter().chain(more.iter().cloned());
        let words: Vec<String> = start.chain(words.iter().map(|word| (*word).to_owned())).collect();
        sandbox.gitr(place, &words).success();
    };
    let id = |place: &Path, name: &str| sandbox.git(place, &["rev-parse", name]).success().line();
    let copy = sandbox.path("copy");
    gitr(&sandbox.path(""), "clone", &fetching, &[url, "copy"]);
    assert_eq!(id(&copy, "HEAD"), id(&served, "main"));
    Stream::onto("main").history(6..8).import(sandbox, &served);
    case.refresh(NAME);
    gitr(&copy, "fetch", &fetching, &[]);
    assert_eq!(id(&copy, "origin/main"), id(&served, "main"));
    sandbox.git(&copy, &["commit", "-q", "--allow-empty", "-m", "ours"]).success();
    gitr(&copy, "push", &pushing, &["origin", "HEAD:refs/heads/ours"]);
    assert_eq!(id(&served, "ours"), id(&copy, "HEAD"));
    state::assert_sound(sandbox, &copy);
    sandbox.git(&served, &["fsck"]).success();
}

#[test]
fn each_way_takes_clones_fetches_and_pushes() {
    for git in Git::all() {
        for way in WAYS {
            eprintln!("{way}, {}", git.version);
            if let Some(way) = prepare(way, git) {
                round(&way);
            }
        }
    }
}

/// The forms of a bundle: their name, what they are made of, and whether they hold all that their refs need.
const FORMS: [(&str, &[&str], bool); 5] = [
    ("version 2", &["--all"], true),
    ("version 3", &["--version=3", "--all"], true),
    ("one branch", &["main"], true),
    ("prerequisites", &["old..main", "topic", "^old"], false),
    ("filtered", &["--filter=blob:none", "--all"], false),
];

/// A served project with a branch `old`, and bundles of all forms made by all makers.
struct Bundles {
    sandbox: Sandbox,
    served: PathBuf,
}

impl Bundles {
    fn new(format: Format) -> Self {
        let sandbox = Sandbox::new();
        let served = sandbox.path("served").join(NAME);
        build::project(&sandbox, &served, format, 10);
        sandbox.git(&served, &["branch", "old", "main~3"]).success();
        Self { sandbox, served }
    }

    /// The bundle `form` by `maker`, gitr if that is `None`.
    fn make(&self, maker: Option<&Git>, arguments: &[&str]) -> String {
        let file = self.sandbox.path("some.bundle").display().to_string();
        // --version is an option of its own
        let split = usize::from(arguments.first().is_some_and(|word| word.starts_with("--version")));
        let (options, revisions) = arguments.split_at(split);
        let words = [&["bundle", "create", "-q"], options, &[&*file], revisions].concat();
        match maker {
            None => self.sandbox.gitr(&self.served, &words),
            Some(git) => self.sandbox.git_of(git, &self.served, &words),
        }
        .success();
        file
    }

    /// A repository that has what the bundle builds on, and is promised what it leaves out.
    fn base(&self, form: &str, format: Format) -> PathBuf {
        let base = self.sandbox.path("base.git");
        fs::remove_dir_all(&base).ok();
        build::empty(&self.sandbox, &base, format);
        let url = format!("file://{}", self.served.display());
        self.sandbox.git(&base, &["config", "remote.origin.url", &url]).success();
        if form == "filtered" {
            self.sandbox.git(&base, &["config", "remote.origin.promisor", "true"]).success();
        } else {
            self.sandbox.git(&base, &["fetch", "-q", &url, "old:refs/heads/old"]).success();
        }
        base
    }
}

#[test]
fn each_form_of_a_bundle_goes_from_each_to_each() {
    for format in Format::ALL {
        let here = Bundles::new(format);
        let everybody = || Git::all().iter().map(Some).chain([None]);
        let id = |place: &Path, name: &str| here.sandbox.git(place, &["rev-parse", name]).success().line();
        let expected = id(&here.served, "main");
        // what differs by the hash function is in these
        let forms = if format == Format::Sha1 { &FORMS[..] } else { &FORMS[2..4] };
        for (form, arguments, is_whole) in forms.iter().copied() {
            let base = here.base(form, format);
            for maker in everybody() {
                let file = here.make(maker, arguments);
                for taker in everybody().filter(|taker| maker.is_none() || taker.is_none()) {
                    let run = |place: &Path, words: &[&str]| match taker {
                        None => here.sandbox.gitr(place, words),
                        Some(git) => here.sandbox.git_of(git, place, words),
                    };
                    let taking = here.sandbox.path("taking.git");
                    fs::remove_dir_all(&taking).ok();
                    build::copy(&here.sandbox, &base, &taking);
                    run(&taking, &["fetch", "-q", &file, "main:refs/heads/taken"]).success();
                    assert_eq!(id(&taking, "taken"), expected, "{form}");
                    let clone = run(&here.sandbox.path(""), &["clone", "-q", "--bare", &file, "copy.git"]);
                    let copy = here.sandbox.path("copy.git");
                    assert_eq!((clone.status == 0, copy.exists()), (is_whole, is_whole), "{form}: {clone:?}");
                    if is_whole {
                        assert_eq!(id(&copy, "refs/heads/main"), expected, "{form}");
                        state::assert_sound(&here.sandbox, &copy);
                        fs::remove_dir_all(copy).unwrap();
                    }
                }
            }
        }
    }
}

#[test]
fn nothing_is_pushed_to_a_bundle() {
    let here = Bundles::new(Format::Sha1);
    let file = here.make(None, &["--all"]);
    let before = fs::read(&file).unwrap();
    let twin = Twin::new(&here.sandbox, 2, Vec::new());
    twin.prepare(|client| drop(build::copy(&here.sandbox, &here.served, &client.join("copy.git"))));
    let run = twin.run("copy.git", &["push", &file, "main:new"]);
    assert_ne!(run.status, 0, "{run:?}");
    assert_eq!(fs::read(&file).unwrap(), before);
}
