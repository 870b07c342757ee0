//! Which submodules a fetch goes into, and where they are. git-fetch(1), `--recurse-submodules`.
//!
//! A submodule is fetched by another run of the program, in its own git directory; the caller starts it. [`update`] knows
//! the submodules of a fresh clone.

use std::path::{Path, PathBuf};

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;
use gix_object::Kind;

use super::push::submodule::changed::{Changed, changed_by_name};
use super::push::submodule::{environment, ids_below, refuse_symlinks, walk};
use super::{Error, config};
use crate::repo::{Config, Environment, Repository, discover};
use active::Active;

pub mod active;
pub mod checkout;
pub mod declared;
pub mod place;
pub mod update;
mod url;

/// `--recurse-submodules`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recurse {
    /// Submodules are left alone.
    No,
    /// Those of which new commits are used are fetched.
    OnDemand,
    /// All that are there are fetched.
    Yes,
}

impl Recurse {
    /// Reads one of git's words; `name` is what the error calls the setting.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] in git's words.
    pub fn parse(value: &BStr, name: &str) -> Result<Self, Error> {
        match value.to_ascii_lowercase().as_slice() {
            b"yes" | b"true" | b"on" | b"1" => Ok(Self::Yes),
            b"no" | b"false" | b"off" | b"0" => Ok(Self::No),
            b"on-demand" => Ok(Self::OnDemand),
            _ => Err(Error::Usage(format!("bad {name} argument: {value}"))),
        }
    }

    /// What `fetch.recurseSubmodules` or `submodule.recurse` says, of which the later counts.
    ///
    /// # Errors
    ///
    /// As [`Self::parse`].
    pub fn from_config(config: &Config) -> Result<Option<Self>, Error> {
        const KEYS: [&str; 2] = ["fetch.recurseSubmodules", "submodule.recurse"];
        match config.last_of(&KEYS) {
            Some(key) if key == KEYS[0] => {
                let value = config.string(key).unwrap_or_default();
                let value = if value.is_empty() { "true".into() } else { value };
                Self::parse(value.as_bstr(), "fetch.recursesubmodules").map(Some)
            }
            Some(key) => Ok(config.boolean(key)?.map(|recurses| if recurses { Self::Yes } else { Self::No })),
            None => Ok(None),
        }
    }

    /// The word for the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::OnDemand => "on-demand",
            Self::Yes => "yes",
        }
    }
}

/// The submodules of a superproject that has just been fetched.
pub struct Superproject<'a> {
    repo: &'a Repository,
    /// What the command line and the configuration say of all of them.
    choice: Option<Recurse>,
    /// What holds where nothing is said.
    default: Recurse,
    /// `.gitmodules`.
    modules: &'a Config,
    changed: Vec<Changed>,
}

/// One step of a fetch into submodules.
#[derive(Debug, Clone)]
pub enum Step {
    /// A submodule to be fetched.
    Fetch(Submodule),
    /// One that is not to be reached; the line says so.
    Inaccessible(String),
    /// One that is not here and that only a commit which came has: it is named, and that is no failure.
    Unknown {
        /// Its path in the superproject.
        path: BString,
        /// The commit of the superproject.
        commit: ObjectId,
    },
}

/// A submodule to be fetched.
#[derive(Debug, Clone)]
pub struct Submodule {
    /// Its name in the configuration.
    pub name: BString,
    /// Its path in the superproject.
    pub path: BString,
    /// Where it is.
    pub git_dir: PathBuf,
    /// What its own submodules are fetched by, where nothing else is said.
    pub default: Recurse,
    /// The commit of the superproject that has it, where the work tree has not.
    pub commit: Option<ObjectId>,
}

impl<'a> Superproject<'a> {
    /// Looks at what came with the new ids `tips`; `known` are the tips from before. `choice` is what the command line and the
    /// configuration say of all submodules, and what holds where nothing is said.
    pub fn new(
        repo: &'a Repository,
        modules: &'a Config,
        (choice, default): (Option<Recurse>, Recurse),
        tips: &[ObjectId],
        known: &[ObjectId],
    ) -> Result<Self, Error> {
        // where no submodule is known, git does not look for changes of any
        let names_any = |config: &Config| config.section("submodule").iter().any(|(name, ..)| name.is_some());
        let has_any = names_any(modules) || names_any(&repo.config);
        let changed = if has_any && !tips.is_empty() {
            changed_by_name(repo, tips, known.to_vec())?
        } else {
            Vec::new()
        };
        let mut superproject = Self { repo, choice, default, modules, changed: Vec::new() };
        for change in changed {
            if !superproject.has_all(&change)? {
                superproject.changed.push(change);
            }
        }
        Ok(superproject)
    }

    /// Whether the submodule has the commits of `change`, and its refs keep them.
    fn has_all(&self, change: &Changed) -> Result<bool, Error> {
        let git_dir = self.git_dir(change.path.as_bstr(), change.name.as_bstr())?;
        let Some(git_dir) = git_dir else { return Ok(false) };
        let submodule = self.open(&git_dir)?;
        let mut objects = submodule.objects()?;
        if !change.ids.iter().all(|id| is_commit(&objects, id)) {
            return Ok(false);
        }
        walk::are_reachable(&mut objects, &change.ids, &ids_below(&submodule, "refs/")?)
    }

    /// What is to be done: first for the submodules in the index, then for those that the index does not have, or that were not
    /// to be reached there.
    pub fn steps(&self) -> Result<Vec<Step>, Error> {
        let mut steps = Vec::new();
        let mut seen: Vec<BString> = Vec::new();
        for path in self.repo.gitlinks()? {
            let is_populated = self.directory(path.as_bstr()).join(".git").exists();
            let known = self.name_of(path.as_bstr());
            let Some(name) = known.clone().or_else(|| is_populated.then(|| path.clone())) else { continue };
            let recurse = self.recurse(known.as_ref(), self.modules)?;
            let default = match recurse {
                Recurse::Yes => Recurse::Yes,
                // what nobody declares is left alone unless somebody asks for all that has changed
                Recurse::OnDemand
                    if (known.is_some() || self.choice.is_some())
                        && self.changed.iter().any(|change| change.name == name) =>
                {
                    Recurse::OnDemand
                }
                Recurse::OnDemand | Recurse::No => continue,
            };
            match self.git_dir(path.as_bstr(), name.as_bstr())? {
                Some(git_dir) => {
                    seen.push(name.clone());
                    steps.push(Step::Fetch(Submodule { name, path, git_dir, default, commit: None }));
                }
                None if is_empty(&self.directory(path.as_bstr())) => {}
                None => steps.push(Step::Inaccessible(format!("Could not access submodule '{path}'"))),
            }
        }
        let mut active = Active::new(self.repo)?;
        for change in self.changed.iter().filter(|change| !seen.contains(&change.name)) {
            if active.has(change.name.as_bstr(), change.path.as_bstr())? {
                steps.extend(self.step_of(change)?);
            }
        }
        Ok(steps)
    }

    /// What is done about a submodule that the index does not have; nothing if it is left alone. What counts is `.gitmodules` of
    /// the commit that has it.
    fn step_of(&self, change: &Changed) -> Result<Option<Step>, Error> {
        let modules = declared::of_revision(self.repo, &change.commit.to_string())?;
        let is_declared = modules.config.string(&format!("submodule.{}.path", change.name)).is_some();
        let default = match self.recurse(Some(&change.name), &modules.config)? {
            Recurse::No => return Ok(None),
            Recurse::OnDemand if !is_declared && self.choice.is_none() => return Ok(None),
            recurse => recurse,
        };
        let Changed { name, path, commit, .. } = change.clone();
        Ok(Some(match self.git_dir(path.as_bstr(), name.as_bstr())? {
            Some(git_dir) => Step::Fetch(Submodule { name, path, git_dir, default, commit: Some(commit) }),
            None => Step::Unknown { path, commit },
        }))
    }

    /// The commits of `submodule` that the superproject uses and that are not in it.
    pub fn missing(&self, submodule: &Submodule) -> Result<Vec<ObjectId>, Error> {
        let Some(change) = self.changed.iter().find(|change| change.name == submodule.name) else {
            return Ok(Vec::new());
        };
        let objects = self.open(&submodule.git_dir)?.objects()?;
        Ok(change.ids.iter().filter(|id| !is_commit(&objects, id)).copied().collect())
    }

    /// The remote that `submodule` fetches from.
    pub fn remote_of(&self, submodule: &Submodule) -> Result<BString, Error> {
        let repo = self.open(&submodule.git_dir)?;
        let branch = repo.head_branch()?;
        Ok(config::default_name(&repo.config, branch.as_ref().map(|branch| branch.as_bstr())))
    }

    /// The environment that a submodule is fetched in, with its git directory as the current one.
    pub fn environment(&self) -> Environment {
        let mut environment = environment(&self.repo.env);
        environment.set("GIT_DIR", ".");
        environment
    }

    /// What holds for the submodule `name`, if it has one, where `modules` is what `.gitmodules` says.
    fn recurse(&self, name: Option<&BString>, modules: &Config) -> Result<Recurse, Error> {
        if let Some(choice) = self.choice {
            return Ok(choice);
        }
        let Some(name) = name else { return Ok(self.default) };
        let key = format!("submodule.{name}.fetchRecurseSubmodules");
        match self.repo.config.string(&key).or_else(|| modules.string(&key)) {
            Some(value) => Recurse::parse(value.as_bstr(), &key),
            None => Ok(self.default),
        }
    }

    /// The name that `.gitmodules` has for `path`.
    fn name_of(&self, path: &BStr) -> Option<BString> {
        let mut entries = self.modules.section("submodule").into_iter();
        entries
            .find_map(|(name, key, value)| name.filter(|_| key == "path" && value.is_some_and(|v| v == path)))
    }

    /// The git directory of a submodule: that of its work tree, else the one that is kept for it; `None` if there is none.
    fn git_dir(&self, path: &BStr, name: &BStr) -> Result<Option<PathBuf>, Error> {
        if path.split_str("/").any(|part| matches!(part, b"" | b"." | b"..")) {
            return Err(Error::Usage(format!("invalid submodule path '{path}'")));
        }
        refuse_symlinks(self.repo, path)?;
        let directory = self.directory(path);
        if directory.join(".git").exists()
            && let Some(git_dir) = discover::local_git_dir(&directory)
        {
            return Ok(Some(git_dir));
        }
        let is_safe = declared::is_safe_name(name);
        let kept = self.repo.git_path("modules").join(name.to_path_lossy());
        Ok(Some(kept).filter(|kept| is_safe && kept.join("HEAD").exists()))
    }

    fn open(&self, git_dir: &Path) -> Result<Repository, Error> {
        Ok(Repository::open(git_dir, None, &[], &environment(&self.repo.env))?)
    }

    fn directory(&self, path: &BStr) -> PathBuf {
        self.repo.work_tree.as_deref().unwrap_or(&self.repo.git_dir).join(path.to_path_lossy())
    }
}

/// The environment of work in a submodule: nothing that speaks of the repository that `env` is for.
pub fn environment_of(env: &Environment) -> Environment {
    environment(env)
}

/// `submodule.fetchJobs`, of the configuration, else of `modules`, which is `.gitmodules`.
///
/// # Errors
///
/// [`Error::Usage`] in git's words for a negative number.
pub fn jobs(config: &Config, modules: &Config) -> Result<Option<i64>, Error> {
    const KEY: &str = "submodule.fetchJobs";
    let jobs = match config.integer(KEY)? {
        Some(jobs) => Some(jobs),
        None => modules.integer(KEY)?,
    };
    match jobs {
        Some(jobs) if jobs < 0 => {
            Err(Error::Usage("negative values not allowed for submodule.fetchJobs".into()))
        }
        jobs => Ok(jobs),
    }
}

fn is_commit(objects: &crate::repo::Objects, id: &ObjectId) -> bool {
    matches!(objects.kind(id), Ok(Some(Kind::Commit)))
}

fn is_empty(directory: &Path) -> bool {
    std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_git() {
        for (word, expected) in [
            ("yes", Recurse::Yes),
            ("TRUE", Recurse::Yes),
            ("off", Recurse::No),
            ("on-demand", Recurse::OnDemand),
        ] {
            assert_eq!(Recurse::parse(word.into(), "x").unwrap(), expected);
        }
        let error = Recurse::parse("bogus".into(), "recurse-submodules").unwrap_err();
        assert_eq!(error.to_string(), "bad recurse-submodules argument: bogus");
    }
}
