//! Asking for a pack and taking it in. `gitprotocol-v2(5)`, "fetch"; `gitprotocol-pack(5)` for v0 and v1.
//!
//! ```text
//!            ┌──────── more haves ────────┐
//!            ▼                            │
//! wants ─ round(haves) ─ acknowledgments ─┤
//!                                         ├─ ready ── pack
//!                                         └─ nothing left to say: done ── pack
//! ```
//!
//! What differs between the versions is one module each: `v2` and `v0`.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io::BufRead;

use bstr::BString;
use gix_hash::ObjectId;

use super::history::RepoHistory;
use super::negotiate::{Acked, Algorithm, Negotiator};
use super::promisor::PromisedBases;
use super::{Error, Session, accept};
use crate::pack;
use crate::pack::placement::Placement;
use crate::progress::{Event, Progress, Shared};
use crate::protocol::fetch::{Deepen, ShallowUpdate, SideBand};
use crate::protocol::sideband::{self, Demux};
use crate::protocol::{Ref, Version};
use crate::repo::{Objects, Repository};
use crate::transport::{self, Url};

mod by_name;
mod elsewhere;
mod v0;
mod v2;

pub(super) use by_name::Named;

/// gitprotocol-v2(5) names none; git gives up after this many haves in vain once something was acknowledged.
const IN_VAIN_MAX: usize = 256;

/// Haves in the first round, as C git sends them (seen in git 2.47.3).
const ROUND_LEN_FIRST: usize = 16;

/// What to fetch, and how.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The objects wanted.
    pub wants: Vec<ObjectId>,
    /// What they are called, for servers that are to be asked by name: refs, and ids that the user gave.
    pub names: Vec<(ObjectId, BString)>,
    /// Our own commits to start the negotiation from; none for a clone.
    pub tips: Vec<ObjectId>,
    /// Where the negotiation starts instead, if not at `tips`.
    pub negotiation_tips: Option<Vec<ObjectId>>,
    /// Commits that are named in any case.
    pub negotiation_include: Vec<ObjectId>,
    /// How they become haves.
    pub algorithm: Algorithm,
    /// How to move the shallow boundary.
    pub deepen: Deepen,
    /// The filter of a partial clone.
    pub filter: Option<BString>,
    /// The promisor remotes of the server that are accepted; the configuration decides when it is asked.
    pub accepted: Vec<BString>,
    /// Whether tags that point to what is sent should come along.
    pub include_tag: bool,
    /// Whether nobody looks at the server's progress.
    pub no_progress: bool,
    /// Whether all bases of deltas have to be in the pack.
    pub no_thin: bool,
    /// See [`pack::Options::unpack_limit`].
    pub unpack_limit: u32,
    /// Whether the pack is kept as it is because somebody said so, or is that of a clone.
    pub is_kept: bool,
    /// Whether the pack has to be sound by itself, as that of a clone of which nothing is left out: see
    /// [`Placement::is_strict`].
    pub is_strict: bool,
    /// See [`pack::Options::promisor`].
    pub promisor: Option<BString>,
    /// See [`pack::Options::keep`].
    pub keep: Option<BString>,
    /// Whether the shallow boundary may move as the server says: in a clone, and where it was asked to.
    pub moves_boundary: bool,
    /// The URL of the remote, if it is known: who it is decides about packs that it names elsewhere.
    pub remote: Option<Url>,
    /// How such packs are reached.
    pub transport: transport::Options,
}

impl Request {
    /// Where the pack goes, to which those in `elsewhere` belong; `is_checked` tells whether its objects are to obey rules.
    fn placement(&self, is_checked: bool, elsewhere: &[elsewhere::Pack]) -> Placement {
        Placement {
            missing_modules: (!elsewhere.is_empty()).then(RefCell::default),
            // as C git, which has what is kept indexed, however little that is
            keeps_empty: self.is_kept,
            is_strict: self.is_strict || (is_checked && self.promisor.is_none()),
            ..Placement::default()
        }
    }
}

/// What a fetch brought.
#[derive(Debug)]
pub struct Fetched {
    /// The pack.
    pub pack: pack::Received,
    /// Packs that came from elsewhere, and what guards them. Their links are among those of [`Self::pack`].
    pub others: Vec<pack::Stored>,
    /// How the shallow boundary moved; not yet written.
    pub shallow: Vec<ShallowUpdate>,
    /// What the refs were that were asked for by name, when the pack was made.
    pub wanted_refs: Vec<(ObjectId, BString)>,
}

/// Negotiates with the far side of `session` and takes in the pack that it sends. No ref and no shallow file is touched.
pub fn fetch_pack(
    session: &mut Session,
    repo: &Repository,
    advertised: &[Ref],
    request: &Request,
    progress: &mut dyn Progress,
) -> Result<Fetched, Error> {
    check_features(session, request, progress)?;
    let accepted = accept::decide(session, repo, request.filter.as_ref(), progress)?;
    let with_accepted;
    let request = if accepted.names.is_empty() && accepted.filter == request.filter {
        request
    } else {
        with_accepted = Request { filter: accepted.filter, accepted: accepted.names, ..request.clone() };
        &with_accepted
    };
    let mut objects = repo.objects()?.here();
    let mut negotiator = request.algorithm.negotiator();
    let mut first = Vec::new();
    if !request.tips.is_empty() {
        first = prepare(negotiator.as_mut(), &mut objects, advertised, request).map_err(unreadable)?;
    }
    let said = first.iter().copied().collect();
    let ours = Ours { shallow: repo.shallow()?, objects: &mut objects, negotiator, first, said };
    let protocols = elsewhere::protocols(repo, request);
    let negotiated = match session.version() {
        Version::V2 => v2::negotiate(session, (request, &protocols), ours, progress)?,
        Version::V0 | Version::V1 => v0::negotiate(session, request, ours, progress)?,
    };
    let elsewhere = elsewhere::checked(&negotiated.elsewhere, &protocols, repo.object_hash)?;
    let bases = PromisedBases::new(repo)?;
    let mut shallow = negotiated.shallow;
    shallow.extend(session.server_shallow().iter().copied().map(ShallowUpdate::Shallow));
    let old_boundary = repo.shallow()?;
    let boundary = if request.moves_boundary { new_boundary(&old_boundary, &shallow) } else { old_boundary };
    let rules = repo.fsck_rules("fetch")?;
    let options = pack::Options {
        objects: repo.objects_dir.clone(),
        storage: repo.storage,
        object_hash: repo.object_hash,
        bases: (!request.tips.is_empty()).then_some(&bases as &dyn pack::Bases),
        // as C git, which has what is checked indexed
        unpack_limit: if rules.is_some() || !elsewhere.is_empty() { 0 } else { request.unpack_limit },
        keep: request.keep.clone(),
        promisor: request.promisor.clone(),
        threads: 0,
        size_max_bytes: 0,
        made_len_max: 0,
        to_end: negotiated.side_band != SideBand::None,
        fsck: rules.as_ref(),
        shallow: &boundary,
    };
    let input = session.connection().answer()?;
    let placement = request.placement(rules.is_some(), &elsewhere);
    let mut pack = receive(input, negotiated.side_band, (&options, &placement), progress)?;
    let mut others = Vec::new();
    if !elsewhere.is_empty() {
        for received in elsewhere::receive(&elsewhere, (repo, request), &options, progress)? {
            pack.links.extend(received.links);
            others.push(received.stored);
        }
        let missing = placement.missing_modules.map(RefCell::into_inner).unwrap_or_default();
        if let Some(rules) = &rules {
            pack::check_modules(&missing, rules, &repo.objects()?, progress)?;
        }
    }
    Ok(Fetched { pack, others, shallow, wanted_refs: negotiated.wanted_refs })
}

/// What the negotiation of either version comes to: the pack stands next on the wire.
struct Negotiated {
    shallow: Vec<ShallowUpdate>,
    side_band: SideBand,
    /// Packs that are to be fetched elsewhere.
    elsewhere: Vec<(ObjectId, BString)>,
    /// See [`Fetched::wanted_refs`].
    wanted_refs: Vec<(ObjectId, BString)>,
}

/// Our side of a negotiation.
struct Ours<'a> {
    shallow: Vec<ObjectId>,
    objects: &'a mut Objects,
    negotiator: Box<dyn Negotiator>,
    /// What is named before anything else.
    first: Vec<ObjectId>,
    /// The same, whether it was named yet or not.
    said: HashSet<ObjectId>,
}

impl Ours<'_> {
    /// Up to `len_max` more commits to name.
    fn haves(&mut self, len_max: usize) -> Result<Vec<ObjectId>, Error> {
        let mut haves = self.first.split_off(self.first.len().saturating_sub(len_max));
        while haves.len() < len_max {
            match self.negotiator.next(&mut RepoHistory(self.objects)).map_err(unreadable)? {
                Some(id) if self.said.contains(&id) => {}
                Some(id) => haves.push(id),
                None => break,
            }
        }
        Ok(haves)
    }

    /// Takes note of an acknowledgment.
    fn acknowledge(&mut self, id: ObjectId) -> Result<Acked, Error> {
        self.negotiator.ack(id, &mut RepoHistory(self.objects)).map_err(unreadable)
    }
}

/// The shallow boundary after `updates`, sorted.
pub fn new_boundary(old: &[ObjectId], updates: &[ShallowUpdate]) -> Vec<ObjectId> {
    let mut boundary: HashSet<ObjectId> = old.iter().copied().collect();
    for update in updates {
        match update {
            ShallowUpdate::Shallow(id) => boundary.insert(*id),
            ShallowUpdate::Unshallow(id) => boundary.remove(id),
        };
    }
    let mut boundary: Vec<_> = boundary.into_iter().collect();
    boundary.sort_unstable();
    boundary
}

/// Refuses what the far side cannot do, and warns of what it will not.
fn check_features(session: &Session, request: &Request, progress: &mut dyn Progress) -> Result<(), Error> {
    let is_v2 = session.version() == Version::V2;
    let can = |v0: &str, v2: &str| {
        let capabilities = session.capabilities();
        if is_v2 { capabilities.supports("fetch", v2) } else { capabilities.contains(v0) }
    };
    let refuse = |text: &str| Err(Error::Missing(text.to_owned()));
    let unadvertised = session.unadvertised(&request.wants);
    if !unadvertised.is_empty() {
        return Err(Error::Unadvertised(unadvertised));
    }
    let deepen = &request.deepen;
    if (*deepen != Deepen::default()) && !can("shallow", "shallow") {
        let what = if is_v2 { "requests" } else { "clients" };
        return refuse(&format!("Server does not support shallow {what}"));
    }
    if deepen.since.is_some() && !can("deepen-since", "shallow") {
        return refuse("Server does not support --shallow-since");
    }
    if !deepen.not.is_empty() && !can("deepen-not", "shallow") {
        return refuse("Server does not support --shallow-exclude");
    }
    if deepen.relative && !can("deepen-relative", "shallow") {
        return refuse("Server does not support --deepen");
    }
    if request.filter.is_some() && !can("filter", "filter") {
        let event = Event::Warning("filtering not recognized by server, ignoring");
        if progress.report(event).is_break() {
            return Err(Error::Interrupted);
        }
    }
    Ok(())
}

/// Whether the far side filters objects.
pub fn supports_filter(session: &Session) -> bool {
    match session.version() {
        Version::V2 => session.capabilities().supports("fetch", "filter"),
        Version::V0 | Version::V1 => session.capabilities().contains("filter"),
    }
}

/// Feeds the negotiator: first what the far side advertised and we have, then our own tips. Gives the commits that are to
/// be named in any case.
fn prepare(
    negotiator: &mut dyn Negotiator,
    objects: &mut Objects,
    advertised: &[Ref],
    request: &Request,
) -> std::io::Result<Vec<ObjectId>> {
    // where the boundary moves, that we have a commit says nothing about its ancestors
    let deepens = request.deepen != Deepen::default();
    let complete = if deepens { Vec::new() } else { complete_commits(objects, advertised, &request.tips)? };
    let mut history = RepoHistory(objects);
    for id in complete {
        negotiator.known_common(id, &mut history)?;
    }
    let mut included = Vec::new();
    for tip in &request.negotiation_include {
        let Some((id, gix_object::Kind::Commit)) = history.0.peel(tip)? else { continue };
        negotiator.add_tip(id, &mut history)?;
        if !included.contains(&id) {
            included.push(id);
        }
    }
    for tip in request.negotiation_tips.as_ref().unwrap_or(&request.tips) {
        let Some((id, gix_object::Kind::Commit)) = history.0.peel(tip)? else { continue };
        negotiator.add_tip(id, &mut history)?;
    }
    Ok(included)
}

/// The advertised commits that we have with all of their history: those that a tip of ours reaches. How far back is
/// looked is bounded by the newest of them, so that nothing fetched long ago is walked again.
fn complete_commits(
    objects: &mut Objects,
    advertised: &[Ref],
    tips: &[ObjectId],
) -> std::io::Result<Vec<ObjectId>> {
    let mut found = Vec::new();
    let mut candidates = HashSet::new();
    let mut cutoff = i64::MIN;
    let tips: HashSet<ObjectId> = tips.iter().copied().collect();
    for reference in advertised {
        let Some(id) = reference.peeled.or(reference.id) else { continue };
        if !objects.contains(&id) {
            continue;
        }
        let Some(commit) = objects.commit(&id)? else { continue };
        if tips.contains(&id) || reference.id.is_some_and(|tag| tips.contains(&tag)) {
            found.push(id);
        } else if candidates.insert(id) {
            cutoff = cutoff.max(commit.date);
        }
    }
    if !candidates.is_empty() {
        let mut walk: Vec<ObjectId> = tips.into_iter().collect();
        let mut seen = HashSet::new();
        while let Some(id) = walk.pop() {
            if !seen.insert(id) {
                continue;
            }
            let Some((id, gix_object::Kind::Commit)) = objects.peel(&id)? else { continue };
            let Some(commit) = objects.commit(&id)? else { continue };
            if candidates.remove(&id) {
                found.push(id);
            }
            if commit.date >= cutoff {
                walk.extend(commit.parents);
            }
        }
    }
    Ok(found)
}

/// Reads the pack off the wire.
fn receive(
    input: &mut dyn BufRead,
    side_band: SideBand,
    (options, placement): (&pack::Options<'_>, &Placement),
    progress: &mut dyn Progress,
) -> Result<pack::Received, Error> {
    if side_band == SideBand::None {
        return Ok(pack::receive_at(input, options, placement, progress)?);
    }
    let shared = Shared::new(progress);
    let mut demux = Demux::new(input, &shared);
    let received = match pack::receive_at(&mut demux, options, placement, &mut shared.handle()) {
        Ok(received) => received,
        Err(pack::Error::Read(source)) => return Err(sideband::into_protocol_error(source).into()),
        Err(error) => {
            // What the server has still to say, such as why it died, comes first.
            if let Err(refusal @ crate::protocol::Error::Remote(_)) = demux.finish() {
                return Err(refusal.into());
            }
            return Err(error.into());
        }
    };
    demux.finish()?;
    Ok(received)
}

fn unreadable(error: std::io::Error) -> Error {
    crate::repo::Error::Object(error.to_string()).into()
}

/// Tells what only those hear who asked for every detail.
pub(super) fn tell(progress: &mut dyn Progress, text: &str) -> Result<(), Error> {
    let told = progress.report(Event::Detail { level: 2, text });
    if told.is_break() { Err(Error::Interrupted) } else { Ok(()) }
}
