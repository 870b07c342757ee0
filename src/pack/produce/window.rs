//! The window of objects that the next one is compared with.

use std::collections::VecDeque;
use std::sync::Arc;

use super::super::Error;
use super::super::delta::{self, Index};
use super::Reuse;
use super::known::{Known, Question};
use super::list::{Form, content};
use super::search::{Effort, Work};

/// A base that is so many times larger than the target is not tried: there would be little of it in the delta.
const BASE_SIZE_RATIO_MAX: usize = 32;

/// A delta that is so many times smaller than the object is enough where no better one is searched for.
const ENOUGH_PART: usize = 32;

/// The latest objects, the most promising first.
pub(super) struct Window<'a> {
    work: &'a Work<'a>,
    slots: VecDeque<Slot>,
    /// The best delta so far, and the one that is being made.
    best: Vec<u8>,
    delta: Vec<u8>,
    /// Buffers of an object that left the window.
    spare: Vec<u8>,
}

/// A delta.
pub(super) enum Delta<'a> {
    /// One that was made now, and what it answers.
    New(&'a [u8], Option<Question>),
    /// One that was made before: how many bytes it has, and its zlib stream.
    Known(usize, Arc<[u8]>),
}

/// What was found out before.
enum Answer {
    /// No delta is worth it.
    Whole,
    /// The place of the base in the window, how many bytes the delta has, and its zlib stream.
    Delta(usize, usize, Arc<[u8]>),
}

/// An object in the window.
struct Slot {
    index: u32,
    size: usize,
    /// The deltas between it and a whole object.
    depth: usize,
    /// Empty until it is needed.
    content: Vec<u8>,
    blocks: Option<Index>,
}

impl<'a> Window<'a> {
    pub fn new(work: &'a Work<'a>) -> Self {
        Self { work, slots: VecDeque::new(), best: Vec::new(), delta: Vec::new(), spare: Vec::new() }
    }

    /// Moves the object `index` into the window. If it is sent, gives the best delta to it from one that is there, and what
    /// it is based on.
    pub fn slide(&mut self, index: u32) -> Result<Option<(u32, Delta<'_>)>, Error> {
        let work = self.work;
        let Some(entry) = work.list.entries.get(index as usize) else { return Ok(None) };
        let size = usize::try_from(entry.size).unwrap_or(usize::MAX);
        let content = std::mem::take(&mut self.spare);
        let mut target = Slot { index, size, depth: 0, content, blocks: None };
        target.content.clear();
        let question = if work.list.is_sent(index) { self.question(&target) } else { None };
        let known = question.and_then(|question| self.known(question));
        let best = match &known {
            Some(Answer::Delta(at, ..)) => Some(*at),
            None if work.list.is_sent(index) => self.best_base(&mut target)?,
            Some(Answer::Whole) | None => None,
        };
        let mut found = None;
        if let Some(at) = best
            && let Some(base) = self.slots.remove(at)
        {
            target.depth = base.depth + 1;
            found = Some(base.index);
            // what was a good base once will be so again
            self.slots.push_front(base);
        }
        if target.depth < work.settings.depth {
            self.push(target);
        }
        let Some(base) = found else {
            if let (Some(all), Some(question), None) = (&work.settings.known, question, &known)
                && !work.is_stopped()
            {
                all.put(question, Known::Worthless);
            }
            return Ok(None);
        };
        let delta = match known {
            Some(Answer::Delta(_, len, deflated)) => Delta::Known(len, deflated),
            Some(Answer::Whole) | None => Delta::New(&self.best, question),
        };
        Ok(Some((base, delta)))
    }

    /// Which delta is the best: all that this depends on. Where the window is bounded by memory it depends on what was needed
    /// before.
    fn question(&self, target: &Slot) -> Option<Question> {
        let work = self.work;
        let known = work.settings.known.as_ref().filter(|_| work.settings.window_memory_bytes == 0)?;
        let neighbours = self
            .slots
            .iter()
            .map(|base| (work.list.id(base.index), base.depth, is_worth_trying(work, target, base)));
        let height = work.heights.get(target.index as usize);
        let settings = (work.settings.depth, work.settings.compression, work.effort);
        Some(known.question((work.list.id(target.index), height, settings, neighbours.collect::<Vec<_>>())))
    }

    /// What is known of that.
    fn known(&self, question: Question) -> Option<Answer> {
        match self.work.settings.known.as_ref()?.get(question)? {
            Known::Worthless => Some(Answer::Whole),
            Known::Delta(base, len, deflated) => {
                let at = self.slots.iter().position(|slot| self.work.list.id(slot.index) == Some(&base))?;
                Some(Answer::Delta(at, len, deflated))
            }
        }
    }

    /// The place of the best base for `target`; the delta is in `self.best`.
    fn best_base(&mut self, target: &mut Slot) -> Result<Option<usize>, Error> {
        let work = self.work;
        let depth_max = work.settings.depth;
        let height = work.heights.get(target.index as usize).map_or(0, |height| *height as usize);
        // a delta of half the size is hardly smaller than the object when both are deflated
        let id_len = work.settings.object_hash.len_in_bytes();
        let mut limit = Limit { len: (target.size / 2).saturating_sub(id_len), base_depth: 0 };
        let mut best = None;
        for (at, base) in self.slots.iter_mut().enumerate() {
            // large objects take long
            if work.is_stopped() {
                return Ok(None);
            }
            if base.depth + height >= depth_max || !is_worth_trying(work, target, base) {
                continue;
            }
            let len_max = limit.at(base.depth, depth_max);
            if target.size.saturating_sub(base.size) >= len_max
                || target.size < base.size / BASE_SIZE_RATIO_MAX
            {
                continue;
            }
            for slot in [&mut *target, &mut *base] {
                slot.load(work)?;
            }
            let Slot { content: base_content, blocks, .. } = &mut *base;
            let made = delta::create(
                base_content,
                || blocks.get_or_insert_with(|| Index::new(base_content)),
                &target.content,
                len_max - 1,
                &mut self.delta,
            );
            if made {
                std::mem::swap(&mut self.delta, &mut self.best);
                limit = Limit { len: self.best.len(), base_depth: base.depth };
                best = Some(at);
                if work.effort == Effort::Enough && self.best.len() <= target.size / ENOUGH_PART {
                    break;
                }
            }
        }
        Ok(best)
    }

    fn push(&mut self, slot: Slot) {
        self.slots.push_front(slot);
        while self.slots.len() > self.work.window || (self.slots.len() > 1 && self.is_too_large()) {
            if let Some(slot) = self.slots.pop_back() {
                self.spare = slot.content;
            }
        }
    }

    fn is_too_large(&self) -> bool {
        let limit = self.work.settings.window_memory_bytes;
        limit > 0 && self.slots.iter().map(Slot::memory).sum::<usize>() as u64 > limit
    }
}

impl Slot {
    fn load(&mut self, work: &Work<'_>) -> Result<(), Error> {
        match work.list.objects.get(self.index as usize) {
            Some(object) if self.content.is_empty() => {
                content(work.source, object, &mut self.content)?;
                self.size = self.content.len();
                Ok(())
            }
            Some(_) | None => Ok(()),
        }
    }

    fn memory(&self) -> usize {
        self.content.len() + self.blocks.as_ref().map_or(0, Index::size)
    }
}

/// How long a delta may be to be better than the best so far.
struct Limit {
    /// The length of that one.
    len: usize,
    /// The depth of its base.
    base_depth: usize,
}

impl Limit {
    /// The first length that is not better for a base of this depth: the nearer it is to where chains end, the more must be
    /// saved for using up what is left.
    fn at(&self, depth: usize, depth_max: usize) -> usize {
        let (left, left_before) = (depth_max - depth, depth_max - self.base_depth);
        let scaled = (self.len as u128 * left as u128).checked_div(left_before as u128);
        scaled.and_then(|scaled| usize::try_from(scaled).ok()).unwrap_or(0)
    }
}

/// Whether a delta may exist: two objects that lie whole in one pack have been compared when it was made.
fn is_worth_trying(work: &Work<'_>, target: &Slot, base: &Slot) -> bool {
    let list = work.list;
    let entry = |slot: &Slot| list.entries.get(slot.index as usize);
    let kind = |slot: &Slot| list.objects.get(slot.index as usize).map(|object| object.kind);
    let (Some(target_entry), Some(base_entry)) = (entry(target), entry(base)) else { return false };
    let were_compared = work.settings.reuse == Reuse::All
        && list.is_sent(base.index)
        && (target_entry.form, base_entry.form) == (Form::Whole, Form::Whole)
        && target_entry.pack == base_entry.pack;
    kind(target) == kind(base) && !were_compared
}
