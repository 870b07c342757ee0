//! Options that clone and fetch share, and what becomes of them.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use bstr::{BString, ByteSlice};

use super::CommandError;
use crate::protocol::fetch::Deepen;
use crate::transport::IpVersion;

/// gitprotocol-v2(5): a depth this large means all of history.
pub(super) const DEPTH_INFINITE: u32 = 0x7fff_ffff;

/// Bytes of an argument.
pub(super) fn bytes(text: &OsString) -> BString {
    text.clone().into_vec().into()
}

/// `--filter`, if git knows it.
pub(super) fn filter(text: Option<&OsString>) -> Result<Option<BString>, CommandError> {
    let filter = text.map(bytes);
    if let Some(filter) = &filter {
        crate::remote::filter::check(filter.as_bstr())?;
    }
    Ok(filter)
}

/// `-4` and `-6`.
pub(super) fn ip_version(v4: bool, v6: bool) -> IpVersion {
    match (v4, v6) {
        (true, _) => IpVersion::V4,
        (false, true) => IpVersion::V6,
        (false, false) => IpVersion::Any,
    }
}

/// `--depth`: a number above zero.
pub(super) fn depth(text: Option<&String>) -> Result<u32, CommandError> {
    let Some(text) = text else { return Ok(0) };
    match text.trim().parse::<u32>() {
        Ok(depth) if depth > 0 => Ok(depth.min(DEPTH_INFINITE)),
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
        Some(text) => Some(
            crate::repo::parse_date(text)
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
