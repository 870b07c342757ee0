//! Which objects an index names that came from elsewhere: gitformat-pack(5), "pack-*.idx files".

use std::io::{self, Read};

use gix_hash::oid;

use crate::pack::hash::Checksum;

/// What an index of version 2 begins with.
const MAGIC: &[u8; 4] = b"\xfftOc";
/// The first bytes of ids.
const FANOUT_COUNT: usize = 256;
/// Bytes of a CRC32 and of an offset.
const ENTRY_LEN: u64 = 4 + 4;
/// Bytes of a large offset.
const LARGE_LEN: u64 = 8;

/// The ids that an index names, in order.
#[derive(Debug)]
pub struct Ids {
    bytes: Vec<u8>,
    hash: gix_hash::Kind,
}

impl Ids {
    /// Whether `id` is among them.
    pub fn contains(&self, id: &oid) -> bool {
        let len = self.hash.len_in_bytes();
        let mut range = 0..self.count();
        while !range.is_empty() {
            let middle = range.start + range.len() / 2;
            let Some(found) = self.bytes.get(middle * len..(middle + 1) * len) else { return false };
            match found.cmp(id.as_bytes()) {
                std::cmp::Ordering::Equal => return true,
                std::cmp::Ordering::Less => range.start = middle + 1,
                std::cmp::Ordering::Greater => range.end = middle,
            }
        }
        false
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.bytes.len() / self.hash.len_in_bytes()
    }
}

/// Reads an index of either version to its end. Where the objects are in the pack is passed over: who has the pack finds
/// that out anew.
///
/// # Errors
///
/// [`io::ErrorKind::InvalidData`] if it names more than `count_max` objects, if they are not in order, if its length is
/// not what follows from their number, or if its checksum is wrong.
pub fn read_ids(input: &mut dyn Read, hash: gix_hash::Kind, count_max: usize) -> io::Result<Ids> {
    let mut input = Summed { input, sum: Checksum::new(hash) };
    let first = input.array()?;
    let is_v2 = first == *MAGIC;
    if is_v2 && input.array()? != [0, 0, 0, 2] {
        return Err(invalid("unknown version"));
    }
    let count = read_fanout(&mut input, (!is_v2).then_some(first))?;
    if count > count_max {
        return Err(invalid("too many objects"));
    }
    let (len, mut bytes) = (hash.len_in_bytes(), Vec::new());
    for at in 0..count {
        if !is_v2 {
            let _offset: [u8; 4] = input.array()?;
        }
        input.append(len, &mut bytes)?;
        let end = at * len;
        let before = end.checked_sub(len).and_then(|start| bytes.get(start..end));
        // in a pack that has an object twice, so has its index
        if before.is_some_and(|before| bytes.get(end..).is_none_or(|id| before > id)) {
            return Err(invalid("oid lookup out of order"));
        }
    }
    let count = count as u64;
    let large_max = if is_v2 { count * LARGE_LEN } else { 0 };
    let tables = if is_v2 { count * ENTRY_LEN } else { 0 };
    input.finish(len, (tables, large_max))?;
    Ok(Ids { bytes, hash })
}

/// How many objects there are; `first` is the first number, if that is read already.
fn read_fanout(input: &mut Summed<'_>, first: Option<[u8; 4]>) -> io::Result<usize> {
    let (mut last, mut first) = (0, first);
    for _ in 0..FANOUT_COUNT {
        let number = match first.take() {
            Some(first) => first,
            None => input.array()?,
        };
        let number = u32::from_be_bytes(number);
        if number < last {
            return Err(invalid("non-monotonic index"));
        }
        last = number;
    }
    usize::try_from(last).map_err(|_| invalid("too many objects"))
}

/// Reads and sums up what it reads.
struct Summed<'a> {
    input: &'a mut dyn Read,
    sum: Checksum,
}

impl Summed<'_> {
    fn array(&mut self) -> io::Result<[u8; 4]> {
        let mut bytes = [0; 4];
        self.input.read_exact(&mut bytes)?;
        self.sum.update(&bytes);
        Ok(bytes)
    }

    fn append(&mut self, len: usize, out: &mut Vec<u8>) -> io::Result<()> {
        let start = out.len();
        out.resize(start + len, 0);
        let place = out.get_mut(start..).unwrap_or_default();
        self.input.read_exact(place)?;
        self.sum.update(place);
        Ok(())
    }

    /// Passes over `tables` bytes and up to `more_max` more, then over the checksum of the pack, and reads the index's own;
    /// `len` is that of a checksum.
    fn finish(mut self, len: usize, (tables, more_max): (u64, u64)) -> io::Result<()> {
        let (mut held, mut passed) = (Vec::new(), 0_u64);
        let mut piece = vec![0; 64 * 1024];
        loop {
            let amount = self.input.read(&mut piece)?;
            if amount == 0 {
                break;
            }
            held.extend_from_slice(piece.get(..amount).unwrap_or_default());
            let summed = held.len().saturating_sub(len);
            self.sum.update(held.get(..summed).unwrap_or_default());
            held.drain(..summed);
            passed += amount as u64;
            if passed > tables + more_max + 2 * len as u64 {
                return Err(invalid("wrong size"));
            }
        }
        if passed < tables + 2 * len as u64 {
            return Err(invalid("wrong size"));
        }
        if self.sum.finish().as_bytes() != held {
            return Err(invalid("hash mismatch"));
        }
        Ok(())
    }
}

fn invalid(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::super::{Item, sort, write_index};
    use super::*;

    fn index(count: u8) -> (Vec<u8>, Vec<gix_hash::ObjectId>) {
        let ids: Vec<_> = (0..count).map(|byte| gix_hash::ObjectId::from([byte * 7; 20])).collect();
        let mut items: Vec<Item> = ids
            .iter()
            .map(|id| Item { id: *id, offset: u64::from(id.as_bytes()[0]) << 30, crc32: 1 })
            .collect();
        sort(&mut items);
        let mut bytes = Vec::new();
        write_index(&mut bytes, &items, &ids[0]).unwrap();
        (bytes, ids)
    }

    fn read(bytes: &[u8]) -> io::Result<Ids> {
        read_ids(&mut &*bytes, gix_hash::Kind::Sha1, 30)
    }

    #[test]
    fn what_an_index_names_is_found() {
        let (bytes, ids) = index(30);
        let found = read(&bytes).unwrap();
        assert_eq!(found.count(), 30);
        assert!(ids.iter().all(|id| found.contains(id)));
        assert!(!found.contains(&gix_hash::ObjectId::from([3; 20])));
        assert!(!found.contains(&gix_hash::ObjectId::from([255; 20])));
    }

    #[test]
    fn an_index_that_lies_is_refused() {
        let (bytes, _) = index(30);
        for at in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[at] ^= 0x40;
            assert!(read(&broken).is_err(), "byte {at}");
        }
        for len in (0..bytes.len()).step_by(13) {
            assert!(read(&bytes[..len]).is_err(), "{len} bytes");
        }
        assert!(read(&[bytes.as_slice(), b"more"].concat()).is_err());
        assert!(read(&index(31).0).is_err(), "more than are taken");
    }

    #[test]
    fn an_endless_index_ends() {
        let (bytes, _) = index(5);
        let mut endless = bytes.as_slice().chain(io::repeat(0));
        assert!(read_ids(&mut endless, gix_hash::Kind::Sha1, 30).is_err());
        assert!(read_ids(&mut io::repeat(0), gix_hash::Kind::Sha1, 30).is_err());
        assert!(read_ids(&mut io::repeat(0xff), gix_hash::Kind::Sha1, 30).is_err());
    }
}
