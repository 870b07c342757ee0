//! One `objects` directory: with the alternates that gix-odb finds itself, or without any.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use gix_hash::{ObjectId, oid};
use gix_object::Kind;

use super::alternates;

/// Memory for the bases of deltas, per handle, in bytes.
const PACK_CACHE_BYTES: usize = 32 * 1024 * 1024;

/// Memory for whole objects, per handle, in bytes.
const OBJECT_CACHE_BYTES: usize = 8 * 1024 * 1024;

/// An opened directory, which all threads share.
#[derive(Clone)]
pub(super) enum Directory {
    /// With its alternates.
    Linked(Arc<Linked>),
    /// Without: each of them is a directory of its own. This is for those that name each other, which gix-odb refuses.
    Alone(Arc<Alone>),
}

/// For one thread.
pub(super) enum Handle {
    Linked(Box<gix_odb::HandleArc>),
    Alone(Arc<Alone>),
}

/// A directory and its alternates, which gix-odb reads when something is asked that our own packs do not answer.
pub(super) struct Linked {
    objects: PathBuf,
    alternates: Vec<PathBuf>,
    object_hash: gix_hash::Kind,
    store: OnceLock<Option<Arc<gix_odb::Store>>>,
}

/// The loose objects and the packs of one directory.
pub(super) struct Alone {
    loose: gix_odb::loose::Store,
    packs: Vec<gix_pack::Bundle>,
}

/// Opens the directory `objects` and what it borrows from, itself first.
pub(super) fn open(objects: &Path, object_hash: gix_hash::Kind) -> io::Result<Vec<Directory>> {
    let borrowed = alternates::borrowed_by(objects);
    if !objects.is_dir() {
        return Err(io::ErrorKind::NotFound.into());
    }
    if alternates::are_followed_by_gix(objects, &borrowed) {
        let objects = objects.to_owned();
        let linked = Linked { objects, alternates: borrowed, object_hash, store: OnceLock::new() };
        return Ok(vec![Directory::Linked(Arc::new(linked))]);
    }
    let paths = std::iter::once(objects.to_owned()).chain(borrowed);
    Ok(paths.map(|path| Directory::Alone(Arc::new(Alone::open(&path, object_hash)))).collect())
}

impl Directory {
    /// Where it is, and then where its alternates are.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        match self {
            Self::Linked(linked) => {
                std::iter::once(&linked.objects).chain(&linked.alternates).cloned().collect()
            }
            Self::Alone(alone) => vec![alone.loose.path().to_owned()],
        }
    }

    pub(super) fn handle(&self) -> Handle {
        let store = match self {
            Self::Linked(linked) => match linked.store() {
                Some(store) => store,
                // nothing but a change since it was opened leads here
                None => return Handle::Alone(Arc::new(Alone::open(&linked.objects, linked.object_hash))),
            },
            Self::Alone(alone) => return Handle::Alone(Arc::clone(alone)),
        };
        let mut handle = store.to_cache_arc();
        handle.refresh_never();
        handle.ignore_replacements = true;
        handle.set_pack_cache(|| Box::new(gix_pack::cache::lru::MemoryCappedHashmap::new(PACK_CACHE_BYTES)));
        handle.set_object_cache(|| {
            Box::new(gix_pack::cache::object::MemoryCappedHashmap::new(OBJECT_CACHE_BYTES))
        });
        Handle::Linked(Box::new(handle))
    }
}

impl Linked {
    fn store(&self) -> Option<&Arc<gix_odb::Store>> {
        let open = || {
            let options = gix_odb::store::init::Options::default();
            let none = &mut std::iter::empty();
            gix_odb::Store::at_opts(self.objects.clone(), self.object_hash, none, options).ok().map(Arc::new)
        };
        self.store.get_or_init(open).as_ref()
    }
}

impl Handle {
    pub(super) fn contains(&self, id: &oid) -> bool {
        match self {
            Self::Linked(handle) => handle.exists_without_refresh(id),
            Self::Alone(alone) => alone.contains(id),
        }
    }

    /// Puts the object `id` into `out`.
    pub(super) fn find(&self, id: &oid, out: &mut Vec<u8>) -> io::Result<Option<Kind>> {
        use gix_object::Find as _;
        match self {
            Self::Linked(handle) => {
                Ok(handle.try_find(id, out).map_err(io::Error::other)?.map(|data| data.kind))
            }
            Self::Alone(alone) => alone.find(id, out),
        }
    }

    /// The kind and the size in bytes.
    pub(super) fn header(&self, id: &oid) -> io::Result<Option<(Kind, u64)>> {
        use gix_odb::Header as _;
        match self {
            Self::Linked(handle) => {
                let header = handle.try_header(id).map_err(io::Error::other)?;
                Ok(header.map(|header| (header.kind(), header.size())))
            }
            Self::Alone(alone) => {
                let mut content = Vec::new();
                Ok(alone.find(id, &mut content)?.map(|kind| (kind, content.len() as u64)))
            }
        }
    }

    /// The object whose id begins with `prefix`; an error if there are several.
    pub(super) fn find_prefix(&self, prefix: gix_hash::Prefix) -> Option<Result<ObjectId, ()>> {
        match self {
            Self::Linked(handle) => handle.lookup_prefix(prefix, None).ok().flatten(),
            Self::Alone(_) => {
                let mut found = HashSet::new();
                self.find_all_prefixed(prefix, &mut found);
                let several = found.len() > 1;
                found.into_iter().next().map(|found| if several { Err(()) } else { Ok(found) })
            }
        }
    }

    /// Adds the objects whose ids begin with `prefix`.
    pub(super) fn find_all_prefixed(&self, prefix: gix_hash::Prefix, found: &mut HashSet<ObjectId>) {
        // a directory that cannot be read has no candidates
        match self {
            Self::Linked(handle) => {
                let mut candidates = HashSet::new();
                let _one_or_several = handle.lookup_prefix(prefix, Some(&mut candidates));
                found.extend(candidates);
            }
            Self::Alone(alone) => {
                let _one_or_several = alone.loose.lookup_prefix(prefix, Some(found));
                for pack in &alone.packs {
                    let mut positions = 0..0;
                    pack.index.lookup_prefix(prefix, Some(&mut positions));
                    found.extend(positions.map(|position| pack.index.oid_at_index(position).to_owned()));
                }
            }
        }
    }

    /// How many objects there are in packs.
    pub(super) fn packed_objects(&self) -> u64 {
        match self {
            Self::Linked(handle) => handle.packed_object_count().unwrap_or_default(),
            Self::Alone(alone) => alone.packs.iter().map(|pack| u64::from(pack.index.num_objects())).sum(),
        }
    }
}

impl Alone {
    /// Packs that cannot be opened are left out, as git does.
    fn open(objects: &Path, object_hash: gix_hash::Kind) -> Self {
        let files = fs::read_dir(objects.join("pack")).into_iter().flatten().flatten();
        let indices = files.map(|file| file.path()).filter(|path| path.extension() == Some("idx".as_ref()));
        let packs = indices.filter_map(|path| gix_pack::Bundle::at(path, object_hash).ok()).collect();
        Self { loose: gix_odb::loose::Store::at(objects, object_hash), packs }
    }

    fn contains(&self, id: &oid) -> bool {
        self.packs.iter().any(|pack| pack.index.lookup(id).is_some()) || self.loose.contains(id)
    }

    fn find(&self, id: &oid, out: &mut Vec<u8>) -> io::Result<Option<Kind>> {
        let mut inflate = gix_zlib::Inflate::default();
        for pack in &self.packs {
            let found = pack.find(id, out, &mut inflate, &mut gix_pack::cache::Never);
            if let Some((data, _)) = found.map_err(io::Error::other)? {
                return Ok(Some(data.kind));
            }
        }
        Ok(self.loose.try_find(id, out).map_err(io::Error::other)?.map(|data| data.kind))
    }
}
