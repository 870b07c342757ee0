//! Who moves a ref: `Name <email> seconds zone` (git-commit(1), "COMMIT INFORMATION"; git-var(1)).

use bstr::{BString, ByteSlice};

use crate::repo::Environment;

/// The committer by git's rules. `config` gives the last value of a key. Where nothing is set the names of the
/// system serve, also if `user.useConfigOnly` is true: a reflog is written in any case, as seen in git 2.47.3.
pub(super) fn committer(env: &Environment, config: &dyn Fn(&str) -> Option<BString>) -> BString {
    let variable = |name: &str| env.get(name).map(|value| BString::from(value.as_encoded_bytes()));
    let name =
        variable("GIT_COMMITTER_NAME").or_else(|| config("committer.name")).or_else(|| config("user.name"));
    let name = name.filter(|name| !name.is_empty()).unwrap_or_else(|| account().1);
    let email = variable("GIT_COMMITTER_EMAIL")
        .or_else(|| config("committer.email"))
        .or_else(|| config("user.email"))
        .or_else(|| variable("EMAIL").filter(|email| !email.is_empty()))
        .unwrap_or_else(system_email);
    let date = env.get("GIT_COMMITTER_DATE").and_then(|date| date.to_str()).and_then(parse_date);
    let date = date.unwrap_or_else(gix_date::Time::now_local_or_utc);
    let mut line = without_crud(&name);
    line.extend_from_slice(b" <");
    line.extend_from_slice(&without_crud(&email));
    line.extend_from_slice(format!("> {} {}", date.seconds, zone(date.offset)).as_bytes());
    line
}

/// Removes white space and punctuation at the ends, and `<`, `>` and line feeds everywhere.
fn without_crud(text: &[u8]) -> BString {
    let is_crud = |byte: &u8| *byte <= 32 || b",:;<>\"\\'".contains(byte);
    let start = text.iter().position(|byte| !is_crud(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !is_crud(byte)).map_or(start, |last| last + 1);
    let inner = text.get(start..end).unwrap_or_default();
    inner.iter().copied().filter(|byte| !b"<>\n".contains(byte)).collect::<Vec<u8>>().into()
}

/// Reads a date as git takes it; one without zone is local.
fn parse_date(text: &str) -> Option<gix_date::Time> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    if let Ok(time) = gix_date::parse(text, None) {
        return Some(time);
    }
    let local = zone(gix_date::Time::now_local_or_utc().offset);
    let separated = text.replacen('T', " ", 1);
    let (day, clock) = separated.split_once(' ').unwrap_or((&separated, "00:00:00"));
    let day = day.replace(['.', '/'], "-");
    let candidates = [format!("{day} {clock} {local}"), format!("{day} {clock}"), format!("{text} {local}")];
    candidates.iter().find_map(|candidate| gix_date::parse(candidate, None).ok())
}

/// `+0100` for an offset in seconds.
fn zone(offset: i32) -> String {
    let minutes = offset.unsigned_abs() / 60;
    let sign = if offset < 0 { '-' } else { '+' };
    format!("{sign}{:02}{:02}", minutes / 60, minutes % 60)
}

/// Login and full name of the user that runs this process, from `/etc/passwd`.
#[cfg(unix)]
fn account() -> (BString, BString) {
    let uid = rustix::process::getuid().as_raw().to_string();
    let passwd = std::fs::read("/etc/passwd").unwrap_or_default();
    let fields = passwd.lines().map(|line| line.split_str(":").collect::<Vec<_>>());
    let found = fields.into_iter().find(|fields| fields.get(2).is_some_and(|id| *id == uid.as_bytes()));
    let Some(fields) = found else { return ("unknown".into(), "unknown".into()) };
    let login = fields.first().copied().unwrap_or_default();
    let gecos = fields.get(4).copied().unwrap_or_default();
    let full = gecos.split_str(",").next().unwrap_or_default();
    let mut capital = login.to_vec();
    if let Some(first) = capital.first_mut() {
        first.make_ascii_uppercase();
    }
    let full = full.replace(b"&", capital);
    (login.into(), if full.is_empty() { login.into() } else { full.into() })
}

#[cfg(not(unix))]
fn account() -> (BString, BString) {
    let name = whoami();
    (name.clone(), name)
}

#[cfg(not(unix))]
fn whoami() -> BString {
    let home = std::env::home_dir();
    let login = home.as_deref().and_then(std::path::Path::file_name);
    login.map_or_else(|| "unknown".into(), |login| login.as_encoded_bytes().into())
}

/// `login@host`, where git adds `.(none)` to a host without domain.
fn system_email() -> BString {
    let mut email = account().0;
    email.push(b'@');
    let mail_name = std::fs::read("/etc/mailname").unwrap_or_default();
    match mail_name.lines().next().map(<[u8]>::trim_ascii) {
        Some(name) if !name.is_empty() => email.extend_from_slice(name),
        _ => email.extend_from_slice(&host()),
    }
    email
}

#[cfg(unix)]
fn host() -> BString {
    let system = rustix::system::uname();
    let host = system.nodename().to_bytes();
    if host.contains(&b'.') {
        return host.into();
    }
    // what the resolver would call the canonical name: the first name of the line that has ours
    let hosts = std::fs::read("/etc/hosts").unwrap_or_default();
    let canonical = hosts.lines().find_map(|line| {
        let names: Vec<&[u8]> = line.fields().take_while(|name| !name.starts_with(b"#")).skip(1).collect();
        let first = *names.first()?;
        (names.contains(&host) && first.contains(&b'.')).then(|| BString::from(first))
    });
    canonical.unwrap_or_else(|| [host, b".(none)"].concat().into())
}

#[cfg(not(unix))]
fn host() -> BString {
    "localhost.(none)".into()
}
