//! What two histories have in common: the left-out end of `a...b`. gitrevisions(7).

use std::collections::HashSet;

use gix_hash::ObjectId;

use super::unreadable;
use crate::remote::Error;
use crate::repo::Objects;

/// Commits that both `one` and `other` reach and that lead to all others they both reach. One of them may lead to
/// another, which is of no consequence where they are left out.
pub(super) fn common(objects: &mut Objects, one: ObjectId, other: ObjectId) -> Result<Vec<ObjectId>, Error> {
    let mut theirs = HashSet::new();
    let mut ahead = vec![one];
    while let Some(id) = ahead.pop() {
        if theirs.insert(id) {
            ahead.extend(parents(objects, &id)?);
        }
    }
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    ahead.push(other);
    while let Some(id) = ahead.pop() {
        if !seen.insert(id) {
            continue;
        }
        if theirs.contains(&id) {
            found.push(id);
        } else {
            ahead.extend(parents(objects, &id)?);
        }
    }
    Ok(found)
}

fn parents(objects: &mut Objects, id: &ObjectId) -> Result<Vec<ObjectId>, Error> {
    Ok(objects.commit(id).map_err(unreadable)?.map(|commit| commit.parents).unwrap_or_default())
}
