//! A fetch of refs by their names that moves none of ours: what `git fetch-pack` does. git-fetch-pack(1).
//!
//! ```text
//! words ── Sought ── matched with the far side's refs ── what is complete here ── fetch_pack
//! ```
//!
//! Whether the history is connected is for whoever moves refs to find out, as in git.

use bstr::BString;
use gix_hash::ObjectId;

use super::fetch::{algorithm, keep_text, known_tips, lent_tips, unpack_limit};
use super::fetch_pack::{self, fetch_pack, new_boundary, tell};
use super::session::without_bad_names;
use super::{Error, RepoSettings, Session, config};
use crate::pack::{Received, Stored};
use crate::progress::Progress;
use crate::protocol::fetch::Deepen;
use crate::protocol::{Ref, Service, Version};
use crate::repo::Repository;
use crate::transport::{self, Transport};

mod complete;
mod sought;

use complete::Complete;
pub use sought::Named;
use sought::{Matched, Sought};

/// What the user asked for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Names of refs of the far side, ids, and `<id> <name>`.
    pub words: Vec<BString>,
    /// Everything that the far side has; where history is cut, no tags.
    pub all: bool,
    /// The pack stays a pack, however small (`-k`).
    pub keep: bool,
    /// It has a `.keep` file even where packs are never unpacked (`-k` twice).
    pub guards_pack: bool,
    /// Who fetches will remove the `.keep` file (`--lock-pack`).
    pub is_locked: bool,
    /// Deltas may be based on what we have.
    pub thin: bool,
    /// Tags that point to what is sent come along.
    pub include_tag: bool,
    /// How to move the shallow boundary.
    pub deepen: Deepen,
    /// Everything is fetched, as if nothing were here.
    pub refetch: bool,
    /// The far side's shallow boundary becomes ours.
    pub cloning: bool,
    /// What is to be left out.
    pub filter: Option<BString>,
    /// The far side has promised what it leaves out.
    pub from_promisor: bool,
    /// Nobody looks at the server's progress.
    pub no_progress: bool,
    /// How the far side is reached, for packs that it names elsewhere.
    pub transport: transport::Options,
}

/// What was fetched.
#[derive(Debug)]
pub struct Outcome {
    /// The refs, in the order of the far side, then what was asked for by its id.
    pub refs: Vec<Named>,
    /// Why words match nothing, in git's words.
    pub unmatched: Vec<String>,
    /// What came, if anything was missing here.
    pub pack: Option<Received>,
    /// How the far side ended: what came is here all the same.
    pub ended: Result<(), Error>,
}

/// Fetches what `options` name over `transport`, which leads to an upload-pack. Of ours, objects change and, where it was
/// asked for, the shallow boundary.
///
/// # Errors
///
/// As [`fetch_pack`](fetch_pack::fetch_pack), and [`Error::Usage`] where an older server has no refs at all.
pub fn fetch_named(
    repo: &Repository,
    transport: &mut dyn Transport,
    options: &Options,
    progress: &mut dyn Progress,
) -> Result<Outcome, Error> {
    let settings = RepoSettings { config: &repo.config, env: &repo.env };
    let version = config::protocol_version(settings.config)?;
    let connection = transport.connect(Service::UploadPack, version, progress)?;
    let mut session = Session::begin(connection, &settings, &[])?;
    if session.object_hash() != repo.object_hash {
        let (ours, theirs) = (repo.object_hash, session.object_hash());
        return Err(Error::Usage(format!("mismatched algorithms: client {ours}; server {theirs}")));
    }
    let advertised = without_bad_names(session.refs(&[], progress)?);
    if session.version() != Version::V2 && advertised.is_empty() {
        session.close()?;
        return Err(Error::Usage("no matching remote head".into()));
    }
    let sought = Sought::parse(&options.words, repo.object_hash);
    let deepens = options.deepen != Deepen::default();
    let takes = |name: &BString| options.all && !(deepens && name.starts_with(b"refs/tags/"));
    let Matched { refs, unmatched } = sought.matched(&advertised, &takes, &session);
    tell_features(&session, progress)?;
    let pack = take(&mut session, repo, &advertised, (&refs, options), progress)?;
    let ended = if pack.is_some() { session.close_after_pack() } else { session.close() };
    Ok(Outcome { refs, unmatched, pack, ended })
}

/// Fetches what of `refs` is not here; `None` if that is nothing.
fn take(
    session: &mut Session,
    repo: &Repository,
    advertised: &[Ref],
    (refs, options): (&[Named], &Options),
    progress: &mut dyn Progress,
) -> Result<Option<Received>, Error> {
    let deepens = options.deepen != Deepen::default();
    let mut tips = Vec::new();
    let mut objects = repo.objects()?.here();
    if !options.refetch {
        tips = known_tips(repo, &repo.ref_snapshot()?)?;
        tips.retain(|id| objects.contains(id));
        tips.extend(lent_tips(repo, &objects));
    }
    let complete = if deepens || options.refetch {
        Complete::default()
    } else {
        Complete::find(&mut objects, advertised, &tips, progress)?
    };
    let mut wants: Vec<ObjectId> = Vec::new();
    for Named { id, name } in refs {
        let is_here = complete.contains(id);
        let word = if is_here { "already have" } else { "want" };
        if !options.refetch {
            tell(progress, &format!("{word} {id} ({name})"))?;
        }
        if !is_here && !wants.contains(id) {
            wants.push(*id);
        }
    }
    drop(objects);
    if wants.is_empty() {
        return Ok(None);
    }
    let moves_boundary = deepens || options.cloning;
    let lock = moves_boundary.then(|| repo.lock_shallow()).transpose()?;
    let request = request(repo, wants, tips, (refs, options))?;
    let fetched = fetch_pack(session, repo, advertised, &request, progress)?;
    if let Some(lock) = lock.filter(|_| !fetched.shallow.is_empty()) {
        let boundary = new_boundary(lock.boundary(), &fetched.shallow);
        lock.write(&boundary)?;
    }
    let mut pack = fetched.pack;
    if let Stored::Pack { keep, .. } = &mut pack.stored
        && !is_guarded(options, pack.objects, unpack_limit(repo)?)
    {
        *keep = None;
    }
    Ok(Some(pack))
}

/// Whether a pack of `count` objects is guarded from then on. Seen in git 2.47.3.
fn is_guarded(options: &Options, count: u32, limit: u32) -> bool {
    (options.keep || (limit > 0 && count >= limit)) && (options.guards_pack || limit > 0)
}

fn request(
    repo: &Repository,
    wants: Vec<ObjectId>,
    tips: Vec<ObjectId>,
    (refs, options): (&[Named], &Options),
) -> Result<fetch_pack::Request, Error> {
    let limit = unpack_limit(repo)?;
    let is_told = options.is_locked && is_guarded(options, u32::MAX, limit);
    let mut promised = BString::default();
    for Named { id, name } in refs.iter().filter(|_| is_told) {
        promised.extend_from_slice(&[format!("{id} ").as_bytes(), name, b"\n"].concat());
    }
    let unpack_limit = match limit {
        _ if options.keep => 0,
        // unlike with fetch, where it means that packs are never unpacked: seen in git 2.47.3
        0 => u32::MAX,
        limit => limit,
    };
    Ok(fetch_pack::Request {
        wants,
        tips,
        algorithm: algorithm(repo)?,
        deepen: options.deepen.clone(),
        filter: options.filter.clone(),
        include_tag: options.include_tag,
        no_progress: options.no_progress,
        no_thin: !options.thin,
        unpack_limit,
        is_kept: options.keep,
        promisor: options.from_promisor.then_some(promised),
        keep: Some(keep_text()),
        moves_boundary: options.cloning || options.deepen != Deepen::default(),
        transport: options.transport.clone(),
        ..fetch_pack::Request::default()
    })
}

/// Tells what an older server can do, as `-v` has it. Seen in git 2.47.3.
fn tell_features(session: &Session, progress: &mut dyn Progress) -> Result<(), Error> {
    /// In the order of git's lines.
    const FEATURES: [&str; 16] = [
        "shallow",
        "multi_ack_detailed",
        "no-done",
        "multi_ack",
        "side-band-64k",
        "side-band",
        "allow-tip-sha1-in-want",
        "allow-reachable-sha1-in-want",
        "thin-pack",
        "no-progress",
        "include-tag",
        "ofs-delta",
        "filter",
        "deepen-since",
        "deepen-not",
        "deepen-relative",
    ];
    if session.version() == Version::V2 {
        return Ok(());
    }
    let capabilities = session.capabilities();
    if let Some(agent) = capabilities.value("agent") {
        tell(progress, &format!("Server version is {agent}"))?;
    }
    for feature in FEATURES {
        let is_used = match feature {
            "no-done" => !session.is_stateful() && capabilities.contains("multi_ack_detailed"),
            "multi_ack" => !capabilities.contains("multi_ack_detailed"),
            "side-band" => !capabilities.contains("side-band-64k"),
            _ => true,
        };
        if is_used && capabilities.contains(feature) {
            tell(progress, &format!("Server supports {feature}"))?;
        }
    }
    Ok(())
}
