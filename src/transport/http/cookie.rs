//! Cookies: RFC 6265, and the files in which curl keeps them; git-config(1), `http.cookieFile` and `http.saveCookies`.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use url::{Host, Url};

use super::date;

/// Cookies that are kept.
const COOKIES_MAX: usize = 1000;
/// Cookies that are sent at once: as many as libcurl's.
const SENT_MAX: usize = 150;
/// The longest header that is sent: libcurl's, which is what most servers take.
const HEADER_LEN_MAX: usize = 8190;
/// The longest line that is read: libcurl's limit for a cookie.
const LINE_LEN_MAX: usize = 5000;
/// The most bytes of a file that are read.
const FILE_LEN_MAX: u64 = 16 * 1024 * 1024;
/// What a line of the file begins with if scripts of web pages must not see its cookie.
const HTTP_ONLY: &str = "#HttpOnly_";

/// The cookies of one transport.
#[derive(Debug, Default)]
pub(super) struct Jar {
    cookies: Vec<Cookie>,
}

#[derive(Clone, PartialEq, Eq)]
struct Cookie {
    /// In lower case, without a dot in front.
    domain: String,
    /// Whether the hosts below `domain` get it as well.
    has_subdomains: bool,
    path: String,
    is_secure: bool,
    is_http_only: bool,
    /// `None`: it lasts as long as the session.
    expires: Option<SystemTime>,
    name: String,
    value: String,
}

/// Cookies are secrets: only the name is told.
impl std::fmt::Debug for Cookie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cookie")
            .field("name", &self.name)
            .field("domain", &self.domain)
            .finish_non_exhaustive()
    }
}

impl Jar {
    /// The cookies in the file at `path`, whose lines are Netscape's or `Set-Cookie` headers. One that is not there holds
    /// none.
    pub(super) fn load(path: &Path, now: SystemTime) -> Self {
        let mut jar = Self::default();
        let is_short = fs::metadata(path).is_ok_and(|metadata| metadata.len() <= FILE_LEN_MAX);
        let Some(text) = is_short.then(|| fs::read(path).ok()).flatten() else { return jar };
        for line in String::from_utf8_lossy(&text).lines().filter(|line| line.len() <= LINE_LEN_MAX) {
            let cookie = match line.get(..11).filter(|name| name.eq_ignore_ascii_case("set-cookie:")) {
                Some(name) => parse_header(line.get(name.len()..).unwrap_or_default(), now),
                None => parse_line(line),
            };
            jar.put(cookie, now);
        }
        jar
    }

    /// Writes the file at `path` anew, as curl does, readable for the user alone.
    pub(super) fn save(&self, path: &Path) -> std::io::Result<()> {
        use std::io::Write as _;
        let mut text = "# Netscape HTTP Cookie File\n\n".to_owned();
        for cookie in &self.cookies {
            text.push_str(&cookie.line());
        }
        let directory =
            path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.write_all(text.as_bytes())?;
        file.persist(path)?;
        Ok(())
    }

    /// What to send to `url`: the longest paths first.
    pub(super) fn header(&self, url: &Url, now: SystemTime) -> Option<String> {
        let mut fitting: Vec<&Cookie> = self.cookies.iter().filter(|cookie| cookie.fits(url, now)).collect();
        fitting.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let mut header = String::new();
        for Cookie { name, value, .. } in fitting.into_iter().take(SENT_MAX) {
            let mark = if header.is_empty() { "" } else { "; " };
            let pair = format!("{mark}{name}={value}");
            if header.len() + pair.len() > HEADER_LEN_MAX {
                break;
            }
            header.push_str(&pair);
        }
        (!header.is_empty()).then_some(header)
    }

    /// Takes in the `Set-Cookie` lines of an answer from `url`.
    pub(super) fn receive(&mut self, url: &Url, lines: &[String], now: SystemTime) {
        let host = host_of(url);
        for line in lines.iter().filter(|line| line.len() <= LINE_LEN_MAX) {
            let Some(mut cookie) = parse_header(line, now) else { continue };
            if cookie.domain.is_empty() {
                cookie.domain.clone_from(&host);
            } else if !may_set(&host, url, &cookie.domain) {
                continue;
            } else if is_public_suffix(&cookie.domain) {
                cookie.has_subdomains = false;
            }
            if cookie.path.is_empty() {
                let path = url.path();
                // up to its last slash, which RFC 6265, 5.1.4, leaves out and curl keeps in its files
                path.get(..=path.rfind('/').unwrap_or(0)).unwrap_or("/").clone_into(&mut cookie.path);
            }
            if !cookie.is_secure || is_secure(url) {
                self.put(Some(cookie), now);
            }
        }
    }

    /// Puts `cookie` in the place of one with the same name, domain and path; one that is over takes it away.
    fn put(&mut self, cookie: Option<Cookie>, now: SystemTime) {
        let Some(cookie) = cookie else { return };
        let key = |cookie: &Cookie| (cookie.name.clone(), cookie.domain.clone(), cookie.path.clone());
        self.cookies.retain(|known| key(known) != key(&cookie));
        if self.cookies.len() < COOKIES_MAX && !cookie.is_over(now) {
            self.cookies.push(cookie);
        }
    }
}

impl Cookie {
    fn is_over(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }

    fn fits(&self, url: &Url, now: SystemTime) -> bool {
        let host = host_of(url);
        let below = self.has_subdomains && !is_address(url);
        let is_below = || host.strip_suffix(&*self.domain).is_some_and(|rest| rest.ends_with('.'));
        let host_fits = self.domain.is_empty() || host == self.domain || (below && is_below());
        let rest = url.path().strip_prefix(self.path.trim_end_matches('/'));
        let path_fits = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        host_fits && path_fits && (!self.is_secure || is_secure(url)) && !self.is_over(now)
    }

    /// As curl writes it.
    fn line(&self) -> String {
        let word = |flag: bool| if flag { "TRUE" } else { "FALSE" };
        let since = self.expires.and_then(|end| end.duration_since(SystemTime::UNIX_EPOCH).ok());
        format!(
            "{}{}{}\t{}\t{}\t{}\t{}\t{}\t{}\n",
            if self.is_http_only { HTTP_ONLY } else { "" },
            if self.has_subdomains { "." } else { "" },
            self.domain,
            word(self.has_subdomains),
            self.path,
            word(self.is_secure),
            since.unwrap_or_default().as_secs(),
            self.name,
            self.value
        )
    }
}

/// A line of Netscape's form: domain, whether it has subdomains, path, whether it is secure, end, name and value.
fn parse_line(line: &str) -> Option<Cookie> {
    let (is_http_only, line) = match line.strip_prefix(HTTP_ONLY) {
        Some(rest) => (true, rest),
        None if line.starts_with('#') => return None,
        None => (false, line),
    };
    let mut fields = line.trim_end_matches(['\r', '\n']).split('\t');
    let domain = fields.next()?.trim_start_matches('.').to_ascii_lowercase();
    let has_subdomains = fields.next()?.eq_ignore_ascii_case("true");
    let path = fields.next()?.to_owned();
    let is_secure = fields.next()?.eq_ignore_ascii_case("true");
    let end = fields.next()?.parse::<u64>().ok()?;
    let expires = if end == 0 { None } else { SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(end)) };
    let name = fields.next()?.to_owned();
    let value = fields.next().unwrap_or_default().to_owned();
    Some(Cookie { domain, has_subdomains, path, is_secure, is_http_only, expires, name, value })
}

/// The value of a `Set-Cookie` line: RFC 6265, 5.2. Domain and path are empty if it names none.
fn parse_header(value: &str, now: SystemTime) -> Option<Cookie> {
    let mut parts = value.split(';');
    let (name, value) = parts.next()?.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    // a tab would make a line of the file say something else
    let is_broken = |text: &str| text.contains(|letter: char| letter.is_ascii_control());
    if name.is_empty() || is_broken(name) || is_broken(value) {
        return None;
    }
    let mut cookie = Cookie {
        domain: String::new(),
        has_subdomains: false,
        path: String::new(),
        is_secure: false,
        is_http_only: false,
        expires: None,
        name: name.to_owned(),
        value: value.to_owned(),
    };
    let mut max_age = None;
    for part in parts {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let value = value.trim();
        match &*key.trim().to_ascii_lowercase() {
            "domain" | "path" if is_broken(value) => return None,
            "domain" if !value.is_empty() => {
                cookie.domain = value.trim_start_matches('.').to_ascii_lowercase();
                cookie.has_subdomains = true;
            }
            "path" if value.starts_with('/') => value.clone_into(&mut cookie.path),
            "secure" => cookie.is_secure = true,
            "httponly" => cookie.is_http_only = true,
            "expires" => cookie.expires = date::parse(value).or(cookie.expires),
            "max-age" => max_age = value.parse::<i64>().ok(),
            _ => {}
        }
    }
    if let Some(seconds) = max_age {
        let seconds = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
        // what ends beyond all that a clock can tell never ends
        cookie.expires = now.checked_add(seconds);
    }
    Some(cookie)
}

/// Whether `host` may set cookies for `domain`: its own or one above it that is one owner's (RFC 6265, 5.3, step 5).
fn may_set(host: &str, url: &Url, domain: &str) -> bool {
    let is_above = host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    host == domain || (is_above && !is_public_suffix(domain) && !is_address(url))
}

/// Whether anybody can have a name directly below `domain`, as below `com` and `github.io`: the list of
/// publicsuffix.org, which curl looks at as well.
fn is_public_suffix(domain: &str) -> bool {
    psl::suffix_str(domain) == Some(domain)
}

fn host_of(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_ascii_lowercase()
}

fn is_address(url: &Url) -> bool {
    !matches!(url.host(), Some(Host::Domain(_)))
}

/// As in curl, what stays on this machine is as good as encrypted.
fn is_secure(url: &Url) -> bool {
    url.scheme() == "https" || matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn jar(file: &str) -> Jar {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cookies");
        fs::write(&path, file).unwrap();
        Jar::load(&path, NOW)
    }

    fn sent(jar: &Jar, to: &str) -> Option<String> {
        jar.header(&url(to), NOW)
    }

    #[test]
    fn both_kinds_of_line_are_read() {
        let jar = jar("# Netscape HTTP Cookie File\n\
                       .git.test\tTRUE\t/\tFALSE\t0\ta\t1\n\
                       #HttpOnly_git.test\tFALSE\t/r\tTRUE\t99\tb\t2\n\
                       broken\tline\n\
                       Set-Cookie: c=3; domain=x.test; path=/\n");
        assert_eq!(sent(&jar, "https://git.test/r/x").as_deref(), Some("b=2; a=1"));
        assert_eq!(sent(&jar, "http://git.test/r").as_deref(), Some("a=1"));
        assert_eq!(sent(&jar, "http://sub.git.test/").as_deref(), Some("a=1"));
        assert_eq!(sent(&jar, "https://sub.git.test/r").as_deref(), Some("a=1"));
        assert_eq!(sent(&jar, "https://git.test/rx").as_deref(), Some("a=1"));
        assert_eq!(sent(&jar, "http://legit.test/"), None);
        assert_eq!(sent(&jar, "http://y.x.test/").as_deref(), Some("c=3"));
    }

    #[test]
    fn a_server_sets_cookies_for_itself_alone() {
        let mut jar = Jar::default();
        let from = url("http://a.git.test/team/repo/info/refs");
        let lines = [
            "own=1",
            "above=2; Domain=git.test; Path=/",
            "other=3; Domain=evil.test",
            "top=4; Domain=test",
            "secret=5; Secure",
            "gone=6; Max-Age=0",
            "nonsense",
        ];
        jar.receive(&from, &lines.map(ToOwned::to_owned), NOW);
        assert_eq!(sent(&jar, "http://a.git.test/team/repo/info/x").as_deref(), Some("own=1; above=2"));
        assert_eq!(sent(&jar, "http://b.git.test/team/repo/info/x").as_deref(), Some("above=2"));
        assert_eq!(sent(&jar, "http://evil.test/").or(sent(&jar, "http://x.test/")), None);
        jar.receive(
            &from,
            &["above=; Domain=git.test; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT".into()],
            NOW,
        );
        assert_eq!(sent(&jar, "http://b.git.test/"), None);
    }

    #[test]
    fn what_many_share_has_no_cookies_of_its_own() {
        let mut jar = Jar::default();
        for (host, domain) in [("a.github.io", "github.io"), ("a.co.uk", "co.uk"), ("a.co.uk", "uk")] {
            jar.receive(&url(&format!("https://{host}/")), &[format!("x=1; Domain={domain}")], NOW);
        }
        assert_eq!(jar.cookies, []);
        jar.receive(&url("https://github.io/"), &["x=1; Domain=github.io".to_owned()], NOW);
        assert_eq!(sent(&jar, "https://github.io/").as_deref(), Some("x=1"));
        assert_eq!(sent(&jar, "https://b.github.io/"), None);
        jar.receive(&url("https://b.a.co.uk/"), &["y=2; Domain=a.co.uk".to_owned()], NOW);
        assert_eq!(sent(&jar, "https://c.a.co.uk/").as_deref(), Some("y=2"));
    }

    #[test]
    fn a_tab_gets_into_no_line_of_the_file() {
        let mut jar = Jar::default();
        let lines = [
            "a=1; Path=/\tFALSE\t0\tb\t2",
            "c=3; Domain=git.test\tTRUE",
            "d\te=4",
            "f=5; Path=/\r\nevil.test",
        ];
        jar.receive(&url("https://git.test/"), &lines.map(ToOwned::to_owned), NOW);
        assert_eq!(jar.cookies, []);
        jar.receive(&url("https://git.test/"), &["g=6;\tPath=/".to_owned()], NOW);
        assert_eq!(sent(&jar, "https://git.test/").as_deref(), Some("g=6"));
    }

    #[test]
    fn a_server_cannot_make_us_say_more_than_servers_take() {
        let mut jar = Jar::default();
        let small: Vec<String> = (0..200).map(|number| format!("{number}=x")).collect();
        jar.receive(&url("https://git.test/"), &small, NOW);
        assert_eq!(sent(&jar, "https://git.test/").unwrap().split("; ").count(), SENT_MAX);
        let long: Vec<String> =
            (0..9).map(|number| format!("{number}={}; Path=/x", "y".repeat(1500))).collect();
        jar.receive(&url("https://git.test/"), &long, NOW);
        assert_eq!(sent(&jar, "https://git.test/x").unwrap().len(), 5 * 1502 + 4 * 2);
    }

    #[test]
    fn what_is_saved_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cookies");
        let mut jar = Jar::default();
        jar.receive(
            &url("https://git.test/"),
            &["a=b; Secure; HttpOnly; Max-Age=60; Domain=git.test".into()],
            NOW,
        );
        jar.save(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.ends_with("#HttpOnly_.git.test\tTRUE\t/\tTRUE\t60\ta\tb\n"), "{text}");
        assert_eq!(Jar::load(&path, NOW).cookies, jar.cookies);
    }
}
