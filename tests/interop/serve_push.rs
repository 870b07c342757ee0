//! `gitr receive-pack` serves pushes of C git's clients: what they see, and what is in the repository afterwards, is what
//! there would be with C git's.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use bstr::ByteSlice;

use crate::serve_pair::Pair;
use crate::support::{Format, Git, Run, Sandbox, Stream, build, sandbox};

#[test]
fn pushes_do_what_c_git_does() {
    for client in Git::all() {
        let pushed = Pair::bare(client, Format::Sha1);
        pushed.configure("core.logAllRefUpdates", "true");
        pushed.grow(12..20);
        pushed.same(&["main", "main:refs/heads/new/one", "v1.0:refs/tags/other"]);
        pushed.same(&["main"]);
        pushed.grow(20..140);
        pushed.same(&["-q", "main"]);
        pushed.same(&[":new/one", ":refs/tags/other"]);
        pushed.same(&["main~3:main"]);
        pushed.same(&["+main~3:main"]);
        pushed.same(&["--atomic", "main", "main:refs/heads/new/two"]);
        pushed.same(&["main:refs/heads/new"]);
        pushed.same(&["--atomic", "main:refs/heads/three", "main:refs/heads/new"]);
        pushed.same(&[":main"]);
        pushed.same(&["main:refs/heads/a", "--push-option=x"]);
    }
}

#[test]
fn pushes_of_sha256_are_those_of_c_git() {
    let pushed = Pair::bare(Git::reference(), Format::Sha256);
    pushed.grow(12..20);
    pushed.same(&["main", "main:refs/heads/new", ":topic"]);
}

/// A commit whose author has no address: with few objects, and with many.
#[test]
fn objects_against_the_rules_are_refused() {
    let pushed = Pair::bare(Git::reference(), Format::Sha1);
    pushed.configure("receive.fsckObjects", "true");
    let work = pushed.sandbox.path("work.git");
    let tree = pushed.sandbox.git(&work, &["rev-parse", "main^{tree}"]).success().line();
    let text = format!("tree {tree}\nauthor A 1700000000 +0000\ncommitter A <a@x> 1700000000 +0000\n\nbad\n");
    fs::write(pushed.sandbox.path("bad"), text).unwrap();
    let file = pushed.sandbox.path("bad").display().to_string();
    let bad = pushed.sandbox.git(&work, &["hash-object", "-t", "commit", "-w", "--literally", &file]);
    pushed.sandbox.git(&work, &["update-ref", "refs/heads/bad", &bad.success().line()]).success();
    let run = pushed.same(&["bad"]);
    assert!(run.complains_of("missingEmail"), "{run:?}");
    pushed.same(&["main"]);
    pushed.configure("receive.unpackLimit", "1");
    pushed.same(&["bad", "main:refs/heads/new"]);
}

/// `receive.fsck.*` with words that mean nothing: at once, once there is something to check, or not at all.
#[test]
fn rules_that_make_no_sense_are_told_of_as_c_git_tells_them() {
    let pushed = Pair::bare(Git::reference(), Format::Sha1);
    pushed.grow(12..14);
    for checks in ["true", "false"] {
        pushed.configure("receive.fsckObjects", checks);
        for (number, (key, value)) in [
            ("missingEmail", "warn"),
            ("noSuchMessage", "ignore"),
            ("missingEmail", "IGNORE"),
            ("largePathname", "warn:x"),
            ("unterminatedHeader", "ignore"),
            ("skipList", "/nonexistent"),
        ]
        .into_iter()
        .enumerate()
        {
            let key = format!("receive.fsck.{key}");
            pushed.configure(&key, value);
            pushed.same(&[&format!("main:refs/heads/{checks}/{number}")]);
            pushed.prepare(|sandbox, place| drop(sandbox.git(place, &["config", "--unset", &key]).success()));
        }
    }
}

/// The option that C git's own tests have for thin packs.
#[test]
fn a_thin_pack_is_refused_where_none_is_welcome() {
    let pushed = Pair::bare(Git::reference(), Format::Sha1);
    let work = pushed.sandbox.path("work.git");
    let gitr = sandbox::gitr_program();
    let program = format!("--receive-pack='{}' receive-pack --reject-thin-pack-for-testing", gitr.display());
    let url = format!("file://{}", pushed.sandbox.path("ours.git").display());
    let mut text = (0..3000).map(|line: u32| line.to_string() + "\n").collect::<Vec<_>>().concat();
    for (number, option, is_welcome) in
        [(30, "--no-thin", true), (31, "--thin", false), (31, "--no-thin", true)]
    {
        if is_welcome == (number == 30) {
            text.push_str("one more\n");
            let mut stream = Stream::onto("main");
            stream.commit("main", number).file("thin.txt", text.clone());
            stream.import(&pushed.sandbox, &work);
        }
        let run = pushed.sandbox.git(&work, &["push", &program, option, &url, "main"]);
        assert_eq!(run.status == 0, is_welcome, "{option}: {run:?}");
    }
}

#[test]
fn the_configuration_refuses_what_it_refuses_in_c_git() {
    let pushed = Pair::bare(Git::reference(), Format::Sha1);
    pushed.configure("receive.denyDeletes", "true");
    pushed.same(&[":topic"]);
    pushed.configure("receive.denyNonFastForwards", "true");
    pushed.same(&["+main~2:main"]);
    pushed.configure("receive.hideRefs", "refs/heads/topic");
    pushed.same(&["main:refs/heads/topic", "main:refs/heads/x"]);
    pushed.configure("receive.advertiseAtomic", "false");
    pushed.same(&["--atomic", "main:refs/heads/y"]);
    pushed.configure("receive.advertisePushOptions", "true");
    pushed.same(&["-o", "one", "main:refs/heads/z"]);
    pushed.prepare(|sandbox, place| {
        drop(sandbox.git(place, &["symbolic-ref", "refs/heads/alias", "refs/heads/main"]).success());
    });
    pushed.grow(12..13);
    pushed.same(&["main:refs/heads/alias"]);
    pushed.configure("receive.unpackLimit", "1");
    pushed.grow(13..15);
    pushed.same(&["main"]);
    pushed.configure("core.bare", "false");
    pushed.prepare(|sandbox, place| drop(sandbox.git(place, &["config", "core.worktree", ".."]).success()));
    pushed.grow(15..16);
    pushed.same(&["main"]);
    for value in ["refuse", "warn"] {
        pushed.configure("receive.denyCurrentBranch", value);
        pushed.same(&["main"]);
    }
}

#[test]
fn hooks_are_asked_and_told_as_c_git_asks_them() {
    let pushed = Pair::bare(Git::reference(), Format::Sha1);
    pushed.configure("receive.advertisePushOptions", "true");
    let told = "cat; pwd | sed s/theirs/ours/; env | grep ^GIT_PUSH | sort; echo \"$GIT_DIR $#: $*\"";
    pushed
        .hook("pre-receive", &format!("echo before; test -n \"$GIT_QUARANTINE_PATH\" && echo waits; {told}"));
    pushed.hook("update", "echo \"update $1\" >&2; test $1 != refs/heads/bad");
    pushed
        .hook("post-receive", &format!("echo after; test -z \"$GIT_QUARANTINE_PATH\" || echo waits; {told}"));
    pushed.hook("post-update", "echo \"last: $*\"");
    pushed.grow(12..14);
    pushed.same(&["-o", "a=1", "-o", "b", "main", "main:refs/heads/bad", "main:refs/heads/good"]);
    pushed.same(&["--atomic", "main:refs/heads/bad", "main:refs/heads/better"]);
    pushed.hook("pre-receive", "echo no; exit 1");
    pushed.grow(14..16);
    pushed.same(&["main", "main:refs/heads/more"]);
}

/// Others may repack while the refs have not moved yet.
#[test]
fn what_has_come_is_kept_until_refs_lead_to_it() {
    let pushed = Pair::bare(Git::reference(), Format::Sha1);
    let list = "ls objects/pack | sed 's/-[0-9a-f]*//' | sort -u";
    pushed.hook("pre-receive", list);
    pushed.hook("update", &format!("{list}; git repack -adq"));
    pushed.hook("post-receive", list);
    pushed.configure("receive.unpackLimit", "1");
    pushed.grow(12..14);
    let run = pushed.same(&["main", "main:refs/heads/new"]);
    assert!(run.complains_of("pack.keep"), "{run:?}");
    pushed.configure("receive.unpackLimit", "1000");
    pushed.grow(14..16);
    pushed.same(&["--atomic", "main", "main:refs/heads/new"]);
}

/// Whoever pushes hears of it, and other refs are not held up.
#[test]
fn a_hook_that_cannot_be_started_declines() {
    let pushed = Pair::bare(Git::reference(), Format::Sha1);
    pushed.configure("receive.procReceiveRefs", "refs/for");
    pushed.grow(12..14);
    for (number, name) in
        ["pre-receive", "update", "proc-receive", "post-receive", "post-update"].into_iter().enumerate()
    {
        pushed.prepare(|_, place| {
            let hook = place.join("hooks").join(name);
            fs::create_dir_all(place.join("hooks")).unwrap();
            fs::write(&hook, "#!/no/such/program\n").unwrap();
            fs::set_permissions(hook, fs::Permissions::from_mode(0o755)).unwrap();
        });
        for words in [&[][..], &["--atomic"]] {
            let refs = [format!("main:refs/heads/{number}/{}", words.len()), "main:refs/for/main".into()];
            let run = pushed.same(&[words, &refs.each_ref().map(String::as_str)].concat());
            let text = format!("cannot exec 'hooks/{name}': No such file or directory");
            // where the commands for `proc-receive` fail, an atomic push ends
            let is_run = words.is_empty() || ["pre-receive", "proc-receive"].contains(&name);
            assert_eq!(run.complains_of(&text), is_run, "{run:?}");
        }
        pushed.prepare(|_, place| fs::remove_file(place.join("hooks").join(name)).unwrap());
    }
}

#[test]
fn a_repository_may_have_a_name_that_separates_others() {
    let sandbox = Sandbox::new();
    build::project(&sandbox, &sandbox.path("work.git"), Format::Sha1, 12);
    let program = format!("--receive-pack='{}' receive-pack", sandbox::gitr_program().display());
    for name in ["one:two.git", "\"quoted\\\".git"] {
        let place = sandbox.path(name);
        build::project(&sandbox, &place, Format::Sha1, 6);
        let url = format!("file://{}", place.display());
        for branch in ["main~2", "main"] {
            let refspec = format!("{branch}:refs/heads/new");
            sandbox.git(&sandbox.path("work.git"), &["push", &program, &url, &refspec]).success();
        }
        sandbox.git(&place, &["fsck", "--strict"]).success();
    }
}

/// A hook in a few lines of shell: it takes all that it is told, and answers with the lines of the file `answer`.
const PROC_RECEIVE: &str = r#"
take() { while n=$(head -c 4) && test "$n" != 0000; do head -c $((0x$n - 4)) | tr '\0' ' ' | sed 's/^/told: /' >&2; echo >&2; done; }
say() { printf '%04x%s' $((${#1} + 4)) "$1"; }
take
printf '001aversion=1\0push-options0000'
take
grep -q options hooks/answer && take
while read -r line; do case $line in options) ;; exit*) ${line};; *) say "$line";; esac; done <hooks/answer
printf 0000"#;

/// What the `proc-receive` hook says, and what becomes of it.
#[test]
fn the_proc_receive_hook_does_what_it_does_for_c_git() {
    let pushed = Pair::bare(Git::reference(), Format::Sha1);
    pushed.configure("receive.advertisePushOptions", "true");
    pushed.configure("receive.procReceiveRefs", "refs/for");
    pushed.hook("pre-receive", "sed 's/^/before: /'");
    pushed.hook("update", "echo \"update $1\"");
    pushed.hook("post-receive", "sed 's/^/after: /'");
    pushed.hook("post-update", "echo \"last: $*\"");
    pushed.grow(12..14);
    // without the hook
    pushed.same(&["main:refs/for/main", "main:refs/heads/a"]);
    pushed.same(&["--atomic", "main:refs/for/main", "main:refs/heads/b"]);
    pushed.hook("proc-receive", PROC_RECEIVE);
    let id = "1".repeat(40);
    for (answer, words) in [
        ("ok refs/for/main", &[][..]),
        ("options\nok refs/for/main", &["-o", "one", "-o", "two"][..]),
        ("ng refs/for/main not today", &[]),
        ("ng refs/for/main", &["--atomic"]),
        ("ng refs/for/main a\nok refs/for/main\noption refname refs/x", &[]),
        ("ok refs/for/main\noption refname refs/changes/1\noption forced-update", &[]),
        (
            &format!(
                "ok refs/for/main\noption refname refs/a\noption new-oid {id}\nok refs/for/main\noption old-oid {id}"
            ),
            &[],
        ),
        ("ok refs/for/main\noption fall-through", &[]),
        ("ok refs/for/other\nok refs/heads/new\noption refname a", &[]),
        ("option refname a\noption refname b\nok refs/for/main\noption zork 1", &[]),
        ("ok\nxx refs/for/main", &[]),
        ("ok refs/for/main\nexit 3", &[]),
        ("ok refs/for/main\nexit 3", &["--atomic"]),
        ("exit 3", &[]),
        ("exit 3", &["--atomic"]),
        ("ok refs/heads/main\nzork\nok nosuch\nok refs/for/main", &[]),
        ("ok refs/heads/main\nzork\nok nosuch\nok refs/for/main", &["--atomic"]),
        ("ok refs/for/main\nzork", &["--atomic"]),
    ] {
        pushed.prepare(|_, place| fs::write(place.join("hooks/answer"), format!("{answer}\n")).unwrap());
        let words = words.iter().copied().chain(["main:refs/for/main", "main:refs/heads/new"]);
        pushed.same(&words.collect::<Vec<_>>());
        pushed.prepare(|sandbox, place| {
            drop(sandbox.git(place, &["update-ref", "-d", "refs/heads/new"]).success());
        });
    }
}

/// Hooks that do not speak as they should.
#[test]
fn a_proc_receive_hook_that_fails_is_told_of_as_c_git_tells_it() {
    let pushed = Pair::bare(Git::reference(), Format::Sha1);
    pushed.configure("receive.procReceiveRefs", "refs/for");
    pushed.grow(12..14);
    for script in ["head -c 18 >/dev/null; printf '000dversion=20000'", "head -c 18 >/dev/null"] {
        pushed.hook("proc-receive", script);
        pushed.same(&["main:refs/for/main", "main:refs/heads/a"]);
        pushed.same(&["--atomic", "main:refs/for/main", "main:refs/heads/b"]);
        pushed.prepare(|sandbox, place| {
            drop(sandbox.git(place, &["update-ref", "-d", "refs/heads/a"]).success());
        });
    }
}

/// Which commands are for the hook.
#[test]
fn the_proc_receive_hook_gets_the_commands_that_c_git_gives_it() {
    let pushed = Pair::bare(Git::reference(), Format::Sha1);
    pushed.hook("proc-receive", PROC_RECEIVE);
    pushed.prepare(|_, place| fs::write(place.join("hooks/answer"), "exit 1\n").unwrap());
    pushed.grow(12..14);
    for value in [
        "a:refs/heads",
        "m:refs/heads/",
        "d:refs/heads",
        "am!:refs/heads/main",
        "!:refs/tags",
        "refs/heads/ne",
    ] {
        pushed.configure("receive.procReceiveRefs", value);
        pushed.same(&["main", "main:refs/heads/new", ":topic"]);
        pushed.prepare(|sandbox, place| {
            drop(sandbox.git(place, &["update-ref", "refs/heads/topic", "v1.0^{}"]).success());
            drop(sandbox.git(place, &["update-ref", "refs/heads/main", "main~1"]).success());
            drop(sandbox.git(place, &["update-ref", "-d", "refs/heads/new"]).success());
        });
    }
}

/// `receive.updateServerInfo`.
#[test]
fn the_files_for_dumb_clients_are_written_after_a_push() {
    let pushed = Pair::bare(Git::reference(), Format::Sha1);
    pushed.configure("receive.updateServerInfo", "true");
    pushed.configure("receive.unpackLimit", "1");
    pushed.grow(12..14);
    pushed.same(&["main", "main:refs/heads/new", "v1.0:refs/tags/again"]);
    let [theirs, ours] = pushed.places().map(|place| fs::read_to_string(place.join("info/refs")).unwrap());
    assert_eq!(ours, theirs);
    for place in pushed.places() {
        let packs = fs::read_dir(place.join("objects/pack")).unwrap().filter_map(|entry| {
            let path = entry.unwrap().path();
            let is_pack = path.extension().is_some_and(|extension| extension == "pack");
            is_pack.then(|| format!("P {}\n", path.file_name().unwrap().display()))
        });
        let written = fs::read_to_string(place.join("objects/info/packs")).unwrap();
        assert_eq!(written, format!("{}\n", packs.collect::<String>()));
    }
}

/// What a repository that borrows from another says that the other has.
#[test]
fn tips_of_those_who_lend_objects_are_told_as_the_configuration_wants() {
    let sandbox = Sandbox::new();
    let (lender, borrower) = (sandbox.path("lender.git"), sandbox.path("borrower.git"));
    build::project(&sandbox, &lender, Format::Sha1, 6);
    sandbox.git(&sandbox.path(""), &["clone", "-q", "--bare", "-s", "lender.git", "borrower.git"]).success();
    for (name, commit) in [("public/a", "main~1"), ("public/b", "main~2"), ("private/c", "main~3")] {
        sandbox.git(&lender, &["update-ref", &format!("refs/heads/{name}"), commit]).success();
    }
    let script = "#!/bin/sh\ngit --git-dir=\"$1\" for-each-ref --format='%(objectname)' refs/heads/public\n\
        printf '%s\\n' \"$@\" \"${GIT_DIR-none}\" >>said\n";
    fs::write(borrower.join("tell"), script).unwrap();
    fs::set_permissions(borrower.join("tell"), fs::Permissions::from_mode(0o755)).unwrap();
    let told = |program: &std::ffi::OsStr| {
        let mut command = sandbox.command(program);
        command.current_dir(sandbox.path("")).args(["receive-pack", "borrower.git"]);
        let run = Run::with_input(&mut command, b"0000").success();
        let text = run.stdout.to_str_lossy();
        let tips = text.lines().filter(|line| line.ends_with(" .have")).map(str::to_owned);
        let mut tips: Vec<String> = tips.collect();
        tips.sort_unstable();
        (tips, fs::read_to_string(borrower.join("said")).unwrap_or_default())
    };
    for (settings, many) in [
        (&[][..], 3),
        (&[("core.alternateRefsPrefixes", "refs/heads/private")], 1),
        (&[("core.alternateRefsPrefixes", "refs/heads/private refs/heads/public/")], 3),
        (&[("core.alternateRefsCommand", "./tell")], 2),
        (&[("core.alternateRefsCommand", "./tell"), ("core.alternateRefsPrefixes", "refs/heads/private")], 2),
        (&[("core.alternateRefsCommand", "false")], 0),
        (&[("core.alternateRefsCommand", "echo nonsense; ./tell")], 0),
        (&[("core.alternateRefsCommand", "git --git-dir=\"$1\" rev-parse main~3; exit 3; :")], 1),
    ] {
        for key in ["core.alternateRefsCommand", "core.alternateRefsPrefixes"] {
            sandbox.git(&borrower, &["config", "--unset-all", key]);
        }
        for (key, value) in settings {
            sandbox.git(&borrower, &["config", key, value]).success();
        }
        let [theirs, ours] =
            [Git::reference().program.as_os_str(), &sandbox::gitr_program()].map(|program| {
                fs::remove_file(borrower.join("said")).ok();
                told(program)
            });
        assert_eq!(ours, theirs, "{settings:?}");
        assert_eq!(ours.0.len(), many, "{settings:?}: {ours:?}");
    }
}
