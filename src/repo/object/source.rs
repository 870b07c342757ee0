//! What the making of packs asks of [`Objects`], and big objects as streams.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;

use flate2::bufread::ZlibDecoder;
use gix_hash::{ObjectId, oid};
use gix_object::Kind;

use super::pack::Pack;
use super::{Commit, Objects};
use crate::pack::Bases;
use crate::pack::source::{Bitmaps, Entries, Location, Source, Stored};

/// The longest header of a loose object: a kind, a size of 20 digits, a space and a NUL.
const LOOSE_HEADER_MAX: usize = 32;

impl Source for Objects {
    fn header(&self, id: &oid) -> io::Result<Option<(Kind, u64)>> {
        if id.is_empty_tree() {
            return Ok(Some((Kind::Tree, 0)));
        }
        self.header_here(id)
    }

    fn commit(&self, id: &oid) -> io::Result<Option<Commit>> {
        self.commit_once(id)
    }

    fn locate(&self, id: &oid) -> io::Result<Option<Location>> {
        Ok(self.packs.locate(id, &self.stores))
    }

    fn id_at(&self, pack: u32, offset: u64) -> io::Result<Option<ObjectId>> {
        Ok(self.packs.pack(pack)?.id_at(offset))
    }

    fn with_entry(&self, location: &Location, read: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        self.packs.pack(location.pack)?.show(location, read)
    }

    fn bitmaps(&self) -> io::Result<Bitmaps> {
        if !self.uses_bitmaps || !self.shallow.is_empty() {
            return Ok(Bitmaps::default());
        }
        Ok(self.packs.bitmaps(&self.stores).clone())
    }

    fn entries(&self, pack: u32) -> io::Result<Option<Arc<dyn Entries>>> {
        Ok(Some(self.packs.pack(pack)?))
    }

    fn entry_place(&self, id: &oid) -> io::Result<Option<(u32, u32)>> {
        Ok(self.packs.entry_place(id, &self.stores))
    }

    fn entry_offset(&self, id: &oid) -> io::Result<Option<(u32, u64)>> {
        Ok(self.packs.entry_offset(id, &self.stores))
    }

    fn tree_depth_max(&self) -> usize {
        self.tree_depth_max
    }

    fn open_stream(&self, id: &oid) -> io::Result<Option<Box<dyn Read + '_>>> {
        if let Some(location) = self.packs.locate(id, &self.stores)
            && matches!(location.content, Stored::Whole(_))
        {
            let pack = self.packs.pack(location.pack)?;
            let stream = ZlibDecoder::new(EntryBytes { pack, location, used: 0 });
            return Ok(Some(Box::new(Measured { stream, left: location.size })));
        }
        if let Some(loose) = self.open_loose(id)? {
            return Ok(Some(Box::new(loose)));
        }
        let mut content = Vec::new();
        let found = Bases::find(self, id, &mut content)?;
        Ok(found.map(|_| Box::new(io::Cursor::new(content)) as Box<dyn Read>))
    }
}

impl Objects {
    fn open_loose(&self, id: &oid) -> io::Result<Option<Measured<ZlibDecoder<BufReader<File>>>>> {
        let name = id.to_hex().to_string();
        let Some((first, rest)) = name.split_at_checked(2) else { return Ok(None) };
        for directory in self.stores.directories() {
            match File::open(directory.join(first).join(rest)) {
                Ok(file) => return open_loose_file(file).map(Some),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

/// A reader of the object's content, behind its header `<kind> <size>NUL`.
fn open_loose_file(file: File) -> io::Result<Measured<ZlibDecoder<BufReader<File>>>> {
    let mut stream = ZlibDecoder::new(BufReader::new(file));
    let mut header = Vec::new();
    let mut byte = [0];
    while header.len() < LOOSE_HEADER_MAX {
        stream.read_exact(&mut byte)?;
        match byte {
            [0] => break,
            [byte] => header.push(byte),
        }
    }
    let size = std::str::from_utf8(&header).ok().and_then(|header| header.split_once(' ')?.1.parse().ok());
    let left =
        size.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unable to parse object header"))?;
    Ok(Measured { stream, left })
}

/// Content of a size that was told before; less or more of it is an error.
struct Measured<R> {
    stream: R,
    left: u64,
}

impl<R: Read> Read for Measured<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        let is_short = count == 0 && !buffer.is_empty() && self.left > 0;
        match self.left.checked_sub(count as u64) {
            Some(left) if !is_short => self.left = left,
            _ => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "object has another size than its header says",
                ));
            }
        }
        Ok(count)
    }
}

/// The zlib stream of an entry, read where it is mapped.
struct EntryBytes {
    pack: Arc<Pack>,
    location: Location,
    used: usize,
}

impl BufRead for EntryBytes {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(self.pack.stream(&self.location)?.get(self.used..).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.used = self.used.saturating_add(amount);
        self.pack.was_read(amount);
    }
}

impl Read for EntryBytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}
