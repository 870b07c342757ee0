//! What a new repository has of refs: `HEAD`, and where the others come.

use std::fs;
use std::path::Path;

use bstr::BString;

use super::{failed, make_dir};
use crate::repo::reference::tables::{self, DIRECTORY};
use crate::repo::{Config, Error};

/// What `refs/heads` says where refs are in a reftable; in the words of git 2.47.3.
const STUB: &str = "this repository uses the reftable format\n";

/// Makes the directories of refs, and `HEAD` beside what a template has put there.
pub(super) fn write_head(git_dir: &Path, branch: &BString) -> Result<(), Error> {
    for dir in ["refs/heads", "refs/tags"] {
        make_dir(&git_dir.join(dir))?;
    }
    let head = git_dir.join("HEAD");
    if head.symlink_metadata().is_ok() {
        return Ok(());
    }
    let text = [b"ref: ".as_slice(), branch, b"\n"].concat();
    fs::write(&head, text).map_err(failed("could not write", &head))
}

/// Makes what old gits look for in a repository, and what keeps them from writing refs as files.
pub(super) fn write_stubs(git_dir: &Path) -> Result<(), Error> {
    make_dir(&git_dir.join("refs"))?;
    for (name, text) in [("HEAD", "ref: refs/heads/.invalid\n"), ("refs/heads", STUB)] {
        let path = git_dir.join(name);
        fs::write(&path, text).map_err(failed("could not write", &path))?;
    }
    Ok(())
}

/// Makes the first table, in which is `HEAD`.
pub(super) fn make_tables(
    git_dir: &Path,
    object_hash: gix_hash::Kind,
    branch: &BString,
    config: &Config,
) -> Result<(), Error> {
    make_dir(&git_dir.join(DIRECTORY))?;
    tables::create(git_dir, object_hash, branch.as_ref(), &tables::settings(config)?)
}
