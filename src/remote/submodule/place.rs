//! Where a submodule goes: below `modules` of the superproject's git directory, and what ties it to its work tree.
//! gitsubmodules(7), "FORMS".

use std::fs;
use std::path::{Component, Path, PathBuf};

use bstr::{BString, ByteSlice};

use super::declared;
use super::update::{Submodule, Superproject};
use crate::remote::Error;
use crate::remote::clone::lender;
use crate::remote::push::submodule::refuse_symlinks;
use crate::repo::config::{Change, edit};
use crate::repo::{Config, discover};

/// What is to be said while a place is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// A line as it is.
    Line(String),
    /// Advice on `submodule.alternateErrorStrategy`.
    Advice(&'static str),
}

/// What git advises where a superproject borrows and the lender lacks the submodule.
const ALTERNATE_ADVICE: &str = "An alternate computed from a superproject's alternate is invalid.\n\
    To allow Git to clone without an alternate in such a case, set\n\
    submodule.alternateErrorStrategy to 'info' or, equivalently, clone with\n\
    '--reference-if-able' instead of '--reference'.";

const LOCATION: &str = "submodule.alternateLocation";
const STRATEGY: &str = "submodule.alternateErrorStrategy";

/// `submodule.alternateErrorStrategy`: what becomes of a submodule whose objects nobody can lend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strategy {
    /// It is not cloned.
    Die,
    /// It is cloned whole, and that is said.
    Info,
    /// It is cloned whole.
    Ignore,
}

impl Superproject {
    /// Sees that `submodule` goes where nothing is, and gives the repositories that may lend it objects.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] in git's words if something is there, or a symbolic link leads elsewhere, or nobody can lend and
    /// the configuration has it that way; [`Error::Told`] if `say` has told all.
    pub fn prepare(&self, submodule: &Submodule, say: &mut dyn FnMut(Said)) -> Result<Vec<PathBuf>, Error> {
        self.check_git_dir(submodule, say)?;
        let mut lenders = Vec::new();
        if let Some(strategy) = strategy(&self.repo.config)? {
            for objects in self.repo.objects()?.alternates() {
                let Some(git_dir) = objects.parent().filter(|_| objects.ends_with("objects")) else {
                    continue;
                };
                let mut path = git_dir.join("modules").join(submodule.name.to_path_lossy()).into_os_string();
                path.push("/");
                match check_lender(Path::new(&path)) {
                    Ok(()) => lenders.push(path.into()),
                    Err(reason) => strategy.complain(submodule, &reason, say)?,
                }
            }
        }
        if let Err(error) = refuse_symlinks(&self.repo, submodule.path.as_bstr()) {
            say(Said::Line(format!("error: {error}")));
            return Err(Error::Told(Box::new(error)));
        }
        if fs::read_dir(&submodule.directory).is_ok_and(|mut found| found.next().is_some()) {
            let shown = submodule.directory.display();
            return Err(Error::Usage(format!("directory not empty: '{shown}'")));
        }
        Ok(lenders)
    }

    /// Refuses a git directory that is inside that of another submodule, whose files it could be.
    fn check_git_dir(&self, submodule: &Submodule, say: &mut dyn FnMut(Said)) -> Result<(), Error> {
        let Submodule { name, git_dir, .. } = submodule;
        if !declared::is_safe_name(name.as_bstr()) {
            return Err(Error::Usage(format!("invalid submodule name '{name}'")));
        }
        for part in name.find_iter("/").filter_map(|end| name.get(..end)) {
            let outer = self.modules_dir().join(part.to_path_lossy());
            if discover::is_git_dir(&outer) {
                let (inner, outer) = (git_dir.display(), outer.display());
                say(Said::Line(format!("error: submodule git dir '{inner}' is inside git dir '{outer}'")));
                let text = format!("refusing to create/use '{inner}' in another submodule's git dir");
                return Err(Error::Usage(text));
            }
        }
        Ok(())
    }

    /// Ties the git directory of a `submodule` that has just been cloned to its work tree, by relative paths, and has its own
    /// submodules borrow as it does itself.
    ///
    /// # Errors
    ///
    /// If it cannot be written, or something came in the way meanwhile.
    pub fn connect(&self, submodule: &Submodule) -> Result<(), Error> {
        let Submodule { directory, git_dir, path, .. } = submodule;
        refuse_symlinks(&self.repo, path.as_bstr())?;
        let link = directory.join(".git");
        let text = [b"gitdir: ".as_slice(), &relative(directory, git_dir), b"\n"].concat();
        fs::write(&link, text).map_err(|source| Error::Io {
            action: "failed to write",
            path: link.clone(),
            source,
        })?;
        let mut changes = vec![Change::Set("core.worktree".into(), relative(git_dir, directory))];
        let config = &self.repo.config;
        for key in [LOCATION, STRATEGY] {
            changes.extend(config.string(key).map(|value| Change::Set(key.into(), value)));
        }
        Ok(edit(&git_dir.join("config"), &changes)?)
    }
}

impl Strategy {
    /// Does what is to be done where nobody lends for `reason`.
    fn complain(self, submodule: &Submodule, reason: &str, say: &mut dyn FnMut(Said)) -> Result<(), Error> {
        let text = format!("submodule '{}' cannot add alternate: {reason}", submodule.name);
        match self {
            Self::Die => {
                say(Said::Advice(ALTERNATE_ADVICE));
                return Err(Error::Usage(text));
            }
            Self::Info => say(Said::Line(text)),
            Self::Ignore => {}
        }
        Ok(())
    }
}

/// What holds where nobody can lend; `None` if nobody is asked to.
fn strategy(config: &Config) -> Result<Option<Strategy>, Error> {
    let unknown = |key: &str, value: &BString| {
        Err(Error::Usage(format!("Value '{value}' for {key} is not recognized")))
    };
    match config.string(LOCATION) {
        Some(location) if location == "superproject" => {}
        Some(location) if location != "no" => return unknown(LOCATION, &location),
        Some(_) | None => return Ok(None),
    }
    match config.string(STRATEGY) {
        None => Ok(Some(Strategy::Die)),
        Some(strategy) if strategy == "die" => Ok(Some(Strategy::Die)),
        Some(strategy) if strategy == "info" => Ok(Some(Strategy::Info)),
        Some(strategy) if strategy == "ignore" => Ok(Some(Strategy::Ignore)),
        Some(strategy) => unknown(STRATEGY, &strategy),
    }
}

/// Why the repository at `path` cannot lend, if so.
fn check_lender(path: &Path) -> Result<(), String> {
    if !path.exists() {
        return Err(format!("path '{}' does not exist", path.display()));
    }
    lender(path).map(drop)
}

/// The way to `target` from the directory `start`; both are absolute and have no symbolic links.
fn relative(start: &Path, target: &Path) -> BString {
    let is_same = |(one, other): &(Component<'_>, Component<'_>)| one == other;
    let shared = start.components().zip(target.components()).take_while(is_same).count();
    let up = start.components().skip(shared).map(|_| Component::ParentDir);
    let way: PathBuf = up.chain(target.components().skip(shared)).collect();
    BString::from(way.into_os_string().into_encoded_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_are_relative() {
        for (start, target, expected) in [
            ("/t/one", "/t/.git/modules/one", "../.git/modules/one"),
            ("/t/.git/modules/a/b", "/t/deep/two", "../../../../deep/two"),
            ("/t/a", "/sep/modules/a", "../../sep/modules/a"),
        ] {
            assert_eq!(relative(Path::new(start), Path::new(target)), expected);
        }
    }
}
