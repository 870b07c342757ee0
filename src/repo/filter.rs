//! What a filter means in a repository, whose blobs may hold the patterns of `sparse:oid`. git-rev-list(1), `--filter`.

use super::{Error, Objects, Repository};
use crate::pack::Kind;
use crate::pack::enumerate::FilterSpec;
use crate::pack::enumerate::filter::Filter;

/// Bytes of the patterns of a `sparse:oid` filter.
const PATTERNS_LEN_MAX: usize = 256 * 1024;

impl Repository {
    /// `spec` as the engine takes it.
    ///
    /// # Errors
    ///
    /// [`Error::Object`] where the patterns that it names are not here, are too long or are no blob.
    pub fn filter(&self, spec: &FilterSpec, objects: &Objects) -> Result<Filter, Error> {
        spec.filter(&mut |name| {
            let refused = || Error::Object(format!("unable to access sparse blob in '{name}'"));
            let id = self.resolve_revision(name)?.ok_or_else(refused)?;
            let mut text = Vec::new();
            match objects.find(&id, &mut text).map_err(|error| Error::Object(error.to_string()))? {
                Some(Kind::Blob) if text.len() <= PATTERNS_LEN_MAX => Ok(text),
                Some(_) | None => Err(Error::Object(format!("unable to parse sparse filter data in {id}"))),
            }
        })
    }
}
