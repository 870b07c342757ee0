//! What a partial clone may leave out: git-rev-list(1), `--filter=<filter-spec>`.

use bstr::{BStr, BString, ByteSlice};

use super::Error;

/// The one filter that `specs` come to, as git writes it down and sends it: `None` if there are none, several as
/// `combine:`, and sizes of one alone in full (seen in git 2.47.3).
pub fn combined(specs: &[BString]) -> Result<Option<BString>, Error> {
    for spec in specs {
        check(spec.as_bstr())?;
    }
    Ok(match specs {
        [] => None,
        [only] => Some(in_full(only)),
        several => {
            let parts: Vec<BString> = several.iter().map(|spec| escaped(spec.as_bstr())).collect();
            Some([b"combine:".as_slice(), &bstr::join("+", parts)].concat().into())
        }
    })
}

/// `spec` with the suffix of a size multiplied out.
fn in_full(spec: &BString) -> BString {
    let Some(limit) = spec.strip_prefix(b"blob:limit=") else { return spec.clone() };
    let (digits, shift) = match limit.split_last() {
        Some((b'k' | b'K', digits)) => (digits, 10),
        Some((b'm' | b'M', digits)) => (digits, 20),
        Some((b'g' | b'G', digits)) => (digits, 30),
        Some(_) | None => (limit, 0),
    };
    let number = digits.to_str().ok().and_then(|digits| digits.parse::<u64>().ok());
    match number.and_then(|number| number.checked_mul(1 << shift)) {
        Some(bytes) => format!("blob:limit={bytes}").into(),
        None => spec.clone(),
    }
}

/// What may not stand in a part of a combination as it is.
const RESERVED: &[u8] = b"~`!@#$^&*()[]{}\\;'\",<>?";

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

/// Checks that git knows what `spec` means, in its words, so that a mistake is told before anything is made.
pub fn check(spec: &BStr) -> Result<(), Error> {
    match complaint(spec) {
        Some(text) => Err(Error::Usage(text)),
        None => Ok(()),
    }
}

fn complaint(spec: &BStr) -> Option<String> {
    let invalid = || Some(format!("invalid filter-spec '{spec}'"));
    let (kind, argument) = spec.split_once_str(":").unwrap_or((spec, b""));
    match kind {
        b"blob" if argument == b"none" => None,
        b"blob" => match argument.strip_prefix(b"limit=") {
            Some(limit) if is_size(limit) => None,
            Some(_) | None => invalid(),
        },
        b"tree" if argument.to_str().is_ok_and(|depth| depth.parse::<u64>().is_ok()) => None,
        b"tree" => Some("expected 'tree:<depth>'".to_owned()),
        b"object" => match argument.strip_prefix(b"type=") {
            Some(b"blob" | b"tree" | b"commit" | b"tag") => None,
            Some(other) => {
                Some(format!("'{}' for 'object:type=<type>' is not a valid object type", other.as_bstr()))
            }
            None => invalid(),
        },
        b"sparse" if argument.starts_with(b"oid=") => None,
        b"sparse" if argument.starts_with(b"path=") => {
            Some("sparse:path filters support has been dropped".to_owned())
        }
        b"combine" if argument.is_empty() => Some("expected something after combine:".to_owned()),
        b"combine" => parts(argument).into_iter().find_map(|part| {
            if let Some(reserved) = part.iter().find(|byte| **byte <= b' ' || RESERVED.contains(byte)) {
                return Some(format!("must escape char in sub-filter-spec: '{}'", char::from(*reserved)));
            }
            let plain: Vec<u8> = percent_encoding::percent_decode(part).collect();
            complaint(plain.as_bstr())
        }),
        _ => invalid(),
    }
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

/// A number with or without a suffix k, m or g.
fn is_size(text: &[u8]) -> bool {
    let digits = match text.split_last() {
        Some((b'k' | b'K' | b'm' | b'M' | b'g' | b'G', digits)) => digits,
        Some(_) | None => text,
    };
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_filter_of_git_passes() {
        for spec in [
            "blob:none",
            "blob:limit=0",
            "blob:limit=10k",
            "tree:0",
            "object:type=tag",
            "sparse:oid=main:.sparse",
            "combine:blob:none+tree%3a3",
        ] {
            assert!(check(spec.into()).is_ok(), "{spec}");
        }
    }

    #[test]
    fn several_filters_become_one() {
        let one = |specs: &[&str]| {
            let specs: Vec<BString> = specs.iter().map(|spec| BString::from(*spec)).collect();
            combined(&specs).unwrap().unwrap_or_default()
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
            ("tree:x", "expected 'tree:<depth>'"),
            ("object:type=x", "'x' for 'object:type=<type>' is not a valid object type"),
            ("sparse:path=x", "sparse:path filters support has been dropped"),
            ("combine:", "expected something after combine:"),
            ("combine:blob:none+tree:x", "expected 'tree:<depth>'"),
            ("combine:tree:1+", "expected 'tree:<depth>'"),
            ("combine:+tree:1", "invalid filter-spec ''"),
            ("combine:tree:1+blob:none(", "must escape char in sub-filter-spec: '('"),
        ] {
            assert_eq!(check(spec.into()).unwrap_err().to_string(), text, "{spec}");
        }
    }
}
