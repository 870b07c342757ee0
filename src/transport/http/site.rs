//! Where the repository is and as whom we go there: what all requests of one transport have in common.

use std::io::Read as _;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bstr::BString;
use url::Url;

use super::super::Error;
use super::address::request_url;
use super::auth::{Authentication, Denied};
use super::client::{Client, Payload, Repeat, Request, Response};
use super::cookie::Jar;
use super::failure::Failure;
use super::retry::Trouble;
use super::settings::HttpSettings;
use crate::credential::{Credential, Target};
use crate::progress::{Event, Progress};
use crate::protocol::{Service, Version};

/// Redirects followed for one request: git 2.47.3 sets curl to 20.
const REDIRECTS_MAX: usize = 20;
/// How much of an error page is read for the user.
const ERROR_PAGE_LEN_MAX: u64 = 64 * 1024;
/// How many lines of an error page the user sees.
const ERROR_PAGE_LINES_MAX: usize = 100;

/// A repository on a server. A clone shares connections and settings, yet goes its own way from there.
#[derive(Clone)]
pub(super) struct Site {
    pub(super) client: Arc<Client>,
    pub(super) settings: Arc<HttpSettings>,
    pub(super) authentication: Authentication,
    /// The URL of the repository without user and password, ending in a slash. It is what users see.
    pub(super) base: String,
    /// The URL given by the user: `http.extraHeader` is meant for its server alone.
    pub(super) home: Url,
    /// The cookies, if there are to be any.
    pub(super) jar: Option<Arc<Mutex<Jar>>>,
    /// Who we said we are to the proxy, until it is known whether that was right.
    pub(super) proxy_proof: Option<(Target, Credential)>,
}

/// A line of a header: its name and its value.
pub(super) type Line<'a> = (&'a str, &'a str);

/// An answer and where it came from, which redirects can have changed.
pub(super) struct Answer {
    pub(super) response: Response,
    pub(super) url: Url,
}

/// What is asked of the server, wherever it is.
pub(super) struct Call<'a> {
    pub(super) headers: &'a [(String, String)],
    /// `None` for GET.
    pub(super) body: Option<&'a [u8]>,
    pub(super) repeat: Repeat,
    /// Whether redirects are followed.
    pub(super) follow: bool,
}

impl Site {
    /// The URL of the repository's `tail`; an error if the two make none.
    pub(super) fn url(&self, tail: &str) -> Result<Url, Failure> {
        request_url(&format!("{}{tail}", self.base))
    }

    /// The header lines that every request carries, in the order C git sends them: `first`, what all have in common, and
    /// `own` around the languages.
    pub(super) fn headers(
        &self,
        (first, before, behind): (&[Line<'_>], &[Line<'_>], &[Line<'_>]),
        service: Service,
        version: Version,
    ) -> Vec<(String, String)> {
        let mut lines = vec![("User-Agent", self.settings.user_agent.as_str())];
        lines.extend_from_slice(first);
        lines.push(("Accept-Encoding", "deflate, gzip"));
        lines.extend_from_slice(before);
        lines
            .extend(self.settings.accept_language.as_deref().map(|languages| ("Accept-Language", languages)));
        lines.extend_from_slice(behind);
        // receive-pack knows no version but the first: C git does not ask for another
        lines.extend(match (service, version) {
            (Service::ReceivePack, _) | (_, Version::V0) => None,
            (Service::UploadPack, Version::V1) => Some(("Git-Protocol", "version=1")),
            (Service::UploadPack, Version::V2) => Some(("Git-Protocol", "version=2")),
        });
        lines.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// Finds out what must be known before anything is sent: passwords of our own key and for the proxy, and who we are if
    /// `http.proactiveAuth` wants it told at once.
    pub(super) fn prepare(&mut self, progress: &mut dyn Progress) -> Result<(), Error> {
        for text in &self.settings.warnings {
            if progress.report(Event::Warning(text)).is_break() {
                return Err(Error::Protocol(crate::protocol::Error::Interrupted));
            }
        }
        let denied = |error: crate::credential::Error| Error::Access(error.to_string());
        let provider = self.authentication.provider();
        if let Some(file) = self.client.protected_certificate(&self.home) {
            let target = Target {
                protocol: "cert".to_owned(),
                host: String::new(),
                path: Some(file.to_string_lossy().into_owned()),
                username: Some(String::new()),
            };
            if let Some(credential) = provider.fill(&target, &[]).map_err(denied)? {
                self.client.unlock_key(credential.password);
            }
        }
        if let Some(proxy) = self.client.proxy_without_password(&self.home) {
            let port = proxy.port().map(|port| format!(":{port}")).unwrap_or_default();
            let target = Target {
                protocol: proxy.scheme().to_owned(),
                host: format!("{}{port}", proxy.host_str().unwrap_or_default()),
                path: None,
                username: Some(proxy.username().to_owned()),
            };
            if let Some(credential) = provider.fill(&target, &[]).map_err(denied)? {
                self.client.log_in_to_proxy(proxy, &credential);
                self.proxy_proof = Some((target, credential));
            }
        }
        let volunteered = self.authentication.volunteer(self.settings.proactive);
        volunteered.map_err(|denied| Error::Access(denied.message(&self.base)))
    }

    /// As [`Site::send`], again and again as long as `http.maxRetries` allows it and a failure may pass. Each further try
    /// is told of.
    pub(super) fn send_patiently(
        &mut self,
        url: &Url,
        call: &Call<'_>,
        progress: &mut dyn Progress,
    ) -> Result<Answer, Failure> {
        let mut tries = 0;
        loop {
            let sent = self.send(url.clone(), call);
            self.tell_about_proxy(&sent);
            let trouble = match &sent {
                Ok(answer) => Trouble::of_response(&answer.response),
                Err(failure) => Trouble::of_failure(failure),
            };
            let retry = &self.settings.retry;
            let pause = trouble.filter(|_| call.repeat == Repeat::Allowed);
            let pause = pause.and_then(|trouble| retry.pause(tries, &trouble));
            let Some(pause) = pause else { return sent };
            let reason = match &sent {
                Ok(answer) => format!("The requested URL returned error: {}", answer.response.status),
                Err(failure) => failure.message.clone(),
            };
            tries += 1;
            let (seconds, most) = (pause.as_secs_f32(), retry.tries_max);
            let text = format!("{reason}; trying again in {seconds:.1} seconds ({tries} of {most})");
            if progress.report(Event::Warning(&text)).is_break() {
                return sent;
            }
            if let Ok(answer) = sent {
                answer.response.finish();
            }
            std::thread::sleep(pause);
        }
    }

    /// Tells the provider what became of what it gave for the proxy.
    fn tell_about_proxy(&mut self, sent: &Result<Answer, Failure>) {
        let is_denied = match sent {
            Ok(answer) => answer.response.status == 407,
            Err(failure) => *failure == Failure::proxy_denied(),
        };
        if is_denied || sent.is_ok() {
            let Some((target, credential)) = self.proxy_proof.take() else { return };
            let provider = self.authentication.provider();
            if is_denied {
                provider.reject(&target, &credential);
            } else {
                provider.approve(&target, &credential);
            }
        }
    }

    /// Sends a request and goes where redirects lead, if it may. A POST stays one.
    pub(super) fn send(&self, url: Url, call: &Call<'_>) -> Result<Answer, Failure> {
        let mut url = url;
        for _ in 0..=REDIRECTS_MAX {
            let payload = call.body.map_or(Payload::Get, |bytes| Payload::Sized(bytes.to_vec()));
            let response = self.send_once(&url, call.headers, payload, call.repeat)?;
            match self.redirect_target(&response, &url).filter(|_| call.follow) {
                None => return Ok(Answer { response, url }),
                Some(target) => {
                    url = target?;
                    response.finish();
                }
            }
        }
        Err(Failure::new(47, format!("Maximum ({REDIRECTS_MAX}) redirects followed")))
    }

    /// Where `response`, the answer from `url`, sends us; `None` if it is no redirect. A target that must not be
    /// followed is an error.
    fn redirect_target(&self, response: &Response, url: &Url) -> Option<Result<Url, Failure>> {
        if !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
            return None;
        }
        let Ok(target) = url.join(response.header("location")?) else {
            return Some(Err(Failure::new(3, "URL using bad/illegal format or missing URL")));
        };
        Some(match (url.scheme(), target.scheme()) {
            ("https", "http") => {
                Err(Failure::new(1, "redirect from https to http refused: it would expose the transfer"))
            }
            (_, other) if !self.settings.redirect_schemes.contains(&other) => {
                Err(Failure::new(1, format!("Protocol \"{other}\" disabled in followed redirect")))
            }
            (_, _) => Ok(without_user(target)),
        })
    }

    /// Sends a request to just this `url`, with the secrets that are meant for it and no others.
    pub(super) fn send_once(
        &self,
        url: &Url,
        headers: &[(String, String)],
        payload: Payload,
        repeat: Repeat,
    ) -> Result<Response, Failure> {
        let mut headers = headers.to_vec();
        let cookies = self.jar.as_ref().and_then(|jar| lock(jar).header(url, SystemTime::now()));
        headers.extend(cookies.map(|value| ("Cookie".to_owned(), value)));
        let method = if matches!(payload, Payload::Get) { "GET" } else { "POST" };
        let proof = self.authentication.authorization(url, method);
        headers.extend(proof.map(|value| ("Authorization".to_owned(), value)));
        if url.origin() == self.home.origin() {
            let extra = &self.settings.extra_headers;
            // as in curl: a header line of the user's takes the place of the one that would have been sent, but for cookies
            let is_replaced = |name: &str| {
                let is_cookie = name.eq_ignore_ascii_case("cookie");
                !is_cookie && extra.iter().any(|(own, _)| own.eq_ignore_ascii_case(name))
            };
            headers.retain(|(name, _)| !is_replaced(name));
            headers.extend(extra.iter().filter(|(_, value)| !value.is_empty()).cloned());
        }
        let request = Request { url, headers: &headers, shown: &self.base, repeat };
        let response = self.client.send(&request, payload)?;
        if let Some(jar) = &self.jar {
            lock(jar).receive(url, &response.headers("set-cookie"), SystemTime::now());
        }
        Ok(response)
    }

    /// Writes the cookies where they came from: git-config(1), `http.saveCookies`. C git says nothing either if it cannot.
    pub(super) fn save_cookies(&self) {
        let file = self.settings.cookie_file.as_ref().filter(|file| !file.as_os_str().is_empty());
        if let (true, Some(file), Some(jar)) = (self.settings.saves_cookies, file, &self.jar) {
            let _unwritten = lock(jar).save(file);
        }
    }

    /// Deals with a 401: `Ok` means that it is worth to try again.
    pub(super) fn challenged(&mut self, response: Response) -> Result<(), Error> {
        let challenges: Vec<String> =
            response.headers("www-authenticate").iter().map(|line| unfolded(line)).collect();
        match self.authentication.challenged(&challenges) {
            Ok(()) => {
                response.finish();
                Ok(())
            }
            // the server's words are about what it was shown: who has nothing to show is told why, as in C git
            Err(denied @ (Denied::Unavailable(_) | Denied::NoneKnown)) => {
                Err(Error::Access(denied.message(&self.base)))
            }
            Err(denied @ (Denied::Rejected | Denied::UnknownScheme(_))) => {
                Err(refusal(response, denied.message(&self.base)))
            }
        }
    }

    /// Takes the place where a redirected request for `tail` ended as the repository's own: the rest of the session
    /// goes there.
    pub(super) fn rebase(
        &mut self,
        answer: &Url,
        tail: &str,
        progress: &mut dyn Progress,
    ) -> Result<(), Error> {
        let asked = format!("{}{tail}", self.base);
        if request_url(&asked).is_ok_and(|asked| asked == *answer) {
            return Ok(());
        }
        let Some(base) = answer.as_str().strip_suffix(tail) else {
            return Err(Error::Access(format!(
                "unable to update url base from redirection:\n  asked for: {asked}\n   redirect: {answer}"
            )));
        };
        base.clone_into(&mut self.base);
        self.authentication.moved_to(&Url::parse(base).unwrap_or_else(|_| answer.clone()));
        match progress.report(Event::Hint(&format!("redirecting to {base}"))) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::Protocol(crate::protocol::Error::Interrupted)),
        }
    }

    /// The error for an answer to `GET info/refs` with an error's `status`.
    pub(super) fn refused(&self, response: Response, status: u16) -> Error {
        let message = match status {
            404 => format!("repository '{}' not found", self.base),
            _ => format!("unable to access '{}': The requested URL returned error: {status}", self.base),
        };
        refusal(response, message)
    }

    /// `unable to access 'URL/': …`
    pub(super) fn no_access(&self, failure: &Failure) -> Error {
        // libcurl-errors(3), CURLE_SSL_PINNEDPUBKEYNOTMATCH
        let with = if failure.curl_code == 90 { " with http.pinnedPubkey configuration" } else { "" };
        Error::Access(format!("unable to access '{}'{with}: {}", self.base, failure.message))
    }
}

/// A value without what is left of folded lines (RFC 9112, 5.2), where hyper puts a space for each byte of a line break:
/// several spaces are one, but between quotes. Helpers of credentials hear it so of C git.
pub(super) fn unfolded(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut is_quoted = false;
    for character in value.chars() {
        is_quoted ^= character == '"';
        if is_quoted || character != ' ' || !text.ends_with(' ') {
            text.push(character);
        }
    }
    text
}

/// A server must not choose the name under which we call at another.
fn without_user(mut url: Url) -> Url {
    // both fail only for URLs without a host, which have no user either
    let _: (Result<(), ()>, Result<(), ()>) = (url.set_username(""), url.set_password(None));
    url.set_fragment(None);
    url
}

/// The error for an answer that is one: the server's own words if it has any, then `message`.
pub(super) fn refusal(response: Response, message: String) -> Error {
    let remote = words(response);
    if remote.is_empty() { Error::Access(message) } else { Error::Refused { remote, message } }
}

/// The server's own words, if it has any for users.
pub(super) fn words(response: Response) -> Vec<BString> {
    if response.content_type() == "text/plain" { page_lines(response) } else { Vec::new() }
}

fn lock(jar: &Mutex<Jar>) -> MutexGuard<'_, Jar> {
    jar.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The lines of a page, without the empty ones at its end.
fn page_lines(response: Response) -> Vec<BString> {
    let content_type = response.header("content-type").unwrap_or_default().to_owned();
    let mut page = Vec::new();
    // a page that is cut off is still worth showing
    drop(response.body.take(ERROR_PAGE_LEN_MAX).read_to_end(&mut page));
    let page = super::charset::to_utf8(&page, &content_type);
    let mut lines: Vec<BString> = page
        .split(|&byte| byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line).into())
        .take(ERROR_PAGE_LINES_MAX)
        .collect();
    while lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    lines
}
