//! The programs that are measured: gitr, each C git of another version that `PATH` has, and gix where it is installed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::git::hermetic;
use super::target;

/// One of the programs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Program {
    Gitr,
    /// The C git that a shell finds first.
    Git,
    /// Another C git, by its place among [`gits`].
    OtherGit(usize),
    /// gitoxide's command, which knows some of the tasks.
    Gix,
}

impl Program {
    /// What is run.
    pub(super) fn path(self) -> PathBuf {
        let found = |at: usize| gits().get(at).map_or_else(|| "git".into(), |(path, _)| path.clone());
        match self {
            Self::Gitr => target().join("release/gitr"),
            Self::Git => found(0),
            Self::OtherGit(at) => found(at),
            Self::Gix => "gix".into(),
        }
    }

    /// What it is called in tables.
    pub(super) fn name(self) -> String {
        let version = |at: usize| gits().get(at).map_or_else(|| "git".into(), |(_, version)| version.clone());
        match self {
            Self::Gitr => "gitr".into(),
            Self::Git => version(0),
            Self::OtherGit(at) => version(at),
            Self::Gix => "gix".into(),
        }
    }
}

/// What gitr is compared with in everything: each C git.
pub(super) fn c_gits() -> Vec<Program> {
    (0..gits().len()).map(|at| if at == 0 { Program::Git } else { Program::OtherGit(at) }).collect()
}

/// As [`c_gits`], with gix where it is installed, for what it can do.
pub(super) fn all() -> Vec<Program> {
    let mut programs = c_gits();
    programs.extend(version(Path::new("gix")).map(|_| Program::Gix));
    programs
}

/// Each C git in `PATH`, with what it says of its version, those of a version that another has left out.
fn gits() -> &'static [(PathBuf, String)] {
    static GITS: OnceLock<Vec<(PathBuf, String)>> = OnceLock::new();
    GITS.get_or_init(|| {
        let directories = super::variable("PATH").unwrap_or_default();
        let mut found: Vec<(PathBuf, String)> = Vec::new();
        for path in std::env::split_paths(&directories).map(|directory| directory.join("git")) {
            let Some(version) = version(&path) else { continue };
            let name = version.replace("git version ", "git ");
            if !found.iter().any(|(_, known)| *known == name) {
                found.push((path, name));
            }
        }
        found
    })
}

/// What the program at `path` says of its version; `None` if it cannot be run.
fn version(path: &Path) -> Option<String> {
    let output = hermetic(&mut Command::new(path)).arg("--version").output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| said.trim_end().to_owned())
}
