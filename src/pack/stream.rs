//! Reads a pack from a stream, and writes what it reads to a file.

use std::io::{self, BufRead};

use super::Error;
use super::entry::{HEADER_LEN_MAX, Header, HeaderError, PACK_HEADER_LEN};
use super::hash::Checksum;
use super::held::Held;
use super::inflate::Inflater;

/// Bytes gathered before they are hashed and written.
const GATHERED_LEN: usize = 128 * 1024;

/// Takes a piece of an object, and how many bytes of the pack are read.
type Sink<'a> = dyn FnMut(&[u8], u64) -> Result<(), Error> + 'a;

/// A pack that comes in.
pub(super) struct Stream<'a> {
    input: &'a mut dyn BufRead,
    inflater: Inflater,
    copy: Copy,
}

/// The copy of the pack on disk, and what is computed from its bytes as they pass.
struct Copy {
    held: Held,
    gathered: Vec<u8>,
    checksum: Checksum,
    crc32: crc32fast::Hasher,
    /// Bytes taken so far.
    offset: u64,
    size_max_bytes: i64,
}

impl<'a> Stream<'a> {
    /// Reads from `input` into `held`, at most `size_max_bytes` (0: any number; below: none).
    pub fn new(input: &'a mut dyn BufRead, held: Held, hash: gix_hash::Kind, size_max_bytes: i64) -> Self {
        let copy = Copy {
            held,
            gathered: Vec::with_capacity(GATHERED_LEN),
            checksum: Checksum::new(hash),
            crc32: crc32fast::Hasher::new(),
            offset: 0,
            size_max_bytes,
        };
        Self { input, inflater: Inflater::new(), copy }
    }

    /// The bytes read so far.
    pub fn offset(&self) -> u64 {
        self.copy.offset
    }

    /// Reads the bytes of the pack's header.
    pub fn pack_header(&mut self) -> Result<[u8; PACK_HEADER_LEN], Error> {
        let mut bytes = [0; PACK_HEADER_LEN];
        for byte in &mut bytes {
            *byte = self.byte()?;
        }
        Ok(bytes)
    }

    /// Reads the header of an entry; gives its length too. Begins a new CRC-32.
    pub fn header(&mut self, hash: gix_hash::Kind) -> Result<(Header, usize), Error> {
        self.copy.crc32 = crc32fast::Hasher::new();
        let offset = self.copy.offset;
        let bad = |error: HeaderError| Error::BadObject { offset, message: error.to_string() };
        let available = fill(self.input)?;
        if let Some((header, len)) = Header::decode(available, hash).map_err(bad)? {
            self.copy.take(available.get(..len).unwrap_or_default())?;
            self.input.consume(len);
            return Ok((header, len));
        }
        // The header is cut by the end of the input's buffer.
        let mut bytes = Vec::with_capacity(HEADER_LEN_MAX);
        loop {
            bytes.push(self.byte()?);
            if let Some(found) = Header::decode(&bytes, hash).map_err(bad)? {
                return Ok(found);
            }
        }
    }

    /// Inflates the zlib stream that comes next, which is to make `size` bytes, piece by piece into `sink`.
    ///
    /// `begin` is where the entry begins. Gives the CRC-32 of the entry.
    pub fn inflate(&mut self, begin: u64, size: u64, sink: &mut Sink<'_>) -> Result<u32, Error> {
        self.inflater.begin(size);
        loop {
            let available = fill(self.input)?;
            let step = self.inflater.step(available);
            let step =
                step.map_err(|error| Error::BadObject { offset: begin, message: error.to_string() })?;
            let (used, ended) = (step.used, step.ended);
            self.copy.take(available.get(..used).unwrap_or(available))?;
            self.input.consume(used);
            sink(step.made, self.copy.offset)?;
            if ended {
                return Ok(std::mem::take(&mut self.copy.crc32).finalize());
            }
        }
    }

    /// As [`inflate`](Self::inflate), the whole of it into `out`, whose former content is lost: for small ones.
    pub fn inflate_into(&mut self, begin: u64, size: u64, out: &mut Vec<u8>) -> Result<u32, Error> {
        self.inflater.begin(size);
        loop {
            let available = fill(self.input)?;
            let step = self.inflater.step_into(available, out);
            let (used, ended) =
                step.map_err(|error| Error::BadObject { offset: begin, message: error.to_string() })?;
            self.copy.take(available.get(..used).unwrap_or(available))?;
            self.input.consume(used);
            if ended {
                return Ok(std::mem::take(&mut self.copy.crc32).finalize());
            }
        }
    }

    /// Reads the trailer and compares it with the checksum of all before it; gives the file, the checksum and the
    /// length of all.
    pub fn trailer(mut self) -> Result<(Held, gix_hash::ObjectId, u64), Error> {
        self.copy.flush()?;
        let expected = self.copy.checksum.clone().finish();
        let mut matches = true;
        for expected in expected.as_slice() {
            matches &= self.byte()? == *expected;
        }
        if !matches {
            return Err(Error::BadPack("pack is corrupted (SHA1 mismatch)".into()));
        }
        self.copy.flush()?;
        Ok((self.copy.held, expected, self.copy.offset))
    }

    fn byte(&mut self) -> Result<u8, Error> {
        let byte = *fill(self.input)?.first().ok_or(Error::EarlyEof)?;
        self.copy.take(&[byte])?;
        self.input.consume(1);
        Ok(byte)
    }
}

impl Copy {
    fn take(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.offset += bytes.len() as u64;
        if self.size_max_bytes != 0 && self.offset.cast_signed() > self.size_max_bytes {
            let max = humanised(self.size_max_bytes);
            return Err(Error::BadPack(format!("pack exceeds maximum allowed size ({max})")));
        }
        self.crc32.update(bytes);
        if let Held::There(..) = self.held {
            self.checksum.update(bytes);
            return Ok(());
        }
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= GATHERED_LEN { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.checksum.update(&self.gathered);
        let written = self.held.write(&self.gathered);
        self.gathered.clear();
        written
    }
}

/// Whether `input` is at its end.
pub(super) fn is_at_end(input: &mut dyn BufRead) -> Result<bool, Error> {
    match fill(input) {
        Ok(_) => Ok(false),
        Err(Error::EarlyEof) => Ok(true),
        Err(error) => Err(error),
    }
}

/// What `input` has in its buffer, at least one byte.
fn fill(input: &mut dyn BufRead) -> Result<&[u8], Error> {
    // Asked twice, since the borrow checker does not let the buffer of a loop's last round go out.
    while let Err(error) = input.fill_buf() {
        match error.kind() {
            io::ErrorKind::Interrupted => {}
            io::ErrorKind::UnexpectedEof => return Err(Error::EarlyEof),
            _ => return Err(Error::Read(error)),
        }
    }
    match input.fill_buf() {
        Ok([]) => Err(Error::EarlyEof),
        Ok(bytes) => Ok(bytes),
        Err(error) => Err(Error::Read(error)),
    }
}

/// A number of bytes as git words it.
fn humanised(bytes: i64) -> String {
    let Ok(bytes) = u64::try_from(bytes) else {
        // seen in git 2.47.3: the lower half of the number
        return format!("{} bytes", bytes.cast_unsigned() & u64::from(u32::MAX));
    };
    let scaled = |unit: &str, shift: u32| {
        let hundredths = (u128::from(bytes) * 100) >> shift;
        format!("{}.{:02} {unit}", hundredths / 100, hundredths % 100)
    };
    match bytes {
        1 => "1 byte".into(),
        0..=1024 => format!("{bytes} bytes"),
        1025..=0x10_0000 => scaled("KiB", 10),
        0x10_0001..=0x4000_0000 => scaled("MiB", 20),
        _ => scaled("GiB", 30),
    }
}
