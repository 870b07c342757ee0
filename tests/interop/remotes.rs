//! Many remotes at once, over transports that take their time.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use bstr::ByteSlice;

use crate::support::{Case, Kind, Run, build};

/// The repository that all remotes are.
const NAME: &str = "small.git";
/// How many remotes there are, and how many are fetched from at once.
const REMOTES: usize = 50;
const JOBS: &str = "8";

/// A repository in `directory` that has fifty remotes and, among them, one that is not there.
fn with_remotes(case: &Case, directory: &Path) {
    case.sandbox.git(directory, &["init", "-q", "copy"]).success();
    let mut config = String::new();
    for number in 0..REMOTES {
        if number == REMOTES / 2 {
            write!(config, "[remote \"bad\"]\n\turl = {}\n", case.url("nosuch.git")).unwrap();
        }
        write!(config, "[remote \"r{number}\"]\n\turl = {}\n", case.url(NAME)).unwrap();
        writeln!(config, "\tfetch = +refs/heads/*:refs/remotes/r{number}/*").unwrap();
    }
    let file = directory.join("copy/.git/config");
    let before = std::fs::read_to_string(&file).unwrap();
    std::fs::write(file, before + &config).unwrap();
}

/// How often each remote was told of in a piece of its own, with all of its lines.
fn blocks(run: &Run) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let text = run.stderr.to_string();
    for block in text.split("From ").skip(1) {
        let rows: Vec<&str> = block.lines().filter(|line| line.contains(" -> ")).collect();
        let remotes: Vec<&str> =
            rows.iter().filter_map(|row| row.split(" -> ").nth(1)?.split('/').next()).collect();
        assert_eq!(rows.len(), 2, "lines of another remote are among these, or some are missing: {block}");
        assert_eq!(remotes[0], remotes[1], "lines of two remotes are mixed: {block}");
        *counts.entry(remotes[0].to_owned()).or_default() += 1;
    }
    counts
}

/// Fetches from all; what C git makes of the same is compared where that is cheap.
fn fetch_all(kind: Kind) {
    crate::once(kind, |case| {
        build::many_refs(&case.sandbox, &case.served(NAME), case.format, 1);
        case.refresh(NAME);
        let twin = case.twin();
        twin.prepare(|client| with_remotes(case, client));
        let ours = twin.gitr("copy", &["fetch", "--all", "--jobs", JOBS]);
        assert_eq!(ours.status, 1, "{ours:?}");
        assert!(ours.complains_of("could not fetch 'bad' (exit code: 128)\n"), "{ours:?}");
        let expected: BTreeMap<_, _> = (0..REMOTES).map(|number| (format!("r{number}"), 1)).collect();
        assert_eq!(blocks(&ours), expected);
        let announced: Vec<&[u8]> = ours.stdout.lines().collect();
        assert_eq!(announced.len(), REMOTES + 1);
        if !case.is_slow() {
            let theirs = twin.git("copy", &["fetch", "--all", "--jobs", JOBS]);
            assert_eq!((theirs.status, &theirs.stdout), (ours.status, &ours.stdout), "{theirs:?}");
            assert_eq!(blocks(&theirs), expected);
            let names = ["for-each-ref", "--format=%(refname) %(objectname)"];
            let refs = |client: &Path| case.sandbox.git(&client.join("copy"), &names).success().stdout;
            assert_eq!(refs(&twin.ours), refs(&twin.theirs));
        }
        case.sandbox.git(&twin.ours.join("copy"), &["fsck", "--full"]).success();
        let count = ["for-each-ref", "--format=%(refname)", "refs/remotes/"];
        let listed = case.sandbox.git(&twin.ours.join("copy"), &count).success().stdout;
        assert_eq!(listed.lines().count(), 2 * REMOTES);
    });
}

#[test]
fn fifty_remotes_are_fetched_at_once_over_ssh() {
    fetch_all(Kind::Ssh);
}

#[test]
fn fifty_remotes_are_fetched_at_once_over_http() {
    fetch_all(Kind::Apache);
}
