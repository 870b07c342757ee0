//! Bundles that stand elsewhere: most of a history from a file server, the rest from the repository. git-clone(1),
//! `--bundle-uri`; git-config(1), `fetch.bundleURI`, `transfer.bundleURI`, `bundle.*`.
//!
//! Nothing here makes a clone or a fetch fail. What cannot be had or used is warned of, and the server is asked for it.
//! What was taken in is whole before `refs/bundles/` names it, and so the server need not send it again.
//!
//! ```text
//! URI ── download ── a bundle ── unbundle ── refs/bundles/
//!           ▲    └── a list ─┬─ all: each of them, as long as one more can be taken in
//!           │                ├─ any: until one was taken in
//!           └────────────────┴─ by creation token, the newest first: see `token`
//! ```

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use bstr::{BStr, BString, ByteSlice};

use super::{Error, RepoSettings};
use crate::progress::{Event, Progress};
use crate::protocol::bundle::Header;
use crate::protocol::bundle_uri::{List, Mode, directory};
use crate::repo::config::{Change, edit};
use crate::repo::{Config, Repository, TemporaryFile};
use crate::transport::http::Download;
use crate::transport::{self, Scheme, Url};

mod store;
mod token;

pub(super) use store::Unseen;

/// Lists within lists: git's number.
const DEPTH_MAX: usize = 4;
/// Bytes of a list.
const LIST_LEN_MAX: u64 = 1 << 20;
/// Bytes of a bundle.
const BUNDLE_LEN_MAX: u64 = 1 << 40;
/// Files that are downloaded for one clone or fetch, lists among them.
const DOWNLOADS_MAX: usize = 1_000;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Whether all went well. That lists of which any bundle will do, or all, had none that would do is well too.
    pub is_complete: bool,
    /// Whether a list can be asked again later for what is new: then its URI is worth remembering.
    pub has_tokens: bool,
}

/// Fetches the bundle or the list of bundles at `uri`, which the user has named. `remote` is the URL of the repository.
///
/// # Errors
///
/// [`Error::Interrupted`] alone: everything else is told to `progress`.
pub fn fetch(
    repo: &Repository,
    uri: &BStr,
    (remote, options): (Option<&Url>, &transport::Options),
    progress: &mut dyn Progress,
) -> Result<Outcome, Error> {
    let mut bundles = Bundles::new(repo, remote, options, progress);
    let is_complete = bundles.at(uri, Trust::User, 0)?;
    Ok(Outcome { is_complete, has_tokens: bundles.has_tokens })
}

/// As [`fetch`], for a list that the server at `remote` has advertised.
///
/// # Errors
///
/// As [`fetch`].
pub fn fetch_list(
    repo: &Repository,
    list: &List,
    (remote, options): (&Url, &transport::Options),
    progress: &mut dyn Progress,
) -> Result<Outcome, Error> {
    let mut bundles = Bundles::new(repo, Some(remote), options, progress);
    let is_complete = bundles.listed(list, Trust::of(remote), 0)?;
    Ok(Outcome { is_complete, has_tokens: bundles.has_tokens })
}

/// Who named a URI, and so what it may be. A list may not lead from the net into this machine, nor from a safe connection
/// to one that anybody can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// The user, or a file of this machine: files, `http://` and `https://`.
    User,
    /// A server reached without encryption: `http://` and `https://`.
    Plain,
    /// A server reached with encryption: `https://`.
    Encrypted,
}

impl Trust {
    /// That of a list at `url`.
    fn of(url: &Url) -> Self {
        match url.scheme {
            Scheme::Path | Scheme::File => Self::User,
            Scheme::Git | Scheme::Http => Self::Plain,
            Scheme::Ssh | Scheme::Https | Scheme::Helper(_) => Self::Encrypted,
        }
    }

    /// Whether it may name `url`. Names and passwords are for the user alone to say.
    fn allows(self, url: &Url) -> bool {
        let is_anonymous = url.user.is_none() && url.password.is_none();
        match (self, &url.scheme) {
            (Self::User, Scheme::Path | Scheme::File | Scheme::Http | Scheme::Https) => true,
            (Self::Plain, Scheme::Http) | (Self::Plain | Self::Encrypted, Scheme::Https) => is_anonymous,
            (Self::User | Self::Plain | Self::Encrypted, _) => false,
        }
    }
}

/// A file that was downloaded, or that is on this machine anyway.
enum Got {
    Downloaded(TemporaryFile),
    Here(PathBuf),
}

impl Got {
    fn path(&self) -> &Path {
        match self {
            Self::Downloaded(file) => file.path(),
            Self::Here(path) => path,
        }
    }
}

/// One search for bundles.
struct Bundles<'a> {
    repo: &'a Repository,
    remote: Option<&'a Url>,
    options: &'a transport::Options,
    progress: &'a mut dyn Progress,
    has_tokens: bool,
    /// How many files may still be downloaded.
    downloads_left: usize,
}

impl<'a> Bundles<'a> {
    fn new(
        repo: &'a Repository,
        remote: Option<&'a Url>,
        options: &'a transport::Options,
        progress: &'a mut dyn Progress,
    ) -> Self {
        Self { repo, remote, options, progress, has_tokens: false, downloads_left: DOWNLOADS_MAX }
    }

    /// Takes in what is at `uri`, a bundle or a list. Gives whether that went well.
    fn at(&mut self, uri: &BStr, trust: Trust, depth: usize) -> Result<bool, Error> {
        let mut found = Vec::new();
        let is_found = self.collect(uri, trust, depth, &mut found)?;
        self.unbundle_all(found)?;
        Ok(is_found)
    }

    /// Downloads what is at `uri`: bundles are added to `found`, lists are followed.
    fn collect(
        &mut self,
        uri: &BStr,
        trust: Trust,
        depth: usize,
        found: &mut Vec<Got>,
    ) -> Result<bool, Error> {
        if depth >= DEPTH_MAX {
            self.warn(&format!("exceeded bundle URI recursion limit ({DEPTH_MAX})"))?;
            return Ok(false);
        }
        let Some((got, trust)) = self.download(uri, trust)? else {
            self.warn(&format!("failed to download bundle from URI '{}'", shown(uri)))?;
            return Ok(false);
        };
        if is_bundle(got.path()) {
            found.push(got);
            return Ok(true);
        }
        let is_complete = match read_list(&got, uri, self.repo) {
            Ok(list) => self.followed(&list, trust, depth, found)?,
            Err(reason) => {
                self.tell(Event::Error(&reason))?;
                false
            }
        };
        if !is_complete {
            self.warn(&format!("file at URI '{}' is not a bundle or bundle list", shown(uri)))?;
        }
        Ok(is_complete)
    }

    /// Takes in what `list` names. Gives whether that went well.
    fn listed(&mut self, list: &List, trust: Trust, depth: usize) -> Result<bool, Error> {
        let mut found = Vec::new();
        let is_complete = self.followed(list, trust, depth, &mut found)?;
        self.unbundle_all(found)?;
        Ok(is_complete)
    }

    fn followed(
        &mut self,
        list: &List,
        trust: Trust,
        depth: usize,
        found: &mut Vec<Got>,
    ) -> Result<bool, Error> {
        for complaint in list.bundles.iter().filter_map(|bundle| bundle.complaint.as_ref()) {
            self.warn(complaint)?;
        }
        let named = list.bundles.iter().filter(|bundle| !bundle.uri.is_empty());
        if list.has_tokens {
            self.has_tokens = true;
            return self.by_token(&named.collect::<Vec<_>>(), trust);
        }
        for bundle in named {
            match list.mode {
                Mode::All => drop(self.collect(bundle.uri.as_bstr(), trust, depth + 1, found)?),
                Mode::Any => {
                    let mut these = Vec::new();
                    let is_found = self.collect(bundle.uri.as_bstr(), trust, depth + 1, &mut these)?;
                    if self.unbundle_all(these)? && is_found {
                        break;
                    }
                }
            }
        }
        Ok(true)
    }

    /// Takes in all of `found`, in whatever order they build on each other. Gives whether none is left.
    fn unbundle_all(&mut self, mut found: Vec<Got>) -> Result<bool, Error> {
        loop {
            let before = found.len();
            let mut left = Vec::new();
            for got in found {
                if !self.unbundle(got.path())? {
                    left.push(got);
                }
            }
            if left.is_empty() || left.len() == before {
                return Ok(left.is_empty());
            }
            found = left;
        }
    }

    /// The file at `uri`, and what a list in it may name; `None` if it cannot be had.
    fn download(&mut self, uri: &BStr, trust: Trust) -> Result<Option<(Got, Trust)>, Error> {
        let is_http = uri.starts_with(b"http://") || uri.starts_with(b"https://");
        if is_http && uri.iter().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control()) {
            self.tell(Event::Error(&format!("bundle-uri: URI is malformed: '{}'", shown(uri))))?;
            return Ok(None);
        }
        let Ok(url) = Url::parse(uri) else { return Ok(None) };
        if !trust.allows(&url) {
            self.tell(Event::Error(&format!("bundle-uri: URI is not allowed here: '{}'", url.redacted())))?;
            return Ok(None);
        }
        if let Some(path) = url.local_path() {
            return Ok(path.is_file().then(|| (Got::Here(path), Trust::of(&url))));
        }
        let objects = &self.repo.objects_dir;
        if objects.as_os_str().as_encoded_bytes().contains(&b'\n') {
            // C git could not tell its helper of such a name; nobody has such a directory by chance
            let text = format!("bundle-uri: filename is malformed: '{}'", objects.display());
            self.tell(Event::Error(&text))?;
            return Ok(None);
        }
        let Some(left) = self.downloads_left.checked_sub(1) else {
            self.tell(Event::Error("bundle-uri: too many downloads"))?;
            return Ok(None);
        };
        self.downloads_left = left;
        match download(&url, (self.repo, self.remote, self.options), BUNDLE_LEN_MAX, self.progress) {
            Ok(file) => Ok(Some((Got::Downloaded(file), Trust::of(&url)))),
            Err(error) if error.is_interrupted() => Err(Error::Interrupted),
            Err(error) => {
                self.tell(Event::Detail { level: 1, text: &error.to_string() })?;
                Ok(None)
            }
        }
    }

    /// Remembers how new the newest bundle is that was taken in.
    fn remember_token(&self, token: u64) -> Result<(), Error> {
        let change = Change::Set("fetch.bundleCreationToken".into(), token.to_string().into());
        Ok(edit(&self.repo.common_path("config"), &[change])?)
    }

    fn warn(&mut self, text: &str) -> Result<(), Error> {
        self.tell(Event::Warning(text))
    }

    fn tell(&mut self, event: Event<'_>) -> Result<(), Error> {
        if self.progress.report(event).is_break() { Err(Error::Interrupted) } else { Ok(()) }
    }
}

/// Downloads what is at `url` for `repo`, up to `len_max` bytes of it. `remote` and `options` are those of the repository
/// that it is for.
pub(super) fn download(
    url: &Url,
    (repo, remote, options): (&Repository, Option<&Url>, &transport::Options),
    len_max: u64,
    progress: &mut dyn Progress,
) -> Result<TemporaryFile, Error> {
    let directory = &repo.objects_dir;
    let failed = |source| Error::Io { action: "unable to write a file in", path: directory.clone(), source };
    let mut file = TemporaryFile::create(directory).map_err(failed)?;
    let settings = RepoSettings { config: &repo.config, env: &repo.env };
    let options = transport::Options { remote: None, ..options.clone() };
    let download = Download { settings: &settings, options, remote, len_max };
    download.get(url, &mut file, &mut Unseen(progress))?;
    file.flush().map_err(failed)?;
    Ok(file)
}

/// `uri` for messages: without user and password.
pub fn shown(uri: &BStr) -> BString {
    match Url::parse(uri) {
        Ok(url) if matches!(url.scheme, Scheme::Http | Scheme::Https) => url.redacted(),
        Ok(_) | Err(_) => uri.to_owned(),
    }
}

/// Remembers the list at `uri`, so that fetches ask it first.
pub fn remember(repo: &Repository, uri: &BStr) -> Result<(), Error> {
    let change = Change::Set("fetch.bundleuri".into(), uri.to_owned());
    Ok(edit(&repo.common_path("config"), &[change])?)
}

fn is_bundle(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    Header::read(&mut BufReader::new(file)).is_ok()
}

/// Reads a list in the form of a configuration file; the error is what is wrong with it.
fn read_list(got: &Got, uri: &BStr, repo: &Repository) -> Result<List, String> {
    let unreadable = |error: std::io::Error| error.to_string();
    let file = File::open(got.path()).map_err(unreadable)?;
    let mut text = Vec::new();
    let mut input = BufReader::new(file).take(LIST_LEN_MAX + 1);
    input.read_to_end(&mut text).map_err(unreadable)?;
    if text.len() as u64 > LIST_LEN_MAX {
        return Err(format!("bundle-uri: a list of more than {LIST_LEN_MAX} bytes"));
    }
    let name = PathBuf::from(shown(uri).to_os_str_lossy().into_owned());
    let config = Config::from_bytes(&text, &name, &repo.env).map_err(|error| error.to_string())?;
    let wrong = |reason: String| format!("bundle-uri: {reason} in the list at '{}'", shown(uri));
    if let Some((_, key, _)) = config.section("").first() {
        // a line of any text is a key to the parser
        return Err(wrong(format!("'{key}' is in no section")));
    }
    let mut list = List::new(directory(uri).as_bstr());
    for (id, key, value) in config.section("bundle") {
        let value = value.filter(|value| !value.is_empty());
        let value = value.ok_or_else(|| wrong(format!("no value for '{key}'")))?;
        list.take(id.as_ref().map(|id| id.as_bstr()), &key, value.as_bstr()).map_err(wrong)?;
    }
    Ok(list)
}

/// The header of the bundle at `path`, and what follows it.
fn open_bundle(path: &Path) -> Result<(Header, Box<dyn BufRead>), Error> {
    let failed = |source| Error::Io { action: "could not open", path: path.to_owned(), source };
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    Ok((Header::read(&mut file)?, Box::new(file)))
}
