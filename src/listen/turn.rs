//! Turns at what requests need before they get a place for work, or beside it: passwords are hashed and pages are made by few
//! at a time, so that all the rest goes on meanwhile. A turn lasts until the work is done, whether its client waits or not.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::limit::{Limit, Limits};
use super::work::Full;

/// One address may fill so much of the queue: a part of this size.
const ADDRESS_SHARE: usize = 2;

/// Who works and who waits.
#[derive(Debug)]
pub(super) struct Turns {
    free: Arc<Semaphore>,
    inside: Arc<Mutex<Inside>>,
    most: usize,
    most_of_address: usize,
    patience: Duration,
}

/// A turn, over when dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _permit: OwnedSemaphorePermit,
    _counted: Counted,
}

/// All that work or wait.
#[derive(Debug, Default)]
struct Inside {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One of them, until it is dropped.
#[derive(Debug)]
struct Counted {
    inside: Arc<Mutex<Inside>>,
    address: Option<IpAddr>,
}

impl Turns {
    /// Turns for `at_a_time`, with the queue that requests have.
    pub(super) fn new(at_a_time: usize, limits: &Limits) -> Self {
        let queue = limits.count(Limit::Queue);
        Self {
            free: Arc::new(Semaphore::new(at_a_time)),
            inside: Arc::default(),
            most: queue.saturating_add(at_a_time),
            most_of_address: (queue / ADDRESS_SHARE).saturating_add(at_a_time),
            patience: limits.time(Limit::QueueTime),
        }
    }

    /// Waits for a turn for somebody at `address`.
    pub(super) async fn turn(&self, address: Option<IpAddr>) -> Result<Turn, Full> {
        let counted = self.enter(address)?;
        let permit = tokio::time::timeout(self.patience, Arc::clone(&self.free).acquire_owned()).await;
        // nobody closes the semaphore
        let permit = permit.ok().and_then(Result::ok).ok_or(Full::Patience)?;
        Ok(Turn { _permit: permit, _counted: counted })
    }

    fn enter(&self, address: Option<IpAddr>) -> Result<Counted, Full> {
        let mut inside = lock(&self.inside);
        if inside.all >= self.most {
            return Err(Full::Queue);
        }
        if let Some(address) = address {
            let count = inside.by_address.entry(address).or_default();
            if *count >= self.most_of_address {
                return Err(Full::Queue);
            }
            *count += 1;
        }
        inside.all += 1;
        Ok(Counted { inside: Arc::clone(&self.inside), address })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut inside = lock(&self.inside);
        inside.all = inside.all.saturating_sub(1);
        if let Some(address) = self.address
            && let Some(count) = inside.by_address.get_mut(&address)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                inside.by_address.remove(&address);
            }
        }
    }
}

fn lock(inside: &Mutex<Inside>) -> MutexGuard<'_, Inside> {
    inside.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(at_a_time: usize, queue: u64) -> Turns {
        let mut limits = Limits::default();
        limits.set(Limit::Queue, queue);
        limits.set(Limit::QueueTime, 60_000);
        Turns::new(at_a_time, &limits)
    }

    fn enter(turns: &Turns, last: u8) -> Result<Counted, Full> {
        turns.enter(Some([192, 0, 2, last].into()))
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    #[test]
    fn one_address_does_not_fill_the_queue() {
        let turns = turns(1, 4);
        let few: Vec<_> = (0..3).map(|_| enter(&turns, 1).unwrap()).collect();
        assert_eq!(enter(&turns, 1).err(), Some(Full::Queue));
        let others = [enter(&turns, 2).unwrap(), turns.enter(None).unwrap()];
        assert_eq!(enter(&turns, 3).err(), Some(Full::Queue), "now it is full for all");
        drop((few, others));
        assert_eq!(lock(&turns.inside).all, 0);
        assert!(lock(&turns.inside).by_address.is_empty());
        assert!(enter(&turns, 1).is_ok());
    }

    #[test]
    fn whoever_hangs_up_leaves_the_queue_but_not_the_work() {
        let turns = turns(1, 1);
        block_on(async {
            let working = turns.turn(None).await.unwrap();
            {
                let mut waiting = std::pin::pin!(turns.turn(None));
                let polled = std::future::poll_fn(|context| {
                    std::task::Poll::Ready(waiting.as_mut().poll(context).is_pending())
                });
                assert!(polled.await, "the only turn is taken");
                assert_eq!(turns.turn(None).await.err(), Some(Full::Queue));
            }
            assert_eq!(lock(&turns.inside).all, 1);
            // what is done elsewhere keeps its turn until it is over
            let worker = std::thread::spawn(move || drop(working));
            worker.join().unwrap();
            assert!(turns.turn(None).await.is_ok());
        });
    }

    #[test]
    fn nobody_waits_for_ever() {
        let mut limits = Limits::default();
        limits.set(Limit::QueueTime, 1);
        let turns = Turns::new(1, &limits);
        block_on(async {
            let _working = turns.turn(None).await.unwrap();
            assert_eq!(turns.turn(None).await.err(), Some(Full::Patience));
        });
        assert_eq!(lock(&turns.inside).all, 0);
    }
}
