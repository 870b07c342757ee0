//! Where the history that a client gets is cut off. gitprotocol-pack(5), "Shallow"; gitprotocol-v2(5), "shallow-info".

use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::io;

use gix_hash::ObjectId;

use super::UploadPack;
use crate::pack::Kind;
use crate::protocol::fetch::{Deepen, Request, ShallowUpdate};
use crate::repo::Objects;
use crate::server::Error;

/// The depth that stands for all of the history: gitprotocol-pack(5) knows no other word for it.
pub(super) const INFINITE: u32 = 0x7fff_ffff;

/// The client's boundary and what becomes of it.
#[derive(Debug, Default)]
pub(super) struct Cut {
    /// What the client is told.
    pub updates: Vec<ShallowUpdate>,
    /// Commits whose parents are not sent: the client's boundary of before, and the new one.
    pub boundary: Vec<ObjectId>,
    /// Parents that the client is to get now.
    pub more_wants: Vec<ObjectId>,
    /// Commits that it has, whose parents it gets now.
    pub more_haves: Vec<ObjectId>,
}

/// Why a boundary cannot be told.
pub(super) enum Refusal {
    /// The client asked for nonsense; the text is what git dies of.
    Refused(String),
    Broken(io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Refused(text) => Self::Refused(text),
            Refusal::Broken(error) => Self::object(error),
        }
    }
}

/// Which commits are within a boundary, and which are on it.
#[derive(Default)]
struct Depth {
    /// On the boundary, in the order in which git tells them.
    on: Vec<ObjectId>,
    /// Within.
    within: HashSet<ObjectId>,
}

/// The commits of the client's boundary that are here.
///
/// # Errors
///
/// If one is no commit.
pub(super) fn client_boundary(request: &Request, objects: &Objects) -> Result<Vec<ObjectId>, Error> {
    let mut boundary = Vec::new();
    let mut seen = HashSet::new();
    for id in &request.shallow {
        match objects.kind(id).map_err(Error::object)? {
            None => {}
            Some(Kind::Commit) => boundary.extend(seen.insert(*id).then_some(*id)),
            Some(_) => return Err(Error::Refused(format!("invalid shallow object {id}"))),
        }
    }
    Ok(boundary)
}

impl UploadPack<'_> {
    /// The ids of the refs that `deepen-not` names; only refs will do, and only where no two are meant.
    pub(super) fn excluded(&self, deepen: &Deepen) -> Result<Vec<ObjectId>, Error> {
        let ambiguous =
            |name| Error::Refused(format!("git upload-pack: ambiguous deepen-not: deepen-not {name}"));
        let ids = deepen.not.iter().map(|name| {
            let forms = ["", "refs/", "refs/tags/", "refs/heads/", "refs/remotes/"]
                .map(|prefix| format!("{prefix}{name}"));
            let mut found = Vec::new();
            for form in forms.iter().map(String::as_str).chain([format!("refs/remotes/{name}/HEAD").as_str()])
            {
                found.extend(self.repo.resolve_ref(form.into())?);
            }
            match found.as_slice() {
                [id] => Ok(*id),
                _ => Err(ambiguous(name)),
            }
        });
        ids.collect()
    }
}

impl Cut {
    /// The boundary of a client that asks for no other: it stays where it is.
    pub(super) fn unmoved(client: Vec<ObjectId>) -> Self {
        Self { boundary: client, ..Self::default() }
    }

    /// Moves the boundary `client` as `deepen` asks, on a history that ends at `own`. `excluded` are the tips of
    /// `deepen-not`.
    pub(super) fn new(
        (mut objects, own): (Objects, &[ObjectId]),
        wants: &[ObjectId],
        client: Vec<ObjectId>,
        deepen: &Deepen,
        excluded: &[ObjectId],
    ) -> Result<Self, Refusal> {
        let by_list = deepen.since.is_some() || !deepen.not.is_empty();
        let depth = match deepen.depth {
            0 if by_list => by_revision(&mut objects, wants, deepen.since, excluded)?,
            INFINITE if own.is_empty() => {
                Depth { within: client.iter().copied().collect(), ..Depth::default() }
            }
            depth if deepen.relative => {
                let starts = reachable(&mut objects, wants, &client)?;
                by_depth(&mut objects, &starts, depth.saturating_add(1), own)?
            }
            depth => by_depth(&mut objects, wants, depth, own)?,
        };
        Self::moved(&mut objects, client, depth)
    }

    fn moved(objects: &mut Objects, client: Vec<ObjectId>, depth: Depth) -> Result<Self, Refusal> {
        let mut cut = Self::default();
        let known: HashSet<ObjectId> = client.iter().copied().collect();
        let fresh = depth.on.iter().filter(|id| !known.contains(*id) && !depth.within.contains(*id));
        for id in fresh {
            cut.updates.push(ShallowUpdate::Shallow(*id));
            cut.boundary.push(*id);
        }
        for id in client {
            if depth.within.contains(&id) {
                cut.updates.push(ShallowUpdate::Unshallow(id));
                let commit = objects.commit(&id)?;
                cut.more_wants.extend(commit.into_iter().flat_map(|commit| commit.parents));
                cut.more_haves.push(id);
            }
            cut.boundary.push(id);
        }
        Ok(cut)
    }
}

/// The commits that `ids` are or lead to as tags.
fn commits(objects: &Objects, ids: &[ObjectId]) -> io::Result<Vec<ObjectId>> {
    let mut found = Vec::new();
    for id in ids {
        if let Some((id, Kind::Commit)) = objects.peel(id)? {
            found.push(id);
        }
    }
    Ok(found)
}

/// The boundary at `depth` commits from `starts`, which are at 1. Where our own history is cut off, so is theirs.
fn by_depth(objects: &mut Objects, starts: &[ObjectId], depth: u32, own: &[ObjectId]) -> io::Result<Depth> {
    let mut found = Depth::default();
    let mut queue: VecDeque<(ObjectId, u32)> =
        commits(objects, starts)?.into_iter().map(|id| (id, 1)).collect();
    let mut seen: HashSet<ObjectId> = HashSet::new();
    while let Some((id, at)) = queue.pop_front() {
        // breadth first: the first way to a commit is the shortest
        if !seen.insert(id) {
            continue;
        }
        let is_own = own.binary_search(&id).is_ok();
        if at >= depth && depth != INFINITE || is_own {
            found.on.push(id);
            continue;
        }
        found.within.insert(id);
        let parents = objects.commit(&id)?.map(|commit| commit.parents).unwrap_or_default();
        queue.extend(parents.into_iter().map(|parent| (parent, at + 1)));
    }
    Ok(found)
}

/// Those of `boundary` to which `wants` lead.
fn reachable(objects: &mut Objects, wants: &[ObjectId], boundary: &[ObjectId]) -> io::Result<Vec<ObjectId>> {
    let mut open: HashSet<ObjectId> = boundary.iter().copied().collect();
    let mut stack = commits(objects, wants)?;
    let mut seen: HashSet<ObjectId> = stack.iter().copied().collect();
    while let Some(id) = stack.pop()
        && !open.is_empty()
    {
        open.remove(&id);
        let parents = objects.commit(&id)?.map(|commit| commit.parents).unwrap_or_default();
        stack.extend(parents.into_iter().filter(|parent| seen.insert(*parent)));
    }
    Ok(boundary.iter().filter(|id| !open.contains(*id)).copied().collect())
}

/// The boundary of the commits that are not older than `since` and that `excluded` do not lead to.
fn by_revision(
    objects: &mut Objects,
    wants: &[ObjectId],
    since: Option<i64>,
    excluded: &[ObjectId],
) -> Result<Depth, Refusal> {
    // as git 2.47.3, which takes what is less than nothing for a time that never comes
    let since = since.map_or(i64::MIN, |since| if since < 0 { i64::MAX } else { since });
    let mut walk = ByDate::default();
    for id in commits(objects, wants)? {
        walk.push(objects, id, false)?;
    }
    for id in commits(objects, excluded)? {
        walk.push(objects, id, true)?;
    }
    while walk.open > 0
        && let Some((date, id)) = walk.queue.pop()
    {
        let is_out = walk.state(&id) || date < since;
        walk.visit(id, is_out);
        let parents = objects.commit(&id)?.map(|commit| commit.parents).unwrap_or_default();
        for parent in parents {
            walk.push(objects, parent, is_out)?;
        }
    }
    let chosen: HashSet<ObjectId> = walk.order.iter().filter(|id| !walk.state(id)).copied().collect();
    if chosen.is_empty() {
        return Err(Refusal::Refused("no commits selected for shallow requests".into()));
    }
    let mut found = Depth::default();
    for id in walk.order.iter().filter(|id| chosen.contains(*id)) {
        let parents = objects.commit(id)?.map(|commit| commit.parents).unwrap_or_default();
        if parents.iter().all(|parent| chosen.contains(parent)) {
            found.within.insert(*id);
        } else {
            found.on.push(*id);
        }
    }
    Ok(found)
}

/// A walk by date, newest first, in two colours.
#[derive(Default)]
struct ByDate {
    queue: BinaryHeap<(i64, ObjectId)>,
    /// Whether a commit is out.
    is_out: HashMap<ObjectId, bool>,
    visited: HashSet<ObjectId>,
    /// Visited commits, newest first.
    order: Vec<ObjectId>,
    /// Commits in the queue that are not out.
    open: usize,
}

impl ByDate {
    fn state(&self, id: &ObjectId) -> bool {
        self.is_out.get(id).copied().unwrap_or(false)
    }

    fn push(&mut self, objects: &mut Objects, id: ObjectId, is_out: bool) -> io::Result<()> {
        match self.is_out.get(&id).copied() {
            None => {
                let Some(commit) = objects.commit(&id)? else { return Ok(()) };
                self.is_out.insert(id, is_out);
                self.open += usize::from(!is_out);
                self.queue.push((commit.date, id));
            }
            Some(false) if is_out => self.turn_out(objects, id)?,
            Some(_) => {}
        }
        Ok(())
    }

    /// A commit that was met turns out to be out, and with it all that were met behind it.
    fn turn_out(&mut self, objects: &mut Objects, id: ObjectId) -> io::Result<()> {
        let mut stack = vec![id];
        while let Some(id) = stack.pop() {
            if self.is_out.get(&id) != Some(&false) {
                continue;
            }
            self.is_out.insert(id, true);
            if self.visited.contains(&id) {
                stack.extend(objects.commit(&id)?.map(|commit| commit.parents).unwrap_or_default());
            } else {
                self.open -= 1;
            }
        }
        Ok(())
    }

    fn visit(&mut self, id: ObjectId, is_out: bool) {
        self.visited.insert(id);
        self.order.push(id);
        if !self.state(&id) {
            self.open -= 1;
        }
        if is_out {
            self.is_out.insert(id, true);
        }
    }
}
