//! Who the user is: what a transport asks when a server wants to know.
//!
//! ```text
//! CredentialProvider ── Helpers ── helper programs (credential.helper), one after the other
//!                         └─────── Prompt: an askpass program, else the terminal
//! ```
//!
//! A transport knows only [`CredentialProvider`]. [`Helpers`] is the one that `gitcredentials(7)` describes; a
//! [`Description`] is what it and the helper programs tell each other. [`Prompt`] asks a person and nobody else.

mod configuration;
mod description;
mod helper;
mod prompt;
#[cfg(unix)]
mod terminal;

pub use configuration::{Configuration, Entry};
pub use description::{Capabilities, Description, Listener, Speaker};
pub use helper::Helpers;
pub use prompt::Prompt;

/// Knows, or finds out, who the user is.
///
/// A transport asks it only after a server has refused to serve strangers, and tells it what became of the answer. It is
/// shared by all connections of a transport, so it keeps its state behind a lock.
pub trait CredentialProvider: Send + Sync {
    /// The credential for `target`; `None` if this provider has none to give. `www_authenticate` holds the
    /// server's `WWW-Authenticate` values in the order they came.
    fn fill(&self, target: &Target, www_authenticate: &[String]) -> Result<Option<Credential>, Error>;
    /// The credential of the next round, after `previous` was sent and [is continued](Credential::is_continued).
    fn proceed(
        &self,
        target: &Target,
        previous: &Credential,
        www_authenticate: &[String],
    ) -> Result<Option<Credential>, Error> {
        let target = Target { username: Some(previous.username.clone()), ..target.clone() };
        self.fill(&target, www_authenticate)
    }
    /// Takes note that `credential` was accepted: worth storing.
    fn approve(&self, target: &Target, credential: &Credential);
    /// Takes note that `credential` was refused: not to be offered again.
    fn reject(&self, target: &Target, credential: &Credential);
}

/// What a credential is for: `gitcredentials(7)`, the fields of a credential context.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Target {
    /// The protocol, such as `https`.
    pub protocol: String,
    /// The host, with `:port` if the URL names a port.
    pub host: String,
    /// The path on the host, without its first slash; helpers hear it only if `credential.useHttpPath` says so.
    pub path: Option<String>,
    /// The user name, where it is known already.
    pub username: Option<String>,
}

impl Target {
    /// As a description of which nothing else is known.
    pub fn description(&self) -> Description {
        Description {
            protocol: Some(self.protocol.clone()),
            host: Some(self.host.clone()),
            path: self.path.clone(),
            username: self.username.clone(),
            allows_other_username: self.username.as_ref().is_some_and(String::is_empty),
            ..Description::default()
        }
    }
}

/// What a server is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// The name.
    pub username: String,
    /// The secret.
    pub password: Secret,
    /// Scheme and credentials to send as they are, in place of name and password: `Bearer` and a token.
    pub authorization: Option<(String, Secret)>,
    /// What the provider wants to hear again; `None` if it came from elsewhere.
    details: Option<Box<Description>>,
    /// With which words it was refused.
    refusal: Vec<String>,
}

impl Credential {
    /// A name and its secret.
    pub fn new(username: impl Into<String>, password: Secret) -> Self {
        Self { username: username.into(), password, authorization: None, details: None, refusal: Vec::new() }
    }

    /// Notes the `WWW-Authenticate` values with which a server refused it, for [`CredentialProvider::reject`].
    #[must_use]
    pub fn refused_by(self, www_authenticate: &[String]) -> Self {
        Self { refusal: www_authenticate.to_vec(), ..self }
    }

    /// Whether the server will ask for another round: [`CredentialProvider::proceed`].
    pub fn is_continued(&self) -> bool {
        self.details.as_ref().is_some_and(|details| details.is_continued)
    }

    fn from_description(description: Description) -> Self {
        let scheme = description.authtype.clone();
        Self {
            username: description.username.clone().unwrap_or_default(),
            password: description.password.clone().unwrap_or_else(|| Secret::new("")),
            authorization: scheme.zip(description.credential.clone()),
            details: Some(Box::new(description)),
            refusal: Vec::new(),
        }
    }

    /// What helpers are told of it.
    fn description(&self, target: &Target) -> Description {
        let description = match &self.details {
            Some(details) => (**details).clone(),
            None => Description {
                username: Some(self.username.clone()),
                password: Some(self.password.clone()),
                ..target.description()
            },
        };
        Description { challenges: self.refusal.clone(), ..description }
    }
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
        /// See [`Description::describe`].
        url: String,
        /// Why: `terminal prompts disabled`, or what the operating system said.
        reason: String,
    },
    /// Nobody may be asked (`credential.interactive`).
    #[error("unable to get password from user")]
    NotInteractive,
    /// A helper said that nobody else is to be asked.
    #[error("credential helper '{0}' told us to quit")]
    Quit(String),
    /// It is not said what the credential is for.
    #[error("refusing to work with credential missing {0} field")]
    MissingField(&'static str),
    /// A value would be read as several lines by a helper.
    #[error("credential value for {key} contains {what}")]
    UnsafeValue {
        /// Which value it is.
        key: &'static str,
        /// What it has that it must not.
        what: &'static str,
    },
    /// A value would be read as several lines by some helpers.
    #[error(
        "credential value for {key} contains carriage return\nIf this is intended, set `credential.protectProtocol=false`"
    )]
    CarriageReturn {
        /// Which value it is.
        key: &'static str,
    },
    /// A URL cannot be used. git prints `reason` behind `warning: ` first.
    #[error("credential url cannot be parsed: {url}")]
    Url {
        /// Why.
        reason: String,
        /// The URL.
        url: String,
    },
    /// A line of a description has no `=`.
    #[error("invalid credential line: {0}")]
    Line(String),
    /// A description could not be read.
    #[error("unable to read credential: {0}")]
    Read(#[source] std::io::Error),
    /// An entry of the configuration is wrong.
    #[error("{0}")]
    Config(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "<redacted>");
        let credential = Credential::new("alice", Secret::new("hunter2"));
        assert!(!format!("{credential:?}").contains("hunter2"));
    }
}
