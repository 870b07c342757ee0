//! SOCKS proxies: version 4 with its extension 4a, and version 5, RFC 1928 and 1929.

use std::net::{IpAddr, Ipv4Addr};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use url::Url;

use super::super::failure::Failure;
use super::super::trace;
use super::dial::Stream;
use super::route::Route;

/// RFC 1929 and RFC 1928: names, passwords and hosts have one byte for their length.
const FIELD_LEN_MAX: usize = 255;

/// Asks the SOCKS proxy at the other end of `stream` for a connection to the server of `route`.
pub(super) async fn connect(
    stream: &mut dyn Stream,
    proxy: &Url,
    route: &Route,
    credential: Option<(String, String)>,
) -> Result<(), Failure> {
    let asks_proxy_to_resolve = matches!(proxy.scheme(), "socks4a" | "socks5h");
    let target = match route.host.parse::<IpAddr>() {
        Ok(address) => Target::Address(address),
        Err(_) if asks_proxy_to_resolve => Target::Name(&route.host),
        Err(_) => Target::Address(resolve(route, proxy).await?),
    };
    if proxy.scheme().starts_with("socks4") {
        version_4(stream, credential, &target, route.port).await
    } else {
        version_5(stream, credential, &target, route.port).await
    }
}

/// Where to, as the proxy is told.
enum Target<'a> {
    Address(IpAddr),
    Name(&'a str),
}

/// The address of the server by our own resolver. SOCKS 4 knows no IPv6.
async fn resolve(route: &Route, proxy: &Url) -> Result<IpAddr, Failure> {
    let unresolved = || Failure::new(6, format!("Could not resolve host: {}", route.host));
    let mut found = tokio::net::lookup_host((&*route.host, route.port)).await.map_err(|_| unresolved())?;
    let is_usable = |address: &IpAddr| proxy.scheme() != "socks4" || address.is_ipv4();
    found.by_ref().map(|address| address.ip()).find(is_usable).ok_or_else(unresolved)
}

async fn version_4(
    stream: &mut dyn Stream,
    credential: Option<(String, String)>,
    target: &Target<'_>,
    port: u16,
) -> Result<(), Failure> {
    let (user, _) = credential.unwrap_or_default();
    let (address, name) = match target {
        Target::Address(IpAddr::V4(address)) => (*address, None),
        Target::Address(IpAddr::V6(_)) => {
            return Err(failed("SOCKS4 connection to an IPv6 address not supported"));
        }
        // 4a: an address that cannot be, and the name behind the user
        Target::Name(name) => (Ipv4Addr::new(0, 0, 0, 1), Some(*name)),
    };
    let mut request = vec![4, 1];
    request.extend_from_slice(&port.to_be_bytes());
    request.extend_from_slice(&address.octets());
    for text in std::iter::once(user.as_str()).chain(name) {
        if text.len() > FIELD_LEN_MAX || text.contains('\0') {
            return Err(failed("SOCKS4: too long or bad host name or user"));
        }
        request.extend_from_slice(text.as_bytes());
        request.push(0);
    }
    stream.write_all(&request).await.map_err(|_| failed("Failed to send SOCKS4 connect request."))?;
    let mut reply = [0; 8];
    stream.read_exact(&mut reply).await.map_err(|_| failed("connection to proxy closed"))?;
    match reply[1] {
        90 => {
            trace::info("SOCKS4 request granted.");
            Ok(())
        }
        code => Err(failed(format!("Can't complete SOCKS4 connection, request rejected or failed ({code})"))),
    }
}

async fn version_5(
    stream: &mut dyn Stream,
    credential: Option<(String, String)>,
    target: &Target<'_>,
    port: u16,
) -> Result<(), Failure> {
    let greeting: &[u8] = if credential.is_some() { &[5, 2, 0, 2] } else { &[5, 1, 0] };
    stream.write_all(greeting).await.map_err(|_| failed("Unable to send initial SOCKS5 request."))?;
    let mut chosen = [0; 2];
    stream.read_exact(&mut chosen).await.map_err(|_| failed("connection to proxy closed"))?;
    match (chosen, credential) {
        ([5, 0], _) => {}
        ([5, 2], Some((user, password))) => log_in(stream, &user, &password).await?,
        ([5, _], _) => return Err(failed("No authentication method was acceptable.")),
        (_, _) => return Err(failed("Received invalid version in initial SOCKS5 response.")),
    }
    let mut request = vec![5, 1, 0];
    match target {
        Target::Address(IpAddr::V4(address)) => {
            request.push(1);
            request.extend_from_slice(&address.octets());
        }
        Target::Address(IpAddr::V6(address)) => {
            request.push(4);
            request.extend_from_slice(&address.octets());
        }
        Target::Name(name) => {
            request.push(3);
            push_field(&mut request, name)?;
        }
    }
    request.extend_from_slice(&port.to_be_bytes());
    stream.write_all(&request).await.map_err(|_| failed("Failed to send SOCKS5 connect request."))?;
    read_reply(stream).await
}

/// RFC 1929.
async fn log_in(stream: &mut dyn Stream, user: &str, password: &str) -> Result<(), Failure> {
    let mut request = vec![1];
    push_field(&mut request, user)?;
    push_field(&mut request, password)?;
    stream.write_all(&request).await.map_err(|_| failed("Failed to send SOCKS5 sub-negotiation request."))?;
    let mut verdict = [0; 2];
    stream.read_exact(&mut verdict).await.map_err(|_| failed("connection to proxy closed"))?;
    if verdict[1] == 0 { Ok(()) } else { Err(failed("User was rejected by the SOCKS5 server (1 1).")) }
}

/// RFC 1928, 6: the reply names the address that the proxy uses, which is read over.
async fn read_reply(stream: &mut dyn Stream) -> Result<(), Failure> {
    let closed = |_| failed("connection to proxy closed");
    let mut head = [0; 4];
    stream.read_exact(&mut head).await.map_err(closed)?;
    if head[0] != 5 {
        return Err(failed("SOCKS5 reply has wrong version, version should be 5."));
    }
    if head[1] != 0 {
        return Err(failed(format!("Can't complete SOCKS5 connection. ({})", head[1])));
    }
    let len = match head[3] {
        1 => 4,
        4 => 16,
        3 => usize::from(stream.read_u8().await.map_err(closed)?),
        _ => return Err(failed("SOCKS5 reply has wrong address type.")),
    };
    let mut rest = vec![0; len + 2];
    stream.read_exact(&mut rest).await.map_err(closed)?;
    trace::info("SOCKS5 request granted.");
    Ok(())
}

fn push_field(request: &mut Vec<u8>, text: &str) -> Result<(), Failure> {
    let len = u8::try_from(text.len()).map_err(|_| failed("SOCKS5: a name or password is too long"))?;
    request.push(len);
    request.extend_from_slice(text.as_bytes());
    Ok(())
}

/// libcurl-errors(3), `CURLE_PROXY`.
fn failed(message: impl Into<String>) -> Failure {
    Failure::new(97, message)
}
