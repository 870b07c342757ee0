//! What a partial clone leaves out, as it is spelt on the wire. git-rev-list(1), `--filter=<filter-spec>`.

use bstr::{BStr, BString, ByteSlice};

/// Combinations within combinations before a filter is refused.
const NESTING_MAX: usize = 16;

/// A filter taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilterSpec {
    /// `blob:none`.
    BlobNone,
    /// `blob:limit=<n>`: blobs of so many bytes and more are left out.
    BlobLimit(u64),
    /// `tree:<depth>`: trees and blobs so deep and deeper are left out.
    TreeDepth(u64),
    /// `object:type=<type>`: all others are left out; `blob`, `tree`, `commit` or `tag`.
    ObjectType(BString),
    /// `sparse:oid=<blob-ish>`: blobs are left out that the patterns in that blob do not match.
    Sparse(BString),
    /// `combine:<filter>+<filter>…`: what any of them leaves out.
    Combine(Vec<Self>),
}

impl FilterSpec {
    /// Takes `spec` apart.
    ///
    /// # Errors
    ///
    /// What git says of a spec that makes no sense.
    pub fn parse(spec: &BStr) -> Result<Self, String> {
        Self::parse_nested(spec, NESTING_MAX)
    }

    fn parse_nested(spec: &BStr, nesting: usize) -> Result<Self, String> {
        let invalid = || format!("invalid filter-spec '{spec}'");
        let (kind, argument) = spec.split_once_str(":").unwrap_or((spec, b""));
        match kind {
            b"blob" if argument == b"none" => Ok(Self::BlobNone),
            b"blob" => {
                argument.strip_prefix(b"limit=").and_then(size).map(Self::BlobLimit).ok_or_else(invalid)
            }
            b"tree" => {
                let depth = argument.to_str().ok().and_then(|depth| depth.parse().ok());
                depth.map(Self::TreeDepth).ok_or_else(|| "expected 'tree:<depth>'".to_owned())
            }
            b"object" => match argument.strip_prefix(b"type=") {
                Some(kind @ (b"blob" | b"tree" | b"commit" | b"tag")) => Ok(Self::ObjectType(kind.into())),
                Some(other) => {
                    Err(format!("'{}' for 'object:type=<type>' is not a valid object type", other.as_bstr()))
                }
                None => Err(invalid()),
            },
            b"sparse" => match argument.strip_prefix(b"oid=") {
                Some(name) => Ok(Self::Sparse(name.into())),
                None if argument.starts_with(b"path=") => {
                    Err("sparse:path filters support has been dropped".to_owned())
                }
                None => Err(invalid()),
            },
            b"combine" if nesting == 0 => Err("too many filters within each other".to_owned()),
            b"combine" if argument.is_empty() => Err("expected something after combine:".to_owned()),
            b"combine" => {
                let parts = argument.split_str("+").map(|part| {
                    let part = unescape(part).ok_or_else(invalid)?;
                    Self::parse_nested(part.as_bstr(), nesting - 1)
                });
                parts.collect::<Result<_, _>>().map(Self::Combine)
            }
            _ => Err(invalid()),
        }
    }

    /// The name of its kind, as `uploadpackfilter.<kind>.allow` has it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::BlobNone => "blob:none",
            Self::BlobLimit(_) => "blob:limit",
            Self::TreeDepth(_) => "tree",
            Self::ObjectType(_) => "object:type",
            Self::Sparse(_) => "sparse:oid",
            Self::Combine(_) => "combine",
        }
    }
}

/// A number with or without a suffix k, m or g.
fn size(text: &[u8]) -> Option<u64> {
    let (digits, factor) = match text.split_last()? {
        (b'k' | b'K', digits) => (digits, 1 << 10),
        (b'm' | b'M', digits) => (digits, 1 << 20),
        (b'g' | b'G', digits) => (digits, 1 << 30),
        _ => (text, 1),
    };
    digits.to_str().ok()?.parse::<u64>().ok()?.checked_mul(factor)
}

/// The characters behind `%xx`.
fn unescape(text: &[u8]) -> Option<BString> {
    let mut plain = BString::default();
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'%' {
            plain.push(*byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        plain.push(u8::from_str_radix(digits.to_str().ok()?, 16).ok()?);
        rest = after;
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_taken_apart() {
        for (spec, filter) in [
            ("blob:none", FilterSpec::BlobNone),
            ("blob:limit=2k", FilterSpec::BlobLimit(2_048)),
            ("tree:3", FilterSpec::TreeDepth(3)),
            ("object:type=tag", FilterSpec::ObjectType("tag".into())),
            ("sparse:oid=main:x", FilterSpec::Sparse("main:x".into())),
            (
                "combine:blob%3anone+tree:1",
                FilterSpec::Combine(vec![FilterSpec::BlobNone, FilterSpec::TreeDepth(1)]),
            ),
        ] {
            assert_eq!(FilterSpec::parse(spec.into()), Ok(filter), "{spec}");
        }
    }

    #[test]
    fn endless_nesting_is_refused() {
        let deep = (0..40).fold("blob:none".to_owned(), |inner, _| {
            format!("combine:{}", inner.replace('%', "%25").replace('+', "%2b"))
        });
        assert_eq!(FilterSpec::parse(deep.as_str().into()), Err("too many filters within each other".into()));
    }
}
