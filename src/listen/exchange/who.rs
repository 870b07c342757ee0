//! Who asks, and whether that may be.

use std::sync::Arc;

use hyper::StatusCode;
use hyper::header::AUTHORIZATION;
use hyper::http::request::Parts;

use super::Task;
use super::begin::full;
use crate::listen::Shared;
use crate::listen::access::forward::{Decision, Forward, Question};
use crate::listen::access::{Access, Claim, Deed, Known, Verdict};
use crate::listen::job::{NOT_HERE, WHO};
use crate::listen::log::Entry;
use crate::listen::refusal::Refusal;

/// What somebody is about to do, and to what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    /// `None`: to no repository.
    pub repository: Option<&'a str>,
    pub deed: Deed,
}

/// Finds out who it is, and whether he may do what he is about to.
pub(super) async fn authorize(
    shared: &Arc<Shared>,
    parts: &Parts,
    task: &mut Task,
    entry: &mut Entry,
) -> Result<(), Refusal> {
    let access = shared.access();
    let deed = if task.is_push { Deed::Write } else { Deed::Read };
    identify(shared, parts, &access, Subject { repository: Some(&task.name), deed }, entry).await?;
    for name in [&task.name].into_iter().chain(&task.alias) {
        match access.verdict(entry.user.as_deref(), name, deed) {
            Verdict::Allowed => {}
            Verdict::Unknown => return Err(unknown(&access)),
            Verdict::Denied => return Err(Refusal::new(StatusCode::NOT_FOUND, NOT_HERE)),
        }
    }
    if task.is_push && entry.user.is_none() && access.knows_users() {
        task.challenges = access.challenges();
    }
    Ok(())
}

/// Finds out who it is.
pub(super) async fn identify(
    shared: &Arc<Shared>,
    parts: &Parts,
    access: &Arc<Access>,
    subject: Subject<'_>,
    entry: &mut Entry,
) -> Result<(), Refusal> {
    if let Some(forward) = &access.forward {
        entry.user = ask(shared, forward, parts, subject, entry).await?;
        return Ok(());
    }
    if let Some(header) = parts.headers.get(AUTHORIZATION).filter(|_| access.knows_users()) {
        let claim = header.to_str().ok().and_then(Claim::parse).ok_or_else(|| unknown(access))?;
        let found = match access.known(&claim) {
            Known::User(user) => Some(user),
            Known::Nobody => None,
            Known::ByPassword => by_password(shared, access, claim, entry).await?,
        };
        entry.user = Some(found.ok_or_else(|| unknown(access))?);
    }
    Ok(())
}

/// Looks at a password, when it is its turn.
async fn by_password(
    shared: &Shared,
    access: &Arc<Access>,
    claim: Claim,
    entry: &Entry,
) -> Result<Option<String>, Refusal> {
    let turn = shared.passwords.turn(entry.address).await.map_err(full)?;
    let own = Arc::clone(access);
    let checked = tokio::task::spawn_blocking(move || {
        let found = own.user(&claim);
        // hashing goes on when the client has hung up, and its turn with it
        drop(turn);
        found
    });
    Ok(checked.await.ok().flatten())
}

/// Asks the service that decides.
async fn ask(
    shared: &Shared,
    forward: &Forward,
    parts: &Parts,
    subject: Subject<'_>,
    entry: &Entry,
) -> Result<Option<String>, Refusal> {
    let question = Question {
        repository: subject.repository.map(ToOwned::to_owned),
        deed: subject.deed,
        path: entry.path.clone(),
        method: entry.method.clone(),
        uri: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        address: entry.address,
        host: entry.host.clone(),
        authorization: parts.headers.get(AUTHORIZATION).cloned(),
    };
    match forward.ask(question).await {
        Ok(Decision::Allowed(user)) => Ok(user),
        Ok(Decision::Denied) => Err(Refusal::new(StatusCode::FORBIDDEN, "this is not for you")),
        Ok(Decision::Unknown(challenges)) => {
            let refusal = Refusal::new(StatusCode::UNAUTHORIZED, WHO);
            let texts = challenges.iter().filter_map(|value| value.to_str().ok());
            Err(texts.fold(refusal, |refusal, text| refusal.with("WWW-Authenticate", text)))
        }
        Err(text) => {
            shared.log.note(&text);
            Err(Refusal::new(StatusCode::BAD_GATEWAY, "it cannot be found out who may do this"))
        }
    }
}

fn unknown(access: &Access) -> Refusal {
    let refusal = Refusal::new(StatusCode::UNAUTHORIZED, WHO);
    access.challenges().into_iter().fold(refusal, |refusal, text| refusal.with("WWW-Authenticate", text))
}
