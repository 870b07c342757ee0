//! What names a session in the logs of both sides: `session-id`, gitprotocol-capabilities(5).

use bstr::BString;

use super::{Config, Environment, Error};

/// Hexadecimal digits of the host's name.
#[cfg(unix)]
const HOST_LEN: usize = 8;

/// What stands for a host that is not known.
const LOCALHOST: &str = "Localhost";

/// The id of a session that begins now, if `transfer.advertiseSID` wishes for one. It looks like git's own, with the
/// id of whoever started us (`GIT_TRACE2_PARENT_SID`) in front.
pub fn session_id(config: &Config, env: &Environment) -> Result<Option<BString>, Error> {
    if !config.boolean("transfer.advertiseSID")?.unwrap_or(false) {
        return Ok(None);
    }
    let mut id = BString::default();
    let parent = env.get("GIT_TRACE2_PARENT_SID").map(std::ffi::OsStr::as_encoded_bytes);
    // the far side takes nothing but printable text
    if let Some(parent) =
        parent.filter(|parent| !parent.is_empty() && parent.iter().all(u8::is_ascii_graphic))
    {
        id.extend_from_slice(parent);
        id.push(b'/');
    }
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S%.6fZ").to_string();
    let process = std::process::id();
    id.extend_from_slice(format!("{now}-{}-P{process:08x}", host()).as_bytes());
    Ok(Some(id))
}

/// The beginning of a hash of this machine's name: logs are matched by it, and it tells nobody what the name is.
#[cfg(unix)]
pub(crate) fn host() -> String {
    let name = rustix::system::uname();
    let mut hasher = gix_hash::hasher(gix_hash::Kind::Sha1);
    hasher.update(name.nodename().to_bytes());
    match hasher.try_finalize() {
        Ok(id) => format!("H{}", id.to_hex_with_len(HOST_LEN)),
        Err(_) => LOCALHOST.to_owned(),
    }
}

/// The system has no word for it that we could ask for.
#[cfg(not(unix))]
pub(crate) fn host() -> String {
    LOCALHOST.to_owned()
}
