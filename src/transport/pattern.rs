//! Patterns of URLs: git-config(1), `promisor.acceptFromServerUrl`.

use bstr::{BStr, ByteSlice};

use super::Url;
use crate::text::url::Normal;

/// A URL in whose host and path stars stand for anything that does not leave them. Different spellings of one URL match
/// alike, and users and passwords do not count.
#[derive(Debug, Clone)]
pub struct UrlPattern(Normal);

impl UrlPattern {
    /// Reads a pattern; `None` if it is no URL.
    pub fn parse(text: &BStr) -> Option<Self> {
        plain(text).and_then(Normal::pattern).map(Self)
    }

    /// Whether `url` is meant. What different programs could read differently is not.
    pub fn matches(&self, url: &BStr) -> bool {
        let Some(normal) = plain(url).and_then(Normal::parse) else { return false };
        let Ok(ours) = Url::parse(url) else { return false };
        ours.host.eq_ignore_ascii_case(normal.host().as_bytes()) && normal.is_one_of(&self.0, matches)
    }
}

/// Host, port and path of `url` in their normal spelling; `None` if it is no URL.
pub fn place_of(url: &BStr) -> Option<String> {
    let normal = plain(url).and_then(Normal::parse)?;
    let port = Url::parse(url).ok()?.port.map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{}{port}{}", normal.host(), normal.path()))
}

/// `text` without what is no part of a repository's URL, or is a slash to some.
fn plain(text: &BStr) -> Option<&str> {
    let is_odd = |letter: char| letter.is_control() || letter.is_whitespace() || "\\?#".contains(letter);
    text.to_str().ok().filter(|text| !text.contains(is_odd))
}

fn matches(pattern: &str, text: &str) -> bool {
    gix_glob::wildmatch(pattern.into(), text.into(), gix_glob::wildmatch::Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_meant(pattern: &str, url: &str) -> bool {
        UrlPattern::parse(pattern.into()).unwrap().matches(url.into())
    }

    #[test]
    fn stars_stay_in_their_part() {
        for (pattern, url, expected) in [
            ("https://git.test/org/*", "https://git.test/org/a/b.git", true),
            ("https://git.test/org/*", "https://GIT.test:443/org/%61", true),
            ("https://git.test/org/*", "https://me:secret@git.test/org/a", true),
            ("https://git.test/org/*", "https://git.test/org/../other/a", false),
            ("https://git.test/org/*", "https://git.test/org/%2e%2e/other/a", false),
            ("https://git.test/org/*", "https://git.test:8443/org/a", false),
            ("https://git.test/org/*", "http://git.test/org/a", false),
            ("https://git.test/org/*", "https://git.test.evil.test/org/a", false),
            ("https://*.git.test/*", "https://cdn.git.test/a", true),
            ("https://*.git.test/*", "https://evil.test/a.git.test/a", false),
            ("https://git.test:8080/*", "https://git.test:8080/a", true),
            ("ssh://git.test/*", "ssh://git@GIT.test/a", true),
            ("file:///srv/*", "file:///srv/a/b.git", true),
            ("file:///srv/*", "/srv/a", false),
            ("https://git.test/*", "ext::sh -c x", false),
        ] {
            assert_eq!(is_meant(pattern, url), expected, "{pattern} {url}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_not_meant() {
        for url in [
            "https://git.test\\@evil.test/a",
            "https://git.test/a?b",
            "https://git.test/a#b",
            "https://git.test/a\nb",
        ] {
            assert!(!is_meant("https://git.test/*", url), "{url}");
        }
        for pattern in ["", "git.test/*", "https://git.test/a?c"] {
            assert!(UrlPattern::parse(pattern.into()).is_none(), "{pattern}");
        }
    }

    #[test]
    fn the_place_of_a_url_is_its_host_port_and_path() {
        let place = |url: &str| place_of(url.into());
        assert_eq!(place("https://me@Git.test:8080/a/%62.git/").as_deref(), Some("git.test:8080/a/b.git"));
        assert_eq!(place("file:///srv/a").as_deref(), Some("/srv/a"));
        assert_eq!(place("/srv/a"), None);
    }
}
