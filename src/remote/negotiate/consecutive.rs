//! The negotiator that names each commit, newest first.

use std::collections::HashMap;
use std::io;

use gix_hash::ObjectId;

use super::{Acked, History, Negotiator, Queue};

/// What the consecutive negotiator knows of a commit.
#[derive(Debug, Clone, Copy, Default)]
struct Knowledge {
    /// Both sides have it; it need not be named.
    common: bool,
    /// The far side advertised it: it is named, its ancestors are not.
    advertised: bool,
    popped: bool,
}

#[derive(Debug, Default)]
pub(super) struct Consecutive {
    known: HashMap<ObjectId, Knowledge>,
    queue: Queue,
    /// Commits in the queue that are not common; at zero there is nothing left to say.
    open_count: usize,
}

impl Consecutive {
    fn enqueue(&mut self, id: ObjectId, knowledge: Knowledge, history: &mut dyn History) -> io::Result<()> {
        if self.known.contains_key(&id) {
            return Ok(());
        }
        let Some((date, _)) = history.commit(&id)? else { return Ok(()) };
        self.known.insert(id, knowledge);
        self.queue.push(date, id);
        if !knowledge.common {
            self.open_count += 1;
        }
        Ok(())
    }

    /// Marks `id` and the ancestors seen so far as common.
    fn mark_common(&mut self, id: ObjectId, history: &mut dyn History) -> io::Result<()> {
        let mut stack = vec![id];
        while let Some(id) = stack.pop() {
            match self.known.get_mut(&id) {
                Some(knowledge) if knowledge.common => continue,
                Some(knowledge) => {
                    knowledge.common = true;
                    if !knowledge.popped {
                        self.open_count = self.open_count.saturating_sub(1);
                    }
                }
                None => {
                    // Not seen: it is queued as common, so that its ancestors become so when their turn comes.
                    let knowledge = Knowledge { common: true, ..Knowledge::default() };
                    self.enqueue(id, knowledge, history)?;
                    continue;
                }
            }
            if let Some((_, parents)) = history.commit(&id)? {
                stack.extend(parents);
            }
        }
        Ok(())
    }
}

impl Negotiator for Consecutive {
    fn known_common(&mut self, id: ObjectId, history: &mut dyn History) -> io::Result<()> {
        self.enqueue(id, Knowledge { advertised: true, ..Knowledge::default() }, history)
    }

    fn add_tip(&mut self, id: ObjectId, history: &mut dyn History) -> io::Result<()> {
        self.enqueue(id, Knowledge::default(), history)
    }

    fn next(&mut self, history: &mut dyn History) -> io::Result<Option<ObjectId>> {
        while self.open_count > 0 {
            let Some(id) = self.queue.pop() else { return Ok(None) };
            let knowledge = self.known.get(&id).copied().unwrap_or_default();
            if let Some(known) = self.known.get_mut(&id) {
                known.popped = true;
            }
            if !knowledge.common {
                self.open_count -= 1;
            }
            let parents = history.commit(&id)?.map(|(_, parents)| parents).unwrap_or_default();
            for parent in parents {
                if knowledge.common || knowledge.advertised {
                    self.mark_common(parent, history)?;
                } else {
                    self.enqueue(parent, Knowledge::default(), history)?;
                }
            }
            if !knowledge.common {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    fn ack(&mut self, id: ObjectId, history: &mut dyn History) -> io::Result<Acked> {
        let Some(knowledge) = self.known.get(&id).copied() else { return Ok(Acked::Unknown) };
        self.mark_common(id, history)?;
        Ok(if knowledge.common { Acked::Known } else { Acked::News })
    }
}
