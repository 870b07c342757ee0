//! Writing to a descriptor that somebody else has made non-blocking.

use std::io::{self, Write};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};

/// Waits wherever its stream does not take everything at once. OpenSSH shares our stderr and makes it non-blocking, so
/// that a pipe which is full is an error to whoever writes, and what was to be shown would be lost.
pub(super) struct Patient<S>(pub S);

impl<S: Write + AsFd> Write for Patient<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait()?,
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        loop {
            match self.0.flush() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait()?,
                flushed => return flushed,
            }
        }
    }
}

impl<S: AsFd> Patient<S> {
    fn wait(&self) -> io::Result<()> {
        match poll(&mut [PollFd::new(&self.0, PollFlags::OUT)], None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_full_pipe_is_waited_for() {
        let (mut reader, writer) = io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        let text: Vec<u8> = (0..1_000_000_u32).map(|place| (place % 251) as u8).collect();
        let reading = std::thread::spawn(move || {
            let mut seen = Vec::new();
            reader.read_to_end(&mut seen).map(|_| seen)
        });
        Patient(writer).write_all(&text).unwrap();
        assert_eq!(reading.join().unwrap().unwrap(), text);
    }
}
