//! The submodules of a fresh clone: which there are, where they come from and where they go. git-submodule(1), "update".
//!
//! ```text
//! Superproject::new ── register ── steps ─┬─ prepare ── (a clone) ── connect
//!                                         └─ skip
//! ```
//!
//! A submodule is cloned by another run of the program; the caller starts it. What it brings is checked out by
//! [`super::checkout`].

use std::path::{Path, PathBuf};

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;

use super::active::Active;
use super::declared::{self, Declared, Found, Modules, Procedure};
use super::url;
use crate::remote::push::submodule::environment;
use crate::remote::{Error, config};
use crate::repo::config::{Change, Override, edit};
use crate::repo::{Config, Repository};

/// A repository whose submodules are to be cloned.
pub struct Superproject {
    /// The repository. Its paths are absolute, and have no symbolic links in them.
    pub repo: Repository,
    /// What its path is for the user, with a slash at the end; empty for the outermost.
    pub prefix: BString,
    /// Its work tree.
    top: PathBuf,
    config: Config,
    modules: Modules,
    overrides: Vec<Override>,
}

/// A submodule to be cloned.
#[derive(Debug, Clone)]
pub struct Submodule {
    /// What the configuration calls it.
    pub name: BString,
    /// Its path in the superproject.
    pub path: BString,
    /// Its path for the user.
    pub shown: BString,
    /// Its work tree.
    pub directory: PathBuf,
    /// Its git directory.
    pub git_dir: PathBuf,
    /// The commit that the superproject names.
    pub commit: ObjectId,
    /// Where it comes from.
    pub url: BString,
    /// Whether one commit is enough, for those who wrote `.gitmodules`.
    pub is_shallow: bool,
    declared: Declared,
}

/// What is to be done about one submodule.
#[derive(Debug, Clone)]
pub enum Step {
    /// It is to be cloned.
    Clone(Box<Submodule>),
    /// It is left alone since the user, or `.gitmodules`, says so. This is its path for the user.
    Skip(BString),
}

/// What [`Superproject::register`] has to tell.
#[derive(Debug, Clone)]
pub enum Registered {
    /// A submodule has a URL now.
    Url {
        /// The name of the submodule.
        name: BString,
        /// Its URL.
        url: BString,
        /// Its path for the user.
        shown: BString,
    },
    /// Something to know.
    Warning(String),
}

impl Superproject {
    /// Opens the repository of the work tree `top` anew, since its configuration may have changed. `prefix` is what its path
    /// is for the user; `overrides` hold for it as well.
    ///
    /// # Errors
    ///
    /// If `.gitmodules` is none, see [`Modules::new`].
    pub fn new(
        repo: &Repository,
        top: &Path,
        prefix: BString,
        overrides: &[Override],
    ) -> Result<Self, Error> {
        let top = real(top)?;
        let repo = Repository::open(&real(&repo.git_dir)?, Some(&top), overrides, &environment(&repo.env))?;
        let Found { config, complaint } = declared::read(&repo)?;
        if let Some(complaint) = complaint {
            return Err(crate::repo::Error::Config(complaint).into());
        }
        let modules = Modules::new(&config)?;
        Ok(Self { repo, prefix, top, config, modules, overrides: overrides.to_vec() })
    }

    /// What of `.gitmodules` was ignored.
    pub fn warnings(&self) -> &[String] {
        &self.modules.warnings
    }

    /// The top of the work tree.
    pub fn top(&self) -> &Path {
        &self.top
    }

    /// `submodule.fetchJobs`, which `.gitmodules` may set too.
    ///
    /// # Errors
    ///
    /// If it is no number, or below 0.
    pub fn jobs(&self) -> Result<Option<i64>, Error> {
        super::jobs(&self.repo.config, &self.config)
    }

    /// Writes URLs, and which submodules are wanted where nothing says so, into the configuration of the superproject.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] if a submodule has no URL; those before it are registered then.
    pub fn register(&mut self, tell: &mut dyn FnMut(Registered)) -> Result<(), Error> {
        let mut active = Active::new(&self.repo)?;
        for (path, _) in self.repo.submodules()? {
            let Some(declared) = self.modules.at(path.as_bstr()) else { continue };
            let name = &declared.name;
            let is_active = active.has(name.as_bstr(), path.as_bstr())?;
            if active.is_configured() && !is_active {
                continue;
            }
            let key = |last: &str| BString::from(format!("submodule.{name}.{last}"));
            let is_new = |last: &str| self.repo.config.string(&format!("submodule.{name}.{last}")).is_none();
            let mut changes = Vec::new();
            if !is_active {
                changes.push(Change::Set(key("active"), "true".into()));
            }
            if is_new("url") {
                let url = self.url_of(declared, path.as_bstr(), tell)?;
                changes.push(Change::Set(key("url"), url.clone()));
                let shown = self.shown(path.as_bstr());
                tell(Registered::Url { name: name.clone(), url, shown });
            }
            if let Some(word) =
                declared.procedure.as_ref().and_then(Procedure::word).filter(|_| is_new("update"))
            {
                changes.push(Change::Set(key("update"), word.into()));
            }
            edit(&self.repo.common_path("config"), &changes)?;
        }
        let Repository { git_dir, env, .. } = &self.repo;
        self.repo = Repository::open(git_dir, Some(&self.top), &self.overrides, env)?;
        Ok(())
    }

    /// The URL that `.gitmodules` means.
    fn url_of(
        &self,
        declared: &Declared,
        path: &BStr,
        tell: &mut dyn FnMut(Registered),
    ) -> Result<BString, Error> {
        let Some(given) = &declared.url else {
            let shown = self.shown(path);
            return Err(Error::Usage(format!("No url found for submodule path '{shown}' in .gitmodules")));
        };
        if !url::is_relative(given.as_bstr()) {
            return Ok(given.clone());
        }
        let key = format!("remote.{}.url", remote_of(&self.repo)?);
        let base = self.repo.config.string(&key).unwrap_or_else(|| {
            let text = "Assuming this repository is its own authoritative upstream.";
            tell(Registered::Warning(format!("could not look up configuration '{key}'. {text}")));
            self.top.as_os_str().as_encoded_bytes().into()
        });
        url::resolve(base.as_bstr(), given.as_bstr())
    }

    /// What is to be done, in the order of the index.
    ///
    /// # Errors
    ///
    /// If the index or the configuration cannot be understood.
    pub fn steps(&self) -> Result<Vec<Step>, Error> {
        let mut steps = Vec::new();
        let mut active = Active::new(&self.repo)?;
        for (path, commit) in self.repo.submodules()? {
            let Some(declared) = self.modules.at(path.as_bstr()) else { continue };
            let name = declared.name.as_bstr();
            let shown = self.shown(path.as_bstr());
            let procedure = match self.repo.config.string(&format!("submodule.{name}.update")) {
                Some(word) => Procedure::parse(word.as_bstr()),
                None => declared.procedure.clone(),
            };
            if procedure == Some(Procedure::Nothing) {
                steps.push(Step::Skip(shown));
                continue;
            }
            if !active.has(name, path.as_bstr())? {
                continue;
            }
            let configured = self.repo.config.string(&format!("submodule.{name}.url"));
            let Some(url) = configured.or_else(|| declared.url.clone()) else { continue };
            steps.push(Step::Clone(Box::new(Submodule {
                name: name.to_owned(),
                shown,
                directory: self.top.join(path.to_path_lossy()),
                git_dir: self.modules_dir().join(name.to_path_lossy()),
                path,
                commit,
                url,
                is_shallow: declared.is_shallow,
                declared: declared.clone(),
            })));
        }
        Ok(steps)
    }

    /// How `submodule` comes to its commit. Nothing is there that could be merged or rebased.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] in git's words for what is none of git's.
    pub fn procedure(&self, submodule: &Submodule) -> Result<Procedure, Error> {
        let Submodule { name, shown, .. } = submodule;
        let procedure = match self.repo.config.string(&format!("submodule.{name}.update")) {
            Some(word) => Procedure::parse(word.as_bstr()).ok_or_else(|| {
                let text = format!("Invalid update mode '{word}' configured for submodule path '{shown}'");
                Error::Usage(text)
            })?,
            None => submodule.declared.procedure.clone().unwrap_or(Procedure::Checkout),
        };
        Ok(match procedure {
            Procedure::Merge | Procedure::Rebase => Procedure::Checkout,
            procedure => procedure,
        })
    }

    /// The commit of the branch that `submodule`, which is in `repo`, follows (`--remote`).
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] in git's words if there is no such branch.
    pub fn followed(&self, submodule: &Submodule, repo: &Repository) -> Result<ObjectId, Error> {
        let Submodule { name, shown, declared, .. } = submodule;
        let configured = self.repo.config.string(&format!("submodule.{name}.branch"));
        let branch = match configured.or_else(|| declared.branch.clone()) {
            None => "HEAD".into(),
            Some(branch) if branch == "." => self.branch().ok_or_else(|| {
                let text = "branch configured to inherit branch from superproject, but the superproject is not on any branch";
                Error::Usage(format!("Submodule ({name}) {text}"))
            })?,
            Some(branch) => branch,
        };
        let reference = format!("refs/remotes/{}/{branch}", remote_of(repo)?);
        repo.resolve_ref(reference.as_bytes().as_bstr())?.ok_or_else(|| {
            Error::Usage(format!("Unable to find {reference} revision in submodule path '{shown}'"))
        })
    }

    /// The branch of the superproject, without `refs/heads/`.
    fn branch(&self) -> Option<BString> {
        let branch = self.repo.head_branch().ok()??;
        branch.strip_prefix(b"refs/heads/").map(BString::from)
    }

    /// Where the git directories of submodules are.
    pub(super) fn modules_dir(&self) -> PathBuf {
        self.repo.git_path("modules")
    }

    /// The path of a submodule for the user.
    fn shown(&self, path: &BStr) -> BString {
        [self.prefix.as_slice(), path].concat().into()
    }
}

/// `path` without symbolic links.
fn real(path: &Path) -> Result<PathBuf, Error> {
    path.canonicalize().map_err(|source| Error::Io { action: "unable to get", path: path.to_owned(), source })
}

/// What a fetch without a name means by its remote. Where `HEAD` names no branch that is `origin`.
fn remote_of(repo: &Repository) -> Result<BString, Error> {
    Ok(match repo.head_branch()? {
        Some(branch) => config::default_name(&repo.config, Some(branch.as_bstr())),
        None => "origin".into(),
    })
}
