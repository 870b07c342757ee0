//! Commands of pushes, good and bad: our server tells of each what C git tells in its place.

use std::path::PathBuf;

use bstr::{BString, ByteSlice as _};

use crate::client::{ask, head, packets};
use crate::pushed::{CAPABILITIES, NULL, bands, push};
use crate::support::servers::serve::GitrServe;
use crate::support::{Format, Git, Sandbox, build, skipped, state};

/// A server, and C git in its place, with the same repositories.
pub struct Sides {
    pub sandbox: Sandbox,
    pub servers: [(&'static str, GitrServe); 2],
    pub tip: String,
}

impl Sides {
    pub fn new() -> Self {
        let sandbox = Sandbox::new();
        for side in ["ours", "them"] {
            build::project(&sandbox, &sandbox.path(format!("served/{side}.git")), Format::Sha1, 12);
        }
        let start = |option: &str| GitrServe::start(&sandbox, &["--enable-receive-pack=anybody", option]);
        let servers = [("ours", start("--backend=gitr")), ("them", start("--backend=git"))];
        let tip = sandbox.git(&sandbox.path("served/ours.git"), &["rev-parse", "main"]).line();
        Self { sandbox, servers, tip }
    }

    pub fn repositories(&self) -> [PathBuf; 2] {
        self.servers.each_ref().map(|(side, _)| self.sandbox.path(format!("served/{side}.git")))
    }

    /// Pushes to both, which have to answer alike.
    pub fn same(&self, command: &[u8], pack: &[u8]) -> [BString; 3] {
        let [ours, theirs] = self.servers.each_ref().map(|(side, server)| {
            let answer = push(server.process.port, side, command, pack);
            assert_eq!(answer.status, 200, "{:?}: {answer:?}", command.as_bstr());
            bands(&answer).map(|band| BString::from(band.replace(*side, "SIDE")))
        });
        assert_eq!(ours, theirs, "{:?}", command.as_bstr());
        ours
    }
}

/// Names of refs that are good, odd or bad.
const NAMES: [&str; 51] = [
    "refs/heads/../x",
    "refs/heads/..",
    "refs/../config",
    "refs/heads/x.lock",
    "refs/heads/x.lock/y",
    "refs/heads/a..b",
    "refs/heads/.x",
    "refs/heads/x/.y",
    "refs/heads/x/",
    "refs/heads//x",
    "/refs/heads/x",
    "refs/heads/x\u{1}",
    "refs/heads/x\u{7f}",
    "refs/heads/x\ny",
    "refs/heads/x\ty",
    "refs/heads/\u{1b}[2J",
    "refs/heads/a b",
    "refs/heads/a~1",
    "refs/heads/a^",
    "refs/heads/a:b",
    "refs/heads/a?b",
    "refs/heads/a*b",
    "refs/heads/a[b",
    "refs/heads/a\\b",
    "refs/heads/@{",
    "refs/heads/@",
    "refs/heads/x.",
    "refs/heads/-x",
    "refs/heads/",
    "refs/heads",
    "refs/",
    "refs",
    "refs/x",
    "@",
    "HEAD",
    "config",
    "heads/x",
    "objects/x",
    "refs/heads/main/deeper",
    "refs/heads/release",
    "refs/heads/MAIN",
    "refs/heads/\u{fc}",
    "refs/heads/one",
    "refs/heads/one/two",
    "refs/stash",
    "refs/remotes/a/b",
    "refs/for/main",
    "refs/worktree/x",
    "refs/bisect/x",
    "refs/replace/x",
    "refs/notes/../heads/x",
];

#[test]
fn names_of_refs_are_taken_and_refused_as_by_c_git() {
    let sides = Sides::new();
    let known = NAMES.iter().map(|name| name.as_bytes().to_vec());
    let (tip, unknown) = (sides.tip.as_str(), "1".repeat(40));
    for name in known {
        for (old, new) in
            [(NULL, tip), (NULL, NULL), (tip, NULL), (NULL, NULL), (NULL, tip), (unknown.as_str(), NULL)]
        {
            let command = [format!("{old} {new} ").as_bytes(), &name].concat();
            let pack = if new == NULL { &b""[..] } else { crate::abuse::EMPTY_PACK };
            sides.same(&command, pack);
        }
    }
    let states = sides.repositories().map(|repository| {
        sides.sandbox.git(&repository, &["fsck", "--full"]).success();
        assert!(state::leftovers(&repository).is_empty());
        sides.sandbox.git(&repository, &["for-each-ref"]).success().stdout
    });
    assert_eq!(states[0], states[1]);
}

/// Deletions of what is not there, where a ref is a directory of the name or the name one of a ref: loose, packed, in a table.
#[test]
fn deletions_fail_where_something_is_in_the_way() {
    let sides = Sides::new();
    let migrate = ["refs", "migrate", "--ref-format=reftable"];
    let mut states: Vec<&[&str]> = vec![&["rev-parse"], &["pack-refs", "--all"]];
    if Git::reference().at_least(2, 46) {
        states.push(&migrate);
    } else {
        skipped("C git moves no refs to a reftable before 2.46");
    }
    let unknown = "1".repeat(40);
    for state in states {
        for repository in sides.repositories() {
            sides.sandbox.git(&repository, state).success();
        }
        for name in ["refs/heads/main/deeper", "refs/heads/release", "refs/heads/main/very/deep"] {
            for old in [NULL, &sides.tip, &unknown] {
                let [report, ..] = sides.same(format!("{old} {NULL} {name}").as_bytes(), b"");
                assert!(report.contains_str(format!("ng {name} failed to update ref")), "{report}");
            }
        }
    }
}

/// Many commands of one push, some of which name the same ref.
#[test]
fn commands_that_contradict_each_other_are_taken_as_by_c_git() {
    let sides = Sides::new();
    let parent = sides.sandbox.git(&sides.repositories()[0], &["rev-parse", "main~1"]).line();
    let tip = &sides.tip;
    for commands in [
        [format!("{NULL} {tip} refs/heads/a"), format!("{NULL} {parent} refs/heads/a")],
        [format!("{NULL} {tip} refs/heads/b"), format!("{NULL} {tip} refs/heads/b/c")],
        [format!("{NULL} {tip} refs/heads/c"), format!("{tip} {NULL} refs/heads/c")],
        [format!("{parent} {tip} refs/heads/main"), format!("{tip} {parent} refs/heads/main")],
        [format!("{NULL} {} refs/heads/d", "1".repeat(40)), format!("{NULL} {tip} refs/heads/e")],
    ] {
        for atomic in ["", " atomic"] {
            if !atomic.is_empty() && commands[0].contains(&"1".repeat(40)) {
                // C git does the rest of such a push, which is not what the word means
                continue;
            }
            // new names each time, but for that of a branch that is there
            let fresh = |command: &String| command.replace("heads/", &format!("heads/{}", atomic.trim()));
            let commands = commands
                .each_ref()
                .map(|command| if command.ends_with("/main") { command.clone() } else { fresh(command) });
            let first = format!("{}\0 {CAPABILITIES}{atomic}", commands[0]);
            let body = [&packets(&[&first, &commands[1], "0000"]), crate::abuse::EMPTY_PACK].concat();
            let told = sides.servers.each_ref().map(|(side, server)| {
                let said = head(&format!("Content-Length: {}", body.len()));
                let said = said.replace("project", side).replace("upload-pack", "receive-pack");
                let answer = ask(server.process.port, &said, &body);
                (answer.status, bands(&answer).map(|band| BString::from(band.replace(*side, "SIDE"))))
            });
            assert_eq!(told[0], told[1], "{commands:?}{atomic}");
        }
    }
}
