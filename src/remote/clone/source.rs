//! Where a clone comes from: a session, a bundle, or the objects of a path on this machine.

use std::path::{Path, PathBuf};

use bstr::{BStr, BString, ByteSlice};

use super::{Clone, Local, Options};
use crate::progress::{Event, Progress};
use crate::protocol::Ref;
use crate::protocol::fetch::Deepen;
use crate::remote::far::{self, Foreign};
use crate::remote::{Error, Far, Refspec, RepoSettings, Session, config, session};
use crate::repo::{Config, Environment, discover};
use crate::transport::bundle::Bundle;
use crate::transport::url::Scheme;
use crate::transport::{self, Url};

/// Where a clone comes from.
pub(super) enum Source {
    Session { session: Box<Session>, refs: Vec<Ref>, local: Option<PathBuf> },
    Foreign { foreign: Foreign, refs: Vec<Ref> },
    Bundle(Box<Bundle>),
}

impl Source {
    pub(super) fn refs(&self) -> &[Ref] {
        match self {
            Self::Session { refs, .. } | Self::Foreign { refs, .. } => refs,
            Self::Bundle(bundle) => &bundle.header.refs,
        }
    }

    pub(super) fn object_hash(&self) -> gix_hash::Kind {
        match self {
            Self::Session { session, .. } => session.object_hash(),
            Self::Foreign { foreign, .. } => foreign.object_hash(),
            Self::Bundle(bundle) => bundle.header.object_hash,
        }
    }

    pub(super) fn is_local(&self) -> bool {
        matches!(self, Self::Session { local: Some(_), .. })
    }
}

impl Clone<'_> {
    /// Contacts the remote. A helper program works in the new repository `git_dir`, which has to be there then.
    pub(super) fn connect(&self, git_dir: &Path, progress: &mut dyn Progress) -> Result<Source, Error> {
        let path = self.parsed.local_path();
        if let Some(path) = path.as_ref().filter(|path| path.is_file())
            && let Some(bundle) = transport::bundle::open(path)?
        {
            if bundle.header.filter.is_some() {
                // nobody could be asked for the rest
                return Err(Error::Usage("cannot clone from filtered bundle".into()));
            }
            let mut bundle = Box::new(bundle);
            self.leave_out_bad_names(&mut bundle.header.refs, progress)?;
            return Ok(Source::Bundle(bundle));
        }
        let local = self.local_objects(progress)?;
        let settings = RepoSettings { config: &self.config, env: self.env };
        let Options { deepen, filter, .. } = self.options;
        let server_options = self.server_options();
        let mut transport = self.options.transport.clone();
        far::wishes(&mut transport, deepen, filter.as_ref(), git_dir);
        if self.follows_tags() {
            transport.helper_options.push(("followtags", "true".into()));
        }
        let mut session = match Far::connect(&self.parsed, &settings, transport, &server_options, progress)? {
            Far::Session(session) => session,
            Far::Foreign(foreign) => {
                let refs = session::without_bad_names(foreign.refs().to_vec());
                return Ok(Source::Foreign { foreign, refs });
            }
        };
        if let Err(error) = self.check_shallow(!session.server_shallow().is_empty()) {
            // The far side is told, so that it does not complain.
            let _ended = session.close();
            return Err(error);
        }
        let refs = session::without_bad_names(session.refs(&self.prefixes(), progress)?);
        Ok(Source::Session { session, refs, local })
    }

    /// Takes out of the refs of a bundle, which no server has looked at, those whose names are none.
    fn leave_out_bad_names(&self, refs: &mut Vec<Ref>, progress: &mut dyn Progress) -> Result<(), Error> {
        let (good, mut bad): (Vec<Ref>, Vec<Ref>) = refs.drain(..).partition(session::has_good_names);
        *refs = good;
        // C git takes a bundle's refs from the last to the first, and tags when it has all branches
        bad.reverse();
        if !self.options.mirror {
            bad.sort_by_key(|reference| reference.name.starts_with(b"refs/tags/"));
        }
        for name in bad.iter().map(|reference| &reference.name) {
            let local = match name.strip_prefix(b"refs/heads/") {
                Some(short) if !self.is_bare() => {
                    format!("refs/remotes/{}/{}", self.options.origin, short.as_bstr())
                }
                Some(_) => name.to_string(),
                // nothing else is asked for
                None if self.options.mirror || name.starts_with(b"refs/tags/") => name.to_string(),
                None => continue,
            };
            if progress.report(Event::Error(&format!("* Ignoring funny ref '{local}' locally"))).is_break() {
                return Err(Error::Interrupted);
            }
        }
        Ok(())
    }

    /// The objects to link or copy, if this is a clone of a path that allows it.
    fn local_objects(&self, progress: &mut dyn Progress) -> Result<Option<PathBuf>, Error> {
        let path = self.parsed.local_path().filter(|_| self.parsed.scheme == Scheme::Path);
        let git_dir = path.filter(|_| self.options.local != Local::Transfer);
        let Some(git_dir) = git_dir.and_then(|path| discover::local_git_dir(&path)) else {
            self.warn_of_no_local(&["--local is ignored"], progress)?;
            return Ok(None);
        };
        if git_dir.join("shallow").exists() {
            self.check_shallow(true)?;
            let texts = ["source repository is shallow, ignoring --local", "--local is ignored"];
            self.warn_of_no_local(&texts, progress)?;
            return Ok(None);
        }
        let Deepen { depth, since, not, .. } = &self.options.deepen;
        let ignored = [
            (*depth > 0, "--depth"),
            (since.is_some(), "--shallow-since"),
            (!not.is_empty(), "--shallow-exclude"),
            (self.options.filter.is_some(), "--filter"),
        ];
        for (_, option) in ignored.into_iter().filter(|(is_given, _)| *is_given) {
            let text = format!("{option} is ignored in local clones; use file:// instead.");
            if progress.report(Event::Warning(&text)).is_break() {
                return Err(Error::Interrupted);
            }
        }
        let common = match std::fs::read(git_dir.join("commondir")) {
            Ok(relative) => {
                let common = git_dir.join(relative.trim_end().to_os_str_lossy());
                // it is written into the alternates of who shares
                common.canonicalize().unwrap_or(common)
            }
            Err(_) => git_dir,
        };
        Ok(Some(common.join("objects")))
    }

    /// Says that nothing is linked, if it was asked for by name.
    fn warn_of_no_local(&self, texts: &[&str], progress: &mut dyn Progress) -> Result<(), Error> {
        for text in texts.iter().filter(|_| self.options.insists_on_local) {
            if progress.report(Event::Warning(text)).is_break() {
                return Err(Error::Interrupted);
            }
        }
        Ok(())
    }

    /// Refuses a source that is shallow, if that is wished. Where the history is cut anyway it may be.
    pub(super) fn check_shallow(&self, is_shallow: bool) -> Result<(), Error> {
        if is_shallow && self.options.reject_shallow && self.options.deepen == Deepen::default() {
            return Err(Error::Usage("source repository is shallow, reject to clone.".into()));
        }
        Ok(())
    }

    fn prefixes(&self) -> Vec<BString> {
        if self.options.mirror {
            return Vec::new();
        }
        if let Some(revision) = &self.options.revision {
            // An id has no name; then `HEAD` is asked for, since nothing would be everything.
            let named = Refspec::parse_fetch(revision.as_bstr()).map(|refspec| refspec.prefixes());
            let named: Vec<BString> = named.unwrap_or_default();
            return if named.is_empty() { vec!["HEAD".into()] } else { named };
        }
        let mut prefixes: Vec<BString> = vec!["HEAD".into(), "refs/heads/".into()];
        if !self.options.no_tags || self.options.branch.is_some() {
            prefixes.push("refs/tags/".into());
        }
        let refspecs = self.extra_refspecs().unwrap_or_default();
        prefixes.extend(refspecs.iter().flat_map(Refspec::prefixes));
        if prefixes.iter().any(|prefix| prefix.is_empty()) { Vec::new() } else { prefixes }
    }

    /// What the server is told: what the user said, else what is configured for a remote of that name.
    fn server_options(&self) -> Vec<BString> {
        match self.options.server_options.as_slice() {
            [] => config::server_options(&self.config, self.options.origin.as_bstr()),
            given => given.to_vec(),
        }
    }

    /// `remote.<origin>.fetch` of the configuration, `--config` included.
    pub(super) fn extra_refspecs(&self) -> Result<Vec<Refspec>, Error> {
        let key = format!("remote.{}.fetch", self.options.origin);
        self.config.strings(&key).iter().map(|text| Refspec::parse_fetch(text.as_bstr())).collect()
    }
}

/// The URL that the new repository remembers for `source`, and the one to clone from. A path that is there is a path
/// even if it looks like a URL, such as `host:path`.
pub(super) fn locate(
    source: &BStr,
    origin: &BStr,
    config: &Config,
    env: &Environment,
) -> Result<(BString, Url), Error> {
    let (url, parsed) = locate_natively(source, config, env)?;
    Ok(match config.string(&format!("remote.{origin}.vcs")) {
        Some(vcs) => (url.clone(), Url::of_helper(vcs.as_bstr(), url.as_bstr())),
        None => (url, parsed),
    })
}

/// As [`locate`], for what no helper program is named for. What is written down is what the user said; where it leads is
/// for `insteadOf` to say.
fn locate_natively(source: &BStr, config: &Config, env: &Environment) -> Result<(BString, Url), Error> {
    let bytes = |path: PathBuf| BString::from(path.into_os_string().into_encoded_bytes());
    let path = PathBuf::from(source.to_os_str_lossy().into_owned());
    let url = match find_local(&path) {
        Some(_) => bytes(absolute(&path, env)),
        None if source.contains(&b':') => source.to_owned(),
        None => return Err(Error::Usage(format!("repository '{source}' does not exist"))),
    };
    let given = Url::parse(config::rewrite(config, url.as_bstr()).as_bstr())?;
    let found = match given.scheme {
        Scheme::Path => given.local_path().and_then(|path| find_local(&path)),
        _ => find_local(&path),
    };
    match found {
        Some(found) => Ok((url, Url::parse(bytes(absolute(&found, env)).as_bstr())?)),
        None => Ok((url, given)),
    }
}

/// `path` below the current directory as the user knows it (`PWD`), with nothing taken out: git keeps `.` and `..` in
/// what it remembers.
fn absolute(path: &Path, env: &Environment) -> PathBuf {
    if path.is_absolute() {
        return path.to_owned();
    }
    let current = std::path::absolute(".").unwrap_or_default();
    let known = env.path("PWD").filter(|known| known.is_absolute() && is_same(known, &current));
    known.unwrap_or(current).join(path)
}

/// Whether both lead to the same directory.
fn is_same(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        (Ok(_) | Err(_), Ok(_) | Err(_)) => false,
    }
}

/// The repository or bundle that a path means, in git's order; `None` if there is none.
pub fn find_local(path: &Path) -> Option<PathBuf> {
    if let Some(git_dir) = discover::local_git_dir(path) {
        return Some(git_dir);
    }
    let with_suffix = PathBuf::from({
        let mut name = path.as_os_str().to_owned();
        name.push(".bundle");
        name
    });
    [path.to_owned(), with_suffix].into_iter().find(|path| path.is_file())
}
