//! The body of a request, read by the clock.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use hyper::body::{Body as _, Bytes, Incoming};
use tokio::sync::{mpsc, oneshot};

use crate::listen::body::Reading;
use crate::listen::budget::{Share, Spent};
use crate::listen::job::TOO_SLOW;
use crate::listen::limit::{Limit, Limits};
use crate::listen::wait::Wait;
use crate::listen::watched::Ongoing;
use crate::server::Watch;

/// Bytes of a request that are taken before a worker is asked for: a client that says nothing keeps none.
const FIRST_LEN: usize = 1 << 20;
/// What a piece takes beside its bytes, at least.
const PIECE_COST: usize = size_of::<Bytes>();
/// How long a body may come slowly, if it makes up for that.
const RATE_TIME: Duration = Duration::from_secs(10);

/// Bytes of a push that are read though nobody wants them any more. Clients of HTTP/2 that are told to stop do not hear why:
/// curl 7.88 takes it for an error of the connection.
const UNWANTED_LEN_MAX: u64 = 1 << 30;

/// The body of a request, as it comes.
pub(super) struct Source {
    body: Incoming,
    /// Dropped once nothing more is read.
    _reader: oneshot::Sender<Infallible>,
    received: Arc<AtomicU64>,
    watch: Arc<Watch>,
    stall: (Duration, Limit),
    rate: Rate,
    /// How long, and at how many bytes a second, what nobody wants may come.
    unwanted: (Duration, u64),
    is_push: bool,
    pub(super) is_over: bool,
}

impl Source {
    pub(super) fn new(
        body: Incoming,
        limits: &Limits,
        is_push: bool,
        (received, watch): (Arc<AtomicU64>, Arc<Watch>),
    ) -> (Self, Reading) {
        let (reader, reading) = oneshot::channel();
        let least = Some(limits.get(Limit::BodyRate)).filter(|rate| *rate != u64::MAX).unwrap_or(0);
        // a client may search for deltas while it pushes
        let (stall, rate) = if is_push { (Limit::PushTime, 0) } else { (Limit::BodyTime, least) };
        let source = Self {
            body,
            _reader: reader,
            received,
            watch,
            stall: (limits.time(stall), stall),
            rate: Rate { least: rate, waited: Duration::ZERO, bytes: 0 },
            unwanted: (limits.time(Limit::BodyTime), least),
            is_push,
            is_over: false,
        };
        (source, reading)
    }

    /// The beginning of a body, or all of it, as far as `share` has room for it.
    pub(super) async fn first(&mut self, share: &mut Share) -> io::Result<Vec<Bytes>> {
        let mut first = Vec::new();
        let mut length = 0;
        while length < FIRST_LEN
            && let Some(piece) = self.next().await
        {
            let piece = piece?;
            let cost = piece.len() + PIECE_COST;
            if let Err(spent) = share.add(cost as u64) {
                let limit = match spent {
                    Spent::All => Limit::QueueBytes,
                    Spent::OfAddress => Limit::QueueBytesPerAddress,
                };
                self.watch.limited(limit.name());
                return Err(io::ErrorKind::QuotaExceeded.into());
            }
            length += cost;
            first.push(piece);
        }
        Ok(first)
    }

    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        let watch = Arc::clone(&self.watch);
        let too_slow = |limit: Limit| {
            watch.limited(limit.name());
            io::Error::other(TOO_SLOW)
        };
        loop {
            let begun = Instant::now();
            let body = &mut self.body;
            let frame = std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context));
            let Ok(frame) = tokio::time::timeout(self.stall.0, frame).await else {
                return Some(Err(too_slow(self.stall.1)));
            };
            let waited = begun.elapsed();
            let Some(frame) = frame else {
                self.is_over = true;
                return None;
            };
            let data = match frame {
                Ok(frame) => frame.into_data(),
                Err(error) => {
                    // it is not half a request that is to be answered
                    self.watch.stop();
                    return Some(Err(io::Error::new(io::ErrorKind::UnexpectedEof, error)));
                }
            };
            // trailers are of no use
            let Ok(data) = data else { continue };
            let length = data.len() as u64;
            self.received.fetch_add(length, Ordering::Relaxed);
            if !self.rate.is_kept(waited, length) {
                return Some(Err(too_slow(Limit::BodyRate)));
            }
            return Some(Ok(data));
        }
    }

    /// Hands all of it to a worker, for as long as that wants it; `wait` hears whether the worker waits for more. The rest of a
    /// push that was answered early is for nobody.
    pub(super) async fn pump(
        mut self,
        first: Vec<Bytes>,
        pieces: mpsc::Sender<io::Result<Bytes>>,
        wait: Arc<Wait>,
    ) {
        for piece in first {
            if pieces.send(Ok(piece)).await.is_err() {
                return;
            }
        }
        loop {
            wait.asks();
            let piece = self.next_wanted(&pieces).await;
            wait.hears();
            let Wanted::Next(piece) = piece else { return self.pass_over().await };
            let Some(piece) = piece else { return };
            let is_over = piece.is_err();
            let is_wanted = pieces.send(piece).await.is_ok();
            if is_over {
                return;
            }
            if !is_wanted {
                return self.pass_over().await;
            }
        }
    }

    /// The next piece, unless it is of a push and there is nobody left who wants it.
    async fn next_wanted(&mut self, pieces: &mpsc::Sender<io::Result<Bytes>>) -> Wanted {
        let is_push = self.is_push;
        let (mut next, mut closed) = (pin!(self.next()), pin!(pieces.closed()));
        std::future::poll_fn(|context| match next.as_mut().poll(context) {
            Poll::Ready(piece) => Poll::Ready(Wanted::Next(piece)),
            Poll::Pending if is_push => closed.as_mut().poll(context).map(|()| Wanted::Nothing),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// Leaves a request that is refused: of a push, which `ongoing` keeps from being over, the rest is for nobody.
    pub(super) fn leave(mut self, ongoing: Ongoing) {
        if self.is_push {
            tokio::spawn(async move {
                self.pass_over().await;
                drop(ongoing);
            });
        }
    }

    /// Reads the rest of a push: no worker is held meanwhile, so that it may take no longer than other bodies may pause.
    async fn pass_over(&mut self) {
        let (time, least) = self.unwanted;
        self.rate = Rate { least, waited: Duration::ZERO, bytes: 0 };
        let mut left = if self.is_push { UNWANTED_LEN_MAX } else { 0 };
        let over = async {
            while left > 0
                && let Some(Ok(piece)) = self.next().await
            {
                // also frames with nothing in them come to an end
                left = left.saturating_sub(piece.len().max(1) as u64);
            }
        };
        if tokio::time::timeout(time, over).await.is_err() {
            self.watch.limited(Limit::BodyTime.name());
        }
    }
}

/// What a worker is waited for with.
enum Wanted {
    Next(Option<io::Result<Bytes>>),
    Nothing,
}

/// How fast a body comes, over each [`RATE_TIME`] of it: what came fast once is no credit for ever.
#[derive(Debug)]
struct Rate {
    /// Bytes a second that it has to come at.
    least: u64,
    waited: Duration,
    bytes: u64,
}

impl Rate {
    /// Takes note of a piece that was waited for so long; whether it all comes fast enough.
    fn is_kept(&mut self, waited: Duration, length: u64) -> bool {
        self.waited += waited;
        self.bytes = self.bytes.saturating_add(length);
        if self.waited < RATE_TIME {
            return true;
        }
        let is_kept = self.bytes / self.waited.as_secs().max(1) >= self.least;
        (self.waited, self.bytes) = (Duration::ZERO, 0);
        is_kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_began_fast_may_not_trickle() {
        let mut rate = Rate { least: 256, waited: Duration::ZERO, bytes: 0 };
        assert!(rate.is_kept(Duration::from_secs(1), 1 << 20));
        assert!(rate.is_kept(Duration::from_secs(9), 1), "slow for a while");
        assert!((0..9).all(|_| rate.is_kept(Duration::from_secs(1), 100)));
        assert!(!rate.is_kept(Duration::from_secs(1), 100));
        assert!(rate.is_kept(Duration::from_mins(1), 60 * 256));
    }
}
