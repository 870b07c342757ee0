//! The URL of a repository, taken apart once for all who ask it something: which settings hold, which server is asked,
//! whose credential is meant.
//!
//! If one of them took another part of it for the host, a server would hear what is meant for another one.

use url::{Host, Url};

use super::failure::Failure;

/// A URL as the user wrote it. The host ends where curl has it end, and the last `@` before that is the one that counts.
pub(super) struct Address<'a> {
    scheme: &'a str,
    /// User and password as they are written.
    login: Option<&'a str>,
    /// With the port.
    place: &'a str,
    /// With query and fragment.
    path: &'a str,
}

impl<'a> Address<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (login, place) = match authority.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, authority),
        };
        Self { scheme, login, place, path }
    }

    /// The text without user and password, ending in a slash.
    pub(super) fn base(&self) -> String {
        let slash = if self.path.ends_with('/') { "" } else { "/" };
        format!("{}://{}{}{slash}", self.scheme, self.place, self.path)
    }

    /// The text that entries of `http.<url>.*` are compared with: they know but one `@`.
    pub(super) fn matched(&self) -> String {
        let login = self.login.map(|login| format!("{}@", login.replace('@', "%40")));
        format!("{}://{}{}{}", self.scheme, login.unwrap_or_default(), self.place, self.path)
    }

    /// The host without its port.
    fn host(&self) -> &'a str {
        match self.place.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => host,
            Some(_) | None => self.place,
        }
    }
}

/// `text`, which names no user, as the library for requests has it.
///
/// The library mends URLs as browsers do: it drops line breaks, takes `\` for a slash and so finds a host where there is
/// none. What it would mend in a host is refused here, in curl's words.
pub(super) fn request_url(text: &str) -> Result<Url, Failure> {
    let malformed = || Failure::new(3, "URL using bad/illegal format or missing URL");
    let address = Address::new(text);
    let has_no_host = address.place.is_empty() && address.path.starts_with("//");
    if text.contains(|letter: char| letter.is_ascii_control()) || address.place.contains('\\') || has_no_host
    {
        return Err(malformed());
    }
    let path = address.path.replace('\\', "%5C");
    let whole = format!("{}://{}{path}", address.scheme, address.place);
    let url = Url::parse(&whole).map_err(|_| malformed())?;
    // a dot at the end makes a name of it, which no server of names knows
    if matches!(url.host(), Some(Host::Ipv4(_))) && address.host().ends_with('.') {
        return Err(Failure::new(6, format!("Could not resolve host: {}", address.host())));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_agree_on_the_host() {
        for (text, matched, base) in [
            ("http://a.test#@b.test/r", "http://a.test#@b.test/r", "http://a.test#@b.test/r/"),
            ("http://a.test\\@b.test/r", "http://a.test\\@b.test/r", "http://b.test/r/"),
            ("http://x@y@b.test:80/r/", "http://x%40y@b.test:80/r/", "http://b.test:80/r/"),
            ("http://a.test?@b.test", "http://a.test?@b.test", "http://a.test?@b.test/"),
        ] {
            let address = Address::new(text);
            assert_eq!((address.matched().as_str(), address.base().as_str()), (matched, base));
        }
    }

    #[test]
    fn what_a_browser_would_mend_is_refused() {
        for text in [
            "http://a.test\\r/",
            "http://a.t\nest/",
            "http://a.test/\t",
            "http:////a.test/",
            "http:///\\a.test/",
        ] {
            let failure = request_url(text).unwrap_err();
            assert_eq!(failure.message, "URL using bad/illegal format or missing URL", "{text:?}");
        }
        let failure = request_url("http://127.0.0.1.:80/r").unwrap_err();
        assert_eq!(failure.message, "Could not resolve host: 127.0.0.1.");
        assert_eq!(request_url("http://a.test/b\\c").unwrap().path(), "/b%5Cc");
    }
}
