//! Configuration of the command line and the environment, and what of it a child process gets.

use std::ffi::{OsStr, OsString};

use bstr::{BStr, BString, ByteSlice};

use super::{Entry, Environment, Error, Override, Scope};
use crate::repo::config::key::Key;
use crate::repo::config::value;

/// The variables that say which repository is meant and how it is set up, as `git rev-parse --local-env-vars` prints
/// them in git 2.47.3. A child that works in another repository must not have them.
pub fn local_repo_env() -> &'static [&'static str] {
    &[
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_CONFIG",
        "GIT_CONFIG_PARAMETERS",
        "GIT_CONFIG_COUNT",
        "GIT_OBJECT_DIRECTORY",
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_GRAFT_FILE",
        "GIT_INDEX_FILE",
        "GIT_NO_REPLACE_OBJECTS",
        "GIT_REPLACE_REF_BASE",
        "GIT_PREFIX",
        "GIT_SHALLOW_FILE",
        "GIT_COMMON_DIR",
    ]
}

/// What a child process in the same repository gets as `GIT_CONFIG_PARAMETERS`: what `env` has there, then
/// `overrides`, quoted as git 2.47.3 does (`'key'='value'`).
pub fn overrides_as_parameters(overrides: &[Override], env: &Environment) -> OsString {
    let mut parameters = env.get("GIT_CONFIG_PARAMETERS").unwrap_or_default().as_encoded_bytes().to_vec();
    for (key, value) in overrides {
        if !parameters.is_empty() {
            parameters.push(b' ');
        }
        quote(key.as_bstr(), &mut parameters);
        parameters.push(b'=');
        if let Some(value) = value {
            quote(value.as_bstr(), &mut parameters);
        }
    }
    value::to_path(&parameters).into_os_string()
}

/// The entries of the command scope in order: `GIT_CONFIG_COUNT`, `GIT_CONFIG_PARAMETERS`, `-c`.
pub(super) fn entries(env: &Environment, overrides: &[Override]) -> Result<Vec<Entry>, Error> {
    let mut all = counted(env)?;
    if let Some(parameters) = env.get("GIT_CONFIG_PARAMETERS") {
        let bogus = || refuse("bogus format in GIT_CONFIG_PARAMETERS".to_owned());
        all.extend(split(parameters.as_encoded_bytes()).ok_or_else(bogus)?);
    }
    all.extend(overrides.iter().cloned());
    all.into_iter().map(entry).collect()
}

/// `GIT_CONFIG_COUNT`, `GIT_CONFIG_KEY_<n>`, `GIT_CONFIG_VALUE_<n>`: git-config(1), "ENVIRONMENT".
fn counted(env: &Environment) -> Result<Vec<Override>, Error> {
    let Some(count) =
        env.get("GIT_CONFIG_COUNT").map(OsStr::to_string_lossy).filter(|count| !count.is_empty())
    else {
        return Ok(Vec::new());
    };
    let bogus = || refuse("bogus count in GIT_CONFIG_COUNT".to_owned());
    let count = count.trim_start().parse::<i128>().map_err(|_| bogus())?;
    let too_many = || refuse("too many entries in GIT_CONFIG_COUNT".to_owned());
    let count = i32::try_from(count).ok().filter(|&count| count >= 0).ok_or_else(too_many)?;
    // A false count costs nothing: the first variable that is missing ends the loop.
    let mut entries = Vec::new();
    for number in 0..count {
        let get = |what: &str| {
            let name = format!("GIT_CONFIG_{}_{number}", what.to_uppercase());
            let value = env.get(&name).map(|value| BString::from(value.as_encoded_bytes()));
            value.ok_or_else(|| refuse(format!("missing config {what} {name}")))
        };
        entries.push((get("key")?, Some(get("value")?)));
    }
    Ok(entries)
}

fn entry((key, value): Override) -> Result<Entry, Error> {
    if key.is_empty() {
        return Err(refuse("empty config key".to_owned()));
    }
    let explain = |error: Error| refuse(error.to_string());
    let Key { section, subsection, name } = Key::parse(&key).map_err(explain)?;
    Ok(Entry {
        section: section.to_ascii_lowercase().into(),
        subsection: subsection.map(BString::from),
        name: name.to_str_lossy().to_ascii_lowercase(),
        value,
        scope: Scope::Command,
        origin: None,
    })
}

/// Splits `GIT_CONFIG_PARAMETERS`: words of the form `'key=value'`, `'key'='value'`, `'key'` or `'key'=`, with blanks
/// between. `None` if anything else is there.
fn split(mut rest: &[u8]) -> Option<Vec<Override>> {
    let mut entries = Vec::new();
    while !rest.is_empty() {
        let (word, after) = unquote(rest)?;
        let entry = match after {
            [b'=', b'\'', ..] => {
                let (value, after) = unquote(after.get(1..)?)?;
                rest = after;
                (word, Some(value))
            }
            [b'=', after @ ..] => {
                rest = after;
                (word, None)
            }
            after => {
                rest = after;
                split_assignment(word.as_bstr())
            }
        };
        entries.push(entry);
        if !rest.is_empty() && !rest.starts_with(b" ") {
            return None;
        }
        rest = rest.trim_start_with(|c| c == ' ');
    }
    Some(entries)
}

fn split_assignment(word: &BStr) -> Override {
    match word.split_once_str(b"=") {
        Some((key, value)) => (key.into(), Some(value.into())),
        None => (word.into(), None),
    }
}

/// The word in single quotes at the beginning of `text`, and what follows it; `'\''` and `'\!'` stand for `'` and `!`.
fn unquote(text: &[u8]) -> Option<(BString, &[u8])> {
    let mut word = Vec::new();
    let mut rest = text.strip_prefix(b"'")?;
    loop {
        let (part, after) = rest.split_once_str(b"'")?;
        word.extend_from_slice(part);
        match after {
            [b'\\', byte @ (b'\'' | b'!'), b'\'', after @ ..] => {
                word.push(*byte);
                rest = after;
            }
            after => return Some((word.into(), after)),
        }
    }
}

/// Quotes `word` for the shell as git does, where `!` is special too.
fn quote(word: &BStr, out: &mut Vec<u8>) {
    out.push(b'\'');
    for &byte in word.iter() {
        match byte {
            b'\'' | b'!' => out.extend([b'\'', b'\\', byte, b'\'']),
            byte => out.push(byte),
        }
    }
    out.push(b'\'');
}

fn refuse(reason: String) -> Error {
    Error::ConfigEntry { reason, message: "unable to parse command-line config".to_owned() }
}
