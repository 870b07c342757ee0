//! Loose objects: one file each, named by id (gitrepository-layout(5), "objects/[0-9a-f][0-9a-f]").

use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use gix_hash::{ObjectId, oid};
use gix_object::Kind;

use super::Error;
use super::hash::ObjectHasher;
use super::temporary::Temporary;

/// An object being written; it has no name before [`finish`](Self::finish).
pub(super) struct LooseWriter {
    file: Temporary,
    encoder: ZlibEncoder<Vec<u8>>,
    hasher: ObjectHasher,
    id: ObjectId,
    path: PathBuf,
}

impl LooseWriter {
    /// Begins the object `id` of `kind` with `size` bytes below `objects`; `None` if it is there already.
    pub fn create(objects: &Path, id: &oid, kind: Kind, size: u64) -> Result<Option<Self>, Error> {
        let path = path_of(objects, id);
        if path.exists() {
            return Ok(None);
        }
        let file = Temporary::create(path.parent().unwrap_or(objects), "tmp_obj_")?;
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        let header = encoder.write_all(&gix_object::encode::loose_header(kind, size));
        header.map_err(|source| file.error(source))?;
        let hasher = ObjectHasher::new(id.kind(), kind, size);
        Ok(Some(Self { file, encoder, hasher, id: id.to_owned(), path }))
    }

    /// Adds content.
    pub fn write(&mut self, content: &[u8]) -> Result<(), Error> {
        self.hasher.update(content);
        let encoded = self.encoder.write_all(content);
        encoded.and_then(|()| self.pass_on()).map_err(|source| self.file.error(source))
    }

    /// Gives the file its name, now that the content is complete and of the id it is to have.
    ///
    /// It is not synchronised to disk: C git does not do so either unless `core.fsync` asks for it.
    pub fn finish(mut self) -> Result<(), Error> {
        let finished = self.encoder.try_finish().and_then(|()| self.pass_on());
        finished.map_err(|source| self.file.error(source))?;
        if self.hasher.finish() != Ok(self.id) {
            return Err(Error::BadPack(format!("object {} has changed while it was unpacked", self.id)));
        }
        self.file.persist(&self.path)
    }

    /// Moves what is deflated into the file.
    fn pass_on(&mut self) -> std::io::Result<()> {
        let deflated = self.encoder.get_mut();
        self.file.file.write_all(deflated)?;
        deflated.clear();
        Ok(())
    }
}

/// Writes `content` as a loose object of `kind` below `objects`, and gives its id.
///
/// # Errors
///
/// If it cannot be hashed or written; nothing is left behind then.
pub fn write_loose(
    objects: &Path,
    object_hash: gix_hash::Kind,
    kind: Kind,
    content: &[u8],
) -> Result<ObjectId, Error> {
    let hashed = gix_object::compute_hash(object_hash, kind, content);
    let id = hashed.map_err(|error| Error::BadPack(error.to_string()))?;
    if let Some(mut writer) = LooseWriter::create(objects, &id, kind, content.len() as u64)? {
        writer.write(content)?;
        writer.finish()?;
    }
    Ok(id)
}

/// The file of the loose object `id`.
fn path_of(objects: &Path, id: &oid) -> PathBuf {
    let hex = id.to_hex().to_string();
    let (directory, name) = hex.split_at(2);
    objects.join(directory).join(name)
}
