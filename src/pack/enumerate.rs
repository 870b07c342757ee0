//! Which objects a pack is to hold: those that the wants reach and the haves do not.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use bstr::ByteSlice as _;
use gix_hash::{ObjectId, oid};
use gix_object::Kind;

use super::Error;
use super::bitmap::{Bits, Indexed};
use super::source::Source;
use crate::progress::Progress;
use boundary::Boundary;
use count::Count;
use filter::Filter;
pub(super) use reach::object_of_bit;
use tips::Tips;
use trees::Missing;

mod boundary;
mod commits;
mod count;
mod extract;
pub mod filter;
mod filtered;
mod ids;
mod left_out;
mod packed;
mod reach;
mod spec;
mod tips;
mod tree;
mod trees;
mod versions;

pub use spec::FilterSpec;

/// How many commits that the receiver has are taken for its boundary where our own history is cut off. The newest are
/// most like what is sent.
const CUT_HAVES_MAX: usize = 64;

/// What is to be sent, and what the receiver has.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Objects of any kind that the receiver is to have with all they reach.
    pub wants: Vec<ObjectId>,
    /// Objects that the receiver has with all they reach. Those that are not here are passed over.
    pub haves: Vec<ObjectId>,
    /// Commits whose parents the receiver does not have although it has them: its shallow boundary.
    pub receiver_shallow: Vec<ObjectId>,
    /// Whether the trees and blobs at the boundary are wanted as bases of a thin pack.
    pub thin: bool,
    /// Whether trees and blobs that are missing here are passed over because a promisor remote has them (a partial clone);
    /// else a missing object is an error.
    pub is_partial: bool,
    /// What is left out of what the walk meets.
    pub filter: Option<Filter>,
}

/// The objects of a pack, in git's order: commits and tags as the walk met them, then trees and blobs by path.
#[derive(Debug, Clone, Default)]
pub struct Enumerated {
    /// What the pack holds.
    pub objects: Vec<Object>,
    /// What the receiver has and deltas of a thin pack may be based on: trees and blobs of boundary commits, in the
    /// order they should be tried.
    pub bases: Vec<Object>,
    /// What the pack should hold and is missing here, where that is allowed; trees are without all that is below them.
    pub missing: Vec<ObjectId>,
    /// More of what the pack holds: entries of the source's packs, by their places there.
    pub packed: Vec<Packed>,
    /// Tells of any object whether the receiver has it, where that is known: deltas of a thin pack may be based on it.
    pub had: Option<Had>,
}

/// Objects that one of the source's packs holds.
#[derive(Clone)]
pub struct Packed {
    /// The pack.
    pub pack: u32,
    /// The places of their entries in it.
    pub places: Bits,
    /// What they are.
    pub index: Arc<dyn Indexed>,
}

/// Whether the receiver has an object.
#[derive(Clone)]
pub struct Had(pub Arc<dyn Fn(&oid) -> bool + Send + Sync>);

impl Enumerated {
    /// How many objects the pack holds.
    pub fn count(&self) -> usize {
        self.objects.len() + self.packed.iter().map(|packed| packed.places.count() as usize).sum::<usize>()
    }

    /// Takes out those of `ids` that the pack holds, and gives them. Others may be deltas based on them no longer.
    pub fn take_out(&mut self, source: &dyn Source, ids: &HashSet<ObjectId>) -> HashSet<ObjectId> {
        let mut taken = HashSet::new();
        self.objects.retain(|object| {
            let is_kept = !ids.contains(&object.id);
            if !is_kept {
                taken.insert(object.id);
            }
            is_kept
        });
        for packed in &mut self.packed {
            let Ok(Some(entries)) = source.entries(packed.pack) else { continue };
            for id in ids {
                if let Some(place) = entries.place_of(id).filter(|place| packed.places.get(*place)) {
                    packed.places.remove(place);
                    taken.insert(*id);
                }
            }
        }
        taken
    }

    /// Whether `id` is among the entries of packs that the pack holds.
    pub fn is_packed(&self, source: &dyn Source, id: &oid) -> bool {
        self.packed.iter().any(|packed| {
            let entries = source.entries(packed.pack).ok().flatten();
            entries.and_then(|entries| entries.place_of(id)).is_some_and(|place| packed.places.get(place))
        })
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} entries of pack {}", self.places.count(), self.pack)
    }
}

impl fmt::Debug for Had {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Had")
    }
}

/// One object of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Object {
    /// Its id.
    pub id: ObjectId,
    /// Its kind.
    pub kind: Kind,
    /// Says which objects are alike, from their path: see [`name_hash`]. 0 for commits, tags and root trees.
    pub name_hash: u32,
}

/// Finds the objects to send. Reports the phase `Enumerating objects`, which counts bases as well, as C git does.
///
/// Bitmaps tell, where the source has some. Otherwise the receiver is taken to have what the haves reach, as far as it is cheap to know: the commits, and of trees and
/// blobs what is in the trees of the commits next to those that are sent, as in C git's `pack-objects`. What it is sent
/// besides does no harm.
///
/// In a repository that is no partial clone, that a blob exists is for whoever reads it to find out.
///
/// # Errors
///
/// [`Error::Missing`] names an object that is not here and should be, [`Error::Unreadable`] one that is broken.
pub fn enumerate(
    source: &dyn Source,
    wanted: &Wanted,
    progress: &mut dyn Progress,
) -> Result<Enumerated, Error> {
    if let Some(found) = reach::enumerate(source, wanted, progress)? {
        return Ok(found);
    }
    let mut count = Count::new(progress);
    let mut boundary = Boundary::new(source);
    let mut tips = Tips::read(source, wanted, &mut boundary, &mut count)?;
    let keeps_commits = wanted.filter.as_ref().is_none_or(Filter::keeps_commits);
    let asked: HashSet<ObjectId> =
        if keeps_commits { HashSet::new() } else { tips.commits.iter().map(|(id, _)| *id).collect() };
    let walked = walk_commits(source, wanted, &mut tips, &mut count)?;
    boundary.add_roots(walked.boundary);

    let mut found = Enumerated::default();
    let commits = walked.commits.iter().map(|(id, _)| (*id, Kind::Commit));
    let commits = commits.filter(|(id, _)| keeps_commits || asked.contains(id));
    let tags = tips.tags.into_iter().map(|id| (id, Kind::Tag));
    found.objects = commits.chain(tags).map(|(id, kind)| Object { id, kind, name_hash: 0 }).collect();
    count.add(found.objects.len())?;
    let missing = if wanted.is_partial { Missing::IsPassedOver } else { Missing::IsError };
    let mut trees = trees::Walk::new(source, boundary, count, found).missing(missing).thin(wanted.thin);
    trees = trees.filter(wanted.filter.as_ref());
    for (id, kind) in tips.others {
        if kind == Kind::Tree { trees.lone_tree(id)? } else { trees.lone_blob(id)? }
    }
    for (_, tree) in walked.commits {
        trees.commit_tree(tree)?;
    }
    trees.finish()
}

/// Walks from the commits of `tips`, which it takes. Where our own history is cut off, or the receiver's is, the boundary
/// are the newest of the commits that it has, since the walk does not lead there: git-rev-list(1),
/// `--objects-edge-aggressive`.
fn walk_commits(
    source: &dyn Source,
    wanted: &Wanted,
    tips: &mut Tips,
    count: &mut Count<'_>,
) -> Result<commits::Found, Error> {
    let newest = tips.haves.iter().take(CUT_HAVES_MAX).map(|(_, commit)| commit.tree);
    let newest: Vec<ObjectId> = newest.collect();
    let mut walk = commits::Walk::new(source, &wanted.receiver_shallow);
    for (id, commit) in tips.commits.drain(..) {
        walk.want(id, commit);
    }
    for (id, commit) in tips.haves.drain(..) {
        walk.have(id, commit);
    }
    let mut found = walk.run(count)?;
    if !wanted.receiver_shallow.is_empty() || found.roots.iter().any(|id| is_cut(source, id)) {
        found.boundary.extend(newest);
    }
    Ok(found)
}

/// A number from the last characters of a path, so that sorting by it brings files of the same name and kind together:
/// the later a character the more it counts, white space does not. git-pack-objects(1), `--name-hash-version` 1.
pub fn name_hash(path: &[u8]) -> u32 {
    fold_name(0, path)
}

/// Goes on from the hash of a path with what follows in the path.
fn fold_name(hash: u32, more: &[u8]) -> u32 {
    more.iter()
        .filter(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
        .fold(hash, |hash, byte| (hash >> 2).wrapping_add(u32::from(*byte) << 24))
}

/// Whether a commit that seems to have no parents has some, beyond our own shallow boundary.
fn is_cut(source: &dyn Source, id: &ObjectId) -> bool {
    let mut content = Vec::new();
    let found = source.find(id, &mut content);
    matches!(found, Ok(Some(Kind::Commit)))
        && content.lines().nth(1).is_some_and(|line| line.starts_with(b"parent "))
}
