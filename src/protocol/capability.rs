//! Capabilities: what a side can do, `name` or `name=value`. `gitprotocol-capabilities(5)`, `gitprotocol-v2(5)`.

use bstr::{BStr, BString};

use super::Error;

/// The capabilities of an advertisement, in the order they came. Repeated names are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities(Vec<(BString, Option<BString>)>);

impl Capabilities {
    /// Takes apart the list behind the NUL of a v0 advertisement's first line (names separated by spaces).
    pub fn from_list(_list: &[u8]) -> Self {
        todo!("protocol helper")
    }
    /// Adds one line of a v2 advertisement: `name` or `name=value`.
    pub fn push_line(&mut self, _line: &[u8]) {
        todo!()
    }
    /// Whether `name` is there, with or without a value.
    pub fn contains(&self, _name: &str) -> bool {
        todo!()
    }
    /// The first value of `name`.
    pub fn value(&self, _name: &str) -> Option<&BStr> {
        todo!()
    }
    /// Every value of `name`, such as v0's `symref`.
    pub fn values<'a>(&'a self, _name: &'a str) -> Box<dyn Iterator<Item = &'a BStr> + 'a> {
        todo!()
    }
    /// Whether the value of `name`, a list of words separated by spaces, has `word`: `supports("fetch", "filter")`.
    pub fn supports(&self, _name: &str, _word: &str) -> bool {
        todo!()
    }
    /// The hash function of the far side's ids: `object-format`, SHA-1 where it is not said.
    pub fn object_format(&self) -> Result<gix_hash::Kind, Error> {
        todo!()
    }
    /// All of them in order.
    pub fn iter(&self) -> impl Iterator<Item = (&BStr, Option<&BStr>)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref().map(|v| v.as_ref())))
    }
}
