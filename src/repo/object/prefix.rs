//! Abbreviated ids: all objects that one may mean.

use std::collections::HashSet;

use bstr::{BStr, ByteSlice};
use gix_hash::ObjectId;

use super::Objects;

impl Objects {
    /// The objects whose ids begin with the hexadecimal digits `prefix`, at least four, sorted. More may be found than
    /// [`Objects::find_prefix`] takes: it is for those who choose by kind.
    pub fn find_all_prefixed(&self, prefix: &BStr) -> Vec<ObjectId> {
        let prefix = prefix.to_str().ok().and_then(|digits| gix_hash::Prefix::from_hex(digits).ok());
        let Some(prefix) = prefix else { return Vec::new() };
        let mut found: Vec<ObjectId> = self
            .stores
            .with(|handles| {
                let mut found = HashSet::new();
                for handle in handles {
                    handle.find_all_prefixed(prefix, &mut found);
                }
                found
            })
            .into_iter()
            .collect();
        found.sort_unstable();
        found
    }
}
