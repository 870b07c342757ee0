//! What values mean: booleans, integers and paths, as git reads them.

use std::path::PathBuf;

use bstr::{BStr, ByteSlice};

use crate::repo::Environment;
pub use crate::text::{boolean, integer};

/// A value as a path, with `~/` and `~user/` expanded; `None` if the home directory is not known.
pub(in crate::repo) fn path(value: &BStr, env: &Environment) -> Option<PathBuf> {
    let Some(rest) = value.strip_prefix(b"~") else {
        return Some(to_path(value));
    };
    let (user, rest) = rest.split_once_str(b"/").unwrap_or((rest, b""));
    let home = if user.is_empty() { env.home()? } else { home_of(user)? };
    Some(if rest.is_empty() { home } else { home.join(to_path(rest)) })
}

/// Bytes as a path; on systems whose paths are Unicode, what is not is replaced.
pub(in crate::repo) fn to_path(bytes: &[u8]) -> PathBuf {
    bytes.to_path_lossy().into_owned()
}

/// The home directory of `user` by the system's list of users.
fn home_of(user: &[u8]) -> Option<PathBuf> {
    let users = std::fs::read("/etc/passwd").ok()?;
    users.lines().find_map(|line| {
        let mut fields = line.split_str(b":");
        (fields.next()? == user).then(|| fields.nth(4).map(to_path)).flatten()
    })
}
