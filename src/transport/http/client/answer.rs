//! The body of an answer, read as it comes.

use std::future::poll_fn;
use std::io::{self, BufRead, Read};
use std::pin::Pin;
use std::sync::Arc;

use hyper::body::{Body as _, Bytes, Incoming};

use super::super::failure::Failure;
use super::super::trace;
use super::{Exchanged, Shared};

/// A body on its way, with curl's words for what may cut it short. At its end, the connection is kept for the next
/// request; if it is not read to its end, the connection is closed.
pub(super) struct Answer {
    shared: Arc<Shared>,
    body: Incoming,
    /// The latest piece, as far as it is not read yet.
    current: Bytes,
    /// The connection, until it is given back.
    exchanged: Option<Exchanged>,
    /// What stands before the reason of a failure; `None`: it is one of an RPC.
    prefix: Option<String>,
    /// What cut it short. Whoever reads on hears it again, and not an end.
    failure: Option<Failure>,
}

impl Answer {
    pub(super) fn new(
        shared: Arc<Shared>,
        body: Incoming,
        exchanged: Exchanged,
        prefix: Option<String>,
    ) -> Self {
        Self { shared, body, current: Bytes::new(), exchanged: Some(exchanged), prefix, failure: None }
    }

    /// The next piece; `None` at the end.
    fn piece(&mut self) -> Result<Option<Bytes>, Failure> {
        let runtime = self.shared.runtime()?;
        let Some(Exchanged { watch, .. }) = &mut self.exchanged else { return Ok(None) };
        loop {
            let left = self.body.size_hint().exact();
            let body = &mut self.body;
            let next = watch.wait(poll_fn(|context| Pin::new(&mut *body).poll_frame(context)));
            match runtime.block_on(next)? {
                None => return Ok(None),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) if bytes.is_empty() => {}
                    Ok(bytes) => {
                        trace::received_data(&bytes);
                        return Ok(Some(bytes));
                    }
                    // trailers say nothing to us
                    Err(_) => {}
                },
                Some(Err(error)) => return Err(cut(&error, left)),
            }
        }
    }

    /// Notes that nothing more will come; the connection is closed.
    fn fail(&mut self, failure: Failure) -> io::Error {
        self.exchanged = None;
        let error = self.told(&failure);
        self.failure = Some(failure);
        error
    }

    /// `failure` as the user reads it.
    fn told(&self, failure: &Failure) -> io::Error {
        let Failure { curl_code, message } = failure;
        io::Error::other(match &self.prefix {
            Some(prefix) => format!("{prefix}{message}"),
            None => format!("RPC failed; curl {curl_code} {message}"),
        })
    }
}

impl BufRead for Answer {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if let Some(failure) = &self.failure {
            return Err(self.told(failure));
        }
        if self.current.is_empty() && self.exchanged.is_some() {
            match self.piece() {
                Ok(Some(bytes)) => self.current = bytes,
                Ok(None) => {
                    if let Some(Exchanged { route, link, .. }) = self.exchanged.take() {
                        self.shared.put_idle(route, link);
                    }
                }
                Err(failure) => return Err(self.fail(failure)),
            }
        }
        Ok(&self.current)
    }

    fn consume(&mut self, amount: usize) {
        drop(self.current.split_to(amount.min(self.current.len())));
    }
}

impl Read for Answer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

/// curl's words for a body of which `left` bytes are missing, if that is known.
fn cut(error: &hyper::Error, left: Option<u64>) -> Failure {
    Failure::from_causes(error, "").unwrap_or_else(|| {
        Failure::new(
            18,
            match left {
                Some(left) => format!("transfer closed with {left} bytes remaining to read"),
                None => "transfer closed with outstanding read data remaining".to_owned(),
            },
        )
    })
}
