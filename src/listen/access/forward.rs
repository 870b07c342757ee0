//! A service that decides who may do what: it is asked before each request, as nginx's `auth_request` does. It is told
//!
//! | | |
//! | --- | --- |
//! | `X-Gitr-Repository` | the repository, as a path below the root, however the client calls it; not for the page at `/` |
//! | `X-Gitr-Access` | `read` or `write` |
//! | `X-Gitr-Path` | the path with nothing left to decode |
//! | `X-Original-Method`, `X-Original-URI` | the method and the URI as the client has them, who can write one path in many ways |
//! | `X-Forwarded-Host`, `X-Forwarded-For` | the host that is asked and who asks |
//! | `Authorization` | what the client says of himself |

use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, HOST, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use url::Url;

use super::Deed;
use super::place::Place;

/// How long the service may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Where the service says who it is.
const USERS: [&str; 3] = ["x-forwarded-user", "remote-user", "x-auth-request-user"];

/// The service.
#[derive(Debug, Clone)]
pub(in super::super) struct Forward {
    place: Place,
    target: String,
}

/// What it is asked about.
#[derive(Debug, Clone)]
pub(in super::super) struct Question {
    /// What is asked for; `None` if it is no repository.
    pub repository: Option<String>,
    pub deed: Deed,
    /// With nothing in it that is to be decoded.
    pub path: String,
    pub method: String,
    pub uri: String,
    pub address: Option<IpAddr>,
    pub host: Option<String>,
    pub authorization: Option<HeaderValue>,
}

/// What it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Decision {
    /// Yes, and who it is.
    Allowed(Option<String>),
    /// The client is to say who it is, in one of these ways.
    Unknown(Vec<HeaderValue>),
    /// No.
    Denied,
}

/// A request has no body.
struct Nothing;

impl Body for Nothing {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }
}

impl Forward {
    /// Reads its URL, which is `http:`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| error.to_string())?;
        if url.scheme() != "http" {
            return Err("only http: is spoken to a service that decides".into());
        }
        let host = url.host_str().ok_or("no host")?.to_owned();
        let target = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        Ok(Self { place: Place::new(host, url.port_or_known_default().unwrap_or(80)), target })
    }

    /// Asks; an error is the text for the log.
    pub(in super::super) async fn ask(&self, question: Question) -> Result<Decision, String> {
        match tokio::time::timeout(PATIENCE, self.converse(question)).await {
            Ok(answered) => answered,
            Err(_) => Err("the service that decides does not answer".into()),
        }
    }

    async fn converse(&self, question: Question) -> Result<Decision, String> {
        let failed = |error: &dyn std::error::Error| format!("the service that decides: {error}");
        let addresses = self.place.addresses().await.map_err(|error| failed(&error))?;
        let stream = match TcpStream::connect(&*addresses).await {
            Ok(stream) => stream,
            Err(error) => {
                self.place.forget().await;
                return Err(failed(&error));
            }
        };
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
        let spoken = tokio::spawn(connection);
        let request = self.request(question).map_err(|error| failed(&error))?;
        let answer = sender.send_request(request).await.map_err(|error| failed(&error));
        spoken.abort();
        let answer = answer?;
        let headers = answer.headers();
        match answer.status() {
            status if status.is_success() => {
                let named = USERS.iter().find_map(|name| headers.get(*name)?.to_str().ok());
                let user = named.filter(|user| !user.is_empty()).map(ToOwned::to_owned);
                Ok(Decision::Allowed(user))
            }
            StatusCode::UNAUTHORIZED => {
                Ok(Decision::Unknown(headers.get_all(WWW_AUTHENTICATE).iter().cloned().collect()))
            }
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Ok(Decision::Denied),
            status => Err(format!("the service that decides answers {status}")),
        }
    }

    fn request(&self, question: Question) -> Result<Request<Nothing>, hyper::http::Error> {
        let mut request = Request::get(&self.target)
            .header(HOST, format!("{}:{}", self.place.host, self.place.port))
            .header("X-Gitr-Access", question.deed.word())
            // as bytes, since a path has letters of all kinds
            .header("X-Gitr-Path", question.path.as_bytes())
            .header("X-Original-Method", question.method)
            .header("X-Original-URI", question.uri);
        if let Some(repository) = question.repository {
            request = request.header("X-Gitr-Repository", repository.as_bytes());
        }
        if let Some(host) = question.host {
            request = request.header("X-Forwarded-Host", host);
        }
        if let Some(address) = question.address {
            request = request.header("X-Forwarded-For", address.to_string());
        }
        if let Some(authorization) = question.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        request.body(Nothing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_has_a_plain_url() {
        let forward = Forward::parse("http://[::1]:81/check?x=1").unwrap();
        assert_eq!(
            (forward.place.host.as_str(), forward.place.port, forward.target.as_str()),
            ("[::1]", 81, "/check?x=1")
        );
        assert!(Forward::parse("https://example.com/").is_err());
        assert!(Forward::parse("nonsense").is_err());
    }
}
