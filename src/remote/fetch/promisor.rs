//! Makes a remote one that may be asked for what a filter left out. `git-config(1)`, `remote.<name>.promisor`.

use bstr::{BStr, BString, ByteSlice};

use super::Fetch;
use crate::remote::Error;
use crate::remote::ref_map::Mapping;
use crate::repo::Repository;
use crate::repo::config::{Change, edit};

impl Fetch<'_> {
    /// Writes down that the remote may be asked for what `--filter` leaves out, and the filter itself unless one is
    /// there, as git does before it asks for anything. Nothing is written without `--filter`.
    pub(super) fn register_promisor(&self) -> Result<(), Error> {
        let Some(filter) = &self.options.filter else { return Ok(()) };
        let Some(name) = self.remote.name.as_ref().or(self.remote.urls.first()) else { return Ok(()) };
        let filter = self.remote.filter.is_none().then_some(filter);
        if self.remote.promisor && filter.is_none() {
            return Ok(());
        }
        write_promisor(self.repo, name.as_bstr(), filter)
    }
}

/// Refuses to call a repository one of format 1 where that gives words in its configuration a meaning which they have not
/// now, as git 2.47.3 does.
fn check_upgrade(repo: &Repository) -> Result<(), Error> {
    const HARMLESS: [&str; 4] = ["noop", "partialclone", "preciousobjects", "worktreeconfig"];
    if repo.config.integer("core.repositoryformatversion")?.unwrap_or(0) > 0 {
        return Ok(());
    }
    let extensions = repo.config.section("extensions");
    let Some((_, name, _)) = extensions.iter().find(|(_, name, _)| !HARMLESS.contains(&name.as_str())) else {
        return Ok(());
    };
    let reason = format!("cannot upgrade repository format: unknown extension {name}");
    let message = "unable to upgrade repository format to support partial clone".to_owned();
    Err(crate::repo::Error::ConfigEntry { reason, message }.into())
}

/// Makes the remote `name` a promisor: what is missing later is no damage then. `filter` is kept for later fetches.
pub(in crate::remote) fn write_promisor(
    repo: &Repository,
    name: &BStr,
    filter: Option<&BString>,
) -> Result<(), Error> {
    check_upgrade(repo)?;
    let key = |last: &str| BString::from([b"remote.", name.as_bytes(), b".", last.as_bytes()].concat());
    let mut changes = vec![
        Change::Set("core.repositoryformatversion".into(), "1".into()),
        Change::Set(key("promisor"), "true".into()),
    ];
    changes.extend(filter.map(|filter| Change::Set(key("partialclonefilter"), filter.clone())));
    Ok(edit(&repo.common_path("config"), &changes)?)
}

/// What a `.promisor` file says: which refs the pack was fetched for.
pub(in crate::remote) fn promisor_text(map: &[Mapping]) -> BString {
    let mut text = BString::default();
    for mapping in map {
        text.extend_from_slice(format!("{} {}\n", mapping.id, mapping.remote).as_bytes());
    }
    text
}
