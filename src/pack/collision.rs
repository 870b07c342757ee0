//! Compares the objects of a pack with those of the same ids that are here.
//!
//! An id that two objects share is an attack that the detection in [`super::hash`] did not know.
//!
//! Most objects that come twice come as they are stored here: their zlib streams are the same, byte for byte. Then nothing
//! has to be inflated: whole objects of the same stream are the same, and so are deltas, if their bases are. Only the others
//! are made on both sides.

use super::made::{Made, in_families};
use super::source;
use super::table::{NONE, Object, Pack};
use super::{Bases, Error};

/// The object was not compared yet.
const UNKNOWN: u32 = NONE;

/// The object is not here, or the same, but not known to be stored in the same way.
const OTHERWISE: u32 = NONE - 1;

/// Compares the first `count` objects of `pack` with those of the same id in `bases`.
pub(super) fn check(pack: Pack<'_>, count: u32, bases: &dyn Bases) -> Result<(), Error> {
    let mut compare = Compare { bases, pack, same: vec![UNKNOWN; count as usize], others: Vec::new() };
    let mut chain = Vec::new();
    for index in 0..count {
        let mut at = index;
        while compare.same.get(at as usize) == Some(&UNKNOWN) {
            chain.push(at);
            at = pack.table.object(at).map_or(NONE, |object| object.base);
        }
        while let Some(at) = chain.pop() {
            let same = compare.compare(at)?;
            if let Some(known) = compare.same.get_mut(at as usize) {
                *known = same;
            }
        }
    }
    compare.compare_content()
}

struct Compare<'a> {
    bases: &'a dyn Bases,
    pack: Pack<'a>,
    /// For each object the pack of `bases` in which an entry stands that makes the same in the same way.
    same: Vec<u32>,
    /// What is here, and not known to be the same.
    others: Vec<u32>,
}

impl Compare<'_> {
    /// Compares how one object is stored, after the one that it is a delta to.
    fn compare(&mut self, index: u32) -> Result<u32, Error> {
        let pack = self.pack;
        let Some(Object { id, kind, base }) = pack.table.object(index) else { return Ok(OTHERWISE) };
        if !self.bases.contains(&id) {
            return Ok(OTHERWISE);
        }
        let (_entry, deflated) = pack.deflated(index)?;
        let base_id = pack.table.object(base).map(|base| base.id);
        let content = base_id.map_or(source::Stored::Whole(kind), source::Stored::IdDelta);
        if let Some(found) = self.bases.stored_as(&id, (content, pack.table.size(index)), deflated) {
            let base_is_same = base == NONE || self.same.get(base as usize) == Some(&found);
            if base_is_same && found < OTHERWISE {
                return Ok(found);
            }
        }
        self.others.push(index);
        Ok(OTHERWISE)
    }

    /// Compares what the others make.
    fn compare_content(self) -> Result<(), Error> {
        let (mut made, mut ours) = (Made::new(self.pack), Vec::new());
        for index in in_families(self.pack.table, self.others) {
            let Some(Object { id, kind, .. }) = self.pack.table.object(index) else { continue };
            ours.clear();
            let Some(found) = self.bases.find(&id, &mut ours).map_err(Error::Read)? else { continue };
            let theirs = made.object(index)?;
            if found != kind || ours != *theirs {
                return Err(Error::Collision { id });
            }
        }
        Ok(())
    }
}
