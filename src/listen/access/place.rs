//! Where the service is that decides. The system is asked for its addresses by one thread at a time, however long it takes and
//! however many wait: threads are for packs.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::task::{JoinHandle, spawn_blocking};

/// How long addresses hold. The system does not tell; who moves the service waits no longer than for a restart.
const KEPT: Duration = Duration::from_secs(30);

/// How long it holds that there are none: those who wait would otherwise ask one after the other.
const FAILURE_KEPT: Duration = Duration::from_secs(1);

/// Asks the system for the addresses of a host.
type LookUp = fn(&str, u16) -> io::Result<Vec<SocketAddr>>;

/// A host and a port, and its addresses.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub host: String,
    pub port: u16,
    look_up: LookUp,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    found: Option<Found>,
    /// The thread that asks: it goes on if those who waited for it are gone.
    asking: Option<JoinHandle<Found>>,
}

/// What the system said, and when.
#[derive(Debug)]
struct Found {
    since: Instant,
    addresses: Result<Vec<SocketAddr>, Arc<io::Error>>,
}

impl Found {
    fn now(addresses: io::Result<Vec<SocketAddr>>) -> Self {
        Self { since: Instant::now(), addresses: addresses.map_err(Arc::new) }
    }

    fn holds(&self) -> bool {
        self.since.elapsed() < if self.addresses.is_ok() { KEPT } else { FAILURE_KEPT }
    }

    fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.addresses.clone().map_err(|error| io::Error::new(error.kind(), error))
    }
}

impl Place {
    pub(super) fn new(host: String, port: u16) -> Self {
        Self { host, port, look_up: by_system, state: Arc::default() }
    }

    /// Its addresses.
    pub(super) async fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        // also where others have been waiting since before: they are served in turn
        let mut state = self.state.lock().await;
        if let Some(asked) = state.asking.take_if(|asking| asking.is_finished()) {
            // all who had waited are gone, and it may be long ago
            state.found = asked.await.ok();
        }
        if let Some(found) = state.found.as_ref().filter(|found| found.holds()) {
            return found.addresses();
        }
        let (look_up, host, port) = (self.look_up, self.host.clone(), self.port);
        let ask = move || Found::now(look_up(&host, port));
        let answer = state.asking.get_or_insert_with(|| spawn_blocking(ask)).await;
        state.asking = None;
        state.found.insert(answer.map_err(io::Error::other)?).addresses()
    }

    /// Looks the addresses up anew the next time: nobody is there.
    pub(super) async fn forget(&self) {
        self.state.lock().await.found = None;
    }
}

fn by_system(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    use std::net::ToSocketAddrs as _;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Ok((host, port).to_socket_addrs()?.collect())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
    use std::sync::{LazyLock, Mutex as Lock};

    use super::*;

    /// How often the system was asked, and what lets it answer.
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    type Gate = (SyncSender<()>, Lock<Receiver<()>>);
    static GATE: LazyLock<Gate> = LazyLock::new(|| {
        let (open, wait) = sync_channel(8);
        (open, Lock::new(wait))
    });

    fn slow(_: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        ASKED.fetch_add(1, Ordering::SeqCst);
        GATE.1.lock().unwrap().recv().map_err(io::Error::other)?;
        Ok(vec![([127, 0, 0, 1], port).into()])
    }

    #[test]
    fn many_who_give_up_waiting_take_one_thread() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let place = Place { look_up: slow, ..Place::new("slow.example".into(), 80) };
        runtime.block_on(async {
            for _ in 0..20 {
                let asked = tokio::time::timeout(Duration::ZERO, place.addresses()).await;
                assert!(asked.is_err(), "nobody has answered");
            }
            GATE.0.send(()).unwrap();
            let first = place.addresses().await.unwrap();
            assert_eq!(first, [SocketAddr::from(([127, 0, 0, 1], 80))]);
            assert_eq!(place.addresses().await.unwrap(), first);
            assert_eq!(ASKED.load(Ordering::SeqCst), 1);
            place.forget().await;
            GATE.0.send(()).unwrap();
            assert_eq!(place.addresses().await.unwrap(), first);
            assert_eq!(ASKED.load(Ordering::SeqCst), 2);
        });
    }

    /// The answer to a question that nobody waited for.
    async fn answered(place: &Place, ended: Instant) {
        let addresses = Ok(vec![([127, 0, 0, 2], 80).into()]);
        let asking = spawn_blocking(move || Found { since: ended, addresses });
        while !asking.is_finished() {
            tokio::task::yield_now().await;
        }
        place.state.lock().await.asking = Some(asking);
    }

    #[test]
    fn an_answer_that_nobody_waited_for_grows_old() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let place = Place {
            look_up: |_, port| Ok(vec![([127, 0, 0, 1], port).into()]),
            ..Place::new("moved.example".into(), 80)
        };
        runtime.block_on(async {
            answered(&place, Instant::now()).await;
            assert_eq!(place.addresses().await.unwrap(), ["127.0.0.2:80".parse().unwrap()]);
            answered(&place, Instant::now().checked_sub(KEPT).unwrap()).await;
            assert_eq!(place.addresses().await.unwrap(), ["127.0.0.1:80".parse().unwrap()]);
        });
    }

    #[test]
    fn a_failure_is_for_all_who_wait() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let look_up: LookUp = |_, _| Err(io::Error::new(io::ErrorKind::NotFound, "nobody knows"));
        let place = Place { look_up, ..Place::new("none.example".into(), 80) };
        runtime.block_on(async {
            let error = place.addresses().await.unwrap_err();
            assert_eq!((error.kind(), error.to_string()), (io::ErrorKind::NotFound, "nobody knows".into()));
            // however long the test has taken
            let mut state = place.state.lock().await;
            state.found.as_mut().expect("the failure").since = Instant::now() + KEPT;
            drop(state);
            let place = Place { look_up: |_, _| Ok(Vec::new()), ..place.clone() };
            assert_eq!(place.addresses().await.unwrap_err().to_string(), "nobody knows");
            place.state.lock().await.found.as_mut().unwrap().since =
                Instant::now().checked_sub(FAILURE_KEPT).unwrap();
            place.addresses().await.unwrap();
        });
    }

    #[test]
    fn an_address_is_its_own_place() {
        assert_eq!(by_system("[::1]", 81).unwrap(), ["[::1]:81".parse().unwrap()]);
        assert_eq!(by_system("127.0.0.1", 82).unwrap(), ["127.0.0.1:82".parse().unwrap()]);
    }
}
