//! A file system that folds case: NTFS in a file, by a program in user space.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::{Run, Sandbox, Twin, find_program, missing, skipped};

/// The program that mounts. ntfs-3g(8): with `ignore_case` names that differ in case alone are one.
const PROGRAM: &str = "lowntfs-3g";
/// Bytes of the file system, none of which is written before it is needed.
const SIZE_BYTES: u64 = 64 << 20;

/// A mounted file system; its drop takes it away.
pub struct Folding {
    /// Where it is mounted.
    pub path: PathBuf,
}

impl Folding {
    /// Mounts one in the sandbox; `None`, after saying so, where that cannot be done.
    pub fn mount(sandbox: &Sandbox) -> Option<Self> {
        let (Some(program), Some(make)) = (find_program(PROGRAM), find_program("mkntfs")) else {
            missing(PROGRAM);
            return None;
        };
        let (image, path) = (sandbox.path("image"), sandbox.path("folding"));
        let file = fs::File::create(&image).expect("the sandbox can be written");
        file.set_len(SIZE_BYTES).expect("the file can be made longer");
        fs::create_dir(&path).expect("the sandbox can be written");
        Run::of(sandbox.command(make).args(["-F", "-Q", "-q"]).arg(&image)).success();
        let mounted = Run::of(sandbox.command(program).args(["-o", "ignore_case"]).arg(&image).arg(&path));
        if mounted.status != 0 {
            skipped(&format!("no file system can be mounted here: {}", mounted.stderr));
            return None;
        }
        Some(Self { path })
    }

    /// Two clients on it.
    pub fn twin<'a>(&self, sandbox: &'a Sandbox) -> Twin<'a> {
        let mut twin = Twin::new(sandbox, 2, Vec::new());
        (twin.ours, twin.theirs) = (self.path.join("ours"), self.path.join("them"));
        twin.prepare(|client| {
            fs::remove_dir_all(client).ok();
            fs::create_dir(client).expect("the file system can be written");
        });
        twin
    }
}

impl Drop for Folding {
    fn drop(&mut self) {
        // what is still open there goes on until it is closed
        let _ended = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}
