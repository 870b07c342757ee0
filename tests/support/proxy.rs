//! A relay that harms what a server sends: cut after so many bytes, or one bit turned.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// What happens to the server's bytes, counted in each connection anew.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// Nothing.
    None,
    /// The stream ends after so many bytes, as if the server had closed it.
    Close(u64),
    /// The connection is reset after so many bytes.
    Reset(u64),
    /// The lowest bit of the byte at this place is turned.
    Flip(u64),
}

/// A listening relay; it lives as long as the test's process.
pub struct Proxy {
    /// Where it listens.
    pub port: u16,
    /// How many bytes the servers have sent so far, over all connections.
    sent: Arc<AtomicU64>,
}

impl Proxy {
    /// Relays to the port `server` with `fault`.
    pub fn start(server: u16, fault: Fault) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let sent = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&sent);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                relay(client, SocketAddr::from((Ipv4Addr::LOCALHOST, server)), fault, &count);
            }
        });
        Self { port, sent }
    }

    /// How many bytes the servers have sent so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }
}

/// Starts both directions of one connection; `None` if the server is not there.
fn relay(client: TcpStream, server: SocketAddr, fault: Fault, count: &Arc<AtomicU64>) -> Option<()> {
    let server = TcpStream::connect(server).ok()?;
    let (mut from_client, mut to_server) = (client.try_clone().ok()?, server.try_clone().ok()?);
    // Reads the client to its end whatever happens to the other direction: a close with unread bytes would be a reset.
    thread::spawn(move || {
        while let Some(bytes) = read_some(&mut from_client) {
            to_server.write_all(&bytes).ok();
        }
        to_server.shutdown(Shutdown::Write).ok();
    });
    let count = Arc::clone(count);
    thread::spawn(move || answer(server, client, fault, &count));
    Some(())
}

/// Carries the server's bytes to the client with `fault`; `None` if one of them went away.
fn answer(mut server: TcpStream, mut client: TcpStream, fault: Fault, count: &AtomicU64) -> Option<()> {
    let mut place = 0;
    while let Some(mut bytes) = read_some(&mut server) {
        let next = place + bytes.len() as u64;
        count.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        match fault {
            Fault::Close(end) | Fault::Reset(end) if next >= end => {
                bytes.truncate(usize::try_from(end - place).ok()?);
                client.write_all(&bytes).ok();
                return end_connection(&server, &client, fault);
            }
            Fault::Flip(at) if (place..next).contains(&at) => {
                let byte = bytes.get_mut(usize::try_from(at - place).ok()?)?;
                *byte ^= 1;
            }
            Fault::None | Fault::Close(_) | Fault::Reset(_) | Fault::Flip(_) => {}
        }
        client.write_all(&bytes).ok()?;
        place = next;
    }
    client.shutdown(Shutdown::Write).ok()
}

/// Ends a connection early, gently or not.
fn end_connection(server: &TcpStream, client: &TcpStream, fault: Fault) -> Option<()> {
    if matches!(fault, Fault::Reset(_)) {
        // With no time to linger the close that follows the last handle is a reset.
        socket2::SockRef::from(client).set_linger(Some(std::time::Duration::ZERO)).ok()?;
        client.shutdown(Shutdown::Read).ok()?;
        server.shutdown(Shutdown::Both).ok()
    } else {
        client.shutdown(Shutdown::Write).ok()?;
        server.shutdown(Shutdown::Both).ok()
    }
}

/// The next bytes of `stream`; `None` at its end.
fn read_some(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 16 * 1024];
    let length = stream.read(&mut bytes).ok().filter(|&length| length > 0)?;
    bytes.truncate(length);
    Some(bytes)
}
