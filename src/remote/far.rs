//! The far side of an operation: a session in git's protocol, or a remote helper program with commands of its own.

use std::collections::HashSet;
use std::path::Path;

use bstr::{BString, ByteSlice};
use gix_hash::ObjectId;

use super::ref_map::Mapping;
use super::{Error, RepoSettings, Session, config};
use crate::progress::Progress;
use crate::protocol::fetch::Deepen;
use crate::protocol::{Ref, Service, Version};
use crate::repo::Repository;
use crate::transport::helper::{self, Fetched, Helper, Listing, Purpose, Way};
use crate::transport::{self, IpVersion, Scheme, Url};

/// How a repository is reached.
pub enum Far {
    /// In git's protocol.
    Session(Box<Session>),
    /// By a helper program that moves objects itself.
    Foreign(Foreign),
}

/// A helper program that has told the refs of the far side. gitremote-helpers(7).
pub struct Foreign {
    helper: Box<Helper>,
    listing: Listing,
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
        let session = Session::begin(transport.as_mut(), settings, server_options, progress)?;
        Ok(Self::Session(Box::new(session)))
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
        Ok(Far::Foreign(Self { helper, listing }))
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
        self.helper.imports()
    }

    /// Whether anything can be pushed there.
    pub(super) fn takes_pushes(&self) -> bool {
        self.helper.pushes() || self.helper.exports()
    }

    /// The program, for the commands of a push.
    pub(super) fn helper(&mut self) -> &mut Helper {
        &mut self.helper
    }

    /// Imports what `names` lead to and learns their ids by that.
    pub(super) fn import(&mut self, repo: &Repository, names: &[BString]) -> Result<(), Error> {
        let mut seen = HashSet::new();
        let mut asked: Vec<BString> = names.iter().map(|name| self.followed(name).clone()).collect();
        asked.retain(|name| seen.insert(name.clone()));
        if asked.is_empty() {
            return Ok(());
        }
        let Self { helper, listing } = self;
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

    /// Has the program bring what `map` names.
    pub(super) fn fetch(&mut self, map: &[Mapping], progress: &mut dyn Progress) -> Result<Fetched, Error> {
        if !self.helper.fetches() {
            return Err(Error::Missing(format!("remote helper '{}' cannot fetch", self.helper.name())));
        }
        let mut wants: Vec<(ObjectId, BString)> = Vec::new();
        let mut seen = HashSet::new();
        for Mapping { id, remote, .. } in map {
            let want = (*id, self.followed(remote).clone());
            if seen.insert(want.clone()) {
                wants.push(want);
            }
        }
        Ok(self.helper.fetch(&wants, progress)?)
    }

    /// Has the program bring the objects `ids`, and ends it.
    pub(super) fn bring(mut self, ids: &[ObjectId], progress: &mut dyn Progress) -> Result<(), Error> {
        if !self.helper.fetches() {
            return Err(Error::Missing(format!("remote helper '{}' cannot fetch", self.helper.name())));
        }
        let wants: Vec<(ObjectId, BString)> = ids.iter().map(|id| (*id, id.to_string().into())).collect();
        let _kept = self.helper.fetch(&wants, progress)?;
        self.close();
        Ok(())
    }

    /// Tells the program what it has to know besides; it need not know what it is.
    pub(super) fn set(&mut self, name: &str, value: &str, progress: &mut dyn Progress) -> Result<(), Error> {
        let _known = self.helper.set(name, value.as_bytes().as_bstr(), progress)?;
        Ok(())
    }

    /// Asks it to vouch for the history of what it brings, if it can.
    pub(super) fn ask_connectivity(&mut self, progress: &mut dyn Progress) -> Result<(), Error> {
        Ok(self.helper.ask_connectivity(progress)?)
    }

    /// Ends the program.
    pub(super) fn close(self) {
        self.helper.close();
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
