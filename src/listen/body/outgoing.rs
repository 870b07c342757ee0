//! The body of an answer, as it goes to the socket.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::sync::mpsc;

use super::{Flow, Piece};

/// The body of an answer, as it goes to the socket.
pub(in crate::listen) enum Outgoing {
    /// All of it is here.
    Whole(Bytes),
    /// A worker makes it; what is held is told when the body is over or nobody wants it any more.
    Piped { pieces: mpsc::Receiver<Piece>, flow: Arc<Flow>, end: Box<dyn End> },
    /// It is over.
    Done,
}

/// Hears how a body ends; dropped without a word, the client is gone.
pub(in crate::listen) trait End: Send {
    /// All of it was handed over.
    fn whole(&mut self);
    /// Whoever made it stopped in the middle.
    fn cut(&mut self);
}

fn took(piece: Option<Piece>, flow: &Flow) -> Option<Piece> {
    flow.taken.fetch_add(1, Ordering::Relaxed);
    piece
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        if let Self::Piped { flow, .. } = self {
            flow.is_over.notify_one();
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
            Self::Piped { pieces, end, flow } => match took(ready!(pieces.poll_recv(context)), flow) {
                Some(Piece::Data(bytes)) => (Some(Ok(Frame::data(bytes))), false),
                Some(Piece::End) => {
                    end.whole();
                    (None, true)
                }
                None => {
                    end.cut();
                    (Some(Err(io::ErrorKind::UnexpectedEof.into())), true)
                }
            },
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
            Self::Piped { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Done => SizeHint::with_exact(0),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Piped { .. } => SizeHint::default(),
        }
    }
}
