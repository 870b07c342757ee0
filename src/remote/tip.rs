//! Where a negotiation starts: the tips that a user names.

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;

use super::Error;
use super::refspec::{candidates, wildmatch};
use crate::progress::{Event, Progress};
use crate::repo::{Objects, Repository, Target};

/// The objects that `names` mean, `None` if there are no names: refs, patterns of refs, and ids that may be shortened.
/// git-fetch(1), `--negotiation-tip`. A pattern that matches nothing is warned of.
pub(super) fn named(
    repo: &Repository,
    names: &[BString],
    progress: &mut dyn Progress,
) -> Result<Option<Vec<ObjectId>>, Error> {
    if names.is_empty() {
        return Ok(None);
    }
    let objects = repo.objects()?;
    let mut tips = Vec::new();
    for name in names {
        if name.find_byteset(b"*?[").is_none() {
            tips.push(object(repo, &objects, name.as_bstr())?);
            continue;
        }
        let matching = matching(repo, name.as_bstr())?;
        let text = format!("ignoring --negotiation-tip={name} because it does not match any refs");
        if matching.is_empty() && progress.report(Event::Warning(&text)).is_break() {
            return Err(Error::Interrupted);
        }
        tips.extend(matching);
    }
    Ok(Some(tips))
}

/// The object that a ref's name or an id means. An error if there is none.
fn object(repo: &Repository, objects: &Objects, name: &BStr) -> Result<ObjectId, Error> {
    if let Ok(id) = ObjectId::from_hex(name)
        && id.kind() == repo.object_hash
    {
        return if objects.contains(&id) {
            Ok(id)
        } else {
            Err(Error::Usage(format!("the object {id} does not exist")))
        };
    }
    for candidate in candidates(name) {
        if let Some(id) = repo.resolve_ref(candidate.as_bstr())? {
            return Ok(id);
        }
    }
    objects.find_prefix(name).ok_or_else(|| Error::Usage(format!("{name} is not a valid object")))
}

/// The refs that `pattern` takes in; it begins below `refs/` if it does not say so.
fn matching(repo: &Repository, pattern: &BStr) -> Result<Vec<ObjectId>, Error> {
    let prefix = if pattern.starts_with(b"refs/") { "" } else { "refs/" };
    let full = BString::from([prefix.as_bytes(), pattern].concat());
    let mut ids = Vec::new();
    for reference in repo.refs("refs/".into())? {
        if wildmatch(full.as_bstr(), reference.name.as_bstr())
            && let Target::Id(id) = reference.target
        {
            ids.push(id);
        }
    }
    Ok(ids)
}
