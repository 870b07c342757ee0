//! `--stateless-rpc`: a session whose far side is whoever started us, and who speaks HTTP for us. What we say goes to
//! stdout in pkt-lines, with a flush-pkt at its end; what the server says comes as it is on stdin. Seen in git 2.47.3,
//! whose `git-remote-http` starts `send-pack` and `fetch-pack` so.

use std::io::{self, BufRead, Read, Write};

use crate::progress::Progress;
use crate::protocol::pktline::{DATA_LEN_MAX, write_data, write_flush};
use crate::protocol::{Service, Version};
use crate::transport::{Connection, Error, Transport};

/// Has the only connection there is; a second one cannot be made.
pub(super) struct Rpc(Option<Exchange>);

impl Rpc {
    /// `input` says what the server says, and `output` takes what is for it.
    pub(super) fn new(input: Box<dyn BufRead + Send>, output: Box<dyn Write + Send>) -> Self {
        Self(Some(Exchange { input, output, is_awaited: true }))
    }
}

/// The session: one request, one answer.
struct Exchange {
    input: Box<dyn BufRead + Send>,
    output: Box<dyn Write + Send>,
    /// Whether the other side waits for a request, or for the flush-pkt which says that there is none: a push is one request,
    /// a fetch any number.
    is_awaited: bool,
}

impl Transport for Rpc {
    fn connect(
        &mut self,
        _service: Service,
        _version: Version,
        _progress: &mut dyn Progress,
    ) -> Result<Box<dyn Connection>, Error> {
        match self.0.take() {
            Some(exchange) => Ok(Box::new(exchange)),
            None => Err(io::Error::new(io::ErrorKind::NotConnected, "all was said before").into()),
        }
    }
}

impl Connection for Exchange {
    fn is_stateful(&self) -> bool {
        false
    }

    fn greeting(&mut self) -> Result<&mut dyn BufRead, Error> {
        Ok(&mut self.input)
    }

    fn exchange(
        &mut self,
        mut request: &[u8],
        _progress: &mut dyn Progress,
    ) -> Result<&mut dyn BufRead, Error> {
        say(&mut request, &mut self.output)?;
        Ok(&mut self.input)
    }

    fn converse(
        &mut self,
        body: &mut (dyn Read + Send),
        read: &mut dyn FnMut(&mut dyn BufRead) -> Result<(), Error>,
        _progress: &mut dyn Progress,
    ) -> Result<(), Error> {
        self.is_awaited = false;
        let output = &mut self.output;
        let (said, heard) = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("near side".into());
            let speaking = thread.spawn_scoped(scope, move || say(body, output))?;
            let heard = read(&mut self.input);
            let said = speaking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Ok::<_, io::Error>((said, heard))
        })?;
        match said {
            // Whoever does not listen any more has said why.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            Ok(()) | Err(_) => heard,
        }
    }

    fn answer(&mut self) -> Result<&mut dyn BufRead, Error> {
        Ok(&mut self.input)
    }

    fn close(mut self: Box<Self>) -> Result<(), Error> {
        if self.is_awaited {
            write_flush(&mut self.output)?;
            self.output.flush()?;
        }
        Ok(())
    }
}

/// Says all of `body`.
fn say(body: &mut dyn Read, output: &mut dyn Write) -> io::Result<()> {
    let mut chunk = vec![0; DATA_LEN_MAX];
    loop {
        let length = match body.read(&mut chunk) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if length == 0 {
            write_flush(output)?;
            return output.flush();
        }
        write_data(output, chunk.get(..length).unwrap_or_default())?;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::progress::Discard;

    /// Keeps what is written.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn session(input: &'static [u8]) -> (Box<dyn Connection>, Written) {
        let written = Written::default();
        let mut rpc = Rpc::new(Box::new(input), Box::new(written.clone()));
        (rpc.connect(Service::ReceivePack, Version::V0, &mut Discard).unwrap(), written)
    }

    #[test]
    fn a_request_is_framed_and_the_answer_is_not() {
        let (mut session, written) = session(b"answer");
        let mut answer = String::new();
        let mut read = |input: &mut dyn BufRead| Ok(input.read_to_string(&mut answer).map(drop)?);
        session.converse(&mut &b"0008main0000PACK"[..], &mut read, &mut Discard).unwrap();
        session.close().unwrap();
        assert_eq!(answer, "answer");
        assert_eq!(written.0.lock().unwrap().as_slice(), b"00140008main0000PACK0000");
    }

    #[test]
    fn after_the_requests_of_a_fetch_there_is_a_flush() {
        let (mut session, written) = session(b"first answersecond");
        for request in [&b"0008want0000"[..], b"0009done\n"] {
            session.exchange(request, &mut Discard).unwrap();
        }
        session.close().unwrap();
        let said = written.0.lock().unwrap();
        assert_eq!(said.as_slice(), b"00100008want00000000000d0009done\n00000000");
    }

    #[test]
    fn who_has_nothing_to_ask_says_so() {
        let (session, written) = session(b"");
        session.close().unwrap();
        assert_eq!(written.0.lock().unwrap().as_slice(), b"0000");
    }
}
