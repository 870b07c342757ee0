//! What a pull does once the fetch is done, as far as no merge is needed.

use bstr::{BString, ByteSlice};
use gix_hash::ObjectId;

use super::Error;
use super::promisor::LazyFetch;
use super::update::{followed, is_ancestor};
use crate::progress::Progress;
use crate::repo::checkout::Outcome;
use crate::repo::checkout::forward::{Forward, Ignored};
use crate::repo::diffstat::Change;
use crate::repo::{Edit, Expected, Objects, Repository, Target};
use crate::transport;

/// How what is to be merged stands to our branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// How many commits are to be merged.
    pub heads: usize,
    /// The first of them.
    pub first: Option<ObjectId>,
    /// There is one, and it has all that our branch has.
    pub can_fast_forward: bool,
    /// Our branch has all of them.
    pub is_up_to_date: bool,
}

impl Standing {
    /// Looks how `heads` stand to our commit `current`.
    ///
    /// # Errors
    ///
    /// If a commit cannot be read.
    pub fn of(repo: &Repository, current: ObjectId, heads: &[ObjectId]) -> Result<Self, Error> {
        let heads: Vec<ObjectId> =
            heads.iter().map(|head| commit_of(repo, *head)).collect::<Result<_, _>>()?;
        let mut objects = repo.objects()?;
        let mut is_ancestor = |old, new| {
            is_ancestor(&mut objects, old, new).map_err(|error| crate::repo::Error::Object(error.to_string()))
        };
        let can_fast_forward = match heads.as_slice() {
            [only] => is_ancestor(current, *only)?,
            [..] => false,
        };
        let mut is_up_to_date = true;
        for head in &heads {
            is_up_to_date = is_up_to_date && is_ancestor(*head, current)?;
        }
        Ok(Self { heads: heads.len(), first: heads.first().copied(), can_fast_forward, is_up_to_date })
    }
}

/// Whether a merge into the current branch is nothing special: no `branch.<name>.mergeOptions`, and no cherry-pick that is
/// not finished.
///
/// # Errors
///
/// If `HEAD` cannot be read.
pub fn merges_plainly(repo: &Repository) -> Result<bool, Error> {
    let branch = repo.head_branch()?;
    let short = branch.as_ref().and_then(|full| full.strip_prefix(b"refs/heads/"));
    let has_options = short.is_some_and(|short| {
        repo.config.string(&format!("branch.{}.mergeOptions", short.as_bstr())).is_some()
    });
    Ok(!has_options && !repo.git_path("CHERRY_PICK_HEAD").exists())
}

/// Whether a branch moves forward to `head` where nothing is said of fast-forwards. git-merge(1), "--ff": not to an annotated
/// tag that is not here under its own name; and `pull.twohead` may name a strategy that never does.
///
/// # Errors
///
/// If the tag or its ref cannot be read.
pub fn is_fast_forwarded(repo: &Repository, head: ObjectId) -> Result<bool, Error> {
    if repo.config.string("pull.twohead").is_some() {
        return Ok(false);
    }
    let mut content = Vec::new();
    let kind = repo.objects()?.find(&head, &mut content).map_err(unreadable)?;
    if kind != Some(gix_object::Kind::Tag) {
        return Ok(true);
    }
    let Ok(tag) = gix_object::TagRef::from_bytes(&content, repo.object_hash) else { return Ok(false) };
    let name = BString::from([b"refs/tags/", tag.name.as_bytes()].concat());
    Ok(repo.resolve_ref(name.as_bstr())? == Some(head))
}

/// What changed in the files from the commit `old` to the commit `new`.
///
/// # Errors
///
/// If an object is missing or broken.
pub fn changes(repo: &Repository, old: ObjectId, new: ObjectId) -> Result<Vec<Change>, Error> {
    let mut objects = repo.objects()?;
    let [old, new] = [tree_of(repo, &mut objects, old)?, tree_of(repo, &mut objects, new)?];
    Ok(repo.diffstat(&old, &new)?)
}

/// The tree of a commit.
fn tree_of(repo: &Repository, objects: &mut Objects, id: ObjectId) -> Result<ObjectId, Error> {
    let id = commit_of(repo, id)?;
    let commit = objects.commit(&id).map_err(unreadable)?;
    Ok(commit.ok_or_else(|| crate::repo::Error::Object(format!("{id} is not a commit")))?.tree)
}

/// Writes `ORIG_HEAD`, as a merge does before it begins.
///
/// # Errors
///
/// If the ref cannot be written.
pub fn remember(repo: &Repository, current: ObjectId) -> Result<(), Error> {
    let edit = Edit {
        name: "ORIG_HEAD".into(),
        new: Some(Target::Id(current)),
        expected: Expected::Any,
        message: None,
        through: Vec::new(),
    };
    Ok(repo.update_refs(&[edit])?)
}

/// Whether there is nothing in the work tree but the git directory, and no index.
pub fn is_empty_work_tree(repo: &Repository) -> bool {
    let Some(work_tree) = &repo.work_tree else { return false };
    let Ok(entries) = std::fs::read_dir(work_tree) else { return false };
    let mut entries = entries.map(|entry| entry.map(|entry| entry.file_name()));
    let has_others = entries.any(|name| !matches!(name, Ok(name) if name == ".git"));
    !has_others && !repo.git_path("index").exists()
}

/// As [`set_head`], after the files of `head` have filled the empty work tree. Where a file cannot be written the branch
/// stays what it is.
///
/// # Errors
///
/// If the commit cannot be read, or the ref not be written.
pub fn begin(
    repo: &Repository,
    head: ObjectId,
    fetched: Option<ObjectId>,
    progress: &mut dyn Progress,
) -> Result<Outcome, Error> {
    let id = commit_of(repo, head)?;
    let tree = tree_of(repo, &mut repo.objects()?, id)?;
    bring_files(repo, &tree, None, progress)?;
    let outcome = repo.checkout(&tree, Some(id), progress)?;
    if outcome.is_complete() {
        set_head(repo, id, fetched)?;
    }
    Ok(outcome)
}

/// Makes the branch that is checked out, which was not born before the pull, `head`. `fetched` is what the fetch made it.
///
/// # Errors
///
/// If the ref cannot be written.
pub fn set_head(repo: &Repository, head: ObjectId, fetched: Option<ObjectId>) -> Result<(), Error> {
    let (name, through) = followed(repo, &"HEAD".into());
    let edit = Edit {
        name,
        new: Some(Target::Id(commit_of(repo, head)?)),
        expected: fetched.map_or(Expected::Missing, Expected::Id),
        message: Some("initial pull".into()),
        through,
    };
    Ok(repo.update_refs(&[edit])?)
}

/// Prepares to take index and work tree from the commit `old`, or from none, to the commit `new`; `None` if that cannot be
/// done here. The branch stays where it is: see [`advance`]. `ignored` says what becomes of ignored files in the way.
///
/// # Errors
///
/// If a commit, a tree or the index cannot be read, or the index is locked.
pub fn forward<'a>(
    repo: &'a Repository,
    old: Option<ObjectId>,
    new: ObjectId,
    ignored: Ignored,
    progress: &mut dyn Progress,
) -> Result<Option<Forward<'a>>, Error> {
    let mut objects = repo.objects()?;
    let mut tree = |id: Option<ObjectId>| -> Result<ObjectId, Error> {
        let Some(id) = id else { return Ok(ObjectId::empty_tree(repo.object_hash)) };
        tree_of(repo, &mut objects, id)
    };
    let (from, to) = (tree(old)?, tree(Some(new))?);
    bring_files(repo, &to, Some(&from), progress)?;
    Ok(repo.forward([&from, &to], Some(commit_of(repo, new)?), ignored)?)
}

/// Fetches at once what a filter left out of the files of `tree` and that are not those of `old`.
fn bring_files(
    repo: &Repository,
    tree: &ObjectId,
    old: Option<&ObjectId>,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    if !repo.is_partial()? || repo.config.boolean("core.sparseCheckout")?.unwrap_or(false) {
        return Ok(());
    }
    let transport = transport::Options::default();
    let lazy = LazyFetch { repo, transport: &transport, server_options: &[], no_progress: true };
    lazy.bring_files(tree, old, progress)
}

/// Forgets what a merge had come to, as the end of each merge does.
///
/// # Errors
///
/// If the ref is there and cannot be removed.
pub fn forget_merge(repo: &Repository) -> Result<(), Error> {
    const NAME: &str = "AUTO_MERGE";
    if !repo.git_path(NAME).exists() && !repo.has_reference_hook()? {
        return Ok(());
    }
    let edit =
        Edit { name: NAME.into(), new: None, expected: Expected::Any, message: None, through: Vec::new() };
    Ok(repo.update_refs(&[edit])?)
}

/// Moves the branch that is checked out from `old` to `new`. Where that was, [`remember`] has written.
///
/// # Errors
///
/// If a ref cannot be written.
pub fn advance(repo: &Repository, old: ObjectId, new: ObjectId, message: &str) -> Result<(), Error> {
    let (name, through) = followed(repo, &"HEAD".into());
    let edit = Edit {
        name,
        new: Some(Target::Id(new)),
        expected: Expected::Id(old),
        message: Some(message.into()),
        through,
    };
    Ok(repo.update_refs(&[edit])?)
}

/// The commit that `id` is or, as a tag, names.
fn commit_of(repo: &Repository, id: ObjectId) -> Result<ObjectId, Error> {
    Ok(repo.objects()?.peel(&id).map_err(unreadable)?.map_or(id, |(id, _)| id))
}

fn unreadable(error: std::io::Error) -> crate::repo::Error {
    crate::repo::Error::Object(error.to_string())
}
