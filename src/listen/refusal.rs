//! Answers that say no. A client shows the text of one to `GET`, and of a POST that a pkt-line alone: seen in git 2.47.3.

use bstr::ByteSlice;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use super::body::{Headers, Outgoing};
use super::limit::Limit;
use super::log::Ending;
use super::ticket::Ticket;
use crate::protocol::{Service, pktline};

/// Characters of a text that are told.
const TEXT_LEN_MAX: usize = 500;

/// What is asked for, as far as it matters for how a refusal looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// `GET info/refs?service=…`.
    Advertisement,
    /// A POST to a service.
    Rpc(Service),
    /// Anything else.
    Other,
}

/// No, and why.
#[derive(Debug)]
pub(super) struct Refusal {
    pub status: StatusCode,
    pub text: String,
    pub headers: Headers,
    pub limit: Option<Limit>,
}

impl Asked {
    pub(super) fn of(method: &str, path: &[u8], query: &[u8]) -> Self {
        if method == "POST" {
            return if path.ends_with(b"/git-upload-pack") {
                Self::Rpc(Service::UploadPack)
            } else if path.ends_with(b"/git-receive-pack") {
                Self::Rpc(Service::ReceivePack)
            } else {
                Self::Other
            };
        }
        let is_smart = path.ends_with(b"/info/refs") && query.contains_str("service=");
        if is_smart { Self::Advertisement } else { Self::Other }
    }

    /// The type and the body of an answer that says `text`.
    pub(super) fn body(self, text: &str) -> (String, Vec<u8>) {
        let text = harmless(text);
        match self {
            Self::Rpc(service) => {
                let mut body = Vec::new();
                // a Vec takes all that is written
                let _always = pktline::write_data(&mut body, format!("ERR {text}").as_bytes());
                (format!("application/x-{}-result", service.name()), body)
            }
            Self::Advertisement | Self::Other => {
                ("text/plain; charset=utf-8".into(), format!("{text}\n").into_bytes())
            }
        }
    }
}

impl Refusal {
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), headers: Headers::new(), limit: None }
    }

    pub(super) fn limited(status: StatusCode, limit: Limit, text: impl Into<String>) -> Self {
        Self { limit: Some(limit), ..Self::new(status, text) }
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The answer, after which the request is over.
    pub(super) fn answer(self, asked: Asked, mut ticket: Ticket) -> Response<Outgoing> {
        let (kind, body) = asked.body(&self.text);
        let mut response = response(self.status, &self.headers, Outgoing::Whole(Bytes::from(body)));
        if let Ok(kind) = HeaderValue::from_str(&kind) {
            response.headers_mut().insert(CONTENT_TYPE, kind);
        }
        ticket.entry.reason = Some(self.text);
        ticket.answered(self.status.as_u16(), Ending::Refused);
        if let Some(limit) = self.limit {
            ticket.limited(limit);
        }
        response
    }
}

/// An answer with headers that are known by their names.
pub(super) fn response(
    status: StatusCode,
    headers: &[(String, String)],
    body: Outgoing,
) -> Response<Outgoing> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    for (name, value) in headers {
        let pair = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value));
        if let (Ok(name), Ok(value)) = pair {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// `text` in one line, short, without what could harm a terminal.
fn harmless(text: &str) -> String {
    let is_plain = |letter: char| !letter.is_control();
    text.chars().take(TEXT_LEN_MAX).map(|letter| if is_plain(letter) { letter } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_where_a_client_looks() {
        let (kind, body) = Asked::of("POST", b"/x.git/git-upload-pack", b"").body("no\x1b[2J\nway");
        assert_eq!(kind, "application/x-git-upload-pack-result");
        assert_eq!(body, b"0012ERR no?[2J?way");
        let (kind, body) = Asked::of("GET", b"/x.git/info/refs", b"service=git-upload-pack").body("no");
        assert_eq!((kind.as_str(), body.as_slice()), ("text/plain; charset=utf-8", b"no\n".as_slice()));
        assert_eq!(Asked::of("GET", b"/x.git/info/refs", b""), Asked::Other);
    }
}
