//! The refs that were asked for move and `FETCH_HEAD` is written.

use std::time::Instant;

use bstr::{BStr, ByteSlice};

use super::{CATEGORY, Fetch, Outcome, Transferred, Updated};
use crate::remote::ref_map::{FetchHead, Mapping};
use crate::remote::update::{self, RefUpdate};
use crate::remote::{Error, fetch_head};
use crate::telemetry;

impl<'a> Transferred<'a> {
    /// The URL as messages show it.
    pub fn url(&self) -> &BStr {
        self.fetch.url.as_bstr()
    }

    /// Decides what becomes of each ref that was asked for, moves those that may move, and writes `FETCH_HEAD`. Where all
    /// refs move together they wait for [`Updated::follow_tags`].
    pub fn update(self) -> Result<Updated<'a>, Error> {
        telemetry::region(CATEGORY, "consume_refs", || self.update_refs())
    }

    fn update_refs(mut self) -> Result<Updated<'a>, Error> {
        let mut outcome = Outcome { known: std::mem::take(&mut self.known), ..Outcome::default() };
        let map = std::mem::take(&mut self.map);
        let asked = self.noted(map);
        let start = Instant::now();
        let updates = self.decide(&asked, &mut outcome)?;
        outcome.forced_check = start.elapsed();
        if self.fetch.options.atomic {
            outcome.updates = updates;
        } else {
            self.apply(&asked, updates, &mut outcome)?;
        }
        Ok(Updated { transferred: self, asked, outcome })
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

    pub(super) fn decide(&mut self, map: &[Mapping], outcome: &mut Outcome) -> Result<Vec<RefUpdate>, Error> {
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

    pub(super) fn apply(
        &self,
        map: &[Mapping],
        mut updates: Vec<RefUpdate>,
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        let Fetch { repo, options, .. } = &self.fetch;
        if !options.dry_run {
            if updates.iter().any(|update| update.local.is_some() && update.old != update.new) {
                // one that has no date is no fault of a ref
                repo.committer()?;
            }
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
    pub(super) fn apply_together(&self, map: &[Mapping], mut outcome: Outcome) -> Result<Outcome, Error> {
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
