//! What is here with all of its history, as far as the far side's refs make it worth knowing.

use std::collections::HashSet;

use gix_hash::ObjectId;
use gix_object::Kind;

use super::tell;
use crate::progress::Progress;
use crate::protocol::Ref;
use crate::remote::Error;
use crate::remote::negotiate::Queue;
use crate::repo::Objects;

/// Objects that are here with all they reach.
#[derive(Default)]
pub(super) struct Complete(HashSet<ObjectId>);

impl Complete {
    /// What `tips` name and their histories, back to the newest of the advertised commits that are here; nothing older
    /// can be among what is asked for.
    pub(super) fn find(
        objects: &mut Objects,
        advertised: &[Ref],
        tips: &[ObjectId],
        progress: &mut dyn Progress,
    ) -> Result<Self, Error> {
        let unreadable = |error: std::io::Error| crate::repo::Error::Object(error.to_string());
        let mut cutoff = None;
        for id in advertised.iter().filter_map(|reference| reference.peeled.or(reference.id)) {
            if !objects.contains(&id) {
                continue;
            }
            if let Some(commit) = objects.commit(&id).map_err(unreadable)? {
                cutoff = cutoff.max(Some(commit.date));
            }
        }
        let mut complete = HashSet::new();
        let mut ahead = Queue::default();
        for tip in tips {
            complete.insert(*tip);
            let Some((id, Kind::Commit)) = objects.peel(tip).map_err(unreadable)? else { continue };
            if let Some(commit) = objects.commit(&id).map_err(unreadable)?
                && (id == *tip || complete.insert(id))
            {
                ahead.push(commit.date, id);
            }
        }
        while let Some((cutoff, id)) = cutoff.and_then(|cutoff| Some((cutoff, ahead.pop()?))) {
            let Some(commit) = objects.commit(&id).map_err(unreadable)? else { continue };
            if commit.date < cutoff {
                break;
            }
            tell(progress, &format!("Marking {id} as complete"))?;
            for parent in commit.parents {
                if let Some(commit) = objects.commit(&parent).map_err(unreadable)?
                    && complete.insert(parent)
                {
                    ahead.push(commit.date, parent);
                }
            }
        }
        Ok(Self(complete))
    }

    pub(super) fn contains(&self, id: &ObjectId) -> bool {
        self.0.contains(id)
    }
}
