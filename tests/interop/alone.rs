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
