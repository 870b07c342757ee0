//! The bytes of requests that wait for a worker: how many there may be in memory, of all clients and of one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::limit::{Limit, Limits};

/// What there is for all.
#[derive(Debug)]
pub(super) struct Budget {
    taken: Mutex<Taken>,
    most: u64,
    most_of_address: u64,
}

#[derive(Debug, Default)]
struct Taken {
    all: u64,
    by_address: HashMap<IpAddr, u64>,
}

/// What one request has of it, until it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<Budget>,
    address: Option<IpAddr>,
    bytes: u64,
}

impl Budget {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            taken: Mutex::default(),
            most: limits.get(Limit::QueueBytes),
            most_of_address: limits.get(Limit::QueueBytesPerAddress),
        }
    }

    /// A share of nothing yet, for a client at `address`.
    pub(super) fn share(self: &Arc<Self>, address: Option<IpAddr>) -> Share {
        Share { budget: Arc::clone(self), address, bytes: 0 }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Takes so many bytes more, or tells which limit that would go over.
    pub(super) fn add(&mut self, bytes: u64) -> Result<(), Limit> {
        let mut taken = self.budget.lock();
        let all = taken.all.saturating_add(bytes);
        if all > self.budget.most {
            return Err(Limit::QueueBytes);
        }
        if let Some(address) = self.address {
            let of_address = taken.by_address.entry(address).or_default();
            let more = of_address.saturating_add(bytes);
            if more > self.budget.most_of_address {
                return Err(Limit::QueueBytesPerAddress);
            }
            *of_address = more;
        }
        taken.all = all;
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.budget.lock();
        taken.all = taken.all.saturating_sub(self.bytes);
        if let Some(address) = self.address
            && let Some(of_address) = taken.by_address.get_mut(&address)
        {
            *of_address = of_address.saturating_sub(self.bytes);
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
        let mut limits = Limits::default();
        limits.set(Limit::QueueBytes, 10);
        limits.set(Limit::QueueBytesPerAddress, 6);
        let budget = Arc::new(Budget::new(&limits));
        let share = |last: u8| budget.share(Some([127, 0, 0, last].into()));
        let (mut first, mut second, mut other) = (share(1), share(1), share(2));
        assert_eq!(first.add(4), Ok(()));
        assert_eq!(second.add(3), Err(Limit::QueueBytesPerAddress));
        assert_eq!(second.add(2), Ok(()));
        assert_eq!(other.add(5), Err(Limit::QueueBytes));
        assert_eq!(budget.share(None).add(4), Ok(()));
        drop(first);
        assert_eq!(other.add(5), Ok(()));
        drop((second, other, share(3)));
        let taken = budget.lock();
        assert_eq!((taken.all, taken.by_address.len()), (0, 0));
    }
}
