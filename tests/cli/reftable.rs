//! Repositories whose refs are in a reftable, beside C git's. What is in them is told by C git.

use std::fs;
use std::path::Path;

use bstr::ByteSlice;

use crate::reference_hook::install;
use crate::support::{Format, Git, Sandbox, Twin, build, script, skipped, state};

/// Whether C git knows of reftables; else says that it does not.
fn is_known() -> bool {
    let is_known = Git::reference().at_least(2, 45);
    if !is_known {
        skipped("C git knows no reftable before 2.45");
    }
    is_known
}

/// Two clients with a clone of the project each, in `copy`, with a reftable.
fn clones(sandbox: &Sandbox) -> Twin<'_> {
    let twin = Twin::new(sandbox, 2, Vec::new());
    let source = sandbox.path("served/project.git").display().to_string();
    for directory in [&twin.ours, &twin.theirs] {
        sandbox.git(directory, &["clone", "-q", "--ref-format=reftable", &source, "copy"]).success();
    }
    twin
}

#[track_caller]
fn play(text: &str) {
    if is_known() {
        let sandbox = crate::sandbox();
        script::play(&sandbox, &clones(&sandbox), text);
    }
}

/// How many tables the repository has whose tables are in `directory`.
fn table_count(directory: &Path) -> usize {
    fs::read_to_string(directory.join("tables.list")).unwrap().lines().count()
}

#[test]
fn a_clone_gets_a_reftable() {
    if !is_known() {
        return;
    }
    let sandbox = crate::sandbox();
    let source = sandbox.path("served/project.git").display().to_string();
    for options in [
        &["--ref-format=reftable"][..],
        &["--ref-format=reftable", "--bare"],
        &["--ref-format=reftable", "--mirror"],
        &["--ref-format=reftable", "--no-checkout", "--no-tags"],
        &["--ref-format=reftable", "--depth=2", "--no-local"],
        &["--ref-format=reftable", "--separate-git-dir=elsewhere"],
        &["--ref-format=reftable", "-b", "topic", "--single-branch"],
        &["--ref-format=reftable", "-c", "core.logAllRefUpdates=always"],
        &["--ref-format=reftable", "--ref-format=files"],
        &["--ref-format=nosuch"],
    ] {
        let twin = Twin::new(&sandbox, 2, Vec::new());
        let arguments = [&["clone"], options, &[&source, "copy"]].concat();
        if twin.run("", &arguments).status == 0 {
            twin.same_state("copy");
            sandbox.git(&twin.ours.join("copy"), &["fsck"]).success();
        }
    }
    let twin = Twin::new(&sandbox, 2, Vec::new());
    twin.done("", &["-c", "init.defaultRefFormat=reftable", "clone", &source, "copy"]);
    twin.same("copy");
    let mut sandbox = crate::sandbox();
    sandbox.set("GIT_DEFAULT_REF_FORMAT", "reftable");
    let twin = Twin::new(&sandbox, 2, Vec::new());
    twin.done("", &["clone", &source, "copy"]);
    twin.same("copy");
}

/// A server may list refs that cannot be there together.
#[test]
fn refs_in_each_others_way_are_not_cloned() {
    if !is_known() {
        return;
    }
    let sandbox = crate::sandbox();
    let source = sandbox.path("served/project.git");
    let id = sandbox.git(&source, &["rev-parse", "main"]).line();
    let packed =
        format!("# pack-refs with: peeled fully-peeled sorted \n{id} refs/heads/a\n{id} refs/heads/a/b\n");
    fs::write(source.join("packed-refs"), packed).unwrap();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    let url = format!("file://{}", source.display());
    let run = twin.run("", &["clone", "--bare", "--ref-format=reftable", &url, "copy.git"]);
    assert_eq!(run.status, 128);
    assert!(!twin.ours.join("copy.git").exists());
}

#[test]
fn an_empty_repository_and_one_of_sha256_are_cloned() {
    if !is_known() {
        return;
    }
    let sandbox = crate::sandbox();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    sandbox.git(&sandbox.path("served"), &["init", "-q", "--bare", "-b", "trunk", "empty.git"]).success();
    build::project(&sandbox, &sandbox.path("served/wide.git"), Format::Sha256, 5);
    for (name, copy) in [("empty.git", "copy"), ("wide.git", "wide")] {
        let source = sandbox.path("served").join(name).display().to_string();
        twin.done("", &["clone", "--ref-format=reftable", &source, copy]);
        twin.same(copy);
    }
}

#[test]
fn refs_and_reflogs_follow_a_fetch() {
    play(
        "@ branch new main~1
         @ update-ref refs/heads/topic main
         @ tag light main
         = fetch
         @ branch -D new
         @ branch new/below main
         = fetch
         = fetch --prune
         = fetch --prune --tags --force
         = fetch origin main:refs/heads/copied topic:refs/heads/copied2
         = fetch origin +main~3:refs/heads/copied
         = fetch origin main:refs/heads/copied/below
         = fetch origin main:refs/heads
         = fetch origin main:main
         = fetch --set-upstream origin topic
         = fetch --atomic origin main:refs/heads/one topic:refs/heads/two
         = fetch --append --porcelain origin main",
    );
}

#[test]
fn pulls_and_pushes_move_refs() {
    play(
        "! reset -q --hard HEAD~2
         = pull
         ! clone -q --bare . ../far.git
         ! remote set-url origin ../far.git
         ! commit -q --allow-empty -m mine
         = push origin HEAD:refs/heads/up
         = push origin :refs/heads/up
         ! tag mine
         = push --tags origin
         ! branch another
         = push -u origin another
         = push --atomic origin main another:refs/heads/another/below",
    );
}

#[test]
fn remotes_are_renamed_and_removed_with_their_reflogs() {
    play(
        "= remote rename origin up
         = remote rename up up/below
         = remote set-head up/below topic
         = remote set-head up/below -d
         @ branch -D topic
         = remote prune up/below
         = remote add other .
         = fetch other
         = remote rm other
         = remote rm up/below",
    );
}

#[test]
fn a_linked_work_tree_has_tables_of_its_own() {
    play(
        "! worktree add -q ../linked
         = -C ../linked fetch origin main:linked
         = -C ../linked fetch origin main:main
         = fetch origin main:linked
         ! -C ../linked reset -q --hard HEAD~3
         = -C ../linked pull origin main
         = -C ../linked fetch origin main:refs/worktree/own main:refs/heads/shared
         = -C ../linked fetch origin main:refs/bisect/x
         ! -C ../linked for-each-ref",
    );
}

#[test]
fn the_hook_hears_of_tables_as_of_files() {
    if !is_known() {
        return;
    }
    let sandbox = crate::sandbox();
    let twin = clones(&sandbox);
    twin.prepare(|client| {
        let text = "#!/bin/sh\nheard=$(git rev-parse --absolute-git-dir)/heard\n\
                    echo \"$1\" >>$heard\ncat >>$heard\n! grep -q refused $heard\n";
        install(&client.join("copy/.git/hooks"), text);
    });
    script::act(
        &sandbox,
        &twin,
        "@ branch new main~1
         = fetch
         @ branch -D new
         = fetch --prune
         = fetch origin main:refused",
    );
    let heard = |client: &Path| fs::read(client.join("copy/.git/heard")).unwrap();
    assert_eq!(heard(&twin.ours).as_bstr(), heard(&twin.theirs).as_bstr());
    twin.same_state("copy");
}

#[test]
fn a_hundred_fetches_leave_few_tables() {
    if !is_known() {
        return;
    }
    let sandbox = crate::sandbox();
    let twin = clones(&sandbox);
    let source = sandbox.path("served/project.git");
    for number in 0..40 {
        sandbox.git(&source, &["branch", &format!("b{number}"), "main"]).success();
        twin.gitr("copy", &["fetch", "-q"]).success();
    }
    let tables = twin.ours.join("copy/.git/reftable");
    assert!(table_count(&tables) < 8, "{} tables", table_count(&tables));
    state::assert_sound(&sandbox, &twin.ours.join("copy"));
}

#[test]
fn thousands_of_refs_with_other_sizes_of_blocks() {
    if !is_known() {
        return;
    }
    let sandbox = crate::sandbox();
    build::many_refs(&sandbox, &sandbox.path("served/many.git"), Format::Sha1, 5_000);
    let source = sandbox.path("served/many.git").display().to_string();
    for settings in [&[][..], &["-c", "reftable.blockSize=512"], &["-c", "reftable.restartInterval=3"]] {
        let twin = Twin::new(&sandbox, 2, Vec::new());
        twin.done("", &[settings, &["clone", "--mirror", "--ref-format=reftable", &source, "copy"]].concat());
        twin.same("copy");
        twin.done("copy", &[settings, &["fetch"]].concat());
    }
}

#[test]
fn who_writes_at_the_same_time_waits_or_is_told() {
    if !is_known() {
        return;
    }
    let sandbox = crate::sandbox();
    let twin = clones(&sandbox);
    twin.prepare(|client| fs::write(client.join("copy/.git/reftable/tables.list.lock"), "").unwrap());
    let arguments = ["fetch", "origin", "main:refs/heads/new"];
    let (ours, theirs) = (twin.gitr("copy", &arguments), twin.git("copy", &arguments));
    assert_eq!(ours.status, theirs.status);
    // git leaves it at that; where the lock is helps to find who holds it
    assert!(theirs.stderr.contains_str("error: cannot lock references\n"), "{theirs:?}");
    assert!(ours.stderr.contains_str("error: cannot lock references: Unable to create"), "{ours:?}");
    twin.prepare(|client| fs::remove_file(client.join("copy/.git/reftable/tables.list.lock")).unwrap());
    std::thread::scope(|scope| {
        for number in 0..8 {
            let (sandbox, copy) = (&sandbox, twin.ours.join("copy"));
            scope.spawn(move || {
                for round in 0..5 {
                    let refspec = format!("main:refs/heads/by{number}/{round}");
                    let patient = ["-c", "reftable.lockTimeout=-1"];
                    if number % 2 == 0 {
                        let arguments = ["fetch", "-q", "--no-write-fetch-head", "origin", &refspec];
                        sandbox.gitr(&copy, &[&patient[..], &arguments].concat()).success();
                    } else {
                        let name = refspec.trim_start_matches("main:").to_owned();
                        sandbox
                            .git(&copy, &[&patient[..], &["update-ref", &name, "main"]].concat())
                            .success();
                    }
                }
            });
        }
    });
    let refs = sandbox.git(&twin.ours.join("copy"), &["for-each-ref"]).success().stdout;
    assert_eq!(refs.lines().filter(|line| line.contains_str("refs/heads/by")).count(), 40);
    state::assert_sound(&sandbox, &twin.ours.join("copy"));
}

#[test]
fn a_broken_table_is_named() {
    if !is_known() {
        return;
    }
    let sandbox = crate::sandbox();
    let twin = clones(&sandbox);
    let tables = twin.ours.join("copy/.git/reftable");
    let list = fs::read_to_string(tables.join("tables.list")).unwrap();
    let table = tables.join(list.lines().next().unwrap());
    fs::write(&table, "REFT").unwrap();
    let run = twin.gitr("copy", &["fetch"]);
    assert_eq!(run.status, 128);
    assert!(run.stderr.contains_str("is broken: it is too short"), "{run:?}");
}

#[test]
fn a_repository_with_a_reftable_is_served_and_borrowed_from() {
    if !is_known() {
        return;
    }
    let sandbox = crate::sandbox();
    let twin = clones(&sandbox);
    let source = twin.theirs.join("copy").display().to_string();
    twin.done("", &["clone", &source, "files"]);
    twin.same("files");
    twin.done("", &["clone", "--reference", &source, "--ref-format=reftable", &source, "borrowed"]);
    twin.same("borrowed");
    assert_eq!(twin.run("", &["ls-remote", &source]).status, 0);
}
