//! pkt-lines: the frames everything else is made of. `gitprotocol-common(5)`.

use std::io::{self, BufRead, Write};

use super::{Error, trace};
use crate::text;

/// gitprotocol-common(5): the most data one pkt-line holds (65520 with its length).
pub const DATA_LEN_MAX: usize = 65516;

/// The four digits in front, which the length counts.
const LENGTH_LEN: usize = 4;

/// One pkt-line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Data, the line feed at its end included if it was sent.
    Data(&'a [u8]),
    /// `0000`.
    Flush,
    /// `0001`.
    Delimiter,
    /// `0002`.
    ResponseEnd,
}

impl<'a> Packet<'a> {
    /// The data without one line feed at its end; `None` for the special packets.
    pub fn line(self) -> Option<&'a [u8]> {
        match self {
            Self::Data(data) => Some(data.strip_suffix(b"\n").unwrap_or(data)),
            Self::Flush | Self::Delimiter | Self::ResponseEnd => None,
        }
    }

    /// The line, or the four digits of a special packet: what an error message shows.
    pub(super) fn shown(self) -> &'a [u8] {
        match self {
            Self::Data(_) => self.line().unwrap_or_default(),
            Self::Flush => b"0000",
            Self::Delimiter => b"0001",
            Self::ResponseEnd => b"0002",
        }
    }
}

/// Reads pkt-lines, and not a byte beyond the last one asked for.
pub struct Reader<'a> {
    input: &'a mut dyn BufRead,
    /// Bytes consumed since [`Self::new`].
    position: u64,
    /// The data of the last packet; kept so that a line costs no allocation.
    data: Vec<u8>,
    /// Whether [`super::trace`] is told of what is read.
    is_traced: bool,
}

impl<'a> Reader<'a> {
    /// Reads from `input`, counting positions from 0.
    pub fn new(input: &'a mut dyn BufRead) -> Self {
        Self { input, position: 0, data: Vec::new(), is_traced: true }
    }

    /// As [`Self::new`], for what did not come over the wire or is traced by whoever reads it.
    pub(super) fn untraced(input: &'a mut dyn BufRead) -> Self {
        Self { is_traced: false, ..Self::new(input) }
    }

    /// The next pkt-line; an `ERR` packet is given as [`Error::Remote`].
    pub fn read(&mut self) -> Result<Packet<'_>, Error> {
        let position = self.position;
        self.read_or_eof()?.ok_or(Error::UnexpectedEof { position })
    }

    /// As [`Self::read`], but `None` at the end of the stream if that is where the frame would begin.
    pub fn read_or_eof(&mut self) -> Result<Option<Packet<'_>>, Error> {
        let Some(frame) = self.read_frame()? else { return Ok(None) };
        if frame == Frame::Data
            && let Some(message) = self.data.strip_prefix(b"ERR ")
        {
            return Err(Error::Remote(message.strip_suffix(b"\n").unwrap_or(message).into()));
        }
        Ok(Some(frame.packet(&self.data)))
    }

    /// The next pkt-line of a stream where data may begin with `ERR` and mean nothing by it.
    pub fn read_raw(&mut self) -> Result<Packet<'_>, Error> {
        let position = self.position;
        let frame = self.read_frame()?.ok_or(Error::UnexpectedEof { position })?;
        Ok(frame.packet(&self.data))
    }

    /// Bytes read since the beginning.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The data of the last packet that had any.
    pub(super) fn last_data(&self) -> &[u8] {
        &self.data
    }

    fn read_frame(&mut self) -> Result<Option<Frame>, Error> {
        let frame = self.read_untraced()?;
        if let Some(frame) = frame
            && self.is_traced
        {
            trace::received(frame.packet(&self.data));
        }
        Ok(frame)
    }

    fn read_untraced(&mut self) -> Result<Option<Frame>, Error> {
        match read_length(self.input, &mut self.position)? {
            Length::Eof => Ok(None),
            Length::Flush => Ok(Some(Frame::Flush)),
            Length::Delimiter => Ok(Some(Frame::Delimiter)),
            Length::ResponseEnd => Ok(Some(Frame::ResponseEnd)),
            Length::Data(length) => {
                self.data.clear();
                read_into(self.input, length, &mut self.position, &mut self.data)?;
                Ok(Some(Frame::Data))
            }
        }
    }
}

/// A [`Packet`] that does not borrow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Frame {
    Data,
    Flush,
    Delimiter,
    ResponseEnd,
}

impl Frame {
    fn packet(self, data: &[u8]) -> Packet<'_> {
        match self {
            Self::Data => Packet::Data(data),
            Self::Flush => Packet::Flush,
            Self::Delimiter => Packet::Delimiter,
            Self::ResponseEnd => Packet::ResponseEnd,
        }
    }
}

/// What the four digits say.
pub(super) enum Length {
    /// There were none: the stream ended.
    Eof,
    Flush,
    Delimiter,
    ResponseEnd,
    /// So many bytes of data follow, at most [`DATA_LEN_MAX`].
    Data(usize),
}

/// Reads the four digits, adding what was read to `position`.
pub(super) fn read_length(input: &mut dyn BufRead, position: &mut u64) -> Result<Length, Error> {
    let start = *position;
    let Some(digits) = read_digits(input, position)? else { return Ok(Length::Eof) };
    let mut length = 0;
    for digit in digits {
        let value =
            char::from(digit).to_digit(16).ok_or(Error::BadLineLength { bytes: digits, position: start })?;
        length = length * 16 + value as usize;
    }
    match length {
        0 => Ok(Length::Flush),
        1 => Ok(Length::Delimiter),
        2 => Ok(Length::ResponseEnd),
        LENGTH_LEN.. if length - LENGTH_LEN <= DATA_LEN_MAX => Ok(Length::Data(length - LENGTH_LEN)),
        _ => Err(Error::LineLength { length, position: start }),
    }
}

/// The four digits; `None` at the end of the stream.
fn read_digits(input: &mut dyn BufRead, position: &mut u64) -> Result<Option<[u8; LENGTH_LEN]>, Error> {
    if let Some(digits) = fill(input)?.first_chunk::<LENGTH_LEN>().copied() {
        input.consume(LENGTH_LEN);
        *position += LENGTH_LEN as u64;
        return Ok(Some(digits));
    }
    // they come in pieces
    let mut digits = [0; LENGTH_LEN];
    for (index, digit) in digits.iter_mut().enumerate() {
        let Some(byte) = fill(input)?.first().copied() else {
            if index == 0 {
                return Ok(None);
            }
            return Err(Error::UnexpectedEof { position: *position });
        };
        *digit = byte;
        input.consume(1);
        *position += 1;
    }
    Ok(Some(digits))
}

/// Appends exactly `length` bytes of `input` to `data`, adding what was read to `position`.
pub(super) fn read_into(
    input: &mut dyn BufRead,
    length: usize,
    position: &mut u64,
    data: &mut Vec<u8>,
) -> Result<(), Error> {
    let mut missing = length;
    while missing > 0 {
        let available = fill(input)?;
        let taken = available.get(..missing).unwrap_or(available);
        if taken.is_empty() {
            return Err(Error::UnexpectedEof { position: *position });
        }
        data.extend_from_slice(taken);
        let taken = taken.len();
        input.consume(taken);
        missing -= taken;
        *position += taken as u64;
    }
    Ok(())
}

/// `fill_buf` that goes on after a signal.
pub fn fill(input: &mut dyn BufRead) -> io::Result<&[u8]> {
    loop {
        match input.fill_buf() {
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    // the buffer is filled now; asked again because a borrow cannot leave the loop
    input.fill_buf()
}

/// Writes `data` as one pkt-line; an error if it is longer than [`DATA_LEN_MAX`].
pub fn write_data(out: &mut dyn Write, data: &[u8]) -> io::Result<()> {
    write_length(out, data.len())?;
    out.write_all(data)
}

/// Writes `line` and a line feed as one pkt-line.
pub fn write_line(out: &mut dyn Write, line: &[u8]) -> io::Result<()> {
    write_length(out, line.len() + 1)?;
    out.write_all(line)?;
    out.write_all(b"\n")
}

/// Writes `0000`.
pub fn write_flush(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"0000")
}

/// Writes `0001`.
pub fn write_delimiter(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"0001")
}

/// Writes `0002`.
pub fn write_response_end(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"0002")
}

fn write_length(out: &mut dyn Write, data_len: usize) -> io::Result<()> {
    out.write_all(&length_digits(data_len)?)
}

/// The four digits in front of `data_len` bytes; an error if these are more than [`DATA_LEN_MAX`].
pub(super) fn length_digits(data_len: usize) -> io::Result<[u8; LENGTH_LEN]> {
    let length = u16::try_from(data_len + LENGTH_LEN).ok().filter(|_| data_len <= DATA_LEN_MAX);
    let Some(length) = length else {
        let text = "protocol error: impossibly long line";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    };
    let [[a, b], [c, d]] = length.to_be_bytes().map(text::hex_of_byte);
    Ok([a, b, c, d])
}

/// Begins a pkt-line at the end of `out`, for whoever writes its data there: gives where, for [`end_packet`].
pub(crate) fn begin_packet(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH_LEN]);
    start
}

/// Ends the pkt-line that begins at `start` and whose data is all that follows; an error if that is more than
/// [`DATA_LEN_MAX`].
pub(crate) fn end_packet(out: &mut [u8], start: usize) -> io::Result<()> {
    let packet = out.get_mut(start..).unwrap_or_default();
    let data_len = packet.len().saturating_sub(LENGTH_LEN);
    if let Some(digits) = packet.first_chunk_mut::<LENGTH_LEN>() {
        *digits = length_digits(data_len)?;
    }
    Ok(())
}

/// Appends `line` and a line feed to `out` as one pkt-line. A line longer than a pkt-line can be is cut: the messages
/// built with it hold ids, names and options, which their owners keep far shorter.
pub(super) fn push_line(out: &mut Vec<u8>, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut room = length.min(DATA_LEN_MAX - 1);
    out.extend_from_slice(format!("{:04x}", room + 1 + LENGTH_LEN).as_bytes());
    for part in parts {
        let part = part.get(..room).unwrap_or(part);
        out.extend_from_slice(part);
        room -= part.len();
    }
    out.push(b'\n');
}
