//! git over HTTP, from a request to an answer, without a socket: what `git http-backend` does. gitprotocol-http(5),
//! git-http-backend(1).
//!
//! Statuses, headers and their order are those of git 2.47.3, to the byte: an answer that begins well and fails later
//! has, as there, the headers of both.

use std::ffi::OsString;
use std::io::{self, BufRead, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bstr::{BStr, BString, ByteSlice};

use self::body::Body;
use self::route::Route;
use super::enter::{Naming, enter, is_exported};
use super::receive_pack::ReceivePack;
use super::upload_pack::{Conversation, UploadPack, version_asked};
use super::{Error, Watch};
use crate::protocol::{Service, Version, pktline};
use crate::repo::config::Override;
use crate::repo::{Environment, Repository};

mod body;
mod files;
mod route;

pub use route::repository_of;

/// One request, as a CGI program is told of it.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// `GET`, `HEAD` or `POST`.
    pub method: BString,
    /// `HTTP/1.1` and the like.
    pub protocol: BString,
    /// The file that the path means, the part that names a service included: see [`path_below`].
    pub path: PathBuf,
    /// What follows the question mark.
    pub query: BString,
    /// `Content-Type`.
    pub content_type: BString,
    /// `Content-Encoding`.
    pub content_encoding: BString,
    /// `Content-Length`.
    pub content_length: BString,
    /// Who the web server says it is from.
    pub user: Option<BString>,
    /// From where.
    pub address: Option<BString>,
}

/// What holds for all requests.
#[derive(Debug, Clone, Default)]
pub struct Site {
    /// The environment, `GIT_PROTOCOL` and `GIT_NAMESPACE` included.
    pub env: Environment,
    /// `-c` values.
    pub overrides: Vec<Override>,
    /// Whether all repositories are served, or those alone that have the file `git-daemon-export-ok`.
    pub exports_all: bool,
    /// Who may push where `http.receivepack` does not say.
    pub pushes: Pushes,
    /// Only repositories that are below this, once symbolic links are followed. It has none itself.
    pub confined_to: Option<PathBuf>,
    /// Whether hidden refs are kept from clients of the dumb protocol, too. C git shows them.
    pub hides_from_dumb: bool,
    /// Limits, stops and hears of the work.
    pub watch: Arc<Watch>,
}

/// Who may push to a repository that says nothing of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pushes {
    /// Whoever the web server knows by name: git-http-backend(1).
    #[default]
    Known,
    /// Everybody.
    All,
    /// Nobody.
    None,
}

/// Takes an answer.
pub trait Answer {
    /// The headers, `Status` among them if it is not 200; the body follows. Called a second time, where C git has made the
    /// mistake to begin anew, the headers are part of the body.
    fn head(&mut self, headers: &[(String, String)]) -> io::Result<&mut (dyn Write + Send)>;
}

/// How a request ended.
#[derive(Debug)]
pub enum Outcome {
    /// It was answered.
    Done,
    /// It was refused; the text is for the log.
    Refused(String),
    /// It was not understood, or the repository is not as it should be: 500, or an answer that broke off.
    Broken(Error),
    /// The service failed after the answer had begun.
    Failed(Error),
}

/// Why there is no answer to a request, but one that says so.
enum Refusal {
    /// A status, other headers, and what goes to the log.
    Status(&'static str, Vec<(String, String)>, String),
    /// 500.
    Broken(Error),
}

impl<E: Into<Error>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Broken(error.into())
    }
}

impl Site {
    /// The headers of an answer to a request that makes no sense to us.
    pub fn broken() -> Vec<(String, String)> {
        let mut headers = vec![header("Status", "500 Internal Server Error")];
        headers.extend(no_cache());
        headers
    }

    /// Answers `request`, whose body is `input`.
    pub fn serve(&self, request: &Request, input: &mut dyn BufRead, answer: &mut dyn Answer) -> Outcome {
        let mut headers = Vec::new();
        let refusal = match self.answer(request, input, answer, &mut headers) {
            Ok(outcome) => return outcome,
            Err(refusal) => refusal,
        };
        let (status, more, outcome) = match refusal {
            Refusal::Status(status, more, log) => (status, more, Outcome::Refused(log)),
            Refusal::Broken(error) => ("500 Internal Server Error", Vec::new(), Outcome::Broken(error)),
        };
        headers.push(header("Status", status));
        let (body, more): (Vec<_>, Vec<_>) = more.into_iter().partition(|(name, _)| name.is_empty());
        headers.extend(more);
        headers.extend(no_cache());
        let body = body.first().map(|(_, body)| body.as_bytes()).unwrap_or_default();
        match answer.head(&headers).and_then(|out| out.write_all(body).and_then(|()| out.flush())) {
            Ok(()) => outcome,
            Err(error) => Outcome::Failed(error.into()),
        }
    }

    fn answer(
        &self,
        request: &Request,
        input: &mut dyn BufRead,
        answer: &mut dyn Answer,
        headers: &mut Vec<(String, String)>,
    ) -> Result<Outcome, Refusal> {
        let (directory, route) = Route::find(request)?;
        let repo = self.open(&directory)?;
        match route {
            Route::Advertisement => {
                headers.extend(no_cache());
                match parameter(request.query.as_ref(), b"service") {
                    Some(service) => self.advertise(&repo, service.as_ref(), request, answer, headers),
                    None => files::refs(&repo, self.hides_from_dumb, answer, headers),
                }
            }
            Route::Rpc(service) => self.rpc(&repo, service, request, input, answer),
            Route::File(file) => {
                let path = repo.common_path(&file.name.to_string());
                if path.canonicalize().is_ok_and(|path| !self.is_within(&path)) {
                    return Err(not_found(format!("Leads out of what is served: '{}'", path.display())));
                }
                files::send(&repo, &file, answer, headers)
            }
        }
    }

    /// Whether `repo`, its objects and its refs are where they may be served from, once symbolic links are followed and files
    /// are read that lead elsewhere. What it borrows from alternates may be anywhere.
    pub(crate) fn holds(&self, repo: &Repository) -> bool {
        let parts = [repo.git_dir.clone(), repo.common_dir.clone(), repo.objects_dir.clone()];
        let tables = Some(repo.common_path("reftable")).filter(|tables| tables.exists());
        let parts = parts.into_iter().chain([repo.common_path("refs")]).chain(tables);
        // C git wants `refs` to be there
        parts.map(|part| part.canonicalize()).all(|part| part.is_ok_and(|part| self.is_within(&part)))
    }

    fn is_within(&self, path: &Path) -> bool {
        self.confined_to.as_ref().is_none_or(|root| path.starts_with(root))
    }

    fn open(&self, directory: &Path) -> Result<Repository, Refusal> {
        let repo =
            enter(directory, Naming::Lenient, &self.overrides, &self.env).map_err(|error| match error {
                Error::Missing(path) => not_found(format!("Not a git repository: '{}'", path.display())),
                error => Refusal::Broken(error),
            })?;
        if !self.holds(&repo) {
            return Err(not_found(format!("Leads out of what is served: '{}'", directory.display())));
        }
        if !self.exports_all && !is_exported(&repo) {
            return Err(not_found(format!("Repository not exported: '{}'", directory.display())));
        }
        for key in ["http.uploadpack", "http.receivepack", "http.uploadarchive", "http.getanyfile"] {
            repo.config.boolean(key)?;
        }
        Ok(repo)
    }

    /// `GET info/refs?service=…`.
    fn advertise(
        &self,
        repo: &Repository,
        name: &BStr,
        request: &Request,
        answer: &mut dyn Answer,
        headers: &mut Vec<(String, String)>,
    ) -> Result<Outcome, Refusal> {
        let service = self.select(repo, name, request)?;
        headers.push(header("Content-Type", &format!("application/x-{}-advertisement", service.name())));
        let out = answer.head(headers)?;
        let version = version_asked(&repo.env);
        if version != Version::V2 {
            pktline::write_line(out, format!("# service={}", service.name()).as_bytes())?;
            pktline::write_flush(out)?;
        }
        Ok(outcome(self.run(repo, service, Conversation::Advertisement, (&mut io::empty(), out))))
    }

    /// `POST git-upload-pack` and `POST git-receive-pack`.
    fn rpc(
        &self,
        repo: &Repository,
        service: &'static str,
        request: &Request,
        input: &mut dyn BufRead,
        answer: &mut dyn Answer,
    ) -> Result<Outcome, Refusal> {
        let service = self.select(repo, service.into(), request)?;
        let expected = format!("application/x-{}-request", service.name());
        if request.content_type != expected.as_bytes() {
            let body = format!(
                "Expected POST with Content-Type '{expected}', but received '{}' instead.\n",
                request.content_type
            );
            return Err(Refusal::Status(
                "415 Unsupported Media Type",
                vec![header("", &body)],
                String::new(),
            ));
        }
        let mut headers = no_cache();
        headers.push(header("Content-Type", &format!("application/x-{}-result", service.name())));
        let out = answer.head(&headers)?;
        // whatever goes wrong from here on, the answer has begun: as in C git, it is empty
        let mut body = match Body::new((repo, &self.watch), service, request, input) {
            Ok(body) => body,
            Err(body::Unreadable::Length(text)) => return Err(Refusal::Broken(Error::Refused(text))),
            Err(body::Unreadable::Other(error)) => return Ok(Outcome::Broken(error)),
        };
        Ok(outcome(self.run(repo, service, Conversation::Request, (body.reader(), out))))
    }

    fn run(
        &self,
        repo: &Repository,
        service: Service,
        conversation: Conversation,
        (input, out): (&mut dyn BufRead, &mut (dyn Write + Send)),
    ) -> Result<(), Error> {
        let version = version_asked(&repo.env);
        match service {
            Service::UploadPack => {
                UploadPack::new(repo, conversation)?.watched(&self.watch).serve(version, input, out)
            }
            Service::ReceivePack => {
                ReceivePack::new(repo, conversation)?.watched(&self.watch).serve(version, input, out)
            }
        }
    }

    /// The service called `name`, if it is one and is served.
    fn select(&self, repo: &Repository, name: &BStr, request: &Request) -> Result<Service, Refusal> {
        let service = match name.as_bytes() {
            b"git-upload-pack" => Service::UploadPack,
            b"git-upload-archive" => return Err(forbidden("Service not enabled: 'upload-archive'".into())),
            b"git-receive-pack" => Service::ReceivePack,
            _ => return Err(forbidden(format!("Unsupported service: '{name}'"))),
        };
        let may_push = match self.pushes {
            Pushes::Known => request.user.as_ref().is_some_and(|user| !user.is_empty()),
            Pushes::All => true,
            Pushes::None => false,
        };
        let enabled = match service {
            Service::UploadPack => repo.config.boolean("http.uploadpack")?.unwrap_or(true),
            Service::ReceivePack => repo.config.boolean("http.receivepack")?.unwrap_or(may_push),
        };
        if !enabled {
            let name = service.name().strip_prefix("git-").unwrap_or_default();
            return Err(forbidden(format!("Service not enabled: '{name}'")));
        }
        Ok(service)
    }
}

fn outcome(served: Result<(), Error>) -> Outcome {
    match served {
        Ok(()) => Outcome::Done,
        Err(error) => Outcome::Failed(error),
    }
}

/// Tells hooks and reflogs by `env` who makes `request`: git-http-backend(1), "ENVIRONMENT".
pub fn introduce(env: &mut Environment, request: &Request) {
    let is_given = |value: &&BString| !value.is_empty();
    let user = request.user.as_ref().filter(is_given).map_or("anonymous".into(), ToString::to_string);
    let address = request.address.as_ref().filter(is_given).map_or("(none)".into(), ToString::to_string);
    if env.get("GIT_COMMITTER_NAME").is_none() {
        env.set("GIT_COMMITTER_NAME", user.clone());
    }
    if env.get("GIT_COMMITTER_EMAIL").is_none() {
        env.set("GIT_COMMITTER_EMAIL", format!("{user}@http.{address}"));
    }
}

/// The directory of the repository that `request` means; `None` if it is no request of git's.
pub(crate) fn directory_of(request: &Request) -> Option<PathBuf> {
    Route::find(request).ok().map(|(directory, _)| directory)
}

/// Where `info`, the path of a URL, leads below `root`.
///
/// # Errors
///
/// If it has parts that lead elsewhere than it seems: C git calls them aliased.
pub fn path_below(root: &Path, info: &[u8]) -> Result<PathBuf, Error> {
    let aliased = || Error::Refused(format!("'{}': aliased", info.as_bstr()));
    let root = root.as_os_str().as_bytes();
    let below = info.strip_prefix(b"/").ok_or_else(aliased)?;
    let parts: Vec<&[u8]> = below.split_str("/").collect();
    let ends_so = matches!(parts.last(), Some(&(b"." | b"..")));
    let inner = parts.split_last().map(|(_, inner)| inner).unwrap_or_default();
    if ends_so || inner.iter().any(|part| matches!(*part, b"" | b"." | b"..")) {
        return Err(aliased());
    }
    let path = [root.strip_suffix(b"/").unwrap_or(root), b"/", below].concat();
    Ok(PathBuf::from(OsString::from_vec(path)))
}

/// The last value of `name` in a query. As git 2.47.3 reads one, what follows a name is its value, whether an equals sign or an
/// ampersand is between them.
fn parameter(query: &BStr, name: &[u8]) -> Option<BString> {
    let mut found = None;
    let mut rest = query.as_bytes();
    while !rest.is_empty() {
        let (key, behind) = split_at_one_of(rest, b"=&");
        let (value, behind) = split_at_one_of(behind, b"&");
        if decode(key) == name {
            found = Some(decode(value));
        }
        rest = behind;
    }
    found
}

/// What is before the first of `ends` and what is behind it.
fn split_at_one_of<'t>(text: &'t [u8], ends: &[u8]) -> (&'t [u8], &'t [u8]) {
    let end = text.find_byteset(ends).unwrap_or(text.len());
    let (before, rest) = text.split_at_checked(end).unwrap_or((text, &[]));
    (before, rest.get(1..).unwrap_or_default())
}

/// The characters behind `%xx`, and spaces for plus signs.
fn decode(text: &[u8]) -> BString {
    let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_encoding::percent_decode(&spaced).collect::<Vec<u8>>().into()
}

fn header(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// The headers that keep an answer out of every cache.
fn no_cache() -> Vec<(String, String)> {
    vec![
        header("Expires", "Fri, 01 Jan 1980 00:00:00 GMT"),
        header("Pragma", "no-cache"),
        header("Cache-Control", "no-cache, max-age=0, must-revalidate"),
    ]
}

fn not_found(log: String) -> Refusal {
    Refusal::Status("404 Not Found", Vec::new(), log)
}

fn forbidden(log: String) -> Refusal {
    Refusal::Status("403 Forbidden", Vec::new(), log)
}
