//! The walk over commits: which of them the receiver lacks, and where its history begins.
//!
//! Commits are visited newest first by the committer's date, from the wants and from the haves at once; what a have
//! reaches is *theirs*. Dates may lie: a clock that was wrong lets an old commit look newer than its children, and the
//! walk may come by it before it is known to be theirs. So the walk goes on for a while after nothing in its queue is
//! wanted, and a commit that turns out to be theirs passes that on to all ancestors that were met.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::ops::Range;

use gix_hash::ObjectId;

use super::count::Count;
use super::ids::{IdMap, IdSet};
use crate::pack::Error;
use crate::pack::source::{Commit, Source};

/// How many commits of theirs are visited in a row, older than all that are wanted, before the walk ends: git's number.
const SLOP: u32 = 5;

/// What the walk has found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The commits to send, in the order in which they were met, each with its tree.
    pub commits: Vec<(ObjectId, ObjectId)>,
    /// The trees of their parents that are theirs, what the receiver has closest to what it is to get; then those of
    /// commits that turned out to be theirs when they had been visited.
    pub boundary: Vec<ObjectId>,
    /// Those of the commits to send that have no parents.
    pub roots: Vec<ObjectId>,
}

/// The walk before and while it goes on. Commits are known by number.
pub(super) struct Walk<'a> {
    source: &'a dyn Source,
    /// Commits whose parents the receiver lacks although it has them.
    shallow: IdSet,
    numbers: IdMap<usize>,
    nodes: Vec<Node>,
    /// The parents of all nodes, one after the other.
    parents: Vec<usize>,
    queue: BinaryHeap<Queued>,
    queued_count: usize,
    /// How many commits of the queue are not theirs.
    wanted_in_queue: usize,
}

struct Node {
    id: ObjectId,
    is_theirs: bool,
    place: Place,
    /// What it says; `None` if it was not read, or is not here.
    body: Option<Body>,
}

struct Body {
    tree: ObjectId,
    /// Where its parents are in [`Walk::parents`].
    parents: Range<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Named by a child, not met yet.
    Ahead,
    Queue,
    Visited,
}

/// Date, place in the order of queueing, number. The newest comes first; of those of one date, the one queued first.
type Queued = (i64, Reverse<usize>, usize);

impl<'a> Walk<'a> {
    pub fn new(source: &'a dyn Source, receiver_shallow: &[ObjectId]) -> Self {
        Self {
            source,
            shallow: receiver_shallow.iter().copied().collect(),
            numbers: IdMap::default(),
            nodes: Vec::new(),
            parents: Vec::new(),
            queue: BinaryHeap::new(),
            queued_count: 0,
            wanted_in_queue: 0,
        }
    }

    /// Begins at the commit `id`, which is wanted.
    pub fn want(&mut self, id: ObjectId, commit: Commit) {
        let number = self.number(id);
        self.begin(number, commit);
    }

    /// Begins at the commit `id`, which the receiver has.
    pub fn have(&mut self, id: ObjectId, commit: Commit) {
        let number = self.number(id);
        self.mark_theirs(number);
        self.begin(number, commit);
    }

    /// Walks to the end.
    pub fn run(mut self, count: &mut Count<'_>) -> Result<Found, Error> {
        let mut visited = Vec::new();
        let mut slop = SLOP;
        let mut oldest_wanted = i64::MAX;
        while let Some((date, _, number)) = self.queue.pop() {
            count.step()?;
            if self.visit(number)? {
                oldest_wanted = date;
                visited.push(number);
                continue;
            }
            slop = if self.is_undecided(oldest_wanted) { SLOP } else { slop - 1 };
            if slop == 0 {
                break;
            }
        }
        Ok(self.found(&visited))
    }

    /// Visits a commit that has left the queue: its parents are met. Gives whether it is wanted.
    fn visit(&mut self, number: usize) -> Result<bool, Error> {
        let Some(node) = self.nodes.get_mut(number) else { return Ok(false) };
        node.place = Place::Visited;
        let is_theirs = node.is_theirs;
        if !is_theirs {
            self.wanted_in_queue -= 1;
        }
        for place in self.parents_of(number, is_theirs) {
            if let Some(parent) = self.parents.get(place) {
                self.meet(*parent, number)?;
            }
        }
        Ok(!is_theirs)
    }

    /// Whether what is in the queue may still change what is wanted.
    fn is_undecided(&self, oldest_wanted: i64) -> bool {
        let newest_in_queue = self.queue.peek().map(|(date, ..)| *date);
        self.wanted_in_queue > 0 || newest_in_queue.is_some_and(|date| date >= oldest_wanted)
    }

    /// Where the parents of a node are that was read. The receiver has none of them if it is at its shallow boundary.
    fn parents_of(&self, number: usize, is_theirs: bool) -> Range<usize> {
        let node = self.nodes.get(number);
        let node = node.filter(|node| !(is_theirs && self.shallow.contains(&node.id)));
        node.and_then(|node| node.body.as_ref()).map_or(0..0, |body| body.parents.clone())
    }

    /// Notes that the receiver has a commit, and with it all ancestors that are named by commits that were met.
    fn mark_theirs(&mut self, number: usize) {
        let Some(node) = self.nodes.get_mut(number) else { return };
        if !std::mem::replace(&mut node.is_theirs, true) {
            self.wanted_in_queue -= usize::from(node.place == Place::Queue);
            self.mark_parents_theirs(number);
        }
    }

    fn mark_parents_theirs(&mut self, number: usize) {
        let mut stack = vec![number];
        while let Some(number) = stack.pop() {
            for parent in self.parents.get(self.parents_of(number, true)).unwrap_or_default() {
                let Some(node) = self.nodes.get_mut(*parent).filter(|node| !node.is_theirs) else { continue };
                node.is_theirs = true;
                self.wanted_in_queue -= usize::from(node.place == Place::Queue);
                stack.push(*parent);
            }
        }
    }

    fn begin(&mut self, number: usize, commit: Commit) {
        if self.nodes.get(number).is_some_and(|node| node.place == Place::Ahead) {
            self.enqueue(number, commit);
        }
    }

    /// Puts a commit into the queue when it is met for the first time, as a parent of `child`.
    fn meet(&mut self, number: usize, child: usize) -> Result<(), Error> {
        let Some(node) = self.nodes.get_mut(number).filter(|node| node.place == Place::Ahead) else {
            return Ok(());
        };
        let (id, is_theirs) = (node.id, node.is_theirs);
        match self.source.commit(&id) {
            Ok(Some(commit)) => self.enqueue(number, commit),
            // what the receiver has need not be here
            Err(_) | Ok(None) if is_theirs => node.place = Place::Visited,
            Ok(None) => {
                let child = self.nodes.get(child).map_or(id, |node| node.id);
                return Err(Error::MissingParent { id, child });
            }
            Err(source) => return Err(Error::Unreadable { id, source }),
        }
        Ok(())
    }

    fn enqueue(&mut self, number: usize, commit: Commit) {
        let first = self.parents.len();
        for parent in commit.parents {
            let parent = self.number(parent);
            self.parents.push(parent);
        }
        let body = Body { tree: commit.tree, parents: first..self.parents.len() };
        self.queue.push((commit.date, Reverse(self.queued_count), number));
        self.queued_count += 1;
        let Some(node) = self.nodes.get_mut(number) else { return };
        node.place = Place::Queue;
        node.body = Some(body);
        if node.is_theirs {
            self.mark_parents_theirs(number);
        } else {
            self.wanted_in_queue += 1;
        }
    }

    /// The number of the commit `id`, a new one if it has none.
    fn number(&mut self, id: ObjectId) -> usize {
        *self.numbers.entry(id).or_insert_with(|| {
            self.nodes.push(Node { id, is_theirs: false, place: Place::Ahead, body: None });
            self.nodes.len() - 1
        })
    }

    /// Sorts out what was visited before it was known to be theirs: it counts for the boundary, since it is here.
    fn found(&self, visited: &[usize]) -> Found {
        let mut found = Found::default();
        let mut at_boundary = HashSet::new();
        let mut late = Vec::new();
        for number in visited {
            let Some(Node { id, is_theirs, body: Some(body), .. }) = self.nodes.get(*number) else {
                continue;
            };
            if *is_theirs {
                late.push((*number, body.tree));
                continue;
            }
            found.commits.push((*id, body.tree));
            if body.parents.is_empty() {
                found.roots.push(*id);
            }
            for parent in self.parents.get(body.parents.clone()).unwrap_or_default() {
                if let Some(Node { is_theirs: true, body: Some(body), .. }) = self.nodes.get(*parent)
                    && at_boundary.insert(*parent)
                {
                    found.boundary.push(body.tree);
                }
            }
        }
        let late = late.into_iter().filter(|(number, _)| at_boundary.insert(*number));
        found.boundary.extend(late.map(|(_, tree)| tree));
        found
    }
}
