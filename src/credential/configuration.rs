//! `credential.*` and `credential.<url>.*`: gitcredentials(7), "CONFIGURATION OPTIONS".

use std::ffi::OsString;

use super::description::{decode, is_true};
use super::{Description, Error};
use crate::text::url::Normal;

/// What configuration and environment say about credentials.
#[derive(Debug, Clone, Default)]
pub struct Configuration {
    /// The entries of the section `credential` in order of definition.
    pub entries: Vec<Entry>,
    /// The program that asks the user; see [`Prompt::askpass`](super::Prompt::askpass).
    pub askpass: Option<OsString>,
    /// Whether the terminal must be left alone (`GIT_TERMINAL_PROMPT=0`).
    pub terminal_disabled: bool,
    /// The environment of helpers and askpass programs; that of this process if `None`.
    pub environment: Option<Vec<(OsString, OsString)>>,
    /// Who is told of what is not as it should be and does not end the work.
    pub warning: Option<fn(&str)>,
}

/// One line of configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The URL, or a part of one, that it is for; `None` if it is for all.
    pub url: Option<String>,
    /// The key, in lower case.
    pub key: String,
    /// The value; `None` if the key stands alone.
    pub value: Option<String>,
}

/// What holds for one credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Applied {
    /// The helpers to ask, in order.
    pub(super) helpers: Vec<String>,
    /// Whether prompts are made harmless.
    pub(super) sanitizes: bool,
    /// Whether a person may be asked.
    pub(super) is_interactive: bool,
}

impl Configuration {
    /// Completes `description` by what the configuration says of it, and gives what else holds for it.
    ///
    /// # Errors
    ///
    /// [`Error::MissingField`] if it is for nothing; [`Error::Config`] for a value of the wrong kind.
    pub(super) fn apply(&self, description: &mut Description) -> Result<Applied, Error> {
        if description.host.is_none() {
            return Err(Error::MissingField("host"));
        }
        if description.protocol.is_none() {
            return Err(Error::MissingField("protocol"));
        }
        let url = context(description);
        let mut applied = Applied { helpers: Vec::new(), sanitizes: true, is_interactive: true };
        let (mut username, mut uses_path) = (None, false);
        for entry in &self.entries {
            if entry.url.as_ref().is_some_and(|pattern| !self.fits(pattern, url.as_ref(), description)) {
                continue;
            }
            match entry.key.as_str() {
                "helper" => match entry.value.as_deref() {
                    None => return Err(Error::Config("missing value for 'credential.helper'".into())),
                    Some("") => applied.helpers.clear(),
                    Some(helper) => applied.helpers.push(helper.to_owned()),
                },
                "username" => username.clone_from(&entry.value),
                "usehttppath" => uses_path = entry.boolean()?,
                "protectprotocol" => description.allows_carriage_return = !entry.boolean()?,
                "sanitizeprompt" => applied.sanitizes = entry.boolean()?,
                // `never` is what Git Credential Manager calls it
                "interactive" => applied.is_interactive = entry.value.as_deref().is_none_or(is_true),
                _ => {}
            }
        }
        let is_weak = description.allows_other_username;
        if description.username.as_ref().is_none_or(|name| is_weak && name.is_empty()) {
            description.username = username.or(description.username.take());
        }
        if !uses_path && matches!(description.protocol.as_deref(), Some("http" | "https")) {
            description.path = None;
        }
        Ok(applied)
    }

    pub(super) fn warn(&self, text: &str) {
        if let Some(warning) = self.warning {
            warning(text);
        }
    }

    /// Whether an entry for `pattern` holds: a URL by the rules of `http.<url>.*`, else the parts of a URL, each of which
    /// must be equal.
    fn fits(&self, pattern: &str, url: Option<&Normal>, description: &Description) -> bool {
        let parts = Parts::of(pattern);
        if let Some(name) = parts.broken() {
            self.warn(&format!("url contains a newline in its {name} component: {pattern}"));
            self.warn(&format!("skipping credential lookup for key: credential.{pattern}"));
            return false;
        }
        match (url, Normal::pattern(pattern)) {
            (Some(url), Some(pattern)) => url.fit(&pattern).is_some(),
            (Some(_) | None, _) => parts.fit(description),
        }
    }
}

/// What there is of a URL; a part that is empty says nothing.
struct Parts {
    protocol: String,
    username: String,
    host: String,
    path: String,
}

impl Parts {
    fn of(pattern: &str) -> Self {
        let (protocol, rest) = pattern.split_once("://").unwrap_or(("", pattern));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (username, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        Self {
            protocol: protocol.to_owned(),
            username: decode(username),
            host: decode(host),
            path: decode(path.trim_matches('/')),
        }
    }

    /// The name of a part that has a line feed.
    fn broken(&self) -> Option<&'static str> {
        let parts = [("username", &self.username), ("host", &self.host), ("path", &self.path)];
        parts.iter().find(|(_, part)| part.contains('\n')).map(|(name, _)| *name)
    }

    fn fit(&self, description: &Description) -> bool {
        let is_equal = |wanted: &String, found: &Option<String>| {
            wanted.is_empty() || found.as_ref().is_some_and(|found| found == wanted)
        };
        is_equal(&self.protocol, &description.protocol)
            && is_equal(&self.username, &description.username)
            && is_equal(&self.host, &description.host)
            && is_equal(&self.path, &description.path)
    }
}

impl Entry {
    fn boolean(&self) -> Result<bool, Error> {
        let value = self.value.as_deref().unwrap_or("true");
        let is_false = matches!(&*value.to_ascii_lowercase(), "false" | "no" | "off" | "" | "0");
        if is_true(value) == is_false {
            let key = &self.key;
            return Err(Error::Config(format!("bad boolean config value '{value}' for 'credential.{key}'")));
        }
        Ok(!is_false)
    }
}

/// What a description is for, as a URL that patterns are compared with; `None` if it makes none.
fn context(description: &Description) -> Option<Normal> {
    Normal::parse(&description.describe(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(url: Option<&str>, key: &str, value: &str) -> Entry {
        Entry { url: url.map(Into::into), key: key.into(), value: Some(value.into()) }
    }

    fn apply(entries: &[Entry], url: &str) -> (Description, Applied) {
        let configuration = Configuration { entries: entries.to_vec(), ..Configuration::default() };
        let mut description = Description::from_url(url).unwrap();
        let applied = configuration.apply(&mut description).unwrap();
        (description, applied)
    }

    #[test]
    fn helpers_add_up_and_an_empty_one_takes_them_back() {
        let entries = [
            entry(None, "helper", "a"),
            entry(None, "helper", ""),
            entry(None, "helper", "b"),
            entry(Some("https://git.test"), "helper", "c"),
            entry(Some("https://other.test"), "helper", "d"),
        ];
        assert_eq!(apply(&entries, "https://git.test/x").1.helpers, ["b", "c"]);
    }

    #[test]
    fn the_last_name_counts_unless_the_url_has_one() {
        let entries =
            [entry(Some("https://git.test"), "username", "first"), entry(None, "username", "second")];
        assert_eq!(apply(&entries, "https://git.test/x").0.username.as_deref(), Some("second"));
        assert_eq!(apply(&entries, "https://me@git.test/x").0.username.as_deref(), Some("me"));
        assert_eq!(apply(&entries, "https://@git.test/x").0.username.as_deref(), Some("second"));
        assert_eq!(apply(&[], "https://@git.test/x").0.username.as_deref(), Some(""));
        let entries = [entry(Some("https://@git.test"), "username", "nobody")];
        assert_eq!(apply(&entries, "https://git.test/x").0.username, None);
    }

    #[test]
    fn a_host_that_no_url_can_have_is_compared_as_it_is() {
        let entries = [entry(Some("https://a%20b/"), "helper", "yes")];
        assert_eq!(apply(&entries, "https://a b/").1.helpers, ["yes"]);
        let entries = [entry(Some("with%0anewline"), "helper", "no")];
        assert!(apply(&entries, "https://a b/").1.helpers.is_empty());
    }

    #[test]
    fn parts_of_a_url_fit_what_is_equal() {
        for (pattern, fits) in [
            ("git.test", true),
            ("user@git.test", true),
            ("you@git.test", false),
            ("https://", true),
            ("http://", false),
            ("git.test/a", false),
            ("git.test/a/b", true),
            ("*.test", false),
            ("https://*.test", true),
            ("https://git.test/a", true),
        ] {
            let entries = [entry(Some(pattern), "helper", "yes"), entry(None, "usehttppath", "true")];
            let (_, applied) = apply(&entries, "https://user@git.test/a/b");
            assert_eq!(!applied.helpers.is_empty(), fits, "{pattern}");
        }
    }

    #[test]
    fn paths_of_web_servers_are_kept_on_request() {
        assert_eq!(apply(&[], "https://git.test/a/b").0.path, None);
        let entries = [entry(None, "usehttppath", "1")];
        assert_eq!(apply(&entries, "https://git.test/a/b").0.path.as_deref(), Some("a/b"));
        assert_eq!(apply(&[], "cert:///a/b").0.path.as_deref(), Some("a/b"));
    }

    #[test]
    fn a_credential_for_nothing_is_refused() {
        let mut description = Description { protocol: Some("https".into()), ..Description::default() };
        let error = Configuration::default().apply(&mut description).unwrap_err();
        assert_eq!(error.to_string(), "refusing to work with credential missing host field");
    }
}
