//! Who is served: as many clients at a time as `--max-connections` says. Where there is no place for one more, the newest
//! connection of an address that has several is ended, as git 2.47.3 does, so that nobody alone keeps out all others.

use std::net::{IpAddr, Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::server::{KnownDeltas, Watch};

/// How long a newcomer waits for a place, as in git 2.47.3.
const LEAVE_TIME: Duration = Duration::from_secs(1);

/// All that are served.
#[derive(Debug)]
pub(super) struct Clients {
    inside: Mutex<Vec<Arc<Client>>>,
    left: Condvar,
    most: usize,
    /// Deltas that were made for one, for the next.
    known: Arc<KnownDeltas>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Client {
    pub stream: TcpStream,
    pub address: IpAddr,
    /// Ends the work when the connection is ended.
    pub watch: Arc<Watch>,
}

/// A place among them, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    clients: Arc<Clients>,
    pub client: Arc<Client>,
}

impl Clients {
    /// Places for `most`.
    pub(super) fn new(most: usize) -> Arc<Self> {
        let known = Arc::new(KnownDeltas::new(KnownDeltas::BYTES));
        Arc::new(Self { inside: Mutex::default(), left: Condvar::new(), most, known })
    }

    /// Gives a client a place, for which another one may have to go; `None` if there is none.
    pub(super) fn enter(self: &Arc<Self>, stream: TcpStream, address: IpAddr) -> Option<Place> {
        let address = address.to_canonical();
        let client = Arc::new(Client {
            stream,
            address,
            watch: Arc::new(Watch::default().knowing(Arc::clone(&self.known))),
        });
        let mut inside = self.lock();
        if inside.len() >= self.most {
            inside = self.make_room(inside)?;
        }
        inside.push(Arc::clone(&client));
        Some(Place { clients: Arc::clone(self), client })
    }

    /// Ends one, if that is fair, and waits until there is a place; `None` if nobody leaves.
    fn make_room<'m>(
        &'m self,
        mut inside: MutexGuard<'m, Vec<Arc<Client>>>,
    ) -> Option<MutexGuard<'m, Vec<Arc<Client>>>> {
        // one that was ended before may still take its time
        let staying: Vec<_> = inside.iter().filter(|client| !client.watch.is_stopped()).collect();
        let addresses: Vec<_> = staying.iter().map(|client| client.address).collect();
        if let Some(client) = one_too_many(&addresses).and_then(|place| staying.get(place)) {
            client.end();
        }
        let until = Instant::now() + LEAVE_TIME;
        while inside.len() >= self.most {
            let rest = until.checked_duration_since(Instant::now())?;
            let waited = self.left.wait_timeout(inside, rest);
            inside = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Some(inside)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Client>>> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Client {
    fn end(&self) {
        self.watch.stop();
        let _gone_already = self.stream.shutdown(Shutdown::Both);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.clients.lock().retain(|client| !Arc::ptr_eq(client, &self.client));
        self.clients.left.notify_all();
    }
}

/// The place of the newest of `addresses`, which are in the order in which they came, that is there more than once.
fn one_too_many(addresses: &[IpAddr]) -> Option<usize> {
    let count = |address: &IpAddr| addresses.iter().filter(|other| *other == address).count();
    addresses.iter().rposition(|address| count(address) > 1)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::TcpListener;

    use super::*;

    fn address(last: u8) -> IpAddr {
        [127, 0, 0, last].into()
    }

    #[test]
    fn the_newest_of_several_goes() {
        for (last, chosen) in [
            (&[1, 2, 3][..], None),
            (&[1, 2, 2, 3], Some(2)),
            (&[1, 1, 2, 2, 3], Some(3)),
            (&[1, 2, 1, 3], Some(2)),
            (&[], None),
        ] {
            let addresses: Vec<_> = last.iter().map(|last| address(*last)).collect();
            assert_eq!(one_too_many(&addresses), chosen, "{last:?}");
        }
    }

    #[test]
    fn whoever_has_several_places_gives_one_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connect = || {
            let theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            (theirs, listener.accept().unwrap().0)
        };
        let clients = Clients::new(2);
        let (_greedy, ours) = connect();
        let _first = clients.enter(ours, address(1)).unwrap();
        let (_greedy, ours) = connect();
        let second = clients.enter(ours, address(1)).unwrap();
        let served = std::thread::spawn(move || {
            // as a service does that waits for a word
            let read = (&second.client.stream).read(&mut [0]);
            assert!(second.client.watch.is_stopped());
            read.unwrap()
        });
        let (_other, ours) = connect();
        let _third = clients.enter(ours, address(2)).unwrap();
        assert_eq!(served.join().unwrap(), 0);
        let (_late, ours) = connect();
        assert!(clients.enter(ours, address(3)).is_none(), "each has but one");
    }
}
