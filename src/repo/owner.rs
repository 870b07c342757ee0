//! Whose repository it is: `safe.directory` in git-config(1).

use std::path::Path;

use bstr::{BString, ByteSlice};

use super::config::expand_path;
use super::{Config, Environment, Error};

/// Refuses unless each of `paths` that exists belongs to this user, or `safe.directory` in what `config` reads names
/// `shown`.
pub(super) fn check(
    paths: &[&Path],
    shown: &Path,
    config: impl FnOnce() -> Result<Config, Error>,
    env: &Environment,
) -> Result<(), Error> {
    if paths.iter().all(|path| is_own(path, env)) || is_declared_safe(shown, &config()?, env) {
        return Ok(());
    }
    let quoted = quote(shown);
    Err(Error::Refused(format!(
        "detected dubious ownership in repository at '{}'\n\
         To add an exception for this directory, call:\n\n\tgit config --global --add safe.directory {quoted}",
        shown.display()
    )))
}

fn is_declared_safe(shown: &Path, config: &Config, env: &Environment) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let repository = real(shown);
    let mut is_safe = false;
    for value in config.protected("safe.directory") {
        if value.is_empty() {
            is_safe = false;
        } else if value == "*" {
            is_safe = true;
        } else if let Some(path) = expand_path(value.as_bstr(), env) {
            is_safe |= match path.to_str().and_then(|path| path.strip_suffix("/*")) {
                Some(parent) => {
                    let parent = real(Path::new(parent));
                    repository != parent && repository.starts_with(parent)
                }
                None if value == "." => std::path::absolute(".").is_ok_and(|dir| real(&dir) == repository),
                None => path.is_absolute() && real(&path) == repository,
            };
        }
    }
    is_safe
}

/// Whether `path` belongs to this user, or to the one who called sudo.
#[cfg(unix)]
fn is_own(path: &Path, env: &Environment) -> bool {
    use std::os::unix::fs::MetadataExt;
    let Ok(metadata) = path.symlink_metadata() else { return true };
    let user = rustix::process::geteuid().as_raw();
    if metadata.uid() == user {
        return true;
    }
    let caller = env.get("SUDO_UID").and_then(|uid| uid.to_str()?.parse::<u32>().ok());
    user == 0 && caller == Some(metadata.uid())
}

#[cfg(not(unix))]
fn is_own(path: &Path, _env: &Environment) -> bool {
    gix_sec::Trust::from_path_ownership(path).is_ok_and(|trust| trust == gix_sec::Trust::Full)
}

/// The path as one word for the shell, bare where no character needs quotes.
fn quote(path: &Path) -> BString {
    let text = path.as_os_str().as_encoded_bytes();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+,-./:=@_^".contains(&byte);
    if text.iter().all(|&byte| is_plain(byte)) {
        return text.into();
    }
    let mut quoted = vec![b'\''];
    for &byte in text {
        match byte {
            b'\'' | b'!' => quoted.extend([b'\'', b'\\', byte, b'\'']),
            byte => quoted.push(byte),
        }
    }
    quoted.push(b'\'');
    quoted.into()
}
