//! Reading an index, gitformat-index(5) versions 2 to 4, as far as a plain one goes.

use std::path::Path;

use bstr::{BString, ByteSlice};
use gix_hash::ObjectId;

use super::{Entry, Mode, Stat};
use crate::repo::Error;

/// The numbers of an entry before its id, in bytes: ten of four bytes each.
const NUMBERS_LEN: usize = 40;
/// The flags: assume-valid, extended, two bits of the stage, twelve of the length.
const FLAGS_SPECIAL: u16 = 0xF000;
const FLAG_EXTENDED: u16 = 0x4000;

/// An index.
#[derive(Debug, Default)]
pub struct Plain {
    /// What it has.
    pub entries: Vec<Entry>,
    /// Whether it is of version 4; `None` if it was not there.
    pub shortens_paths: Option<bool>,
}

/// Reads the index at `path`; one that is not there is empty. `None` if it holds what would be lost if only its entries
/// were written again: conflicts, flags, a sparse or split index.
pub fn read(path: &Path, kind: gix_hash::Kind) -> Result<Option<Plain>, Error> {
    let failed = |source| Error::Io { action: "unable to read", path: path.to_owned(), source };
    let data = match std::fs::read(path) {
        Ok(data) => data,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Some(Plain::default())),
        Err(error) => return Err(failed(error)),
    };
    decode(&data, kind).ok_or_else(|| Error::Object("index file corrupt".to_owned()))
}

/// What the index `data` holds; the outer `None` says that it is broken, the inner one that it is no plain one.
#[expect(clippy::option_option, reason = "broken and special are two things")]
pub fn decode(data: &[u8], kind: gix_hash::Kind) -> Option<Option<Plain>> {
    let (content, trailer) = data.split_at_checked(data.len().checked_sub(kind.len_in_bytes())?)?;
    let trailer = ObjectId::try_from(trailer).ok()?;
    if !trailer.is_null() {
        // index.skipHash leaves it out
        let mut hasher = gix_hash::hasher(kind);
        hasher.update(content);
        (hasher.try_finalize().ok()? == trailer).then_some(())?;
    }
    let mut reader = Reader { rest: content, kind, previous: BString::default(), version: 0 };
    (reader.take(4)? == b"DIRC").then_some(())?;
    reader.version = reader.number()?;
    if !(2..=4).contains(&reader.version) {
        return Some(None);
    }
    let count = reader.number()?;
    let mut entries: Vec<Entry> = Vec::new();
    for _ in 0..count {
        let Some(entry) = reader.entry()? else { return Some(None) };
        entries.push(entry);
    }
    while !reader.rest.is_empty() {
        let is_optional = reader.take(4)?.first()?.is_ascii_uppercase();
        let len = usize::try_from(reader.number()?).ok()?;
        reader.take(len)?;
        if !is_optional {
            return Some(None);
        }
    }
    // of a split index, which one of the extensions tells of, this need not be true
    let is_sorted = entries.is_sorted_by(|one, next| one.path < next.path);
    let is_named = entries.iter().all(|entry| !entry.path.is_empty());
    let shortens_paths = Some(reader.version == 4);
    (is_sorted && is_named).then_some(Some(Plain { entries, shortens_paths }))
}

struct Reader<'a> {
    rest: &'a [u8],
    kind: gix_hash::Kind,
    /// The path of the entry before, which version 4 builds on.
    previous: BString,
    version: u32,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_be_bytes)
    }

    /// One entry; the inner `None` says that it is no plain one.
    #[expect(clippy::option_option, reason = "broken and special are two things")]
    fn entry(&mut self) -> Option<Option<Entry>> {
        let before = self.rest.len();
        let mut numbers = [0_u32; NUMBERS_LEN / 4];
        for number in &mut numbers {
            *number = self.number()?;
        }
        let [ctime, ctime_ns, mtime, mtime_ns, device, inode, mode, user, group, size] = numbers;
        let id = ObjectId::try_from(self.take(self.kind.len_in_bytes())?).ok()?;
        let flags = u16::from_be_bytes(self.take(2)?.try_into().ok()?);
        let extended =
            if flags & FLAG_EXTENDED == 0 { 0 } else { u16::from_be_bytes(self.take(2)?.try_into().ok()?) };
        let path = self.path()?;
        if self.version < 4 {
            let len = before - self.rest.len();
            // one to eight zero bytes, of which the path's own end is one
            self.take((len - 1 + 8) / 8 * 8 - len)?;
        }
        self.previous.clone_from(&path);
        let mode = match mode {
            0o100_644 => Mode::File,
            0o100_755 => Mode::Executable,
            0o120_000 => Mode::Symlink,
            0o160_000 => Mode::Gitlink,
            _ => return Some(None),
        };
        if flags & (FLAGS_SPECIAL & !FLAG_EXTENDED) != 0 || extended != 0 {
            return Some(None);
        }
        let stat = Stat {
            ctime: (ctime, ctime_ns),
            mtime: (mtime, mtime_ns),
            device_inode: (device, inode),
            owner: (user, group),
            size,
        };
        Some(Some(Entry { path, mode, id, stat, is_skipped: false }))
    }

    /// The path with its zero byte; in version 4 it begins as the one before.
    fn path(&mut self) -> Option<BString> {
        let mut path = BString::default();
        if self.version == 4 {
            let removed = self.varint()?;
            path.extend_from_slice(self.previous.get(..self.previous.len().checked_sub(removed)?)?);
        }
        let end = self.rest.find_byte(0)?;
        path.extend_from_slice(self.take(end)?);
        self.take(1)?;
        Some(path)
    }

    /// A number of variable length, as offsets in packs have it.
    fn varint(&mut self) -> Option<usize> {
        let mut byte = *self.take(1)?.first()?;
        let mut value = usize::from(byte & 0x7F);
        while byte & 0x80 != 0 {
            byte = *self.take(1)?.first()?;
            value = value.checked_add(1)?.checked_mul(0x80)?.checked_add(usize::from(byte & 0x7F))?;
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Layout, encode};
    use super::*;

    fn entry(path: &str) -> Entry {
        let id = ObjectId::empty_blob(gix_hash::Kind::Sha1);
        let stat = Stat { ctime: (1, 2), mtime: (3, 4), device_inode: (5, 6), owner: (7, 8), size: 9 };
        Entry { path: path.into(), mode: Mode::Executable, id, stat, is_skipped: false }
    }

    #[test]
    fn what_was_written_is_read_again_and_nothing_else() {
        let kind = gix_hash::Kind::Sha1;
        let long = format!("long/{}", "enough/to/need/two/bytes/".repeat(700));
        let names = ["a", "b/c", "b/cdefghi", "long/enough/to/need/another/line", &long, "z"];
        let entries: Vec<Entry> = names.map(entry).into();
        let rows = |entries: &[Entry]| {
            let row = |entry: &Entry| (entry.path.clone(), entry.mode, entry.id, entry.stat);
            entries.iter().map(row).collect::<Vec<_>>()
        };
        for shortens_paths in [false, true] {
            let layout = Layout { shortens_paths, skips_hash: false };
            let data = encode(&entries, &[], kind, layout).unwrap();
            let found = decode(&data, kind).unwrap().unwrap();
            assert_eq!(rows(&found.entries), rows(&entries));
            assert_eq!(found.shortens_paths, Some(shortens_paths));
            let data = encode(&entries[..4], &[], kind, layout).unwrap();
            for len in 0..data.len() {
                assert!(decode(&data[..len], kind).is_none(), "cut at {len}");
            }
            for at in 0..data.len() {
                let mut broken = data.clone();
                broken[at] ^= 1;
                assert!(decode(&broken, kind).is_none(), "changed at {at}");
            }
            let unchecked = encode(&entries, &[], kind, Layout { skips_hash: true, ..layout }).unwrap();
            assert!(unchecked.ends_with(&[0; 20]));
            assert!(decode(&unchecked, kind).unwrap().is_some());
        }
    }
}
