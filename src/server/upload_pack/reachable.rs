//! What may be asked for. gitprotocol-pack(5): only what was advertised, unless the configuration allows more. v2 has no such
//! rule, unless `gitr.strictWants` makes one.

use std::collections::{BinaryHeap, HashMap, HashSet};

use gix_hash::ObjectId;

use super::{Conversation, UploadPack};
use crate::pack::Kind;
use crate::repo::Objects;
use crate::server::Error;

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
    let mut open: HashMap<ObjectId, ObjectId> =
        commits.iter().map(|(asked, commit)| (*commit, *asked)).collect();
    let mut oldest = i64::MAX;
    for (_, commit) in commits {
        let date = objects.commit(commit).map_err(Error::object)?.map_or(i64::MIN, |commit| commit.date);
        oldest = oldest.min(date);
    }
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
    // newest first; a clock that was wrong may hide what is asked for behind an older commit, so a few more are looked at
    let mut left = SLOP;
    while let Some((date, id)) = queue.pop() {
        open.remove(&id);
        left = if date < oldest { left - 1 } else { SLOP };
        if open.is_empty() || left == 0 {
            break;
        }
        for parent in
            objects.commit(&id).map_err(Error::object)?.map(|commit| commit.parents).unwrap_or_default()
        {
            if seen.insert(parent)
                && let Some(commit) = objects.commit(&parent).map_err(Error::object)?
            {
                queue.push((commit.date, parent));
            }
        }
    }
    Ok(commits.iter().find(|(_, commit)| open.contains_key(commit)).map(|(asked, _)| *asked))
}

/// Commits older than all that are asked for that are visited in a row before the rest is given up.
const SLOP: u32 = 64;
