//! Where git's own programs are, which need not be in `PATH`: `git-upload-pack`, remote helpers.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use bstr::ByteSlice;

use super::child::Surroundings;
use super::{Options, Settings};

/// Names a program that serves a repository of this machine where no git is installed: it is called with the name of the
/// service, such as `upload-pack`, and the path. The command names itself.
pub const OWN_PROGRAM: &str = "GITR_PROGRAM";

/// Looks for programs as git does: in `PATH`, in `GIT_EXEC_PATH` and where the `git` in `PATH` keeps its own.
#[derive(Debug)]
pub(super) struct Programs {
    directory: Option<PathBuf>,
    /// `PATH`.
    search_path: Option<OsString>,
    /// `GIT_EXEC_PATH`.
    exec_path: Option<OsString>,
    /// [`OWN_PROGRAM`].
    own: Option<OsString>,
}

/// Where a program is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// In `PATH`.
    Reachable,
    /// In a directory that has to come into `PATH` first.
    Directory(PathBuf),
    /// Nowhere, but `git` may know it: `git upload-pack`.
    Subcommand,
}

impl Programs {
    pub(super) fn new(settings: &dyn Settings, options: &Options) -> Self {
        Self {
            directory: options.directory.clone(),
            search_path: settings.env("PATH"),
            exec_path: settings.env("GIT_EXEC_PATH"),
            own: settings.env(OWN_PROGRAM).filter(|program| !program.is_empty()),
        }
    }

    /// The program that serves repositories where git has none.
    pub(super) fn own(&self) -> Option<&OsStr> {
        self.own.as_deref()
    }

    /// Where the program `name` is; `None` if there is not even a `git` to ask.
    pub(super) fn find(&self, name: &str, surroundings: &Surroundings) -> Option<Place> {
        if self.is_in_path(name) {
            return Some(Place::Reachable);
        }
        let has_program = |directory: &PathBuf| is_program(&directory.join(name));
        let named = self.exec_path.as_ref().map(PathBuf::from).filter(has_program);
        if let Some(directory) = named.or_else(|| ask_git(surroundings).filter(has_program)) {
            return Some(Place::Directory(directory));
        }
        self.is_in_path("git").then_some(Place::Subcommand)
    }

    /// `PATH` with `directory` in front.
    pub(super) fn path_with(&self, directory: PathBuf) -> OsString {
        let search_path = self.search_path.as_deref();
        let others = search_path.map(std::env::split_paths).into_iter().flatten();
        // A directory whose name holds the separator cannot be in PATH at all.
        std::env::join_paths(std::iter::once(directory).chain(others))
            .unwrap_or_else(|_| search_path.unwrap_or(OsStr::new("")).to_owned())
    }

    fn is_in_path(&self, program: &str) -> bool {
        let here = self.directory.as_deref().unwrap_or(Path::new("."));
        which::which_in(program, self.search_path.as_ref(), here).is_ok()
    }
}

/// `git --exec-path`.
fn ask_git(surroundings: &Surroundings) -> Option<PathBuf> {
    let mut command = surroundings.command("git".into());
    let output = command.arg("--exec-path").stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let directory = output.stdout.trim_end().to_path_lossy().into_owned();
    (output.status.success() && directory.is_absolute()).then_some(directory)
}

fn is_program(path: &Path) -> bool {
    path.is_file() || (cfg!(windows) && path.with_extension("exe").is_file())
}
