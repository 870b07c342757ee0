//! Side-bands: pack data, progress and errors on one stream. `gitprotocol-pack(5)`, "Packfile Data".

use std::io::{self, BufRead, Read, Write};

use super::fetch::SideBand;
use super::pktline::{self, Length, Packet, Reader};
use super::{Error, trace};
use crate::progress::{Ending, Event, Handle, Progress, Shared};

/// Gives the bytes of band 1 as a stream, telling `progress` the lines of band 2. Ends at the flush-pkt. What goes wrong
/// is an [`io::Error`] whose source is an [`super::Error`]: band 3 ([`super::Error::Remote`]), a hang-up, a bad
/// pkt-line, [`super::Error::Interrupted`] if `progress` said so.
pub struct Demux<'a, 'b> {
    input: &'a mut dyn BufRead,
    progress: Handle<'a, 'b>,
    text: Text,
    /// Bytes read since the beginning.
    position: u64,
    /// Bytes of band 1 that the present packet still holds.
    remaining: usize,
    /// Some of band 1 was read.
    has_begun: bool,
    /// The flush-pkt was read.
    ended: bool,
}

impl<'a, 'b> Demux<'a, 'b> {
    /// Reads from `input`, which stands before the first side-band packet.
    pub fn new(input: &'a mut dyn BufRead, progress: &'a Shared<'b>) -> Self {
        Self {
            input,
            progress: progress.handle(),
            text: Text::default(),
            position: 0,
            remaining: 0,
            has_begun: false,
            ended: false,
        }
    }

    /// Reads on to the flush-pkt after the pack has been taken, passing on the band 2 lines that remain. Up to
    /// `TRAILING_LEN_MAX` bytes of band 1 are passed over.
    pub fn finish(mut self) -> Result<(), Error> {
        let mut trailing = 0;
        loop {
            let amount = self.fill_buf()?.len();
            if amount == 0 {
                return Ok(());
            }
            trailing += amount;
            if trailing > TRAILING_LEN_MAX {
                return Err(Error::TooMany { what: "bytes behind the pack", limit: TRAILING_LEN_MAX });
            }
            self.consume(amount);
        }
    }

    /// Reads packets until there is data of band 1 or the flush-pkt has come.
    fn advance(&mut self) -> Result<(), Error> {
        while self.remaining == 0 && !self.ended {
            let result = self.read_packet();
            if result.is_err() || self.ended {
                // what the server said last explains the error, so it comes first
                self.text.finish(&mut self.progress)?;
            }
            result?;
        }
        Ok(())
    }

    fn read_packet(&mut self) -> Result<(), Error> {
        let length = match pktline::read_length(self.input, &mut self.position)? {
            Length::Flush => {
                trace::received_in_band(Packet::Flush);
                self.ended = true;
                return Ok(());
            }
            Length::Data(0) => return Err(missing_designator()),
            Length::Data(length) => length - 1,
            Length::Eof => return Err(Error::UnexpectedEof { position: self.position }),
            Length::Delimiter => return Err(Error::Malformed("unexpected '0001'".into())),
            Length::ResponseEnd => return Err(Error::Malformed("unexpected '0002'".into())),
        };
        let mut data = Vec::new();
        pktline::read_into(self.input, 1, &mut self.position, &mut data)?;
        if data.first() == Some(&DATA) {
            if !self.has_begun {
                // The rest of the pack would not be readable.
                trace::received_in_band(Packet::Data(b"PACK"));
            }
            self.has_begun = true;
            self.remaining = length;
            return Ok(());
        }
        pktline::read_into(self.input, length, &mut self.position, &mut data)?;
        trace::received_in_band(Packet::Data(&data));
        take_aside(&data, &mut self.text, &mut self.progress)
    }

    fn hang_up(&mut self) -> Error {
        match self.text.finish(&mut self.progress) {
            Ok(()) => Error::UnexpectedEof { position: self.position },
            Err(error) => error,
        }
    }
}

impl Read for Demux<'_, '_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.advance()?;
        let room = buf.len().min(self.remaining);
        let Some(buf) = buf.get_mut(..room).filter(|buf| !buf.is_empty()) else { return Ok(0) };
        // straight into the caller's buffer: the pack is not copied on the way
        let amount = self.input.read(buf)?;
        if amount == 0 {
            return Err(self.hang_up().into());
        }
        trace::pack(buf.get(..amount).unwrap_or_default());
        self.remaining -= amount;
        self.position += amount as u64;
        Ok(amount)
    }
}

impl BufRead for Demux<'_, '_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.advance()?;
        if self.remaining == 0 {
            return Ok(&[]);
        }
        if pktline::fill(self.input)?.is_empty() {
            return Err(self.hang_up().into());
        }
        let available = self.input.fill_buf()?;
        Ok(available.get(..self.remaining).unwrap_or(available))
    }

    fn consume(&mut self, amount: usize) {
        let amount = amount.min(self.remaining);
        // what was given out is still there
        trace::pack(self.input.fill_buf().ok().and_then(|bytes| bytes.get(..amount)).unwrap_or_default());
        self.input.consume(amount);
        self.remaining -= amount;
        self.position += amount as u64;
    }
}

/// Reads pkt-lines each of which is in a band: an answer to `sideband-all`, gitprotocol-v2(5), "fetch". Band 2 goes to
/// `progress`.
pub struct PacketReader<'a> {
    reader: Reader<'a>,
    progress: &'a mut dyn Progress,
    text: Text,
}

impl<'a> PacketReader<'a> {
    /// Reads from `input`, which stands before a packet in a band.
    pub fn new(input: &'a mut dyn BufRead, progress: &'a mut dyn Progress) -> Self {
        Self { reader: Reader::new(input), progress, text: Text::default() }
    }

    /// The next special packet, or the next data of band 1 without its band.
    pub fn read(&mut self) -> Result<Packet<'_>, Error> {
        loop {
            match self.reader.read_raw()? {
                Packet::Data([DATA, ..]) => break,
                Packet::Data(packet) => take_aside(packet, &mut self.text, self.progress)?,
                Packet::Flush => return Ok(Packet::Flush),
                Packet::Delimiter => return Ok(Packet::Delimiter),
                Packet::ResponseEnd => return Ok(Packet::ResponseEnd),
            }
        }
        Ok(Packet::Data(self.reader.last_data().get(1..).unwrap_or_default()))
    }

    /// Tells the line of band 2 that was not ended.
    pub fn finish(mut self) -> Result<(), Error> {
        self.text.finish(self.progress)
    }

    /// Bytes read since the beginning.
    pub fn position(&self) -> u64 {
        self.reader.position()
    }
}

/// Writes packets of the side-bands, as a server does.
pub struct SidebandWriter<'a> {
    out: &'a mut dyn Write,
    kind: SideBand,
}

impl<'a> SidebandWriter<'a> {
    /// Writes to `out`. With [`SideBand::None`] band 1 goes out bare and the other bands are lost, which is all that
    /// such a client can take.
    pub fn new(out: &'a mut dyn Write, kind: SideBand) -> Self {
        Self { out, kind }
    }

    /// Writes `data` to `band`, in as many packets as it takes; none if it is empty.
    pub fn write_band(&mut self, band: u8, data: &[u8]) -> io::Result<()> {
        let data_len_max = match self.kind {
            SideBand::None if band == DATA => return self.out.write_all(data),
            SideBand::None => return Ok(()),
            SideBand::Small => SMALL_LEN_MAX,
            SideBand::Large => LARGE_LEN_MAX,
        };
        for part in data.chunks(data_len_max) {
            let [a, b, c, d] = pktline::length_digits(part.len() + 1)?;
            self.out.write_all(&[a, b, c, d, band])?;
            self.out.write_all(part)?;
        }
        Ok(())
    }

    /// Writes `0005\1`, an empty packet of band 1 that keeps the connection alive.
    pub fn write_keepalive(&mut self) -> io::Result<()> {
        match self.kind {
            SideBand::None => Ok(()),
            SideBand::Small | SideBand::Large => self.out.write_all(b"0005\x01"),
        }
    }

    /// Writes the flush-pkt that ends the bands.
    pub fn finish(self) -> io::Result<()> {
        match self.kind {
            SideBand::None => Ok(()),
            SideBand::Small | SideBand::Large => pktline::write_flush(self.out),
        }
    }
}

impl Write for SidebandWriter<'_> {
    /// Writes to band 1.
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.write_band(DATA, data)?;
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The protocol error that travelled as the source of an [`io::Error`], through readers that know nothing of it. An early
/// end of the stream is [`Error::UnexpectedEof`], at position 0 if the reader that saw it told none.
pub fn into_protocol_error(error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(Error::Io(error)) => into_protocol_error(error),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Error::UnexpectedEof { position: 0 },
        Ok(error) => error,
        Err(error) => Error::Io(error),
    }
}

/// Band 2, put together to lines.
#[derive(Default)]
struct Text {
    /// The line begun.
    rest: Vec<u8>,
}

impl Text {
    /// Tells the lines that `data` completes. As in C git a carriage return ends a line of its own even before a line
    /// feed (seen in git 2.47.3: `abc\r\n` is `abc`, to be replaced, and an empty line).
    fn push(&mut self, data: &[u8], progress: &mut dyn Progress) -> Result<(), Error> {
        for piece in data.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let (line, ending) = match piece.split_last() {
                Some((b'\n', line)) => (line, Some(Ending::Newline)),
                Some((b'\r', line)) => (line, Some(Ending::Replaced)),
                _ => (piece, None),
            };
            self.rest.extend_from_slice(line);
            // a packet is at most as long as the limit, so `rest` holds no more than twice that
            match ending {
                Some(ending) => self.tell(ending, progress)?,
                None if self.rest.len() >= LINE_LEN_MAX => self.tell(Ending::Newline, progress)?,
                None => {}
            }
        }
        Ok(())
    }

    /// Tells the line that was not ended.
    fn finish(&mut self, progress: &mut dyn Progress) -> Result<(), Error> {
        if self.rest.is_empty() { Ok(()) } else { self.tell(Ending::Unterminated, progress) }
    }

    fn tell(&mut self, ending: Ending, progress: &mut dyn Progress) -> Result<(), Error> {
        let flow = progress.report(Event::Remote { line: &self.rest, ending });
        self.rest.clear();
        if flow.is_break() { Err(Error::Interrupted) } else { Ok(()) }
    }
}

/// Deals with a packet that is not of band 1.
fn take_aside(packet: &[u8], text: &mut Text, progress: &mut dyn Progress) -> Result<(), Error> {
    match packet.split_first() {
        Some((&TEXT, data)) => text.push(data, progress),
        Some((&ERROR, data)) => Err(Error::Remote(data.strip_suffix(b"\n").unwrap_or(data).into())),
        // a server that fails may forget the bands; `E` is no band
        Some((b'E', data)) if data.starts_with(b"RR ") => {
            let message = data.get(3..).unwrap_or_default();
            Err(Error::Remote(message.strip_suffix(b"\n").unwrap_or(message).into()))
        }
        Some((band, _)) => Err(Error::Malformed(format!("bad band #{band}"))),
        None => Err(missing_designator()),
    }
}

fn missing_designator() -> Error {
    Error::Malformed("no band designator".into())
}

/// Band 1: the pack, or whatever else is the answer.
pub const DATA: u8 = 1;
/// Band 2: text for the user.
pub const TEXT: u8 = 2;
/// Band 3: why the server gives up.
pub const ERROR: u8 = 3;

/// The digits of the length and the band.
const PACKET_OVERHEAD: usize = 5;
/// gitprotocol-pack(5): `side-band` has packets of up to 1,000 bytes.
const SMALL_LEN_MAX: usize = 1_000 - PACKET_OVERHEAD;
/// gitprotocol-pack(5): `side-band-64k` has packets of up to 65,520 bytes.
const LARGE_LEN_MAX: usize = 65_520 - PACKET_OVERHEAD;
/// A longer line of band 2 is told in pieces.
const LINE_LEN_MAX: usize = 65_536;
/// Bytes of band 1 that [`Demux::finish`] passes over.
const TRAILING_LEN_MAX: usize = 65_536;
