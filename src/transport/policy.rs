//! Which protocols may be used: `protocol.allow`, `protocol.<name>.allow` and the two environment variables over them.
//!
//! git-config(1) `protocol.allow`, git(1) `GIT_ALLOW_PROTOCOL` and `GIT_PROTOCOL_FROM_USER`.

use bstr::{BStr, BString, ByteSlice};

use super::{Error, Settings};

/// Whether the protocol `name` may be used: `file`, `git`, `ssh`, `http`, `https` or the name of a remote helper.
///
/// # Errors
///
/// [`Error::Url`] says `transport 'ext' not allowed`, or which setting cannot be understood.
pub fn allowed(name: &BStr, settings: &dyn Settings) -> Result<(), Error> {
    if is_allowed(name, settings, &|| is_from_user(settings))? {
        return Ok(());
    }
    Err(Error::Url(format!("transport '{name}' not allowed")))
}

/// Whether the protocol `name` may be used for a URL that a server has named, such as that of a redirect.
///
/// # Errors
///
/// [`Error::Url`] says which setting cannot be understood.
pub(super) fn allowed_unasked(name: &BStr, settings: &dyn Settings) -> Result<bool, Error> {
    is_allowed(name, settings, &|| Ok(false))
}

fn is_allowed(
    name: &BStr,
    settings: &dyn Settings,
    is_users: &dyn Fn() -> Result<bool, Error>,
) -> Result<bool, Error> {
    if let Some(list) = settings.env("GIT_ALLOW_PROTOCOL") {
        return Ok(list.as_encoded_bytes().split_str(":").any(|entry| entry == name.as_bytes()));
    }
    match policy(name, settings)? {
        Policy::Always => Ok(true),
        Policy::Never => Ok(false),
        Policy::User => is_users(),
    }
}

/// When a protocol may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Policy {
    Always,
    Never,
    /// Only if the user typed the URL: not if it stands in a `.gitmodules` file.
    User,
}

fn policy(name: &BStr, settings: &dyn Settings) -> Result<Policy, Error> {
    for key in [format!("protocol.{name}.allow"), "protocol.allow".to_owned()] {
        if let Some(value) = settings.value(&key) {
            return parse_policy(&value)
                .ok_or_else(|| Error::Url(format!("unknown value for config '{key}': {value}")));
        }
    }
    Ok(match name.as_bytes() {
        b"http" | b"https" | b"git" | b"ssh" => Policy::Always,
        b"ext" => Policy::Never,
        _ => Policy::User,
    })
}

fn parse_policy(value: &BString) -> Option<Policy> {
    match value.to_ascii_lowercase().as_slice() {
        b"always" => Some(Policy::Always),
        b"never" => Some(Policy::Never),
        b"user" => Some(Policy::User),
        _ => None,
    }
}

/// `GIT_PROTOCOL_FROM_USER`, which is true unless said otherwise.
fn is_from_user(settings: &dyn Settings) -> Result<bool, Error> {
    const NAME: &str = "GIT_PROTOCOL_FROM_USER";
    let Some(value) = settings.env(NAME) else { return Ok(true) };
    let value = value.to_string_lossy();
    match value.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Ok(true),
        "false" | "no" | "off" | "" => Ok(false),
        word => word
            .parse::<i64>()
            .map(|number| number != 0)
            .map_err(|_| Error::Url(format!("bad boolean environment value '{value}' for '{NAME}'"))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Table;
    use super::*;

    fn verdict(name: &str, table: &Table) -> String {
        allowed(name.into(), table).map_or_else(|error| error.to_string(), |()| "allowed".to_owned())
    }

    /// Each row was tried with git 2.47.3.
    #[test]
    fn judged_as_git_does() {
        let refused = |name| format!("transport '{name}' not allowed");
        let (yes, from_user) = ("allowed".to_owned(), "GIT_PROTOCOL_FROM_USER");
        for (name, config, env, expected) in [
            ("ssh", vec![], vec![], yes.clone()),
            ("ssh", vec![], vec![(from_user, "0")], yes.clone()),
            ("file", vec![], vec![], yes.clone()),
            ("file", vec![], vec![(from_user, "1")], yes.clone()),
            ("file", vec![], vec![(from_user, "0")], refused("file")),
            ("file", vec![], vec![(from_user, "")], refused("file")),
            ("foo", vec![], vec![(from_user, "false")], refused("foo")),
            ("ext", vec![], vec![], refused("ext")),
            ("ext", vec![("protocol.allow", "always")], vec![], yes.clone()),
            ("ssh", vec![("protocol.allow", "user")], vec![(from_user, "0")], refused("ssh")),
            ("ssh", vec![("protocol.allow", "ALWAYS")], vec![(from_user, "0")], yes.clone()),
            ("ssh", vec![("protocol.ssh.allow", "never")], vec![], refused("ssh")),
            ("git", vec![("protocol.ssh.allow", "never")], vec![], yes.clone()),
            ("file", vec![("protocol.file.allow", "always")], vec![(from_user, "0")], yes.clone()),
            ("file", vec![("protocol.file.allow", "never")], vec![("GIT_ALLOW_PROTOCOL", "a:file:")], yes),
            ("file", vec![], vec![("GIT_ALLOW_PROTOCOL", "")], refused("file")),
            ("file", vec![], vec![("GIT_ALLOW_PROTOCOL", "https:ssh")], refused("file")),
        ] {
            assert_eq!(verdict(name, &Table::new(&config, &env)), expected, "{name} {config:?} {env:?}");
        }
    }

    #[test]
    fn what_a_server_names_is_not_the_users() {
        for (config, env, expected) in [
            (("protocol.http.allow", "always"), vec![], true),
            (("protocol.http.allow", "user"), vec![("GIT_PROTOCOL_FROM_USER", "1")], false),
            (("protocol.allow", "user"), vec![], false),
            (("protocol.http.allow", "user"), vec![("GIT_ALLOW_PROTOCOL", "http")], true),
        ] {
            let found = allowed_unasked("http".into(), &Table::new(&[config], &env));
            assert_eq!(found.expect("it makes sense"), expected, "{config:?} {env:?}");
        }
    }

    #[test]
    fn nonsense_is_named() {
        let config = Table::new(&[("protocol.file.allow", "bogus")], &[]);
        assert_eq!(verdict("file", &config), "unknown value for config 'protocol.file.allow': bogus");
        let env = Table::new(&[], &[("GIT_PROTOCOL_FROM_USER", "bogus")]);
        assert_eq!(
            verdict("file", &env),
            "bad boolean environment value 'bogus' for 'GIT_PROTOCOL_FROM_USER'"
        );
    }
}
