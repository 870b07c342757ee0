//! Every option of `fetch`, `clone`, `pull`, `fetch-pack`, `ls-remote`, `remote` and its verbs, each given to gitr and to C git in fresh copies of one repository. What they
//! print and return, refs, reflogs, `FETCH_HEAD`, configuration, the shallow boundary, objects, index, work tree and what
//! `git fsck` says have to be the same.
//!
//! A row of a table is a command and, in front of it, the repository it is for. The options that C git's own usage lists have to be there
//! once at least, and `--no-<option>` is tried for each that has it.

use std::collections::BTreeSet;
use std::path::Path;

use bstr::ByteSlice;

use crate::support::{Run, Sandbox, Stream, Twin, state};

const FETCH: &str = include_str!("every_option/fetch.txt");
const CLONE: &str = include_str!("every_option/clone.txt");
const PULL: &str = include_str!("every_option/pull.txt");
const FETCH_PACK: &str = include_str!("every_option/fetch_pack.txt");
const LS_REMOTE: &str = include_str!("every_option/ls_remote.txt");
const REMOTE: &str = include_str!("every_option/remote.txt");

/// The verbs of `remote` that have options.
const VERBS: [&str; 9] =
    ["add", "rename", "set-head", "set-branches", "get-url", "set-url", "show", "prune", "update"];

/// Two clients with fresh copies for every row.
struct Bench<'a> {
    sandbox: &'a Sandbox,
    twin: Twin<'a>,
}

impl<'a> Bench<'a> {
    /// Clients that have what `make` puts beside `copy`: as it is then it is found by every row.
    fn new(sandbox: &'a Sandbox, make: impl Fn(&Path)) -> Self {
        let twin = Twin::new(sandbox, 2, Vec::new());
        twin.prepare(|client| {
            let pristine = client.join("pristine");
            std::fs::create_dir(&pristine).unwrap();
            make(&pristine);
        });
        Self { sandbox, twin }
    }

    /// Gives `words` to both in a fresh copy of `kind`; tells how they differ.
    fn row(&self, kind: &str, words: &[&str]) -> Result<(), String> {
        self.refresh(kind);
        self.compare("copy", words)
    }

    /// Makes `copy` what `kind` was at first.
    fn refresh(&self, kind: &str) {
        self.twin.prepare(|client| {
            let copy = client.join("copy");
            std::fs::remove_dir_all(&copy).ok();
            let from = client.join("pristine").join(kind);
            Run::of(self.sandbox.command("cp").arg("-a").arg(from).arg(copy)).success();
        });
    }

    /// Gives `words` to both in `place`, and compares all there is to see of `copy`.
    fn compare(&self, place: &str, words: &[&str]) -> Result<(), String> {
        self.compare_output(place, words)?;
        let (ours, theirs) = (self.twin.ours.join("copy"), self.twin.theirs.join("copy"));
        if !ours.exists() && !theirs.exists() {
            return Ok(());
        }
        for ((part, ours), (_, theirs)) in self.state(&ours).into_iter().zip(self.state(&theirs)) {
            let (ours, theirs) = (self.twin.anonymous(&ours), self.twin.anonymous(&theirs));
            if ours != theirs {
                return Err(format!("{part}\n== gitr\n{ours}\n== git\n{theirs}"));
            }
        }
        Ok(())
    }

    /// Gives `words` to both in `place`, and compares what they print and return.
    fn compare_output(&self, place: &str, words: &[&str]) -> Result<(), String> {
        let (theirs, ours) = (self.twin.git(place, words), self.twin.gitr(place, words));
        let same =
            (&ours.stdout, &ours.stderr, ours.status) == (&theirs.stdout, &theirs.stderr, theirs.status);
        if theirs.stderr.starts_with(b"error: unknown option") {
            // the usage that follows has each one's options
            let heads = [&ours, &theirs].map(|run| (run.status, run.stderr.lines().next()));
            return if heads[0] == heads[1] { Ok(()) } else { Err(format!("{ours:?}")) };
        }
        if same { Ok(()) } else { Err(format!("{ours:?}\n== git\n{theirs:?}")) }
    }

    fn state(&self, path: &Path) -> state::State {
        let mut state = state::of(self.sandbox, path);
        let fsck = self.sandbox.git(path, &["fsck", "--full"]);
        state.push(("fsck", format!("{}{}{}", fsck.stdout, fsck.stderr, fsck.status).into()));
        let objects = ["cat-file", "--batch-all-objects", "--batch-check"];
        state.push(("objects", self.sandbox.git(path, &objects).stdout));
        let left = state::leftovers(path).len();
        state.push(("temporary files", left.to_string().into()));
        state
    }
}

/// Tries each row with `attempt`, and names those that failed at the end.
#[track_caller]
fn all_of(rows: impl IntoIterator<Item = String>, attempt: impl Fn(&str) -> Result<(), String>) {
    let mut failed = Vec::new();
    for row in rows {
        if let Err(difference) = attempt(&row) {
            failed.push(format!("### {row}\n{difference}"));
        }
    }
    assert!(failed.is_empty(), "{} rows differ:\n{}", failed.len(), failed.join("\n"));
}

/// The rows of `table`, without comments.
fn rows(table: &str) -> Vec<String> {
    let is_row = |line: &&str| !line.is_empty() && !line.starts_with('#');
    table.lines().filter(is_row).map(ToOwned::to_owned).collect()
}

/// The options of `command`, which may be one and its verb, in C git's usage; whether each has a `--no-` form.
fn options_of(sandbox: &Sandbox, command: &str) -> Vec<(String, bool)> {
    let place = sandbox.path("");
    sandbox.git(&place, &["init", "-q"]).success();
    let usage = sandbox.git(&place, &[words(command), vec!["-h"]].concat()).stdout.to_string();
    let lines = usage.lines().filter(|line| line.starts_with("    -"));
    let options = lines.filter_map(|line| {
        let (column, _) = line.trim_start().split_once("  ").unwrap_or((line, ""));
        let (_, option) = column.split_once("--")?;
        let end = option.find([' ', '=']).unwrap_or(option.len());
        let option = option[..end].trim_end_matches('[');
        Some(match option.strip_prefix("[no-]") {
            Some(name) => (name.to_owned(), true),
            None => (option.to_owned(), false),
        })
    });
    options.collect()
}

/// Checks that each option of `command` is in a row of `table` for it, and that there are no fewer than `count`.
#[track_caller]
fn assert_complete(sandbox: &Sandbox, command: &str, table: &str, count: usize) {
    let rows = rows(table).into_iter().filter(|row| row.contains(command)).collect::<Vec<_>>().join("\n");
    let words: BTreeSet<&str> =
        rows.split_whitespace().filter_map(|word| word.split('=').next()?.strip_prefix("--")).collect();
    let options = options_of(sandbox, command);
    assert!(options.len() >= count, "{options:?}");
    let is_absent =
        |name: &&String| !words.contains(name.as_str()) && !words.contains(&*format!("no-{name}"));
    let absent: Vec<_> = options.iter().map(|(name, _)| name).filter(is_absent).collect();
    assert!(absent.is_empty(), "options of git {command} that no row has: {absent:?}");
}

/// Repositories that the project was cloned into before it changed in every way.
fn outdated(sandbox: &Sandbox) -> Bench<'_> {
    let served = sandbox.path("served");
    let project = served.join("project.git");
    let (path, url) = (project.display().to_string(), format!("file://{}", project.display()));
    let bench = Bench::new(sandbox, |pristine| {
        for arguments in [
            &["clone", "-q", &path, "copy"][..],
            &["clone", "-q", &path, "conflict"],
            &["clone", "-q", "--depth=3", &url, "shallow"],
            &["clone", "-q", "--mirror", &path, "mirror"],
            &["-C", "copy", "remote", "add", "second", &path],
            &["-C", "conflict", "update-ref", "refs/remotes/origin/fresh/below", "main"],
        ] {
            sandbox.git(pristine, arguments).success();
        }
    });
    let mut stream = Stream::onto("main");
    stream.history(12..15).branch("fresh", "refs/heads/main").light_tag("fresh-tag", "refs/heads/main");
    stream.light_tag("v0.1", "refs/heads/main").import(sandbox, &project);
    for arguments in [
        &["-C", &path, "branch", "-f", "topic", "v1.0~2"][..],
        &["-C", &path, "branch", "-D", "release/1.0"],
        &["-C", &path, "tag", "-f", "v1.0", "main~2"],
        &["clone", "-q", "--bare", "--depth=2", &url, "cut.git"],
        &["-C", "cut.git", "branch", "other", "main"],
    ] {
        sandbox.git(&served, arguments).success();
    }
    bench
}

/// How many tests work off one table, so that they run side by side.
const PARTS: usize = 4;

/// Every fourth row of `table`, from the `part`th on.
fn share(table: &str, part: usize) -> impl Iterator<Item = String> {
    rows(table).into_iter().skip(part).step_by(PARTS)
}

fn words(row: &str) -> Vec<&str> {
    row.split_whitespace().collect()
}

#[track_caller]
fn fetch(table: &str, part: usize) {
    let sandbox = crate::sandbox();
    let bench = outdated(&sandbox);
    all_of(share(table, part), |row| bench.row(words(row)[0], &words(row)[1..]));
}

#[track_caller]
fn pull(part: usize) {
    let sandbox = crate::sandbox();
    let bench = behind(&sandbox);
    all_of(share(PULL, part), |row| bench.row(words(row)[0], &words(row)[1..]));
}

#[track_caller]
fn clone(part: usize) {
    let sandbox = crate::sandbox();
    let project = sandbox.path("served/project.git").display().to_string();
    let url = format!("file://{project}");
    let cut = format!("file://{}", sandbox.path("served/cut.git").display());
    let lender = sandbox.path("served/lender.git").display().to_string();
    sandbox.git(&sandbox.path("served"), &["clone", "-q", "--bare", "--depth=2", &url, "cut.git"]).success();
    sandbox.git(&sandbox.path("served"), &["clone", "-q", "--bare", &project, "lender.git"]).success();
    all_of(share(CLONE, part), |row| {
        let bench = Bench::new(&sandbox, |pristine| {
            std::fs::create_dir_all(pristine.with_file_name("occupied/by")).unwrap();
        });
        let named = |word| match word {
            "PATH" => project.as_str(),
            "URL" => url.as_str(),
            "CUT" => cut.as_str(),
            "LENDER" => lender.as_str(),
            word => word,
        };
        bench.compare("", &words(row).into_iter().map(named).collect::<Vec<_>>())
    });
}

/// The form `--no-<option>` of each option that has one, which takes back what was not said.
#[track_caller]
fn negative(command: &str, bench: &Bench<'_>, kind: &str) {
    let options = options_of(bench.sandbox, command);
    let negative = options.into_iter().filter(|(_, has_negative)| *has_negative).map(|(name, _)| name);
    let rows = negative.map(|name| format!("{command} --no-{name}"));
    all_of(rows, |row| {
        bench.refresh(kind);
        bench.compare_output("copy", &words(row))
    });
}

/// Repositories of which `behind` has not what the project got, and `apart` has more than that.
fn behind(sandbox: &Sandbox) -> Bench<'_> {
    let project = sandbox.path("served/project.git");
    let (path, url) = (project.display().to_string(), format!("file://{}", project.display()));
    let bench = Bench::new(sandbox, |pristine| {
        for arguments in [
            &["clone", "-q", &path, "behind"][..],
            &["clone", "-q", &path, "apart"],
            &["clone", "-q", "--depth=3", &url, "shallow"],
            &["-C", "apart", "commit", "-q", "--allow-empty", "-m", "own"],
        ] {
            sandbox.git(pristine, arguments).success();
        }
    });
    Stream::onto("main").history(12..15).import(sandbox, &project);
    bench
}

#[test]
fn every_option_of_git_is_in_a_table() {
    let sandbox = Sandbox::new();
    for (command, table) in [("fetch", FETCH), ("clone", CLONE), ("pull", PULL)] {
        assert_complete(&sandbox, command, table, 30);
    }
    assert_complete(&sandbox, "ls-remote", LS_REMOTE, 10);
    assert_complete(&sandbox, "remote", REMOTE, 1);
    for verb in VERBS {
        // `show` has `-n` alone
        assert_complete(&sandbox, &format!("remote {verb}"), REMOTE, usize::from(verb != "show"));
    }
}

/// A clone is made as if nothing had been said.
#[test]
fn what_was_not_said_to_a_clone_is_taken_back() {
    let sandbox = crate::sandbox();
    let url = format!("file://{}", sandbox.path("served/project.git").display());
    let options = options_of(&sandbox, "clone").into_iter().filter(|(_, has_negative)| *has_negative);
    all_of(options.map(|(name, _)| format!("clone --no-{name}")), |row| {
        let bench = Bench::new(&sandbox, |_| {});
        bench.compare("", &[words(row), vec![&url, "copy"]].concat())
    });
}

/// Of verbs that need operands the form alone is refused; in the table it stands with them.
#[test]
fn what_was_not_said_of_remotes_is_in_a_table() {
    let sandbox = Sandbox::new();
    let forms = |command: &str, table: &str| {
        let options = options_of(&sandbox, command).into_iter().filter(|(_, has_negative)| *has_negative);
        let rows: Vec<String> = rows(table).into_iter().filter(|row| row.contains(command)).collect();
        for (name, _) in options {
            let form = format!("--no-{name}");
            assert!(rows.iter().any(|row| words(row).contains(&&*form)), "{command} {form}");
        }
    };
    forms("ls-remote", LS_REMOTE);
    forms("remote", REMOTE);
    for verb in VERBS {
        forms(&format!("remote {verb}"), REMOTE);
    }
}

#[test]
fn ls_remote_1() {
    fetch(LS_REMOTE, 0);
}

#[test]
fn ls_remote_2() {
    fetch(LS_REMOTE, 1);
}

#[test]
fn ls_remote_3() {
    fetch(LS_REMOTE, 2);
}

#[test]
fn ls_remote_4() {
    fetch(LS_REMOTE, 3);
}

#[test]
fn remote_1() {
    fetch(REMOTE, 0);
}

#[test]
fn remote_2() {
    fetch(REMOTE, 1);
}

#[test]
fn remote_3() {
    fetch(REMOTE, 2);
}

#[test]
fn remote_4() {
    fetch(REMOTE, 3);
}

#[test]
fn what_was_not_said_is_taken_back() {
    let sandbox = crate::sandbox();
    negative("fetch", &outdated(&sandbox), "copy");
}

#[test]
fn what_was_not_said_to_a_pull_is_taken_back() {
    let sandbox = crate::sandbox();
    negative("pull", &behind(&sandbox), "behind");
}

#[test]
fn fetch_1() {
    fetch(FETCH, 0);
}

#[test]
fn fetch_2() {
    fetch(FETCH, 1);
}

#[test]
fn fetch_3() {
    fetch(FETCH, 2);
}

#[test]
fn fetch_4() {
    fetch(FETCH, 3);
}

#[test]
fn fetch_pack_1() {
    fetch(FETCH_PACK, 0);
}

#[test]
fn fetch_pack_2() {
    fetch(FETCH_PACK, 1);
}

#[test]
fn fetch_pack_3() {
    fetch(FETCH_PACK, 2);
}

#[test]
fn fetch_pack_4() {
    fetch(FETCH_PACK, 3);
}

#[test]
fn clone_1() {
    clone(0);
}

#[test]
fn clone_2() {
    clone(1);
}

#[test]
fn clone_3() {
    clone(2);
}

#[test]
fn clone_4() {
    clone(3);
}

#[test]
fn pull_1() {
    pull(0);
}

#[test]
fn pull_2() {
    pull(1);
}

#[test]
fn pull_3() {
    pull(2);
}

#[test]
fn pull_4() {
    pull(3);
}
