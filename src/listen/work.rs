//! Places for work: how many requests are worked on at a time, for all clients, one address and one repository, and
//! who waits. A quarter of the places is kept for what needs no pack, so that those who take their packs slowly keep nobody
//! from the rest.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::limit::{Limit, Limits};

/// The places.
#[derive(Debug)]
pub(super) struct Pool {
    state: Mutex<State>,
    workers: usize,
    per_repository: usize,
    per_address: usize,
    queue: usize,
    patience: Duration,
}

/// For whom a place is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct For {
    pub address: Option<IpAddr>,
    pub repository: PathBuf,
    /// Whether it is for a pack or a file of any length.
    pub is_large: bool,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// Too many wait already.
    Queue,
    /// It took too long.
    Patience,
}

impl Full {
    pub(super) fn limit(self) -> Limit {
        match self {
            Self::Queue => Limit::Queue,
            Self::Patience => Limit::QueueTime,
        }
    }
}

/// Places that are taken.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Taken {
    all: usize,
    /// Those of them for large answers.
    large: usize,
}

impl Taken {
    /// Whether there is one more among `most`, for a large answer if `is_large`.
    fn fits(self, most: usize, is_large: bool) -> bool {
        self.all < most && (!is_large || self.large < most - most / SMALL_SHARE)
    }

    fn enter(&mut self, is_large: bool) {
        self.all += 1;
        self.large += usize::from(is_large);
    }

    fn leave(&mut self, is_large: bool) {
        self.all = self.all.saturating_sub(1);
        self.large = self.large.saturating_sub(usize::from(is_large));
    }
}

/// One of so many places is for small answers alone.
const SMALL_SHARE: usize = 4;

#[derive(Debug, Default)]
struct State {
    taken: Taken,
    by_address: HashMap<IpAddr, Taken>,
    by_repository: HashMap<PathBuf, Taken>,
    waiting: VecDeque<(For, oneshot::Sender<()>)>,
}

/// A place, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    pool: Arc<Pool>,
    who: For,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.pool.leave(&self.who);
    }
}

impl Pool {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            state: Mutex::default(),
            workers: limits.count(Limit::Workers),
            per_repository: limits.count(Limit::WorkersPerRepository),
            per_address: limits.count(Limit::WorkersPerAddress),
            // a queue of no length is none
            queue: limits.count(Limit::Queue),
            patience: limits.time(Limit::QueueTime),
        }
    }

    /// Waits for a place.
    pub(super) async fn place(self: &Arc<Self>, who: For) -> Result<Place, Full> {
        let turn = {
            let mut state = self.lock();
            if self.fits(&state, &who) {
                state.enter(&who);
                return Ok(Place { pool: Arc::clone(self), who });
            }
            if state.waiting.len() >= self.queue {
                return Err(Full::Queue);
            }
            let (sender, turn) = oneshot::channel();
            state.waiting.push_back((who.clone(), sender));
            turn
        };
        let mut waiting = Waiting { pool: self, who, turn: Some(turn) };
        match tokio::time::timeout(self.patience, waiting.wait()).await {
            Ok(()) => Ok(waiting.sit_down()),
            Err(_) => Err(Full::Patience),
        }
    }

    /// Requests that are worked on, and those that wait.
    pub(super) fn load(&self) -> (usize, usize) {
        let state = self.lock();
        (state.taken.all, state.waiting.len())
    }

    /// Whether most of the queue is free.
    pub(super) fn is_ready(&self) -> bool {
        self.lock().waiting.len() <= self.queue / 2
    }

    fn fits(&self, state: &State, who: &For) -> bool {
        let of_address = who.address.and_then(|address| state.by_address.get(&address)).copied();
        let of_repository = state.by_repository.get(&who.repository).copied();
        state.taken.fits(self.workers, who.is_large)
            && of_address.unwrap_or_default().fits(self.per_address, who.is_large)
            && of_repository.unwrap_or_default().fits(self.per_repository, who.is_large)
    }

    /// Gives a place back, and those that wait for one a turn.
    fn leave(&self, who: &For) {
        let mut state = self.lock();
        state.leave(who);
        let mut place = 0;
        while let Some((next, _)) = state.waiting.get(place) {
            if !self.fits(&state, next) {
                place += 1;
                continue;
            }
            if let Some((next, turn)) = state.waiting.remove(place) {
                state.enter(&next);
                if turn.send(()).is_err() {
                    state.leave(&next);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn enter(&mut self, who: &For) {
        self.taken.enter(who.is_large);
        self.by_repository.entry(who.repository.clone()).or_default().enter(who.is_large);
        if let Some(address) = who.address {
            self.by_address.entry(address).or_default().enter(who.is_large);
        }
    }

    fn leave(&mut self, who: &For) {
        self.taken.leave(who.is_large);
        if let Some(taken) = self.by_repository.get_mut(&who.repository) {
            taken.leave(who.is_large);
            if *taken == Taken::default() {
                self.by_repository.remove(&who.repository);
            }
        }
        if let Some(address) = who.address
            && let Some(taken) = self.by_address.get_mut(&address)
        {
            taken.leave(who.is_large);
            if *taken == Taken::default() {
                self.by_address.remove(&address);
            }
        }
    }
}

/// Somebody in the queue, who may go away.
struct Waiting<'a> {
    pool: &'a Arc<Pool>,
    who: For,
    turn: Option<oneshot::Receiver<()>>,
}

impl Waiting<'_> {
    async fn wait(&mut self) {
        if let Some(turn) = &mut self.turn {
            // the sender is dropped only after it was used
            let _granted = turn.await;
        }
    }

    fn sit_down(mut self) -> Place {
        self.turn = None;
        Place { pool: Arc::clone(self.pool), who: self.who.clone() }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let Some(mut turn) = self.turn.take() else { return };
        turn.close();
        if turn.try_recv().is_ok() {
            self.pool.leave(&self.who);
        }
        let mut state = self.pool.lock();
        state.waiting.retain(|(_, sender)| !sender.is_closed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(values: &[(Limit, u64)]) -> Arc<Pool> {
        let mut limits = Limits::default();
        for (limit, value) in values {
            limits.set(*limit, *value);
        }
        Arc::new(Pool::new(&limits))
    }

    fn who(address: u8, repository: &str) -> For {
        For { address: Some([127, 0, 0, address].into()), repository: repository.into(), is_large: true }
    }

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
    }

    #[test]
    fn one_client_does_not_take_the_places_of_others() {
        let pool = pool(&[(Limit::WorkersPerAddress, 1), (Limit::QueueTime, 1)]);
        run(async {
            let first = pool.place(who(1, "a")).await.unwrap();
            assert_eq!(pool.place(who(1, "b")).await.unwrap_err(), Full::Patience);
            assert!(pool.place(who(2, "a")).await.is_ok());
            drop(first);
            assert!(pool.place(who(1, "b")).await.is_ok());
        });
        assert_eq!(pool.load(), (0, 0));
    }

    #[test]
    fn those_who_want_packs_leave_some_places_to_others() {
        let limits = [(Limit::Workers, 8), (Limit::WorkersPerRepository, 4), (Limit::QueueTime, 1)];
        let pool = pool(&limits);
        let small = |address, repository| For { is_large: false, ..who(address, repository) };
        run(async {
            let mut places = Vec::new();
            for (repository, is_there) in
                [("a", true), ("a", true), ("a", true), ("a", false), ("b", true), ("b", true), ("b", true)]
            {
                let place = pool.place(who(1, repository)).await;
                assert_eq!(place.is_ok(), is_there, "{repository}");
                places.extend(place);
            }
            assert_eq!(pool.place(who(1, "c")).await.unwrap_err(), Full::Patience);
            for (repository, is_there) in [("a", true), ("a", false), ("c", true), ("c", false)] {
                let place = pool.place(small(1, repository)).await;
                assert_eq!(place.is_ok(), is_there, "{repository}");
                places.extend(place);
            }
        });
        assert_eq!(pool.load(), (0, 0));
    }

    #[test]
    fn the_queue_has_an_end_and_goes_in_order() {
        let pool = pool(&[(Limit::Workers, 1), (Limit::Queue, 1)]);
        run(async {
            let first = pool.place(who(1, "a")).await.unwrap();
            let second = Arc::clone(&pool);
            let second = tokio::spawn(async move { second.place(who(2, "a")).await });
            tokio::task::yield_now().await;
            assert_eq!(pool.load(), (1, 1));
            assert_eq!(pool.place(who(3, "a")).await.unwrap_err(), Full::Queue);
            drop(first);
            assert!(second.await.unwrap().is_ok());
        });
        assert_eq!(pool.load(), (0, 0));
    }

    #[test]
    fn who_goes_away_leaves_no_trace() {
        let pool = pool(&[(Limit::WorkersPerRepository, 1)]);
        run(async {
            let first = pool.place(who(1, "a")).await.unwrap();
            let second = Arc::clone(&pool);
            let second = tokio::spawn(async move { second.place(who(2, "a")).await });
            tokio::task::yield_now().await;
            drop(first);
            // its turn has come, and it is not there to hear of it
            second.abort();
            assert!(second.await.is_err());
        });
        assert_eq!(pool.load(), (0, 0));
    }
}
