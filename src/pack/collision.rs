//! Compares the objects of a pack with those of the same ids that are here.
//!
//! An id that two objects share is an attack that the detection in [`super::hash`] did not know.
//!
//! Most objects that come twice come as they are stored here: their zlib streams are the same, byte for byte. Then nothing
//! has to be inflated: whole objects of the same stream are the same, and so are deltas, if their bases are. Only the others
//! are made on both sides.

use std::collections::HashMap;
use std::sync::Arc;

use super::inflate::Inflater;
use super::source;
use super::table::{NONE, Object, Pack};
use super::{Bases, Error};

/// The object was not compared yet.
const UNKNOWN: u32 = NONE;

/// The object is not here, or the same, but not known to be stored in the same way.
const OTHERWISE: u32 = NONE - 1;

/// Larger objects are not kept for those that are made of them, in bytes.
const KEPT_LEN_MAX: usize = 1024 * 1024;

/// Memory for objects that others are made of, in bytes.
const KEPT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Compares the first `count` objects of `pack` with those of the same id in `bases`.
pub(super) fn check(pack: Pack<'_>, count: u32, bases: &dyn Bases) -> Result<(), Error> {
    let mut compare = Compare {
        bases,
        same: vec![UNKNOWN; count as usize],
        made: Made {
            pack,
            inflater: Inflater::new(),
            delta: Vec::new(),
            kept: HashMap::new(),
            kept_bytes: 0,
        },
        ours: Vec::new(),
    };
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
    Ok(())
}

struct Compare<'a> {
    bases: &'a dyn Bases,
    /// For each object the pack of `bases` in which an entry stands that makes the same in the same way.
    same: Vec<u32>,
    made: Made<'a>,
    ours: Vec<u8>,
}

impl Compare<'_> {
    /// Compares one object, after the one that it is a delta to.
    fn compare(&mut self, index: u32) -> Result<u32, Error> {
        let pack = self.made.pack;
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
        self.ours.clear();
        let found = self.bases.find(&id, &mut self.ours).map_err(Error::Read)?;
        let Some(found) = found else { return Ok(OTHERWISE) };
        let theirs = self.made.object(index)?;
        if found != kind || self.ours != *theirs {
            return Err(Error::Collision { id });
        }
        Ok(OTHERWISE)
    }
}

/// Makes the objects of the pack.
struct Made<'a> {
    pack: Pack<'a>,
    inflater: Inflater,
    delta: Vec<u8>,
    /// What was made since there was no more room.
    kept: HashMap<u32, Arc<Vec<u8>>>,
    kept_bytes: usize,
}

impl Made<'_> {
    fn object(&mut self, index: u32) -> Result<Arc<Vec<u8>>, Error> {
        let (mut chain, mut at) = (Vec::new(), index);
        let mut made = loop {
            if let Some(kept) = self.kept.get(&at) {
                break Arc::clone(kept);
            }
            let base = self.pack.table.object(at).map_or(NONE, |object| object.base);
            if base == NONE {
                let mut whole = Vec::new();
                self.pack.inflate(at, &mut self.inflater, &mut whole)?;
                break self.keep(at, whole);
            }
            chain.push(at);
            at = base;
        };
        while let Some(at) = chain.pop() {
            let mut out = Vec::new();
            self.pack.apply(at, (&made, &mut out), (&mut self.inflater, &mut self.delta), |_| {})?;
            made = self.keep(at, out);
        }
        Ok(made)
    }

    fn keep(&mut self, index: u32, content: Vec<u8>) -> Arc<Vec<u8>> {
        let content = Arc::new(content);
        if content.len() <= KEPT_LEN_MAX {
            if self.kept_bytes + content.len() > KEPT_BYTES_MAX {
                self.kept.clear();
                self.kept_bytes = 0;
            }
            self.kept_bytes += content.len();
            self.kept.insert(index, Arc::clone(&content));
        }
        content
    }
}
