//! C git: every version that this machine has.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// One installed C git.
#[derive(Debug, Clone)]
pub struct Git {
    /// The `git` program.
    pub program: PathBuf,
    /// Where it keeps `git-upload-pack` and `git-http-backend`.
    pub exec_path: PathBuf,
    /// Its version, such as `2.47.3`.
    pub version: String,
}

impl Git {
    /// The git that gitr is compared with: the first in `PATH`.
    pub fn reference() -> &'static Self {
        Self::all().first().expect("the tests need C git in PATH")
    }

    /// Each version once, the first in `PATH` first.
    pub fn all() -> &'static [Self] {
        static ALL: OnceLock<Vec<Git>> = OnceLock::new();
        ALL.get_or_init(|| {
            let mut all: Vec<Self> = Vec::new();
            for directory in super::program_directories() {
                let Some(git) = Self::at(directory.join("git")) else { continue };
                if all.iter().all(|known| known.version != git.version) {
                    all.push(git);
                }
            }
            all
        })
    }

    /// Asks the program at `program` who it is.
    fn at(program: PathBuf) -> Option<Self> {
        if !super::is_executable(&program) {
            return None;
        }
        let ask = |argument| {
            let output = Command::new(&program).arg(argument).output().ok()?;
            String::from_utf8(output.stdout).ok().map(|text| text.trim().to_owned())
        };
        let version = ask("--version")?.strip_prefix("git version ")?.to_owned();
        let exec_path = PathBuf::from(ask("--exec-path")?);
        Some(Self { program, exec_path, version })
    }

    /// The first two numbers of the version, for what depends on it.
    pub fn at_least(&self, major: u32, minor: u32) -> bool {
        let mut numbers = self.version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (major, minor)
    }
}
