//! Loose objects: one file each, named by id (gitrepository-layout(5), "objects/[0-9a-f][0-9a-f]").

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use flate2::Compression;
use flate2::bufread::ZlibDecoder;
use flate2::write::ZlibEncoder;
use gix_hash::{ObjectId, oid};
use gix_object::Kind;

use super::Error;
use super::hash::ObjectHasher;
use super::receive::BIG_FILE_THRESHOLD;
use super::temporary::Temporary;
use crate::storage::{Component, Storage};

/// An object being written; it has no name before [`finish`](Self::finish).
pub(super) struct LooseWriter {
    file: Temporary,
    encoder: ZlibEncoder<Vec<u8>>,
    hasher: ObjectHasher,
    id: ObjectId,
    path: PathBuf,
}

impl LooseWriter {
    /// Begins the object `id` of `kind` with `size` bytes below `objects`; `None` if it is there already, and new from now on.
    pub fn create(
        (objects, storage): (&Path, Storage),
        id: &oid,
        kind: Kind,
        size: u64,
    ) -> Result<Option<Self>, Error> {
        let path = path_of(objects, id);
        if freshen(&path) || path.exists() {
            return Ok(None);
        }
        let file = Temporary::create(path.parent().unwrap_or(objects), "tmp_obj_", storage)?;
        let level = storage.loose_level.number().map_or_else(Compression::default, Compression::new);
        let mut encoder = ZlibEncoder::new(Vec::new(), level);
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

    /// Gives the file its name if the content that was added is what the id says; `false` if it is not.
    fn finish_if_right(mut self) -> Result<bool, Error> {
        let finished = self.encoder.try_finish().and_then(|()| self.pass_on());
        finished.map_err(|source| self.file.error(source))?;
        if self.hasher.finish() != Ok(self.id) {
            return Ok(false);
        }
        self.file.sync(Component::LooseObject)?;
        self.file.persist(&self.path).map(|()| true)
    }

    /// Gives the file its name, now that the content is complete and of the id it is to have.
    pub fn finish(self) -> Result<(), Error> {
        let id = self.id;
        if self.finish_if_right()? {
            return Ok(());
        }
        Err(Error::BadPack(format!("object {id} has changed while it was unpacked")))
    }

    /// Moves what is deflated into the file.
    fn pass_on(&mut self) -> std::io::Result<()> {
        let deflated = self.encoder.get_mut();
        self.file.file.write_all(deflated)?;
        deflated.clear();
        Ok(())
    }
}

/// Writes `content` as a loose object of `kind` below `objects`, stored as `storage` says, and gives its id.
///
/// # Errors
///
/// If it cannot be hashed or written; nothing is left behind then.
pub fn write_loose(
    (objects, storage): (&Path, Storage),
    object_hash: gix_hash::Kind,
    kind: Kind,
    content: &[u8],
) -> Result<ObjectId, Error> {
    let hashed = gix_object::compute_hash(object_hash, kind, content);
    let id = hashed.map_err(|error| Error::BadPack(error.to_string()))?;
    if let Some(mut writer) = LooseWriter::create((objects, storage), &id, kind, content.len() as u64)? {
        writer.write(content)?;
        writer.finish()?;
    }
    Ok(id)
}

/// Whether the loose object `id` is below `objects` and taken for a new one from now on.
pub(crate) fn freshen_loose(objects: &Path, id: &oid) -> bool {
    freshen(&path_of(objects, id))
}

/// Lets the file at `path` be taken for one that has just been made: git prunes what is old. False if there is none, or its
/// owner is somebody else.
pub(crate) fn freshen(path: &Path) -> bool {
    File::open(path).and_then(|file| file.set_modified(SystemTime::now())).is_ok()
}

/// The file of the loose object `id`.
fn path_of(objects: &Path, id: &oid) -> PathBuf {
    let hex = id.to_hex().to_string();
    let (directory, name) = hex.split_at(2);
    objects.join(directory).join(name)
}

/// The longest header of a loose object: the longest kind and the largest number.
const HEADER_LEN_MAX: u64 = 32;
/// How much is inflated at once.
const PIECE_LEN: usize = 64 * 1024;

/// What became of a loose object that came from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// It is stored.
    Stored,
    /// The file is no loose object, or breaks off.
    Corrupt,
    /// It is an object of another id.
    BadHash,
}

/// Stores the object `id` below `objects`, whose loose file `input` reads. One piece of it is in memory. No more is inflated
/// than the header says, only a blob may be larger than [`BIG_FILE_THRESHOLD`], and nothing is left behind of what is not
/// stored.
///
/// # Errors
///
/// [`Error::Write`] where the disk fails. What fails while `input` is read is [`Arrival::Corrupt`].
pub fn receive_loose(
    input: &mut dyn BufRead,
    (objects, storage): (&Path, Storage),
    id: &oid,
) -> Result<Arrival, Error> {
    let mut inflated = BufReader::with_capacity(PIECE_LEN, ZlibDecoder::new(input));
    let Some((kind, size)) = read_header(&mut inflated) else { return Ok(Arrival::Corrupt) };
    if size > BIG_FILE_THRESHOLD && kind != Kind::Blob {
        return Ok(Arrival::Corrupt);
    }
    let Some(mut writer) = LooseWriter::create((objects, storage), id, kind, size)? else {
        return Ok(Arrival::Stored);
    };
    let mut piece = vec![0; PIECE_LEN];
    let mut left = size;
    loop {
        let Ok(amount) = inflated.read(&mut piece) else { return Ok(Arrival::Corrupt) };
        left = match left.checked_sub(amount as u64) {
            Some(left) if amount > 0 => left,
            Some(0) => break,
            Some(_) | None => return Ok(Arrival::Corrupt),
        };
        writer.write(piece.get(..amount).unwrap_or_default())?;
    }
    Ok(if writer.finish_if_right()? { Arrival::Stored } else { Arrival::BadHash })
}

/// Reads `<kind> <size>` and the zero byte behind it.
fn read_header(inflated: &mut dyn BufRead) -> Option<(Kind, u64)> {
    let mut header = Vec::new();
    inflated.take(HEADER_LEN_MAX).read_until(0, &mut header).ok()?;
    let (kind, size, _) = gix_object::decode::loose_header(&header).ok()?;
    Some((kind, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deflated(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn received(file: &[u8], content: &[u8]) -> (Arrival, usize) {
        let objects = tempfile::tempdir().unwrap();
        let id = super::super::hash::object_id(gix_hash::Kind::Sha1, Kind::Blob, content).unwrap();
        let mut input = BufReader::new(file);
        let arrival = receive_loose(&mut input, (objects.path(), Storage::default()), &id).unwrap();
        let files = |directory: std::fs::DirEntry| std::fs::read_dir(directory.path()).unwrap().count();
        let count = std::fs::read_dir(objects.path()).unwrap().map(|entry| files(entry.unwrap())).sum();
        (arrival, count)
    }

    #[test]
    fn only_what_is_what_it_should_be_is_stored() {
        let whole = deflated(b"blob 5\0hello");
        assert_eq!(received(&whole, b"hello"), (Arrival::Stored, 1));
        assert_eq!(received(&whole, b"other"), (Arrival::BadHash, 0));
        assert_eq!(received(&whole[..whole.len() - 5], b"hello"), (Arrival::Corrupt, 0));
        assert_eq!(received(b"<html>no object</html>", b"hello"), (Arrival::Corrupt, 0));
        assert_eq!(received(b"", b"hello"), (Arrival::Corrupt, 0));
        for header in ["blob 5hello", "blob\0hello", "blorb 5\0hello", "blob 99999999999999999999\0hello"] {
            assert_eq!(received(&deflated(header.as_bytes()), b"hello"), (Arrival::Corrupt, 0), "{header}");
        }
    }

    #[test]
    fn no_more_is_inflated_than_the_header_says() {
        let bomb = deflated(&[b"blob 5\0hello".as_slice(), &vec![0; 50_000_000]].concat());
        assert_eq!(received(&bomb, b"hello"), (Arrival::Corrupt, 0));
        let large = deflated(b"tree 99999999999\0");
        assert_eq!(received(&large, b"hello"), (Arrival::Corrupt, 0));
    }
}
