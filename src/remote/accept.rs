//! Which of the promisor remotes that a server names a client accepts, and what it writes down of them. git-config(1),
//! `promisor.acceptFromServer`, `promisor.acceptFromServerUrl`, `promisor.checkFields` and `promisor.storeFields`.

use bstr::{BStr, BString, ByteSlice};

use super::{Error, Session};
use crate::pack::enumerate::FilterSpec;
use crate::progress::{Event, Progress};
use crate::protocol::promisor_remote::{self, PromisorRemote};
use crate::repo::Repository;

mod allowed;
mod store;

use allowed::Allowed;
use store::store;

/// `--filter=auto`: the filter is what the accepted remotes have.
pub const AUTO: &str = "auto";

/// What a fetch says to a server of its promisors.
#[derive(Debug, Clone, Default)]
pub(super) struct Accepted {
    /// The names that go back to the server.
    pub(super) names: Vec<BString>,
    /// What is to be left out.
    pub(super) filter: Option<BString>,
}

/// Whom `repo` trusts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Policy {
    All,
    KnownName,
    KnownUrl,
}

/// Decides about the remotes that the far side of `session` names. Without a `filter` none is accepted: everything is to
/// come from the server then.
pub(super) fn decide(
    session: &Session,
    repo: &Repository,
    filter: Option<&BString>,
    progress: &mut dyn Progress,
) -> Result<Accepted, Error> {
    let Some(filter) = filter else { return Ok(Accepted::default()) };
    let is_auto = filter == AUTO;
    let own = || Some(filter.clone()).filter(|_| !is_auto);
    let advertised = session.capabilities().value("promisor-remote");
    let Some(advertised) = advertised else { return Ok(Accepted { names: Vec::new(), filter: own() }) };
    let (mut allowed, policy) = (Allowed::new(repo, progress)?, policy(repo, progress)?);
    if allowed.is_empty() && policy.is_none() {
        return Ok(Accepted { names: Vec::new(), filter: own() });
    }
    let known = repo.promisor_names()?;
    let (checked, stored) = (fields(repo, "promisor.checkFields"), fields(repo, "promisor.storeFields"));
    let mut accepted = Vec::new();
    for remote in promisor_remote::decode(advertised) {
        let is_accepted =
            |policy| is_known(repo, &known, &remote, policy) && has_fields(repo, &remote, &checked);
        // what is allowed for its URL is not asked for more
        if let Some(name) = allowed.admit(&remote, &known, progress)? {
            store(repo, &name, &remote, &stored, progress)?;
        } else if policy.is_some_and(is_accepted) {
            if known.contains(&remote.name) {
                store(repo, &remote.name, &remote, &stored, progress)?;
            }
        } else {
            continue;
        }
        accepted.push(remote);
    }
    let filter = if is_auto { combined(&accepted) } else { own() };
    Ok(Accepted { names: accepted.into_iter().map(|remote| remote.name).collect(), filter })
}

fn policy(repo: &Repository, progress: &mut dyn Progress) -> Result<Option<Policy>, Error> {
    const KEY: &str = "promisor.acceptFromServer";
    let Some(value) = repo.config.string(KEY) else { return Ok(None) };
    match value.to_ascii_lowercase().as_slice() {
        b"" | b"none" => Ok(None),
        b"all" => Ok(Some(Policy::All)),
        b"knownname" => Ok(Some(Policy::KnownName)),
        b"knownurl" => Ok(Some(Policy::KnownUrl)),
        _ => {
            let text = format!("unknown '{value}' value for '{KEY}' config option");
            tell(progress, Event::Warning(&text))?;
            Ok(None)
        }
    }
}

fn is_known(repo: &Repository, known: &[BString], remote: &PromisorRemote, policy: Policy) -> bool {
    match policy {
        Policy::All => true,
        Policy::KnownName => known.contains(&remote.name),
        Policy::KnownUrl => {
            let url = repo.config.string(&format!("remote.{}.url", remote.name));
            known.contains(&remote.name) && !remote.url.is_empty() && url.as_ref() == Some(&remote.url)
        }
    }
}

/// Whether what the server says of `checked` is what our configuration says.
fn has_fields(repo: &Repository, remote: &PromisorRemote, checked: &[BString]) -> bool {
    checked.iter().all(|field| {
        let theirs = match field.to_ascii_lowercase().as_slice() {
            b"partialclonefilter" => remote.filter.as_ref(),
            b"token" => remote.token.as_ref(),
            // no other field can be advertised, so none can be checked
            _ => return true,
        };
        theirs.is_some() && repo.config.string(&format!("remote.{}.{field}", remote.name)).as_ref() == theirs
    })
}

fn tell(progress: &mut dyn Progress, event: Event<'_>) -> Result<(), Error> {
    if progress.report(event).is_break() { Err(Error::Interrupted) } else { Ok(()) }
}

/// The filters of all `remotes` as one; none where one of them makes no sense.
fn combined(remotes: &[PromisorRemote]) -> Option<BString> {
    let mut filters: Vec<BString> = remotes.iter().filter_map(|remote| remote.filter.clone()).collect();
    filters.sort_unstable();
    filters.dedup();
    FilterSpec::combined(&filters).ok().flatten()
}

/// The words of a list that commas or blanks separate.
fn fields(repo: &Repository, key: &str) -> Vec<BString> {
    let list = repo.config.string(key).unwrap_or_default();
    words(list.as_bstr())
}

fn words(list: &BStr) -> Vec<BString> {
    let is_end = |letter: char| letter == ',' || letter.is_whitespace();
    list.fields_with(is_end).map(BString::from).collect()
}
