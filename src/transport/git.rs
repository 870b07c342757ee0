//! `git://`: a TCP connection, or a proxy command in its place, and one line that says what is wanted.
//!
//! gitprotocol-pack(5) "Git Transport"; messages as seen in git 2.47.3.

use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::ops::ControlFlow;

use bstr::{BString, ByteSlice};

use super::child::{self, Surroundings};
use super::stream::Stream;
use super::{Connection, Error, IpVersion, Options, Settings, Transport, Url};
use crate::progress::{Event, Progress};
use crate::protocol::{self, Service, Version};

/// The port of git://.
const DEFAULT_PORT: u16 = 9418;

/// The longest pkt-line, its length included: gitprotocol-common(5).
const LINE_BYTES_MAX: usize = 65520;

/// Reaches [`Scheme::Git`](super::Scheme::Git).
#[derive(Debug)]
pub struct Git {
    host: BString,
    port: u16,
    path: BString,
    /// The host as the request names it: with brackets and port as they stand in the URL.
    virtual_host: BString,
    /// The program that takes the place of the connection.
    proxy: Option<BString>,
    options: Options,
    surroundings: Surroundings,
}

impl Git {
    /// The repository at `url`.
    ///
    /// # Errors
    ///
    /// [`Error::Url`] if a newline would end the request early (CVE-2021-40330), or if the proxy command would take the
    /// host for an option (CVE-2017-1000117).
    pub fn new(url: &Url, settings: &dyn Settings, options: Options) -> Result<Self, Error> {
        let authority = url.authority();
        let ends_request = |text: &BString| text.find_byteset(b"\n\0").is_some();
        if ends_request(&authority) || ends_request(&url.path) {
            return Err(Error::Url("newline is forbidden in git:// hosts and repo paths".into()));
        }
        let proxy = proxy_for(&authority, settings);
        if proxy.is_some() && url.host.starts_with(b"-") {
            return Err(Error::Url(format!("strange hostname '{}' blocked", url.host)));
        }
        let virtual_host = settings.env("GIT_OVERRIDE_VIRTUAL_HOST");
        Ok(Self {
            host: url.host.clone(),
            port: url.port.unwrap_or(DEFAULT_PORT),
            path: url.path.clone(),
            virtual_host: virtual_host.map_or(authority, |value| value.into_encoded_bytes().into()),
            proxy,
            surroundings: Surroundings::new(settings, &options),
            options,
        })
    }

    fn start_proxy(&self, program: &BString) -> Result<Stream, Error> {
        let mut command = self.surroundings.command(program.as_bstr());
        command.arg(self.host.to_os_str_lossy()).arg(self.port.to_string());
        Stream::from_child(child::start(
            &mut command,
            "transport/git",
            &format!("cannot start proxy {program}"),
        )?)
    }

    /// Tries every address of the host in the order of the resolver.
    fn dial(&self, progress: &mut dyn Progress) -> Result<Stream, Error> {
        let addresses = self.look_up()?;
        tell(progress, &format!("Looking up {} ... done.", self.host))?;
        let mut failures = String::new();
        for (index, address) in addresses.iter().enumerate() {
            match TcpStream::connect(address).and_then(prepare) {
                Ok(socket) => {
                    let (host, port, ip) = (&self.host, self.port, address.ip());
                    tell(progress, &format!("Connecting to {host} (port {port}) ... {ip} done."))?;
                    return Stream::from_socket(socket);
                }
                Err(error) => {
                    let (host, ip, reason) = (&self.host, address.ip(), child::reason(&error));
                    // Writing to a String cannot fail.
                    let _ok = writeln!(failures, "{host}[{index}: {ip}]: errno={reason}");
                }
            }
        }
        Err(Error::Access(format!("unable to connect to {}:\n{failures}", self.host)))
    }

    fn look_up(&self) -> Result<Vec<SocketAddr>, Error> {
        let fail = |reason: &str| {
            Error::Access(format!("unable to look up {} (port {}) ({reason})", self.host, self.port))
        };
        let host = self.host.to_str().map_err(|_| fail("Name or service not known"))?;
        let found = if host.is_empty() {
            // The resolver would take it for this machine.
            return Err(fail("Name or service not known"));
        } else {
            (host, self.port).to_socket_addrs().map_err(|error| fail(&resolver_reason(&error)))?
        };
        let addresses: Vec<SocketAddr> = found
            .filter(|address| match (self.options.ip_version, address.ip()) {
                (IpVersion::Any, _) | (IpVersion::V4, IpAddr::V4(_)) | (IpVersion::V6, IpAddr::V6(_)) => true,
                (IpVersion::V4, IpAddr::V6(_)) | (IpVersion::V6, IpAddr::V4(_)) => false,
            })
            .collect();
        if addresses.is_empty() {
            let is_literal = host.parse::<IpAddr>().is_ok();
            let reason = if is_literal {
                "Address family for hostname not supported"
            } else {
                "Name or service not known"
            };
            return Err(fail(reason));
        }
        Ok(addresses)
    }

    /// The request line, a pkt-line: `git-upload-pack /path NUL host=h NUL NUL version=2 NUL`.
    fn request(&self, service: Service, version: Version) -> Result<Vec<u8>, Error> {
        let program = child::far_program(&self.options, service);
        let mut line = [&program[..], b" ", &self.path, b"\0host=", &self.virtual_host, b"\0"].concat();
        if let Some(request) = child::version_request(child::version_for(service, version)) {
            line.extend_from_slice(b"\0");
            line.extend_from_slice(request.as_bytes());
            line.extend_from_slice(b"\0");
        }
        let length = line.len() + 4;
        if length > LINE_BYTES_MAX {
            return Err(Error::Url("protocol error: impossibly long line".into()));
        }
        Ok([format!("{length:04x}").as_bytes(), &line].concat())
    }
}

impl Transport for Git {
    fn connect(
        &mut self,
        service: Service,
        version: Version,
        progress: &mut dyn Progress,
    ) -> Result<Box<dyn Connection>, Error> {
        let request = self.request(service, version)?;
        let mut stream = match &self.proxy {
            Some(program) => self.start_proxy(program)?,
            None => self.dial(progress)?,
        };
        stream.send(&request)?;
        Ok(Box::new(stream))
    }
}

/// `GIT_PROXY_COMMAND` for all hosts, else the first `core.gitProxy` that is meant for `host`, which is followed by the port
/// that the URL has: git 2.47.3 compares both.
fn proxy_for(host: &BString, settings: &dyn Settings) -> Option<BString> {
    if let Some(program) = settings.env("GIT_PROXY_COMMAND") {
        return Some(BString::from(program.into_encoded_bytes())).filter(|program| !program.is_empty());
    }
    let entries = settings.section("core").into_iter();
    let mut values = entries.filter(|entry| entry.subsection.is_none() && entry.key == "gitproxy");
    let program = values.find_map(|entry| {
        let value = entry.value?;
        match value.split_once_str(" for ") {
            Some((program, domain)) => is_within(host, domain).then(|| program.into()),
            None => Some(value),
        }
    })?;
    (program != "none" && !program.is_empty()).then_some(program)
}

/// Whether `host` is `domain` or below it.
fn is_within(host: &[u8], domain: &[u8]) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with(b"."))
}

/// A connection that breaks silently is noticed in the end; what we say is never held back for more.
fn prepare(socket: TcpStream) -> io::Result<TcpStream> {
    socket.set_nodelay(true)?;
    rustix::net::sockopt::set_socket_keepalive(&socket, true)?;
    Ok(socket)
}

/// What the resolver says, without what Rust puts before it.
fn resolver_reason(error: &io::Error) -> String {
    let text = child::reason(error);
    match text.strip_prefix("failed to lookup address information: ") {
        Some(reason) => reason.to_owned(),
        None => text,
    }
}

fn tell(progress: &mut dyn Progress, text: &str) -> Result<(), Error> {
    match progress.report(Event::Detail { level: 1, text }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(protocol::Error::Interrupted.into()),
    }
}

#[cfg(all(test, unix))]
mod tests;
