//! What a fast-forward meets that git does not know: ignored files go, all others stay; each beside C git.

use std::fs;
use std::path::Path;

use super::support::{Sandbox, Twin, build};
use super::{clones, sandbox};

/// Files to write, as paths and texts.
type Files = &'static [(&'static str, &'static str)];

const EXCLUDE: &str = ".git/info/exclude";

/// Two clones that are behind by a commit that makes and removes files.
fn behind(sandbox: &Sandbox) -> Twin<'_> {
    let twin = clones(sandbox);
    let (source, work) = (sandbox.path("served/project.git"), sandbox.path("work"));
    let git = |arguments: &[&str]| drop(sandbox.git(&work, arguments).success());
    sandbox.git(&sandbox.path(""), &["clone".as_ref(), "-q".as_ref(), source.as_os_str(), work.as_os_str()]);
    for path in ["a.log", "built", "taken/x", "dir1/made", "deep/er/other", "$cash"] {
        write(&work, path, "theirs");
    }
    git(&["rm", "-qr", "README", "dir0"]);
    git(&["mv", "run.sh", "ran.sh"]);
    git(&["add", "-f", "."]);
    git(&["commit", "-q", "-m", "all of it"]);
    git(&["push", "-q"]);
    twin
}

fn write(top: &Path, path: &str, text: &str) {
    fs::create_dir_all(top.join(path).parent().unwrap()).unwrap();
    fs::write(top.join(path), format!("{text}\n")).unwrap();
}

/// Pulls into a copy of both clones that `prepare` was done to.
#[track_caller]
fn pull(twin: &Twin<'_>, sandbox: &Sandbox, name: &str, prepare: &dyn Fn(&Path)) {
    twin.prepare(|client| prepare(&build::copy(sandbox, &client.join("copy"), &client.join(name))));
    twin.run(name, &["-c", "core.excludesFile=../../outer", "pull"]);
    twin.same_state(name);
}

#[test]
fn ignored_files_are_in_nobodys_way() {
    const ROWS: [Files; 13] = [
        &[
            (EXCLUDE, "*.log\nbuilt/\ntaken\nmade\nother\n"),
            ("a.log", "mine"),
            ("built/one", "mine"),
            ("built/sub/two", "mine"),
            ("taken", "mine"),
            ("dir1/made", "mine"),
            ("deep/er/other/x", "mine"),
        ],
        &[(EXCLUDE, "built/*.o"), ("built/a.o", "mine")],
        &[(EXCLUDE, "built/*.o"), ("built/a.o", "mine"), ("built/b.c", "mine"), ("a.log", "mine")],
        &[(EXCLUDE, "*.log\n!a.log"), ("a.log", "mine")],
        &[(EXCLUDE, "built\n!built/kept"), ("built/kept", "mine")],
        &[(EXCLUDE, "built/"), ("built", "mine")],
        &[("dir1/.gitignore", "made"), ("dir1/made", "mine")],
        &[("dir1/.gitignore", "!made"), (EXCLUDE, "made"), ("dir1/made", "mine")],
        &[(".gitignore", "/made\nx"), ("dir1/made", "mine")],
        &[("a.outer", "mine"), ("a.log", "mine")],
        &[("taken", "mine"), ("dir1/made", "mine")],
        &[(EXCLUDE, "$cash"), ("$cash", "mine")],
        &[(EXCLUDE, "built"), ("built/.git/HEAD", "mine"), ("built/.git/objects/x", "mine")],
    ];
    let sandbox = sandbox();
    let twin = behind(&sandbox);
    write(&sandbox.path(""), "outer", "*.log");
    write(&sandbox.path("home"), ".config/git/ignore", "taken");
    for (number, row) in ROWS.into_iter().enumerate() {
        pull(&twin, &sandbox, &format!("copy{number}"), &|copy| {
            for (path, text) in row {
                write(copy, path, text);
            }
        });
    }
    twin.prepare(|client| drop(build::copy(&sandbox, &client.join("copy"), &client.join("users"))));
    twin.prepare(|client| write(client, "users/taken", "mine"));
    twin.done("users", &["pull"]);
    twin.same("users");
}

/// Two clones that are behind by a commit that makes directories of files and files of directories.
fn turned(sandbox: &Sandbox) -> Twin<'_> {
    let (source, work) = (sandbox.path("served/project.git"), sandbox.path("work"));
    let git = |arguments: &[&str]| drop(sandbox.git(&work, arguments).success());
    sandbox.git(&sandbox.path(""), &["clone".as_ref(), "-q".as_ref(), source.as_os_str(), work.as_os_str()]);
    for path in ["file", "other", "gone", "changed", "dir/a", "dir/sub/b", "deep/x"] {
        write(&work, path, "ours");
    }
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "before"]);
    git(&["push", "-q"]);
    let twin = clones(sandbox);
    git(&["rm", "-qr", "file", "other", "gone", "dir", "deep"]);
    for path in ["file/in", "file/deep/er", "other/a", "other/b", "changed", "dir", "deep", "made", "new/one"]
    {
        write(&work, path, "theirs");
    }
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "turned"]);
    git(&["push", "-q"]);
    twin
}

/// Where a file becomes a directory or the other way round, something is told once, and nothing of what is below it.
#[test]
fn what_is_in_the_way_of_another_kind_is_told_once() {
    const ROWS: [(&[&str], &[&str], Files); 31] = [
        // a directory where a file becomes one, or goes, or changes
        (&["file"], &[], &[("file/x", "mine")]),
        (&["file"], &[], &[("file/in", "mine")]),
        (&["file"], &[], &[("file/in/x", "mine")]),
        (&["file"], &[], &[("file/deep", "mine")]),
        (&["file"], &[], &[("file/deep/er/x", "mine"), ("made/x", "mine"), ("new", "mine")]),
        (&["file"], &[], &[("file/x", "mine"), (EXCLUDE, "x")]),
        (&["file"], &[], &[("file/x", "mine"), (EXCLUDE, "file")]),
        (&["file", "other"], &[], &[("file/x", "mine"), ("other/a", "mine"), ("other/b", "mine")]),
        (&["gone"], &[], &[("gone/x", "mine")]),
        (&["gone"], &[], &[("gone/x", "mine"), (EXCLUDE, "x")]),
        (&["changed"], &[], &[("changed/x", "mine")]),
        (&["file"], &[], &[("file/x", "mine"), ("other", "mine"), ("made", "mine")]),
        // a file where a directory becomes one
        (&["dir"], &[], &[("dir", "mine")]),
        (&["dir"], &[], &[("dir", "mine"), (EXCLUDE, "dir")]),
        (&["dir/sub"], &[], &[("dir/sub", "mine")]),
        (&["dir/sub"], &[], &[("dir/sub", "mine"), (EXCLUDE, "sub")]),
        (&["dir", "deep/x"], &[], &[("dir", "mine")]),
        // what is in a directory that becomes a file
        (&[], &[], &[("dir/a", "mine"), ("dir/sub/b", "mine")]),
        (&[], &[], &[("dir/a", "mine"), ("dir/x", "mine"), ("deep/x", "mine")]),
        (&[], &[], &[("dir/sub/b", "mine"), ("dir/x", "mine"), (EXCLUDE, "x")]),
        (&[], &[], &[("dir/x", "mine"), (EXCLUDE, "x")]),
        (&["dir/a"], &[], &[("dir/a/x", "mine")]),
        (&["dir/a"], &[], &[("dir/a/x", "mine"), ("deep/y", "mine")]),
        (&["dir/a"], &[], &[("dir/x", "mine")]),
        // what was taken out of the index
        (&[], &["file"], &[]),
        (&["file"], &["file"], &[("file/in", "mine")]),
        (&["file"], &["file"], &[("file/x", "mine"), (EXCLUDE, "x")]),
        (&[], &["dir/a"], &[]),
        (&[], &["dir/a", "dir/sub/b"], &[("dir/x", "mine"), ("made", "mine")]),
        (&["dir"], &["dir/a", "dir/sub/b"], &[("dir", "mine")]),
        (&[], &["file", "other", "deep/x"], &[("changed", "mine")]),
    ];
    let sandbox = sandbox();
    let twin = turned(&sandbox);
    for (number, (removed, forgotten, files)) in ROWS.into_iter().enumerate() {
        pull(&twin, &sandbox, &format!("copy{number}"), &|copy| {
            if !forgotten.is_empty() {
                sandbox.git(copy, &[&["rm", "-q", "--cached"], forgotten].concat()).success();
            }
            for path in removed {
                let path = copy.join(path);
                if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
            }
            for (path, text) in files {
                write(copy, path, text);
            }
        });
    }
}

/// What the user took out of the index alone: if the new commit does not have it either, it would be no one's.
#[test]
fn what_was_forgotten_is_not_lost() {
    const ROWS: [(&[&str], Files); 9] = [
        (&["rm", "-q", "--cached", "README"], &[]),
        (&["rm", "-q", "--cached", "README", "run.sh"], &[("run.sh", "mine"), ("taken", "mine")]),
        (&["rm", "-q", "README"], &[]),
        (&["rm", "-q", "--cached", "README"], &[(EXCLUDE, "README")]),
        (&["rm", "-q", "README"], &[("README/x", "mine")]),
        (&["rm", "-q", "README"], &[("README/x", "mine"), (EXCLUDE, "x")]),
        (&["rm", "-qr", "dir0"], &[("dir0", "mine")]),
        (&["rm", "-qr", "dir0"], &[("dir0", "mine"), (EXCLUDE, "dir0")]),
        (&["rm", "-q", "--cached", "windows.crlf", "README"], &[("built/x", "mine"), ("a.log", "mine")]),
    ];
    let sandbox = sandbox();
    let twin = behind(&sandbox);
    for (number, (arguments, files)) in ROWS.into_iter().enumerate() {
        pull(&twin, &sandbox, &format!("copy{number}"), &|copy| {
            sandbox.git(copy, arguments).success();
            for (path, text) in files {
                write(copy, path, text);
            }
        });
    }
}

/// A directory that took the place of a file is in nobody's way if git knows what is in it. (git 2.47.3 forgets that it knows.)
#[test]
fn what_is_tracked_in_the_place_of_what_was_forgotten_stays() {
    let sandbox = sandbox();
    let twin = behind(&sandbox);
    let replace = |copy: &Path, added: &str| {
        sandbox.git(copy, &["rm", "-q", "README"]).success();
        write(copy, "README/x", "mine");
        write(copy, "README/y", "mine");
        sandbox.git(copy, &["add", added]).success();
    };
    pull(&twin, &sandbox, "copy0", &|copy| replace(copy, "README/x"));
    twin.prepare(|client| {
        replace(&build::copy(&sandbox, &client.join("copy"), &client.join("copy1")), "README");
    });
    assert_eq!(twin.run("copy1", &["pull"]).status, 0);
    let tracked = sandbox.git(&twin.ours.join("copy1"), &["ls-files", "README"]).success();
    assert_eq!(tracked.stdout, "README/x\nREADME/y\n");
}

/// Where no branch is yet, what is ignored stays too.
#[test]
fn an_unborn_branch_replaces_nothing() {
    let sandbox = sandbox();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    let source = sandbox.path("served/project.git").display().to_string();
    twin.prepare(|client| {
        sandbox.git(client, &["init", "-q", "copy"]).success();
        write(client, &format!("copy/{EXCLUDE}"), "README");
        write(client, "copy/README", "mine");
    });
    twin.run("copy", &["pull", &source, "main"]);
    twin.same_state("copy");
}

#[test]
fn a_lock_that_is_held_is_told_of() {
    let sandbox = sandbox();
    let twin = behind(&sandbox);
    let url = format!("file://{}", sandbox.path("served/project.git").display());
    for (lock, arguments) in
        [("index", &["pull"][..]), ("index", &["pull", "-q"]), ("shallow", &["fetch", "--depth=1", &url])]
    {
        let path = Path::new("copy/.git").join(format!("{lock}.lock"));
        twin.prepare(|client| fs::write(client.join(&path), "").unwrap());
        twin.run("copy", arguments);
        twin.same_state("copy");
        twin.prepare(|client| fs::remove_file(client.join(&path)).unwrap());
    }
}
