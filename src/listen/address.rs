//! Where a server listens: TCP, sockets of this machine, or what systemd opened.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs};
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

/// Descriptors that systemd may hand over.
const DESCRIPTORS_MAX: usize = 256;

/// A place to listen at, as a user writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `<host>:<port>`, `:<port>` for all addresses of the machine, or a port alone.
    Tcp(String, u16),
    /// `unix:<path>`.
    Unix(PathBuf),
}

/// A socket that is listened at.
#[derive(Debug)]
pub enum Socket {
    /// TCP.
    Tcp(TcpListener),
    /// A socket of this machine; the path is removed at the end if it is ours.
    Unix(UnixListener, Option<PathBuf>),
}

impl Address {
    /// Reads one.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix("unix:") {
            return (!path.is_empty()).then(|| Self::Unix(path.into()));
        }
        if let Ok(port) = text.parse() {
            return Some(Self::Tcp(String::new(), port));
        }
        let (host, port) = text.rsplit_once(':')?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        Some(Self::Tcp(host.to_owned(), port.parse().ok()?))
    }

    /// Listens at it: at each address that the host has.
    pub fn bind(&self) -> io::Result<Vec<Socket>> {
        match self {
            Self::Tcp(host, port) if host.is_empty() || host == "*" => {
                // one socket for both kinds of address, where the system has both
                let all = TcpListener::bind(("::", *port)).or_else(|_| TcpListener::bind(("0.0.0.0", *port)));
                Ok(vec![Socket::Tcp(all?)])
            }
            Self::Tcp(host, port) => {
                let addresses = (host.as_str(), *port).to_socket_addrs()?;
                addresses.map(|address| TcpListener::bind(address).map(Socket::Tcp)).collect()
            }
            Self::Unix(path) => {
                // what a server left that was killed; anything else at this path stays
                if fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_socket())
                    && std::os::unix::net::UnixStream::connect(path).is_err()
                {
                    fs::remove_file(path)?;
                }
                Ok(vec![Socket::Unix(UnixListener::bind(path)?, Some(path.clone()))])
            }
        }
    }
}

impl Socket {
    /// The sockets that systemd opened for us: `sd_listen_fds(3)`.
    pub fn inherited() -> io::Result<Vec<Self>> {
        let mut given = listenfd::ListenFd::from_env();
        let mut sockets = Vec::new();
        for number in 0..given.len().min(DESCRIPTORS_MAX) {
            let socket = match given.take_tcp_listener(number) {
                Ok(Some(listener)) => Self::Tcp(listener),
                Ok(None) => continue,
                Err(_) => match given.take_unix_listener(number)? {
                    Some(listener) => Self::Unix(listener, None),
                    None => continue,
                },
            };
            sockets.push(socket);
        }
        Ok(sockets)
    }

    /// Where it listens, as [`Address::parse`] reads it.
    pub fn name(&self) -> String {
        match self {
            Self::Tcp(listener) => {
                listener.local_addr().map_or_else(|_| "?".into(), |address| address.to_string())
            }
            Self::Unix(_, Some(path)) => format!("unix:{}", path.display()),
            Self::Unix(listener, None) => {
                let address = listener.local_addr().ok();
                let path = address.as_ref().and_then(|address| address.as_pathname());
                path.map_or_else(|| "unix:?".into(), |path| format!("unix:{}", path.display()))
            }
        }
    }

    /// Its address, if it is one of TCP.
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(..) => None,
        }
    }
}

/// A network: an address, or one with the number of bits that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: u128,
    bits: u32,
}

impl Network {
    /// Reads `192.0.2.0/24`, `2001:db8::/32` or an address.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let (least, most) = if address.is_ipv4() { (96, 32) } else { (0, 128) };
        let bits = bits.unwrap_or(most);
        (bits <= most).then(|| Self { address: number(address), bits: least + bits })
    }

    /// Whether `address` is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        let mask = u128::MAX.checked_shl(128 - self.bits).unwrap_or(0);
        number(address) & mask == self.address & mask
    }
}

/// Both kinds of address as one number; IPv4 as IPv6 has it.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_ipv6_mapped()),
        IpAddr::V6(address) => u128::from(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let tcp = |host: &str, port| Some(Address::Tcp(host.into(), port));
        for (text, address) in [
            ("127.0.0.1:80", tcp("127.0.0.1", 80)),
            ("[::1]:80", tcp("::1", 80)),
            (":80", tcp("", 80)),
            ("80", tcp("", 80)),
            ("example.com:http", None),
            ("unix:", None),
            ("unix:/run/x", Some(Address::Unix("/run/x".into()))),
        ] {
            assert_eq!(Address::parse(text), address, "{text}");
        }
    }

    #[test]
    fn a_network_has_its_addresses() {
        for (network, address, is_in) in [
            ("192.0.2.0/24", "192.0.2.77", true),
            ("192.0.2.0/24", "192.0.3.77", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("0.0.0.0/0", "10.0.0.1", true),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("::/0", "10.0.0.1", true),
            ("2001:db8::/32", "10.0.0.1", false),
        ] {
            let network = Network::parse(network).unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), is_in, "{address}");
        }
        assert_eq!(Network::parse("192.0.2.0/33"), None);
    }

    #[test]
    fn a_socket_that_nobody_listens_at_is_taken_over() {
        let directory = tempfile::tempdir().unwrap();
        let address = Address::Unix(directory.path().join("socket"));
        drop(address.bind().unwrap());
        let held = address.bind().unwrap();
        assert!(address.bind().is_err(), "somebody listens here");
        drop(held);
        fs::write(directory.path().join("file"), "kept").unwrap();
        assert!(Address::Unix(directory.path().join("file")).bind().is_err());
        assert_eq!(fs::read(directory.path().join("file")).unwrap(), b"kept");
    }
}
