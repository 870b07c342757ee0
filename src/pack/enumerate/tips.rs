//! What wants and haves are: commits for the walk, and objects of other kinds.

use std::cmp::Reverse;

use gix_hash::ObjectId;
use gix_object::{Kind, TagRefIter};

use super::Wanted;
use super::boundary::Boundary;
use super::count::Count;
use super::ids::IdSet;
use crate::pack::Error;
use crate::pack::source::{Commit, Source};

/// Annotated tags that name each other before the chain is taken for endless.
const TAGS_MAX: usize = 100_000;

/// Wants and haves, sorted by what they are.
#[derive(Default)]
pub(super) struct Tips {
    /// Wanted commits.
    pub commits: Vec<(ObjectId, Commit)>,
    /// Tags to send.
    pub tags: Vec<ObjectId>,
    /// Wanted trees and blobs.
    pub others: Vec<(ObjectId, Kind)>,
    /// Commits that the receiver has, newest first.
    pub haves: Vec<(ObjectId, Commit)>,
}

/// What an id is.
enum Tip {
    Commit(Commit),
    Tag(ObjectId),
    Tree,
    Blob,
}

impl Tips {
    /// Looks at all wants and haves. What the receiver has beside commits goes to `boundary`.
    pub fn read(
        source: &dyn Source,
        wanted: &Wanted,
        boundary: &mut Boundary<'_>,
        count: &mut Count<'_>,
    ) -> Result<Self, Error> {
        let mut tips = Self::default();
        for id in &wanted.haves {
            count.step()?;
            tips.add_have(source, *id, boundary, count)?;
        }
        tips.haves.sort_by_key(|(_, commit)| Reverse(commit.date));
        let mut seen = IdSet::default();
        for id in &wanted.wants {
            count.step()?;
            tips.add_want(source, *id, boundary, &mut seen)?;
        }
        Ok(tips)
    }

    fn add_have(
        &mut self,
        source: &dyn Source,
        mut id: ObjectId,
        boundary: &mut Boundary<'_>,
        count: &mut Count<'_>,
    ) -> Result<(), Error> {
        for _ in 0..TAGS_MAX {
            // what cannot be read is as good as missing
            match read(source, &id).ok().flatten() {
                None => break,
                Some(Tip::Commit(commit)) => {
                    self.haves.push((id, commit));
                    break;
                }
                Some(Tip::Tree) => return boundary.close(id, count),
                Some(Tip::Blob) => {
                    boundary.add(id);
                    break;
                }
                // where it leads is known already
                Some(Tip::Tag(_)) if boundary.has(&id) => break,
                Some(Tip::Tag(target)) => {
                    boundary.add(id);
                    id = target;
                }
            }
        }
        Ok(())
    }

    fn add_want(
        &mut self,
        source: &dyn Source,
        mut id: ObjectId,
        boundary: &Boundary<'_>,
        seen: &mut IdSet,
    ) -> Result<(), Error> {
        for _ in 0..TAGS_MAX {
            if boundary.has(&id) || !seen.insert(id) {
                return Ok(());
            }
            match read(source, &id)? {
                None => return Err(Error::Missing { kind: "object", id }),
                Some(Tip::Commit(commit)) => self.commits.push((id, commit)),
                Some(Tip::Tree) => self.others.push((id, Kind::Tree)),
                Some(Tip::Blob) => self.others.push((id, Kind::Blob)),
                Some(Tip::Tag(target)) => {
                    self.tags.push(id);
                    id = target;
                    continue;
                }
            }
            return Ok(());
        }
        Err(Error::BadPack(format!("too many nested tags at {id}")))
    }
}

fn read(source: &dyn Source, id: &ObjectId) -> Result<Option<Tip>, Error> {
    let unreadable = |source| Error::Unreadable { id: *id, source };
    // most tips are commits, and a commit-graph tells of them without inflating any
    if let Some(commit) = source.commit(id).map_err(unreadable)? {
        return Ok(Some(Tip::Commit(commit)));
    }
    Ok(match source.header(id).map_err(unreadable)? {
        None | Some((Kind::Commit, _)) => None,
        Some((Kind::Tree, _)) => Some(Tip::Tree),
        Some((Kind::Blob, _)) => Some(Tip::Blob),
        Some((Kind::Tag, _)) => {
            let mut content = Vec::new();
            source.find(id, &mut content).map_err(unreadable)?;
            let target = TagRefIter::from_bytes(&content, id.kind()).target_id();
            Some(Tip::Tag(target.map_err(|_| Error::BadPack(format!("bad tag object {id}")))?))
        }
    })
}
