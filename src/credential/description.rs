//! What is known of a credential, and the lines in which `git credential` and helper programs speak of it:
//! git-credential(1), "INPUT/OUTPUT FORMAT".

use std::io::{BufRead, Read as _};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::{Error, Secret};

/// What is percent-encoded in a user name that is shown: all but the unreserved characters of RFC 3986.
const USERNAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The same in a host.
const HOST: &AsciiSet = &USERNAME.remove(b':').remove(b'[').remove(b']');

/// The same in a path.
const PATH: &AsciiSet = &USERNAME.remove(b'/');

/// The longest line taken, line feed included: git-credential(1).
const LINE_LEN_MAX: usize = 65_535;

/// The most lines taken of one description.
const LINES_MAX: usize = 10_000;

/// A credential as far as it is known: what it is for, and what it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description {
    /// The protocol, such as `https`.
    pub protocol: Option<String>,
    /// The host, with `:port` if the URL names a port; empty for a URL that has none, such as `cert:///path`.
    pub host: Option<String>,
    /// The path on the host, without its first slash.
    pub path: Option<String>,
    /// The name of the user; an empty one is a name as well.
    pub username: Option<String>,
    /// Whether `credential.username` counts in place of `username`: it does if a URL says that name, and it is empty.
    pub allows_other_username: bool,
    /// The password.
    pub password: Option<Secret>,
    /// When the password ends, in seconds since 1970.
    pub password_expiry_utc: Option<u64>,
    /// An OAuth refresh token that belongs to the password.
    pub oauth_refresh_token: Option<Secret>,
    /// The scheme that `credential` is for, such as `Bearer`.
    pub authtype: Option<String>,
    /// What is sent behind the scheme, as it is.
    pub credential: Option<Secret>,
    /// Whether `credential` is worth storing for a moment only.
    pub is_ephemeral: bool,
    /// Whether another round follows this one.
    pub is_continued: bool,
    /// What helpers want to hear again.
    pub states: Vec<String>,
    /// The `WWW-Authenticate` values of the server, in order.
    pub challenges: Vec<String>,
    /// What the one who asks understands.
    pub asked: Capabilities,
    /// What the one who answered understands.
    pub answered: Capabilities,
    /// Whether a helper said that nobody else is to be asked.
    pub is_final: bool,
    /// Whether values may have a carriage return (`credential.protectProtocol=false`).
    pub allows_carriage_return: bool,
}

/// What goes beyond user name and password.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// `authtype`, `credential` and `ephemeral`.
    pub authtype: bool,
    /// `state[]` and `continue`.
    pub state: bool,
}

impl Capabilities {
    /// Both.
    pub const ALL: Self = Self { authtype: true, state: true };

    pub(super) fn and(self, other: Self) -> Self {
        Self { authtype: self.authtype && other.authtype, state: self.state && other.state }
    }
}

/// Who speaks, which decides what the capabilities in a description mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// The one who asks.
    Caller,
    /// A helper that answers.
    Helper,
}

/// Whom a description is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// A helper that is asked or told.
    Helper,
    /// The one who asked.
    Caller,
}

impl Description {
    /// What `url` says: protocol, host, path, user name and password.
    ///
    /// # Errors
    ///
    /// [`Error::Url`] if it has no scheme, or a part of it a line break.
    pub fn from_url(url: &str) -> Result<Self, Error> {
        let refuse = |reason: &str| Error::Url { reason: format!("{reason}: {url}"), url: url.to_owned() };
        let (protocol, rest) = url.split_once("://").ok_or_else(|| refuse("url has no scheme"))?;
        if protocol.is_empty() {
            return Err(refuse("url has no scheme"));
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (user, host) = match authority.split_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        let (username, password) = match user.map(|user| user.split_once(':').ok_or(user)) {
            Some(Ok((name, password))) => (Some(decode(name)), Some(decode(password))),
            Some(Err(name)) => (Some(decode(name)), None),
            None => (None, None),
        };
        let path = decode(path.trim_matches('/'));
        let parts = [
            ("username", username.as_deref()),
            ("password", password.as_deref()),
            ("protocol", Some(protocol)),
            ("host", Some(&*decode(host))),
            ("path", Some(&*path)),
        ]
        .map(|(name, value)| (name, value.unwrap_or_default().contains('\n')));
        if let Some((name, _)) = parts.iter().find(|(_, is_broken)| *is_broken) {
            return Err(refuse(&format!("url contains a newline in its {name} component")));
        }
        Ok(Self {
            protocol: Some(protocol.to_owned()),
            host: Some(decode(host)),
            path: Some(path).filter(|path| !path.is_empty()),
            allows_other_username: username.as_ref().is_some_and(String::is_empty),
            username,
            password: password.map(Secret::new),
            ..Self::default()
        })
    }

    /// Takes in the lines of `input` up to a blank one or the end; what comes later replaces what was known. Keys that
    /// are not known are passed over. What was read before an error stays.
    ///
    /// # Errors
    ///
    /// [`Error::Line`] for a line without `=`, [`Error::Url`] for a bad `url`, [`Error::Read`] if `input` fails.
    pub fn read(&mut self, input: &mut dyn BufRead, speaker: Speaker) -> Result<(), Error> {
        let mut line = Vec::new();
        for _ in 0..LINES_MAX {
            line.clear();
            (&mut *input).take(LINE_LEN_MAX as u64).read_until(b'\n', &mut line).map_err(Error::Read)?;
            let text = line.strip_suffix(b"\n").unwrap_or(&line);
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            if text.is_empty() {
                return Ok(());
            }
            let text = String::from_utf8_lossy(text);
            let Some((key, value)) = text.split_once('=') else {
                return Err(Error::Line(text.into_owned()));
            };
            self.take(key, value, speaker)?;
        }
        Err(Error::Line(format!("there are more than {LINES_MAX} lines")))
    }

    fn take(&mut self, key: &str, value: &str, speaker: Speaker) -> Result<(), Error> {
        let text = || Some(value.to_owned());
        match key {
            "protocol" => self.protocol = text(),
            "host" => self.host = text(),
            "path" => self.path = text(),
            "username" => {
                self.username = text();
                self.allows_other_username = false;
            }
            "password" => self.password = Some(Secret::new(value)),
            "password_expiry_utc" => {
                self.password_expiry_utc = value.parse().ok().filter(|seconds| *seconds > 0);
            }
            "oauth_refresh_token" => self.oauth_refresh_token = Some(Secret::new(value)),
            "authtype" => self.authtype = text(),
            "credential" => self.credential = Some(Secret::new(value)),
            "ephemeral" => self.is_ephemeral = is_true(value),
            "continue" => self.is_continued = is_true(value),
            "quit" => self.is_final = is_true(value),
            "state[]" => self.states.push(value.to_owned()),
            "wwwauth[]" => self.challenges.push(value.to_owned()),
            "capability[]" => self.learn(value, speaker),
            "url" => {
                let (asked, answered) = (self.asked, self.answered);
                *self = Self { asked, answered, ..Self::from_url(value)? };
            }
            _ => {}
        }
        Ok(())
    }

    fn learn(&mut self, name: &str, speaker: Speaker) {
        let capabilities = match speaker {
            Speaker::Caller => &mut self.asked,
            Speaker::Helper => &mut self.answered,
        };
        match name {
            "authtype" => capabilities.authtype = true,
            "state" => capabilities.state = true,
            _ => {}
        }
    }

    /// The lines for `listener`, in the order of git 2.47.3.
    ///
    /// # Errors
    ///
    /// [`Error::UnsafeValue`] if a value has a line feed or a NUL, [`Error::CarriageReturn`] if it has one and may not:
    /// CVE-2020-5260, CVE-2024-52006.
    pub fn write(&self, listener: Listener) -> Result<Vec<u8>, Error> {
        let capabilities = match listener {
            Listener::Helper => self.asked,
            Listener::Caller => self.asked.and(self.answered),
        };
        let mut lines = Lines { text: String::new(), protects: !self.allows_carriage_return };
        lines.flag("capability[]", "authtype", capabilities.authtype);
        lines.flag("capability[]", "state", capabilities.state);
        if capabilities.authtype {
            lines.add("authtype", self.authtype.as_deref())?;
            lines.add("credential", self.credential.as_ref().map(Secret::reveal))?;
            lines.flag("ephemeral", "1", self.is_ephemeral);
        }
        lines.add("protocol", self.protocol.as_deref())?;
        lines.add("host", self.host.as_deref())?;
        lines.add("path", self.path.as_deref())?;
        lines.add("username", self.username.as_deref())?;
        lines.add("password", self.password.as_ref().map(Secret::reveal))?;
        lines.add("oauth_refresh_token", self.oauth_refresh_token.as_ref().map(Secret::reveal))?;
        let expiry = self.password_expiry_utc.map(|seconds| seconds.to_string());
        lines.add("password_expiry_utc", expiry.as_deref())?;
        for challenge in &self.challenges {
            lines.add("wwwauth[]", Some(challenge))?;
        }
        if capabilities.state {
            lines.flag("continue", "1", self.is_continued);
            for state in &self.states {
                lines.add("state[]", Some(state))?;
            }
        }
        Ok(lines.text.into_bytes())
    }

    /// What it is for, as prompts and messages show it, such as `https://alice@example.com:8443/path`. If `sanitizes`,
    /// whatever could upset a terminal is percent-encoded (`credential.sanitizePrompt`).
    pub fn describe(&self, sanitizes: bool) -> String {
        let shown = |text: &str, set: &'static AsciiSet| {
            if sanitizes { utf8_percent_encode(text, set).to_string() } else { text.to_owned() }
        };
        let user = self.username.as_ref().filter(|name| !name.is_empty());
        let user = user.map(|name| format!("{}@", shown(name, USERNAME)));
        let path = self.path.as_ref().map(|path| format!("/{}", shown(path, PATH)));
        format!(
            "{}://{}{}{}",
            self.protocol.as_deref().unwrap_or_default(),
            user.unwrap_or_default(),
            shown(self.host.as_deref().unwrap_or_default(), HOST),
            path.unwrap_or_default()
        )
    }

    /// Whether there is all that a server wants: user name and password, or something to send as it is.
    pub fn is_complete(&self) -> bool {
        self.credential.is_some() || (self.username.is_some() && self.password.is_some())
    }

    /// Forgets what is secret, and what belongs to it.
    pub fn forget_secrets(&mut self) {
        self.password = None;
        self.password_expiry_utc = None;
        self.oauth_refresh_token = None;
        self.credential = None;
    }
}

/// Lines that are being written.
struct Lines {
    text: String,
    protects: bool,
}

impl Lines {
    fn add(&mut self, key: &'static str, value: Option<&str>) -> Result<(), Error> {
        let Some(value) = value else { return Ok(()) };
        if value.contains('\n') {
            return Err(Error::UnsafeValue { key, what: "newline" });
        }
        if value.contains('\0') {
            return Err(Error::UnsafeValue { key, what: "a NUL character" });
        }
        if self.protects && value.contains('\r') {
            return Err(Error::CarriageReturn { key });
        }
        for part in [key, "=", value, "\n"] {
            self.text.push_str(part);
        }
        Ok(())
    }

    fn flag(&mut self, key: &str, value: &str, is_set: bool) {
        if is_set {
            for part in [key, "=", value, "\n"] {
                self.text.push_str(part);
            }
        }
    }
}

/// A boolean as git reads it; whatever is none is false.
pub(super) fn is_true(value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    matches!(value.as_str(), "true" | "yes" | "on") || value.parse::<i64>().is_ok_and(|number| number != 0)
}

/// Undoes percent-encoding; what is no UTF-8 afterwards is replaced.
pub(super) fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests;
