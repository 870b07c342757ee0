//! The cascade of configuration files, and edits to the repository's own.
//!
//! Parser and editor are our own: they give git's line numbers, messages and layout byte for byte.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bstr::{BStr, BString, ByteSlice};
use gix_hash::oid;

use super::{Environment, Error};

mod cascade;
mod core;
mod edit;
mod include;
mod key;
mod parameters;
mod parse;
mod storage;
#[cfg(test)]
mod tests;
mod value;

pub(super) use cascade::display_name;
pub use edit::{Change, edit, undo};
pub use key::canonical;
pub use parameters::{local_repo_env, overrides_as_parameters};
pub use value::{boolean, integer};
pub(super) use value::{boolean as boolean_of, path as expand_path, to_path};

/// All configuration that holds in one place: system, global, local, work tree, environment and command line, with
/// includes resolved; the last definition of a key wins. Includes `git -c` values ([`Override`]),
/// `GIT_CONFIG_COUNT/KEY_n/VALUE_n` and `GIT_CONFIG_PARAMETERS`.
#[derive(Debug, Clone, Default)]
pub struct Config {
    entries: Vec<Entry>,
    /// Canonical key to the places of its values, in order of definition.
    places: HashMap<BString, Vec<usize>>,
    /// Knows `HOME`, for paths.
    env: Environment,
    /// See [`Config::parameters`].
    parameters: Option<OsString>,
}

/// One `-c key=value` of the command line; a value of `None` means `-c key`, which is true.
pub type Override = (BString, Option<BString>);

/// One entry of [`Config::section`]: subsection, key in lower case, value.
pub type SectionEntry = (Option<BString>, String, Option<BString>);

/// Where a value was defined: git-config(1), "SCOPES".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// `/etc/gitconfig`.
    System,
    /// `~/.gitconfig` and `~/.config/git/config`.
    Global,
    /// The repository's `config`.
    Local,
    /// The work tree's `config.worktree`.
    Worktree,
    /// The environment and `-c`.
    Command,
}

impl Scope {
    /// Whether the values are the user's own, not those of a repository that may be another's.
    pub fn is_protected(self) -> bool {
        matches!(self, Self::System | Self::Global | Self::Command)
    }
}

/// One definition.
#[derive(Debug, Clone)]
struct Entry {
    section: BString,
    subsection: Option<BString>,
    name: String,
    value: Option<BString>,
    scope: Scope,
    /// File and line; `None` for the command line.
    origin: Option<(Arc<Path>, usize)>,
}

/// The directories of a repository that has configuration.
#[derive(Debug, Clone, Copy)]
pub struct Dirs<'a> {
    /// See [`super::Repository::git_dir`].
    pub git: &'a Path,
    /// See [`super::Repository::common_dir`].
    pub common: &'a Path,
}

impl Config {
    /// Loads what holds outside of any repository (`dirs` is `None`) or inside the one given.
    pub fn load(env: &Environment, overrides: &[Override], dirs: Option<Dirs<'_>>) -> Result<Self, Error> {
        let mut config = cascade::load(env, overrides, dirs)?;
        config.parameters = (!overrides.is_empty()).then(|| overrides_as_parameters(overrides, env));
        Ok(config)
    }

    /// What `-c` said, as `GIT_CONFIG_PARAMETERS` hands it on to programs; `None` if it said nothing.
    pub fn parameters(&self) -> Option<&OsStr> {
        self.parameters.as_deref()
    }

    /// Reads the file at `path` alone, includes unresolved; one that is not there is empty. `name` is what errors
    /// call it.
    pub fn from_file(path: &Path, name: &Path, env: &Environment) -> Result<Self, Error> {
        cascade::load_file(path, name, env)
    }

    /// Takes `text` for the content of a configuration file that errors call `name`, includes unresolved.
    pub fn from_bytes(text: &[u8], name: &Path, env: &Environment) -> Result<Self, Error> {
        cascade::load_bytes(text, name, env)
    }

    /// As [`Self::from_bytes`], for the content of the blob `id`, as which errors name it.
    pub fn from_blob(text: &[u8], id: &oid, env: &Environment) -> Result<Self, Error> {
        cascade::load_blob(text, id, env)
    }

    /// The last value of `key` (`section.key` or `section.subsection.key`, git's spelling).
    /// A key that stands alone gives an empty string.
    pub fn string(&self, key: &str) -> Option<BString> {
        self.last(key).map(|entry| entry.value.clone().unwrap_or_default())
    }

    /// All values of `key` in order of definition.
    pub fn strings(&self, key: &str) -> Vec<BString> {
        self.all(key).map(|entry| entry.value.clone().unwrap_or_default()).collect()
    }

    /// All values of `keys`, which add to the same list, in order of definition.
    pub fn strings_of(&self, keys: &[&str]) -> Vec<BString> {
        let places = |key: &&str| self.places.get(&canonical(key.as_bytes())).into_iter().flatten();
        let mut places: Vec<usize> = keys.iter().flat_map(places).copied().collect();
        places.sort_unstable();
        let entries = places.into_iter().filter_map(|place| self.entries.get(place));
        entries.map(|entry| entry.value.clone().unwrap_or_default()).collect()
    }

    /// All values of `key` that come from the system, the user or the command line, in order of definition: those
    /// that a repository of another's cannot set, as `safe.directory` needs them.
    pub fn protected(&self, key: &str) -> Vec<BString> {
        let own = self.all(key).filter(|entry| entry.scope.is_protected());
        own.map(|entry| entry.value.clone().unwrap_or_default()).collect()
    }

    /// Which of `keys`, that set the same thing, was defined last.
    pub fn last_of<'a>(&self, keys: &[&'a str]) -> Option<&'a str> {
        let place = |key: &str| self.places.get(&canonical(key.as_bytes())).and_then(|places| places.last());
        let found = keys.iter().filter_map(|key| Some((place(key)?, *key)));
        found.max_by_key(|(place, _)| **place).map(|(_, key)| key)
    }

    /// Where the last value of `key` comes from.
    pub fn scope(&self, key: &str) -> Option<Scope> {
        self.last(key).map(|entry| entry.scope)
    }

    /// The last value of `key` as a boolean; an error names key and value as git does
    /// (`bad boolean config value 'x' for 'a.b'`).
    pub fn boolean(&self, key: &str) -> Result<Option<bool>, Error> {
        let Some(entry) = self.last(key) else { return Ok(None) };
        let Some(value) = &entry.value else { return Ok(Some(true)) };
        let key = canonical(key.as_bytes());
        let refuse = || Error::Config(format!("bad boolean config value '{value}' for '{key}'"));
        boolean(value.as_bstr()).map(Some).ok_or_else(refuse)
    }

    /// The last value of `key` as an integer with git's k, m, g suffixes
    /// (`bad numeric config value 'x' for 'a.b': invalid unit`).
    pub fn integer(&self, key: &str) -> Result<Option<i64>, Error> {
        let Some(entry) = self.last(key) else { return Ok(None) };
        let value = entry.value.as_ref().map_or(BStr::new(""), |value| value.as_bstr());
        integer(value).map(Some).map_err(|reason| entry.no_number(reason))
    }

    /// As [`Self::integer`], for what git keeps in 32 bits.
    pub fn small_integer(&self, key: &str) -> Result<Option<i32>, Error> {
        self.last(key).map(Entry::small_integer).transpose()
    }

    /// The last value of `key` as a path: `~/` and `~user/` expanded.
    pub fn path(&self, key: &str) -> Result<Option<PathBuf>, Error> {
        let Some(entry) = self.last(key) else { return Ok(None) };
        let Some(value) = &entry.value else {
            return Err(entry.missing_value(canonical(key.as_bytes()).as_bstr()));
        };
        let refuse = || Error::Config(format!("failed to expand user dir in: '{value}'"));
        value::path(value.as_bstr(), &self.env).map(Some).ok_or_else(refuse)
    }

    /// Every entry of section `name` in order of definition: subsection, key in lower case, value.
    pub fn section(&self, name: &str) -> Vec<SectionEntry> {
        let name = name.to_ascii_lowercase();
        let entries = self.entries.iter().filter(|entry| entry.section == name.as_bytes());
        entries.map(|entry| (entry.subsection.clone(), entry.name.clone(), entry.value.clone())).collect()
    }

    /// Whether the configuration of the repository itself, not that of the system or the user, has a section `name` with
    /// `subsection` in it.
    pub fn is_of_repository(&self, name: &str, subsection: &BStr) -> bool {
        self.entries.iter().any(|entry| {
            matches!(entry.scope, Scope::Local | Scope::Worktree)
                && entry.section == name.as_bytes()
                && entry.subsection.as_ref().is_some_and(|own| own == subsection)
        })
    }

    /// Refuses the first definition that is one of `valued`, in lower case and with `*` for any subsection, and has no value,
    /// or belongs to a branch whose name is empty: what git refuses once it reads remotes.
    ///
    /// # Errors
    ///
    /// [`Error::ConfigEntry`] or [`Error::Config`] in git's words, with the place.
    pub fn check_values(&self, valued: &[&str]) -> Result<(), Error> {
        for entry in &self.entries {
            let subsection = entry.subsection.as_ref().map(|name| name.as_slice());
            if entry.section == "branch" && subsection == Some(b"") {
                return Err(Error::Config(entry.refusal()));
            }
            let any = if subsection.is_some() { ".*" } else { "" };
            let pattern = format!("{}{any}.{}", entry.section, entry.name);
            if entry.value.is_none() && valued.contains(&&*pattern) {
                return Err(entry.stands_alone());
            }
        }
        Ok(())
    }

    /// As [`Self::check_valued`], in the words that git has where it reads a configuration line by line, before there is a
    /// repository.
    ///
    /// # Errors
    ///
    /// [`Error::ConfigEntry`] in git's words, with the line.
    pub fn check_valued_early(&self, key: &str) -> Result<(), Error> {
        match self.all(key).find(|entry| entry.value.is_none()) {
            Some(entry) => Err(entry.explain(format!("missing value for '{}'", entry.key()))),
            None => Ok(()),
        }
    }

    /// Refuses the first definition of `key` that has no value.
    ///
    /// # Errors
    ///
    /// [`Error::ConfigEntry`] in git's words, with the place.
    pub fn check_valued(&self, key: &str) -> Result<(), Error> {
        match self.all(key).find(|entry| entry.value.is_none()) {
            Some(entry) => Err(entry.stands_alone()),
            None => Ok(()),
        }
    }

    /// What tells it from another configuration: all definitions, in their order.
    pub(crate) fn fingerprint(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for entry in &self.entries {
            let (key, value) = (entry.key(), entry.value.as_ref());
            bytes.extend([u8::from(entry.scope.is_protected()), u8::from(value.is_some())]);
            for word in [Some(&key), value].into_iter().flatten() {
                bytes.extend_from_slice(&word.len().to_le_bytes());
                bytes.extend_from_slice(word);
            }
        }
        bytes
    }

    /// The environment it was loaded in.
    pub(crate) fn environment(&self) -> &Environment {
        &self.env
    }

    /// The error about the last value of `key` where it is none of those git knows.
    pub(crate) fn invalid_value(&self, key: &str) -> Error {
        let value = self.string(key).unwrap_or_default();
        let reason = format!("invalid value for '{key}': '{value}'");
        match self.last(key) {
            Some(entry) => entry.explain(reason),
            None => Error::Config(reason),
        }
    }

    fn all(&self, key: &str) -> impl DoubleEndedIterator<Item = &Entry> {
        let places = self.places.get(&canonical(key.as_bytes()));
        places.into_iter().flatten().filter_map(|&place| self.entries.get(place))
    }

    /// The file, as messages show it, and the line that the value of `key` is from; `None` if it is from no file.
    pub(crate) fn origin(&self, key: &str) -> Option<(String, String)> {
        let (file, line) = self.last(key)?.origin.as_ref()?;
        Some((file.display().to_string(), line.to_string()))
    }

    fn last(&self, key: &str) -> Option<&Entry> {
        self.all(key).next_back()
    }

    fn push(&mut self, entry: Entry) {
        self.places.entry(entry.key()).or_default().push(self.entries.len());
        self.entries.push(entry);
    }
}

impl Entry {
    /// The canonical key.
    fn key(&self) -> BString {
        let subsection = self.subsection.as_ref().map(|subsection| subsection.as_slice());
        key::Key { section: &self.section, subsection, name: self.name.as_bytes() }.canonical()
    }

    /// The error about a key that stands alone where it needs a value.
    fn missing_value(&self, key: &BStr) -> Error {
        self.explain(format!("missing value for '{key}'"))
    }

    /// The error about a key that stands alone where whoever reads it needs a value.
    fn stands_alone(&self) -> Error {
        let reason = format!("missing value for '{}'", self.key());
        Error::ConfigEntry { reason, message: self.refusal() }
    }

    /// The value as a number that git keeps in 32 bits.
    fn small_integer(&self) -> Result<i32, Error> {
        let value = self.value.as_ref().map_or(BStr::new(""), |value| value.as_bstr());
        let number = integer(value).map_err(|reason| self.no_number(reason))?;
        i32::try_from(number).map_err(|_| self.no_number("out of range"))
    }

    /// The error about a value that is no number, or none that git can keep.
    fn no_number(&self, reason: &str) -> Error {
        let value = self.value.as_ref().map_or(BStr::new(""), |value| value.as_bstr());
        let file = self.origin.as_ref().map(|(file, _)| format!(" in file {}", file.display()));
        let file = file.unwrap_or_default();
        Error::Config(format!("bad numeric config value '{value}' for '{}'{file}: {reason}", self.key()))
    }

    /// git's words about a definition that whoever reads it does not take.
    fn refusal(&self) -> String {
        let key = self.key();
        match &self.origin {
            Some((file, line)) => {
                format!("bad config variable '{key}' in file '{}' at line {line}", file.display())
            }
            None => format!("unable to parse '{key}' from command-line config"),
        }
    }

    /// An error in this definition: `reason`, then where it is.
    fn explain(&self, reason: String) -> Error {
        let message = match &self.origin {
            Some((file, line)) => format!("bad config line {line} in file {}", file.display()),
            None => "unable to parse command-line config".to_owned(),
        };
        Error::ConfigEntry { reason, message }
    }
}
