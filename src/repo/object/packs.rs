//! Entries of packs as they lie on disk, for those who make packs of them.
//!
//! gix-odb gives whole objects. What it does not give is where an entry ends, what lies at an offset, and a promise that
//! a place it named stays there while `git gc` packs anew: a [`Pack`] once opened stays mapped until the last clone of
//! [`Packs`] is dropped, and its number stays its own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::SystemTime;

use gix_hash::{ObjectId, oid};
use gix_object::Kind;

use super::bitmap;
use super::decode::Decoder;
use super::pack::Pack;
use super::stores::Stores;
use crate::pack::Links;
use crate::pack::links::{Collector, Found};
use crate::pack::source::{Bitmaps, Location, Stored};

/// Decoders that wait for the next thread, each with its cache; more than these are dropped after use.
const IDLE_MAX: usize = 16;

/// More packs are not asked one after the other for what gix-odb knows as well.
const FEW: usize = 16;

/// All packs of a database.
pub(super) struct Packs {
    object_hash: gix_hash::Kind,
    /// Only ever added to, since places of entries name packs by number. `None` before the first question.
    known: RwLock<Option<Arc<[Arc<Slot>]>>>,
    /// The pack that had the answer last, where the next is most likely.
    recent: AtomicUsize,
    /// Those that no thread uses at the moment.
    idle: Mutex<Vec<Decoder>>,
    /// What was found when somebody asked for bitmaps first.
    bitmaps: OnceLock<Bitmaps>,
    /// Whether there are few, when somebody asked first.
    few: OnceLock<bool>,
}

/// One `.idx` file; it is opened with its pack when it is asked first.
struct Slot {
    index: PathBuf,
    pack: OnceLock<Option<Arc<Pack>>>,
    /// Whether it was found to be gone, which is worth a look into the directories once.
    is_gone: AtomicBool,
    /// Whether a `.promisor` file is beside it; nothing until it was looked for.
    promisor: OnceLock<bool>,
    /// Whether the pack is taken for a new one; nothing until somebody asked for that.
    fresh: OnceLock<bool>,
}

impl Packs {
    pub(super) fn new(object_hash: gix_hash::Kind) -> Self {
        Self {
            object_hash,
            known: RwLock::default(),
            recent: AtomicUsize::new(0),
            idle: Mutex::default(),
            bitmaps: OnceLock::new(),
            few: OnceLock::new(),
        }
    }

    /// Where `id` lies in one of the packs of `stores`, whose directories are read when there is need to.
    pub(super) fn locate(&self, id: &oid, stores: &Stores) -> Option<Location> {
        self.find(id, stores, |pack, number| pack.locate(id, number))
    }

    /// The pack that holds `id`, and the place of its entry there.
    pub(super) fn entry_place(&self, id: &oid, stores: &Stores) -> Option<(u32, u32)> {
        self.find(id, stores, |pack, number| Some((number, pack.rank_at(pack.position(id)?)?)))
    }

    /// The pack that holds `id`, and where its entry begins there.
    pub(super) fn entry_offset(&self, id: &oid, stores: &Stores) -> Option<(u32, u64)> {
        self.find(id, stores, |pack, number| Some((number, pack.offset_of(id)?)))
    }

    /// The pack that holds `id` as `content` of `size` bytes and with the zlib stream `deflated`.
    pub(super) fn stored_as(
        &self,
        id: &oid,
        (content, size): (Stored, u64),
        deflated: &[u8],
        stores: &Stores,
    ) -> Option<u32> {
        let location = self.locate(id, stores).filter(|location| location.size == size)?;
        let pack = self.pack(location.pack).ok()?;
        let found = match location.content {
            Stored::OffsetDelta(base) => Stored::IdDelta(pack.id_at(base)?),
            other => other,
        };
        let is_same = found == content && pack.stream(&location).ok()? == deflated;
        pack.was_read(deflated.len());
        is_same.then_some(location.pack)
    }

    /// Puts the object `id` into `out`; `None` if it is in no pack, or for some reason cannot be read here.
    pub(super) fn read(&self, id: &oid, stores: &Stores, out: &mut Vec<u8>) -> Option<Kind> {
        self.decode(|decoder| {
            self.find(id, stores, |pack, number| decoder.read(pack, number, pack.offset_of(id)?, out))
        })
    }

    /// What the object `id` is, and its size in bytes; `None` if it is in no pack, there are many, or for some reason it cannot
    /// be read here.
    pub(super) fn header(&self, id: &oid, stores: &Stores) -> Option<(Kind, u64)> {
        if !self.are_few(stores) {
            return None;
        }
        self.decode(|decoder| self.find(id, stores, |pack, _| decoder.header(pack, pack.offset_of(id)?)))
    }

    /// What the object `id` is, found without inflating anything; `None` as for [`header`](Self::header).
    pub(super) fn kind(&self, id: &oid, stores: &Stores) -> Option<Kind> {
        if !self.are_few(stores) {
            return None;
        }
        self.find(id, stores, |pack, _| pack.kind_at(pack.offset_of(id)?))
    }

    /// Whether `id` is in a pack; also false where there are many.
    pub(super) fn contain(&self, id: &oid, stores: &Stores) -> bool {
        self.are_few(stores) && self.find(id, stores, |pack, _| pack.position(id)).is_some()
    }

    /// Whether to ask one after the other takes no longer than to ask a multi-pack-index.
    fn are_few(&self, stores: &Stores) -> bool {
        *self.few.get_or_init(|| {
            let has_index = |objects: &PathBuf| objects.join("pack/multi-pack-index").exists();
            !stores.directories().iter().any(has_index) && self.known(stores).len() <= FEW
        })
    }

    /// Lets `work` have a decoder.
    fn decode<T>(&self, work: impl FnOnce(&mut Decoder) -> T) -> T {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut decoder = idle.unwrap_or_else(Decoder::new);
        let found = work(&mut decoder);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            // the next to work is the last that did
            if let Some(below) = idle.last_mut() {
                below.forget_large();
            }
            idle.push(decoder);
        }
        found
    }

    /// The first answer that a pack gives about `id`.
    fn find<T>(&self, id: &oid, stores: &Stores, mut ask: impl FnMut(&Pack, u32) -> Option<T>) -> Option<T> {
        if id.kind() != self.object_hash {
            return None;
        }
        match self.find_among(&self.known(stores), &mut ask) {
            Ok(found) => found,
            // somebody packed anew: what was in the pack that is gone is in a new one
            Err(Gone) => self.find_among(&self.read_directories(stores), &mut ask).ok().flatten(),
        }
    }

    /// The index files of all packs that hold `id`.
    pub(super) fn with(&self, id: &oid, stores: &Stores) -> Vec<PathBuf> {
        let known = self.known(stores);
        let holds =
            |slot: &&Arc<Slot>| slot.pack(self.object_hash).is_some_and(|pack| pack.position(id).is_some());
        known.iter().filter(holds).map(|slot| slot.index.clone()).collect()
    }

    /// The pack whose file is called `name`.
    pub(super) fn called(&self, name: &Path, stores: &Stores) -> Option<Arc<Pack>> {
        let index = name.with_extension("idx");
        let known = self.known(stores);
        let slot = known.iter().find(|slot| slot.index.file_name() == index.file_name())?;
        slot.pack.get_or_init(|| slot.open(self.object_hash)).clone()
    }

    /// The pack that a [`Location`] names.
    pub(super) fn pack(&self, number: u32) -> io::Result<Arc<Pack>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).clone();
        let slot = known.as_deref().and_then(|known| known.get(usize::try_from(number).ok()?));
        slot.and_then(|slot| slot.pack.get()?.clone()).ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("no pack has the number {number}"))
        })
    }

    /// Whether `id` is in a pack that is taken for a new one from now on.
    pub(super) fn freshen(&self, id: &oid, stores: &Stores) -> bool {
        let known = |number: u32| self.known(stores).get(usize::try_from(number).ok()?).cloned();
        let found = self.find(id, stores, |pack, number| pack.position(id).map(|_| number)).and_then(known);
        found.is_some_and(|slot| slot.freshen())
    }

    /// Whether `id` is in a pack that a promisor sent.
    pub(super) fn is_from_promisor(&self, id: &oid, stores: &Stores) -> bool {
        let known = self.known(stores);
        let mut packs = known.iter().filter(|slot| slot.is_from_promisor());
        packs.any(|slot| slot.pack(self.object_hash).is_some_and(|pack| pack.offset_of(id).is_some()))
    }

    /// What the objects in packs of promisors refer to and that is not here. Objects that cannot be read refer to nothing.
    pub(super) fn links_of_promisors(&self, stores: &Stores, is_here: &dyn Fn(&ObjectId) -> bool) -> Links {
        let found = Found::new(&[], None);
        let mut collector = Collector::new(&found, self.object_hash);
        let mut decoder = Decoder::new();
        let mut content = Vec::new();
        for (number, slot) in self.known(stores).iter().enumerate() {
            let pack = slot.pack(self.object_hash).filter(|_| slot.is_from_promisor());
            let (Some(pack), Ok(number)) = (pack, u32::try_from(number)) else { continue };
            for (id, offset) in pack.objects() {
                if pack.kind_at(offset) == Some(Kind::Blob) {
                    continue;
                }
                if let Some(kind) = decoder.read(pack, number, offset, &mut content) {
                    let _links_or_none = collector.collect(&id, kind, &content);
                }
            }
        }
        drop(collector);
        found.outside(&|id, _| is_here(id)).into_links()
    }

    /// The bitmaps of the packs of `stores`, as they were when this was asked first.
    pub(super) fn bitmaps(&self, stores: &Stores) -> &Bitmaps {
        self.bitmaps.get_or_init(|| {
            let known = self.known(stores);
            let open = |number: usize, slot: &Slot| {
                Some((
                    slot.pack.get_or_init(|| slot.open(self.object_hash)).clone()?,
                    u32::try_from(number).ok()?,
                ))
            };
            let find = |index: &Path| {
                let (number, slot) = known.iter().enumerate().find(|(_, slot)| slot.index == index)?;
                open(number, slot)
            };
            let directories = stores.directories();
            let shared = directories
                .iter()
                .filter_map(|objects| bitmap::of_packs(&objects.join("pack"), self.object_hash, &find));
            let own =
                known.iter().enumerate().filter(|(_, slot)| slot.index.with_extension("bitmap").exists());
            let own = own.filter_map(|(number, slot)| {
                let (pack, number) = open(number, slot)?;
                bitmap::of_pack(&slot.index, &pack, number)
            });
            let mut found = Bitmaps::default();
            for opened in shared.chain(own) {
                match opened {
                    Ok(index) => {
                        found.index = Some(index);
                        break;
                    }
                    Err(broken) => found.broken.push(broken),
                }
            }
            found
        })
    }

    /// Reads the directories again, for packs that came since.
    pub(super) fn refresh(&self, stores: &Stores) {
        if self.known.read().unwrap_or_else(PoisonError::into_inner).is_some() {
            self.read_directories(stores);
        }
    }

    fn find_among<T>(
        &self,
        known: &[Arc<Slot>],
        ask: &mut impl FnMut(&Pack, u32) -> Option<T>,
    ) -> Result<Option<T>, Gone> {
        let recent = self.recent.load(Ordering::Relaxed);
        let others = (0..known.len()).filter(|number| *number != recent);
        let mut gone = false;
        for number in std::iter::once(recent).chain(others) {
            let Some(slot) = known.get(number) else { continue };
            let Some(pack) = slot.pack(self.object_hash) else {
                gone |= !slot.is_gone.swap(true, Ordering::Relaxed) && !slot.index.exists();
                continue;
            };
            if let Some(found) = u32::try_from(number).ok().and_then(|label| ask(pack, label)) {
                self.recent.store(number, Ordering::Relaxed);
                return Ok(Some(found));
            }
        }
        if gone { Err(Gone) } else { Ok(None) }
    }

    fn known(&self, stores: &Stores) -> Arc<[Arc<Slot>]> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).clone();
        known.unwrap_or_else(|| self.read_directories(stores))
    }

    /// Adds the packs of `stores` that are not known yet.
    fn read_directories(&self, stores: &Stores) -> Arc<[Arc<Slot>]> {
        let found = index_files(&stores.directories());
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let mut all = known.as_deref().unwrap_or_default().to_vec();
        let old: std::collections::HashSet<PathBuf> = all.iter().map(|slot| slot.index.clone()).collect();
        let fresh = found.into_iter().filter(|index| !old.contains(index));
        all.extend(fresh.map(|index| Arc::new(Slot::new(index))));
        let all: Arc<[Arc<Slot>]> = all.into();
        *known = Some(all.clone());
        all
    }
}

/// A pack that was listed could not be opened, and its files are no more.
struct Gone;

impl Slot {
    fn new(index: PathBuf) -> Self {
        Self {
            index,
            pack: OnceLock::new(),
            is_gone: AtomicBool::new(false),
            promisor: OnceLock::new(),
            fresh: OnceLock::new(),
        }
    }

    /// The opened pack; `None` if it is broken or gone.
    fn pack(&self, object_hash: gix_hash::Kind) -> Option<&Pack> {
        self.pack.get_or_init(|| self.open(object_hash)).as_deref()
    }

    fn open(&self, object_hash: gix_hash::Kind) -> Option<Arc<Pack>> {
        Pack::open(&self.index, object_hash).map(Arc::new)
    }

    /// Lets the pack be taken for a new one. A cruft pack tells the age of each object by itself.
    fn freshen(&self) -> bool {
        let is_cruft = || self.index.with_extension("mtimes").exists();
        *self.fresh.get_or_init(|| !is_cruft() && crate::pack::freshen(&self.index.with_extension("pack")))
    }

    fn is_from_promisor(&self) -> bool {
        *self.promisor.get_or_init(|| self.index.with_extension("promisor").exists())
    }
}

/// The `.idx` files below the `objects` directories, those changed last first, as git asks them.
fn index_files(directories: &[PathBuf]) -> Vec<PathBuf> {
    let mut found: Vec<(SystemTime, PathBuf)> = Vec::new();
    for directory in directories {
        for entry in fs::read_dir(directory.join("pack")).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "idx") {
                found.push((modified(&path), path));
            }
        }
    }
    found.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    found.into_iter().map(|(_, path)| path).collect()
}

fn modified(path: &Path) -> SystemTime {
    fs::metadata(path).and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
}
