//! The sockets of `gitr daemon`, and who calls there.

use std::io::{self, BufReader, BufWriter, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use bstr::ByteSlice;
use rustix::net::sockopt;

use super::clients::{Client, Clients};
use super::log::Log;
use crate::cmd::error::reason;
use crate::cmd::{CommandError, service};
use crate::server::daemon::{Daemon, Hello};

/// Listens on each of `hosts` that there is, on every address if none is said.
pub(super) fn listen(hosts: &[String], port: u16, log: Log) -> Result<Vec<TcpListener>, CommandError> {
    let none = || CommandError::fatal(format!("unable to allocate any listen sockets on port {port}"));
    if hosts.is_empty() {
        // one socket for both kinds of address, where the system has both
        let all = TcpListener::bind(("::", port)).or_else(|_| TcpListener::bind(("0.0.0.0", port)));
        return match all {
            Ok(listener) => Ok(vec![listener]),
            Err(error) => {
                log.error(&format!("Could not bind to port {port}: {}", reason(&error)));
                Err(none())
            }
        };
    }
    let mut listeners = Vec::new();
    for host in hosts {
        let addresses = match (host.as_str(), port).to_socket_addrs() {
            Ok(addresses) => addresses.collect(),
            Err(error) => {
                log.error(&format!("getaddrinfo() for {host} failed: {error}"));
                Vec::new()
            }
        };
        let count = listeners.len();
        for address in addresses {
            match TcpListener::bind(address) {
                Ok(listener) => listeners.push(listener),
                Err(error) => {
                    log.error(&format!("Could not bind to {}: {}", address.ip(), reason(&error)));
                }
            }
        }
        if listeners.len() == count {
            log.error(&format!("unable to allocate any listen sockets for host {host} on port {port}"));
        }
    }
    if listeners.is_empty() { Err(none()) } else { Ok(listeners) }
}

/// Takes clients for as long as the process lives.
pub(super) fn accept_all(listeners: Vec<TcpListener>, server: &Arc<Server>) -> Result<u8, CommandError> {
    let mut threads = Vec::new();
    for listener in listeners {
        let server = Arc::clone(server);
        threads.push(
            std::thread::Builder::new().name("listener".into()).spawn(move || server.accept(&listener))?,
        );
    }
    for thread in threads {
        let _ended = thread.join();
    }
    Ok(0)
}

/// What all connections share.
pub(super) struct Server {
    pub daemon: Daemon,
    pub log: Log,
    pub init_timeout: Option<Duration>,
    pub timeout: Option<Duration>,
    pub clients: Arc<Clients>,
}

impl Server {
    fn accept(self: Arc<Self>, listener: &TcpListener) {
        loop {
            let (stream, address) = match listener.accept() {
                Ok(accepted) => accepted,
                Err(error) => {
                    // out of descriptors: a client that leaves makes room
                    self.log.error(&format!("accept failed: {}", reason(&error)));
                    std::thread::sleep(ACCEPT_PAUSE);
                    continue;
                }
            };
            let Some(place) = self.clients.enter(stream, address.ip()) else {
                self.log.error("Too many children, dropping connection");
                continue;
            };
            let own = Arc::clone(&self);
            let spawned = std::thread::Builder::new()
                .name("client".into())
                .spawn(move || own.client(&place.client, address));
            if let Err(error) = spawned {
                self.log.error(&format!("unable to fork: {error}"));
            }
        }
    }

    fn client(&self, client: &Client, address: SocketAddr) {
        self.log.detail(&format!("Connection from {address}"));
        match self.converse(client, address) {
            Ok(()) => self.log.detail("Disconnected"),
            Err(text) => {
                self.log.error(&text);
                self.log.detail("Disconnected (with error)");
            }
        }
    }

    fn converse(&self, client: &Client, address: SocketAddr) -> Result<(), String> {
        let text = |error: io::Error| reason(&error);
        let stream = &client.stream;
        // of a machine that is gone nothing is heard
        sockopt::set_socket_keepalive(stream, true).map_err(|error| text(error.into()))?;
        wait_for(stream, self.init_timeout).map_err(text)?;
        let mut input = BufReader::new(stream);
        let hello = Hello::read(&mut input).map_err(|error| error.to_string())?;
        if let Some(host) = &hello.host {
            let port = hello.port.as_ref().map(|port| format!(":{port}")).unwrap_or_default();
            self.log.detail(&format!("Extended attribute \"host\": {host}{port}"));
        }
        if !hello.protocol.is_empty() {
            self.log.detail(&format!("Extended attribute \"protocol\": {}", hello.protocol));
        }
        let service = hello.service.strip_prefix(b"git-").unwrap_or(&hello.service).as_bstr();
        self.log.detail(&format!("Request {service} for '{}'", hello.path));
        wait_for(stream, self.timeout).map_err(text)?;
        let mut out = BufWriter::with_capacity(service::BUFFER_LEN, stream);
        let served = self.daemon.serve(&hello, Some(address), &client.watch, (&mut input, &mut out));
        let flushed = out.flush();
        served.map_err(|error| error.to_string())?;
        flushed.map_err(text)
    }
}

/// Sets how long a client may say nothing, or take nothing of what it is sent.
fn wait_for(stream: &TcpStream, patience: Option<Duration>) -> io::Result<()> {
    stream.set_read_timeout(patience)?;
    stream.set_write_timeout(patience)
}

/// The pause after a connection could not be taken.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
