//! The objects that came last, for the deltas to them that come soon.
//!
//! Most deltas to blobs follow their base closely. They are resolved as they come, so that neither is inflated again.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use gix_object::Kind;
use rustc_hash::FxBuildHasher;

use super::naming::Content;

/// The memory that the objects take at most, in bytes.
const BYTES_MAX: usize = 8 * 1024 * 1024;

/// The largest object, in bytes.
pub(super) const LEN_MAX: usize = 1024 * 1024;

/// Objects by their entries.
#[derive(Default)]
pub(super) struct Recent {
    objects: HashMap<u32, Object, FxBuildHasher>,
    /// Their entries, those first that are to go first.
    order: VecDeque<u32>,
    bytes: usize,
}

struct Object {
    kind: Kind,
    content: Arc<Content>,
    /// Whether it was asked for since it came to the end of the order.
    is_used: bool,
}

impl Recent {
    /// The object of `entry`, if it is here.
    pub fn get(&mut self, entry: u32) -> Option<(Kind, Arc<Content>)> {
        let object = self.objects.get_mut(&entry)?;
        object.is_used = true;
        Some((object.kind, Arc::clone(&object.content)))
    }

    /// Adds the object of `entry`, unless it is too large. Others go.
    pub fn add(&mut self, entry: u32, kind: Kind, content: &Arc<Content>) {
        if content.capacity() > LEN_MAX {
            return;
        }
        self.bytes += content.capacity();
        let _none = self.objects.insert(entry, Object { kind, content: Arc::clone(content), is_used: false });
        self.order.push_back(entry);
        while self.bytes > BYTES_MAX {
            let Some(oldest) = self.order.pop_front() else { break };
            let Some(object) = self.objects.get_mut(&oldest) else { continue };
            if std::mem::take(&mut object.is_used) {
                self.order.push_back(oldest);
            } else if let Some(gone) = self.objects.remove(&oldest) {
                self.bytes -= gone.content.capacity();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_stays_longer() {
        let content = Arc::new(Content { bytes: Vec::with_capacity(LEN_MAX), ..Content::default() });
        let mut recent = Recent::default();
        for entry in 0..8 {
            recent.add(entry, Kind::Blob, &content);
        }
        assert!(recent.get(0).is_some());
        recent.add(8, Kind::Blob, &content);
        assert!(recent.get(0).is_some() && recent.get(1).is_none() && recent.get(8).is_some());
        let large = Arc::new(Content { bytes: Vec::with_capacity(LEN_MAX + 1), ..Content::default() });
        recent.add(9, Kind::Blob, &large);
        assert!(recent.get(9).is_none() && recent.get(2).is_some());
    }
}
