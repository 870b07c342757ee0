//! Which objects commits reach, where somebody wrote it down: the bitmaps of packs and of multi-pack-indices.
//!
//! gitformat-bitmap(5): a repository has at most one. That of a multi-pack-index comes first, as it knows of more packs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gix_hash::{ObjectId, oid};

use super::checksum;
use super::pack::Pack;
use crate::pack::bitmap::{Bitmap, Broken, Indexed};
use crate::pack::map;

/// The signature of a multi-pack-index, its version, the hash function, the chunks, the base files, the packs.
const HEADER_LEN: usize = 12;

/// The chunk with the order of bits: gitformat-pack(5), "Bitmap pack order".
const ORDER: [u8; 4] = *b"RIDX";

/// No bit stands for an object.
const NO_BIT: u32 = u32::MAX;

/// A pack, and its number in the repository.
pub(super) type Numbered = (Arc<Pack>, u32);

/// A pack with its bitmap.
struct OfPack {
    pack: Arc<Pack>,
    number: u32,
    bitmap: Bitmap,
}

/// Several packs with the bitmap that they share.
struct OfPacks {
    index: gix_pack::multi_index::File,
    /// By the number that a pack has in the index: the pack, and its number in the repository.
    packs: Vec<Numbered>,
    /// The positions in the order of bits.
    order: Vec<u32>,
    /// The bits in the order of positions.
    bits: Vec<u32>,
    bitmap: Bitmap,
}

/// The bitmap beside the pack `number`, whose index is at `index`; `None` if there is none.
pub(super) fn of_pack(
    index: &Path,
    pack: &Arc<Pack>,
    number: u32,
) -> Option<Result<Arc<dyn Indexed>, Broken>> {
    let path = index.with_extension("bitmap");
    let bytes = map::map_stored(&path).ok()?;
    let opened = Bitmap::open(Box::new(bytes), pack.len(), &pack.checksum());
    let opened = opened.and_then(|bitmap| checksum::hold(&path, pack.checksum().kind()).map(|()| bitmap));
    Some(opened.map(|bitmap| Arc::new(OfPack { pack: pack.clone(), number, bitmap }) as Arc<dyn Indexed>))
}

/// The bitmap of the multi-pack-index in the pack directory `directory`; `None` if there is none, or it needs what is not
/// here, or not every object has a bit. `find` opens the pack of an index file.
pub(super) fn of_packs(
    directory: &Path,
    object_hash: gix_hash::Kind,
    find: &dyn Fn(&Path) -> Option<Numbered>,
) -> Option<Result<Arc<dyn Indexed>, Broken>> {
    let path = directory.join("multi-pack-index");
    let index = gix_pack::multi_index::File::at(&path, None).ok()?;
    if index.object_hash() != object_hash {
        return None;
    }
    let name = format!("multi-pack-index-{}.bitmap", index.checksum());
    let bitmap = directory.join(name);
    let bytes = map::map_stored(&bitmap).ok()?;
    let order = order(&path, index.num_objects(), object_hash)?;
    let names: &[PathBuf] = index.index_names();
    let packs = names.iter().map(|name| find(&directory.join(name))).collect::<Option<_>>()?;
    let opened = Bitmap::open(Box::new(bytes), index.num_objects(), &index.checksum());
    let opened = opened.and_then(|opened| checksum::hold(&bitmap, object_hash).map(|()| opened));
    let bits = inverse(&order);
    if bits.contains(&NO_BIT) {
        return None;
    }
    Some(opened.map(|bitmap| Arc::new(OfPacks { index, packs, order, bits, bitmap }) as Arc<dyn Indexed>))
}

/// The chunk with the order of bits, in the multi-pack-index at `path` of `objects` objects.
fn order(path: &Path, objects: u32, object_hash: gix_hash::Kind) -> Option<Vec<u32>> {
    let mapped = map::map_stored(path).ok()?;
    let bytes: &[u8] = &mapped;
    let body = bytes.get(..bytes.len().checked_sub(object_hash.len_in_bytes())?)?;
    let chunks = usize::from(*body.get(6)?);
    let rows = body.get(HEADER_LEN..)?.as_chunks::<HEADER_LEN>().0.get(..=chunks)?;
    let mut pairs = rows.windows(2).filter_map(|pair| {
        let [[i0, i1, i2, i3, begin @ ..], [_, _, _, _, end @ ..]] = pair else { return None };
        let begin = usize::try_from(u64::from_be_bytes(*begin)).ok()?;
        let end = usize::try_from(u64::from_be_bytes(*end)).ok()?;
        ([*i0, *i1, *i2, *i3] == ORDER).then_some((begin, end))
    });
    let (begin, end) = pairs.next()?;
    let table = body.get(begin..end)?.as_chunks::<4>().0.get(..objects as usize)?;
    let order: Vec<u32> = table.iter().map(|position| u32::from_be_bytes(*position)).collect();
    order.iter().all(|position| *position < objects).then_some(order)
}

/// Which place each number has in `order`, whose numbers are below its length.
pub(super) fn inverse(order: &[u32]) -> Vec<u32> {
    let mut places = vec![NO_BIT; order.len()];
    for (place, number) in (0..).zip(order) {
        if let Some(slot) = places.get_mut(*number as usize) {
            *slot = place;
        }
    }
    places
}

impl Indexed for OfPack {
    fn bitmap(&self) -> &Bitmap {
        &self.bitmap
    }

    fn position(&self, id: &oid) -> Option<u32> {
        self.pack.position(id)
    }

    fn bit_at(&self, position: u32) -> Option<u32> {
        self.pack.rank_at(position)
    }

    fn position_of(&self, bit: u32) -> Option<u32> {
        self.pack.position_of(bit)
    }

    fn id_at(&self, position: u32) -> Option<ObjectId> {
        self.pack.id_of(position)
    }

    fn entry(&self, bit: u32) -> Option<(u32, u32)> {
        Some((self.number, bit))
    }
}

impl Indexed for OfPacks {
    fn bitmap(&self) -> &Bitmap {
        &self.bitmap
    }

    fn position(&self, id: &oid) -> Option<u32> {
        self.index.lookup(id)
    }

    fn bit_at(&self, position: u32) -> Option<u32> {
        self.bits.get(position as usize).copied()
    }

    fn position_of(&self, bit: u32) -> Option<u32> {
        self.order.get(bit as usize).copied()
    }

    fn id_at(&self, position: u32) -> Option<ObjectId> {
        (position < self.index.num_objects()).then(|| self.index.oid_at_index(position).to_owned())
    }

    fn entry(&self, bit: u32) -> Option<(u32, u32)> {
        let position = self.position_of(bit)?;
        let (pack, offset) = self.index.pack_id_and_pack_offset_at_index(position).ok()?;
        let (pack, number) = self.packs.get(pack as usize)?;
        let place = pack.rank_of(offset)?;
        // where one of the two indices is broken, they disagree
        let is_named_so = pack.has_id(pack.position_of(place)?, self.index.oid_at_index(position));
        is_named_so.then_some((*number, place))
    }
}
