//! Inflating the zlib streams of entries.

use flate2::{Decompress, FlushDecompress, Status};

/// The most that memory is reserved for at once on the word of a header; it grows with what really comes.
const RESERVED_MAX: usize = 1024 * 1024;

/// How much is inflated in one step.
pub(super) const STEP_LEN: usize = 64 * 1024;

/// Inflates one stream after another with the same state and the same buffer.
pub(super) struct Inflater {
    state: Decompress,
    buffer: Vec<u8>,
    /// What the present stream is to inflate to, and has inflated to so far, in bytes.
    size: u64,
    made: u64,
}

/// What one step did.
pub(super) struct Step<'a> {
    /// Bytes of input used up.
    pub used: usize,
    /// Bytes made.
    pub made: &'a [u8],
    /// Whether the stream is at its end; it has made what was declared.
    pub ended: bool,
}

impl Inflater {
    pub fn new() -> Self {
        Self { state: Decompress::new(true), buffer: vec![0; STEP_LEN], size: 0, made: 0 }
    }

    /// Begins a stream that is to inflate to `size` bytes.
    pub fn begin(&mut self, size: u64) {
        self.state.reset(true);
        (self.size, self.made) = (size, 0);
    }

    /// Inflates from `input`, which is not empty. At most [`STEP_LEN`] bytes are made.
    pub fn step(&mut self, input: &[u8]) -> Result<Step<'_>, InflateError> {
        let (before_in, before_out) = (self.state.total_in(), self.state.total_out());
        let status = self.state.decompress(input, &mut self.buffer, FlushDecompress::None);
        let status = status.map_err(|_| InflateError::Data)?;
        let used = usize::try_from(self.state.total_in() - before_in).unwrap_or(usize::MAX);
        let made = usize::try_from(self.state.total_out() - before_out).unwrap_or(usize::MAX);
        self.made += made as u64;
        let ended = status == Status::StreamEnd;
        if self.made > self.size || (!ended && used == 0 && made == 0) {
            return Err(InflateError::Buffer);
        }
        if ended && self.made < self.size {
            return Err(InflateError::Short);
        }
        Ok(Step { used, made: self.buffer.get(..made).unwrap_or_default(), ended })
    }

    /// Inflates the whole of `input` into `out`, whose former content is lost; it is to make `size` bytes.
    pub fn inflate(&mut self, input: &[u8], size: u64, out: &mut Vec<u8>) -> Result<(), InflateError> {
        out.clear();
        self.inflate_with(input, size, &mut |made| {
            reserve(out, made.len(), size)?;
            out.extend_from_slice(made);
            Ok(())
        })
    }

    /// Inflates the whole of `input`, which is to make `size` bytes, piece by piece into `sink`.
    pub fn inflate_with<E: From<InflateError>>(
        &mut self,
        input: &[u8],
        size: u64,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.begin(size);
        let mut rest = input;
        loop {
            let step = self.step(rest)?;
            rest = rest.get(step.used..).unwrap_or_default();
            let ended = step.ended;
            sink(step.made)?;
            if ended {
                return Ok(());
            }
        }
    }
}

/// Makes room for `more` bytes in `out`, which may grow to `size`.
pub(super) fn reserve(out: &mut Vec<u8>, more: usize, size: u64) -> Result<(), InflateError> {
    if out.capacity() - out.len() >= more {
        return Ok(());
    }
    let left = usize::try_from(size).unwrap_or(usize::MAX).saturating_sub(out.len());
    // Growing by what is there already keeps the number of moves small.
    let wanted = left.min(out.len().max(RESERVED_MAX)).max(more);
    out.try_reserve_exact(wanted).map_err(|_| InflateError::Memory)
}

/// What can be wrong with a zlib stream, in the words of `git index-pack`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum InflateError {
    /// It is no zlib stream, or its checksum is wrong.
    #[error("inflate returned -3")]
    Data,
    /// It makes more than declared, or does not end.
    #[error("inflate returned -5")]
    Buffer,
    /// It makes less than declared.
    #[error("inflate returned 1")]
    Short,
    /// There is no memory for the object.
    #[error("inflate returned -4")]
    Memory,
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn deflated(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn inflated(input: &[u8], size: u64) -> Result<Vec<u8>, InflateError> {
        let mut out = Vec::new();
        Inflater::new().inflate(input, size, &mut out).map(|()| out)
    }

    #[test]
    fn the_size_must_be_the_declared_one() {
        let content = vec![5; STEP_LEN * 2 + 17];
        let input = deflated(&content);
        let size = content.len() as u64;
        assert_eq!(inflated(&input, size).unwrap(), content);
        assert_eq!(inflated(&input, size - 1), Err(InflateError::Buffer));
        assert_eq!(inflated(&input, size + 1), Err(InflateError::Short));
        assert_eq!(inflated(&deflated(b""), 0).unwrap(), b"");
    }

    #[test]
    fn damage_and_truncation_are_errors() {
        let mut input = deflated(b"hello");
        assert_eq!(inflated(&input[..input.len() - 1], 5), Err(InflateError::Buffer));
        *input.last_mut().unwrap() ^= 1;
        assert_eq!(inflated(&input, 5), Err(InflateError::Data));
        assert_eq!(inflated(b"garbage", 5), Err(InflateError::Data));
    }

    #[test]
    fn a_huge_declared_size_reserves_little() {
        let mut out = Vec::new();
        let result = Inflater::new().inflate(&deflated(b"hello"), u64::MAX, &mut out);
        assert_eq!(result, Err(InflateError::Short));
        assert!(out.capacity() <= RESERVED_MAX);
    }
}
