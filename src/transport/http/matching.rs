//! The entries of section `http` that hold for one URL, and their values: git-config(1), `http.<url>.*`.

use std::path::PathBuf;

use bstr::{BString, ByteSlice as _};

use super::super::{Entry, Error, Settings};
use crate::text;
use crate::text::url::{Fit, Normal};

/// The entries of section `http` that hold for one URL, weaker ones before those that beat them.
pub(super) struct Matching {
    entries: Vec<(String, Option<BString>)>,
}

impl Matching {
    /// An entry is passed over if an earlier one of the same key fits better.
    pub(super) fn new(all: Vec<Entry>, url: &str) -> Self {
        let url = Normal::parse(url);
        let mut best: Vec<(String, Fit)> = Vec::new();
        let mut entries = Vec::new();
        for entry in all {
            let fit = match &entry.subsection {
                None => Some(Fit::default()),
                Some(pattern) => {
                    let pattern = Normal::pattern(pattern);
                    url.as_ref().zip(pattern).and_then(|(url, pattern)| url.fit(&pattern))
                }
            };
            let Some(fit) = fit else { continue };
            match best.iter_mut().find(|(key, _)| *key == entry.key) {
                Some((_, before)) if *before > fit => continue,
                Some((_, before)) => *before = fit,
                None => best.push((entry.key.clone(), fit)),
            }
            entries.push((entry.key, entry.value));
        }
        Self { entries }
    }

    /// The entry of `key` (lower case) that holds.
    fn entry(&self, key: &str) -> Option<&(String, Option<BString>)> {
        self.entries.iter().rev().find(|(name, _)| name == key)
    }

    /// The bytes of `key`, if it has any.
    pub(super) fn value(&self, key: &str) -> Option<&BString> {
        self.entry(key).and_then(|(_, value)| value.as_ref())
    }

    /// The value of `key`; one that stands alone has none and is an error, as in git.
    pub(super) fn text(&self, key: &str) -> Result<Option<String>, Error> {
        match self.entry(key) {
            None => Ok(None),
            Some((_, Some(value))) => Ok(Some(value.to_str_lossy().into_owned())),
            Some((_, None)) => Err(Error::Access(format!("missing value for 'http.{key}'"))),
        }
    }

    /// The value of `key` as a boolean.
    pub(super) fn boolean(&self, key: &str) -> Result<Option<bool>, Error> {
        let Some((_, value)) = self.entry(key) else { return Ok(None) };
        let Some(value) = value else { return Ok(Some(true)) };
        let bad = || Error::Access(format!("bad boolean config value '{value}' for 'http.{key}'"));
        text::boolean(value.as_bstr()).map(Some).ok_or_else(bad)
    }

    /// The value of `key` as a number, which may end in `k`, `m` or `g`. git reads most as a C `int`.
    pub(super) fn number(&self, key: &str) -> Result<Option<i64>, Error> {
        let number = self.long_number(key)?;
        if number.is_some_and(|number| i32::try_from(number).is_err()) {
            return Err(self.bad_number(key, "out of range"));
        }
        Ok(number)
    }

    /// As [`Self::number`], for what can be larger.
    pub(super) fn long_number(&self, key: &str) -> Result<Option<i64>, Error> {
        let Some((_, value)) = self.entry(key) else { return Ok(None) };
        let digits = value.as_ref().map(|value| value.as_bstr()).unwrap_or_default();
        text::integer(digits).map(Some).map_err(|reason| self.bad_number(key, reason))
    }

    fn bad_number(&self, key: &str, reason: &str) -> Error {
        let value = self.value(key).map(|value| value.as_bstr()).unwrap_or_default();
        Error::Access(format!("bad numeric config value '{value}' for 'http.{key}': {reason}"))
    }

    /// All values of `key`; an empty one forgets those before it.
    pub(super) fn list(&self, key: &str) -> Vec<String> {
        let mut values = Vec::new();
        for (_, value) in self.entries.iter().filter(|(name, _)| name == key) {
            let value = value.as_ref().map(|value| value.to_str_lossy().into_owned()).unwrap_or_default();
            if value.is_empty() {
                values.clear();
            } else {
                values.push(value);
            }
        }
        values
    }

    /// All of `http.extraHeader`; an empty value forgets those before it.
    pub(super) fn headers(&self) -> Vec<(String, String)> {
        let lines = self.list("extraheader");
        let split = |line: &String| {
            let (name, value) = line.split_once(':')?;
            Some((name.trim().to_owned(), value.trim().to_owned()))
        };
        lines.iter().filter_map(split).collect()
    }
}

/// A path of the configuration, where `~/` is the user's home directory.
pub(super) fn expand_home(settings: &dyn Settings, path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), settings.env("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => PathBuf::from(path),
    }
}
