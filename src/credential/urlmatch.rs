//! Which entries of `http.<url>.*` and `credential.<url>.*` hold for a URL: git-config(1), `http.<url>.*`.

use url::Url;

/// A URL in the form in which spellings that mean the same are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Normal {
    scheme: String,
    user: Option<String>,
    host: String,
    port: Option<u16>,
    /// Without its last slash, so that a prefix ends where a path element does.
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
    /// Takes `text` apart; `None` if it is no URL.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let user = Some(url.username()).filter(|name| !name.is_empty());
        Some(Self {
            scheme: url.scheme().to_owned(),
            user: user.map(normal_escapes),
            host: normal_escapes(url.host_str()?).to_ascii_lowercase(),
            port: url.port_or_known_default(),
            path: normal_escapes(url.path()).trim_end_matches('/').to_owned(),
        })
    }

    /// As [`Self::parse`], also for the files of this machine, whose host is empty.
    pub(crate) fn parse_any(text: &str) -> Option<Self> {
        Self::parse(text).or_else(|| {
            let url = Url::parse(text).ok().filter(|url| url.scheme() == "file")?;
            let path = normal_escapes(url.path()).trim_end_matches('/').to_owned();
            Some(Self { scheme: "file".to_owned(), user: None, host: String::new(), port: None, path })
        })
    }

    /// Whether `pattern`, whose host and path are shell patterns by `is_match`, stands for this URL, whoever the user is.
    pub(crate) fn is_one_of(&self, pattern: &Self, is_match: fn(&str, &str) -> bool) -> bool {
        self.scheme == pattern.scheme
            && self.port == pattern.port
            && is_match(&pattern.host, &self.host)
            && is_match(&pattern.path, &self.path)
    }

    /// The host.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The path, without a slash at its end.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// How well the entry for `pattern` fits this URL; `None` if it does not.
    pub(crate) fn fit(&self, pattern: &Self) -> Option<Fit> {
        let same_site = self.scheme == pattern.scheme && self.port == pattern.port;
        let user_fits = pattern.user.is_none() || pattern.user == self.user;
        let below = self.path.strip_prefix(&*pattern.path)?;
        let path_fits = below.is_empty() || below.starts_with('/');
        (same_site && user_fits && path_fits && host_fits(&pattern.host, &self.host)).then(|| Fit {
            host_len: pattern.host.len(),
            path_len: pattern.path.len() + 1,
            user: pattern.user.is_some(),
        })
    }
}

/// Whether `host` is what `pattern` says, where `*` stands for one whole label.
fn host_fits(pattern: &str, host: &str) -> bool {
    let mut labels = host.split('.');
    pattern.split('.').all(|wanted| labels.next().is_some_and(|label| wanted == "*" || wanted == label))
        && labels.next().is_none()
}

/// Undoes the percent-encoding of characters that need none and writes the rest in capitals: RFC 3986, 6.2.2.
fn normal_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let code = after
            .split_at_checked(2)
            .and_then(|(digits, following)| Some((u8::from_str_radix(digits, 16).ok()?, digits, following)));
        let Some((byte, digits, following)) = code else {
            out.push('%');
            rest = after;
            continue;
        };
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push_str(&digits.to_ascii_uppercase());
        }
        rest = following;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(pattern: &str, url: &str) -> Option<Fit> {
        Normal::parse(url).unwrap().fit(&Normal::parse(pattern).unwrap())
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
    }

    #[test]
    fn a_star_is_one_label() {
        assert!(fit("https://*.test", "https://git.test/").is_some());
        assert!(fit("https://*.test", "https://a.git.test/").is_none());
        assert!(fit("https://git.*.test", "https://git.a.test/").is_some());
    }

    #[test]
    fn the_longer_path_beats_the_user() {
        let url = "https://me@git.test/foo/bar";
        assert!(fit("https://git.test/foo", url) > fit("https://me@git.test", url));
        assert!(fit("https://me@git.test", url) > fit("https://git.test", url));
        assert!(fit("https://you@git.test", url).is_none());
    }
}
