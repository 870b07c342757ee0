//! What configuration and environment say about HTTP: git-config(1), `http.*`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use super::super::{Error, IpVersion, Options, Settings, policy};
use super::client::{self, KeepAlive, LowSpeed, Pinned};
use super::matching::{Matching, expand_home};
use super::proxy::{self, Proxies};
use super::retry::Retry;
use super::tls::{FileKind, Identity, Trust};

/// What servers take us for. Some of them look at what stands behind `git/`.
const USER_AGENT: &str = concat!("git/2.47.3.gitr-", env!("CARGO_PKG_VERSION"));
/// git-config(1), `http.postBuffer`: 1 MiB.
const POST_BUFFER_LEN_DEFAULT: u64 = 1024 * 1024;
/// The least that `http.postBuffer` can be: one pkt-line; seen in git 2.47.3.
pub(super) const POST_BUFFER_LEN_MIN: u64 = 65520;
/// gitprotocol-http(5) has no limit; C git sends no more languages' bytes than this.
const ACCEPT_LANGUAGE_LEN_MAX: usize = 4000;

/// git-config(1), `http.sslVersion`.
const SSL_VERSIONS: [&str; 7] = ["sslv2", "sslv3", "tlsv1", "tlsv1.0", "tlsv1.1", "tlsv1.2", "tlsv1.3"];
/// Those of git-config(1), `http.proxyAuthMethod`, that are spoken here.
const PROXY_METHODS: [&str; 3] = ["anyauth", "basic", "digest"];

/// The settings of one transport. They have no `Debug`: `http.extraHeader` holds tokens.
#[derive(Clone)]
pub(super) struct HttpSettings {
    /// `http.userAgent`.
    pub(super) user_agent: String,
    /// Whether smart HTTP may be spoken (`GIT_SMART_HTTP`).
    pub(super) is_smart: bool,
    /// `http.extraHeader`: names and values.
    pub(super) extra_headers: Vec<(String, String)>,
    /// `http.followRedirects`.
    pub(super) follow_redirects: FollowRedirects,
    /// The schemes that redirects may lead to: `protocol.allow`.
    pub(super) redirect_schemes: Vec<&'static str>,
    /// `http.postBuffer`: longer requests are sent in chunks.
    pub(super) post_buffer_len: u64,
    /// The languages in which the user would like to be answered.
    pub(super) accept_language: Option<String>,
    /// `http.proactiveAuth`: whether to say who we are before the server asks.
    pub(super) proactive: Proactive,
    /// `http.cookieFile`: where cookies come from; `None` if none are kept, an empty path if from nowhere.
    pub(super) cookie_file: Option<PathBuf>,
    /// `http.saveCookies`.
    pub(super) saves_cookies: bool,
    /// `~/.netrc`.
    pub(super) netrc_file: Option<PathBuf>,
    /// What happens after a failure that may pass.
    pub(super) retry: Retry,
    /// What the client needs to know.
    pub(super) client: client::Options,
    /// What the user is told of settings that mean nothing here.
    pub(super) warnings: Vec<String>,
}

/// `http.proactiveAuth`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Proactive {
    /// Only after the server has asked.
    #[default]
    Never,
    /// As a helper will have it, else in the basic way.
    Auto,
    /// In the basic way.
    Basic,
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

/// Of the schemes that are spoken here those that a server may send us to.
fn redirect_schemes(settings: &dyn Settings) -> Result<Vec<&'static str>, Error> {
    let mut schemes = Vec::new();
    for scheme in ["http", "https"] {
        if policy::allowed_unasked(scheme.into(), settings)? {
            schemes.push(scheme);
        }
    }
    Ok(schemes)
}

impl HttpSettings {
    /// Reads what holds for `url`, which is as the user wrote it.
    pub(super) fn read(settings: &dyn Settings, url: &str, options: &Options) -> Result<Self, Error> {
        let source = Source { settings, matching: Matching::new(settings.section("http"), url) };
        let matching = &source.matching;
        source.check_unused()?;
        let user_agent = source.text("GIT_HTTP_USER_AGENT", "useragent")?;
        Ok(Self {
            user_agent: user_agent.unwrap_or_else(|| USER_AGENT.to_owned()),
            is_smart: !source.env("GIT_SMART_HTTP").is_some_and(|word| is_off(&word)),
            extra_headers: matching.headers(),
            follow_redirects: source.follow_redirects()?,
            redirect_schemes: redirect_schemes(settings)?,
            post_buffer_len: matching.long_number("postbuffer")?.map_or(POST_BUFFER_LEN_DEFAULT, |len| {
                u64::try_from(len).unwrap_or_default().max(POST_BUFFER_LEN_MIN)
            }),
            accept_language: accept_language(settings),
            proactive: match matching.text("proactiveauth")?.as_deref() {
                Some("basic") => Proactive::Basic,
                Some("auto") => Proactive::Auto,
                Some(_) | None => Proactive::Never,
            },
            cookie_file: matching.text("cookiefile")?.map(|path| expand_home(settings, &path)),
            saves_cookies: matching.boolean("savecookies")?.unwrap_or(false),
            netrc_file: settings.env("HOME").map(|home| PathBuf::from(home).join(".netrc")),
            retry: source.retry()?,
            client: source.client(options)?,
            warnings: source.warnings(options)?,
        })
    }
}

/// Where settings come from.
struct Source<'a> {
    settings: &'a dyn Settings,
    matching: Matching,
}

impl Source<'_> {
    fn env(&self, name: &str) -> Option<String> {
        self.settings.env(name).and_then(|value| value.into_string().ok())
    }

    /// The variable `name`, else the configuration's `key`.
    fn text(&self, name: &str, key: &str) -> Result<Option<String>, Error> {
        self.env(name).map_or_else(|| self.matching.text(key), |value| Ok(Some(value)))
    }

    /// A path; an empty one counts as none.
    fn path(&self, name: &str, key: &str) -> Result<Option<PathBuf>, Error> {
        let path = self.text(name, key)?.filter(|path| !path.is_empty());
        Ok(path.map(|path| expand_home(self.settings, &path)))
    }

    /// A number, of which one below zero is none; a variable that holds none says nothing.
    fn number(&self, name: &str, key: &str) -> Result<Option<u64>, Error> {
        let number = match self.env(name).map(|text| text.trim().parse::<i64>()) {
            Some(Ok(number)) => Some(number),
            Some(Err(_)) | None => self.matching.number(key)?,
        };
        Ok(number.and_then(|number| u64::try_from(number).ok()))
    }

    /// Refuses what git refuses in settings that change nothing here.
    fn check_unused(&self) -> Result<(), Error> {
        for key in ["maxrequests", "minsessions"] {
            self.matching.number(key)?;
        }
        for key in ["ssltry", "noepsv", "schannelcheckrevoke", "schannelusesslcainfo"] {
            self.matching.boolean(key)?;
        }
        if self.matching.value("emptyauth").is_none_or(|value| value != "auto") {
            self.matching.boolean("emptyauth")?;
        }
        Ok(())
    }

    /// C git's words about values that it does not know, and about ways that it knows and we do not.
    fn warnings(&self, options: &Options) -> Result<Vec<String>, Error> {
        let version = self.text("GIT_SSL_VERSION", "sslversion")?;
        let version = version.filter(|name| !name.is_empty() && !SSL_VERSIONS.contains(&&**name));
        let method = self.proxy_method(options)?.filter(|name| !PROXY_METHODS.contains(&&**name));
        let version = version.map(|name| format!("unsupported ssl version {name}: using default"));
        let method =
            method.map(|name| format!("unsupported proxy authentication method {name}: using anyauth"));
        let has_negative_len = self.matching.long_number("postbuffer")?.is_some_and(i64::is_negative);
        let buffer = has_negative_len
            .then(|| format!("negative value for http.postBuffer; defaulting to {POST_BUFFER_LEN_MIN}"));
        Ok(version.into_iter().chain(method).chain(buffer).collect())
    }

    /// `http.proxyAuthMethod` and what beats it.
    fn proxy_method(&self, options: &Options) -> Result<Option<String>, Error> {
        let of_remote = || proxy::of_remote(self.settings, options.remote.as_ref(), "proxyauthmethod");
        match self.env("GIT_HTTP_PROXY_AUTHMETHOD").or_else(of_remote) {
            Some(method) => Ok(Some(method)),
            None => self.matching.text("proxyauthmethod"),
        }
    }

    fn client(&self, options: &Options) -> Result<client::Options, Error> {
        let limit = self.number("GIT_HTTP_LOW_SPEED_LIMIT", "lowspeedlimit")?.unwrap_or(0);
        let time = self.number("GIT_HTTP_LOW_SPEED_TIME", "lowspeedtime")?.unwrap_or(0);
        let of_remote = proxy::of_remote(self.settings, options.remote.as_ref(), "proxy");
        let proxy = of_remote.map_or_else(|| self.matching.text("proxy"), |url| Ok(Some(url)))?;
        let method = self.proxy_method(options)?;
        Ok(client::Options {
            trust: self.trust()?,
            proxy_trust: self.proxy_trust()?,
            proxies: Proxies::new(self.settings, proxy.as_deref(), method.as_deref())?,
            http1_only: self.matching.text("version")?.is_some_and(|version| version == "HTTP/1.1"),
            local_address: match options.ip_version {
                IpVersion::Any => None,
                IpVersion::V4 => Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
                IpVersion::V6 => Some(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
            },
            keep_alive: KeepAlive {
                idle_s: self.number("GIT_HTTP_KEEPALIVE_IDLE", "keepaliveidle")?,
                interval_s: self.number("GIT_HTTP_KEEPALIVE_INTERVAL", "keepaliveinterval")?,
                count: self.number("GIT_HTTP_KEEPALIVE_COUNT", "keepalivecount")?,
            },
            low_speed: (limit > 0 && time > 0).then(|| LowSpeed { limit, time: Duration::from_secs(time) }),
            pinned: Pinned::parse_all(&self.matching.list("curloptresolve")),
            shows_secrets: self.env("GIT_TRACE_REDACT").is_some_and(|word| is_off(&word)),
        })
    }

    fn trust(&self) -> Result<Trust, Error> {
        let verify = match self.settings.env("GIT_SSL_NO_VERIFY") {
            Some(_) => false,
            None => self.matching.boolean("sslverify")?.unwrap_or(true),
        };
        let is_protected = match self.env("GIT_SSL_CERT_PASSWORD_PROTECTED") {
            Some(word) => !is_off(&word),
            None => self.matching.boolean("sslcertpasswordprotected")?.unwrap_or(false),
        };
        let kind = |name, key| Ok::<_, Error>(FileKind::named(self.text(name, key)?.as_deref()));
        let certificate = self.path("GIT_SSL_CERT", "sslcert")?;
        let identity = match certificate {
            None => None,
            Some(certificate) => Some(Identity {
                certificate,
                certificate_kind: kind("GIT_SSL_CERT_TYPE", "sslcerttype")?,
                key: self.path("GIT_SSL_KEY", "sslkey")?,
                key_kind: kind("GIT_SSL_KEY_TYPE", "sslkeytype")?,
                is_protected,
            }),
        };
        Ok(Trust {
            verify,
            ca_info: self.path("GIT_SSL_CAINFO", "sslcainfo")?,
            ca_path: self.path("GIT_SSL_CAPATH", "sslcapath")?,
            identity,
            version: self.text("GIT_SSL_VERSION", "sslversion")?.filter(|version| !version.is_empty()),
            pinned_key: self.matching.text("pinnedpubkey")?.filter(|key| !key.is_empty()),
        })
    }

    /// Whom to trust as a proxy over `https`.
    fn proxy_trust(&self) -> Result<Trust, Error> {
        let is_protected = match self.env("GIT_PROXY_SSL_CERT_PASSWORD_PROTECTED") {
            Some(word) => !is_off(&word),
            None => self.matching.boolean("proxysslcertpasswordprotected")?.unwrap_or(false),
        };
        let identity = match self.path("GIT_PROXY_SSL_CERT", "proxysslcert")? {
            None => None,
            Some(certificate) => Some(Identity {
                certificate,
                certificate_kind: FileKind::Pem,
                key: self.path("GIT_PROXY_SSL_KEY", "proxysslkey")?,
                key_kind: FileKind::Pem,
                is_protected,
            }),
        };
        let ca_info = self.path("GIT_PROXY_SSL_CAINFO", "proxysslcainfo")?;
        Ok(Trust { verify: true, ca_info, ca_path: None, identity, version: None, pinned_key: None })
    }

    fn retry(&self) -> Result<Retry, Error> {
        let seconds = |number: Option<u64>| number.map(Duration::from_secs);
        Ok(Retry::new(
            self.number("GIT_HTTP_MAX_RETRIES", "maxretries")?,
            seconds(self.number("GIT_HTTP_RETRY_AFTER", "retryafter")?),
            seconds(self.number("GIT_HTTP_MAX_RETRY_TIME", "maxretrytime")?),
        ))
    }

    fn follow_redirects(&self) -> Result<FollowRedirects, Error> {
        if self.matching.value("followredirects").is_some_and(|value| value == "initial") {
            return Ok(FollowRedirects::Initial);
        }
        Ok(match self.matching.boolean("followredirects")? {
            None => FollowRedirects::Initial,
            Some(true) => FollowRedirects::Always,
            Some(false) => FollowRedirects::Never,
        })
    }
}

/// Whether a variable that git reads as a boolean says no.
fn is_off(word: &str) -> bool {
    ["0", "false", "no", "off", ""].iter().any(|no| word.eq_ignore_ascii_case(no))
}

/// The value of `Accept-Language` as C git makes it of the locale: `LANGUAGE=ko_KR.UTF-8:en` is
/// `ko-KR, en;q=0.9, *;q=0.8`.
fn accept_language(settings: &dyn Settings) -> Option<String> {
    let env =
        |name: &str| settings.env(name).and_then(|value| value.into_string().ok()).filter(|v| !v.is_empty());
    let list = env("LANGUAGE").or_else(|| ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(env))?;
    let is_end = |letter: char| !letter.is_ascii_alphanumeric() && !matches!(letter, '_' | '-');
    let tags =
        list.split(':').map(|locale| locale.split(is_end).next().unwrap_or_default().replace('_', "-"));
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
