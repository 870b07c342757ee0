//! Names of objects as users write them: gitrevisions(7).

use bstr::BStr;
use gix_hash::ObjectId;

use super::{Error, Repository};

impl Repository {
    /// The object that `expression` names, such as `main`, `HEAD~2`, `v1.0^{commit}`, `@{upstream}` or `deadbee`;
    /// `None` if there is none. A full id need not exist.
    ///
    /// # Errors
    ///
    /// [`Error::Object`] if an object on the way is broken or the expression names several.
    pub fn resolve_revision(&self, _expression: &BStr) -> Result<Option<ObjectId>, Error> {
        unimplemented!()
    }
}
