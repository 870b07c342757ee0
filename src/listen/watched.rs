//! A connection with a clock: how long it may be idle, how long a head may take, how long a client may take nothing.
//! The body of a request has clocks of its own, see `exchange/source.rs`.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::AbortHandle;
use tokio::time::{Instant, Sleep};

use super::limit::{Limit, Limits};

/// What is going on at a connection.
#[derive(Debug)]
pub(super) struct Activity {
    state: Mutex<State>,
    task: OnceLock<AbortHandle>,
}

#[derive(Debug)]
struct State {
    /// Requests whose head is there and whose answer is not yet over.
    requests: usize,
    /// When the last of them was over, or the connection began.
    idle_since: Instant,
    /// When the first byte of the head came that is awaited.
    head_since: Option<Instant>,
    /// The limit that the connection went over.
    ended_by: Option<Limit>,
}

/// A request in the works; it is over when this is dropped.
#[derive(Debug)]
pub(super) struct Ongoing(Arc<Activity>);

impl Activity {
    pub(super) fn new() -> Self {
        let state = State {
            requests: 0,
            idle_since: Instant::now(),
            head_since: Some(Instant::now()),
            ended_by: None,
        };
        Self { state: Mutex::new(state), task: OnceLock::new() }
    }

    /// A request has come.
    pub(super) fn begin(self: &Arc<Self>) -> Ongoing {
        let mut state = self.lock();
        state.requests += 1;
        state.head_since = None;
        drop(state);
        Ongoing(Arc::clone(self))
    }

    /// What has to be stopped to end the connection.
    pub(super) fn is_run_by(&self, task: AbortHandle) {
        self.task.get_or_init(|| task);
    }

    /// Ends the connection, whatever it is about to do.
    pub(super) fn abort(&self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }

    /// The limit that the connection went over, if it ended so.
    pub(super) fn ended_by(&self) -> Option<Limit> {
        self.lock().ended_by
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When a read has to be over, and why.
    fn read_until(&self, times: &Times) -> Option<(Instant, Limit)> {
        let state = self.lock();
        match state.head_since {
            _ if state.requests > 0 => None,
            Some(since) => Some((since + times.head, Limit::HeaderTime)),
            None => Some((state.idle_since + times.idle, Limit::IdleTime)),
        }
    }
}

impl Ongoing {
    /// The connection that it came by.
    pub(super) fn activity(&self) -> Arc<Activity> {
        Arc::clone(&self.0)
    }

    /// The limit that its connection went over, if it ended so.
    pub(super) fn ended_by(&self) -> Option<Limit> {
        self.0.ended_by()
    }
}

impl Drop for Ongoing {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.requests = state.requests.saturating_sub(1);
        state.idle_since = Instant::now();
    }
}

/// How long things may take.
#[derive(Debug, Clone, Copy)]
struct Times {
    head: Duration,
    idle: Duration,
    write: Duration,
}

/// A stream whose clock runs.
pub(super) struct Watched<S> {
    stream: S,
    activity: Arc<Activity>,
    times: Times,
    reading: Pin<Box<Sleep>>,
    writing: Pin<Box<Sleep>>,
    /// Whether a write waits.
    is_stuck: bool,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, limits: &Limits, activity: Arc<Activity>) -> Self {
        let times = Times {
            head: limits.time(Limit::HeaderTime),
            idle: limits.time(Limit::IdleTime),
            write: limits.time(Limit::WriteTime),
        };
        let sleep = || Box::pin(tokio::time::sleep(Duration::ZERO));
        Self { stream, activity, times, reading: sleep(), writing: sleep(), is_stuck: false }
    }

    fn end(&self, limit: Limit) -> io::Error {
        self.activity.lock().ended_by = Some(limit);
        io::Error::new(io::ErrorKind::TimedOut, limit.name())
    }

    fn poll_stuck<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if !self.is_stuck {
            self.is_stuck = true;
            self.writing.as_mut().reset(Instant::now() + self.times.write);
        }
        ready!(self.writing.as_mut().poll(context));
        Poll::Ready(Err(self.end(Limit::WriteTime)))
    }

    fn written<T>(&mut self, context: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match polled {
            Poll::Ready(done) => {
                self.is_stuck = false;
                Poll::Ready(done)
            }
            Poll::Pending => self.poll_stuck(context),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(context, buffer) {
            let mut state = self.activity.lock();
            if buffer.filled().len() > before && state.requests == 0 && state.head_since.is_none() {
                state.head_since = Some(Instant::now());
            }
            drop(state);
            return Poll::Ready(read);
        }
        let Some((until, limit)) = self.activity.read_until(&self.times) else { return Poll::Pending };
        if self.reading.deadline() != until {
            self.reading.as_mut().reset(until);
        }
        ready!(self.reading.as_mut().poll(context));
        Poll::Ready(Err(self.end(limit)))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.written(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.written(context, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(context);
        self.written(context, polled)
    }
}

/// A stream in front of which bytes stand that were read already.
pub(super) struct Rewound<S> {
    read: Vec<u8>,
    place: usize,
    stream: S,
}

impl<S> Rewound<S> {
    pub(super) fn new(read: Vec<u8>, stream: S) -> Self {
        Self { read, place: 0, stream }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Rewound<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = self.read.get(self.place..).unwrap_or_default();
        if rest.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let length = rest.len().min(buffer.remaining());
        buffer.put_slice(rest.get(..length).unwrap_or_default());
        self.place += length;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rewound<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
