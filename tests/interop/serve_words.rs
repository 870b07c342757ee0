//! What upload-packs make of requests that C git's clients do not send, or of repositories that are not as most are: gitr's and
//! C git's say the same.

use std::path::{Path, PathBuf};
use std::process::Command;

use bstr::{BString, ByteSlice as _};

use crate::support::{Format, Git, Run, Sandbox, build, sandbox};

/// A repository of five commits; `amb` is a branch and a tag.
struct Served {
    sandbox: Sandbox,
    repository: PathBuf,
    tip: String,
}

impl Served {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let repository = sandbox.path("served/project.git");
        build::project(&sandbox, &repository, Format::Sha1, 5);
        for words in [&["branch", "amb", "main~1"], &["tag", "amb", "main~2"]] {
            sandbox.git(&repository, words).success();
        }
        let tip = sandbox.git(&repository, &["rev-parse", "main"]).line();
        Self { sandbox, repository, tip }
    }

    fn command(&self, program: &Path, service: &str) -> Command {
        let mut command = self.sandbox.command(program);
        command.current_dir(&self.repository).arg(service);
        command
    }

    /// What both tell of the refs.
    fn refs(&self, service: &str) -> [Run; 2] {
        programs().map(|program| {
            let mut command = self.command(&program, service);
            Run::of(command.args(["--http-backend-info-refs", "."]))
        })
    }

    /// What both say to a fetch of `main` with `lines` before its end.
    fn asked(&self, version: u8, capabilities: &str, lines: &[&str]) -> [Run; 2] {
        let want = format!("want {}", self.tip);
        let first = format!("{want} {capabilities}\n");
        let packets: Vec<&str> = match version {
            2 => [
                &["command=fetch", "object-format=sha1", "0001"][..],
                lines,
                &[want.as_str(), "done", "0000"],
            ]
            .concat(),
            _ => [&[first.as_str()][..], lines, &["0000", "done\n"]].concat(),
        };
        let input: String = packets.iter().map(|line| packet(line)).collect();
        programs().map(|program| {
            let mut command = self.command(&program, "upload-pack");
            command.args(["--stateless-rpc", "."]).env("GIT_PROTOCOL", format!("version={version}"));
            Run::with_input(&mut command, input.as_bytes())
        })
    }
}

/// C git's, and ours.
fn programs() -> [PathBuf; 2] {
    [Git::reference().program.clone(), sandbox::gitr_program().into()]
}

fn packet(line: &str) -> String {
    match line {
        "0000" | "0001" => line.to_owned(),
        line => format!("{:04x}{line}", line.len() + 4),
    }
}

/// The answer up to the pack, of which others may make another one, and progress.
fn before_the_pack(run: &Run) -> &[u8] {
    let ends = ["\u{2}Enumerating", "PACK"].map(|begin| run.stdout.find(begin));
    let end = ends.into_iter().flatten().min().map(|end| end - 4);
    &run.stdout[..end.unwrap_or(run.stdout.len())]
}

#[test]
fn boundaries_are_understood_as_git_understands_them() {
    let served = Served::new();
    for line in [
        "deepen-not amb",
        "deepen-not tags/amb",
        "deepen-not heads/amb",
        "deepen-not refs/tags/amb",
        "deepen-not nope",
        "deepen 4294967297",
        "deepen 2147483648",
        "deepen 2147483647",
        "deepen  1",
        "deepen +0x1",
        "deepen 010",
        "deepen -1",
        "deepen 99999999999999999999",
        "deepen-since -5",
        "deepen-since -1",
        "deepen-since  5",
        "deepen-since 9223372036854775808",
        "deepen-since 18446744073709551615",
    ] {
        for version in [0, 2] {
            let [theirs, ours] = served.asked(version, "no-progress", &[line]);
            let told = |run: &Run| (run.status, before_the_pack(run).to_owned(), run.stderr.clone());
            assert_eq!(told(&ours), told(&theirs), "{line} in version {version}");
        }
    }
}

#[test]
fn what_is_not_understood_is_told_in_git_s_words() {
    let served = Served::new();
    for (version, line) in [
        (0, "frob"),
        (0, "want xx"),
        (0, "have xx"),
        (0, "want-ref refs/heads/main"),
        (2, "frob"),
        (2, "want xx"),
        (2, "have xx"),
        (2, "have xx yy"),
    ] {
        let [theirs, ours] = served.asked(version, "no-progress", &[line]);
        let told = |run: &Run| (run.status, run.stdout.clone(), run.stderr.clone());
        assert_eq!(told(&ours), told(&theirs), "{line} in version {version}");
    }
}

/// Whoever waits for a pack is told that there is none.
#[test]
fn a_filter_without_its_patterns_ends_in_the_bands() {
    let served = Served::new();
    for (version, capabilities) in
        [(2, ""), (0, "side-band-64k filter"), (0, "side-band filter"), (0, "filter")]
    {
        for filter in ["filter sparse:oid=nope", "filter sparse:oid=main", "filter sparse:oid=main^{tree}"] {
            let [theirs, ours] = served.asked(version, capabilities, &[filter]);
            let told = |run: &Run| (run.status, run.stdout.clone());
            assert_eq!(told(&ours), told(&theirs), "{filter} in version {version}, {capabilities}");
        }
    }
}

/// A commit that is newer than all that lead to it, as of a machine whose clock was wrong.
#[test]
fn what_refs_lead_to_is_found_whatever_the_clocks_say() {
    let sandbox = &Sandbox::new();
    let repository = &sandbox.path("served/project.git");
    build::empty(sandbox, repository, Format::Sha1);
    let tree = sandbox.git(repository, &["mktree"]).success().line();
    let commit = |parent: &[&str], date: u64| {
        let mut command = sandbox.command(&Git::reference().program);
        command.current_dir(repository).args(["commit-tree", "-m", "x", &tree]).args(parent);
        Run::of(command.env("GIT_COMMITTER_DATE", format!("{date} +0000"))).success().line()
    };
    let behind = |parent: &str, date: u64| commit(&["-p", parent], date);
    let wrong = behind(&commit(&[], 1_500_000_000), 2_150_000_000);
    let tip = (0..100).fold(wrong.clone(), |parent, count| behind(&parent, 1_610_000_000 + count));
    let unreachable = behind(&wrong, 1_600_000_000);
    sandbox.git(repository, &["update-ref", "refs/heads/main", &tip]).success();
    for (key, value) in
        [("uploadpack.allowAnySHA1InWant", "false"), ("uploadpack.allowReachableSHA1InWant", "true")]
    {
        sandbox.git(repository, &["config", key, value]).success();
    }
    let programs =
        ["git upload-pack".to_owned(), format!("'{}' upload-pack", sandbox::gitr_program().display())];
    // without a commit-graph, and with one
    for prepare in [&["commit-graph", "write", "--reachable"][..], &["commit-graph", "verify"]] {
        for (id, is_served) in [(&wrong, true), (&unreachable, false)] {
            for (number, program) in programs.iter().enumerate() {
                let copy = sandbox.path(format!("copy-{number}"));
                sandbox.git(&sandbox.path(""), &["init", "-q", copy.to_str().unwrap()]).success();
                let program = format!("--upload-pack={program}");
                let words = ["-c", "protocol.version=0", "fetch", "-q", &program];
                let fetched = sandbox.git(&copy, &[&words[..], &[repository.to_str().unwrap(), id]].concat());
                assert_eq!(fetched.status == 0, is_served, "{program} {prepare:?}: {fetched:?}");
                std::fs::remove_dir_all(copy).unwrap();
            }
        }
        sandbox.git(repository, prepare).success();
    }
}

/// Whichever key they have, the last of the patterns counts: git-config(1), "transfer.hideRefs".
#[test]
fn the_last_pattern_that_hides_counts_for_both_services() {
    let rows: [&[(&str, &str)]; 8] = [
        &[("uploadpack", "!refs/heads"), ("transfer", "refs/heads")],
        &[("transfer", "refs/heads"), ("uploadpack", "!refs/heads")],
        &[("receive", "!refs/heads"), ("transfer", "refs/heads")],
        &[("transfer", "refs/heads"), ("receive", "!refs/heads")],
        &[("uploadpack", "!refs/heads/amb"), ("transfer", "refs"), ("uploadpack", "!refs/tags")],
        &[("transfer", "!refs/heads"), ("uploadpack", "refs/heads"), ("receive", "refs/heads")],
        &[("transfer", "^refs/heads"), ("receive", "!^refs/heads/amb"), ("uploadpack", "!^refs/heads/main")],
        &[("uploadpack", "refs/heads"), ("transfer", "!refs/heads"), ("uploadpack", "refs/heads/amb")],
    ];
    for row in rows {
        let served = Served::new();
        let repository = &served.repository;
        let lines = row.iter().map(|(section, value)| format!("[{section}]\n\thideRefs = {value}\n"));
        let config = std::fs::read_to_string(repository.join("config")).unwrap();
        std::fs::write(repository.join("config"), config + &lines.collect::<String>()).unwrap();
        for service in ["upload-pack", "receive-pack"] {
            let [theirs, ours] = served.refs(service).map(|run| {
                let names = run.success().stdout;
                // without lengths, which depend on who tells
                let name = |line: &[u8]| BString::from(&line[4..line.find_byte(0).unwrap_or(line.len())]);
                names.lines().map(name).collect::<Vec<_>>()
            });
            assert_eq!(ours, theirs, "{service} {row:?}");
        }
    }
}

/// Whoever wrote it wanted something hidden.
#[test]
fn a_pattern_without_a_text_hides_everything() {
    let served = Served::new();
    let config = std::fs::read_to_string(served.repository.join("config")).unwrap();
    for (section, services) in [
        ("transfer", &["upload-pack", "receive-pack"][..]),
        ("uploadpack", &["upload-pack"]),
        ("receive", &["receive-pack"]),
    ] {
        std::fs::write(served.repository.join("config"), format!("{config}[{section}]\n\thideRefs\n"))
            .unwrap();
        for service in services {
            let [theirs, ours] = served.refs(service);
            assert_eq!((ours.status, ours.stdout), (theirs.status, theirs.stdout), "{service} {section}");
            assert!(ours.status != 0 && ours.stderr.contains_str("missing value for"), "{:?}", ours.stderr);
        }
    }
}
