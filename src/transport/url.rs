//! URLs as git reads them.
//!
//! Three forms name a repository: `scheme://host/path`, `host:path` (ssh, like scp) and a plain local path. What
//! has a `://` is a URL; what has a colon before its first slash is the scp-like form; all else is a path on this
//! machine, so a file whose name holds a colon is reached as `./na:me`. Only the URL form knows percent-encoding.
//!
//! git-fetch(1) "GIT URLS"; the corners are those of `git fetch-pack --diag-url` of git 2.47.3.

use std::fmt;
use std::path::PathBuf;

use bstr::{BStr, BString, ByteSlice};

use super::Error;
use crate::credential::Secret;

/// Where a repository is, taken apart. Its `Debug` shows the redacted text.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    /// How it is reached.
    pub scheme: Scheme,
    /// The user, percent-decoded. Only ssh, http and https URLs are searched for one; git:// takes `user@host` for
    /// a host name, as git does.
    pub user: Option<BString>,
    /// The password, percent-decoded; only http and https URLs have a use for it.
    pub password: Option<Secret>,
    /// The host without brackets; empty for local paths.
    pub host: BString,
    /// The port, where one was given.
    pub port: Option<u16>,
    /// The path on the far side, as the far side is to see it: percent-decoded but for http and https, `/~user`
    /// without its slash. For [`Scheme::Helper`] the address that the helper program is to be given.
    pub path: BString,
    /// The text it was parsed from.
    pub text: BString,
}

/// How a repository is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scheme {
    /// A path on this machine, given as such.
    Path,
    /// `file://`.
    File,
    /// `git://`.
    Git,
    /// `ssh://`, `git+ssh://`, `ssh+git://` and the scp-like form.
    Ssh,
    /// `http://`.
    Http,
    /// `https://`.
    Https,
    /// `<name>::<address>`, or a scheme of which git knows nothing: the program `git-remote-<name>`.
    Helper(BString),
}

impl Scheme {
    /// The name that `protocol.<name>.allow` knows it by: `file` for local paths, that of the helper for helpers.
    pub fn name(&self) -> &BStr {
        match self {
            Self::Path | Self::File => "file".into(),
            Self::Git => "git".into(),
            Self::Ssh => "ssh".into(),
            Self::Http => "http".into(),
            Self::Https => "https".into(),
            Self::Helper(name) => name.as_bstr(),
        }
    }
}

impl Url {
    /// Parses `text` by git's rules: git-fetch(1) "GIT URLS".
    ///
    /// A port that is no number from 0 to 65535 stays part of the host name, as in git; unlike git a sign or a blank
    /// before the number makes it none.
    ///
    /// # Errors
    ///
    /// [`Error::Url`] where the path is missing or begins with `-`, or the protocol cannot exist.
    pub fn parse(text: &BStr) -> Result<Self, Error> {
        if let Some((name, address)) = helper_address(text) {
            return Ok(Self::helper(text, name, address));
        }
        if text.starts_with(b"rsync:") {
            return Err(Error::Url("git-over-rsync is no longer supported".into()));
        }
        match text.split_once_str("://") {
            Some((b"http", rest)) => Ok(Self::web(text, Scheme::Http, rest)),
            Some((b"https", rest)) => Ok(Self::web(text, Scheme::Https, rest)),
            Some((b"file" | b"git" | b"ssh" | b"git+ssh" | b"ssh+git", _)) | None => Self::parse_native(text),
            Some((name, _)) if is_scheme(name) => Ok(Self::helper(text, name, text)),
            Some(_) => Self::parse_native(text),
        }
    }

    /// As [`Url::parse`], where no other program helps: paths, `file://`, `git://` and ssh alone.
    ///
    /// # Errors
    ///
    /// As [`Url::parse`], and [`Error::Url`] for all other schemes.
    pub fn parse_native(text: &BStr) -> Result<Self, Error> {
        let Some((name, rest)) = text.split_once_str("://") else {
            return if is_local(text) { Self::local(text) } else { Self::scp_like(text) };
        };
        let scheme = match name {
            b"file" => Scheme::File,
            b"git" => Scheme::Git,
            b"ssh" | b"git+ssh" | b"ssh+git" => Scheme::Ssh,
            _ => return Err(Error::Url(format!("protocol '{}' is not supported", name.as_bstr()))),
        };
        Self::native(text, scheme, rest)
    }

    /// What `remote.<name>.vcs` reaches: `address`, which may be empty, by the program `git-remote-<vcs>`.
    pub fn of_helper(vcs: &BStr, address: &BStr) -> Self {
        Self::helper(address, vcs, address)
    }

    /// The local path of [`Scheme::Path`] and [`Scheme::File`]; `None` for all others.
    ///
    /// The host of a `file://host/path` URL is ignored, as in git; on Windows it makes a UNC path.
    pub fn local_path(&self) -> Option<PathBuf> {
        match self.scheme {
            Scheme::File if cfg!(windows) => Some(self.windows_path()),
            Scheme::Path | Scheme::File => Some(self.path.to_path_lossy().into_owned()),
            Scheme::Git | Scheme::Ssh | Scheme::Http | Scheme::Https | Scheme::Helper(_) => None,
        }
    }

    /// The text with user name and password left out, for messages and FETCH_HEAD.
    ///
    /// What stands before the first `@` goes, in every form of URL but a local path; from http and https URLs all
    /// before the last one, lest a password with an `@` be cut in two. FETCH_HEAD and `From` lines leave out trailing
    /// slashes and `.git` on top of this; that is not done here.
    pub fn redacted(&self) -> BString {
        let text = self.text.as_bstr();
        if let (Scheme::Http | Scheme::Https, Some((scheme, rest))) =
            (&self.scheme, text.split_once_str("://"))
        {
            let end = rest.find_byteset(b"/?#").unwrap_or(rest.len());
            let login = rest.get(..end).and_then(|authority| authority.rfind_byte(b'@'));
            let anonymous = login.map_or(rest, |at| rest.get(at + 1..).unwrap_or_default());
            return [scheme, b"://", anonymous].concat().into();
        }
        let Some(at) = text.find_byte(b'@').filter(|_| !is_local(text)) else {
            return text.to_owned();
        };
        let anonymous = text.get(at + 1..).unwrap_or_default();
        let Some((scheme, rest)) = text.split_once_str("://") else {
            // Without a colon behind the `@` it cannot be `user@host:path`.
            return if anonymous.contains(&b':') { anonymous.into() } else { text.to_owned() };
        };
        let authority = scheme.len() + "://".len();
        let path = rest.find_byte(b'/').map_or(text.len(), |slash| authority + slash);
        if !is_scheme(scheme) || at < authority || path < at {
            return text.to_owned();
        }
        [scheme, b"://", anonymous].concat().into()
    }

    /// `[user@]host` as one word, which is how ssh takes it.
    pub fn user_and_host(&self) -> BString {
        match &self.user {
            Some(user) => [user.as_slice(), b"@", &self.host].concat().into(),
            None => self.host.clone(),
        }
    }

    /// What stands between `://` and the path, percent-decoded and otherwise as written: what git:// calls the host.
    pub fn authority(&self) -> BString {
        let rest = self.text.split_once_str("://").map_or(&b""[..], |(_, rest)| rest);
        let decoded = percent_decode(rest);
        split_path(&decoded).0.into()
    }

    fn helper(text: &BStr, name: &[u8], address: &[u8]) -> Self {
        Self { path: address.into(), ..Self::empty(text, Scheme::Helper(name.into())) }
    }

    fn local(text: &BStr) -> Result<Self, Error> {
        Ok(Self { path: check_path(text)?.into(), ..Self::empty(text, Scheme::Path) })
    }

    /// `[user@]host:path`. The host may stand in brackets, and then together with a port.
    fn scp_like(text: &BStr) -> Result<Self, Error> {
        let from = bracket_end(text).unwrap_or(0);
        let colon = text.get(from..).and_then(|rest| rest.find_byte(b':')).ok_or_else(no_path)?;
        let (authority, path) = text.split_at(from + colon);
        let path = without_home_slash(path.get(1..).unwrap_or_default());
        // `host:` alone is the home directory there.
        if path.starts_with(b"-") {
            return Err(strange_path(path));
        }
        let mut url = Self { path: path.into(), ..Self::empty(text, Scheme::Ssh) };
        url.set_authority(authority);
        Ok(url)
    }

    /// The schemes that git itself speaks. All behind `://` is decoded before it is taken apart, as git does.
    fn native(text: &BStr, scheme: Scheme, rest: &[u8]) -> Result<Self, Error> {
        let decoded = percent_decode(rest);
        let (authority, path) = split_path(&decoded);
        let path = match scheme {
            Scheme::Git | Scheme::Ssh => without_home_slash(path),
            _ => path,
        };
        let mut url = Self { path: check_path(path)?.into(), ..Self::empty(text, scheme) };
        if url.scheme == Scheme::File {
            url.host = authority.into();
        } else {
            url.set_authority(authority);
        }
        Ok(url)
    }

    fn web(text: &BStr, scheme: Scheme, rest: &[u8]) -> Self {
        let end = rest.find_byteset(b"/?#").unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (login, host) = match authority.rfind_byte(b'@') {
            Some(at) => (authority.get(..at), authority.get(at + 1..).unwrap_or_default()),
            None => (None, authority),
        };
        let (host, port) = split_port(host);
        let mut url = Self { host, port, path: path.into(), ..Self::empty(text, scheme) };
        if let Some(login) = login {
            let (user, password) = match login.split_once_str(":") {
                Some((user, password)) => (user, Some(password)),
                None => (login, None),
            };
            url.user = Some(percent_decode(user));
            url.password = password.map(|word| Secret::new(percent_decode(word).to_str_lossy()));
        }
        url
    }

    fn set_authority(&mut self, authority: &[u8]) {
        let (host, port) = split_port(authority);
        self.port = port;
        match host.rfind_byte(b'@').filter(|_| self.scheme == Scheme::Ssh) {
            Some(at) => {
                self.user = Some(host.get(..at).unwrap_or_default().into());
                self.host = host.get(at + 1..).unwrap_or_default().into();
            }
            None => self.host = host,
        }
    }

    /// `/C:/path` is `C:/path`, and `file://host/share` is `\\host\share`.
    fn windows_path(&self) -> PathBuf {
        let path = match self.path.strip_prefix(b"/") {
            Some(rest) if has_drive_prefix(rest) => rest.as_bstr().to_owned(),
            _ if has_drive_prefix(&self.host) => [self.host.as_slice(), &self.path].concat().into(),
            _ if !self.host.is_empty() => [b"//", self.host.as_slice(), &self.path].concat().into(),
            _ => self.path.clone(),
        };
        path.to_path_lossy().into_owned()
    }

    fn empty(text: &BStr, scheme: Scheme) -> Self {
        Self {
            scheme,
            user: None,
            password: None,
            host: BString::default(),
            port: None,
            path: BString::default(),
            text: text.to_owned(),
        }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Url").field(&self.scheme).field(&self.redacted()).finish()
    }
}

/// `<name>::<address>`, gitremote-helpers(7).
fn helper_address(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, address) = text.split_once_str("::")?;
    (name.is_empty() || is_scheme(name)).then_some((name, address))
}

/// Whether `name` can be a scheme: RFC 3986, but that a digit may come first.
fn is_scheme(name: &[u8]) -> bool {
    name.first().is_some_and(u8::is_ascii_alphanumeric)
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte))
}

/// Whether a text without `://` is a path on this machine: no colon before the first slash.
fn is_local(text: &[u8]) -> bool {
    let Some(colon) = text.find_byte(b':') else { return true };
    text.find_byte(b'/').is_some_and(|slash| slash < colon) || (cfg!(windows) && has_drive_prefix(text))
}

fn has_drive_prefix(text: &[u8]) -> bool {
    matches!(text, [letter, b':', ..] if letter.is_ascii_alphabetic())
}

/// Cuts what follows `://` into authority and path, the slash with the path. A slash in brackets does not count.
fn split_path(rest: &[u8]) -> (&[u8], &[u8]) {
    let from = bracket_end(rest).unwrap_or(0);
    let slash = rest.get(from..).and_then(|tail| tail.find_byte(b'/'));
    rest.split_at(slash.map_or(rest.len(), |slash| from + slash))
}

/// Where the `[` of a bracketed host stands: first of all or behind a user.
fn bracket_start(text: &[u8]) -> Option<usize> {
    let start = text.find(b"@[").map_or(0, |at| at + 1);
    (text.get(start) == Some(&b'[')).then_some(start)
}

/// Where its `]` stands.
fn bracket_end(text: &[u8]) -> Option<usize> {
    let start = bracket_start(text)?;
    text.get(start..)?.find_byte(b']').map(|length| start + length)
}

/// Takes the port, and the brackets if there are any, off `[user@]host`.
///
/// The port may stand behind the brackets or, with only one colon in all, within them: `[host:22]:path` is how the
/// scp-like form takes one.
fn split_port(authority: &[u8]) -> (BString, Option<u16>) {
    let brackets = bracket_start(authority).zip(bracket_end(authority));
    let (mut host, behind) = match brackets {
        Some((start, end)) => {
            let user = authority.get(..start).unwrap_or_default();
            let inside = authority.get(start + 1..end).unwrap_or_default();
            (BString::from([user, inside].concat()), authority.get(end + 1..).unwrap_or_default())
        }
        None => (authority.into(), &b""[..]),
    };
    if let Some(port) = behind.split_once_str(":").and_then(|(_, digits)| parse_port(digits)) {
        return (host, Some(port));
    }
    let Some(colon) = host.find_byte(b':').filter(|colon| host.rfind_byte(b':') == Some(*colon)) else {
        return (host, None);
    };
    let digits = host.get(colon + 1..).unwrap_or_default();
    let port = parse_port(digits);
    if port.is_some() || (digits.is_empty() && brackets.is_none()) {
        host.truncate(colon);
    }
    (host, port)
}

fn parse_port(digits: &[u8]) -> Option<u16> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    digits.to_str().ok()?.parse().ok()
}

/// `/~user/path` is said as `~user/path`, which the far side's shell or git expands.
fn without_home_slash(path: &[u8]) -> &[u8] {
    if path.starts_with(b"/~") { path.get(1..).unwrap_or_default() } else { path }
}

fn check_path(path: &[u8]) -> Result<&[u8], Error> {
    match path.first() {
        None => Err(no_path()),
        Some(b'-') => Err(strange_path(path)),
        Some(_) => Ok(path),
    }
}

fn no_path() -> Error {
    Error::Url("no path specified; see 'git help pull' for valid url syntax".into())
}

/// The far side's program would take such a path for an option (CVE-2017-1000117).
fn strange_path(path: &[u8]) -> Error {
    Error::Url(format!("strange pathname '{}' blocked", path.as_bstr()))
}

/// Replaces `%XX`; what is no two hexadecimal digits, and `%00`, stays as it is.
fn percent_decode(text: &[u8]) -> BString {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        match (byte, tail) {
            (b'%', [high, low, after @ ..]) if hex_byte(*high, *low).is_some_and(|value| value != 0) => {
                decoded.extend(hex_byte(*high, *low));
                rest = after;
            }
            _ => {
                decoded.push(byte);
                rest = tail;
            }
        }
    }
    decoded.into()
}

fn hex_byte(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

#[cfg(test)]
mod tests;
