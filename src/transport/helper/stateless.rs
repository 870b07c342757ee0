//! `stateless-connect`: protocol version 2 through a helper whose far side remembers nothing, such as git-remote-http.
//!
//! The greeting ends with its own flush-pkt. Each answer ends with a response-end packet behind its last flush-pkt, which
//! is the end of the stream for whoever reads it here.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{ChildStdin, ChildStdout};

use super::Reaped;
use crate::progress::Progress;
use crate::protocol::trace;
use crate::transport::{Connection, Error};

/// Bytes of the length that a packet begins with.
const LENGTH_BYTES: usize = 4;

/// The response-end packet. gitprotocol-v2(5), "Packet-Line Framing".
const RESPONSE_END: &[u8; LENGTH_BYTES] = b"0002";

/// See the module's description.
pub(super) struct Stateless {
    writer: ChildStdin,
    answer: Answer<BufReader<ChildStdout>>,
    _child: Reaped,
}

impl Stateless {
    pub(super) fn new(reader: BufReader<ChildStdout>, writer: ChildStdin, child: Reaped) -> Self {
        Self { writer, answer: Answer { inner: reader, state: State::Ended }, _child: child }
    }

    /// Reads what is left of the last answer, then says `request`.
    fn ask(&mut self, request: &[u8]) -> Result<(), Error> {
        io::copy(&mut self.answer, &mut io::sink())?;
        trace::sent(request);
        self.writer.write_all(request).and_then(|()| self.writer.flush())?;
        self.answer.state = State::Between;
        Ok(())
    }
}

impl Connection for Stateless {
    fn is_stateful(&self) -> bool {
        false
    }

    fn greeting(&mut self) -> Result<&mut dyn BufRead, Error> {
        Ok(&mut self.answer.inner)
    }

    fn exchange(&mut self, request: &[u8], _progress: &mut dyn Progress) -> Result<&mut dyn BufRead, Error> {
        self.ask(request)?;
        Ok(&mut self.answer)
    }

    /// No service that hears and speaks at once is reached this way.
    fn converse(
        &mut self,
        body: &mut (dyn Read + Send),
        read: &mut dyn FnMut(&mut dyn BufRead) -> Result<(), Error>,
        _progress: &mut dyn Progress,
    ) -> Result<(), Error> {
        io::copy(body, &mut self.writer)?;
        self.writer.flush()?;
        self.answer.state = State::Between;
        read(&mut self.answer)
    }

    fn answer(&mut self) -> Result<&mut dyn BufRead, Error> {
        Ok(&mut self.answer)
    }

    fn close(self: Box<Self>) -> Result<(), Error> {
        Ok(())
    }
}

/// The packets of one answer, up to its response-end packet.
struct Answer<R> {
    inner: R,
    state: State,
}

/// Where in an answer we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A packet begins next.
    Between,
    /// So much of a length has still to be handed on, from its end, then so much of the packet.
    Within { length: [u8; LENGTH_BYTES], length_left: usize, left: usize },
    /// The answer is over, or none was asked for.
    Ended,
}

impl<R: BufRead> Answer<R> {
    /// Reads the length of the next packet.
    fn next_packet(&mut self) -> io::Result<()> {
        let mut length = [0; LENGTH_BYTES];
        self.inner.read_exact(&mut length)?;
        if &length == RESPONSE_END {
            self.state = State::Ended;
            return Ok(());
        }
        let digits = length.iter().all(u8::is_ascii_hexdigit).then_some(&length[..]);
        let number =
            digits.and_then(|digits| usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        // A length that is none is handed on, for whoever reads packets to complain about.
        let left = number.unwrap_or(0).saturating_sub(LENGTH_BYTES);
        self.state = State::Within { length, length_left: LENGTH_BYTES, left };
        Ok(())
    }
}

impl<R: BufRead> Read for Answer<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let length = available.len().min(buffer.len());
        if let (Some(from), Some(to)) = (available.get(..length), buffer.get_mut(..length)) {
            to.copy_from_slice(from);
        }
        self.consume(length);
        Ok(length)
    }
}

impl<R: BufRead> BufRead for Answer<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while matches!(self.state, State::Between | State::Within { length_left: 0, left: 0, .. }) {
            self.next_packet()?;
        }
        match &self.state {
            State::Within { length, length_left, .. } if *length_left > 0 => {
                Ok(length.get(LENGTH_BYTES - length_left..).unwrap_or_default())
            }
            State::Within { left, .. } => {
                let available = self.inner.fill_buf()?;
                Ok(available.get(..(*left).min(available.len())).unwrap_or_default())
            }
            State::Between | State::Ended => Ok(&[]),
        }
    }

    fn consume(&mut self, amount: usize) {
        let State::Within { length_left, left, .. } = &mut self.state else { return };
        if *length_left > 0 {
            *length_left -= amount.min(*length_left);
        } else {
            *left -= amount.min(*left);
            self.inner.consume(amount);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let mut answer = Answer { inner: BufReader::with_capacity(3, bytes), state: State::Between };
        let mut said = Vec::new();
        answer.read_to_end(&mut said).expect("it is whole");
        let mut rest = Vec::new();
        answer.inner.read_to_end(&mut rest).expect("memory");
        (said, rest)
    }

    #[test]
    fn an_answer_ends_with_its_response_end_packet() {
        for (bytes, said, rest) in [
            (&b"0006ab00000002next"[..], &b"0006ab0000"[..], &b"next"[..]),
            (b"00020002", b"", b"0002"),
            (b"00080002000100040002", b"0008000200010004", b""),
            (b"zzzz0002", b"zzzz", b""),
        ] {
            assert_eq!(read(bytes), (said.to_vec(), rest.to_vec()));
        }
    }

    #[test]
    fn one_that_is_cut_is_an_error() {
        for bytes in [&b"0006ab"[..], b"00"] {
            let mut answer = Answer { inner: bytes, state: State::Between };
            let error = answer.read_to_end(&mut Vec::new()).expect_err("it is cut");
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
    }

    #[test]
    fn a_packet_that_is_cut_ends_early() {
        let mut answer = Answer { inner: &b"000aab"[..], state: State::Between };
        let mut said = Vec::new();
        answer.read_to_end(&mut said).expect("whoever reads packets will see");
        assert_eq!(said, b"000aab");
    }
}
