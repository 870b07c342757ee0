//! What fetch makes of its refspecs and of what stands in its way; each beside C git.

use std::ffi::OsStr;
use std::path::Path;

use bstr::ByteSlice;

use crate::support::{Git, Run, Sandbox, Stream, Twin, build, sandbox};

/// Two clones that are behind their project by a commit, a branch and tags.
fn behind(sandbox: &Sandbox) -> Twin<'_> {
    let twin = crate::clones(sandbox);
    let source = sandbox.path("served/project.git");
    let mut stream = Stream::onto("main");
    stream.commit("main", 100).file("more", "more\n");
    stream.light_tag("newer", "main").annotated_tag("newest", "main");
    stream.branch("fresh", "main");
    stream.import(sandbox, &source);
    twin
}

/// Fetches with `arguments` in new clones; all that is printed and stored is C git's.
#[track_caller]
fn fetch(arguments: &[&str]) {
    let sandbox = crate::sandbox();
    let twin = behind(&sandbox);
    twin.run("copy", &[&["fetch"], arguments].concat());
    twin.same("copy");
}

#[test]
fn tags_follow_only_what_is_stored() {
    for arguments in [
        &["origin", "main"][..],
        &["origin", "HEAD"],
        &["origin", "main", "main"],
        &["origin", "main:refs/heads/mine"],
        &["origin", "fresh", "--prune"],
    ] {
        fetch(arguments);
    }
}

/// What a negative refspec leaves out is left out last: its tags have been followed by then. The rows: what is configured, and
/// the arguments.
#[test]
fn tags_of_what_is_left_out_follow() {
    const BRANCHES: &str = "refs/heads/*:refs/remotes/origin/*";
    const TO_FRESH: [&str; 2] = ["branch.main.merge", "refs/heads/fresh"];
    type Row = (&'static [[&'static str; 2]], &'static [&'static str]);
    const WITHOUT: [&str; 2] = ["remote.origin.fetch", "^refs/heads/fresh"];
    const ROWS: [Row; 15] = [
        (&[], &["origin", BRANCHES, "^refs/heads/fresh"]),
        (&[], &["origin", BRANCHES, "^refs/heads/*"]),
        (&[], &["origin", BRANCHES, "^refs/tags/newer"]),
        (&[], &["--no-tags", "origin", BRANCHES, "^refs/heads/main"]),
        (&[], &["--tags", "origin", "^refs/tags/newer"]),
        (&[], &["--dry-run", "origin", BRANCHES, "^refs/heads/fresh"]),
        (&[], &["--prune", "origin", BRANCHES, "^refs/heads/topic"]),
        (&[], &["--refmap=^refs/heads/main", "--refmap=refs/heads/*:refs/other/*", "origin", "main"]),
        (&[WITHOUT], &[]),
        (&[WITHOUT], &["--tags"]),
        (&[WITHOUT], &["origin", "fresh"]),
        (&[["remote.origin.fetch", "^refs/heads/*"]], &["origin"]),
        (&[["remote.origin.fetch", "^refs/tags/newer"]], &["origin"]),
        (&[WITHOUT, TO_FRESH], &[]),
        (&[TO_FRESH], &["origin", "^refs/heads/fresh"]),
    ];
    let sandbox = crate::sandbox();
    let twin = behind(&sandbox);
    for (number, (settings, arguments)) in ROWS.into_iter().enumerate() {
        let name = format!("copy{number}");
        twin.prepare(|client| {
            let copy = build::copy(&sandbox, &client.join("copy"), &client.join(&name));
            for [key, value] in settings {
                let option = if key.starts_with("branch") { "--replace-all" } else { "--add" };
                sandbox.git(&copy, &["config", option, key, value]).success();
            }
        });
        twin.run(&name, &[&["fetch"], arguments].concat());
        twin.same_state(&name);
    }
}

#[test]
fn rows_stand_in_the_order_of_the_command_line() {
    fetch(&["origin", "+topic:mine", "fresh", "main"]);
}

#[test]
fn a_pattern_without_destination_is_no_refspec() {
    fetch(&["origin", "ma*"]);
    fetch(&["origin", "refs/heads/*:"]);
}

#[test]
fn fetch_head_is_emptied_by_a_fetch_that_fails() {
    for arguments in [&["origin", "nosuch"][..], &["nosuch"], &["origin", "main:main"]] {
        fetch(arguments);
    }
}

#[test]
fn a_ref_in_the_way_is_told_where_its_row_stands() {
    let sandbox = crate::sandbox();
    let twin = behind(&sandbox);
    let source = sandbox.path("served/project.git");
    sandbox.git(&source, &["branch", "-D", "fresh"]).success();
    sandbox.git(&source, &["branch", "main/sub", "main"]);
    sandbox.git(&source, &["branch", "-D", "topic"]).success();
    sandbox.git(&source, &["branch", "topic/sub", "main"]).success();
    assert_eq!(twin.run("copy", &["fetch"]).status, 1);
}

#[test]
fn the_configuration_is_read_as_git_reads_it() {
    for (setting, status) in [
        ("remote.origin.url=", 128),
        ("core.abbrev=no", 0),
        ("core.abbrev=12", 0),
        ("nodot", 128),
        ("fetch.negotiationAlgorithm=nosuch", 128),
    ] {
        let sandbox = crate::sandbox();
        let twin = behind(&sandbox);
        let copy = |directory: &Path| directory.join("copy");
        let ours = sandbox.gitr(&copy(&twin.ours), &["-c", setting, "fetch"]);
        let theirs = sandbox.git(&copy(&twin.theirs), &["-c", setting, "fetch"]);
        assert_eq!((theirs.status, &ours.stderr), (status, &theirs.stderr), "{setting}");
        assert_eq!(ours.status, status);
        twin.same("copy");
    }
}

/// What git refuses of section `core` before it does anything, and what it takes; the exit code of a clone.
const CORE_SETTINGS: [(&str, i32); 44] = [
    ("core.autocrlf=x", 128),
    ("core.autocrlf=INPUT", 0),
    ("core.safecrlf=x", 128),
    ("core.safecrlf=warn", 0),
    ("core.checkStat=x", 128),
    ("core.checkStat=Minimal", 0),
    ("core.trustctime=x", 128),
    ("core.fileMode=x", 128),
    ("core.symlinks=x", 128),
    ("core.ignoreCase=x", 128),
    ("core.eol=x", 0),
    ("core.bare=x", 128),
    ("core.logAllRefUpdates=x", 128),
    ("core.logAllRefUpdates=ALWAYS", 0),
    ("core.abbrev=3", 128),
    ("core.abbrev=99999999999", 128),
    ("core.abbrev=2147483647", 0),
    ("core.compression=99", 128),
    ("core.looseCompression=-2", 128),
    ("core.looseCompression=-1", 0),
    ("core.deltaBaseCacheLimit=x", 128),
    ("core.maxTreeDepth=x", 128),
    ("core.preferSymlinkRefs=x", 128),
    ("core.protectNTFS=x", 128),
    ("core.quotePath=x", 128),
    ("core.preloadIndex=x", 128),
    ("core.abbrev=", 0),
    ("core.abbrev", 128),
    ("core.abbrev=x", 128),
    ("core.abbrev=auto", 0),
    ("core.abbrev=1k", 0),
    ("core.compression=99999999999", 128),
    ("core.compression", 128),
    ("core.looseCompression=99999999999", 128),
    ("core.maxTreeDepth=99999999999", 128),
    ("core.packedGitLimit=-1", 128),
    ("core.packedGitLimit=1g", 0),
    ("core.packedGitWindowSize=-1", 128),
    ("core.deltaBaseCacheLimit=-1", 128),
    ("core.bigFileThreshold=-1", 128),
    ("push.default=x", 128),
    ("push.default=Simple", 128),
    ("push.default=tracking", 0),
    ("push.default", 128),
];

#[test]
fn the_core_is_read_before_anything_is_done() {
    let sandbox = crate::sandbox();
    let twin = behind(&sandbox);
    let source = sandbox.path("served/project.git").display().to_string();
    for (number, (setting, status)) in CORE_SETTINGS.into_iter().enumerate() {
        let name = format!("new{number}");
        let run = twin.run("", &["-c", setting, "clone", "-q", &source, &name]);
        assert_eq!(run.status, status, "{run:?}");
        twin.run("", &["clone", "-q", "--config", setting, &source, &format!("{name}-config")]);
        for words in [
            &["fetch"][..],
            &["pull", "-q", "--ff-only"],
            &["push", "-q", "--dry-run"],
            &["pack-objects", "--stdout"],
            &["fetch-pack", "-q", &source, "refs/heads/main"],
        ] {
            twin.run("copy", &[&["-c", setting], words].concat());
        }
        twin.same_state("copy");
    }
    for setting in ["core.autocrlf=x", "push.default=x"] {
        twin.run("copy", &["-c", setting, "index-pack", "--stdin"]);
    }
}

#[test]
fn a_filter_makes_the_remote_a_promisor() {
    let sandbox = crate::sandbox();
    let twin = behind(&sandbox);
    let source = sandbox.path("served/project.git");
    sandbox.git(&source, &["config", "uploadpack.allowFilter", "true"]).success();
    twin.done("copy", &["fetch", "--filter=blob:none"]);
    twin.same("copy");
}

#[test]
fn a_locked_ref_is_told_and_the_others_move() {
    let sandbox = crate::sandbox();
    let twin = behind(&sandbox);
    let lock = |directory: &Path| {
        let refs = directory.join("copy/.git/refs/remotes/origin");
        std::fs::create_dir_all(&refs).unwrap();
        std::fs::write(refs.join("main.lock"), "").unwrap();
    };
    twin.prepare(lock);
    assert_eq!(twin.run("copy", &["fetch"]).status, 1);
}

/// A remote branch that a negative refspec leaves out is not ours to prune.
#[test]
fn prune_leaves_what_a_negative_refspec_protects() {
    let sandbox = crate::sandbox();
    let twin = behind(&sandbox);
    twin.prepare(|client| {
        let copy = client.join("copy");
        sandbox.git(&copy, &["update-ref", "refs/remotes/origin/gone", "HEAD"]).success();
        sandbox.git(&copy, &["update-ref", "refs/remotes/origin/kept", "HEAD"]).success();
        sandbox.git(&copy, &["config", "--add", "remote.origin.fetch", "^refs/heads/kept"]).success();
    });
    twin.run("copy", &["fetch", "--prune"]);
    twin.same("copy");
}

/// A symbolic ref stays one: what it names is moved.
#[test]
fn a_fetch_goes_through_a_symbolic_ref() {
    let sandbox = crate::sandbox();
    let twin = behind(&sandbox);
    twin.prepare(|client| {
        let copy = client.join("copy");
        sandbox.git(&copy, &["branch", "target", "HEAD"]).success();
        sandbox.git(&copy, &["symbolic-ref", "refs/heads/alias", "refs/heads/target"]).success();
    });
    twin.run("copy", &["fetch", "origin", "main:alias"]);
    for client in [&twin.ours, &twin.theirs] {
        let copy = client.join("copy");
        assert_eq!(sandbox.git(&copy, &["symbolic-ref", "refs/heads/alias"]).line(), "refs/heads/target");
        let tips = sandbox.git(&copy, &["rev-parse", "target", "origin/main"]).success();
        let tips: Vec<_> = tips.stdout.lines().collect();
        assert_eq!(tips.first(), tips.last());
    }
}

/// A ref of ours whose object is gone is fetched again, as nothing of it is here.
#[test]
fn a_ref_that_names_nothing_is_fetched_again() {
    let sandbox = crate::sandbox();
    let twin = behind(&sandbox);
    twin.prepare(|client| {
        let copy = client.join("copy");
        sandbox.git(&copy, &["fetch", "-q", "origin"]).success();
        let id = sandbox.git(&copy, &["rev-parse", "origin/main"]).line();
        let object = copy.join(".git/objects").join(&id[..2]).join(&id[2..]);
        std::fs::remove_file(object).unwrap();
    });
    let run = twin.gitr("copy", &["fetch", "-q", "origin"]);
    assert_eq!(run.status, 0, "{run:?}");
    sandbox.git(&twin.ours.join("copy"), &["fsck", "--full"]).success();
}

/// A shallow source does not cut the history we have.
#[test]
fn a_shallow_source_leaves_our_history_whole() {
    for version in ["0", "2"] {
        let sandbox = crate::sandbox();
        let twin = behind(&sandbox);
        let url = format!("file://{}", sandbox.path("served/project.git").display());
        let shallow = sandbox.path("shallow");
        sandbox.git(&sandbox.path(""), &["clone", "-q", "--depth", "2", &url, "shallow"]).success();
        sandbox.git(&shallow, &["commit", "-q", "--allow-empty", "-m", "more"]).success();
        let count =
            |client: &Path| sandbox.git(&client.join("copy"), &["rev-list", "--count", "main"]).line();
        let before = count(&twin.ours);
        let source = format!("file://{}", shallow.display());
        let version = format!("protocol.version={version}");
        let run =
            sandbox.gitr(&twin.ours.join("copy"), &["-c", &version, "fetch", &source, "main:fromshallow"]);
        assert_eq!(count(&twin.ours), before, "{run:?}");
        assert!(!twin.ours.join("copy/.git/shallow").exists(), "{run:?}");
        sandbox.git(&twin.ours.join("copy"), &["fsck", "--full"]).success();
    }
}

/// A pattern stores nothing in a symbolic ref of ours: the ref that it leads to would move. A name does, if it is forced.
#[test]
fn patterns_pass_symbolic_refs_over() {
    const ALL: &str = "+refs/heads/*:refs/remotes/origin/*";
    const ROWS: [&[&str]; 11] = [
        &["fetch"],
        &["fetch", "-v"],
        &["fetch", "--prune"],
        &["fetch", "--atomic"],
        &["fetch", "--tags"],
        &["fetch", "origin", ALL],
        &["fetch", "origin", "alias", "HEAD"],
        &["fetch", "origin", "+alias:refs/remotes/origin/alias"],
        &["fetch", "--refmap=+refs/heads/*:refs/remotes/origin/*", "origin", "alias", "main"],
        &["-c", "branch.main.merge=refs/heads/alias", "fetch"],
        &["remote", "show", "origin"],
    ];
    let sandbox = crate::sandbox();
    let twin = behind(&sandbox);
    let mut stream = Stream::new();
    stream.commit("alias", 200).file("other", "other\n");
    stream.branch("HEAD", "refs/heads/alias");
    stream.import(&sandbox, &sandbox.path("served/project.git"));
    twin.prepare(|client| {
        for (name, target) in [
            ("refs/remotes/origin/alias", "refs/remotes/origin/main"),
            ("refs/tags/newer", "refs/heads/main"),
        ] {
            sandbox.git(&client.join("copy"), &["symbolic-ref", name, target]).success();
        }
    });
    for (number, arguments) in ROWS.into_iter().enumerate() {
        let name = format!("copy{number}");
        twin.prepare(|client| drop(build::copy(&sandbox, &client.join("copy"), &client.join(&name))));
        twin.run(&name, arguments);
        twin.same_state(&name);
    }
}

/// git-rebase(1), `--update-refs`: the branches on the way move when all is done.
#[test]
fn a_branch_that_a_rebase_will_move_is_in_use() {
    let sandbox = crate::sandbox();
    let twin = behind(&sandbox);
    twin.prepare(|client| {
        let git = |arguments: &[&str]| sandbox.git(&client.join("copy"), arguments);
        git(&["checkout", "-q", "-b", "top"]).success();
        for name in ["low", "high"] {
            git(&["commit", "-q", "--allow-empty", "-m", name]).success();
            git(&["branch", name]).success();
        }
        git(&["commit", "-q", "--allow-empty", "-m", "top"]).success();
        assert_eq!(git(&["rebase", "-q", "--update-refs", "--exec", "false", "main"]).status, 1);
        git(&["worktree", "add", "-q", "../other", "main"]).success();
    });
    for branch in ["low", "high", "top", "main", "free"] {
        twin.run("copy", &["fetch", "origin", &format!("+fresh:{branch}")]);
        twin.run("other", &["fetch", "origin", &format!("+fresh:{branch}")]);
    }
    twin.same_state("copy");
}

/// git-receive-pack(1), "QUARANTINE ENVIRONMENT": what came may yet be refused, so that no ref may name it.
#[test]
fn no_ref_moves_inside_a_quarantine() {
    let sandbox = crate::sandbox();
    let twin = behind(&sandbox);
    let source = sandbox.path("served/project.git").display().to_string();
    let run = |place: &str, arguments: &[&str]| {
        let said = |program: &OsStr, client: &Path| {
            let mut command = sandbox.command(program);
            command.current_dir(client.join(place)).args(arguments).env("GIT_QUARANTINE_PATH", "somewhere");
            let run = Run::of(&mut command);
            (twin.anonymous(&run.stdout), twin.anonymous(&run.stderr), run.status)
        };
        let ours = said(&sandbox::gitr_program(), &twin.ours);
        assert_eq!(ours, said(Git::reference().program.as_os_str(), &twin.theirs));
    };
    for arguments in [
        &["fetch"][..],
        &["fetch", "-q", "--no-tags"],
        &["fetch", "origin", "main"],
        &["fetch", "origin", "main:mine"],
        &["fetch", "--dry-run"],
        &["pull", "-q", "origin", "fresh"],
        &["remote", "set-head", "origin", "--delete"],
    ] {
        run("copy", arguments);
        twin.same_state("copy");
    }
    for options in [&[][..], &["--bare"], &["--mirror"]] {
        run("", &[&["clone", "-q", &source, "never"], options].concat());
        assert!(!twin.ours.join("never").exists());
    }
}

/// A relative path begins at the top of the work tree, wherever in it a command runs.
#[test]
fn a_relative_path_begins_at_the_top() {
    let sandbox = crate::sandbox();
    let twin = behind(&sandbox);
    twin.prepare(|client| {
        let (copy, far) = (client.join("copy"), client.join("far.git"));
        let served = sandbox.path("served/project.git");
        sandbox.git(client, &["clone", "-q", "--bare", &served.display().to_string(), "far.git"]).success();
        sandbox.git(&copy, &["config", "remote.origin.url", "../far.git"]).success();
        sandbox.git(&far, &["branch", "more", "main"]).success();
        std::fs::create_dir_all(copy.join("below/it")).unwrap();
    });
    for words in [
        &["fetch"][..],
        &["fetch", "../far.git", "main"],
        &["fetch", "../../../far.git", "main"],
        &["push", "origin", "HEAD:one"],
        &["push", "../far.git", "HEAD:refs/heads/two"],
        &["ls-remote"],
        &["ls-remote", "../far.git"],
        &["pull", "--ff-only"],
        &["remote", "show", "origin"],
        &["remote", "update"],
        &["remote", "add", "-f", "other", "../far.git"],
        &["remote", "set-head", "other", "-a"],
        &["remote", "prune", "other"],
        &["fetch-pack", "../far.git", "main"],
        &["send-pack", "../far.git", "HEAD:refs/heads/three"],
        &["bundle", "create", "../new.bundle", "HEAD"],
        &["fetch", "below/new.bundle", "HEAD"],
        &["ls-remote", "below/new.bundle"],
    ] {
        twin.run("copy/below/it", words);
        twin.run("copy", &[&["-C", "below/it"], words].concat());
        // the fetches that git starts for these begin elsewhere then
        if words.first() != Some(&"remote") {
            twin.run("copy/below", &[&["--git-dir=../.git", "--work-tree=.."], words].concat());
        }
        twin.run("copy/.git", words);
    }
    twin.prepare(|client| {
        for bundle in ["copy/new.bundle", "copy/below/new.bundle"] {
            std::fs::remove_file(client.join(bundle)).unwrap();
        }
    });
    twin.same_state("copy");
    twin.same_state("far.git");
}
