//! Which entries of `http.<url>.*` and `credential.<url>.*` hold for a URL: git-config(1), `http.<url>.*`.
//!
//! URLs are read as `git config --get-urlmatch` of git 2.47.3 does, which is stricter than web browsers: `http:/host` is no
//! URL, and `127.1` is another host than `127.0.0.1`.

use bstr::ByteSlice as _;

/// The characters of RFC 3986, 2.2: they mean something else where they are percent-encoded.
const RESERVED: &[u8] = b"!#$&'()*+,/:;=?@[]";

/// A URL in the form in which spellings that mean the same are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Normal {
    scheme: String,
    /// `Some` if there is an `@`, even with nothing before it.
    user: Option<String>,
    /// Empty for files of this machine alone.
    host: String,
    /// `None` if it is what the scheme has anyway.
    port: Option<u16>,
    /// With its first slash, query and fragment.
    path: String,
}

/// How well an entry fits; the greater the better. The order of the fields is git's order of precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Fit {
    host_len: usize,
    path_len: usize,
    user: bool,
}

impl Normal {
    /// Takes a URL apart; `None` if it is none to git.
    pub(crate) fn parse(text: &(impl AsRef<[u8]> + ?Sized)) -> Option<Self> {
        Self::read(text.as_ref(), |_| false)
    }

    /// As [`Self::parse`], for a pattern, in whose host there may be stars.
    pub(crate) fn pattern(text: &(impl AsRef<[u8]> + ?Sized)) -> Option<Self> {
        Self::read(text.as_ref(), |byte| byte == b'*')
    }

    fn read(text: &[u8], is_wild: fn(u8) -> bool) -> Option<Self> {
        let (scheme, rest) = text.split_once_str("://")?;
        let is_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
        if !scheme.first()?.is_ascii_alphabetic() || !scheme.iter().all(is_scheme) {
            return None;
        }
        let scheme = scheme.to_str().ok()?.to_ascii_lowercase();
        let (authority, path) = rest.split_at(rest.find_byteset(b"/?#").unwrap_or(rest.len()));
        let (login, place) = match authority.split_once_str("@") {
            Some((login, place)) => (Some(normal_escapes(login)?), place),
            None => (None, authority),
        };
        let (host, port) = split_port(place)?;
        let is_host = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(byte) || is_wild(*byte);
        if host.starts_with(b":") || !host.iter().all(is_host) {
            return None;
        }
        if host.is_empty() && (scheme != "file" || port.is_some()) {
            return None;
        }
        let port_default = match &*scheme {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        };
        Some(Self {
            user: login.map(|login| login.split(':').next().unwrap_or_default().to_owned()),
            host: host.to_str().ok()?.to_ascii_lowercase(),
            port: port.filter(|_| port != port_default),
            path: without_dots(&normal_escapes(path)?)?,
            scheme,
        })
    }

    /// Whether `pattern`, whose host and path are shell patterns by `is_match`, stands for this URL, whoever the user is.
    pub(crate) fn is_one_of(&self, pattern: &Self, is_match: fn(&str, &str) -> bool) -> bool {
        self.scheme == pattern.scheme
            && self.port == pattern.port
            && is_match(&pattern.host, &self.host)
            && is_match(pattern.path(), self.path())
    }

    /// The host.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The path, without slashes at its end.
    pub(crate) fn path(&self) -> &str {
        self.path.trim_end_matches('/')
    }

    /// How well the entry for `pattern` fits this URL; `None` if it does not.
    pub(crate) fn fit(&self, pattern: &Self) -> Option<Fit> {
        let same_site = self.scheme == pattern.scheme && self.port == pattern.port;
        let user_fits = pattern.user.is_none() || pattern.user == self.user;
        // without its last slash a prefix ends where a path element does
        let prefix = pattern.path.strip_suffix('/').unwrap_or(&pattern.path);
        let below = self.path.strip_prefix(prefix)?;
        let path_fits = below.is_empty() || below.starts_with('/');
        (same_site && user_fits && path_fits && host_fits(&pattern.host, &self.host)).then(|| Fit {
            host_len: pattern.host.len(),
            path_len: prefix.len() + 1,
            user: pattern.user.is_some(),
        })
    }
}

/// Whether `host` is what `pattern` says, where `*` stands for one whole label. A dot at the end says nothing.
fn host_fits(pattern: &str, host: &str) -> bool {
    let [pattern, host] = [pattern, host].map(|name| name.strip_suffix('.').unwrap_or(name));
    let mut labels = host.split('.');
    pattern.split('.').all(|wanted| labels.next().is_some_and(|label| wanted == "*" || wanted == label))
        && labels.next().is_none()
}

/// Cuts the port off a host, whose brackets may hold colons; `None` if it is none that there can be.
fn split_port(place: &[u8]) -> Option<(&[u8], Option<u16>)> {
    let inside = place.rfind_byte(b']').unwrap_or(0);
    let Some(colon) = place.rfind_byte(b':').filter(|&colon| colon >= inside) else {
        return Some((place, None));
    };
    let (host, digits) = (place.get(..colon)?, place.get(colon + 1..)?);
    if digits.is_empty() {
        return Some((host, None));
    }
    // as a number of Rust's it could have a sign
    let digits = digits.to_str().ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    let port = digits.trim_start_matches('0').parse::<u16>().ok()?;
    Some((host, Some(port)))
}

/// Undoes the percent-encoding of characters that need none, writes the rest in capitals and encodes what has to be:
/// RFC 3986, 6.2.2. `None` if a `%` has no two digits behind it.
fn normal_escapes(text: &[u8]) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        let (byte, is_encoded, following) = if first == b'%' {
            let (digits, following) = after.split_at_checked(2)?;
            let digit = |at: usize| digits.get(at).and_then(|&digit| char::from(digit).to_digit(16));
            (u8::try_from(digit(0)? << 4 | digit(1)?).ok()?, true, following)
        } else {
            (first, false, after)
        };
        let is_plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if is_plain || (!is_encoded && RESERVED.contains(&byte)) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        rest = following;
    }
    Some(out)
}

/// Resolves `.` and `..` in the path of what follows a host, which then begins with a slash; `None` if they lead out of it.
fn without_dots(text: &str) -> Option<String> {
    let (path, tail) = text.split_at(text.find(['?', '#']).unwrap_or(text.len()));
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_dots = matches!(segment, "." | "..");
        if segment == ".." {
            kept.pop()?;
        }
        if !is_dots {
            kept.push(segment);
        } else if segments.peek().is_none() {
            kept.push("");
        }
    }
    Some(format!("/{}{tail}", kept.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(pattern: &str, url: &str) -> Option<Fit> {
        Normal::parse(url)?.fit(&Normal::pattern(pattern)?)
    }

    #[test]
    fn every_part_must_fit() {
        assert!(fit("https://git.test", "https://git.test/a/b.git").is_some());
        assert!(fit("https://GIT.test:443/", "https://git.test/a").is_some());
        assert!(fit("http://git.test", "https://git.test/").is_none());
        assert!(fit("https://git.test:8443", "https://git.test/").is_none());
        assert!(fit("https://other.test", "https://git.test/").is_none());
    }

    #[test]
    fn a_path_fits_at_slashes_only() {
        assert!(fit("https://git.test/a", "https://git.test/a").is_some());
        assert!(fit("https://git.test/a/", "https://git.test/a/b").is_some());
        assert!(fit("https://git.test/a", "https://git.test/ab").is_none());
        assert!(fit("https://git.test/%7eme", "https://git.test/~me/x").is_some());
        assert!(fit("https://git.test/a%2fb", "https://git.test/a%2Fb/x").is_some());
        assert!(fit("https://git.test/a//", "https://git.test/a/b").is_none());
        assert!(fit("https://git.test/r?x", "https://git.test/r").is_none());
        assert!(fit("https://git.test/r", "https://git.test/r?x").is_none());
        assert!(fit("https://git.test", "https://git.test#x").is_some());
    }

    #[test]
    fn a_star_is_one_label() {
        assert!(fit("https://*.test", "https://git.test/").is_some());
        assert!(fit("https://*.test", "https://a.git.test/").is_none());
        assert!(fit("https://git.*.test", "https://git.a.test/").is_some());
        assert!(fit("http://*.0.0.1", "http://127.0.0.1/").is_some());
        assert!(fit("http://*.test.", "http://git.test/").is_some());
        assert!(fit("http://git.test..", "http://git.test/").is_none());
    }

    #[test]
    fn only_what_git_takes_for_a_url_is_one() {
        for url in [
            "http:/git.test",
            "http:\\\\git.test",
            " http://git.test",
            "1http://git.test",
            "http:///git.test",
            "http://git.test:0",
            "http://git.test:65536",
            "http://git.test:+80",
            "http://::1",
            "http://git.test\\r",
            "http://git test",
            "http://git%2etest",
            "http://*.test",
            "http://a@b@git.test",
            "http://a%zz@git.test",
            "http://git.test/%4",
            "http://git.test/a/../..",
            "http://git.test/%2E%2E/",
            "file://:1/x",
        ] {
            assert!(Normal::parse(url).is_none(), "{url}");
        }
        for url in
            ["http://git.test:00080", "http://[::1]:80/", "http://a\\@git.test", "file:///x", "x+y://z"]
        {
            assert!(Normal::parse(url).is_some(), "{url}");
        }
    }

    #[test]
    fn spellings_of_one_url_are_the_same() {
        for (one, other) in [
            ("HTTP://GIT.test", "http://git.test:80/"),
            ("http://git.test:", "http://git.test"),
            ("http://git.test/a/./b/../%63", "http://git.test/a/c"),
            ("http://git.test/a/..", "http://git.test"),
            ("http://git.test/a b\\", "http://git.test/a%20b%5c"),
            ("http://%75:x@git.test", "http://u:y@git.test"),
            ("http://git.test?x", "http://git.test/?x"),
        ] {
            assert_eq!(Normal::parse(one).unwrap(), Normal::parse(other).unwrap(), "{one} {other}");
        }
        for (one, other) in [
            ("http://git.test/a?x/../b", "http://git.test/a?b"),
            ("http://git.test/a%2fb", "http://git.test/a/b"),
            ("http://git.test/a//b", "http://git.test/a/b"),
            ("http://:p@git.test", "http://git.test"),
            ("ftp://git.test:21", "ftp://git.test"),
            ("http://127.1", "http://127.0.0.1"),
        ] {
            assert_ne!(Normal::parse(one).unwrap(), Normal::parse(other).unwrap(), "{one} {other}");
        }
    }

    #[test]
    fn the_longer_path_beats_the_user() {
        let url = "https://me@git.test/foo/bar";
        assert!(fit("https://git.test/foo", url) > fit("https://me@git.test", url));
        assert!(fit("https://me@git.test", url) > fit("https://git.test", url));
        assert!(fit("https://you@git.test", url).is_none());
    }
}
