//! A pipe within the process: one thread makes the pack, another sends it.
//!
//! Unlike a pipe of the system it tells a pack that is whole from one that broke off, and its reader can be told that
//! nobody wants the rest.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes that wait at most: enough for the maker of the pack to go on while the wire is busy.
const CAPACITY_BYTES: usize = 1024 * 1024;

/// The two ends of a new pipe.
pub(super) fn pipe() -> (PipeWriter, PipeReader) {
    let shared = Arc::new(Shared::default());
    (PipeWriter(Arc::clone(&shared)), PipeReader(shared))
}

/// The end that is written to. Dropped before [`PipeWriter::finish`], it makes reading fail.
pub(super) struct PipeWriter(Arc<Shared>);

/// The end that is read.
pub(super) struct PipeReader(Arc<Shared>);

/// Ends a pipe from the side: see [`PipeReader::stopper`].
pub(super) struct Stopper(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Something can be read, or there is nothing to wait for.
    readable: Condvar,
    /// Something can be written, or there is nobody to write for.
    writable: Condvar,
}

#[derive(Default)]
struct State {
    bytes: VecDeque<u8>,
    writer: WriterState,
    /// Nobody reads on.
    is_stopped: bool,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum WriterState {
    #[default]
    Writing,
    Finished,
    /// It is gone and did not finish.
    Gone,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // bytes and flags are as they should be after a panic too
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end_writing(&self, how: WriterState) {
        let mut state = self.lock();
        if state.writer == WriterState::Writing {
            state.writer = how;
            self.readable.notify_all();
        }
    }

    fn stop(&self) {
        let mut state = self.lock();
        state.is_stopped = true;
        state.bytes = VecDeque::new();
        self.readable.notify_all();
        self.writable.notify_all();
    }
}

impl PipeWriter {
    /// All has been written.
    pub(super) fn finish(self) {
        self.0.end_writing(WriterState::Finished);
    }
}

impl Write for PipeWriter {
    /// Waits for room. [`io::ErrorKind::BrokenPipe`] if nobody reads on.
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let mut state = self.0.lock();
        while state.bytes.len() >= CAPACITY_BYTES && !state.is_stopped {
            state = self.0.writable.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.is_stopped {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let room = data.len().min(CAPACITY_BYTES - state.bytes.len());
        state.bytes.extend(data.get(..room).unwrap_or_default());
        self.0.readable.notify_one();
        Ok(room)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        self.0.end_writing(WriterState::Gone);
    }
}

impl PipeReader {
    /// What can end the pipe while it is read.
    pub(super) fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.0))
    }

    /// Whether it was: what came last was no end then.
    pub(super) fn is_stopped(&self) -> bool {
        self.0.lock().is_stopped
    }
}

impl Read for PipeReader {
    /// Waits for bytes. The end is told after [`PipeWriter::finish`], and where the pipe was stopped; a writer that is
    /// gone without it makes an error.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.0.lock();
        loop {
            if state.is_stopped || buffer.is_empty() {
                return Ok(0);
            }
            if !state.bytes.is_empty() {
                let amount = state.bytes.read(buffer)?;
                self.0.writable.notify_one();
                return Ok(amount);
            }
            match state.writer {
                WriterState::Writing => {}
                WriterState::Finished => return Ok(0),
                WriterState::Gone => return Err(io::Error::other("the pack broke off")),
            }
            state = self.0.readable.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Stopper {
    /// Nobody wants the rest: reading gives the end, writing fails.
    pub(super) fn stop(&self) {
        self.0.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_comes_out_however_large() {
        let data: Vec<u8> = (0..=250).cycle().take(3 * CAPACITY_BYTES + 17).collect();
        let (mut writer, mut reader) = pipe();
        let read = std::thread::scope(|scope| {
            scope.spawn(|| {
                writer.write_all(&data).expect("somebody reads");
                writer.finish();
            });
            let mut read = Vec::new();
            reader.read_to_end(&mut read).expect("it was finished");
            read
        });
        assert!(read == data);
    }

    #[test]
    fn a_writer_that_does_not_finish_is_an_error() {
        let (mut writer, mut reader) = pipe();
        writer.write_all(b"PACK").expect("there is room");
        drop(writer);
        let mut read = Vec::new();
        assert_eq!(
            reader.read_to_end(&mut read).expect_err("it broke off").to_string(),
            "the pack broke off"
        );
        assert_eq!(read, b"PACK");
    }

    #[test]
    fn stopping_wakes_both_ends() {
        let (mut writer, mut reader) = pipe();
        let stopper = reader.stopper();
        std::thread::scope(|scope| {
            let writing = scope.spawn(|| writer.write_all(&vec![0; 2 * CAPACITY_BYTES]));
            let mut first = [0; 1];
            reader.read_exact(&mut first).expect("it is being written");
            stopper.stop();
            let error = writing.join().expect("no panic").expect_err("nobody reads on");
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        });
        assert_eq!(reader.read(&mut [0; 8]).expect("the end"), 0);

        let (_writer, mut reader) = pipe();
        let stopper = reader.stopper();
        std::thread::scope(|scope| {
            let reading = scope.spawn(move || reader.read(&mut [0; 8]));
            stopper.stop();
            assert_eq!(reading.join().expect("no panic").expect("the end"), 0);
        });
    }

    #[test]
    fn a_reader_that_is_gone_is_a_broken_pipe() {
        let (mut writer, reader) = pipe();
        drop(reader);
        assert_eq!(writer.write(b"x").expect_err("nobody reads").kind(), io::ErrorKind::BrokenPipe);
    }
}
