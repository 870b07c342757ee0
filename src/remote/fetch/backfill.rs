//! The last step of a fetch: tags come along that point to what is here now. Those that the far side did not put into the
//! pack, because it knows of no `include-tag` or is none of git's servers, are asked for once more.

use std::collections::HashSet;

use gix_hash::ObjectId;

use super::source::{Again, Source};
use super::tips::{known_tips, wanted};
use super::{Outcome, Transferred, Updated};
use crate::progress::Progress;
use crate::protocol::fetch::Deepen;
use crate::remote::fetch_pack;
use crate::remote::ref_map::Mapping;
use crate::remote::{Error, connectivity};

impl Updated<'_> {
    /// What became of the refs that were asked for.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// Fetches the tags that were to come along and did not, makes refs of all of them, and ends the fetch. Nothing is
    /// done about tags unless all that was asked for went well.
    pub fn follow_tags(mut self, progress: &mut dyn Progress) -> Result<Outcome, Error> {
        self.backfill(progress)?;
        let Self { transferred, mut outcome, .. } = self;
        if outcome.refusal.is_none() {
            outcome.other_head = transferred.follow_head()?;
        }
        Ok(outcome)
    }

    fn backfill(&mut self, progress: &mut dyn Progress) -> Result<(), Error> {
        let Self { transferred, asked, outcome } = self;
        let has_failed =
            outcome.refusal.is_some() || outcome.updates.iter().any(|row| row.status.is_rejected());
        let tags =
            if has_failed { Vec::new() } else { transferred.arrived_tags(asked, outcome, progress)? };
        let updates = transferred.decide(&tags, outcome)?;
        if !transferred.fetch.options.atomic {
            return transferred.apply(&tags, updates, outcome);
        }
        outcome.updates.extend(updates);
        asked.extend(tags);
        *outcome = transferred.apply_together(asked, std::mem::take(outcome))?;
        Ok(())
    }
}

impl Transferred<'_> {
    /// The tags that come along, all of which are here.
    fn arrived_tags(
        &mut self,
        asked: &[Mapping],
        outcome: &Outcome,
        progress: &mut dyn Progress,
    ) -> Result<Vec<Mapping>, Error> {
        let mut tags = std::mem::take(&mut self.tags);
        let absent: Vec<Mapping> =
            tags.iter().filter(|tag| !self.objects.contains(&tag.id)).cloned().collect();
        if !absent.is_empty() {
            self.take_tags(&absent, asked, progress)?;
            tags.retain(|tag| self.objects.contains(&tag.id));
        }
        let foreign = self.kept.as_ref().map(|kept| &kept.foreign).filter(|foreign| !foreign.is_empty());
        let Some(foreign) = foreign else { return Ok(tags) };
        // of history that is cut for the far side alone no ref is made, asked for or not
        let known: HashSet<ObjectId> = outcome.known.iter().copied().collect();
        let mut whole = Vec::new();
        for tag in tags {
            let is_cut =
                connectivity::reaches(&mut self.objects, &tag.id, &known, foreign).map_err(unreadable)?;
            whole.extend((!is_cut).then_some(tag));
        }
        Ok(whole)
    }

    /// Fetches `tags`, if there is somebody who can be asked once more.
    fn take_tags(
        &mut self,
        tags: &[Mapping],
        asked: &[Mapping],
        progress: &mut dyn Progress,
    ) -> Result<(), Error> {
        let repo = self.fetch.repo;
        let mut source = match std::mem::replace(&mut self.again, Again::Nowhere) {
            Again::Nowhere => return Ok(()),
            Again::Same(source) => source,
            Again::Anew => self.fetch.connect(progress)?,
        };
        // what was asked for is whole, whether a ref of ours names it by now or not
        let mut known = known_tips(repo, &repo.ref_snapshot()?)?;
        known.extend(wanted(asked));
        known.retain(|id| self.objects.contains(id));
        let kept = self.kept.get_or_insert_default();
        if let Source::Foreign(foreign) = &mut source {
            let brought = foreign.fetch(repo, (tags, &Deepen::default()), progress)?;
            kept.files.extend(brought.files);
            kept.packs.extend(brought.packs);
        } else {
            let request = self.fetch.request(tags, wanted(tags))?;
            let request = fetch_pack::Request { tips: known.clone(), ..request };
            let fetched = source.receive((repo, &mut self.objects), &self.refs, &request, progress)?;
            kept.packs.extend(fetched.others);
            kept.packs.push(fetched.pack.stored);
        }
        source.close(true)?;
        self.objects = repo.objects()?.here();
        let missing = if self.fetch.filter().is_some() {
            // what a filter left out may be missing, what refs name may not
            tags.iter().map(|tag| tag.id).find(|id| !self.objects.contains(id))
        } else {
            connectivity::first_missing(&mut self.objects, &wanted(tags), &known, None).map_err(unreadable)?
        };
        match missing {
            Some(_) => Err(Error::NotConnected { url: self.fetch.url.clone(), missing }),
            None => Ok(()),
        }
    }
}

fn unreadable(error: std::io::Error) -> Error {
    crate::repo::Error::Object(error.to_string()).into()
}
