//! Promisors that are accepted for where they are, and written down where they are new: git-config(1),
//! `promisor.acceptFromServerUrl`.

use bstr::{BStr, BString, ByteSlice};

use super::tell;
use crate::progress::{Event, Progress};
use crate::protocol::promisor_remote::PromisorRemote;
use crate::remote::Error;
use crate::remote::refspec::is_valid_name;
use crate::repo::Repository;
use crate::repo::config::{Change, edit};
use crate::transport::Url;
use crate::transport::pattern::{UrlPattern, place_of};

const KEY: &str = "promisor.acceptFromServerUrl";
/// How names begin that are made of URLs.
const AUTOMATIC: &str = "promisor-auto-";
/// How often a name may be taken by another URL until a remote is not accepted.
const SUFFIX_MAX: usize = 20;

/// Which URLs are allowed, and what was made of them so far.
pub(super) struct Allowed<'a> {
    repo: &'a Repository,
    rules: Vec<Rule>,
    /// Names and URLs that the configuration has by now, beyond those that were read.
    made: Vec<(BString, BString)>,
}

/// One value of the key.
struct Rule {
    /// What its remotes are called.
    name: Option<BString>,
    pattern: UrlPattern,
}

impl<'a> Allowed<'a> {
    /// Reads the configuration; what makes no sense there is warned of.
    pub(super) fn new(repo: &'a Repository, progress: &mut dyn Progress) -> Result<Self, Error> {
        let mut rules = Vec::new();
        for value in repo.config.strings(KEY) {
            let (name, pattern) = split(value.as_bstr());
            if let Some(name) = name.filter(|name| !is_valid_remote(name)) {
                let text = format!("invalid remote name '{name}' in '{value}' from '{KEY}' config option");
                tell(progress, Event::Warning(&text))?;
                continue;
            }
            if let Some(pattern) = UrlPattern::parse(pattern) {
                rules.push(Rule { name: name.map(BString::from), pattern });
            } else {
                let text = format!("invalid URL pattern '{pattern}' in '{KEY}' config option");
                tell(progress, Event::Warning(&text))?;
            }
        }
        Ok(Self { repo, rules, made: Vec::new() })
    }

    /// Whether no URL is.
    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What `remote` is called here, if its URL is allowed. Where that is news it is written down, and the user hears of it;
    /// a remote that is here under its name, with another URL, is left alone.
    pub(super) fn admit(
        &mut self,
        remote: &PromisorRemote,
        promisors: &[BString],
        progress: &mut dyn Progress,
    ) -> Result<Option<BString>, Error> {
        let PromisorRemote { name, url, .. } = remote;
        let Some(rule) = self.rules.iter().find(|rule| rule.pattern.matches(url.as_bstr())) else {
            return Ok(None);
        };
        match self.url_of(name) {
            Some(configured) if configured != *url => return Ok(None),
            Some(_) if promisors.contains(name) => return Ok(Some(name.clone())),
            _ => {}
        }
        let named = rule.name.clone().or_else(|| place_of(url.as_bstr()).map(|place| automatic(&place)));
        let Some(wished) = named.filter(|_| is_valid_remote(name.as_bstr())) else { return Ok(None) };
        let Some(chosen) = self.free_name(&wished, url) else {
            let text = format!("too many remotes are called '{wished}' to accept '{name}' from the server");
            tell(progress, Event::Warning(&text))?;
            return Ok(None);
        };
        self.write_down(&chosen, remote, promisors.contains(&chosen), progress)?;
        Ok(Some(chosen))
    }

    /// `wished`, with a number at its end if it has another URL.
    fn free_name(&self, wished: &BString, url: &BString) -> Option<BString> {
        (0..=SUFFIX_MAX)
            .map(|number| if number == 0 { wished.clone() } else { format!("{wished}-{number}").into() })
            .find(|name| self.url_of(name).is_none_or(|configured| configured == *url))
    }

    fn url_of(&self, name: &BString) -> Option<BString> {
        let made = self.made.iter().find(|(made, _)| made == name).map(|(_, url)| url.clone());
        made.or_else(|| self.repo.config.string(&format!("remote.{name}.url")))
    }

    /// Makes `chosen` a promisor with the URL of `remote`.
    fn write_down(
        &mut self,
        chosen: &BString,
        remote: &PromisorRemote,
        is_promisor: bool,
        progress: &mut dyn Progress,
    ) -> Result<(), Error> {
        let set = |key: &str, value: &BString| {
            let is_news = self.repo.config.string(&format!("remote.{chosen}.{key}")).as_ref() != Some(value);
            is_news.then(|| Change::Set(format!("remote.{chosen}.{key}").into(), value.clone()))
        };
        let promisor = if is_promisor { None } else { set("promisor", &"true".into()) };
        let changes = [set("url", &remote.url), promisor, set("advertisedAs", &remote.name)];
        let changes: Vec<Change> = changes.into_iter().flatten().collect();
        if changes.is_empty() {
            return Ok(());
        }
        edit(&self.repo.common_path("config"), &changes)?;
        self.made.push((chosen.clone(), remote.url.clone()));
        let shown = Url::parse(remote.url.as_bstr())?.redacted();
        let text =
            format!("Storing new remote '{chosen}' from server for remote '{}': '{shown}'", remote.name);
        tell(progress, Event::Detail { level: 0, text: &text })
    }
}

/// The name in front of a pattern, if there is one, and the pattern. An equals sign may be part of a URL's path.
fn split(value: &BStr) -> (Option<&BStr>, &BStr) {
    match value.split_once_str("=") {
        Some((name, pattern)) if !name.contains_str("://") => (Some(name.as_bstr()), pattern.as_bstr()),
        _ => (None, value),
    }
}

fn is_valid_remote(name: &BStr) -> bool {
    is_valid_name([b"refs/remotes/", name.as_bytes(), b"/test"].concat().as_bstr())
}

/// A name made of the place of a URL.
fn automatic(place: &str) -> BString {
    let words = place.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let words: Vec<&str> = words.collect();
    format!("{AUTOMATIC}{}", words.join("-")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_ends_where_a_url_begins() {
        for (value, name, pattern) in [
            ("https://git.test/a=b", None, "https://git.test/a=b"),
            ("cdn=https://git.test/a=b", Some("cdn"), "https://git.test/a=b"),
            ("=https://git.test/*", Some(""), "https://git.test/*"),
        ] {
            assert_eq!(split(value.into()), (name.map(BStr::new), pattern.into()));
        }
        assert!(
            !is_valid_remote("".into()) && !is_valid_remote("bad name".into()) && is_valid_remote("a".into())
        );
    }

    #[test]
    fn a_name_of_a_url_is_one_word() {
        assert_eq!(automatic("git.test:8080/a//b_c.git"), "promisor-auto-git-test-8080-a-b-c-git");
        assert_eq!(automatic("/srv/a"), "promisor-auto-srv-a");
    }
}
