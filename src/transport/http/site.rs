//! Where the repository is and as whom we go there: what all requests of one transport have in common.

use std::io::Read as _;
use std::ops::ControlFlow;
use std::sync::Arc;

use bstr::BString;
use url::Url;

use super::super::Error;
use super::auth::Authentication;
use super::client::{Client, Payload, Repeat, Request, Response};
use super::failure::Failure;
use super::settings::HttpSettings;
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
}

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
        let text = format!("{}{tail}", self.base);
        let malformed = || Failure::new(3, "URL using bad/illegal format or missing URL");
        // the URL parser drops line breaks and tabs instead of refusing them
        if text.contains(|c: char| c.is_ascii_control()) {
            return Err(malformed());
        }
        Url::parse(&text).map_err(|_| malformed())
    }

    /// The header lines that every request carries, in the order C git sends them.
    pub(super) fn headers(
        &self,
        own: &[(&str, &str)],
        service: Service,
        version: Version,
    ) -> Vec<(String, String)> {
        let mut lines =
            vec![("User-Agent", self.settings.user_agent.as_str()), ("Accept-Encoding", "deflate, gzip")];
        lines
            .extend(self.settings.accept_language.as_deref().map(|languages| ("Accept-Language", languages)));
        lines.extend_from_slice(own);
        // receive-pack knows no version but the first: C git does not ask for another
        lines.extend(match (service, version) {
            (Service::ReceivePack, _) | (_, Version::V0) => None,
            (Service::UploadPack, Version::V1) => Some(("Git-Protocol", "version=1")),
            (Service::UploadPack, Version::V2) => Some(("Git-Protocol", "version=2")),
        });
        lines.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// Sends a request and goes where redirects lead, if it may. A POST stays one.
    pub(super) fn send(&self, url: Url, call: &Call<'_>) -> Result<Answer, Failure> {
        let mut url = url;
        for _ in 0..=REDIRECTS_MAX {
            let payload = call.body.map_or(Payload::Get, |bytes| Payload::Sized(bytes.to_vec()));
            let response = self.send_once(&url, call.headers, payload, call.repeat)?;
            match redirect_target(&response, &url).filter(|_| call.follow) {
                None => return Ok(Answer { response, url }),
                Some(target) => {
                    url = target?;
                    response.finish();
                }
            }
        }
        Err(Failure::new(47, format!("Maximum ({REDIRECTS_MAX}) redirects followed")))
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
        let mut credential = self.authentication.credential(url);
        if url.origin() == self.home.origin() {
            let extra = &self.settings.extra_headers;
            let replaced = |name: &str| extra.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
            // as in curl: a header line of the user's takes the place of the one that would have been sent
            headers.retain(|(name, _)| !replaced(name));
            credential = credential.filter(|_| !replaced("authorization"));
            headers.extend(extra.iter().filter(|(_, value)| !value.is_empty()).cloned());
        }
        self.client.send(&Request { url, headers: &headers, credential, repeat }, payload)
    }

    /// Deals with a 401: `Ok` means that it is worth to try again.
    pub(super) fn challenged(&mut self, response: Response) -> Result<(), Error> {
        let challenges = response.headers("www-authenticate");
        match self.authentication.challenged(&challenges) {
            Ok(()) => {
                response.finish();
                Ok(())
            }
            Err(denied) => Err(refusal(response, denied.message(&self.base))),
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
        if Url::parse(&asked).is_ok_and(|asked| asked == *answer) {
            return Ok(());
        }
        let Some(base) = answer.as_str().strip_suffix(tail) else {
            return Err(Error::Access(format!(
                "unable to update url base from redirection:\n  asked for: {asked}\n   redirect: {answer}"
            )));
        };
        base.clone_into(&mut self.base);
        self.authentication.moved_to(answer);
        match progress.report(Event::Warning(&format!("redirecting to {base}"))) {
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
        Error::Access(format!("unable to access '{}': {}", self.base, failure.message))
    }
}

/// Where `response`, the answer from `url`, sends us; `None` if it is no redirect. A target that must not be
/// followed is an error.
fn redirect_target(response: &Response, url: &Url) -> Option<Result<Url, Failure>> {
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
        (_, "http" | "https") => Ok(without_user(target)),
        (_, other) => Err(Failure::new(1, format!("Protocol \"{other}\" disabled in followed redirect"))),
    })
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
    let remote = if response.content_type() == "text/plain" { page_lines(response) } else { Vec::new() };
    if remote.is_empty() { Error::Access(message) } else { Error::Refused { remote, message } }
}

/// The lines of a page, without the empty ones at its end.
fn page_lines(response: Response) -> Vec<BString> {
    let mut page = Vec::new();
    // a page that is cut off is still worth showing
    drop(response.body.take(ERROR_PAGE_LEN_MAX).read_to_end(&mut page));
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
