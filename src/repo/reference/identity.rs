//! Who moves a ref: `Name <email> seconds zone` (git-commit(1), "COMMIT INFORMATION"; git-var(1)).

use bstr::{BString, ByteSlice};

use crate::repo::{Environment, Error};

/// The committer by git's rules. `config` gives the last value of a key. Where nothing is set the names of the
/// system serve, also if `user.useConfigOnly` is true: a reflog is written in any case, as seen in git 2.47.3.
///
/// # Errors
///
/// [`Error::Config`] for a date that cannot be understood.
pub(super) fn committer(
    env: &Environment,
    config: &dyn Fn(&str) -> Option<BString>,
) -> Result<BString, Error> {
    let variable = |name: &str| env.get(name).map(|value| BString::from(value.as_encoded_bytes()));
    let name =
        variable("GIT_COMMITTER_NAME").or_else(|| config("committer.name")).or_else(|| config("user.name"));
    let name = name.filter(|name| !name.is_empty()).unwrap_or_else(|| account().1);
    let email = variable("GIT_COMMITTER_EMAIL")
        .or_else(|| config("committer.email"))
        .or_else(|| config("user.email"))
        .or_else(|| variable("EMAIL").filter(|email| !email.is_empty()))
        .unwrap_or_else(system_email);
    let date = match variable("GIT_COMMITTER_DATE").filter(|date| !date.is_empty()) {
        Some(date) => date.to_str().ok().and_then(parse_date).ok_or_else(|| bad_date(&date))?,
        None => gix_date::Time::now_local_or_utc(),
    };
    let mut line = without_crud(&name);
    line.extend_from_slice(b" <");
    line.extend_from_slice(&without_crud(&email));
    line.extend_from_slice(format!("> {} {}", date.seconds, zone(date.offset)).as_bytes());
    Ok(line)
}

fn bad_date(date: &BString) -> Error {
    Error::Config(format!("invalid date format: {date}"))
}

/// Removes white space and punctuation at the ends, and `<`, `>` and line feeds everywhere.
fn without_crud(text: &[u8]) -> BString {
    let is_crud = |byte: &u8| *byte <= 32 || b",:;<>\"\\'".contains(byte);
    let start = text.iter().position(|byte| !is_crud(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !is_crud(byte)).map_or(start, |last| last + 1);
    let inner = text.get(start..end).unwrap_or_default();
    inner.iter().copied().filter(|byte| !b"<>\n".contains(byte)).collect::<Vec<u8>>().into()
}

/// A day as `YYYY-MM-DD`, also one that is written `YYYY.MM.DD`, `MM/DD/YYYY` or `DD.MM.YYYY`: git-commit(1), "DATE FORMATS".
fn year_first(day: &str) -> String {
    let parts: Vec<&str> = day.split(['.', '/', '-']).collect();
    match parts.as_slice() {
        [month, date, year] if year.len() == 4 && day.contains('/') => format!("{year}-{month}-{date}"),
        [date, month, year] if year.len() == 4 && day.contains('.') => format!("{year}-{month}-{date}"),
        parts => parts.join("-"),
    }
}

/// Reads a date as git takes it; one without zone is local.
fn parse_date(text: &str) -> Option<gix_date::Time> {
    let text = text.trim();
    let text = &text.strip_suffix(" UTC").map_or_else(|| text.to_owned(), |time| format!("{time} +0000"));
    if let Ok(time) = gix_date::parse(text, None) {
        return Some(time);
    }
    let local = zone(gix_date::Time::now_local_or_utc().offset);
    let separated = text.replacen('T', " ", 1);
    let (day, clock) = separated.split_once(' ').unwrap_or((&separated, "00:00:00"));
    let day = year_first(day);
    let candidates = [
        format!("{day} {clock} {local}"),
        format!("{day} {clock}"),
        format!("{text} {local}"),
        // a zone of hours alone
        format!("{text}00"),
    ];
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What `committer` makes of these variables and settings; a date is set unless they set one.
    fn identity(variables: &[(&str, &str)], settings: &[(&str, &str)]) -> String {
        let mut env = Environment::default();
        env.set("GIT_COMMITTER_DATE", "@5 +0100");
        for (name, value) in variables {
            env.set(name, value);
        }
        let config = |key: &str| {
            let found = settings.iter().find(|(name, _)| *name == key);
            found.map(|(_, value)| BString::from(*value))
        };
        committer(&env, &config).unwrap().to_string()
    }

    #[test]
    fn variables_come_before_settings() {
        let user = [("user.name", "U"), ("user.email", "u@b")];
        assert_eq!(identity(&[], &user), "U <u@b> 5 +0100");
        assert_eq!(identity(&[("EMAIL", "e@b")], &user), "U <u@b> 5 +0100");
        assert_eq!(identity(&[("EMAIL", "e@b")], &user[..1]), "U <e@b> 5 +0100");
        let both = [&user[..], &[("committer.name", "C"), ("committer.email", "c@b")]].concat();
        assert_eq!(identity(&[], &both), "C <c@b> 5 +0100");
        let variables = [("GIT_COMMITTER_NAME", "V"), ("GIT_COMMITTER_EMAIL", "v@b")];
        assert_eq!(identity(&variables, &both), "V <v@b> 5 +0100");
        assert_eq!(identity(&[("GIT_COMMITTER_EMAIL", "")], &user), "U <> 5 +0100");
    }

    #[test]
    fn crud_is_removed_as_git_removes_it() {
        // seen in git 2.47.3
        let name = " .,:;<>\"\\a'b <c> .,";
        let variables = [("GIT_COMMITTER_NAME", name), ("GIT_COMMITTER_EMAIL", "<x@y>")];
        assert_eq!(identity(&variables, &[]), ".,:;\"\\a'b c . <x@y> 5 +0100");
        assert_eq!(identity(&[("GIT_COMMITTER_NAME", "  "), ("EMAIL", "e")], &[]), " <e> 5 +0100");
    }

    #[test]
    fn dates_are_read_as_git_reads_them() {
        for (date, seconds) in [
            ("2005-04-07T22:13:13+0200", "1112904793 +0200"),
            ("2005-04-07 22:13:13 +0200", "1112904793 +0200"),
            ("2005.04.07 22:13:13 +0200", "1112904793 +0200"),
            ("Thu, 07 Apr 2005 22:13:13 +0200", "1112904793 +0200"),
            ("1112911993 -0730", "1112911993 -0730"),
            ("@1112911993 +0000", "1112911993 +0000"),
            ("Thu Apr 7 22:13:13 2005 +0200", "1112904793 +0200"),
            ("2005-04-07T22:13:13Z", "1112911993 +0000"),
            ("2005-04-07T22:13:13.500+0200", "1112904793 +0200"),
            ("20050407T221313Z", "1112911993 +0000"),
            ("2005-04-07 22:13:13 +02:00", "1112904793 +0200"),
            ("Thu, 7 Apr 2005 22:13:13 GMT", "1112911993 +0000"),
            ("2005/04/07 22:13:13 +0000", "1112911993 +0000"),
            ("2005-04-07 22:13 +0000", "1112911980 +0000"),
            ("04/07/2005 22:13:13 +0200", "1112904793 +0200"),
            ("07.04.2005 22:13:13 +0000", "1112911993 +0000"),
            ("2005-04-07 22:13:13 UTC", "1112911993 +0000"),
            ("1112911993 +02", "1112911993 +0200"),
            ("1112911993", "1112911993 +0000"),
            ("@1112911993", "1112911993 +0000"),
        ] {
            let variables = [("GIT_COMMITTER_NAME", "n"), ("EMAIL", "e"), ("GIT_COMMITTER_DATE", date)];
            assert_eq!(identity(&variables, &[]), format!("n <e> {seconds}"), "{date}");
        }
        let local =
            [("GIT_COMMITTER_NAME", "n"), ("EMAIL", "e"), ("GIT_COMMITTER_DATE", "2005-04-07T22:13:13")];
        let offset = parse_date("2005-04-07 22:13:13").unwrap().offset;
        assert_eq!(
            identity(&local, &[]),
            format!("n <e> {} {}", 1_112_911_993 - i64::from(offset), zone(offset))
        );
    }

    #[cfg(unix)]
    #[test]
    fn the_system_serves_where_nothing_is_set() {
        let directory = tempfile::tempdir().unwrap();
        let run = |arguments: &[&str]| {
            let output = std::process::Command::new("git")
                .args(arguments)
                .current_dir(directory.path())
                .env_remove("EMAIL")
                .env("HOME", directory.path())
                .env("GIT_CONFIG_NOSYSTEM", "1")
                .env("GIT_COMMITTER_DATE", "@5 +0100")
                .output()
                .unwrap();
            assert!(output.status.success());
            String::from_utf8(output.stdout).unwrap()
        };
        run(&["init", "-q"]);
        let tree = run(&["hash-object", "-t", "tree", "-w", "/dev/null"]);
        run(&["update-ref", "--create-reflog", "refs/tags/t", tree.trim()]);
        let log = std::fs::read_to_string(directory.path().join(".git/logs/refs/tags/t")).unwrap();
        assert_eq!(log.trim_end().splitn(3, ' ').last().unwrap(), identity(&[], &[]));
    }
}
