//! The URLs of a remote.

use bstr::{BStr, BString, ByteSlice};
use regex::bytes::{Regex, RegexBuilder};

use super::{change, key, local_config, set};
use crate::remote::Error;
use crate::repo::Repository;
use crate::repo::config::Change;

/// Which URLs are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UrlKind {
    /// `remote.<name>.url`.
    Fetch,
    /// `remote.<name>.pushurl`.
    Push,
}

impl UrlKind {
    fn key(self, remote: &BStr) -> BString {
        let last = match self {
            Self::Fetch => "url",
            Self::Push => "pushurl",
        };
        key("remote", remote, last)
    }
}

/// Makes `url` the URL of `remote`, or puts it in the place of the one that matches the regular expression `old`. `known`
/// are the URLs as a transfer sees them: one of them has to match, and then one in the configuration file (as in git
/// 2.47.3, where a rewritten URL is therefore not found by what the file says).
///
/// # Errors
///
/// [`Error::Usage`] if nothing matches. If several values do, nothing is changed and the key is given back.
pub fn set_url(
    repo: &Repository,
    remote: &BStr,
    kind: UrlKind,
    url: &BStr,
    old: Option<(&BStr, &[BString])>,
) -> Result<Option<BString>, Error> {
    let key = kind.key(remote);
    let mut values = local_config(repo)?.strings(&key.to_str_lossy());
    if let Some((pattern, known)) = old {
        let pattern_regex = compile(pattern)?;
        if !known.iter().any(|url| pattern_regex.is_match(url)) {
            return Err(Error::Usage(format!("No such URL found: {pattern}")));
        }
        values.retain(|value| pattern_regex.is_match(value));
    }
    let changes = match values.as_slice() {
        [] => Change::Add(key.clone(), url.to_owned()),
        [only] => Change::Replace(key.clone(), only.clone(), url.to_owned()),
        [..] => return Ok(Some(key)),
    };
    set(repo, &[changes], key.as_bstr(), url)?;
    Ok(None)
}

/// Adds `url` to those that `remote` has.
///
/// # Errors
///
/// If the file cannot be written.
pub fn add_url(repo: &Repository, remote: &BStr, kind: UrlKind, url: &BStr) -> Result<(), Error> {
    let key = kind.key(remote);
    set(repo, &[Change::Add(key.clone(), url.to_owned())], key.as_bstr(), url)
}

/// Removes the URLs that match the regular expression `pattern`; of those to fetch from one of `known` has to stay.
///
/// # Errors
///
/// [`Error::Usage`] if none would stay, or if there is none to remove.
pub fn delete_urls(
    repo: &Repository,
    remote: &BStr,
    kind: UrlKind,
    pattern: &BStr,
    known: &[BString],
) -> Result<(), Error> {
    let key = kind.key(remote);
    let regex = compile(pattern)?;
    if kind == UrlKind::Fetch && known.iter().all(|url| regex.is_match(url)) {
        return Err(Error::Usage("Will not delete all non-push URLs".into()));
    }
    let values = local_config(repo)?.strings(&key.to_str_lossy());
    let doomed: Vec<BString> = values.into_iter().filter(|value| regex.is_match(value)).collect();
    if doomed.is_empty() {
        return Err(Error::Usage(format!("could not unset '{key}'")));
    }
    change(repo, &[Change::UnsetValues(key.clone(), doomed)], format!("could not unset '{key}'"))
}

/// An extended regular expression as POSIX knows it, near enough.
fn compile(pattern: &BStr) -> Result<Regex, Error> {
    let text = pattern.to_str().ok();
    let regex = text.and_then(|text| RegexBuilder::new(text).unicode(false).build().ok());
    regex.ok_or_else(|| Error::Usage(format!("Invalid old URL pattern: {pattern}")))
}
