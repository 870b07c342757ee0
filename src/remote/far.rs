//! The far side of an operation: a session in git's protocol, a remote helper program with commands of its own, or the
//! files of a repository.

use std::collections::HashSet;
use std::path::Path;

use bstr::{BString, ByteSlice};
use gix_hash::ObjectId;

use super::ref_map::Mapping;
use super::{Error, RepoSettings, Session, config, dumb};
use crate::pack::Stored;
use crate::progress::Progress;
use crate::protocol::fetch::Deepen;
use crate::protocol::{Ref, Service, Version};
use crate::repo::Repository;
use crate::transport::helper::{self, Fetched, Helper, KeepFile, Listing, Purpose, Way};
use crate::transport::{self, Files, IpVersion, Scheme, Url};

/// How a repository is reached.
pub enum Far {
    /// In git's protocol.
    Session(Box<Session>),
    /// By a helper program that moves objects itself, or file by file.
    Foreign(Foreign),
}

/// A far side that has told its refs and speaks no protocol of git's: objects are moved by whatever it has for that.
pub struct Foreign {
    mover: Mover,
    listing: Listing,
}

/// How objects come from where git's protocol is not spoken.
enum Mover {
    /// A helper program brings them. gitremote-helpers(7).
    Program(Box<Helper>),
    /// We take the files of the repository, as they lie there. gitprotocol-http(5), "Dumb Clients".
    Files(Box<dyn Files>),
}

/// What a [`Foreign`] brought.
#[derive(Default)]
pub(super) struct Brought {
    /// What keeps the new packs until refs have moved, where a program made them.
    pub(super) files: Vec<KeepFile>,
    /// What keeps them where we did.
    pub(super) packs: Vec<Stored>,
    /// Whether a program has seen to it that all history is here, as it was asked to.
    pub(super) is_connected: bool,
}

impl Far {
    /// Reaches the repository at `url` to fetch or to list, as [`Session::connect`].
    ///
    /// # Errors
    ///
    /// As [`Session::connect`]. Texts to send to the server (`server_options`) are an error where it is no session.
    pub fn connect(
        url: &Url,
        settings: &RepoSettings<'_>,
        options: transport::Options,
        server_options: &[BString],
        progress: &mut dyn Progress,
    ) -> Result<Self, Error> {
        let version = config::protocol_version(settings.config)?;
        let mut transport = match reach(url, settings, options, (Service::UploadPack, version), progress)? {
            Way::Wire(transport) => transport,
            Way::Program(helper) => return Foreign::listed(helper, Purpose::Fetch, progress),
        };
        let mut connection = transport.connect(Service::UploadPack, version, progress)?;
        if let Some(files) = connection.files() {
            return Foreign::of_files(files, server_options, progress);
        }
        Ok(Self::Session(Box::new(Session::begin(connection, settings, server_options)?)))
    }

    /// Reaches the repository at `url` to push, as [`Session::connect_receive_pack`].
    ///
    /// # Errors
    ///
    /// As [`Session::connect_receive_pack`].
    pub fn connect_to_push(
        url: &Url,
        settings: &RepoSettings<'_>,
        options: transport::Options,
        progress: &mut dyn Progress,
    ) -> Result<Self, Error> {
        let version = config::protocol_version(settings.config)?;
        let mut transport = match reach(url, settings, options, (Service::ReceivePack, version), progress)? {
            Way::Wire(transport) => transport,
            Way::Program(helper) => return Foreign::listed(helper, Purpose::Push, progress),
        };
        let session = Session::begin_push(transport.as_mut(), settings, progress)?;
        Ok(Self::Session(Box::new(session)))
    }

    /// The refs of the far side, as [`Session::refs`].
    ///
    /// # Errors
    ///
    /// As [`Session::refs`].
    pub fn refs(&mut self, prefixes: &[BString], progress: &mut dyn Progress) -> Result<Vec<Ref>, Error> {
        match self {
            Self::Session(session) => session.refs(prefixes, progress),
            Self::Foreign(foreign) => Ok(foreign.refs().to_vec()),
        }
    }

    /// As [`Session::for_each_ref`].
    ///
    /// # Errors
    ///
    /// As [`Session::refs`].
    pub fn for_each_ref(
        &mut self,
        prefixes: &[BString],
        progress: &mut dyn Progress,
        take: &mut dyn FnMut(&Ref),
    ) -> Result<(), Error> {
        match self {
            Self::Session(session) => session.for_each_ref(prefixes, progress, take)?,
            Self::Foreign(foreign) => foreign.refs().iter().for_each(take),
        }
        Ok(())
    }

    /// The hash function of the far side's ids.
    pub fn object_hash(&self) -> gix_hash::Kind {
        match self {
            Self::Session(session) => session.object_hash(),
            Self::Foreign(foreign) => foreign.object_hash(),
        }
    }

    /// Ends it where nothing more is wanted.
    ///
    /// # Errors
    ///
    /// As [`Session::close`].
    pub fn close(self) -> Result<(), Error> {
        match self {
            Self::Session(session) => session.close(),
            Self::Foreign(foreign) => {
                foreign.close();
                Ok(())
            }
        }
    }
}

impl Foreign {
    fn listed(mut helper: Box<Helper>, purpose: Purpose, progress: &mut dyn Progress) -> Result<Far, Error> {
        let listing = helper.list(purpose, progress)?;
        Ok(Far::Foreign(Self { mover: Mover::Program(helper), listing }))
    }

    fn of_files(
        mut files: Box<dyn Files>,
        server_options: &[BString],
        progress: &mut dyn Progress,
    ) -> Result<Far, Error> {
        let listing = dumb::list(&mut *files, progress)?;
        if !server_options.is_empty() {
            return Err(Error::Usage("server options require protocol version 2 or later".into()));
        }
        Ok(Far::Foreign(Self { mover: Mover::Files(files), listing }))
    }

    /// The refs of the far side; those that have to be imported first have the null id.
    pub fn refs(&self) -> &[Ref] {
        &self.listing.refs
    }

    /// The hash function of the far side's ids.
    pub fn object_hash(&self) -> gix_hash::Kind {
        self.listing.object_hash
    }

    /// Whether the import must come first.
    pub fn imports(&self) -> bool {
        matches!(&self.mover, Mover::Program(helper) if helper.imports())
    }

    /// Whether anything can be pushed there.
    pub(super) fn takes_pushes(&self) -> bool {
        matches!(&self.mover, Mover::Program(helper) if helper.pushes() || helper.exports())
    }

    /// The program, for the commands of a push.
    pub(super) fn helper(&mut self) -> Result<&mut Helper, Error> {
        match &mut self.mover {
            Mover::Program(helper) => Ok(helper),
            Mover::Files(files) => {
                Err(Error::Usage(format!("'{}' is no smart git server: it takes no push", files.base())))
            }
        }
    }

    /// Imports what `names` lead to and learns their ids by that.
    pub(super) fn import(&mut self, repo: &Repository, names: &[BString]) -> Result<(), Error> {
        let mut seen = HashSet::new();
        let mut asked: Vec<BString> = names.iter().map(|name| self.followed(name).clone()).collect();
        asked.retain(|name| seen.insert(name.clone()));
        let Self { mover: Mover::Program(helper), listing } = self else { return Ok(()) };
        if asked.is_empty() {
            return Ok(());
        }
        helper.import(&asked)?;
        for name in asked {
            let private = helper.private_ref(name.as_bstr()).unwrap_or_else(|| name.clone());
            let id = repo.resolve_ref(private.as_bstr())?;
            let id = id.ok_or_else(|| Error::Missing(format!("could not read ref {private}")))?;
            for reference in &mut listing.refs {
                if reference.name == name || reference.symref_target.as_ref() == Some(&name) {
                    reference.id = Some(id);
                }
            }
        }
        Ok(())
    }

    /// Brings what `map` names into `repo`, whose history is to be cut as `deepen` says.
    pub(super) fn fetch(
        &mut self,
        repo: &Repository,
        (map, deepen): (&[Mapping], &Deepen),
        progress: &mut dyn Progress,
    ) -> Result<Brought, Error> {
        let mut wants: Vec<(ObjectId, BString)> = Vec::new();
        let mut seen = HashSet::new();
        for Mapping { id, remote, .. } in map {
            let want = (*id, self.followed(remote).clone());
            if seen.insert(want.clone()) {
                wants.push(want);
            }
        }
        self.take(repo, (&wants, deepen), progress)
    }

    /// Brings the objects `ids` into `repo`, and ends it.
    pub(super) fn bring(
        mut self,
        repo: &Repository,
        ids: &[ObjectId],
        progress: &mut dyn Progress,
    ) -> Result<(), Error> {
        let wants: Vec<(ObjectId, BString)> = ids.iter().map(|id| (*id, id.to_string().into())).collect();
        let _kept = self.take(repo, (&wants, &Deepen::default()), progress)?;
        self.close();
        Ok(())
    }

    fn take(
        &mut self,
        repo: &Repository,
        (wants, deepen): (&[(ObjectId, BString)], &Deepen),
        progress: &mut dyn Progress,
    ) -> Result<Brought, Error> {
        match &mut self.mover {
            Mover::Program(helper) if !helper.fetches() => {
                Err(Error::Missing(format!("remote helper '{}' cannot fetch", helper.name())))
            }
            Mover::Program(helper) => {
                let Fetched { keep, is_connected } = helper.fetch(wants, progress)?;
                Ok(Brought { files: keep, packs: Vec::new(), is_connected })
            }
            Mover::Files(_) if *deepen != Deepen::default() => {
                Err(Error::Usage("dumb http transport does not support shallow capabilities".into()))
            }
            Mover::Files(files) => {
                let wants: Vec<ObjectId> = wants.iter().map(|(id, _)| *id).collect();
                let packs = dumb::fetch(&mut **files, repo, &wants, progress)?;
                Ok(Brought { packs, ..Brought::default() })
            }
        }
    }

    /// Tells a program what it has to know besides; it need not know what it is.
    pub(super) fn set(&mut self, name: &str, value: &str, progress: &mut dyn Progress) -> Result<(), Error> {
        if let Mover::Program(helper) = &mut self.mover {
            let _known = helper.set(name, value.as_bytes().as_bstr(), progress)?;
        }
        Ok(())
    }

    /// Asks a program to vouch for the history of what it brings, if it can.
    pub(super) fn ask_connectivity(&mut self, progress: &mut dyn Progress) -> Result<(), Error> {
        match &mut self.mover {
            Mover::Program(helper) => Ok(helper.ask_connectivity(progress)?),
            Mover::Files(_) => Ok(()),
        }
    }

    /// Ends it.
    pub(super) fn close(self) {
        if let Mover::Program(helper) = self.mover {
            helper.close();
        }
    }

    /// What the ref `name` is by its own name.
    fn followed<'a>(&'a self, name: &'a BString) -> &'a BString {
        let reference = self.listing.refs.iter().find(|reference| reference.name == *name);
        reference.and_then(|reference| reference.symref_target.as_ref()).unwrap_or(name)
    }
}

/// What a helper program is told of a fetch before it lists, beside what `options` say: gitremote-helpers(7), "OPTIONS".
/// The order is that of git 2.47.3.
pub(super) fn wishes(
    options: &mut transport::Options,
    deepen: &Deepen,
    filter: Option<&BString>,
    git_dir: &Path,
) {
    options.git_dir = std::path::absolute(git_dir).ok();
    let mut add = |name, value: &[u8]| options.helper_options.push((name, value.into()));
    if deepen.depth > 0 {
        add("depth", deepen.depth.to_string().as_bytes());
    }
    if let Some(since) = &deepen.since {
        add("deepen-since", since.to_string().as_bytes());
    }
    for name in &deepen.not {
        add("deepen-not", name);
    }
    if deepen.relative {
        add("deepen-relative", b"true");
    }
    if let Some(filter) = filter {
        add("filter", filter);
        add("from-promisor", b"1");
    }
}

/// The way to the service of a repository.
fn reach(
    url: &Url,
    settings: &RepoSettings<'_>,
    mut options: transport::Options,
    (service, version): (Service, Version),
    progress: &mut dyn Progress,
) -> Result<Way, Error> {
    if !matches!(url.scheme, Scheme::Helper(_)) {
        return Ok(Way::Wire(transport::open(url, settings, options)?));
    }
    let family = match options.ip_version {
        IpVersion::Any => None,
        IpVersion::V4 => Some("ipv4"),
        IpVersion::V6 => Some("ipv6"),
    };
    if let Some(family) = family {
        options.helper_options.push(("family", family.into()));
    }
    let helper = helper::start(url, settings, options, progress)?;
    Ok(helper.connect(service, version, progress)?)
}
