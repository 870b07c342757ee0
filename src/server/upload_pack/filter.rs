//! The filter of a partial clone: whether it is served, and what it means here.

use super::UploadPack;
use crate::pack::Kind;
use crate::pack::enumerate::filter::{Filter, Patterns};
use crate::protocol::fetch::FilterSpec;
use crate::repo::Objects;
use crate::server::Error;

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

    /// The filter as the engine takes it.
    pub(super) fn filter(&self, spec: &FilterSpec, objects: &Objects) -> Result<Filter, Error> {
        Ok(match spec {
            FilterSpec::BlobNone => Filter::BlobNone,
            FilterSpec::BlobLimit(limit) => Filter::BlobLimit(*limit),
            FilterSpec::TreeDepth(depth) => Filter::TreeDepth(*depth),
            FilterSpec::ObjectType(name) => Filter::ObjectType(match name.as_slice() {
                b"commit" => Kind::Commit,
                b"tree" => Kind::Tree,
                b"tag" => Kind::Tag,
                _ => Kind::Blob,
            }),
            FilterSpec::Sparse(name) => {
                let refused = || Error::Refused(format!("unable to access sparse blob in '{name}'"));
                let id = self.repo.resolve_revision(name.as_ref())?.ok_or_else(refused)?;
                let mut text = Vec::new();
                match objects.find(&id, &mut text).map_err(Error::object)? {
                    Some(Kind::Blob) if text.len() <= PATTERNS_LEN_MAX => {
                        Filter::Sparse(Patterns::parse(&text))
                    }
                    _ => return Err(Error::Refused(format!("unable to parse sparse filter data in {id}"))),
                }
            }
            FilterSpec::Combine(parts) => {
                let parts = parts.iter().map(|part| self.filter(part, objects));
                Filter::Any(parts.collect::<Result<_, _>>()?)
            }
        })
    }
}

/// Bytes of the patterns of a `sparse:oid` filter.
const PATTERNS_LEN_MAX: usize = 256 * 1024;
