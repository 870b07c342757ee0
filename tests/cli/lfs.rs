//! Git LFS, whose filter process fetches what it is asked for, beside C git. git-lfs(1); the objects come by its own agent for
//! `file://`, so that no server is needed.

use super::filter::{clone, commit, pull};
use super::support::{Run, Sandbox, find_program, missing, state};

/// A repository with two files of LFS in `served/source`, if there is a git-lfs.
fn sandbox() -> Option<Sandbox> {
    if find_program("git-lfs").is_none() {
        missing("git-lfs");
        return None;
    }
    let sandbox = Sandbox::new();
    let home = sandbox.path("home");
    sandbox.git(&home, &["lfs", "install", "--skip-repo"]).success();
    let large = "large\n".repeat(50_000);
    commit(
        &sandbox,
        &[
            (".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n"),
            ("d/small.bin", "small\n"),
            ("empty.bin", ""),
            ("large.bin", &large),
            ("text", "text\n"),
        ],
    );
    Some(sandbox)
}

/// What stands in the file of the work tree of both.
fn content(run: &(super::support::Twin<'_>, Run), path: &str) -> String {
    std::fs::read_to_string(run.0.ours.join("copy").join(path)).unwrap()
}

#[test]
fn files_of_lfs_are_cloned_and_pulled() {
    let Some(sandbox) = sandbox() else { return };
    let cloned = clone(&sandbox, &[], &[]);
    assert_eq!(content(&cloned, "d/small.bin"), "small\n");
    assert_eq!(content(&cloned, "large.bin").len(), 300_000);
    let objects = |client: &std::path::Path| {
        let lfs = client.join("copy/.git/lfs/objects");
        let files = state::files(&lfs);
        files.iter().map(|file| file.strip_prefix(&lfs).unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(objects(&cloned.0.ours), objects(&cloned.0.theirs));
    assert_eq!(objects(&cloned.0.ours).len(), 2);

    commit(&sandbox, &[("d/small.bin", "changed\n"), ("new.bin", "new\n"), ("text", "changed\n")]);
    assert_eq!(pull(&cloned.0, &[]).status, 0);
    assert_eq!(content(&cloned, "d/small.bin"), "changed\n");
    assert_eq!(content(&cloned, "new.bin"), "new\n");
}

#[test]
fn files_of_lfs_may_stay_away() {
    let Some(mut sandbox) = sandbox() else { return };
    let cloned = clone(&sandbox, &[], &["--no-checkout"]);
    assert!(!cloned.0.ours.join("copy/text").exists());
    sandbox.set("GIT_LFS_SKIP_SMUDGE", "1");
    let cloned = clone(&sandbox, &[], &[]);
    assert!(content(&cloned, "large.bin").starts_with("version https://git-lfs.github.com/spec/v1\n"));
    commit(&sandbox, &[("d/small.bin", "changed\n")]);
    assert_eq!(pull(&cloned.0, &[]).status, 0);
    assert!(content(&cloned, "d/small.bin").starts_with("version "));
}

/// The filter of LFS is required: without its objects there is no checkout.
#[test]
fn files_of_lfs_that_are_lost_end_the_checkout() {
    let Some(sandbox) = sandbox() else { return };
    std::fs::remove_dir_all(sandbox.path("served/source/.git/lfs/objects")).unwrap();
    let twin = super::support::Twin::new(&sandbox, 2, Vec::new());
    let arguments = ["clone", "-q", "../served/source", "copy"];
    let (theirs, ours) = (twin.git("", &arguments), twin.gitr("", &arguments));
    assert_eq!((theirs.status, ours.status), (128, 128), "{ours:?}\n== git\n{theirs:?}");
    let last =
        |run: &Run| run.stderr.to_string().lines().rev().take(5).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(last(&ours), last(&theirs));
    twin.same_state("copy");
}

/// In a submodule, which is cloned and filtered as its superproject, and by a process of its own.
#[test]
fn files_of_lfs_come_in_submodules_too() {
    let Some(sandbox) = sandbox() else { return };
    let top = sandbox.path("served/top");
    sandbox.git(&sandbox.path(""), &["init", "-q", "served/top"]).success();
    let allowed = ["-c", "protocol.file.allow=always"];
    let url = format!("file://{}", sandbox.path("served/source").display());
    sandbox.git(&top, &[&allowed[..], &["submodule", "--quiet", "add", &url, "sub"]].concat()).success();
    sandbox.git(&top, &["commit", "-q", "-m", "x"]).success();
    let top = format!("file://{}", top.display());
    for filter in [&[][..], &["--filter=blob:none", "--also-filter-submodules"]] {
        let twin = super::support::Twin::new(&sandbox, 2, Vec::new());
        let clone = [&allowed[..], &["clone", "--recurse-submodules"], filter, &[&top, "copy"]].concat();
        twin.done("", &clone);
        twin.same_state("copy");
        twin.same_state("copy/sub");
        let large = std::fs::read_to_string(twin.ours.join("copy/sub/large.bin")).unwrap();
        assert_eq!(large.len(), 300_000);
    }
}
