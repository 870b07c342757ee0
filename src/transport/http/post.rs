//! One thing that is said to a server which is no git server: what a server measured, for those who collect it.

use std::io::Read as _;
use std::time::Duration;

use super::client::{self, Client, LowSpeed, Payload, Repeat, Request};
use super::settings::HttpSettings;
use super::{Error, Options, Settings};

/// Bytes of an answer that are read.
const ANSWER_LEN_MAX: u64 = 64 * 1024;

/// How it is said: proxies and certificates are those that `settings` name for the URL.
pub struct Post {
    url: url::Url,
    options: client::Options,
}

impl Post {
    /// Makes ready to talk to `url`. A server that stands still for `patience` is given up.
    ///
    /// # Errors
    ///
    /// If it is no URL of HTTP, or the settings make no sense.
    pub fn new(url: &str, settings: &dyn Settings, patience: Duration) -> Result<Self, Error> {
        let bad = |error: &dyn std::fmt::Display| Error::Access(format!("'{url}': {error}"));
        let parsed = url::Url::parse(url).map_err(|error| bad(&error))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(bad(&"only http and https are spoken here"));
        }
        let mut options = HttpSettings::read(settings, url, &Options::default())?.client;
        options.low_speed = Some(LowSpeed { limit: 1, time: patience });
        Ok(Self { url: parsed, options })
    }

    /// Says `body`, and gives the status and the body of the answer.
    ///
    /// # Errors
    ///
    /// If there is no answer.
    pub fn send(&self, headers: &[(String, String)], body: Vec<u8>) -> Result<(u16, Vec<u8>), Error> {
        let shown = self.url.as_str();
        let failed = |text: &str| Error::Access(format!("unable to access '{shown}': {text}"));
        let request = Request { url: &self.url, headers, shown, repeat: Repeat::Never };
        let client = Client::new(self.options.clone());
        let answer =
            client.send(&request, Payload::Sized(body)).map_err(|failure| failed(&failure.message))?;
        let mut bytes = Vec::new();
        answer
            .body
            .take(ANSWER_LEN_MAX)
            .read_to_end(&mut bytes)
            .map_err(|error| failed(&error.to_string()))?;
        Ok((answer.status, bytes))
    }
}

impl std::fmt::Debug for Post {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Post").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}
