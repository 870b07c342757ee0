//! The list of what is to be packed: where each object lies, and how large it is.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::OnceLock;

use gix_hash::ObjectId;
use gix_object::Kind;

use super::super::Error;
use super::super::enumerate::{Enumerated, Object};
use super::super::hash::object_id;
use super::super::meter::Meter;
use super::super::source::{Location, Source, Stored};
use super::Reuse;
use crate::progress::Progress;

/// What the phase is called.
pub(super) const COUNTING: &str = "Counting objects";

/// No object: the base of an entry that is no delta.
pub(super) const NONE: u32 = u32::MAX;

/// An object that is not here.
const NOWHERE: Entry =
    Entry { size: 0, offset: 0, stream_len: 0, base_offset: 0, pack: 0, base: NONE, form: Form::Unusable };

/// The objects to pack, followed by those that only serve as bases; both vectors are of the same length.
///
/// It is all that grows with the number of objects, so it is kept small: 80 bytes for each.
pub(super) struct List {
    pub objects: Vec<Object>,
    pub entries: Vec<Entry>,
    /// How many of the objects are packed: the first ones.
    pub sent: u32,
    /// The objects in the order of their ids, once somebody asked for one; those sent before others.
    by_id: OnceLock<Vec<u32>>,
    /// What deltas are based on that name an object which is not in the list.
    pub named_bases: HashMap<u32, ObjectId>,
}

/// What is known of an object.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    /// The bytes of the object; those of the delta if it is stored as one that is reused.
    pub size: u64,
    /// Where its entry begins in the source's pack.
    pub offset: u64,
    /// The bytes of its zlib stream there.
    pub stream_len: u64,
    /// Where the entry it is a delta to begins there; 0 if it names its base by id.
    pub base_offset: u64,
    /// The source's pack.
    pub pack: u32,
    /// The object that its reused delta is based on; otherwise [`NONE`].
    pub base: u32,
    pub form: Form,
}

/// What an entry of the new pack can be made of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The object's content: it is in no pack, or a delta there that does not hold in the new pack.
    Content,
    /// An entry of a pack that holds the whole object.
    Whole,
    /// An entry of a pack that is a delta.
    Delta,
    /// Nothing, for it is not here, or it is sent although it was given as a base: no base of anything.
    Unusable,
}

impl List {
    /// Looks up all objects. Reports the phase `Counting objects`, in which `counted` more are behind us.
    pub fn count(
        source: &dyn Source,
        enumerated: Enumerated,
        (reuse, counted): (Reuse, u64),
        progress: &mut dyn Progress,
    ) -> Result<Self, Error> {
        let Enumerated { mut objects, bases, .. } = enumerated;
        let total = objects.len().checked_add(bases.len()).and_then(|total| u32::try_from(total).ok());
        let total = total.filter(|total| *total != NONE);
        let total = total.ok_or_else(|| Error::BadPack("too many objects for one pack".into()))?;
        // the sum fits, so the part does
        let sent = u32::try_from(objects.len()).unwrap_or(0);
        objects.extend(bases);
        let entries = Vec::with_capacity(objects.len());
        let mut list = Self { objects, entries, sent, by_id: OnceLock::new(), named_bases: HashMap::new() };
        if total == 0 && counted == 0 {
            return Ok(list);
        }
        let mut meter = Meter::new(progress, COUNTING, counted + u64::from(total));
        for index in 0..total {
            let (entry, named) = list.look_up(source, index, reuse)?;
            list.named_bases.extend(named.map(|id| (index, id)));
            list.entries.push(entry);
            meter.update(counted + u64::from(index) + 1, 0)?;
        }
        meter.end(counted + u64::from(total), 0)?;
        Ok(list)
    }

    /// Whether the object at `index` is packed, not only a base.
    pub fn is_sent(&self, index: u32) -> bool {
        index < self.sent
    }

    /// Adds `id` as a base of the delta `index`; gives its place, if there is room for it.
    pub fn add_base(&mut self, index: u32, id: ObjectId) -> Option<u32> {
        let place = u32::try_from(self.objects.len()).ok().filter(|place| *place != NONE)?;
        let target = *self.objects.get(index as usize)?;
        self.objects.push(Object { id, ..target });
        self.entries.push(NOWHERE);
        Some(place)
    }

    /// The object `id`; the one that is sent if it is there twice.
    pub fn find(&self, id: &ObjectId) -> Option<u32> {
        let by_id = self.by_id.get_or_init(|| {
            let mut by_id: Vec<u32> = (0..).take(self.objects.len()).collect();
            by_id.sort_unstable_by(|a, b| (self.id(*a), a).cmp(&(self.id(*b), b)));
            by_id
        });
        let at = by_id.partition_point(|index| self.id(*index).is_some_and(|other| other < id));
        by_id.get(at).copied().filter(|index| self.id(*index).is_some_and(|other| other == id))
    }

    /// The entry at `index` as its source knows it; `None` if it is in no pack.
    pub fn location(&self, index: u32) -> Option<Location> {
        let entry = self.entries.get(index as usize)?;
        let content = match entry.form {
            Form::Whole => Stored::Whole(self.objects.get(index as usize)?.kind),
            Form::Delta if entry.base_offset != 0 => Stored::OffsetDelta(entry.base_offset),
            Form::Delta => Stored::IdDelta(self.objects.get(entry.base as usize)?.id),
            Form::Content | Form::Unusable => return None,
        };
        let Entry { size, offset, stream_len, pack, .. } = *entry;
        Some(Location { pack, offset, stream_len, content, size })
    }

    /// The id of the object at `index`.
    pub fn id(&self, index: u32) -> Option<&ObjectId> {
        self.objects.get(index as usize).map(|object| &object.id)
    }

    /// Where the object at `index` lies, and what it is based on if that is not in the list.
    fn look_up(
        &self,
        source: &dyn Source,
        index: u32,
        reuse: Reuse,
    ) -> Result<(Entry, Option<ObjectId>), Error> {
        let nowhere = NOWHERE;
        let Some(object) = self.objects.get(index as usize) else { return Ok((nowhere, None)) };
        if !self.is_sent(index) && self.find(&object.id) != Some(index) {
            return Ok((nowhere, None));
        }
        let located = match reuse {
            Reuse::Nothing => None,
            Reuse::Objects | Reuse::All => {
                source.locate(&object.id).map_err(|error| unreadable(object, error))?
            }
        };
        let located = located.filter(|at| reuse == Reuse::All || matches!(at.content, Stored::Whole(_)));
        let Some(Location { pack, offset, stream_len, content, size }) = located else {
            return match header(source, object) {
                Ok(size) => Ok((Entry { size, form: Form::Content, ..nowhere }, None)),
                Err(Error::Missing { .. }) if !self.is_sent(index) => Ok((nowhere, None)),
                Err(error) => Err(error),
            };
        };
        let found = Entry { size, offset, stream_len, pack, ..nowhere };
        Ok(match content {
            Stored::Whole(_) => (Entry { form: Form::Whole, ..found }, None),
            Stored::OffsetDelta(base_offset) => (Entry { form: Form::Delta, base_offset, ..found }, None),
            Stored::IdDelta(id) => {
                let base = self.find(&id);
                let entry = Entry { form: Form::Delta, base: base.unwrap_or(NONE), ..found };
                (entry, base.is_none().then_some(id))
            }
        })
    }
}

/// The size of `object` in bytes, as its source knows it.
pub(super) fn header(source: &dyn Source, object: &Object) -> Result<u64, Error> {
    match source.header(&object.id).map_err(|error| unreadable(object, error))? {
        Some((kind, size)) if kind == object.kind => Ok(size),
        Some(_) => Err(wrong_kind(object)),
        None => Err(missing(object)),
    }
}

/// Puts the content of `object` into `out`.
pub(super) fn content(source: &dyn Source, object: &Object, out: &mut Vec<u8>) -> Result<(), Error> {
    out.clear();
    match source.find(&object.id, out).map_err(|error| unreadable(object, error))? {
        Some(kind) if kind == object.kind => Ok(()),
        Some(_) => Err(wrong_kind(object)),
        None => Err(missing(object)),
    }
}

/// Makes sure that `content` is that of `object`: its entry in a pack is broken, or was not looked at.
pub(super) fn check(object: &Object, content: &[u8]) -> Result<(), Error> {
    match object_id(object.id.kind(), object.kind, content) {
        Ok(id) if id == object.id => Ok(()),
        Ok(_) => Err(unreadable(object, io::Error::other("its content has another id"))),
        Err(attack) => Err(unreadable(object, io::Error::other(attack))),
    }
}

/// The content of `object` as a stream.
pub(super) fn stream<'a>(source: &'a dyn Source, object: &Object) -> Result<Box<dyn Read + 'a>, Error> {
    let found = source.open_stream(&object.id).map_err(|error| unreadable(object, error))?;
    found.ok_or_else(|| missing(object))
}

/// The error for an object that is there and cannot be read.
pub(super) fn unreadable(object: &Object, source: io::Error) -> Error {
    Error::Unreadable { id: object.id, source }
}

fn missing(object: &Object) -> Error {
    Error::Missing { kind: word(object.kind), id: object.id }
}

fn wrong_kind(object: &Object) -> Error {
    let what = format!("object {} is not a {}", object.id, object.kind);
    unreadable(object, io::Error::new(io::ErrorKind::InvalidData, what))
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Commit => "commit",
        Kind::Tree => "tree",
        Kind::Blob => "blob",
        Kind::Tag => "tag",
    }
}
