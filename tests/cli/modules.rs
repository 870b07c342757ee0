//! `.gitmodules` where it is no configuration, or not where it belongs, and submodules that are not to be reached: what a fetch
//! and a pull make of it, beside C git.

use std::fs;
use std::path::Path;

use super::support::{Sandbox, Stream, Twin, build};
use super::{clones, sandbox};

/// What is given, in fresh copies each.
const COMMANDS: [&[&str]; 11] = [
    &["fetch"],
    &["fetch", "-q"],
    &["fetch", "--dry-run"],
    &["fetch", "--all"],
    &["fetch", "--multiple", "origin"],
    &["fetch", "--porcelain"],
    &["fetch", "--no-recurse-submodules"],
    &["-c", "submodule.recurse=false", "fetch"],
    &["fetch", "nosuch"],
    &["remote", "update"],
    &["-C", "dir1", "fetch"],
];

/// Two clones of a project whose `.gitmodules` is none, which moved on since.
fn behind(sandbox: &Sandbox) -> Twin<'_> {
    let source = sandbox.path("served/project.git");
    let mut stream = Stream::onto("main");
    stream.commit("main", 100).file(".gitmodules", "[submodule \"sub\"]\n\tpath = sub\n[x\n");
    stream.import(sandbox, &source);
    let twin = clones(sandbox);
    let mut stream = Stream::onto("main");
    stream.commit("main", 101).file("more", "more\n");
    stream.import(sandbox, &source);
    twin
}

#[track_caller]
fn try_all(twin: &Twin<'_>, sandbox: &Sandbox) {
    for (number, arguments) in COMMANDS.into_iter().enumerate() {
        let name = format!("copy{number}");
        twin.prepare(|client| drop(build::copy(sandbox, &client.join("copy"), &client.join(&name))));
        twin.run(&name, arguments);
        twin.same_state(&name);
    }
}

/// Nobody could mend it but with a fetch.
#[test]
fn one_in_a_commit_holds_up_nothing() {
    let sandbox = sandbox();
    let twin = behind(&sandbox);
    twin.prepare(|client| fs::remove_file(client.join("copy/.gitmodules")).unwrap());
    try_all(&twin, &sandbox);
}

#[test]
fn one_in_the_work_tree_is_told_of_before_anything_moves() {
    let sandbox = sandbox();
    let twin = behind(&sandbox);
    try_all(&twin, &sandbox);
    assert_eq!(twin.run("copy", &["fetch"]).status, 128);
    assert_eq!(twin.run("copy", &["-c", "submodule.fetchJobs=-1", "fetch"]).status, 128);
    twin.run("copy", &["pull"]);
    twin.same_state("copy");
}

/// Submodules of one superproject.
const SUBMODULES: [&str; 3] = ["a", "b", "c"];
const ALLOWED: [&str; 2] = ["-c", "protocol.file.allow=always"];

/// Two clones of a superproject with submodules, which all moved on since.
fn nested(sandbox: &Sandbox) -> Twin<'_> {
    let served = sandbox.path("served");
    let git = |place: &str, words: &[&str]| {
        drop(sandbox.git(&served.join(place), &[&ALLOWED, words].concat()).success());
    };
    let commit = |place: &str| git(place, &["commit", "-q", "--allow-empty", "-a", "-m", place]);
    git("", &["init", "-q", "super"]);
    for name in SUBMODULES {
        git("", &["init", "-q", name]);
        commit(name);
        git("super", &["submodule", "--quiet", "add", &format!("../{name}"), name]);
    }
    commit("super");
    let twin = Twin::new(sandbox, 2, Vec::new());
    let url = served.join("super").display().to_string();
    twin.prepare(|client| {
        let words = ["clone", "-q", "--recurse-submodules", &url, "copy"];
        drop(sandbox.git(client, &[&ALLOWED, &words[..]].concat()).success());
    });
    for name in SUBMODULES {
        commit(name);
        git(&format!("super/{name}"), &["pull", "-q", "origin", "HEAD"]);
    }
    commit("super");
    twin
}

/// Fetches with each of `options` into copies that `prepare` was done to.
#[track_caller]
fn fetch(twin: &Twin<'_>, sandbox: &Sandbox, name: &str, options: &[&[&str]], prepare: &dyn Fn(&Path)) {
    for (number, words) in options.iter().enumerate() {
        let name = format!("{name}-{number}");
        twin.prepare(|client| prepare(&build::copy(sandbox, &client.join("copy"), &client.join(&name))));
        twin.run(&name, &[&ALLOWED[..], &["fetch"], words].concat());
    }
}

/// In the work tree, else in the index, else in the last commit; of a submodule that is told of by commit, in that one.
#[test]
fn gitmodules_is_read_where_it_is() {
    const SKIP: &[&str] = &["config", "-f", ".gitmodules", "submodule.a.fetchRecurseSubmodules", "false"];
    const RENAME: &[&str] =
        &["config", "-f", ".gitmodules", "--rename-section", "submodule.a", "submodule.z"];
    const FORGET: &[&str] = &["config", "-f", ".gitmodules", "--unset", "submodule.a.path"];
    const BREAK: &[&str] = &["config", "-f", ".gitmodules", "submodule.fetchJobs", "-1"];
    const DROP: &[&str] = &["config", "-f", ".gitmodules", "--remove-section", "submodule.a"];
    const ADD: &[&str] = &["add", ".gitmodules"];
    const COMMIT: &[&str] = &["commit", "-q", "-m", "x"];
    const RESET: &[&str] = &["reset", "-q", "HEAD~", ".gitmodules"];
    const OUT: &[&str] = &["rm", "-q", "--cached", ".gitmodules"];
    /// What is done, and whether the file is removed after it.
    const ROWS: [(&[&[&str]], bool); 12] = [
        (&[SKIP], false),
        (&[SKIP, ADD], true),
        (&[SKIP, ADD, COMMIT, RESET], true),
        (&[SKIP, ADD, COMMIT, OUT], true),
        (&[], true),
        (&[OUT], true),
        (&[OUT], false),
        (&[RENAME, ADD], true),
        (&[FORGET, ADD], true),
        (&[BREAK, ADD], true),
        (&[DROP], false),
        (&[DROP, ADD], true),
    ];
    let sandbox = sandbox();
    let twin = nested(&sandbox);
    for (number, (commands, is_removed)) in ROWS.into_iter().enumerate() {
        let prepare = |copy: &Path| {
            for words in commands {
                sandbox.git(copy, words).success();
            }
            if is_removed {
                fs::remove_file(copy.join(".gitmodules")).unwrap();
            }
        };
        let options: [&[&str]; 3] = [
            &["--jobs=1"],
            &["--jobs=1", "--recurse-submodules"],
            &["--jobs=1", "--recurse-submodules=on-demand"],
        ];
        fetch(&twin, &sandbox, &number.to_string(), &options, &prepare);
    }
    let to_nothing = |copy: &Path| {
        fs::remove_file(copy.join(".gitmodules")).unwrap();
        std::os::unix::fs::symlink("nosuch", copy.join(".gitmodules")).unwrap();
    };
    fetch(&twin, &sandbox, "link", &[&["--jobs=1"]], &to_nothing);
}

/// No submodule is known by it then; what it says of all is read where it is.
#[test]
fn gitmodules_with_a_conflict_says_nothing() {
    let sandbox = sandbox();
    let twin = nested(&sandbox);
    let prepare = |copy: &Path, conclude: &dyn Fn(&Path)| {
        let git = |words: &[&str]| sandbox.git(copy, words);
        let skip = |value: &str| {
            let setting = ["config", "-f", ".gitmodules", "submodule.a.fetchRecurseSubmodules", value];
            git(&setting).success();
            git(&["commit", "-q", "-a", "-m", value]).success();
        };
        skip("false");
        git(&["checkout", "-q", "-b", "other", "HEAD~"]).success();
        skip("on-demand");
        assert_eq!(git(&["merge", "-"]).status, 1);
        conclude(copy);
    };
    let settled =
        |copy: &Path| drop(sandbox.git(copy, &["checkout", "-q", "--ours", ".gitmodules"]).success());
    let none = |copy: &Path| fs::remove_file(copy.join(".gitmodules")).unwrap();
    let options: [&[&str]; 3] = [
        &["--jobs=1"],
        &["--jobs=1", "--recurse-submodules"],
        &["--jobs=1", "--recurse-submodules=on-demand"],
    ];
    let as_merged = |_: &Path| {};
    fetch(&twin, &sandbox, "merged", &options, &|copy| prepare(copy, &as_merged));
    fetch(&twin, &sandbox, "settled", &options, &|copy| prepare(copy, &settled));
    fetch(&twin, &sandbox, "none", &options, &|copy| prepare(copy, &none));
}

/// A submodule that no `.gitmodules` names is told by its path, if somebody asks for such.
#[test]
fn a_submodule_that_is_not_declared_is_fetched_where_it_is() {
    const DROP: &[&str] = &["config", "-f", ".gitmodules", "--remove-section", "submodule.a"];
    let sandbox = sandbox();
    let twin = nested(&sandbox);
    let super_directory = sandbox.path("served/super");
    let more = |words: &[&str]| drop(sandbox.git(&super_directory, words).success());
    more(&["rm", "-q", "--cached", ".gitmodules"]);
    more(&["commit", "-q", "--amend", "-m", "dropped"]);
    for (number, is_dropped) in [true, false].into_iter().enumerate() {
        let prepare = |copy: &Path| {
            if is_dropped {
                sandbox.git(copy, DROP).success();
                sandbox.git(copy, &["config", "--unset", "submodule.a.url"]).success();
            }
        };
        let options: [&[&str]; 4] = [
            &["--jobs=1"],
            &["--jobs=1", "--recurse-submodules"],
            &["--jobs=1", "--recurse-submodules=on-demand"],
            &["--jobs=1", "--recurse-submodules=no"],
        ];
        fetch(&twin, &sandbox, &number.to_string(), &options, &prepare);
    }
}

/// Lines about them stand in front of what the next one shows, whichever ends first.
#[test]
fn submodules_that_are_not_to_be_reached_are_told_of_in_order() {
    let sandbox = sandbox();
    let twin = nested(&sandbox);
    for name in SUBMODULES {
        let lose = |copy: &Path| {
            fs::remove_dir_all(copy.join(".git/modules").join(name)).unwrap();
            fs::rename(copy.join(name).join(".git"), copy.join(name).join("other")).unwrap();
        };
        let options: [&[&str]; 4] = [
            &["--jobs=1"],
            &["--recurse-submodules", "--jobs=1"],
            &["--recurse-submodules", "--jobs=2"],
            &["--recurse-submodules", "--jobs=4"],
        ];
        fetch(&twin, &sandbox, name, &options, &lose);
    }
    let empty = |copy: &Path| {
        fs::remove_dir_all(copy.join(".git/modules/b")).unwrap();
        fs::remove_file(copy.join("b/.git")).unwrap();
    };
    fetch(&twin, &sandbox, "empty", &[&["--recurse-submodules", "--jobs=4"]], &empty);
}
