//! Refs that are not shown: `transfer.hideRefs` and its like. git-config(1), "transfer.hideRefs".

use bstr::{BStr, BString, ByteSlice};

use super::{Config, Error};

/// The patterns, the last one counting most.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Hidden(Vec<Pattern>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    /// A ref's name, or the beginning of one up to a slash.
    name: BString,
    /// `!`: what it matches is shown.
    shows: bool,
    /// `^`: it is matched with the name before a namespace is taken off.
    is_full: bool,
}

impl Hidden {
    /// Those of `transfer.hideRefs` and `<service>.hideRefs`, such as `uploadpack`: one list, whichever key they have.
    pub(crate) fn read(config: &Config, service: &str) -> Self {
        let own = format!("{service}.hideRefs");
        Self(
            config
                .strings_of(&["transfer.hideRefs", &own])
                .iter()
                .map(|text| Pattern::parse(text.as_bstr()))
                .collect(),
        )
    }

    /// Refuses patterns without a text: whoever wrote them wanted something hidden.
    ///
    /// # Errors
    ///
    /// [`Error::ConfigEntry`] in git's words, with the place.
    pub(crate) fn check(config: &Config, service: &str) -> Result<(), Error> {
        config.check_valued("transfer.hideRefs")?;
        config.check_valued(&format!("{service}.hideRefs"))
    }

    /// Whether a ref is hidden: `shown` is its name as clients see it, `None` outside of the namespace, `full` its own.
    pub(crate) fn hides(&self, shown: Option<&BStr>, full: &BStr) -> bool {
        let matching = self.0.iter().rev().find(|pattern| {
            let subject = if pattern.is_full { Some(full) } else { shown };
            subject.is_some_and(|subject| pattern.matches(subject))
        });
        matching.is_some_and(|pattern| !pattern.shows)
    }

    /// Whether nothing is hidden.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Pattern {
    fn parse(text: &BStr) -> Self {
        let (shows, rest) = text.strip_prefix(b"!").map_or((false, text.as_bytes()), |rest| (true, rest));
        let (is_full, rest) = rest.strip_prefix(b"^").map_or((false, rest), |rest| (true, rest));
        Self { name: rest.trim_end_with(|last| last == '/').into(), shows, is_full }
    }

    fn matches(&self, subject: &BStr) -> bool {
        let rest = subject.strip_prefix(self.name.as_slice());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::repo::Environment;

    fn hidden(text: &str) -> Hidden {
        let config = Config::from_bytes(text.as_bytes(), Path::new("config"), &Environment::default());
        Hidden::read(&config.unwrap(), "uploadpack")
    }

    #[test]
    fn the_last_pattern_decides() {
        let hidden = hidden(
            "[transfer]\nhideRefs = refs/pull/\nhideRefs = !refs/pull/1\n[uploadpack]\nhideRefs = refs/heads/x\n",
        );
        for (name, is_hidden) in [
            ("refs/pull/2/head", true),
            ("refs/pull/1/head", false),
            ("refs/pull/10", true),
            ("refs/pullx", false),
            ("refs/heads/x", true),
            ("refs/heads/xy", false),
        ] {
            assert_eq!(hidden.hides(Some(name.into()), name.into()), is_hidden, "{name}");
        }
    }

    #[test]
    fn what_stands_last_counts_whichever_key_it_has() {
        for (text, is_hidden) in [
            ("[uploadpack]\nhideRefs = !refs/x\n[transfer]\nhideRefs = refs/x\n", true),
            ("[transfer]\nhideRefs = refs/x\n[uploadpack]\nhideRefs = !refs/x\n", false),
            ("[receive]\nhideRefs = !refs/x\n[transfer]\nhideRefs = refs/x\n", true),
            ("[transfer]\nhideRefs = refs/x\n[receive]\nhideRefs = !refs/x\n", true),
            (
                "[transfer]\nhideRefs = refs/x\n[uploadpack]\nhideRefs = !refs/x\n[TRANSFER]\nhiderefs = refs/x\n",
                true,
            ),
        ] {
            assert_eq!(hidden(text).hides(Some("refs/x/a".into()), "refs/x/a".into()), is_hidden, "{text}");
        }
    }

    #[test]
    fn a_caret_looks_at_the_full_name() {
        let hidden = hidden("[transfer]\nhideRefs = ^refs/namespaces/a/refs/heads\nhideRefs = refs/tags\n");
        let full = "refs/namespaces/a/refs/heads/main";
        assert!(hidden.hides(Some("refs/heads/main".into()), full.into()));
        assert!(!hidden.hides(Some("refs/heads/main".into()), "refs/heads/main".into()));
        assert!(!hidden.hides(None, "refs/tags/x".into()), "outside of the namespace only full names count");
    }
}
