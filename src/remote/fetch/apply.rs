//! The last step of a fetch: refs move and `FETCH_HEAD` is written.

use std::collections::HashSet;
use std::time::Instant;

use bstr::{BStr, ByteSlice};
use gix_hash::ObjectId;

use super::tips::tags_missing;
use super::{CATEGORY, Fetch, Outcome, Transferred};
use crate::remote::ref_map::{FetchHead, Mapping};
use crate::remote::update::{self, RefUpdate};
use crate::remote::{Error, connectivity, fetch_head};
use crate::telemetry;

impl Transferred<'_> {
    /// The URL as messages show it.
    pub fn url(&self) -> &BStr {
        self.fetch.url.as_bstr()
    }

    /// Decides what becomes of each ref, moves those that may move, and writes `FETCH_HEAD`.
    pub fn update(self) -> Result<Outcome, Error> {
        telemetry::region(CATEGORY, "consume_refs", || self.update_refs())
    }

    fn update_refs(mut self) -> Result<Outcome, Error> {
        let mut outcome = self.move_refs()?;
        if outcome.refusal.is_none() {
            outcome.other_head = self.follow_head()?;
        }
        Ok(outcome)
    }

    fn move_refs(&mut self) -> Result<Outcome, Error> {
        let mut outcome = Outcome { known: std::mem::take(&mut self.known), ..Outcome::default() };
        let map = std::mem::take(&mut self.map);
        let mut asked = self.noted(map);
        let start = Instant::now();
        let mut updates = self.decide(&asked, &mut outcome)?;
        outcome.forced_check = start.elapsed();
        if self.fetch.options.atomic {
            let arrived = self.arrived_tags(&asked, &outcome.known)?;
            updates.extend(self.decide(&arrived, &mut outcome)?);
            outcome.updates = updates;
            asked.extend(arrived);
            return self.apply_together(&asked, outcome);
        }
        self.apply(&asked, updates, &mut outcome)?;
        // git looks for more tags only after all that was asked for went well
        if outcome.refusal.is_some() || outcome.updates.iter().any(|update| update.status.is_rejected()) {
            return Ok(outcome);
        }
        // Their refs are looked up again: tags that were asked for are there now.
        let arrived = self.arrived_tags(&asked, &outcome.known)?;
        let updates = self.decide(&arrived, &mut outcome)?;
        self.apply(&arrived, updates, &mut outcome)?;
        Ok(outcome)
    }

    /// What is done to `map`, in the order of rows and of lines in `FETCH_HEAD`, without what nothing takes note of.
    fn noted(&self, mut map: Vec<Mapping>) -> Vec<Mapping> {
        let options = self.fetch.options;
        if options.no_fetch_head && !options.dry_run {
            map.retain(|mapping| mapping.local.is_some());
        }
        // Nothing but a commit can be merged; git looks only where it writes that down.
        let is_written = !options.no_fetch_head && !options.dry_run;
        let merged = map.iter_mut().filter(|mapping| is_written && mapping.fetch_head == FetchHead::Merge);
        for mapping in merged {
            if !matches!(self.objects.peel(&mapping.id), Ok(Some((_, gix_object::Kind::Commit)))) {
                mapping.fetch_head = FetchHead::NotForMerge;
            }
        }
        if !map.is_sorted_by_key(|mapping| mapping.fetch_head) {
            map.sort_by_key(|mapping| mapping.fetch_head);
        }
        map
    }

    /// Tags whose objects came with the pack, which could not be known before.
    fn arrived_tags(&mut self, asked: &[Mapping], known: &[ObjectId]) -> Result<Vec<Mapping>, Error> {
        if !self.follows_tags {
            return Ok(Vec::new());
        }
        // as git: what was not written by now is shown once more
        let asked = if self.fetch.options.dry_run { &[][..] } else { asked };
        let mut tags = tags_missing(&self.ours, &self.refs, asked, &self.objects);
        tags.retain(|tag| self.objects.contains(&tag.id));
        let foreign = self.kept.as_ref().map(|kept| &kept.foreign).filter(|foreign| !foreign.is_empty());
        let Some(foreign) = foreign else { return Ok(tags) };
        // of history that is cut for the far side alone no ref is made, asked for or not
        let known: HashSet<ObjectId> = known.iter().copied().collect();
        let mut whole = Vec::new();
        for tag in tags {
            let is_cut = connectivity::reaches(&mut self.objects, &tag.id, &known, foreign)
                .map_err(|error| crate::repo::Error::Object(error.to_string()))?;
            whole.extend((!is_cut).then_some(tag));
        }
        Ok(whole)
    }

    fn decide(&mut self, map: &[Mapping], outcome: &mut Outcome) -> Result<Vec<RefUpdate>, Error> {
        let Fetch { options, .. } = &self.fetch;
        let rules = update::Rules { force: options.force, skips_forced_check: options.skips_forced_check };
        let mut updates = Vec::new();
        let mut near = 0;
        for mapping in map {
            let local = mapping.local.as_ref();
            let old = local.and_then(|local| self.ours.resolve_near(local.as_bstr(), &mut near));
            if options.skips_unchanged && old == Some(mapping.id) {
                outcome.unchanged_count += 1;
                continue;
            }
            updates.push(update::decide(old, &mut self.objects, mapping, rules)?);
        }
        Ok(updates)
    }

    fn apply(
        &self,
        map: &[Mapping],
        mut updates: Vec<RefUpdate>,
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        let Fetch { repo, options, .. } = &self.fetch;
        if !options.dry_run {
            let path = repo.git_path("FETCH_HEAD");
            let before = fetch_head::len(&path);
            self.write_fetch_head(map)?;
            match update::apply(repo, &self.ours, &mut updates, self.action()) {
                Ok(errors) => outcome.errors.extend(errors),
                Err(refusal) => {
                    outcome.refusal = Some(refusal);
                    let refused = updates.pop().and_then(|update| update.local);
                    let end = map.iter().position(|mapping| mapping.local == refused).map(|place| place + 1);
                    if !options.no_fetch_head {
                        fetch_head::cut(&path, before)?;
                        self.write_fetch_head(map.get(..end.unwrap_or(0)).unwrap_or_default())?;
                    }
                }
            }
        }
        outcome.updates.extend(updates);
        Ok(())
    }

    /// Moves and prunes all refs in one transaction, unless one of them may not move.
    fn apply_together(&self, map: &[Mapping], mut outcome: Outcome) -> Result<Outcome, Error> {
        let Fetch { repo, options, .. } = &self.fetch;
        let is_rejected = outcome.updates.iter().any(|update| update.status.is_rejected());
        if options.dry_run {
            return Ok(outcome);
        }
        if is_rejected {
            update::give_up_together(repo, &self.ours, &self.stale, &outcome.updates, self.action())?;
            return Ok(outcome);
        }
        match update::apply_together(repo, &self.ours, &self.stale, &outcome.updates, self.action()) {
            Ok(()) => self.write_fetch_head(map)?,
            Err(error) => outcome.refusal = Some(error),
        }
        Ok(outcome)
    }

    /// What reflogs say before the colon.
    fn action(&self) -> &[u8] {
        let action = &self.fetch.options.reflog_action;
        if action.is_empty() { b"fetch" } else { action }
    }

    fn write_fetch_head(&self, map: &[Mapping]) -> Result<(), Error> {
        let Fetch { repo, options, url, .. } = &self.fetch;
        if options.no_fetch_head {
            return Ok(());
        }
        fetch_head::append(&repo.git_path("FETCH_HEAD"), map, url.as_bstr())
    }
}
