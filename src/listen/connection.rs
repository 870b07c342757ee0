//! Connections: how many there may be, what is spoken on them, how they end.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::Watcher;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};

use super::budget::{Share, Spent};
use super::exchange::respond;
use super::limit::Limit;
use super::watched::{Activity, Rewound, Watched};
use super::{Role, Shared, admin};

/// With these bytes a client begins that speaks HTTP/2 without having been asked: RFC 9113, 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Lines of the head of a request.
const HEADERS_MAX: usize = 100;
/// Requests that one connection of HTTP/2 may have in the works.
const STREAMS_MAX: u32 = 64;
/// Streams that a client reset before we took them: RFC 9113, 10.5; more are an attack.
const RESETS_MAX: usize = 20;
/// Bytes of HTTP/2 that are on their way to us, of one stream and of all of a connection. One push may fill it all: libcurl
/// from 7.84 to 8.6 (Debian 12, Ubuntu 24.04) asks git for more of a push after its end, and so waits for ever, if the window
/// closes before the last 2 KiB of it. With a window as wide as this that is rare; below it, it cannot be.
const WINDOW: u32 = 4 << 20;
/// Bytes of an answer of HTTP/2 that wait in the connection.
const SEND_BUFFER: usize = 256 << 10;
/// The pause after a connection could not be taken: one that ends makes room.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What a client hears that finds no room.
const NO_ROOM: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\nContent-Type: text/plain\r\n\
    Content-Length: 22\r\nConnection: close\r\n\r\ntoo many connections\r\n";

/// Who is on the other side.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    /// `None` for sockets of this machine.
    pub address: Option<IpAddr>,
    pub role: Role,
}

/// One connection, counted until it is dropped.
struct Inside {
    shared: Arc<Shared>,
    /// `None` for those who look after the server.
    counted: Option<Share>,
}

impl Drop for Inside {
    fn drop(&mut self) {
        if self.counted.is_some() {
            self.shared.metrics.connections.dec();
        }
    }
}

/// Takes connections for as long as the task lives.
pub(super) async fn accept_tcp(shared: Arc<Shared>, listener: TcpListener, role: Role) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                // small answers go out at once
                let _slower = stream.set_nodelay(true);
                let address = Some(address.ip().to_canonical());
                let peer = Peer { address, role };
                if let Some(inside) = enter(&shared, peer) {
                    begin(inside, stream, peer);
                } else {
                    let _heard_or_not = stream.try_write(NO_ROOM);
                }
            }
            Err(error) => pause(&shared, &error).await,
        }
    }
}

/// As [`accept_tcp`], for a socket of this machine.
pub(super) async fn accept_unix(shared: Arc<Shared>, listener: UnixListener, role: Role) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let peer = Peer { address: None, role };
                if let Some(inside) = enter(&shared, peer) {
                    begin(inside, stream, peer);
                } else {
                    let _heard_or_not = stream.try_write(NO_ROOM);
                }
            }
            Err(error) => pause(&shared, &error).await,
        }
    }
}

async fn pause(shared: &Shared, error: &io::Error) {
    shared.log.note(&format!("cannot accept a connection: {error}"));
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

fn enter(shared: &Arc<Shared>, Peer { address, role }: Peer) -> Option<Inside> {
    if role == Role::Admin {
        // who looks after a server that is full has to get in
        return Some(Inside { shared: Arc::clone(shared), counted: None });
    }
    // behind a proxy there are many
    let address = address.filter(|address| !shared.settings.proxies.trust(Some(*address)));
    let mut share = shared.doors.share(address);
    let limit = match share.add(1) {
        Ok(()) => {
            shared.metrics.connections.inc();
            return Some(Inside { shared: Arc::clone(shared), counted: Some(share) });
        }
        Err(Spent::All) => Limit::Connections,
        Err(Spent::OfAddress) => Limit::ConnectionsPerAddress,
    };
    shared.metrics.limited(limit);
    None
}

fn begin<S>(inside: Inside, stream: S, peer: Peer)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let activity = Arc::new(Activity::new());
    let task = tokio::spawn(converse(inside, stream, peer, Arc::clone(&activity)));
    activity.is_run_by(task.abort_handle());
}

/// One connection, to its end.
async fn converse<S>(inside: Inside, stream: S, peer: Peer, activity: Arc<Activity>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let shared = &inside.shared;
    let stream = Watched::new(stream, &shared.settings.limits, Arc::clone(&activity));
    match (peer.role, &shared.tls) {
        (Role::Admin, _) => tell(shared, stream).await,
        (Role::Git, _) => serve(shared, stream, peer, &activity).await,
        (Role::Secure, Some(tls)) => {
            // who does not know how to is let go
            if let Ok(stream) = tls.accept(stream).await {
                serve(shared, stream, peer, &activity).await;
            }
        }
        // there is no socket of this kind then
        (Role::Secure, None) => {}
    }
    if let Some(limit) = activity.ended_by() {
        shared.metrics.limited(limit);
    }
}

/// Finds out which HTTP is spoken, and speaks it.
async fn serve<S>(shared: &Arc<Shared>, mut stream: S, peer: Peer, activity: &Arc<Activity>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let Ok(read) = first_bytes(&mut stream).await else { return };
    let watcher = {
        let graceful = shared.graceful.lock().unwrap_or_else(PoisonError::into_inner);
        graceful.as_ref().map(hyper_util::server::graceful::GracefulShutdown::watcher)
    };
    let Some(watcher) = watcher else { return };
    let is_http2 = read == PREFACE;
    let io = TokioIo::new(Rewound::new(read, stream));
    let ends = if is_http2 {
        speak_http2(shared, io, peer, activity, watcher).await
    } else {
        speak_http1(shared, io, peer, activity, watcher).await
    };
    // how else a connection ends that is of no use any more is not worth a word
    if ends.is_err_and(|error| error.is_parse_too_large()) {
        shared.metrics.limited(Limit::HeaderBytes);
    }
}

/// A connection of those who run the server.
async fn tell<S>(shared: &Arc<Shared>, stream: S)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let answer = admin::respond(shared, &request);
        async move { Ok::<_, Infallible>(answer) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(shared.settings.limits.time(Limit::IdleTime));
    // how it ends is of no interest
    drop(builder.serve_connection(TokioIo::new(stream), service).await);
}

async fn speak_http1<I>(
    shared: &Arc<Shared>,
    io: I,
    peer: Peer,
    activity: &Arc<Activity>,
    watcher: Watcher,
) -> hyper::Result<()>
where
    I: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
{
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let answer = respond(Arc::clone(shared), peer, activity.begin(), request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let mut builder = http1::Builder::new();
    let limits = &shared.settings.limits;
    // `Watched` is stricter; this one makes hyper look at an idle connection at all
    let backstop = limits.time(Limit::IdleTime) + limits.time(Limit::HeaderTime);
    builder.timer(TokioTimer::new()).header_read_timeout(backstop).max_headers(HEADERS_MAX);
    builder.max_header_size(limits.count(Limit::HeaderBytes));
    watcher.watch(builder.serve_connection(io, service)).await
}

async fn speak_http2<I>(
    shared: &Arc<Shared>,
    io: I,
    peer: Peer,
    activity: &Arc<Activity>,
    watcher: Watcher,
) -> hyper::Result<()>
where
    I: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
{
    let (own, activity) = (Arc::clone(shared), Arc::clone(activity));
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let answer = respond(Arc::clone(&own), peer, activity.begin(), request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let header_len = u32::try_from(shared.settings.limits.count(Limit::HeaderBytes)).unwrap_or(u32::MAX);
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new()).max_concurrent_streams(STREAMS_MAX);
    builder.max_pending_accept_reset_streams(RESETS_MAX).max_header_list_size(header_len);
    builder.initial_stream_window_size(WINDOW).initial_connection_window_size(WINDOW);
    builder.max_send_buf_size(SEND_BUFFER);
    watcher.watch(builder.serve_connection(io, service)).await
}

/// As many bytes as tell HTTP/2 from its elder.
async fn first_bytes(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut read = Vec::with_capacity(PREFACE.len());
    while PREFACE.starts_with(&read) && read.len() < PREFACE.len() {
        let mut room = [0; PREFACE.len()];
        let (room, _) = room.split_at_mut(PREFACE.len() - read.len());
        let length = stream.read(room).await?;
        if length == 0 {
            break;
        }
        read.extend_from_slice(room.get(..length).unwrap_or_default());
    }
    Ok(read)
}
