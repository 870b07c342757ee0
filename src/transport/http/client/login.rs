//! Who we are to proxies.

use std::sync::{Mutex, PoisonError};

use percent_encoding::percent_decode_str;
use url::Url;

use super::super::proxy::Method;
use super::super::scheme::Scheme;
use crate::credential::{Credential, Secret};

/// What is known of it: who we are, and how the proxy wants to be told.
#[derive(Debug, Default)]
pub(super) struct Login(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The name and the password for one proxy, in the place of what its URL says.
    given: Option<(Url, String, Secret)>,
    scheme: Option<Scheme>,
}

impl Login {
    /// Says who we are to `proxy`, where its URL does not say all.
    pub(super) fn give(&self, proxy: &Url, credential: &Credential) {
        let Credential { username, password, .. } = credential;
        self.lock().given = Some((proxy.clone(), username.clone(), password.clone()));
    }

    /// The name and the password for `proxy`.
    pub(super) fn credential(&self, proxy: &Url) -> Option<(String, String)> {
        match &self.lock().given {
            // it is nobody else's: a redirect may lead through another proxy
            Some((known, name, password)) if known == proxy => {
                Some((name.clone(), password.reveal().to_owned()))
            }
            Some(_) | None => userinfo(proxy),
        }
    }

    /// The value of `Proxy-Authorization` for a request by `method` to `target`; `None` if the proxy is not to be told,
    /// or not yet.
    pub(super) fn authorization(
        &self,
        proxy: &Url,
        way: Method,
        method: &str,
        target: &str,
    ) -> Option<String> {
        let (name, password) = self.credential(proxy)?;
        match (&self.lock().scheme, way) {
            (Some(scheme), _) => Some(scheme.authorization(&name, &password, method, target)),
            (None, Method::Basic) => Some(Scheme::Basic.authorization(&name, &password, method, target)),
            (None, Method::Any | Method::Digest) => None,
        }
    }

    /// Takes note of a 407 with these lines of `Proxy-Authenticate`; whether it is worth to try again.
    pub(super) fn challenged(&self, proxy: &Url, way: Method, lines: &[String]) -> bool {
        if self.credential(proxy).is_none() {
            return false;
        }
        let Some(chosen) = Scheme::choose(lines) else { return false };
        let mut state = self.lock();
        let is_worth_it = match (&chosen, way) {
            // a proxy of the second kind was told at once, and did not like what it heard
            (Scheme::Basic, Method::Digest | Method::Basic) | (Scheme::Digest(_), Method::Basic) => false,
            (Scheme::Basic | Scheme::Digest(_), Method::Any) | (Scheme::Digest(_), Method::Digest) => {
                state.scheme.as_ref().is_none_or(|before| chosen.is_worth_another_try_after(before))
            }
        };
        if is_worth_it {
            state.scheme = Some(chosen);
        }
        is_worth_it
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The user and password of a URL in plain text.
fn userinfo(url: &Url) -> Option<(String, String)> {
    let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let is_named = !url.username().is_empty() || url.password().is_some();
    is_named.then(|| (plain(url.username()), plain(url.password().unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_for_one_proxy_alone() {
        let proxy = Url::parse("http://me@one.test:8080").unwrap();
        let other = Url::parse("http://two.test:8080").unwrap();
        let login = Login::default();
        login.give(&proxy, &Credential::new("me", Secret::new("secret")));
        let said = |proxy| login.authorization(proxy, Method::Basic, "CONNECT", "git.test:443");
        assert_eq!(said(&proxy).as_deref(), Some("Basic bWU6c2VjcmV0"));
        assert_eq!(said(&other), None);
    }
}
