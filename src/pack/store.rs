//! Puts what was received where others see it: as a pack with its indices, or as loose objects.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use gix_hash::ObjectId;
use gix_object::Kind;

use super::index::{self, Item, Items};
use super::inflate::Inflater;
use super::loose::LooseWriter;
use super::placement::{Names, Placement, directory_of};
use super::table::{Entry, NONE, Object, Pack};
use super::temporary::Temporary;
use super::{Error, Keep, Options, Stored};
use crate::storage::{Component, Storage};

/// Makes the pack in `file` visible, with its indices; `items` in the order of the index.
///
/// The order is C git's, so that no reader sees half a pack: `.keep` and `.promisor`, `.pack`, `.rev`, and `.idx` last.
/// A pack of the same name that is there already stays. On an error nothing is left behind.
pub(super) fn store_pack(
    file: Temporary,
    (items, pack_id, count): (&dyn Items, &ObjectId, u32),
    options: &Options<'_>,
    placement: &Placement,
) -> Result<Stored, Error> {
    let names = placement.names(&options.objects.join("pack"), pack_id);
    let mut indices = Indices::write(items, pack_id, (placement, options.storage), &names)?;
    file.sync(Component::Pack)?;
    let mut placed = Placed::new(options.storage);
    let kept = match &options.keep {
        Some(content) => Keep::create(&names.keep, content)
            .map_err(|source| Error::Write { path: names.keep.clone(), source })?,
        None => None,
    };
    let silent = bstr::BString::default();
    // seen in git 2.47.3
    let promisor =
        options.promisor.as_ref().map(|text| if count < options.unpack_limit { &silent } else { text });
    placed.mark(placement, promisor, &names)?;
    let path = names.pack.clone();
    if placement.pack.is_some() || !(path.exists() && names.idx.exists()) {
        placed.rename(file, path.clone())?;
        indices.place(&mut placed, &names)?;
    } else if !names.rev.exists() {
        indices.place_rev(&mut placed, &names)?;
    }
    if options.storage.syncs(Component::Pack) {
        sync_directory(&directory_of(&path))?;
    }
    placed.paths.clear();
    Ok(Stored::Pack { path, keep: kept })
}

/// As [`store_pack`], for a pack that we made and `placement` names, in files that are stored as `storage` says.
pub(super) fn store_produced(
    file: Temporary,
    (items, pack_id): (&mut [Item], &ObjectId),
    object_hash: gix_hash::Kind,
    (placement, storage): (&Placement, Storage),
) -> Result<(), Error> {
    let options = Options {
        objects: PathBuf::new(),
        storage,
        object_hash,
        bases: None,
        unpack_limit: 0,
        keep: None,
        promisor: None,
        threads: 1,
        size_max_bytes: 0,
        made_len_max: 0,
        to_end: true,
        fsck: None,
        shallow: &[],
    };
    let count = u32::try_from(items.len()).unwrap_or(u32::MAX);
    index::sort(items);
    store_pack(file, (&&*items, pack_id, count), &options, placement).map(drop)
}

/// Writes the indices of a pack that is there already, as `placement` has them, and what stands beside it.
pub(super) fn store_indices(
    items: &dyn Items,
    pack_id: &ObjectId,
    (placement, storage): (&Placement, Storage),
) -> Result<(), Error> {
    let names = placement.names(Path::new(""), pack_id);
    let indices = Indices::write(items, pack_id, (placement, storage), &names)?;
    let mut placed = Placed::new(storage);
    placed.mark(placement, placement.promisor.as_ref(), &names)?;
    indices.place(&mut placed, &names)?;
    placed.paths.clear();
    Ok(())
}

/// The indices of a pack, not visible yet.
struct Indices {
    rev: Option<Temporary>,
    idx: Temporary,
}

impl Indices {
    fn write(
        items: &dyn Items,
        pack_id: &ObjectId,
        (placement, storage): (&Placement, Storage),
        names: &Names,
    ) -> Result<Self, Error> {
        let directory = directory_of(&names.idx);
        let mut rev = None;
        if placement.has_rev {
            rev = Some(written((&directory, "tmp_rev_"), storage, &mut |out| {
                index::write_reverse_index(out, items, pack_id).map(drop)
            })?);
        }
        let idx = written((&directory, "tmp_idx_"), storage, &mut |out| {
            index::write_index_as(out, placement.layout, items, pack_id).map(drop)
        })?;
        Ok(Self { rev, idx })
    }

    fn place(mut self, placed: &mut Placed, names: &Names) -> Result<(), Error> {
        self.place_rev(placed, names)?;
        placed.rename(self.idx, names.idx.clone())
    }

    fn place_rev(&mut self, placed: &mut Placed, names: &Names) -> Result<(), Error> {
        match self.rev.take() {
            Some(rev) => placed.rename(rev, names.rev.clone()),
            None => Ok(()),
        }
    }
}

/// Writes the first `count` objects of the pack as loose objects, those first that others refer to. Objects that are
/// there already are left as they are, but for their age.
pub(super) fn store_loose(pack: Pack<'_>, count: u32, options: &Options<'_>) -> Result<(), Error> {
    let mut inflater = Inflater::new();
    let mut content = Vec::new();
    for kinds in [Kind::Blob, Kind::Tree, Kind::Commit, Kind::Tag] {
        for index in 0..count {
            if pack.table.entry(index).and_then(Entry::kind) != Some(kinds) {
                continue;
            }
            let Some(Object { id, base, .. }) = pack.table.object(index) else { continue };
            if options.bases.is_some_and(|bases| bases.freshen(&id)) {
                continue;
            }
            if base == NONE {
                // Streamed: it may be larger than memory.
                let size = pack.table.size(index);
                let writer = LooseWriter::create((&options.objects, options.storage), &id, kinds, size)?;
                let Some(mut writer) = writer else { continue };
                let (_entry, deflated) = pack.deflated(index)?;
                inflater.inflate_with(deflated, size, &mut |made| writer.write(made))?;
                writer.finish()?;
            } else {
                pack.object(index, &mut inflater, &mut content)?;
                let size = content.len() as u64;
                let writer = LooseWriter::create((&options.objects, options.storage), &id, kinds, size)?;
                let Some(mut writer) = writer else { continue };
                writer.write(&content)?;
                writer.finish()?;
            }
        }
    }
    Ok(())
}

/// A temporary file in `directory` with what `write` writes, safe on disk where that is asked for.
fn written(
    (directory, prefix): (&Path, &str),
    storage: Storage,
    write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
) -> Result<Temporary, Error> {
    let temporary = Temporary::create(directory, prefix, storage)?;
    let mut out = BufWriter::new(&temporary.file);
    let result = write(&mut out).and_then(|()| out.flush());
    drop(out);
    result.map_err(|source| temporary.error(source))?;
    temporary.sync(Component::PackMetadata)?;
    Ok(temporary)
}

/// Files that have their lasting names; removed when dropped before all have.
struct Placed {
    paths: Vec<PathBuf>,
    storage: Storage,
}

impl Placed {
    fn new(storage: Storage) -> Self {
        Self { paths: Vec::new(), storage }
    }

    /// Writes the lasting `.keep` file and the `.promisor` file.
    fn mark(
        &mut self,
        placement: &Placement,
        promisor: Option<&bstr::BString>,
        names: &Names,
    ) -> Result<(), Error> {
        if let Some(content) = &placement.keep {
            let created = self.create(names.keep.clone(), content)?;
            placement.made_keep.set(created.is_some());
        }
        if let Some(content) = promisor {
            let _path = self.create(names.promisor.clone(), content)?;
        }
        Ok(())
    }

    /// Creates a file for its owner alone, as git has it, unless it is there already: then it is somebody else's, and `None` is
    /// given.
    fn create(&mut self, path: PathBuf, content: &[u8]) -> Result<Option<PathBuf>, Error> {
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = match options.open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            Err(source) => return Err(Error::Write { path, source }),
        };
        self.paths.push(path.clone());
        let written = file.write_all(content);
        match written.and_then(|()| self.storage.sync(Component::PackMetadata, &file)) {
            Ok(()) => Ok(Some(path)),
            Err(source) => Err(Error::Write { path, source }),
        }
    }

    fn rename(&mut self, file: Temporary, path: PathBuf) -> Result<(), Error> {
        file.persist(&path)?;
        self.paths.push(path);
        Ok(())
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        for path in self.paths.drain(..).rev() {
            let _removed_or_gone = std::fs::remove_file(path);
        }
    }
}

/// Sees to it that the names in `directory` survive a crash of the system, where directories can be synchronised.
fn sync_directory(directory: &Path) -> Result<(), Error> {
    if cfg!(unix) {
        let synced = std::fs::File::open(directory).and_then(|directory| directory.sync_all());
        synced.map_err(|source| Error::Write { path: directory.to_owned(), source })?;
    }
    Ok(())
}
