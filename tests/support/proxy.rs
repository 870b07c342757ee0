//! A relay that harms a conversation: cut after so many bytes, one bit turned, or a capability renamed.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use bstr::ByteSlice;

/// How far into a connection a capability is looked for: no greeting has them later.
const GREETING: u64 = 4 * 1024;

/// What happens to a conversation; bytes are counted in each connection anew.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// Nothing.
    None,
    /// The server's bytes end after so many, as if the server had closed the connection.
    Close(u64),
    /// The connection is reset after so many bytes of the server.
    Reset(u64),
    /// The lowest bit of the server's byte at this place is turned.
    Flip(u64),
    /// After so many bytes of the client both sides see the end; what the client still writes is read and lost.
    CloseRequest(u64),
    /// After so many bytes of the client the server sees the end, and its answer still comes through.
    EndRequest(u64),
    /// The connection is reset after so many bytes of the client.
    ResetRequest(u64),
    /// These names in the server's greeting get an `x` for their first letter, so that nobody knows them.
    Rename(&'static [&'static str]),
}

/// What both sides have sent so far, over all connections.
#[derive(Debug, Default)]
struct Record {
    /// What the clients sent.
    client: Vec<u8>,
    /// What the servers sent.
    server: Vec<u8>,
}

/// A listening relay; it lives as long as the test's process.
pub struct Proxy {
    /// The URL of the repository by way of the relay.
    pub url: String,
    /// What went through before any fault.
    record: Arc<Mutex<Record>>,
}

impl Proxy {
    /// Relays with `fault` to the loopback server that `url` names.
    pub fn before(url: &str, fault: Fault) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let server = url.split([':', '/']).nth(4).expect("the URL has a host and a port");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, server.parse().expect("a port is a number")));
        let record = Arc::new(Mutex::new(Record::default()));
        let shared = Arc::clone(&record);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                relay(client, address, fault, &shared);
            }
        });
        Self { url: url.replacen(server, &port.to_string(), 1), record }
    }

    /// What the clients have sent so far.
    pub fn client_bytes(&self) -> Vec<u8> {
        self.record.lock().expect("no relay panics").client.clone()
    }

    /// What the servers have sent so far.
    pub fn server_bytes(&self) -> Vec<u8> {
        self.record.lock().expect("no relay panics").server.clone()
    }
}

/// Starts both directions of one connection; `None` if the server is not there.
fn relay(client: TcpStream, server: SocketAddr, fault: Fault, record: &Arc<Mutex<Record>>) -> Option<()> {
    let server = TcpStream::connect(server).ok()?;
    let (from_client, to_server) = (client.try_clone().ok()?, server.try_clone().ok()?);
    let shared = Arc::clone(record);
    thread::spawn(move || request(from_client, to_server, fault, &shared));
    let shared = Arc::clone(record);
    thread::spawn(move || answer(server, client, fault, &shared));
    Some(())
}

/// Carries the client's bytes to the server with `fault`. Reads the client to its end whatever happens to the other
/// direction: a close with unread bytes would be a reset.
fn request(mut client: TcpStream, mut server: TcpStream, fault: Fault, record: &Mutex<Record>) -> Option<()> {
    let mut place = 0;
    let end = match fault {
        Fault::CloseRequest(end) | Fault::EndRequest(end) | Fault::ResetRequest(end) => end,
        Fault::None | Fault::Close(_) | Fault::Reset(_) | Fault::Flip(_) | Fault::Rename(_) => u64::MAX,
    };
    if end == 0 {
        end_request(&server, &client, fault)?;
    }
    while let Some(mut bytes) = read_some(&mut client) {
        record.lock().expect("no relay panics").client.extend_from_slice(&bytes);
        let next = place + bytes.len() as u64;
        bytes.truncate(usize::try_from(end.saturating_sub(place)).unwrap_or(usize::MAX));
        server.write_all(&bytes).ok();
        if place < end && end <= next {
            end_request(&server, &client, fault)?;
        }
        place = next;
    }
    server.shutdown(Shutdown::Write).ok()
}

/// Ends the client's half early; `None` if nothing more is to be read of it.
fn end_request(server: &TcpStream, client: &TcpStream, fault: Fault) -> Option<()> {
    match fault {
        Fault::CloseRequest(_) => {
            client.shutdown(Shutdown::Write).ok();
            server.shutdown(Shutdown::Both).ok();
            Some(())
        }
        Fault::ResetRequest(_) => {
            reset(server, client);
            None
        }
        Fault::EndRequest(_)
        | Fault::None
        | Fault::Close(_)
        | Fault::Reset(_)
        | Fault::Flip(_)
        | Fault::Rename(_) => server.shutdown(Shutdown::Write).ok(),
    }
}

/// Carries the server's bytes to the client with `fault`; `None` if one of them went away.
fn answer(mut server: TcpStream, mut client: TcpStream, fault: Fault, record: &Mutex<Record>) -> Option<()> {
    let mut place = 0;
    while let Some(mut bytes) = read_some(&mut server) {
        let next = place + bytes.len() as u64;
        record.lock().expect("no relay panics").server.extend_from_slice(&bytes);
        match fault {
            Fault::Close(end) if next >= end => {
                bytes.truncate(usize::try_from(end - place).ok()?);
                client.write_all(&bytes).ok();
                client.shutdown(Shutdown::Write).ok();
                return server.shutdown(Shutdown::Both).ok();
            }
            Fault::Reset(end) if next >= end => {
                bytes.truncate(usize::try_from(end - place).ok()?);
                client.write_all(&bytes).ok();
                return reset(&server, &client);
            }
            Fault::Flip(at) if (place..next).contains(&at) => {
                let byte = bytes.get_mut(usize::try_from(at - place).ok()?)?;
                *byte ^= 1;
            }
            Fault::Rename(names) if place < GREETING => bytes = renamed(bytes, names),
            Fault::None
            | Fault::Close(_)
            | Fault::Reset(_)
            | Fault::Flip(_)
            | Fault::CloseRequest(_)
            | Fault::EndRequest(_)
            | Fault::ResetRequest(_)
            | Fault::Rename(_) => {}
        }
        client.write_all(&bytes).ok()?;
        place = next;
    }
    if socket2::SockRef::from(&client).linger().ok()?.is_some() {
        return None; // it is being reset, which an end would hide
    }
    client.shutdown(Shutdown::Write).ok()
}

/// `bytes` with other `names` of the same length, so that no length before them has to change.
fn renamed(mut bytes: Vec<u8>, names: &[&str]) -> Vec<u8> {
    for name in names {
        let other = format!("x{}", name.get(1..).unwrap_or_default());
        bytes = bytes.replace(name, other);
    }
    bytes
}

/// Resets the client's connection: with no time to linger the close that follows the last handle does that.
fn reset(server: &TcpStream, client: &TcpStream) -> Option<()> {
    socket2::SockRef::from(client).set_linger(Some(std::time::Duration::ZERO)).ok()?;
    client.shutdown(Shutdown::Read).ok()?;
    server.shutdown(Shutdown::Both).ok()
}

/// The next bytes of `stream`; `None` at its end.
fn read_some(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 16 * 1024];
    let length = stream.read(&mut bytes).ok().filter(|&length| length > 0)?;
    bytes.truncate(length);
    Some(bytes)
}
