//! Bundles that gitr makes and C git reads, and the other way round: both versions of git, both hashes.

use std::fs;
use std::path::{Path, PathBuf};

use bstr::ByteSlice;

use crate::support::{Format, Git, Run, Sandbox, Twin, build, state};

/// Ways to say what goes into a bundle, with which C git and gitr must come to the same header and objects.
const ARGUMENTS: [&[&str]; 47] = [
    &["--all"],
    &["--branches", "--tags"],
    &["main"],
    &["HEAD"],
    &["@"],
    &["HEAD", "main", "main"],
    &["v1.0"],
    &["main~4..main"],
    &["main~4...topic", "--not", "main~6"],
    &["main^!"],
    &["main^-"],
    &["^main~6", "main", "topic"],
    &["main", "--not", "topic"],
    &["--not", "main~3", "--not", "main"],
    &["v1.0", "^main~3"],
    &["--all", "^main"],
    &["--branches=to*"],
    &["--glob=heads"],
    &["--exclude=refs/tags/*", "--all"],
    &["-2", "main"],
    &["-n3", "main", "topic"],
    &["--max-count", "1", "--branches"],
    &["--since=2005-04-07T22:30:00Z", "--all"],
    &["--since", "@1112912400 +0000", "main"],
    &["--until=2005-04-07T22:30:00Z", "--branches"],
    &["--skip=1", "main"],
    &["--no-merges", "--topo-order", "main~8..main"],
    &["--first-parent", "-3", "main"],
    &["--ignore-missing", "nosuch", "main"],
    &["main~2"],
    &["--no-walk", "main~1", "main"],
    &["--no-walk=unsorted", "--all"],
    &["--no-walk", "main~3..main"],
    &["--no-walk", "--do-walk", "main"],
    &["--grep=commit 1", "--all"],
    &["--grep=nosuch", "--all"],
    &["--grep", "^commit 1.$", "-i", "--branches"],
    &["--invert-grep", "--grep=commit 19", "main"],
    &["-F", "--grep=.", "main"],
    &["-E", "--grep=(mm|x)it 1", "main"],
    &["--author=A U Thor", "main~5..main"],
    &["--committer=nobody", "--branches", "--tags"],
    &["--all-match", "--grep=commit", "--grep=1", "main"],
    &["--filter=blob:none", "--filter=tree:2", "--all"],
    &["--filter=blob:limit=1k", "--no-filter", "main"],
    &["--filter=bogus", "main"],
    &["--filter=sparse:oid=nosuch", "main"],
];

/// A sandbox with a bare project.
fn project(format: Format) -> (Sandbox, PathBuf) {
    let sandbox = Sandbox::new();
    let path = sandbox.path("served/project.git");
    build::project(&sandbox, &path, format, 20);
    (sandbox, path)
}

/// The header of a bundle, and how many objects its pack has.
fn contents(file: &Path) -> (Vec<u8>, u32) {
    let bytes = fs::read(file).unwrap();
    let end = bytes.find("\n\nPACK").unwrap() + 1;
    let count = bytes[end + 9..end + 13].try_into().unwrap();
    (bytes[..end].to_vec(), u32::from_be_bytes(count))
}

/// Makes a bundle with both, and compares what was said and what is in it.
#[track_caller]
fn created_equal(sandbox: &Sandbox, place: &Path, arguments: &[&str]) -> Option<PathBuf> {
    let files = [sandbox.path("ours.bundle"), sandbox.path("theirs.bundle")];
    for file in &files {
        fs::remove_file(file).ok();
    }
    let words = |file: &Path| {
        let start = ["bundle", "create", &file.display().to_string()].map(str::to_owned);
        start.into_iter().chain(arguments.iter().map(|word| (*word).to_owned())).collect::<Vec<_>>()
    };
    let ours = sandbox.gitr(place, &words(&files[0]));
    let theirs = sandbox.git(place, &words(&files[1]));
    let said = |run: &Run| (run.stdout.clone(), run.stderr.clone(), run.status);
    assert_eq!(said(&ours), said(&theirs), "{arguments:?}");
    assert_eq!(files[0].exists(), files[1].exists(), "{arguments:?}");
    if ours.status != 0 {
        return None;
    }
    let ((our_header, our_count), (their_header, their_count)) = (contents(&files[0]), contents(&files[1]));
    assert_eq!(our_header.as_bstr(), their_header.as_bstr(), "{arguments:?}");
    assert_eq!(our_count, their_count, "{arguments:?}");
    Some(files[0].clone())
}

/// Takes `bundle` into a copy of `base` with each version of git, which checks the result.
#[track_caller]
fn taken_by_git(sandbox: &Sandbox, base: &Path, bundle: &Path) {
    let bundle = bundle.display().to_string();
    for git in Git::all() {
        let copy = sandbox.path("taker.git");
        fs::remove_dir_all(&copy).ok();
        build::copy(sandbox, base, &copy);
        sandbox.git_of(git, &copy, &["bundle", "verify", "-q", &bundle]).success();
        sandbox.git_of(git, &copy, &["fetch", "-q", &bundle, "+refs/*:refs/taken/*"]).success();
        sandbox.git_of(git, &copy, &["fsck", "--full"]).success();
    }
}

#[test]
fn bundles_are_made_as_git_makes_them() {
    for format in Format::ALL {
        let (sandbox, path) = project(format);
        let arguments = if format == Format::Sha1 { &ARGUMENTS[..] } else { &ARGUMENTS[..10] };
        for (index, arguments) in arguments.iter().enumerate() {
            let made = created_equal(&sandbox, &path, arguments);
            if let Some(made) = made.filter(|_| index % 5 == 0) {
                taken_by_git(&sandbox, &path, &made);
            }
        }
    }
}

#[test]
fn arguments_come_from_stdin() {
    let (sandbox, path) = project(Format::Sha1);
    for (input, more) in [
        ("main\ntopic\n", &[][..]),
        ("^main~3\n--not\ntopic\n", &["main"]),
        ("--branches\n\nnosuch\n", &[]),
        ("nosuch\n", &[]),
        ("--since=yesterday\n", &[]),
    ] {
        let run = |program: &Path, file: &str| {
            let mut command = sandbox.command(program);
            command.current_dir(&path).args(["bundle", "create", file, "--stdin"]).args(more);
            Run::with_input(&mut command, input.as_bytes())
        };
        let ours = run(Path::new(env!("CARGO_BIN_EXE_gitr")), "../ours.bundle");
        let theirs = run(&Git::reference().program, "../theirs.bundle");
        assert_eq!((&ours.stderr, ours.status), (&theirs.stderr, theirs.status), "{input}");
        if ours.status == 0 {
            let files =
                ["ours", "theirs"].map(|name| contents(&sandbox.path(format!("served/{name}.bundle"))));
            assert_eq!(files[0], files[1], "{input}");
        }
    }
}

#[test]
fn an_incremental_bundle_goes_from_one_to_the_other_and_back() {
    for format in Format::ALL {
        let (sandbox, path) = project(format);
        let file = |name: &str| sandbox.path(name).display().to_string();
        let (whole, more) = (file("whole.bundle"), file("more.bundle"));
        sandbox.gitr(&path, &["bundle", "create", "-q", &whole, "HEAD", "main~5..main", "main~5"]).success();
        sandbox.gitr(&path, &["branch", "unused"]);
        sandbox.git(&path, &["branch", "old", "main~5"]).success();
        sandbox.gitr(&path, &["bundle", "create", "-q", &whole, "old"]).success();
        sandbox.gitr(&path, &["bundle", "create", "-q", &more, "old..main", "HEAD"]).success();
        for git in Git::all() {
            let copy = sandbox.path(format!("copy-{}", git.version));
            let copy_name = copy.display().to_string();
            sandbox.git_of(git, &path, &["clone", "-q", "-b", "old", &whole, &copy_name]).success();
            sandbox.git_of(git, &copy, &["pull", "-q", "--ff-only", &more, "main"]).success();
            state::assert_sound(&sandbox, &copy);
        }
        let twin = Twin::new(&sandbox, 2, Vec::new());
        for bundle in [&whole, &more] {
            // the second has prerequisites, which an empty repository lacks
            twin.run("", &["clone", "-b", "old", bundle, "copy"]);
        }
        twin.same_objects("copy");
        twin.done("copy", &["fetch", &more, "main:new"]);
        twin.same_objects("copy");
        twin.run("copy", &["bundle", "verify", &more]);
    }
}

#[test]
fn what_git_made_is_verified_listed_and_unbundled() {
    for git in Git::all() {
        for format in Format::ALL {
            let (sandbox, path) = project(format);
            let bundle = |name: &str, arguments: &[&str]| {
                let file = sandbox.path(name).display().to_string();
                let words = [&["bundle", "create", "-q", &file], arguments].concat();
                sandbox.git_of(git, &path, &words).success();
                file
            };
            let whole = bundle("whole.bundle", &["--all"]);
            let more = bundle("thin.bundle", &["main~3..main", "v1.0"]);
            let filtered = bundle("filtered.bundle", &["--filter=blob:none", "main"]);
            let twin = Twin::new(&sandbox, 2, Vec::new());
            for client in [&twin.ours, &twin.theirs] {
                build::empty(&sandbox, &client.join("empty.git"), format);
            }
            assert_eq!(twin.run("empty.git", &["bundle", "verify", &more]).status, 1);
            assert_eq!(twin.run("empty.git", &["bundle", "verify", "-q", &more]).status, 1);
            assert_eq!(twin.run("empty.git", &["bundle", "unbundle", &more]).status, 1);
            assert_eq!(twin.run("empty.git", &["fetch", &more, "main"]).status, 1);
            assert_eq!(twin.run("", &["clone", &more, "copy"]).status, 128);
            assert_eq!(twin.run("", &["clone", &filtered, "copy"]).status, 128);
            for file in [&whole, &more, &filtered] {
                twin.done("", &["bundle", "list-heads", file]);
                twin.done("", &["bundle", "list-heads", file, "refs/heads/main", "HEAD"]);
            }
            for file in [&whole, &filtered, &more] {
                twin.done("empty.git", &["bundle", "verify", file]);
                twin.done("empty.git", &["bundle", "unbundle", file]);
                if file == &whole {
                    let update = ["fetch", "-q", file, "+refs/*:refs/*"];
                    twin.done("empty.git", &update);
                }
            }
            twin.same("empty.git");
            let promisors = |client: &Path| {
                let files = state::files(&client.join("empty.git/objects/pack"));
                let is_promisor = |file: &&PathBuf| file.extension().is_some_and(|end| end == "promisor");
                files
                    .iter()
                    .filter(is_promisor)
                    .map(|file| fs::read(client.join("empty.git/objects/pack").join(file)).unwrap())
                    .collect::<Vec<_>>()
            };
            assert_eq!(promisors(&twin.ours), [b"from-bundle\n"]);
            assert_eq!(promisors(&twin.ours), promisors(&twin.theirs));
        }
    }
}

#[test]
fn bundles_pass_through_pipes() {
    let (sandbox, path) = project(Format::Sha1);
    let made = sandbox.gitr(&path, &["bundle", "create", "-", "--all"]).success().stdout;
    for words in
        [&["bundle", "verify", "-"][..], &["bundle", "list-heads", "-"], &["bundle", "unbundle", "-"]]
    {
        let run = |program: &Path| {
            let mut command = sandbox.command(program);
            Run::with_input(command.current_dir(&path).args(words), &made).success()
        };
        let (ours, theirs) = (run(Path::new(env!("CARGO_BIN_EXE_gitr"))), run(&Git::reference().program));
        assert_eq!((ours.stdout, ours.stderr), (theirs.stdout, theirs.stderr), "{words:?}");
    }
}

#[test]
fn prerequisites_must_be_connected() {
    let (sandbox, path) = project(Format::Sha1);
    let file = sandbox.path("tip.bundle").display().to_string();
    sandbox.gitr(&path, &["bundle", "create", "-q", &file, "main~1..main"]).success();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    let url = format!("file://{}", path.display());
    for client in [&twin.ours, &twin.theirs] {
        let arguments = ["clone", "-q", "--bare", "--depth=3", "--no-tags", &url, "copy.git"];
        sandbox.git(client, &arguments).success();
        // nothing says any more that its history is cut, and no ref has it
        fs::remove_file(client.join("copy.git/shallow")).unwrap();
        sandbox.git(&client.join("copy.git"), &["update-ref", "-d", "refs/heads/main"]).success();
    }
    for command in ["verify", "unbundle"] {
        assert_eq!(twin.run("copy.git", &["bundle", command, &file]).status, 1);
    }
}

/// A bundle comes from no server that has looked at its names.
#[test]
fn a_bad_name_in_a_bundle_is_left_out() {
    let (sandbox, base) = project(Format::Sha1);
    let bundle = sandbox.path("served/bad.bundle");
    sandbox.git(&base, &["bundle", "create", "-q", &bundle.display().to_string(), "--all"]).success();
    let content = fs::read(&bundle).unwrap();
    let (header, pack) = content.split_once_str("\n\n").unwrap();
    let tip = sandbox.git(&base, &["rev-parse", "main"]).line();
    let bad = format!("\n{tip} refs/heads/..evil\n{tip} refs/tags/a..b\n\n");
    fs::write(&bundle, [header, bad.as_bytes(), pack].concat()).unwrap();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    for (options, name) in [(&[][..], "copy"), (&["--bare"], "bare"), (&["--mirror"], "mirror")] {
        twin.done("", &[&["clone", "-q"], options, &[&bundle.display().to_string(), name]].concat());
        twin.same_objects(name);
    }
}
