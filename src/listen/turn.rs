//! Turns at what requests need before they get a place for work, or beside it: passwords are hashed and pages are made by few
//! at a time, so that all the rest goes on meanwhile. A turn lasts until the work is done, whether its client waits or not.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::budget::{Budget, Share};
use super::limit::{Limit, Limits};
use super::work::Full;

/// One address may fill so much of the queue: a part of this size.
const ADDRESS_SHARE: u64 = 2;

/// Who works and who waits.
#[derive(Debug)]
pub(super) struct Turns {
    free: Arc<Semaphore>,
    /// All that work or wait.
    inside: Arc<Budget>,
    patience: Duration,
}

/// A turn, over when dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _permit: OwnedSemaphorePermit,
    _counted: Share,
}

impl Turns {
    /// Turns for `at_a_time`, with the queue that requests have.
    pub(super) fn new(at_a_time: usize, limits: &Limits) -> Self {
        let (queue, working) = (limits.get(Limit::Queue), at_a_time as u64);
        Self {
            free: Arc::new(Semaphore::new(at_a_time)),
            inside: Budget::new(
                queue.saturating_add(working),
                (queue / ADDRESS_SHARE).saturating_add(working),
            ),
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

    fn enter(&self, address: Option<IpAddr>) -> Result<Share, Full> {
        let mut share = self.inside.share(address);
        share.add(1).map_err(|_| Full::Queue)?;
        Ok(share)
    }
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

    fn enter(turns: &Turns, last: u8) -> Result<Share, Full> {
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
        assert_eq!(turns.inside.count(), 0);
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
            assert_eq!(turns.inside.count(), 1);
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
        assert_eq!(turns.inside.count(), 0);
    }
}
