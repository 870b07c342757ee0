//! The entries of section `http` that hold for one URL, and their values: git-config(1), `http.<url>.*`.

use std::path::PathBuf;

use bstr::{BString, ByteSlice as _};

use super::super::{Entry, Error, Settings};
use crate::credential::urlmatch::{Fit, Normal};

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
        let text = value.to_str_lossy();
        match &*text.to_ascii_lowercase() {
            "true" | "yes" | "on" => Ok(Some(true)),
            "false" | "no" | "off" | "" => Ok(Some(false)),
            lower => match lower.parse::<i64>() {
                Ok(number) => Ok(Some(number != 0)),
                Err(_) => Err(Error::Access(format!("bad boolean config value '{text}' for 'http.{key}'"))),
            },
        }
    }

    /// The value of `key` as a number, which may end in `k`, `m` or `g`.
    pub(super) fn number(&self, key: &str) -> Result<Option<u64>, Error> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        let lower = text.trim().to_ascii_lowercase();
        let units = [('k', 1 << 10), ('m', 1 << 20), ('g', 1 << 30)];
        let with_unit = units.iter().find_map(|&(name, unit)| Some((lower.strip_suffix(name)?, unit)));
        let (digits, unit) = with_unit.unwrap_or((&lower, 1));
        let number = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
        let bad =
            || Error::Access(format!("bad numeric config value '{text}' for 'http.{key}': invalid unit"));
        number.map(Some).ok_or_else(bad)
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
