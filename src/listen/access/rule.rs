//! The file of rules:
//!
//! ```toml
//! [groups]
//! team = ["alice", "bob"]
//!
//! [[rule]]
//! repositories = ["public/**"]
//! read = ["anybody"]
//! write = ["@team"]
//! ```
//!
//! The first rule that names a repository decides; what no rule names is for nobody. Patterns are git's, of the path below
//! the root: `*` stays within a directory, `**` does not.

use std::collections::HashMap;

use gix_glob::wildmatch::Mode;
use serde::Deserialize;

use super::Deed;

/// Stands for everybody, known or not.
const ANYBODY: &str = "anybody";
/// Stands for everybody who is known.
const USERS: &str = "users";

/// The rules of a file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rules {
    #[serde(default)]
    groups: HashMap<String, Vec<String>>,
    #[serde(default)]
    rule: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    repositories: Vec<String>,
    #[serde(default)]
    read: Vec<String>,
    #[serde(default)]
    write: Vec<String>,
}

impl Rules {
    /// Reads a file.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let rules: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        let words = rules.rule.iter().flat_map(|rule| rule.read.iter().chain(&rule.write));
        let groups = words.filter_map(|word| word.strip_prefix('@'));
        for group in groups {
            if !rules.groups.contains_key(group) {
                return Err(format!("there is no group '{group}'"));
            }
        }
        Ok(rules)
    }

    /// Whether `user` may do it. Who may write may read.
    pub(super) fn allow(&self, user: Option<&str>, repository: &str, deed: Deed) -> bool {
        let is_named = |rule: &&Rule| rule.repositories.iter().any(|pattern| matches(pattern, repository));
        let Some(rule) = self.rule.iter().find(is_named) else { return false };
        let may_write = rule.write.iter().any(|word| self.is_meant(word, user));
        match deed {
            Deed::Write => may_write,
            Deed::Read => may_write || rule.read.iter().any(|word| self.is_meant(word, user)),
        }
    }

    fn is_meant(&self, word: &str, user: Option<&str>) -> bool {
        let Some(user) = user else { return word == ANYBODY };
        match word.strip_prefix('@') {
            Some(group) => self.groups.get(group).is_some_and(|group| group.iter().any(|one| one == user)),
            None => word == ANYBODY || word == USERS || word == user,
        }
    }
}

/// Whether `pattern` names `repository`, with `.git` at its end or without.
fn matches(pattern: &str, repository: &str) -> bool {
    let matches = |name: &str| gix_glob::wildmatch(pattern.into(), name.into(), Mode::NO_MATCH_SLASH_LITERAL);
    matches(repository) || repository.strip_suffix(".git").is_some_and(matches)
}

#[cfg(test)]
mod tests {
    use super::Deed::{Read, Write};
    use super::*;

    const RULES: &str = r#"
        [groups]
        team = ["alice", "bob"]
        [[rule]]
        repositories = ["public/secret.git"]
        read = ["alice"]
        [[rule]]
        repositories = ["public/**", "open"]
        read = ["anybody"]
        write = ["@team"]
        [[rule]]
        repositories = ["*.git"]
        read = ["users"]
    "#;

    #[test]
    fn the_first_rule_that_names_a_repository_decides() {
        let rules = Rules::parse(RULES).unwrap();
        for (user, repository, deed, is_allowed) in [
            (None, "public/a/b.git", Read, true),
            (None, "public/a/b.git", Write, false),
            (Some("bob"), "public/a/b.git", Write, true),
            (Some("carol"), "public/a/b.git", Write, false),
            (Some("bob"), "public/secret.git", Read, false),
            (Some("alice"), "public/secret.git", Read, true),
            (None, "open.git", Read, true),
            (None, "other.git", Read, false),
            (Some("carol"), "other.git", Read, true),
            (Some("carol"), "deep/other.git", Read, false),
            (None, "none", Read, false),
        ] {
            assert_eq!(rules.allow(user, repository, deed), is_allowed, "{user:?} {repository} {deed:?}");
        }
    }

    #[test]
    fn a_file_that_makes_no_sense_is_refused() {
        for text in
            ["[[rule]]", "[[rule]]\nrepositories=[]\nreed=[]", "[[rule]]\nrepositories=[]\nread=['@x']", "x"]
        {
            assert!(Rules::parse(text).is_err(), "{text}");
        }
    }
}
