//! Negotiation: which of our commits to name so that the far side finds out, in few rounds, what both have.
//!
//! A [`Negotiator`] is fed once and then asked:
//!
//! ```text
//! known_common* ── add_tip* ── ( next | ack )*
//! ```
//!
//! Nothing here touches network or disk: commits come through [`History`].

use std::collections::BinaryHeap;
use std::io;

use gix_hash::ObjectId;

use consecutive::Consecutive;
use skipping::Skipping;

mod consecutive;
mod skipping;

/// Gives commits to a negotiator.
pub trait History {
    /// Date (seconds since 1970) and parents of the commit `id`; `None` if it is not here or is no commit.
    fn commit(&mut self, id: &ObjectId) -> io::Result<Option<(i64, Vec<ObjectId>)>>;
}

/// Chooses haves. `gitprotocol-pack(5)`, "Packfile Negotiation"; `fetch.negotiationAlgorithm`.
pub trait Negotiator {
    /// Tells of a commit that the far side is known to have, since it advertised it. Call before any other.
    fn known_common(&mut self, id: ObjectId, history: &mut dyn History) -> io::Result<()>;
    /// Tells of a commit of ours to start from. Call before [`Self::next`].
    fn add_tip(&mut self, id: ObjectId, history: &mut dyn History) -> io::Result<()>;
    /// The next commit to name; `None` if there is nothing left worth naming.
    fn next(&mut self, history: &mut dyn History) -> io::Result<Option<ObjectId>>;
    /// Takes note that the far side has `id`. An id that was never named is ignored.
    fn ack(&mut self, id: ObjectId, history: &mut dyn History) -> io::Result<Acked>;
}

/// What an acknowledgment comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acked {
    /// It was not known that the far side has it.
    News,
    /// It was known.
    Known,
    /// It was never named.
    Unknown,
}

/// The algorithms of `fetch.negotiationAlgorithm`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// Names every commit, newest first, until common ground is found.
    #[default]
    Consecutive,
    /// Leaves out more and more commits between those it names: fewer rounds, now and then a larger pack.
    Skipping,
    /// Names nothing.
    Noop,
}

impl Algorithm {
    /// The algorithm by its name in the configuration.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        match name {
            b"consecutive" | b"default" => Some(Self::Consecutive),
            b"skipping" => Some(Self::Skipping),
            b"noop" => Some(Self::Noop),
            _ => None,
        }
    }

    /// A negotiator that has heard nothing yet.
    pub fn negotiator(self) -> Box<dyn Negotiator> {
        match self {
            Self::Consecutive => Box::new(Consecutive::default()),
            Self::Skipping => Box::new(Skipping::default()),
            Self::Noop => Box::new(Noop),
        }
    }
}

/// A queue of commits, newest first; among equal dates first in, first out.
#[derive(Debug, Default)]
pub(super) struct Queue {
    heap: BinaryHeap<(i64, std::cmp::Reverse<u64>, ObjectId)>,
    count: u64,
}

impl Queue {
    pub(super) fn push(&mut self, date: i64, id: ObjectId) {
        self.heap.push((date, std::cmp::Reverse(self.count), id));
        self.count += 1;
    }

    pub(super) fn pop(&mut self) -> Option<ObjectId> {
        self.heap.pop().map(|(_, _, id)| id)
    }
}

struct Noop;

impl Negotiator for Noop {
    fn known_common(&mut self, _id: ObjectId, _history: &mut dyn History) -> io::Result<()> {
        Ok(())
    }

    fn add_tip(&mut self, _id: ObjectId, _history: &mut dyn History) -> io::Result<()> {
        Ok(())
    }

    fn next(&mut self, _history: &mut dyn History) -> io::Result<Option<ObjectId>> {
        Ok(None)
    }

    fn ack(&mut self, _id: ObjectId, _history: &mut dyn History) -> io::Result<Acked> {
        Ok(Acked::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A straight line of commits 1, 2, 3 …, each the child of the one before.
    struct Line(u8);

    fn commit(number: u8) -> ObjectId {
        let mut id = ObjectId::null(gix_hash::Kind::Sha1);
        id.as_mut_slice()[0] = number;
        id
    }

    impl History for Line {
        fn commit(&mut self, id: &ObjectId) -> io::Result<Option<(i64, Vec<ObjectId>)>> {
            let number = id.as_slice()[0];
            if number == 0 || number > self.0 {
                return Ok(None);
            }
            let parents = if number > 1 { vec![commit(number - 1)] } else { Vec::new() };
            Ok(Some((i64::from(number), parents)))
        }
    }

    fn named(algorithm: Algorithm, length: u8, common: Option<u8>) -> Vec<u8> {
        let mut history = Line(length);
        let mut negotiator = algorithm.negotiator();
        if let Some(number) = common {
            negotiator.known_common(commit(number), &mut history).unwrap();
        }
        negotiator.add_tip(commit(length), &mut history).unwrap();
        let mut named = Vec::new();
        while let Some(id) = negotiator.next(&mut history).unwrap() {
            named.push(id.as_slice()[0]);
        }
        named
    }

    #[test]
    fn consecutive_names_every_commit_newest_first() {
        assert_eq!(named(Algorithm::Consecutive, 5, None), [5, 4, 3, 2, 1]);
    }

    #[test]
    fn an_advertised_commit_is_named_and_its_ancestors_are_not() {
        assert_eq!(named(Algorithm::Consecutive, 9, Some(7)), [9, 8, 7]);
        assert_eq!(named(Algorithm::Consecutive, 9, Some(9)), [9]);
    }

    #[test]
    fn skipping_leaves_out_more_and_more() {
        assert_eq!(named(Algorithm::Skipping, 30, None), [30, 28, 25, 20, 12, 1]);
    }

    #[test]
    fn skipping_does_not_stop_at_every_tag() {
        let mut history = Line(7);
        let mut negotiator = Algorithm::Skipping.negotiator();
        for number in (1..=7).rev() {
            negotiator.add_tip(commit(number), &mut history).unwrap();
        }
        let next = std::iter::from_fn(|| negotiator.next(&mut history).unwrap());
        assert_eq!(next.map(|id| id.as_slice()[0]).collect::<Vec<_>>(), [7, 5, 2, 1]);
    }

    /// As [`Line`], with the oldest two dated last.
    struct Skewed(Line);

    impl History for Skewed {
        fn commit(&mut self, id: &ObjectId) -> io::Result<Option<(i64, Vec<ObjectId>)>> {
            let found = self.0.commit(id)?;
            Ok(found.map(|(date, parents)| (if date > 2 { date } else { date + 100 }, parents)))
        }
    }

    #[test]
    fn skipping_names_the_end_of_a_line_that_false_dates_cut() {
        let mut history = Skewed(Line(6));
        let mut negotiator = Algorithm::Skipping.negotiator();
        for number in [2, 1, 6] {
            negotiator.add_tip(commit(number), &mut history).unwrap();
        }
        let next = std::iter::from_fn(|| negotiator.next(&mut history).unwrap());
        assert_eq!(next.map(|id| id.as_slice()[0]).collect::<Vec<_>>(), [2, 1, 6, 4, 3]);
    }

    #[test]
    fn noop_names_nothing() {
        assert!(named(Algorithm::Noop, 5, None).is_empty());
    }

    #[test]
    fn an_acknowledged_commit_ends_its_line() {
        for algorithm in [Algorithm::Consecutive, Algorithm::Skipping] {
            let mut history = Line(9);
            let mut negotiator = algorithm.negotiator();
            negotiator.add_tip(commit(9), &mut history).unwrap();
            let first = negotiator.next(&mut history).unwrap().unwrap();
            assert_eq!(negotiator.ack(first, &mut history).unwrap(), Acked::News);
            assert_eq!(negotiator.ack(first, &mut history).unwrap(), Acked::Known);
            assert_eq!(negotiator.next(&mut history).unwrap(), None);
        }
    }

    #[test]
    fn an_acknowledgment_out_of_the_blue_is_ignored() {
        for algorithm in [Algorithm::Consecutive, Algorithm::Skipping, Algorithm::Noop] {
            let mut history = Line(3);
            let mut negotiator = algorithm.negotiator();
            assert_eq!(negotiator.ack(commit(2), &mut history).unwrap(), Acked::Unknown);
        }
    }
}
