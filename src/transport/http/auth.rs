//! Who we are to one server: nobody until it asks, then a credential that is kept while it works.
//!
//! ```text
//! Anonymous --401--> Offered --any answer but 401--> Accepted
//!                       \------401-----> (rejected: an error)
//! ```

use std::sync::Arc;

use bstr::ByteSlice as _;
use url::{Origin, Url};

use super::super::{self as transport, Error};
use crate::credential::{Credential, CredentialProvider, Secret, Target};

/// The state of our acquaintance with one origin; no credential leaves for another.
#[derive(Clone)]
pub(super) struct Authentication {
    provider: Arc<dyn CredentialProvider>,
    origin: Origin,
    target: Target,
    /// The password of the URL, if it is not tried yet.
    given: Option<Credential>,
    state: State,
}

#[derive(Clone)]
enum State {
    /// Nothing is sent: C git and curl wait for the server to ask, too.
    Anonymous,
    /// Sent, not yet judged.
    Offered(Credential),
    /// Known to work.
    Accepted(Credential),
}

/// Why there is no use in another try.
#[derive(Debug)]
pub(super) enum Denied {
    /// The server refused the credential.
    Rejected,
    /// No credential was to be had.
    Unavailable(crate::credential::Error),
    /// The provider has none to give.
    NoneKnown,
    /// The server wants a scheme that is not spoken here: its `WWW-Authenticate` lines.
    UnknownScheme(Vec<String>),
}

impl Authentication {
    /// Begins as nobody; `user` and `password` are those of the URL.
    pub(super) fn new(
        provider: Arc<dyn CredentialProvider>,
        url: &Url,
        user: Option<String>,
        password: Option<&str>,
    ) -> Self {
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let host = format!("{}{port}", url.host_str().unwrap_or_default());
        let given =
            user.as_ref().zip(password).map(|(name, password)| Credential::new(name, Secret::new(password)));
        let path = Some(url.path().trim_matches('/').to_owned()).filter(|path| !path.is_empty());
        let target = Target { protocol: url.scheme().to_owned(), host, path, username: user };
        Self { provider, origin: url.origin(), target, given, state: State::Anonymous }
    }

    /// Nobody again, at the place where a redirect led. A redirect within the origin changes nothing.
    pub(super) fn moved_to(&mut self, url: &Url) {
        if url.origin() != self.origin {
            *self = Self::new(Arc::clone(&self.provider), url, None, None);
        }
    }

    /// Whether `url` belongs to the server this is about.
    pub(super) fn covers(&self, url: &Url) -> bool {
        url.origin() == self.origin
    }

    /// What to send to `url`.
    pub(super) fn credential(&self, url: &Url) -> Option<&Credential> {
        match &self.state {
            State::Offered(credential) | State::Accepted(credential) if self.covers(url) => Some(credential),
            State::Anonymous | State::Offered(_) | State::Accepted(_) => None,
        }
    }

    /// The server was content.
    pub(super) fn accepted(&mut self) {
        if let State::Offered(credential) = &self.state {
            self.provider.approve(&self.target, credential);
            self.state = State::Accepted(credential.clone());
        }
    }

    /// The server answered 401: finds the credential for one more try.
    pub(super) fn challenged(&mut self, www_authenticate: &[String]) -> Result<(), Denied> {
        if let State::Offered(credential) | State::Accepted(credential) = &self.state {
            self.provider.reject(&self.target, credential);
            self.state = State::Anonymous;
            return Err(Denied::Rejected);
        }
        if !offers_basic(www_authenticate) {
            return Err(Denied::UnknownScheme(www_authenticate.to_vec()));
        }
        let credential = match self.given.take() {
            Some(credential) => Some(credential),
            None => self.provider.fill(&self.target, www_authenticate).map_err(Denied::Unavailable)?,
        };
        self.state = State::Offered(credential.ok_or(Denied::NoneKnown)?);
        Ok(())
    }
}

impl Denied {
    /// The message as git words it; `url` is the one shown to users.
    pub(super) fn message(&self, url: &str) -> String {
        match self {
            Self::Rejected => format!("Authentication failed for '{url}'"),
            Self::Unavailable(error) => error.to_string(),
            Self::NoneKnown => "unable to get password from user".into(),
            Self::UnknownScheme(lines) => {
                let names: Vec<String> = lines.iter().map(|line| scheme(line)).collect();
                let names = names.join("', '");
                format!(
                    "unable to access '{url}': the server accepts only '{names}' authentication, not 'Basic'"
                )
            }
        }
    }
}

/// The user name of a URL as text; an error if it is no UTF-8, which the Basic scheme could not carry.
pub(super) fn user(url: &transport::Url) -> Result<Option<String>, Error> {
    let text = url.user.as_ref().map(|name| name.to_str().map(Into::into)).transpose();
    text.map_err(|_| Error::Url("the user name in the URL is not valid UTF-8".into()))
}

/// Whether one of the challenges is for the Basic scheme. A server that names none is taken to mean it.
fn offers_basic(www_authenticate: &[String]) -> bool {
    let names_basic = |line: &String| {
        line.split(',')
            .any(|part| part.trim_start().get(..5).is_some_and(|name| name.eq_ignore_ascii_case("basic")))
    };
    www_authenticate.is_empty() || www_authenticate.iter().any(names_basic)
}

/// The name of a challenge's scheme, safe to show.
fn scheme(line: &str) -> String {
    let name = line.split([' ', ',']).next().unwrap_or_default();
    name.chars().filter(char::is_ascii_graphic).take(32).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::credential::Error as CredentialError;

    #[test]
    fn only_basic_can_be_answered() {
        let offers =
            |lines: &[&str]| offers_basic(&lines.iter().map(|&line| line.into()).collect::<Vec<_>>());
        assert!(offers(&[]));
        assert!(offers(&["Negotiate", "basic realm=\"x\""]));
        assert!(offers(&["Negotiate, Basic realm=x"]));
        assert!(!offers(&["Digest realm=\"x\"", "NTLM"]));
    }

    #[test]
    fn a_scheme_that_is_not_spoken_is_named() {
        let denied = Denied::UnknownScheme(vec!["Digest realm=\"x\"".into(), "Neg\u{1b}otiate".into()]);
        assert_eq!(
            denied.message("http://git.test/x/"),
            "unable to access 'http://git.test/x/': the server accepts only 'Digest', 'Negotiate' authentication, \
             not 'Basic'"
        );
    }

    /// Knows Alice and notes what it is told about her.
    #[derive(Default)]
    struct Recorder(Mutex<Vec<&'static str>>);

    impl CredentialProvider for Recorder {
        fn fill(&self, _target: &Target, _lines: &[String]) -> Result<Option<Credential>, CredentialError> {
            self.0.lock().unwrap().push("fill");
            Ok(Some(Credential::new("alice", Secret::new("secret"))))
        }
        fn approve(&self, _target: &Target, _credential: &Credential) {
            self.0.lock().unwrap().push("approve");
        }
        fn reject(&self, _target: &Target, _credential: &Credential) {
            self.0.lock().unwrap().push("reject");
        }
    }

    #[test]
    fn a_provider_hears_once_what_became_of_its_credential() {
        let recorder = Arc::new(Recorder::default());
        let here = Url::parse("https://git.test/r").unwrap();
        let elsewhere = Url::parse("https://git.test:8443/r").unwrap();
        let mut authentication = Authentication::new(recorder.clone(), &here, None, None);
        authentication.accepted();
        assert!(authentication.credential(&here).is_none());
        authentication.challenged(&[]).unwrap();
        assert!(authentication.credential(&here).is_some());
        assert!(authentication.credential(&elsewhere).is_none());
        authentication.accepted();
        authentication.accepted();
        assert!(matches!(authentication.challenged(&[]), Err(Denied::Rejected)));
        assert_eq!(*recorder.0.lock().unwrap(), ["fill", "approve", "reject"]);
        authentication.challenged(&[]).unwrap();
        authentication.moved_to(&elsewhere);
        assert!(authentication.credential(&elsewhere).is_none());
    }
}
