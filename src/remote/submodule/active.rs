//! Which submodules the user wants to have. gitsubmodules(7), "ACTIVE SUBMODULES".

use std::path::Path;

use bstr::BStr;

use crate::remote::Error;
use crate::repo::Repository;
use crate::repo::pathspec::Pathspecs;

/// `submodule.active`: pathspecs of the submodules that are wanted.
pub struct Active<'a> {
    repo: &'a Repository,
    /// The pathspecs, if there are any.
    paths: Option<Pathspecs>,
}

impl<'a> Active<'a> {
    /// Reads what the configuration of `repo` says.
    ///
    /// # Errors
    ///
    /// [`crate::repo::Error::Refused`] in git's words for what is no pathspec.
    pub fn new(repo: &'a Repository) -> Result<Self, Error> {
        let specs = repo.config.strings("submodule.active");
        let top = repo.work_tree.as_deref().unwrap_or(Path::new("/"));
        let paths = (!specs.is_empty()).then(|| Pathspecs::parse(&specs, top)).transpose()?;
        Ok(Self { repo, paths })
    }

    /// Whether pathspecs are configured; where none are, a submodule is wanted once it has a URL.
    pub fn is_configured(&self) -> bool {
        self.paths.is_some()
    }

    /// Whether the submodule `name` at `path` is wanted.
    ///
    /// # Errors
    ///
    /// If `submodule.<name>.active` is no boolean.
    pub fn has(&mut self, name: &BStr, path: &BStr) -> Result<bool, Error> {
        let config = &self.repo.config;
        if let Some(is_active) = config.boolean(&format!("submodule.{name}.active"))? {
            return Ok(is_active);
        }
        Ok(match &mut self.paths {
            Some(paths) => paths.match_directory(path),
            None => config.string(&format!("submodule.{name}.url")).is_some(),
        })
    }
}
