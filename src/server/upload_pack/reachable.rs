//! What may be asked for. gitprotocol-pack(5): only what was advertised, unless the configuration allows more. v2 has no such
//! rule, unless `gitr.strictWants` makes one.

use std::collections::{BinaryHeap, HashSet};

use gix_hash::ObjectId;

use super::{Conversation, UploadPack};
use crate::pack::Kind;
use crate::repo::Objects;
use crate::server::Error;

/// So many wants are read before anything is said of them. More, those of a mirror, would take longer than the pack does.
const READ_MAX: usize = 1024;

/// The first of `wants` that is not here, or, if they are few, that cannot be read: to git that is none of our refs'.
pub(super) fn first_unreadable(wants: &[ObjectId], objects: &Objects) -> Option<ObjectId> {
    let is_read = wants.len() <= READ_MAX;
    wants.iter().find(|id| !objects.contains(id) || is_read && !objects.is_readable(id)).copied()
}

impl UploadPack<'_> {
    /// The first of `wants` that the client may not have. Over HTTP the refs may have moved since they were told, so
    /// that whatever they lead to will do.
    pub(super) fn first_forbidden(
        &self,
        wants: &[ObjectId],
        objects: &mut Objects,
    ) -> Result<Option<ObjectId>, Error> {
        let settings = &self.settings;
        let is_told = self.conversation == Conversation::Stateful;
        if is_told && !settings.allows_reachable && !settings.allows_any {
            let tips = self.tips()?;
            return Ok(wants.iter().find(|want| !tips.contains(*want)).copied());
        }
        self.first_unreachable(wants, objects)
    }

    /// The first of `wants` that is a commit, or a tag of one, to which no ref leads that clients are told of, unless any object
    /// may be asked for. Trees and blobs are not looked for, as in git 2.47.3: partial clones ask for them.
    pub(super) fn first_unreachable(
        &self,
        wants: &[ObjectId],
        objects: &mut Objects,
    ) -> Result<Option<ObjectId>, Error> {
        if self.settings.allows_any {
            return Ok(None);
        }
        let tips = self.tips()?;
        let others: Vec<ObjectId> = wants.iter().filter(|want| !tips.contains(*want)).copied().collect();
        if others.is_empty() {
            return Ok(None);
        }
        let mut commits = Vec::new();
        for id in others {
            if let Some((commit, Kind::Commit)) = objects.peel(&id).map_err(Error::object)? {
                commits.push((id, commit));
            }
        }
        first_unreachable(objects, &tips, &commits)
    }

    /// What the advertised refs hold; hidden ones as well where objects that refs lead to may be asked for.
    fn tips(&self) -> Result<HashSet<ObjectId>, Error> {
        let with_hidden = self.settings.allows_tips || self.settings.allows_reachable;
        let mut tips: HashSet<ObjectId> = self.refs.head()?.and_then(|head| head.id).into_iter().collect();
        self.refs.each(&["refs/".into()], &mut |served| {
            if !served.is_hidden || with_hidden {
                tips.insert(served.id);
            }
            Ok(())
        })?;
        Ok(tips)
    }
}

/// The first of `commits`, each with the id by which it was asked for, to which none of `tips` leads.
fn first_unreachable(
    objects: &mut Objects,
    tips: &HashSet<ObjectId>,
    commits: &[(ObjectId, ObjectId)],
) -> Result<Option<ObjectId>, Error> {
    let mut open: HashSet<ObjectId> = commits.iter().map(|(_, commit)| *commit).collect();
    // what is not in a commit-graph is not behind what is
    let floor = open.iter().map(|id| objects.generation(id).unwrap_or(u32::MAX)).min().unwrap_or_default();
    let is_behind =
        |objects: &Objects, id: &ObjectId| objects.generation(id).is_some_and(|at| at > 0 && at < floor);
    let mut queue = BinaryHeap::new();
    let mut seen = HashSet::new();
    for tip in tips {
        if let Ok(Some((id, Kind::Commit))) = objects.peel(tip)
            && seen.insert(id)
            && let Some(commit) = objects.commit(&id).map_err(Error::object)?
        {
            queue.push((commit.date, id));
        }
    }
    // newest first finds most of them soon; but dates are no proof, since clocks are wrong at times
    while let Some((_, id)) = queue.pop() {
        open.remove(&id);
        if open.is_empty() {
            break;
        }
        if is_behind(objects, &id) {
            continue;
        }
        let commit = objects.commit(&id).map_err(Error::object)?;
        for parent in commit.map(|commit| commit.parents).unwrap_or_default() {
            if seen.insert(parent)
                && let Some(commit) = objects.commit(&parent).map_err(Error::object)?
            {
                queue.push((commit.date, parent));
            }
        }
    }
    Ok(commits.iter().find(|(_, commit)| open.contains(commit)).map(|(asked, _)| *asked))
}
