//! Making a repository.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bstr::{BString, ByteSlice};

use super::config::Override;
use super::reference::tables::DIRECTORY;
use super::{Config, Environment, Error, RefFormat, Repository};
use crate::storage::{Shared, Storage};
use config::write_config;
use refs::{make_tables, write_head, write_stubs};

mod config;
mod refs;

/// How deep directories of a template are copied.
const TEMPLATE_DEPTH_MAX: usize = 64;
/// The description where no template is installed.
const DESCRIPTION: &str = "Unnamed repository; edit this file 'description' to name the repository.\n";
/// `info/exclude` where no template is installed.
const EXCLUDE: &str = "# Patterns of files that this repository alone ignores, as in gitignore(5).\n";

/// What the new repository is to be like.
#[derive(Debug, Clone)]
pub struct Init {
    /// The git directory to make.
    pub git_dir: PathBuf,
    /// Its work tree; `None` for a bare repository.
    pub work_tree: Option<PathBuf>,
    /// The hash function.
    pub object_hash: gix_hash::Kind,
    /// How it keeps its refs.
    pub ref_format: RefFormat,
    /// What `HEAD` names, such as `refs/heads/main`.
    pub head: BString,
    /// `--template`; otherwise `GIT_TEMPLATE_DIR`, `init.templateDir`, then the installed templates. An empty path
    /// means no template.
    pub template: Option<PathBuf>,
    /// `-c` values of the command line.
    pub overrides: Vec<Override>,
}

impl Repository {
    /// Makes what `git init` makes and opens it. Directories that are made are the caller's to remove upon failure.
    ///
    /// A git directory elsewhere than in its work tree gets a `.git` file that names it, as with
    /// `--separate-git-dir`; where `GIT_WORK_TREE` set the work tree, it is `core.worktree` instead.
    pub fn init(init: &Init, env: &Environment) -> Result<Self, Error> {
        let outside = Config::load(env, &init.overrides, None)?;
        let storage = outside.storage()?;
        make_dir(&init.git_dir)?;
        match template_dir(init.template.as_deref(), &outside, env)? {
            Some(template) if template.as_os_str().is_empty() => {}
            Some(template) => copy_template(&template, &init.git_dir, 0)?,
            None => write_own_template(&init.git_dir)?,
        }
        for dir in ["objects/info", "objects/pack"] {
            make_dir(&init.git_dir.join(dir))?;
        }
        match init.ref_format {
            RefFormat::Files => write_head(&init.git_dir, &init.head)?,
            RefFormat::Tables => {
                write_stubs(&init.git_dir)?;
                make_tables(&init.git_dir, init.object_hash, &init.head, &outside)?;
            }
        }
        write_config(init, storage, env)?;
        if let Some(work_tree) = &init.work_tree {
            make_dir(work_tree)?;
            if is_elsewhere(init) && env.path("GIT_WORK_TREE").is_none() {
                let git_file = work_tree.join(".git");
                let git_dir = absolute(&init.git_dir)?;
                let text = [b"gitdir: ", git_dir.as_os_str().as_encoded_bytes(), b"\n"].concat();
                fs::write(&git_file, text).map_err(failed("could not write", &git_file))?;
            }
        }
        share_all(&init.git_dir, storage).map_err(failed("could not share", &init.git_dir))?;
        Self::open(&init.git_dir, init.work_tree.as_deref(), &init.overrides, env)
    }

    /// Makes the tables anew of a repository without refs whose hash function has become `object_hash`.
    pub(crate) fn renew_tables(&self, object_hash: gix_hash::Kind) -> Result<(), Error> {
        if self.ref_format == RefFormat::Files {
            return Ok(());
        }
        let branch = self.head_branch()?.unwrap_or_default();
        let directory = self.git_dir.join(DIRECTORY);
        fs::remove_dir_all(&directory).map_err(failed("unable to remove", &directory))?;
        make_tables(&self.git_dir, object_hash, &branch, &self.config)
    }
}

/// The branch that a new repository's `HEAD` names, without `refs/heads/`: `GIT_TEST_DEFAULT_INITIAL_BRANCH_NAME` (git's
/// own tests), `init.defaultBranch`, or `master`. A name that no branch can have is refused.
pub fn default_branch(config: &Config) -> Result<BString, Error> {
    let tested =
        config.environment().get("GIT_TEST_DEFAULT_INITIAL_BRANCH_NAME").filter(|name| !name.is_empty());
    let name = tested.map(|name| BString::from(name.as_encoded_bytes()));
    if name.is_none() {
        config.check_valued("init.defaultBranch")?;
    }
    let Some(name) = name.or_else(|| config.string("init.defaultBranch")) else {
        return Ok("master".into());
    };
    let full = BString::from([b"refs/heads/".as_slice(), &name].concat());
    if name.starts_with(b"-") || name.is_empty() || gix_validate::reference::name(full.as_bstr()).is_err() {
        return Err(Error::Config(format!("invalid branch name: init.defaultBranch = {name}")));
    }
    Ok(name)
}

/// Whether the git directory is not the `.git` of its work tree.
fn is_elsewhere(init: &Init) -> bool {
    let work_tree = init.work_tree.as_ref();
    work_tree.is_some_and(|dir| absolute(&dir.join(".git")).ok() != absolute(&init.git_dir).ok())
}

/// Lets those use `path` and all below it who may.
fn share_all(path: &Path, storage: Storage) -> io::Result<()> {
    if storage.shared == Shared::Umask || path.is_symlink() {
        return Ok(());
    }
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            share_all(&entry?.path(), storage)?;
        }
    }
    storage.share(path)
}

/// The template's directory, in git's order of precedence, of which [`Init::template`] is the first; `None` if none is
/// installed.
pub fn template_dir(
    first: Option<&Path>,
    config: &Config,
    env: &Environment,
) -> Result<Option<PathBuf>, Error> {
    let named = first.or_else(|| env.get("GIT_TEMPLATE_DIR").map(Path::new));
    if let Some(dir) = named {
        return Ok(Some(dir.to_owned()));
    }
    if let Some(dir) = config.path("init.templateDir")? {
        return Ok(Some(dir));
    }
    let git = env.get("PATH").and_then(|path| which::which_in("git", Some(path), "/").ok());
    let beside = git.and_then(|git| Some(git.parent()?.parent()?.join("share/git-core/templates")));
    let installed = PathBuf::from("/usr/share/git-core/templates");
    Ok(beside.into_iter().chain([installed]).find(|dir| dir.is_dir()))
}

/// Copies what is in `from` and not yet in `to`. Names that begin with a dot stay behind, as with git.
fn copy_template(from: &Path, to: &Path, depth: usize) -> Result<(), Error> {
    let Ok(entries) = fs::read_dir(from) else { return Ok(()) };
    for entry in entries {
        let entry = entry.map_err(failed("cannot opendir", from))?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(failed("cannot stat template", &source))?;
        if kind.is_dir() && depth < TEMPLATE_DEPTH_MAX {
            make_dir(&target)?;
            copy_template(&source, &target, depth + 1)?;
        } else if target.symlink_metadata().is_ok() {
            // what is there stays
        } else if kind.is_symlink() {
            copy_symlink(&source, &target).map_err(failed("cannot symlink", &target))?;
        } else if kind.is_file() {
            copy_file(&source, &target).map_err(failed("cannot copy to", &target))?;
        }
    }
    Ok(())
}

/// Copies a file; of its mode only that it can be run counts, as with git.
fn copy_file(source: &Path, target: &Path) -> io::Result<()> {
    Storage::default().copy(source, target, |mode| if mode & 0o100 == 0 { 0o666 } else { 0o777 })
}

#[cfg(unix)]
fn copy_symlink(source: &Path, target: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(fs::read_link(source)?, target)
}

#[cfg(not(unix))]
fn copy_symlink(source: &Path, target: &Path) -> io::Result<()> {
    copy_file(source, target)
}

/// What a repository needs to be comfortable where C git is not installed.
fn write_own_template(git_dir: &Path) -> Result<(), Error> {
    make_dir(&git_dir.join("info"))?;
    make_dir(&git_dir.join("hooks"))?;
    for (name, text) in [("description", DESCRIPTION), ("info/exclude", EXCLUDE)] {
        let path = git_dir.join(name);
        if !path.exists() {
            fs::write(&path, text).map_err(failed("could not write", &path))?;
        }
    }
    Ok(())
}

fn make_dir(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(failed("cannot mkdir", path))
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(failed("unable to get", path))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { action, path, source }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::process::Command;

    use super::*;

    fn environment(home: &Path) -> Environment {
        let mut env = Environment::default();
        env.set("HOME", home);
        env.set("GIT_CONFIG_NOSYSTEM", "1");
        env.set("PATH", Environment::from_process().get("PATH").unwrap());
        env
    }

    /// Every file below `dir` with mode and content.
    fn tree(dir: &Path) -> Vec<(PathBuf, u32, Vec<u8>)> {
        use std::os::unix::fs::PermissionsExt;
        let mut files = Vec::new();
        let mut dirs = vec![dir.to_owned()];
        while let Some(next) = dirs.pop() {
            for entry in fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                let metadata = path.symlink_metadata().unwrap();
                let content = if metadata.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
                if metadata.is_dir() {
                    dirs.push(path.clone());
                }
                files.push((path.strip_prefix(dir).unwrap().into(), metadata.permissions().mode(), content));
            }
        }
        files.sort();
        files
    }

    fn init(git_dir: PathBuf, work_tree: Option<PathBuf>) -> Init {
        Init {
            git_dir,
            work_tree,
            object_hash: gix_hash::Kind::Sha1,
            ref_format: RefFormat::Files,
            head: "refs/heads/topic".into(),
            template: None,
            overrides: Vec::new(),
        }
    }

    fn git(env: &Environment, dir: &Path, args: &[&str]) {
        let status =
            Command::new("git").env_clear().envs(env.vars()).args(args).current_dir(dir).status().unwrap();
        assert!(status.success(), "{args:?}");
    }

    #[test]
    fn a_new_repository_is_byte_for_byte_the_one_git_makes() {
        let home = tempfile::tempdir().unwrap();
        let env = environment(home.path());
        let template = home.path().join("template");
        fs::create_dir_all(template.join("sub")).unwrap();
        fs::write(template.join("config"), "[core]\n\tfoo=1\n\tbare=true\n").unwrap();
        fs::write(template.join(".hidden"), "").unwrap();
        fs::write(template.join("sub/file"), "x").unwrap();
        std::os::unix::fs::symlink("foo", template.join("link")).unwrap();
        let template = template.to_str().unwrap();
        for (name, args) in [
            ("plain", ["--object-format=sha1"].as_slice()),
            ("bare", &["--bare"]),
            ("sha256", &["--object-format=sha256"]),
            ("template", &["--template", template]),
            ("none", &["--template="]),
        ] {
            let (expected, own) = (home.path().join("git"), home.path().join("own"));
            git(&env, home.path(), &[&["init", "-q", "-b", "topic"], args, &["git"]].concat());
            let mut init = match name {
                "bare" => init(own.clone(), None),
                _ => init(own.join(".git"), Some(own.clone())),
            };
            init.template = match name {
                "template" => Some(template.into()),
                "none" => Some("".into()),
                _ => None,
            };
            if name == "sha256" {
                init.object_hash = gix_hash::Kind::Sha256;
            }
            let repository = Repository::init(&init, &env).unwrap();
            assert_eq!(tree(&own), tree(&expected), "{name}");
            assert_eq!(repository.object_hash, init.object_hash);
            assert_eq!(repository.work_tree, init.work_tree);
            fs::remove_dir_all(own).unwrap();
            fs::remove_dir_all(expected).unwrap();
        }
    }

    #[test]
    fn a_separate_git_directory_is_named_by_a_git_file() {
        let home = tempfile::tempdir().unwrap();
        let env = environment(home.path());
        git(&env, home.path(), &["init", "-q", "-b", "topic", "--separate-git-dir", "store", "git"]);
        let store = home.path().join("store");
        let expected = tree(&store);
        let git_file = fs::read(home.path().join("git/.git")).unwrap();
        fs::remove_dir_all(&store).unwrap();
        let repository = Repository::init(&init(store.clone(), Some(home.path().join("own"))), &env).unwrap();
        assert_eq!(tree(&store), expected);
        assert_eq!(fs::read(home.path().join("own/.git")).unwrap(), git_file);
        assert_eq!(repository.work_tree, Some(home.path().join("own")));
    }

    #[test]
    fn without_an_installed_template_there_is_a_description() {
        let home = tempfile::tempdir().unwrap();
        write_own_template(home.path()).unwrap();
        assert_eq!(fs::read_to_string(home.path().join("description")).unwrap(), DESCRIPTION);
    }

    #[test]
    fn the_first_branch_is_the_configured_one() {
        let mut env = Environment::default();
        let branch = |env: &Environment, text: &str| {
            default_branch(&Config::from_bytes(text.as_bytes(), Path::new("c"), env).unwrap())
                .map_err(|error| error.to_string())
        };
        assert_eq!(branch(&env, "").unwrap(), "master");
        assert_eq!(branch(&env, "[init]defaultBranch=a/b").unwrap(), "a/b");
        assert_eq!(
            branch(&env, "[init]defaultBranch=a..b").unwrap_err(),
            "invalid branch name: init.defaultBranch = a..b"
        );
        assert!(branch(&env, "[init]defaultBranch=").is_err());
        env.set("GIT_TEST_DEFAULT_INITIAL_BRANCH_NAME", "qq");
        assert_eq!(branch(&env, "[init]defaultBranch=zz").unwrap(), "qq");
    }
}
