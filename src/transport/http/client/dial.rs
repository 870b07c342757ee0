//! From an address to a stream on which HTTP can be spoken: TCP, then the proxy, then TLS.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue, PROXY_AUTHORIZATION};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use url::Url;

use super::super::failure::Failure;
use super::super::tls;
use super::outgoing::Outgoing;
use super::route::{Route, bare_host};
use super::{Options, link, socks};

/// libcurl's own limit for reaching a host, which C git leaves as it is. There is no limit for an answer.
const CONNECT_TIMEOUT: Duration = Duration::from_mins(5);
/// curl's head start for one address before the next is tried as well: RFC 8305, "Connection Attempt Delay".
const ATTEMPT_DELAY: Duration = Duration::from_millis(200);
/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 32;

/// A stream and what was agreed on it.
pub(super) struct Dialed {
    pub(super) stream: Box<dyn Stream>,
    pub(super) speaks_http2: bool,
}

/// Bytes both ways.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The settings of TLS, made when first needed: to load the system's certificates takes longer than a request.
#[derive(Default)]
pub(super) struct TlsConfigs {
    server: OnceLock<Arc<ClientConfig>>,
    proxy: OnceLock<Arc<ClientConfig>>,
}

/// Goes all the way.
pub(super) async fn dial(route: &Route, options: &Options, tls: &TlsConfigs) -> Result<Dialed, Failure> {
    let begin = Instant::now();
    let way = reach(route, options, tls, begin);
    tokio::time::timeout(CONNECT_TIMEOUT, way).await.unwrap_or_else(|_| {
        Err(Failure::new(
            28,
            format!("Connection timed out after {} milliseconds", begin.elapsed().as_millis()),
        ))
    })
}

async fn reach(
    route: &Route,
    options: &Options,
    tls: &TlsConfigs,
    begin: Instant,
) -> Result<Dialed, Failure> {
    // whoever is told to trust a file that is none need not go there first
    let config = if route.tls { Some(tls.server(options)?) } else { None };
    let stream: Box<dyn Stream> = match &route.proxy {
        None => Box::new(connect(&Peer::server(route), options, begin).await?),
        Some(proxy) => through(proxy, route, options, tls, begin).await?,
    };
    let Some(config) = config else { return Ok(Dialed { stream, speaks_http2: false }) };
    let (stream, speaks_http2) = secure(stream, &route.host, config).await?;
    Ok(Dialed { stream, speaks_http2 })
}

/// A stream to the server of `route` by way of `proxy`; for plain HTTP through an HTTP proxy one to the proxy itself.
async fn through(
    proxy: &Url,
    route: &Route,
    options: &Options,
    tls: &TlsConfigs,
    begin: Instant,
) -> Result<Box<dyn Stream>, Failure> {
    let peer = Peer::proxy(proxy);
    let mut stream: Box<dyn Stream> = Box::new(connect(&peer, options, begin).await?);
    if proxy.scheme() == "https" {
        stream = secure(stream, peer.host, tls.proxy(options)?).await?.0;
    }
    if proxy.scheme().starts_with("socks") {
        socks::connect(&mut *stream, proxy, route).await?;
        return Ok(stream);
    }
    if route.is_forwarded() { Ok(stream) } else { tunnel(stream, proxy, route).await }
}

/// Who is connected to.
struct Peer<'a> {
    host: &'a str,
    port: u16,
    is_proxy: bool,
}

impl<'a> Peer<'a> {
    fn server(route: &'a Route) -> Self {
        Self { host: &route.host, port: route.port, is_proxy: false }
    }

    fn proxy(url: &'a Url) -> Self {
        let port = url.port_or_known_default().unwrap_or(super::super::proxy::PORT_DEFAULT);
        Self { host: bare_host(url), port, is_proxy: true }
    }
}

/// Connects to the first address of `peer` that answers: RFC 8305.
async fn connect(peer: &Peer<'_>, options: &Options, begin: Instant) -> Result<Forgiving, Failure> {
    let unresolved = || {
        if peer.is_proxy {
            Failure::new(5, format!("Could not resolve proxy: {}", peer.host))
        } else {
            Failure::new(6, format!("Could not resolve host: {}", peer.host))
        }
    };
    let found = tokio::net::lookup_host((peer.host, peer.port)).await.map_err(|_| unresolved())?;
    let usable = |address: &SocketAddr| match options.local_address {
        None => true,
        Some(local) => local.is_ipv4() == address.is_ipv4(),
    };
    let addresses = interleaved(found.filter(usable).take(ADDRESSES_MAX).collect());
    if addresses.is_empty() {
        return Err(unresolved());
    }
    let stream = race(addresses).await.ok_or_else(|| {
        let (host, port, ms) = (peer.host, peer.port, begin.elapsed().as_millis());
        Failure::new(
            7,
            format!("Failed to connect to {host} port {port} after {ms} ms: Couldn't connect to server"),
        )
    })?;
    // all that goes wrong is that small requests wait
    let _slower = stream.set_nodelay(true);
    Ok(Forgiving::new(stream))
}

/// The two families by turns, beginning with the one that the resolver prefers.
fn interleaved(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_ipv4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv4() == first_is_ipv4);
    let longest = first.len().max(second.len());
    let by_turns = (0..longest).flat_map(|turn| [first.get(turn).copied(), second.get(turn).copied()]);
    by_turns.flatten().collect()
}

/// The first connection that comes about; each address is tried as soon as those before it failed or took long.
async fn race(addresses: Vec<SocketAddr>) -> Option<TcpStream> {
    let mut attempts = JoinSet::new();
    for address in addresses {
        attempts.spawn(TcpStream::connect(address));
        if let Ok(Some(Ok(Ok(stream)))) = tokio::time::timeout(ATTEMPT_DELAY, attempts.join_next()).await {
            return Some(stream);
        }
    }
    while let Some(attempt) = attempts.join_next().await {
        if let Ok(Ok(stream)) = attempt {
            return Some(stream);
        }
    }
    None
}

/// Begins TLS with `host`; tells as well whether HTTP/2 was agreed on.
async fn secure(
    stream: Box<dyn Stream>,
    host: &str,
    config: Arc<ClientConfig>,
) -> Result<(Box<dyn Stream>, bool), Failure> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| Failure::new(3, "URL using bad/illegal format or missing URL"))?;
    let secured = TlsConnector::from(config).connect(name, stream).await.map_err(|error| {
        Failure::from_causes(&error, host)
            .unwrap_or_else(|| Failure::new(35, format!("TLS connect error: {error}")))
    })?;
    let speaks_http2 = secured.get_ref().1.alpn_protocol() == Some(b"h2");
    Ok((Box::new(secured), speaks_http2))
}

impl TlsConfigs {
    fn server(&self, options: &Options) -> Result<Arc<ClientConfig>, Failure> {
        let protocols: &[&[u8]] = if options.http1_only { &[b"http/1.1"] } else { &[b"h2", b"http/1.1"] };
        once(&self.server, options, protocols)
    }

    fn proxy(&self, options: &Options) -> Result<Arc<ClientConfig>, Failure> {
        once(&self.proxy, options, &[b"http/1.1"])
    }
}

fn once(
    cell: &OnceLock<Arc<ClientConfig>>,
    options: &Options,
    protocols: &[&[u8]],
) -> Result<Arc<ClientConfig>, Failure> {
    if let Some(config) = cell.get() {
        return Ok(Arc::clone(config));
    }
    let mut config = tls::config(&options.trust)?;
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(Arc::clone(cell.get_or_init(|| Arc::new(config))))
}

/// Asks the HTTP proxy at the other end of `stream` for a tunnel to the server: RFC 9110, 9.3.6.
async fn tunnel(stream: Box<dyn Stream>, proxy: &Url, route: &Route) -> Result<Box<dyn Stream>, Failure> {
    let broken = |error: hyper::Error| link::failure(&error, bare_host(proxy));
    let mut builder = http1::Builder::new();
    builder.title_case_headers(true);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(broken)?;
    tokio::spawn(async { drop(connection.with_upgrades().await) });
    let malformed = || Failure::new(3, "URL using bad/illegal format or missing URL");
    let host = if route.host.contains(':') { format!("[{}]", route.host) } else { route.host.clone() };
    let authority = format!("{host}:{}", route.port);
    let mut request = Request::new(Outgoing::Nothing);
    *request.method_mut() = Method::CONNECT;
    *request.uri_mut() = authority.parse::<Uri>().map_err(|_| malformed())?;
    let value = |text: &str| HeaderValue::from_str(text).map_err(|_| malformed());
    request.headers_mut().insert(HOST, value(&authority)?);
    if let Some(authorization) = link::proxy_authorization(proxy) {
        request.headers_mut().insert(PROXY_AUTHORIZATION, value(&authorization)?);
    }
    let answer = sender.send_request(request).await.map_err(broken)?;
    let status = answer.status();
    if !status.is_success() {
        return Err(Failure::new(56, format!("CONNECT tunnel failed, response {}", status.as_u16())));
    }
    let upgraded = hyper::upgrade::on(answer).await.map_err(broken)?;
    Ok(Box::new(TokioIo::new(upgraded)))
}

/// The user and password of a URL in plain text.
pub(super) fn userinfo(url: &Url) -> Option<(String, String)> {
    let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let named = !url.username().is_empty() || url.password().is_some();
    named.then(|| (plain(url.username()), plain(url.password().unwrap_or_default())))
}

/// A socket that says nothing when the far side stops listening, so that what it said before is still read: a server
/// that refuses a long request answers and hangs up, and its answer is what counts.
pub(super) struct Forgiving {
    socket: TcpStream,
    /// Why nothing more is written.
    deaf: Option<io::ErrorKind>,
    /// Whether anything was read since then.
    heard: bool,
}

impl Forgiving {
    fn new(socket: TcpStream) -> Self {
        Self { socket, deaf: None, heard: false }
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

impl AsyncRead for Forgiving {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = std::task::ready!(Pin::new(&mut self.socket).poll_read(context, buffer));
        let is_over = result.is_ok() && buffer.filled().len() == before && buffer.remaining() > 0;
        self.heard |= result.is_ok() && !is_over;
        // an end without a word means what the failed write meant
        Poll::Ready(match self.deaf {
            Some(kind) if is_over && !self.heard => Err(kind.into()),
            _ => result,
        })
    }
}

impl AsyncWrite for Forgiving {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.deaf.is_some() {
            return Poll::Ready(Ok(bytes.len()));
        }
        let result = std::task::ready!(Pin::new(&mut self.socket).poll_write(context, bytes));
        Poll::Ready(self.forgive(result, bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
