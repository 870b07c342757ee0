//! The filter of a partial clone: whether it is served.

use super::UploadPack;
use crate::pack::enumerate::FilterSpec;

impl UploadPack<'_> {
    /// What the client is told of a filter that is not served; `None` if it is.
    pub(super) fn filter_refusal(&self, spec: &FilterSpec) -> Option<String> {
        let filters = &self.settings.filters;
        match spec {
            _ if !filters.allows(spec.kind()) => Some(format!("filter '{}' not supported", spec.kind())),
            FilterSpec::TreeDepth(depth) => {
                let limit = filters.tree_depth_max.filter(|limit| depth > limit)?;
                Some(format!("tree filter allows max depth {limit}, but got {depth}"))
            }
            FilterSpec::Combine(parts) => parts.iter().find_map(|part| self.filter_refusal(part)),
            FilterSpec::BlobNone
            | FilterSpec::BlobLimit(_)
            | FilterSpec::ObjectType(_)
            | FilterSpec::Sparse(_) => None,
        }
    }
}
