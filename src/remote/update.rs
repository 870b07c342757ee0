//! What becomes of our refs: one row for each, decided before anything moves.

use std::io;

use bstr::{BString, ByteSlice};
use gix_hash::ObjectId;

use super::Error;
use super::fetch_head::describe;
use super::ref_map::Mapping;
use crate::repo::{Edit, Expected, Objects, Repository, Snapshot, Target};

mod ancestor;
mod stale;

pub use ancestor::is_ancestor;
pub(super) use ancestor::is_ancestor_of_any;
pub use stale::{dangling, prune, stale};

/// One line of the table that a fetch ends with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefUpdate {
    /// The ref on the far side; `None` where one of ours is pruned.
    pub remote: Option<BString>,
    /// The ref of ours; `None` where only `FETCH_HEAD` takes note.
    pub local: Option<BString>,
    /// What it was.
    pub old: Option<ObjectId>,
    /// What it is to be; `None` where it is pruned.
    pub new: Option<ObjectId>,
    /// What becomes of it.
    pub status: Status,
}

/// What becomes of a ref.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It is what it was.
    UpToDate,
    /// It is made; the kind is that of the far side's ref.
    New(Kind),
    /// It moves ahead.
    FastForward,
    /// It moves elsewhere, as was allowed.
    Forced,
    /// A tag moves, as was allowed.
    TagUpdated,
    /// It is noted in `FETCH_HEAD` alone.
    Noted,
    /// It is gone on the far side and so removed here.
    Pruned,
    /// It would move elsewhere and may not.
    NonFastForward,
    /// A tag would move and may not.
    WouldClobberTag,
    /// The update was tried and failed; the status is what was tried.
    Failed(Tried),
}

/// What a failed update was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tried {
    /// [`Status::New`].
    New(Kind),
    /// [`Status::FastForward`].
    FastForward,
    /// [`Status::Forced`].
    Forced,
    /// [`Status::TagUpdated`].
    TagUpdated,
}

/// What kind of ref the far side's is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `refs/heads/…`.
    Branch,
    /// `refs/tags/…`.
    Tag,
    /// Anything else.
    Other,
}

impl Kind {
    fn of(name: &BString) -> Self {
        if name.starts_with(b"refs/heads/") {
            Self::Branch
        } else if name.starts_with(b"refs/tags/") {
            Self::Tag
        } else {
            Self::Other
        }
    }
}

impl Status {
    /// Whether the ref was not updated although it should have been.
    pub fn is_rejected(self) -> bool {
        match self {
            Self::NonFastForward | Self::WouldClobberTag | Self::Failed(_) => true,
            Self::UpToDate
            | Self::New(_)
            | Self::FastForward
            | Self::Forced
            | Self::TagUpdated
            | Self::Noted
            | Self::Pruned => false,
        }
    }

    /// What the reflog says of it, as git words it.
    fn reflog_text(self) -> Option<&'static str> {
        match self {
            Self::New(Kind::Branch) => Some("storing head"),
            Self::New(Kind::Tag) => Some("storing tag"),
            Self::New(Kind::Other) => Some("storing ref"),
            Self::FastForward => Some("fast-forward"),
            Self::Forced => Some("forced-update"),
            Self::TagUpdated => Some("updating tag"),
            Self::UpToDate
            | Self::Noted
            | Self::Pruned
            | Self::NonFastForward
            | Self::WouldClobberTag
            | Self::Failed(_) => None,
        }
    }

    fn tried(self) -> Option<Tried> {
        match self {
            Self::New(kind) => Some(Tried::New(kind)),
            Self::FastForward => Some(Tried::FastForward),
            Self::Forced => Some(Tried::Forced),
            Self::TagUpdated => Some(Tried::TagUpdated),
            Self::UpToDate
            | Self::Noted
            | Self::Pruned
            | Self::NonFastForward
            | Self::WouldClobberTag
            | Self::Failed(_) => None,
        }
    }
}

/// What the user said about updates that are no fast-forwards.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rules {
    /// `--force`.
    pub force: bool,
    /// Nobody looks whether they are (`--no-show-forced-updates`): all are taken for fast-forwards.
    pub skips_forced_check: bool,
}

/// Decides what becomes of the ref that `mapping` names, which is `old` now.
pub fn decide(
    old: Option<ObjectId>,
    objects: &mut Objects,
    mapping: &Mapping,
    rules: Rules,
) -> Result<RefUpdate, Error> {
    let rules = Rules { force: rules.force || mapping.force, ..rules };
    let status = status(objects, mapping, old, rules)
        .map_err(|error| crate::repo::Error::Object(error.to_string()))?;
    Ok(RefUpdate {
        remote: Some(mapping.remote.clone()),
        local: mapping.local.clone(),
        old,
        new: Some(mapping.id),
        status,
    })
}

fn status(
    objects: &mut Objects,
    mapping: &Mapping,
    old: Option<ObjectId>,
    Rules { force, skips_forced_check }: Rules,
) -> io::Result<Status> {
    let Some(local) = &mapping.local else { return Ok(Status::Noted) };
    let new_kind = Status::New(Kind::of(&mapping.remote));
    let Some(old) = old else { return Ok(new_kind) };
    if old == mapping.id {
        return Ok(Status::UpToDate);
    }
    if local.starts_with(b"refs/tags/") {
        return Ok(if force { Status::TagUpdated } else { Status::WouldClobberTag });
    }
    let commits = (objects.peel(&old)?, objects.peel(&mapping.id)?);
    let (Some((old, gix_object::Kind::Commit)), Some((new, gix_object::Kind::Commit))) = commits else {
        return Ok(new_kind);
    };
    if skips_forced_check || is_ancestor(objects, old, new)? {
        return Ok(Status::FastForward);
    }
    Ok(if force { Status::Forced } else { Status::NonFastForward })
}

/// Moves the refs that `updates` says may move; `action` is the head of the reflog message, such as `fetch origin`. A
/// ref that cannot be moved becomes [`Status::Failed`], and the reasons are given back in git's words. The refs move in
/// one transaction; if that is refused its halves are tried, so that one bad ref does not hold up the others. Where there is
/// a `reference-transaction` hook each has its own, which it may want to refuse.
///
/// # Errors
///
/// If the hook refuses one: `updates` ends with it, and those that follow are not tried (seen in git 2.47.3).
pub fn apply(
    repo: &Repository,
    ours: &Snapshot,
    updates: &mut Vec<RefUpdate>,
    action: &[u8],
) -> Result<Vec<crate::repo::Error>, crate::repo::Error> {
    let how = (action, folds_case(repo)?);
    let edits: Vec<(usize, Edit)> = updates
        .iter()
        .enumerate()
        .filter_map(|(index, update)| Some((index, edit(ours, update, how)?)))
        .collect();
    if edits.is_empty() {
        return Ok(Vec::new());
    }
    let (indices, edits): (Vec<usize>, Vec<Edit>) = edits.into_iter().unzip();
    let mut failed = Vec::new();
    if repo.has_reference_hook()? {
        for (place, edit) in edits.chunks(1).enumerate() {
            apply_or_split(repo, edit, place, &mut failed);
            if let Some((_, refusal)) =
                failed.pop_if(|(_, error)| matches!(error, crate::repo::Error::RefusedByHook))
            {
                updates.truncate(indices.get(place).map_or(0, |index| index + 1));
                return Err(refusal);
            }
        }
    } else {
        apply_or_split(repo, &edits, 0, &mut failed);
    }
    let mut errors = Vec::new();
    for (place, error) in failed {
        errors.push(error);
        if let Some(update) = indices.get(place).and_then(|index| updates.get_mut(*index)) {
            update.status = update.status.tried().map_or(update.status, Status::Failed);
        }
    }
    Ok(errors)
}

/// Makes `edits` together; if that is refused, each half by itself, down to the ones that cannot be made, which go to
/// `failed` with their place counted from `first`.
fn apply_or_split(
    repo: &Repository,
    edits: &[Edit],
    first: usize,
    failed: &mut Vec<(usize, crate::repo::Error)>,
) {
    let Err(error) = repo.update_refs(edits) else { return };
    if let [only] = edits {
        // A transaction that broke halfway may have moved it already.
        let is_moved = matches!(
            (repo.find_ref(only.name.as_bstr()), &only.new),
            (Ok(Some(reference)), Some(new)) if reference.target == *new
        );
        if !is_moved {
            failed.push((first, error));
        }
        return;
    }
    let (one, other) = edits.split_at(edits.len() / 2);
    apply_or_split(repo, one, first, failed);
    apply_or_split(repo, other, first + one.len(), failed);
}

/// Moves the refs of `updates` and removes those of `stale`, all or none; a line of the reflog begins with `action`.
pub fn apply_together(
    repo: &Repository,
    ours: &Snapshot,
    stale: &[RefUpdate],
    updates: &[RefUpdate],
    action: &[u8],
) -> Result<(), crate::repo::Error> {
    repo.update_refs(&edits_together(ours, stale, updates, (action, folds_case(repo)?)))
}

/// Tells the `reference-transaction` hook that what [`apply_together`] would do is given up.
pub fn give_up_together(
    repo: &Repository,
    ours: &Snapshot,
    stale: &[RefUpdate],
    updates: &[RefUpdate],
    action: &[u8],
) -> Result<(), crate::repo::Error> {
    repo.give_up_refs(&edits_together(ours, stale, updates, (action, folds_case(repo)?)))
}

fn edits_together(
    ours: &Snapshot,
    stale: &[RefUpdate],
    updates: &[RefUpdate],
    how: (&[u8], bool),
) -> Vec<Edit> {
    let moved = updates.iter().filter_map(|update| edit(ours, update, how));
    stale.iter().filter_map(removal).chain(moved).collect()
}

fn folds_case(repo: &Repository) -> Result<bool, crate::repo::Error> {
    Ok(repo.config.boolean("core.ignoreCase")?.unwrap_or(false))
}

fn removal(update: &RefUpdate) -> Option<Edit> {
    let name = update.local.clone()?;
    Some(Edit { name, new: None, expected: Expected::Any, message: None, through: Vec::new() })
}

/// The change of a ref; `folds_case` tells whether the file system takes names that differ in case alone for one.
fn edit(ours: &Snapshot, update: &RefUpdate, (action, folds_case): (&[u8], bool)) -> Option<Edit> {
    let text = update.status.reflog_text()?;
    let mut message = BString::from(action);
    message.extend_from_slice(b": ");
    message.extend_from_slice(text.as_bytes());
    let (name, through) = ours.follow(update.local.as_ref()?);
    Some(Edit {
        name,
        through,
        new: Some(Target::Id(update.new?)),
        expected: match update.status {
            // git does not look what it was, as its hook hears
            Status::TagUpdated => Expected::Any,
            // one whose name differs in case alone may be there
            Status::New(_) if folds_case => Expected::Any,
            _ => update.old.map_or(Expected::Missing, Expected::Id),
        },
        message: Some(message),
    })
}

/// The ref that an update of `name` moves: where symbolic refs lead to; and those symbolic refs.
pub fn followed(repo: &Repository, name: &BString) -> (BString, Vec<BString>) {
    repo.follow_ref(name.as_bstr())
}

/// A ref name as the table shows it: without `refs/heads/`, `refs/tags/` or `refs/remotes/`.
pub fn short_name(name: &BString) -> BString {
    match describe(name.as_bstr()) {
        (_, what) if what.is_empty() => name.clone(),
        (_, what) => what.to_owned(),
    }
}
