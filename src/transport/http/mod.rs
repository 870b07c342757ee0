//! Smart HTTP: gitprotocol-http(5).
//!
//! A session is one `GET info/refs`, whose answer is the greeting, and one POST for each exchange:
//!
//! ```text
//! open --> HttpTransport --connect: GET--> HttpConnection --greeting, exchange: POST, exchange: POST, close
//!                            |  ^   |
//!                   redirect +--+   +-- 401: ask for a credential, try again
//! ```
//!
//! `client` alone knows the HTTP library, `tls` the TLS library.

use std::io::{self, BufRead, Cursor, Read as _, Write as _};
use std::sync::Arc;

use bstr::ByteSlice as _;

use super::{Body, Connection, Error, Options, Settings, Transport, Url};
use crate::credential::{CredentialProvider, Helpers};
use crate::progress::{Event, Progress};
use crate::protocol::pktline::{self, Packet};
use crate::protocol::{self, Service, Version, trace};

mod auth;
mod client;
mod failure;
mod proxy;
mod settings;
mod site;
mod tls;

#[cfg(test)]
mod tests;

use auth::Authentication;
use client::{Client, Payload, Response};
use failure::Failure;
use settings::{FollowRedirects, HttpSettings};
use site::{Answer, Site};

/// A fetch request longer than this is compressed: git 2.47.3 does so above 1024 bytes.
const GZIP_ABOVE_LEN: usize = 1024;
/// How often one request is repeated because the server asked who we are.
const CHALLENGES_MAX: usize = 3;
/// What is left of an answer is read up to here, so that its connection can be used again.
const REST_LEN_MAX: u64 = 64 * 1024;

/// Prepares smart HTTP to the repository at `url`. Nothing is contacted yet; the errors are about the URL and the
/// configuration.
pub fn open(url: &Url, settings: &dyn Settings, options: Options) -> Result<Box<dyn Transport>, Error> {
    // the far side's programs are the web server's choice, and there is no child for a directory
    Ok(Box::new(HttpTransport { site: site(url, settings, options)? }))
}

fn site(url: &Url, settings: &dyn Settings, options: Options) -> Result<Site, Error> {
    let text = url.text.to_str().map_err(|_| Error::Url("the URL is not valid UTF-8".into()))?;
    let base = base(text);
    let illegal = format!("unable to access '{base}': URL using bad/illegal format or missing URL");
    let home = url::Url::parse(&base).map_err(|_| Error::Access(illegal))?;
    let settings_here = HttpSettings::read(settings, text, options.ip_version)?;
    let configured = || Arc::new(Helpers::new(super::credentials(settings))) as Arc<dyn CredentialProvider>;
    let provider = options.credentials.unwrap_or_else(configured);
    let password = url.password.as_ref().map(crate::credential::Secret::reveal);
    Ok(Site {
        client: Arc::new(Client::new(settings_here.client.clone())),
        authentication: Authentication::new(provider, &home, auth::user(url)?, password),
        settings: Arc::new(settings_here),
        base,
        home,
    })
}

/// The text of a URL without user and password, ending in a slash.
fn base(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let slash = if path.ends_with('/') { "" } else { "/" };
    format!("{scheme}://{host}{path}{slash}")
}

/// See [`open`].
struct HttpTransport {
    site: Site,
}

impl Transport for HttpTransport {
    fn connect(
        &mut self,
        service: Service,
        version: Version,
        progress: &mut dyn Progress,
    ) -> Result<Box<dyn Connection>, Error> {
        let response = self.discover(service, version, progress)?;
        let expected = format!("application/x-{}-advertisement", service.name());
        let found = response.content_type();
        if found != expected {
            return Err(Error::Access(not_smart(&self.site.base, &found)));
        }
        let answer = without_preamble(response.body, service)?;
        Ok(Box::new(HttpConnection { site: self.site.clone(), service, version, answer }))
    }
}

impl HttpTransport {
    /// `GET info/refs`, wherever it leads.
    fn discover(
        &mut self,
        service: Service,
        version: Version,
        progress: &mut dyn Progress,
    ) -> Result<Response, Error> {
        let follow = self.site.settings.follow_redirects != FollowRedirects::Never;
        for _ in 0..CHALLENGES_MAX {
            let mark = if self.site.base.contains('?') { '&' } else { '?' };
            let tail = format!("info/refs{mark}service={}", service.name());
            let own = [("Accept", "*/*"), ("Pragma", "no-cache")];
            let headers = self.site.headers(&own, service, version);
            let sent = self.site.url(&tail).and_then(|url| self.site.send(url, &headers, None, follow));
            let Answer { response, url } = sent.map_err(|failure| self.site.no_access(&failure))?;
            if matches!(response.status, 200 | 401) {
                self.site.rebase(&url, &tail, progress)?;
            }
            match response.status {
                401 => self.site.challenged(response)?,
                200 => {
                    self.site.authentication.accepted();
                    return Ok(response);
                }
                status => return Err(self.site.refused(response, status)),
            }
        }
        Err(Error::Access(format!("Authentication failed for '{}'", self.site.base)))
    }
}

/// What to tell a user whose URL leads to something else than a smart server. C git goes on by the dumb protocol
/// and takes any web page for an empty repository.
fn not_smart(base: &str, found: &str) -> String {
    let found: String = found.chars().filter(char::is_ascii_graphic).take(80).collect();
    let found = if found.is_empty() { "of no known type".to_owned() } else { format!("'{found}'") };
    format!(
        "'{base}' is not a smart git server: its info/refs is {found}\n\
         check the URL: a web page is no repository, and the dumb HTTP protocol is not supported"
    )
}

/// Takes `# service=…` and the flush-pkt after it off `answer`. A version 2 server may leave them out.
fn without_preamble(mut answer: Box<dyn BufRead>, service: Service) -> Result<Box<dyn BufRead>, Error> {
    let mut packets = pktline::Reader::new(&mut *answer);
    let mut begun = Vec::new();
    match packets.read_raw() {
        Ok(Packet::Data(data)) => pktline::write_data(&mut begun, data)?,
        Ok(Packet::Flush) => pktline::write_flush(&mut begun)?,
        Ok(Packet::Delimiter) => pktline::write_delimiter(&mut begun)?,
        Ok(Packet::ResponseEnd) => pktline::write_response_end(&mut begun)?,
        // what an empty answer means is for the reader of the greeting to say
        Err(protocol::Error::UnexpectedEof { position: 0 }) => return Ok(answer),
        Err(error) => return Err(error.into()),
    }
    let line = begun.get(4..).unwrap_or_default().trim_end();
    let Some(name) = line.strip_prefix(b"# service=") else {
        // not for us: what was read is put back
        return Ok(Box::new(Cursor::new(begun).chain(answer)));
    };
    if name != service.name().as_bytes() || packets.read_raw()? != Packet::Flush {
        return Err(Error::Access(format!("invalid server response; got '{}'", line.escape_ascii())));
    }
    Ok(answer)
}

/// One session: see the graph above.
struct HttpConnection {
    site: Site,
    service: Service,
    version: Version,
    /// The greeting, then the answer to the latest request.
    answer: Box<dyn BufRead>,
}

impl Connection for HttpConnection {
    fn is_stateful(&self) -> bool {
        false
    }

    fn greeting(&mut self) -> Result<&mut dyn BufRead, Error> {
        Ok(&mut *self.answer)
    }

    fn converse(
        &mut self,
        _body: &mut (dyn io::Read + Send),
        _read: &mut dyn FnMut(&mut dyn BufRead) -> Result<(), Error>,
        _progress: &mut dyn Progress,
    ) -> Result<(), Error> {
        unimplemented!()
    }

    fn answer(&mut self) -> Result<&mut dyn BufRead, Error> {
        Ok(&mut *self.answer)
    }

    fn exchange(
        &mut self,
        request: Body<'_>,
        progress: &mut dyn Progress,
    ) -> Result<&mut dyn BufRead, Error> {
        let previous = std::mem::replace(&mut self.answer, Box::new(io::empty()));
        // how an answer ends that nobody reads is nobody's affair
        drop(io::copy(&mut previous.take(REST_LEN_MAX), &mut io::sink()));
        if let Body::Bytes(bytes) = &request {
            trace::sent(bytes);
        }
        let post_buffer_len = self.site.settings.post_buffer_len;
        let response = match request {
            Body::Bytes(bytes) if bytes.len() as u64 <= post_buffer_len => {
                self.post_whole(bytes, progress)?
            }
            Body::Bytes(mut bytes) => self.post_stream(&mut bytes, progress)?,
            Body::Stream(stream) => self.post_stream(stream, progress)?,
        };
        let found = response.content_type();
        if found != format!("application/x-{}-result", self.service.name()) {
            return Err(Error::Access(format!(
                "RPC failed; the answer is of type '{}'",
                found.escape_default()
            )));
        }
        self.answer = response.body;
        Ok(&mut *self.answer)
    }

    fn close(self: Box<Self>) -> Result<(), Error> {
        Ok(())
    }
}

impl HttpConnection {
    /// A request that fits in memory; compressed as C git does.
    fn post_whole(&mut self, bytes: &[u8], progress: &mut dyn Progress) -> Result<Response, Error> {
        let compress = self.service == Service::UploadPack && bytes.len() > GZIP_ABOVE_LEN;
        let (body, encoding) = if compress { (gzip(bytes)?, Some("gzip")) } else { (bytes.to_vec(), None) };
        let size = match encoding {
            Some(_) => format!("gzip {} to {} bytes", bytes.len(), body.len()),
            None => format!("{} bytes", bytes.len()),
        };
        self.tell(&size, progress)?;
        let answer = self.post(&body, encoding)?;
        Ok(answer.response)
    }

    /// A request of unknown length. It cannot be said twice, so a probe settles beforehand where it goes and as
    /// whom, as in C git.
    fn post_stream(
        &mut self,
        stream: &mut (dyn io::Read + Send),
        progress: &mut dyn Progress,
    ) -> Result<Response, Error> {
        let url = self.post(b"0000", None)?.url;
        let headers = self.headers(None);
        self.tell("chunked", progress)?;
        let sent = self.site.send_once(&url, &headers, Payload::Chunked(stream));
        let response = sent.map_err(|failure| rpc_failed(&failure))?;
        if response.status == 200 { Ok(response) } else { Err(http_failed(response)) }
    }

    /// Tells of a POST, as `--verbose` shows it.
    fn tell(&self, size: &str, progress: &mut dyn Progress) -> Result<(), Error> {
        let text = format!("POST {} ({size})", self.service.name());
        match progress.report(Event::Detail { level: 1, text: &text }) {
            std::ops::ControlFlow::Continue(()) => Ok(()),
            std::ops::ControlFlow::Break(()) => Err(protocol::Error::Interrupted.into()),
        }
    }

    /// One POST, repeated if the server asks who we are.
    fn post(&mut self, body: &[u8], encoding: Option<&str>) -> Result<Answer, Error> {
        let follow = self.site.settings.follow_redirects == FollowRedirects::Always;
        let headers = self.headers(encoding);
        for _ in 0..CHALLENGES_MAX {
            let url = self.site.url(self.service.name());
            let sent = url.and_then(|url| self.site.send(url, &headers, Some(body), follow));
            let answer = sent.map_err(|failure| rpc_failed(&failure))?;
            match answer.response.status {
                401 if self.site.authentication.covers(&answer.url) => {
                    self.site.challenged(answer.response)?;
                }
                200 => {
                    self.site.authentication.accepted();
                    return Ok(answer);
                }
                _ => return Err(http_failed(answer.response)),
            }
        }
        Err(Error::Access(format!("Authentication failed for '{}'", self.site.base)))
    }

    fn headers(&self, encoding: Option<&str>) -> Vec<(String, String)> {
        let content_type = format!("application/x-{}-request", self.service.name());
        let accept = format!("application/x-{}-result", self.service.name());
        let mut own = vec![("Content-Type", content_type.as_str()), ("Accept", accept.as_str())];
        own.extend(encoding.map(|encoding| ("Content-Encoding", encoding)));
        self.site.headers(&own, self.service, self.version)
    }
}

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// The error for a POST that got no answer.
fn rpc_failed(failure: &Failure) -> Error {
    Error::Access(format!("RPC failed; curl {} {}", failure.curl_code, failure.message))
}

/// The error for a POST whose answer is one.
fn http_failed(response: Response) -> Error {
    let status = response.status;
    let message = format!("RPC failed; HTTP {status} curl 22 The requested URL returned error: {status}");
    site::refusal(response, message)
}
