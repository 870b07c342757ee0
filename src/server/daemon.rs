//! git's own protocol: the line with which a client begins, and what it gets. gitprotocol-pack(5), "Git Transport";
//! git-daemon(1).

use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::sync::Arc;

use bstr::{BString, ByteSlice};

use super::enter::{Naming, enter, is_exported};
use super::receive_pack::ReceivePack;
use super::upload_pack::{Conversation, UploadPack, version_asked};
use super::{Error, Watch};
use crate::protocol::pktline::{self, Packet, Reader};
use crate::protocol::{self, Service};
use crate::repo::config::Override;
use crate::repo::{Environment, Repository};

mod access;
mod place;

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
    /// `--user-path`: what a path that begins with `~<user>` means; `None` if there are no such.
    pub user_path: Option<UserPath>,
    /// `--access-hook`: a program that is asked before anything is served.
    pub access_hook: Option<PathBuf>,
    /// Whether clients hear why they get nothing.
    pub is_informative: bool,
    /// Clones and fetches.
    pub upload_pack: Switch,
    /// Pushes.
    pub receive_pack: Switch,
}

/// What clients mean by `~<user>/<path>`.
#[derive(Debug, Clone)]
pub struct UserPath {
    /// What stands between the home directory and what they say; empty for nothing.
    pub below: PathBuf,
    /// Finds the home directory of a user.
    pub home_of: fn(&str) -> Option<PathBuf>,
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
    /// The port that it says it talks to.
    pub port: Option<BString>,
    /// What is to be in `GIT_PROTOCOL`.
    pub protocol: BString,
}

/// Why a client gets nothing: what it hears if the daemon is informative.
#[derive(Debug)]
struct Denial {
    told: String,
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
            let (name, port) = split_port(host);
            (hello.host, hello.port) = (Some(place::host(name)), port.map(BString::from));
            rest.next();
        }
        hello.protocol = bstr::join(":", rest).into();
        Ok(hello)
    }
}

/// A host without brackets, and its port.
fn split_port(host: &[u8]) -> (&[u8], Option<&[u8]>) {
    if let Some((inner, rest)) = host.strip_prefix(b"[").and_then(|inner| inner.split_once_str("]")) {
        return (inner, rest.strip_prefix(b":"));
    }
    host.split_once_str(":").map_or((host, None), |(name, port)| (name, Some(port)))
}

impl Daemon {
    /// Serves the one request of a client that has said `hello`. `address` is where it calls from; `watch` limits and stops the
    /// work.
    ///
    /// # Errors
    ///
    /// Where the client can be told something it has been.
    pub fn serve(
        &self,
        hello: &Hello,
        address: Option<std::net::SocketAddr>,
        watch: &Arc<Watch>,
        (input, out): (&mut dyn BufRead, &mut (dyn Write + Send)),
    ) -> Result<(), Error> {
        let found = self.find(hello, address);
        let (repo, service) = match found {
            Ok(found) => found,
            Err(Denial { told, reason }) => {
                let silent = "access denied or repository not exported".to_owned();
                let told = if self.is_informative { told } else { silent };
                pktline::write_data(out, super::harmless(&format!("ERR {told}: {}", hello.path)).as_bytes())?;
                out.flush()?;
                return Err(Error::Refused(reason));
            }
        };
        let version = version_asked(&repo.env);
        match service {
            Service::UploadPack => {
                UploadPack::new(&repo, Conversation::Stateful)?.watched(watch).serve(version, input, out)
            }
            Service::ReceivePack => {
                ReceivePack::new(&repo, Conversation::Stateful)?.watched(watch).serve(version, input, out)
            }
        }
    }

    fn find(
        &self,
        hello: &Hello,
        address: Option<std::net::SocketAddr>,
    ) -> Result<(Repository, Service), Denial> {
        let name = hello.service.strip_prefix(b"git-").unwrap_or(&hello.service).as_bstr();
        let disabled = |place: &str| {
            Denial::new("service not enabled", &format!("'{name}': service not enabled{place}"))
        };
        let (service, switch) = match name.as_bytes() {
            b"upload-pack" => (Service::UploadPack, self.upload_pack),
            b"receive-pack" => (Service::ReceivePack, self.receive_pack),
            _ => return Err(disabled(".")),
        };
        if !switch.is_on && !switch.may_be_overridden {
            return Err(disabled("."));
        }
        let repo = self.open(hello, address)?;
        let key = format!("daemon.{}", name.to_str_lossy().replace('-', ""));
        let said = if switch.may_be_overridden { repo.config.boolean(&key) } else { Ok(None) };
        // what says neither yes nor no is no reason to serve it
        let said = said.map_err(|error| Denial::new("service not enabled", &error.to_string()))?;
        if !said.unwrap_or(switch.is_on) {
            return Err(disabled(&format!(" for '{}'", repo.git_dir.display())));
        }
        if let Some(hook) = &self.access_hook {
            access::ask(hook, name, hello, &repo)?;
        }
        Ok((repo, service))
    }

    /// Opens the repository that the client means.
    fn open(&self, hello: &Hello, address: Option<std::net::SocketAddr>) -> Result<Repository, Denial> {
        let mut env = self.env.clone();
        env.set("GIT_PROTOCOL", hello.protocol.to_string());
        if let Some(address) = address {
            env.set("REMOTE_ADDR", address.ip().to_string());
            env.set("REMOTE_PORT", address.port().to_string());
        }
        let mut said = PathBuf::new();
        for place in self.places(hello)? {
            match enter(&place, self.naming, &self.overrides, &env) {
                Ok(repo) => return self.exported(repo),
                Err(Error::Missing(_)) => said = place,
                Err(error) => return Err(Denial::new("no such repository", &error.to_string())),
            }
        }
        let reason = format!("'{}' does not appear to be a git repository", said.display());
        Err(Denial::new("no such repository", &reason))
    }

    /// `repo`, if it is one of those that are served.
    fn exported(&self, repo: Repository) -> Result<Repository, Denial> {
        let is_meant = |directory: &PathBuf| match self.naming {
            Naming::Strict => repo.git_dir == *directory,
            Naming::Lenient => repo.git_dir.starts_with(directory),
        };
        let place = repo.git_dir.display();
        if !self.directories.is_empty() && !self.directories.iter().any(is_meant) {
            return Err(Denial::new("no such repository", &format!("'{place}': not in directory list")));
        }
        if !self.exports_all && !is_exported(&repo) {
            let reason = format!("'{place}': repository not exported.");
            return Err(Denial::new("repository not exported", &reason));
        }
        Ok(repo)
    }
}

impl Denial {
    fn new(told: impl Into<String>, reason: &str) -> Self {
        Self { told: told.into(), reason: reason.to_owned() }
    }
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
        assert_eq!(full.port, Some("9418".into()));
        assert_eq!(hello(b"git-upload-pack /a\0host=[::1]:1\0").host, Some("::1".into()));
        for bytes in [&b"0000"[..], b"0009nopath", b"00"] {
            assert!(Hello::read(&mut &bytes[..]).is_err());
        }
    }
}
