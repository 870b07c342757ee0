//! The last step of a fetch: refs move and `FETCH_HEAD` is written.

use bstr::{BStr, ByteSlice};

use super::{Fetch, Outcome, Transferred, tags_missing};
use crate::remote::ref_map::Mapping;
use crate::remote::update::{self, RefUpdate};
use crate::remote::{Error, fetch_head};

impl Transferred<'_> {
    /// The URL as messages show it.
    pub fn url(&self) -> &BStr {
        self.fetch.url.as_bstr()
    }

    /// Decides what becomes of each ref, moves those that may move, and writes `FETCH_HEAD`.
    pub fn update(mut self) -> Result<Outcome, Error> {
        let mut outcome = Outcome { updates: Vec::new(), errors: Vec::new(), refusal: None };
        let map = std::mem::take(&mut self.map);
        let asked = self.noted(map);
        let mut updates = self.decide(&asked)?;
        if self.fetch.options.atomic {
            let arrived = self.arrived_tags(&asked)?;
            updates.extend(self.decide(&arrived)?);
            return self.apply_together(&[asked, arrived].concat(), updates);
        }
        self.apply(&asked, updates, &mut outcome)?;
        // Their refs are looked up again: tags that were asked for are there now.
        let arrived = self.arrived_tags(&asked)?;
        let updates = self.decide(&arrived)?;
        self.apply(&arrived, updates, &mut outcome)?;
        Ok(outcome)
    }

    /// What is done to `map`, in the order of rows and of lines in `FETCH_HEAD`, without what nothing takes note of.
    fn noted(&self, mut map: Vec<Mapping>) -> Vec<Mapping> {
        let options = self.fetch.options;
        if options.no_fetch_head && !options.dry_run {
            map.retain(|mapping| mapping.local.is_some());
        }
        map.sort_by_key(|mapping| mapping.fetch_head);
        map
    }

    /// Tags whose objects came with the pack, which could not be known before.
    fn arrived_tags(&self, asked: &[Mapping]) -> Result<Vec<Mapping>, Error> {
        if !self.follows_tags || self.fetch.options.dry_run {
            return Ok(Vec::new());
        }
        let mut tags = tags_missing(self.fetch.repo, &self.refs, asked, &self.objects)?;
        tags.retain(|tag| self.objects.contains(&tag.id));
        Ok(tags)
    }

    fn decide(&mut self, map: &[Mapping]) -> Result<Vec<RefUpdate>, Error> {
        let Fetch { repo, options, .. } = &self.fetch;
        map.iter().map(|mapping| update::decide(repo, &mut self.objects, mapping, options.force)).collect()
    }

    fn apply(
        &self,
        map: &[Mapping],
        mut updates: Vec<RefUpdate>,
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        let Fetch { repo, options, .. } = &self.fetch;
        if !options.dry_run {
            self.write_fetch_head(map)?;
            outcome.errors.extend(update::apply(repo, &mut updates, self.action()));
        }
        outcome.updates.extend(updates);
        Ok(())
    }

    /// Moves and prunes all refs in one transaction, unless one of them may not move.
    fn apply_together(&self, map: &[Mapping], updates: Vec<RefUpdate>) -> Result<Outcome, Error> {
        let Fetch { repo, options, .. } = &self.fetch;
        let mut outcome = Outcome { updates, errors: Vec::new(), refusal: None };
        let is_rejected = outcome.updates.iter().any(|update| update.status.is_rejected());
        if options.dry_run || is_rejected {
            return Ok(outcome);
        }
        match update::apply_together(repo, &self.stale, &outcome.updates, self.action()) {
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
