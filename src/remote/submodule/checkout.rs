//! The commit of a submodule that has just been cloned: whether it came along, and its checkout.

use std::ffi::OsStr;

use bstr::BString;
use gix_hash::ObjectId;
use gix_object::Kind;

use crate::progress::Progress;
use crate::remote::Error;
use crate::remote::promisor::LazyFetch;
use crate::remote::push::submodule::{ids_below, walk};
use crate::repo::checkout::Outcome;
use crate::repo::{Edit, Expected, Repository, Target};
use crate::transport;

/// Whether `commit` is in `repo`, and one of its refs, or its `HEAD`, keeps it. What is no commit is not asked for anew.
///
/// # Errors
///
/// If objects or refs cannot be read.
pub fn is_kept(repo: &Repository, commit: &ObjectId) -> Result<bool, Error> {
    let mut objects = repo.objects()?;
    match objects.kind(commit).map_err(unreadable)? {
        None => return Ok(false),
        Some(Kind::Commit) => {}
        Some(Kind::Tree | Kind::Blob | Kind::Tag) => return Ok(true),
    }
    let mut tips = ids_below(repo, "refs/")?;
    tips.extend(repo.resolve_ref("HEAD".into())?);
    walk::are_reachable(&mut objects, &[*commit], &tips)
}

/// Fills the empty work tree of `repo` with the files of `commit`, and detaches `HEAD` there. Paths that could not be written
/// are in the outcome; then `HEAD` stays where it is.
///
/// # Errors
///
/// [`Error::Usage`] in git's words for what is no commit.
pub fn check_out(
    repo: &Repository,
    commit: &ObjectId,
    progress: &mut dyn Progress,
) -> Result<Outcome, Error> {
    let mut objects = repo.objects()?;
    if objects.kind(commit).map_err(unreadable)? != Some(Kind::Commit) {
        return Err(Error::Usage(format!("Cannot switch branch to a non-commit '{commit}'")));
    }
    let found = objects.commit(commit).map_err(unreadable)?;
    let tree = found.ok_or_else(|| Error::Usage(format!("unable to read tree ({commit})")))?.tree;
    if repo.is_partial()? {
        let transport = transport::Options::default();
        let lazy = LazyFetch { repo, transport: &transport, server_options: &[], no_progress: true };
        lazy.bring_files(&tree, None, progress)?;
    }
    let outcome = repo.checkout(&tree, None, progress)?;
    if outcome.is_complete() {
        detach(repo, commit)?;
    }
    Ok(outcome)
}

/// Makes `HEAD` the commit itself.
fn detach(repo: &Repository, commit: &ObjectId) -> Result<(), Error> {
    let old = match repo.head_branch()? {
        Some(branch) => branch.strip_prefix(b"refs/heads/").map(BString::from).unwrap_or(branch),
        None => repo.resolve_ref("HEAD".into())?.map(|id| id.to_string().into()).unwrap_or_default(),
    };
    let edit = Edit {
        name: "HEAD".into(),
        new: Some(Target::Id(*commit)),
        expected: Expected::Any,
        message: Some(format!("checkout: moving from {old} to {commit}").into()),
        through: Vec::new(),
    };
    Ok(repo.update_refs(&[edit])?)
}

/// Runs the `post-checkout` hook of `repo` after a checkout of `new`, where `old` was before; how it ended, 0 if there is
/// none. githooks(5).
///
/// # Errors
///
/// If `core.hooksPath` cannot be expanded.
pub fn run_hook(repo: &Repository, old: &ObjectId, new: &ObjectId) -> Result<u8, Error> {
    let Some(hook) = repo.hook("post-checkout")? else { return Ok(0) };
    let (old, new) = (old.to_string(), new.to_string());
    let arguments = [old.as_str(), &new, "1"].map(OsStr::new);
    Ok(hook.run(&arguments, b""))
}

fn unreadable(error: std::io::Error) -> Error {
    crate::repo::Error::Object(error.to_string()).into()
}
