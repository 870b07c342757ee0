//! HTTP, smart and dumb: gitprotocol-http(5).
//!
//! A session is one `GET info/refs`, whose answer is the greeting, and one POST for each exchange:
//!
//! ```text
//! open --> HttpTransport --connect: GET--> HttpConnection --greeting, exchange: POST, converse: POST, close
//!                            |  ^   |
//!                   redirect +--+   +-- 401: ask for a credential, try again
//! ```
//!
//! A server that knows nothing of git gives `Files` instead: the dumb protocol, see `files`.
//!
//! `rpc` says the POSTs. `client` alone knows the HTTP library, `tls` the TLS library.

use std::io::{BufRead, Cursor, Read as _};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use bstr::ByteSlice as _;

use super::{Connection, Error, Options, Settings, Transport, Url};
use crate::credential::{CredentialProvider, Helpers};
use crate::progress::Progress;
use crate::protocol::pktline::{self, Packet};
use crate::protocol::{self, Service, Version};

mod address;
mod auth;
mod charset;
mod client;
mod cookie;
mod date;
mod digest;
mod download;
mod failure;
mod files;
mod framed;
mod matching;
mod netrc;
#[cfg(feature = "otlp")]
mod post;
mod proxy;
mod retry;
mod rpc;
mod scheme;
mod settings;
mod site;
mod tls;
pub mod trace;

#[cfg(test)]
mod tests;

pub use download::Download;
#[cfg(feature = "otlp")]
pub use post::Post;

use address::{Address, request_url};
use auth::Authentication;
use client::{Client, Repeat, Response};
use failure::Failure;
use files::Plain;
use rpc::HttpConnection;
use settings::{FollowRedirects, HttpSettings};
use site::{Answer, Call, Site};

/// How often one request is repeated because the server asked who we are.
const CHALLENGES_MAX: usize = 4;

/// Prepares HTTP to the repository at `url`. Nothing is contacted yet; the errors are about the URL and the
/// configuration.
pub fn open(url: &Url, settings: &dyn Settings, options: Options) -> Result<Box<dyn Transport>, Error> {
    // the far side's programs are the web server's choice, and there is no child for a directory
    Ok(Box::new(HttpTransport { site: site(url, settings, options)? }))
}

fn site(url: &Url, settings: &dyn Settings, options: Options) -> Result<Site, Error> {
    let settings_here = HttpSettings::read(settings, &Address::new(text_of(url)?).matched(), &options)?;
    site_with(url, settings_here, settings, options)
}

fn text_of(url: &Url) -> Result<&str, Error> {
    url.text.to_str().map_err(|_| Error::Url("the URL is not valid UTF-8".into()))
}

/// As [`site`], with settings that were read before.
fn site_with(
    url: &Url,
    settings_here: HttpSettings,
    settings: &dyn Settings,
    options: Options,
) -> Result<Site, Error> {
    let base = Address::new(text_of(url)?).base();
    let illegal = |failure: Failure| Error::Access(format!("unable to access '{base}': {}", failure.message));
    let home = request_url(&base).map_err(illegal)?;
    refuse_newlines(url, &base)?;
    let jar = settings_here.cookie_file.as_deref().map(|file| cookie::Jar::load(file, SystemTime::now()));
    let configured = || Arc::new(Helpers::new(super::credentials(settings))) as Arc<dyn CredentialProvider>;
    let provider = options.credentials.unwrap_or_else(configured);
    let password = url.password.as_ref().map(crate::credential::Secret::reveal);
    Ok(Site {
        client: Arc::new(Client::new(settings_here.client.clone())),
        authentication: Authentication::new(
            provider,
            &home,
            auth::user(url)?,
            password,
            settings_here.netrc_file.clone(),
        ),
        settings: Arc::new(settings_here),
        base,
        home,
        jar: jar.map(|jar| Arc::new(Mutex::new(jar))),
        proxy_proof: None,
    })
}

/// Refuses a URL with a line break, which could tell helpers of credentials of another host (CVE-2020-5260). git 2.47.3
/// refuses it whether or not there is anything to ask them.
fn refuse_newlines(url: &Url, base: &str) -> Result<(), Error> {
    let password = url.password.as_ref().map_or("", crate::credential::Secret::reveal);
    for (name, is_broken) in [
        ("username", url.user.as_ref().is_some_and(|user| user.contains(&b'\n'))),
        ("password", password.contains('\n')),
        ("path", base.to_ascii_lowercase().contains("%0a")),
    ] {
        if is_broken {
            return Err(Error::Url(format!("url contains a newline in its {name} component: {base}")));
        }
    }
    Ok(())
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
        let is_smart = response.content_type() == format!("application/x-{}-advertisement", service.name());
        if !is_smart || !self.site.settings.is_smart {
            return match service {
                Service::UploadPack => Ok(Box::new(Plain::new(self.site.clone(), response.body))),
                Service::ReceivePack => Err(Error::Access(no_push(&self.site.base))),
            };
        }
        let answer = without_preamble(response.body, service)?;
        Ok(Box::new(HttpConnection::new(self.site.clone(), service, version, answer)))
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
        self.site.prepare(progress)?;
        let follow = self.site.settings.follow_redirects != FollowRedirects::Never;
        for _ in 0..CHALLENGES_MAX {
            let mark = if self.site.base.contains('?') { '&' } else { '?' };
            let tail = if self.site.settings.is_smart {
                format!("info/refs{mark}service={}", service.name())
            } else {
                "info/refs".to_owned()
            };
            let own: (&[_], &[_], &[_]) = (&[("Accept", "*/*")], &[], &[("Pragma", "no-cache")]);
            let headers = self.site.headers(own, service, version);
            let call = Call { headers: &headers, body: None, repeat: Repeat::Allowed, follow };
            let sent = self.site.url(&tail).and_then(|url| self.site.send_patiently(&url, &call, progress));
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

/// What to tell a user who would push to a server that knows nothing of git. C git tries `WebDAV` there.
fn no_push(base: &str) -> String {
    format!("'{base}' is no smart git server: pushes by WebDAV (the dumb HTTP protocol) are not supported")
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
