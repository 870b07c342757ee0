//! Why an object cannot be read that names others, in git's words (seen in git 2.47.3).

use bstr::ByteSlice;
use gix_hash::ObjectId;
use gix_object::Kind;

use super::{Collector, Malformed, split_off_mode};

/// Types of tags that are longer are not worth a word.
const TYPE_LEN_MAX: usize = 19;

impl Malformed {
    /// What is said last of the object `id` that cannot be read.
    pub(super) fn unreadable(kind: Kind, id: &ObjectId) -> String {
        match kind {
            Kind::Tree => format!("Not all child objects of {id} are reachable"),
            Kind::Commit | Kind::Blob | Kind::Tag => format!("invalid {kind}"),
        }
    }
}

impl Collector<'_> {
    /// Notes why the object `id` of `kind` cannot be read, which `content` makes.
    pub(super) fn refuse(&self, id: &ObjectId, kind: Kind, content: &[u8]) -> Malformed {
        for text in self.reasons(id, kind, content) {
            self.found.checker.note(text);
        }
        match kind {
            Kind::Tree => self.found.checker.check_unreadable(id).err(),
            Kind::Commit | Kind::Blob | Kind::Tag => None,
        }
        .unwrap_or(Malformed::Unreadable(kind, *id))
    }

    fn reasons(&self, id: &ObjectId, kind: Kind, content: &[u8]) -> Vec<String> {
        match kind {
            Kind::Commit => self.reasons_of_commit(id, content),
            Kind::Tree => vec![self.reason_of_tree(content).into()],
            Kind::Tag => self.reason_of_tag(id, content).into_iter().collect(),
            Kind::Blob => Vec::new(),
        }
    }

    fn reasons_of_commit(&self, id: &ObjectId, content: &[u8]) -> Vec<String> {
        let hex_len = self.hash.len_in_hex();
        let tree = content.strip_prefix(b"tree ").and_then(|rest| rest.split_at_checked(hex_len));
        let Some((tree, [b'\n', rest @ ..])) = tree.filter(|(_, rest)| rest.len() > 1) else {
            return vec![format!("bogus commit object {id}")];
        };
        let Ok(tree) = ObjectId::from_hex(tree) else {
            return vec![format!("bad tree pointer in commit {id}")];
        };
        let mut lines = rest.split(|byte| *byte == b'\n');
        let mut parents =
            std::iter::from_fn(|| ObjectId::from_hex(lines.next()?.strip_prefix(b"parent ")?).ok());
        if parents.any(|parent| parent == tree) {
            return vec![
                format!("object {tree} is a tree, not a commit"),
                format!("bad parent {tree} in commit {id}"),
            ];
        }
        vec![format!("bad parents in commit {id}")]
    }

    fn reason_of_tree(&self, content: &[u8]) -> &'static str {
        const SHORT: &str = "too-short tree object";
        let id_len = self.hash.len_in_bytes();
        let mut rest = content;
        loop {
            // behind the last name, wherever that begins, stands an id
            let end = rest.len().checked_sub(id_len + 1).filter(|end| *end >= "1 ".len());
            if end.and_then(|end| rest.get(end)) != Some(&0) {
                return SHORT;
            }
            if split_off_mode(&mut rest).is_none() {
                return "malformed mode in tree entry";
            }
            match rest.find_byte(0) {
                Some(0) => return "empty filename in tree entry",
                Some(end) => rest = rest.get(end + 1 + id_len..).unwrap_or_default(),
                None => return SHORT,
            }
        }
    }

    fn reason_of_tag(&self, id: &ObjectId, content: &[u8]) -> Option<String> {
        let (target, rest) = content.strip_prefix(b"object ")?.split_at_checked(self.hash.len_in_hex())?;
        let _target = ObjectId::from_hex(target).ok()?;
        let (kind, _) = rest.strip_prefix(b"\ntype ")?.split_once_str("\n")?;
        let is_told = Kind::from_bytes(kind).is_err() && kind.len() <= TYPE_LEN_MAX;
        is_told.then(|| format!("unknown tag type '{}' in {id}", kind.as_bstr()))
    }
}
