//! The environment variables an operation runs under, taken once and passed on.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use bstr::ByteSlice;

use super::Error;
use super::config::boolean_of;

/// A set of environment variables. The command takes the process's own; an embedder or a test makes its own.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    vars: BTreeMap<OsString, OsString>,
    /// See [`Environment::keep`].
    kept: BTreeMap<OsString, OsString>,
}

impl Environment {
    /// The environment of this process.
    pub fn from_process() -> Self {
        Self { vars: std::env::vars_os().collect(), kept: BTreeMap::new() }
    }

    /// The value of `name`.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        let name = OsStr::new(name);
        self.kept.get(name).or_else(|| self.vars.get(name)).map(OsString::as_os_str)
    }

    /// The value of `name` as a path; an empty one counts as none.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    /// The user's home directory, from `HOME`.
    pub fn home(&self) -> Option<PathBuf> {
        self.path("HOME")
    }

    /// Sets `name` to `value`.
    pub fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        self.vars.insert(name.into(), value.into());
    }

    /// Sets `name` to `value` for this process alone: programs that are started do not have the variable.
    pub fn keep(&mut self, name: &str, value: impl Into<OsString>) {
        self.remove(name);
        self.kept.insert(name.into(), value.into());
    }

    /// Removes `name`.
    pub fn remove(&mut self, name: &str) {
        self.vars.remove(OsStr::new(name));
        self.kept.remove(OsStr::new(name));
    }

    /// All variables, for a program that is started.
    pub fn vars(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.vars.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    /// Whether hints are wanted at all: `GIT_ADVICE`, which `--no-advice` sets.
    pub fn has_advice(&self) -> bool {
        let wish = self.get("GIT_ADVICE").map(|wish| wish.to_string_lossy().to_ascii_lowercase());
        !matches!(wish.as_deref(), Some("0" | "false" | "no" | "off" | ""))
    }

    /// A variable that git reads as a boolean: `true`, `yes`, `on` or a number other than 0, in any case.
    pub fn is_true(&self, name: &str) -> bool {
        self.boolean(name).is_ok_and(|value| value == Some(true))
    }

    /// A variable that git reads as a boolean; an error says `bad boolean environment value 'x' for 'NAME'`.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>, Error> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let value = value.as_encoded_bytes().as_bstr();
        let refuse = || Error::Config(format!("bad boolean environment value '{value}' for '{name}'"));
        boolean_of(value).map(Some).ok_or_else(refuse)
    }
}

impl FromIterator<(OsString, OsString)> for Environment {
    fn from_iter<T: IntoIterator<Item = (OsString, OsString)>>(variables: T) -> Self {
        Self { vars: variables.into_iter().collect(), kept: BTreeMap::new() }
    }
}
