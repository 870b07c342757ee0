//! URLs of submodules.

use bstr::ByteSlice;

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
        Some(url) => !has_line_feed(url) && is_normal(url),
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

/// Whether git can compare `url` with others: a scheme, a host and perhaps a port that may be, a path that stays below the
/// root, and nothing encoded that is not.
fn is_normal(url: &[u8]) -> bool {
    let Some((scheme, rest)) = url.split_once_str("://") else { return false };
    let is_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    if !scheme.first().is_some_and(u8::is_ascii_alphabetic) || !scheme.iter().all(is_scheme) {
        return false;
    }
    let (site, path) = rest.split_at(rest.find_byteset("/?#").unwrap_or(rest.len()));
    let host = site.split_once_str("@").map_or(site, |(_user, host)| host);
    let may_lack_host = scheme.eq_ignore_ascii_case(b"file");
    is_decodable(rest) && is_host(host, may_lack_host) && stays_below_root(path)
}

/// Whether two hexadecimal digits follow each `%`.
fn is_decodable(text: &[u8]) -> bool {
    text.split_str("%")
        .skip(1)
        .all(|code| matches!(code, [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()))
}

/// Whether `text` is `<host>[:<port>]`.
fn is_host(text: &[u8], may_be_empty: bool) -> bool {
    let colon = text.rfind_byteset(":]").filter(|at| text.get(*at) == Some(&b':'));
    let (host, port) = text.split_at(colon.unwrap_or(text.len()));
    let is_port = |port: &[u8]| {
        port.is_empty() || port.to_str().is_ok_and(|port| port.parse().is_ok_and(|port: u16| port > 0))
    };
    let digits = port.strip_prefix(b":").unwrap_or_default();
    let is_known = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_[]:".contains(byte);
    let has_host = !text.is_empty() && !text.starts_with(b":");
    (has_host || may_be_empty && digits.is_empty())
        && host.iter().all(is_known)
        && digits.iter().all(u8::is_ascii_digit)
        && is_port(digits)
}

/// Whether no `..` in `path` leads above its beginning.
fn stays_below_root(path: &[u8]) -> bool {
    let end = path.find_byteset("?#").unwrap_or(path.len());
    let (path, _rest) = path.split_at(end);
    let mut depth = 0_usize;
    path.strip_prefix(b"/").unwrap_or_default().split_str("/").all(|part| {
        let part = part.replace("%2e", ".").replace("%2E", ".");
        match part.as_slice() {
            b"." => {}
            b".." => match depth.checked_sub(1) {
                Some(above) => depth = above,
                None => return false,
            },
            _ => depth += 1,
        }
        true
    })
}
