//! Making a table.

use std::io::{self, Write};

use bstr::BString;
use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::block::{BLOCK_HEADER_LEN, NewBlock};
use super::record::{IndexRecord, Record};
use super::{LOGS, LogRecord, MAGIC, RefRecord, Settings};

/// So many blocks of refs are found without an index.
const UNINDEXED_REF_BLOCKS_MAX: usize = 3;

/// A second block of logs asks for an index.
const UNINDEXED_LOG_BLOCKS_MAX: usize = 1;

/// The most bytes of a block: its length has 24 bits. An index is as long as it has to be.
const BLOCK_LEN_MAX: usize = 0xff_ffff;

/// A table that comes to be in memory: records of refs in the order of their names, then those of reflogs in the order of
/// their keys.
pub(super) struct NewTable<'a> {
    settings: &'a Settings,
    header: Vec<u8>,
    min_update_index: u64,
    bytes: Vec<u8>,
    refs: Section,
    logs: Section,
}

/// The blocks of one kind.
#[derive(Default)]
struct Section {
    /// The one that is being filled.
    block: Option<NewBlock>,
    index: Vec<IndexRecord>,
    /// Where the index is, once there is one.
    index_at: Option<u64>,
}

/// A record does not fit into a block.
#[derive(Debug)]
pub(super) struct TooLong;

impl<'a> NewTable<'a> {
    /// A table without records that tells of the changes of `update_indices`.
    pub(super) fn new(
        object_hash: gix_hash::Kind,
        settings: &'a Settings,
        update_indices: (u64, u64),
    ) -> Self {
        let is_sha1 = object_hash == gix_hash::Kind::Sha1;
        let mut header = MAGIC.to_vec();
        let version = if is_sha1 { 1 } else { 2 };
        header.extend_from_slice(&(version << 24 | settings.block_size).to_be_bytes());
        header.extend_from_slice(&update_indices.0.to_be_bytes());
        header.extend_from_slice(&update_indices.1.to_be_bytes());
        if !is_sha1 {
            header.extend_from_slice(b"s256");
        }
        let (refs, logs) = Default::default();
        Self { settings, header, min_update_index: update_indices.0, bytes: Vec::new(), refs, logs }
    }

    /// Adds a ref, whose name comes after all others.
    pub(super) fn add_ref(&mut self, record: &RefRecord) -> Result<(), TooLong> {
        let mut section = std::mem::take(&mut self.refs);
        let outcome = self.add(&mut section, record);
        self.refs = section;
        outcome
    }

    /// Adds a line of a reflog, whose key comes after all others.
    pub(super) fn add_log(&mut self, record: &LogRecord) -> Result<(), TooLong> {
        let mut section = std::mem::take(&mut self.logs);
        if section.block.is_none() {
            self.end_refs();
        }
        let outcome = self.add(&mut section, record);
        self.logs = section;
        outcome
    }

    /// The whole table; `None` if it has no record.
    pub(super) fn finish(mut self) -> Option<Vec<u8>> {
        self.end_refs();
        let mut logs = std::mem::take(&mut self.logs);
        self.end_section::<LogRecord>(&mut logs, UNINDEXED_LOG_BLOCKS_MAX);
        let has_refs = !self.refs.index.is_empty();
        let first_log = logs.index.first().map(|first| first.position);
        if !has_refs && first_log.is_none() {
            return None;
        }
        let mut footer = self.header.clone();
        for position in [self.refs.index_at, None, None, first_log, logs.index_at] {
            footer.extend_from_slice(&position.unwrap_or(0).to_be_bytes());
        }
        footer.extend_from_slice(&crc32fast::hash(&footer).to_be_bytes());
        self.bytes.extend_from_slice(&footer);
        Some(self.bytes)
    }

    fn add<R: Record>(&mut self, section: &mut Section, record: &R) -> Result<(), TooLong> {
        if let Some(block) = &mut section.block {
            if block.add(record, self.min_update_index) {
                return Ok(());
            }
            self.end_block::<R>(section);
        }
        let mut block = self.new_block(R::BLOCK, self.settings.block_size as usize);
        let fits = block.add(record, self.min_update_index);
        section.block = Some(block).filter(|_| fits);
        if fits { Ok(()) } else { Err(TooLong) }
    }

    fn new_block(&self, kind: u8, len_max: usize) -> NewBlock {
        let before = if self.bytes.is_empty() { self.header.as_slice() } else { &[] };
        NewBlock::new(kind, before, len_max, self.settings.restart_interval)
    }

    /// Puts the block of `section` behind the others.
    fn end_block<R: Record>(&mut self, section: &mut Section) {
        let Some(block) = section.block.take().filter(|block| !block.is_empty()) else { return };
        let (bytes, header, last) = block.finish();
        let position = self.position(R::BLOCK);
        if R::BLOCK == LOGS {
            let (header, records) = bytes.split_at(header + BLOCK_HEADER_LEN);
            self.bytes.extend_from_slice(header);
            self.bytes.extend_from_slice(&deflated(records).unwrap_or_default());
        } else {
            self.bytes.extend_from_slice(&bytes);
        }
        section.index.push(IndexRecord { last: last.into(), position });
    }

    /// Where the next block of `kind` begins: logs stand close to what is before them.
    fn position(&mut self, kind: u8) -> u64 {
        if kind != LOGS {
            let len = self.bytes.len().next_multiple_of(self.settings.block_size as usize);
            self.bytes.resize(len, 0);
        }
        self.bytes.len() as u64
    }

    fn end_refs(&mut self) {
        let mut section = std::mem::take(&mut self.refs);
        self.end_section::<RefRecord>(&mut section, UNINDEXED_REF_BLOCKS_MAX);
        self.refs = section;
    }

    /// Writes the last block of `section`, and an index if there are more than `unindexed_max`.
    fn end_section<R: Record>(&mut self, section: &mut Section, unindexed_max: usize) {
        self.end_block::<R>(section);
        if section.index_at.is_some() || section.index.len() <= unindexed_max {
            return;
        }
        let mut level = section.index.clone();
        while level.len() > 1 {
            let mut blocks = Section::default();
            for record in &level {
                let added = match &mut blocks.block {
                    Some(block) => block.add(record, 0),
                    None => false,
                };
                if !added {
                    self.end_block::<IndexRecord>(&mut blocks);
                    let mut block = self.new_block(IndexRecord::BLOCK, BLOCK_LEN_MAX);
                    block.add(record, 0);
                    blocks.block = Some(block);
                }
            }
            self.end_block::<IndexRecord>(&mut blocks);
            level = blocks.index;
        }
        section.index_at = level.first().map(|root| root.position);
    }
}

fn deflated(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// The name of a table that tells of the changes from `min` to `max`, which no other has.
pub(super) fn file_name(min: u64, max: u64, random: u64) -> BString {
    format!("0x{min:012x}-0x{max:012x}-{random:08x}.ref").into()
}
