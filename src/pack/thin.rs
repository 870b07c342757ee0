//! Completes a thin pack: appends the bases that it leaves out.

use std::io::{Read, Seek, SeekFrom, Write};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use gix_hash::ObjectId;
use gix_object::Kind;

use super::entry::{Content, Header, encode_pack_header};
use super::hash::{Checksum, object_id};
use super::table::{NONE, NewEntry, Object, Table};
use super::temporary::Temporary;
use super::{Bases, Error};

/// Bytes read at once to compute the pack's checksum anew.
const READ_LEN: usize = 256 * 1024;

/// Appends those of the objects `missing` that `bases` has to the pack in `file`, and their entries to `table`. Gives
/// the indices of the new entries.
///
/// The pack is left without a trailer, and with a header that counts too little, until [`seal`] sets both right.
pub(super) fn append_bases(
    file: &mut Temporary,
    table: &mut Table,
    missing: &[ObjectId],
    bases: &dyn Bases,
) -> Result<Vec<u32>, Error> {
    let mut appended = Vec::new();
    let mut content = Vec::new();
    let truncated = file.file.set_len(table.end).and_then(|()| file.file.seek(SeekFrom::Start(table.end)));
    truncated.map_err(|source| file.error(source))?;
    bases.bring(missing).map_err(Error::Read)?;
    for id in missing {
        content.clear();
        let Some(kind) = bases.find_base(id, &mut content).map_err(Error::Read)? else { continue };
        if object_id(id.kind(), kind, &content) != Ok(*id) {
            return Err(Error::BadPack(format!("object {id} is corrupt")));
        }
        let index = u32::try_from(table.entries.len()).ok().filter(|index| *index != NONE);
        let index = index.ok_or_else(|| Error::BadPack("pack has too many objects".into()))?;
        append(file, table, (*id, kind), &content)?;
        appended.push(index);
    }
    Ok(appended)
}

/// Gives the pack a header that counts all its entries, and a trailer that is the checksum of all its bytes.
pub(super) fn seal(file: &mut Temporary, table: &Table, hash: gix_hash::Kind) -> Result<ObjectId, Error> {
    seal_file(&mut file.file, table, hash).map_err(|source| file.error(source))
}

fn seal_file(file: &mut std::fs::File, table: &Table, hash: gix_hash::Kind) -> std::io::Result<ObjectId> {
    let count = u32::try_from(table.entries.len()).map_err(std::io::Error::other)?;
    let _start = file.seek(SeekFrom::Start(0))?;
    file.write_all(&encode_pack_header(count))?;
    let _start = file.seek(SeekFrom::Start(0))?;
    let mut checksum = Checksum::new(hash);
    let mut buffer = vec![0; READ_LEN];
    loop {
        let len = file.read(&mut buffer)?;
        if len == 0 {
            break;
        }
        checksum.update(buffer.get(..len).unwrap_or_default());
    }
    let checksum = checksum.finish();
    file.write_all(checksum.as_slice())?;
    Ok(checksum)
}

fn append(
    file: &mut Temporary,
    table: &mut Table,
    (id, kind): (ObjectId, Kind),
    content: &[u8],
) -> Result<(), Error> {
    let size = content.len() as u64;
    let mut header = Vec::new();
    Header { content: Content::Object(kind), size }.encode(&mut header);
    let header_len = header.len();
    let mut encoder = ZlibEncoder::new(header, Compression::fast());
    let deflated = encoder.write_all(content).and_then(|()| encoder.finish());
    let bytes = deflated.map_err(|source| file.error(source))?;
    file.file.write_all(&bytes).map_err(|source| file.error(source))?;
    let mut entry = NewEntry::new(table.end, size, header_len);
    entry.crc32 = crc32fast::hash(&bytes);
    table.push(&entry, Some(Object { id, kind, base: NONE }))?;
    table.end += bytes.len() as u64;
    Ok(())
}
