//! Where annotated tags lead.

use std::collections::HashMap;
use std::io;
use std::sync::PoisonError;

use bstr::ByteSlice;
use gix_hash::{ObjectId, oid};
use gix_object::Kind;

use super::Objects;
use super::commit::id_after;

/// Annotated tags that [`Objects::peel`] follows before it takes the chain for endless.
const TAGS_MAX: usize = 100_000;

/// Tags of tags of which [`Objects::peel`] remembers where they lead.
const PEELED_MAX: usize = 200_000;

/// Where tags of tags lead.
pub(super) type Peeled = HashMap<ObjectId, End>;

/// What a chain of tags leads to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    /// The first object that is no tag.
    pub(crate) id: ObjectId,
    /// What it is; `None` if it is missing.
    pub(crate) kind: Option<Kind>,
    /// Whether each tag says of what it names, if that is here, what kind of object it is.
    pub(crate) is_told: bool,
    /// What the last tag says that it is; `None` if there is no tag, or it does not say.
    named: Option<Kind>,
}

impl Objects {
    /// Follows annotated tags to the object they name, at most 100,000 of them; the kind comes with it. `None` if an
    /// object on the way is missing.
    pub fn peel(&self, id: &oid) -> io::Result<Option<(ObjectId, Kind)>> {
        let end = self.end_of_tags(id)?;
        Ok(end.kind.map(|kind| (end.id, kind)))
    }

    /// What the annotated tag `id` says that it leads to, as [`Self::peel`] finds it, even if that is missing; `None` if
    /// `id` is no tag.
    pub fn tagged(&self, id: &oid) -> io::Result<Option<ObjectId>> {
        let end = self.end_of_tags(id)?;
        Ok((*end.id != *id).then_some(end.id))
    }

    /// The object that the tag `id` names; `None` if it is no tag, or one that cannot be read. `content` is a buffer.
    pub fn tag_target(&self, id: &oid, content: &mut Vec<u8>) -> io::Result<Option<ObjectId>> {
        Ok(match self.find(id, content)? {
            Some(Kind::Tag) => target(content, id.kind()).map(|(target, _)| target),
            Some(_) | None => None,
        })
    }

    /// What the chain of tags leads to that begins with `id`.
    pub(crate) fn end_of_tags(&self, id: &oid) -> io::Result<End> {
        let mut end = End { id: id.to_owned(), kind: None, is_told: true, named: None };
        let mut content = Vec::new();
        // the tags on the way, and whether each is right about what it names
        let mut passed: Vec<(ObjectId, bool)> = Vec::new();
        for _ in 0..TAGS_MAX {
            end.kind = self.kind(&end.id)?;
            if let (Some((_, is_right)), Some(kind)) = (passed.last_mut(), end.kind) {
                *is_right &= end.named == Some(kind);
            }
            if end.kind != Some(Kind::Tag) {
                return Ok(self.remember_peeled(&passed, end));
            }
            let known = self.peeled.lock().unwrap_or_else(PoisonError::into_inner).get(&end.id).copied();
            match known {
                Some(known) if known.kind.is_some() => return Ok(self.remember_peeled(&passed, known)),
                // it may have come since
                Some(missing) => {
                    passed.push((end.id, missing.is_told));
                    end = End { is_told: true, ..missing };
                    continue;
                }
                None => {}
            }
            if self.find(&end.id, &mut content)?.is_none() {
                return Ok(End { kind: None, ..end });
            }
            let tag = end.id;
            (end.id, end.named) = target(&content, tag.kind())
                .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("bad tag object {tag}")))?;
            passed.push((tag, true));
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, format!("too many nested tags at {id}")))
    }

    /// Takes note that the tags in `passed` lead to `end`; one alone is not worth it. Gives where the first one leads.
    fn remember_peeled(&self, passed: &[(ObjectId, bool)], mut end: End) -> End {
        let mut peeled = self.peeled.lock().unwrap_or_else(PoisonError::into_inner);
        let is_worth_it = !peeled.is_empty() || passed.len() > 1;
        let mut room = if is_worth_it { PEELED_MAX.saturating_sub(peeled.len()) } else { 0 };
        for (tag, is_right) in passed.iter().rev() {
            end.is_told &= is_right;
            if room > 0 {
                room -= 1;
                peeled.insert(*tag, end);
            }
        }
        end
    }
}

/// The object that a tag with this content names, and what it says that this is.
fn target(content: &[u8], object_hash: gix_hash::Kind) -> Option<(ObjectId, Option<Kind>)> {
    let mut lines = content.lines();
    let id = id_after(lines.next()?, b"object ", object_hash)?;
    let kind = lines.next().and_then(|line| Kind::from_bytes(line.strip_prefix(b"type ")?).ok());
    Some((id, kind))
}
