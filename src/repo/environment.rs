//! The environment variables an operation runs under, taken once and passed on.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use bstr::ByteSlice;

use super::Error;
use super::config::boolean_of;

/// By which the transports of this process find its own program. Programs that are started have no use for it.
const OWN_PROGRAM: &str = "GITR_PROGRAM";

/// A set of environment variables. The command takes the process's own; an embedder or a test makes its own.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// The environment of this process.
    pub fn from_process() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// The value of `name`.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// The value of `name` as a path; an empty one counts as none.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    /// The user's home directory, from `HOME`.
    pub fn home(&self) -> Option<PathBuf> {
        self.path("HOME")
    }

    /// All variables, for a child process.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.vars()
    }

    /// Sets `name` to `value`.
    pub fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        self.0.insert(name.into(), value.into());
    }

    /// Removes `name`.
    pub fn remove(&mut self, name: &str) {
        self.0.remove(OsStr::new(name));
    }

    /// All variables, for a program that is started.
    pub fn vars(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        let variables = self.0.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()));
        variables.filter(|(name, _)| *name != OWN_PROGRAM)
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
        Self(variables.into_iter().collect())
    }
}
