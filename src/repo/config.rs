//! The cascade of configuration files, and edits to the repository's own.

use std::path::Path;

use bstr::{BStr, BString};

use super::{Environment, Error};

/// All configuration that holds in one place: system, global, local, work tree, environment and command line, with
/// includes resolved; the last definition of a key wins. Includes `git -c` values ([`Overrides`]),
/// `GIT_CONFIG_COUNT/KEY_n/VALUE_n` and `GIT_CONFIG_PARAMETERS`.
#[derive(Debug)]
pub struct Config {
    // the helper decides (gix_config::File, most likely)
    _private: (),
}

/// One `-c key=value` of the command line; a value of `None` means `-c key`, which is true.
pub type Override = (BString, Option<BString>);

impl Config {
    /// Loads what holds outside of any repository (`dirs` is `None`) or inside the one given.
    pub fn load(_env: &Environment, _overrides: &[Override], _dirs: Option<Dirs<'_>>) -> Result<Self, Error> {
        todo!("repo helper")
    }
    /// The last value of `key` (`section.key` or `section.subsection.key`, git's spelling).
    /// A key that stands alone gives an empty string.
    pub fn string(&self, _key: &str) -> Option<BString> {
        todo!()
    }
    /// All values of `key` in order of definition.
    pub fn strings(&self, _key: &str) -> Vec<BString> {
        todo!()
    }
    /// The last value of `key` as a boolean; an error names key and value as git does
    /// (`bad boolean config value 'x' for 'a.b'`).
    pub fn boolean(&self, _key: &str) -> Result<Option<bool>, Error> {
        todo!()
    }
    /// The last value of `key` as an integer with git's k, m, g suffixes
    /// (`bad numeric config value 'x' for 'a.b': invalid unit`).
    pub fn integer(&self, _key: &str) -> Result<Option<i64>, Error> {
        todo!()
    }
    /// The last value of `key` as a path: `~/` and `~user/` expanded.
    pub fn path(&self, _key: &str) -> Result<Option<std::path::PathBuf>, Error> {
        todo!()
    }
    /// Every entry of section `name` in order of definition: subsection, key in lower case, value.
    pub fn section(&self, _name: &str) -> Vec<(Option<BString>, String, Option<BString>)> {
        todo!()
    }
}

/// The directories of a repository that has configuration.
#[derive(Debug, Clone, Copy)]
pub struct Dirs<'a> {
    /// See [`super::Repository::git_dir`].
    pub git: &'a Path,
    /// See [`super::Repository::common_dir`].
    pub common: &'a Path,
}

/// One change to a configuration file.
#[derive(Debug, Clone)]
pub enum Change {
    /// Sets the key to one value, in place if it has one.
    Set(BString, BString),
    /// Adds a value beside those it has.
    Add(BString, BString),
    /// Removes all values of the key.
    Unset(BString),
    /// Removes a whole section such as `branch.main`, whatever is in it.
    RemoveSection(BString),
    /// Renames a whole section, such as `remote.a` to `remote.b`.
    RenameSection(BString, BString),
}

/// Applies `changes` to the configuration file at `path`, all or none, under its `.lock`. Layout as `git config` writes
/// it: a tab before the key, `key = value`, quotes only where needed.
pub fn edit(_path: &Path, _changes: &[Change]) -> Result<(), Error> {
    let _: Option<&BStr> = None;
    todo!("repo helper")
}
