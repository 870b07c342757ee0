//! A directory of its own and an environment in which nothing of the machine's git configuration shows through.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use bstr::{BString, ByteSlice};

use super::{Git, Run};

/// The configuration of the user in the sandbox, which the servers started in it read as well: C git 2.35 and later
/// takes `safe.directory` and what the far side of `file://` allows from here alone.
const CONFIGURATION: &str = "[init]\n\tdefaultBranch = main\n[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n\
    [safe]\n\tdirectory = *\n[uploadpack]\n\tallowFilter = true\n\tallowAnySHA1InWant = true\n";

/// A temporary directory, removed at the end, and a hermetic environment for every program run in it.
pub struct Sandbox {
    /// The directory itself; its drop removes it.
    directory: tempfile::TempDir,
    /// Its path without symbolic links, as programs print it.
    root: PathBuf,
    /// Variables beyond the fixed ones.
    environment: BTreeMap<OsString, OsString>,
}

impl Sandbox {
    /// Makes an empty sandbox.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let root = directory.path().canonicalize().expect("it exists");
        // A server that gave up its rights has to reach what it serves.
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).expect("it is ours");
        let sandbox = Self { directory, root, environment: BTreeMap::new() };
        for name in ["home", "temporary", "served"] {
            fs::create_dir(sandbox.path(name)).expect("it is empty");
        }
        fs::write(sandbox.path("home/.gitconfig"), CONFIGURATION).expect("it can be written");
        sandbox
    }

    /// The path of `name` in the sandbox.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.join(name)
    }

    /// Sets a variable for every program run from now on.
    pub fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        self.environment.insert(name.into(), value.into());
    }

    /// Runs gitr in `directory`.
    pub fn gitr<S: AsRef<OsStr>>(&self, directory: &Path, arguments: &[S]) -> Run {
        Run::of(self.command(gitr_program()).current_dir(directory).args(arguments))
    }

    /// Runs the reference git in `directory`.
    pub fn git<S: AsRef<OsStr>>(&self, directory: &Path, arguments: &[S]) -> Run {
        self.git_of(Git::reference(), directory, arguments)
    }

    /// Runs another version of git in `directory`.
    pub fn git_of<S: AsRef<OsStr>>(&self, git: &Git, directory: &Path, arguments: &[S]) -> Run {
        Run::of(self.command(&git.program).current_dir(directory).args(arguments))
    }

    /// `program` in the hermetic environment.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(self.variables()).current_dir(&self.root);
        command
    }

    /// The hermetic environment.
    pub fn variables(&self) -> BTreeMap<OsString, OsString> {
        let mut variables: BTreeMap<OsString, OsString> = [
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_TEMPLATE_DIR", ""),
            ("GIT_AUTHOR_NAME", "A U Thor"),
            ("GIT_AUTHOR_EMAIL", "author@example.com"),
            ("GIT_AUTHOR_DATE", "1112911993 -0700"),
            ("GIT_COMMITTER_NAME", "C O Mitter"),
            ("GIT_COMMITTER_EMAIL", "committer@example.com"),
            ("GIT_COMMITTER_DATE", "1112911993 -0700"),
            ("LC_ALL", "C"),
            ("TZ", "UTC"),
        ]
        .map(|(name, value)| (name.into(), value.into()))
        .into();
        variables.insert("PATH".into(), super::variable("PATH").unwrap_or_default());
        variables.insert("HOME".into(), self.path("home").into());
        variables.insert("TMPDIR".into(), self.path("temporary").into());
        variables.extend(self.environment.clone());
        variables
    }

    /// `output` with the sandbox's path replaced, so that it can be compared with a fixed text.
    pub fn normalise(&self, output: &[u8]) -> BString {
        output.replace(self.root.as_os_str().as_encoded_bytes(), "<sandbox>").into()
    }
}

/// What is tested: the `gitr` that cargo built or, to try the tests themselves, the program that
/// `GITR_TEST_PROGRAM` names (C git passes them all).
pub fn gitr_program() -> OsString {
    super::variable("GITR_TEST_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_gitr").into())
}
