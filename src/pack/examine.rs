//! A pack that is a file already: what is in it, and its index.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use gix_hash::ObjectId;
use gix_object::Kind;

use super::held::Held;
use super::index::{self, Items, Layout};
use super::placement::Placement;
use super::receive::{Known, look_through};
use super::table::{Entry, NONE, Table};
use super::{Error, Links, Options, map, store};
use crate::progress::Progress;
use crate::storage::Storage;

/// Looks through the pack in the file at `path`, which stays as it is, and is read by nobody who shortens it.
///
/// Everything in it is checked, as [`receive`](super::receive()) checks it.
pub fn examine<'a>(
    (path, file): (&Path, File),
    options: &Options<'a>,
    placement: &Placement,
    progress: &mut dyn Progress,
) -> Result<Examined<'a>, Error> {
    let bytes = map::map(&file).map_err(Error::Read)?;
    let held = Held::There(file, path.to_owned());
    let known = look_through(&mut &bytes[..], held, (options, placement), progress)?;
    known.check_collisions(options)?;
    let links = if known.has_links() || placement.is_strict {
        let items = known.sorted_items();
        let links = known.links(&items, (options, placement))?;
        if placement.is_strict {
            items.check_unique()?;
        }
        links
    } else {
        Links::default()
    };
    Ok(Examined { known, links })
}

/// A pack that was looked through.
pub struct Examined<'a> {
    known: Known<'a>,
    links: Links,
}

/// One object of a pack.
#[derive(Debug, Clone, Copy)]
pub struct Object {
    /// Its id.
    pub id: ObjectId,
    /// Its kind.
    pub kind: Kind,
    /// The bytes its entry inflates to: those of the object, or of the delta.
    pub size: u64,
    /// Where its entry begins, in bytes.
    pub offset: u64,
    /// The bytes of its entry.
    pub len: u64,
    /// How many deltas lead to it, and the object it is a delta to, if it is one.
    pub delta: Option<(u32, ObjectId)>,
}

impl Examined<'_> {
    /// The checksum that ends the pack.
    pub fn pack_id(&self) -> ObjectId {
        self.known.pack_id
    }

    /// What the objects refer to outside of the pack.
    pub fn links(&self) -> &Links {
        &self.links
    }

    /// Refuses a pack that has an object twice.
    ///
    /// # Errors
    ///
    /// [`Error::BadPack`].
    pub fn check_unique(&self) -> Result<(), Error> {
        self.known.sorted_items().check_unique()
    }

    /// The objects in the order of the pack.
    pub fn objects(&self) -> Vec<Object> {
        let table = &self.known.table;
        let depths = depths(table);
        let ends = table.entries.iter().skip(1).map(Entry::offset).chain([table.end]);
        let entries = (0..).zip(&table.entries).zip(ends).zip(depths);
        let objects = entries.filter_map(|(((index, entry), end), depth)| {
            let base = table.id(entry.base()).map(|base| (depth, base));
            Some(Object {
                id: table.id(index)?,
                kind: entry.kind()?,
                size: table.size(index),
                offset: entry.offset(),
                len: end - entry.offset(),
                delta: base,
            })
        });
        objects.collect()
    }

    /// Writes the index, and what else `placement` asks for, as `storage` says; both names must be told there.
    pub fn write(&self, placement: &Placement, storage: Storage) -> Result<(), Error> {
        store::store_indices(&self.known.sorted_items(), &self.known.pack_id, (placement, storage))
    }

    /// Whether the `.idx` file at `path` is the one that belongs to the pack.
    pub fn has_index(&self, path: &Path) -> io::Result<bool> {
        let present = std::fs::read(path)?;
        let items = self.known.sorted_items();
        let layout = layout_of(&present, &items, self.known.pack_id.kind());
        let mut right = Compare { rest: &present, is_same: true };
        let _checksum = index::write_index_as(&mut right, layout, &items, &self.known.pack_id)?;
        Ok(right.is_same && right.rest.is_empty())
    }

    /// Whether the `.rev` file at `path` is the one that belongs to the pack.
    pub fn has_reverse_index(&self, path: &Path) -> io::Result<bool> {
        let present = std::fs::read(path)?;
        let mut right = Compare { rest: &present, is_same: true };
        let _checksum =
            index::write_reverse_index(&mut right, &self.known.sorted_items(), &self.known.pack_id)?;
        Ok(right.is_same && right.rest.is_empty())
    }
}

/// How an index lays things out: its version, and where it begins to use 64 bits.
fn layout_of(index: &[u8], items: &dyn Items, hash: gix_hash::Kind) -> Layout {
    /// Signature, version and fanout of version 2.
    const TABLES_AT: usize = 8 + 256 * 4;
    if !index.starts_with(b"\xfftOc") {
        return Layout { version: 1, ..Layout::default() };
    }
    let offsets = TABLES_AT + items.len() * (hash.len_in_bytes() + 4);
    let words = index.get(offsets..).unwrap_or_default().chunks_exact(4);
    let large = items.offsets().zip(words).filter(|(_, word)| word.first().is_some_and(|byte| *byte >= 0x80));
    match large.map(|(offset, _)| offset).min() {
        Some(first) => Layout { version: 2, large_above: first.saturating_sub(1) },
        None => Layout::default(),
    }
}

/// Takes what is written for what should be there.
struct Compare<'a> {
    rest: &'a [u8],
    is_same: bool,
}

impl Write for Compare<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.rest.strip_prefix(bytes) {
            Some(rest) => self.rest = rest,
            None => self.is_same = false,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How many deltas lead to each object. Bases may stand behind their deltas.
fn depths(table: &Table) -> Vec<u32> {
    let mut depths = vec![None; table.entries.len()];
    let mut chain = Vec::new();
    for (index, entry) in (0..).zip(&table.entries) {
        let (mut at, mut base) = (index, entry.base());
        while base != NONE && depths.get(at as usize).is_some_and(Option::is_none) {
            chain.push(at);
            at = base;
            base = table.entry(at).map_or(NONE, Entry::base);
        }
        let mut depth = depths.get(at as usize).copied().flatten().unwrap_or(0);
        if let Some(slot) = depths.get_mut(at as usize) {
            *slot = Some(depth);
        }
        while let Some(next) = chain.pop() {
            depth += 1;
            if let Some(slot) = depths.get_mut(next as usize) {
                *slot = Some(depth);
            }
        }
    }
    depths.into_iter().map(|depth| depth.unwrap_or(0)).collect()
}

/// The `.idx` file of the pack file `pack`; `None` if that is not called `.pack`.
pub fn index_of(pack: &Path) -> Option<PathBuf> {
    let is_pack = pack.extension().is_some_and(|extension| extension == "pack");
    is_pack.then(|| pack.with_extension("idx"))
}
