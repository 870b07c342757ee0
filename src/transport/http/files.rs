//! A repository on a server that knows nothing of git: gitprotocol-http(5), "Dumb Clients".
//!
//! Each file is one GET, with the settings, cookies and credentials of any other request to the same server. What is asked
//! for after `info/refs` is followed elsewhere only where `http.followRedirects` is `true`.

use std::io::BufRead;

use super::address::request_url;
use super::client::{self, Repeat};
use super::failure::Failure;
use super::settings::FollowRedirects;
use super::site::{Answer, Call, Site};
use super::{CHALLENGES_MAX, Error};
use crate::progress::Progress;
use crate::protocol::{Service, Version};
use crate::transport::{Connection, File, Files};

/// The answer of such a server to the request for its refs: there will be no conversation.
pub(super) struct Plain {
    /// `None` once it was given away.
    files: Option<Box<Plainly>>,
}

/// See [`Files`].
struct Plainly {
    site: Site,
    /// The body of `info/refs`; empty once it was read.
    refs: Box<dyn BufRead>,
}

impl Plain {
    /// The repository at `site`, whose `info/refs` reads `refs`.
    pub(super) fn new(site: Site, refs: Box<dyn BufRead>) -> Self {
        Self { files: Some(Box::new(Plainly { site, refs })) }
    }

    fn no_service(&self) -> Error {
        let base = self.files.as_ref().map(|files| files.site.base.clone()).unwrap_or_default();
        Error::Access(format!("'{base}' is no smart git server, which this needs"))
    }
}

impl Connection for Plain {
    fn is_stateful(&self) -> bool {
        false
    }

    fn files(&mut self) -> Option<Box<dyn Files>> {
        Some(self.files.take()? as Box<dyn Files>)
    }

    fn greeting(&mut self) -> Result<&mut dyn BufRead, Error> {
        Err(self.no_service())
    }

    fn exchange(&mut self, _request: &[u8], _progress: &mut dyn Progress) -> Result<&mut dyn BufRead, Error> {
        Err(self.no_service())
    }

    fn converse(
        &mut self,
        _body: &mut (dyn std::io::Read + Send),
        _read: &mut dyn FnMut(&mut dyn BufRead) -> Result<(), Error>,
        _progress: &mut dyn Progress,
    ) -> Result<(), Error> {
        Err(self.no_service())
    }

    fn answer(&mut self) -> Result<&mut dyn BufRead, Error> {
        Err(self.no_service())
    }

    fn close(self: Box<Self>) -> Result<(), Error> {
        Ok(())
    }
}

impl Files for Plainly {
    fn base(&self) -> &str {
        &self.site.base
    }

    fn refs(&mut self) -> &mut dyn BufRead {
        &mut *self.refs
    }

    fn follows_alternates(&self) -> bool {
        self.site.settings.follow_redirects == FollowRedirects::Always
    }

    fn alternate(&self, base: &str, line: &str) -> Option<String> {
        let objects = request_url(&format!("{base}objects/")).ok()?;
        let mut url = objects.join(line).ok()?;
        let loses_encryption = (objects.scheme(), url.scheme()) == ("https", "http");
        if loses_encryption || !self.site.settings.redirect_schemes.contains(&url.scheme()) {
            return None;
        }
        // who sends us elsewhere has no say in who we are there
        url.set_username("").and_then(|()| url.set_password(None)).ok()?;
        url.set_fragment(None);
        url.set_query(None);
        Some(url.into())
    }

    fn open(&mut self, url: &str, progress: &mut dyn Progress) -> Result<File, Error> {
        client::finish(std::mem::replace(&mut self.refs, Box::new(std::io::empty())));
        let malformed =
            |failure: Failure| Error::Access(format!("unable to access '{url}': {}", failure.message));
        let target = request_url(url).map_err(malformed)?;
        let follow = self.follows_alternates();
        for _ in 0..CHALLENGES_MAX {
            let own: (&[_], &[_], &[_]) = (&[("Accept", "*/*")], &[], &[("Pragma", "no-cache")]);
            let headers = self.site.headers(own, Service::UploadPack, Version::V0);
            let call = Call { headers: &headers, body: None, repeat: Repeat::Allowed, follow };
            let sent = self.site.send_patiently(&target, &call, progress);
            let Answer { response, url: place } = sent.map_err(|failure| self.site.no_access(&failure))?;
            match response.status {
                200 => {
                    self.site.authentication.accepted();
                    return Ok(File::Body(response.body));
                }
                // who asks elsewhere is told nothing
                401 if self.site.authentication.covers(&place) => self.site.challenged(response)?,
                status => {
                    response.finish();
                    return Ok(File::Missing(status));
                }
            }
        }
        Err(Error::Access(format!("Authentication failed for '{}'", self.site.base)))
    }
}

impl Drop for Plainly {
    fn drop(&mut self) {
        self.site.save_cookies();
    }
}
