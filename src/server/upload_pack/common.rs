//! What both sides have: the server's half of the negotiation. gitprotocol-pack(5), "Packfile Negotiation".

use std::collections::HashSet;
use std::io;

use gix_hash::ObjectId;

use super::reach::Reach;
use crate::pack::Kind;
use crate::repo::Objects;

/// The objects that the client has, as far as they are here too.
pub(super) struct Common {
    objects: Objects,
    /// Those that it named, but for the parents of others.
    pub haves: Vec<ObjectId>,
    /// Those that it named, and the parents of commits among them.
    theirs: HashSet<ObjectId>,
    /// The date of the oldest commit among those that it named.
    oldest: Option<i64>,
    /// Which wanted commits lead to what it has.
    reach: Reach,
    /// So many of the wants, from the first on, are known to.
    reaching: usize,
}

/// What a `have` tells us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// It is not here.
    Unknown,
    /// It is here.
    News,
    /// It is here, and was known to be there: the client named its child.
    Known,
}

impl Common {
    pub(super) fn new(objects: Objects) -> Self {
        Self {
            objects,
            haves: Vec::new(),
            theirs: HashSet::new(),
            oldest: None,
            reach: Reach::default(),
            reaching: 0,
        }
    }

    /// Takes note that the client has `id`. As in git 2.47.3, the parents of a commit are known to be there with it, and
    /// only they.
    pub(super) fn have(&mut self, id: ObjectId) -> Told {
        let commit = self.objects.commit(&id).ok().flatten();
        let Some(commit) = commit else {
            if !self.objects.contains(&id) {
                return Told::Unknown;
            }
            if self.theirs.insert(id) {
                self.haves.push(id);
            }
            return Told::News;
        };
        let oldest = self.oldest.map_or(commit.date, |oldest| oldest.min(commit.date));
        self.oldest = Some(oldest);
        self.reach.allow(oldest);
        let is_news = self.theirs.insert(id);
        self.reach.end_at(&id);
        for parent in commit.parents {
            self.theirs.insert(parent);
            self.reach.end_at(&parent);
        }
        if is_news {
            self.haves.push(id);
        }
        if is_news { Told::News } else { Told::Known }
    }

    /// Whether enough is known: every wanted commit leads to one that the client has, on a way that is no older than the
    /// oldest of them. `wants` are the same each time.
    ///
    /// # Errors
    ///
    /// If an object cannot be read, or nobody waits for the answer any more.
    pub(super) fn is_enough(&mut self, wants: &[ObjectId]) -> io::Result<bool> {
        if self.haves.is_empty() {
            return Ok(false);
        }
        let Some(oldest) = self.oldest else { return Ok(false) };
        for want in wants.get(self.reaching..).unwrap_or_default() {
            // what is no commit says nothing of the history
            if let Some((tip, Kind::Commit)) = self.objects.peel(want)? {
                let theirs = &self.theirs;
                if !self.reach.reaches(tip, &mut self.objects, oldest, &|id| theirs.contains(id))? {
                    return Ok(false);
                }
            }
            self.reaching += 1;
        }
        Ok(true)
    }
}
