//! The TCP socket under a connection.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::limit::Meter;

/// libcurl's `CURLOPT_TCP_KEEPIDLE` and `CURLOPT_TCP_KEEPINTVL`, in seconds.
const KEEP_ALIVE_S: u64 = 60;

/// `http.keepAliveIdle`, `http.keepAliveInterval` and `http.keepAliveCount`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in super::super) struct KeepAlive {
    /// Seconds of silence before the first probe.
    pub(in super::super) idle_s: Option<u64>,
    /// Seconds between two probes.
    pub(in super::super) interval_s: Option<u64>,
    /// Probes that may stay without an answer.
    pub(in super::super) count: Option<u64>,
}

/// A socket that says nothing when the far side stops listening, so that what it said before is still read: a server
/// that refuses a long request answers and hangs up, and its answer is what counts.
pub(super) struct Forgiving<S> {
    socket: S,
    pub(super) meter: Meter,
    /// Why nothing more is written.
    deaf: Option<io::ErrorKind>,
    /// Whether anything was read since then.
    heard: bool,
}

impl Forgiving<TcpStream> {
    pub(super) fn new(socket: TcpStream, keep_alive: KeepAlive) -> Self {
        prepare(&socket, keep_alive);
        Self::over(socket)
    }
}

impl<S> Forgiving<S> {
    /// A socket that needs no preparation.
    pub(super) fn over(socket: S) -> Self {
        Self { socket, meter: Meter::default(), deaf: None, heard: false }
    }

    /// A write that failed because nobody listens counts as done.
    fn forgive(&mut self, result: io::Result<usize>, len: usize) -> io::Result<usize> {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
        match result {
            Err(error) if matches!(error.kind(), BrokenPipe | ConnectionReset | ConnectionAborted) => {
                self.deaf = Some(error.kind());
                Ok(len)
            }
            other => other,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Forgiving<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = std::task::ready!(Pin::new(&mut self.socket).poll_read(context, buffer));
        self.meter.add(buffer.filled().len() - before);
        let is_over = result.is_ok() && buffer.filled().len() == before && buffer.remaining() > 0;
        self.heard |= result.is_ok() && !is_over;
        // an end without a word means what the failed write meant
        Poll::Ready(match self.deaf {
            Some(kind) if is_over && !self.heard => Err(kind.into()),
            _ => result,
        })
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Forgiving<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.deaf.is_some() {
            return Poll::Ready(Ok(bytes.len()));
        }
        let result = std::task::ready!(Pin::new(&mut self.socket).poll_write(context, bytes));
        if let Ok(len) = &result {
            self.meter.add(*len);
        }
        Poll::Ready(self.forgive(result, bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

/// Sets what TCP is told. Where it does not obey, all that goes wrong is that small requests wait and dead servers are
/// noticed late.
fn prepare(stream: &TcpStream, keep_alive: KeepAlive) {
    let _slower = stream.set_nodelay(true);
    let _later = set_keep_alive(stream, keep_alive);
}

/// As C git has curl do: probes after 60 seconds of silence, one a minute.
fn set_keep_alive(stream: &TcpStream, keep_alive: KeepAlive) -> rustix::io::Result<()> {
    let seconds = |setting: Option<u64>| Duration::from_secs(setting.unwrap_or(KEEP_ALIVE_S));
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, seconds(keep_alive.idle_s))?;
    sockopt::set_tcp_keepintvl(stream, seconds(keep_alive.interval_s))?;
    match keep_alive.count.map(u32::try_from) {
        Some(Ok(count)) => sockopt::set_tcp_keepcnt(stream, count),
        Some(Err(_)) | None => Ok(()),
    }
}

/// Notes whether a whole line was heard of the far side.
pub(super) struct Listening<S> {
    pub(super) stream: S,
    pub(super) has_begun: Arc<AtomicBool>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Listening<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = std::task::ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        let heard = buffer.filled().get(before..).unwrap_or_default();
        if !self.has_begun.load(Ordering::Relaxed) && heard.contains(&b'\n') {
            self.has_begun.store(true, Ordering::Relaxed);
        }
        Poll::Ready(result)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Listening<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
