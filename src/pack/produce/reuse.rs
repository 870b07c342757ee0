//! Chooses the deltas on disk that hold in the new pack: those whose base is sent too, or which the receiver has.
//!
//! The deltas need not come from one pack, so that they may form a circle. A circle, or a chain that is longer than asked
//! for, is cut: one of its objects is sent in another form.

use std::collections::{HashMap, HashSet};

use gix_hash::{ObjectId, oid};
use gix_object::Kind;

use super::super::Error;
use super::super::source::Source;
use super::list::{Form, List, NONE, header};

/// How many objects are searched another delta for although there is one on disk: as many as a fetch of some hundred commits
/// has. Beyond, what is on disk has to do, since a search takes long.
const SEARCHED_MAX: usize = 4_000;

/// Shorter deltas are not searched anew, in bytes: there is little to gain.
const SEARCHED_LEN_MIN: u64 = 2_048;

/// The level of an object that was not looked at.
const UNKNOWN: u32 = u32::MAX;

/// The level of an object on the way down to which we are.
const ON_PATH: u32 = u32::MAX - 1;

/// Sets the base of each entry that is reused as a delta. Entries that are not become [`Form::Content`], those that are sent with
/// the size of the object.
///
/// What `is_had` says of an object is whether the receiver has it, or gets it without this list: it becomes a base.
pub(super) fn choose(
    source: &dyn Source,
    list: &mut List,
    depth: usize,
    is_had: &dyn Fn(&oid) -> bool,
) -> Result<(), Error> {
    let order = by_offset(list);
    let mut added = HashMap::new();
    let mut searched = Searched::new(list);
    for index in 0..list.sent {
        let base = match base_of(source, list, &order, index) {
            Base::Listed(base) => Some(base),
            Base::Other(id) if searched.takes(list, index) || !is_had(&id) => None,
            Base::Other(id) => {
                let base = added.get(&id).copied().or_else(|| list.add_base(index, id));
                added.extend(base.map(|base| (id, base)));
                base
            }
            Base::Unknown => None,
        };
        if let Some(entry) = list.entries.get_mut(index as usize) {
            entry.base = base.unwrap_or(NONE);
        }
    }
    cut(list, depth);
    for index in order {
        let is_sent = list.is_sent(index);
        let (Some(object), Some(entry)) =
            (list.objects.get(index as usize), list.entries.get_mut(index as usize))
        else {
            continue;
        };
        if entry.form == Form::Delta && !(is_sent && entry.base != NONE) {
            (entry.form, entry.base) = (Form::Content, NONE);
            // the size of what only serves as a base is looked up where it does
            if is_sent {
                entry.size = header(source, object)?;
            }
        }
    }
    Ok(())
}

/// The objects that are in packs, in the order of their entries; those sent before others.
fn by_offset(list: &List) -> Vec<u32> {
    let is_packed = |form| matches!(form, Form::Whole | Form::Delta);
    let packed = (0..).zip(&list.entries).filter(|(_, entry)| is_packed(entry.form));
    let mut order: Vec<u32> = packed.map(|(index, _)| index).collect();
    order.sort_unstable_by_key(|index| {
        (list.entries.get(*index as usize).map(|entry| (entry.pack, entry.offset)), *index)
    });
    order
}

/// Deltas that are on disk and are not reused, since a better one is to be expected.
///
/// A delta to some object that the receiver has is what somebody found in other company. What the receiver has at the
/// same path now is nearer.
struct Searched {
    /// Where there are bases.
    paths: HashSet<(Kind, u32)>,
    left: usize,
}

impl Searched {
    fn new(list: &List) -> Self {
        let bases = list.objects.get(list.sent as usize..).unwrap_or_default();
        Self { paths: bases.iter().map(|base| (base.kind, base.name_hash)).collect(), left: SEARCHED_MAX }
    }

    fn takes(&mut self, list: &List, index: u32) -> bool {
        let object = list.objects.get(index as usize);
        let is_long = list.entries.get(index as usize).is_some_and(|entry| entry.size >= SEARCHED_LEN_MIN);
        let takes = self.left > 0
            && is_long
            && object.is_some_and(|object| self.paths.contains(&(object.kind, object.name_hash)));
        self.left -= usize::from(takes);
        takes
    }
}

/// What a delta is based on.
enum Base {
    /// An object of the list that may be one.
    Listed(u32),
    /// Another object.
    Other(ObjectId),
    /// Nothing that can be told: the object is sent in another form.
    Unknown,
}

/// The object that the delta `index` is based on.
fn base_of(source: &dyn Source, list: &List, order: &[u32], index: u32) -> Base {
    let entry = list.entries.get(index as usize).filter(|entry| entry.form == Form::Delta);
    let Some(entry) = entry else { return Base::Unknown };
    if entry.base_offset == 0 {
        let named = list.named_bases.get(&index).map_or(Base::Unknown, |id| Base::Other(*id));
        return if is_usable(list, entry.base) { Base::Listed(entry.base) } else { named };
    }
    let key = (entry.pack, entry.base_offset);
    let place = |at: u32| list.entries.get(at as usize).map(|entry| (entry.pack, entry.offset));
    let at = order.partition_point(|other| place(*other) < Some(key));
    if let Some(base) = order.get(at).filter(|base| place(**base) == Some(key)) {
        return Base::Listed(*base);
    }
    // the list may have the base from another pack
    match source.id_at(entry.pack, entry.base_offset) {
        Ok(Some(id)) => match list.find(&id).filter(|base| is_usable(list, *base)) {
            Some(base) => Base::Listed(base),
            None => Base::Other(id),
        },
        Ok(None) | Err(_) => Base::Unknown,
    }
}

fn is_usable(list: &List, index: u32) -> bool {
    list.entries.get(index as usize).is_some_and(|entry| entry.form != Form::Unusable)
}

/// Removes the bases that close a circle or make a chain longer than `depth`. A base that is not sent counts as whole:
/// what it is at the receiver is not known.
fn cut(list: &mut List, depth: usize) {
    let depth = u32::try_from(depth).unwrap_or(u32::MAX).min(ON_PATH - 1);
    let mut levels = vec![UNKNOWN; list.sent as usize];
    let mut path = Vec::new();
    for index in 0..list.sent {
        let mut below = descend(list, &mut levels, index, &mut path);
        while let Some(at) = path.pop() {
            let level = match below {
                Some(below) if below < depth => below + 1,
                Some(_) | None => {
                    set_whole(list, at);
                    0
                }
            };
            if let Some(known) = levels.get_mut(at as usize) {
                *known = level;
            }
            below = Some(level);
        }
    }
}

/// Goes from `index` to base after base, puts those whose level is not known into `path`, and gives the level of the one
/// below; `None` if there is none, or if it is on the path itself.
fn descend(list: &List, levels: &mut [u32], index: u32, path: &mut Vec<u32>) -> Option<u32> {
    let mut at = index;
    loop {
        match levels.get_mut(at as usize) {
            None => return Some(0),
            Some(level) if *level == UNKNOWN => *level = ON_PATH,
            Some(level) if *level == ON_PATH => return None,
            Some(level) => return Some(*level),
        }
        path.push(at);
        at = list.entries.get(at as usize).map(|entry| entry.base).filter(|base| *base != NONE)?;
    }
}

fn set_whole(list: &mut List, index: u32) {
    if let Some(entry) = list.entries.get_mut(index as usize) {
        entry.base = NONE;
    }
}
