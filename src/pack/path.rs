//! The objects from a base to the delta at work, in as much memory as they may take.
//!
//! If they take more, some are dropped, evenly over the whole path, and made again on the way back from the nearest that
//! stayed: so each is made again about once, however long the path is. Were those dropped that lie next to the base,
//! each would be made through all the deltas below it.

use std::sync::Arc;

use super::Error;
use super::naming::Content;

/// The path.
pub(super) struct Path {
    frames: Vec<Frame>,
    /// Where objects are that were not dropped, in order.
    live: Vec<usize>,
    live_bytes: usize,
    live_bytes_max: usize,
}

/// An object on the path, and the deltas to it that remain.
pub(super) struct Frame {
    pub entry: u32,
    /// `None` if it was dropped.
    pub data: Option<Arc<Content>>,
    pub children: Vec<u32>,
}

impl Frame {
    fn bytes(&self) -> usize {
        self.data.as_ref().map_or(0, |data| data.capacity())
    }
}

impl Path {
    /// An empty path whose objects may take `live_bytes_max` bytes, but for the first and the last, which always stay.
    pub fn new(live_bytes_max: usize) -> Self {
        Self { frames: Vec::new(), live: Vec::new(), live_bytes: 0, live_bytes_max }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.frames.clear();
        self.live.clear();
        self.live_bytes = 0;
    }

    pub fn push(&mut self, entry: u32, data: Arc<Content>, children: Vec<u32>) {
        self.frames.push(Frame { entry, data: None, children });
        self.put(self.frames.len() - 1, data);
    }

    /// Takes the last object off, and gives it if it was not dropped.
    pub fn pop(&mut self) -> Option<Arc<Content>> {
        let data = self.take_last();
        self.frames.pop();
        data
    }

    /// The deltas to the last object that remain; `None` if there is no object.
    pub fn children(&mut self) -> Option<&mut Vec<u32>> {
        Some(&mut self.frames.last_mut()?.children)
    }

    /// The last object and its entry. If it was dropped, `make` makes it from those before it, each from an entry and
    /// the object that this is a delta to. They stay too, as far as there is memory.
    pub fn base(
        &mut self,
        mut make: impl FnMut(u32, &Content) -> Result<Arc<Content>, Error>,
    ) -> Result<(u32, Arc<Content>), Error> {
        let missing = || Error::BadPack("delta base is lost".into());
        let at = *self.live.last().ok_or_else(missing)?;
        let nearest = self.frames.get(at).ok_or_else(missing)?;
        let (mut entry, mut data) = (nearest.entry, nearest.data.clone().ok_or_else(missing)?);
        for at in at + 1..self.frames.len() {
            entry = self.frames.get(at).ok_or_else(missing)?.entry;
            data = make(entry, &data)?;
            self.put(at, Arc::clone(&data));
        }
        Ok((entry, data))
    }

    /// Lets go of the last object if no more deltas to it remain, and gives it. The first object stays: all others can
    /// be made again from it.
    pub fn release_spent(&mut self) -> Option<Arc<Content>> {
        let is_spent = self.frames.len() > 1 && self.frames.last()?.children.is_empty();
        if is_spent { self.take_last() } else { None }
    }

    /// Takes half of the deltas nearest to the start of the path, where the largest trees grow, with their base. One
    /// stays, unless there are others further along.
    pub fn share(&mut self) -> Option<Frame> {
        let last = self.frames.len().saturating_sub(1);
        for at in &self.live {
            let Some(frame) = self.frames.get_mut(*at) else { continue };
            let count = frame.children.len() - usize::from(*at == last && !frame.children.is_empty());
            if count > 0 {
                let children = frame.children.drain(..count.div_ceil(2)).collect();
                return Some(Frame { entry: frame.entry, data: frame.data.clone(), children });
            }
        }
        None
    }

    /// Puts the object of the frame `at`, behind which there are none.
    fn put(&mut self, at: usize, data: Arc<Content>) {
        self.live.push(at);
        self.live_bytes += data.capacity();
        if let Some(frame) = self.frames.get_mut(at) {
            frame.data = Some(data);
        }
        if self.live_bytes > self.live_bytes_max {
            self.thin_out();
        }
    }

    fn take_last(&mut self) -> Option<Arc<Content>> {
        let last = self.frames.last_mut()?;
        self.live_bytes -= last.bytes();
        let data = last.data.take()?;
        self.live.pop();
        Some(data)
    }

    /// Drops objects between the first and the last until a quarter of what they took is free, so that it takes a while
    /// until there is too much again: those at odd places first, then at odd multiples of two, of four and so on.
    fn thin_out(&mut self) {
        let ends = [self.live.first(), self.live.last()].map(|at| at.copied().unwrap_or(0));
        let [first, last] = ends.map(|at| self.frames.get(at).map_or(0, Frame::bytes));
        let between = self.live_bytes.saturating_sub(first + last);
        let enough = (between - between / 4).min(self.live_bytes_max.saturating_sub(first + last));
        let mut excess = between - enough;
        for level in 0..usize::BITS {
            if excess == 0 {
                return;
            }
            let (frames, live_bytes) = (&mut self.frames, &mut self.live_bytes);
            self.live.retain(|at| {
                if excess == 0 || at.trailing_zeros() != level || ends.contains(at) {
                    return true;
                }
                let Some(frame) = frames.get_mut(*at) else { return false };
                *live_bytes -= frame.bytes();
                excess = excess.saturating_sub(frame.bytes());
                frame.data = None;
                false
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEN: usize = 1000;

    /// The object of an entry.
    fn object(entry: u32) -> Arc<Content> {
        let mut bytes = vec![0; LEN];
        bytes[..4].copy_from_slice(&entry.to_le_bytes());
        Arc::new(Content { bytes, ..Content::default() })
    }

    /// Bytes of the objects of a path, which are those that it counts.
    #[track_caller]
    fn bytes(path: &Path) -> usize {
        let here = |(at, frame): (usize, &Frame)| frame.data.is_some().then_some(at);
        let live: Vec<_> = path.frames.iter().enumerate().filter_map(here).collect();
        assert_eq!(path.live, live);
        assert_eq!(path.live_bytes, live.len() * LEN);
        path.live_bytes
    }

    /// Goes back from the end of a path of `count` objects of which `kept` have room, and asks for each; gives how many
    /// were made again.
    fn made_on_the_way_back(count: u32, kept: usize) -> usize {
        let mut path = Path::new(kept * LEN);
        for entry in 0..count {
            path.push(entry, object(entry), vec![7]);
            assert!(bytes(&path) <= kept.max(2) * LEN);
        }
        let mut made = 0;
        for entry in (0..count).rev() {
            let base = path.base(|entry, base| {
                assert!(*base.bytes == *object(entry - 1).bytes);
                made += 1;
                Ok(object(entry))
            });
            let (found, data) = base.unwrap();
            assert!(found == entry && *data.bytes == *object(entry).bytes);
            assert!(bytes(&path) <= kept.max(2) * LEN);
            path.pop();
        }
        assert_eq!(bytes(&path), 0);
        made
    }

    #[test]
    fn what_fits_stays() {
        assert_eq!(made_on_the_way_back(100, 100), 0);
    }

    #[test]
    fn a_long_path_is_made_again_a_few_times_not_once_for_each_object() {
        assert!(made_on_the_way_back(3_000, 300) <= 3 * 3_000);
        assert!(made_on_the_way_back(9_000, 30) <= 3 * 9_000);
    }

    #[test]
    fn without_room_the_first_and_the_last_stay() {
        assert_eq!(made_on_the_way_back(20, 0), (1..19).sum::<usize>());
    }

    #[test]
    fn a_base_that_nothing_depends_on_any_more_goes() {
        let mut path = Path::new(10 * LEN);
        path.push(0, object(0), Vec::new());
        assert!(path.release_spent().is_none());
        path.push(1, object(1), vec![7]);
        assert!(path.release_spent().is_none());
        path.push(2, object(2), Vec::new());
        assert!(path.release_spent().is_some());
        assert_eq!(bytes(&path), 2 * LEN);
        assert!(path.pop().is_none());
        assert!(path.pop().is_some());
        path.clear();
        assert!(path.base(|_, _| unreachable!("there is nothing to make it of")).is_err());
    }
}
