//! Against canned answers, and against `git http-backend` behind a small server.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::Read as _;
use std::ops::ControlFlow;

use bstr::{BString, ByteSlice as _};

use super::super::{Connection, Entry, Error, Options, Settings, Url, url::Scheme};
use super::open;
use crate::credential::Secret;
use crate::progress::{Discard, Event, Progress};
use crate::protocol::{Service, Version};

mod auth;
mod backend;
mod converse;
mod redirect;
mod retry;
mod safety;
mod server;
mod settings;
#[cfg(unix)]
mod socks;
mod tls;
mod wire;

/// Settings made by hand: no file and no variable of the machine has a say.
#[derive(Debug, Clone, Default)]
pub(super) struct FakeSettings {
    entries: Vec<Entry>,
    remotes: Vec<Entry>,
    variables: HashMap<String, OsString>,
}

impl FakeSettings {
    pub(super) fn with(self, key: &str, value: &str) -> Self {
        self.with_url(None, key, value)
    }

    pub(super) fn with_url(mut self, subsection: Option<&str>, key: &str, value: &str) -> Self {
        let entry =
            Entry { subsection: subsection.map(Into::into), key: key.into(), value: Some(value.into()) };
        self.entries.push(entry);
        self
    }

    pub(super) fn with_env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }
}

impl Settings for FakeSettings {
    fn value(&self, _key: &str) -> Option<BString> {
        None
    }

    fn section(&self, name: &str) -> Vec<Entry> {
        match name {
            "http" => self.entries.clone(),
            "remote" => self.remotes.clone(),
            _ => Vec::new(),
        }
    }

    fn env(&self, name: &str) -> Option<OsString> {
        self.variables.get(name).cloned()
    }
}

/// Settings under which nobody is asked anything.
fn quiet() -> FakeSettings {
    FakeSettings::default().with_env("GIT_TERMINAL_PROMPT", "0")
}

/// Notes the warnings.
#[derive(Default)]
struct Warnings(Vec<String>);

impl Progress for Warnings {
    fn report(&mut self, event: Event<'_>) -> ControlFlow<()> {
        if let Event::Warning(text) | Event::Hint(text) = event {
            self.0.push(text.into());
        }
        ControlFlow::Continue(())
    }
}

/// Takes `text` apart as far as these tests need it.
fn url(text: &str) -> Url {
    let (scheme, rest) = text.split_once("://").unwrap();
    let (authority, path) = rest.split_at(rest.find('/').unwrap());
    let (userinfo, host) = authority.rsplit_once('@').map_or((None, authority), |(u, h)| (Some(u), h));
    let (user, password) = userinfo.map_or((None, None), |userinfo| match userinfo.split_once(':') {
        Some((user, password)) => (Some(user.into()), Some(Secret::new(password))),
        None => (Some(userinfo.into()), None),
    });
    let (host, port) = host.rsplit_once(':').map_or((host, None), |(h, p)| (h, Some(p.parse().unwrap())));
    let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
    Url { scheme, user, password, host: host.into(), port, path: path.into(), text: text.into() }
}

fn connect(text: &str, settings: &FakeSettings) -> Result<Box<dyn Connection>, Error> {
    let mut transport = open(&url(text), settings, Options::default())?;
    transport.connect(Service::UploadPack, Version::V2, &mut Discard)
}

/// The message of the error that comes of connecting to `text`.
fn refusal(text: &str, settings: &FakeSettings) -> String {
    match connect(text, settings) {
        Ok(_) => panic!("connected to {text}"),
        Err(error) => error.to_string(),
    }
}

fn read_greeting(connection: &mut dyn Connection) -> BString {
    let mut text = Vec::new();
    connection.greeting().unwrap().read_to_end(&mut text).unwrap();
    text.into()
}

fn exchange(connection: &mut dyn Connection, request: &[u8]) -> BString {
    let mut text = Vec::new();
    connection.exchange(request, &mut Discard).unwrap().read_to_end(&mut text).unwrap();
    text.into()
}

/// `text` as one pkt-line.
fn packet(text: &str) -> String {
    format!("{:04x}{text}", text.len() + 4)
}

fn contains(text: &BString, part: &str) -> bool {
    text.find(part).is_some()
}
