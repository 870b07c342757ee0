//! Deflating what entries hold.

use std::io::Read;

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

    /// Deflates what `content` gives piece by piece into `sink`; it must be `size` bytes.
    pub fn stream(
        &mut self,
        content: &mut dyn Read,
        size: u64,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.state.reset();
        let (mut input, mut output) = (vec![0; STEP_LEN], Vec::with_capacity(STEP_LEN));
        loop {
            let len = read_full(content, &mut input)?;
            let mut rest = input.get(..len).unwrap_or_default();
            let flush = if len < STEP_LEN { FlushCompress::Finish } else { FlushCompress::None };
            loop {
                let before = self.state.total_in();
                let status = self.state.compress_vec(rest, &mut output, flush);
                let status = status.map_err(|error| Error::Read(error.into()))?;
                let used = usize::try_from(self.state.total_in() - before).unwrap_or(usize::MAX);
                rest = rest.get(used..).unwrap_or_default();
                let is_full = output.len() == output.capacity();
                sink(&output)?;
                output.clear();
                if status == Status::StreamEnd {
                    return check_size(self.state.total_in(), size);
                }
                if !is_full && rest.is_empty() {
                    break;
                }
            }
        }
    }
}

/// Fills `buffer` as far as `content` goes.
fn read_full(content: &mut dyn Read, buffer: &mut [u8]) -> Result<usize, Error> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match content.read(rest) {
            Ok(0) => break,
            Ok(len) => filled += len,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::Read(error)),
        }
    }
    Ok(filled)
}

fn check_size(made: u64, size: u64) -> Result<(), Error> {
    if made == size {
        return Ok(());
    }
    let what = format!("object of {made} bytes was declared to have {size}");
    Err(Error::Read(std::io::Error::new(std::io::ErrorKind::InvalidData, what)))
}
