//! One file over HTTP: a bundle, a list of bundles, a pack that stands beside a server's answer.
//!
//! Settings, proxies, certificates and credentials are those of any other request to the same URL; what the user adds to
//! requests (`http.extraHeader`) is meant for the repository's own server and goes to no other.

use std::io::{Read as _, Write};
use std::time::Duration;

use bstr::ByteSlice as _;

use super::address::{Address, request_url};
use super::client::{LowSpeed, Repeat};
use super::settings::{FollowRedirects, HttpSettings};
use super::site::{Answer, Call};
use super::{CHALLENGES_MAX, Error, Options, Settings, Url, site_with, text_of};
use crate::progress::Progress;
use crate::protocol::{Error as ProtocolError, Service, Version};
use crate::telemetry;

/// Bytes that are written at once.
const CHUNK_LEN: usize = 64 * 1024;
/// Where the user has set no limit, a download that is slower than this for [`SLOW_MAX`] is given up: there is another
/// way to what it would bring.
const SPEED_MIN_BYTES: u64 = 1_000;
/// See [`SPEED_MIN_BYTES`].
const SLOW_MAX: Duration = Duration::from_secs(30);

/// How files are downloaded.
pub struct Download<'a> {
    /// Where configuration is looked up.
    pub settings: &'a dyn Settings,
    /// How the remote is reached that is behind it all.
    pub options: Options,
    /// The URL of that remote.
    pub remote: Option<&'a Url>,
    /// The most bytes that are taken.
    pub len_max: u64,
}

impl Download<'_> {
    /// Writes what is at `url` to `out`; gives the number of bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Access`] for every answer but 200, and where there is more than [`Self::len_max`]; part of it may be written
    /// by then.
    pub fn get(&self, url: &Url, out: &mut dyn Write, progress: &mut dyn Progress) -> Result<u64, Error> {
        super::super::policy::allowed(url.scheme.name(), self.settings)?;
        telemetry::data("transport/http", "download", &url.redacted().to_str_lossy());
        let text = text_of(url)?;
        let address = Address::new(text);
        let mut here = HttpSettings::read(self.settings, &address.matched(), &self.options)?;
        here.client.low_speed.get_or_insert(LowSpeed { limit: SPEED_MIN_BYTES, time: SLOW_MAX });
        if !self.remote.is_some_and(|remote| is_same_server(remote, url)) {
            here.extra_headers.clear();
        }
        let whole = address.base();
        let whole = if text.ends_with('/') { &*whole } else { whole.trim_end_matches('/') };
        let target = request_url(whole)
            .map_err(|failure| Error::Access(format!("unable to access '{whole}': {}", failure.message)))?;
        let mut site = site_with(url, here, self.settings, self.options.clone())?;
        site.prepare(progress)?;
        let follow = site.settings.follow_redirects != FollowRedirects::Never;
        for _ in 0..CHALLENGES_MAX {
            let headers = site.headers((&[("Accept", "*/*")], &[], &[]), Service::UploadPack, Version::V0);
            let call = Call { headers: &headers, body: None, repeat: Repeat::Allowed, follow };
            let sent = site.send_patiently(&target, &call, progress);
            let Answer { response, url } = sent.map_err(|failure| site.no_access(&failure))?;
            match response.status {
                // who asks elsewhere, where a redirect led, is told nothing, and has no say in what is known here
                401 if site.authentication.covers(&url) => site.challenged(response)?,
                200 => {
                    site.authentication.accepted();
                    return self.copy(response.body, out, progress);
                }
                status => {
                    let text =
                        format!("unable to access '{whole}': The requested URL returned error: {status}");
                    return Err(Error::Access(text));
                }
            }
        }
        Err(Error::Access(format!("Authentication failed for '{whole}'")))
    }

    fn copy(
        &self,
        mut body: Box<dyn std::io::BufRead>,
        out: &mut dyn Write,
        progress: &mut dyn Progress,
    ) -> Result<u64, Error> {
        use crate::progress::Event;
        let mut chunk = vec![0; CHUNK_LEN];
        let mut done = 0_u64;
        loop {
            let amount = body.read(&mut chunk)?;
            if amount == 0 {
                return Ok(done);
            }
            done = done.saturating_add(amount as u64);
            if done > self.len_max {
                return Err(Error::Access(format!("more than {} bytes", self.len_max)));
            }
            out.write_all(chunk.get(..amount).unwrap_or_default())?;
            let event = Event::Phase { title: "Downloading", done, total: None, bytes: done };
            if progress.report(event).is_break() {
                return Err(Error::Protocol(ProtocolError::Interrupted));
            }
        }
    }
}

fn is_same_server(one: &Url, other: &Url) -> bool {
    (&one.scheme, &one.host, one.port) == (&other.scheme, &other.host, other.port)
}
