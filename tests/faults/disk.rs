//! A disk that is full.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Case, Format, Git, Kind, Run, Sandbox, Stream, build, skipped, state};

/// A small file system in memory; the drop takes it away.
struct Disk<'a> {
    /// Whose environment the programs run in.
    sandbox: &'a Sandbox,
    /// Where it is mounted.
    path: PathBuf,
}

impl<'a> Disk<'a> {
    /// Mounts `size`, such as `1m`, at `name`; `None`, after saying so, where that is not allowed.
    fn mount(sandbox: &'a Sandbox, name: &str, size: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            skipped("only root mounts a small disk");
            return None;
        }
        let path = sandbox.path(name);
        fs::create_dir(&path).unwrap();
        let options = format!("size={size}");
        let run = Run::of(sandbox.command("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&path));
        if run.status != 0 {
            skipped(&format!("root may not mount a small disk here: {}", run.stderr));
            return None;
        }
        Some(Self { sandbox, path })
    }

    /// Every file on it.
    fn files(&self) -> Vec<PathBuf> {
        state::files(&self.path)
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let run = Run::of(self.sandbox.command("umount").arg(&self.path));
        assert!(run.status == 0 || std::thread::panicking(), "the small disk stays: {run:?}");
    }
}

/// Checks what a program said about the full disk.
#[track_caller]
fn assert_full(run: &Run) {
    assert_eq!(run.status, 128, "{run:?}");
    assert!(run.complains_of("No space left on device"), "{run:?}");
}

/// A served repository with more than two megabytes that do not compress.
fn large(case: &Case) -> String {
    let path = case.served("large.git");
    build::empty(&case.sandbox, &path, case.format);
    let mut stream = Stream::new();
    stream.commit("main", 0).file("noise", build::noise(2 << 20));
    stream.import(&case.sandbox, &path);
    case.url("large.git")
}

#[test]
fn a_clone_onto_a_full_disk_leaves_nothing() {
    for kind in [Kind::File, Kind::Daemon] {
        let case = Case::new(kind, Git::reference(), 2, Format::Sha1).unwrap();
        let url = large(&case);
        let Some(disk) = Disk::mount(&case.sandbox, "disk", "1m") else { return };
        let arguments = ["clone", "-q", &url, "copy"];
        for run in [case.sandbox.git(&disk.path, &arguments), case.sandbox.gitr(&disk.path, &arguments)] {
            assert_full(&run);
            assert_eq!(disk.files(), Vec::<PathBuf>::new(), "files were left by {run:?}");
            assert!(!disk.path.join("copy").exists(), "the half-made clone was left by {run:?}");
        }
    }
}

/// The pack fits, the work tree does not: the repository stays, as with C git, and the user is told.
#[test]
fn a_checkout_onto_a_full_disk_keeps_the_repository() {
    let case = Case::new(Kind::File, Git::reference(), 2, Format::Sha1).unwrap();
    let url = large(&case);
    let Some(disk) = Disk::mount(&case.sandbox, "disk", "3m") else { return };
    let clone = |run: fn(&Sandbox, &Path, &[&str]) -> Run, name| {
        let run = run(&case.sandbox, &disk.path, &["clone", "-q", &url, name]);
        let heads = case.sandbox.git(&disk.path.join(name), &["rev-parse", "HEAD"]);
        fs::remove_dir_all(disk.path.join(name)).unwrap();
        assert_eq!(run.status, 128, "{run:?}");
        assert!(run.complains_of("warning: Clone succeeded, but checkout failed."), "{run:?}");
        heads.success().line()
    };
    let theirs = clone(|sandbox, directory, arguments| sandbox.git(directory, arguments), "theirs");
    let ours = clone(|sandbox, directory, arguments| sandbox.gitr(directory, arguments), "ours");
    assert_eq!(ours, theirs);
}
