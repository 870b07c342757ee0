//! The middle of a fetch: objects come, and how our history is cut is written down.

use std::collections::HashSet;

use bstr::ByteSlice;
use gix_hash::ObjectId;

use super::tips::wanted;
use super::{Fetch, Kept, Listed, Negotiation, Source, algorithm, keep_text, promisor_text, unpack_limit};
use crate::pack;
use crate::progress::{Event, Progress};
use crate::protocol::fetch::ShallowUpdate;
use crate::remote::connectivity::Arrived;
use crate::remote::fetch_pack::{self, Fetched, Named};
use crate::remote::promisor::promisors;
use crate::remote::ref_map::Mapping;
use crate::remote::update::is_ancestor_of_any;
use crate::remote::{Error, connectivity, tip};
use crate::repo::Objects;
use crate::repo::shallow::ShallowLock;

impl Listed<'_> {
    /// Transfers what is missing; `None` if nothing is.
    pub(super) fn take_objects(
        &mut self,
        objects: &mut Objects,
        known: &[ObjectId],
        progress: &mut dyn Progress,
    ) -> Result<Option<Kept>, Error> {
        let wants = wanted(&self.map);
        // What a ref of ours has is whole: the far side need not think about it, and it is here.
        let whole: HashSet<&ObjectId> = known.iter().collect();
        let fresh: Vec<ObjectId> = wants.iter().filter(|want| !whole.contains(want)).copied().collect();
        if wants.is_empty() || self.are_here(objects, &fresh, known)? {
            return Ok(None);
        }
        let wants = if self.fetch.deepens() { self.moved().unwrap_or(wants) } else { wants };
        self.tell_wants(progress)?;
        if let Source::Foreign(_) = self.source {
            return self.take_foreign(objects, known, progress).map(Some);
        }
        let (negotiation_tips, negotiation_include) = std::mem::take(&mut self.negotiation);
        let asks_again = self.fetch.deepens() || self.fetch.options.refetch;
        let is_asked = |want: &&ObjectId| asks_again || !whole.contains(want);
        let asked: Vec<ObjectId> = wants.iter().filter(is_asked).copied().collect();
        if asked.is_empty() {
            return Ok(None);
        }
        let old_tips: Vec<ObjectId> = wants.iter().filter(|want| objects.contains(want)).copied().collect();
        let request = self.request(asked, known)?;
        let request = fetch_pack::Request { negotiation_tips, negotiation_include, ..request };
        let is_partial = request.promisor.is_some() || self.is_partly_promised()?;
        // Held while the boundary is read, moved and written, so that nobody's change is lost.
        let lock = self.fetch.deepens().then(|| self.fetch.repo.lock_shallow()).transpose()?;
        let Fetched { pack: received, mut others, shallow, wanted_refs } =
            self.receive(objects, &request, progress)?;
        objects.refresh()?;
        // a ref that was asked for by name may have moved since it was listed
        let has_moved =
            self.map.iter_mut().fold(false, |moved, mapping| mapping.follow(&wanted_refs) | moved);
        let wants = wanted(&self.map);
        let foreign = if lock.is_some() {
            HashSet::new()
        } else {
            foreign_roots(objects, &shallow, known).map_err(unreadable)?
        };
        let cut = match lock {
            Some(lock) => Cut::asked_for(lock, &shallow),
            None => self.accept(objects, &wants, known, foreign)?,
        };
        if let Some((_, boundary)) = &cut.moved {
            *objects = self.fetch.repo.objects_within(boundary.clone())?.here();
        }
        let wants = self.without_foreign_roots(objects, wants, known, &cut.foreign, progress)?;
        let arrived = Arrived { links: &received.links, old_tips: &old_tips };
        let is_in_question = cut.moved.is_some() || self.fetch.deepens();
        let missing = match (is_in_question, cut.foreign.is_empty()) {
            // What a filter left out may be missing, what refs name may not.
            _ if is_partial => Ok(wants.iter().find(|want| !objects.contains(want)).copied()),
            // Where the boundary moves or should have moved, what our refs lead to is in question too.
            (true, _) => connectivity::first_missing(objects, &wants, &[], None),
            (false, true) if !has_moved => connectivity::first_missing(objects, &wants, known, Some(arrived)),
            (false, _) => connectivity::first_missing(objects, &wants, known, None),
        };
        if let Some(missing) = missing.map_err(unreadable)? {
            return Err(Error::NotConnected { url: self.fetch.url.clone(), missing: Some(missing) });
        }
        if let Some((lock, boundary)) = cut.moved {
            lock.write(&boundary)?;
        }
        others.push(received.stored);
        let foreign = without_parents(objects, cut.foreign).map_err(unreadable)?;
        Ok(Some(Kept { packs: others, files: Vec::new(), foreign }))
    }

    /// Takes the pack. What in it cannot be read is as good as missing: without rules git finds that out later, when it looks for
    /// what is missing.
    fn receive(
        &mut self,
        objects: &mut Objects,
        request: &fetch_pack::Request,
        progress: &mut dyn Progress,
    ) -> Result<Fetched, Error> {
        match self.source.receive((self.fetch.repo, objects), &self.refs, request, progress) {
            Err(Error::Pack(pack::Error::Malformed(_)) | Error::Unbundle(pack::Error::Malformed(_)))
                if self.fetch.repo.fsck_rules("fetch")?.is_none() =>
            {
                Err(Error::NotConnected { url: self.fetch.url.clone(), missing: None })
            }
            fetched => fetched,
        }
    }

    /// What is wanted of refs that are not here as they are there; `None` if all are. A fetch that moves the boundary asks
    /// for these alone, or for all if there is none (seen in git 2.47.3).
    fn moved(&self) -> Option<Vec<ObjectId>> {
        let mut near = 0;
        let mut is_moved = |mapping: &&Mapping| match &mapping.local {
            Some(local) => self.ours.resolve_near(local.as_bstr(), &mut near) != Some(mapping.id),
            None => true,
        };
        let moved: Vec<Mapping> = self.map.iter().filter(|mapping| is_moved(mapping)).cloned().collect();
        (!moved.is_empty()).then(|| wanted(&moved))
    }

    /// Whether a bundle was filtered and somebody has promised what it leaves out.
    fn is_partly_promised(&self) -> Result<bool, Error> {
        let Source::Bundle(bundle) = &self.source else { return Ok(false) };
        Ok(bundle.header.filter.is_some() && !promisors(self.fetch.repo)?.is_empty())
    }

    /// Whether all of `fresh`, what is wanted and not among `known`, is here with its history, and nothing else is asked for.
    fn are_here(&self, objects: &mut Objects, fresh: &[ObjectId], known: &[ObjectId]) -> Result<bool, Error> {
        if self.fetch.deepens() || self.fetch.options.refetch {
            return Ok(false);
        }
        if fresh.is_empty() {
            return Ok(true);
        }
        if !fresh.iter().all(|want| objects.contains(want)) {
            return Ok(false);
        }
        Ok(connectivity::first_missing(objects, fresh, known, None).map_err(unreadable)?.is_none())
    }

    /// What is to become of `foreign`, commits that the far side has without their parents: where we are told to take them
    /// (`--update-shallow`), our history ends there too.
    fn accept(
        &self,
        objects: &mut Objects,
        wants: &[ObjectId],
        known: &[ObjectId],
        foreign: HashSet<ObjectId>,
    ) -> Result<Cut, Error> {
        if !self.fetch.options.update_shallow || foreign.is_empty() {
            return Ok(Cut { moved: None, foreign });
        }
        let known: HashSet<ObjectId> = known.iter().copied().collect();
        let mut reached = HashSet::new();
        for want in wants {
            connectivity::collect_reached(objects, want, &known, (&foreign, &mut reached))
                .map_err(unreadable)?;
        }
        if reached.is_empty() {
            return Ok(Cut::default());
        }
        let updates: Vec<_> = reached.into_iter().map(ShallowUpdate::Shallow).collect();
        Ok(Cut::asked_for(self.fetch.repo.lock_shallow()?, &updates))
    }

    fn request(&self, wants: Vec<ObjectId>, known: &[ObjectId]) -> Result<fetch_pack::Request, Error> {
        let options = self.fetch.options;
        Ok(fetch_pack::Request {
            tips: if options.refetch { Vec::new() } else { known.to_vec() },
            deepen: options.deepen.clone(),
            include_tag: self.follows_tags(),
            moves_boundary: self.fetch.deepens() || options.update_shallow,
            ..self.fetch.request(&self.map, wants)?
        })
    }

    fn tell_wants(&self, progress: &mut dyn Progress) -> Result<(), Error> {
        for mapping in &self.map {
            let text = format!("want {} ({})", mapping.id, mapping.remote);
            if progress.report(Event::Detail { level: 2, text: &text }).is_break() {
                return Err(Error::Interrupted);
            }
        }
        Ok(())
    }

    /// Takes out the refs whose history ends at a commit in `foreign`, where the far side is shallow and we are not:
    /// a fetch that was not asked to must not cut our history. Gives the wants that are left.
    fn without_foreign_roots(
        &mut self,
        objects: &mut Objects,
        wants: Vec<ObjectId>,
        known: &[ObjectId],
        foreign: &HashSet<ObjectId>,
        progress: &mut dyn Progress,
    ) -> Result<Vec<ObjectId>, Error> {
        if foreign.is_empty() {
            return Ok(wants);
        }
        let known: HashSet<ObjectId> = known.iter().copied().collect();
        for mapping in std::mem::take(&mut self.map) {
            let is_cut = connectivity::reaches(objects, &mapping.id, &known, foreign)
                .map_err(|error| crate::repo::Error::Object(error.to_string()))?;
            if !is_cut {
                self.map.push(mapping);
                continue;
            }
            let name = mapping.local.as_ref().unwrap_or(&mapping.remote);
            let text = format!("rejected {name} because shallow roots are not allowed to be updated");
            if progress.report(Event::Warning(&text)).is_break() {
                return Err(Error::Interrupted);
            }
        }
        Ok(wanted(&self.map))
    }
}

impl Fetch<'_> {
    /// Where the negotiation starts, if not from all our refs, and what it names in any case.
    pub(super) fn negotiation(&self, progress: &mut dyn Progress) -> Result<Negotiation, Error> {
        let tips = tip::named(self.repo, self.negotiation_tips(), progress)?;
        let included = match self.options.negotiation_include.as_slice() {
            [] => &self.remote.negotiation_include,
            given => given,
        };
        Ok((tips, tip::named(self.repo, included, progress)?.unwrap_or_default()))
    }

    /// What asks for `wants`, objects of `map`, and says nothing yet of what is here and where history ends.
    pub(super) fn request(
        &self,
        map: &[Mapping],
        wants: Vec<ObjectId>,
    ) -> Result<fetch_pack::Request, Error> {
        let Fetch { repo, remote, options, .. } = self;
        let filter = self.filter();
        // as git: what is asked for without a filter is whole, whoever sends it
        let promisor = filter.is_some().then(|| promisor_text(map));
        Ok(fetch_pack::Request {
            wants,
            names: map.iter().map(|mapping| (mapping.id, mapping.remote.clone())).collect(),
            algorithm: algorithm(repo)?,
            is_kept: options.keep,
            unpack_limit: if options.keep { 0 } else { unpack_limit(repo)? },
            promisor,
            filter,
            no_progress: options.no_progress,
            keep: Some(keep_text()),
            remote: Some(remote.location()?),
            transport: options.transport.clone(),
            ..fetch_pack::Request::default()
        })
    }
}

/// How our history is cut after a fetch.
#[derive(Default)]
struct Cut {
    /// The new boundary, and the lock on the file.
    moved: Option<(ShallowLock, Vec<ObjectId>)>,
    /// Commits that the far side has without their parents and where our history must not end.
    foreign: HashSet<ObjectId>,
}

impl Cut {
    /// The boundary moves as `updates` say, if they say anything.
    fn asked_for(lock: ShallowLock, updates: &[ShallowUpdate]) -> Self {
        let boundary = fetch_pack::new_boundary(lock.boundary(), updates);
        Self { moved: (!updates.is_empty()).then_some((lock, boundary)), foreign: HashSet::new() }
    }
}

/// The commits that the far side has without their parents though our history does not end there: those whose parents are
/// not here, and those that are new to us. `known` is what our refs led to.
fn foreign_roots(
    objects: &mut Objects,
    updates: &[ShallowUpdate],
    known: &[ObjectId],
) -> std::io::Result<HashSet<ObjectId>> {
    let mut foreign = HashSet::new();
    for update in updates {
        let ShallowUpdate::Shallow(id) = update else { continue };
        let has_parents = objects.commit(id)?.is_some_and(|commit| !commit.parents.is_empty());
        if has_parents && (lacks_parents(objects, id)? || !is_ancestor_of_any(objects, *id, known)?) {
            foreign.insert(*id);
        }
    }
    Ok(foreign)
}

/// Those of `commits` that have a parent which is not here.
fn without_parents(objects: &mut Objects, commits: HashSet<ObjectId>) -> std::io::Result<HashSet<ObjectId>> {
    let mut found = HashSet::new();
    for id in commits {
        if lacks_parents(objects, &id)? {
            found.insert(id);
        }
    }
    Ok(found)
}

/// Whether a parent of the commit `id` is not here.
fn lacks_parents(objects: &mut Objects, id: &ObjectId) -> std::io::Result<bool> {
    let parents = objects.commit(id)?.map(|commit| commit.parents).unwrap_or_default();
    Ok(parents.iter().any(|parent| !objects.contains(parent)))
}

fn unreadable(error: std::io::Error) -> Error {
    crate::repo::Error::Object(error.to_string()).into()
}
