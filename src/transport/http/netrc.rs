//! `~/.netrc`: names and passwords by host, as curl reads them; ftp(1), "THE .netrc FILE".

use std::fs;
use std::path::Path;

use crate::credential::{Credential, Secret};

/// The most bytes of the file that are read.
const FILE_LEN_MAX: u64 = 1024 * 1024;

/// The name and password for `host`, and for `user` if that is known. A `default` entry holds for hosts that no other is
/// for.
pub(super) fn find(path: &Path, host: &str, user: Option<&str>) -> Option<Credential> {
    if fs::metadata(path).ok()?.len() > FILE_LEN_MAX {
        return None;
    }
    entry(&fs::read_to_string(path).ok()?, host, user)
}

fn entry(text: &str, host: &str, user: Option<&str>) -> Option<Credential> {
    let mut words = tokens(text).into_iter();
    let mut next = words.next();
    while let Some(word) = next.take() {
        let is_ours = match &*word {
            "machine" => words.next().is_some_and(|name| name.eq_ignore_ascii_case(host)),
            "default" => true,
            _ => {
                next = words.next();
                continue;
            }
        };
        let (mut login, mut password) = (None, None);
        while let Some(key) = words.next() {
            match &*key {
                "login" => login = words.next(),
                "password" => password = words.next(),
                "account" | "macdef" => drop(words.next()),
                // the next entry, or something that says nothing here
                _ => {
                    next = Some(key);
                    break;
                }
            }
        }
        let username = login.or_else(|| user.map(ToOwned::to_owned)).unwrap_or_default();
        if is_ours && user.is_none_or(|user| user == username) && (password.is_some() || user.is_none()) {
            return Some(Credential::new(username, Secret::new(password.unwrap_or_default())));
        }
    }
    None
}

/// The words, of which those in quotes may hold spaces. A macro lasts until an empty line; a comment to the end of its.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut is_macro = false;
    for line in text.lines() {
        if is_macro {
            is_macro = !line.trim().is_empty();
            continue;
        }
        let mut rest = line.trim_start();
        while !rest.is_empty() && !rest.starts_with('#') {
            let (word, after) = token(rest);
            is_macro |= word == "macdef";
            tokens.push(word);
            rest = after.trim_start();
        }
    }
    tokens
}

/// The first word and what is behind it.
fn token(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (word, rest) = text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()));
        return (word.to_owned(), rest);
    };
    let mut word = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (word, quoted.get(at + 1..).unwrap_or_default()),
            '\\' => match letters.next() {
                Some((_, 'n')) => word.push('\n'),
                Some((_, 'r')) => word.push('\r'),
                Some((_, 't')) => word.push('\t'),
                Some((_, other)) => word.push(other),
                None => {}
            },
            other => word.push(other),
        }
    }
    (word, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# mine\nmachine git.test login alice password secret\n\
                        machine git.test login bob\n  password \"with \\\"space\\\" \"\n\
                        machine x.test macdef init\n ls\n machine y.test login no password no\n\n\
                        machine y.test login carol account a password p3\ndefault login anonymous password mail\n";

    fn found(host: &str, user: Option<&str>) -> Option<(String, String)> {
        let credential = entry(FILE, host, user)?;
        Some((credential.username, credential.password.reveal().to_owned()))
    }

    fn pair(name: &str, password: &str) -> (String, String) {
        (name.to_owned(), password.to_owned())
    }

    #[test]
    fn hosts_and_users_are_told_apart() {
        assert_eq!(found("GIT.test", None), Some(pair("alice", "secret")));
        assert_eq!(found("git.test", Some("bob")), Some(pair("bob", "with \"space\" ")));
        assert_eq!(found("y.test", None), Some(pair("carol", "p3")));
        assert_eq!(found("other.test", None), Some(pair("anonymous", "mail")));
        assert_eq!(found("git.test", Some("mallory")), None);
    }

    #[test]
    fn a_broken_file_says_nothing() {
        for text in
            ["", "machine", "machine git.test", "login x", "machine git.test login \"", "machine machine"]
        {
            let credential = entry(text, "git.test", Some("alice"));
            assert!(credential.is_none(), "{text}");
        }
    }
}
