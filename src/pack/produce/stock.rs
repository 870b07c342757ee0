//! Entries that go into the new pack as they lie in an old one, without a list of them.
//!
//! Whoever has nothing yet gets whole objects whatever is done, and deltas hold where their base goes along. Both are
//! copied (`copy.rs`) in the order in which they lie, which is that of whoever made the old pack, for no more than a bit of
//! memory each.

use std::collections::HashMap;
use std::sync::Arc;

use gix_hash::oid;
use gix_object::Kind;

use super::super::Error;
use super::super::bitmap::{Bits, Indexed};
use super::super::entry::{Content, HEADER_LEN_MAX, Header};
use super::super::enumerate::{Enumerated, Object, Packed, object_of_bit};
use super::super::meter::Meter;
use super::super::source::{Entries, Source};
use super::list::{COUNTING, NONE, unreadable};
use super::{Reuse, Settings};
use crate::progress::Progress;

/// Fewer objects are listed, which takes no time either, and finds deltas between packs.
const LISTED_MIN: usize = 1_000;

/// One pack has to hold one in so many of the objects that were listed.
const PART_MIN: usize = 2;

/// Objects of one path that may be bases of others: as many as fit into a window of git's usual size.
const BASES_PER_PATH_MAX: u32 = 10;

/// Entries of one pack.
#[derive(Default)]
pub(super) struct Stock {
    pub entries: Option<Arc<dyn Entries>>,
    pub places: Bits,
    /// Whether they never were in a list, since a bitmap told of them.
    pub is_unlisted: bool,
    /// How many objects that are not listed any more count as counted, but for those that are bases now.
    pub counted: u64,
}

impl Stock {
    /// Takes what can be copied out of `objects`. For the rest, what is copied may serve as bases.
    pub fn take(
        source: &dyn Source,
        objects: &mut Enumerated,
        settings: &Settings,
        progress: &mut dyn Progress,
    ) -> Result<Self, Error> {
        let hash = settings.object_hash;
        let packed = std::mem::take(&mut objects.packed);
        if packed.is_empty() {
            let is_all = objects.bases.is_empty() && objects.had.is_none();
            return if is_all && settings.reuse == Reuse::All {
                Self::of_listed(source, objects, hash, progress)
            } else {
                Ok(Self::default())
            };
        }
        let largest = packed.iter().max_by_key(|packed| packed.places.count()).map(|packed| packed.pack);
        let mut stock = Self::default();
        for Packed { pack, places, index } in &packed {
            let entries = source.entries(*pack).map_err(Error::Read)?;
            let Some(entries) = entries else { return Err(Error::BadPack("a pack is gone".into())) };
            let mut copied = Bits::new(places.len());
            if Some(*pack) == largest && settings.reuse == Reuse::All && entries.crc32(0).is_some() {
                copied = complete(&*entries, places, hash);
            }
            for place in places.iter().filter(|place| !copied.get(*place)) {
                let bit = entries.id(place).and_then(|id| index.bit(&id));
                let bit = bit.ok_or_else(|| Error::BadPack(format!("no bit for place {place} of a pack")))?;
                objects.objects.push(object_of_bit(&**index, bit)?);
            }
            if !copied.is_empty() {
                stock = Self { entries: Some(entries), places: copied, is_unlisted: true, counted: 0 };
            }
        }
        if let Some(packed) = packed.iter().find(|packed| Some(packed.pack) == largest) {
            stock.add_bases(objects, &packed.index, packed.pack);
        }
        Ok(stock)
    }

    /// Whether `id` is copied.
    pub fn has(&self, id: &oid) -> bool {
        let place = self.entries.as_ref().and_then(|entries| entries.place_of(id));
        place.is_some_and(|place| self.places.get(place))
    }

    /// Takes out of the list what lies in the pack that has most of it.
    fn of_listed(
        source: &dyn Source,
        listed: &mut Enumerated,
        hash: gix_hash::Kind,
        progress: &mut dyn Progress,
    ) -> Result<Self, Error> {
        if listed.objects.len() < LISTED_MIN {
            return Ok(Self::default());
        }
        let mut found = Vec::with_capacity(listed.objects.len());
        let mut counts: HashMap<u32, usize> = HashMap::new();
        let mut meter = Meter::new(progress, COUNTING, listed.objects.len() as u64);
        for object in &listed.objects {
            let place = source.entry_place(&object.id).map_err(|error| unreadable(object, error))?;
            found.push(place.unwrap_or((NONE, 0)));
            if let Some((pack, _)) = place {
                *counts.entry(pack).or_default() += 1;
            }
            meter.update(found.len() as u64, 0)?;
        }
        let largest = counts.into_iter().max_by_key(|(pack, count)| (*count, std::cmp::Reverse(*pack)));
        let largest = largest.filter(|(_, count)| *count >= found.len() / PART_MIN);
        let Some((pack, _)) = largest else { return Ok(Self::default()) };
        let Some(entries) = source.entries(pack).map_err(Error::Read)? else { return Ok(Self::default()) };
        if entries.crc32(0).is_none() {
            return Ok(Self::default());
        }
        let mut places = Bits::new(entries.count());
        for (_, place) in found.iter().filter(|(number, _)| *number == pack) {
            let _is_new = places.insert(*place);
        }
        let copied = complete(&*entries, &places, hash);
        let is_copied = |(number, place): &(u32, u32)| *number == pack && copied.get(*place);
        let rest = listed.objects.iter().zip(&found).filter(|(_, found)| !is_copied(found));
        let rest: Vec<Object> = rest.map(|(object, _)| *object).collect();
        let mut paths = Paths::of(&rest);
        let taken = listed.objects.iter().zip(&found).filter(|(_, found)| is_copied(found));
        listed.bases = taken.map(|(object, _)| *object).filter(|object| paths.take(object)).collect();
        let counted = u64::from(copied.count()).saturating_sub(listed.bases.len() as u64);
        listed.objects = rest;
        Ok(Self { entries: Some(entries), places: copied, is_unlisted: false, counted })
    }

    /// Adds what is copied as bases for what is listed.
    fn add_bases(&self, objects: &mut Enumerated, index: &Arc<dyn Indexed>, pack: u32) {
        let mut paths = Paths::of(&objects.objects);
        if paths.0.is_empty() {
            return;
        }
        let bitmap = index.bitmap();
        for bit in 0..bitmap.objects() {
            let name_hash = index.position_of(bit).map_or(0, |position| bitmap.name_hash(position));
            let Some(kind) = [Kind::Tree, Kind::Blob].into_iter().find(|kind| paths.has(*kind, name_hash))
            else {
                continue;
            };
            if bitmap.of_kind(kind).get(bit)
                && index.entry(bit).is_some_and(|(number, place)| number == pack && self.places.get(place))
                && let Ok(object) = object_of_bit(&**index, bit)
                && paths.take(&object)
            {
                objects.bases.push(object);
            }
        }
    }
}

/// The paths of trees and blobs, and how many bases each has.
struct Paths(HashMap<(Kind, u32), u32>);

impl Paths {
    fn of(objects: &[Object]) -> Self {
        let named = objects.iter().filter(|object| matches!(object.kind, Kind::Tree | Kind::Blob));
        Self(named.map(|object| ((object.kind, object.name_hash), 0)).collect())
    }

    fn has(&self, kind: Kind, name_hash: u32) -> bool {
        self.0.contains_key(&(kind, name_hash))
    }

    /// Whether there is something that `object` may be the base of, and room for one.
    fn take(&mut self, object: &Object) -> bool {
        let count = self.0.get_mut(&(object.kind, object.name_hash));
        count.is_some_and(|count| {
            *count += 1;
            *count <= BASES_PER_PATH_MAX
        })
    }
}

/// Those of `places` whose entries hold whole objects, or deltas to others of them. A delta that names a base by id is
/// among them where the base comes first.
fn complete(entries: &dyn Entries, places: &Bits, hash: gix_hash::Kind) -> Bits {
    if places.count() == entries.count() {
        return places.clone();
    }
    let mut complete = Bits::new(places.len());
    for place in places.iter() {
        let base = match content(entries, place, hash) {
            None => continue,
            Some((_, Content::Object(_))) => None,
            Some((offset, Content::OfsDelta { distance })) => {
                let base = offset.checked_sub(distance).and_then(|offset| before(entries, place, offset));
                let Some(base) = base else { continue };
                Some(base)
            }
            Some((_, Content::RefDelta { base })) => {
                let Some(base) = entries.place_of(&base) else { continue };
                Some(base)
            }
        };
        if base.is_none_or(|base| complete.get(base)) {
            let _is_new = complete.insert(place);
        }
    }
    complete
}

/// Where the entry at `place` begins, and what it holds.
fn content(entries: &dyn Entries, place: u32, hash: gix_hash::Kind) -> Option<(u64, Content)> {
    let (begin, end) = (entries.offset(place)?, entries.offset(place + 1)?);
    let bytes = entries.bytes(begin..end.min(begin + HEADER_LEN_MAX as u64))?;
    let (header, _) = Header::decode(bytes, hash).ok()??;
    Some((begin, header.content))
}

/// The place before `place` of the entry that begins at `offset`. Bases are near: the steps back become longer and longer.
pub(super) fn before(entries: &dyn Entries, place: u32, offset: u64) -> Option<u32> {
    let (mut high, mut step) = (place, 1);
    let mut low = loop {
        let low = high.saturating_sub(step);
        match entries.offset(low)? {
            begin if begin <= offset => break low,
            _ if low == 0 => return None,
            _ => (high, step) = (low, step.saturating_mul(2)),
        }
    };
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if entries.offset(middle)? <= offset { low = middle } else { high = middle }
    }
    (entries.offset(low)? == offset).then_some(low)
}
