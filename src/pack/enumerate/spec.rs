//! What a pack leaves out, as users and clients spell it. git-rev-list(1), `--filter=<filter-spec>`.

use bstr::{BStr, BString, ByteSlice};
use gix_object::Kind;

use super::filter::{Filter, Patterns};

/// What may not stand in a part of a combination as it is.
const RESERVED: &[u8] = b"~`!@#$^&*()[]{}\\;'\",<>?";

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
    /// `object:type=<type>`: all others are left out.
    ObjectType(Kind),
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

    /// The one filter that `specs` come to, as git writes it down and sends it: `None` if there are none, several as
    /// `combine:`, and sizes of one alone in full (seen in git 2.47.3).
    ///
    /// # Errors
    ///
    /// What git says of one that makes no sense.
    pub fn combined(specs: &[BString]) -> Result<Option<BString>, String> {
        let parsed = specs.iter().map(|spec| Self::parse(spec.as_bstr()));
        let parsed = parsed.collect::<Result<Vec<Self>, String>>()?;
        Ok(match (specs, parsed.as_slice()) {
            ([], _) => None,
            ([_], [Self::BlobLimit(bytes)]) => Some(format!("blob:limit={bytes}").into()),
            ([only], _) => Some(only.clone()),
            (several, _) => {
                let parts: Vec<BString> = several.iter().map(|spec| escaped(spec.as_bstr())).collect();
                Some([b"combine:".as_slice(), &bstr::join("+", parts)].concat().into())
            }
        })
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
                Some(name) => Kind::from_bytes(name).map(Self::ObjectType).map_err(|_| {
                    format!("'{}' for 'object:type=<type>' is not a valid object type", name.as_bstr())
                }),
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
                let parts = parts(argument)
                    .into_iter()
                    .map(|part| Self::parse_nested(unescape(part)?.as_bstr(), nesting - 1));
                parts.collect::<Result<_, _>>().map(Self::Combine)
            }
            _ => Err(invalid()),
        }
    }

    /// The filter as the engine takes it. `patterns` gives the text of the blob that `sparse:oid` names.
    ///
    /// # Errors
    ///
    /// Those of `patterns`.
    pub fn filter<E>(&self, patterns: &mut dyn FnMut(&BStr) -> Result<Vec<u8>, E>) -> Result<Filter, E> {
        Ok(match self {
            Self::BlobNone => Filter::BlobNone,
            Self::BlobLimit(limit) => Filter::BlobLimit(*limit),
            Self::TreeDepth(depth) => Filter::TreeDepth(*depth),
            Self::ObjectType(kind) => Filter::ObjectType(*kind),
            Self::Sparse(name) => Filter::Sparse(Patterns::parse(&patterns(name.as_bstr())?)),
            Self::Combine(parts) => {
                let parts = parts.iter().map(|part| part.filter(patterns));
                Filter::Any(parts.collect::<Result<_, _>>()?)
            }
        })
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

/// The parts of a combination. A plus sign at the end ends nothing: it belongs to the last part, as in git 2.47.3.
fn parts(combination: &[u8]) -> Vec<&[u8]> {
    let at = combination.strip_suffix(b"+").unwrap_or(combination).rfind_byte(b'+');
    let (front, last) = match at.and_then(|at| combination.split_at_checked(at)) {
        Some((front, last)) => (Some(front), last.get(1..).unwrap_or_default()),
        None => (None, combination),
    };
    front.into_iter().flat_map(|front| front.split_str("+")).chain([last]).collect()
}

/// The characters that `part` of a combination stands for.
fn unescape(part: &[u8]) -> Result<BString, String> {
    match part.iter().find(|byte| **byte <= b' ' || RESERVED.contains(byte)) {
        Some(reserved) => Err(format!("must escape char in sub-filter-spec: '{}'", char::from(*reserved))),
        None => Ok(percent_encoding::percent_decode(part).collect::<Vec<u8>>().into()),
    }
}

/// `spec` as a part of `combine:`.
fn escaped(spec: &BStr) -> BString {
    let mut text = BString::default();
    for byte in spec.iter() {
        let is_plain = (b'!'..=b'~').contains(byte) && !RESERVED.contains(byte) && !b"%+".contains(byte);
        if is_plain {
            text.push(*byte);
        } else {
            text.extend_from_slice(format!("%{byte:02x}").as_bytes());
        }
    }
    text
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
            ("object:type=tag", FilterSpec::ObjectType(Kind::Tag)),
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
    fn several_filters_become_one() {
        let one = |specs: &[&str]| {
            let specs: Vec<BString> = specs.iter().map(|spec| BString::from(*spec)).collect();
            FilterSpec::combined(&specs).expect("they make sense").unwrap_or_default()
        };
        assert_eq!(one(&[]), "");
        assert_eq!(one(&["blob:limit=01m"]), "blob:limit=1048576");
        assert_eq!(one(&["blob:limit=1k", "tree:1"]), "combine:blob:limit=1k+tree:1");
        let nested = one(&["tree:1", "combine:tree:1+blob:none"]);
        assert_eq!(nested, "combine:tree:1+combine:tree:1%2bblob:none");
    }

    #[test]
    fn mistakes_are_told_in_gits_words() {
        for (spec, text) in [
            ("", "invalid filter-spec ''"),
            ("bogus", "invalid filter-spec 'bogus'"),
            ("blob:nonee", "invalid filter-spec 'blob:nonee'"),
            ("blob:limit=x", "invalid filter-spec 'blob:limit=x'"),
            ("blob:limit=", "invalid filter-spec 'blob:limit='"),
            ("tree:x", "expected 'tree:<depth>'"),
            ("object:type=x", "'x' for 'object:type=<type>' is not a valid object type"),
            ("sparse:path=x", "sparse:path filters support has been dropped"),
            ("combine:", "expected something after combine:"),
            ("combine:blob:none+tree:x", "expected 'tree:<depth>'"),
            ("combine:tree:1+", "expected 'tree:<depth>'"),
            ("combine:+tree:1", "invalid filter-spec ''"),
            ("combine:tree:1+blob:none(", "must escape char in sub-filter-spec: '('"),
        ] {
            assert_eq!(FilterSpec::parse(spec.into()), Err(text.to_owned()), "{spec}");
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
