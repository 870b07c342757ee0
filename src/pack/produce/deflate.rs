//! Deflating what entries hold.

use std::io::{self, Read};

use flate2::{Compress, Compression, FlushCompress, Status};

use super::super::Error;

/// How much is deflated in one step where a stream is not held whole, in bytes.
const STEP_LEN: usize = 64 * 1024;

/// Deflates one stream after another with the same state.
pub(super) struct Deflater {
    state: Compress,
}

impl Deflater {
    /// Deflates at `level`, -1 to 9 as zlib has it: -1 is the level it thinks best.
    pub fn new(level: i32) -> Self {
        let level = u32::try_from(level).ok().filter(|level| *level <= 9);
        Self { state: Compress::new(level.map_or_else(Compression::default, Compression::new), true) }
    }

    /// Puts the zlib stream of `content` into `out`, whose former content is lost.
    pub fn deflate(&mut self, content: &[u8], out: &mut Vec<u8>) {
        out.clear();
        self.state.reset();
        let mut rest = content;
        loop {
            out.reserve((rest.len() / 2).max(64));
            let before = self.state.total_in();
            let status = self.state.compress_vec(rest, out, FlushCompress::Finish);
            let used = usize::try_from(self.state.total_in() - before).unwrap_or(usize::MAX);
            rest = rest.get(used..).unwrap_or_default();
            // with room for output there is no state in which deflate fails
            if !matches!(status, Ok(Status::Ok | Status::BufError)) {
                return;
            }
        }
    }

    /// Deflates what `content` gives piece by piece into `sink`, whose errors end it; gives how many bytes it was.
    pub fn stream(
        &mut self,
        content: &mut dyn Read,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<io::Result<u64>, Error> {
        self.state.reset();
        let (mut input, mut output) = (vec![0; STEP_LEN], Vec::with_capacity(STEP_LEN));
        loop {
            let len = match read_full(content, &mut input) {
                Ok(len) => len,
                Err(error) => return Ok(Err(error)),
            };
            let mut rest = input.get(..len).unwrap_or_default();
            let flush = if len < STEP_LEN { FlushCompress::Finish } else { FlushCompress::None };
            loop {
                let before = self.state.total_in();
                let status = self.state.compress_vec(rest, &mut output, flush);
                let Ok(status) = status else { return Ok(Err(io::ErrorKind::InvalidInput.into())) };
                let used = usize::try_from(self.state.total_in() - before).unwrap_or(usize::MAX);
                rest = rest.get(used..).unwrap_or_default();
                let is_full = output.len() == output.capacity();
                sink(&output)?;
                output.clear();
                if status == Status::StreamEnd {
                    return Ok(Ok(self.state.total_in()));
                }
                if !is_full && rest.is_empty() {
                    break;
                }
            }
        }
    }
}

/// Fills `buffer` as far as `content` goes.
fn read_full(content: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match content.read(rest) {
            Ok(0) => break,
            Ok(len) => filled += len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
