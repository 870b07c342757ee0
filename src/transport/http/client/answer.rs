//! The body of an answer, read as it comes.

use std::future::poll_fn;
use std::io::{self, BufRead, Read};
use std::pin::Pin;
use std::sync::Arc;

use hyper::body::{Body as _, Bytes, Incoming};

use super::super::failure::Failure;
use super::Shared;
use super::link::Link;
use super::route::Route;

/// A body on its way, with curl's words for what may cut it short. At its end, the connection is kept for the next
/// request; if it is not read to its end, the connection is closed.
pub(super) struct Answer {
    shared: Arc<Shared>,
    body: Incoming,
    /// The latest piece, as far as it is not read yet.
    current: Bytes,
    /// The connection, until it is given back.
    link: Option<(Route, Link)>,
}

impl Answer {
    pub(super) fn new(shared: Arc<Shared>, body: Incoming, route: Route, link: Link) -> Self {
        Self { shared, body, current: Bytes::new(), link: Some((route, link)) }
    }

    /// The next piece; `None` at the end.
    fn piece(&mut self) -> io::Result<Option<Bytes>> {
        let runtime = self.shared.runtime().map_err(|failure| io::Error::other(failure.message))?;
        loop {
            let body = &mut self.body;
            let frame = runtime.block_on(poll_fn(|context| Pin::new(&mut *body).poll_frame(context)));
            match frame {
                None => return Ok(None),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) if bytes.is_empty() => {}
                    Ok(bytes) => return Ok(Some(bytes)),
                    // trailers say nothing to us
                    Err(_) => {}
                },
                Some(Err(error)) => return Err(cut(&error)),
            }
        }
    }
}

impl BufRead for Answer {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.current.is_empty() && self.link.is_some() {
            match self.piece()? {
                Some(bytes) => self.current = bytes,
                None => {
                    if let Some((route, link)) = self.link.take() {
                        self.shared.put_idle(route, link);
                    }
                }
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

fn cut(error: &hyper::Error) -> io::Error {
    let failure = Failure::from_causes(error, "")
        .unwrap_or_else(|| Failure::new(18, "transfer closed with outstanding read data remaining"));
    io::Error::other(format!("RPC failed; curl {} {}", failure.curl_code, failure.message))
}
