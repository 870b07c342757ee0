//! A repository's configuration as transports ask for it.

use std::ffi::OsString;

use bstr::BString;

use crate::repo::{Config, Environment};
use crate::transport::{Entry, Settings};

/// Gives a transport the configuration and environment it may look at.
#[derive(Debug, Clone, Copy)]
pub struct RepoSettings<'a> {
    /// The configuration that holds for the operation.
    pub config: &'a Config,
    /// Its environment.
    pub env: &'a Environment,
}

impl Settings for RepoSettings<'_> {
    fn value(&self, key: &str) -> Option<BString> {
        self.config.string(key)
    }

    fn section(&self, name: &str) -> Vec<Entry> {
        self.config
            .section(name)
            .into_iter()
            .map(|(subsection, key, value)| Entry { subsection, key, value })
            .collect()
    }

    fn environment(&self) -> Option<Vec<(OsString, OsString)>> {
        Some(self.env.vars().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    fn parameters(&self) -> Option<OsString> {
        self.config.parameters().map(ToOwned::to_owned)
    }

    fn env(&self, name: &str) -> Option<OsString> {
        self.env.get(name).map(ToOwned::to_owned)
    }
}
