//! Where no C git is installed, repositories of this machine are served by gitr itself.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::{Format, Run, Sandbox, Stream, build, find_program, state};

/// A sandbox whose programs find a shell in `PATH` and nothing of git.
fn alone() -> Sandbox {
    let mut sandbox = Sandbox::new();
    let programs = sandbox.path("programs");
    fs::create_dir(&programs).unwrap();
    symlink(find_program("sh").unwrap(), programs.join("sh")).unwrap();
    sandbox.set("PATH", programs);
    sandbox
}

#[test]
fn clones_fetches_and_pushes_need_no_git() {
    for format in Format::ALL {
        let sandbox = alone();
        let served = sandbox.path("served/it's.git");
        build::project(&sandbox, &served, format, 8);
        let path = served.display().to_string();
        for (name, url, options) in [
            ("linked", path.clone(), &[][..]),
            ("sent", path.clone(), &["--no-local"]),
            ("old", format!("file://{path}"), &["-c", "protocol.version=0"]),
            ("shallow", format!("file://{path}"), &["--depth=2", "--no-single-branch"]),
            ("partial", format!("file://{path}"), &["--filter=blob:none"]),
        ] {
            let copy = sandbox.path(name);
            let words = [&["clone", "-q"], options, &[&*url, name]].concat();
            sandbox.gitr(&sandbox.path(""), &words).success();
            let id = |place, name: &str| sandbox.git(place, &["rev-parse", name]).success().line();
            assert_eq!(id(&copy, "HEAD"), id(&served, "main"), "{name}");
            let branch = format!("refs/heads/of-{name}");
            sandbox.git(&copy, &["commit", "-q", "--allow-empty", "-m", name]).success();
            sandbox.gitr(&copy, &["push", "-q", "origin", &format!("HEAD:{branch}")]).success();
            assert_eq!(id(&served, &branch), id(&copy, "HEAD"), "{name}");
            let mut stream = Stream::onto("main");
            stream.commit("main", 100 + name.len()).file("new", name).import(&sandbox, &served);
            sandbox.gitr(&copy, &["fetch", "-q"]).success();
            assert_eq!(id(&copy, "origin/main"), id(&served, "main"), "{name}");
            let listed = sandbox.gitr(&copy, &["ls-remote", "origin", "main"]).success();
            assert!(listed.line().starts_with(&id(&served, "main")), "{listed:?}");
            assert_eq!(state::leftovers(&copy), Vec::<std::path::PathBuf>::new());
        }
        sandbox.git(&served, &["fsck", "--full"]).success();
    }
}

#[test]
fn what_goes_wrong_there_is_told_as_git_tells_it() {
    let sandbox = alone();
    let place = sandbox.path("");
    for (url, status) in [("nosuch.git", 128), ("file:///nonexistent", 128)] {
        let run: Run = sandbox.gitr(&place, &["ls-remote", url]);
        assert_eq!(run.status, status, "{run:?}");
        assert!(run.complains_of("does not appear to be a git repository"), "{run:?}");
        assert!(run.complains_of("Could not read from remote repository."), "{run:?}");
    }
}

/// Every option of the commands that has to do with how a local repository is reached or what is asked of it, each in a
/// copy made for it.
const OPTIONS: [&[&str]; 51] = [
    &["clone", "-l", "URL", "new"],
    &["clone", "--no-hardlinks", "URL", "new"],
    &["clone", "--shared", "URL", "new"],
    &["clone", "--reference", "URL", "URL", "new"],
    &["clone", "--reference-if-able", "nosuch", "URL", "new"],
    &["clone", "--reference", "URL", "--dissociate", "FILE", "new"],
    &["clone", "--bare", "FILE", "new"],
    &["clone", "--mirror", "FILE", "new"],
    &["clone", "-n", "FILE", "new"],
    &["clone", "-b", "topic", "--single-branch", "FILE", "new"],
    &["clone", "--no-tags", "FILE", "new"],
    &["clone", "--depth=1", "FILE", "new"],
    &["clone", "--shallow-since=2005-04-01", "FILE", "new"],
    &["clone", "--filter=blob:none", "--no-checkout", "FILE", "new"],
    &["clone", "--filter=tree:0", "--bare", "FILE", "new"],
    &["clone", "--server-option=x", "FILE", "new"],
    &["clone", "-4", "--progress", "FILE", "new"],
    &["clone", "--separate-git-dir=elsewhere", "FILE", "new"],
    &["clone", "--origin=other", "-c", "core.x=y", "FILE", "new"],
    &["clone", "-c", "protocol.version=1", "FILE", "new"],
    &["clone", "--sparse", "FILE", "new"],
    &["clone", "--reject-shallow", "FILE", "new"],
    &["fetch", "--all"],
    &["fetch", "--tags", "--prune", "--prune-tags", "--force"],
    &["fetch", "--depth=2", "FILE", "main"],
    &["fetch", "--unshallow", "FILE", "main"],
    &["fetch", "--deepen=1", "FILE", "main"],
    &["fetch", "--filter=blob:none", "origin"],
    &["fetch", "--refetch", "origin"],
    &["fetch", "--atomic", "--dry-run", "origin"],
    &["fetch", "--negotiation-tip=HEAD", "FILE", "topic:new"],
    &["fetch", "--negotiate-only", "--negotiation-tip=HEAD", "FILE"],
    &["fetch", "--porcelain", "--server-option=x", "origin"],
    &["fetch", "--multiple", "--jobs=2", "origin", "origin"],
    &["fetch", "--keep", "--no-tags", "FILE", "main"],
    &["fetch", "--update-shallow", "origin"],
    &["pull", "--ff-only"],
    &["push", "origin", "HEAD:refs/heads/new"],
    &["push", "--atomic", "FILE", "HEAD:refs/heads/a", "HEAD:refs/heads/b"],
    &["push", "--force-with-lease", "origin", "+HEAD:refs/heads/new"],
    &["push", "--tags", "--porcelain", "origin"],
    &["push", "--mirror", "--dry-run", "FILE"],
    &["push", "--prune", "origin", "refs/tags/*:refs/tags/*"],
    &["push", "--delete", "origin", "topic"],
    &["push", "--thin", "--progress", "FILE", "HEAD:refs/heads/new"],
    &["push", "--no-verify", "--set-upstream", "origin", "HEAD:refs/heads/new"],
    &["ls-remote", "--heads", "--tags", "--refs", "URL"],
    &["ls-remote", "--symref", "--sort=-refname", "FILE"],
    &["ls-remote", "--exit-code", "--server-option=x", "FILE", "main"],
    &["ls-remote", "--get-url", "origin"],
    &["remote", "show", "origin"],
];

#[test]
fn every_option_works_there() {
    let sandbox = alone();
    let served = sandbox.path("served/r.git");
    build::project(&sandbox, &served, Format::Sha1, 8);
    sandbox.git(&served, &["config", "receive.advertisePushOptions", "true"]).success();
    let (path, url) = (served.display().to_string(), format!("file://{}", served.display()));
    let mut wrong = Vec::new();
    for words in OPTIONS {
        for name in ["copy", "new", "elsewhere"] {
            fs::remove_dir_all(sandbox.path(name)).ok();
        }
        let is_shallow =
            words.iter().any(|word| word.starts_with("--unshallow") || word.starts_with("--deepen"));
        let depth = if is_shallow { &["--depth=1"][..] } else { &[] };
        let clone = [&["clone", "-q"], depth, &[&*url, "copy"]].concat();
        sandbox.gitr(&sandbox.path(""), &clone).success();
        let words: Vec<&str> = words
            .iter()
            .map(|word| match *word {
                "URL" => &*path,
                "FILE" => &*url,
                word => word,
            })
            .collect();
        let place = if words[0] == "clone" { sandbox.path("") } else { sandbox.path("copy") };
        let run = sandbox.gitr(&place, &words);
        let made = sandbox.path(if words[0] == "clone" { "new" } else { "copy" });
        if run.status != 0 || run.complains_of("fatal:") || run.complains_of("not found") {
            wrong.push(format!("{words:?}: {run:?}"));
        } else if sandbox.git(&made, &["fsck", "--connectivity-only"]).status != 0 {
            wrong.push(format!("{words:?}: not sound"));
        }
        sandbox.git(&served, &["update-ref", "refs/heads/topic", "main~1"]).success();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    sandbox.git(&served, &["fsck", "--full"]).success();
}
