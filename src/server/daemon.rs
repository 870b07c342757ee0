//! git's own protocol: the line with which a client begins, and what it gets. gitprotocol-pack(5), "Git Transport";
//! git-daemon(1).

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

use bstr::{BString, ByteSlice};

use super::Error;
use super::enter::{Naming, enter, is_exported};
use super::receive_pack::ReceivePack;
use super::upload_pack::{Conversation, UploadPack, version_asked};
use crate::protocol::pktline::{self, Packet, Reader};
use crate::protocol::{self, Service};
use crate::repo::config::Override;
use crate::repo::{Environment, Repository};

/// Who may have what.
#[derive(Debug, Clone)]
pub struct Daemon {
    /// The environment.
    pub env: Environment,
    /// `-c` values.
    pub overrides: Vec<Override>,
    /// Whether all repositories are served, or those alone that have the file `git-daemon-export-ok`.
    pub exports_all: bool,
    /// How paths are understood.
    pub naming: Naming,
    /// What stands in front of the paths that clients say.
    pub base: Option<PathBuf>,
    /// Whether a path is tried as it is said where there is nothing below [`Self::base`].
    pub base_is_relaxed: bool,
    /// `--interpolated-path`: how the path is made of what the client says.
    pub template: Option<BString>,
    /// Only repositories within these; all if there are none.
    pub directories: Vec<PathBuf>,
    /// Whether clients hear why they get nothing.
    pub is_informative: bool,
    /// Clones and fetches.
    pub upload_pack: Switch,
    /// Pushes.
    pub receive_pack: Switch,
}

/// Whether a service is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switch {
    /// Where the repository says nothing.
    pub is_on: bool,
    /// Whether the repository may say: `daemon.<service>`.
    pub may_be_overridden: bool,
}

/// What a client says first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hello {
    /// The service, such as `git-upload-pack`.
    pub service: BString,
    /// The path of the repository.
    pub path: BString,
    /// The host that it wants to talk to, without its port.
    pub host: Option<BString>,
    /// What is to be in `GIT_PROTOCOL`.
    pub protocol: BString,
}

/// Why a client gets nothing: what it hears if the daemon is informative.
#[derive(Debug)]
struct Denial {
    told: &'static str,
    /// For the log.
    reason: String,
}

impl Hello {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// If it makes no sense. A client that hangs up at once is [`protocol::Error::UnexpectedEof`].
    pub fn read(input: &mut dyn BufRead) -> Result<Self, Error> {
        let mut reader = Reader::new(input);
        let malformed = || protocol::Error::Malformed("expected a request for a service".into());
        let Packet::Data(data) = reader.read_raw()? else { return Err(malformed().into()) };
        let mut parts = data.split(|byte| *byte == 0);
        let request = parts.next().unwrap_or_default();
        let request = request.strip_suffix(b"\n").unwrap_or(request);
        let (service, path) = request.split_once_str(" ").ok_or_else(malformed)?;
        let mut hello = Self { service: service.into(), path: path.into(), ..Self::default() };
        let mut rest = parts.filter(|part| !part.is_empty()).peekable();
        if let Some(host) = rest.peek().and_then(|part| part.strip_prefix(b"host=")) {
            hello.host = Some(without_port(host).to_lowercase().into());
            rest.next();
        }
        hello.protocol = bstr::join(":", rest).into();
        Ok(hello)
    }
}

/// A host without `:<port>` and brackets.
fn without_port(host: &[u8]) -> &[u8] {
    if let Some(inner) = host.strip_prefix(b"[") {
        return inner.split_once_str("]").map_or(inner, |(address, _)| address);
    }
    host.split_once_str(":").map_or(host, |(name, _)| name)
}

impl Daemon {
    /// Serves the one request of a client that has said `hello`. `address` is where it calls from.
    ///
    /// # Errors
    ///
    /// Where the client can be told something it has been.
    pub fn serve(
        &self,
        hello: &Hello,
        address: Option<std::net::SocketAddr>,
        input: &mut dyn BufRead,
        out: &mut (dyn Write + Send),
    ) -> Result<(), Error> {
        let found = self.find(hello, address);
        let (repo, service) = match found {
            Ok(found) => found,
            Err(Denial { told, reason }) => {
                let told =
                    if self.is_informative { told } else { "access denied or repository not exported" };
                pktline::write_data(out, super::harmless(&format!("ERR {told}: {}", hello.path)).as_bytes())?;
                out.flush()?;
                return Err(Error::Refused(reason));
            }
        };
        match service {
            Service::UploadPack => {
                UploadPack::new(&repo, Conversation::Stateful)?.serve(version_asked(&repo.env), input, out)
            }
            Service::ReceivePack => {
                ReceivePack::new(&repo, Conversation::Stateful)?.serve(version_asked(&repo.env), input, out)
            }
        }
    }

    fn find(
        &self,
        hello: &Hello,
        address: Option<std::net::SocketAddr>,
    ) -> Result<(Repository, Service), Denial> {
        let (service, switch) = match hello.service.as_slice() {
            b"git-upload-pack" => (Service::UploadPack, self.upload_pack),
            b"git-receive-pack" => (Service::ReceivePack, self.receive_pack),
            other => {
                return Err(Denial::new(
                    "service not enabled",
                    &format!("'{}' is no service", other.as_bstr()),
                ));
            }
        };
        if !switch.is_on && !switch.may_be_overridden {
            return Err(Denial::new(
                "service not enabled",
                &format!("'{}': service not enabled.", hello.service),
            ));
        }
        let repo = self.open(hello, address)?;
        let key = service.name().replace("git-", "daemon.").replace('-', "");
        let said = repo.config.boolean(&key).ok().flatten().filter(|_| switch.may_be_overridden);
        if !said.unwrap_or(switch.is_on) {
            return Err(Denial::new(
                "service not enabled",
                &format!("'{}': service not enabled for '{}'", hello.service, hello.path),
            ));
        }
        Ok((repo, service))
    }

    /// Opens the repository that the client means.
    fn open(&self, hello: &Hello, address: Option<std::net::SocketAddr>) -> Result<Repository, Denial> {
        let missing = |path: &Path| {
            Denial::new(
                "no such repository",
                &format!("'{}' does not appear to be a git repository", path.display()),
            )
        };
        let said = hello.path.to_path_lossy().into_owned();
        if !hello.path.starts_with(b"/") || is_aliased(&hello.path) {
            return Err(Denial::new(
                "no such repository",
                &format!("'{}': Non-absolute or aliased path denied", said.display()),
            ));
        }
        let mut env = self.env.clone();
        env.set("GIT_PROTOCOL", hello.protocol.to_string());
        if let Some(address) = address {
            env.set("REMOTE_ADDR", address.ip().to_string());
            env.set("REMOTE_PORT", address.port().to_string());
        }
        let mut tries = vec![self.place(hello, address)];
        if self.base.is_some() && self.base_is_relaxed {
            tries.push(said);
        }
        for place in tries {
            let repo = match enter(&place, self.naming, &self.overrides, &env) {
                Ok(repo) => repo,
                Err(Error::Missing(_)) => continue,
                Err(error) => return Err(Denial::new("no such repository", &error.to_string())),
            };
            let is_within =
                |directory: &PathBuf| repo.git_dir == *directory || repo.git_dir.starts_with(directory);
            if !self.directories.is_empty() && !self.directories.iter().any(is_within) {
                return Err(missing(&place));
            }
            if !self.exports_all && !is_exported(&repo) {
                return Err(Denial::new(
                    "repository not exported",
                    &format!("'{}': repository not exported.", place.display()),
                ));
            }
            return Ok(repo);
        }
        Err(missing(&hello.path.to_path_lossy()))
    }

    /// Where the path that the client says leads.
    fn place(&self, hello: &Hello, address: Option<std::net::SocketAddr>) -> PathBuf {
        let path = hello.path.to_path_lossy().into_owned();
        if let Some(template) = &self.template {
            return interpolate(template, hello, address).to_path_lossy().into_owned();
        }
        match &self.base {
            Some(base) => base.join(path.strip_prefix("/").unwrap_or(&path)),
            None => path,
        }
    }
}

impl Denial {
    fn new(told: &'static str, reason: &str) -> Self {
        Self { told, reason: reason.to_owned() }
    }
}

/// Whether a path has parts that lead elsewhere than it seems.
fn is_aliased(path: &[u8]) -> bool {
    path.split_str("/").skip(1).any(|part| matches!(part, b"." | b".."))
}

/// Fills in a template: git-daemon(1), `--interpolated-path`.
fn interpolate(template: &BString, hello: &Hello, address: Option<std::net::SocketAddr>) -> BString {
    // a host that leads out of its place in the path is none
    let host = hello.host.clone().unwrap_or_default();
    let host: BString = host
        .bytes()
        .map(|byte| if byte == b'/' { b'-' } else { byte })
        .skip_while(|byte| *byte == b'.')
        .collect::<Vec<u8>>()
        .into();
    let ip = address.map(|address| address.ip().to_string()).unwrap_or_default();
    let port = address.map(|address| address.port().to_string()).unwrap_or_default();
    let mut filled = BString::default();
    let mut rest = template.as_slice();
    while let Some((before, after)) = rest.split_once_str("%") {
        filled.extend_from_slice(before);
        let values = [
            (&b"CH"[..], host.as_slice()),
            (b"H", &host),
            (b"IP", ip.as_bytes()),
            (b"P", port.as_bytes()),
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

    fn hello(line: &[u8]) -> Hello {
        let mut bytes = Vec::new();
        pktline::write_data(&mut bytes, line).unwrap();
        Hello::read(&mut &bytes[..]).unwrap()
    }

    #[test]
    fn the_first_line_is_taken_apart() {
        let plain = hello(b"git-upload-pack /a b.git\n");
        assert_eq!((plain.service, plain.path), ("git-upload-pack".into(), "/a b.git".into()));
        let full = hello(b"git-upload-pack /a\0host=Example.com:9418\0\0version=2\0key=x\0");
        assert_eq!(full.host, Some("example.com".into()));
        assert_eq!(full.protocol, "version=2:key=x");
        assert_eq!(hello(b"git-upload-pack /a\0host=[::1]:1\0").host, Some("::1".into()));
        for bytes in [&b"0000"[..], b"0009nopath", b"00"] {
            assert!(Hello::read(&mut &bytes[..]).is_err());
        }
    }

    #[test]
    fn templates_are_filled_in() {
        let hello = hello(b"git-upload-pack /a.git\0host=../h/x\0");
        let address = Some("127.0.0.1:80".parse().unwrap());
        assert_eq!(interpolate(&"/srv/%H%D%%".into(), &hello, address), "/srv/-h-x/a.git%");
        assert_eq!(interpolate(&"/%IP/%P/%X".into(), &hello, address), "/127.0.0.1/80/%X");
    }

    #[test]
    fn dots_lead_nowhere() {
        for (path, expected) in [("/a/../b", true), ("/./a", true), ("/a..b/c", false), ("/a", false)] {
            assert_eq!(is_aliased(path.as_bytes()), expected, "{path}");
        }
    }
}
