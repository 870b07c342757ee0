//! One session with a remote: it exists only after a greeting.

use std::collections::HashSet;

use bstr::{BStr, BString, ByteSlice};
use gix_hash::ObjectId;

use super::{Error, Far, RepoSettings, config};
use crate::progress::Progress;
use crate::protocol::bundle_uri;
use crate::protocol::ls_refs::{self, Preamble};
use crate::protocol::{Advertisement, Capabilities, Error as ProtocolError, Ref, Service, Version, trace};
use crate::repo::session_id::session_id;
use crate::telemetry;
use crate::text;
use crate::transport::{self, Connection, Transport, Url};

pub use crate::protocol::AGENT;

/// A connection whose far side has said what it can do.
pub struct Session {
    connection: Box<dyn Connection>,
    advertisement: Advertisement,
    object_hash: gix_hash::Kind,
    server_options: Vec<BString>,
    /// How we call this session (`transfer.advertiseSID`).
    own_id: Option<BString>,
}

impl Session {
    /// Connects to the upload-pack of the repository at `url`, in the version of the protocol that `protocol.version`
    /// names. `server_options` go with every command; with an older server they are an error.
    pub fn connect(
        url: &Url,
        settings: &RepoSettings<'_>,
        options: transport::Options,
        server_options: &[BString],
        progress: &mut dyn Progress,
    ) -> Result<Self, Error> {
        match Far::connect(url, settings, options, server_options, progress)? {
            Far::Session(session) => Ok(*session),
            Far::Foreign(_) => Err(Error::Usage("operation not supported by protocol".into())),
        }
    }

    /// As [`Session::connect`], over `connection`.
    pub(super) fn begin(
        connection: Box<dyn Connection>,
        settings: &RepoSettings<'_>,
        server_options: &[BString],
    ) -> Result<Self, Error> {
        let mut session = Self::greeted(connection)?;
        session.own_id = session_id(settings.config, settings.env)?;
        session.set_server_options(server_options.to_vec())?;
        Ok(session)
    }

    /// Connects to the receive-pack of the repository at `url`, to push. There is no push in version 2, so it is never
    /// asked for; version 1 is, where `protocol.version` says so.
    ///
    /// # Errors
    ///
    /// As [`Session::connect`], and [`ProtocolError::Unsupported`] if the far side answers in version 2 all the same.
    pub fn connect_receive_pack(
        url: &Url,
        settings: &RepoSettings<'_>,
        options: transport::Options,
        progress: &mut dyn Progress,
    ) -> Result<Self, Error> {
        match Far::connect_to_push(url, settings, options, progress)? {
            Far::Session(session) => Ok(*session),
            Far::Foreign(_) => Err(Error::Usage("operation not supported by protocol".into())),
        }
    }

    /// As [`Session::connect_receive_pack`], over `transport`.
    pub(super) fn begin_push(
        transport: &mut dyn Transport,
        settings: &RepoSettings<'_>,
        progress: &mut dyn Progress,
    ) -> Result<Self, Error> {
        let version = match config::protocol_version(settings.config)? {
            Version::V1 => Version::V1,
            Version::V0 | Version::V2 => Version::V0,
        };
        let mut session = Self::open(transport, Service::ReceivePack, version, progress)?;
        if session.version() == Version::V2 {
            let text = "support for protocol v2 not implemented yet";
            return Err(ProtocolError::Unsupported(text.into()).into());
        }
        session.own_id = session_id(settings.config, settings.env)?;
        Ok(session)
    }

    /// Connects to `service` and reads the greeting. `wished` is what we ask for; the answer decides.
    pub fn open(
        transport: &mut dyn Transport,
        service: Service,
        wished: Version,
        progress: &mut dyn Progress,
    ) -> Result<Self, Error> {
        Self::greeted(transport.connect(service, wished, progress)?)
    }

    /// The session that begins with the greeting of `connection`.
    fn greeted(mut connection: Box<dyn Connection>) -> Result<Self, Error> {
        let is_stateful = connection.is_stateful();
        let greeting = connection.greeting()?;
        // over HTTP git has another program hear it
        let reading = if is_stateful {
            Advertisement::read(greeting)
        } else {
            trace::told_as("git", || Advertisement::read(greeting))
        };
        let advertisement = match reading {
            Ok(advertisement) => advertisement,
            Err(ProtocolError::UnexpectedEof { .. }) => {
                // How the far side ended is told by its own words, which the user has seen by now.
                let _ended = connection.close();
                return Err(transport::Error::NoAccess.into());
            }
            Err(error) => return Err(error.with_banner(greeting).into()),
        };
        let object_hash = advertisement.capabilities().object_format()?;
        let session =
            Self { connection, advertisement, object_hash, server_options: Vec::new(), own_id: None };
        telemetry::data("transfer", "negotiated-version", session.version().number());
        if let Some(id) = session.capabilities().value("session-id") {
            telemetry::data("transfer", "server-sid", &id.to_str_lossy());
        }
        Ok(session)
    }

    /// Texts to send with every v2 command (`--server-option`); an error in older versions.
    pub fn set_server_options(&mut self, options: Vec<BString>) -> Result<(), Error> {
        if !options.is_empty() && self.version() != Version::V2 {
            return Err(Error::Usage("server options require protocol version 2 or later".into()));
        }
        self.server_options = options;
        Ok(())
    }

    /// The version that the far side speaks.
    pub fn version(&self) -> Version {
        match &self.advertisement {
            Advertisement::Refs { version, .. } => *version,
            Advertisement::Commands { .. } => Version::V2,
        }
    }

    /// What the far side can do.
    pub fn capabilities(&self) -> &Capabilities {
        self.advertisement.capabilities()
    }

    /// The hash function of the far side's ids.
    pub fn object_hash(&self) -> gix_hash::Kind {
        self.object_hash
    }

    /// The shallow boundary that a v0 server announces for itself; v2 tells it with the pack.
    pub fn server_shallow(&self) -> &[ObjectId] {
        match &self.advertisement {
            Advertisement::Refs { shallow, .. } => shallow,
            Advertisement::Commands { .. } => &[],
        }
    }

    /// What the far side has beside its refs, such as the tips of a repository that it borrows from: the `.have` lines of a
    /// receive-pack. gitprotocol-pack(5), "Reference Discovery".
    pub fn extra_haves(&self) -> Vec<ObjectId> {
        match &self.advertisement {
            Advertisement::Refs { refs, .. } => refs
                .iter()
                .filter(|reference| reference.name == EXTRA_HAVE)
                .filter_map(|have| have.id)
                .collect(),
            Advertisement::Commands { .. } => Vec::new(),
        }
    }

    /// Those of `wants` that the far side will not give, since it has not advertised them: none in v2, or where it can do
    /// `allow-tip-sha1-in-want` or `allow-reachable-sha1-in-want`. What a tag points to is not advertised by that.
    /// gitprotocol-capabilities(5).
    pub fn unadvertised(&self, wants: &[ObjectId]) -> Vec<ObjectId> {
        let Advertisement::Refs { refs, capabilities, .. } = &self.advertisement else { return Vec::new() };
        let allowing = ["allow-tip-sha1-in-want", "allow-reachable-sha1-in-want"];
        if allowing.iter().any(|name| capabilities.contains(name)) {
            return Vec::new();
        }
        let advertised: HashSet<&ObjectId> =
            refs.iter().filter_map(|reference| reference.id.as_ref()).collect();
        wants.iter().filter(|want| !advertised.contains(want)).copied().collect()
    }

    /// How we call this session, if the far side takes that.
    pub fn session_id(&self) -> Option<&BString> {
        self.own_id.as_ref().filter(|_| self.capabilities().contains("session-id"))
    }

    /// Whether the far side remembers earlier requests of this session.
    pub fn is_stateful(&self) -> bool {
        self.connection.is_stateful()
    }

    /// The refs of the far side: in v2 those that begin with one of `prefixes` (all if empty), asked for now; in v0 and
    /// v1 all that were advertised, but for [`Self::extra_haves`].
    pub fn refs(&mut self, prefixes: &[BString], progress: &mut dyn Progress) -> Result<Vec<Ref>, Error> {
        let mut refs = Vec::new();
        self.for_each_ref(prefixes, progress, &mut |reference| refs.push(reference.clone()))?;
        Ok(refs)
    }

    /// As [`Self::refs`], giving `take` one after the other as they come, for whoever does not keep them.
    pub fn for_each_ref(
        &mut self,
        prefixes: &[BString],
        progress: &mut dyn Progress,
        take: &mut dyn FnMut(&Ref),
    ) -> Result<(), Error> {
        if let Advertisement::Refs { refs, .. } = &self.advertisement {
            refs.iter().filter(|reference| reference.name != EXTRA_HAVE).for_each(take);
            return Ok(());
        }
        if !self.capabilities().contains("ls-refs") {
            return Err(ProtocolError::Unsupported("server doesn't support 'ls-refs'".into()).into());
        }
        let request = ls_refs::Request {
            preamble: Preamble { session_id: None, ..self.preamble() },
            peel: true,
            symrefs: true,
            unborn: self.capabilities().supports("ls-refs", "unborn"),
            prefixes: prefixes.to_vec(),
        };
        let object_hash = self.object_hash;
        let reply = self.connection.exchange(&request.encode(), progress)?;
        Ok(ls_refs::for_each_ref(reply, object_hash, take)?)
    }

    /// The list of bundles that the far side advertises, relative URIs beginning at `base`; `None` if it has no such command.
    /// The inner error says why the list is of no use, which does the session no harm.
    pub fn bundle_list(
        &mut self,
        base: &BStr,
        progress: &mut dyn Progress,
    ) -> Result<Option<Result<bundle_uri::List, String>>, Error> {
        if self.version() != Version::V2 || !self.capabilities().contains("bundle-uri") {
            return Ok(None);
        }
        let request = bundle_uri::encode_request(&self.preamble());
        let reply = self.connection.exchange(&request, progress)?;
        Ok(Some(bundle_uri::read_list(reply, base)?))
    }

    /// The lines at the head of every command, as far as the far side takes them.
    pub fn preamble(&self) -> Preamble {
        let capabilities = self.capabilities();
        Preamble {
            agent: capabilities.contains("agent").then(|| AGENT.into()),
            object_format: capabilities.contains("object-format").then_some(self.object_hash),
            session_id: self.session_id().cloned(),
            server_options: self.server_options.clone(),
            promisor_remote: None,
        }
    }

    /// The connection, for the exchanges of a fetch.
    pub fn connection(&mut self) -> &mut dyn Connection {
        self.connection.as_mut()
    }

    /// Ends the session. A stateful far side is told with a flush-pkt that nothing more is wanted.
    pub fn close(mut self) -> Result<(), Error> {
        if self.connection.is_stateful() {
            // The far side may have gone already: nothing is lost then.
            let _reply = self.connection.exchange(b"0000", &mut crate::progress::Discard);
        }
        Ok(self.connection.close()?)
    }

    /// Ends a session in which a pack was received: a v0 far side has ended already.
    pub fn close_after_pack(self) -> Result<(), Error> {
        if self.version() == Version::V2 { self.close() } else { Ok(self.connection.close()?) }
    }
}

/// What stands in place of a name where an object is no ref of the far side.
const EXTRA_HAVE: &str = ".have";

/// The branch that `HEAD` of the far side names: as it says, else guessed as git does from equal ids, `main` and
/// `master` first.
pub fn guess_head_branch(refs: &[Ref], preferred: &[BString]) -> Option<BString> {
    let head = refs.iter().find(|reference| reference.name == "HEAD")?;
    if let Some(target) = &head.symref_target {
        return Some(target.clone());
    }
    let id = head.id?;
    let is_match = |name: &BString| refs.iter().any(|r| r.name == *name && r.id == Some(id));
    preferred.iter().find(|name| is_match(name)).cloned().or_else(|| {
        refs.iter().find(|r| r.id == Some(id) && r.name.starts_with(b"refs/heads/")).map(|r| r.name.clone())
    })
}

/// Takes out what no client may act on: names that are no ref names, and `.have` lines. git warns of none of them in a
/// fetch; they are left out.
pub fn without_bad_names(mut refs: Vec<Ref>) -> Vec<Ref> {
    refs.retain(has_good_names);
    refs
}

/// Whether a client may act on `reference`, see [`without_bad_names`].
pub(super) fn has_good_names(reference: &Ref) -> bool {
    let is_name = |name: &BString| text::is_full_ref_name(name.as_bstr());
    is_name(&reference.name) && reference.symref_target.as_ref().is_none_or(is_name)
}
