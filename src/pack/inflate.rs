//! Inflating the zlib streams of entries.

use sirocco::Format;
use sirocco::inflate::Decoder;

/// The most that memory is reserved for at once on the word of a header; it grows with what really comes.
const RESERVED_MAX: usize = 1024 * 1024;

/// The buffer of streams that go by in pieces: what was made last is needed to go on.
const BUFFER_LEN: usize = 256 * 1024;

/// Inflates one stream after another with the same state.
pub(crate) struct Inflater {
    decoder: Decoder,
    /// What the present stream is to inflate to, in bytes.
    size: u64,
    /// For pieces; made when first needed.
    buffer: Vec<u8>,
    is_full: bool,
}

/// What one step did.
pub(crate) struct Step<'a> {
    /// Bytes of input used up.
    pub used: usize,
    /// Bytes made.
    pub made: &'a [u8],
    /// Whether the stream is at its end; it has made what was declared.
    pub ended: bool,
}

impl Inflater {
    pub fn new() -> Self {
        Self { decoder: Decoder::new(Format::Zlib), size: 0, buffer: Vec::new(), is_full: false }
    }

    /// Begins a stream that is to inflate to `size` bytes.
    pub fn begin(&mut self, size: u64) {
        self.decoder.reset();
        (self.size, self.is_full) = (size, false);
    }

    /// Inflates from `input`, which is not empty, a piece of at most [`BUFFER_LEN`] bytes.
    pub fn step(&mut self, input: &[u8]) -> Result<Step<'_>, InflateError> {
        if self.buffer.is_empty() {
            self.buffer.resize(BUFFER_LEN, 0);
        }
        if self.is_full {
            let _moved = self.decoder.make_room(&mut self.buffer);
        }
        let progress = self.decoder.decompress(input, &mut self.buffer, false)?;
        let (used, made, ended) = (progress.consumed, progress.output, progress.done);
        self.is_full = progress.full;
        let total = self.decoder.total_out();
        if total > self.size || (!ended && used == 0 && made.is_empty()) {
            return Err(InflateError::Buffer);
        }
        if ended && total < self.size {
            return Err(InflateError::Short);
        }
        Ok(Step { used, made, ended })
    }

    /// Goes on with the stream from `input` into `out`, where what it has made so far stands. Gives how many bytes of
    /// input were used up, and whether the stream is at its end.
    ///
    /// Until then `out` may be longer than what was made.
    pub fn step_into(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(usize, bool), InflateError> {
        let mut rest = input;
        if self.decoder.total_in() == 0 {
            make_room(out, 0, self.size)?;
            if out.len() as u64 == self.size
                && let Some(ended) = self.whole(input, out)?
            {
                return Ok(ended);
            }
        }
        loop {
            let made = usize::try_from(self.decoder.total_out()).map_err(|_| InflateError::Memory)?;
            if made == out.len() {
                make_room(out, made, self.size)?;
            }
            let progress = self.decoder.decompress(rest, out, false)?;
            let (ended, full) = (progress.done, progress.full);
            rest = rest.get(progress.consumed..).unwrap_or_default();
            if ended || !full || rest.is_empty() {
                let total = self.decoder.total_out();
                if ended && total < self.size {
                    return Err(InflateError::Short);
                }
                return Ok((input.len() - rest.len(), ended));
            }
        }
    }

    /// As [`step_into`](Self::step_into), at the start of a stream of which all may be there: that is faster. `None` if some of
    /// it is not, or it makes more than `out` has room for.
    fn whole(&mut self, input: &[u8], out: &mut [u8]) -> Result<Option<(usize, bool)>, InflateError> {
        let size = out.len();
        match self.decoder.decompress(input, out, true) {
            Ok(progress) if progress.done && progress.output.len() < size => Err(InflateError::Short),
            Ok(progress) if progress.done => Ok(Some((progress.consumed, true))),
            Ok(_) | Err(sirocco::inflate::Error::Truncated) => {
                self.decoder.reset();
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Inflates the whole of `input` into `out`, whose former content is lost; it is to make `size` bytes.
    pub fn inflate(&mut self, input: &[u8], size: u64, out: &mut Vec<u8>) -> Result<(), InflateError> {
        self.begin(size);
        match self.step_into(input, out)? {
            (_, true) => Ok(()),
            (_, false) => Err(InflateError::Buffer),
        }
    }

    /// Inflates the beginning of `input` into `out`, as far as that goes; gives how many bytes there are.
    pub fn prefix(&mut self, input: &[u8], out: &mut [u8]) -> Result<usize, InflateError> {
        self.begin(out.len() as u64);
        Ok(self.decoder.decompress(input, out, false)?.output.len())
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

/// Makes `out` longer than `made` bytes, which stay, and at most `size`. What it had before is not made anew.
fn make_room(out: &mut Vec<u8>, made: usize, size: u64) -> Result<(), InflateError> {
    let size = usize::try_from(size).map_err(|_| InflateError::Memory)?;
    let wanted = size.min(made.saturating_mul(2).max(RESERVED_MAX));
    out.try_reserve_exact(wanted.saturating_sub(out.len())).map_err(|_| InflateError::Memory)?;
    out.resize(wanted, 0);
    Ok(())
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
pub(crate) enum InflateError {
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

impl From<sirocco::inflate::Error> for InflateError {
    fn from(error: sirocco::inflate::Error) -> Self {
        match error {
            // There is no room beyond the declared size, and no input beyond the entry.
            sirocco::inflate::Error::BufferFull | sirocco::inflate::Error::Truncated => Self::Buffer,
            _ => Self::Data,
        }
    }
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
        let content = vec![5; BUFFER_LEN * 2 + 17];
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
