//! Answers of version 2, which have to end between two pkt-lines: gitprotocol-v2(5).

use std::io::{self, BufRead, Read};

/// An answer in version 2 that notices where it is cut although HTTP saw all of it, and says so in git's words.
pub(super) struct Framed {
    inner: Box<dyn BufRead>,
    place: Place,
}

/// Where in the pkt-lines the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// So many digits of a length were read, which say so much.
    Length { digits: usize, value: usize },
    /// So many bytes of a pkt-line are missing.
    Body(usize),
    /// These are no pkt-lines: a pack as it is, or what readers refuse.
    Elsewhere,
}

impl Place {
    /// Between two pkt-lines.
    const START: Self = Self::Length { digits: 0, value: 0 };

    /// Where `byte` leads.
    fn after_digit(digits: usize, value: usize, byte: u8) -> Self {
        let Some(digit) = char::from(byte).to_digit(16) else { return Self::Elsewhere };
        let value = value * 16 + digit as usize;
        match (digits + 1, value) {
            (digits @ ..4, value) => Self::Length { digits, value },
            // flush, delimiter and end have no body, nor has an empty line
            (_, ..=2 | 4) => Self::START,
            (_, 3) => Self::Elsewhere,
            (_, length) => Self::Body(length - 4),
        }
    }

    /// Where `bytes` lead.
    fn after(mut self, mut bytes: &[u8]) -> Self {
        while let Some((&first, rest)) = bytes.split_first() {
            (self, bytes) = match self {
                Self::Length { digits, value } => (Self::after_digit(digits, value, first), rest),
                Self::Body(missing) if missing <= bytes.len() => {
                    (Self::START, bytes.get(missing..).unwrap_or_default())
                }
                Self::Body(missing) => (Self::Body(missing - bytes.len()), &[][..]),
                Self::Elsewhere => return self,
            };
        }
        self
    }

    /// What is wrong with an answer that ends here. Seen in git 2.47.3.
    fn fault(self) -> Option<String> {
        match self {
            Self::Length { digits: 0, .. } | Self::Elsewhere => None,
            Self::Length { digits, .. } => Some(format!("{digits} bytes of length header were received")),
            Self::Body(missing) => Some(format!("{missing} bytes of body are still expected")),
        }
    }
}

impl Framed {
    /// Reads `inner` from its start.
    pub(super) fn new(inner: Box<dyn BufRead>) -> Self {
        Self { inner, place: Place::START }
    }
}

/// Whether what comes first in an answer can be the length of a pkt-line.
pub(super) fn begins_well(answer: &mut dyn BufRead) -> io::Result<bool> {
    let begun = answer.fill_buf()?;
    let length = begun.get(..4).unwrap_or(begun);
    Ok(!length.is_empty() && length.iter().all(u8::is_ascii_hexdigit))
}

impl BufRead for Framed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let bytes = self.inner.fill_buf()?;
        match self.place.fault() {
            Some(fault) if bytes.is_empty() => Err(io::Error::other(format!("RPC failed; {fault}"))),
            _ => Ok(bytes),
        }
    }

    fn consume(&mut self, amount: usize) {
        // what is consumed was filled before, so that nothing is waited for
        if let Ok(bytes) = self.inner.fill_buf() {
            self.place = self.place.after(bytes.get(..amount).unwrap_or(bytes));
        }
        self.inner.consume(amount);
    }
}

impl Read for Framed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `bytes` in pieces of `piece`; what was wrong at the end.
    fn fault(bytes: &'static [u8], piece: usize) -> Option<String> {
        let inner = io::BufReader::with_capacity(piece, bytes);
        let mut read = Vec::new();
        let end = Framed::new(Box::new(inner)).read_to_end(&mut read);
        assert_eq!(read, bytes);
        end.err().map(|error| error.to_string())
    }

    #[test]
    fn an_answer_ends_between_two_lines() {
        for (bytes, expected) in [
            (&b""[..], None),
            (b"0000", None),
            (b"0008abcd00010004000aabcdef0002", None),
            (b"0008NAK\nPACK\0\0\0\x02 and so on", None),
            (b"0003", None),
            (b"<htm", None),
            (b"00", Some("RPC failed; 2 bytes of length header were received")),
            (b"0008abcd0", Some("RPC failed; 1 bytes of length header were received")),
            (b"007945", Some("RPC failed; 115 bytes of body are still expected")),
            (b"0008abcd0005", Some("RPC failed; 1 bytes of body are still expected")),
        ] {
            for piece in [1, 3, 100] {
                assert_eq!(fault(bytes, piece).as_deref(), expected, "{}", bytes.escape_ascii());
            }
        }
    }

    #[test]
    fn pages_do_not_begin_as_answers_do() {
        for (bytes, expected) in
            [(&b"0000"[..], true), (b"00", true), (b"", false), (b"<html>", false), (b"{\"a", false)]
        {
            assert_eq!(begins_well(&mut &*bytes).unwrap(), expected);
        }
    }
}
