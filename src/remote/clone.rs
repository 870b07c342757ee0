//! `git clone` as a library: a new repository with all that a remote has.
//!
//! ```text
//! Clone::new ── run ── Cloned ── checkout
//! ```
//!
//! The remote is asked before anything is made here, since it decides about the hash function and `HEAD`. A clone that
//! fails removes what it made.

use std::path::{Path, PathBuf};

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;

use super::fetch_pack::{self, fetch_pack};
use super::ref_map::{Asked, CurrentBranch, Mapping};
use super::{
    Error, Refspec, Remote, RepoSettings, Session, config, connectivity, fetch, local_clone, session,
};
use crate::progress::{Event, Progress};
use crate::protocol::fetch::Deepen;
use crate::protocol::{Ref, Service};
use crate::repo::config::{Change, Override};
use crate::repo::{Config, Edit, Environment, Expected, Repository, Target, checkout, discover, init};
use crate::transport::bundle::Bundle;
use crate::transport::url::Scheme;
use crate::transport::{self, Url};

mod destination;

pub use destination::{Destination, guess_directory};

/// What the user asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// No work tree.
    pub bare: bool,
    /// All refs as they are; implies `bare`.
    pub mirror: bool,
    /// The branch or tag to check out instead of the remote's `HEAD`.
    pub branch: Option<BString>,
    /// Only one branch; `None` is as `deepen` says.
    pub single_branch: Option<bool>,
    /// No tags, now and later.
    pub no_tags: bool,
    /// How much history.
    pub deepen: Deepen,
    /// What a partial clone leaves out.
    pub filter: Option<BString>,
    /// The name of the remote.
    pub origin: BString,
    /// Configuration to write, in order (`--config`).
    pub config: Vec<(BString, BString)>,
    /// Whether a path may be linked or copied.
    pub local: Local,
    /// See [`init::Init::template`].
    pub template: Option<PathBuf>,
    /// Nobody looks at the server's progress.
    pub no_progress: bool,
    /// How the remote is reached.
    pub transport: transport::Options,
    /// `--server-option`.
    pub server_options: Vec<BString>,
}

/// How the objects of a path on this machine come over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Local {
    /// By hard links where the file system has them.
    #[default]
    Link,
    /// By copies (`--no-hardlinks`).
    Copy,
    /// By the protocol (`--no-local`, and always with `file://`).
    Transfer,
}

/// Where a clone comes from.
enum Source {
    Session { session: Session, refs: Vec<Ref>, local: Option<PathBuf> },
    Bundle(Box<Bundle>),
}

/// A clone to be made.
pub struct Clone<'a> {
    options: &'a Options,
    destination: &'a Destination,
    env: &'a Environment,
    overrides: &'a [Override],
    config: Config,
    /// What the configuration will name as the remote's URL.
    url: BString,
    parsed: Url,
}

/// A finished clone whose work tree is still empty.
pub struct Cloned {
    /// The new repository.
    pub repo: Repository,
    /// The commit that `HEAD` leads to; `None` if it is unborn.
    pub head: Option<ObjectId>,
    /// Whether `HEAD` names a commit and no branch.
    pub is_detached: bool,
    /// Whether the objects were linked or copied rather than transferred.
    pub is_local: bool,
}

impl<'a> Clone<'a> {
    /// Prepares to clone `source`, a URL or a path as the user gave it, into `destination`.
    pub fn new(
        source: &BStr,
        destination: &'a Destination,
        options: &'a Options,
        env: &'a Environment,
        overrides: &'a [Override],
    ) -> Result<Self, Error> {
        let mut all = overrides.to_vec();
        all.extend(options.config.iter().map(|(key, value)| (key.clone(), Some(value.clone()))));
        let config = Config::load(env, &all, None)?;
        let given = Url::parse(config::rewrite(&config, source).as_bstr())?;
        let (url, parsed) = match &given.scheme {
            Scheme::Path => {
                let path = given.local_path().unwrap_or_default();
                let found = find_local(&path)
                    .ok_or_else(|| Error::Usage(format!("repository '{source}' does not exist")))?;
                let absolute = std::path::absolute(&path).unwrap_or(path);
                let text = BString::from(absolute.into_os_string().into_encoded_bytes());
                let parsed =
                    Url::parse(BString::from(found.into_os_string().into_encoded_bytes()).as_bstr())?;
                (text, parsed)
            }
            Scheme::File | Scheme::Git | Scheme::Ssh | Scheme::Http | Scheme::Https | Scheme::Helper(_) => {
                (source.to_owned(), given)
            }
        };
        Ok(Self { options, destination, env, overrides, config, url, parsed })
    }

    /// Makes the clone but for its work tree's files.
    pub fn run(&self, progress: &mut dyn Progress) -> Result<Cloned, Error> {
        let mut source = self.connect(progress)?;
        let refs = source.refs().to_vec();
        let plan = self.plan(&refs)?;
        let guard = self.destination.make()?;
        let repo = self.init(source.object_hash())?;
        self.write_remote_config(&repo, &plan)?;
        self.take_objects(&repo, &mut source, &plan, progress)?;
        let is_local = source.is_local();
        if let Source::Session { session, .. } = source {
            if is_local || plan.map.is_empty() { session.close()? } else { session.close_after_pack()? }
        }
        let cloned = self.write_refs(repo, &plan, is_local, progress)?;
        guard.keep();
        Ok(cloned)
    }

    fn connect(&self, progress: &mut dyn Progress) -> Result<Source, Error> {
        let path = self.parsed.local_path();
        if let Some(path) = path.as_ref().filter(|path| path.is_file()) {
            if let Some(bundle) = transport::bundle::open(path)? {
                return Ok(Source::Bundle(Box::new(bundle)));
            }
        }
        let local = self.local_objects(progress)?;
        let settings = RepoSettings { config: &self.config, env: self.env };
        let mut transport = transport::open(&self.parsed, &settings, self.options.transport.clone())?;
        let version = config::protocol_version(&self.config)?;
        let mut session = Session::open(transport.as_mut(), Service::UploadPack, version, progress)?;
        session.set_server_options(self.options.server_options.clone())?;
        let refs = session::without_bad_names(session.refs(&self.prefixes())?);
        Ok(Source::Session { session, refs, local })
    }

    /// The objects to link or copy, if this is a clone of a path that allows it.
    fn local_objects(&self, progress: &mut dyn Progress) -> Result<Option<PathBuf>, Error> {
        if self.parsed.scheme != Scheme::Path || self.options.local == Local::Transfer {
            return Ok(None);
        }
        let Some(git_dir) = self.parsed.local_path().and_then(|path| discover::local_git_dir(&path)) else {
            return Ok(None);
        };
        if git_dir.join("shallow").exists() {
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
        let common = match std::fs::read_to_string(git_dir.join("commondir")) {
            Ok(relative) => git_dir.join(relative.trim_end()),
            Err(_) => git_dir,
        };
        Ok(Some(common.join("objects")))
    }

    fn prefixes(&self) -> Vec<BString> {
        if self.options.mirror {
            return Vec::new();
        }
        let mut prefixes: Vec<BString> = vec!["HEAD".into(), "refs/heads/".into()];
        if !self.options.no_tags || self.options.branch.is_some() {
            prefixes.push("refs/tags/".into());
        }
        let refspecs = self.extra_refspecs().unwrap_or_default();
        prefixes.extend(refspecs.iter().flat_map(Refspec::prefixes));
        if prefixes.iter().any(|prefix| prefix.is_empty()) { Vec::new() } else { prefixes }
    }

    /// `remote.<origin>.fetch` of the configuration, `--config` included.
    fn extra_refspecs(&self) -> Result<Vec<Refspec>, Error> {
        let key = format!("remote.{}.fetch", self.options.origin);
        self.config.strings(&key).iter().map(|text| Refspec::parse_fetch(text.as_bstr())).collect()
    }

    fn init(&self, object_hash: gix_hash::Kind) -> Result<Repository, Error> {
        let head = format!("refs/heads/{}", init::default_branch(&self.config)?);
        let init = init::Init {
            git_dir: self.destination.git_dir.clone(),
            work_tree: self.destination.work_tree.clone(),
            object_hash,
            head: head.into(),
            template: self.options.template.clone(),
            overrides: self.overrides.to_vec(),
        };
        let repo = Repository::init(&init, self.env)?;
        let changes: Vec<Change> =
            self.options.config.iter().map(|(key, value)| Change::Add(key.clone(), value.clone())).collect();
        if changes.is_empty() {
            return Ok(repo);
        }
        crate::repo::config::edit(&repo.common_path("config"), &changes)?;
        self.reopen(&repo)
    }

    fn reopen(&self, repo: &Repository) -> Result<Repository, Error> {
        Ok(Repository::open(&repo.git_dir, repo.work_tree.as_deref(), self.overrides, self.env)?)
    }

    fn write_remote_config(&self, repo: &Repository, plan: &Plan) -> Result<(), Error> {
        let key = |last: &str| BString::from(format!("remote.{}.{last}", self.options.origin));
        let mut changes = vec![Change::Set(key("url"), self.url.clone())];
        if self.options.no_tags {
            changes.push(Change::Set(key("tagOpt"), "--no-tags".into()));
        }
        if let Some(refspec) = &plan.configured {
            changes.push(Change::Add(key("fetch"), refspec.clone()));
        }
        if self.options.mirror {
            changes.push(Change::Set(key("mirror"), "true".into()));
        }
        Ok(crate::repo::config::edit(&repo.common_path("config"), &changes)?)
    }

    fn take_objects(
        &self,
        repo: &Repository,
        source: &mut Source,
        plan: &Plan,
        progress: &mut dyn Progress,
    ) -> Result<(), Error> {
        let is_partial = self.is_partial(source);
        let request = fetch_pack::Request {
            wants: plan.wants.clone(),
            deepen: self.options.deepen.clone(),
            filter: self.options.filter.clone(),
            include_tag: !self.options.no_tags,
            no_progress: self.options.no_progress,
            promisor: is_partial.then(|| fetch::promisor_text(&plan.map)),
            ..fetch_pack::Request::default()
        };
        if is_partial {
            self.write_partial_config(repo)?;
        }
        let received = match source {
            Source::Session { local: Some(objects), .. } => {
                let links = match self.options.local {
                    Local::Copy => local_clone::Links::None,
                    Local::Link | Local::Transfer => local_clone::Links::Hard,
                };
                return local_clone::copy_objects(objects, &repo.objects_dir, links);
            }
            Source::Session { .. } | Source::Bundle(_) if plan.wants.is_empty() => return Ok(()),
            Source::Session { session, refs, .. } => {
                let fetched = fetch_pack(session, repo, refs, &request, progress)?;
                if !fetched.shallow.is_empty() {
                    repo.write_shallow(&fetch_pack::new_boundary(&[], &fetched.shallow))?;
                }
                fetched.pack
            }
            Source::Bundle(bundle) => {
                let objects = repo.objects()?;
                fetch::unbundle(repo, &objects, bundle, &request, progress)?
            }
        };
        if is_partial {
            return Ok(());
        }
        let mut objects = repo.objects()?;
        let missing = connectivity::first_missing(&mut objects, &plan.wants, &[], Some(&received.links))
            .map_err(|error| crate::repo::Error::Object(error.to_string()))?;
        match missing {
            Some(_) => Err(Error::NotConnected { url: self.parsed.redacted(), missing }),
            None => Ok(()),
        }
    }

    /// Whether the far side will leave out what the filter says.
    fn is_partial(&self, source: &Source) -> bool {
        match source {
            Source::Session { local: Some(_), .. } => false,
            Source::Session { session, .. } => {
                self.options.filter.is_some() && fetch_pack::supports_filter(session)
            }
            Source::Bundle(bundle) => bundle.header.filter.is_some(),
        }
    }

    fn write_partial_config(&self, repo: &Repository) -> Result<(), Error> {
        let key = |last: &str| BString::from(format!("remote.{}.{last}", self.options.origin));
        let mut changes = vec![
            Change::Set("core.repositoryformatversion".into(), "1".into()),
            Change::Set(key("promisor"), "true".into()),
        ];
        if let Some(filter) = &self.options.filter {
            changes.push(Change::Set(key("partialclonefilter"), filter.clone()));
        }
        Ok(crate::repo::config::edit(&repo.common_path("config"), &changes)?)
    }

    /// Writes the refs, `HEAD` and the branch's configuration.
    fn write_refs(
        &self,
        repo: Repository,
        plan: &Plan,
        is_local: bool,
        progress: &mut dyn Progress,
    ) -> Result<Cloned, Error> {
        let repo = self.reopen(&repo)?;
        let objects = repo.objects()?;
        let refs: Vec<_> = plan
            .map
            .iter()
            .chain(plan.followed.iter().filter(|tag| objects.contains(&tag.id)))
            .filter_map(|mapping| {
                let peeled = plan.peeled.get(&mapping.id).copied();
                Some((mapping.local.clone()?, mapping.id, peeled))
            })
            .collect();
        if !refs.is_empty() {
            repo.write_packed_refs(&refs)?;
        }
        let message = BString::from(format!("clone: from {}", self.reflog_url()?));
        if let Some(remote_head) = &plan.remote_head {
            let name = format!("refs/remotes/{}/HEAD", self.options.origin).into();
            let new = Some(Target::Symbolic(remote_head.clone()));
            repo.update_refs(&[Edit { name, new, expected: Expected::Any, message: Some(message.clone()) }])?;
        }
        self.write_head(&repo, plan, &message)?;
        for warning in &plan.warnings {
            if progress.report(Event::Warning(warning)).is_break() {
                return Err(Error::Interrupted);
            }
        }
        let repo = self.reopen(&repo)?;
        let head = plan.head.commit();
        let is_detached = matches!(plan.head, Head::Detached(_));
        Ok(Cloned { repo, head, is_detached, is_local })
    }

    fn reflog_url(&self) -> Result<BString, Error> {
        Ok(Url::parse(self.url.as_bstr())?.redacted())
    }

    fn write_head(&self, repo: &Repository, plan: &Plan, message: &BString) -> Result<(), Error> {
        let edit =
            |name: BString, new, message| Edit { name, new: Some(new), expected: Expected::Any, message };
        let message = (!self.is_bare()).then(|| message.clone());
        match &plan.head {
            Head::Branch { name, id } => {
                repo.update_refs(&[edit("HEAD".into(), Target::Symbolic(name.clone()), None)])?;
                if !self.is_bare() {
                    repo.update_refs(&[edit(name.clone(), Target::Id(*id), message)])?;
                    self.write_branch_config(repo, name)?;
                }
            }
            Head::Detached(id) => repo.update_refs(&[edit("HEAD".into(), Target::Id(*id), message)])?,
            Head::Unborn(name) => {
                repo.update_refs(&[edit("HEAD".into(), Target::Symbolic(name.clone()), None)])?;
                if !self.is_bare() {
                    self.write_branch_config(repo, name)?;
                }
            }
            Head::Untouched => {}
        }
        Ok(())
    }

    /// `branch.<name>.remote` and `.merge`, and `.rebase` if `branch.autoSetupRebase` says so.
    fn write_branch_config(&self, repo: &Repository, branch: &BString) -> Result<(), Error> {
        let Some(short) = branch.strip_prefix(b"refs/heads/") else { return Ok(()) };
        let key = |last: &str| BString::from(format!("branch.{}.{last}", short.as_bstr()));
        let mut changes = vec![
            Change::Set(key("remote"), self.options.origin.clone()),
            Change::Set(key("merge"), branch.clone()),
        ];
        let rebase = repo.config.string("branch.autoSetupRebase");
        if rebase.is_some_and(|when| when == "always" || when == "remote") {
            changes.push(Change::Set(key("rebase"), "true".into()));
        }
        Ok(crate::repo::config::edit(&repo.common_path("config"), &changes)?)
    }

    fn is_bare(&self) -> bool {
        self.options.bare || self.options.mirror
    }

    fn is_single_branch(&self) -> bool {
        self.options.single_branch.unwrap_or(self.options.deepen != Deepen::default())
    }

    /// Decides what is fetched and where it goes.
    fn plan(&self, refs: &[Ref]) -> Result<Plan, Error> {
        let preferred = [
            BString::from(format!("refs/heads/{}", init::default_branch(&self.config)?)),
            "refs/heads/master".into(),
        ];
        let remote_branch = session::guess_head_branch(refs, &preferred);
        let branch_top = match (self.options.mirror, self.options.bare) {
            (true, _) => BString::from("refs/"),
            (false, true) => "refs/heads/".into(),
            (false, false) => format!("refs/remotes/{}/", self.options.origin).into(),
        };
        let chosen = self.chosen(refs, remote_branch.as_ref())?;
        let (refspec, configured) = self.refspec(chosen.as_ref(), &branch_top);
        let mut refspecs: Vec<Refspec> = refspec.iter().cloned().collect();
        refspecs.extend(self.extra_refspecs()?);
        let all_tags = !self.options.no_tags && !self.options.mirror && !self.is_single_branch();
        let mut map = self.map(refs, &refspecs, all_tags)?;
        map.retain(|mapping| mapping.local.is_some());
        let head_ref = refs.iter().find(|reference| reference.name == "HEAD");
        let head = self.head(refs, &map, chosen.as_ref(), head_ref)?;
        let mut wants: Vec<ObjectId> = map.iter().map(|mapping| mapping.id).collect();
        wants.extend(head.commit());
        wants.sort_unstable();
        wants.dedup();
        let warnings = warnings(&map, &head, head_ref, self.options.branch.is_some());
        let remote_head = remote_branch.filter(|_| !self.is_bare()).and_then(|branch| {
            map.iter().find(|mapping| mapping.remote == branch).and_then(|mapping| mapping.local.clone())
        });
        let followed = if self.is_single_branch() && !self.options.no_tags && !self.options.mirror {
            self.map(refs, &[], true)?
        } else {
            Vec::new()
        };
        let peeled = refs.iter().filter_map(|r| Some((r.id?, r.peeled?))).collect();
        Ok(Plan { map, followed, peeled, wants, configured, remote_head, head, warnings })
    }

    fn map(&self, refs: &[Ref], refspecs: &[Refspec], all_tags: bool) -> Result<Vec<Mapping>, Error> {
        let mut remote = Remote::of_url(&self.config, self.url.as_bstr());
        remote.name = Some(self.options.origin.clone());
        remote.fetch = refspecs.to_vec();
        let branch = CurrentBranch::default();
        if refspecs.is_empty() {
            // Without refspecs a fetch would take HEAD; a clone takes tags alone, or nothing.
            remote.fetch = vec![Refspec::parse_fetch("^refs/none".into())?];
        }
        let asked = Asked { refspecs: &[], remote: &remote, branch: &branch, all_tags };
        asked.map(refs)
    }

    /// The ref that `--branch` or else the remote's `HEAD` names.
    fn chosen(&self, refs: &[Ref], remote_branch: Option<&BString>) -> Result<Option<BString>, Error> {
        let Some(branch) = &self.options.branch else { return Ok(remote_branch.cloned()) };
        ["refs/heads/", "refs/tags/"]
            .iter()
            .map(|prefix| BString::from(format!("{prefix}{branch}")))
            .find(|full| refs.iter().any(|reference| reference.name == *full && reference.id.is_some()))
            .map(Some)
            .ok_or_else(|| {
                Error::Missing(format!(
                    "Remote branch {branch} not found in upstream {}",
                    self.options.origin
                ))
            })
    }

    /// The refspec to fetch with now, and the one to write into the configuration.
    fn refspec(&self, chosen: Option<&BString>, top: &BString) -> (Option<Refspec>, Option<BString>) {
        let text = if self.options.mirror {
            Some(BString::from("+refs/*:refs/*"))
        } else if !self.is_single_branch() {
            Some(format!("+refs/heads/*:{top}*").into())
        } else {
            chosen.map(|full| match full.strip_prefix(b"refs/heads/") {
                Some(short) => format!("+{full}:{top}{}", short.as_bstr()).into(),
                None => format!("+{full}:{full}").into(),
            })
        };
        let refspec = text.as_ref().and_then(|text| Refspec::parse_fetch(text.as_bstr()).ok());
        let is_written = self.options.mirror || !self.options.bare;
        (refspec, text.filter(|_| is_written))
    }

    /// What `HEAD` is to be.
    fn head(
        &self,
        refs: &[Ref],
        map: &[Mapping],
        chosen: Option<&BString>,
        head: Option<&Ref>,
    ) -> Result<Head, Error> {
        let id_of = |name: &BString| refs.iter().find(|r| r.name == *name).and_then(|r| r.id);
        if let Some((name, id)) = chosen.and_then(|name| Some((name, id_of(name)?))) {
            let is_mapped = map.iter().any(|mapping| mapping.remote == *name);
            if name.starts_with(b"refs/heads/") && (is_mapped || self.options.branch.is_none()) {
                return Ok(Head::Branch { name: name.clone(), id });
            }
            let peeled = refs.iter().find(|r| r.name == *name).and_then(|r| r.peeled);
            return Ok(Head::Detached(peeled.unwrap_or(id)));
        }
        Ok(match head {
            Some(Ref { id: Some(id), .. }) => Head::Detached(*id),
            Some(Ref { symref_target: Some(target), .. }) if target.starts_with(b"refs/heads/") => {
                Head::Unborn(target.clone())
            }
            Some(_) | None if map.is_empty() && !self.is_bare() => {
                Head::Unborn(format!("refs/heads/{}", init::default_branch(&self.config)?).into())
            }
            Some(_) | None => Head::Untouched,
        })
    }
}

impl Source {
    fn refs(&self) -> &[Ref] {
        match self {
            Self::Session { refs, .. } => refs,
            Self::Bundle(bundle) => &bundle.header.refs,
        }
    }

    fn object_hash(&self) -> gix_hash::Kind {
        match self {
            Self::Session { session, .. } => session.object_hash(),
            Self::Bundle(bundle) => bundle.header.object_hash,
        }
    }

    fn is_local(&self) -> bool {
        matches!(self, Self::Session { local: Some(_), .. })
    }
}

/// What a clone fetches and where it goes.
struct Plan {
    map: Vec<Mapping>,
    /// Tags that are kept if their object comes along.
    followed: Vec<Mapping>,
    peeled: std::collections::HashMap<ObjectId, ObjectId>,
    wants: Vec<ObjectId>,
    configured: Option<BString>,
    /// What `refs/remotes/<origin>/HEAD` is to name.
    remote_head: Option<BString>,
    head: Head,
    warnings: Vec<&'static str>,
}

/// What the new repository's `HEAD` is.
enum Head {
    Branch {
        name: BString,
        id: ObjectId,
    },
    Detached(ObjectId),
    Unborn(BString),
    /// As it was made.
    Untouched,
}

impl Head {
    fn commit(&self) -> Option<ObjectId> {
        match self {
            Self::Branch { id, .. } | Self::Detached(id) => Some(*id),
            Self::Unborn(_) | Self::Untouched => None,
        }
    }
}

fn warnings(map: &[Mapping], head: &Head, remote_head: Option<&Ref>, is_chosen: bool) -> Vec<&'static str> {
    if map.is_empty() && remote_head.is_none_or(|head| head.id.is_none()) {
        return vec!["You appear to have cloned an empty repository."];
    }
    match head {
        Head::Unborn(_) | Head::Untouched if !is_chosen => {
            vec!["remote HEAD refers to nonexistent ref, unable to checkout"]
        }
        Head::Unborn(_) | Head::Untouched | Head::Branch { .. } | Head::Detached(_) => Vec::new(),
    }
}

impl Cloned {
    /// Fills the work tree; nothing to do in a bare repository or one without commits. A partial clone asks for the
    /// files it lacks in one batch first.
    pub fn checkout(
        &self,
        fetch: &fetch::Options,
        progress: &mut dyn Progress,
    ) -> Result<Option<checkout::Outcome>, Error> {
        let Some(head) = self.head.filter(|_| !self.repo.is_bare()) else { return Ok(None) };
        let mut objects = self.repo.objects()?;
        let commit = objects
            .commit(&head)
            .map_err(|error| crate::repo::Error::Object(error.to_string()))?
            .ok_or_else(|| crate::repo::Error::Object(format!("{head} is not a commit")))?;
        let remote = Remote::from_config(&self.repo.config, self.origin().as_bstr())?;
        if remote.promisor {
            let missing = self.repo.missing_blobs(&commit.tree)?;
            if !missing.is_empty() {
                fetch_missing(&self.repo, &remote, missing, fetch, progress)?;
            }
        }
        Ok(Some(self.repo.checkout(&commit.tree, progress)?))
    }

    fn origin(&self) -> BString {
        config::names(&self.repo.config).into_iter().next().unwrap_or_else(|| "origin".into())
    }
}

/// Fetches objects that a partial clone left out, in one request. C git's lazy fetch names no haves either.
fn fetch_missing(
    repo: &Repository,
    remote: &Remote,
    wants: Vec<ObjectId>,
    options: &fetch::Options,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    let text = remote.urls.first().ok_or_else(|| Error::Usage("no URL".into()))?;
    let settings = RepoSettings { config: &repo.config, env: &repo.env };
    let mut transport = transport::open(&Url::parse(text.as_bstr())?, &settings, options.transport.clone())?;
    let version = config::protocol_version(&repo.config)?;
    let mut session = Session::open(transport.as_mut(), Service::UploadPack, version, progress)?;
    session.set_server_options(options.server_options.clone())?;
    let request = fetch_pack::Request {
        wants,
        filter: Some("blob:none".into()),
        promisor: Some(BString::default()),
        no_progress: options.no_progress,
        ..fetch_pack::Request::default()
    };
    fetch_pack(&mut session, repo, &[], &request, progress)?;
    session.close_after_pack()
}

/// The repository or bundle that a path means, in git's order.
fn find_local(path: &Path) -> Option<PathBuf> {
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
