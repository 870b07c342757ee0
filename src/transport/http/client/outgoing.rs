//! What a request carries: nothing, bytes that are there already, or pieces that another thread makes meanwhile.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::sync::{mpsc, oneshot};

use super::super::trace;

/// Pieces that wait to be sent, so that making them and sending them overlap.
const PIECES_WAITING_MAX: usize = 4;

/// The body of a request.
pub(super) enum Outgoing {
    Nothing,
    Whole(Bytes),
    Chunks(Chunks),
}

/// A body in the making, for another thread to fill: the two ends of it, and the news that it is made.
pub(in super::super) fn chunked() -> (Feed, Chunks, Made) {
    let (pieces, receiver) = mpsc::channel(PIECES_WAITING_MAX);
    let (made, is_made) = oneshot::channel();
    (Feed { pieces, _made: made }, Chunks(Arc::new(Mutex::new(receiver))), Made(is_made))
}

/// The end that is filled. A body whose `Feed` is dropped before [`Feed::end`] is never complete: the connection is
/// closed in the middle, and the server knows.
pub(in super::super) struct Feed {
    pieces: mpsc::Sender<Piece>,
    /// Is dropped with the feed, which [`Made`] hears.
    _made: oneshot::Sender<()>,
}

/// The end that is sent.
#[derive(Clone)]
pub(in super::super) struct Chunks(Arc<Mutex<mpsc::Receiver<Piece>>>);

/// Knows when the feed is dropped.
pub(in super::super) struct Made(oneshot::Receiver<()>);

enum Piece {
    Data(Bytes),
    /// There is no more: the server may be told.
    End,
}

impl Feed {
    /// Waits until there is room for `piece`; `false` if nobody wants it any more.
    pub(in super::super) fn send(&self, piece: Vec<u8>) -> bool {
        self.pieces.blocking_send(Piece::Data(piece.into())).is_ok()
    }

    /// Says that all was sent.
    pub(in super::super) fn end(self) {
        // who does not listen need not be told
        let _unheard = self.pieces.blocking_send(Piece::End);
    }
}

impl Made {
    pub(super) async fn wait(self) {
        // nothing is ever sent
        let _dropped = self.0.await;
    }
}

impl Chunks {
    /// Takes nothing more: whoever fills the other end finds out. What is half sent stays so.
    pub(in super::super) fn abandon(&self) {
        let mut receiver = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        receiver.close();
        // room is made for those who wait for it: their pieces go nowhere
        while receiver.try_recv().is_ok() {}
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut *self {
            Self::Nothing => Poll::Ready(None),
            Self::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::Nothing;
                trace::sent_data(&bytes);
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Self::Chunks(Chunks(receiver)) => {
                let mut receiver = receiver.lock().unwrap_or_else(PoisonError::into_inner);
                receiver.poll_recv(context).map(|piece| match piece {
                    Some(Piece::Data(bytes)) => {
                        trace::sent_data(&bytes);
                        Some(Ok(Frame::data(bytes)))
                    }
                    Some(Piece::End) => None,
                    None => Some(Err(io::Error::other("the request was given up"))),
                })
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Chunks(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Nothing => SizeHint::with_exact(0),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Chunks(_) => SizeHint::default(),
        }
    }
}
