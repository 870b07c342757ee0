//! Which of the promisor remotes that a server names a client accepts, and what it writes down of them. git-config(1),
//! `promisor.acceptFromServer`, `promisor.checkFields` and `promisor.storeFields`.

use bstr::{BStr, BString, ByteSlice};

use super::{Error, Session};
use crate::pack::enumerate::FilterSpec;
use crate::progress::{Event, Progress};
use crate::protocol::promisor_remote::{self, PromisorRemote};
use crate::repo::Repository;
use crate::repo::config::{Change, edit};

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
    let (Some(advertised), Some(policy)) = (advertised, policy(repo, progress)?) else {
        return Ok(Accepted { names: Vec::new(), filter: own() });
    };
    let mut accepted = promisor_remote::decode(advertised);
    let known = repo.promisor_names()?;
    let checked = fields(repo, "promisor.checkFields");
    accepted.retain(|remote| is_known(repo, &known, remote, policy) && has_fields(repo, remote, &checked));
    let stored = fields(repo, "promisor.storeFields");
    for remote in accepted.iter().filter(|remote| known.contains(&remote.name)) {
        store(repo, remote, &stored, progress)?;
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

/// Writes down what the server says of `stored`, where that is news. The user hears of it, but not what a token is.
fn store(
    repo: &Repository,
    remote: &PromisorRemote,
    stored: &[BString],
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    let name = &remote.name;
    for field in stored {
        let (field, value, fault) = match field.to_ascii_lowercase().as_slice() {
            b"partialclonefilter" => ("partialCloneFilter", &remote.filter, filter_fault as Fault),
            b"token" => ("token", &remote.token, token_fault as Fault),
            // no other field can be advertised
            _ => continue,
        };
        let key = BString::from(format!("remote.{name}.{}", field.to_ascii_lowercase()));
        let Some(value) = value else { continue };
        let old = repo.config.string(&key.to_string());
        if old.as_ref() == Some(value) {
            continue;
        }
        if let Some(fault) = fault(value) {
            let text = format!("{fault} from the server for remote '{name}' is not stored");
            tell(progress, Event::Warning(&text))?;
            continue;
        }
        edit(&repo.common_path("config"), &[Change::Set(key, value.clone())])?;
        let shown = if field == "token" { String::new() } else { format!(": '{value}'") };
        let text = format!("Storing new {field} from the server for remote '{name}'{shown}");
        tell(progress, Event::Detail { level: 0, text: &text })?;
    }
    Ok(())
}

/// What is wrong with a value, if anything.
type Fault = fn(&BString) -> Option<&'static str>;

fn filter_fault(value: &BString) -> Option<&'static str> {
    let is_good = matches!(FilterSpec::combined(std::slice::from_ref(value)), Ok(Some(_)));
    (!is_good).then_some("an invalid partialCloneFilter")
}

fn token_fault(value: &BString) -> Option<&'static str> {
    value.iter().any(u8::is_ascii_control).then_some("a token with a control character")
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
