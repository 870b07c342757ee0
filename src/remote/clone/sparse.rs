//! `--sparse`: only the files at the top are checked out. git-sparse-checkout(1), "CONE MODE".

use bstr::BString;

use crate::remote::Error;
use crate::repo::config::{Change, edit};
use crate::repo::{Repository, checkout};

/// Has `repo` check out the files at its top alone, as `git sparse-checkout set` in a new repository does.
pub(super) fn write(repo: &Repository) -> Result<(), Error> {
    let set = |key: &str| Change::Set(BString::from(key), "true".into());
    edit(&repo.common_path("config"), &[set("extensions.worktreeConfig")])?;
    let own = [set("core.sparseCheckout"), set("core.sparseCheckoutCone")];
    let own_config = repo.git_path("config.worktree");
    edit(&own_config, &own)?;
    repo.storage.share(&own_config).map_err(|source| Error::Io {
        action: "could not share",
        path: own_config,
        source,
    })?;
    let path = repo.git_path(checkout::SPARSE_FILE);
    let failed = |source| Error::Io { action: "could not create", path: path.clone(), source };
    if let Some(directory) = path.parent() {
        repo.storage.make_directories(directory).map_err(failed)?;
    }
    repo.storage.write(&path, checkout::SPARSE_TOP.as_ref()).map_err(failed)
}
