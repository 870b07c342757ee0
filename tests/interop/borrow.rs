//! Clones that borrow objects from other repositories of this machine. git-clone(1), `--shared`, `--reference`,
//! `--dissociate`.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::support::{Case, Format, Kind, Sandbox, Stream, Twin, build, state};

/// A sandbox whose `served/` has a project, an older copy of it, a shallow one and a work tree of another.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let served = sandbox.path("served");
    build::project(&sandbox, &served.join("old.git"), Format::Sha1, 20);
    sandbox.git(&served, &["clone", "-q", "--mirror", "old.git", "project.git"]).success();
    let mut stream = Stream::onto("main");
    stream.history(20..30).import(&sandbox, &served.join("project.git"));
    let url = format!("file://{}", served.join("old.git").display());
    sandbox.git(&served, &["clone", "-q", "--bare", "--depth=2", &url, "shallow.git"]).success();
    sandbox.git(&served, &["clone", "-q", "--separate-git-dir=separate", "old.git", "linked"]).success();
    sandbox.git(&served.join("old.git"), &["worktree", "add", "-q", "../tree", "topic"]).success();
    sandbox
}

/// Both clone into `copy` with `options`, and get the same.
#[track_caller]
fn clone(twin: &Twin<'_>, options: &[&str], url: &str) {
    for client in [&twin.ours, &twin.theirs] {
        fs::remove_dir_all(client.join("copy")).ok();
    }
    let run = twin.run("", &[&["clone"][..], options, &[url, "copy"]].concat());
    if run.status == 0 {
        twin.same_objects("copy");
    } else {
        assert!(!twin.ours.join("copy").exists(), "{run:?}");
    }
}

#[test]
fn what_is_borrowed_is_not_copied() {
    let sandbox = sandbox();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    let path = |name: &str| sandbox.path("served").join(name).display().to_string();
    let url = format!("file://{}", path("project.git"));
    let (old, project, missing) = (path("old.git"), path("project.git"), path("none.git"));
    for (options, url) in [
        (vec!["--shared"], project.as_str()),
        (vec!["-s"], &url),
        (vec!["--shared", "--reference", &old], &project),
        (vec!["--reference", &old], &project),
        (vec!["--reference", &old], &url),
        (vec!["--reference", &project, "--reference", &old, "--reference", &project], &url),
        (vec!["--reference", &path("linked")], &url),
        (vec!["--reference", &missing], &url),
        (vec!["--reference-if-able", &missing, "--reference", &old], &url),
        (vec!["--reference", &path("shallow.git")], &url),
        (vec!["--reference", &path("tree")], &url),
        (vec!["--reference", &old, "--depth=3"], &url),
        (vec!["--local"], &url),
        (vec!["--local"], &path("shallow.git")),
        (vec!["--shared"], &path("shallow.git")),
        (vec!["--shared"], &path("tree")),
        (vec!["--local"], &path("tree")),
    ] {
        clone(&twin, &options, url);
    }
}

#[test]
fn what_was_borrowed_is_paid_back() {
    let sandbox = sandbox();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    let path = |name: &str| sandbox.path("served").join(name).display().to_string();
    let url = format!("file://{}", path("project.git"));
    sandbox
        .git(&sandbox.path("served"), &["clone", "-q", "-s", "--bare", "project.git", "debtor.git"])
        .success();
    for (options, url) in [
        (vec!["--dissociate", "--reference", &path("old.git")], url.as_str()),
        (vec!["--dissociate", "--shared"], &path("project.git")),
        (vec!["--dissociate"], &path("debtor.git")),
        (vec!["--dissociate", "--reference", &path("old.git"), "--depth=3"], &url),
        (vec!["--dissociate", "--reference", &path("old.git")], &indexed(&sandbox)),
    ] {
        clone(&twin, &options, url);
        assert!(!twin.ours.join("copy/.git/objects/info/alternates").exists());
        assert!(twin.ours.join("copy/.git/objects/pack").read_dir().unwrap().count() <= 3);
    }
}

/// A repository with two packs that one index and one bitmap are for.
fn indexed(sandbox: &Sandbox) -> String {
    let served = sandbox.path("served");
    sandbox.git(&served, &["clone", "-q", "--mirror", "--no-local", "old.git", "indexed.git"]).success();
    let repo = served.join("indexed.git");
    Stream::onto("main").history(20..30).import(sandbox, &repo);
    sandbox.git(&repo, &["repack", "-dq"]).success();
    sandbox.git(&repo, &["multi-pack-index", "write", "--bitmap"]).success();
    repo.display().to_string()
}

#[test]
fn a_pack_that_is_kept_stays() {
    let sandbox = sandbox();
    let repo = indexed(&sandbox);
    let packs = |directory: PathBuf| {
        let entries = fs::read_dir(directory.join("objects/pack")).unwrap().flatten();
        let paths = entries.map(|entry| entry.path());
        let mut packs: Vec<_> =
            paths.filter(|path| path.extension().is_some_and(|end| end == "pack")).collect();
        packs.sort();
        packs
    };
    let kept = packs(PathBuf::from(&repo)).remove(0);
    fs::write(kept.with_extension("keep"), "").unwrap();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    let lender = sandbox.path("served/old.git").display().to_string();
    twin.done("", &["clone", "-q", "--dissociate", "--reference", &lender, &repo, "copy"]);
    twin.same_state("copy");
    for client in [&twin.ours, &twin.theirs] {
        let packs = packs(client.join("copy/.git"));
        assert!(packs.iter().any(|pack| pack.file_name() == kept.file_name()), "{packs:?}");
        assert_eq!(packs.len(), 2);
        sandbox.git(&client.join("copy"), &["fsck", "--full"]).success();
    }
}

#[test]
fn what_a_filter_left_out_is_not_paid_back() {
    let sandbox = sandbox();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    let url = format!("file://{}", sandbox.path("served/project.git").display());
    let lender = sandbox.path("served/old.git").display().to_string();
    for options in [
        &["--filter=blob:none"][..],
        &["--filter=blob:none", "--no-checkout"],
        &["--filter=tree:0", "--bare"],
    ] {
        for client in [&twin.ours, &twin.theirs] {
            fs::remove_dir_all(client.join("copy")).ok();
        }
        twin.done(
            "",
            &[&["clone", "-q", "--dissociate", "--reference", &lender], options, &[&url, "copy"]].concat(),
        );
        twin.same_state("copy");
        sandbox.git(&twin.ours.join("copy"), &["fsck", "--full"]).success();
        let files = state::files(&twin.ours.join("copy"));
        let ends = |end: &str| {
            files.iter().filter(|file| file.extension().is_some_and(|found| found == end)).count()
        };
        // what was borrowed may refer to what is missing as well: C git keeps both apart, and loses some of it
        assert!(ends("pack") > 0 && ends("promisor") == ends("pack"), "{options:?}: {files:?}");
    }
}

#[test]
fn a_lender_may_have_any_name() {
    let sandbox = sandbox();
    let served = sandbox.path("served");
    let lender = served.join(OsStr::from_bytes(b"l\xff.git"));
    fs::rename(served.join("old.git"), &lender).unwrap();
    build::borrower(&sandbox, &served.join("debtor.git"), &served.join("project.git"), Format::Sha1);
    let alternates = [lender.join("objects").as_os_str().as_bytes(), b"\n"].concat();
    let file = served.join("debtor.git/objects/info/alternates");
    fs::write(&file, [fs::read(&file).unwrap(), alternates].concat()).unwrap();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    for options in [&[][..], &["--no-hardlinks"], &["--dissociate"]] {
        clone(&twin, options, &served.join("debtor.git").display().to_string());
    }
}

/// C git complains of each pack, and goes on.
#[test]
fn a_lender_with_other_ids_lends_nothing() {
    let sandbox = sandbox();
    let other = sandbox.path("served/other.git");
    build::project(&sandbox, &other, Format::Sha256, 4);
    let twin = Twin::new(&sandbox, 2, Vec::new());
    let url = format!("file://{}", sandbox.path("served/project.git").display());
    for (packing, name) in [("loose", "loose"), ("repack", "packed")] {
        if packing == "repack" {
            sandbox.git(&other, &["repack", "-adq"]).success();
        }
        let words = ["clone", "-q", "--reference", &other.display().to_string(), &url, name];
        let (ours, theirs) = (twin.gitr("", &words), twin.git("", &words));
        assert_eq!((ours.status, theirs.status), (0, 0), "{ours:?} {theirs:?}");
        assert_eq!(ours.stderr, "");
        let (ours, theirs) = (twin.gitr(name, &["fetch", "-q"]), twin.git(name, &["fetch", "-q"]));
        assert_eq!((ours.status, theirs.status), (0, 0), "{ours:?} {theirs:?}");
        for client in [&twin.ours, &twin.theirs] {
            fs::remove_file(client.join(name).join(".git/objects/info/alternates")).unwrap();
        }
        twin.same_objects(name);
    }
}

/// What a repository borrows is not asked for again.
fn fetch_with_alternates(case: &Case) {
    let served = |name: &str| case.served(name);
    build::project(&case.sandbox, &served("project.git"), case.format, 20);
    case.refresh("project.git");
    case.sandbox
        .git(&case.sandbox.path("served"), &["clone", "-q", "--mirror", "project.git", "lender.git"])
        .success();
    let twin = case.twin();
    twin.prepare(|client| {
        build::empty(&case.sandbox, &client.join("copy"), case.format);
        let objects = served("lender.git").join("objects");
        fs::write(client.join("copy/objects/info/alternates"), format!("{}\n", objects.display())).unwrap();
    });
    let url = case.url("project.git");
    twin.done("copy", &["fetch", &url, "refs/heads/*:refs/heads/far/*"]);
    twin.same_objects("copy");
    let mut stream = Stream::onto("main");
    stream.history(20..24).import(&case.sandbox, &served("project.git"));
    case.refresh("project.git");
    twin.done("copy", &["fetch", &url, "refs/heads/*:refs/heads/far/*"]);
    twin.same_objects("copy");
}

#[test]
fn a_fetch_counts_what_is_borrowed() {
    crate::once(Kind::Daemon, fetch_with_alternates);
}

/// Makes `served/circle.git`, which borrows from itself and from `old.git`, which borrows from it, and `served/far.git`, from
/// which a chain leads there.
fn circles(sandbox: &Sandbox) {
    let served = sandbox.path("served");
    sandbox.git(&served.join("old.git"), &["repack", "-adq"]).success();
    for (name, lender) in [("circle.git", "old.git"), ("near.git", "circle.git"), ("far.git", "near.git")] {
        sandbox.git(&served, &["clone", "-q", "--shared", "--bare", lender, name]).success();
    }
    Stream::onto("main").history(30..34).import(sandbox, &served.join("circle.git"));
    let lenders = [
        ("circle.git", vec!["circle.git", "old.git"]),
        ("old.git", vec!["circle.git"]),
        ("near.git", vec!["circle.git", "near.git"]),
        ("far.git", vec!["near.git"]),
    ];
    for (name, lenders) in lenders {
        let lines = lenders.iter().map(|lender| format!("../../{lender}/objects\n"));
        fs::write(served.join(name).join("objects/info/alternates"), lines.collect::<String>()).unwrap();
    }
}

#[test]
fn who_borrows_from_each_other_is_read_all_the_same() {
    let sandbox = sandbox();
    circles(&sandbox);
    let twin = Twin::new(&sandbox, 2, Vec::new());
    let path = |name: &str| sandbox.path("served").join(name).display().to_string();
    for name in ["circle.git", "old.git", "far.git"] {
        let url = format!("file://{}", path(name));
        clone(&twin, &["-q"], &url);
        clone(&twin, &["-q"], &path(name));
        clone(&twin, &["-q", "--shared"], &path(name));
        clone(&twin, &["-q", "--reference", &path(name)], &format!("file://{}", path("project.git")));
        twin.run("", &["ls-remote", &url]);
    }
    // who is in a circle itself fetches, and pushes what is loose, in a pack, and named by a few digits
    twin.prepare(|client| {
        for name in ["ring.git", "target.git"] {
            build::empty(&sandbox, &client.join(name), Format::Sha1);
        }
        let lenders = format!("../../ring.git/objects\n{}/objects\n", path("far.git"));
        fs::write(client.join("ring.git/objects/info/alternates"), lenders).unwrap();
    });
    let head = sandbox.git(&sandbox.path("served/circle.git"), &["rev-parse", "main"]).line();
    let old = sandbox.git(&sandbox.path("served/old.git"), &["rev-parse", "main"]).line();
    twin.done("ring.git", &["fetch", "-q", &path("project.git"), "refs/heads/*:refs/heads/*"]);
    let refspecs =
        ["main", &format!("{}:refs/heads/loose", &head[..12]), &format!("{}:refs/heads/old", &old[..12])];
    twin.done("ring.git", &[&["push", "-q", "../target.git"][..], &refspecs].concat());
    for name in ["ring.git", "target.git"] {
        twin.same_objects(name);
    }
}

#[test]
fn a_broken_ref_is_not_cloned() {
    let sandbox = sandbox();
    fs::write(sandbox.path("served/project.git/refs/heads/broken"), "a\n").unwrap();
    let twin = Twin::new(&sandbox, 2, Vec::new());
    let url = sandbox.path("served/project.git").display().to_string();
    // C git says `done.` first: it has copied the objects by then.
    for run in [twin.gitr("", &["clone", &url, "copy"]), twin.git("", &["clone", &url, "copy"])] {
        assert_eq!(run.status, 128, "{run:?}");
        assert!(run.complains_of("'refs/remotes/origin/broken' has neither a valid OID nor a target"));
    }
    assert!(!twin.ours.join("copy").exists());
}
