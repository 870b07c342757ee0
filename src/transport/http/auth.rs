//! Who we are to one server: nobody until it asks, then a credential that is kept while it works.
//!
//! ```text
//! Anonymous --401--> Offered --any answer but 401--> Accepted
//!                     |  \------401-----> (rejected: an error)
//!                     +--401--> Offered: the server wanted another scheme or nonce, or ~/.netrc was wrong
//! ```

use std::path::PathBuf;
use std::sync::Arc;

use bstr::ByteSlice as _;
use url::{Origin, Url};

use super::super::{self as transport, Error};
use super::netrc;
use super::scheme::Scheme;
use super::settings::Proactive;
use crate::credential::{Credential, CredentialProvider, Secret, Target};

/// The state of our acquaintance with one origin; no credential leaves for another.
#[derive(Clone)]
pub(super) struct Authentication {
    provider: Arc<dyn CredentialProvider>,
    origin: Origin,
    target: Target,
    /// The host as `~/.netrc` names it.
    host: String,
    /// The password of the URL, if it is not tried yet.
    given: Option<Credential>,
    /// `~/.netrc`, if it is not tried yet.
    netrc: Option<PathBuf>,
    state: State,
}

#[derive(Clone)]
enum State {
    /// Nothing is sent: C git and curl wait for the server to ask, too.
    Anonymous,
    /// Sent, not yet judged.
    Offered(Proof),
    /// Known to work.
    Accepted(Proof),
}

/// What is sent.
#[derive(Clone)]
struct Proof {
    credential: Credential,
    scheme: Scheme,
    origin: ProofOrigin,
}

impl Proof {
    /// Whether it is worth to try the same name and password in another way.
    fn can_use(&self, scheme: &Scheme) -> bool {
        self.credential.authorization.is_none() && scheme.is_worth_another_try_after(&self.scheme)
    }
}

/// Where a credential came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProofOrigin {
    /// The URL or the provider, who hears what becomes of it.
    Provider,
    /// `~/.netrc`: if it is wrong, somebody else may know better.
    Netrc,
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
        netrc: Option<PathBuf>,
    ) -> Self {
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let name = url.host_str().unwrap_or_default();
        let host = format!("{name}{port}");
        let given =
            user.as_ref().zip(password).map(|(name, password)| Credential::new(name, Secret::new(password)));
        let target = Target { protocol: url.scheme().to_owned(), host, path: path_of(url), username: user };
        let state = State::Anonymous;
        Self { provider, origin: url.origin(), target, host: name.to_owned(), given, netrc, state }
    }

    /// Nobody again, at the repository `base` where a redirect led. A redirect within the origin changes nothing but the
    /// path that the user is asked about.
    pub(super) fn moved_to(&mut self, base: &Url) {
        if base.origin() == self.origin {
            self.target.path = path_of(base);
        } else {
            *self = Self::new(Arc::clone(&self.provider), base, None, None, self.netrc.clone());
        }
    }

    /// Whether `url` belongs to the server this is about.
    pub(super) fn covers(&self, url: &Url) -> bool {
        url.origin() == self.origin
    }

    /// The value of `Authorization` for a request by `method` to `url`.
    pub(super) fn authorization(&self, url: &Url, method: &str) -> Option<String> {
        let proof = match &self.state {
            State::Offered(proof) | State::Accepted(proof) if self.covers(url) => proof,
            State::Anonymous | State::Offered(_) | State::Accepted(_) => return None,
        };
        let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let Credential { username, password, authorization, .. } = &proof.credential;
        Some(match authorization {
            Some((scheme, secret)) => format!("{scheme} {}", secret.reveal()),
            None => proof.scheme.authorization(username, password.reveal(), method, target),
        })
    }

    /// Says who we are before the server asks: git-config(1), `http.proactiveAuth`.
    pub(super) fn volunteer(&mut self, way: Proactive) -> Result<(), Denied> {
        // C git tells helpers of a scheme that is certain as if the server had named it.
        let lines = match way {
            Proactive::Never => return Ok(()),
            Proactive::Auto => Vec::new(),
            Proactive::Basic => vec!["Basic".to_owned()],
        };
        if matches!(self.state, State::Anonymous) {
            self.offer(Scheme::Basic, &lines)?;
        }
        Ok(())
    }

    /// The server was content.
    pub(super) fn accepted(&mut self) {
        if let State::Offered(proof) = &self.state {
            if proof.origin == ProofOrigin::Provider {
                self.provider.approve(&self.target, &proof.credential);
            }
            self.state = State::Accepted(proof.clone());
        }
    }

    /// The server answered 401: finds what to send in one more try.
    pub(super) fn challenged(&mut self, www_authenticate: &[String]) -> Result<(), Denied> {
        let chosen = Scheme::choose(www_authenticate);
        if let State::Offered(proof) | State::Accepted(proof) = &self.state
            && proof.credential.is_continued()
        {
            let next = self.provider.proceed(&self.target, &proof.credential, www_authenticate);
            let credential = next.map_err(Denied::Unavailable)?.ok_or(Denied::NoneKnown)?;
            self.state = State::Offered(Proof { credential, ..proof.clone() });
            return Ok(());
        }
        if let State::Offered(proof) | State::Accepted(proof) = &mut self.state {
            match &chosen {
                Some(scheme) if proof.can_use(scheme) => {
                    proof.scheme = scheme.clone();
                    return Ok(());
                }
                _ if proof.origin == ProofOrigin::Netrc => {}
                _ => {
                    let refused = proof.credential.clone().refused_by(www_authenticate);
                    self.provider.reject(&self.target, &refused);
                    self.state = State::Anonymous;
                    return Err(Denied::Rejected);
                }
            }
        }
        let is_spoken = chosen.is_some();
        self.offer(chosen.unwrap_or(Scheme::Basic), www_authenticate)?;
        match &self.state {
            // what a helper made for a scheme that only it speaks is sent as it is
            State::Offered(proof) if is_spoken || proof.credential.authorization.is_some() => Ok(()),
            State::Anonymous | State::Offered(_) | State::Accepted(_) => {
                self.state = State::Anonymous;
                Err(Denied::UnknownScheme(www_authenticate.to_vec()))
            }
        }
    }

    /// Finds a credential: in the URL, in `~/.netrc`, else the provider has one.
    fn offer(&mut self, scheme: Scheme, www_authenticate: &[String]) -> Result<(), Denied> {
        if let Some(credential) = self.given.take() {
            self.netrc = None;
            self.state = State::Offered(Proof { credential, scheme, origin: ProofOrigin::Provider });
            return Ok(());
        }
        let user = self.target.username.as_deref();
        let known = self.netrc.take().and_then(|path| netrc::find(&path, &self.host, user));
        if let Some(credential) = known {
            self.state = State::Offered(Proof { credential, scheme, origin: ProofOrigin::Netrc });
            return Ok(());
        }
        let filled = self.provider.fill(&self.target, www_authenticate).map_err(Denied::Unavailable)?;
        let credential = filled.ok_or(Denied::NoneKnown)?;
        self.state = State::Offered(Proof { credential, scheme, origin: ProofOrigin::Provider });
        Ok(())
    }

    /// The one who knows who we are, for proxies and keys.
    pub(super) fn provider(&self) -> &dyn CredentialProvider {
        &*self.provider
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
                let names: Vec<String> = lines.iter().map(|line| scheme_name(line)).collect();
                let is_token = |name: &String| name.eq_ignore_ascii_case("Bearer");
                let why = if names.iter().any(is_token) {
                    "for which no credential helper has a token"
                } else {
                    "which is not supported"
                };
                let names = names.join("', '");
                format!("unable to access '{url}': the server accepts only '{names}' authentication, {why}")
            }
        }
    }
}

/// The path of a repository as credentials have it.
fn path_of(url: &Url) -> Option<String> {
    Some(url.path().trim_matches('/').to_owned()).filter(|path| !path.is_empty())
}

/// The user name of a URL as text; an error if it is no UTF-8, which the Basic scheme could not carry.
pub(super) fn user(url: &transport::Url) -> Result<Option<String>, Error> {
    let text = url.user.as_ref().map(|name| name.to_str().map(Into::into)).transpose();
    text.map_err(|_| Error::Url("the user name in the URL is not valid UTF-8".into()))
}

/// The name of a challenge's scheme, safe to show.
fn scheme_name(line: &str) -> String {
    let name = line.split([' ', ',']).next().unwrap_or_default();
    name.chars().filter(char::is_ascii_graphic).take(32).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::credential::Error as CredentialError;

    #[test]
    fn a_scheme_that_is_not_spoken_is_named() {
        let denied = Denied::UnknownScheme(vec!["NTLM".into(), "Neg\u{1b}otiate".into()]);
        assert_eq!(
            denied.message("http://git.test/x/"),
            "unable to access 'http://git.test/x/': the server accepts only 'NTLM', 'Negotiate' authentication, \
             which is not supported"
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
        let mut authentication = Authentication::new(recorder.clone(), &here, None, None, None);
        authentication.accepted();
        assert!(authentication.authorization(&here, "GET").is_none());
        authentication.challenged(&[]).unwrap();
        assert!(authentication.authorization(&here, "GET").is_some());
        assert!(authentication.authorization(&elsewhere, "GET").is_none());
        authentication.accepted();
        authentication.accepted();
        assert!(matches!(authentication.challenged(&[]), Err(Denied::Rejected)));
        assert_eq!(*recorder.0.lock().unwrap(), ["fill", "approve", "reject"]);
        authentication.challenged(&[]).unwrap();
        authentication.moved_to(&elsewhere);
        assert!(authentication.authorization(&elsewhere, "GET").is_none());
    }

    #[test]
    fn a_redirect_tells_what_the_user_is_asked_about() {
        let here = Url::parse("https://git.test/old").unwrap();
        let mut authentication = Authentication::new(Arc::<Recorder>::default(), &here, None, None, None);
        authentication.moved_to(&Url::parse("https://git.test/new/").unwrap());
        assert_eq!(authentication.target.path.as_deref(), Some("new"));
        authentication.moved_to(&Url::parse("https://other.test/newer/").unwrap());
        assert_eq!(
            (&*authentication.target.host, authentication.target.path.as_deref()),
            ("other.test", Some("newer"))
        );
    }

    #[test]
    fn another_scheme_or_nonce_is_no_rejection() {
        let recorder = Arc::new(Recorder::default());
        let here = Url::parse("https://git.test/r").unwrap();
        let mut authentication = Authentication::new(recorder.clone(), &here, None, None, None);
        let digest = |more: &str| [format!("Digest realm=r, nonce=n, qop=auth{more}")];
        authentication.volunteer(Proactive::Basic).unwrap();
        authentication.challenged(&digest("")).unwrap();
        authentication.challenged(&digest(", stale=true")).unwrap();
        assert!(authentication.authorization(&here, "GET").unwrap().starts_with("Digest "));
        assert!(matches!(authentication.challenged(&digest("")), Err(Denied::Rejected)));
        assert_eq!(*recorder.0.lock().unwrap(), ["fill", "reject"]);
    }

    #[test]
    fn what_netrc_says_comes_first_and_is_not_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("netrc");
        std::fs::write(&path, "machine git.test login bob password hunter2\n").unwrap();
        let recorder = Arc::new(Recorder::default());
        let here = Url::parse("https://git.test:8443/r").unwrap();
        let mut authentication = Authentication::new(recorder.clone(), &here, None, None, Some(path));
        authentication.challenged(&[]).unwrap();
        assert_eq!(authentication.authorization(&here, "GET").as_deref(), Some("Basic Ym9iOmh1bnRlcjI="));
        authentication.challenged(&[]).unwrap();
        assert_eq!(authentication.authorization(&here, "GET").as_deref(), Some("Basic YWxpY2U6c2VjcmV0"));
        assert!(matches!(authentication.challenged(&[]), Err(Denied::Rejected)));
        assert_eq!(*recorder.0.lock().unwrap(), ["fill", "reject"]);
    }

    /// Has a token that it sends in its own way.
    struct Tokens;

    impl CredentialProvider for Tokens {
        fn fill(&self, _target: &Target, _lines: &[String]) -> Result<Option<Credential>, CredentialError> {
            let mut credential = Credential::new("", Secret::new(""));
            credential.authorization = Some(("Bearer".into(), Secret::new("t0ken")));
            Ok(Some(credential))
        }
        fn approve(&self, _target: &Target, _credential: &Credential) {}
        fn reject(&self, _target: &Target, _credential: &Credential) {}
    }

    #[test]
    fn a_token_is_sent_as_it_is_whatever_the_server_names() {
        let here = Url::parse("https://git.test/r").unwrap();
        for lines in [&["Bearer realm=x".to_owned()][..], &["Digest realm=r, nonce=n".to_owned()], &[]] {
            let mut authentication = Authentication::new(Arc::new(Tokens), &here, None, None, None);
            authentication.challenged(lines).unwrap();
            assert_eq!(authentication.authorization(&here, "GET").as_deref(), Some("Bearer t0ken"));
            assert!(matches!(authentication.challenged(lines), Err(Denied::Rejected)));
        }
    }
}
