//! [`Objects`] as crates of gix ask for objects.

use gix_error::{Result, ResultExt as _};
use gix_hash::oid;

use super::Objects;
use crate::pack::source::Source as _;

impl gix_object::Exists for Objects {
    fn exists(&self, id: &oid) -> bool {
        self.contains(id)
    }
}

impl gix_object::Find for Objects {
    fn try_find<'a>(&self, id: &oid, buffer: &'a mut Vec<u8>) -> Result<Option<gix_object::Data<'a>>> {
        let kind = self.find(id, buffer).or_error()?;
        Ok(kind.map(|kind| gix_object::Data { kind, data: buffer, object_hash: id.kind() }))
    }
}

impl gix_object::FindHeader for Objects {
    fn try_header(&self, id: &oid) -> Result<Option<gix_object::Header>> {
        Ok(self.header(id).or_error()?.map(|(kind, size)| gix_object::Header { kind, size }))
    }
}
