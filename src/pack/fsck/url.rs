//! URLs of submodules.

use bstr::ByteSlice;

use crate::text::url::Normal;

/// What git itself speaks over curl.
const CURL_PROTOCOLS: [&str; 4] = ["http", "https", "ftp", "ftps"];

/// A URL may not look like an option, smuggle a line into what credential helpers are told, or make a relative URL
/// climb to another host. One that curl is given has to be one that git can bring into a normal form.
pub(super) fn is_safe(url: &[u8]) -> bool {
    if url.starts_with(b"-") {
        return false;
    }
    if is_relative(url) {
        return !has_line_feed(url) && !climbs_to_host(url);
    }
    let behind = |mark: &str| {
        let protocol = |protocol: &&str| url.strip_prefix(protocol.as_bytes())?.strip_prefix(mark.as_bytes());
        CURL_PROTOCOLS.iter().find_map(protocol)
    };
    match behind("::").or_else(|| behind("://").map(|_| url)) {
        Some(url) => !has_line_feed(url) && Normal::parse(url).is_some(),
        None => true,
    }
}

/// Whether `url` begins with `./` or `../`; a backslash is as good as a slash, as it is on some systems.
fn is_relative(url: &[u8]) -> bool {
    split_step(url).is_some()
}

/// Splits `./` or `../` off, and tells whether it was the latter.
fn split_step(url: &[u8]) -> Option<(bool, &[u8])> {
    match url {
        [b'.', b'/' | b'\\', rest @ ..] => Some((false, rest)),
        [b'.', b'.', b'/' | b'\\', rest @ ..] => Some((true, rest)),
        _ => None,
    }
}

/// Whether what follows the leading `..`s takes the place of a host.
fn climbs_to_host(url: &[u8]) -> bool {
    let (mut rest, mut has_climbed) = (url, false);
    while let Some((climbs, behind)) = split_step(rest) {
        (rest, has_climbed) = (behind, has_climbed || climbs);
    }
    has_climbed && matches!(rest.first(), Some(b':' | b'/'))
}

/// Whether a line feed is in `url`, plain or encoded. Git 2.47.3 overlooks an encoded one in front of a colon.
fn has_line_feed(url: &[u8]) -> bool {
    url.contains(&b'\n') || url.to_ascii_lowercase().contains_str("%0a")
}
