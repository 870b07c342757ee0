//! The negotiator that leaves out more and more commits between two that it names.

use std::collections::HashMap;
use std::io;

use gix_hash::ObjectId;

use super::{Acked, History, Negotiator, Queue};

/// How far the skipping negotiator is from naming the next commit of a line.
#[derive(Debug, Clone, Copy, Default)]
struct Stride {
    /// Commits to leave out between two that are named.
    length: u32,
    /// Commits still to be left out.
    left: u32,
    common: bool,
    advertised: bool,
    popped: bool,
}

#[derive(Debug, Default)]
pub(super) struct Skipping {
    known: HashMap<ObjectId, Stride>,
    queue: Queue,
    open_count: usize,
}

impl Skipping {
    fn enqueue(&mut self, id: ObjectId, stride: Stride, history: &mut dyn History) -> io::Result<()> {
        if let Some(present) = self.known.get_mut(&id) {
            // Two lines meet, or one comes to a tip: the longer stride wins, as seen in git 2.47.3, so that a tag on every
            // commit does not make each of them worth naming.
            if !present.popped && stride.length > present.length {
                present.left = stride.left;
                present.length = stride.length;
            }
            return Ok(());
        }
        let Some((date, _)) = history.commit(&id)? else { return Ok(()) };
        self.known.insert(id, stride);
        self.queue.push(date, id);
        if !stride.common {
            self.open_count += 1;
        }
        Ok(())
    }

    fn mark_common(&mut self, id: ObjectId, history: &mut dyn History) -> io::Result<()> {
        let mut stack = vec![id];
        while let Some(id) = stack.pop() {
            let Some(stride) = self.known.get_mut(&id) else { continue };
            if stride.common {
                continue;
            }
            stride.common = true;
            if !stride.popped {
                self.open_count = self.open_count.saturating_sub(1);
            }
            if let Some((_, parents)) = history.commit(&id)? {
                stack.extend(parents);
            }
        }
        Ok(())
    }

    /// The stride of the parents of a commit that was named or left out.
    fn stride_of_parents(stride: Stride) -> Stride {
        let (length, left) = match stride {
            Stride { common: true, .. } | Stride { advertised: true, .. } => {
                return Stride { common: true, ..Stride::default() };
            }
            Stride { left: 0, length, .. } => {
                // 0, 1, 2, 4, 7, 11, 17 …: half as many again each time, from git-config(1)'s "skips commits".
                let length = (length.saturating_mul(3) / 2).saturating_add(1);
                (length, length)
            }
            Stride { length, left, .. } => (length, left - 1),
        };
        Stride { length, left, ..Stride::default() }
    }
}

impl Negotiator for Skipping {
    fn known_common(&mut self, id: ObjectId, history: &mut dyn History) -> io::Result<()> {
        self.enqueue(id, Stride { advertised: true, ..Stride::default() }, history)
    }

    fn add_tip(&mut self, id: ObjectId, history: &mut dyn History) -> io::Result<()> {
        self.enqueue(id, Stride::default(), history)
    }

    fn next(&mut self, history: &mut dyn History) -> io::Result<Option<ObjectId>> {
        while self.open_count > 0 {
            let Some(id) = self.queue.pop() else { return Ok(None) };
            let stride = self.known.get(&id).copied().unwrap_or_default();
            if let Some(known) = self.known.get_mut(&id) {
                known.popped = true;
            }
            if !stride.common {
                self.open_count -= 1;
            }
            let parents = history.commit(&id)?.map(|(_, parents)| parents).unwrap_or_default();
            // Where a line ends its last commit is named, or nothing of a short history would be: at a root, and where
            // false dates have had all parents looked at before.
            let is_ahead = |parent: &ObjectId| !self.known.get(parent).is_some_and(|parent| parent.popped);
            let goes_on = parents.iter().any(is_ahead);
            let is_named = !stride.common && (stride.left == 0 || !goes_on);
            for parent in parents {
                let of_parent = Self::stride_of_parents(stride);
                if of_parent.common && self.known.contains_key(&parent) {
                    self.mark_common(parent, history)?;
                } else {
                    self.enqueue(parent, of_parent, history)?;
                }
            }
            if is_named {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    fn ack(&mut self, id: ObjectId, history: &mut dyn History) -> io::Result<Acked> {
        let Some(stride) = self.known.get(&id).copied() else { return Ok(Acked::Unknown) };
        self.mark_common(id, history)?;
        Ok(if stride.common { Acked::Known } else { Acked::News })
    }
}
