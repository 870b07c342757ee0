//! Finding and opening the repository.

use std::path::{Path, PathBuf};

use bstr::{BString, ByteSlice};

use super::config::{Dirs, Override, to_path};
use super::hook::Hooks;
use super::{Config, Environment, Error, Repository, format, owner};

/// The largest `.git` file that is read, in bytes.
const GIT_FILE_BYTES_MAX: u64 = 1 << 20;

/// What decides which repository is meant.
#[derive(Debug, Clone, Default)]
pub struct Discovery {
    /// Where the search begins: the current directory after `-C`.
    pub start: PathBuf,
    /// `--git-dir`, which overrides `GIT_DIR`.
    pub git_dir: Option<PathBuf>,
    /// `--work-tree`, which overrides `GIT_WORK_TREE` and `core.worktree`.
    pub work_tree: Option<PathBuf>,
    /// `--bare`.
    pub bare: bool,
    /// `-c` values.
    pub overrides: Vec<Override>,
}

/// A git directory that was found on the way up.
struct Found {
    git_dir: PathBuf,
    /// The `.git` file that named it.
    git_file: Option<PathBuf>,
    /// The directory that has the `.git`; `None` where the search met the git directory itself.
    top: Option<PathBuf>,
}

impl Repository {
    /// Finds the repository above `discovery.start` (or that of `GIT_DIR`) and opens it, with git's rules for
    /// ownership (`safe.directory`, `safe.bareRepository`), `.git` files, `commondir`, ceilings and file systems.
    pub fn discover(discovery: &Discovery, env: &Environment) -> Result<Self, Error> {
        let failed = |source| Error::Io { action: "unable to get", path: discovery.start.clone(), source };
        let start = std::path::absolute(&discovery.start).map_err(failed)?;
        let work_tree = discovery.work_tree.clone().or_else(|| env.path("GIT_WORK_TREE"));
        let work_tree = work_tree.map(|dir| start.join(dir));
        let bare_here = discovery.bare.then(|| start.clone());
        if let Some(named) = discovery.git_dir.clone().or_else(|| env.path("GIT_DIR")).or(bare_here) {
            let git_dir = named_git_dir(&start.join(&named), &named)?;
            let implicit = (!discovery.bare).then_some(start.as_path());
            return open(&git_dir, work_tree.as_deref(), implicit, &discovery.overrides, env);
        }
        let found = search(&start, env)?;
        let config = || Config::load(env, &discovery.overrides, None);
        let shown = found.top.as_deref().unwrap_or(&found.git_dir);
        let paths = [found.git_file.as_deref(), found.top.as_deref(), Some(&found.git_dir)];
        owner::check(&paths.into_iter().flatten().collect::<Vec<_>>(), shown, config, env)?;
        if found.top.is_none() && !is_implicitly_safe(&found.git_dir) {
            let explicit =
                config()?.protected("safe.bareRepository").pop().is_some_and(|value| value == "explicit");
            if explicit {
                return Err(Error::Refused(format!(
                    "cannot use bare repository '{}' (safe.bareRepository is 'explicit')",
                    found.git_dir.display()
                )));
            }
        }
        open(&found.git_dir, work_tree.as_deref(), found.top.as_deref(), &discovery.overrides, env)
    }

    /// Opens the repository whose git directory is `git_dir`, as `GIT_DIR` names one: whoever owns it. Without
    /// `work_tree`, `GIT_WORK_TREE`, `core.worktree` and the place of a directory called `.git` decide.
    pub fn open(
        git_dir: &Path,
        work_tree: Option<&Path>,
        overrides: &[Override],
        env: &Environment,
    ) -> Result<Self, Error> {
        let failed = |source| Error::Io { action: "unable to get", path: git_dir.to_owned(), source };
        let absolute = std::path::absolute(git_dir).map_err(failed)?;
        let git_dir = named_git_dir(&absolute, git_dir)?;
        let work_tree = work_tree.map(Path::to_owned).or_else(|| env.path("GIT_WORK_TREE"));
        let parent = absolute.parent().filter(|_| absolute.file_name().is_some_and(|name| name == ".git"));
        open(&git_dir, work_tree.as_deref(), parent, overrides, env)
    }

    /// Refuses a repository of another's as git's server programs do, which name `git_dir` in the text: neither its
    /// hooks nor its configuration must run here. `safe.directory` of the user and `SUDO_UID` lift the ban.
    pub fn check_owner(git_dir: &Path, overrides: &[Override], env: &Environment) -> Result<(), Error> {
        owner::check(&[git_dir], git_dir, || Config::load(env, overrides, None), env)
    }
}

/// The git directory that a local path given as a URL means: `<path>/.git` (also a `.git` file), `<path>`,
/// `<path>.git/.git`, `<path>.git`, in git's order; `None` if there is no repository.
pub fn local_git_dir(path: &Path) -> Option<PathBuf> {
    local_place(path).map(|(_, git_dir)| git_dir)
}

/// As [`local_git_dir`], with which of these paths it is, in front.
pub fn local_place(path: &Path) -> Option<(PathBuf, PathBuf)> {
    // `path/` means `path`
    let path = path.components().as_path();
    let with_suffix = path.with_added_extension("git");
    [path.join(".git"), path.to_owned(), with_suffix.join(".git"), with_suffix].into_iter().find_map(
        |candidate| {
            let git_dir =
                if candidate.is_file() { read_git_file(&candidate).ok()? } else { candidate.clone() };
            is_git_dir(&git_dir).then_some((candidate, git_dir))
        },
    )
}

/// Opens `git_dir` once it is settled; `top` is where its work tree is unless something else is said.
fn open(
    git_dir: &Path,
    work_tree: Option<&Path>,
    top: Option<&Path>,
    overrides: &[Override],
    env: &Environment,
) -> Result<Repository, Error> {
    let common_dir = env.path("GIT_COMMON_DIR").unwrap_or_else(|| common_dir(git_dir));
    let own = format::read(git_dir, &common_dir, env)?;
    let config = Config::load(env, overrides, Some(Dirs { git: git_dir, common: &common_dir }))?;
    let work_tree = match (work_tree, &own.work_tree) {
        (Some(dir), _) => Some(dir.to_owned()),
        (None, Some(_)) if own.bare == Some(true) => None,
        (None, Some(dir)) => Some(normalize(&git_dir.join(dir))),
        (None, None) if own.bare == Some(true) && common_dir == git_dir => None,
        (None, None) => top.map(Path::to_owned),
    };
    Ok(Repository {
        objects_dir: env.path("GIT_OBJECT_DIRECTORY").unwrap_or_else(|| common_dir.join("objects")),
        git_dir: git_dir.to_owned(),
        common_dir,
        work_tree,
        object_hash: own.object_hash,
        ref_format: own.refs,
        storage: config.storage()?,
        config,
        env: env.clone(),
        promisor: None,
        hooks: Hooks::default(),
    })
}

/// What `GIT_DIR` names: a git directory or a `.git` file. `named` is what the user wrote.
fn named_git_dir(path: &Path, named: &Path) -> Result<PathBuf, Error> {
    let git_dir = if path.is_file() { read_git_file(path)? } else { path.to_owned() };
    if is_git_dir(&git_dir) {
        return Ok(normalize(&git_dir));
    }
    Err(Error::NotFound(format!("not a git repository: '{}'", named.display())))
}

/// Looks for a repository in `start` and above it.
fn search(start: &Path, env: &Environment) -> Result<Found, Error> {
    let ceiling = ceiling(start, env);
    let crosses = env.boolean("GIT_DISCOVERY_ACROSS_FILESYSTEM")?.unwrap_or(false);
    let device = device(start);
    let mut dir = start;
    loop {
        let dot_git = dir.join(".git");
        if dot_git.is_file() {
            let git_dir = read_git_file(&dot_git)?;
            if !is_git_dir(&git_dir) {
                return Err(Error::NotFound(format!("not a git repository: {}", git_dir.display())));
            }
            return Ok(Found { git_dir, git_file: Some(dot_git), top: Some(dir.to_owned()) });
        }
        if is_git_dir(&dot_git) {
            return Ok(Found { git_dir: dot_git, git_file: None, top: Some(dir.to_owned()) });
        }
        if is_git_dir(dir) {
            return Ok(Found { git_dir: dir.to_owned(), git_file: None, top: None });
        }
        let parent = dir.parent().filter(|_| ceiling.as_deref() != dir.parent());
        let Some(parent) = parent else {
            let text = "not a git repository (or any of the parent directories): .git";
            return Err(Error::NotFound(text.to_owned()));
        };
        if !crosses && self::device(parent) != device {
            return Err(Error::NotFound(format!(
                "not a git repository (or any parent up to mount point {})\n\
                 Stopping at filesystem boundary (GIT_DISCOVERY_ACROSS_FILESYSTEM not set).",
                parent.display()
            )));
        }
        dir = parent;
    }
}

/// The nearest directory above `start` of those in `GIT_CEILING_DIRECTORIES`, which the search does not enter: git(1).
fn ceiling(start: &Path, env: &Environment) -> Option<PathBuf> {
    let list = env.get("GIT_CEILING_DIRECTORIES")?;
    let mut resolve = true;
    let mut ceilings = Vec::new();
    for dir in std::env::split_paths(list) {
        if dir.as_os_str().is_empty() {
            // what follows an empty entry is not resolved, since that may be slow
            resolve = false;
        } else if dir.is_absolute() {
            ceilings.push(if resolve { dir.canonicalize().unwrap_or(dir) } else { dir });
        }
    }
    let above = ceilings.into_iter().filter(|dir| start != dir && start.starts_with(dir));
    above.max_by_key(|dir| dir.components().count())
}

/// What a `.git` file says: gitrepository-layout(5), "DESCRIPTION".
fn read_git_file(path: &Path) -> Result<PathBuf, Error> {
    let refuse = |what: &str| Err(Error::NotFound(format!("{what}: {}", path.display())));
    let failed = |source| Error::Io { action: "error opening", path: path.to_owned(), source };
    if path.metadata().map_err(failed)?.len() > GIT_FILE_BYTES_MAX {
        return refuse("too large to be a .git file");
    }
    let text = std::fs::read(path).map_err(failed)?;
    let Some(target) = text.strip_prefix(b"gitdir: ") else {
        return refuse("invalid gitfile format");
    };
    let target = target.trim_end_with(|c| c == '\n' || c == '\r');
    if target.is_empty() {
        return refuse("no path in gitfile");
    }
    let base = path.parent().unwrap_or(Path::new(""));
    Ok(normalize(&base.join(to_path(target))))
}

/// Whether `path` is a git directory: a `HEAD` that can be one, `objects` and `refs`.
pub(crate) fn is_git_dir(path: &Path) -> bool {
    let common = common_dir(path);
    has_valid_head(path) && common.join("objects").is_dir() && common.join("refs").is_dir()
}

fn has_valid_head(git_dir: &Path) -> bool {
    let path = git_dir.join("HEAD");
    if let Ok(target) = path.read_link() {
        return target.starts_with("refs");
    }
    let Ok(head) = std::fs::read(&path) else { return false };
    match head.strip_prefix(b"ref:") {
        Some(name) => name.trim_start().starts_with(b"refs/"),
        None => head.get(..40).is_some_and(|id| id.iter().all(u8::is_ascii_hexdigit)),
    }
}

/// What the `commondir` file of a linked work tree's git directory names; else the directory itself.
pub(crate) fn common_dir(git_dir: &Path) -> PathBuf {
    match std::fs::read(git_dir.join("commondir")) {
        Ok(text) => normalize(&git_dir.join(to_path(text.trim_end_with(|c| c == '\n' || c == '\r')))),
        Err(_) => git_dir.to_owned(),
    }
}

/// A git directory inside of a `.git`, where an ordinary work tree, a linked one or a submodule has its own, is no bare
/// repository that somebody slipped in.
fn is_implicitly_safe(git_dir: &Path) -> bool {
    let is_dot_git = git_dir.file_name().is_some_and(|name| name == ".git");
    let text = BString::from(git_dir.as_os_str().as_encoded_bytes());
    is_dot_git || text.contains_str("/.git/worktrees/") || text.contains_str("/.git/modules/")
}

/// The path without `.` and `..`, by the file system where that is possible, since a `..` behind a symbolic link is not
/// the link's parent.
fn normalize(path: &Path) -> PathBuf {
    let has_dots = path
        .components()
        .any(|component| matches!(component, std::path::Component::ParentDir | std::path::Component::CurDir));
    if has_dots { path.canonicalize().unwrap_or_else(|_| path.to_owned()) } else { path.to_owned() }
}

#[cfg(unix)]
fn device(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    path.metadata().ok().map(|metadata| metadata.dev())
}

#[cfg(not(unix))]
fn device(_path: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
#[path = "discover_tests.rs"]
mod tests;
