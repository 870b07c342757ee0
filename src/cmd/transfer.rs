//! Options that several commands share, and what becomes of them.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use bstr::{BString, ByteSlice};

use super::ui::Terminal;
use super::{CommandError, Show, ui};
use crate::pack::enumerate::FilterSpec;
use crate::protocol::fetch::Deepen;
use crate::remote::accept::AUTO;
use crate::repo::{Config, Environment, Objects, Repository};
use crate::transport::{IpVersion, Url};

/// gitprotocol-v2(5): a depth this large means all of history.
pub(super) const DEPTH_INFINITE: u32 = 0x7fff_ffff;

/// Bytes of an argument.
pub(super) fn bytes(text: &OsString) -> BString {
    text.clone().into_vec().into()
}

/// `--filter`, any number, if git knows them.
pub(super) fn filter(texts: &[OsString]) -> Result<Option<BString>, CommandError> {
    if let [only] = texts
        && only == AUTO
    {
        return Ok(Some(AUTO.into()));
    }
    let specs: Vec<BString> = texts.iter().map(bytes).collect();
    FilterSpec::combined(&specs).map_err(CommandError::fatal)
}

/// `-4` and `-6`.
pub(super) fn ip_version(v4: bool, v6: bool) -> IpVersion {
    match (v4, v6) {
        (true, _) => IpVersion::V4,
        (false, true) => IpVersion::V6,
        (false, false) => IpVersion::Any,
    }
}

/// What a remote helper program is told of what the user wants to see. git's 0 is `--quiet`, 1 is neither that nor `-v`.
pub(super) fn helper_options(show: Show, env: &Environment) -> Vec<(&'static str, BString)> {
    let progress = if show.is_progress_shown(&Terminal::new(env)) { "true" } else { "false" };
    let verbosity = show.verbosity.saturating_add(1).max(0).to_string();
    vec![("progress", progress.into()), ("verbosity", verbosity.into())]
}

/// How long ids are in the table: `core.abbrev`.
pub(super) fn abbreviation(repo: &Repository, objects: &Objects) -> Result<usize, CommandError> {
    /// git-config(1), "core.abbrev".
    const LEN_MIN: usize = 4;
    let wish = repo.config.string("core.abbrev").map(|wish| wish.to_ascii_lowercase());
    match wish.as_deref() {
        None | Some(b"auto") => Ok(objects.abbreviation_len()),
        Some(b"" | b"no" | b"off" | b"false") => Ok(repo.object_hash.len_in_hex()),
        Some(_) => {
            let len = repo.config.integer("core.abbrev")?.and_then(|len| usize::try_from(len).ok());
            // no id is longer
            let len = len.map(|len| len.min(repo.object_hash.len_in_hex()));
            Ok(len.unwrap_or(LEN_MIN).max(LEN_MIN))
        }
    }
}

/// `--depth`: a number above zero.
pub(super) fn depth(text: Option<&String>) -> Result<u32, CommandError> {
    let Some(text) = text else { return Ok(0) };
    match text.trim().parse::<u32>() {
        Ok(depth) if depth > 0 => Ok(depth.min(DEPTH_INFINITE)),
        // git reads it twice, and the first time as far as it is a number
        Err(_) if text.trim_start_matches('0').starts_with(|first: char| first.is_ascii_digit()) => {
            Err(CommandError::fatal(format!("transport: invalid depth option '{text}'")))
        }
        Ok(_) | Err(_) => Err(CommandError::fatal(format!("depth {text} is not a positive number"))),
    }
}

/// `--depth`, `--shallow-since` and `--shallow-exclude`.
pub(super) fn deepen(
    depth_text: Option<&String>,
    since: Option<&String>,
    exclude: &[String],
) -> Result<Deepen, CommandError> {
    let since = match since {
        // git takes what it does not understand for the present moment
        Some(text) => Some(
            crate::repo::parse_date(text)
                .or_else(|| crate::repo::parse_date("now"))
                .ok_or_else(|| CommandError::fatal(format!("invalid date '{text}' for --shallow-since")))?,
        ),
        None => None,
    };
    Ok(Deepen {
        depth: depth(depth_text)?,
        relative: false,
        since,
        not: exclude.iter().map(|name| name.as_str().into()).collect(),
    })
}

/// `transfer.credentialsInUrl`: warns of those of `urls` that say a password, or refuses them.
pub(super) fn check_credentials(config: &Config, urls: &[BString]) -> Result<(), CommandError> {
    let wish = config.string("transfer.credentialsInUrl");
    let dies = match wish.as_ref().map(|wish| wish.as_slice()) {
        None | Some(b"allow") => return Ok(()),
        Some(b"warn") => false,
        Some(b"die") => true,
        Some(other) => {
            let other = other.as_bstr();
            let text = format!("unrecognized value transfer.credentialsInUrl: '{other}'");
            return Err(CommandError::fatal(text));
        }
    };
    for url in urls.iter().filter_map(without_password) {
        let text = format!("URL '{url}' uses plaintext credentials");
        if dies {
            return Err(CommandError::fatal(text));
        }
        ui::message("warning", text.as_bytes().into());
    }
    Ok(())
}

/// `url` without the password that it says; `None` if it says none.
fn without_password(url: &BString) -> Option<BString> {
    let (scheme, rest) = url.split_once_str("://")?;
    let end = rest.find_byteset(b"/?#").unwrap_or(rest.len());
    let (login, _) = rest.get(..end)?.rsplit_once_str("@")?;
    let (name, _) = login.split_once_str(":")?;
    let behind = rest.get(login.len()..)?;
    Some([scheme, b"://", name, b":<redacted>", behind].concat().into())
}

/// What reflogs say: `GIT_REFLOG_ACTION`, else the command and its arguments, passwords of URLs left out.
pub(super) fn reflog_action(command: &str, env: &Environment, arguments: &[OsString]) -> BString {
    if let Some(action) = env.get("GIT_REFLOG_ACTION") {
        return bytes(&action.to_owned());
    }
    let mut action = BString::from(command);
    for argument in arguments {
        action.push(b' ');
        let text = bytes(argument);
        let url = text.contains_str("://").then(|| Url::parse(text.as_bstr()).ok()).flatten();
        action.extend_from_slice(&url.map_or(text, |url| url.redacted()));
    }
    action
}
