//! A session over a pair of byte streams that stays open: a child's pipes or a socket.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, ExitStatus};

use super::{Connection, Error};
use crate::progress::Progress;
use crate::protocol::trace;
use crate::telemetry;

/// Bytes read at once, and written at once from a stream: what a pipe holds on Linux.
const BUFFER_BYTES: usize = 64 * 1024;

/// How a shell reports that SIGPIPE ended what it ran: the far side was writing when we stopped reading.
const SHELL_BROKEN_PIPE: i32 = 128 + 13;

/// A [`Connection`] that remembers: what was said in one exchange holds in the next.
///
/// The far side is told of the end by end of file. Dropping the session closes it and waits for the child, so that none
/// is left behind; a child is never killed.
pub struct Stream {
    reader: BufReader<Box<dyn Read + Send>>,
    writer: Option<Box<dyn Write + Send>>,
    child: Option<Child>,
    /// The socket, if it is one, to hang up while another thread writes to it.
    socket: Option<TcpStream>,
}

impl Stream {
    /// A session with `child`, whose standard input and output are pipes.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if one of them is none.
    pub fn from_child(mut child: Child) -> Result<Self, Error> {
        match (child.stdout.take(), child.stdin.take()) {
            (Some(stdout), Some(stdin)) => {
                let mut stream = Self::from_parts(Box::new(stdout), Box::new(stdin));
                stream.child = Some(child);
                Ok(stream)
            }
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "the child has no pipes").into()),
        }
    }

    /// A session over `socket`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the system cannot give a second handle to it.
    pub fn from_socket(socket: TcpStream) -> Result<Self, Error> {
        let (reader, handle) = (socket.try_clone()?, socket.try_clone()?);
        let mut stream = Self::from_parts(Box::new(reader), Box::new(HalfSocket(socket)));
        stream.socket = Some(handle);
        Ok(stream)
    }

    /// A session over any two streams; `writer` is dropped to tell the far side that all is said.
    pub fn from_parts(reader: Box<dyn Read + Send>, writer: Box<dyn Write + Send>) -> Self {
        let reader = BufReader::with_capacity(BUFFER_BYTES, reader);
        Self { reader, writer: Some(writer), child: None, socket: None }
    }

    /// With a child that stands behind the streams and is waited for.
    pub(super) fn with_child(mut self, child: Option<Child>) -> Self {
        self.child = child;
        self
    }

    /// Writes `request`, all of it or as much as the far side wants to hear.
    pub(super) fn send(&mut self, request: &[u8]) -> io::Result<()> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        trace::sent(request);
        forgive_hang_up(writer.write_all(request).and_then(|()| writer.flush()))
    }

    /// Makes whoever writes to the far side fail: it will not be listened to any more, so it need not go on.
    fn hang_up(&mut self) {
        self.stop_listening();
        if let Some(socket) = &self.socket {
            // It may be down already.
            let _gone = socket.shutdown(Shutdown::Both);
        }
    }

    /// Drops the stream beneath the reader, with what was buffered.
    fn stop_listening(&mut self) {
        self.reader = BufReader::new(Box::new(io::empty()));
    }

    /// Closes both directions, then waits for the child.
    fn finish(&mut self) -> io::Result<Option<ExitStatus>> {
        drop(self.writer.take());
        self.stop_listening();
        let Some(mut child) = self.child.take() else { return Ok(None) };
        let status = child.wait()?;
        telemetry::child_ended(child.id(), status);
        Ok(Some(status))
    }
}

impl Connection for Stream {
    fn is_stateful(&self) -> bool {
        true
    }

    fn greeting(&mut self) -> Result<&mut dyn BufRead, Error> {
        Ok(&mut self.reader)
    }

    /// The far side of a pipe sees the end of `body` as the end of all we say; a socket stays open for its answer's sake,
    /// as in git 2.47.3.
    fn converse(
        &mut self,
        body: &mut (dyn Read + Send),
        read: &mut dyn FnMut(&mut dyn BufRead) -> Result<(), Error>,
        _progress: &mut dyn Progress,
    ) -> Result<(), Error> {
        let Some(writer) = self.writer.take() else {
            return Err(io::Error::new(io::ErrorKind::NotConnected, "all was said before").into());
        };
        let (said, heard) = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("near side".into());
            let is_socket = self.socket.is_some();
            let speaking = thread.spawn_scoped(scope, move || {
                let mut writer = writer;
                let said = say(body, &mut *writer);
                let goes_on = is_socket && matches!(said, Ok(true));
                (said, goes_on.then_some(writer))
            })?;
            let heard = read(&mut self.reader);
            if heard.is_err() {
                self.hang_up();
            }
            let said = speaking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Ok::<_, io::Error>((said, heard))
        })?;
        let (said, writer) = said;
        self.writer = writer;
        match said {
            Ok(_) => heard,
            Err(Unsaid::Body(error)) => Err(error.into()),
            Err(Unsaid::Wire(error)) => heard.and(Err(error.into())),
        }
    }

    fn answer(&mut self) -> Result<&mut dyn BufRead, Error> {
        Ok(&mut self.reader)
    }

    /// A far side that hangs up while it is written to is no error yet: its last words say why.
    fn exchange(&mut self, request: &[u8], _progress: &mut dyn Progress) -> Result<&mut dyn BufRead, Error> {
        self.send(request)?;
        Ok(&mut self.reader)
    }

    /// Closes the pipes and waits for the child. The flush-pkt that says goodbye is for the caller to send. A child
    /// that a signal ended, as when we stopped reading, ended well; one that reports failure makes it
    /// [`Error::Ended`], over which git fails a fetch but not an ls-remote.
    fn close(mut self: Box<Self>) -> Result<(), Error> {
        match self.finish()? {
            Some(status) if status.code().is_some_and(|code| code != 0 && code != SHELL_BROKEN_PIPE) => {
                Err(Error::Ended)
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // Whoever wants to know how it ended calls close().
        let _status = self.finish();
    }
}

/// The writing half of a socket: dropping it says end of file while the other half reads on.
struct HalfSocket(TcpStream);

impl Write for HalfSocket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Drop for HalfSocket {
    fn drop(&mut self) {
        // A far side that is gone already needs not be told.
        let _gone = self.0.shutdown(Shutdown::Write);
    }
}

/// Why something was not said to its end.
enum Unsaid {
    /// It could not be read.
    Body(io::Error),
    /// It could not be written, and not because the far side hung up.
    Wire(io::Error),
}

/// Writes all of `body`, or as much as the far side wants to hear; tells whether it was all.
fn say(body: &mut dyn Read, writer: &mut dyn Write) -> Result<bool, Unsaid> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let (written, is_last) = match body.read(&mut buffer) {
            Ok(0) => (writer.flush(), true),
            Ok(length) => (writer.write_all(buffer.get(..length).unwrap_or_default()), false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Unsaid::Body(error)),
        };
        match written {
            Ok(()) if is_last => return Ok(true),
            Ok(()) => {}
            Err(error) => return forgive_hang_up(Err(error)).map(|()| false).map_err(Unsaid::Wire),
        }
    }
}

fn forgive_hang_up(result: io::Result<()>) -> io::Result<()> {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    match result {
        Err(error) if matches!(error.kind(), BrokenPipe | ConnectionReset | ConnectionAborted) => Ok(()),
        other => other,
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[expect(clippy::unnecessary_box_returns, reason = "a connection is closed in its box")]
    fn shell(script: &str) -> Box<Stream> {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
        Box::new(Stream::from_child(command.spawn().expect("sh starts")).expect("it has pipes"))
    }

    fn read_line(reader: &mut dyn BufRead) -> String {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a line");
        line
    }

    struct Failing;

    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("torn"))
        }
    }

    #[test]
    fn greeting_then_exchanges() {
        let mut stream = shell("echo hello; while read line; do echo \"got $line\"; done");
        assert!(stream.is_stateful());
        assert_eq!(read_line(stream.greeting().expect("greeting")), "hello\n");
        assert_eq!(
            read_line(stream.exchange(b"a\n", &mut crate::progress::Discard).expect("exchange")),
            "got a\n"
        );
        assert_eq!(
            read_line(stream.exchange(b"c\n", &mut crate::progress::Discard).expect("exchange")),
            "got c\n"
        );
        stream.close().expect("it ends well");
    }

    #[test]
    fn last_words_are_read_after_a_broken_pipe() {
        let mut stream = shell("exec 0</dev/null; echo ERR; exit 1");
        let zeroes = vec![0; 4 * BUFFER_BYTES];
        assert_eq!(
            read_line(stream.exchange(&zeroes, &mut crate::progress::Discard).expect("no error yet")),
            "ERR\n"
        );
        assert!(matches!(stream.close(), Err(Error::Ended)));
    }

    /// Says `body` and gives back what is heard up to the end.
    fn converse(stream: &mut Stream, body: &mut (dyn Read + Send)) -> Result<Vec<u8>, Error> {
        let mut heard = Vec::new();
        let mut read = |reader: &mut dyn BufRead| Ok(reader.read_to_end(&mut heard).map(drop)?);
        stream.converse(body, &mut read, &mut crate::progress::Discard)?;
        Ok(heard)
    }

    #[test]
    fn a_pipe_is_told_the_end_of_what_we_say() {
        let mut stream = shell("cat; echo end");
        assert_eq!(converse(&mut stream, &mut &b"a\n"[..]).expect("it ends well"), b"a\nend\n");
        let error = converse(&mut stream, &mut &b"b\n"[..]).expect_err("nothing more can be said");
        assert_eq!(error.to_string(), "all was said before");
        stream.close().expect("it ends well");
    }

    #[test]
    fn a_socket_stays_open_behind_what_we_say() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback");
        let socket = TcpStream::connect(listener.local_addr().expect("an address")).expect("it listens");
        let mut stream = Box::new(Stream::from_socket(socket).expect("a session"));
        let far = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().expect("somebody called");
            let mut said = [0; 4];
            for _ in 0..2 {
                socket.read_exact(&mut said).expect("four bytes");
                socket.write_all(&said).expect("it listens");
            }
        });
        for request in [b"abcd", b"efgh"] {
            let mut heard = [0; 4];
            let mut read = |reader: &mut dyn BufRead| Ok(reader.read_exact(&mut heard)?);
            stream.converse(&mut &request[..], &mut read, &mut crate::progress::Discard).expect("answered");
            assert_eq!(&heard, request);
        }
        far.join().expect("no panic");
        stream.close().expect("it ends well");
    }

    #[test]
    fn both_talk_at_once_in_a_conversation() {
        const LENGTH: u64 = 3 * 1024 * 1024;
        // it does not listen before it has said a megabyte
        let mut stream = shell("head -c 1048576 /dev/zero; wc -c");
        let heard = converse(&mut stream, &mut io::repeat(b'x').take(LENGTH)).expect("no deadlock");
        assert_eq!(heard.len(), 1_048_576 + LENGTH.to_string().len() + 1);
        assert!(heard.ends_with(format!("{LENGTH}\n").as_bytes()));
    }

    #[test]
    fn last_words_are_heard_however_much_was_to_be_said() {
        let mut stream = shell("exec 0</dev/null; echo no; exit 1");
        assert_eq!(converse(&mut stream, &mut io::repeat(0)).expect("it has spoken"), b"no\n");
        assert!(matches!(stream.close(), Err(Error::Ended)));
    }

    #[test]
    fn a_body_that_fails_is_the_error_that_counts() {
        let mut stream = shell("cat; echo too bad");
        let mut heard = Vec::new();
        let mut read = |reader: &mut dyn BufRead| Ok(reader.read_to_end(&mut heard).map(drop)?);
        let mut body = Read::chain(&b"half "[..], Failing);
        let error = stream.converse(&mut body, &mut read, &mut crate::progress::Discard).expect_err("torn");
        assert_eq!(error.to_string(), "torn");
        assert_eq!(heard, b"half too bad\n", "the far side saw that it was cut short");
    }

    #[test]
    fn nobody_is_left_writing_when_listening_fails() {
        // the far side neither listens nor ends while it can speak
        let mut stream = shell("exec yes");
        let mut read = |_: &mut dyn BufRead| Err(Error::Access("enough".into()));
        let error = stream.converse(&mut io::repeat(0), &mut read, &mut crate::progress::Discard);
        assert_eq!(error.expect_err("it failed").to_string(), "enough");
        stream.close().expect("a signal ended it");
    }

    #[test]
    fn cut_short_is_no_error() {
        let mut stream = shell("exec yes");
        assert_eq!(read_line(stream.greeting().expect("greeting")), "y\n");
        stream.close().expect("a signal ended it");
    }

    #[test]
    fn no_child_is_left_behind() {
        let stream = shell("read line");
        let id = stream.child.as_ref().map(Child::id).expect("there is a child");
        drop(stream);
        assert!(!std::path::Path::new(&format!("/proc/{id}")).exists());
    }
}
