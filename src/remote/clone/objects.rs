//! How the objects of a clone come: as a pack, by links and copies, out of a bundle or by a helper program.

use bstr::BString;
use gix_hash::ObjectId;

use super::plan::Plan;
use super::source::Source;
use super::{Clone, Local, add_alternates, borrow, bundles};
use crate::progress::Progress;
use crate::protocol::fetch::Deepen;
use crate::remote::bundle::unbundle_file;
use crate::remote::far::Foreign;
use crate::remote::fetch_pack::{self, Named as _, fetch_pack};
use crate::remote::{Error, connectivity, fetch, local_clone};
use crate::repo::Repository;

impl Clone<'_> {
    /// Brings the objects; whether they came as a pack in git's protocol.
    pub(super) fn take_objects(
        &self,
        repo: &Repository,
        source: &mut Source,
        plan: &mut Plan,
        progress: &mut dyn Progress,
    ) -> Result<bool, Error> {
        if let Source::Session { local: Some(objects), .. } = source {
            let links = match self.options.local {
                Local::Share => {
                    add_alternates((&repo.objects_dir, repo.storage), std::slice::from_ref(objects))?;
                    return Ok(false);
                }
                Local::Copy => local_clone::Links::None,
                Local::Link | Local::Transfer => local_clone::Links::Hard,
            };
            local_clone::copy_objects(objects, (&repo.objects_dir, repo.storage), links)?;
            return Ok(false);
        }
        let deepens = self.options.deepen != Deepen::default();
        let (wants, tips) = bundles::still_wanted(repo, plan)?;
        if wants.is_empty() || (!deepens && borrow::is_lent(repo, &plan.wants)?) {
            return Ok(false);
        }
        let mut objects = repo.objects()?;
        let is_partial = self.is_partial(source);
        let known = [fetch::lent_tips(repo, &objects), tips.clone()].concat();
        // asked before anything arrives; where nobody lends and no bundle was there, nothing is here yet
        let is_here = |want: &&ObjectId| !known.is_empty() && objects.contains(want);
        let old_tips = plan.wants.iter().filter(is_here).copied().collect();
        let request = fetch_pack::Request { wants, ..self.request(source, plan, is_partial, known) };
        let mut has_moved = false;
        let received = match source {
            Source::Foreign { foreign, .. } => {
                self.take_foreign(repo, foreign, plan, progress)?;
                return Ok(false);
            }
            Source::Session { session, refs, .. } => {
                let fetched = fetch_pack(session, repo, refs, &request, progress)?;
                self.check_shallow(!fetched.shallow.is_empty())?;
                if !fetched.shallow.is_empty() {
                    repo.write_shallow(&fetch_pack::new_boundary(&[], &fetched.shallow))?;
                }
                has_moved =
                    refs.iter_mut().fold(false, |moved, listed| listed.follow(&fetched.wanted_refs) | moved);
                if has_moved {
                    *plan = self.plan(refs)?;
                }
                fetched.pack
            }
            Source::Bundle(bundle) => unbundle_file(repo, &mut objects, bundle, &request, progress)?,
        };
        if is_partial {
            // What the filter left out may be missing, what refs name may not.
            let objects = repo.objects()?;
            let missing = plan.wants.iter().find(|want| !objects.contains(want)).copied();
            let url = || self.parsed.redacted();
            return missing.map_or(Ok(true), |id| Err(Error::NotConnected { url: url(), missing: Some(id) }));
        }
        let arrived = connectivity::Arrived { links: &received.links, old_tips: &old_tips };
        self.check_connected(repo, (plan, &tips), Some(arrived).filter(|_| !has_moved))?;
        Ok(true)
    }

    /// What to ask for. `tips` are commits that we have already, since others lend them.
    fn request(
        &self,
        source: &Source,
        plan: &Plan,
        is_partial: bool,
        tips: Vec<ObjectId>,
    ) -> fetch_pack::Request {
        let is_promisor = is_partial || self.options.filter.is_some();
        fetch_pack::Request {
            wants: plan.wants.clone(),
            names: wanted_names(source, plan),
            tips,
            deepen: self.options.deepen.clone(),
            filter: self.options.filter.clone(),
            // C git asks for tags on the way only where it does not ask for all of them, wished for or not.
            include_tag: self.is_single_branch() && self.options.revision.is_none(),
            moves_boundary: true,
            is_kept: true,
            is_strict: !is_promisor && self.options.deepen == Deepen::default(),
            no_progress: self.options.no_progress,
            remote: Some(self.parsed.clone()),
            transport: self.options.transport.clone(),
            promisor: is_promisor.then(|| promisor_text(source, plan)),
            ..fetch_pack::Request::default()
        }
    }

    /// Brings the objects from where git's protocol is not spoken.
    fn take_foreign(
        &self,
        repo: &Repository,
        foreign: &mut Foreign,
        plan: &Plan,
        progress: &mut dyn Progress,
    ) -> Result<(), Error> {
        let mut is_connected = false;
        if !foreign.imports() {
            foreign.ask_connectivity(progress)?;
            foreign.set("cloning", "true", progress)?;
            let wished = (plan.map.as_slice(), &self.options.deepen);
            is_connected = foreign.fetch(repo, wished, progress)?.is_connected;
        }
        let is_cut = !repo.shallow()?.is_empty();
        self.check_shallow(is_cut && self.options.deepen == Deepen::default())?;
        if is_connected || self.options.filter.is_some() {
            Ok(())
        } else {
            self.check_connected(repo, (plan, &[]), None)
        }
    }

    /// Checks that all history is here.
    fn check_connected(
        &self,
        repo: &Repository,
        (plan, tips): (&Plan, &[ObjectId]),
        arrived: Option<connectivity::Arrived<'_>>,
    ) -> Result<(), Error> {
        let mut objects = repo.objects()?;
        let missing = connectivity::first_missing(&mut objects, &plan.wants, tips, arrived)
            .map_err(|error| crate::repo::Error::Object(error.to_string()))?;
        match missing {
            Some(_) => Err(Error::NotConnected { url: self.parsed.redacted(), missing }),
            None => Ok(()),
        }
    }

    /// Whether the far side will leave out what the filter says.
    fn is_partial(&self, source: &Source) -> bool {
        match source {
            Source::Session { local: Some(_), .. } | Source::Foreign { .. } | Source::Bundle(_) => false,
            Source::Session { session, .. } => {
                self.options.filter.is_some() && fetch_pack::supports_filter(session)
            }
        }
    }
}

/// What a `.promisor` file says of a clone: `HEAD` comes first.
fn promisor_text(source: &Source, plan: &Plan) -> BString {
    let head = source.refs().iter().filter(|reference| reference.name == "HEAD" && !plan.is_revision);
    let mut text = BString::default();
    for id in head.filter_map(|head| head.id) {
        text.extend_from_slice(format!("{id} HEAD\n").as_bytes());
    }
    text.extend_from_slice(&fetch::promisor_text(&plan.map));
    text
}

/// The refs that are asked for: what is fetched, and `HEAD`.
fn wanted_names(source: &Source, plan: &Plan) -> Vec<(ObjectId, BString)> {
    let head = source.refs().iter().filter(|reference| reference.name == "HEAD" && !plan.is_revision);
    let head = head.filter_map(|head| Some((head.id?, head.name.clone())));
    head.chain(plan.map.iter().map(|mapping| (mapping.id, mapping.remote.clone()))).collect()
}
