//! A fetch with a filter makes its remote a promisor: what was left out may be asked for later.

use bstr::BString;

use super::Fetch;
use crate::remote::Error;
use crate::repo::config::{Change, edit};

impl Fetch<'_> {
    /// Writes down that the remote may be asked for what the filter leaves out, and the filter itself unless one is
    /// there, as git does before it asks for anything. Nothing is written without `--filter`.
    pub(super) fn register_promisor(&self) -> Result<(), Error> {
        let Some(filter) = &self.options.filter else { return Ok(()) };
        let name = match (&self.remote.name, self.remote.urls.first()) {
            (Some(name), _) | (None, Some(name)) => name,
            (None, None) => return Ok(()),
        };
        let key = |last: &str| BString::from([b"remote.", name.as_slice(), b".", last.as_bytes()].concat());
        let set = |key: BString, value: &str| Change::Set(key, value.into());
        let mut changes = Vec::new();
        if !self.remote.promisor {
            changes.push(set("core.repositoryformatversion".into(), "1"));
            changes.push(set(key("promisor"), "true"));
        }
        if self.remote.filter.is_none() {
            changes.push(Change::Set(key("partialclonefilter"), filter.clone()));
        }
        if changes.is_empty() {
            return Ok(());
        }
        Ok(edit(&self.repo.common_path("config"), &changes)?)
    }
}
