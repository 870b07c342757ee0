//! `packed-refs`: one line `<id> <name>` for each ref, `^<id>` below a line whose tag was peeled
//! (git-pack-refs(1); header traits as seen in git 2.47.3).

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bstr::{BStr, ByteSlice};
use gix_hash::ObjectId;

use super::{Reference, Target};
use crate::repo::Error;
use crate::text;

/// The header that git writes since 1.8.
const HEADER: &[u8] = b"# pack-refs with: peeled fully-peeled sorted \n";

/// The file as it was when it was opened.
pub(super) struct Packed {
    path: PathBuf,
    data: Data,
    /// Where the lines begin, in bytes.
    start: usize,
    object_hash: gix_hash::Kind,
    /// Whether a ref without peeled line is known to be no tag.
    pub fully_peeled: bool,
}

enum Data {
    Empty,
    Map(memmap2::Mmap),
    /// Where mapping is not wise, or the lines had to be sorted.
    Owned(Vec<u8>),
}

/// One ref, borrowed from the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub name: &'a BStr,
    pub id: ObjectId,
    pub peeled: Option<ObjectId>,
}

impl Packed {
    /// Opens the file at `path`; an absent one has no refs.
    pub(super) fn open(path: &Path, object_hash: gix_hash::Kind) -> Result<Self, Error> {
        let data = Data::open(path).map_err(|source| Error::Io {
            action: "unable to open",
            path: path.to_owned(),
            source,
        })?;
        let mut packed = Self { path: path.to_owned(), data, start: 0, object_hash, fully_peeled: false };
        let bytes = packed.data.bytes();
        let mut sorted = bytes.is_empty();
        if bytes.starts_with(b"#") {
            packed.start = bytes.find_byte(b'\n').map_or(bytes.len(), |end| end + 1);
            let header = bytes.get(..packed.start).unwrap_or_default();
            let traits = header.strip_prefix(b"# pack-refs with:").unwrap_or_default();
            let has = |name: &[u8]| traits.fields().any(|field| field == name);
            sorted = has(b"sorted");
            packed.fully_peeled = has(b"fully-peeled");
        }
        if !sorted {
            packed.sort()?;
        }
        Ok(packed)
    }

    /// No packed refs at all.
    pub(super) fn none(object_hash: gix_hash::Kind) -> Self {
        Self { path: PathBuf::new(), data: Data::Empty, start: 0, object_hash, fully_peeled: false }
    }

    /// Whether there is no ref at all.
    pub(super) fn is_empty(&self) -> bool {
        self.data.bytes().len() <= self.start
    }

    /// The ref `name`, by binary search.
    pub(super) fn find(&self, name: &BStr) -> Result<Option<Reference>, Error> {
        let Some(entry) = self.entries_from(name).next().transpose()? else { return Ok(None) };
        Ok((entry.name == name).then(|| entry.to_reference()))
    }

    /// The id of the ref `name`.
    pub(super) fn find_id(&self, name: &BStr) -> Result<Option<ObjectId>, Error> {
        let entry = self.entries_from(name).next().transpose()?;
        Ok(entry.filter(|entry| entry.name == name).map(|entry| entry.id))
    }

    /// Whether there is a ref `name`.
    pub(super) fn contains(&self, name: &BStr) -> Result<bool, Error> {
        Ok(self.entries_from(name).next().transpose()?.is_some_and(|entry| entry.name == name))
    }

    /// All refs in order.
    pub(super) fn entries(&self) -> Entries<'_> {
        Entries { packed: self, rest: self.data.bytes().get(self.start..).unwrap_or_default() }
    }

    /// The refs in order, from the first that is not before `name`.
    pub(super) fn entries_from(&self, name: &BStr) -> Entries<'_> {
        let bytes = self.data.bytes().get(self.start..).unwrap_or_default();
        let mut low = 0;
        let mut high = bytes.len();
        while low < high {
            let line = entry_start(bytes, low, low + (high - low) / 2);
            let (next, line_name) = self.line_at(bytes, line);
            if line_name < name {
                low = next;
            } else {
                high = line;
            }
        }
        Entries { packed: self, rest: bytes.get(low..).unwrap_or_default() }
    }

    /// The name of `length` bytes that begins at `offset`, which [`Entries::name_offset`] has told.
    pub(super) fn name_at(&self, offset: usize, length: usize) -> &BStr {
        let name = self.data.bytes().get(offset..offset + length);
        name.unwrap_or_default().as_bstr()
    }

    /// The id of the ref whose name begins at `offset`.
    pub(super) fn id_before(&self, offset: usize) -> Option<ObjectId> {
        let end = offset.checked_sub(1)?;
        let start = end.checked_sub(self.object_hash.len_in_hex())?;
        text::id_of_hex(self.data.bytes().get(start..end)?)
    }

    /// About how many refs begin with `prefix`, for whoever makes room for them.
    pub(super) fn count(&self, prefix: &BStr) -> usize {
        /// Longer than most.
        const NAME_LEN: usize = 20;
        let mut next = prefix.to_owned();
        if let Some(last) = next.last_mut() {
            *last = last.saturating_add(1);
        }
        let from = self.entries_from(prefix).rest.len();
        let behind = if prefix.is_empty() { 0 } else { self.entries_from(next.as_bstr()).rest.len() };
        from.saturating_sub(behind) / (self.object_hash.len_in_hex() + NAME_LEN)
    }

    /// Where the entry after the one at `line` begins, and the name in the line.
    fn line_at<'a>(&self, bytes: &'a [u8], line: usize) -> (usize, &'a BStr) {
        let tail = bytes.get(line..).unwrap_or_default();
        let end = tail.find_byte(b'\n').unwrap_or(tail.len());
        let name = tail.get(self.object_hash.len_in_hex() + 1..end).unwrap_or_default();
        let mut next = end + 1;
        while tail.get(next) == Some(&b'^') {
            let peeled = tail.get(next..).unwrap_or_default();
            next += peeled.find_byte(b'\n').map_or(peeled.len(), |end| end + 1);
        }
        ((line + next).min(bytes.len()), name.as_bstr())
    }

    /// Puts the lines of a file of an old git in order.
    fn sort(&mut self) -> Result<(), Error> {
        let mut entries = self.entries().collect::<Result<Vec<_>, _>>()?;
        if entries.is_sorted_by_key(|entry| entry.name) {
            return Ok(());
        }
        entries.sort_by_key(|entry| entry.name);
        let mut sorted = Vec::with_capacity(self.data.bytes().len());
        for entry in entries {
            entry.push_to(&mut sorted);
        }
        self.start = 0;
        self.data = Data::Owned(sorted);
        Ok(())
    }

    fn bad_line(&self, kind: &str, line: &[u8]) -> Error {
        Error::Reference(format!("{kind} line in {}: {}", self.path.display(), line.as_bstr()))
    }
}

impl Data {
    fn open(path: &Path) -> io::Result<Self> {
        let file = match std::fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::Empty),
            Err(error) => return Err(error),
        };
        if file.metadata()?.len() == 0 {
            return Ok(Self::Empty);
        }
        if cfg!(windows) {
            // a mapped file cannot be replaced there
            return std::fs::read(path).map(Self::Owned);
        }
        // SAFETY: every git replaces packed-refs by a rename and changes it never in place, so the mapped bytes stay
        // as they are.
        #[expect(unsafe_code, reason = "a file is mapped")]
        let map = unsafe { memmap2::Mmap::map(&file)? };
        Ok(Self::Map(map))
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Empty => &[],
            Self::Map(map) => map,
            Self::Owned(bytes) => bytes,
        }
    }
}

/// Refs in the order of the file.
pub(super) struct Entries<'a> {
    packed: &'a Packed,
    rest: &'a [u8],
}

impl<'a> Entries<'a> {
    /// Where the name of the next ref begins, in bytes from the beginning of all.
    pub(super) fn name_offset(&self) -> usize {
        self.packed.data.bytes().len() - self.rest.len() + self.packed.object_hash.len_in_hex() + 1
    }

    fn line(&mut self) -> Result<&'a [u8], Error> {
        let Some(end) = self.rest.find_byte(b'\n') else {
            let line = std::mem::take(&mut self.rest);
            return Err(self.packed.bad_line("unterminated", line));
        };
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest.get(1..).unwrap_or_default();
        Ok(line)
    }

    fn entry(&mut self) -> Result<Entry<'a>, Error> {
        let line = self.line()?;
        let unexpected = |line| self.packed.bad_line("unexpected", line);
        let (hex, name) =
            line.split_at_checked(self.packed.object_hash.len_in_hex()).ok_or_else(|| unexpected(line))?;
        let id = text::id_of_hex(hex).ok_or_else(|| unexpected(line))?;
        let name = name.strip_prefix(b" ").ok_or_else(|| unexpected(line))?.as_bstr();
        let mut peeled = None;
        while self.rest.starts_with(b"^") {
            let line = self.line()?;
            let hex = line.get(1..).unwrap_or_default();
            peeled = Some(text::id_of_hex(hex).ok_or_else(|| self.packed.bad_line("unexpected", line))?);
        }
        Ok(Entry { name, id, peeled })
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let entry = self.entry();
        if entry.is_err() {
            self.rest = &[];
        }
        Some(entry)
    }
}

impl Entry<'_> {
    pub(super) fn to_reference(self) -> Reference {
        Reference { name: self.name.to_owned(), target: Target::Id(self.id), peeled: self.peeled }
    }

    /// Appends the lines of this ref.
    fn push_to(&self, out: &mut Vec<u8>) {
        text::push_hex(out, &self.id);
        out.push(b' ');
        out.extend_from_slice(self.name);
        out.push(b'\n');
        if let Some(peeled) = &self.peeled {
            out.push(b'^');
            text::push_hex(out, peeled);
            out.push(b'\n');
        }
    }
}

/// Writes a whole file; `entries` must be sorted by name and peeled where they are tags.
pub(super) fn write<'a>(out: &mut dyn Write, entries: impl Iterator<Item = Entry<'a>>) -> io::Result<()> {
    out.write_all(HEADER)?;
    let mut lines = Vec::new();
    for entry in entries {
        lines.clear();
        entry.push_to(&mut lines);
        out.write_all(&lines)?;
    }
    Ok(())
}

/// Merges `new` (sorted by name) into the refs of `old`; of two of one name the new one stays.
pub(super) fn merge<'a>(old: &'a Packed, new: Vec<Entry<'a>>) -> Result<Vec<Entry<'a>>, Error> {
    if old.is_empty() {
        return Ok(new);
    }
    let mut all = Vec::with_capacity(new.len());
    let mut new = new.into_iter().peekable();
    for entry in old.entries() {
        let entry = entry?;
        while let Some(ahead) = new.next_if(|new| new.name < entry.name) {
            all.push(ahead);
        }
        if new.peek().is_none_or(|new| new.name != entry.name) {
            all.push(entry);
        }
    }
    all.extend(new);
    Ok(all)
}

/// The start of the entry that the byte at `at` belongs to, not before `low`, which is the start of one.
fn entry_start(bytes: &[u8], low: usize, at: usize) -> usize {
    let mut line = at;
    loop {
        let before = bytes.get(low..line).unwrap_or_default();
        line = before.rfind_byte(b'\n').map_or(low, |newline| low + newline + 1);
        if line == low || bytes.get(line) != Some(&b'^') {
            return line;
        }
        line -= 1;
    }
}
