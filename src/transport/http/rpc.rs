//! The POSTs of a session: gitprotocol-http(5), "Smart Service git-upload-pack" and "git-receive-pack".
//!
//! ```text
//! fits http.postBuffer --> one POST, repeated if the server asks who we are
//! longer --> probe: POST of a flush-pkt, repeated likewise --> one POST in chunks, never repeated
//! ```

use std::io::{self, BufRead, Cursor, Read, Write as _};
use std::ops::ControlFlow;

use bstr::ByteSlice;

use super::super::{Connection, Error};
use super::CHALLENGES_MAX;
use super::client::{self, Feed, Payload, Repeat, Response};
use super::failure::Failure;
use super::framed::{self, Framed};
use super::settings::{FollowRedirects, POST_BUFFER_LEN_MIN};
use super::site::{self, Answer, Call, Site};
use crate::progress::{Event, Progress};
use crate::protocol::{self, Service, Version, trace};

/// A fetch request longer than this is compressed: git 2.47.3 does so above 1024 bytes.
const GZIP_ABOVE_LEN: usize = 1024;
/// The pieces a stream is sent in.
const PIECE_LEN: usize = 64 * 1024;
/// A flush-pkt: says nothing and harms nobody.
const PROBE: &[u8] = b"0000";

/// One session: see the graph of the parent module.
pub(super) struct HttpConnection {
    site: Site,
    service: Service,
    version: Version,
    /// The greeting, then the answer to the latest request.
    answer: Box<dyn BufRead>,
    /// The command of version 2 that the latest request is for.
    latest: Option<Latest>,
}

/// A command of version 2.
#[derive(Debug, Clone, Copy)]
enum Latest {
    List,
    /// A round of negotiation, which is answered by acknowledgments.
    Negotiate,
    Fetch,
}

impl Latest {
    fn of(request: &[u8]) -> Option<Self> {
        match ByteSlice::lines(request).next()?.get(4..)? {
            b"command=ls-refs" => Some(Self::List),
            b"command=fetch" if request.contains_str("0009done\n") => Some(Self::Fetch),
            b"command=fetch" => Some(Self::Negotiate),
            _ => None,
        }
    }
}

impl HttpConnection {
    /// The session with `service` whose greeting is `answer`.
    pub(super) fn new(site: Site, service: Service, version: Version, answer: Box<dyn BufRead>) -> Self {
        Self { site, service, version, answer, latest: None }
    }
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
        body: &mut (dyn Read + Send),
        read: &mut dyn FnMut(&mut dyn BufRead) -> Result<(), Error>,
        progress: &mut dyn Progress,
    ) -> Result<(), Error> {
        self.finish_answer();
        // room for one more pkt-line has to be left: seen in git 2.47.3
        let whole_len = self.site.settings.post_buffer_len - POST_BUFFER_LEN_MIN;
        let mut begun = Vec::new();
        body.take(whole_len + 1).read_to_end(&mut begun)?;
        if begun.len() as u64 <= whole_len && whole_len > 0 {
            self.answer = self.post_whole(&begun, progress)?;
            return read(&mut *self.answer);
        }
        self.post_chunked(&mut Cursor::new(begun).chain(body), Then::Read(read), progress)
    }

    fn answer(&mut self) -> Result<&mut dyn BufRead, Error> {
        Ok(&mut *self.answer)
    }

    fn exchange(&mut self, request: &[u8], progress: &mut dyn Progress) -> Result<&mut dyn BufRead, Error> {
        self.finish_answer();
        trace::sent(request);
        self.latest = Latest::of(request);
        if request.len() as u64 <= self.site.settings.post_buffer_len {
            self.answer = self.post_whole(request, progress)?;
        } else {
            self.post_chunked(&mut &*request, Then::Keep, progress)?;
        }
        Ok(&mut *self.answer)
    }

    fn close(self: Box<Self>) -> Result<(), Error> {
        Ok(())
    }
}

impl Drop for HttpConnection {
    fn drop(&mut self) {
        self.site.save_cookies();
    }
}

/// What is done with the answer to a request that may still be on its way.
enum Then<'a> {
    /// It is read while the rest of the request is sent; what is not sent by then is not sent at all.
    Read(&'a mut dyn FnMut(&mut dyn BufRead) -> Result<(), Error>),
    /// It is kept until the request is complete.
    Keep,
}

impl HttpConnection {
    /// Reads what is left of the previous answer.
    fn finish_answer(&mut self) {
        client::finish(std::mem::replace(&mut self.answer, Box::new(io::empty())));
    }

    /// A request that fits in memory; compressed as C git does. Gives the answer's body.
    fn post_whole(&mut self, bytes: &[u8], progress: &mut dyn Progress) -> Result<Box<dyn BufRead>, Error> {
        let compress = self.service == Service::UploadPack && bytes.len() > GZIP_ABOVE_LEN;
        let (body, encoding) = if compress { (gzip(bytes)?, Some("gzip")) } else { (bytes.to_vec(), None) };
        let size = match encoding {
            Some(_) => format!("gzip {} to {} bytes", bytes.len(), body.len()),
            None => format!("{} bytes", bytes.len()),
        };
        self.tell(&size, progress)?;
        let answer = self.post(&body, encoding, progress)?;
        self.body_of(answer.response)
    }

    /// A request of unknown length. It cannot be said twice, so a probe settles beforehand where it goes and as
    /// whom, as in C git.
    fn post_chunked(
        &mut self,
        source: &mut (dyn Read + Send),
        then: Then<'_>,
        progress: &mut dyn Progress,
    ) -> Result<(), Error> {
        let Answer { response, url } = self.post(PROBE, None, progress)?;
        response.finish();
        let headers = self.headers(None);
        self.tell("chunked", progress)?;
        let reads_now = matches!(then, Then::Read(_));
        let (feed, chunks, made) = client::chunked();
        std::thread::scope(|scope| {
            let feeder = scope.spawn(move || fill(feed, source));
            let payload = Payload::Chunked(chunks.clone());
            let sent = self.site.send_once(&url, &headers, payload, Repeat::Never);
            let used =
                sent.map_err(|failure| self.rpc_failed(&failure)).and_then(|answer| self.body_of(answer));
            let used = used.and_then(|body| {
                self.answer = body;
                match then {
                    Then::Read(read) => read(&mut *self.answer),
                    Then::Keep => {
                        self.site.client.wait(made);
                        Ok(())
                    }
                }
            });
            if used.is_err() || reads_now {
                // who makes the request must not wait for a server that has said all it wants to
                chunks.abandon();
            }
            let made = feeder.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            made.map_err(Error::from).and(used)
        })
    }

    /// The body of an answer that is a result of our service. As in git, a server may be wrong about its type; a page of
    /// some gateway is refused by what it is.
    fn body_of(&self, response: Response) -> Result<Box<dyn BufRead>, Error> {
        if response.status != 200 {
            return Err(self.http_failed(response));
        }
        let found = response.content_type();
        let mut body = response.body;
        if found == format!("application/x-{}-result", self.service.name())
            || framed::begins_well(&mut *body)?
        {
            // older versions end by something else: a report, or a pack as it is
            return Ok(if self.version == Version::V2 { Box::new(Framed::new(body)) } else { body });
        }
        Err(Error::Access(format!("RPC failed; the answer is of type '{}'", found.escape_default())))
    }

    /// Tells of a POST, as `--verbose` shows it.
    fn tell(&self, size: &str, progress: &mut dyn Progress) -> Result<(), Error> {
        let text = format!("POST {} ({size})", self.service.name());
        match progress.report(Event::Detail { level: 1, text: &text }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(protocol::Error::Interrupted.into()),
        }
    }

    /// One POST, repeated if the server asks who we are.
    fn post(
        &mut self,
        body: &[u8],
        encoding: Option<&str>,
        progress: &mut dyn Progress,
    ) -> Result<Answer, Error> {
        let follow = self.site.settings.follow_redirects == FollowRedirects::Always;
        let headers = self.headers(encoding);
        // the server may have taken a push although we did not hear so
        let is_harmless = self.service == Service::UploadPack || body == PROBE;
        let repeat = if is_harmless { Repeat::Allowed } else { Repeat::Never };
        for _ in 0..CHALLENGES_MAX {
            let url = self.site.url(self.service.name());
            let call = Call { headers: &headers, body: Some(body), repeat, follow };
            let sent = url.and_then(|url| self.site.send_patiently(&url, &call, progress));
            let answer = sent.map_err(|failure| self.rpc_failed(&failure))?;
            match answer.response.status {
                401 if self.site.authentication.covers(&answer.url) => {
                    self.site.challenged(answer.response)?;
                }
                200 => {
                    self.site.authentication.accepted();
                    return Ok(answer);
                }
                _ => return Err(self.http_failed(answer.response)),
            }
        }
        Err(Error::Access(format!("Authentication failed for '{}'", self.site.base)))
    }

    /// The error for a POST that got no answer.
    fn rpc_failed(&self, failure: &Failure) -> Error {
        let reason = format!("RPC failed; curl {} {}", failure.curl_code, failure.message);
        Error::Rpc { remote: Vec::new(), reason, consequence: self.consequence() }
    }

    /// The error for a POST whose answer is one.
    fn http_failed(&self, response: Response) -> Error {
        let status = response.status;
        let reason = format!("RPC failed; HTTP {status} curl 22 The requested URL returned error: {status}");
        Error::Rpc { remote: site::words(response), reason, consequence: self.consequence() }
    }

    /// What C git says of an exchange that has no answer.
    fn consequence(&self) -> &'static str {
        match (self.service, self.latest) {
            (Service::UploadPack, Some(Latest::List)) => "expected flush after ref listing",
            (Service::UploadPack, Some(Latest::Negotiate)) => "expected 'acknowledgments'",
            (Service::UploadPack, Some(Latest::Fetch)) => "expected 'packfile'",
            (Service::UploadPack, None) | (Service::ReceivePack, _) => "the remote end hung up unexpectedly",
        }
    }

    fn headers(&self, encoding: Option<&str>) -> Vec<(String, String)> {
        let content_type = format!("application/x-{}-request", self.service.name());
        let accept = format!("application/x-{}-result", self.service.name());
        let own = [("Content-Type", content_type.as_str()), ("Accept", accept.as_str())];
        let mut lines = self.site.headers((&[], &own, &[]), self.service, self.version);
        lines.extend(encoding.map(|encoding| ("Content-Encoding".to_owned(), encoding.to_owned())));
        lines
    }
}

/// Reads `source` and hands it over piece by piece, until it ends, fails or nobody wants more.
fn fill(feed: Feed, source: &mut (dyn Read + Send)) -> io::Result<()> {
    loop {
        let mut piece = vec![0; PIECE_LEN];
        match source.read(&mut piece) {
            Ok(0) => {
                feed.end();
                return Ok(());
            }
            Ok(len) => piece.truncate(len),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        if !feed.send(piece) {
            return Ok(());
        }
    }
}

/// Compresses a request.
pub(super) fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}
