//! Whether commits lead to others, which grow in number, without a walk for each: clients choose how many wants and haves
//! there are, and how often they are compared.

use std::collections::{BinaryHeap, HashMap};
use std::io;

use gix_hash::ObjectId;

use crate::pack::source::Commit;
use crate::repo::Objects;

/// A walk from wanted commits to their ancestors that is taken up again where it stopped.
#[derive(Debug, Default)]
pub(super) struct Reach {
    /// The commits that were met, by their numbers.
    numbers: HashMap<ObjectId, u32>,
    nodes: Vec<Node>,
    /// Children among them: the child, and the next edge of the same parent.
    edges: Vec<(u32, u32)>,
    /// Met, and the way on was not yet taken. The last one goes first.
    ahead: Vec<ObjectId>,
    /// Met, and too old to go on from, by their dates.
    too_old: BinaryHeap<(i64, ObjectId)>,
}

/// A commit that was met.
#[derive(Debug)]
struct Node {
    /// The first of its edges to children.
    edge: u32,
    /// Whether it leads to an end.
    is_reached: bool,
}

/// No edge.
const NONE: u32 = u32::MAX;

/// Reads commits.
pub(super) trait Commits {
    /// The commit `id`; `None` if it is not here.
    fn read(&mut self, id: &ObjectId) -> io::Result<Option<Commit>>;
}

impl Commits for Objects {
    fn read(&mut self, id: &ObjectId) -> io::Result<Option<Commit>> {
        self.commit(id)
    }
}

impl Reach {
    /// The walk goes on from commits that are as old as `oldest`.
    pub(super) fn allow(&mut self, oldest: i64) {
        while self.too_old.peek().is_some_and(|(date, _)| *date >= oldest) {
            self.ahead.extend(self.too_old.pop().map(|(_, id)| id));
        }
    }

    /// The commit `id` is one of the ends from now on.
    pub(super) fn end_at(&mut self, id: &ObjectId) {
        if let Some(number) = self.numbers.get(id) {
            self.mark(*number);
        }
    }

    /// Whether `tip` leads to an end, on a way that is no older than `oldest`.
    pub(super) fn reaches(
        &mut self,
        tip: ObjectId,
        commits: &mut impl Commits,
        oldest: i64,
        is_end: &impl Fn(&ObjectId) -> bool,
    ) -> io::Result<bool> {
        let number = self.meet(tip, is_end);
        loop {
            if self.is_reached(number) {
                return Ok(true);
            }
            let Some(id) = self.ahead.pop() else { return Ok(false) };
            let Some(child) = self.numbers.get(&id).copied().filter(|child| !self.is_reached(*child)) else {
                continue;
            };
            let Some(commit) = commits.read(&id)? else { continue };
            if commit.date < oldest {
                self.too_old.push((commit.date, id));
                continue;
            }
            // the first parent is the next to be looked at
            for parent in commit.parents.into_iter().rev() {
                let parent = self.meet(parent, is_end);
                self.join(parent, child);
            }
        }
    }

    /// The number of the commit `id`.
    fn meet(&mut self, id: ObjectId, is_end: &impl Fn(&ObjectId) -> bool) -> u32 {
        if let Some(number) = self.numbers.get(&id) {
            return *number;
        }
        // a history of so many commits does not fit into memory
        let number = u32::try_from(self.nodes.len()).unwrap_or(NONE);
        self.numbers.insert(id, number);
        let is_reached = is_end(&id);
        self.nodes.push(Node { edge: NONE, is_reached });
        if !is_reached {
            self.ahead.push(id);
        }
        number
    }

    /// Takes note that `child` leads to `parent`.
    fn join(&mut self, parent: u32, child: u32) {
        let edge = u32::try_from(self.edges.len()).unwrap_or(NONE);
        let Some(node) = self.nodes.get_mut(parent as usize) else { return };
        self.edges.push((child, node.edge));
        node.edge = edge;
        if node.is_reached {
            self.mark(child);
        }
    }

    /// The commit `number` leads to an end, and so does what leads to it.
    fn mark(&mut self, number: u32) {
        let mut stack = vec![number];
        while let Some(number) = stack.pop() {
            let Some(node) = self.nodes.get_mut(number as usize).filter(|node| !node.is_reached) else {
                continue;
            };
            node.is_reached = true;
            let mut edge = node.edge;
            while let Some((child, next)) = self.edges.get(edge as usize).copied() {
                stack.push(child);
                edge = next;
            }
        }
    }

    fn is_reached(&self, number: u32) -> bool {
        self.nodes.get(number as usize).is_some_and(|node| node.is_reached)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A history in which each commit has these parents, and how often a commit was read.
    struct History {
        parents: Vec<Vec<u8>>,
        reads: usize,
    }

    fn id(number: usize) -> ObjectId {
        ObjectId::from_hex(format!("{number:040x}").as_bytes()).unwrap()
    }

    impl Commits for History {
        fn read(&mut self, asked: &ObjectId) -> io::Result<Option<Commit>> {
            self.reads += 1;
            let number = (0..self.parents.len()).find(|number| id(*number) == *asked);
            Ok(number.map(|number| Commit {
                tree: id(0),
                parents: self.parents[number].iter().map(|parent| id((*parent).into())).collect(),
                date: i64::try_from(number).unwrap(),
            }))
        }
    }

    /// What a walk says that begins anew each time.
    fn expected(parents: &[Vec<u8>], tip: usize, ends: &[usize], oldest: usize) -> bool {
        ends.contains(&tip)
            || tip >= oldest
                && parents[tip].iter().any(|parent| expected(parents, (*parent).into(), ends, oldest))
    }

    #[test]
    fn a_commit_is_read_once_whatever_is_asked() {
        const COMMITS: usize = 60;
        let mut state = 7_usize;
        let mut chance = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for _ in 0..200 {
            let parents: Vec<Vec<u8>> = (0..COMMITS)
                .map(|number| {
                    let count = if number == 0 { 0 } else { chance(3) };
                    (0..count).map(|_| u8::try_from(chance(number)).unwrap()).collect()
                })
                .collect();
            let mut history = History { parents: parents.clone(), reads: 0 };
            let mut reach = Reach::default();
            let (mut ends, mut oldest) = (Vec::new(), COMMITS);
            for _ in 0..20 {
                let end = chance(COMMITS);
                ends.push(end);
                oldest = oldest.min(end);
                reach.allow(i64::try_from(oldest).unwrap());
                reach.end_at(&id(end));
                for tip in 0..COMMITS {
                    let is_end = |asked: &ObjectId| ends.iter().any(|end| id(*end) == *asked);
                    let found = reach.reaches(id(tip), &mut history, i64::try_from(oldest).unwrap(), &is_end);
                    assert_eq!(found.unwrap(), expected(&parents, tip, &ends, oldest), "{tip} {ends:?}");
                }
            }
            // once more where it had been too old
            assert!(history.reads <= 2 * COMMITS, "{} reads", history.reads);
        }
    }
}
