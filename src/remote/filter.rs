//! What a partial clone may leave out: git-rev-list(1), `--filter=<filter-spec>`.

use bstr::{BStr, ByteSlice};

use super::Error;

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
        b"combine" => argument.split_str("+").find_map(|part| {
            // What is escaped, such as a combination within another, is left to the server.
            if part.contains(&b'%') { None } else { complaint(part.as_bstr()) }
        }),
        _ => invalid(),
    }
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
        ] {
            assert_eq!(check(spec.into()).unwrap_err().to_string(), text, "{spec}");
        }
    }
}
