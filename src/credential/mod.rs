//! Who the user is: what a transport asks when a server wants to know.
//!
//! A transport knows only [`CredentialProvider`]. [`Prompt`] is the provider that asks a person: through an askpass
//! program where there is one, else on the terminal.

mod prompt;
#[cfg(unix)]
mod terminal;

pub use prompt::Prompt;

/// Knows, or finds out, who the user is.
///
/// A transport asks it only after a server has refused to serve strangers, and tells it what became of the answer. It is
/// shared by all connections of a transport, so it keeps its state behind a lock.
pub trait CredentialProvider: Send + Sync {
    /// The credential for `target`; `None` if this provider has none to give. `www_authenticate` holds the
    /// server's `WWW-Authenticate` values in the order they came.
    fn fill(&self, target: &Target, www_authenticate: &[String]) -> Result<Option<Credential>, Error>;
    /// Takes note that `credential` was accepted: worth storing.
    fn approve(&self, target: &Target, credential: &Credential);
    /// Takes note that `credential` was refused: not to be offered again.
    fn reject(&self, target: &Target, credential: &Credential);
}

/// What a credential is for: `gitcredentials(7)`, the fields of a credential context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The protocol, such as `https`.
    pub protocol: String,
    /// The host, with `:port` if the URL names a port.
    pub host: String,
    /// The user name, where it is known already.
    pub username: Option<String>,
}

impl Target {
    /// The URL shown in prompts and messages, such as `https://alice@example.com:8443`. Whatever could upset a
    /// terminal is percent-encoded, as `credential.sanitizePrompt` has it.
    pub fn describe(&self) -> String {
        let user = self.username.as_deref().map(|name| format!("{}@", encode(name, b"")));
        format!("{}://{}{}", self.protocol, user.unwrap_or_default(), encode(&self.host, b":[]"))
    }

    /// Refuses fields that would break the line protocol of credential helpers and so fetch the secret of another
    /// host (CVE-2020-5260, CVE-2024-52006).
    pub fn check(&self) -> Result<(), Error> {
        let username = self.username.as_deref().unwrap_or_default();
        for (field, value) in [("protocol", &*self.protocol), ("host", &*self.host), ("username", username)] {
            if value.contains(['\n', '\r', '\0']) {
                return Err(Error::UnsafeField { field, url: self.describe() });
            }
        }
        Ok(())
    }
}

/// A user name and its secret.
#[derive(Clone)]
pub struct Credential {
    /// The name.
    pub username: String,
    /// The secret.
    pub password: Secret,
}

/// Text that must reach no log: its `Debug` says only that there is one.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<redacted>")
    }
}

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// Why no credential could be had. The messages are C git's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nobody could be asked.
    #[error("could not read {field} for '{url}': {reason}")]
    Unreadable {
        /// `Username` or `Password`.
        field: &'static str,
        /// See [`Target::describe`].
        url: String,
        /// Why: `terminal prompts disabled`, or what the operating system said.
        reason: String,
    },
    /// The URL would mislead a credential helper.
    #[error("url contains a newline in its {field} component: {url}")]
    UnsafeField {
        /// Which part of the URL it is.
        field: &'static str,
        /// See [`Target::describe`].
        url: String,
    },
}

/// Percent-encodes everything but the unreserved characters of RFC 3986 and those in `keep`.
fn encode(text: &str, keep: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || keep.contains(&byte) {
            out.push(char::from(byte));
        } else {
            // writing to a String cannot fail
            let _: Result<(), std::fmt::Error> = write!(out, "%{byte:02x}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(host: &str, username: Option<&str>) -> Target {
        Target { protocol: "https".into(), host: host.into(), username: username.map(Into::into) }
    }

    #[test]
    fn a_description_is_safe_to_show() {
        assert_eq!(target("git.test:8443", Some("a@b")).describe(), "https://a%40b@git.test:8443");
        assert_eq!(target("[::1]:80", None).describe(), "https://[::1]:80");
        assert_eq!(target("x\u{1b}[31m", None).describe(), "https://x%1b[31m");
    }

    #[test]
    fn fields_that_hold_a_line_break_are_refused() {
        assert!(target("git.test", Some("alice")).check().is_ok());
        assert!(target("git.test\nhost=evil", None).check().is_err());
        assert!(target("git.test", Some("alice\rx")).check().is_err());
    }

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "<redacted>");
    }
}
