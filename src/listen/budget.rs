//! So much there may be at a time, of all clients and of one address: connections, turns, bytes of requests that wait.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What there is for all.
#[derive(Debug)]
pub(super) struct Budget {
    taken: Mutex<Taken>,
    most: u64,
    most_of_address: u64,
}

/// Of what there is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spent {
    /// Of what there is for all.
    All,
    /// Of what one address may have.
    OfAddress,
}

#[derive(Debug, Default)]
struct Taken {
    all: u64,
    by_address: HashMap<IpAddr, u64>,
}

/// What one client has of it, until it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<Budget>,
    address: Option<IpAddr>,
    count: u64,
}

impl Budget {
    /// So much for all, and of that for one address.
    pub(super) fn new(most: u64, most_of_address: u64) -> Arc<Self> {
        Arc::new(Self { taken: Mutex::default(), most, most_of_address })
    }

    /// A share of nothing yet, for a client at `address`.
    pub(super) fn share(self: &Arc<Self>, address: Option<IpAddr>) -> Share {
        Share { budget: Arc::clone(self), address, count: 0 }
    }

    /// What is taken.
    #[cfg(test)]
    pub(super) fn count(&self) -> u64 {
        self.lock().all
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Takes so much more, if there is.
    pub(super) fn add(&mut self, count: u64) -> Result<(), Spent> {
        let mut taken = self.budget.lock();
        let all = taken.all.saturating_add(count);
        if all > self.budget.most {
            return Err(Spent::All);
        }
        if let Some(address) = self.address {
            let of_address = taken.by_address.entry(address).or_default();
            let more = of_address.saturating_add(count);
            if more > self.budget.most_of_address {
                return Err(Spent::OfAddress);
            }
            *of_address = more;
        }
        taken.all = all;
        self.count = self.count.saturating_add(count);
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.budget.lock();
        taken.all = taken.all.saturating_sub(self.count);
        if let Some(address) = self.address
            && let Some(of_address) = taken.by_address.get_mut(&address)
        {
            *of_address = of_address.saturating_sub(self.count);
            if *of_address == 0 {
                taken.by_address.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_more_than_there_is_and_all_comes_back() {
        let budget = Budget::new(10, 6);
        let share = |last: u8| budget.share(Some([127, 0, 0, last].into()));
        let (mut first, mut second, mut other) = (share(1), share(1), share(2));
        assert_eq!(first.add(4), Ok(()));
        assert_eq!(second.add(3), Err(Spent::OfAddress));
        assert_eq!(second.add(2), Ok(()));
        assert_eq!(other.add(5), Err(Spent::All));
        assert_eq!(budget.share(None).add(4), Ok(()));
        drop(first);
        assert_eq!(other.add(5), Ok(()));
        drop((second, other, share(3)));
        let taken = budget.lock();
        assert_eq!((taken.all, taken.by_address.len()), (0, 0));
    }
}
