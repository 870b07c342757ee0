//! From an address to a stream on which HTTP can be spoken: TCP, then the proxy, then TLS.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use hyper::client::conn::http1;
use hyper::header::{HOST, PROXY_AUTHORIZATION};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::Url;

use super::super::failure::Failure;
use super::super::proxy::local_socket;
use super::super::tls::{self, Trust};
use super::super::trace;
use super::limit::Meter;
use super::login::Login;
use super::outgoing::Outgoing;
use super::resolve::Pinned;
use super::route::{Route, bare_host};
use super::socket::Forgiving;
use super::{Options, link, socks};
use crate::credential::Secret;

/// libcurl's own limit for reaching a host, which C git leaves as it is. There is no limit for an answer.
const CONNECT_TIMEOUT: Duration = Duration::from_mins(5);
/// curl's head start for one address before the next is tried as well: RFC 8305, "Connection Attempt Delay".
const ATTEMPT_DELAY: Duration = Duration::from_millis(200);
/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 32;
/// Times that a proxy may ask who we are before it is believed not to know.
pub(super) const PROXY_CHALLENGES_MAX: usize = 3;

/// A stream and what was agreed on it.
pub(super) struct Dialed {
    pub(super) stream: Box<dyn Stream>,
    /// Counts what goes over the socket.
    pub(super) meter: Meter,
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
    /// The password of our own key.
    password: OnceLock<Secret>,
}

/// What is needed on the way.
struct Way<'a> {
    route: &'a Route,
    options: &'a Options,
    tls: &'a TlsConfigs,
    login: &'a Login,
    begin: Instant,
}

/// Goes all the way. A proxy that wants to know who we are is told, on a new connection.
pub(super) async fn dial(
    route: &Route,
    options: &Options,
    tls: &TlsConfigs,
    login: &Login,
) -> Result<Dialed, Failure> {
    let way = Way { route, options, tls, login, begin: Instant::now() };
    let all = async {
        for _ in 0..PROXY_CHALLENGES_MAX {
            if let Some(dialed) = way.reach().await? {
                return Ok(dialed);
            }
        }
        Err(Failure::proxy_denied())
    };
    tokio::time::timeout(CONNECT_TIMEOUT, all).await.unwrap_or_else(|_| {
        let ms = way.begin.elapsed().as_millis();
        Err(Failure::new(28, format!("Connection timed out after {ms} milliseconds")))
    })
}

impl Way<'_> {
    /// `None` if a proxy asked who we are and it is worth to try again.
    async fn reach(&self) -> Result<Option<Dialed>, Failure> {
        let Self { route, options, .. } = *self;
        // whoever is told to trust a file that is none need not go there first
        let config = if route.tls { Some(self.tls.server(options)?) } else { None };
        let (meter, stream) = match &route.proxy {
            None => {
                let socket = self.connect(&Peer::server(route)).await?;
                (socket.meter.clone(), Box::new(socket) as Box<dyn Stream>)
            }
            Some(proxy) => match self.through(proxy).await? {
                Some(reached) => reached,
                None => return Ok(None),
            },
        };
        let Some(config) = config else { return Ok(Some(Dialed { stream, meter, speaks_http2: false })) };
        let secured = secure(stream, &route.host, config).await?;
        let connection = secured.get_ref().1;
        if let Some(pinned) = &options.trust.pinned_key {
            let own = connection.peer_certificates().and_then(<[_]>::first);
            if !own.is_some_and(|certificate| tls::is_pinned(pinned, certificate)) {
                return Err(Failure::new(90, "SSL: public key does not match pinned public key"));
            }
        }
        let speaks_http2 = connection.alpn_protocol() == Some(b"h2");
        Ok(Some(Dialed { stream: Box::new(secured), meter, speaks_http2 }))
    }

    /// A stream to the server by way of `proxy`; for plain HTTP through an HTTP proxy one to the proxy itself.
    async fn through(&self, proxy: &Url) -> Result<Option<(Meter, Box<dyn Stream>)>, Failure> {
        let peer = Peer::proxy(proxy);
        let (meter, mut stream) = if let Some(path) = local_socket(proxy) {
            connect_locally(&path).await?
        } else {
            let socket = self.connect(&peer).await?;
            (socket.meter.clone(), Box::new(socket) as Box<dyn Stream>)
        };
        if proxy.scheme() == "https" {
            stream = Box::new(secure(stream, peer.host, self.tls.proxy(self.options)?).await?);
        }
        if proxy.scheme().starts_with("socks") {
            socks::connect(&mut *stream, proxy, self.route, self.login.credential(proxy)).await?;
        } else if !self.route.is_forwarded() {
            match self.tunnel(stream, proxy).await? {
                Some(through) => stream = through,
                None => return Ok(None),
            }
        }
        Ok(Some((meter, stream)))
    }

    /// Connects to the first address of `peer` that answers: RFC 8305.
    async fn connect(&self, peer: &Peer<'_>) -> Result<Forgiving<TcpStream>, Failure> {
        let Peer { host, port, is_proxy } = *peer;
        let unresolved = || {
            if is_proxy {
                Failure::new(5, format!("Could not resolve proxy: {host}"))
            } else {
                Failure::new(6, format!("Could not resolve host: {host}"))
            }
        };
        let found: Vec<SocketAddr> = match Pinned::find(&self.options.pinned, host, port) {
            Some(addresses) => addresses,
            None => tokio::net::lookup_host((host, port)).await.map_err(|_| unresolved())?.collect(),
        };
        let usable = |address: &SocketAddr| match self.options.local_address {
            None => true,
            Some(local) => local.is_ipv4() == address.is_ipv4(),
        };
        let addresses = interleaved(found.into_iter().filter(usable).take(ADDRESSES_MAX).collect());
        if addresses.is_empty() {
            return Err(unresolved());
        }
        let stream = race(addresses).await.ok_or_else(|| {
            let ms = self.begin.elapsed().as_millis();
            let place = format!("Failed to connect to {host} port {port} after {ms} ms");
            Failure::new(7, format!("{place}: Couldn't connect to server"))
        })?;
        if let (true, Ok(address)) = (trace::is_on(), stream.peer_addr()) {
            trace::info(&format!("Connected to {host} ({}) port {port}", address.ip()));
        }
        Ok(Forgiving::new(stream, self.options.keep_alive))
    }

    /// Asks the HTTP proxy at the other end of `stream` for a tunnel to the server: RFC 9110, 9.3.6. `None` if the proxy
    /// wants to know who we are and can be told.
    async fn tunnel(&self, stream: Box<dyn Stream>, proxy: &Url) -> Result<Option<Box<dyn Stream>>, Failure> {
        let broken = |error: hyper::Error| link::failure(&error, bare_host(proxy));
        let mut builder = http1::Builder::new();
        builder.title_case_headers(true);
        let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(broken)?;
        tokio::spawn(async { drop(connection.with_upgrades().await) });
        let malformed = || Failure::new(3, "URL using bad/illegal format or missing URL");
        let Route { host, port, .. } = self.route;
        let authority =
            if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let mut request = Request::new(Outgoing::Nothing);
        *request.method_mut() = Method::CONNECT;
        *request.uri_mut() = authority.parse::<Uri>().map_err(|_| malformed())?;
        link::insert(request.headers_mut(), HOST, &authority);
        let way = self.options.proxies.method;
        if let Some(value) = self.login.authorization(proxy, way, "CONNECT", &authority) {
            link::insert(request.headers_mut(), PROXY_AUTHORIZATION, &value);
        }
        let shows_secrets = self.options.shows_secrets;
        if trace::is_on() {
            link::tell_request(&request, false, shows_secrets);
        }
        let answer = sender.send_request(request).await.map_err(broken)?;
        if trace::is_on() {
            link::tell_answer(&answer, shows_secrets);
        }
        match answer.status() {
            status if status.is_success() => {
                let upgraded = hyper::upgrade::on(answer).await.map_err(broken)?;
                Ok(Some(Box::new(TokioIo::new(upgraded))))
            }
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                let lines = super::header_values(answer.headers(), "proxy-authenticate");
                if self.login.challenged(proxy, way, &lines) {
                    Ok(None)
                } else {
                    Err(Failure::proxy_denied())
                }
            }
            status => Err(Failure::new(56, format!("CONNECT tunnel failed, response {}", status.as_u16()))),
        }
    }
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

/// Connects to a proxy that listens on a socket of this machine.
#[cfg(unix)]
async fn connect_locally(path: &Path) -> Result<(Meter, Box<dyn Stream>), Failure> {
    let socket = tokio::net::UnixStream::connect(path).await.map_err(|_| {
        Failure::new(7, format!("Failed to connect to {} port 0: Couldn't connect to server", path.display()))
    })?;
    let socket = Forgiving::over(socket);
    Ok((socket.meter.clone(), Box::new(socket)))
}

#[cfg(not(unix))]
async fn connect_locally(_path: &Path) -> Result<(Meter, Box<dyn Stream>), Failure> {
    Err(Failure::new(7, "this system has no sockets with a path"))
}

/// Begins TLS with `host`.
async fn secure(
    stream: Box<dyn Stream>,
    host: &str,
    config: Arc<ClientConfig>,
) -> Result<TlsStream<Box<dyn Stream>>, Failure> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| Failure::new(3, "URL using bad/illegal format or missing URL"))?;
    TlsConnector::from(config).connect(name, stream).await.map_err(|error| {
        Failure::from_causes(&error, host)
            .unwrap_or_else(|| Failure::new(35, format!("TLS connect error: {error}")))
    })
}

impl TlsConfigs {
    /// Gives the password of our own key; the first counts.
    pub(super) fn unlock(&self, password: Secret) {
        let _given_before = self.password.set(password);
    }

    fn server(&self, options: &Options) -> Result<Arc<ClientConfig>, Failure> {
        let protocols: &[&[u8]] = if options.http1_only { &[b"http/1.1"] } else { &[b"h2", b"http/1.1"] };
        self.once(&self.server, &options.trust, protocols)
    }

    fn proxy(&self, options: &Options) -> Result<Arc<ClientConfig>, Failure> {
        self.once(&self.proxy, &options.proxy_trust, &[b"http/1.1"])
    }

    fn once(
        &self,
        cell: &OnceLock<Arc<ClientConfig>>,
        trust: &Trust,
        protocols: &[&[u8]],
    ) -> Result<Arc<ClientConfig>, Failure> {
        if let Some(config) = cell.get() {
            return Ok(Arc::clone(config));
        }
        let mut config = tls::config(trust, self.password.get())?;
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(Arc::clone(cell.get_or_init(|| Arc::new(config))))
    }
}
