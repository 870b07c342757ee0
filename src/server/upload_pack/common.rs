//! What both sides have: the server's half of the negotiation. gitprotocol-pack(5), "Packfile Negotiation".

use std::collections::HashSet;
use std::io;

use gix_hash::ObjectId;

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
    /// Wanted commits that are known to lead to what it has.
    reached: HashSet<ObjectId>,
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
        Self { objects, haves: Vec::new(), theirs: HashSet::new(), oldest: None, reached: HashSet::new() }
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
        self.oldest = Some(self.oldest.map_or(commit.date, |oldest| oldest.min(commit.date)));
        let is_news = self.theirs.insert(id);
        self.theirs.extend(commit.parents);
        if is_news {
            self.haves.push(id);
        }
        if is_news { Told::News } else { Told::Known }
    }

    /// Whether enough is known: every wanted commit leads to one that the client has, on a way that is no older than the
    /// oldest of them.
    pub(super) fn is_enough(&mut self, wants: &[ObjectId]) -> io::Result<bool> {
        if self.haves.is_empty() {
            return Ok(false);
        }
        let Some(oldest) = self.oldest else { return Ok(false) };
        for want in wants {
            // what is no commit says nothing of the history
            let Some((tip, Kind::Commit)) = self.objects.peel(want)? else { continue };
            if !self.reaches(tip, oldest)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn reaches(&mut self, tip: ObjectId, oldest: i64) -> io::Result<bool> {
        if self.reached.contains(&tip) {
            return Ok(true);
        }
        let mut seen = HashSet::from([tip]);
        let mut stack = vec![tip];
        while let Some(id) = stack.pop() {
            if self.theirs.contains(&id) {
                self.reached.insert(tip);
                return Ok(true);
            }
            let Some(commit) = self.objects.commit(&id)? else { continue };
            if commit.date >= oldest {
                stack.extend(commit.parents.into_iter().rev().filter(|parent| seen.insert(*parent)));
            }
        }
        Ok(false)
    }
}
