//! Where a connection leads: requests with the same route can share one.

use url::Url;

/// The far end and the way there. It has no `Debug`: the URL of a proxy holds a password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Route {
    /// Whether the server is spoken to in TLS.
    pub(super) tls: bool,
    /// The server's name or address, without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) proxy: Option<Url>,
}

impl Route {
    pub(super) fn new(url: &Url, proxy: Option<&Url>) -> Self {
        Self {
            tls: url.scheme() == "https",
            host: bare_host(url).to_owned(),
            port: url.port_or_known_default().unwrap_or_default(),
            proxy: proxy.cloned(),
        }
    }

    /// Whether requests name the whole URL, for a proxy to pass them on.
    pub(super) fn is_forwarded(&self) -> bool {
        let speaks_http = |proxy: &Url| matches!(proxy.scheme(), "http" | "https");
        !self.tls && self.proxy.as_ref().is_some_and(speaks_http)
    }
}

/// The host of `url` as resolvers and TLS want it.
pub(super) fn bare_host(url: &Url) -> &str {
    url.host_str().unwrap_or_default().trim_matches(['[', ']'])
}
