//! One table: a file that never changes.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use bstr::{BStr, ByteSlice};
use flate2::{Decompress, FlushDecompress, Status};

use super::block::{BLOCK_HEADER_LEN, Block, Place};
use super::record::{Record, log_key};
use super::{INDEX, LOGS, LogRecord, MAGIC, RefRecord, broken, header_len};
use crate::repo::Error;

/// The five positions and the checksum that a footer has more than a header.
const FOOTER_MORE_LEN: usize = 5 * 8 + 4;

/// The most levels of an index that are gone down; each has hundreds of times the blocks of the one above.
const INDEX_LEVELS_MAX: usize = 8;

/// A table that is open.
pub(super) struct Table {
    path: PathBuf,
    data: Data,
    object_hash: gix_hash::Kind,
    /// Blocks begin at multiples of this; 0 if they stand one behind the other.
    block_size: usize,
    pub min_update_index: u64,
    pub max_update_index: u64,
    /// Where the parts begin; `None` for those that are not there.
    ref_index: Option<usize>,
    logs: Option<usize>,
    log_index: Option<usize>,
    /// Where the footer begins.
    end: usize,
}

enum Data {
    Map(memmap2::Mmap),
    /// Where mapping is not wise.
    Owned(Vec<u8>),
}

impl Table {
    /// Opens the table at `path`; `None` if there is no such file.
    pub(super) fn open(path: &Path, object_hash: gix_hash::Kind) -> Result<Option<Self>, Error> {
        let data = match Data::open(path) {
            Ok(data) => data,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::Io { action: "unable to open", path: path.to_owned(), source }),
        };
        Self::parse(path.to_owned(), data, object_hash).map(Some)
    }

    fn parse(path: PathBuf, data: Data, object_hash: gix_hash::Kind) -> Result<Self, Error> {
        let header_len = header_len(object_hash);
        let bytes = data.bytes();
        let end = bytes.len().checked_sub(header_len + FOOTER_MORE_LEN).filter(|end| *end >= header_len);
        let end = end.ok_or_else(|| broken(&path, "it is too short"))?;
        let (header, footer) = (bytes.get(..header_len), bytes.get(end..).unwrap_or_default());
        if header != footer.get(..header_len) {
            return Err(broken(&path, "its header and its footer differ"));
        }
        check_version(&path, footer, object_hash)?;
        let (summed, sum) = footer.split_last_chunk::<4>().unwrap_or((footer, &[0; 4]));
        if crc32fast::hash(summed) != u32::from_be_bytes(*sum) {
            return Err(broken(&path, "the checksum of its footer is wrong"));
        }
        let number = |at: usize| {
            let bytes = footer.get(at..).and_then(|rest| rest.first_chunk::<8>());
            bytes.map_or(0, |bytes| u64::from_be_bytes(*bytes))
        };
        let place = |at: usize| {
            let place = usize::try_from(number(header_len + at * 8)).ok();
            place.filter(|place| (1..end).contains(place))
        };
        // the first three bytes are those of the length of blocks, behind the version
        let block_size = usize::try_from(number(1) >> 8 & 0xff_ffff).unwrap_or_default();
        let (ref_index, logs, log_index) = (place(0), place(3), place(4));
        let (min_update_index, max_update_index) = (number(8), number(16));
        let starts_with_logs = end > header_len && bytes.get(header_len) == Some(&LOGS);
        let logs = logs.or(starts_with_logs.then_some(0));
        Ok(Self {
            path,
            data,
            object_hash,
            block_size,
            min_update_index,
            max_update_index,
            ref_index,
            logs,
            log_index,
            end,
        })
    }

    /// Its length in bytes.
    pub(super) fn len(&self) -> usize {
        self.data.bytes().len()
    }

    /// How long its blocks are, below 2^24; 0 where they have no common length.
    pub(super) fn block_size(&self) -> u32 {
        u32::try_from(self.block_size).unwrap_or(0)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The refs from the first that is not before `name`.
    pub(super) fn refs(&self, name: &BStr) -> Result<Scan<'_, RefRecord>, Error> {
        self.scan(Some(0), self.ref_index, name)
    }

    /// The lines of reflogs from the first, that is the newest, of `name`.
    pub(super) fn logs(&self, name: &BStr) -> Result<Scan<'_, LogRecord>, Error> {
        self.scan(self.logs, self.log_index, log_key(name, u64::MAX).as_bstr())
    }

    fn scan<R: Record>(
        &self,
        first: Option<usize>,
        index: Option<usize>,
        key: &BStr,
    ) -> Result<Scan<'_, R>, Error> {
        let mut scan = Scan { table: self, block: None, next: first, kind: PhantomData };
        if key.is_empty() {
            return Ok(scan);
        }
        if let Some(index) = index {
            scan.next = self.search_index::<R>(index, key)?;
        }
        scan.seek(key)?;
        Ok(scan)
    }

    /// Where the block begins that has the first record of `R` not before `key`.
    fn search_index<R: Record>(&self, index: usize, key: &BStr) -> Result<Option<usize>, Error> {
        let mut at = index;
        for _ in 0..INDEX_LEVELS_MAX {
            let mut ahead = Some(at);
            let found = loop {
                let Some((block, next)) = ahead.map_or(Ok(None), |at| self.block(at, INDEX))? else {
                    return Ok(None);
                };
                match block.find_position(key).ok_or_else(|| self.broken("a block of an index"))? {
                    Some(position) => break position,
                    None => ahead = Some(next),
                }
            };
            // what is below a level stands before it
            let found = usize::try_from(found).ok().filter(|found| *found < at);
            at = found.ok_or_else(|| self.broken("a position in an index"))?;
            if self.kind_at(at) == Some(R::BLOCK) {
                return Ok(Some(at));
            }
        }
        Err(self.broken("an index leads nowhere"))
    }

    /// The kind of the block at `at`.
    fn kind_at(&self, at: usize) -> Option<u8> {
        let header = if at == 0 { header_len(self.object_hash) } else { at };
        self.data.bytes().get(..self.end)?.get(header).copied()
    }

    /// The block at `at` and where the next one begins; `None` if there is no such block of `kind`.
    fn block(&self, at: usize, kind: u8) -> Result<Option<(Block<'_>, usize)>, Error> {
        if self.kind_at(at) != Some(kind) {
            return Ok(None);
        }
        let before = if at == 0 { header_len(self.object_hash) } else { 0 };
        let parsed = if kind == LOGS { self.log_block(at, before) } else { self.plain_block(at, before) };
        parsed.map(Some).ok_or_else(|| self.broken(&format!("the block at {at}")))
    }

    fn plain_block(&self, at: usize, before: usize) -> Option<(Block<'_>, usize)> {
        let rest = self.data.bytes().get(at..self.end)?;
        let bytes = rest.get(..self.block_len(at, before)?)?;
        // a block that is shorter than others may be filled up with NULs, which are no kind of block
        let is_padded = self.block_size > bytes.len() && rest.get(bytes.len()) == Some(&0);
        let len = if is_padded { self.block_size } else { bytes.len() };
        let block = self.parsed(Cow::Borrowed(bytes), before)?;
        Some((block, at.checked_add(len)?))
    }

    fn log_block(&self, at: usize, before: usize) -> Option<(Block<'_>, usize)> {
        let start = before + BLOCK_HEADER_LEN;
        let len = self.block_len(at, before)?;
        let header = self.data.bytes().get(at..at.checked_add(start)?)?;
        let packed = self.data.bytes().get(at + start..self.end)?;
        // one more, so that the end of the stream is met where it should be
        let mut bytes = Vec::with_capacity(len + 1);
        bytes.extend_from_slice(header);
        let mut inflate = Decompress::new(true);
        let status = inflate.decompress_vec(packed, &mut bytes, FlushDecompress::Finish).ok()?;
        let is_whole = bytes.len() == len && status == Status::StreamEnd;
        let used = usize::try_from(inflate.total_in()).ok().filter(|_| is_whole)?;
        let block = self.parsed(Cow::Owned(bytes), before)?;
        Some((block, at + start + used))
    }

    /// How long the block at `at` is, unpacked.
    fn block_len(&self, at: usize, before: usize) -> Option<usize> {
        let field = self.data.bytes().get(at.checked_add(before)? + 1..)?;
        let [high, middle, low] = *field.first_chunk::<3>()?;
        let len = u32::from_be_bytes([0, high, middle, low]) as usize;
        (len >= before + BLOCK_HEADER_LEN).then_some(len)
    }

    fn parsed<'a>(&self, bytes: Cow<'a, [u8]>, before: usize) -> Option<Block<'a>> {
        Block::new(bytes, before + BLOCK_HEADER_LEN, self.object_hash, self.min_update_index)
    }

    fn broken(&self, what: &str) -> Error {
        broken(&self.path, what)
    }
}

/// Refuses what is no table of this version and hash function.
fn check_version(path: &Path, footer: &[u8], object_hash: gix_hash::Kind) -> Result<(), Error> {
    if !footer.starts_with(MAGIC) {
        return Err(broken(path, "it is no reftable"));
    }
    let hash = footer.get(24..28).unwrap_or_default();
    match (footer.get(4), object_hash) {
        (Some(1), gix_hash::Kind::Sha1) => Ok(()),
        (Some(2), gix_hash::Kind::Sha256) if hash == b"s256" => Ok(()),
        _ => Err(broken(path, "its version or its hash function is another")),
    }
}

impl Data {
    fn open(path: &Path) -> io::Result<Self> {
        if cfg!(windows) {
            // a mapped file cannot be removed there
            return std::fs::read(path).map(Self::Owned);
        }
        let file = File::open(path)?;
        if file.metadata()?.len() == 0 {
            return Ok(Self::Owned(Vec::new()));
        }
        // SAFETY: a table never changes once `tables.list` names it, so the mapped bytes stay as they are.
        #[expect(unsafe_code, reason = "a file is mapped")]
        let map = unsafe { memmap2::Mmap::map(&file)? };
        Ok(Self::Map(map))
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Map(map) => map,
            Self::Owned(bytes) => bytes,
        }
    }
}

/// The records of one kind in a table, in their order.
pub(super) struct Scan<'t, R> {
    table: &'t Table,
    block: Option<(Block<'t>, Place)>,
    /// Where the next block begins.
    next: Option<usize>,
    kind: PhantomData<R>,
}

impl<R: Record> Scan<'_, R> {
    /// The next record.
    pub(super) fn next(&mut self) -> Result<Option<R>, Error> {
        loop {
            if let Some((block, place)) = &mut self.block
                && let Some(record) = block.next(place).ok_or_else(|| self.table.broken("a record"))?
            {
                return Ok(Some(record));
            }
            if !self.open_block()? {
                return Ok(None);
            }
        }
    }

    /// Moves to the first record that is not before `key`.
    fn seek(&mut self, key: &BStr) -> Result<(), Error> {
        while self.open_block()? {
            let Some((block, place)) = &mut self.block else { break };
            *place = block.seek::<R>(key).ok_or_else(|| self.table.broken("a record"))?;
            let found = block.next::<R>(&mut place.clone()).ok_or_else(|| self.table.broken("a record"))?;
            if found.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// Goes on to the next block, if there is one.
    fn open_block(&mut self) -> Result<bool, Error> {
        let opened = self.next.map_or(Ok(None), |at| self.table.block(at, R::BLOCK))?;
        let is_open = opened.is_some();
        (self.block, self.next) = match opened {
            Some((block, next)) => {
                let first = block.first();
                (Some((block, first)), Some(next))
            }
            None => (None, None),
        };
        Ok(is_open)
    }
}
