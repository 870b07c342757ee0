//! Where the path leads that a client says. git-daemon(1).

use std::net::ToSocketAddrs;
use std::path::PathBuf;

use bstr::{BString, ByteSlice};

use super::{Daemon, Denial, Hello};
use crate::server::enter::Naming;

impl Daemon {
    /// The places to look at, one after the other.
    pub(super) fn places(&self, hello: &Hello) -> Result<Vec<PathBuf>, Denial> {
        let path = &hello.path;
        let denied = |why: &str| Err(Denial::new("no such repository", &format!("'{path}': {why}")));
        if is_aliased(path) {
            return denied("aliased");
        }
        let said = path.to_path_lossy().into_owned();
        if let Some(rest) = path.strip_prefix(b"~") {
            let Some(users) = self.user_path.as_ref().filter(|_| self.naming == Naming::Lenient) else {
                return denied("User-path not allowed");
            };
            let (user, rest) = rest.split_once_str("/").unwrap_or((rest, b""));
            let home = user.to_str().ok().and_then(users.home_of);
            let below = users.below.strip_prefix("/").unwrap_or(&users.below);
            return Ok(home.map(|home| home.join(below).join(rest.to_path_lossy())).into_iter().collect());
        }
        if let (Some(template), Some(_)) = (&self.template, &hello.host) {
            return Ok(vec![interpolate(template, hello).to_path_lossy().into_owned()]);
        }
        let Some(base) = &self.base else { return Ok(vec![said]) };
        let below = base.join(said.strip_prefix("/").unwrap_or(&said));
        Ok(if self.base_is_relaxed { vec![below, said] } else { vec![below] })
    }
}

/// Whether a path leads elsewhere than it seems: from no root, through `.` or `..`, or through nothing.
fn is_aliased(path: &[u8]) -> bool {
    let mut parts = path.split_str("/");
    let is_rooted = parts.next().is_some_and(|first| match first {
        b"" => path.starts_with(b"/"),
        user => user.len() > 1 && user.starts_with(b"~"),
    });
    let parts: Vec<&[u8]> = parts.collect();
    let is_inner = |place: usize| place + 1 < parts.len();
    !is_rooted
        || parts.iter().enumerate().any(|(place, part)| match *part {
            b"." | b".." => true,
            part => part.is_empty() && is_inner(place),
        })
}

/// A host as it may stand in a path: in lower case, without slashes, and with no dot at its ends or after another.
pub(super) fn host(said: &[u8]) -> BString {
    let mut host = BString::default();
    for byte in said.iter().filter(|byte| **byte != b'/') {
        if *byte != b'.' || host.last().is_some_and(|last| *last != b'.') {
            host.push(byte.to_ascii_lowercase());
        }
    }
    host.trim_end_with(|letter| letter == '.').into()
}

/// The address of the host that a client wants to talk to, if there is such a host.
pub(super) fn address_of(hello: &Hello) -> Option<String> {
    let host = hello.host.as_ref().filter(|host| !host.is_empty())?.to_str().ok()?;
    let address = (host, 0).to_socket_addrs().ok()?.next()?;
    Some(address.ip().to_string())
}

/// Fills in a template: git-daemon(1), `--interpolated-path`. A host has the name by which it was called for its canonical
/// one, if there is such a host.
fn interpolate(template: &BString, hello: &Hello) -> BString {
    let host = hello.host.clone().unwrap_or_default();
    // who asks for no address does not wait for one
    let is_asked = template.contains_str("%IP") || template.contains_str("%CH");
    let address = if is_asked { address_of(hello) } else { None };
    let canonical = if address.is_some() { host.clone() } else { BString::default() };
    let port = hello.port.clone().unwrap_or_default();
    let address = address.unwrap_or_default();
    let mut filled = BString::default();
    let mut rest = template.as_slice();
    while let Some((before, after)) = rest.split_once_str("%") {
        filled.extend_from_slice(before);
        let values = [
            (&b"CH"[..], canonical.as_slice()),
            (b"H", &host),
            (b"IP", address.as_bytes()),
            (b"P", &port),
            (b"D", &hello.path),
            (b"%", b"%"),
        ];
        let found = values.into_iter().find_map(|(key, value)| Some((value, after.strip_prefix(key)?)));
        let (value, after) = found.unwrap_or((b"%", after));
        filled.extend_from_slice(value);
        rest = after;
    }
    filled.extend_from_slice(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_filled_in() {
        let hello = Hello {
            path: "/a.git".into(),
            host: Some(host(b"../H/x")),
            port: Some("77".into()),
            ..Hello::default()
        };
        assert_eq!(interpolate(&"/srv/%H%D%%".into(), &hello), "/srv/hx/a.git%");
        assert_eq!(interpolate(&"/%P/%X".into(), &hello), "/77/%X");
        let local = Hello { host: Some("127.0.0.1".into()), ..hello };
        assert_eq!(interpolate(&"/%CH-%IP".into(), &local), "/127.0.0.1-127.0.0.1");
    }

    #[test]
    fn hosts_lead_nowhere() {
        for (said, expected) in [
            ("Ex.Ample", "ex.ample"),
            (".", ""),
            ("a..b", "a.b"),
            ("x//..//y.", "x.y"),
            ("srv/sub", "srvsub"),
        ] {
            assert_eq!(host(said.as_bytes()), expected, "{said}");
        }
    }

    #[test]
    fn dots_lead_nowhere() {
        for (path, expected) in [
            ("/a/../b", true),
            ("/./a", true),
            ("/a..b/c", false),
            ("/a", false),
            ("/a/", false),
            ("//a", true),
            ("/a//b", true),
            ("a", true),
            ("", true),
            ("~a/b", false),
            ("~a", false),
            ("~/b", true),
            ("~a/../b", true),
        ] {
            assert_eq!(is_aliased(path.as_bytes()), expected, "{path}");
        }
    }
}
