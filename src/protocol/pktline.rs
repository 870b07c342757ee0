//! pkt-lines: the frames everything else is made of. `gitprotocol-common(5)`.

use std::io::{self, BufRead, Write};

use super::Error;

/// gitprotocol-common(5): the most data one pkt-line holds (65520 with its length).
pub const DATA_LEN_MAX: usize = 65516;

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
}

/// Reads pkt-lines, and not a byte beyond the last one asked for.
pub struct Reader<'a> {
    _input: &'a mut dyn BufRead,
}

impl<'a> Reader<'a> {
    /// Reads from `input`, counting positions from 0.
    pub fn new(input: &'a mut dyn BufRead) -> Self {
        Self { _input: input }
    }
    /// The next pkt-line; an `ERR` packet is given as [`Error::Remote`].
    pub fn read(&mut self) -> Result<Packet<'_>, Error> {
        todo!("protocol helper")
    }
    /// As [`Self::read`], but `None` at the end of the stream if that is where the frame would begin.
    pub fn read_or_eof(&mut self) -> Result<Option<Packet<'_>>, Error> {
        todo!()
    }
}

/// Writes `data` as one pkt-line; an error if it is longer than [`DATA_LEN_MAX`].
pub fn write_data(_out: &mut dyn Write, _data: &[u8]) -> io::Result<()> {
    todo!()
}
/// Writes `line` and a line feed as one pkt-line.
pub fn write_line(_out: &mut dyn Write, _line: &[u8]) -> io::Result<()> {
    todo!()
}
/// Writes `0000`.
pub fn write_flush(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"0000")
}
/// Writes `0001`.
pub fn write_delimiter(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"0001")
}
