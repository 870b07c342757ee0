//! The objects to send as bitmaps tell them: what the wants reach without what the haves do.
//!
//! A commit that has no bitmap is walked from, with its trees, until commits are met that have one; so is what came after
//! the bitmaps were written. What the receiver has is known to the last object that way, which allows for more deltas
//! than C git finds where it uses bitmaps: those on disk to anything that it has, and new ones to what stands at the
//! paths that differ between the boundary and the wanted tips.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use gix_hash::{ObjectId, oid};
use gix_object::Kind;

use super::boundary::Boundary;
use super::count::Count;
use super::ids::IdSet;
use super::left_out::{is_surely_had, is_told_by_kind};
use super::tips::Tips;
use super::trees::{Missing, Walk};
use super::{Enumerated, Had, Object, Packed, Wanted};
use crate::pack::Error;
use crate::pack::bitmap::{Bits, Indexed};
use crate::pack::source::{Bitmaps, Commit, Source};
use crate::progress::{Event, Progress};

/// How many commits at the boundary, and how many wanted tips, are compared for bases: the newest.
const COMPARED_MAX: usize = 64;

/// Finds the objects to send as [`enumerate`](super::enumerate()) does; `None` if no bitmap helps. Tells of broken ones.
pub(super) fn enumerate(
    source: &dyn Source,
    wanted: &Wanted,
    progress: &mut dyn Progress,
) -> Result<Option<Enumerated>, Error> {
    let is_told = wanted.filter.as_ref().is_none_or(is_told_by_kind);
    if wanted.is_partial || !wanted.receiver_shallow.is_empty() || !is_told {
        return Ok(None);
    }
    let Bitmaps { index, broken } = source.bitmaps().map_err(Error::Read)?;
    for broken in broken {
        if progress.report(Event::Error(&broken.to_string())).is_break() {
            return Err(Error::Interrupted);
        }
    }
    let Some(index) = index else { return Ok(None) };
    let mut count = Count::new(progress);
    let mut boundary = Boundary::new(source);
    let mut tips = Tips::read(source, wanted, &mut boundary, &mut count)?;
    tips.commits.sort_by_key(|(_, commit)| Reverse(commit.date));
    let mut had = Reached::new(index.clone());
    boundary.each(&mut |id| had.add(Object { id: *id, kind: Kind::Blob, name_hash: 0 }));
    let mut count = had.add_commits(source, &tips.haves, None, count)?;
    let mut reached = Reached::new(index);
    let mut asked = reached.add_others(source, &tips, &had, &mut count)?;
    let count = reached.add_commits(source, &tips.commits, Some(&had), count)?;
    if wanted.filter.as_ref().is_some_and(|filter| !filter.keeps_commits()) {
        asked.extend(tips.commits.iter().map(|(id, _)| *id));
    }
    reached.bits.remove_all(&had.bits);
    if let Some(filter) = &wanted.filter {
        reached.leave_out(source, filter, &asked, &had)?;
    }
    found(source, wanted, (reached, had), &tips.commits, count).map(Some)
}

/// Makes what is to be sent of what the wants reach and the haves do not. Somebody who has nothing gets entries as they
/// lie in packs; for others new deltas are worth a look at each object.
fn found(
    source: &dyn Source,
    wanted: &Wanted,
    (reached, had): (Reached, Reached),
    tips: &[(ObjectId, Commit)],
    mut count: Count<'_>,
) -> Result<Enumerated, Error> {
    let mut enumerated = Enumerated { objects: reached.others.clone(), ..Enumerated::default() };
    let total = reached.others.len() + reached.bits.count() as usize;
    if had.bits.is_empty() && had.others.is_empty() {
        enumerated.packed = reached.packed(source, &mut enumerated.objects)?;
    } else {
        for bit in reached.bits.iter() {
            enumerated.objects.push(reached.object(bit)?);
        }
        if wanted.thin {
            (enumerated.bases, count) = bases(source, &reached, &had, tips, count)?;
            let filter = wanted.filter.clone();
            enumerated.bases.retain(|base| is_surely_had(filter.as_ref(), Some(base.kind)));
            enumerated.had =
                Some(Had(Arc::new(move |id| had.has(id) && is_surely_had(filter.as_ref(), had.kind(id)))));
        }
    }
    count.end(total)?;
    Ok(enumerated)
}

/// What the receiver has at the paths that differ between the commits at the boundary and the wanted tips.
fn bases<'p>(
    source: &dyn Source,
    reached: &Reached,
    had: &Reached,
    tips: &[(ObjectId, Commit)],
    mut count: Count<'p>,
) -> Result<(Vec<Object>, Count<'p>), Error> {
    let mut roots = Vec::new();
    let mut seen = IdSet::default();
    for id in reached.commits() {
        count.step()?;
        let Ok(Some(commit)) = source.commit(&id) else { continue };
        for parent in commit.parents {
            if had.has(&parent)
                && seen.insert(parent)
                && let Ok(Some(parent)) = source.commit(&parent)
            {
                roots.push((parent.date, parent.tree));
            }
        }
    }
    roots.sort_unstable_by_key(|(date, _)| Reverse(*date));
    roots.truncate(COMPARED_MAX);
    let mut boundary = Boundary::new(source);
    boundary.add_roots(roots.into_iter().map(|(_, tree)| tree).collect());
    let known = |id: &oid| had.has(id);
    let mut walk = Walk::new(source, boundary, count, Enumerated::default());
    walk = walk.missing(Missing::IsPassedOver).thin(true).except(&known);
    for (_, commit) in tips.iter().filter(|(id, _)| reached.has(id)).take(COMPARED_MAX) {
        pass_over(walk.commit_tree(commit.tree))?;
    }
    let (found, count) = walk.into_parts();
    Ok((found.bases, count))
}

/// What cannot be read is left to those who need it.
fn pass_over(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(Error::Interrupted) => Err(Error::Interrupted),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Objects: those that bits stand for, and others.
pub(super) struct Reached {
    pub index: Arc<dyn Indexed>,
    pub bits: Bits,
    pub others: Vec<Object>,
    other_ids: IdSet,
    scratch: Bits,
}

impl Reached {
    fn new(index: Arc<dyn Indexed>) -> Self {
        let objects = index.bitmap().objects();
        let (bits, scratch) = (Bits::new(objects), Bits::new(objects));
        Self { index, bits, others: Vec::new(), other_ids: IdSet::default(), scratch }
    }

    fn has(&self, id: &oid) -> bool {
        match self.index.bit(id) {
            Some(bit) => self.bits.get(bit),
            None => self.other_ids.contains(id),
        }
    }

    /// What `id` is, if a bit stands for it.
    fn kind(&self, id: &oid) -> Option<Kind> {
        self.index.bitmap().kind(self.index.bit(id)?)
    }

    fn add(&mut self, object: Object) {
        match self.index.bit(&object.id) {
            Some(bit) => {
                let _is_new = self.bits.insert(bit);
            }
            None if self.other_ids.insert(object.id) => self.others.push(object),
            None => {}
        }
    }

    /// Adds tags, and trees and blobs that are wanted themselves; gives what the wants name.
    fn add_others(
        &mut self,
        source: &dyn Source,
        tips: &Tips,
        had: &Self,
        count: &mut Count<'_>,
    ) -> Result<Vec<ObjectId>, Error> {
        let mut asked = tips.tags.clone();
        for id in &tips.tags {
            self.add(Object { id: *id, kind: Kind::Tag, name_hash: 0 });
        }
        let known = |id: &oid| had.has(id);
        let mut discard = crate::progress::Discard;
        let mut walk =
            Walk::new(source, Boundary::new(source), Count::new(&mut discard), Enumerated::default());
        walk = walk.except(&known);
        for (id, kind) in &tips.others {
            count.step()?;
            asked.push(*id);
            if *kind == Kind::Tree { walk.lone_tree(*id)? } else { walk.lone_blob(*id)? }
        }
        let (found, _) = walk.into_parts();
        found.objects.into_iter().for_each(|object| self.add(object));
        Ok(asked)
    }

    /// Adds what `tips` reach, newest first; not what is in `had`. Without that, what is missing does not matter.
    fn add_commits<'p>(
        &mut self,
        source: &dyn Source,
        tips: &[(ObjectId, Commit)],
        had: Option<&Self>,
        mut count: Count<'p>,
    ) -> Result<Count<'p>, Error> {
        let is_known = |this: &Self, id: &oid| this.has(id) || had.is_some_and(|had| had.has(id));
        let mut queue = BinaryHeap::new();
        for (at, (id, commit)) in tips.iter().enumerate() {
            if !is_known(self, id) && !self.add_bitmap(id) {
                queue.push(Queued { date: commit.date, at: Reverse(at), id: *id });
            }
        }
        let mut trees = Vec::new();
        while let Some(Queued { id, .. }) = queue.pop() {
            count.step()?;
            if is_known(self, &id) || self.add_bitmap(&id) {
                continue;
            }
            let commit = match source.commit(&id) {
                Ok(Some(commit)) => commit,
                Ok(None) | Err(_) if had.is_none() => continue,
                Ok(None) => return Err(Error::Missing { kind: "commit", id }),
                Err(source) => return Err(Error::Unreadable { id, source }),
            };
            self.add(Object { id, kind: Kind::Commit, name_hash: 0 });
            trees.push(commit.tree);
            for parent in commit.parents.into_iter().filter(|parent| !is_known(self, parent)) {
                let date = match source.commit(&parent) {
                    Ok(Some(commit)) => commit.date,
                    Ok(None) | Err(_) if had.is_none() => continue,
                    Ok(None) => return Err(Error::MissingParent { id: parent, child: id }),
                    Err(source) => return Err(Error::Unreadable { id: parent, source }),
                };
                queue.push(Queued { date, at: Reverse(0), id: parent });
            }
        }
        let known = |id: &oid| is_known(self, id);
        let mut walk = Walk::new(source, Boundary::new(source), count, Enumerated::default());
        walk = walk.except(&known);
        if had.is_none() {
            walk = walk.missing(Missing::IsPassedOver);
        }
        for tree in trees {
            let walked = walk.commit_tree(tree);
            if had.is_none() { pass_over(walked)? } else { walked? }
        }
        let (found, count) = walk.into_parts();
        found.objects.into_iter().for_each(|object| self.add(object));
        Ok(count)
    }

    /// Adds what the bitmap of the commit `id` says; false if it has none.
    fn add_bitmap(&mut self, id: &oid) -> bool {
        let Some(position) = self.index.position(id) else { return false };
        self.index.bitmap().reach(position, &mut self.bits, &mut self.scratch)
    }

    fn commits(&self) -> impl Iterator<Item = ObjectId> + '_ {
        let mut bits = self.bits.clone();
        bits.retain_all(self.index.bitmap().of_kind(Kind::Commit));
        let bits: Vec<u32> = bits.iter().collect();
        let others = self.others.iter().filter(|object| object.kind == Kind::Commit).map(|object| object.id);
        others.chain(bits.into_iter().filter_map(|bit| self.index.id(bit)))
    }

    fn object(&self, bit: u32) -> Result<Object, Error> {
        object_of_bit(&*self.index, bit)
    }

    /// The objects of bits by packs. What is in a pack whose entries are not to be had goes to `objects`.
    fn packed(&self, source: &dyn Source, objects: &mut Vec<Object>) -> Result<Vec<Packed>, Error> {
        let mut packs: Vec<Packed> = Vec::new();
        for bit in self.bits.iter() {
            let Some((number, place)) = self.index.entry(bit) else {
                objects.push(self.object(bit)?);
                continue;
            };
            let at = packs.iter().position(|packed| packed.pack == number);
            let at = if let Some(at) = at {
                at
            } else {
                let entries = source.entries(number).map_err(Error::Read)?;
                let places = Bits::new(entries.map_or(0, |entries| entries.count()));
                packs.push(Packed { pack: number, places, index: self.index.clone() });
                packs.len() - 1
            };
            if packs.get_mut(at).is_none_or(|packed| !packed.places.insert(place)) {
                objects.push(self.object(bit)?);
            }
        }
        Ok(packs)
    }
}

/// The object of `bit`, which has to be sent: what is broken must not leave it out.
pub(in super::super) fn object_of_bit(index: &dyn Indexed, bit: u32) -> Result<Object, Error> {
    let bitmap = index.bitmap();
    let position = index.position_of(bit);
    let found = position.and_then(|position| Some((position, index.id_at(position)?, bitmap.kind(bit)?)));
    let Some((position, id, kind)) = found else {
        return Err(Error::BadPack(format!("corrupted bitmap index: nothing is known of object {bit}")));
    };
    let name_hash = if kind == Kind::Commit { 0 } else { bitmap.name_hash(position) };
    Ok(Object { id, kind, name_hash })
}

/// A commit that waits for its turn: the newest comes first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Queued {
    date: i64,
    at: Reverse<usize>,
    id: ObjectId,
}
