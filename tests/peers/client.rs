//! The clients: C git, `JGit`, dulwich and libgit2, each told the same in its own words.

use std::path::Path;
use std::process::Command;

use crate::support::servers::{dulwich, jgit};
use crate::support::{Git, Run, Sandbox};

/// What a client is asked to do in the bare repository at a path, which `Clone` and its kind make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Everything.
    Clone,
    /// The newest [`DEPTH`] commits of each branch.
    Shallow,
    /// Everything but the blobs.
    Filtered,
    /// What is new.
    Fetch,
    /// What is new in a shallow repository.
    FetchShallow,
    /// `main` to a branch that is not there yet.
    Push,
}

/// How deep shallow clones are.
pub const DEPTH: i32 = 3;
/// All branches by their own names.
const BRANCHES: &str = "+refs/heads/*:refs/heads/*";
/// What is pushed.
const PUSHED: &str = "refs/heads/main:refs/heads/pushed";

/// A client.
#[derive(Clone)]
pub enum Client {
    /// A C git.
    Git(Git),
    /// Debian's `JGit` 4.11, which knows neither `--depth` nor `--filter`.
    Jgit,
    /// dulwich with the Python that has it.
    Dulwich(&'static str),
    /// libgit2 in this process, built without ssh; it has no filters.
    Libgit2,
}

impl Client {
    pub fn can(&self, task: Task) -> bool {
        match task {
            Task::Filtered => matches!(self, Self::Git(_)),
            Task::Shallow | Task::FetchShallow => !matches!(self, Self::Jgit),
            Task::Clone | Task::Fetch | Task::Push => true,
        }
    }

    /// Does `task` in `place` with the server at `url`.
    ///
    /// # Panics
    /// If it cannot be done.
    #[track_caller]
    pub fn act(&self, sandbox: &Sandbox, task: Task, url: &str, place: &Path) {
        match self {
            Self::Git(git) => drop(Run::of(&mut of_git(sandbox, git, task, url, place)).success()),
            Self::Jgit => drop(Run::of(&mut of_jgit(sandbox, task, url, place)).success()),
            Self::Dulwich(python) => {
                let mut command = sandbox.command(python);
                command.args(["-c", DULWICH, &format!("{task:?}"), url]).arg(place).arg(DEPTH.to_string());
                Run::of(&mut command).success();
            }
            Self::Libgit2 => {
                let done = libgit2(task, url, place);
                done.unwrap_or_else(|error| panic!("libgit2: {task:?} of {url}: {error}"));
            }
        }
    }
}

fn of_git(sandbox: &Sandbox, git: &Git, task: Task, url: &str, place: &Path) -> Command {
    let mut command = sandbox.command(&git.program);
    let depth = format!("--depth={DEPTH}");
    let clone = ["clone", "-q", "--bare"];
    let words = match task {
        Task::Clone => [&clone[..], &[url]].concat(),
        Task::Shallow => [&clone[..], &[&depth, "--no-single-branch", url]].concat(),
        Task::Filtered => [&clone[..], &["--filter=blob:none", url]].concat(),
        Task::Fetch => vec!["fetch", "-q", url, BRANCHES],
        Task::FetchShallow => vec!["fetch", "-q", &depth, url, BRANCHES],
        Task::Push => vec!["push", "-q", url, PUSHED],
    };
    command.args(&words);
    if words[0] == "clone" {
        command.arg(place);
    } else {
        command.current_dir(place);
    }
    command
}

fn of_jgit(sandbox: &Sandbox, task: Task, url: &str, place: &Path) -> Command {
    let mut command = jgit::command(sandbox).unwrap();
    let directory = place.to_str().unwrap();
    match task {
        Task::Clone => command.args(["clone", "--bare", url, directory]),
        Task::Fetch => command.args(["--git-dir", directory, "fetch", url, BRANCHES]),
        Task::Push => command.args(["--git-dir", directory, "push", url, PUSHED]),
        Task::Shallow | Task::Filtered | Task::FetchShallow => panic!("JGit 4.11 has no {task:?}"),
    };
    command
}

/// A task, a URL, a path and a depth.
const DULWICH: &str = "import sys
from dulwich import porcelain
from dulwich.repo import Repo
task, url, place, depth = sys.argv[1:5]
if task in ('Clone', 'Shallow'):
    porcelain.clone(url, place, bare=True, depth=int(depth) if task == 'Shallow' else None)
elif task == 'Fetch':
    porcelain.fetch(place, url)
elif task == 'FetchShallow':
    porcelain.fetch(place, url, depth=int(depth))
elif task == 'Push':
    porcelain.push(place, url, [b'refs/heads/main:refs/heads/pushed'])
else:
    sys.exit('dulwich has no ' + task)
";

fn libgit2(task: Task, url: &str, place: &Path) -> Result<(), git2::Error> {
    let mut options = git2::FetchOptions::new();
    if matches!(task, Task::Shallow | Task::FetchShallow) {
        options.depth(DEPTH);
    }
    let repository = match task {
        Task::Clone | Task::Shallow => git2::Repository::init_bare(place)?,
        Task::Fetch | Task::FetchShallow | Task::Push => git2::Repository::open_bare(place)?,
        Task::Filtered => return Err(git2::Error::from_str("there are no filters")),
    };
    let mut remote = repository.remote_anonymous(url)?;
    if task == Task::Push {
        return remote.push(&[PUSHED], None);
    }
    remote.fetch(&[BRANCHES, "+refs/tags/*:refs/tags/*"], Some(&mut options), None)
}

/// dulwich, if it is here.
pub fn dulwich() -> Option<Client> {
    dulwich::python().map(Client::Dulwich)
}

/// `JGit`, if it is here.
pub fn jgit(sandbox: &Sandbox) -> Option<Client> {
    jgit::command(sandbox).map(|_| Client::Jgit)
}
