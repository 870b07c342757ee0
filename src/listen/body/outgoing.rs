//! The body of an answer, as it goes to the socket.

use std::convert::Infallible;
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::sync::{mpsc, oneshot};

use super::{Flow, Piece};

/// Ends once the request is read: a client of HTTP/2 may not have said yet that this was all of it, and curl 7.88 waits for
/// ever if the answer is over before.
pub(in crate::listen) type Reading = oneshot::Receiver<Infallible>;

/// The body of an answer, as it goes to the socket.
pub(in crate::listen) enum Outgoing {
    /// All of it is here.
    Whole(Bytes),
    /// A worker makes it; what is held is told when the body is over or nobody wants it any more.
    Piped(Piped),
    /// It is over.
    Done,
}

/// An answer that a worker makes.
pub(in crate::listen) struct Piped {
    pub pieces: mpsc::Receiver<Piece>,
    pub flow: Arc<Flow>,
    pub end: Box<dyn End>,
    /// `None` where the answer ends whatever is left to read.
    pub reading: Option<Reading>,
    /// All pieces have been taken.
    pub is_made: bool,
}

impl Piped {
    /// The next piece, and whether it is the last one.
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<(Option<io::Result<Frame<Bytes>>>, bool)> {
        if !self.is_made {
            let piece = ready!(self.pieces.poll_recv(context));
            self.flow.taken.fetch_add(1, Ordering::Relaxed);
            match piece {
                Some(Piece::Data(bytes)) => return Poll::Ready((Some(Ok(Frame::data(bytes))), false)),
                Some(Piece::End) => {
                    self.is_made = true;
                    self.end.whole();
                }
                None => {
                    self.end.cut();
                    return Poll::Ready((Some(Err(io::ErrorKind::UnexpectedEof.into())), true));
                }
            }
        }
        if let Some(reading) = &mut self.reading {
            // nothing is ever said but that it is over
            let _over = ready!(Pin::new(reading).poll(context));
        }
        Poll::Ready((None, true))
    }
}

/// Hears how a body ends; dropped without a word, the client is gone.
pub(in crate::listen) trait End: Send {
    /// All of it was handed over.
    fn whole(&mut self);
    /// Whoever made it stopped in the middle.
    fn cut(&mut self);
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        if let Self::Piped(piped) = self {
            piped.flow.is_over.notify_one();
        }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let (next, is_over) = match &mut *self {
            Self::Done => (None, true),
            Self::Whole(bytes) => (Some(Ok(Frame::data(std::mem::take(bytes)))), true),
            Self::Piped(piped) => ready!(piped.poll_next(context)),
        };
        if is_over {
            // what is replaced is dropped, and tells of it
            *self = Self::Done;
        }
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Done => true,
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Piped(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Done => SizeHint::with_exact(0),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Piped(_) => SizeHint::default(),
        }
    }
}
