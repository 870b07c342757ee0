//! Capabilities: what a side can do, `name` or `name=value`. `gitprotocol-capabilities(5)`, `gitprotocol-v2(5)`.

use bstr::{BStr, BString, ByteSlice};

use super::{Error, printable};

/// The capabilities of an advertisement, in the order they came. Repeated names are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities(Vec<(BString, Option<BString>)>);

impl Capabilities {
    /// Takes apart the list behind the NUL of a v0 advertisement's first line (names separated by spaces). `JGit` begins
    /// it with a space.
    pub fn from_list(list: &[u8]) -> Self {
        let mut capabilities = Self::default();
        for word in list.split(|byte| *byte == b' ').filter(|word| !word.is_empty()) {
            capabilities.push_line(word);
        }
        capabilities
    }

    /// Adds one line of a v2 advertisement: `name` or `name=value`.
    pub fn push_line(&mut self, line: &[u8]) {
        match line.split_once_str("=") {
            Some((name, value)) => self.0.push((name.into(), Some(value.into()))),
            None => self.0.push((line.into(), None)),
        }
    }

    /// Whether `name` is there, with or without a value.
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// The first value of `name`.
    pub fn value(&self, name: &str) -> Option<&BStr> {
        self.iter().filter(|(known, _)| *known == name).find_map(|(_, value)| value)
    }

    /// Every value of `name`, such as v0's `symref`.
    pub fn values<'a>(&'a self, name: &'a str) -> Box<dyn Iterator<Item = &'a BStr> + 'a> {
        Box::new(self.iter().filter(move |(known, _)| *known == name).filter_map(|(_, value)| value))
    }

    /// Whether the value of `name`, a list of words separated by spaces, has `word`: `supports("fetch", "filter")`.
    pub fn supports(&self, name: &str, word: &str) -> bool {
        self.values(name).any(|value| value.split_str(" ").any(|known| known == word.as_bytes()))
    }

    /// The hash function of the far side's ids: `object-format`, SHA-1 where it is not said.
    pub fn object_format(&self) -> Result<gix_hash::Kind, Error> {
        self.value("object-format").map_or(Ok(gix_hash::Kind::Sha1), |name| {
            hash_kind(name).ok_or_else(|| {
                let name = printable(name);
                Error::Unsupported(format!("unknown object format '{name}' specified by server"))
            })
        })
    }

    /// All of them in order.
    pub fn iter(&self) -> impl Iterator<Item = (&BStr, Option<&BStr>)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref().map(AsRef::as_ref)))
    }

    /// The list as it stands behind the NUL of a v0 advertisement.
    pub fn to_list(&self) -> Vec<u8> {
        bstr::join(" ", self.lines())
    }

    /// Each as one line of a v2 advertisement, without its line feed.
    pub fn lines(&self) -> impl Iterator<Item = BString> {
        self.iter().map(|(name, value)| match value {
            Some(value) => [name.as_bytes(), b"=", value.as_bytes()].concat().into(),
            None => name.into(),
        })
    }
}

/// The hash function called `name` in an `object-format`.
pub(super) fn hash_kind(name: &[u8]) -> Option<gix_hash::Kind> {
    match name {
        b"sha1" => Some(gix_hash::Kind::Sha1),
        b"sha256" => Some(gix_hash::Kind::Sha256),
        _ => None,
    }
}
