//! Whether a commit is an ancestor of others.

use std::collections::HashMap;
use std::io;

use gix_hash::ObjectId;

use crate::repo::Objects;

/// Whether `old` is `new` or one of its ancestors.
///
/// Both are walked, newest first, until nothing is left that only `new` reaches: dates decide about the order, not
/// about the answer.
pub fn is_ancestor(objects: &mut Objects, old: ObjectId, new: ObjectId) -> io::Result<bool> {
    is_ancestor_of_any(objects, old, &[new])
}

/// Whether `old` is one of `tips` or of their ancestors. Tips that are no commits here are passed over.
pub(in crate::remote) fn is_ancestor_of_any(
    objects: &mut Objects,
    old: ObjectId,
    tips: &[ObjectId],
) -> io::Result<bool> {
    if tips.contains(&old) {
        return Ok(true);
    }
    let Some(commit) = objects.commit(&old)? else { return Ok(false) };
    let mut seen = HashMap::from([(old, Seen { is_shared: true, is_expanded: false })]);
    let mut queue = std::collections::BinaryHeap::from([(commit.date, old)]);
    let mut open_count = 0_usize;
    for tip in tips {
        let Some(commit) = objects.commit(tip)? else { continue };
        if seen.insert(*tip, Seen { is_shared: false, is_expanded: false }).is_none() {
            queue.push((commit.date, *tip));
            open_count += 1;
        }
    }
    while open_count > 0 {
        let Some((_, id)) = queue.pop() else { break };
        let Some(state) = seen.get_mut(&id) else { continue };
        if !state.is_shared && !state.is_expanded {
            open_count -= 1;
        }
        state.is_expanded = true;
        let is_shared = state.is_shared;
        for parent in objects.commit(&id)?.map(|commit| commit.parents).unwrap_or_default() {
            if parent == old && !is_shared {
                return Ok(true);
            }
            match seen.get_mut(&parent) {
                Some(known) if known.is_shared || !is_shared => continue,
                Some(known) => {
                    // Queued again below, so that its parents hear of it.
                    known.is_shared = true;
                    open_count -= usize::from(!known.is_expanded);
                }
                None => {
                    seen.insert(parent, Seen { is_shared, is_expanded: false });
                    open_count += usize::from(!is_shared);
                }
            }
            if let Some(commit) = objects.commit(&parent)? {
                queue.push((commit.date, parent));
            } else if !is_shared {
                open_count = open_count.saturating_sub(1);
            }
        }
    }
    Ok(false)
}

/// A commit on the way of [`is_ancestor`].
struct Seen {
    /// It is reached from `old` too: its ancestors need not be looked at for themselves.
    is_shared: bool,
    /// Its parents were looked at.
    is_expanded: bool,
}
