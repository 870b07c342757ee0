//! What configuration and environment say about HTTP: git-config(1), `http.*`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use bstr::{BString, ByteSlice as _};

use super::super::{Entry, Error, IpVersion, Settings};
use super::client;
use super::proxy::Proxies;
use super::tls::Trust;
use crate::credential::urlmatch::{Fit, Normal};

/// What servers take us for. Some of them look at what stands behind `git/`.
const USER_AGENT: &str = concat!("git/2.47.3.gitr-", env!("CARGO_PKG_VERSION"));
/// git-config(1), `http.postBuffer`: 1 MiB.
const POST_BUFFER_LEN_DEFAULT: u64 = 1024 * 1024;
/// The least that `http.postBuffer` can be: one pkt-line; seen in git 2.47.3.
const POST_BUFFER_LEN_MIN: u64 = 65520;
/// gitprotocol-http(5) has no limit; C git sends no more languages' bytes than this.
const ACCEPT_LANGUAGE_LEN_MAX: usize = 4000;

/// The settings of one transport.
#[derive(Debug, Clone)]
pub(super) struct HttpSettings {
    /// `http.userAgent`.
    pub(super) user_agent: String,
    /// `http.extraHeader`: names and values.
    pub(super) extra_headers: Vec<(String, String)>,
    /// `http.followRedirects`.
    pub(super) follow_redirects: FollowRedirects,
    /// `http.postBuffer`: longer requests are sent in chunks.
    pub(super) post_buffer_len: u64,
    /// The languages in which the user would like to be answered.
    pub(super) accept_language: Option<String>,
    /// What the client needs to know.
    pub(super) client: client::Options,
}

/// `http.followRedirects`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum FollowRedirects {
    /// All of them.
    Always,
    /// Those of the first request; the others go where it led.
    #[default]
    Initial,
    /// None.
    Never,
}

impl HttpSettings {
    /// Reads what holds for `url`, which is as the user wrote it.
    pub(super) fn read(settings: &dyn Settings, url: &str, ip_version: IpVersion) -> Result<Self, Error> {
        let matching = Matching::new(settings.section("http"), url);
        let env = |name: &str| settings.env(name).and_then(|value| value.into_string().ok());
        let verify = match settings.env("GIT_SSL_NO_VERIFY") {
            Some(_) => false,
            None => matching.boolean("sslverify")?.unwrap_or(true),
        };
        let either =
            |name: &str, key: &str| env(name).map_or_else(|| matching.text(key), |value| Ok(Some(value)));
        let ca_info = either("GIT_SSL_CAINFO", "sslcainfo")?.filter(|path| !path.is_empty());
        let trust = Trust { verify, ca_info: ca_info.map(|path| expand_home(settings, &path)) };
        Ok(Self {
            user_agent: either("GIT_HTTP_USER_AGENT", "useragent")?.unwrap_or_else(|| USER_AGENT.to_owned()),
            extra_headers: matching.headers(),
            follow_redirects: matching.follow_redirects()?,
            post_buffer_len: matching
                .number("postbuffer")?
                .map_or(POST_BUFFER_LEN_DEFAULT, |len| len.max(POST_BUFFER_LEN_MIN)),
            accept_language: accept_language(settings),
            client: client::Options {
                trust,
                proxies: Proxies::new(settings, matching.text("proxy")?.as_deref())?,
                http1_only: matching.text("version")?.is_some_and(|version| version == "HTTP/1.1"),
                local_address: match ip_version {
                    IpVersion::Any => None,
                    IpVersion::V4 => Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
                    IpVersion::V6 => Some(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
                },
            },
        })
    }
}

/// The entries of section `http` that hold for one URL, weaker ones before those that beat them.
struct Matching {
    entries: Vec<(String, Option<BString>)>,
}

impl Matching {
    /// An entry is passed over if an earlier one of the same key fits better.
    fn new(all: Vec<Entry>, url: &str) -> Self {
        let url = Normal::parse(url);
        let mut best: Vec<(String, Fit)> = Vec::new();
        let mut entries = Vec::new();
        for entry in all {
            let fit = match &entry.subsection {
                None => Some(Fit::default()),
                Some(pattern) => {
                    let pattern = pattern.to_str().ok().and_then(Normal::parse);
                    url.as_ref().zip(pattern).and_then(|(url, pattern)| url.fit(&pattern))
                }
            };
            let Some(fit) = fit else { continue };
            match best.iter_mut().find(|(key, _)| *key == entry.key) {
                Some((_, before)) if *before > fit => continue,
                Some((_, before)) => *before = fit,
                None => best.push((entry.key.clone(), fit)),
            }
            entries.push((entry.key, entry.value));
        }
        Self { entries }
    }

    /// The entry of `key` (lower case) that holds.
    fn entry(&self, key: &str) -> Option<&(String, Option<BString>)> {
        self.entries.iter().rev().find(|(name, _)| name == key)
    }

    /// The value of `key`; one that stands alone has none and is an error, as in git.
    fn text(&self, key: &str) -> Result<Option<String>, Error> {
        match self.entry(key) {
            None => Ok(None),
            Some((_, Some(value))) => Ok(Some(value.to_str_lossy().into_owned())),
            Some((_, None)) => Err(Error::Access(format!("missing value for 'http.{key}'"))),
        }
    }

    fn boolean(&self, key: &str) -> Result<Option<bool>, Error> {
        let Some((_, value)) = self.entry(key) else { return Ok(None) };
        let Some(value) = value else { return Ok(Some(true)) };
        let text = value.to_str_lossy();
        match &*text.to_ascii_lowercase() {
            "true" | "yes" | "on" => Ok(Some(true)),
            "false" | "no" | "off" | "" => Ok(Some(false)),
            lower => match lower.parse::<i64>() {
                Ok(number) => Ok(Some(number != 0)),
                Err(_) => Err(Error::Access(format!("bad boolean config value '{text}' for 'http.{key}'"))),
            },
        }
    }

    fn number(&self, key: &str) -> Result<Option<u64>, Error> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        let lower = text.trim().to_ascii_lowercase();
        let units = [('k', 1 << 10), ('m', 1 << 20), ('g', 1 << 30)];
        let with_unit = units.iter().find_map(|&(name, unit)| Some((lower.strip_suffix(name)?, unit)));
        let (digits, unit) = with_unit.unwrap_or((&lower, 1));
        let number = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
        let bad =
            || Error::Access(format!("bad numeric config value '{text}' for 'http.{key}': invalid unit"));
        number.map(Some).ok_or_else(bad)
    }

    fn follow_redirects(&self) -> Result<FollowRedirects, Error> {
        let value = self.entry("followredirects").and_then(|(_, value)| value.as_ref());
        if value.is_some_and(|value| value == "initial") {
            return Ok(FollowRedirects::Initial);
        }
        Ok(match self.boolean("followredirects")? {
            None => FollowRedirects::Initial,
            Some(true) => FollowRedirects::Always,
            Some(false) => FollowRedirects::Never,
        })
    }

    /// All of `http.extraHeader`; an empty value forgets those before it.
    fn headers(&self) -> Vec<(String, String)> {
        let mut headers = Vec::new();
        for (_, value) in self.entries.iter().filter(|(key, _)| key == "extraheader") {
            let line = value.as_ref().map(|value| value.to_str_lossy()).unwrap_or_default();
            if line.is_empty() {
                headers.clear();
            } else if let Some((name, value)) = line.split_once(':') {
                headers.push((name.trim().to_owned(), value.trim().to_owned()));
            }
        }
        headers
    }
}

/// A path of the configuration, where `~/` is the user's home directory.
fn expand_home(settings: &dyn Settings, path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), settings.env("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => PathBuf::from(path),
    }
}

/// The value of `Accept-Language` as C git makes it of the locale: `LANGUAGE=ko_KR.UTF-8:en` is
/// `ko-KR, en;q=0.9, *;q=0.8`.
fn accept_language(settings: &dyn Settings) -> Option<String> {
    let env =
        |name: &str| settings.env(name).and_then(|value| value.into_string().ok()).filter(|v| !v.is_empty());
    let list = env("LANGUAGE").or_else(|| ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(env))?;
    let tags =
        list.split(':').map(|locale| locale.split(['.', '@']).next().unwrap_or_default().replace('_', "-"));
    let tags: Vec<String> = tags.filter(|tag| !tag.is_empty() && tag != "C" && tag != "POSIX").collect();
    if tags.is_empty() {
        return None;
    }
    let mut value = String::new();
    for (position, tag) in tags.iter().map(String::as_str).chain(["*"]).enumerate() {
        let piece = match (position, tags.len()) {
            (0, _) => tag.to_owned(),
            // ten languages need a second decimal to have ten weights
            (_, 0..10) => format!(", {tag};q=0.{}", 10 - position),
            (_, 10..100) => format!(", {tag};q=0.{:02}", 100 - position),
            (_, _) => break,
        };
        if value.len() + piece.len() > ACCEPT_LANGUAGE_LEN_MAX {
            break;
        }
        value.push_str(&piece);
    }
    Some(value)
}
