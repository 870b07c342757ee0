//! The ids of many objects.

use gix_hash::ObjectId;
use gix_object::Kind;

#[cfg(target_arch = "x86_64")]
use super::lanes;
use super::{CollisionAttack, object_id};

/// Larger objects are hashed alone, so that nobody waits for one lane, and the memory of few objects is held: of so large
/// ones there would be no more in the lanes than it takes for them to be faster.
#[cfg(target_arch = "x86_64")]
const ALONE_LEN: usize = 512 * 1024;

/// Objects that wait for lanes at most, and their bytes.
#[cfg(target_arch = "x86_64")]
const WAITING_MAX: usize = 16;
#[cfg(target_arch = "x86_64")]
const WAITING_BYTES_MAX: usize = 512 * 1024;

/// The ids of many objects, in their order: where the processor can, several are computed at once.
pub fn object_ids(hash: gix_hash::Kind, objects: &[(Kind, &[u8])]) -> Vec<Result<ObjectId, CollisionAttack>> {
    let mut ids = vec![None; objects.len()];
    let mut hasher = ManyHasher::new(hash);
    for (number, (kind, content)) in (0..).zip(objects) {
        hasher.push(Numbered { number, kind: *kind, content });
    }
    let attacks = hasher.finish().to_vec();
    for (object, id) in hasher.done() {
        let is_attack = attacks.iter().any(|(number, _)| *number == object.number);
        if let Some(slot) = ids.get_mut(object.number as usize) {
            *slot = Some(if is_attack { Err(CollisionAttack(id)) } else { Ok(id) });
        }
    }
    ids.into_iter().flatten().collect()
}

/// An object as [`ManyHasher`] takes it.
pub trait Hashable {
    /// Its kind.
    fn kind(&self) -> Kind;
    /// Its bytes.
    fn content(&self) -> &[u8];
    /// What the caller knows it by.
    fn number(&self) -> u32;
}

/// An object and its place among others.
pub(super) struct Numbered<'a> {
    pub number: u32,
    pub kind: Kind,
    pub content: &'a [u8],
}

impl Hashable for Numbered<'_> {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn content(&self) -> &[u8] {
        self.content
    }

    fn number(&self) -> u32 {
        self.number
    }
}

/// Computes the ids of objects as they come, several at once where the processor can: an object is done some time after
/// it was added.
pub struct ManyHasher<T> {
    hash: gix_hash::Kind,
    done: Vec<(T, ObjectId)>,
    attacks: Vec<(u32, ObjectId)>,
    #[cfg(target_arch = "x86_64")]
    lanes: Option<Lanes<T>>,
}

/// The lanes, and objects before and behind them.
#[cfg(target_arch = "x86_64")]
struct Lanes<T> {
    busy: Box<lanes::Lanes<Object<T>>>,
    waiting: Vec<Object<T>>,
    /// Those of the objects that wait.
    bytes: usize,
    hashed: Vec<(Object<T>, lanes::Hash)>,
}

/// An object as a message: its head and its content.
#[cfg(target_arch = "x86_64")]
struct Object<T>(T);

#[cfg(target_arch = "x86_64")]
impl<T: Hashable> lanes::Message for Object<T> {
    fn head(&self, block: &mut [u8; 64]) -> usize {
        let head = gix_object::encode::loose_header(self.0.kind(), self.0.content().len() as u64);
        for (byte, of_head) in block.iter_mut().zip(&head) {
            *byte = *of_head;
        }
        head.len()
    }

    fn body(&self) -> &[u8] {
        self.0.content()
    }

    fn number(&self) -> u32 {
        self.0.number()
    }
}

impl<T: Hashable> ManyHasher<T> {
    /// For ids of the kind `hash`.
    pub fn new(hash: gix_hash::Kind) -> Self {
        Self {
            hash,
            done: Vec::new(),
            attacks: Vec::new(),
            #[cfg(target_arch = "x86_64")]
            lanes: (hash == gix_hash::Kind::Sha1).then(lanes::Lanes::new).flatten().map(|busy| Lanes {
                busy,
                waiting: Vec::new(),
                bytes: 0,
                hashed: Vec::new(),
            }),
        }
    }

    /// Adds an object.
    pub fn push(&mut self, object: T) {
        #[cfg(target_arch = "x86_64")]
        if let Some(lanes) = self.lanes.as_mut().filter(|_| object.content().len() <= ALONE_LEN) {
            lanes.bytes += object.content().len();
            lanes.waiting.push(Object(object));
            if lanes.waiting.len() >= WAITING_MAX || lanes.bytes >= WAITING_BYTES_MAX {
                lanes.bytes = 0;
                lanes.busy.run(&mut lanes.waiting, &mut lanes.hashed);
                self.take_hashed();
            }
            return;
        }
        self.hash_alone(object);
    }

    /// Computes the ids of all objects that were added. Gives the numbers and ids of those that show an
    /// attack.
    pub fn finish(&mut self) -> &[(u32, ObjectId)] {
        #[cfg(target_arch = "x86_64")]
        if let Some(lanes) = &mut self.lanes {
            lanes.busy.finish(&mut lanes.waiting, &mut lanes.hashed);
            for Object(object) in std::mem::take(&mut lanes.waiting) {
                self.hash_alone(object);
            }
            self.take_hashed();
            let attacks = self.lanes.iter_mut().flat_map(|lanes| lanes.busy.attacks().drain(..));
            // Those without a hash were hashed alone in the end.
            let attacks = attacks.filter(|(_, hash)| *hash != lanes::Hash::default());
            self.attacks.extend(attacks.map(|(number, hash)| (number, ObjectId::Sha1(hash))));
        }
        &self.attacks
    }

    /// Whether one of the objects added shows an attack. [`finish`](Self::finish) knows of all that do.
    pub fn has_attack(&self) -> bool {
        #[cfg(target_arch = "x86_64")]
        if self.lanes.as_ref().is_some_and(|lanes| lanes.busy.has_attack()) {
            return true;
        }
        !self.attacks.is_empty()
    }

    /// Takes the objects that have their ids.
    pub fn done(&mut self) -> std::vec::Drain<'_, (T, ObjectId)> {
        self.done.drain(..)
    }

    fn hash_alone(&mut self, object: T) {
        let id = object_id(self.hash, object.kind(), object.content());
        let id = id.unwrap_or_else(|CollisionAttack(id)| {
            self.attacks.push((object.number(), id));
            id
        });
        self.done.push((object, id));
    }

    #[cfg(target_arch = "x86_64")]
    fn take_hashed(&mut self) {
        if let Some(lanes) = &mut self.lanes {
            let hashed = lanes.hashed.drain(..).map(|(Object(object), hash)| (object, ObjectId::Sha1(hash)));
            self.done.extend(hashed);
        }
    }
}
