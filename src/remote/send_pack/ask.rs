//! What is asked of the far side: whether it can do it, the request, and what the pack is to hold.

use bstr::BString;

use super::{Options, Signed, signed, unsupported};
use crate::pack::enumerate::Wanted;
use crate::pack::produce;
use crate::progress::Progress;
use crate::protocol::Ref;
use crate::protocol::push::{Command, Request};
use crate::remote::promisor::promisors;
use crate::remote::push::{RefUpdate, Status};
use crate::remote::session::AGENT;
use crate::remote::{Error, Remote, Session};
use crate::repo::Repository;
use crate::repo::pack_settings::pack_settings;

/// A pack to be made.
pub(super) struct Pack {
    pub(super) wanted: Wanted,
    pub(super) settings: produce::Settings,
    /// Who is asked for what is missing here; if nobody, it is passed over.
    pub(super) promisors: Vec<Remote>,
}

/// Refuses what the far side cannot do, in git's words and order.
pub(super) fn check(session: &Session, repo: &Repository, options: &Options) -> Result<(), Error> {
    let capabilities = session.capabilities();
    if session.object_hash() != repo.object_hash {
        return Err(unsupported("this repository's hash algorithm"));
    }
    if options.signed == Signed::Yes && !capabilities.contains("push-cert") {
        return Err(unsupported("--signed push"));
    }
    if options.atomic && !capabilities.contains("atomic") {
        return Err(unsupported("--atomic push"));
    }
    if !options.push_options.is_empty() && !capabilities.contains("push-options") {
        return Err(unsupported("push options"));
    }
    // it would become a line of its own in a certificate that is signed
    if options.push_options.iter().any(|option| option.contains(&b'\n')) {
        return Err(Error::Usage("push options must not have new line characters".into()));
    }
    Ok(())
}

/// What is said before the pack: the rows that are pending.
pub(super) fn request(
    session: &Session,
    repo: &Repository,
    rows: &[RefUpdate],
    options: &Options,
    progress: &mut dyn Progress,
) -> Result<Request, Error> {
    let pending = rows.iter().filter(|row| row.status == Status::Pending);
    let commands: Vec<_> =
        pending.map(|row| Command { name: row.name.clone(), old: row.old, new: row.new }).collect();
    let certificate = match signed::nonce(session, options, progress)? {
        Some(nonce) if !commands.is_empty() && !options.dry_run => {
            Some(signed::certificate(repo, &commands, nonce, options, progress)?)
        }
        Some(_) | None => None,
    };
    Ok(Request {
        shallow: repo.shallow()?,
        commands,
        capabilities: capabilities(session, options),
        certificate,
        options: (!options.push_options.is_empty()).then(|| options.push_options.clone()),
    })
}

/// The words behind the NUL, in the order of git 2.47.3. What the far side does not know is not said.
fn capabilities(session: &Session, options: &Options) -> Vec<BString> {
    let known = session.capabilities();
    let mut words: Vec<BString> = Vec::new();
    if let Some(report) = ["report-status-v2", "report-status"].into_iter().find(|word| known.contains(word))
    {
        words.push(report.into());
    }
    let wished = [
        ("side-band-64k", true),
        ("quiet", options.quiet),
        ("atomic", options.atomic),
        ("push-options", !options.push_options.is_empty()),
    ];
    words.extend(
        wished.iter().filter(|(word, wish)| *wish && known.contains(word)).map(|(word, _)| (*word).into()),
    );
    if known.contains("object-format") {
        words.push(format!("object-format={}", session.object_hash()).into());
    }
    if known.contains("agent") {
        words.push(format!("agent={AGENT}").into());
    }
    words.extend(session.session_id().map(|id| format!("session-id={id}").into()));
    words
}

/// The pack that has to follow: none if refs are deleted and nothing else. What the far side has already may make it an
/// empty one.
pub(super) fn pack(
    session: &Session,
    repo: &Repository,
    advertised: &[Ref],
    rows: &[RefUpdate],
    options: &Options,
    progress: &mut dyn Progress,
) -> Result<Option<Pack>, Error> {
    let pending = rows.iter().filter(|row| row.status == Status::Pending);
    let wants: Vec<_> = pending.map(|row| row.new).filter(|id| !id.is_null()).collect();
    if wants.is_empty() {
        return Ok(None);
    }
    let mut haves = session.extra_haves();
    haves.extend_from_slice(&options.more_haves);
    haves.extend(advertised.iter().filter_map(|reference| reference.id));
    let promisors = promisors(repo)?;
    let wanted = Wanted {
        wants,
        haves,
        receiver_shallow: session.server_shallow().to_vec(),
        thin: options.thin,
        is_partial: !promisors.is_empty(),
        filter: None,
    };
    let ofs_delta = session.capabilities().contains("ofs-delta");
    let settings = pack_settings(repo, ofs_delta, progress)?;
    Ok(Some(Pack { wanted, settings, promisors: sources(promisors, &options.url) }))
}

/// Who is asked for what is missing here. Nobody if the one promisor is what is pushed to: it has what it promised.
fn sources(promisors: Vec<Remote>, url: &BString) -> Vec<Remote> {
    match promisors.as_slice() {
        [only] if only.urls.contains(url) => Vec::new(),
        _ => promisors,
    }
}
