//! Through whom requests go: `http.proxy` and the variables that curl knows, `curl(1)`, "ENVIRONMENT".

use std::net::IpAddr;
use std::path::PathBuf;

use bstr::BString;
use percent_encoding::percent_decode_str;
use url::Url;

use super::super::{Entry, Error, Settings};

/// curl(1), `--proxy`: the port of a proxy whose URL names none.
pub(super) const PORT_DEFAULT: u16 = 1080;

/// The proxies for both protocols and the hosts that need none.
#[derive(Clone, Default)]
pub(super) struct Proxies {
    http: Option<Url>,
    https: Option<Url>,
    /// What `no_proxy` names.
    direct: Vec<String>,
    /// How a proxy is told who we are.
    pub(super) method: Method,
}

/// Says nothing of the URLs: they hold passwords.
impl std::fmt::Debug for Proxies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxies").field("direct", &self.direct).finish_non_exhaustive()
    }
}

/// `http.proxyAuthMethod`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Method {
    /// The best of those that the proxy offers when it is told nothing.
    #[default]
    Any,
    /// Basic at once.
    Basic,
    /// Digest or nothing.
    Digest,
}

impl Proxies {
    /// `configured` is `http.proxy`: it beats the environment, and an empty one means no proxy at all. `method` is
    /// `http.proxyAuthMethod`; what is not spoken here is as good as none.
    pub(super) fn new(
        settings: &dyn Settings,
        configured: Option<&str>,
        method: Option<&str>,
    ) -> Result<Self, Error> {
        let env = |names: &[&str]| {
            let found = names.iter().find_map(|name| settings.env(name));
            found.and_then(|value| value.into_string().ok()).filter(|value| !value.is_empty())
        };
        let all = || env(&["all_proxy", "ALL_PROXY"]);
        let (http, https) = match configured {
            Some("") => (None, None),
            Some(url) => (Some(url.to_owned()), Some(url.to_owned())),
            // HTTP_PROXY in capitals is left out on purpose: a CGI program's client could set it
            None => (env(&["http_proxy"]).or_else(all), env(&["https_proxy", "HTTPS_PROXY"]).or_else(all)),
        };
        let direct = env(&["no_proxy", "NO_PROXY"]).unwrap_or_default();
        let direct = direct.split([',', ' ']).map(|name| name.trim().to_ascii_lowercase());
        Ok(Self {
            http: http.as_deref().map(parse).transpose()?,
            https: https.as_deref().map(parse).transpose()?,
            direct: direct.filter(|name| !name.is_empty()).collect(),
            method: match method {
                Some("basic") => Method::Basic,
                Some("digest") => Method::Digest,
                Some(_) | None => Method::Any,
            },
        })
    }

    /// The proxy through which `url` is reached, if any.
    pub(super) fn for_url(&self, url: &Url) -> Option<&Url> {
        let proxy = if url.scheme() == "https" { self.https.as_ref() } else { self.http.as_ref() };
        proxy.filter(|_| !self.is_direct(url))
    }

    fn is_direct(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_ascii_lowercase();
        let host = host.trim_end_matches('.');
        self.direct.iter().any(|name| name == "*" || is_covered(host, name))
    }
}

/// Whether an item of `no_proxy` covers `host`: a name and those below it, an address, or a network such as `10.0.0.0/8`.
fn is_covered(host: &str, item: &str) -> bool {
    if let Ok(address) = host.parse::<IpAddr>() {
        let (network, bits) =
            item.split_once('/').map_or((item, None), |(network, bits)| (network, Some(bits)));
        let network = network.trim_matches(['[', ']']).parse::<IpAddr>();
        return match (network, bits.map(str::parse::<u32>)) {
            (Ok(network), None) => network == address,
            (Ok(network), Some(Ok(bits))) => is_in_network(address, network, bits),
            (Ok(_), Some(Err(_))) | (Err(_), _) => false,
        };
    }
    let name = item.trim_start_matches('.').trim_end_matches('.');
    host == name || host.strip_suffix(name).is_some_and(|rest| !name.is_empty() && rest.ends_with('.'))
}

/// Whether the first `bits` of two addresses are the same.
fn is_in_network(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let (one, other, width) = match (address, network) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (u128::from(one.to_bits()), u128::from(other.to_bits()), 32),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits(), other.to_bits(), 128),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
    };
    bits <= width && (one ^ other).checked_shr(width - bits).unwrap_or(0) == 0
}

/// `remote.<name>.<key>`, the last that is set: git-config(1), `remote.<name>.proxy`.
pub(super) fn of_remote(settings: &dyn Settings, remote: Option<&BString>, key: &str) -> Option<String> {
    let remote = remote?;
    let is_wanted =
        |entry: &Entry| entry.subsection.as_ref() == Some(remote) && entry.key.eq_ignore_ascii_case(key);
    let last = settings.section("remote").into_iter().rev().find(is_wanted)?;
    last.value.map(|value| value.to_string())
}

/// A proxy's URL; without a scheme it is an HTTP proxy, without a port curl's 1080 for those and SOCKS.
fn parse(text: &str) -> Result<Url, Error> {
    let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let full = full.replacen("socks://", "socks4://", 1);
    // not shown: it may hold a password
    let invalid = || Error::Url("invalid proxy URL in http.proxy or the environment".into());
    let mut url = Url::parse(&full).map_err(|_| invalid())?;
    if url.path().len() > 1 {
        let shown = login_left_out(text);
        let wrong = |why: &str| Error::Access(format!("Invalid proxy URL '{shown}': {why}"));
        if !url.scheme().starts_with("socks") {
            return Err(wrong("only SOCKS proxies support paths"));
        }
        if url.host_str() != Some("localhost") {
            return Err(wrong("host must be localhost if a path is present"));
        }
    }
    let supported = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];
    if !supported.contains(&url.scheme()) {
        return Err(Error::Url(format!("unsupported proxy protocol '{}'", url.scheme())));
    }
    if !names_port(&full) && url.scheme() != "https" {
        url.set_port(Some(PORT_DEFAULT)).map_err(|()| invalid())?;
    }
    Ok(url)
}

/// The socket of this machine that a proxy listens on, in the place of a port.
pub(super) fn local_socket(proxy: &Url) -> Option<PathBuf> {
    let path = Some(proxy.path()).filter(|path| path.len() > 1)?;
    Some(PathBuf::from(percent_decode_str(path).decode_utf8_lossy().into_owned()))
}

/// `url` without name and password.
fn login_left_out(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit('@').next().unwrap_or_default();
    if scheme.is_empty() { format!("{host}{path}") } else { format!("{scheme}://{host}{path}") }
}

/// Whether a URL says a port, even if it is the protocol's own, which the parsed form no longer tells.
fn names_port(url: &str) -> bool {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest).split('/').next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    host.rsplit(']').next().is_some_and(|end| end.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::super::tests::FakeSettings;
    use super::*;

    fn chosen(settings: &FakeSettings, configured: Option<&str>, url: &str) -> Option<String> {
        let proxies = Proxies::new(settings, configured, None).unwrap();
        proxies.for_url(&Url::parse(url).unwrap()).map(ToString::to_string)
    }

    #[test]
    fn configuration_beats_the_environment() {
        let settings = FakeSettings::default().with_env("http_proxy", "http://env.test:1");
        assert_eq!(chosen(&settings, None, "http://git.test/").as_deref(), Some("http://env.test:1/"));
        assert_eq!(
            chosen(&settings, Some("p.test"), "http://git.test/").as_deref(),
            Some("http://p.test:1080/")
        );
        assert_eq!(chosen(&settings, Some(""), "http://git.test/"), None);
    }

    #[test]
    fn each_protocol_has_its_variables() {
        let settings = FakeSettings::default()
            .with_env("HTTP_PROXY", "http://capital.test:1")
            .with_env("HTTPS_PROXY", "http://secure.test:80");
        assert_eq!(chosen(&settings, None, "http://git.test/"), None);
        assert_eq!(chosen(&settings, None, "https://git.test/").as_deref(), Some("http://secure.test/"));
        let settings = settings.with_env("ALL_PROXY", "socks5h://all.test:9");
        assert_eq!(chosen(&settings, None, "http://git.test/").as_deref(), Some("socks5h://all.test:9"));
    }

    #[test]
    fn hosts_of_no_proxy_are_reached_directly() {
        let direct = |list, url| {
            let settings = FakeSettings::default().with_env("no_proxy", list);
            chosen(&settings, Some("http://p.test:3128"), url).is_none()
        };
        assert!(direct("*", "http://git.test/"));
        assert!(direct("other, .Git.test", "http://git.test/"));
        assert!(direct("git.test", "http://a.git.test/"));
        assert!(!direct("git.test", "http://legit.test/"));
        assert!(direct("127.0.0.1,::1", "http://[::1]:80/"));
        assert!(direct("10.0.0.0/8", "http://10.1.2.3/"));
        assert!(!direct("10.0.0.0/8", "http://11.1.2.3/"));
        assert!(direct("fe80::/10", "http://[fe80::1]/"));
        assert!(direct("0.0.0.0/0", "http://11.1.2.3/"));
        assert!(!direct("0.0.0.0/33", "http://11.1.2.3/"));
        assert!(!direct(".", "http://git.test/"));
    }

    #[test]
    fn unknown_protocols_are_refused() {
        let refused = Proxies::new(&FakeSettings::default(), Some("ftp://p.test"), None).unwrap_err();
        assert_eq!(refused.to_string(), "unsupported proxy protocol 'ftp'");
    }

    #[test]
    fn passwords_are_not_shown() {
        let proxies =
            Proxies::new(&FakeSettings::default(), Some("http://alice:hunter2@p.test"), None).unwrap();
        assert!(!format!("{proxies:?}").contains("hunter2"));
    }
}
