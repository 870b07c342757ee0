//! Side-bands: pack data, progress and errors on one stream. `gitprotocol-pack(5)`, "Packfile Data".

use std::io::{self, BufRead, Read};

use crate::progress::Progress;

/// Gives the bytes of band 1 as a stream, telling `progress` the lines of band 2. Ends at the flush-pkt. What goes wrong
/// is an [`io::Error`] whose source is an [`super::Error`]: band 3 ([`super::Error::Remote`]), a hang-up, a bad
/// pkt-line, [`super::Error::Interrupted`] if `progress` said so.
pub struct Demux<'a> {
    _input: &'a mut dyn BufRead,
    _progress: &'a std::cell::RefCell<&'a mut dyn Progress>,
}

impl<'a> Demux<'a> {
    /// Reads from `input`, which stands before the first side-band packet.
    pub fn new(input: &'a mut dyn BufRead, progress: &'a std::cell::RefCell<&'a mut dyn Progress>) -> Self {
        Self { _input: input, _progress: progress }
    }
    /// Reads on to the flush-pkt after the pack has been taken, passing on the band 2 lines that remain.
    pub fn finish(self) -> Result<(), super::Error> {
        todo!("protocol helper")
    }
}

impl Read for Demux<'_> {
    fn read(&mut self, _buf: &mut [u8]) -> io::Result<usize> {
        todo!()
    }
}

impl BufRead for Demux<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        todo!()
    }
    fn consume(&mut self, _amount: usize) {
        todo!()
    }
}
