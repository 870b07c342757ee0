//! `fetch-pack`, which moves no ref: over pipes and sockets, and as the program that C git's `git-remote-http` starts.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use crate::support::sandbox::gitr_program;
use crate::support::{Case, Format, Git, Kind, Sandbox, Stream, build, state};

/// Fetches everything, what is new, and a history that is cut; C git does the same beside it.
fn round(case: &Case) {
    let served = case.served("project.git");
    build::project(&case.sandbox, &served, case.format, 12);
    let main = case.sandbox.git(&served, &["rev-parse", "main"]).success().line();
    let url = case.url("project.git");
    let twin = case.twin();
    let prepare = |words: &[&str]| {
        twin.prepare(|client| drop(case.sandbox.git(client, words).success()));
    };
    let object_format = format!("--object-format={}", case.format.name());
    prepare(&["init", "-q", "--bare", &object_format, "all"]);
    prepare(&["init", "-q", "--bare", &object_format, "cut"]);
    let fetch = |place: &str, words: &[&str]| {
        // a pack that is kept has no `.keep` file then
        let fetch = ["-c", "transfer.unpackLimit=0", "fetch-pack", "--no-progress"];
        twin.done(place, &[&fetch, words].concat());
        twin.same_objects(place);
    };
    fetch("all", &["--all", "-k", &url]);
    prepare(&["-C", "all", "update-ref", "refs/heads/main", &main]);
    Stream::onto("main").history(12..15).import(&case.sandbox, &served);
    fetch("all", &["--thin", "--include-tag", &url, "refs/heads/main"]);
    fetch("cut", &["--depth=2", &url, "HEAD", "refs/tags/v1.0"]);
    fetch("cut", &["--depth=1", "--deepen-relative", &url, "HEAD"]);
    let absent = twin.run("cut", &["fetch-pack", "--no-progress", &url, "refs/heads/nosuch"]);
    assert_eq!(absent.status, 1, "{absent:?}");
}

#[test]
fn everything_something_new_and_a_cut_history() {
    for kind in [Kind::File, Kind::Daemon, Kind::Ssh] {
        for (version, format) in
            [(0, Format::Sha1), (1, Format::Sha1), (2, Format::Sha1), (2, Format::Sha256)]
        {
            if let Some(case) = Case::new(kind, Git::reference(), version, format) {
                round(&case);
            }
        }
    }
}

/// A directory of git's programs whose `git fetch-pack` is gitr's.
fn programs(sandbox: &Sandbox) -> PathBuf {
    let (git, directory) = (Git::reference(), sandbox.path("programs"));
    fs::create_dir(&directory).unwrap();
    for program in fs::read_dir(&git.exec_path).unwrap() {
        let program = program.unwrap();
        symlink(program.path(), directory.join(program.file_name())).unwrap();
    }
    let script = directory.join("git");
    fs::remove_file(&script).ok();
    let (gitr, log) = (gitr_program(), sandbox.path("fetches"));
    let (gitr, log, git) = (gitr.display(), log.display(), git.program.display());
    let text = format!(
        "#!/bin/sh\ncase \"$1\" in fetch-pack) echo \"$@\" >>'{log}'; exec '{gitr}' \"$@\" ;; esac\nexec '{git}' \"$@\"\n"
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

/// `--stateless-rpc` with `--stdin`, `--lock-pack` and all that a clone and fetches give it in version 0.
#[test]
fn gits_helper_for_http_fetches_with_it() {
    for format in Format::ALL {
        let Some(mut case) = Case::new(Kind::Apache, Git::reference(), 0, format) else { return };
        let served = case.served("project.git");
        build::project(&case.sandbox, &served, format, 12);
        case.refresh("project.git");
        let directory = programs(&case.sandbox);
        case.sandbox.set("GIT_EXEC_PATH", directory);
        let (root, url) = (case.sandbox.path(""), case.url("project.git"));
        let git = |words: &[&str]| {
            let words = [&["-c", "protocol.version=0"], words].concat();
            drop(case.sandbox.git(&root, &words).success());
        };
        git(&["clone", "-q", &url, "copy"]);
        git(&["clone", "-q", "--depth=2", &url, "cut"]);
        Stream::onto("main").history(12..15).import(&case.sandbox, &served);
        git(&["-C", "copy", "-c", "fetch.unpackLimit=1", "fetch", "-q"]);
        git(&["-C", "cut", "fetch", "-q", "--unshallow"]);
        for name in ["copy", "cut"] {
            let path = case.sandbox.path(name);
            state::assert_sound(&case.sandbox, &path);
            let id = |place, name| case.sandbox.git(place, &["rev-parse", name]).success().line();
            assert_eq!(id(&path, "origin/main"), id(&served, "main"), "{name}");
            assert_eq!(state::leftovers(&path), Vec::<PathBuf>::new(), "the pack is not locked any more");
        }
        let fetches = fs::read_to_string(case.sandbox.path("fetches")).unwrap();
        assert!(fetches.lines().count() >= 4, "{fetches}");
    }
}
