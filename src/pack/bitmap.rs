//! What commits reach, as it is known beforehand: `.bitmap` files. gitformat-bitmap(5).
//!
//! ```text
//! "BITM" version:u16 options:u16 commits:u32 checksum   of the pack, or of the multi-pack-index
//! bitmap × 4                                            which objects are commits, trees, blobs, tags
//! { position:u32 xor:u8 flags:u8 bitmap }*              what a commit reaches
//! [pseudo-merges] [lookup table] [name hashes] checksum
//! ```
//!
//! A bit stands for an object in the order of entries, a position for one in the order of ids. A file that is broken is
//! of no use, and nothing is lost but time: [`Broken`] says what git says of it. Whatever its bytes, reading takes no
//! more memory than a bit for each object and what the commits' places take.

mod bits;
mod ewah;

use gix_hash::{ObjectId, oid};
use gix_object::Kind;

pub use bits::Bits;
use ewah::Ewah;

/// The bytes before the checksum.
const HEAD_LEN: usize = 12;

/// The bytes of a commit's entry before its bitmap.
const ENTRY_HEAD_LEN: usize = 6;

/// The bytes of a row of the lookup table.
const ROW_LEN: usize = 16;

/// In the lookup table: no other bitmap has to be known.
const NO_ROW: u32 = u32::MAX;

/// The options of a file: every object that is named is there as well.
const FULL_DAG: u16 = 0x1;
/// There are name hashes.
const HASH_CACHE: u16 = 0x4;
/// There is a lookup table.
const LOOKUP_TABLE: u16 = 0x10;
/// There are pseudo-merges, which we do without.
const PSEUDO_MERGES: u16 = 0x20;

/// The kinds in the order of their bitmaps.
const KINDS: [Kind; 4] = [Kind::Commit, Kind::Tree, Kind::Blob, Kind::Tag];

/// The objects that the bits of a [`Bitmap`] stand for.
pub trait Indexed: Send + Sync {
    /// The bitmaps.
    fn bitmap(&self) -> &Bitmap;

    /// The place of `id` in the order of ids; `None` if no bit stands for it.
    fn position(&self, id: &oid) -> Option<u32>;

    /// The bit of the object at `position`.
    fn bit_at(&self, position: u32) -> Option<u32>;

    /// The place of the object of `bit` in the order of ids.
    fn position_of(&self, bit: u32) -> Option<u32>;

    /// The object at `position`.
    fn id_at(&self, position: u32) -> Option<ObjectId>;

    /// Where the entry of `bit` is: the pack, and its number in the order of entries there.
    fn entry(&self, bit: u32) -> Option<(u32, u32)>;

    /// The bit of `id`.
    fn bit(&self, id: &oid) -> Option<u32> {
        self.bit_at(self.position(id)?)
    }

    /// The object of `bit`.
    fn id(&self, bit: u32) -> Option<ObjectId> {
        self.id_at(self.position_of(bit)?)
    }
}

/// An opened file.
pub struct Bitmap {
    bytes: Box<dyn AsRef<[u8]> + Send + Sync>,
    /// How many objects there are.
    objects: u32,
    kinds: [Bits; 4],
    /// By position.
    rows: Vec<Row>,
    /// Where the name hashes are.
    name_hashes: Option<usize>,
}

/// The bitmap of a commit.
#[derive(Debug, Clone, Copy)]
struct Row {
    /// The position of the commit.
    position: u32,
    /// The row of the bitmap that this one is told by the difference to.
    base: u32,
    /// Where it begins.
    at: usize,
}

/// Why a file is of no use, in git's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// It ends before its head does.
    #[error("corrupted bitmap index (too small)")]
    TooSmall,
    /// It does not begin as it should.
    #[error("corrupted bitmap index file (wrong header)")]
    Signature,
    /// It is of a version that we do not know.
    #[error("unsupported version '{0}' for bitmap index file")]
    Version(u16),
    /// It promises less than we rely on, or has what we do not know.
    #[error("unsupported options for bitmap index file (Git requires BITMAP_OPT_FULL_DAG)")]
    Options,
    /// It belongs to another pack.
    #[error("checksum doesn't match in MIDX and bitmap")]
    Checksum,
    /// A bit of it was turned over since it was written.
    #[error("bitmap file has invalid checksum")]
    Trailer,
    /// It has no room for the name hashes that it promises.
    #[error("corrupted bitmap index file (too short to fit hash cache)")]
    HashCache,
    /// It has no room for the lookup table that it promises.
    #[error("corrupted bitmap index file (too short to fit lookup table)")]
    LookupTable,
    /// A bitmap goes on behind the end, or names another that is not there.
    #[error("corrupt ewah bitmap: truncated header for entry {0}")]
    Entry(usize),
}

impl Bitmap {
    /// Reads the file `bytes` of what has `objects` objects and the checksum `checksum`.
    pub fn open(
        bytes: Box<dyn AsRef<[u8]> + Send + Sync>,
        objects: u32,
        checksum: &oid,
    ) -> Result<Self, Broken> {
        let Parts { kinds, rows, name_hashes } = parse((*bytes).as_ref(), objects, checksum)?;
        Ok(Self { bytes, objects, kinds, rows, name_hashes })
    }

    /// How many bits there are.
    pub fn objects(&self) -> u32 {
        self.objects
    }

    /// The objects of `kind`.
    pub fn of_kind(&self, kind: Kind) -> &Bits {
        let [commits, trees, blobs, tags] = &self.kinds;
        match kind {
            Kind::Commit => commits,
            Kind::Tree => trees,
            Kind::Blob => blobs,
            Kind::Tag => tags,
        }
    }

    /// What the object of `bit` is.
    pub fn kind(&self, bit: u32) -> Option<Kind> {
        KINDS.into_iter().find(|kind| self.of_kind(*kind).get(bit))
    }

    /// The name hash of the object at `position`; 0 if it is not known.
    pub fn name_hash(&self, position: u32) -> u32 {
        let table = self.name_hashes.and_then(|begin| self.bytes().get(begin..)).unwrap_or_default();
        let hash = table.as_chunks().0.get(position as usize);
        hash.filter(|_| position < self.objects).map_or(0, |hash| u32::from_be_bytes(*hash))
    }

    /// Whether what the commit at `position` reaches is told.
    pub fn has(&self, position: u32) -> bool {
        self.rows.binary_search_by_key(&position, |row| row.position).is_ok()
    }

    /// Adds what the commit at `position` reaches, itself included, to `reached`; false if that is not told, or cannot be
    /// read. `scratch` is a set of the same limit.
    pub fn reach(&self, position: u32, reached: &mut Bits, scratch: &mut Bits) -> bool {
        let Ok(row) = self.rows.binary_search_by_key(&position, |row| row.position) else { return false };
        scratch.clear();
        if self.flip(row, scratch).is_none() {
            return false;
        }
        reached.add_all(scratch);
        true
    }

    /// Turns over the bits of a row, and those of the rows that it differs from.
    fn flip(&self, mut row: usize, bits: &mut Bits) -> Option<()> {
        // rows that name each other in a circle would never end
        for _ in 0..self.rows.len() {
            let Row { base, at, .. } = *self.rows.get(row)?;
            let mut rest = self.bytes().get(at..)?;
            Ewah::split_off(&mut rest)?.flip(bits)?;
            if base == NO_ROW {
                return Some(());
            }
            row = base as usize;
        }
        None
    }

    fn bytes(&self) -> &[u8] {
        (*self.bytes).as_ref()
    }
}

struct Parts {
    kinds: [Bits; 4],
    rows: Vec<Row>,
    name_hashes: Option<usize>,
}

fn parse(bytes: &[u8], objects: u32, checksum: &oid) -> Result<Parts, Broken> {
    let hash_len = checksum.as_bytes().len();
    let body_end = bytes.len().checked_sub(hash_len).filter(|end| *end >= HEAD_LEN + hash_len);
    let mut end = body_end.ok_or(Broken::TooSmall)?;
    let (head, rest) = bytes.split_first_chunk::<HEAD_LEN>().ok_or(Broken::TooSmall)?;
    let [b'B', b'I', b'T', b'M', v0, v1, o0, o1, count @ ..] = *head else { return Err(Broken::Signature) };
    let (version, options) = (u16::from_be_bytes([v0, v1]), u16::from_be_bytes([o0, o1]));
    let count = u32::from_be_bytes(count) as usize;
    if version != 1 {
        return Err(Broken::Version(version));
    }
    let known = FULL_DAG | HASH_CACHE | LOOKUP_TABLE | PSEUDO_MERGES;
    if options & FULL_DAG == 0 || options & !known != 0 {
        return Err(Broken::Options);
    }
    if !rest.starts_with(checksum.as_bytes()) {
        return Err(Broken::Checksum);
    }
    let begin = HEAD_LEN + hash_len;
    let mut name_hashes = None;
    if options & HASH_CACHE != 0 {
        end = section(begin, end, objects as usize, 4).ok_or(Broken::HashCache)?;
        name_hashes = Some(end);
    }
    let mut table = None;
    if options & LOOKUP_TABLE != 0 {
        let table_end = end;
        end = section(begin, end, count, ROW_LEN).ok_or(Broken::LookupTable)?;
        table = bytes.get(end..table_end);
    }
    let body = bytes.get(..end).ok_or(Broken::TooSmall)?;
    let mut rest = body.get(begin..).ok_or(Broken::TooSmall)?;
    let mut kinds = [(); 4].map(|()| Bits::new(objects));
    for kind in &mut kinds {
        Ewah::split_off(&mut rest).and_then(|ewah| ewah.flip(kind)).ok_or(Broken::Entry(0))?;
    }
    let rows = match table {
        Some(table) => rows_of_table(body, table),
        None => rows_in_turn(body.len() - rest.len(), body, count),
    };
    Ok(Parts { kinds, rows: rows?, name_hashes })
}

/// Where a table of `count` rows begins that ends at `end` and does not begin before `begin`.
fn section(begin: usize, end: usize, count: usize, row_len: usize) -> Option<usize> {
    end.checked_sub(count.checked_mul(row_len)?).filter(|at| *at >= begin)
}

/// The rows as the lookup table tells them.
fn rows_of_table(body: &[u8], table: &[u8]) -> Result<Vec<Row>, Broken> {
    let mut rows: Vec<Row> = Vec::new();
    for [p0, p1, p2, p3, at @ .., b0, b1, b2, b3] in table.as_chunks::<ROW_LEN>().0 {
        let position = u32::from_be_bytes([*p0, *p1, *p2, *p3]);
        let broken = || Broken::Entry(rows.len());
        let at = usize::try_from(u64::from_be_bytes(*at)).ok().and_then(|at| at.checked_add(ENTRY_HEAD_LEN));
        let at = at.filter(|at| *at < body.len()).ok_or_else(broken)?;
        if rows.last().is_some_and(|last| last.position >= position) {
            return Err(broken());
        }
        rows.push(Row { position, base: u32::from_be_bytes([*b0, *b1, *b2, *b3]), at });
    }
    Ok(rows)
}

/// The rows as they stand one after the other from `begin`.
fn rows_in_turn(begin: usize, body: &[u8], count: usize) -> Result<Vec<Row>, Broken> {
    let mut rest = body.get(begin..).unwrap_or_default();
    let mut rows: Vec<Row> = Vec::new();
    for number in 0..count {
        let broken = || Broken::Entry(number);
        let ([p0, p1, p2, p3, xor, _flags], behind) =
            rest.split_first_chunk::<ENTRY_HEAD_LEN>().ok_or_else(broken)?;
        let base = match usize::from(*xor) {
            0 => None,
            xor => Some(number.checked_sub(xor).ok_or_else(broken)?),
        };
        let base = base.and_then(|base| u32::try_from(base).ok()).unwrap_or(NO_ROW);
        let position = u32::from_be_bytes([*p0, *p1, *p2, *p3]);
        rows.push(Row { position, base, at: body.len() - behind.len() });
        rest = behind;
        Ewah::split_off(&mut rest).ok_or_else(broken)?;
    }
    Ok(sorted(&rows))
}

/// Brings rows into the order of positions; those they differ from are found there again.
fn sorted(rows: &[Row]) -> Vec<Row> {
    let mut order: Vec<u32> = (0..).take(rows.len()).collect();
    order.sort_by_key(|number| rows.get(*number as usize).map(|row| row.position));
    let mut place = vec![NO_ROW; rows.len()];
    for (at, number) in (0..).zip(&order) {
        if let Some(place) = place.get_mut(*number as usize) {
            *place = at;
        }
    }
    let moved = |number: &u32| {
        let row = rows.get(*number as usize)?;
        Some(Row { base: place.get(row.base as usize).copied().unwrap_or(NO_ROW), ..*row })
    };
    order.iter().filter_map(moved).collect()
}

#[cfg(test)]
mod tests;
