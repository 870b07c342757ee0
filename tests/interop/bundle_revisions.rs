//! What the words of git-rev-list(1) put into a bundle, beside C git: refs, prerequisites, objects, messages and exit codes.

use std::fs;
use std::path::{Path, PathBuf};

use bstr::{BString, ByteSlice};

use crate::support::{Format, Git, Run, Sandbox, Stream, build};

/// Arguments with which both have to make the same bundle, or complain in the same words.
const SAME: [&str; 158] = [
    "--reflog",
    "--reflog main",
    "main --reflog",
    "--reflog --all",
    "--reflog ^base main",
    "--reflog --not main",
    "--not --reflog --not main",
    "--single-worktree --reflog main",
    "--exclude=refs/heads/* --reflog main",
    "--exclude=main --reflog --branches",
    "--no-walk --reflog main",
    "--bisect",
    "main --bisect",
    "--bisect --all",
    "--branches --bisect",
    "--bisect --not base",
    "--not --bisect",
    "--ancestry-path base..main",
    "--ancestry-path=topic base..main",
    "--ancestry-path=topic main",
    "--ancestry-path=side main",
    "--ancestry-path main",
    "--ancestry-path=main~1 --ancestry-path=topic base..main",
    "--ancestry-path base..main side",
    "--ancestry-path=base --branches",
    "--ancestry-path=v1.0^{} base..main",
    "--ancestry-path --all --not v0.1",
    "--ancestry-path v1.0 ^topic",
    "--no-walk main~2 topic",
    "--no-walk=sorted topic side main~2",
    "--no-walk=unsorted topic side main~2",
    "--no-walk=unsorted --branches",
    "--no-walk=unsorted topic ^base",
    "main --no-walk",
    "--no-walk --boundary main",
    "--cherry-pick main...side",
    "--cherry-mark main...side",
    "--cherry-pick --left-only main...side",
    "--left-only main...side",
    "--cherry-pick --right-only --max-count=1 main...side",
    "--right-only main...side",
    "--right-only --no-merges main...side",
    "--cherry main...side",
    "--right-only main..side",
    "--cherry main..side",
    "--cherry-pick main side",
    "--left-right main...side",
    "--left-only --max-count=1 main...side",
    "--max-count=1 main...side",
    "--left-only --right-only main...side",
    "--right-only --left-only main...side",
    "--cherry --left-only main...side",
    "--cherry-pick --cherry-mark main...side",
    "--cherry-mark --cherry-pick main...side",
    "--simplify-by-decoration main",
    "--simplify-by-decoration base..main",
    "--simplify-merges --show-pulls base..main",
    "--full-history --dense --sparse main",
    "--remove-empty base..main",
    "--first-parent main~4..main",
    "--first-parent --max-count=3 main",
    "--exclude-first-parent-only base..main",
    "--max-count=2 main",
    "--max-count=0 main",
    "--max-count=-1 main",
    "--max-count=2x main",
    "--max-count",
    "-0 main",
    "-n 3 base..main",
    "-5x main",
    "--skip=2 main",
    "--skip=1 --branches",
    "--skip x main",
    "--since=2005-04-07T22:20:00Z main",
    "--since-as-filter=2005-04-07T22:20:00Z base..main",
    "--until=2005-04-07T22:20:00Z --branches",
    "--max-age=1112912300 v1.0",
    "--min-age=1112912300 --branches",
    "--min-age=x main",
    "--merges main",
    "--merges --branches",
    "--no-merges main...side",
    "--min-parents=2 --branches",
    "--max-parents=1 base..main",
    "--max-parents=-1 main",
    "--min-parents=x main",
    "--no-min-parents --merges main",
    "--no-max-parents --no-merges main",
    "--exclude=refs/heads/* --all",
    "--exclude=HEAD --all",
    "--exclude=topic --branches",
    "--exclude=heads/topic --branches",
    "--exclude=v* --tags main",
    "--exclude=refs/heads/main --glob=heads",
    "--exclude=main --branches --exclude=* --tags",
    "--exclude main --branches",
    "--exclude",
    "--branches",
    "--branches=to*",
    "--branches=",
    "--branches=heads",
    "--tags",
    "--tags=v?.0",
    "--tags=",
    "--remotes",
    "--remotes=origin",
    "--remotes=origin/top*",
    "--remotes=",
    "--glob=heads/*",
    "--glob heads",
    "--glob=heads/ main",
    "--glob=/heads",
    "--glob=*",
    "--glob=",
    "--glob",
    "--alternate-refs",
    "--alternate-refs main",
    "--alternate-refs --all",
    "main --not --alternate-refs",
    "--indexed-objects",
    "--indexed-objects main",
    "--single-worktree --indexed-objects main",
    "--indexed-objects ^main side",
    "--not main --not side",
    "--not --not main",
    "--not --all",
    "--ignore-missing nosuch main",
    "--ignore-missing main ^1234567890123456789012345678901234567890",
    "--exclude-hidden=receive --all",
    "--exclude-hidden=uploadpack --all",
    "--exclude-hidden fetch --all",
    "--exclude-hidden=receive --glob=*",
    "--exclude-hidden=receive --exclude=refs/heads/* --all",
    "--exclude-hidden=nosuch --all",
    "--exclude-hidden=fetch --exclude-hidden=receive --all",
    "--exclude-hidden",
    "--single-worktree --all",
    "main-worktree/HEAD worktrees/tree/HEAD",
    "--all",
    "--default main --since=@1112912300",
    "--default main topic",
    "--date=iso-local --date=format:%Y --date default main",
    "--date=x main",
    "--date",
    "--encoding UTF-8 main",
    "--graph --reverse main",
    "--graph main",
    "--no-walk --graph main",
    "--children --parents main",
    "--pretty=oneline --format=%H --oneline --abbrev=4 --no-abbrev --abbrev-commit main",
    "--count --quiet -v --expand-tabs=2 --no-expand-tabs --notes --no-notes --show-signature main",
    "--objects-edge --in-commit-order --log-size --full-diff -c -m main",
    "--date-order --author-date-order --topo-order --boundary main",
    "--unpacked base..main",
    "--unpacked side",
    "--unpacked=x main",
    "--end-of-options --all",
    "--end-of-options main",
];

/// Arguments with which git 2.47.3 makes a bundle of the same refs that lacks objects which they need, or does not name all
/// that it builds on.
const WHOLE: [&str; 6] = [
    "--not --indexed-objects --not side",
    "--exclude-first-parent-only topic ^main",
    "--exclude-first-parent-only main ^side",
    "--ancestry-path=picked --branches ^base",
    "--ancestry-path=side base..main side",
    "--cherry-pick --right-only main...side",
];

/// A sandbox with a work tree that has all that arguments can be about: a lost commit in a reflog, a bisection, a
/// cherry-picked commit, hidden refs, a lender with a branch of its own, a second work tree, and an index with changes.
fn project() -> (Sandbox, PathBuf) {
    let mut sandbox = Sandbox::new();
    // without deltas a pack stands for itself, so that what is in it can be seen
    let configuration = sandbox.path("home/.gitconfig");
    let text = fs::read_to_string(&configuration).unwrap() + "[pack]\n\twindow = 0\n";
    fs::write(&configuration, text).unwrap();
    let (lender, work, tree) =
        (sandbox.path("served/project.git"), sandbox.path("work"), sandbox.path("tree"));
    build::project(&sandbox, &lender, Format::Sha1, 20);
    sandbox.git(&lender, &["repack", "-q", "-a", "-d", "-f"]).success();
    sandbox.git(&sandbox.path(""), &["clone", "-q", "--shared", "served/project.git", "work"]).success();
    Stream::new().commit("lent", 30).file("lent", "lent\n").import(&sandbox, &lender);
    sandbox.git(&lender, &["repack", "-q", "-a", "-d", "-f"]).success();
    let mut number = 20;
    let mut git = |place: &Path, words: &str| {
        number += 1;
        sandbox.set("GIT_COMMITTER_DATE", format!("{} +0000", 1_112_911_993 + 60 * number));
        sandbox.git(place, &words.split(' ').collect::<Vec<_>>()).success();
    };
    let write = |name: PathBuf, text: &str| fs::write(name, text).unwrap();
    for words in [
        "branch base main~4",
        "branch topic origin/topic",
        "checkout -q -b side base",
        "cherry-pick main~1",
        "branch picked",
        "commit -q --allow-empty -m side",
        "commit -q --allow-empty -m more",
        "checkout -q main",
        "commit -q --allow-empty -m lost",
        "commit -q --allow-empty -m lost-too",
        "reset -q --hard main~2",
        "update-ref refs/bisect/bad main",
        "update-ref refs/bisect/good-1 base",
        "update-ref refs/bisect/skip-1 side",
        "update-ref refs/hidden/x side",
        "config transfer.hideRefs refs/hidden",
        "config receive.hideRefs refs/remotes",
        "notes add -m note main",
    ] {
        git(&work, words);
    }
    git(&work, "worktree add -q --detach ../tree topic");
    git(&tree, "commit -q --allow-empty -m elsewhere");
    write(tree.join("staged"), "staged elsewhere\n");
    git(&tree, "add staged");
    write(work.join("README"), "changed\n");
    write(work.join("staged"), "staged\n");
    git(&work, "add README staged");
    git(&work, "write-tree");
    git(&work, "remote set-head origin -d");
    (sandbox, work)
}

/// What is in a bundle: its header, and the names of its objects.
type Contents = (BString, Vec<String>);

fn contents(sandbox: &Sandbox, file: &Path) -> Contents {
    let bytes = fs::read(file).unwrap();
    let (header, pack) = bytes.split_at(bytes.find("\n\nPACK").unwrap() + 2);
    let names = ["some.pack", "some.idx"].map(|name| sandbox.path(name));
    fs::write(&names[0], pack).unwrap();
    fs::remove_file(&names[1]).ok();
    sandbox.git(&sandbox.path("work"), &["index-pack", "../some.pack"]).success();
    let mut show = sandbox.command(&Git::reference().program);
    show.current_dir(sandbox.path("work")).arg("show-index");
    let shown = Run::with_input(&mut show, &fs::read(&names[1]).unwrap()).success().stdout;
    let shown = shown.to_string();
    let mut ids: Vec<String> =
        shown.lines().filter_map(|line| line.split(' ').nth(1).map(str::to_owned)).collect();
    ids.sort();
    (header.into(), ids)
}

/// Has both make a bundle of `arguments`; what they said, and what is in it if there is one.
fn made(sandbox: &Sandbox, place: &Path, arguments: &str) -> [(Run, Option<Contents>); 2] {
    let run = |is_ours: bool| {
        let file = sandbox.path(if is_ours { "ours.bundle" } else { "theirs.bundle" });
        fs::remove_file(&file).ok();
        let name = file.display().to_string();
        let words: Vec<&str> =
            ["bundle", "create", "-q", &name].into_iter().chain(arguments.split(' ')).collect();
        let run = if is_ours { sandbox.gitr(place, &words) } else { sandbox.git(place, &words) };
        let contents = (run.status == 0).then(|| contents(sandbox, &file));
        (run, contents)
    };
    [run(true), run(false)]
}

/// The lines of a header that name refs.
fn refs(header: &BString) -> Vec<&[u8]> {
    header.lines().filter(|line| line.first().is_some_and(u8::is_ascii_hexdigit)).collect()
}

/// Whether who has the prerequisites of the bundle `file`, which the repository at `place` has, can take in its refs.
fn is_whole(sandbox: &Sandbox, place: &Path, file: &Path) -> bool {
    let taker = sandbox.path("taker.git");
    fs::remove_dir_all(&taker).ok();
    build::empty(sandbox, &taker, Format::Sha1);
    let bytes = fs::read(file).unwrap();
    let header = &bytes[..bytes.find("\n\nPACK").unwrap()];
    let needed = header.lines().filter_map(|line| line.strip_prefix(b"-"));
    for (number, line) in needed.enumerate() {
        let id = line.get(..40).unwrap().to_str().unwrap();
        let words = ["fetch", "-q", &place.display().to_string(), &format!("{id}:refs/needed/{number}")];
        sandbox.git(&taker, &words).success();
    }
    let words = ["fetch", "-q", &file.display().to_string(), "+refs/*:refs/taken/*"];
    sandbox.git(&taker, &words).status == 0 && sandbox.git(&taker, &["fsck"]).status == 0
}

#[test]
fn the_words_of_rev_list_mean_what_they_mean_to_git() {
    let (sandbox, work) = project();
    let mut wrong = Vec::new();
    for arguments in SAME {
        let [(ours, our_contents), (theirs, their_contents)] = made(&sandbox, &work, arguments);
        let said = |run: &Run| (run.stderr.clone(), run.stdout.clone(), run.status);
        // the name of the file is not among what is said
        if said(&ours) != said(&theirs) || our_contents != their_contents {
            wrong.push(format!(
                "{arguments}: {ours:?} {our_contents:?}\n  git: {theirs:?} {their_contents:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), SAME.len(), wrong.join("\n"));
    // from the linked work tree the main one is another
    let tree = sandbox.path("tree");
    for arguments in ["--all", "--reflog topic", "--indexed-objects topic", "main-worktree/HEAD"] {
        let [(ours, our_contents), (theirs, their_contents)] = made(&sandbox, &tree, arguments);
        assert_eq!((ours.stderr, ours.status), (theirs.stderr, theirs.status), "{arguments}");
        assert_eq!(our_contents, their_contents, "{arguments}");
    }
}

#[test]
fn bundles_hold_what_their_refs_need_where_those_of_git_do_not() {
    let (sandbox, work) = project();
    let mut equal = Vec::new();
    for arguments in WHOLE {
        let [(ours, our_contents), (theirs, their_contents)] = made(&sandbox, &work, arguments);
        assert_eq!((ours.stderr, ours.status), (theirs.stderr, theirs.status), "{arguments}");
        let (Some(ours), Some(theirs)) = (our_contents, their_contents) else { panic!("{arguments}") };
        assert_eq!(refs(&ours.0), refs(&theirs.0), "{arguments}");
        if ours == theirs {
            equal.push(arguments);
        }
        assert!(is_whole(&sandbox, &work, &sandbox.path("ours.bundle")), "{arguments}");
    }
    assert!(equal.is_empty(), "those of git are the same: {equal:?}");
}

#[test]
fn a_backup_with_reflogs_brings_lost_commits_back() {
    let (sandbox, work) = project();
    let lost = sandbox.git(&work, &["rev-parse", "main@{1}"]).success().line();
    sandbox.gitr(&work, &["bundle", "create", "-q", "../backup.bundle", "--reflog", "--all"]).success();
    sandbox.git(&sandbox.path(""), &["clone", "-q", "--mirror", "backup.bundle", "restored.git"]).success();
    let subject = sandbox.git(&sandbox.path("restored.git"), &["log", "-1", "--format=%s", &lost]);
    assert_eq!(subject.success().line(), "lost-too");
    // a reflog may tell of what is gone
    let log = work.join(".git/logs/refs/heads/topic");
    let gone = format!("{:040} {} C <c@x> 1112912000 +0000\tgone\n", 0, Format::Sha1.id_of('1'));
    fs::write(&log, fs::read_to_string(&log).unwrap() + &gone).unwrap();
    let [(ours, our_contents), (theirs, their_contents)] = made(&sandbox, &work, "--reflog main");
    assert!(ours.complains_of("warning: reflog of 'refs/heads/topic' references pruned commits"), "{ours:?}");
    // git says it twice, as it reads the arguments twice
    assert_eq!((ours.stderr.repeat(2), ours.status), (theirs.stderr.to_vec(), theirs.status));
    assert_eq!(our_contents, their_contents);
}

#[test]
fn a_bisection_may_have_words_of_its_own() {
    let (sandbox, work) = project();
    fs::write(work.join(".git/BISECT_TERMS"), "broken\nfine\n").unwrap();
    sandbox.git(&work, &["update-ref", "refs/bisect/broken", "main~1"]).success();
    sandbox.git(&work, &["update-ref", "refs/bisect/fine-1", "main~3"]).success();
    let [(ours, our_contents), (theirs, their_contents)] = made(&sandbox, &work, "--bisect");
    assert_eq!((ours.stderr, ours.status), (theirs.stderr, theirs.status));
    assert!(our_contents.as_ref().is_some_and(|(header, _)| header.contains_str("refs/bisect/broken")));
    assert_eq!(our_contents, their_contents);
}

#[test]
fn a_split_index_is_read_as_a_whole() {
    let (sandbox, work) = project();
    sandbox.git(&work, &["update-index", "--split-index"]).success();
    fs::write(work.join("later"), "staged later\n").unwrap();
    sandbox.git(&work, &["add", "later"]).success();
    let [(ours, our_contents), (theirs, their_contents)] = made(&sandbox, &work, "--indexed-objects main");
    assert_eq!((ours.stderr, ours.status), (theirs.stderr, theirs.status));
    assert_eq!(our_contents, their_contents);
}

/// Where C git dies of what it does not know, makes nothing of it, or says little.
#[test]
fn what_makes_no_bundle_is_told() {
    let (sandbox, work) = project();
    for (arguments, text) in [
        ("--missing=print main", "unrecognized argument: --missing=print"),
        ("--use-bitmap-index main", "unrecognized argument: --use-bitmap-index"),
        ("--bisect-all main", "unrecognized argument: --bisect-all"),
        ("--no-walk=x main", "unrecognized argument: --no-walk=x"),
        ("--default=main", "unrecognized argument: --default=main"),
        ("--stat main", "unrecognized argument: --stat"),
        ("--default", "bad --default argument"),
        ("--ancestry-path=nosuch main", "could not get commit for --ancestry-path argument nosuch"),
        (
            "--exclude-hidden=fetch --branches",
            "options '--exclude-hidden' and '--branches' cannot be used together",
        ),
        ("-g main", "a bundle cannot walk reflogs; use '--reflog' to have what they name in it"),
        ("--merge", "a bundle cannot be limited to paths"),
        ("main -- README", "a bundle cannot be limited to paths"),
    ] {
        let words: Vec<&str> =
            ["bundle", "create", "../none.bundle"].into_iter().chain(arguments.split(' ')).collect();
        let run = sandbox.gitr(&work, &words);
        let expected = format!("fatal: {text}\n");
        assert_eq!((run.stderr.to_string(), run.status), (expected, 128), "{arguments}");
        assert!(!sandbox.path("none.bundle").exists());
    }
}
